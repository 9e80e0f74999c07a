"""The few verbs of the room.  Units are reserved before anything is made, confirmed once it is there, released once it is certainly gone.

A refused reservation leaves nothing behind.  Shrinking always passes.  Grants are written by `quotas.grants`.
"""

import collections
import datetime
from collections.abc import Mapping, Sequence

from primitives import clock
from quotas import faults, guard, incoming, model, names, recalls, records, repair, rules, simulation
from store.transaction import Transaction
from tenants import service as tenants


def reserve(
    tx: Transaction, *, tenant_id: str, amounts: Mapping[str, int], holder: str, expires_at: datetime.datetime | None
) -> None:
    """Hold `amounts` for a resource (the holder) until it is confirmed, released or, unconfirmed, expired.

    Raises quota.exceeded with every level and name at which it does not fit, quota.name, quota.held.
    """
    reserve_each(tx, tenant_id=tenant_id, amounts_of={holder: amounts}, expires_at=expires_at)


def reserve_each(
    tx: Transaction, *, tenant_id: str, amounts_of: Mapping[str, Mapping[str, int]], expires_at: datetime.datetime | None
) -> None:
    """The same for several resources (holder -> amounts) with one draw: all of them or none, refused with the numbers of the whole."""
    totals = {holder: rules.counted(amounts) for holder, amounts in amounts_of.items()}
    together: collections.Counter[str] = collections.Counter()
    for total in totals.values():
        together.update(total)
    guard.draw(tx, tenants.path_ids(tx, tenant_id), dict(sorted(together.items())))
    _record(tx, tenant_id, totals, expires_at)


def adopt(tx: Transaction, *, tenant_id: str, amounts: Mapping[str, int], holder: str) -> None:
    """Confirm what exists already, whether it fits or not: what does not fit is an allowed excess.  The caller audits it.  Raises quota.held."""
    if records.find(tx, holder) is not None:
        raise faults.HELD(holder=holder)
    repair.put_right(tx, holder=holder, tenant_id=tenant_id, amounts=amounts, confirmed=True)


def change(tx: Transaction, *, holder: str, amounts: Mapping[str, int]) -> None:
    """Other amounts for a resource.  Only what grows is asked for; what shrinks passes.  Raises quota.exceeded, quota.not_held."""
    held = _held(tx, holder)
    total = rules.counted(amounts)
    if total == held.amounts:
        return
    path = tenants.path_ids(tx, held.tenant_id)
    differences = {name: total.get(name, 0) - held.amounts.get(name, 0) for name in sorted({*total, *held.amounts})}
    guard.draw(tx, path, {name: more for name, more in differences.items() if more > 0})
    less = {name: -amount for name, amount in differences.items() if amount < 0}
    guard.give_back(tx, path, less)
    records.replace_amounts(tx, holder, total)
    if less:
        recalls.press(tx, list(less))


def confirm(tx: Transaction, *, holder: str) -> None:
    """The resource is there: its reservation no longer expires.  Raises quota.not_held."""
    if not records.confirm(tx, holder):
        raise faults.NOT_HELD(holder=holder)


release = repair.release
check = repair.differences


def find(tx: Transaction, *, holder: str) -> model.Reservation | None:
    """The reservation of a resource."""
    return records.find(tx, holder)


def due(tx: Transaction, *, count: int = 100) -> list[str]:
    """Holders of reservations past their time; whether an attempt is still open for one is control's to ask before it releases."""
    return records.due(tx, clock.to_us(tx.now()), count)


def reservations(tx: Transaction, *, tenant_id: str) -> int:
    """How many resources of the tenant itself hold quota."""
    return records.count(tx, tenant_id)


def standing(tx: Transaction, *, tenant_id: str, name: str) -> model.Standing:
    """How a tenant stands for one name; all 0 where nothing was ever granted.  Raises quota.name."""
    names.of(name)
    return rules.at(records.by_key(tx, [tenant_id]), tenant_id, name)


def standings(tx: Transaction, *, tenant_id: str) -> list[model.Standing]:
    """How a tenant stands for every name it was ever granted, by name."""
    return records.standings(tx, [tenant_id])


def standings_of(tx: Transaction, tenant_ids: Sequence[str] | None) -> list[model.Standing]:
    """How several tenants stand (None: all), by tenant and name."""
    return records.standings(tx, tenant_ids)


def available(tx: Transaction, *, tenant_id: str) -> dict[str, int]:
    """name -> the most that the tenant could reserve now, with everything above it considered."""
    path = tenants.path_ids(tx, tenant_id)
    known = records.by_key(tx, path)
    own = [name for node, name in known if node == tenant_id]
    left = {name: rules.available([rules.at(known, node, name) for node in path]) for name in own}
    return {name: min(amount, incoming.left(tx, path, name)) for name, amount in left.items()} if incoming.expected(tx) else left


def promised(tx: Transaction, *, tenant_id: str) -> dict[str, int]:
    """name -> sum of the grants of the tenants directly below; it may exceed the tenant's own."""
    total: dict[str, int] = {}
    for each in records.standings(tx, tenants.children_of(tx, [tenant_id])[tenant_id]):
        total[each.name] = total.get(each.name, 0) + each.granted
    return total


def in_memory(tx: Transaction, tenant_ids: Sequence[str]) -> simulation.Ledger:
    """A copy of how these tenants and all above them stand, for requests that are only played."""
    recalling = recalls.going_on(tx, None)
    coming = incoming.expected(tx)
    leaves = {*tenant_ids, *(recall.tenant_id for recall in recalling), *(node for each in coming for node in each.branch[:1])}
    paths = {leaf: list(zip(tenants.path_ids(tx, leaf), tenants.path_codes(tx, leaf), strict=True)) for leaf in sorted(leaves)}
    nodes = sorted({node for path in paths.values() for node, _ in path})
    held = {(row["tenant_id"], row["name"]): row["amount"] for row in records.held_at(tx, sorted(tenant_ids))}
    return simulation.Ledger(records.by_key(tx, nodes), paths, held=held, recalling=recalling, coming=coming)


def _record(
    tx: Transaction, tenant_id: str, amounts_of: Mapping[str, Mapping[str, int]], expires_at: datetime.datetime | None
) -> None:
    holding = records.reserve(tx, tenant_id, amounts_of, None if expires_at is None else clock.to_us(expires_at))
    if holding:
        raise faults.HELD(holder=", ".join(holding))


def _held(tx: Transaction, holder: str) -> model.Reservation:
    held = records.find(tx, holder)
    if held is None:
        raise faults.NOT_HELD(holder=holder)
    return held
