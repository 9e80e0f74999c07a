"""The register rule on small cases, each named after what a meter did."""

import fractions

import pytest

from pue_monitor import model
from pue_monitor.model import MICRO, QUARTER_US, Happening
from pue_monitor.rules import register

START = 1_790_812_800_000_000  # 2026-10-01T00:00:00Z
FIT = model.Fit(scale=fractions.Fraction(1), modulus=2**32, rating_w=100_000)  # 1 Wh a step; 30,000 Wh a quarter is the bound


def at(quarters: float) -> int:
    return START + int(quarters * QUARTER_US)


def points(*pairs: tuple[float, int]) -> list[tuple[int, int]]:
    return [(at(quarters), value * MICRO) for quarters, value in pairs]


def derive(*pairs: tuple[float, int], fit: model.Fit = FIT, swaps: tuple[model.Swap, ...] = ()) -> register.Derived:
    return register.derive(fit, swaps, points(*pairs), to_us=at(10_000))


def energies(derived: register.Derived) -> dict[int, int | None]:
    return {(start - START) // QUARTER_US: entry.wh for start, entry in sorted(derived.entries.items())}


def marks(derived: register.Derived) -> str:
    return "".join(entry.quality for _, entry in sorted(derived.entries.items()))


def happenings(derived: register.Derived) -> list[Happening]:
    return [event.happening for event in derived.events]


def test_plain_advances_are_measured() -> None:
    assert energies(derive((0, 1000), (1, 6000), (2, 12_000))) == {0: 5000, 1: 6000}
    assert marks(derive((0, 1000), (1, 6000), (2, 12_000))) == "MM"


def test_a_wrap_of_the_register_is_not_a_reset() -> None:
    derived = derive((0, 2**32 - 3000), (1, 2000))
    assert energies(derived) == {0: 5000}
    assert happenings(derived) == [Happening.ROLLOVER]


def test_a_wrap_at_a_decimal_modulus_is_seen_as_one() -> None:
    bcd = model.Fit(scale=fractions.Fraction(10), modulus=100_000_000, rating_w=100_000)
    assert energies(derive((0, 99_999_900), (1, 400), fit=bcd)) == {0: 5000}


def test_a_jump_beyond_the_rating_is_held_and_dropped_when_the_base_goes_on() -> None:
    derived = derive((0, 0), (1, 5000), (2, 900_000), (3, 15_000))
    assert energies(derived) == {0: 5000, 1: 5000, 2: 5000}
    assert marks(derived) == "MRR"
    assert happenings(derived) == [Happening.QUARANTINE, Happening.DROPPED]


def test_what_is_held_at_the_end_marks_its_quarters_q() -> None:
    derived = derive((0, 0), (1, 5000), (2, 900_000))
    assert energies(derived) == {0: 5000, 1: None}
    assert marks(derived) == "MQ"


def test_two_agreeing_readings_are_a_reset_and_the_time_between_is_a_hole() -> None:
    derived = derive((0, 800_000), (1, 805_000), (2, 700), (3, 5700), (4, 10_700))
    assert energies(derived) == {0: 5000, 2: 5000, 3: 5000}
    assert happenings(derived) == [Happening.QUARANTINE, Happening.RESET]


@pytest.mark.parametrize("zeros", [1, 2, 30])
def test_zeros_after_a_restart_are_no_reset_however_many(zeros: int) -> None:
    """Mutant: 'two agreeing readings are a reset' taken to the letter makes a reset of two zeros and loses the register."""
    pairs = [(0, 800_000), (1, 805_000), *((1 + (n + 1) / 50, 0) for n in range(zeros)), (2, 810_000)]
    derived = derive(*pairs)
    assert energies(derived) == {0: 5000, 1: 5000}
    assert Happening.RESET not in happenings(derived)


def test_a_meter_that_really_starts_again_at_zero_is_a_reset_once_it_moves() -> None:
    derived = derive((0, 800_000), (1, 805_000), (2, 0), (3, 0), (4, 5000), (5, 10_000))
    assert energies(derived) == {0: 5000, 2: 0, 3: 5000, 4: 5000}
    assert happenings(derived) == [Happening.QUARANTINE, Happening.RESET]


def test_a_zero_just_before_the_wrap_is_not_taken_for_the_wrap() -> None:
    top = 2**32
    derived = derive((0, top - 20_000), (1, top - 15_000), (1.5, 0), (2, top - 10_000), (3, top - 5000), (4, 0), (5, 5000))
    assert energies(derived) == {0: 5000, 1: 5000, 2: 5000, 3: 5000, 4: 5000}


def test_a_day_that_stood_still_is_caught_up_from_the_last_change() -> None:
    """Mutant: a bound by the time since the last READING loses the day."""
    still = [(float(quarter), 5000) for quarter in range(1, 97)]
    derived = derive((0, 0), *still, (97, 5000 + 96 * 5000), (98, 5000 + 97 * 5000))
    assert sum(wh for wh in energies(derived).values() if wh is not None) == 98 * 5000
    assert marks(derived) == "M" + "R" * 96 + "M"
    assert energies(derived)[50] == 5000
    assert happenings(derived) == [Happening.STUCK]


def test_a_declared_swap_bridges_exactly() -> None:
    fresh = model.Fit(scale=fractions.Fraction(100), modulus=2**32, rating_w=100_000)
    swap = model.Swap(at_us=at(1.5), final_micro=7500 * MICRO, first_micro=12 * MICRO, fit=fresh)
    derived = derive((0, 0), (1, 5000), (2, 37), (3, 87), swaps=(swap,))
    assert energies(derived) == {0: 5000, 1: 5000, 2: 5000}
    assert happenings(derived) == [Happening.SWAP]


def test_a_swap_whose_final_value_cannot_be_is_a_hole_not_energy() -> None:
    swap = model.Swap(at_us=at(1.5), final_micro=75_000_000 * MICRO, first_micro=0, fit=FIT)
    derived = derive((0, 0), (1, 5000), (2, 2500), (3, 7500), swaps=(swap,))
    assert energies(derived) == {0: 5000, 2: 5000}
    assert happenings(derived) == [Happening.SWAP_DISAGREES]


def test_a_gap_keeps_its_total_and_loses_its_shape() -> None:
    derived = derive((0, 0), (1, 4000), (5, 24_000), (6, 28_000))
    assert energies(derived) == {0: 4000, 1: 5000, 2: 5000, 3: 5000, 4: 5000, 5: 4000}
    assert marks(derived) == "MRRRRM"


def test_a_gap_in_which_the_register_may_have_wrapped_once_more_is_a_hole() -> None:
    small = model.Fit(scale=fractions.Fraction(1), modulus=2**16, rating_w=100_000)
    derived = derive((0, 0), (1, 5000), (5, 25_000), (6, 30_000), fit=small)
    assert energies(derived) == {0: 5000, 5: 5000}
    assert happenings(derived) == [Happening.AMBIGUOUS]


def test_two_values_at_one_moment_cancel_each_other() -> None:
    derived = derive((0, 0), (1, 5000), (1, 5001), (2, 10_000))
    assert energies(derived) == {0: 5000, 1: 5000}
    assert marks(derived) == "RR"
    assert happenings(derived) == [Happening.CONFLICT]


def test_a_fast_poll_of_a_coarse_register_is_not_too_much() -> None:
    """A register of 1 kWh steps, polled every 10 s at 98 % of the rating: a step may show 10 s after the last one."""
    coarse = model.Fit(scale=fractions.Fraction(1000), modulus=2**32, rating_w=250_000)
    pairs = [(second / 900, second * 245 // 3600) for second in range(0, 3601, 10)]
    derived = derive(*pairs, fit=coarse)
    assert happenings(derived) == []
    assert sum(wh or 0 for wh in energies(derived).values()) == 245_000


def test_a_whole_register_can_be_read_at_odd_moments() -> None:
    derived = derive((0.5, 1000), (1.5, 4000), (2.5, 8000), (3.5, 12_000))
    assert energies(derived) == {1: 3500, 2: 4000}
    assert marks(derived) == "MM"


def test_a_quarter_that_a_gap_reaches_into_is_reconstructed() -> None:
    derived = derive((0, 0), (1, 4000), (2.5, 10_000), (3, 12_000), (4, 16_000))
    assert marks(derived) == "MRRM"


def test_a_new_meter_has_not_stood_still_with_the_old_one() -> None:
    """Flat for two hours, exchanged, then an advance that would fit only those two hours: it is held."""
    swap = model.Swap(at_us=at(8.5), final_micro=5000 * MICRO, first_micro=0, fit=FIT)
    flat = [(float(quarter), 5000) for quarter in range(1, 9)]
    derived = derive((0, 0), *flat, (9, 100_000), swaps=(swap,))
    assert happenings(derived) == [Happening.SWAP, Happening.QUARANTINE]
