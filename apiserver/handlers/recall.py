"""Routes of recalls: a lender takes back what others use of its quota."""

from typing import Annotated, Any

import msgspec

from apiserver import page, route
from control import case, recall
from primitives import quantity

Code = Annotated[str, msgspec.Meta(min_length=1, max_length=63)]
Name = Annotated[str, msgspec.Meta(min_length=1, max_length=64, description="such as cpu_milli or disk_gib.ssd")]


class RecallQuery(page.Query, kw_only=True):
    """Filters of the list."""

    tenant: Annotated[str, msgspec.Meta(max_length=63, description="this tenant and those below it")] = ""


class NewRecall(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """What a lender wants back; without an amount all that others use of its quota."""

    tenant: Code
    name: Name
    amount: Annotated[int, msgspec.Meta(ge=1, le=quantity.BOUND)] | None = None
    notice_days: Annotated[int, msgspec.Meta(ge=0, le=365, description="else the setting recall_notice_days")] | None = None
    reason: Annotated[str, msgspec.Meta(max_length=500)] = ""


class Borrowed(msgspec.Struct, kw_only=True):
    """What one resource takes beyond the quota of its own tenant; `command` would give it back."""

    tenant: str
    project: str
    kind: str
    resource: str
    id: str
    since: str | None
    borrowed: int
    held: int
    command: str


class Others(msgspec.Struct, kw_only=True):
    """The sums of tenants that the caller may not list."""

    resources: int
    borrowed: int


class Borrowers(msgspec.Struct, kw_only=True):
    """Who uses more than its own, longest first."""

    borrowers: list[Borrowed]
    borrowed: int
    others: Others


class Recall(msgspec.Struct, kw_only=True):
    """A recall; `state` is going_on, overdue, returned or ended."""

    id: str
    tenant: str
    name: str
    state: str
    amount: int
    came_back: int
    started_at: str
    due_at: str
    ended_at: str | None
    reason: str
    borrowers: list[Borrowed] | msgspec.UnsetType = msgspec.UNSET
    borrowed: int | msgspec.UnsetType = msgspec.UNSET
    others: Others | msgspec.UnsetType = msgspec.UNSET


def begin_recall(call: route.Call) -> case.UseCase:
    """Call back what others use of a tenant's quota: new borrowing of it ends at once, what comes back is kept, nothing is stopped."""
    body = call.body
    days = call.wiring.settings.recall_notice_days if body.notice_days is None else body.notice_days
    return recall.begin(body.tenant, body.name, amount=body.amount, notice_days=days, reason=body.reason)


def list_recalls(tx: Any, call: route.Call) -> Any:
    """Recalls, newest first, with what came back."""
    before = page.after(call, str)
    rows = recall.list_recalls(
        tx, call.who, tenant=call.query.tenant, before=before[0] if before else "", limit=call.query.limit + 1
    )
    return page.of(rows, call, lambda row: [row["id"]])


def show_recall(tx: Any, call: route.Call) -> Any:
    """One recall, with who has not given back yet, longest first."""
    return recall.show_recall(tx, call.who, call.path["recall"])


def end_recall(call: route.Call) -> case.UseCase:
    """Call nothing back any more; the lending limit is again what it was before."""
    return recall.end(call.path["recall"])


def borrowers(tx: Any, call: route.Call) -> Any:
    """Who uses more than its own where a tenant lends, longest first."""
    return recall.borrowers(tx, call.who, call.path["tenant"], call.path["name"])


ROUTES = [
    route.change("POST", "/v1/recalls", "recall.begin", begin_recall, body=NewRecall, answer=Recall, status=201),
    route.read("GET", "/v1/recalls", "recall.list", list_recalls, query=RecallQuery, answer=page.Page[Recall]),
    route.read("GET", "/v1/recalls/{recall}", "recall.show", show_recall, answer=Recall),
    route.change("POST", "/v1/recalls/{recall}/end", "recall.end", end_recall, answer=Recall),
    route.read("GET", "/v1/grants/{tenant}/{name}/borrowers", "grant.borrowers", borrowers, answer=Borrowers),
]
