"""The simulator's plant: energy is the integral of power, the ratio moves with weather and load, past and present agree."""

import datetime

import hypothesis
import pytest
from hypothesis import strategies as st

from primitives import clock, errors
from pue_monitor import model
from pue_monitor.model import MICRO, QUARTER_US
from pue_monitor.rules import register
from pue_monitor.simulator import history, load, plant, script

PLANT = plant.Plant(load.DATA)
MONTH = tuple(clock.to_us(datetime.datetime(2026, month, 1, tzinfo=clock.UTC)) for month in (10, 11))


@hypothesis.given(st.sampled_from(plant.METERS), st.integers(0, 3 * 365 * 86_400_000), st.integers(1, 7_200_000))
def test_energy_is_the_integral_of_power(meter: plant.Meter, at_ms: int, for_ms: int) -> None:
    start, end = load.ORIGIN_US + at_ms * 1000, load.ORIGIN_US + (at_ms + for_ms) * 1000
    flowed = PLANT.energy_wh(meter, end) - PLANT.energy_wh(meter, start)
    corners = [start, end, *range(start - start % load.HOUR_US + load.HOUR_US, end, load.HOUR_US)]
    powers = [PLANT.power_w(meter, at) for at in corners]
    hours = (end - start) / load.HOUR_US
    assert (min(powers) - 2) * hours <= flowed <= (max(powers) + 2) * hours


def test_the_ratio_follows_weather_and_load_and_is_never_constant() -> None:
    facility, it = load.hall_curves(load.DATA, "b33-2013.csv.gz", 1000, 300_000)
    ratios = [facility.power_w[hour] * 1000 // it.power_w[hour] for hour in range(load.HOURS)]
    assert 1080 < min(ratios) < 1250 < max(ratios) < 1700
    assert len(set(ratios)) > 100
    january, july = ratios[: 31 * 24], ratios[181 * 24 : 212 * 24]
    assert sum(january) // len(january) < sum(july) // len(july)


def test_a_month_of_history_gives_the_true_energy_of_every_meter() -> None:
    """The registers wrap within the month; what the rule counts is what the plant says has flowed."""
    shown: dict[str, list[tuple[int, int]]] = {}
    for line in list(history.lines(load.DATA, *MONTH))[1:]:
        code, _, read_at, value = line.rstrip().split(",")
        shown.setdefault(code, []).append((clock.to_us(clock.parse(read_at)), int(value) * MICRO))
    rollovers = 0
    for meter in plant.METERS:
        fit = model.Fit(scale=meter.scale, modulus=meter.modulus, rating_w=meter.rating_w)
        derived = register.derive(fit, [], shown[meter.code])
        flowed = PLANT.energy_wh(meter, MONTH[1]) - PLANT.energy_wh(meter, MONTH[0])
        assert abs(sum(entry.wh or 0 for entry in derived.entries.values()) - flowed) <= meter.scale + 1
        assert len(derived.entries) == (MONTH[1] - MONTH[0]) // QUARTER_US
        assert {event.happening for event in derived.events} <= {model.Happening.ROLLOVER}
        rollovers += len(derived.events)
    assert rollovers >= 2


@pytest.mark.parametrize(
    "text",
    [
        "",
        "at_s,fault\n",
        "at_s,fault,meter,for_s\n0,explode,m,0",
        "at_s,fault,meter,for_s\n0,zero,nobody,0",
        "at_s,fault,meter,for_s\n-1,zero,m,0",
    ],
)
def test_a_script_with_a_mistake_names_its_line(text: str) -> None:
    with pytest.raises(errors.GovpoolError, match="script line"):
        script.read(text, ["m"])


def test_faults_show_what_they_are_called() -> None:
    meter = plant.METERS[2]
    start = clock.to_us(datetime.datetime(2026, 10, 5, tzinfo=clock.UTC))
    lines = ["at_s,fault,meter,for_s"] + [
        f"{at},{kind},{meter.code},10" for at, kind in ((10, "zero"), (30, "stuck"), (50, "dead"))
    ]
    faulty = plant.Plant(load.DATA, script.read("\n".join([*lines, f"70,swap,{meter.code},0"]), [meter.code]), start)

    def value(second: int) -> int:
        return faulty.value(meter, start + second * MICRO)

    assert value(15) == 0
    assert value(20) > value(5) > 0
    assert value(31) == value(39) < value(40)
    assert faulty.answer(meter, start + 55 * MICRO) == "dead"
    assert faulty.answer(meter, start + 61 * MICRO) == ""
    assert value(70) == 0 < value(100) < 10_000
