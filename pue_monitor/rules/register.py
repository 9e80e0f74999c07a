"""The register rule: from the set of readings of one cumulative register to a ledger of quarters.  Pure, and resumable at any reading.

What meters do: wrap at their modulus, show 0 for a while after a restart, get exchanged, stand still for a day, miss polls.  The rule, for an
advance d of the raw value, with P = 1.2 times the rating:

1. 0 <= d within P x time: accept.  Time counts from the last reading, or else from the last CHANGE of the value (a register that stood still
   and then caught up; the flat stretch is then drawn as a straight line, quality R).
2. d < 0: the same with d mod modulus: a ROLLOVER.
3. Otherwise the reading is held in QUARANTINE and the base stays.
4. A later reading that continues the base drops what was held.
5. Two held readings that agree with each other and not with the base: an undeclared RESET.  A new chain starts; the time between is a hole.
6. A declared swap continues the chain exactly.

Three refinements that keep silence from becoming energy.  A fall to exactly 0 is always held first, and zeros agree with nothing until the value
moves: a restarting meter shows 0 for minutes.  A gap in which the register could have wrapped once more than seen is a hole.  One step of
the register is allowed on top of the bound, because a truncated counter may show almost a step more than has flowed.

The result is a function of the SET of readings: they are taken in order of time, equal ones count once, and two values at one moment cancel
each other.  Boundary values lie on the straight line between the two readings around them, rounded down to whole Wh, so a chain's entries
sum to its register's advance.
"""

import dataclasses
import fractions
from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from pue_monitor import model
from pue_monitor.model import MICRO, QUARTER_US, Happening, Quality

MARGIN: Final = fractions.Fraction(6, 5)
US_PER_HOUR: Final = 3_600_000_000
BRIDGE_US: Final = 400 * 86_400_000_000
"""A longer gap between two readings is a hole: the ledger would be a line drawn over more than a year."""


@dataclasses.dataclass(frozen=True, slots=True)
class Knot:
    """An accepted reading as a point of the energy curve, with what the quarter it lies in needs to be finished later."""

    at_us: int
    wh: fractions.Fraction  # cumulative along the chain
    boundary_wh: int | None  # the curve at the start of this quarter; None if the chain starts inside it
    rough: bool  # a gap of more than a quarter reaches into this quarter


@dataclasses.dataclass(frozen=True, slots=True)
class Held:
    """Quarantined readings that agree: the first and the last.  More than one only while they are all 0."""

    first_us: int
    last_us: int
    value_micro: int


@dataclasses.dataclass(frozen=True, slots=True)
class State:
    """Where the rule stands after the reading at `seen_us`.  `base` is the last accepted reading, `changed` the one that first showed its value."""

    seen_us: int
    value_micro: int
    base: Knot
    changed: Knot
    held: Held | None
    swaps: int  # how many declared swaps were passed


@dataclasses.dataclass(frozen=True, slots=True)
class Derived:
    """What a run gives: entries by start of quarter that replace everything from `from_us` on, new events, the state to go on from."""

    entries: dict[int, model.Entry]
    events: list[model.Event]
    state: State | None
    from_us: int
    stuck: list[tuple[int, int]]  # (changed, jump): states saved between the two must not be resumed


def floor(at_us: int) -> int:
    """The start of the quarter that a moment lies in."""
    return at_us - at_us % QUARTER_US


def derive(
    fit: model.Fit,
    swaps: Sequence[model.Swap],
    readings: Iterable[tuple[int, int]],
    state: State | None = None,
    to_us: int = 0,
) -> Derived:
    """Apply the rule to `readings` (moment in us, raw value in millionths), in order of time and all later than `state.seen_us`.

    `fit` is that of the first meter; `swaps` are all declared ones in order of time, applied up to the last reading, or up to `to_us` if that
    is later.  O(readings + quarters).
    """
    walk = _Walk(fit, swaps, state)
    for at_us, value_micro in _single(readings, walk):
        walk.pass_swaps(at_us)
        walk.take(at_us, value_micro)
    walk.pass_swaps(to_us)
    return walk.result()


