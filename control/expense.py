"""The job that turns metered use into expense: rated on a snapshot outside of the lane, then settled a few departments at a time.

What `metering.statements` says of a month, as closed or else as the draft up to now, is the expense of its departments, at the place in the tree that
each had in that month.  Up to the same moment nothing is encumbered any more.  So a settlement can be repeated, or die between any two use cases.
"""

import dataclasses
import datetime
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final

import structlog

from audit import model as audit_model
from audit import service as audit
from control import encumbrance, services
from control.recovery import acceptance
from control.wiring import Wiring
from metering import rules as metering_rules
from metering import statements
from orders import service as orders
from primitives import errors, interval, money
from provisioners import model as provisioners_model
from provisioners import service as provisioners
from quotas import service as quotas
from quotas.budgets import appropriations, model, rules, service
from store import database as store_database
from store import installation
from store.transaction import Transaction
from tenants import service as tenants

TENANTS: Final = 50
"""Departments of one use case."""
RESOURCES: Final = 20
"""Resources of one use case that money is held for, or whose price has changed."""
PAGE: Final = 1000

_log = structlog.get_logger("expense")


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class _Look:
    """What one snapshot shows."""

    at: datetime.datetime  # use is known up to here
    expenses: Mapping[str, Mapping[str, model.Expense]]
    unsettled: frozenset[str]
    unheld: Sequence[str]  # living resources that no money is held for
    prices: Mapping[str, tuple[int, int]]  # resource -> the price a month that is held, and what it is now


def service_of(wiring: Wiring) -> services.Service:
    """The service that settles again and again."""

    def work() -> bool:
        settle(wiring.database)
        return False

    return services.Loop("expense", work, wiring.settings.expense_s)


def settle(database: store_database.Database) -> None:
    """One settlement of everything."""
    database.lane.run(_begin_year)
    look = database.read(_look)
    if look is None:
        return
    for part in _parts(sorted(look.expenses), TENANTS):
        database.lane.run(_settling(look, part))
    for part in _parts(look.unheld, RESOURCES):
        database.lane.run(_taking_in(look, part))
    for part in _parts(sorted(look.prices), RESOURCES):
        database.lane.run(_repricing(look, part))
    database.lane.run(lambda tx: encumbrance.tell(tx, appropriations.note_forecasts(tx)))


def _begin_year(tx: Transaction) -> None:
    if installation.get(tx).accepted and not service.has_begun(tx):
        encumbrance.tell(tx, service.begin_year(tx))
        _trail(tx, "budget.begin_year", {"year": str(rules.year_of(tx.now()))})


def _settling(look: _Look, tenant_ids: Sequence[str]) -> Callable[[Transaction], None]:
    expenses = {tenant_id: look.expenses[tenant_id] for tenant_id in tenant_ids}
    part = model.Settlement(at=look.at, expenses=expenses, unsettled=look.unsettled)
    return lambda tx: encumbrance.tell(tx, service.settle(tx, part))


def _taking_in(look: _Look, resource_ids: Sequence[str]) -> Callable[[Transaction], None]:
    def take_in(tx: Transaction) -> None:
        for resource in provisioners.get_many(tx, list(resource_ids)).values():
            live = any(one.end_at > tx.now() for one in service.held(tx, holders=[resource.id]))
            if not resource.ended and not live and quotas.find(tx, holder=resource.id) is not None:
                encumbrance.take_in(tx, resource, resource.amounts, since=look.at)
                _trail(tx, "budget.take_in", {}, resource)

    return take_in


def _repricing(look: _Look, resource_ids: Sequence[str]) -> Callable[[Transaction], None]:
    prices = {resource_id: look.prices[resource_id] for resource_id in resource_ids}

    def reprice(tx: Transaction) -> None:
        encumbrance.tell(tx, service.reprice(tx, prices))
        for resource in provisioners.get_many(tx, list(resource_ids)).values():
            seen, price = prices[resource.id]
            if [one.monthly_micro for one in service.held(tx, holders=[resource.id])[-1:]] == [price]:
                facts = {"monthly_before": money.text(seen), "monthly": money.text(price)}
                _trail(tx, "budget.reprice", facts, resource)

    return reprice


