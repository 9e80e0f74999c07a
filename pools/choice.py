"""Which place takes a resource, out of what is known of all pools; and a copy of their room that fills as requests are played.  Pure."""

import dataclasses
from collections.abc import Iterable, Mapping, Sequence

from pools import faults, model, rules


def chosen(known: Sequence[model.Pool], places: Iterable[model.Place], wish: rules.Wish) -> model.Place:
    """The best of `places` for a wish.

    Raises pool.unknown, pool.none (nothing matches, with the reason for each pool), pool.full (what the nearest lacks), pool.block.
    """
    if wish.pool and wish.pool not in {each.code for each in known}:
        raise faults.UNKNOWN(pool=wish.pool[:64])
    reasons = {each.code: rules.unfit(each, wish) for each in known}
    fitting = {each.id: each.code for each in known if not reasons[each.code]}
    open_places = rules.matching([place for place in places if place.pool_id in fitting], wish)
    open_codes = {place.code for place in open_places}
    reasons |= {code: "no host in this zone and class" for code in fitting.values() if code not in open_codes}
    if not open_places:
        shown = [f"{code} {reason}" for code, reason in reasons.items() if not wish.pool or code == wish.pool]
        raise faults.NONE(kind=wish.kind, why="; ".join(shown) or "there is no pool")
    return _best(open_places, wish.amounts)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Level:
    """How well a tenant must be protected, and which rule says so."""

    tenant: str  # code
    protection_level: int
    rule: str


def refuse_lower(known: Sequence[model.Pool], places: Iterable[model.Place], wish: rules.Wish, level: Level) -> None:
    """Raises pool.protection_level where only pools below the level would take a wish; it asks for no room.  Raises pool.unknown.

    `wish.protection_level` is 1: what would take it, were it not for the level.
    """
    if wish.pool and wish.pool not in {each.code for each in known}:
        raise faults.UNKNOWN(pool=wish.pool[:64])
    fitting = {each.id: each for each in known if not rules.unfit(each, wish)}
    takers = {place.pool_id for place in rules.matching(places, wish)} & fitting.keys()
    levels = {fitting[pool_id].code: fitting[pool_id].protection_level for pool_id in takers}
    if levels and max(levels.values()) < level.protection_level:
        each = sorted(levels.items())
        shown = {
            "en": ", ".join(f"{code} level {number}" for code, number in each),
            "zh": "，".join(f"{code} {number} 级" for code, number in each),
        }
        raise faults.PROTECTION_LEVEL(
            tenant=level.tenant, level=level.protection_level, pools=dict(each), shown=shown, rule=level.rule
        )


class Rooms:
    """The room of all places, in memory: each request takes from it as an order would."""

    def __init__(self, known: Sequence[model.Pool], places: Iterable[model.Place]) -> None:
        self._known = known
        self._places = {(place.pool_id, place.zone, place.service_class): place for place in places}

    def take(self, wish: rules.Wish) -> model.Place:
        """Choose a place for a wish and hold room there.  Raises what `chosen` raises; then nothing is held."""
        place = chosen(self._known, self._places.values(), wish)
        self._add(place, wish.amounts, 1)
        return place

    def give_back(self, place: model.Place, amounts: Mapping[str, int]) -> None:
        """Undo a `take`."""
        self._add(self._places[place.pool_id, place.zone, place.service_class], amounts, -1)

    def _add(self, place: model.Place, amounts: Mapping[str, int], sign: int) -> None:
        rooms = {
            name: dataclasses.replace(room, held=room.held + sign * amounts.get(name, 0)) for name, room in place.rooms.items()
        }
        self._places[place.pool_id, place.zone, place.service_class] = dataclasses.replace(place, rooms=rooms)


def named(place: model.Place) -> str:
    """Pool, zone and class for people."""
    return " ".join(filter(None, (place.code, place.zone, place.service_class)))


def _best(places: list[model.Place], amounts: Mapping[str, int]) -> model.Place:
    roomy = [place for place in places if not rules.missing(place, amounts)]
    if not roomy:
        raise faults.FULL(why="; ".join(_short(place, rules.missing(place, amounts)) for place in places[:5]))
    fitting = [place for place in roomy if any(rules.fits(amounts, block) for block in place.blocks)]
    if not fitting:
        asked = ", ".join(f"{name} {amount}" for name, amount in amounts.items())
        raise faults.BLOCK(why=f"{asked} in {', '.join(named(place) for place in roomy[:5])}")
    return rules.best(fitting, amounts)


def _short(place: model.Place, lacking: Mapping[str, int]) -> str:
    return f"{named(place)} lacks " + ", ".join(f"{name} {amount}" for name, amount in lacking.items())
