"""Routes of budgets: what a tenant may spend in a year, how that stands, and what holds its money."""

from typing import Annotated, Any, Literal

import msgspec

from apiserver import page, route
from control import budget, case
from quotas.budgets import model

Year = Annotated[
    int, msgspec.Meta(ge=model.YEARS[0], le=model.YEARS[-1], description="fiscal year: the calendar year in Asia/Shanghai")
]


class BudgetQuery(page.Query, kw_only=True):
    """Filters of the list."""

    year: Year | None = None


class SetQuery(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """How a budget may be set."""

    allow_over: Annotated[bool, msgspec.Meta(description="also below what is committed; then nothing new can be ordered")] = False


class Budget(msgspec.Struct, kw_only=True):
    """A budget as a document.  Money is decimal text in yuan."""

    apiVersion: str
    kind: Literal["Budget"]
    metadata: dict[str, Any]
    spec: dict[str, Any]
    status: dict[str, Any]


class Standing(msgspec.Struct, kw_only=True):
    """How a budget stands.  Money is decimal text in yuan."""

    tenant: str
    year: int
    appropriated: str
    carried_over: str
    hard: bool
    encumbered: str
    spent: str
    left: str
    over_by: str
    uncovered: str
    generation: int


class Hold(msgspec.Struct, kw_only=True):
    """Money that one resource holds, for one stretch of time at one price."""

    resource: str
    number: int
    name: str
    tenant: str
    monthly: str
    start_at: str
    end_at: str
    open_ended: bool
    encumbered: str


def list_budgets(tx: Any, call: route.Call) -> Any:
    """The budgets of the tenants that the caller sees."""
    rows = budget.list_budgets(tx, call.who, year=call.query.year)
    return page.whole(rows, call, lambda row: [row["tenant"], row["year"]])


def show_budgets(tx: Any, call: route.Call) -> Any:
    """All budgets of one tenant, by year; of the present year also without one, at generation 0."""
    found = budget.show_budgets(tx, call.who, call.path["tenant"])
    present = budget.show_budget(tx, call.who, call.path["tenant"])
    return found if any(one["metadata"]["name"] == present["metadata"]["name"] for one in found) else [*found, present]


def show_budget(tx: Any, call: route.Call) -> Any:
    """The budget of a year, with its forecast; `present` names this year.  Without one: what is held and spent, at generation 0."""
    return budget.show_budget(tx, call.who, call.path["tenant"], budget.year_of(tx, call.path["year"]))


def set_budget(call: route.Call) -> case.UseCase:
    """Set the budget of a year; only somebody above the tenant may."""
    return budget.set_budget(
        call.path["tenant"],
        budget.year(call.path["year"]),
        call.body,
        if_match=call.context.if_match,
        allow_over=call.query.allow_over,
    )


def list_holds(tx: Any, call: route.Call) -> Any:
    """What holds money of a year at and below a tenant, the largest first, at most 1,000."""
    return budget.list_holds(tx, call.who, call.path["tenant"], budget.year_of(tx, call.path["year"]))


ROUTES = [
    route.read("GET", "/v1/budgets", "budget.list", list_budgets, query=BudgetQuery, answer=page.Page[Standing]),
    route.read("GET", "/v1/tenants/{tenant}/budgets", "budget.show_all", show_budgets, answer=list[Budget]),
    route.read("GET", "/v1/tenants/{tenant}/budgets/{year}", "budget.show", show_budget, answer=Budget),
    route.change(
        "PUT",
        "/v1/tenants/{tenant}/budgets/{year}",
        "budget.set",
        set_budget,
        query=SetQuery,
        body=budget.Spec,
        answer=Budget,
        if_match=True,
    ),
    route.read("GET", "/v1/tenants/{tenant}/budgets/{year}/holds", "budget.holds", list_holds, answer=list[Hold]),
]
