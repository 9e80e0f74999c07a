"""Proves the numbers of money on a live system, and mends them: everything is derived again from holds, expenses and the tree."""

import dataclasses
from collections.abc import Mapping

from primitives import clock
from quotas import model as quotas_model
from quotas.budgets import expense_records, records, rules
from quotas.budgets.model import Change, Hold, Standing
from store.transaction import Transaction
from tenants import service as tenants


def check(tx: Transaction) -> list[quotas_model.Difference]:
    """Derive every number again, from holds, expenses and the tree alone, and return what differs: [] is what a sound database says.

    A difference names the year, or the holder with the number of its hold.
    """
    found = []
    elsewhere = records.elsewhere(tx, clock.to_us(tx.now()))
    for one in records.all_holds(tx):
        name, right = f"{one.holder}.{one.number}", _right(one, elsewhere)
        for column in ("amount_micro", "year"):
            was, now = getattr(one, column), getattr(right, column)
            if was != now:
                found.append(_difference(one.tenant_id, name, column, was, now))
        if right.tenant_id != one.tenant_id:
            found.append(_difference(one.tenant_id, name, "held_elsewhere", one.amount_micro, 0))
    for one in records.leaked(tx, clock.to_us(tx.now())):
        found.append(_difference(one.tenant_id, f"{one.holder}.{one.number}", "held_without_units", one.amount_micro, 0))
    for stored in records.of_year(tx, None):
        whole = _derived(tx, stored)
        for column in ("encumbered_micro", "spent_micro", "over_micro"):
            was, now = getattr(stored, column), getattr(whole, column)
            if was != now:
                found.append(_difference(stored.tenant_id, f"budget {stored.year}", column, was, now))
    return found


def repair(tx: Transaction) -> list[quotas_model.Difference]:
    """Write everything as `check` derives it; what was different."""
    found = check(tx)
    if not found:
        return found
    before = records.all_holds(tx)
    leaked = {(one.holder, one.number) for one in records.leaked(tx, clock.to_us(tx.now()))}
    elsewhere = records.elsewhere(tx, clock.to_us(tx.now()))
    sound = [_right(one, elsewhere) for one in before if (one.holder, one.number) not in leaked]
    records.rewrite(tx, before, sound)
    tx.kept.pop("budget_sums", None)
    for stored in records.of_year(tx, None):
        records.put(tx, _derived(tx, stored))
    return found


def _right(one: Hold, elsewhere: Mapping[tuple[str, int], str]) -> Hold:
    """A hold with its amount and year as they follow, at the tenant that has the units of its holder."""
    return dataclasses.replace(
        one,
        tenant_id=elsewhere.get((one.holder, one.number), one.tenant_id),
        year=rules.year_of(one.start_at),
        amount_micro=rules.cost(one.monthly_micro, one.start_at, one.end_at),
    )


def _difference(tenant_id: str, name: str, column: str, stored: int, derived: int) -> quotas_model.Difference:
    return quotas_model.Difference(tenant_id=tenant_id, name=name, column=column, stored=stored, derived=derived)


def _derived(tx: Transaction, stored: Standing) -> Standing:
    """A budget with its sums added up again, over the tree of now and the expenses of every month."""
    if "budget_sums" not in tx.kept:
        parents = {tenant.id: tenant.parent_id for tenant in tenants.all_tenants(tx)}
        tx.kept["budget_sums"] = rules.rolled_up(records.held_by_tenant(tx), parents), expense_records.spent_by_node(tx)
    held_by, spent_by = tx.kept["budget_sums"]
    key = (stored.tenant_id, stored.year)
    return rules.after(
        dataclasses.replace(stored, encumbered_micro=held_by.get(key, 0), spent_micro=spent_by.get(key, 0)), Change()
    )
