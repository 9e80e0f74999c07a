"""Units that change their tenant: a move that waits for its approval, a move that happens, one tenant merged into another.

Giver and taker are derived again along both paths in one go, so what the levels above both hold changes only by what really rises differently, and
only what is raised is tested.
"""

import collections
from collections.abc import Mapping, Sequence

from quotas import faults, grants, guard, incoming, model, move_records, recalls, records, rules
from store.transaction import Transaction
from tenants import service as tenants


def expect(tx: Transaction, *, order_id: str, from_id: str, to_id: str, holders: Sequence[str]) -> None:
    """Keep room at a taker for what an order will move to it.  Raises quota.exceeded where it would not fit now, quota.not_held."""
    amounts = _together(tx, from_id, holders)
    _refuse_raised(tx, to_id, *_moved(tx, from_id, to_id, amounts))
    coming = incoming.expected(tx)
    more = [*coming, *(incoming.coming(tx, from_id, to_id, name, amount) for name, amount in amounts.items())]
    known = incoming.standings(tx, tenants.path_ids(tx, to_id), more)
    _refuse_crowded(tx, to_id, (known, coming), (known, more))
    move_records.expect(tx, order_id, from_id, to_id, amounts)


def forget(tx: Transaction, *, order_id: str) -> None:
    """The order will move nothing: the taker's room is free for others, first for lenders that call back."""
    names = [row["name"] for row in move_records.incoming(tx) if row["order_id"] == order_id]
    move_records.forget(tx, order_id)
    recalls.press(tx, names)


def transfer(tx: Transaction, *, order_id: str, from_id: str, to_id: str, holders: Sequence[str]) -> None:
    """The reservations of `holders` are the taker's from here on.  What the order was expected to bring has come.

    Raises quota.exceeded with every level that would be raised beyond its limit, quota.not_held.
    """
    amounts = _together(tx, from_id, holders)
    before, after = _moved(tx, from_id, to_id, amounts)
    _refuse_raised(tx, to_id, before, after)
    coming = incoming.expected(tx)
    known = incoming.standings(tx, tenants.path_ids(tx, to_id), coming)
    others = [each for each in coming if each.order_id != order_id]
    _refuse_crowded(tx, to_id, (known | before, coming), (known | after, others))
    move_records.forget(tx, order_id)
    records.put(tx, [standing for key, standing in after.items() if standing != before.get(key)])
    move_records.assign(tx, holders, to_id)
    recalls.press(tx, list(amounts))


def merge(tx: Transaction, *, from_id: str, into_id: str, allow_over: bool = False) -> list[tuple[model.Standing, model.Standing]]:
    """Grants, use and reservations of one tenant become another's, with what those right below it keep and draw; (before, after) of the latter.

    Called while the tree still stands as it was.  The taker's grant grows by the giver's, as far as its own parent has it; it stays if the giver
    stands below the taker, for then it holds those units already.  Raises quota.above_parent for a tenant below that has more, quota.kept, and
    quota.below_use unless `allow_over`.
    """
    for tenant_id in (from_id, into_id):
        recalls.end_all(tx, tenant_id)  # who lends how much to whom is another matter from here on
    above, paths = tenants.path_ids(tx, from_id)[1:], tenants.path_ids(tx, into_id)
    children = [child.id for child in tenants.children(tx, from_id)]
    before = records.lock(tx, sorted({from_id, *above, *paths, *children}))
    known = dict(before)
    for name in sorted(name for node, name in before if node == from_id):
        giver = known[from_id, name]
        _climb(known, above, name, -rules.kept_below(giver), -giver.risen)
        taker = rules.at(known, into_id, name)
        most = rules.at(known, paths[1], name).granted
        grown = rules.joined(taker, giver, inside=into_id in above, most=most)
        kept = 0
        for child in children:
            here = rules.at(known, child, name)
            if here.granted > grown.granted:
                grants.within_parent(tx, [child, into_id], known | {(into_id, name): grown}, name, here.granted)
            kept += rules.kept_below(here)
        after = rules.carrying(grown, kept=kept, drawn=giver.drawn)
        known[into_id, name] = after
        _climb(known, paths[1:], name, rules.kept_below(after) - rules.kept_below(taker), after.risen - taker.risen)
        known[from_id, name] = rules.emptied(giver)
    grants.store(tx, before, known, allow_over)
    move_records.assign_all(tx, from_id, into_id)
    return [(rules.at(before, into_id, name), after) for (node, name), after in sorted(known.items()) if node == into_id]


def _together(tx: Transaction, from_id: str, holders: Sequence[str]) -> dict[str, int]:
    """The sum of what `holders` hold, all of them at the giver.  Raises quota.not_held."""
    total: collections.Counter[str] = collections.Counter()
    found = move_records.held(tx, holders)
    for row in found:
        total[row["name"]] += row["amount"]
    missing = sorted(set(holders) - {row["holder"] for row in found if row["tenant_id"] == from_id})
    if missing:
        raise faults.NOT_HELD(holder=missing[0])
    return dict(sorted(total.items()))


def _moved(
    tx: Transaction, from_id: str, to_id: str, amounts: Mapping[str, int]
) -> tuple[dict[tuple[str, str], model.Standing], dict[tuple[str, str], model.Standing]]:
    paths = tenants.path_ids(tx, from_id), tenants.path_ids(tx, to_id)
    before = records.lock(tx, sorted({*paths[0], *paths[1]}))
    after = dict(before)
    for name, amount in amounts.items():
        for path, sign in zip(paths, (-1, 1), strict=True):
            _climb(after, path, name, 0, sign * amount)
    return before, after


def _climb(known: dict[tuple[str, str], model.Standing], path: Sequence[str], name: str, kept: int, drawn: int) -> None:
    for after in rules.ascended([rules.at(known, node, name) for node in path], kept, drawn):
        known[after.tenant_id, name] = after


def _refuse_raised(tx: Transaction, to_id: str, before: incoming.Known, after: incoming.Known) -> None:
    """Raises quota.exceeded with the levels, the taker's first, that draw more than before and more than they may."""
    path = tenants.path_ids(tx, to_id)
    codes = dict(zip(path, tenants.path_codes(tx, to_id), strict=True))
    found = [
        model.Breach(tenant_id=node, tenant=codes[node], name=name, asked=here.drawn - was.drawn, used=was.drawn, limit=here.limit)
        for (node, name), here in after.items()
        for was in [rules.at(before, node, name)]
        if here.drawn > was.drawn and here.drawn > here.limit
    ]
    if found:
        found.sort(key=lambda breach: (breach.name, path.index(breach.tenant_id)))
        raise guard.Exceeded(codes[to_id], found, path[:1])


def _refuse_crowded(
    tx: Transaction,
    to_id: str,
    before: tuple[incoming.Known, Sequence[model.Coming]],
    after: tuple[incoming.Known, Sequence[model.Coming]],
) -> None:
    """Raises quota.exceeded with the levels at which what is coming would not fit any more; each side: how they stand, and what is coming."""
    path = tenants.path_ids(tx, to_id)
    codes = tenants.path_codes(tx, to_id)
    found = incoming.breaches(list(zip(path, codes, strict=True)), incoming.arrived(*before), incoming.arrived(*after))
    if found:
        raise guard.Exceeded(codes[0], found, path[:1])
