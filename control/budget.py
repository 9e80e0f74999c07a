"""Budgets: what a tenant and everything below it may spend in a year; set, show, list; the document kind Budget.

Only somebody above a tenant writes its budget: the right must come from a role bound at its parent or higher (at the root, from one bound there).
"""

from typing import Annotated, Any, Final

import msgspec

from control import access, case, document, encumbrance, naming
from orders import service as orders
from primitives import clock, errors, money
from quotas.budgets import appropriations, faults, model, rules
from quotas.budgets.model import Standing
from store.transaction import Transaction
from tenants import model as tenants_model
from tenants import service as tenants

FROM_ABOVE: Final = errors.Fault(
    "budget.from_above",
    errors.Kind.FORBIDDEN,
    en="the money of {tenant} is given from above: your role must be bound at {parent} or higher",
    zh="{tenant} 的预算由上级安排：您的角色须在 {parent} 或更上级",
    mend_en="ask the finance of {parent}; govpool whoami shows where you hold a role",
    mend_zh="请联系 {parent} 的财务人员；用 govpool whoami 查看您的角色范围",
)
PRESENT: Final = "present"
"""Names the year that it is now."""
REST: Final = "rest"
"""Carry over what the year before left."""
HOLDS_MAX: Final = 1000
"""Holds of a budget that are shown, the largest."""

Money = Annotated[str, msgspec.Meta(min_length=1, max_length=20, description="yuan, decimal text such as 120000.00")]
Thresholds = Annotated[
    list[Annotated[str, msgspec.Meta(max_length=20, description="a percentage, alone (of what is committed) or as actual:50")]],
    msgspec.Meta(max_length=rules.THRESHOLDS_MAX),
]


