"""The few verbs of the room.  A place is chosen, room in it is held, confirmed and released together with the quota of the same holder.

A stopped guest keeps its room.  Capacity is what the cloud's hosts report, each minute and when a pool is made.
"""

import dataclasses
from collections.abc import Iterable, Mapping

from pools import choice, faults, model, records, repair, rules
from primitives import ids
from store.transaction import Transaction


def create(tx: Transaction, *, code: str, spec: model.PoolSpec, kinds: Iterable[str]) -> model.Pool:
    """A new pool; it takes resources once its hosts are known.  Raises pool.taken."""
    if records.by_code(tx, code) is not None:
        raise faults.TAKEN(pool=code)
    given = {field.name: getattr(spec, field.name) for field in dataclasses.fields(model.PoolSpec)}
    pool = model.Pool(id=ids.new("pool"), code=code, kinds=tuple(sorted(kinds)), paused=False, generation=1, **given)
    records.insert(tx, pool)
    return pool


def update(tx: Transaction, pool: model.Pool, *, spec: model.PoolSpec, kinds: Iterable[str]) -> model.Pool:
    """Another description of a pool; what is in it stays.  Its room follows with the next report of its hosts."""
    given = {field.name: getattr(spec, field.name) for field in dataclasses.fields(model.PoolSpec)}
    changed = dataclasses.replace(pool, kinds=tuple(sorted(kinds)), generation=pool.generation + 1, **given)
    records.update(tx, changed)
    return changed


def set_paused(tx: Transaction, pool: model.Pool, paused: bool) -> model.Pool:
    """Whether new resources may be placed into a pool; what is in it goes on."""
    changed = dataclasses.replace(pool, paused=paused, generation=pool.generation + 1)
    records.update(tx, changed)
    return changed


def pools(tx: Transaction) -> list[model.Pool]:
    """All pools by code."""
    return records.pools(tx)


def by_code(tx: Transaction, code: str) -> model.Pool:
    """The pool of a code.  Raises pool.unknown."""
    found = records.by_code(tx, code)
    if found is None:
        raise faults.UNKNOWN(pool=code[:64])
    return found


def find_code(tx: Transaction, code: str) -> model.Pool | None:
    """The pool of a code, or None."""
    return records.by_code(tx, code)


def hosts(tx: Transaction, *, pool_id: str | None = None) -> list[model.Host]:
    """Hosts as last reported, by pool and name; None: of all pools."""
    return records.hosts(tx, pool_id)


def rooms(tx: Transaction, *, pool_id: str | None = None) -> list[model.Room]:
    """The room in each place, by pool, zone, class and name; None: of all pools."""
    return records.rooms(tx, pool_id)


def reserved(tx: Transaction, *, pool_id: str) -> dict[tuple[str, str, str], int]:
    """(zone, class, name) -> what is held in a pool but not yet confirmed."""
    return records.reserved(tx, pool_id)


def record_capacity(tx: Transaction, *, pool_id: str, hosts: Iterable[model.ReportedHost]) -> None:
    """Take over what the cloud reports of all its hosts.  Hosts that are no longer reported are gone."""
    pool = records.by_id(tx, pool_id)
    if pool is None:
        raise faults.UNKNOWN(pool=pool_id)
    reported = {host.name: host for host in rules.bounded(pool, hosts)}
    known = {host.name: host for host in records.hosts(tx, pool_id)}
    records.put_hosts(
        tx,
        [host for name, host in reported.items() if host != known.get(name)],
        [host for name, host in known.items() if name not in reported],
    )
    records.put_blocks(tx, pool_id, rules.blocks(reported.values()))
    total = rules.rooms(reported.values())
    gone = {(room.zone, room.service_class, room.name): (0, 0, 0) for room in records.rooms(tx, pool_id)}
    records.put_rooms(tx, pool_id, gone | total)


def choose(
    tx: Transaction,
    *,
    kind: str,
    zone: str = "",
    service_class: str = "",
    protection_level: int,
    amounts: Mapping[str, int],
    pool: str = "",
) -> model.Place:
    """The best place for a resource ('' = any zone, class, pool).

    Raises pool.unknown, pool.none (nothing matches, with the reason for each pool), pool.full (what the nearest lacks), pool.block.
    """
    wish = rules.Wish(
        kind=kind,
        zone=zone,
        service_class=service_class,
        protection_level=protection_level,
        amounts=rules.placed(amounts),
        pool=pool,
    )
    return choice.chosen(records.pools(tx), _places(tx), wish)


