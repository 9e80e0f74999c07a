"""Pure decisions: what hosts come to in each place, which places match a request, which of them is best."""

import dataclasses
import fractions
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from pools import model
from primitives import errors, quantity

COUNTS: Final = frozenset({"instances", "pods"})
"""Names that count things and take no room."""

BLOCKS_MAX: Final = 64
"""Free blocks kept for a place; beyond that the smallest are forgotten, so a request might be refused that one of them would take."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What is to be placed; '' = any."""

    kind: str
    zone: str = ""
    service_class: str = ""
    protection_level: int = 1
    amounts: Mapping[str, int]
    pool: str = ""


def placed(amounts: Mapping[str, int]) -> dict[str, int]:
    """The part of `amounts` that takes room, sorted, without zeros.  Raises input.invalid."""
    for name, amount in amounts.items():
        if not 0 <= amount <= quantity.BOUND:
            raise errors.INVALID(field=name, reason=f"{amount} is not between 0 and {quantity.BOUND}")
    return {name: amounts[name] for name in sorted(amounts) if amounts[name] and name not in COUNTS}


def bounded(pool: model.Pool, reported: Iterable[model.ReportedHost]) -> list[model.Host]:
    """The hosts of a pool that lie in its zones and classes, each with the pool's own bound of overcommit."""
    return [
        model.Host(
            pool_id=pool.id,
            name=host.name,
            zone=host.zone,
            service_class=host.service_class,
            hall=host.hall,
            enabled=host.enabled,
            physical=dict(host.physical),
            usable={name: _usable(pool, host.physical, name, amount) for name, amount in host.usable.items()},
            used=dict(host.used),
        )
        for host in reported
        if (not pool.zones or host.zone in pool.zones) and (not pool.service_classes or host.service_class in pool.service_classes)
    ]


def rooms(hosts: Iterable[model.Host]) -> dict[tuple[str, str, str], tuple[int, int, int]]:
    """(zone, class, name) -> (physical, capacity, used), summed over the hosts.

    A disabled host counts with what lies on it: the guests there hold room, and nobody else finds any.
    """
    total: dict[tuple[str, str, str], tuple[int, int, int]] = {}
    for host in hosts:
        for name, usable in host.usable.items():
            used = host.used.get(name, 0)
            physical, capacity, in_use = total.get((host.zone, host.service_class, name), (0, 0, 0))
            total[host.zone, host.service_class, name] = (
                physical + host.physical.get(name, 0),
                min(quantity.BOUND, capacity + (usable if host.enabled else min(usable, used))),
                in_use + used,
            )
    return total


def blocks(hosts: Iterable[model.Host]) -> dict[tuple[str, str], list[dict[str, int]]]:
    """(zone, class) -> the largest free blocks: those that no other host exceeds in every name."""
    found: dict[tuple[str, str], list[dict[str, int]]] = {}
    for host in sorted(hosts, key=lambda each: (-sum(each.free.values()), each.name)):
        kept = found.setdefault((host.zone, host.service_class), [])
        free = {name: amount for name, amount in host.free.items() if amount}
        if free and len(kept) < BLOCKS_MAX and not any(fits(free, block) for block in kept):
            kept.append(free)
    return found


def fits(amounts: Mapping[str, int], block: Mapping[str, int]) -> bool:
    """Whether one host with this block free takes all of `amounts`."""
    return all(amount <= block.get(name, 0) for name, amount in amounts.items())


def unfit(pool: model.Pool, wish: Wish) -> str:
    """Why a pool does not match a request, '' if it does; its places decide about zone, class and room."""
    if wish.pool and wish.pool != pool.code:
        return "another pool was asked for"
    if pool.paused:
        return "paused"
    if wish.kind not in pool.kinds:
        return f"makes no {wish.kind}"
    if wish.protection_level > pool.protection_level:
        return f"protection level {pool.protection_level} is below {wish.protection_level}"
    return ""


def matching(places: Iterable[model.Place], wish: Wish) -> list[model.Place]:
    """The places in the zone and class of a request."""
    return [place for place in places if wish.zone in ("", place.zone) and wish.service_class in ("", place.service_class)]


def missing(place: model.Place, amounts: Mapping[str, int]) -> dict[str, int]:
    """name -> how much a place lacks for `amounts`; {} if there is room."""
    short = {name: amount - (place.rooms[name].free if name in place.rooms else 0) for name, amount in amounts.items()}
    return {name: lack for name, lack in short.items() if lack > 0}


def best(places: Sequence[model.Place], amounts: Mapping[str, int]) -> model.Place:
    """The place with the largest free share of its scarcest name; ties by code, zone, class.

    A place with hardware that was not asked for (GPUs) comes after all without: it is kept for those who need it.
    """
    if len(places) == 1:
        return places[0]
    return min(
        places,
        key=lambda place: (_unasked(place, amounts), -_scarcest(place, amounts), place.code, place.zone, place.service_class),
    )


def _unasked(place: model.Place, amounts: Mapping[str, int]) -> int:
    offered = {name for name, room in place.rooms.items() if room.physical and "." not in name}
    return len(offered - amounts.keys() - {"cpu_milli", "ram_mib", "disk_gib"})


def _scarcest(place: model.Place, amounts: Mapping[str, int]) -> fractions.Fraction:
    free, capacity = 1, 1
    for room in (place.rooms[name] for name in amounts):
        if room.free * capacity < free * room.capacity:
            free, capacity = room.free, room.capacity
    return fractions.Fraction(free, capacity)


def _usable(pool: model.Pool, physical: Mapping[str, int], name: str, usable: int) -> int:
    most = pool.overcommit_permille.get(name)
    return usable if most is None else min(usable, physical.get(name, 0) * most // 1000)
