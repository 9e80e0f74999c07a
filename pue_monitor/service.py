"""What `control` asks of this room: halls, meters, swaps, readings in, the ledger kept up to date, PUE out.  Each verb takes the open transaction."""

import dataclasses
import datetime
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final

from primitives import clock, ids
from pue_monitor import faults, model
from pue_monitor.model import QUARTER_US
from pue_monitor.records import ledger as ledger_records
from pue_monitor.records import plant as records
from pue_monitor.records import readings as reading_records
from pue_monitor.rules import pue, raw, register
from store.transaction import Transaction

DERIVE_MANY: Final = 1000
"""Readings taken through the register rule in one use case."""
DAY_US: Final = 86_400_000_000
ALARMING: Final = frozenset({model.Happening.RESET, model.Happening.SWAP_DISAGREES})
"""Energy is unaccounted, and only a person can say why."""
Alarm = Callable[[model.Meter, model.Event], None]
_EVER_US: Final = 1 << 62

halls = records.halls
meters = records.meters


def find_hall(tx: Transaction, code: str) -> model.Hall | None:
    """The hall of a code."""
    return records.hall(tx, code)


def hall(tx: Transaction, code: str) -> model.Hall:
    """The hall of a code.  Raises hall.unknown."""
    found = records.hall(tx, code)
    if found is None:
        raise faults.UNKNOWN_HALL(code=code)
    return found


def put_hall(tx: Transaction, wanted: model.Hall, before: model.Hall | None) -> model.Hall:
    """Make a hall be as wanted; `before` is what `find_hall` gave.  An equal one stays untouched."""
    if before is None:
        records.insert_hall(tx, dataclasses.replace(wanted, id=ids.new("hall")))
    elif dataclasses.replace(wanted, id=before.id, generation=before.generation) != before:
        records.update_hall(tx, dataclasses.replace(wanted, id=before.id))
    return hall(tx, wanted.code)


def find_meter(tx: Transaction, code: str) -> model.Meter | None:
    """The meter of a code."""
    return records.meter(tx, code)


def meter(tx: Transaction, code: str) -> model.Meter:
    """The meter of a code.  Raises meter.unknown."""
    found = records.meter(tx, code)
    if found is None:
        raise faults.UNKNOWN_METER(code=code)
    return found


def energy_register(meter: model.Meter, code: str = "") -> model.Register:
    """The energy register of a meter, by its code where one is given.  Raises register.unknown."""
    for one in meter.registers:
        if one.quantity == "energy" and code in ("", one.code):
            return one
    raise faults.UNKNOWN_REGISTER(meter=meter.code, register=code)


def put_meter(tx: Transaction, wanted: model.Meter, before: model.Meter | None) -> model.Meter:
    """Make a meter be as wanted.  Raises meter.in_use for a change that would give past readings another meaning."""
    if before is None:
        records.insert_meter(tx, dataclasses.replace(wanted, id=ids.new("meter")))
        return meter(tx, wanted.code)
    wanted = dataclasses.replace(wanted, id=before.id, generation=before.generation)
    if wanted == before:
        return before
    if reading_records.any_of(tx, before.id):
        for field in ("hall_id", "side"):
            if getattr(wanted, field) != getattr(before, field):
                raise faults.IN_USE(code=before.code, field=field.removesuffix("_id"))
        if _meaning(wanted) != _meaning(before):
            raise faults.IN_USE(code=before.code, field="registers")
        if wanted.rating_w != before.rating_w:
            reading_records.behind(tx, [(before.id, one.code, 0) for one in before.registers if one.quantity == "energy"])
    records.update_meter(tx, wanted)
    return meter(tx, wanted.code)


