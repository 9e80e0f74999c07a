"""What waiting moves will bring: kept free at the taker, drawn nowhere yet.

The giver holds the units until the move is approved, so a level above both tenants would count them twice if the taker drew them already.  It does
not: a draw must only leave room for what is coming at the levels strictly below the nearest common ancestor of giver and taker.  After a draw those
levels are gone through once more with everything that is coming drawn on top, by the guard's own rule.  Mostly nothing is coming, and one look at an
empty table says so.
"""

import dataclasses
from collections.abc import Mapping, Sequence

from quotas import model, move_records, records, rules
from store.transaction import Transaction
from tenants import service as tenants


def crowded(tx: Transaction, path: Sequence[str], amounts: Mapping[str, int]) -> list[model.Breach]:
    """The levels of `path` (leaf first), where `amounts` were just drawn, at which what is coming does not fit any more."""
    coming = move_records.incoming(tx)
    if not coming:
        return []
    branches = [below_common(tenants.path_ids(tx, row["tenant_id"]), tenants.path_ids(tx, row["from_id"])) for row in coming]
    levels = {node for branch in branches for node in branch}
    if not levels.intersection(path):
        return []
    known = records.by_key(tx, sorted(levels))
    for row, branch in zip(coming, branches, strict=True):
        arrive(known, branch, row["name"], row["amount"])
    codes = zip(path, tenants.path_codes(tx, path[0]), strict=True)
    return breaches(known, [(node, code) for node, code in codes if node in levels], amounts)


def breaches(
    known: Mapping[tuple[str, str], model.Standing], path: Sequence[tuple[str, str]], amounts: Mapping[str, int]
) -> list[model.Breach]:
    """The levels of `path` ((id, code), leaf first) that are over their limit now that `amounts` and all that is coming are drawn.  Pure."""
    found = []
    for name, amount in amounts.items():
        for node, code in path:
            here = rules.at(known, node, name)
            if here.drawn > here.limit:
                used = here.drawn - amount
                found.append(model.Breach(tenant_id=node, tenant=code, name=name, asked=amount, used=used, limit=here.limit))
    return found


def below_common(path: Sequence[str], other: Sequence[str]) -> list[str]:
    """The part of `path` that is not on `other`, both leaf first: everything strictly below their nearest common node."""
    shared = set(other)
    return [node for node in path if node not in shared]


def arrive(known: dict[tuple[str, str], model.Standing], branch: Sequence[str], name: str, amount: int) -> None:
    """Draw what is coming at the first of `branch`, and what rises from it above, in `known`.  Pure."""
    rising = amount
    for node in branch:
        here = rules.at(known, node, name)
        known[node, name] = after = dataclasses.replace(here, drawn=here.drawn + rising)
        rising = rules.risen(after.drawn, after.local_quota, rising)
