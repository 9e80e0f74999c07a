"""What is granted to whom: set, move, follow a tenant that moves, take back, defaults for new tenants.

Each change derives `subtree_quota`, `local_quota`, `drawn` and `over_by` again along the path in the same transaction.  Who may do it is control's
to ask: only somebody above writes a grant.
"""

import dataclasses
from collections.abc import Mapping, Sequence

from quotas import faults, model, names, recalls, records, rules
from store.transaction import Transaction
from tenants import service as tenants


def set_grant(
    tx: Transaction, *, tenant_id: str, name: str, grant: model.Grant, allow_over: bool = False
) -> tuple[model.Standing, model.Standing]:
    """Grant a tenant another amount, lending or borrowing limit; (before, after).  An equal grant changes nothing.

    Raises quota.name, quota.unlimited, quota.root, quota.above_parent, quota.below_child, quota.kept; quota.below_use unless
    `allow_over`, which the caller audits.
    """
    path = tenants.path_ids(tx, tenant_id)
    before = records.lock(tx, path)
    known = dict(before)
    changed = _placed(tx, path, known, name, grant)
    store(tx, before, known, allow_over)
    return changed


def move_grant(
    tx: Transaction, *, from_id: str, to_id: str, amounts: Mapping[str, int], allow_over: bool = False
) -> list[tuple[model.Standing, model.Standing]]:
    """Move granted units from one tenant to another; (before, after) of both, name by name.  Raises what `set_grant` raises, quota.not_enough."""
    if from_id == to_id:
        raise faults.SAME(tenant=tenants.by_id(tx, from_id).code)
    paths = {node: tenants.path_ids(tx, node) for node in (from_id, to_id)}
    before = records.lock(tx, sorted({*paths[from_id], *paths[to_id]}))
    known = dict(before)
    moved = []
    for name, amount in rules.counted(amounts).items():
        for node, signed in ((from_id, -amount), (to_id, amount)):
            at = rules.at(known, node, name)
            if at.granted == model.UNLIMITED:
                continue  # it stays unlimited, whatever it gives or takes
            if at.granted + signed < 0:
                raise faults.NOT_ENOUGH(
                    tenant=tenants.by_id(tx, node).code,
                    name=name,
                    granted=names.shown(name, at.granted),
                    amount=names.shown(name, amount),
                )
            grant = dataclasses.replace(at.grant, granted=at.granted + signed)
            moved.append(_placed(tx, paths[node], known, name, grant))
    store(tx, before, known, allow_over)  # what holds is what comes of both, not what lies between
    return [(standing, known[standing.tenant_id, standing.name]) for standing, _ in moved]


def move_subtree(
    tx: Transaction, *, tenant_id: str, above_before: Sequence[str], above_after: Sequence[str], allow_over: bool = False
) -> None:
    """Carry what a tenant and those below it hold from its old ancestors to its new ones (each [parent .. root]), after it was moved.

    Raises quota.above_parent, quota.kept, and quota.below_use unless `allow_over`.
    """
    before = records.lock(tx, sorted({tenant_id, *above_before, *above_after}))
    known = dict(before)
    for name in sorted(name for node, name in before if node == tenant_id):
        moving = known[tenant_id, name]
        within_parent(tx, [tenant_id, *above_after], known, name, moving.granted)
        for above, sign in ((above_before, -1), (above_after, 1)):
            levels = [rules.at(known, node, name) for node in above]
            for after in rules.ascended(levels, sign * rules.kept_below(moving), sign * moving.risen):
                known[after.tenant_id, name] = after
    store(tx, before, known, allow_over)


def withdraw(tx: Transaction, *, tenant_id: str) -> None:
    """Take all grants of a tenant back; for one that is wound up.  Raises quota.below_use while it holds something."""
    recalls.end_all(tx, tenant_id)
    for each in records.standings(tx, [tenant_id]):
        set_grant(tx, tenant_id=tenant_id, name=each.name, grant=model.Grant(granted=0))


def set_default(tx: Transaction, *, name: str, granted: int) -> None:
    """What a new tenant is granted of a name.  Raises quota.name, quota.unlimited, input.invalid."""
    names.of(name)
    rules.bounded(model.Grant(granted=granted), is_root=False)
    records.put_default(tx, name, granted)