def declare_swap(tx: Transaction, meter: model.Meter, register_code: str, swap: model.Swap, work_order: str) -> None:
    """A meter was exchanged.  Raises register.unknown, swap.exists, swap.disagrees when the final value cannot follow the readings before."""
    found = energy_register(meter, register_code)
    swaps = records.swaps(tx, meter.id, found.code)
    if any(one.at_us == swap.at_us for one in swaps):
        raise faults.SWAP_EXISTS(register=found.code, meter=meter.code, at=clock.text(clock.from_us(swap.at_us)))
    earlier = [one for one in swaps if one.at_us < swap.at_us]
    state = ledger_records.checkpoint(tx, meter.id, found.code, swap.at_us)
    after = state.seen_us if state else -1
    before = [one for one in reading_records.after(tx, meter.id, found.code, after, 100_000) if one[0] < swap.at_us]
    derived = register.derive(fit(meter, found), [*earlier, swap], before, state, to_us=swap.at_us)
    if any(event.happening is model.Happening.SWAP_DISAGREES and event.at_us == swap.at_us for event in derived.events):
        at = clock.text(clock.from_us(swap.at_us))
        raise faults.SWAP_DISAGREES(final=raw.show(swap.final_micro), meter=meter.code, at=at)
    records.insert_swap(tx, meter.id, found.code, swap, work_order)
    reading_records.behind(tx, [(meter.id, found.code, swap.at_us)])


def withdraw_swap(tx: Transaction, meter: model.Meter, register_code: str, swapped_us: int, reason: str) -> None:
    """A swap was declared wrongly: it counts no more, and the ledger is drawn anew from there.  Raises register.unknown, swap.unknown."""
    found = energy_register(meter, register_code)
    if not records.withdraw_swap(tx, meter.id, found.code, swapped_us, reason):
        raise faults.UNKNOWN_SWAP(register=found.code, meter=meter.code, at=clock.text(clock.from_us(swapped_us)))
    reading_records.behind(tx, [(meter.id, found.code, swapped_us)])


def fit(meter: model.Meter, register: model.Register) -> model.Fit:
    """What the rule needs to know of a register."""
    return model.Fit(scale=register.scale, modulus=register.modulus, rating_w=meter.rating_w)


def append(tx: Transaction, readings: Sequence[model.Reading]) -> None:
    """Keep readings for ever, and note that the ledger is behind.  A known one is ignored; another value at its moment makes neither count."""
    reading_records.insert(tx, readings)
    first: dict[tuple[str, str], int] = {}
    for one in readings:
        key = (one.meter_id, one.register)
        first[key] = min(first.get(key, one.read_us), one.read_us)
    reading_records.behind(tx, [(meter_id, code, at) for (meter_id, code), at in first.items()])


def saw(tx: Transaction, signs: Sequence[model.Live]) -> None:
    """What the poller saw last of each meter."""
    reading_records.saw(tx, list({one.meter_id: one for one in signs}.values()))


def catch_up(tx: Transaction, many: int = DERIVE_MANY, alarm: Alarm | None = None) -> bool:
    """Bring one register's ledger forward by at most `many` readings.  True while anything is left to do.

    `alarm` is called once for each newly seen event that needs a person.
    """
    found = ledger_records.next_behind(tx)
    if found is None:
        return False
    meter_id, code, behind_from_us = found
    meter = records.meter_by_id(tx, meter_id)
    assert meter is not None
    state = ledger_records.checkpoint(tx, meter_id, code, behind_from_us)
    after_us = state.seen_us if state else -1
    ledger_records.drop_checkpoints(tx, meter_id, code, (after_us, _EVER_US))
    readings, more = _some(reading_records.after(tx, meter_id, code, after_us, many + 1), many)
    derived = register.derive(
        fit(meter, energy_register(meter, code)),
        records.swaps(tx, meter_id, code),
        readings,
        state,
        to_us=0 if more else clock.to_us(tx.now()),
    )
    known = ledger_records.known_events(tx, meter_id, code, after_us)
    ledger_records.replace(tx, (meter_id, code), derived, after_us, readings[-1][0] if more else _EVER_US)
    for event in derived.events:
        if alarm is not None and event.happening in ALARMING and (event.at_us, str(event.happening)) not in known:
            alarm(meter, event)
    for changed_us, jump_us in derived.stuck:
        ledger_records.drop_checkpoints(tx, meter_id, code, (changed_us, jump_us))
    reached = derived.state
    if reached is not None and reached != state:
        if state is not None and state.seen_us // DAY_US == reached.seen_us // DAY_US:
            ledger_records.drop_checkpoints(tx, meter_id, code, (state.seen_us - 1, reached.seen_us + 1))
        ledger_records.save_checkpoint(tx, meter_id, code, reached)
    ledger_records.settled(tx, meter_id, code, readings[-1][0] + 1 if more else None)
    return True


