"""The room on real databases: the stored ledger equals the pure rule however readings arrive; PUE of two sides; imports that were killed."""

import dataclasses
import datetime
import fractions
import random
from collections.abc import Sequence

import pytest

from primitives import clock, errors
from pue_monitor import imports, model, service
from pue_monitor.model import MICRO, QUARTER_US
from pue_monitor.rules import reading_file, register
from store import database as store_database
from store import transaction

START = datetime.datetime(2026, 10, 1, tzinfo=clock.UTC)
START_US = clock.to_us(START)
ENERGY = model.Register(
    code="energy", quantity="energy", scale=fractions.Fraction(100), width=32, kind="uint", word_order="big", modulus=1_000_000,
    sentinels=(0xFFFFFFFF,), address=None, table="holding",
)  # fmt: skip


@pytest.fixture
def meters(database: store_database.Database) -> dict[str, model.Meter]:
    """A hall with a main meter and a UPS meter."""

    def made(tx: object) -> dict[str, model.Meter]:
        hall = model.Hall(id="", code="hall-a", name="一号模块", site="政务云中心", boundary="whole", category=1, generation=0)
        kept = service.put_hall(tx, hall, None)  # type: ignore[arg-type]
        found = {}
        for code, side in (("main", model.Side.FACILITY), ("ups", model.Side.IT)):
            meter = model.Meter(
                id="", code=code, hall_id=kept.id, hall="hall-a", side=side, name=code, rating_w=400_000, host="", port=502, unit=1,
                poll_s=0, installed_at=None, removed_at=None, calibrated_until=None, registers=(ENERGY,), generation=0,
            )  # fmt: skip
            found[code] = service.put_meter(tx, meter, None)  # type: ignore[arg-type]
        return found

    return database.lane.run(made)


def reading(meter: model.Meter, quarter: float, value: int) -> model.Reading:
    at_us = START_US + int(quarter * QUARTER_US)
    return model.Reading(meter_id=meter.id, register="energy", read_us=at_us, value_micro=value * MICRO, source="poll")


def append(database: store_database.Database, readings: Sequence[model.Reading], many: int = 50) -> None:
    database.lane.run(lambda tx: service.append(tx, readings))
    while database.lane.run(lambda tx: service.catch_up(tx, many)):
        assert True


def stored(database: store_database.Database, meter: model.Meter) -> dict[int, tuple[int | None, str]]:
    def look(tx: object) -> dict[int, tuple[int | None, str]]:
        from store.transaction import sql

        rows = tx.execute(  # type: ignore[attr-defined]
            sql("SELECT start_at, wh, quality FROM energy_ledger WHERE meter_id = :meter_id"), meter_id=meter.id
        )
        return {row["start_at"]: (row["wh"], row["quality"]) for row in rows}

    return database.read(look)


def pure(meter: model.Meter, readings: Sequence[model.Reading]) -> dict[int, tuple[int | None, str]]:
    points = sorted({(one.read_us, one.value_micro) for one in readings})
    derived = register.derive(service.fit(meter, ENERGY), [], points)
    return {start: (entry.wh, str(entry.quality)) for start, entry in derived.entries.items()}