def within(fit: model.Fit, advance_micro: int, time_us: int) -> bool:
    """Whether an advance, less one step of the register, is no more than the rating times the margin over the time."""
    wh = fit.scale * max(0, advance_micro - MICRO) / MICRO
    return wh <= fit.rating_w * MARGIN * time_us / US_PER_HOUR


def _single(readings: Iterable[tuple[int, int]], walk: "_Walk") -> Iterator[tuple[int, int]]:
    """Each moment once; a moment with two values is reported and left out."""
    at: int | None = None
    values: set[int] = set()
    for at_us, value in readings:
        if at_us != at:
            if at is not None and len(values) == 1:
                yield at, values.pop()
            elif at is not None:
                walk.conflict(at, max(values))
            at, values = at_us, set()
        values.add(value)
    if at is not None and len(values) == 1:
        yield at, values.pop()
    elif at is not None:
        walk.conflict(at, max(values))


@dataclasses.dataclass(frozen=True, slots=True)
class _Advance:
    micro: int
    rolled: bool
    stuck: bool
    ambiguous: bool


class _Walk:
    """The rule in motion."""

    def __init__(self, fit: model.Fit, swaps: Sequence[model.Swap], state: State | None) -> None:
        self._swaps = swaps
        self._passed = state.swaps if state else 0
        self._fit = swaps[self._passed - 1].fit if self._passed else fit
        self._value = state.value_micro if state else 0
        self._base = state.base if state else None
        self._changed = state.changed if state else None
        self._held = state.held if state else None
        self._seen = state.seen_us if state else None
        self._from = floor(state.base.at_us) if state else 0
        self._entries: dict[int, model.Entry] = {}
        self._events: list[model.Event] = []
        self._stuck: list[tuple[int, int]] = []

    def take(self, at_us: int, value: int) -> None:
        """One reading."""
        self._seen = at_us
        if self._base is None:
            self._start(at_us, value)
            return
        advance = self._continues(at_us, value)
        if advance is None:
            self._hold(at_us, value)
            return
        self._drop_held(at_us)
        self._go_on(at_us, value, advance)

    def pass_swaps(self, until_us: int) -> None:
        """Apply the declared swaps up to and including a moment."""
        while self._passed < len(self._swaps) and self._swaps[self._passed].at_us <= until_us:
            swap = self._swaps[self._passed]
            self._passed += 1
            self._seen = swap.at_us
            self._swap(swap)

    def conflict(self, at_us: int, value: int) -> None:
        """Two values at one moment: neither counts."""
        self._event(at_us, Happening.CONFLICT, value, at_us)

    def result(self) -> Derived:
        """The end of the run; what is still held marks its quarters Q."""
        state = None
        if self._base is not None and self._changed is not None and self._seen is not None:
            state = State(self._seen, self._value, self._base, self._changed, self._held, self._passed)
            if self._held is not None:
                for start in range(floor(self._base.at_us), self._held.last_us, QUARTER_US):
                    self._entries[start] = model.Entry(None, Quality.QUARANTINED)
        return Derived(self._entries, self._events, state, self._from, self._stuck)

    def _swap(self, swap: model.Swap) -> None:
        if self._base is None:
            self._fit = swap.fit
            self._start(swap.at_us, swap.first_micro)
            return
        advance = self._continues(swap.at_us, swap.final_micro, trusted=True)
        self._drop_held(swap.at_us)
        if advance is None or advance.ambiguous:
            self._event(swap.at_us, Happening.SWAP_DISAGREES, swap.final_micro, self._base.at_us)
            self._fit = swap.fit
            self._start(swap.at_us, swap.first_micro)
            return
        self._go_on(swap.at_us, swap.final_micro, advance)
        self._event(swap.at_us, Happening.SWAP, swap.final_micro, swap.at_us)
        self._fit, self._value = swap.fit, swap.first_micro
        self._changed = self._base

    def _continues(self, at_us: int, value: int, *, trusted: bool = False) -> _Advance | None:
        assert self._base is not None
        assert self._changed is not None
        return self._advance(self._value, value, at_us, (self._base.at_us, self._changed.at_us), trusted=trusted)

    def _advance(self, old: int, new: int, at_us: int, since_us: Sequence[int], *, trusted: bool = False) -> _Advance | None:
        rolled = new < old
        if rolled and new == 0 and not trusted:
            return None
        micro = new - old + (self._fit.modulus_micro if rolled else 0)
        for stuck, since in enumerate(since_us):
            if within(self._fit, micro, at_us - since):
                ambiguous = within(self._fit, micro + self._fit.modulus_micro, at_us - since)
                return _Advance(micro, rolled, bool(stuck), ambiguous)
        return None

    def _go_on(self, at_us: int, value: int, advance: _Advance) -> None:
        assert self._base is not None
        assert self._changed is not None
        if advance.ambiguous or at_us - self._base.at_us > BRIDGE_US:
            self._event(at_us, Happening.AMBIGUOUS if advance.ambiguous else Happening.GAP, value, self._base.at_us)
            self._start(at_us, value)
            return
        begin = self._base
        if advance.stuck:
            begin = self._changed
            self._from = min(self._from, floor(begin.at_us))
            self._stuck.append((begin.at_us, at_us))
            self._event(at_us, Happening.STUCK, value, begin.at_us)
        if advance.rolled:
            self._event(at_us, Happening.ROLLOVER, value, begin.at_us)
        self._base = self._line(begin, at_us, begin.wh + self._fit.scale * advance.micro / MICRO, rough=advance.stuck)
        if advance.micro:
            self._changed = self._base
        self._value = value

    def _line(self, begin: Knot, at_us: int, wh: fractions.Fraction, *, rough: bool) -> Knot:
        """Draw the straight line to the next reading; entries of the quarters that it ends."""
        rough = rough or at_us - begin.at_us > QUARTER_US
        last, quarter_rough = begin.boundary_wh, begin.rough
        for boundary in range(floor(begin.at_us) + QUARTER_US, at_us + 1, QUARTER_US):
            value = (begin.wh + (wh - begin.wh) * (boundary - begin.at_us) / (at_us - begin.at_us)).__floor__()
            if last is not None:
                quality = Quality.RECONSTRUCTED if rough or quarter_rough else Quality.MEASURED
                self._entries[boundary - QUARTER_US] = model.Entry(value - last, quality)
            last, quarter_rough = value, False
        return Knot(at_us, wh, last, at_us % QUARTER_US != 0 and (rough or quarter_rough))

    def _start(self, at_us: int, value: int) -> None:
        """A new chain."""
        wh = self._fit.scale * value / MICRO
        self._base = Knot(at_us, wh, None if at_us % QUARTER_US else wh.__floor__(), False)
        self._changed, self._value, self._held = self._base, value, None

    def _hold(self, at_us: int, value: int) -> None:
        assert self._base is not None
        held = self._held
        if held is None:
            self._held = Held(at_us, at_us, value)
        elif value == 0 and held.value_micro == 0:
            self._held = Held(held.first_us, at_us, 0)
            return
        elif value != 0 and (advance := self._advance(held.value_micro, value, at_us, (held.last_us, held.first_us))) is not None:
            self._event(at_us, Happening.RESET, value, self._base.at_us)
            self._start(held.first_us, held.value_micro)
            if held.last_us > held.first_us and not advance.stuck:
                self._go_on(held.last_us, held.value_micro, _Advance(0, False, False, False))
            self._go_on(at_us, value, advance)
            return
        else:
            self._drop_held(at_us)
            self._held = Held(at_us, at_us, value)
        self._event(at_us, Happening.QUARANTINE, value, self._base.at_us)

    def _drop_held(self, at_us: int) -> None:
        if self._held is not None:
            self._event(at_us, Happening.DROPPED, self._held.value_micro, self._held.first_us)
            self._held = None

    def _event(self, at_us: int, happening: Happening, value: int, about_us: int) -> None:
        self._events.append(model.Event(at_us=at_us, happening=happening, value_micro=value, about_us=about_us))