class Spec(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """A budget as a document says it."""

    appropriated: Money
    carry_over: Annotated[str, msgspec.Meta(max_length=20, description="yuan, or 'rest': what the year before left")] = "0"
    hard: Annotated[bool, msgspec.Meta(description="refuse orders whose money is not there; else only tell")] = True
    thresholds: Annotated[Thresholds | None, msgspec.Meta(description="when to tell; null: 80 and 100 of what is committed")] = None
    currency: Annotated[str, msgspec.Meta(max_length=8)] = money.CURRENCY


def set_budget(tenant: str, year: int, spec: Spec, *, if_match: int | None = None, allow_over: bool = False) -> case.UseCase:
    """Make the budget of a year be as the spec says; an equal one stays untouched, at its generation."""

    def permit(tx: Transaction, who: tenants_model.Principal) -> tenants_model.Permit:
        return access.from_above(tx, who, tenant, "set", kind="budget", refused=FROM_ABOVE)

    def effect(tx: Transaction, who: tenants_model.Principal, allowed: tenants_model.Permit) -> case.Answer:
        owner = tenants.by_code(tx, tenant)
        present = appropriations.find(tx, tenant_id=owner.id, year=year)
        access.matches(if_match, present.generation if present else 0, kind="budget", name=f"{tenant}/{year}")
        wanted = _wanted(tx, owner, year, spec, present)
        before, after, crossed = appropriations.set_budget(tx, tenant_id=owner.id, year=year, budget=wanted, allow_over=allow_over)
        encumbrance.tell(tx, crossed)
        after = appropriations.find(tx, tenant_id=owner.id, year=year) or after  # with the thresholds that are told now
        over = {"allow_over": "true", "over_by": money.text(after.over_micro)} if allow_over and after.over_micro else {}
        return case.Answer(
            status=200 if before else 201,
            body=_document(tx, owner, after),
            kind="budget",
            object_id=f"{tenant}/{year}",
            generation=after.generation,
            tenant_id=owner.id,
            before=None if before is None else _facts(before),
            after=_facts(after),
            facts=over,
        )

    return case.UseCase(
        action="budget.set",
        permit=permit,
        effect=effect,
    )


def show_budget(tx: Transaction, who: tenants_model.Principal, tenant: str, year: int | None = None) -> dict[str, Any]:
    """How the budget of a tenant stands in a year (the present one); without a budget what is held and spent, generation 0."""
    owner = access.tenant(tx, who, tenant, "show", "budget")[0]
    of_year = rules.year_of(tx.now()) if year is None else year
    rules.year(of_year)
    found = appropriations.find(tx, tenant_id=owner.id, year=of_year)
    return _document(tx, owner, found or appropriations.nothing(tx, tenant_id=owner.id, year=of_year))


def show_budgets(tx: Transaction, who: tenants_model.Principal, tenant: str) -> list[dict[str, Any]]:
    """All budgets of a tenant, by year."""
    owner = access.tenant(tx, who, tenant, "show", "budget")[0]
    return [_document(tx, owner, one) for one in appropriations.of_tenant(tx, owner.id)]


def list_budgets(tx: Transaction, who: tenants_model.Principal, *, year: int | None = None) -> list[dict[str, Any]]:
    """The budgets of all tenants that the caller may list, in a year or in all."""
    if year is not None:
        rules.year(year)
    scope = access.scope(tx, who, verb="list", kind="budget")
    seen = None if scope.everything else frozenset(scope.tenant_ids)
    found = appropriations.standings(tx, year=year, tenant_ids=seen)
    owners = tenants.by_ids(tx, sorted({one.tenant_id for one in found}))
    return [_row(owners[one.tenant_id], one) for one in found]


def list_holds(tx: Transaction, who: tenants_model.Principal, tenant: str, year: int) -> list[dict[str, Any]]:
    """What holds money of a year at and below a tenant, the largest first."""
    owner = access.tenant(tx, who, tenant, "show", "budget")[0]
    rules.year(year)
    found = appropriations.held_in(tx, tenant_id=owner.id, year=year, count=HOLDS_MAX)
    names = naming.resources(tx, (one.holder for one in found))
    owners = tenants.by_ids(tx, sorted({one.tenant_id for one in found}))
    return [
        {
            "resource": one.holder,
            "number": one.number,
            "name": names.get(one.holder) or _asked_for(tx, one.holder),
            "tenant": owners[one.tenant_id].code,
            "monthly": money.text(one.monthly_micro),
            "start_at": clock.text(one.start_at),
            "end_at": clock.text(one.end_at),
            "open_ended": one.open_ended,
            "encumbered": rules.yuan(one.amount_micro),
        }
        for one in found
    ]


def _asked_for(tx: Transaction, holder: str) -> str:
    """The name of what a waiting order asks for; '' for what has none."""
    found = orders.waiting_line(tx, holder)
    return found[1].name if found else ""


def after_order(tx: Transaction, who: tenants_model.Principal, tenant_id: str) -> list[dict[str, Any]]:
    """How the budgets stand that an order of a tenant draws on, with the order in them, as far as the caller may see them."""
    scope = access.scope(tx, who, verb="list", kind="budget")
    found = appropriations.of_path(tx, tenant_id=tenant_id, year=rules.year_of(tx.now()))
    owners = tenants.by_ids(tx, [one.tenant_id for one in found])
    return [_row(owners[one.tenant_id], one) for one in found if scope.everything or one.tenant_id in scope.tenant_ids]


def _wanted(tx: Transaction, owner: tenants_model.Tenant, year: int, spec: Spec, present: Standing | None) -> model.Budget:
    if spec.currency != money.CURRENCY:
        raise faults.CURRENCY(currency=money.CURRENCY, given=spec.currency)
    rules.year(year)
    carried = (
        appropriations.rest(tx, tenant_id=owner.id, year=year)
        if spec.carry_over == REST
        else _whole_fen(spec.carry_over, "carry_over")
    )
    default = present.budget.thresholds if present else model.DEFAULT_THRESHOLDS
    return model.Budget(
        appropriated_micro=_whole_fen(spec.appropriated, "appropriated"),
        carried_over_micro=carried,
        hard=spec.hard,
        thresholds=default if spec.thresholds is None else tuple(dict.fromkeys(map(rules.threshold, spec.thresholds))),
    )


def _whole_fen(text: str, field: str) -> int:
    """Micro-yuan of an amount that somebody gives.  Raises input.invalid, and budget.amount for a part of a fen: no reader could add it up."""
    micro = money.parse(text, field)
    if micro % money.FEN:
        most = money.text(model.AMOUNT_BOUND_MICRO)
        raise faults.AMOUNT(field=field, amount=money.price_text(micro), low="0.01", high=most)
    return micro


def _facts(standing: Standing) -> dict[str, Any]:
    return {"tenant_id": standing.tenant_id, "year": standing.year, **_spec(standing)}


def _spec(standing: Standing) -> dict[str, Any]:
    budget = standing.budget
    return {
        "appropriated": money.text(budget.appropriated_micro),
        "carry_over": money.text(budget.carried_over_micro),
        "hard": budget.hard,
        "thresholds": [str(one) for one in budget.thresholds],
        "currency": money.CURRENCY,
    }


def _row(owner: tenants_model.Tenant, standing: Standing) -> dict[str, Any]:
    spec = _spec(standing)
    return {
        "tenant": owner.code,
        "year": standing.year,
        "appropriated": spec["appropriated"],
        "carried_over": spec["carry_over"],
        "hard": spec["hard"],
        **_standing(standing),
        "generation": standing.generation,
    }


def _standing(standing: Standing) -> dict[str, Any]:
    return {
        "encumbered": rules.yuan(standing.encumbered_micro),
        "spent": money.text(standing.spent_micro),
        "left": money.text(standing.left_micro // money.FEN * money.FEN),
        "over_by": rules.yuan(standing.over_micro if standing.generation else 0),
        "uncovered": rules.yuan(min(standing.encumbered_micro, standing.over_micro)),
    }


def _document(tx: Transaction, owner: tenants_model.Tenant, standing: Standing) -> dict[str, Any]:
    forecast = appropriations.forecast(tx, standing)
    settled = appropriations.settled_at(tx, owner.id)
    return {
        "apiVersion": document.API_VERSION,
        "kind": "Budget",
        "metadata": {"name": str(standing.year), "tenant": owner.code, "generation": standing.generation},
        "spec": _spec(standing),
        "status": {
            **_standing(standing),
            "forecast": rules.yuan(forecast.at_year_end_micro),
            "forecast_error_percent": forecast.error_percent,
            "runs_out_on": forecast.runs_out_on.isoformat() if forecast.runs_out_on and standing.generation else None,
            "reached": [str(one) for one in standing.told],
            "settled_at": None if settled is None else clock.text(settled),
        },
    }


def year(text: str) -> int:
    """The year of a text such as '2026'.  Raises budget.year."""
    if not (text.isascii() and text.isdecimal() and len(text) == 4):
        raise faults.YEAR(year=repr(text[:20]), low=model.YEARS[0], high=model.YEARS[-1])
    return int(text)


def year_of(tx: Transaction, text: str) -> int:
    """The same; 'present' is the year that it is now."""
    return rules.year_of(tx.now()) if text == PRESENT else year(text)


def planned(one: document.Document[Spec]) -> case.UseCase:
    """The use case of a document."""
    return set_budget(one.metadata.tenant, year(one.metadata.name), one.spec, if_match=one.metadata.generation)


document.register("Budget", Spec, planned, after_kinds={"Tenant"})
