"""Money that changes its tenant: kept free at the taker while a move waits, the rest of a year when one tenant becomes part of another.

As with units (`quotas.incoming`) the giver encumbers until the move is approved, and a level above both counts the money once: only the levels
strictly below their nearest common ancestor must leave room for what is coming.  What a move brings in a year stands beside its units, under
`money.<year>`.
"""

import collections
import dataclasses
from collections.abc import Sequence

from quotas import move_records
from quotas.budgets import appropriations, guard, model, records, rules, service
from quotas.budgets.model import Hold
from store.transaction import Transaction
from tenants import service as tenants


def expect(tx: Transaction, *, order_id: str, from_id: str, to_id: str, holders: Sequence[str]) -> None:
    """Keep money at a taker for what an order will move to it.  Raises budget.exceeded where a hard budget of it does not have that."""
    amounts = refuse_short(tx, from_id=from_id, to_id=to_id, holders=holders)
    named = {f"{move_records.MONEY}{year}": amount for year, amount in amounts.items()}
    move_records.expect(tx, order_id, from_id, to_id, named)


def refuse_short(tx: Transaction, *, from_id: str, to_id: str, holders: Sequence[str], but: str = "") -> dict[int, int]:
    """What moving `holders` will take of each year's money; beside what is coming, but for the order `but`.  Raises budget.exceeded."""
    service.begin_year(tx)
    amounts = _amounts(records.holds(tx, holders), tx, to_id)
    shared = set(tenants.path_ids(tx, from_id))
    branch = [node for node in tenants.path_ids(tx, to_id) if node not in shared]
    coming = collections.Counter(guard.coming(tx, but=but))
    found = [
        _breach(tx, here, amounts[here.year], coming[here.tenant_id, here.year])
        for here in records.of(tx, branch, list(amounts))
        if here.year in amounts
        and here.budget.hard
        and here.committed_micro + coming[here.tenant_id, here.year] + amounts[here.year] > here.limit_micro
    ]
    if found:
        found.sort(key=lambda one: (branch.index(one.tenant_id), one.year))
        raise guard.Exceeded(tenants.by_id(tx, to_id).code, found, [to_id])
    return amounts


def pass_on(tx: Transaction, *, from_id: str, into_id: str) -> dict[int, int]:
    """What a tenant's years have left goes to the one that it becomes part of; year -> micro-yuan.  Called before its holds go (`service.merge`).

    Money for what was used until now stays.  A taker without a budget of a year is bound by none, and stays so: then the giver's stays too.
    It stays as well if the giver stands below the taker, whose money covers all that is below it already.
    """
    if into_id in tenants.path_ids(tx, from_id):
        return {}
    service.begin_year(tx)
    stays: collections.Counter[int] = collections.Counter()
    for kept in rules.cut(records.holds_of(tx, from_id), tx.now()):
        stays[kept.year] += kept.amount_micro
    went: dict[int, int] = {}
    for giver in records.of_tenant(tx, from_id):
        taker = appropriations.find(tx, tenant_id=into_id, year=giver.year)
        left = giver.limit_micro - giver.spent_micro - stays[giver.year]
        amount = min(left, giver.budget.appropriated_micro - 1)
        if taker is None or giver.year < rules.year_of(tx.now()) or amount <= 0:
            continue
        for one, more in ((taker, amount), (giver, -amount)):
            budget = dataclasses.replace(one.budget, appropriated_micro=one.budget.appropriated_micro + more)
            appropriations.set_budget(tx, tenant_id=one.tenant_id, year=one.year, budget=budget, allow_over=True)
        went[giver.year] = amount
    return went


def _amounts(before: Sequence[Hold], tx: Transaction, to_id: str) -> dict[int, int]:
    by_holder: dict[str, list[Hold]] = {}
    for one in before:
        by_holder.setdefault(one.holder, []).append(one)
    total: collections.Counter[int] = collections.Counter()
    for own in by_holder.values():
        known = {one.number for one in own}
        for one in rules.changed(own, tx.now(), tenant_id=to_id):
            if one.number not in known:
                total[one.year] += one.amount_micro
    return {year: amount for year, amount in sorted(total.items()) if amount}


def _breach(tx: Transaction, here: model.Standing, asked_micro: int, coming_micro: int) -> model.Breach:
    return model.Breach(
        tenant_id=here.tenant_id,
        tenant=tenants.by_id(tx, here.tenant_id).code,
        year=here.year,
        asked_micro=asked_micro,
        spent_micro=here.spent_micro,
        encumbered_micro=here.encumbered_micro + coming_micro,
        appropriated_micro=here.limit_micro,
    )
