"""Money of orders and resources: `metering` says what they cost, `quotas.budgets` holds it, and crossed thresholds are told.

What is ordered encumbers its price until its end, or until the end of the fiscal year; what changes is held at the greater of both prices until it
has come about.  Only orders are asked whether the money is there.
"""

import dataclasses
import datetime
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from control import access, notice
from metering import service as metering
from orders import model as orders_model
from primitives import clock, errors, money
from provisioners import model as provisioners_model
from quotas import guard as quota_guard
from quotas.budgets import guard, model, service
from quotas.budgets.model import Basis
from store.transaction import Transaction
from tenants import model as tenants_model
from tenants import service as tenants

REACHED: Final = notice.declare(
    "budget.threshold",
    en="{tenant} has {basis_en} {percent} % of its budget {year}: {amount} of {limit} yuan; govpool budget show {tenant}",
    zh="{tenant} {year} 年预算{basis_zh}已达 {percent}%：{amount} / {limit} 元；govpool budget show {tenant}",
)
DAY: Final = datetime.timedelta(days=1)
_BASIS: Final[Mapping[Basis, tuple[str, str]]] = {
    Basis.ACTUAL: ("spent", "支出"),
    Basis.COMMITTED: ("spent or encumbered", "支出与占用"),
    Basis.FORECAST: ("a forecast of", "全年预测"),
}


class Refused(errors.GovpoolError):
    """Neither the units nor the money are there: one refusal with the reasons of both, under the code of the units."""

    def __init__(self, units: quota_guard.Exceeded, funds: guard.Exceeded) -> None:
        self.units, self.funds = units, funds
        told = {"en": "; ".join, "zh": "；".join}
        super().__init__(
            units.fault,
            {
                **units.values,
                "budget_breaches": funds.values["breaches"],
                "told": {lang: join([units.values["told"][lang], funds.values["told"][lang]]) for lang, join in told.items()},
            },
            tuple(errors.Finding(str(one["tenant"]), funds.code, str(one["short_by"])) for one in funds.values["breaches"]),
        )


REFUSALS: Final = (quota_guard.Exceeded, guard.Exceeded, Refused)


def seen_by(
    tx: Transaction, who: tenants_model.Principal, refused: quota_guard.Exceeded | guard.Exceeded | Refused
) -> errors.GovpoolError:
    """A refusal with the numbers that its caller may see."""
    if isinstance(refused, Refused):
        units, funds = refused.units, refused.funds
        return Refused(
            units.seen_by(access.scope(tx, who, verb="list", kind="grant")),
            funds.seen_by(access.scope(tx, who, verb="list", kind="budget")),
        )
    kind = "grant" if isinstance(refused, quota_guard.Exceeded) else "budget"
    return refused.seen_by(access.scope(tx, who, verb="list", kind=kind))


def also(refused: quota_guard.Exceeded, hold_money: Callable[[], Any]) -> errors.GovpoolError:
    """The refusal of units, with that of money where this does not suffice either.  What is held on the way is rolled back with the order."""
    try:
        hold_money()
    except guard.Exceeded as funds:
        return Refused(refused, funds)
    except errors.GovpoolError:  # no price, no pool: the units come first
        return refused
    return refused


# -- orders ------------------------------------------------------------------------------------------------------------------------


def hold(tx: Transaction, tenant_id: str, lines: Sequence[orders_model.Line]) -> list[orders_model.Line]:
    """Hold the money of what is to be created, all or nothing; the lines say what each encumbers.  Raises budget.exceeded."""
    made = [line for line in lines if line.action == "create"]
    if not made:
        return list(lines)
    wishes = [
        model.Wish(
            holder=line.resource_id,
            monthly_micro=line.spec["monthly_micro"],
            end_at=clock.parse(line.spec["end_at"]) if line.spec.get("end_at") else None,
        )
        for line in made
    ]
    held, crossed = service.hold_each(tx, tenant_id=tenant_id, wishes=wishes)
    tell(tx, crossed)
    amounts = _amounts(held)
    return [
        dataclasses.replace(line, spec={**line.spec, "encumbers_micro": amounts.get(line.resource_id, 0)}) if line in made else line
        for line in lines
    ]


def hold_price(tx: Transaction, resource: provisioners_model.Resource, monthly_micro: int) -> dict[str, int]:
    """Hold the greater of the price that is held and of the one that a change leads to; what it encumbers more.  Raises budget.exceeded."""
    before = _held(tx, resource)
    dearer = max([monthly_micro, *(one.monthly_micro for one in before[-1:])])
    return _more(tx, resource, before, service.change(tx, holder=resource.id, monthly_micro=dearer))


def hold_end(tx: Transaction, resource: provisioners_model.Resource, end_at: datetime.datetime | None) -> dict[str, int]:
    """Hold the money for the longer of two stays; what it encumbers more.  Raises budget.exceeded."""
    before = _held(tx, resource)
    open_ended = end_at is None or any(one.open_ended for one in before)
    until = None if end_at is None else max([end_at, *(one.end_at for one in before[-1:])])
    return _more(tx, resource, before, service.change(tx, holder=resource.id, end_at=until, open_ended=open_ended))


def _held(tx: Transaction, resource: provisioners_model.Resource) -> Sequence[model.Hold]:
    """What is held for it.  Where that is over (its lease has ended), it is taken in first: else no change of it would ask for money."""
    found = service.held(tx, holders=[resource.id])
    if any(one.end_at > tx.now() for one in found):
        return found
    take_in(tx, resource, resource.amounts)
    return service.held(tx, holders=[resource.id])


