"""PUE: energy over energy, refused below 1, never published without its reasons."""

import datetime
from typing import Any

import hypothesis
import pytest
from hypothesis import strategies as st

from primitives import clock
from pue_monitor import model
from pue_monitor.model import QUARTER_US, Quality
from pue_monitor.rules import pue

START = datetime.datetime(2025, 10, 1, tzinfo=clock.UTC)
START_US = clock.to_us(START)
YEAR = datetime.datetime(2026, 10, 1, tzinfo=clock.UTC)
DAY = START + datetime.timedelta(days=1)


def hall(boundary: str = "whole") -> model.Hall:
    return model.Hall(id="h", code="hall-a", name="一号模块", site="政务云中心", boundary=boundary, category=2, generation=1)


def meter(code: str, side: model.Side, calibrated_until: datetime.datetime | None = YEAR) -> model.Meter:
    return model.Meter(
        id=code, code=code, hall_id="h", hall="hall-a", side=side, name=code, rating_w=1, host="", port=1, unit=1, poll_s=0,
        installed_at=None, removed_at=None, calibrated_until=calibrated_until, registers=(), generation=1,
    )  # fmt: skip


BOTH = [meter("进线", model.Side.FACILITY), meter("UPS", model.Side.IT)]


def quarters(*pairs: tuple[int | None, int | None], quality: Quality = Quality.MEASURED) -> list[pue.Quarter]:
    return [
        pue.Quarter(START_US + n * QUARTER_US, facility, it, quality if None not in (facility, it) else Quality.MISSING)
        for n, (facility, it) in enumerate(pairs)
    ]


def show(*pairs: tuple[int | None, int | None], to: datetime.datetime = YEAR, **more: Any) -> dict[str, Any]:
    return pue.show(more.pop("hall", hall()), more.pop("meters", BOTH), START, to, quarters(*pairs, **more))


def codes(shown: dict[str, Any]) -> set[str]:
    return {reason["code"] for reason in shown["reasons"]}


def test_a_year_that_is_whole_is_reportable() -> None:
    shown = show(*[(1300, 1000)] * 100)
    assert shown == {
        "value": "1.300",
        "name": "PUE",
        "interim": False,
        "category": 2,
        "facility_wh": 130_000,
        "it_wh": 100_000,
        "intervals": 100,
        "completeness": {"energy": "1.0000", "profile": "1.0000"},
        "quality": {"M": 100, "R": 0, "P": 0, "E": 0, "X": 0, "Q": 0},
        "reportable": True,
        "reasons": [],
    }


@pytest.mark.parametrize(
    ("facility", "it", "value"), [(12_345, 10_000, "1.235"), (12_344, 10_000, "1.234"), (3, 2, "1.500"), (7, 7, "1.000")]
)
def test_the_value_has_three_places_half_up(facility: int, it: int, value: str) -> None:
    assert show((facility, it))["value"] == value


def test_a_value_below_one_is_refused_not_rounded_up() -> None:
    """9,999,999 / 10,000,000 rounds to 1.000 and is still a boundary error."""
    shown = show((9_999_999, 10_000_000))
    assert shown["value"] is None
    assert shown["reportable"] is False
    assert codes(shown) >= {"value.below_one"}


def test_one_impossible_interval_is_an_alarm_and_is_never_clipped() -> None:
    """The published dashboards that average ratios show 117.88 and -33.97; a sum of energies does not, and says which intervals are wrong."""
    shown = show(*[(1300, 1000)] * 100, (100, 1000), (117_880, 1000))
    assert shown["facility_wh"] == 130_000 + 100 + 117_880
    assert "balance.alarm" in codes(shown)


def test_intervals_of_one_side_only_count_on_neither() -> None:
    shown = show((1300, 1000), (None, 1000), (9000, None))
    assert (shown["value"], shown["facility_wh"], shown["it_wh"], shown["intervals"]) == ("1.300", 1300, 1000, 1)
    assert shown["completeness"]["energy"] == "0.3333"