def quarters(tx: Transaction, hall: model.Hall, from_us: int, to_us: int) -> Iterable[pue.Quarter]:
    """Every quarter of a hall in [from_us, to_us), both whole quarters: what all meters in service have, side by side."""
    sums: dict[int, dict[model.Side, tuple[int, int, model.Quality]]] = {}
    for start, side, wh, known, worst in ledger_records.sums(tx, hall.id, from_us, to_us):
        sums.setdefault(start, {})[side] = (wh, known, worst)
    of_hall = records.meters(tx, hall.code)
    for start in range(from_us, to_us, QUARTER_US):
        yield pue.quarter(
            start, *(_sum(of_hall, side, start, sums.get(start, {})) for side in (model.Side.FACILITY, model.Side.IT))
        )


def show_pue(tx: Transaction, hall: model.Hall, from_at: datetime.datetime, to_at: datetime.datetime) -> dict[str, Any]:
    """The figure of a hall over [from_at, to_at), as it is published.  Raises pue.period."""
    from_us, to_us = period(from_at, to_at)
    in_service = [
        meter
        for meter in records.meters(tx, hall.code)
        if (meter.installed_at is None or meter.installed_at < to_at) and (meter.removed_at is None or meter.removed_at > from_at)
    ]
    return pue.show(hall, in_service, from_at, to_at, quarters(tx, hall, from_us, to_us))


def period(from_at: datetime.datetime, to_at: datetime.datetime, days_max: int = 800) -> tuple[int, int]:
    """A period as microseconds.  Raises pue.period unless it begins before it ends, on whole quarters, and is not too long."""
    from_us, to_us = clock.to_us(from_at), clock.to_us(to_at)
    if from_us >= to_us:
        raise faults.BAD_PERIOD(reason="the period ends before it begins")
    if from_us % QUARTER_US or to_us % QUARTER_US:
        raise faults.BAD_PERIOD(reason="a period begins and ends at a whole quarter of an hour")
    if to_us - from_us > days_max * DAY_US:
        raise faults.BAD_PERIOD(reason=f"a period has at most {days_max} days")
    return from_us, to_us


def _sum(
    meters: Sequence[model.Meter], side: model.Side, start_us: int, found: Mapping[model.Side, tuple[int, int, model.Quality]]
) -> pue.Sum:
    start = clock.from_us(start_us)
    expected = sum(
        meter.side is side
        and (meter.installed_at is None or meter.installed_at <= start)
        and (meter.removed_at is None or meter.removed_at > start)
        for meter in meters
    )
    wh, known, worst = found.get(side, (0, 0, model.Quality.MISSING))
    return pue.Sum(wh=wh, meters=expected, known=known, worst=worst)


def _some(readings: list[tuple[int, int]], many: int) -> tuple[list[tuple[int, int]], bool]:
    """At most `many` readings, never parting those of one moment, and whether there are more."""
    if len(readings) <= many:
        return readings, False
    cut = readings[many][0]
    return [one for one in readings if one[0] < cut] or readings, True


def _meaning(meter: model.Meter) -> list[tuple[Any, ...]]:
    """What gives the readings of a meter their meaning; where and how they are fetched may change."""
    return [(one.code, one.quantity, one.scale, one.modulus) for one in meter.registers if one.quantity == "energy"]
