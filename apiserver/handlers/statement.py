"""Routes of statements: close, issue, list, show, export."""

from typing import Annotated, Any, Literal

import msgspec

from apiserver import page, route
from control import case, statement
from store.transaction import Transaction

Month = Annotated[str, msgspec.Meta(max_length=7, description="month as cut in Asia/Shanghai: 2026-10")]
Tenant = Annotated[str, msgspec.Meta(max_length=63)]


class StatementQuery(page.Query, kw_only=True):
    """Of which month, and whose with all below."""

    month: Month
    tenant: Tenant = ""


class ExportQuery(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """Of which month, whose, and in which form."""

    month: Month
    tenant: Tenant = ""
    format: Literal["csv", "json"] = "csv"


class NewClose(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """The month to be closed."""

    month: Month


class NewIssue(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """What is to be issued; without a tenant all open statements of the month."""

    month: Month
    tenant: Tenant = ""


class Closed(msgspec.Struct, kw_only=True):
    """A close: what was known at `cut_at`, without the resources in dispute (`excluded`)."""

    month: str
    close: str
    cut_at: str
    statements: int
    lines: int
    total: str
    excluded: list[str]
    digest: str


class Issued(msgspec.Struct, kw_only=True):
    """What was issued."""

    month: str
    issued: int
    total: str
    statements: list[dict[str, str]]


class Row(msgspec.Struct, kw_only=True):
    """One statement in a list; `with_children` is its total with all below it, `draft` one of an unclosed month."""

    id: str
    tenant: str
    name: str
    path: str
    month: str
    currency: str
    state: str
    draft: bool
    total: str
    with_children: str
    lines: int
    closed_at: str
    issued_at: str
    issued_by: str
    digest: str


class Line(msgspec.Struct, kw_only=True):
    """What one resource cost under one SKU and price version; `unit_seconds` in registry unit x seconds."""

    resource: str
    project: str
    kind: str
    sku: str
    unit: str
    unit_seconds: int
    unit_price: str
    price_version: str
    start_at: str
    end_at: str
    amount: str


class Statement(msgspec.Struct, kw_only=True):
    """A statement with its lines; of a month that is not closed the draft up to now.

    `names` has the names of the resources today, beside the lines that the digest is taken over; none where use was imported.
    """

    tenant: str
    path: str
    month: str
    currency: str
    state: str
    total: str
    lines: list[Line]
    names: dict[str, str]


def close(call: route.Call) -> case.Answer:
    """Close a month: compute the statements of all departments.  They stay Open until issued, and may be closed again until then."""
    return statement.close(call.wiring, call.context, call.body.month, dry_run=call.dry_run)


def issue(call: route.Call) -> case.UseCase:
    """Issue the open statements of a month, of all departments or of one.  Issued statements cannot be changed."""
    return statement.issue(call.body.month, call.body.tenant)


def list_statements(tx: Transaction, call: route.Call) -> Any:
    """The statements of a month, each also with all below it."""
    rows = statement.list_statements(tx, call.who, call.query.month, tenant=call.query.tenant)
    return page.whole(rows, call, lambda row: [row["path"]])


def show(tx: Transaction, call: route.Call) -> Any:
    """The statement of a department with its lines, or its draft."""
    return statement.show_statement(tx, call.who, call.path["tenant"], call.path["month"])


def export(tx: Transaction, call: route.Call) -> route.Raw:
    """Statements with their lines as a file."""
    query: ExportQuery = call.query
    content = statement.export_statements(tx, call.who, query.month, tenant=query.tenant, form=query.format)
    media = "text/csv; charset=utf-8" if query.format == "csv" else "application/json"
    name = "-".join(["statement", query.month, *([query.tenant] if query.tenant else [])])
    return route.Raw(content=content, media=media, filename=f"{name}.{query.format}")


ROUTES = [
    route.work("POST", "/v1/statement-closes", "statement.close", close, body=NewClose, answer=Closed, status=201),
    route.change("POST", "/v1/statement-issues", "statement.issue", issue, body=NewIssue, answer=Issued),
    route.read("GET", "/v1/statements", "statement.list", list_statements, query=StatementQuery, answer=page.Page[Row]),
    route.read("GET", "/v1/statements/{tenant}/{month}", "statement.show", show, answer=Statement),
    route.read("GET", "/v1/statement-exports", "statement.export", export, query=ExportQuery, media="text/csv"),
]
