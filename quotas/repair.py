"""Adding up again: what `quota check` proves and `quota repair` puts right, from grants, reservations and the tree alone.

Nothing here loosens a limit: grants, lending and borrowing limits stay as they are, and what does not fit is an excess (`over_by`) under which only
shrinking passes.
"""

import dataclasses
from collections.abc import Iterable, Mapping

from quotas import guard, model, move_records, moves, recalls, records, rules
from store.transaction import Transaction
from tenants import service as tenants

COLUMNS = ("subtree_quota", "local_quota", "drawn", "over_by")
"""What follows from grants, reservations and the tree."""


def differences(tx: Transaction) -> list[model.Difference]:
    """Every derived number that is not what it must be.  [] is what a sound database says."""
    stored = records.by_key(tx, None)
    return _compared(stored, _derived(tx, stored, records.held(tx)))


def above_parent(tx: Transaction) -> list[tuple[model.Standing, model.Standing]]:
    """Grants larger than their parent's, each with it: nothing but a person may decide which of the two is wrong."""
    parents = {tenant.id: tenant.parent_id for tenant in tenants.all_tenants(tx)}
    known = records.by_key(tx, None)
    pairs = [(each, rules.at(known, parents.get(node, ""), name)) for (node, name), each in known.items() if parents.get(node)]
    return [(child, parent) for child, parent in pairs if child.granted > parent.granted]


def reservations(tx: Transaction) -> dict[str, model.Reservation]:
    """Every reservation by its holder."""
    return records.reservations(tx)


find = records.find
coming = move_records.incoming


def add_again(tx: Transaction, name: str) -> list[model.Difference]:
    """Write every derived number of one name as it follows; what was different.

    Where the tenants below one keep more than it is granted, the grants themselves contradict each other: then that name is left as it is, [].
    """
    stored = records.lock_name(tx, name)
    derived = _derived(tx, stored, records.held_of(tx, name))
    if any(after.subtree_quota < 0 for after in derived.values()):
        return []
    found = _compared(stored, derived)
    touched = {(each.tenant_id, each.name) for each in found}
    records.put(tx, [dataclasses.replace(derived[key], generation=rules.at(stored, *key).generation) for key in sorted(touched)])
    if found:
        recalls.press(tx, [name])
    return found


def put_right(tx: Transaction, *, holder: str, tenant_id: str, amounts: Mapping[str, int], confirmed: bool) -> None:
    """Let a holder hold exactly this, at this tenant, whether it fits or not; what does not fit is an excess.  Sums must be right before."""
    release(tx, holder=holder)
    total = rules.counted(amounts)
    path = tenants.path_ids(tx, tenant_id)
    known = records.lock(tx, path)
    for name, amount in total.items():
        records.put(tx, rules.ascended([rules.at(known, node, name) for node in path], 0, amount))
    records.reserve(tx, tenant_id, {holder: total}, None)
    if confirmed:
        records.confirm(tx, holder)
    recalls.press(tx, list(total))


def release(tx: Transaction, *, holder: str) -> bool:
    """Give back what a holder holds; False if it held nothing."""
    held = records.find(tx, holder)
    if held is None:
        return False
    guard.give_back(tx, tenants.path_ids(tx, held.tenant_id), held.amounts)
    records.drop(tx, holder)
    recalls.press(tx, list(held.amounts))
    return True


def forget(tx: Transaction, *, order_id: str) -> bool:
    """Nothing is coming from an order that does not wait; False if nothing was."""
    was = any(row["order_id"] == order_id for row in move_records.incoming(tx))
    if was:
        moves.forget(tx, order_id=order_id)
    return was


def _derived(
    tx: Transaction, stored: Mapping[tuple[str, str], model.Standing], held: Iterable[Mapping[str, object]]
) -> dict[tuple[str, str], model.Standing]:
    parents = {tenant.id: tenant.parent_id for tenant in tenants.all_tenants(tx)}
    sums: dict[tuple[str, str], int] = {}
    for row in held:
        key = (str(row["tenant_id"]), str(row["name"]))
        sums[key] = sums.get(key, 0) + int(str(row["amount"]))
    return rules.derived(parents, {key: each.grant for key, each in stored.items()}, sums)


def _compared(
    stored: Mapping[tuple[str, str], model.Standing], derived: Mapping[tuple[str, str], model.Standing]
) -> list[model.Difference]:
    return [
        model.Difference(tenant_id=tenant_id, name=name, column=column, stored=number, derived=getattr(after, column))
        for (tenant_id, name), after in sorted(derived.items())
        for column in COLUMNS
        if (number := getattr(rules.at(stored, tenant_id, name), column)) != getattr(after, column)
    ]