def defaults(tx: Transaction) -> dict[str, int]:
    """name -> what a new tenant is granted."""
    return {row["name"]: row["granted"] for row in records.defaults(tx)}


def grant_defaults(tx: Transaction, *, tenant_id: str) -> None:
    """Grant a new tenant the defaults, each as far as its parent has it."""
    path = tenants.path_ids(tx, tenant_id)
    if len(path) == 1:
        return
    known = records.by_key(tx, path[1:2])
    for name, granted in defaults(tx).items():
        amount = min(granted, rules.at(known, path[1], name).granted)
        if amount:
            set_grant(tx, tenant_id=tenant_id, name=name, grant=model.Grant(granted=amount))


def _placed(
    tx: Transaction, path: Sequence[str], known: dict[tuple[str, str], model.Standing], name: str, grant: model.Grant
) -> tuple[model.Standing, model.Standing]:
    """Put a grant of the leaf of `path` into `known`, with what follows above it; (before, after) of the leaf.  Nothing is written."""
    names.of(name)
    before = rules.at(known, path[0], name)
    if before.generation and before.grant == grant:
        return before, before
    rules.bounded(grant, is_root=len(path) == 1)
    recalls.refuse_limit(tx, before, grant)
    if len(path) > 1:
        within_parent(tx, path, known, name, grant.granted)
    if grant.granted < before.granted:
        _above_children(tx, path[0], name, grant.granted)
    after = dataclasses.replace(rules.granted(before, grant), generation=before.generation + 1)
    above = [rules.at(known, node, name) for node in path[1:]]
    for touched in (after, *rules.ascended(above, after.local_quota - before.local_quota, after.risen - before.risen)):
        known[touched.tenant_id, name] = touched
    return before, after


def within_parent(
    tx: Transaction, path: Sequence[str], known: Mapping[tuple[str, str], model.Standing], name: str, granted: int
) -> None:
    """Raises quota.above_parent if the first of `path` would be granted more than the second has."""
    parent = rules.at(known, path[1], name)
    if granted > parent.granted:
        raise faults.ABOVE_PARENT(
            tenant=tenants.by_id(tx, path[0]).code,
            parent=tenants.by_id(tx, path[1]).code,
            name=name,
            granted=names.shown(name, granted),
            parent_granted=names.shown(name, parent.granted),
        )


def _above_children(tx: Transaction, tenant_id: str, name: str, granted: int) -> None:
    children = {child.id: child.code for child in tenants.children(tx, tenant_id)}
    above = [each for each in records.standings(tx, list(children)) if each.name == name and each.granted > granted]
    if above:
        largest = max(above, key=lambda each: each.granted)
        raise faults.BELOW_CHILD(
            tenant=tenants.by_id(tx, tenant_id).code,
            child=children[largest.tenant_id],
            name=name,
            granted=names.shown(name, granted),
            child_granted=names.shown(name, largest.granted),
        )


def store(
    tx: Transaction,
    before: Mapping[tuple[str, str], model.Standing],
    known: Mapping[tuple[str, str], model.Standing],
    allow_over: bool,
) -> None:
    """Write what became of `before`, if it may stay.  Raises quota.kept, and quota.below_use unless `allow_over`."""
    touched = [after for key, after in known.items() if after != before.get(key)]
    for after in touched:
        fault = rules.unsound(rules.at(before, after.tenant_id, after.name), after, allow_over=allow_over)
        if fault is not None:
            raise fault(
                tenant=tenants.by_id(tx, after.tenant_id).code,
                name=after.name,
                granted=names.shown(after.name, after.granted),
                kept=names.shown(after.name, after.granted - after.subtree_quota),
                short_by=names.shown(after.name, -after.subtree_quota),
                limit=names.shown(after.name, after.limit),
                used=names.shown(after.name, after.drawn),
                over_by=names.shown(after.name, after.over_by),
            )
    records.put(tx, touched)
    if touched:
        recalls.press(tx, sorted({after.name for after in touched}))