@pytest.mark.parametrize("seed", range(4))
def test_readings_in_any_order_give_the_ledger_of_the_ordered_ones(
    database: store_database.Database, meters: dict[str, model.Meter], seed: int
) -> None:
    """Late, repeated and lying readings, with days that stood still: the stored ledger is always that of the whole set."""
    chance = random.Random(seed)
    main, total, readings = meters["main"], 990_000, []
    for number in range(400):
        if not 150 <= number < 260:  # more than a day on the same value
            total += chance.randrange(0, 900)
        value = chance.choice([0, total // 2]) % 1_000_000 if chance.random() < 0.04 else total % 1_000_000
        readings.append(reading(main, number + chance.choice([0, 0.3]), value))
    total += 110 * 500
    readings += [reading(main, 400 + number, (total + number * 300) % 1_000_000) for number in range(20)]
    arriving = [*readings, *chance.sample(readings, 30)]
    chance.shuffle(arriving)
    for begin in range(0, len(arriving), 90):
        append(database, arriving[begin : begin + 90])
        assert stored(database, main) == pure(main, arriving[: begin + 90])


def test_a_late_reading_is_worked_in_from_where_it_belongs(
    database: store_database.Database, meters: dict[str, model.Meter]
) -> None:
    main = meters["main"]
    readings = [reading(main, quarter, quarter * 400) for quarter in range(300) if quarter != 150]
    append(database, readings, many=5000)
    assert stored(database, main)[START_US + 150 * QUARTER_US][1] == "R"
    append(database, [reading(main, 150, 150 * 400 - 100)])
    assert stored(database, main)[START_US + 150 * QUARTER_US] == (50_000, "M")
    assert stored(database, main)[START_US + 149 * QUARTER_US] == (30_000, "M")


def test_two_values_at_one_moment_cancel_whichever_comes_first(
    database: store_database.Database, meters: dict[str, model.Meter]
) -> None:
    for meter, values in ((meters["main"], (400, 401)), (meters["ups"], (401, 400))):
        append(database, [reading(meter, 0, 0), reading(meter, 2, 800)])
        for value in values:
            append(database, [reading(meter, 1, value)])
    assert stored(database, meters["main"]) == stored(database, meters["ups"])
    assert {quality for _, quality in stored(database, meters["main"]).values()} == {"R"}


def test_raw_readings_can_be_neither_changed_nor_deleted(database: store_database.Database, meters: dict[str, model.Meter]) -> None:
    from store.transaction import sql

    append(database, [reading(meters["main"], 0, 0)])
    for statement in ("UPDATE meter_readings SET value = '1'", "DELETE FROM meter_readings"):
        with pytest.raises(Exception, match="forbidden"):
            database.lane.run(lambda tx, text=statement: tx.execute(sql(text)))  # type: ignore[misc]


def test_a_declared_swap_bridges_and_a_wrong_one_is_refused(
    database: store_database.Database, meters: dict[str, model.Meter]
) -> None:
    main = meters["main"]
    append(database, [reading(main, quarter, 500_000 + quarter * 400) for quarter in range(10)])
    fit = model.Fit(scale=fractions.Fraction(10), modulus=10_000_000, rating_w=400_000)
    wrong = model.Swap(at_us=START_US + int(9.5 * QUARTER_US), final_micro=903_600 * MICRO, first_micro=0, fit=fit)
    with pytest.raises(errors.GovpoolError, match=r"swap\.disagrees"):
        database.lane.run(lambda tx: service.declare_swap(tx, main, "energy", wrong, "工单-88"))
    swap = dataclasses.replace(wrong, final_micro=503_800 * MICRO)
    database.lane.run(lambda tx: service.declare_swap(tx, main, "energy", swap, "工单-88"))
    with pytest.raises(errors.GovpoolError, match=r"swap\.exists"):
        database.lane.run(lambda tx: service.declare_swap(tx, main, "energy", swap, "工单-88"))
    append(database, [reading(main, 10 + quarter, 2000 + quarter * 4000) for quarter in range(5)])
    entries = stored(database, main)
    assert [entries[START_US + quarter * QUARTER_US][0] for quarter in range(14)] == [40_000] * 14


def test_a_swap_declared_wrongly_is_withdrawn_and_the_ledger_is_as_before(
    database: store_database.Database, meters: dict[str, model.Meter]
) -> None:
    main = meters["main"]
    readings = [reading(main, quarter, 500_000 + quarter * 400) for quarter in range(200)]
    append(database, readings)
    before = stored(database, main)
    swap = model.Swap(
        at_us=START_US + 100 * QUARTER_US + 1, final_micro=540_000 * MICRO, first_micro=0, fit=service.fit(main, ENERGY)
    )
    database.lane.run(lambda tx: service.declare_swap(tx, main, "energy", swap, "工单-9"))
    append(database, [])
    assert stored(database, main) != before
    database.lane.run(lambda tx: service.withdraw_swap(tx, main, "", swap.at_us, "并未换表"))
    append(database, [])
    assert stored(database, main) == before
    with pytest.raises(errors.GovpoolError, match=r"swap\.unknown"):
        database.lane.run(lambda tx: service.withdraw_swap(tx, main, "", swap.at_us, "并未换表"))
    for statement in ("UPDATE meter_swaps SET withdrawn_at = NULL", "DELETE FROM meter_swaps"):
        with pytest.raises(Exception, match="forbidden"):
            database.lane.run(lambda tx, text=statement: tx.execute(transaction.sql(text)))  # type: ignore[misc]


def test_a_meter_with_readings_keeps_the_meaning_of_its_register(
    database: store_database.Database, meters: dict[str, model.Meter]
) -> None:
    main = meters["main"]
    append(database, [reading(main, 0, 0)])
    other = dataclasses.replace(main, registers=(dataclasses.replace(ENERGY, scale=fractions.Fraction(1000)),))
    with pytest.raises(errors.GovpoolError, match=r"meter\.in_use"):
        database.lane.run(lambda tx: service.put_meter(tx, other, main))
    moved = dataclasses.replace(main, host="10.0.0.9", name="进线")
    assert database.lane.run(lambda tx: service.put_meter(tx, moved, main)).generation == 2


def test_a_new_rating_draws_the_ledger_anew(database: store_database.Database, meters: dict[str, model.Meter]) -> None:
    main = meters["main"]
    append(database, [reading(main, 0, 0), reading(main, 1, 2000), reading(main, 2, 2400)])
    assert {quality for _, quality in stored(database, main).values()} == {"R", "M"} or stored(database, main)
    before = stored(database, main)
    database.lane.run(lambda tx: service.put_meter(tx, dataclasses.replace(main, rating_w=2_000_000), main))
    append(database, [])
    assert stored(database, main) != before
    assert stored(database, main)[START_US] == (200_000, "M")


def test_pue_is_energy_over_energy_where_both_sides_have_it(
    database: store_database.Database, meters: dict[str, model.Meter]
) -> None:
    """Mutants: the mean of ratios (1.35), or each side over its own intervals (2.133)."""
    append(database, [reading(meters["main"], quarter, [0, 150, 270, 870, 990][quarter]) for quarter in range(5)])
    append(database, [reading(meters["ups"], 0, 0), reading(meters["ups"], 1, 100), reading(meters["ups"], 2, 200)])
    hall = database.read(lambda tx: service.hall(tx, "hall-a"))
    shown = database.read(lambda tx: service.show_pue(tx, hall, START, START + datetime.timedelta(hours=1)))
    assert (shown["value"], shown["facility_wh"], shown["it_wh"], shown["intervals"]) == ("1.350", 27_000, 20_000, 2)
    assert shown["completeness"] == {"energy": "0.5000", "profile": "0.5000"}
    assert shown["quality"] == {"M": 2, "R": 0, "P": 0, "E": 0, "X": 2, "Q": 0}
    assert shown["interim"] is True
    assert shown["reportable"] is False
    assert {reason["code"] for reason in shown["reasons"]} == {"period.short", "completeness.energy", "calibration.unknown"}


def test_a_meter_counts_only_while_it_is_in_service(database: store_database.Database, meters: dict[str, model.Meter]) -> None:
    """A second main meter came at quarter 2; before that the first alone is the whole facility, after it both are."""
    main = meters["main"]
    second = dataclasses.replace(main, code="main-2", installed_at=START + datetime.timedelta(minutes=30))
    later = database.lane.run(lambda tx: service.put_meter(tx, second, None))
    append(database, [reading(main, quarter, quarter * 100) for quarter in range(5)])
    append(database, [reading(meters["ups"], quarter, quarter * 100) for quarter in range(5)])
    append(database, [reading(later, quarter, quarter * 50) for quarter in range(4)])
    hall = database.read(lambda tx: service.hall(tx, "hall-a"))
    shown = database.read(lambda tx: service.show_pue(tx, hall, START, START + datetime.timedelta(hours=1)))
    assert (shown["facility_wh"], shown["it_wh"], shown["intervals"]) == (10_000 + 10_000 + 15_000, 30_000, 3)


CSV = "meter,register,read_at,value\n" + "".join(
    f"{meter},energy,{clock.text(START + n * datetime.timedelta(minutes=15))},{n * step}\n"
    for meter, step in (("main", 400), ("ups", 300))
    for n in range(100)
)


def test_a_killed_import_counts_for_nothing_until_it_is_complete(
    database: store_database.Database, meters: dict[str, model.Meter]
) -> None:
    content = CSV.encode()
    rows = database.read(lambda tx: imports.check(tx, content))
    begun = database.lane.run(lambda tx: imports.begin(tx, "acc", "key", content, len(rows)))
    database.lane.run(lambda tx: imports.append(tx, begun.id, rows[:60], 60))
    append(database, [reading(meters["main"], 150, 150 * 400)])
    assert all(start >= START_US + 150 * QUARTER_US for start in stored(database, meters["main"]))

    again = database.lane.run(lambda tx: imports.begin(tx, "acc", "key", content, len(rows)))
    assert (again.id, again.done) == (begun.id, 60)
    rows = database.read(lambda tx: imports.check(tx, content, again.id))
    database.lane.run(lambda tx: imports.append(tx, again.id, rows[60:], len(rows)))
    database.lane.run(lambda tx: imports.complete(tx, again.id, imports.first_moments(rows)))
    append(database, [])
    assert stored(database, meters["main"])[START_US] == (40_000, "M")
    assert sum(wh or 0 for wh, _ in stored(database, meters["ups"]).values()) == 99 * 30_000
    with pytest.raises(errors.GovpoolError, match="import_other_file"):
        database.read(lambda tx: imports.find(tx, "acc", "key", content + b"\n"))


def test_a_file_is_refused_whole_with_every_line_that_is_wrong(
    database: store_database.Database, meters: dict[str, model.Meter]
) -> None:
    append(database, [reading(meters["main"], 0, 7)])
    wrong = CSV + "\n".join(
        [
            "main,energy,2026-10-01T00:00:00Z,9",  # 202: conflicts with line 2
            "nobody,energy,2026-10-02T00:00:00Z,1",
            "main,power,2026-10-02T00:00:00Z,1",
            "main,energy,2026-10-02T00:00:00,1",
            "main,energy,2126-10-02T00:00:00Z,1",
            "main,energy,2026-10-02T00:00:00Z,-1",
            "main,energy,2026-10-02T00:00:00Z,1000000",
            "main,energy,2026-10-02T00:00:00Z,NaN",
            "main,energy,2026-10-02T00:00:00Z",
            'main,energy,2026-10-02T00:00:00Z,"1',
        ]
    )
    with pytest.raises(errors.GovpoolError) as refused:
        database.read(lambda tx: imports.check(tx, wrong.encode()))
    found = {finding.place: finding.code for finding in refused.value.findings}
    assert found == {
        "line 2": "reading.conflict",
        "line 202": "reading.conflict",
        "line 203": "meter.unknown",
        "line 204": "register.unknown",
        "line 205": "reading.time",
        "line 206": "reading.time",
        "line 207": "reading.value",
        "line 208": "reading.range",
        "line 209": "reading.value",
        "line 210": "reading.line",
        "line 211": "reading.line",
    }


def test_an_import_given_up_half_way_stands_in_nobodys_way(
    database: store_database.Database, meters: dict[str, model.Meter]
) -> None:
    """Mutants: its readings shadow the same ones of a later file, or conflict with the corrected ones."""
    content = CSV.encode()
    rows = database.read(lambda tx: imports.check(tx, content))
    begun = database.lane.run(lambda tx: imports.begin(tx, "acc", "given up", content, len(rows)))
    database.lane.run(lambda tx: imports.append(tx, begun.id, rows, len(rows)))
    corrected = CSV.replace(",400\n", ",450\n").encode()
    rows = database.read(lambda tx: imports.check(tx, corrected))
    again = database.lane.run(lambda tx: imports.begin(tx, "acc", "right", corrected, len(rows)))
    database.lane.run(lambda tx: imports.append(tx, again.id, rows, len(rows)))
    database.lane.run(lambda tx: imports.complete(tx, again.id, imports.first_moments(rows)))
    append(database, [])
    assert [stored(database, meters["main"])[START_US + n * QUARTER_US][0] for n in range(3)] == [45_000, 35_000, 40_000]
    with pytest.raises(errors.GovpoolError, match="import_findings"):
        database.read(lambda tx: imports.check(tx, content, begun.id))


@pytest.mark.parametrize(
    "content", [b"", b"\xff\xfe", b"meter,register\n", b"meter,register,read_at,value\n", "电表".encode("gbk")]
)
def test_a_file_that_is_none_is_refused(database: store_database.Database, content: bytes) -> None:
    with pytest.raises(errors.GovpoolError, match="import_findings"):
        database.read(lambda tx: imports.check(tx, content))


def test_a_byte_order_mark_and_carriage_returns_are_no_hindrance(
    database: store_database.Database, meters: dict[str, model.Meter]
) -> None:
    content = b"\xef\xbb\xbf" + CSV.replace("\n", "\r\n").encode()
    rows: Sequence[reading_file.Row] = database.read(lambda tx: imports.check(tx, content))
    assert len(rows) == 200
