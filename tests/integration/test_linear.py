"""The judge of histories on histories made by hand: what it accepts has an order, what it refuses has none."""

import itertools
import random
from collections.abc import Sequence
from typing import Any

import hypothesis
import pytest
from hypothesis import strategies as st

from tests.integration import linear
from tests.integration.kueue_model import Grant, View, counted
from tests.integration.quota_history import History

PARENTS = (-1, 0, 0, 1)
CODES = ["district", "tax", "health", "tax-one"]


def took(begin: float, end: float, more: int) -> linear.Operation:
    """A counter that must not pass 2 went up (or down)."""
    return linear.Operation(
        invoked=begin, returned=end, does=more, apply=lambda n: n + more if 0 <= n + more <= 2 else None, text=f"{more:+}"
    )


def saw(begin: float, end: float, there: int) -> linear.Operation:
    """Somebody looked at it."""
    return linear.Operation(invoked=begin, returned=end, apply=lambda n: n if n == there else None, text=f"saw {there}")


GOOD = {
    "nothing": [],
    "one after the other": [took(0, 1, 1), saw(2, 3, 1), took(4, 5, -1), saw(6, 7, 0)],
    "a look may come before or after what is under way": [took(0, 9, 1), saw(1, 2, 0), saw(3, 4, 1)],
    "one that is under way makes room": [took(0, 1, 1), took(2, 3, 1), took(4, 9, -1), took(5, 6, 1)],
    "an early choice is taken back": [took(0, 9, 1), took(0, 9, 1), took(0, 9, -1), saw(1, 2, 1), saw(3, 4, 0), saw(5, 6, 1)],
    "at the same instant counts as at once": [took(0, 1, 1), saw(1, 2, 0)],
}
BAD = {
    "a look at what has gone": [took(0, 1, 1), saw(2, 3, 0)],
    "a look at what has not begun": [saw(0, 1, 1), took(2, 3, 1)],
    "back and forth without a cause": [took(0, 9, 1), saw(1, 2, 1), saw(3, 4, 0)],
    "more than there is": [took(0, 9, 1), took(0, 9, 1), took(0, 9, 1)],
    "two who saw another order": [took(0, 9, 1), took(0, 9, -1), saw(1, 2, 1), saw(3, 4, 0), saw(5, 6, 1)],
}


@pytest.mark.parametrize("history", GOOD.values(), ids=GOOD)
def test_a_history_that_has_an_order_is_explained(history: Sequence[linear.Operation]) -> None:
    verdict = linear.check(history, 0)
    assert verdict.order is not None
    assert sorted(map(id, verdict.order)) == sorted(map(id, history))
    state, begun = 0, 0.0
    for one in verdict.order:
        state, begun = one.apply(state), max(begun, one.invoked)
        assert state is not None and begun <= one.returned


@pytest.mark.parametrize("history", BAD.values(), ids=BAD)
def test_a_history_that_has_no_order_is_refused_and_names_where_it_broke(history: Sequence[linear.Operation]) -> None:
    verdict = linear.check(history, 0)
    assert not verdict.linearizable and not verdict.undecided
    assert verdict.stuck_at is not None and verdict.stuck_at.text in str(verdict)


def test_a_search_that_grows_too_large_says_so() -> None:
    unlike = [linear.Operation(invoked=0, returned=9, does=n, apply=lambda s, n=n: s | {n}) for n in range(12)]  # type: ignore[misc]
    never = linear.Operation(invoked=0, returned=8, apply=lambda s: None)
    assert linear.check([*unlike, never], frozenset(), budget=100).undecided


def by_hand(history: Sequence[linear.Operation]) -> bool:
    """Whether some order explains a short history: all of them are tried."""
    return any(_explains(order) for order in itertools.permutations(history))


def _explains(order: Sequence[linear.Operation]) -> bool:
    state: Any = 0
    begun = 0.0
    for one in order:
        begun = max(begun, one.invoked)
        state = one.apply(state)
        if state is None or begun > one.returned:
            return False
    return True


@hypothesis.settings(max_examples=400, deadline=None)
@hypothesis.given(seed=st.integers(0, 2**32), count=st.integers(1, 6))
def test_it_says_what_trying_every_order_says(seed: int, count: int) -> None:
    chance = random.Random(seed)
    history = []
    for _ in range(count):
        begin = chance.randint(0, 8)
        span = begin, begin + chance.randint(0, 4)
        history.append(took(*span, chance.choice([1, 1, -1, 2])) if chance.random() < 0.6 else saw(*span, chance.randint(0, 2)))
    assert linear.check(history, 0).linearizable == by_hand(history)


