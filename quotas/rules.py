"""Pure decisions: what is counted, what rises to the parent, where a request does not fit, how a changed grant moves up the tree.

The rule is Kueue's (KEP-79) over grants that contain each other.  With nominal(x) = granted(x) less the grants of x's children,
    T(x) = nominal(x) + sum over children c of min(lending_limit(c), T(c)) - what is held at x itself,
and a request is admitted if afterwards T(n) >= -borrowing_limit(n) at every node that it draws from, up to the root.  A node covers what it
can from `local_quota`, the part of its quota that it does not lend; only the excess is drawn from above, so one row per node is enough.
"""

import dataclasses
from collections.abc import Mapping, Sequence

from primitives import errors, quantity
from quotas import faults, model, names


def counted(amounts: Mapping[str, int]) -> dict[str, int]:
    """`amounts` on every name that counts, sorted, without zeros: a class counts on the name before its dot too.

    Where both are given, the plain name is the sum and must hold its classes.  Raises quota.name, input.invalid.
    """
    classes: dict[str, int] = {}
    for name, amount in amounts.items():
        names.of(name)
        if not 0 <= amount <= quantity.BOUND:
            raise errors.INVALID(field=name, reason=f"{amount} is not between 0 and {quantity.BOUND}")
        plain, dot, _ = name.partition(".")
        if dot:
            classes[plain] = classes.get(plain, 0) + amount
    for plain, amount in classes.items():
        if amounts.get(plain, amount) < amount or amount > quantity.BOUND:
            raise errors.INVALID(field=plain, reason=f"{amounts.get(plain, 0)} is less than its classes together, {amount}")
    total = classes | dict(amounts)
    return {name: total[name] for name in sorted(total) if total[name]}


def local_quota(subtree_quota: int, lending_limit: int | None) -> int:
    """What a node keeps for its subtree alone."""
    return 0 if lending_limit is None else max(0, subtree_quota - lending_limit)


def risen(drawn: int, local: int, added: int) -> int:
    """Units of `added` (negative: given back) that the parent covers; `drawn` is the number after it."""
    return max(0, drawn - local) - max(0, drawn - added - local)


def breaches(
    path: Sequence[tuple[str, str]], standings: Mapping[tuple[str, str], model.Standing], amounts: Mapping[str, int]
) -> list[model.Breach]:
    """Every level of `path` ((id, code), leaf first) at which `amounts` do not fit, as if the levels below had agreed."""
    found = []
    for name, amount in amounts.items():
        rising = amount
        for tenant_id, code in path:
            here = at(standings, tenant_id, name)
            if here.drawn + rising > here.limit:
                found.append(
                    model.Breach(tenant_id=tenant_id, tenant=code, name=name, asked=rising, used=here.drawn, limit=here.limit)
                )
            rising = risen(here.drawn + rising, here.local_quota, rising)
            if not rising:
                break
    return found


def available(path: Sequence[model.Standing]) -> int:
    """The most that can be reserved at the leaf of `path` (standings of one name, leaf first) right now."""
    left = 0
    for number, here in enumerate(reversed(path)):
        room = here.limit - here.drawn
        left = max(0, room if number == 0 else min(room, max(0, here.local_quota - here.drawn) + left))
    return left


def at(known: Mapping[tuple[str, str], model.Standing], tenant_id: str, name: str) -> model.Standing:
    """The standing of a tenant for a name out of `known`; absent is 0."""
    return known.get((tenant_id, name)) or nothing(tenant_id, name)


def nothing(tenant_id: str, name: str) -> model.Standing:
    """How a tenant stands that was never granted anything of a name: absent is 0."""
    return model.Standing(
        tenant_id=tenant_id,
        name=name,
        granted=0,
        lending_limit=None,
        borrowing_limit=0,
        subtree_quota=0,
        local_quota=0,
        drawn=0,
        over_by=0,
        generation=0,
    )


