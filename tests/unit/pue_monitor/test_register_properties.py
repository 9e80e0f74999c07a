"""Properties of the register rule: any order, repetition or loss of readings; conservation; a run resumed anywhere equals a whole run."""

import bisect
import fractions
from collections.abc import Sequence

import hypothesis
from hypothesis import strategies as st

from pue_monitor import model
from pue_monitor.model import MICRO, QUARTER_US
from pue_monitor.rules import register

START = 1_790_812_800_000_000
RATING_W = 100_000
PERIOD_S = 300


@st.composite
def stories(draw: st.DrawFn) -> tuple[model.Fit, list[tuple[int, int]], list[int]]:
    """A register under a varying load: its fit, its true readings every 5 minutes, and the true energy in raw steps at each."""
    scale = draw(
        st.sampled_from([fractions.Fraction(1), fractions.Fraction(10), fractions.Fraction(5, 4), fractions.Fraction(100)])
    )
    modulus = draw(st.sampled_from([2**20, 1_000_000, 2**32]))
    fit = model.Fit(scale=scale, modulus=modulus, rating_w=RATING_W)
    loads_w = draw(st.lists(st.integers(0, RATING_W), min_size=8, max_size=60))
    total, raw = draw(st.integers(0, modulus - 1)), []
    energy = fractions.Fraction(total)
    for load in loads_w:
        raw.append(energy.__floor__())
        energy += fractions.Fraction(load * PERIOD_S, 3600) / scale
    readings = [(START + number * PERIOD_S * 1_000_000, value % modulus * MICRO) for number, value in enumerate(raw)]
    return fit, readings, raw


def known(derived: register.Derived) -> dict[int, int]:
    return {start: entry.wh for start, entry in derived.entries.items() if entry.wh is not None}


def curve(readings: Sequence[tuple[int, int]], raw: Sequence[int], scale: fractions.Fraction, at_us: int) -> int | None:
    """Another way to the same: the straight line through ALL true readings, in whole Wh."""
    times = [at for at, _ in readings]
    place = bisect.bisect_left(times, at_us)
    if place == len(times) or (place == 0 and times[0] != at_us):
        return None
    if times[place] == at_us:
        return (raw[place] * scale).__floor__()
    (a, b), (u, v) = (times[place - 1], times[place]), (raw[place - 1], raw[place])
    return ((u + fractions.Fraction((v - u) * (at_us - a), b - a)) * scale).__floor__()


@hypothesis.given(stories())
def test_the_ledger_equals_an_independent_recomputation(story: tuple[model.Fit, list[tuple[int, int]], list[int]]) -> None:
    fit, readings, raw = story
    entries = known(register.derive(fit, [], readings))
    expected = {}
    for start in range(register.floor(readings[0][0]), readings[-1][0], QUARTER_US):
        low, high = (curve(readings, raw, fit.scale, at) for at in (start, start + QUARTER_US))
        if low is not None and high is not None:
            expected[start] = high - low
    assert entries == expected or _zero_was_held(readings)


def _zero_was_held(readings: Sequence[tuple[int, int]]) -> bool:
    """A register that passes exactly 0 has that one reading left out: the sums agree, the shape may not."""
    return any(value == 0 for _, value in readings[1:])


@hypothesis.given(stories(), st.randoms(use_true_random=False), st.data())
def test_order_and_repetition_change_nothing(
    story: tuple[model.Fit, list[tuple[int, int]], list[int]], random: object, data: st.DataObject
) -> None:
    """The store hands the readings over sorted; what remains to show is that repeated ones count once."""
    fit, readings, _ = story
    again = data.draw(st.lists(st.sampled_from(readings), max_size=20))
    assert register.derive(fit, [], sorted(readings + again)) == register.derive(fit, [], readings)