def refuse_lower(
    tx: Transaction, level: choice.Level, *, kind: str, zone: str = "", service_class: str = "", pool: str = ""
) -> None:
    """Raises pool.protection_level where only pools below a tenant's level would take what it wants, before anything is held for it."""
    known = records.pools(tx)
    if any(each.protection_level < level.protection_level for each in known if pool in ("", each.code)):
        choice.refuse_lower(
            known, _places(tx), rules.Wish(kind=kind, zone=zone, service_class=service_class, amounts={}, pool=pool), level
        )


def in_memory(tx: Transaction) -> choice.Rooms:
    """A copy of all room as it stands, for requests that are only played."""
    return choice.Rooms(records.pools(tx), _places(tx))


def hold(tx: Transaction, *, pool_id: str, zone: str, service_class: str, amounts: Mapping[str, int], holder: str) -> None:
    """Hold room in a place for a resource.  Raises pool.full, pool.held."""
    place = (pool_id, zone, service_class)
    needed = rules.placed(amounts)
    _take(tx, place, needed)
    if not records.hold(tx, holder, place, needed):
        raise faults.HELD(holder=holder)


def adopt(tx: Transaction, *, pool_id: str, zone: str, service_class: str, amounts: Mapping[str, int], holder: str) -> None:
    """Hold and confirm room for what exists already, whether it fits or not: what does not fit is an excess.  Raises pool.held."""
    if records.find(tx, holder) is not None:
        raise faults.HELD(holder=holder)
    repair.put_right(tx, holder=holder, place=(pool_id, zone, service_class), amounts=amounts, confirmed=True)


def change(tx: Transaction, *, holder: str, amounts: Mapping[str, int]) -> None:
    """Other amounts for a resource in its place.  Only what grows needs room.  Raises pool.full, pool.not_held."""
    held = records.find(tx, holder)
    if held is None:
        raise faults.NOT_HELD(holder=holder)
    needed = rules.placed(amounts)
    if needed == held.amounts:
        return
    place = (held.pool_id, held.zone, held.service_class)
    differences = {name: needed.get(name, 0) - held.amounts.get(name, 0) for name in sorted({*needed, *held.amounts})}
    _take(tx, place, {name: more for name, more in differences.items() if more > 0})
    records.give_back(tx, place, {name: -less for name, less in differences.items() if less < 0})
    records.replace_amounts(tx, holder, needed)


def confirm(tx: Transaction, *, holder: str) -> None:
    """The resource is there.  Raises pool.not_held."""
    if not records.confirm(tx, holder):
        raise faults.NOT_HELD(holder=holder)


release = repair.release
check = repair.differences


def find(tx: Transaction, *, holder: str) -> model.Hold | None:
    """The room that a resource holds."""
    return records.find(tx, holder)


def _places(tx: Transaction) -> list[model.Place]:
    codes = {pool.id: pool.code for pool in records.pools(tx)}
    by_place: dict[tuple[str, str, str], dict[str, model.Room]] = {}
    for room in records.rooms(tx, None):
        by_place.setdefault((room.pool_id, room.zone, room.service_class), {})[room.name] = room
    return [
        model.Place(pool_id=at[0], code=codes[at[0]], zone=at[1], service_class=at[2], rooms=by_place.get(at, {}), blocks=blocks)
        for at, blocks in sorted(records.blocks(tx).items())
    ]


def _take(tx: Transaction, place: tuple[str, str, str], amounts: Mapping[str, int]) -> None:
    taken = records.take(tx, place, amounts)
    if len(taken) == len(amounts):
        return
    records.give_back(tx, place, {name: amounts[name] for name in amounts if name in taken})
    pool = records.by_id(tx, place[0])
    lacking = ", ".join(f"{name} {amount}" for name, amount in amounts.items() if name not in taken)
    raise faults.FULL(why=f"{pool.code if pool else place[0]} {place[1]} {place[2]}: {lacking}")