def granted(before: model.Standing, grant: model.Grant) -> model.Standing:
    """The node under another grant, before anything rises from it."""
    changed = dataclasses.replace(
        before, granted=grant.granted, lending_limit=grant.lending_limit, borrowing_limit=grant.borrowing_limit
    )
    return _derived(changed, before.subtree_quota + grant.granted - before.granted, before.drawn)


def ascended(levels: Sequence[model.Standing], kept: int, drawn: int) -> list[model.Standing]:
    """The levels above a change, nearest first, that are touched by it.

    `kept`: how much more all nodes below keep for themselves; `drawn`: how much more the nearest level must cover.
    """
    touched = []
    for level in levels:
        if not kept and not drawn:
            break
        after = _derived(level, level.subtree_quota - kept, level.drawn + drawn)
        kept += after.local_quota - level.local_quota
        drawn = after.risen - level.risen
        touched.append(after)
    return touched


def least_lending(levels: Sequence[model.Standing]) -> int:
    """The smallest lending limit that the leaf of `levels` (one name, leaf first) could have now without pushing anybody over a limit.

    Lending less only takes room away from the levels above, so what fits is everything from some limit up, and halving finds it.
    """
    leaf = levels[0]
    if leaf.lending_limit == 0:
        return 0
    low, high = 0, leaf.subtree_quota - leaf.local_quota  # `high` is what it lends now: that fits
    while low < high:
        middle = (low + high) // 2
        after = granted(leaf, dataclasses.replace(leaf.grant, lending_limit=middle))
        touched = ascended(levels[1:], after.local_quota - leaf.local_quota, after.risen - leaf.risen)
        before = {level.tenant_id: level for level in levels}
        if any(unsound(before[each.tenant_id], each, allow_over=False) for each in (after, *touched)):
            low = middle + 1
        else:
            high = middle
    return low


def joined(taker: model.Standing, giver: model.Standing, *, inside: bool, most: int) -> model.Standing:
    """The taker under the grant that it has after a merge; `most` is what its own parent has.

    Limits add up so that both keep for themselves, and may borrow, together what they did apart; None lends all, as before.  A giver `inside` the
    taker's own subtree brings nothing that the taker was not granted already.
    """
    if inside:
        return taker
    lending = [
        each.subtree_quota if each.lending_limit is None else min(each.lending_limit, each.subtree_quota) for each in (taker, giver)
    ]
    both_lend_all = taker.lending_limit is None and giver.lending_limit is None
    unchanged = both_lend_all or not giver.subtree_quota  # who brings nothing leaves the taker's limit as it was set
    grant = model.Grant(
        granted=max(taker.granted, min(taker.granted + giver.granted, most)),
        lending_limit=taker.lending_limit if unchanged else min(sum(lending), quantity.BOUND),
        borrowing_limit=min(taker.borrowing_limit + giver.borrowing_limit, quantity.BOUND),
    )
    return dataclasses.replace(granted(taker, grant), generation=taker.generation + 1)


def carrying(standing: model.Standing, *, kept: int, drawn: int) -> model.Standing:
    """The node when those below it keep `kept` more for themselves, and it covers `drawn` more."""
    return _derived(standing, standing.subtree_quota - kept, standing.drawn + drawn)


def emptied(standing: model.Standing) -> model.Standing:
    """The node without grant, use or anybody below it."""
    return dataclasses.replace(nothing(standing.tenant_id, standing.name), generation=standing.generation + 1)


def kept_below(standing: model.Standing) -> int:
    """What a node and everything under it keep for themselves: its parent cannot lend it to others."""
    return standing.granted - standing.subtree_quota + standing.local_quota


def unsound(before: model.Standing, after: model.Standing, *, allow_over: bool) -> errors.Fault | None:
    """Why a changed level cannot stay: it no longer holds what is kept below (quota.kept), or what is used (quota.below_use)."""
    if after.subtree_quota < 0:
        return faults.KEPT
    if after.over_by > before.over_by and not allow_over:
        return faults.BELOW_USE
    return None


