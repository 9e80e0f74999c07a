"""Whether a history of concurrent operations is linearizable: could they have happened one after the other, each at one moment between its call
and its return, and each with the answer that it gave?

The search is that of Wing and Gong in the just-in-time form of Lowe (Testing for linearizability, 2017), with a memory of what was tried.  An
operation is put in its place no sooner than its return demands.  Two reductions lose nothing: what changes nothing (a read, a refusal) is
placed as soon as its answer fits, for that can stand in nobody's way; and of operations that do the same, the one that returns first goes first.
Independent objects are checked one by one (P-compositionality): the caller hands over one history for each.
"""

import collections
import dataclasses
from collections.abc import Callable, Hashable, Iterator, Sequence
from typing import Any, Final

BUDGET: Final = 300_000
"""Configurations that are looked at before the search gives up."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """One operation of a history.  Times are of one clock."""

    invoked: float
    returned: float
    apply: Callable[[Any], Any]  # state -> the state after it; None where it could not have given the answer that it gave
    does: Hashable = None  # what it changes: equal ones are interchangeable; None: nothing
    near: frozenset[Hashable] = frozenset()  # what it speaks of; only the order of the search depends on it
    text: str = ""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What was found: the operations in an order that explains them, or the first one that nothing explains."""

    order: Sequence[Operation] | None
    stuck_at: Operation | None = None
    tried: int = 0
    undecided: bool = False

    @property
    def linearizable(self) -> bool:
        """Whether there is such an order."""
        return self.order is not None

    def __str__(self) -> str:
        if self.order is not None:
            return f"linearizable ({self.tried} configurations)"
        what = "undecided" if self.undecided else "not linearizable"
        return f"{what} after {self.tried} configurations; furthest: {self.stuck_at.text if self.stuck_at else ''}"


@dataclasses.dataclass(frozen=True, slots=True)
class _Configuration:
    """How far a search has come: the state, and which operations under way have their place already."""

    state: Any
    placed: frozenset[int]


@dataclasses.dataclass(slots=True)
class _Moment:
    """One step of the history in time: an operation begins, or returns."""

    number: int  # of the operation
    begins: bool
    under_way: tuple[int, ...] = ()  # operations that have begun and not returned before this moment


class _Search:
    def __init__(self, operations: Sequence[Operation], start: Any, budget: int) -> None:
        self.operations = operations
        self.budget = budget
        self.tried = 0
        self.moments = _moments(operations)
        self.seen: set[tuple[int, Any, frozenset[int]]] = set()
        self.furthest = 0
        self.trace: list[tuple[_Configuration, tuple[int, ...]]] = [(_Configuration(start, frozenset()), ())]

    def run(self) -> Verdict:
        """Depth first, over one stack of alternatives per moment."""
        stack = [self.after(0, self.trace[0][0])]
        while stack:
            if self.tried > self.budget:
                return self.verdict(undecided=True)
            found = next(stack[-1], None)
            if found is None:
                stack.pop()
                self.trace.pop()
                continue
            self.trace.append(found)
            if len(stack) == len(self.moments):
                return Verdict(order=[self.operations[n] for _, placed in self.trace for n in placed], tried=self.tried)
            self.furthest = max(self.furthest, len(stack))
            stack.append(self.after(len(stack), found[0]))
        return self.verdict()

    def verdict(self, *, undecided: bool = False) -> Verdict:
        stuck_at = self.operations[self.moments[self.furthest].number]
        return Verdict(order=None, stuck_at=stuck_at, tried=self.tried, undecided=undecided)

    def after(self, number: int, now: _Configuration) -> Iterator[tuple[_Configuration, tuple[int, ...]]]:
        """The configurations that a moment can lead to, those that place least first, with what was placed."""
        moment = self.moments[number]
        if moment.begins:
            fits = self.operations[moment.number].does is None and self.operations[moment.number].apply(now.state) is not None
            first = (moment.number,) if fits else ()
            yield from self.new(number, _Configuration(now.state, now.placed.union(first)), first)
            return
        queue: collections.deque[tuple[_Configuration, tuple[int, ...]]] = collections.deque([(now, ())])
        while queue:
            here, placed = queue.popleft()
            if moment.number in here.placed:
                yield from self.new(number, _Configuration(here.state, here.placed - {moment.number}), placed)
                continue
            for candidate in self.candidates(moment, here):
                state = self.operations[candidate].apply(here.state)
                self.tried += 1
                if state is None or self.tried > self.budget:
                    continue
                answered = tuple(
                    n
                    for n in moment.under_way
                    if self.operations[n].does is None and n not in here.placed and self.operations[n].apply(state) is not None
                )
                then = _Configuration(state, here.placed.union((candidate, *answered)))
                key = (-1 - number, then.state, then.placed)
                if key not in self.seen:
                    self.seen.add(key)
                    queue.append((then, (*placed, candidate, *answered)))

    def candidates(self, moment: _Moment, here: _Configuration) -> list[int]:
        """What could be placed next; of equal ones only the one that returns first, and what is near to the one awaited first."""
        awaited = self.operations[moment.number]
        if awaited.does is None and not moment.under_way:
            return []
        first: dict[Hashable, int] = {}
        for n in moment.under_way:
            one = self.operations[n]
            if one.does is not None and n not in here.placed:
                other = first.get(one.does)
                if other is None or one.returned < self.operations[other].returned:
                    first[one.does] = n
        return sorted(
            first.values(),
            key=lambda n: (n != moment.number, not self.operations[n].near & awaited.near, self.operations[n].returned),
        )

    def new(self, number: int, then: _Configuration, placed: tuple[int, ...]) -> Iterator[tuple[_Configuration, tuple[int, ...]]]:
        key = (number, then.state, then.placed)
        if key not in self.seen:
            self.seen.add(key)
            yield then, placed


def check(operations: Sequence[Operation], start: Any, *, budget: int = BUDGET) -> Verdict:
    """Whether `operations` on one object that began as `start` are linearizable.  States are hashable and never None."""
    return _Search(operations, start, budget).run() if operations else Verdict(order=[])


def _moments(operations: Sequence[Operation]) -> list[_Moment]:
    """All beginnings and returns in their order; at the same instant, beginnings first, so that they count as concurrent."""
    ordered = sorted(
        [(one.invoked, 0, n) for n, one in enumerate(operations)] + [(one.returned, 1, n) for n, one in enumerate(operations)]
    )
    moments = []
    under_way: dict[int, None] = {}
    for _, returns, n in ordered:
        if returns:
            moments.append(_Moment(n, False, tuple(under_way)))
            del under_way[n]
        else:
            moments.append(_Moment(n, True))
            under_way[n] = None
    return moments