@pytest.fixture
def quota() -> History:
    """A district with 10 machines: the tax bureau has 6, lends 2 of them and may borrow 1; the health bureau has 4."""
    grants = (Grant(10, lend=0), Grant(6, lend=2, borrow=1), Grant(4), Grant(6))
    return History(["instances"], CODES, (View(PARENTS, grants, (0, 0, 0, 0)),))


def test_what_was_lent_is_refused_with_the_numbers_of_every_level(quota: History) -> None:
    quota.held((0, 1), 1, {"instances": 7}, "six of its own and one that it borrows")
    quota.refused((2, 3), 1, {"instances": 1}, [{"tenant": "tax", "name": "instances", "short_by": 1}])
    quota.refused((2, 3), 2, {"instances": 4}, [{"tenant": "district", "name": "instances", "short_by": 1}])
    quota.held((4, 5), 2, {"instances": 3}, "what is left")
    assert quota.check().linearizable


def test_a_refusal_while_there_was_room_is_refused(quota: History) -> None:
    quota.held((0, 1), 1, {"instances": 6}, "")
    quota.refused((2, 3), 1, {"instances": 1}, [{"tenant": "tax", "name": "instances", "short_by": 1}])
    assert not quota.check().linearizable


def test_a_refusal_that_names_the_wrong_number_is_refused(quota: History) -> None:
    quota.held((0, 1), 1, {"instances": 7}, "")
    quota.refused((2, 3), 1, {"instances": 2}, [{"tenant": "tax", "name": "instances", "short_by": 1}])
    assert not quota.check().linearizable


def test_more_than_the_limit_is_refused_also_when_it_was_all_at_once(quota: History) -> None:
    for _ in range(3):
        quota.held((0, 9), 2, {"instances": 3}, "")
    assert not quota.check().linearizable


def test_units_that_came_back_before_anybody_could_have_seen_it_make_room(quota: History) -> None:
    quota.held((0, 1), 1, {"instances": 7}, "")
    quota.held((2, 9), 1, {"instances": -7}, "a delete whose end is not yet seen")
    quota.held((3, 4), 1, {"instances": 5}, "")
    assert quota.check().linearizable


def test_a_look_binds_every_number_that_it_shows(quota: History) -> None:
    row = {
        "name": "instances", "granted": 6, "lending_limit": 2, "borrowing_limit": 1, "used": 5, "limit": 7, "kept": 4, "over_by": 0,
        "available": 2, "promised": 6,
    }  # fmt: skip
    quota.held((0, 1), 3, {"instances": 5}, "one level below")
    quota.shown((2, 3), 1, [row])
    assert quota.check().linearizable
    for number in ("used", "limit", "kept", "over_by", "available", "promised", "granted", "lending_limit", "borrowing_limit"):
        wrong = History(quota.names, quota.codes, quota.start, quota.operations[:1])
        wrong.shown((2, 3), 1, [row | {number: row[number] + 1}])  # type: ignore[operator]
        assert not wrong.check().linearizable, number


@pytest.mark.parametrize(("short_by", "linearizable"), [(2, True), (1, False)])
def test_what_is_too_much_at_once_is_judged_name_by_name(short_by: int, linearizable: bool) -> None:
    start = tuple(View((-1,), (Grant(10),), (0,)) for _ in range(2))
    history = History(["instances", "pods"], ["district"], start)
    history.held((0, 9), 0, {"instances": 1, "pods": 3}, "")
    history.held((0, 9), 0, {"instances": 2}, "")
    history.refused((1, 2), 0, {"instances": 9, "pods": 9}, [{"tenant": "district", "name": "pods", "short_by": short_by}])
    history.moved((3, 4), (0, 0), {"pods": 100}, None)
    assert history.check(budget=0).linearizable == history.check().linearizable == linearizable


def test_a_class_counts_on_the_name_before_its_dot() -> None:
    assert counted({"disk_gib.ssd": 3}) == {"disk_gib.ssd": 3, "disk_gib": 3}
    assert counted({"disk_gib.ssd": 3, "disk_gib": 5}) == {"disk_gib.ssd": 3, "disk_gib": 5}
    assert counted({"disk_gib.ssd": 3, "disk_gib.hdd": 2}) == {"disk_gib.ssd": 3, "disk_gib.hdd": 2, "disk_gib": 5}
