"""A year of real load through a lying register: wraps, zeros after restarts, a declared swap, 36 lost hours, a day that stood still.

The two naive rules beside ours are what other systems do; they show that the faults injected here do matter.
"""

import fractions
import itertools

import pytest

from pue_monitor import model
from pue_monitor.model import MICRO, QUARTER_US, Happening
from pue_monitor.rules import register
from tests.unit.pue_monitor import load

START = 1_356_998_400_000_000  # 2013-01-01T00:00:00Z


def true_raw(hours_wh: list[int], scale: fractions.Fraction, offset: int) -> list[int]:
    """What the register has counted (without wrapping) at each quarter of an hour."""
    energy, raw = fractions.Fraction(0), []
    for wh in hours_wh:
        for quarter in range(4):
            raw.append(offset + ((energy + fractions.Fraction(wh * quarter, 4)) / scale).__floor__())
        energy += wh
    return [*raw, offset + (energy / scale).__floor__()]


CASES = {
    "b2-2012": (fractions.Fraction(1), 2**32, 2_000_000, 4_000_000_000),
    "b33-2013": (fractions.Fraction(10), 100_000_000, 400_000, 30_000_000),
}


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("faults", ["wraps only", "zeros", "all"])
def test_a_year_of_real_load_is_exact_whatever_the_register_does(name: str, faults: str) -> None:
    scale, modulus, rating_w, offset = CASES[name]
    raw = true_raw(load.hourly_wh(name), scale, offset)
    fit = model.Fit(scale=scale, modulus=modulus, rating_w=rating_w)
    shown = {number: value % modulus for number, value in enumerate(raw)}
    swaps = []
    if faults != "wraps only":
        for number in (5_000, 15_000, 25_000):
            shown[number] = 0
    if faults == "all":
        swap = 18_000
        final = shown[swap]
        shown |= {number: (raw[number] - raw[swap]) % modulus for number in range(swap + 1, len(raw))}
        del shown[swap]
        swaps = [model.Swap(at_us=START + swap * QUARTER_US, final_micro=final * MICRO, first_micro=0, fit=fit)]
        for number in range(10_000, 10_144):  # 36 h lost
            del shown[number]
        for number in range(20_001, 20_096):  # 24 h still
            shown[number] = shown[20_000]
    readings = [(START + number * QUARTER_US, value * MICRO) for number, value in sorted(shown.items())]

    derived = register.derive(fit, swaps, readings)
    truth = ((raw[-1] - raw[0]) * scale).__floor__()
    counted = sum(entry.wh or 0 for entry in derived.entries.values())

    assert counted == truth
    assert len(derived.entries) == len(raw) - 1
    assert Happening.ROLLOVER in {event.happening for event in derived.events} or (faults == "all" and name == "b2-2012")
    if faults != "wraps only":
        assert abs(_increase(list(shown.values())) * scale - truth) > truth * fractions.Fraction(1, 4)


def _increase(values: list[int]) -> int:
    """The counter-reset rule of dashboards: any fall is a new start from 0."""
    return sum(new - old if new >= old else new for old, new in itertools.pairwise(values))
