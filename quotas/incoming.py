"""What waiting moves will bring: kept free at the taker, drawn nowhere yet.

The giver holds the units until the move is approved, so a level above both tenants would count them twice if the taker drew them already.  It does
not: whatever raises a level must only leave room for what is coming, at the levels strictly below the nearest common ancestor of giver and taker.
To see that, all that is coming is drawn there on top, by the guard's own rule.  Mostly nothing is coming, and one look at an empty table says so.
"""

import dataclasses
from collections.abc import Iterable, Mapping, Sequence

from quotas import model, move_records, records, rules
from store.transaction import Transaction
from tenants import service as tenants

Known = Mapping[tuple[str, str], model.Standing]


def expected(tx: Transaction) -> list[model.Coming]:
    """All units that are coming."""
    return [
        coming(tx, row["from_id"], row["tenant_id"], row["name"], row["amount"], order_id=row["order_id"])
        for row in move_records.incoming(tx)
        if not row["name"].startswith(move_records.MONEY)
    ]


def coming(tx: Transaction, from_id: str, to_id: str, name: str, amount: int, *, order_id: str = "") -> model.Coming:
    """What a move of `amount` from one tenant to another will bring, and where."""
    shared = set(tenants.path_ids(tx, from_id))
    branch = [node for node in tenants.path_ids(tx, to_id) if node not in shared]
    return model.Coming(branch=branch, name=name, amount=amount, order_id=order_id)


def crowded_by_draw(tx: Transaction, path: Sequence[str], drawn: Iterable[tuple[str, Mapping[str, int]]]) -> list[model.Breach]:
    """The levels of `path` (leaf first) at which what is coming does not fit any more after `drawn`, level by level, was drawn."""
    known = expected(tx)
    if not known:
        return []
    after = standings(tx, path, known)
    before = dict(after)
    for tenant_id, taken in drawn:
        for name, amount in taken.items():
            here = rules.at(before, tenant_id, name)
            before[tenant_id, name] = dataclasses.replace(here, drawn=here.drawn - amount)
    pairs = list(zip(path, tenants.path_codes(tx, path[0]), strict=True))
    return breaches(pairs, arrived(before, known), arrived(after, known))


def left(tx: Transaction, path: Sequence[str], name: str) -> int:
    """The most that could be reserved at the leaf of `path` with room left for all that is coming, as far up as anything is."""
    known = expected(tx)
    below = {node for each in known for node in each.branch}
    levels = max((number for number, node in enumerate(path, 1) if node in below), default=0)
    full = arrived(standings(tx, path, known), known)
    return rules.available([rules.at(full, node, name) for node in path[:levels]]) if levels else model.UNLIMITED


def standings(tx: Transaction, path: Sequence[str], known: Sequence[model.Coming]) -> dict[tuple[str, str], model.Standing]:
    """How the levels of `path` stand, and all others to which something is coming."""
    return records.by_key(tx, sorted({*path, *(node for each in known for node in each.branch)}))


def arrived(known: Known, coming: Iterable[model.Coming]) -> dict[tuple[str, str], model.Standing]:
    """The levels with all that is coming drawn on top.  Pure."""
    found = dict(known)
    for each in coming:
        rising = each.amount
        for node in each.branch:
            here = rules.at(found, node, each.name)
            found[node, each.name] = after = dataclasses.replace(here, drawn=here.drawn + rising)
            rising = rules.risen(after.drawn, after.local_quota, rising)
    return found


def breaches(path: Sequence[tuple[str, str]], before: Known, after: Known) -> list[model.Breach]:
    """The levels of `path` ((id, code), leaf first) that are raised and, with all that is coming, beyond their limit.  Pure."""
    return [
        model.Breach(tenant_id=node, tenant=code, name=name, asked=here.drawn - was, used=was, limit=here.limit)
        for node, code in path
        for (tenant_id, name), here in sorted(after.items())
        if tenant_id == node and here.drawn > here.limit
        for was in [rules.at(before, node, name).drawn]
        if here.drawn > was
    ]
