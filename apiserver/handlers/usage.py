"""Routes of usage: import, present state of resources, intervals, what came after an issue."""

from typing import Annotated, Any

import msgspec

from apiserver import page, route
from control import case, usage
from store.transaction import Transaction

Month = Annotated[str, msgspec.Meta(max_length=7, description="month as cut in Asia/Shanghai: 2026-10")]


class UsageQuery(page.Query, kw_only=True):
    """Filters of the list."""

    tenant: Annotated[str, msgspec.Meta(max_length=63, description="only those of this tenant and below")] = ""


class IntervalQuery(page.Query, kw_only=True):
    """Whose intervals."""

    resource: Annotated[str, msgspec.Meta(min_length=1, max_length=128)]
    month: Month = ""


class LateQuery(page.Query, kw_only=True):
    """Of which month."""

    month: Month


class ImportReport(msgspec.Struct, kw_only=True):
    """What an import brought in: lines of the file, distinct events among them, SHA-256 of its bytes."""

    id: str
    lines: int
    events: int
    sha256: str


class Present(msgspec.Struct, kw_only=True):
    """A resource in its present state; `name` is '' where its use was imported."""

    resource: str
    name: str
    kind: str
    tenant: str
    project: str
    state: str
    since: str
    amounts: dict[str, int]
    dimensions: dict[str, str]
    labels: dict[str, str]


class Interval(msgspec.Struct, kw_only=True):
    """A stretch of one state; `lasts` when it goes on now."""

    resource: str
    kind: str
    tenant: str
    project: str
    state: str
    amounts: dict[str, int]
    dimensions: dict[str, str]
    start_at: str
    end_at: str
    seconds: int
    lasts: bool


class Late(msgspec.Struct, kw_only=True):
    """An event that became known after the statement of its month was issued; the statement stays."""

    recorded_at: str
    resource: str
    tenant: str
    project: str
    kind: str
    state: str
    time: str
    amounts: dict[str, int]
    source: str
    id: str
    statement: str


def import_usage(call: route.Call) -> case.Answer:
    """Import usage events, all or nothing: every finding with its line, and nothing changed if there is one."""
    return usage.import_usage(call.wiring, call.context, call.raw, dry_run=call.dry_run)


def list_usage(tx: Transaction, call: route.Call) -> Any:
    """Resources in their present state, by id."""
    behind = page.after(call, str)
    after = behind[0] if behind else ""
    rows = usage.list_usage(tx, call.who, tenant=call.query.tenant, after=after, limit=call.query.limit + 1)
    return page.of(rows, call, lambda row: [row["resource"]])


def show_usage(tx: Transaction, call: route.Call) -> Any:
    """The intervals of one resource, up to now or in a month."""
    rows = usage.show_usage(tx, call.who, call.query.resource, month=call.query.month)
    return page.whole(rows, call, lambda row: [row["start_at"]])


def list_late(tx: Transaction, call: route.Call) -> Any:
    """Events for an issued month that came after the issue."""
    rows = usage.list_late(tx, call.who, call.query.month)
    return page.whole(rows, call, lambda row: [row["recorded_at"], row["source"], row["id"]])


ROUTES = [
    route.work(
        "POST", "/v1/usage-imports", "usage.import", import_usage, raw="application/x-ndjson", answer=ImportReport, status=201
    ),
    route.read("GET", "/v1/usage", "usage.list", list_usage, query=UsageQuery, answer=page.Page[Present]),
    route.read("GET", "/v1/usage-intervals", "usage.show", show_usage, query=IntervalQuery, answer=page.Page[Interval]),
    route.read("GET", "/v1/late-usage", "usage.late", list_late, query=LateQuery, answer=page.Page[Late]),
]