@hypothesis.given(stories(), st.data())
def test_lost_readings_keep_the_energy_or_leave_a_hole(
    story: tuple[model.Fit, list[tuple[int, int]], list[int]], data: st.DataObject
) -> None:
    """Over any stretch of entries without a hole, the sum is the true advance of the register between boundaries that have a reading."""
    fit, readings, raw = story
    lost = data.draw(st.sets(st.integers(0, len(readings) - 1), max_size=len(readings) - 2))
    kept = [reading for number, reading in enumerate(readings) if number not in lost]
    entries = known(register.derive(fit, [], kept))
    exact = {at: (raw[n] * fit.scale).__floor__() for n, (at, value) in enumerate(readings) if n not in lost and value}
    for start in sorted(entries):
        end, total = start, 0
        while end in entries:
            total, end = total + entries[end], end + QUARTER_US
            if start in exact and end in exact:
                assert total == exact[end] - exact[start]


@hypothesis.given(stories(), st.data())
def test_zeros_and_spikes_in_between_cost_no_energy(
    story: tuple[model.Fit, list[tuple[int, int]], list[int]], data: st.DataObject
) -> None:
    fit, readings, raw = story
    hypothesis.assume(readings[0][1] != 0)
    spoiled = list(readings)
    for number in data.draw(st.sets(st.integers(1, len(readings) - 2), max_size=5)):
        at, value = readings[number]
        spoiled[number] = (at, data.draw(st.sampled_from([0, (value + fit.modulus_micro // 2) % fit.modulus_micro])))
    hypothesis.assume(not any(_agree(fit, spoiled, readings, n) for n in range(1, len(spoiled) - 1)))
    derived = register.derive(fit, [], spoiled)
    hypothesis.assume(all(event.happening is not model.Happening.AMBIGUOUS for event in derived.events))
    entries = known(derived)
    first, last = (at for at in (readings[0][0], readings[-1][0]))
    quarters = [start for start in range(register.floor(first), last, QUARTER_US) if start >= first and start + QUARTER_US <= last]
    if quarters and spoiled[-1] == readings[-1] and readings[-1][1]:
        high = curve(readings, raw, fit.scale, last)
        low = curve(readings, raw, fit.scale, first)
        assert low is not None
        assert high is not None
        assert sum(entries[start] for start in quarters) <= high - low


def _agree(fit: model.Fit, spoiled: Sequence[tuple[int, int]], true: Sequence[tuple[int, int]], n: int) -> bool:
    """Two lies next to each other that agree are a reset by rule 5; that is another test."""
    return spoiled[n] != true[n] and spoiled[n][1] != 0 and spoiled[n + 1] != true[n + 1] and spoiled[n + 1][1] != 0


@hypothesis.given(stories(), st.data())
def test_a_run_resumed_anywhere_equals_a_whole_run(
    story: tuple[model.Fit, list[tuple[int, int]], list[int]], data: st.DataObject
) -> None:
    """Whatever the readings are, sane or not, a resumed run gives the same ledger, events and state."""
    fit, readings, _ = story
    number = st.integers(0, len(readings) - 1)
    noisy = list(readings)
    for spoil in data.draw(st.sets(number, max_size=8)):
        lie = data.draw(st.sampled_from([0, readings[max(0, spoil - 1)][1], fit.modulus_micro // 3]))
        noisy[spoil] = (readings[spoil][0], lie)
    swap_at = readings[data.draw(number)][0] + 1
    swaps = [model.Swap(at_us=swap_at, final_micro=noisy[-1][1], first_micro=0, fit=fit)]
    whole = register.derive(fit, swaps, noisy)
    cut = data.draw(st.integers(1, len(noisy)))
    first = register.derive(fit, swaps, noisy[:cut])
    second = register.derive(fit, swaps, noisy[cut:], first.state)
    joined = {start: entry for start, entry in first.entries.items() if start < second.from_us} | second.entries
    assert joined == whole.entries
    assert first.events + second.events == whole.events
    assert second.state == whole.state


@hypothesis.given(stories())
def test_no_entry_is_negative_or_above_the_rating(story: tuple[model.Fit, list[tuple[int, int]], list[int]]) -> None:
    fit, readings, _ = story
    bound = fit.rating_w * register.MARGIN / 4 + 6 * fit.scale + 1
    assert all(0 <= wh <= bound for wh in known(register.derive(fit, [], readings)).values())