def _trail(tx: Transaction, action: str, facts: dict[str, str], resource: provisioners_model.Resource | None = None) -> None:
    """The line of what the clock did to money.  A settlement has none: its proof are the statements that it repeats."""
    line = audit_model.Line(actor="system", action=action, tenant_id=tenants.root(tx).id, kind="budget", facts=facts)
    if resource is not None:
        line = dataclasses.replace(line, tenant_id=resource.tenant_id, kind="resource", object_id=resource.id)
    audit.append(tx, line)


def _look(tx: Transaction) -> _Look | None:
    """Everything that a settlement needs; None before a restore is accepted, for until then nobody knows what was used."""
    if not installation.get(tx).accepted:
        return None
    excluded = acceptance.excluded(tx)
    living = list(_living(tx))
    held: dict[str, model.Hold] = {}
    for one in service.all_held(tx):
        if one.end_at > tx.now() and (one.holder not in held or held[one.holder].number < one.number):
            held[one.holder] = one
    return _Look(
        at=metering_rules.whole_second(tx.now()),
        expenses=_expenses(tx, excluded),
        unsettled=excluded | {one.id for one in living if one.pending or not one.built},
        unheld=[one.id for one in living if one.id not in held],
        prices=dict(_dearer(tx, living, held)),
    )


def _living(tx: Transaction) -> Iterator[provisioners_model.Resource]:
    after = ""
    while page := provisioners.listed(tx, provisioners.Filter(tenant_ids=None), after=after, limit=PAGE):
        yield from page
        after = page[-1].id


def _dearer(
    tx: Transaction, living: Sequence[provisioners_model.Resource], held: Mapping[str, model.Hold]
) -> Iterator[tuple[str, tuple[int, int]]]:
    """Resources at rest whose price is another than the one that is held; one that an order waits for keeps the greater."""
    known: dict[tuple[Any, ...], int | None] = {}
    for one in living:
        if one.id not in held or one.pending:
            continue
        key = (one.kind, one.service_class, one.pool, one.zone, *sorted(one.amounts.items()))
        if key not in known:
            known[key] = encumbrance.price(tx, one, one.amounts)
        price, seen = known[key], held[one.id].monthly_micro
        if price is not None and price != seen and orders.waiting_line(tx, one.id) is None:
            yield one.id, (seen, price)


def _expenses(tx: Transaction, excluded: frozenset[str]) -> dict[str, dict[str, model.Expense]]:
    """Tenant -> month -> expense; a department whose use has no price is left out, and stays encumbered until it has one."""
    months = _months(tx)
    try:
        return _by_tenant(months, lambda month: statements.listed(tx, month, excluded=excluded))
    except errors.GovpoolError as error:
        _log.warning("expense.unpriced", code=error.code, reason=error.text("en"))
    found: dict[str, dict[str, model.Expense]] = {}
    for tenant in tenants.all_tenants(tx):
        codes = frozenset({tenant.code})
        try:
            found |= _by_tenant(months, lambda month, codes=codes: statements.listed(tx, month, codes=codes, excluded=excluded))  # type: ignore[misc]
        except errors.GovpoolError:
            _log.info("expense.left_out", tenant=tenant.code)
    return found


def _by_tenant(months: Sequence[str], listed: Callable[[str], Sequence[Any]]) -> dict[str, dict[str, model.Expense]]:
    found: dict[str, dict[str, model.Expense]] = {}
    for month in months:
        for one in listed(month):
            expense = model.Expense(amount_micro=one.total_micro, node_ids=tuple(one.path_ids))
            found.setdefault(one.tenant_id, {})[month] = expense
    return found


def _months(tx: Transaction) -> list[str]:
    """The months that have begun of this year and of years with a budget, and the one before this."""
    now = tx.now()
    here = rules.year_of(now)
    begun = {
        month
        for year in {here, *(each for each in appropriations.years_with_budgets(tx) if each < here)}
        for month in (f"{year}-{number:02}" for number in range(1, 13))
        if interval.month(month).start_at < metering_rules.whole_second(now)
    }
    first = interval.month(interval.month_of(now)).start_at
    return sorted({*begun, interval.month_of(first - datetime.timedelta(seconds=1))})


def _parts(items: Sequence[str], count: int) -> Iterator[Sequence[str]]:
    return (items[first : first + count] for first in range(0, len(items), count))
