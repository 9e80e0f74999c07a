"""The verbs of money.  It is encumbered when something is ordered, becomes expense as its use is metered, and is free again when it ends.

Holds exist whether or not there is a budget; a budget of a tenant counts all that is held and spent at and below it.  Only an order is asked whether
its money is there; price changes, the turn of the year, metering and adoption are not, and what they take beyond a budget is its `over_micro`.
Every verb that changes something returns the thresholds that were crossed, for control to tell.
"""

import dataclasses
import datetime
from collections.abc import Mapping, Sequence

from primitives import clock
from quotas.budgets import expense_records, guard, model, records, rules
from quotas.budgets.model import Change, Crossing, Hold
from store.transaction import Transaction
from tenants import model as tenants_model
from tenants import service as tenants

# -- hold --------------------------------------------------------------------------------------------------------------------------


def hold_each(
    tx: Transaction, *, tenant_id: str, wishes: Sequence[model.Wish], asked: bool = True
) -> tuple[list[Hold], list[Crossing]]:
    """Hold money for new resources of one tenant from now to their end, all of them or none; what is held.

    With `asked` a hard budget on the path that does not have it refuses.  Raises budget.exceeded, budget.held, budget.out_of_range.
    """
    begun = begin_year(tx)
    held_now = [one for wish in wishes for one in rules.held(wish, tenant_id, tx.now())]
    crossed = guard.draw(tx, rules.changes([], held_now, guard.paths(tx, [tenant_id])), asked=asked)
    records.add(tx, held_now)
    return held_now, begun + crossed


def adopt(
    tx: Transaction, *, tenant_id: str, wish: model.Wish, since: datetime.datetime | None = None
) -> tuple[list[Hold], list[Crossing]]:
    """Hold money for what exists already, from `since` (now) on, whether it is there or not.  Whose money is held is left alone."""
    begun = begin_year(tx)
    before = records.holds(tx, [wish.holder])
    if any(one.end_at > tx.now() for one in before):
        return [], begun
    since = max([since or tx.now(), *(one.end_at for one in before)])
    if wish.end_at is None:  # an open-ended hold lies in one year, and only the present one is left to roll
        since = max(since, rules.year(rules.year_of(tx.now())).start_at)
    first = max((one.number for one in before), default=0) + 1
    held_now = rules.held(wish, tenant_id, since, first)
    return held_now, begun + _rewrite(tx, [], held_now, asked=False)


def change(
    tx: Transaction,
    *,
    holder: str,
    monthly_micro: int | None = None,
    end_at: datetime.datetime | None = None,
    open_ended: bool | None = None,
    asked: bool = True,
) -> list[Crossing]:
    """Another price, or another end, of a resource from now on; what is not said stays.

    Only the difference is asked for, and only where something grows; what shrinks passes always.  One that holds no money is left alone.
    Raises budget.exceeded, budget.out_of_range.
    """
    begun = begin_year(tx)
    before = records.holds(tx, [holder])
    after = rules.changed(before, tx.now(), monthly_micro=monthly_micro, end_at=end_at, open_ended=open_ended)
    return begun + _rewrite(tx, before, after, asked=asked and rules.grows(before, after))


def release(tx: Transaction, *, holders: Sequence[str], used: bool) -> list[Crossing]:
    """Free the money of resources from now on.  Of those that were `used`, what is not metered yet stays encumbered until it is expense."""
    before = records.holds(tx, holders)
    return _rewrite(tx, before, rules.cut(before, tx.now()) if used else [], asked=False)


def move(tx: Transaction, *, holders: Sequence[str], tenant_id: str, asked: bool = True) -> list[Crossing]:
    """The money of resources is another tenant's from now on; their use until now stays with whoever had it.  Raises budget.exceeded."""
    begun = begin_year(tx)
    before = records.holds(tx, holders)
    after = rules.each_changed(before, tx.now(), tenant_id=tenant_id)
    return begun + _rewrite(tx, before, after, asked=asked)


def move_subtree(
    tx: Transaction, *, tenant_id: str, above_before: Sequence[str], above_after: Sequence[str], allow_over: bool = False
) -> list[Crossing]:
    """Carry what a tenant and those below it hold from its old ancestors to its new ones (each [parent .. root]), after it was moved.

    Expenses stay where they were made; those of the present month follow with its next settlement.  Raises budget.exceeded unless `allow_over`.
    """
    held = records.held_of(tx, tenants.subtree_ids(tx, tenant_id))
    return guard.draw(tx, rules.carried(held, above_before, above_after), asked=not allow_over)


def held(tx: Transaction, *, holders: Sequence[str]) -> list[Hold]:
    """The holds of some resources."""
    return records.holds(tx, holders)


def all_held(tx: Transaction) -> list[Hold]:
    """Every hold there is; for a reader's snapshot."""
    return records.all_holds(tx)