def _more(
    tx: Transaction, resource: provisioners_model.Resource, before: Sequence[model.Hold], crossed: Sequence[model.Crossing]
) -> dict[str, int]:
    tell(tx, crossed)
    after = service.held(tx, holders=[resource.id])
    return {"encumbers_micro": max(0, sum(one.amount_micro for one in after) - sum(one.amount_micro for one in before))}


# -- resources ---------------------------------------------------------------------------------------------------------------------


def as_it_is(tx: Transaction, resource: provisioners_model.Resource) -> None:
    """Hold what a resource needs by itself now: the price of what it is (or, during a change, of the greater), until its own end."""
    prices = [price(tx, resource, each) for each in (resource.amounts, resource.before.amounts if resource.before else {})]
    crossed = service.change(
        tx,
        holder=resource.id,
        monthly_micro=max(prices, key=lambda each: each or 0) if None not in prices else None,
        end_at=resource.end_at,
        open_ended=resource.end_at is None,
        asked=False,
    )
    tell(tx, crossed)


def of_size(tx: Transaction, resource: provisioners_model.Resource, amounts: Mapping[str, int]) -> None:
    """A change of size has come about, or will not: hold the price of `amounts` from now on."""
    tell(tx, service.change(tx, holder=resource.id, monthly_micro=price(tx, resource, amounts), asked=False))


def take_in(
    tx: Transaction, resource: provisioners_model.Resource, amounts: Mapping[str, int], *, since: datetime.datetime | None = None
) -> None:
    """Hold money for what exists already, from `since` (now) on, whether it is there or not; another price where money is held.

    What is there beyond its end is held for a day at a time.
    """
    monthly = price(tx, resource, amounts)
    end_at = resource.end_at
    if end_at is not None and end_at <= tx.now():
        end_at = tx.now() + DAY
    wish = model.Wish(holder=resource.id, monthly_micro=monthly or 0, end_at=end_at)
    held, crossed = service.adopt(tx, tenant_id=resource.tenant_id, wish=wish, since=since)
    tell(tx, crossed)
    if not held:
        of_size(tx, resource, amounts)


def free(tx: Transaction, holders: Sequence[str], *, used: bool) -> None:
    """Nothing more is needed for these; of what was `used` stays encumbered what is not metered yet."""
    tell(tx, service.release(tx, holders=holders, used=used))


def move(tx: Transaction, holders: Sequence[str], tenant_id: str, *, asked: bool = True) -> None:
    """What these need is another tenant's money from now on.  Raises budget.exceeded."""
    tell(tx, service.move(tx, holders=holders, tenant_id=tenant_id, asked=asked))


def move_subtree(
    tx: Transaction, tenant_id: str, *, above_before: Sequence[str], above_after: Sequence[str], allow_over: bool
) -> None:
    """A tenant stands elsewhere in the tree: its money is encumbered there.  Raises budget.exceeded unless `allow_over`."""
    found = {"above_before": above_before, "above_after": above_after}
    tell(tx, service.move_subtree(tx, tenant_id=tenant_id, **found, allow_over=allow_over))


def merge(tx: Transaction, from_id: str, into_id: str, *, allow_over: bool) -> None:
    """All that a tenant holds itself is another's from now on, and what is held below it counts there; called while the tree still stands.

    Which money of the years goes with it is `quotas.budgets.moves`' to say.  Raises budget.exceeded unless `allow_over`.
    """
    tell(tx, service.merge(tx, from_id=from_id, into_id=into_id, allow_over=allow_over))


def price(tx: Transaction, resource: provisioners_model.Resource, amounts: Mapping[str, int]) -> int | None:
    """Micro-yuan a month of `amounts` of a resource under the book in force, at most what is held for one resource; None: it has no price."""
    try:
        found = metering.monthly_price(
            tx,
            tenant_id=resource.tenant_id,
            kind=resource.kind,
            amounts=amounts,
            dimensions={"pool": resource.pool, "zone": resource.zone, "class": resource.service_class},
            at=tx.now(),
        )
    except errors.GovpoolError:  # price.missing: what exists goes on at the price that is held for it
        return None
    return min(found.monthly_micro, model.MONTHLY_BOUND_MICRO)


def tell(tx: Transaction, crossed: Sequence[model.Crossing]) -> None:
    """Tell finance, at the tenant or above it, which thresholds were reached."""
    for one in crossed:
        en, zh = _BASIS[one.threshold.basis]
        values = {
            "tenant": tenants.by_id(tx, one.tenant_id).code,
            "year": str(one.year),
            "basis": str(one.threshold.basis),
            "basis_en": en,
            "basis_zh": zh,
            "percent": str(one.threshold.percent),
            "amount": money.text(one.amount_micro),
            "limit": money.text(one.limit_micro),
        }
        role = str(tenants_model.Role.FINANCE)
        notice.tell(tx, tenant_id=one.tenant_id, code=REACHED, values=values, object_id=f"{values['tenant']}/{one.year}", role=role)


def _amounts(held: Sequence[model.Hold]) -> dict[str, int]:
    found: dict[str, int] = {}
    for one in held:
        found[one.holder] = found.get(one.holder, 0) + one.amount_micro
    return found