def test_under_twelve_months_is_interim_and_says_so() -> None:
    shown = show(*[(1300, 1000)] * 96, to=DAY)
    assert (shown["value"], shown["interim"], shown["reportable"]) == ("1.300", True, False)
    assert codes(shown) == {"period.short"}
    assert all(reason["en"] and reason["zh"] for reason in shown["reasons"])


@pytest.mark.parametrize(
    ("start", "end", "whole"),
    [
        ("2025-10-01T00:00:00+08:00", "2026-10-01T00:00:00+08:00", True),
        ("2025-10-01T00:00:00+08:00", "2026-09-30T23:45:00+08:00", False),
        ("2024-02-29T00:00:00+08:00", "2025-02-28T00:00:00+08:00", True),
    ],
)
def test_twelve_months_are_cut_by_the_calendar(start: str, end: str, whole: bool) -> None:
    assert pue.twelve_months(datetime.datetime.fromisoformat(start), datetime.datetime.fromisoformat(end)) is whole


def test_a_part_of_a_data_centre_is_a_ppue() -> None:
    shown = show((1300, 1000), hall=hall("part"))
    assert (shown["name"], shown["value"]) == ("pPUE", "1.300")
    assert codes(shown) == {"boundary.part"}


def test_a_meter_out_of_calibration_bars_the_report() -> None:
    meters = [meter("进线", model.Side.FACILITY, DAY), meter("UPS", model.Side.IT, None)]
    assert codes(show((1300, 1000), meters=meters)) == {"calibration.expired", "calibration.unknown"}


def test_reconstructed_energy_counts_and_its_shape_does_not() -> None:
    shown = show((1300, 1000), quality=Quality.RECONSTRUCTED)
    assert shown["completeness"] == {"energy": "1.0000", "profile": "0.0000"}


def test_open_quarantine_bars_the_report() -> None:
    held = pue.Quarter(START_US, None, 1000, Quality.QUARANTINED)
    shown = pue.show(hall(), BOTH, START, YEAR, [held, *quarters(*[(1300, 1000)] * 200)[1:]])
    assert codes(shown) == {"quarantine.open"}
    assert shown["quality"]["Q"] == 1


def test_a_hall_without_it_meters_or_energy_has_no_value() -> None:
    assert codes(show((1300, 0), meters=BOTH[:1])) >= {"meters.missing", "energy.none"}
    assert show(to=DAY)["value"] is None


@pytest.mark.parametrize("lacking", [(2, 1), (1, 0)])
def test_a_quarter_in_which_one_meter_is_silent_is_missing(lacking: tuple[int, int]) -> None:
    full = pue.Sum(wh=1000, meters=1, known=1, worst=Quality.MEASURED)
    part = pue.Sum(wh=700, meters=lacking[0], known=lacking[1], worst=Quality.MEASURED)
    made = pue.quarter(START_US, part, full)
    assert (made.facility_wh, made.it_wh, made.quality) == (None, 1000, Quality.MISSING)
    assert not made.coincident


@hypothesis.given(
    st.lists(st.tuples(st.one_of(st.none(), st.integers(0, 10**9)), st.one_of(st.none(), st.integers(0, 10**9))), max_size=60)
)
def test_whatever_comes_in_the_value_is_the_exact_ratio_or_nothing(pairs: list[tuple[int | None, int | None]]) -> None:
    shown = show(*pairs)
    both = [(facility, it) for facility, it in pairs if facility is not None and it is not None]
    assert shown["facility_wh"] == sum(facility for facility, _ in both)
    assert shown["it_wh"] == sum(it for _, it in both)
    if shown["value"] is None:
        assert shown["it_wh"] == 0 or shown["facility_wh"] < shown["it_wh"]
    else:
        thousandths = int(shown["value"].replace(".", ""))
        assert abs(2 * (thousandths * shown["it_wh"] - 1000 * shown["facility_wh"])) <= shown["it_wh"]
        assert thousandths >= 1000