def derived(
    parents: Mapping[str, str], grants: Mapping[tuple[str, str], model.Grant], held: Mapping[tuple[str, str], int]
) -> dict[tuple[str, str], model.Standing]:
    """Every standing from nothing but the tree ('' above the root), the grants and what is held at each tenant itself."""
    found: dict[tuple[str, str], model.Standing] = {}
    for name in sorted({name for _, name in {*grants, *held}}):
        kept: dict[str, int] = {}
        drawn: dict[str, int] = {}
        for node in sorted(parents, key=lambda each: -_depth(parents, each)):
            grant = grants.get((node, name), model.Grant(granted=0))
            covered = held.get((node, name), 0) + drawn.get(node, 0)
            after = _derived(granted(nothing(node, name), grant), grant.granted - kept.get(node, 0), covered)
            above = parents[node]
            kept[above] = kept.get(above, 0) + kept.get(node, 0) + after.local_quota
            drawn[above] = drawn.get(above, 0) + after.risen
            if (node, name) in grants or covered:
                found[node, name] = after
    return found


def bounded(grant: model.Grant, *, is_root: bool) -> None:
    """Raises input.invalid for amounts out of bounds, quota.unlimited and quota.root for what only (or never) fits the root."""
    limits = {"granted": grant.granted, "lending_limit": grant.lending_limit, "borrowing_limit": grant.borrowing_limit}
    for field, amount in limits.items():
        if amount is not None and not 0 <= amount <= quantity.BOUND:
            raise errors.INVALID(field=field, reason=f"{amount} is not between 0 and {quantity.BOUND}")
    if grant.granted == model.UNLIMITED and not is_root:
        raise faults.UNLIMITED()
    if is_root and (grant.lending_limit is not None or grant.borrowing_limit):
        raise faults.ROOT()


def visible(found: Sequence[model.Breach], seen: Sequence[str] | None) -> list[dict[str, object]]:
    """The breaches as a caller may see them: all numbers of the tenants in `seen` (None: of all), of others only what is missing."""
    return [
        {"tenant": breach.tenant, "name": breach.name, "short_by": breach.short_by}
        | ({"asked": breach.asked, "used": breach.used, "limit": breach.limit} if seen is None or breach.tenant_id in seen else {})
        for breach in found
    ]


def told(shown: Sequence[Mapping[str, object]]) -> dict[str, str]:
    """Visible breaches as a sentence in both languages."""
    return {"en": "; ".join(map(_told_en, shown)), "zh": "；".join(map(_told_zh, shown))}


def _told_en(breach: Mapping[str, object]) -> str:
    short = f"{breach['tenant']} is short by {_amount(breach, 'short_by')} of {breach['name']}"
    if "limit" not in breach:
        return short
    return f"{short} (asked {_amount(breach, 'asked')}, used {_amount(breach, 'used')} of {_amount(breach, 'limit')})"


def _told_zh(breach: Mapping[str, object]) -> str:
    short = f"{breach['tenant']} 的 {breach['name']} 缺 {_amount(breach, 'short_by')}"
    if "limit" not in breach:
        return short
    return f"{short}（申请 {_amount(breach, 'asked')}，已用 {_amount(breach, 'used')}，上限 {_amount(breach, 'limit')}）"


def _amount(breach: Mapping[str, object], field: str) -> str:
    return names.shown(str(breach["name"]), int(str(breach[field])))


def _derived(standing: model.Standing, subtree_quota: int, drawn: int) -> model.Standing:
    return dataclasses.replace(
        standing,
        subtree_quota=subtree_quota,
        local_quota=local_quota(subtree_quota, standing.lending_limit),
        drawn=drawn,
        over_by=max(0, drawn - subtree_quota - standing.borrowing_limit),
    )


def _depth(parents: Mapping[str, str], node: str) -> int:
    depth = 0
    while parents[node]:
        node = parents[node]
        depth += 1
    return depth
