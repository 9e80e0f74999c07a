"""What finance gives a tenant for a year, how it stands, and what the year is expected to cost."""

import dataclasses
import datetime
from collections.abc import Collection

from primitives import clock, errors, money
from quotas.budgets import expense_records, faults, guard, model, records, rules, service
from quotas.budgets.model import Change, Crossing, Hold, Standing
from store.transaction import Transaction
from tenants import service as tenants


def set_budget(
    tx: Transaction, *, tenant_id: str, year: int, budget: model.Budget, allow_over: bool = False
) -> tuple[Standing | None, Standing, list[Crossing]]:
    """Give a tenant the money of a year: before, after, thresholds crossed.  An equal budget changes nothing.

    Raises budget.year, budget.amount, budget.threshold; budget.below_use unless `allow_over`, which the caller audits.
    """
    rules.year(year)
    rules.bounded(budget)
    service.begin_year(tx)
    before = find(tx, tenant_id=tenant_id, year=year)
    if before is not None and before.budget == budget:
        return before, before, []
    after = dataclasses.replace(
        before or nothing(tx, tenant_id=tenant_id, year=year), budget=budget, generation=before.generation + 1 if before else 1
    )
    after = rules.after(after, Change())
    grown = after.over_micro > (before.over_micro if before is not None else 0)
    hardened = before is not None and budget.hard and not before.budget.hard and after.over_micro
    if budget.hard and (grown or hardened) and not allow_over:
        raise below_use(tx, after)
    after = dataclasses.replace(after, told=tuple(one for one in after.told if one in budget.thresholds))
    records.put(tx, after)
    return before, after, guard.noted(tx, [after])


def below_use(tx: Transaction, standing: Standing) -> errors.GovpoolError:
    """The fault for a budget that is less than what is committed already."""
    return faults.BELOW_USE(
        tenant=tenants.by_id(tx, standing.tenant_id).code,
        year=standing.year,
        over_by=rules.yuan(standing.over_micro),
        spent=rules.yuan(standing.spent_micro),
        encumbered=rules.yuan(standing.encumbered_micro),
        limit=rules.yuan(standing.limit_micro),
    )


def rest(tx: Transaction, *, tenant_id: str, year: int) -> int:
    """What the year before `year` left, in whole fen: all that was given less all that is committed.  Raises budget.unknown, budget.not_over."""
    last = find(tx, tenant_id=tenant_id, year=year - 1)
    if last is None:
        raise faults.UNKNOWN(tenant=tenants.by_id(tx, tenant_id).code, year=year - 1)
    if tx.now() < rules.year(year - 1).end_at:
        raise faults.NOT_OVER(year=year - 1)
    return last.left_micro // money.FEN * money.FEN


def find(tx: Transaction, *, tenant_id: str, year: int) -> Standing | None:
    """The budget of a tenant in a year."""
    found = records.of(tx, [tenant_id], [year])
    return found[0] if found else None


def nothing(tx: Transaction, *, tenant_id: str, year: int) -> Standing:
    """How a tenant stands that has no budget of a year: what is held and spent at and below it, and no money for it.  Generation 0."""
    span = (f"{year}-01", f"{year}-12")
    return rules.after(
        Standing(
            tenant_id=tenant_id,
            year=year,
            budget=model.Budget(appropriated_micro=0, hard=False, thresholds=()),
            told=(),
            encumbered_micro=records.held_of(tx, tenants.subtree_ids(tx, tenant_id)).get(year, 0),
            spent_micro=sum(expense_records.spent_at(tx, tenant_id, *span).values()),
            over_micro=0,
            generation=0,
        ),
        Change(),
    )


def standings(tx: Transaction, *, year: int | None = None, tenant_ids: Collection[str] | None = None) -> list[Standing]:
    """All budgets (of a year, of some tenants; None: of all)."""
    return [one for one in records.of_year(tx, year) if tenant_ids is None or one.tenant_id in tenant_ids]


def of_path(tx: Transaction, *, tenant_id: str, year: int) -> list[Standing]:
    """The budgets that an order of a tenant draws on in a year, nearest first."""
    path = tenants.path_ids(tx, tenant_id)
    return sorted(records.of(tx, path, [year]), key=lambda one: path.index(one.tenant_id))


def years_with_budgets(tx: Transaction) -> list[int]:
    """The years in which anyone has a budget."""
    return sorted({one.year for one in records.of_year(tx, None)})


def forecast(tx: Transaction, standing: Standing) -> model.Forecast:
    """What the year is expected to cost at a level, with its error and the day on which the money runs out."""
    months = expense_records.spent_at(tx, standing.tenant_id, f"{standing.year - 1}-01", f"{standing.year}-12")
    return rules.forecast(standing, months, tx.now())


def note_forecasts(tx: Transaction) -> list[Crossing]:
    """Look at the thresholds of forecasts in the present year; for the job, after it settled."""
    crossed: list[Crossing] = []
    for one in records.of_year(tx, rules.year_of(tx.now())):
        if any(each.basis is model.Basis.FORECAST for each in one.budget.thresholds):
            crossed += guard.noted(tx, [one], forecast(tx, one).at_year_end_micro)
    return crossed


def of_tenant(tx: Transaction, tenant_id: str) -> list[Standing]:
    """All budgets of a tenant, by year."""
    return records.of_tenant(tx, tenant_id)


def held_in(tx: Transaction, *, tenant_id: str, year: int, count: int) -> list[Hold]:
    """The holds at and below a tenant in a year, the largest first."""
    return records.holds_in(tx, tenants.subtree_ids(tx, tenant_id), year, count)


def settled_at(tx: Transaction, tenant_id: str) -> datetime.datetime | None:
    """Up to when the use of a tenant is among its expenses."""
    found = expense_records.settled_at(tx, [tenant_id]).get(tenant_id)
    return None if found is None else clock.from_us(found)
