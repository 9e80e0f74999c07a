"""Adding up again what is held of the room in each place, from the holds alone.  Capacity is the cloud's to report and stays as it is."""

import dataclasses
from collections.abc import Mapping

from pools import model, records, rules
from store.transaction import Transaction

Key = tuple[str, str, str, str]
"""(pool, zone, class, name)"""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """What a place says it holds, and what its holders come to."""

    pool_id: str
    zone: str
    service_class: str
    name: str
    stored: int
    derived: int


def differences(tx: Transaction) -> list[Difference]:
    """The places whose `held` is not the sum of what holders take there.  [] is what a sound database says."""
    stored = {(room.pool_id, room.zone, room.service_class, room.name): room.held for room in records.rooms(tx, None)}
    derived = records.held(tx)
    return [
        Difference(
            pool_id=key[0],
            zone=key[1],
            service_class=key[2],
            name=key[3],
            stored=stored.get(key, 0),
            derived=derived.get(key, 0),
        )
        for key in sorted({*stored, *derived})
        if stored.get(key, 0) != derived.get(key, 0)
    ]


def holds(tx: Transaction) -> dict[str, model.Hold]:
    """Every hold by its holder."""
    return records.holds(tx)


find = records.find


def add_again(tx: Transaction) -> list[Difference]:
    """Write what each place holds as it follows; what was different.  What does not fit is an excess."""
    found = differences(tx)
    for each in found:
        place = (each.pool_id, each.zone, each.service_class)
        if each.stored > each.derived:
            records.give_back(tx, place, {each.name: each.stored - each.derived})
        else:
            records.take_over(tx, place, {each.name: each.derived - each.stored})
    return found


def put_right(tx: Transaction, *, holder: str, place: tuple[str, str, str], amounts: Mapping[str, int], confirmed: bool) -> None:
    """Let a holder hold exactly this room, in this place, whether it fits or not.  Sums must be right before."""
    release(tx, holder=holder)
    needed = rules.placed(amounts)
    records.take_over(tx, place, needed)
    records.hold(tx, holder, place, needed)
    if confirmed:
        records.confirm(tx, holder)


def release(tx: Transaction, *, holder: str) -> bool:
    """Give back the room of a holder.  False if it held none: releasing twice is once."""
    held = records.find(tx, holder)
    if held is None:
        return False
    records.give_back(tx, (held.pool_id, held.zone, held.service_class), held.amounts)
    records.drop(tx, holder)
    return True