def merge(tx: Transaction, *, from_id: str, into_id: str, allow_over: bool = False) -> list[Crossing]:
    """What a tenant holds itself is another's from now on, and what is held below it counts there; called while the tree still stands.

    Raises budget.exceeded unless `allow_over`.
    """
    begun = begin_year(tx)
    before = records.holds_of(tx, from_id)
    after = rules.each_changed(before, tx.now(), tenant_id=into_id)
    paths = guard.paths(tx, sorted({from_id, into_id}))
    deltas = rules.changes(before, after, paths)
    moving = [child.id for child in tenants.children(tx, from_id) if child.state is not tenants_model.State.CLOSED]
    held_below = records.held_of(tx, [node for child in moving for node in tenants.subtree_ids(tx, child)])
    deltas = rules.carried(held_below, paths[from_id], paths[into_id], deltas)
    crossed = guard.draw(tx, deltas, asked=not allow_over)
    records.rewrite(tx, before, after)
    return begun + crossed


# -- the year ----------------------------------------------------------------------------------------------------------------------


def has_begun(tx: Transaction) -> bool:
    """Whether the present year has begun."""
    return records.has_begun(tx, rules.year_of(tx.now()))


def begin_year(tx: Transaction) -> list[Crossing]:
    """Make sure that the present year has begun: what is open-ended is held on through it, whether its money is there or not.

    Done by the job at the turn of the year, or by the first who holds something in it.
    """
    year = rules.year_of(tx.now())
    if records.has_begun(tx, year):
        return []
    crossed: list[Crossing] = []
    last = records.last_year(tx)
    for each in range(year if last is None else last + 1, year + 1):
        if not records.begin(tx, each):
            continue
        span = rules.year(each)
        before = records.open_until(tx, each - 1, clock.to_us(span.start_at))
        closed = [dataclasses.replace(one, open_ended=False) for one in before]
        rolled = [
            new
            for one in before
            for new in rules.held(
                model.Wish(holder=one.holder, monthly_micro=one.monthly_micro), one.tenant_id, span.start_at, one.number + 1
            )
        ]
        crossed += _rewrite(tx, before, [*closed, *rolled], asked=False)
    return crossed


def settle(tx: Transaction, settlement: model.Settlement) -> list[Crossing]:
    """The use of some tenants up to a moment is expense from here on, and no longer encumbered.  An older settlement changes nothing."""
    known = expense_records.settled_at(tx, list(settlement.expenses))
    at_us = clock.to_us(settlement.at)
    tenant_ids = [tenant_id for tenant_id in sorted(settlement.expenses) if known.get(tenant_id, -1) < at_us]
    if not tenant_ids:
        return []
    expense_records.settle(tx, tenant_ids, at_us)
    now = {(tenant_id, month): one for tenant_id in tenant_ids for month, one in settlement.expenses[tenant_id].items()}
    was = expense_records.expenses(tx, tenant_ids, sorted({month for _, month in now}))
    was = {key: one for key, one in was.items() if key in now}
    expense_records.put_expenses(tx, was, now)
    before = [one for one in records.holds_before(tx, tenant_ids, at_us) if one.holder not in settlement.unsettled]
    after = rules.settled(before, settlement.at)
    records.rewrite(tx, before, after)
    deltas = rules.changes(before, after, guard.paths(tx, tenant_ids))
    for known_expenses, sign in ((was, -1), (now, 1)):
        for (_, month), one in known_expenses.items():
            for node in one.node_ids:
                key = (node, int(month[:4]))
                deltas[key] = deltas.get(key, Change()) + Change(spent_micro=sign * one.amount_micro)
    return guard.draw(tx, {key: deltas[key] for key in sorted(deltas) if deltas[key]}, asked=False)


def reprice(tx: Transaction, prices: Mapping[str, tuple[int, int]]) -> list[Crossing]:
    """Other prices of running resources: holder -> (the price a month that was seen, what it is now).  Who was changed meanwhile is left alone."""
    known: dict[str, list[Hold]] = {}
    for one in records.holds(tx, list(prices)):
        known.setdefault(one.holder, []).append(one)
    before: list[Hold] = []
    after: list[Hold] = []
    for holder, own in known.items():
        seen, price = prices[holder]
        if own[-1].monthly_micro == seen and 0 <= price <= model.MONTHLY_BOUND_MICRO:
            before += own
            after += rules.changed(own, tx.now(), monthly_micro=price)
    return _rewrite(tx, before, after, asked=False)


def _rewrite(tx: Transaction, before: Sequence[Hold], after: Sequence[Hold], *, asked: bool) -> list[Crossing]:
    if not before and not after:
        return []
    deltas = rules.changes(before, after, guard.paths(tx, sorted({one.tenant_id for one in [*before, *after]})))
    crossed = guard.draw(tx, deltas, asked=asked)
    records.rewrite(tx, before, after)
    return crossed
