"""Money, in exact numbers: what time costs, how holds are cut, which thresholds are reached, where a year is heading."""

import datetime
import fractions
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from primitives import clock, errors, interval
from quotas.budgets import model, rules
from quotas.budgets.model import Basis, Budget, Change, Hold, Standing, Threshold

YUAN = 10**6
MONTH = fractions.Fraction(730 * 3600 * 10**6)
START = datetime.datetime(2026, 3, 5, 8, 30, tzinfo=clock.UTC)
moments = st.integers(clock.to_us(rules.year(2025).start_at), clock.to_us(rules.year(2029).end_at) - 1).map(clock.from_us)
monthly = st.integers(0, model.MONTHLY_BOUND_MICRO)


def us(start_at: datetime.datetime, end_at: datetime.datetime) -> int:
    """Microseconds between."""
    return (end_at - start_at) // datetime.timedelta(microseconds=1)


def held(price: int, start_at: datetime.datetime, end_at: datetime.datetime | None = None) -> list[Hold]:
    """The holds of one machine of a tax bureau."""
    return rules.held(model.Wish(holder="vm-1", monthly_micro=price, end_at=end_at), "tax", start_at)


def total(holds: list[Hold]) -> int:
    """The sum of what they hold."""
    return sum(one.amount_micro for one in holds)


def standing(
    limit: int, *, spent: int = 0, encumbered: int = 0, thresholds: tuple[Threshold, ...] = (), **more: object
) -> Standing:
    """A budget of 2026."""
    told = more.get("told", ())
    assert isinstance(told, tuple)
    return Standing(
        tenant_id="tax",
        year=2026,
        budget=Budget(appropriated_micro=limit, thresholds=thresholds),
        told=told,
        encumbered_micro=encumbered,
        spent_micro=spent,
        over_micro=0,
        generation=1,
    )


@given(monthly, moments, moments)
def test_a_stretch_of_time_costs_its_share_of_730_hours_rounded_up(
    price: int, one: datetime.datetime, other: datetime.datetime
) -> None:
    start_at, end_at = min(one, other), max(one, other)
    assert rules.cost(price, start_at, end_at) == math.ceil(fractions.Fraction(price * us(start_at, end_at)) / MONTH)


def test_a_whole_year_costs_twelve_months() -> None:
    year = rules.year(2027)
    assert rules.cost(100 * YUAN, year.start_at, year.end_at) == 1200 * YUAN


@given(monthly, moments, st.none() | moments)
def test_holds_are_cut_at_the_turn_of_the_year_and_leave_no_gap(
    price: int, start_at: datetime.datetime, end_at: datetime.datetime | None
) -> None:
    found = held(price, start_at, end_at)
    until = rules.year(rules.year_of(start_at)).end_at if end_at is None else end_at
    if until <= start_at:
        assert found == []
        return
    assert [found[0].start_at, found[-1].end_at] == [start_at, until]
    for one, after in zip(found, [*found[1:], None], strict=True):
        assert rules.year(one.year).start_at <= one.start_at < one.end_at <= rules.year(one.year).end_at
        assert after is None or (one.end_at == after.start_at and one.year + 1 == after.year)
    assert 0 <= total(found) - fractions.Fraction(price * us(start_at, until)) / MONTH < len(found)


@given(monthly, moments, st.none() | moments, moments)
def test_what_is_cut_and_what_is_settled_are_together_the_whole(
    price: int, start_at: datetime.datetime, end_at: datetime.datetime | None, at: datetime.datetime
) -> None:
    whole = held(price, start_at, end_at)
    before, after = rules.cut(whole, at), rules.settled(whole, at)
    assert 0 <= total(before) + total(after) - total(whole) <= 1
    assert all(one.end_at <= at for one in before)
    assert all(one.start_at >= at for one in after)
    assert rules.settled(before, at) == []


@given(monthly, monthly, moments, st.none() | moments, moments)
def test_another_price_counts_from_now_on_only(
    price: int, other: int, start_at: datetime.datetime, end_at: datetime.datetime | None, at: datetime.datetime
) -> None:
    whole = held(price, start_at, end_at)
    if not whole or at <= start_at:
        return
    after = rules.changed(whole, at, monthly_micro=other)
    if at >= whole[-1].end_at or price == other:
        assert after == whole
        return
    assert rules.cut(after, at) == rules.cut(whole, at)
    assert {one.monthly_micro for one in after if one.start_at >= at} == {other}
    assert after[-1].open_ended == whole[-1].open_ended
    if end_at is not None or rules.year_of(at) == whole[-1].year:
        assert after[-1].end_at == whole[-1].end_at
    assert rules.grows(whole, after) == (other > price)
    assert len({one.number for one in after}) == len(after)


def test_a_longer_stay_asks_for_more_and_a_shorter_one_never() -> None:
    soon, late = START + datetime.timedelta(days=30), START + datetime.timedelta(days=400)
    whole = held(100 * YUAN, START, soon)
    at = START + datetime.timedelta(days=1)
    longer = rules.changed(whole, at, end_at=late, open_ended=False)
    assert rules.grows(whole, longer)
    assert [one.year for one in longer] == [2026, 2026, 2027]
    shorter = rules.changed(longer, at, end_at=soon, open_ended=False)
    assert not rules.grows(longer, shorter)
    assert rules.grows(whole, rules.changed(whole, at, open_ended=True))


def test_what_moves_to_another_tenant_leaves_its_use_behind() -> None:
    at = START + datetime.timedelta(days=3)
    after = rules.changed(held(100 * YUAN, START), at, tenant_id="police")
    assert [(one.tenant_id, one.start_at, one.open_ended) for one in after] == [("tax", START, False), ("police", at, True)]
    paths = {"tax": ["tax", "root"], "police": ["police", "root"]}
    found = rules.changes(held(100 * YUAN, START), after, paths)
    assert found["police", 2026].encumbered_micro + found["tax", 2026].encumbered_micro in (0, 1)  # both amounts are rounded up


@pytest.mark.parametrize("wrong", [-1, model.MONTHLY_BOUND_MICRO + 1])
def test_no_price_beyond_all_reason_is_held(wrong: int) -> None:
    with pytest.raises(errors.GovpoolError, match=r"budget\.out_of_range"):
        held(wrong, START)


def test_only_a_hard_budget_that_grows_is_a_breach() -> None:
    path = [("tax", "tax"), ("root", "foshan")]
    asked = {("tax", 2026): Change(encumbered_micro=5)}
    full = standing(100, spent=60, encumbered=36)
    (found,) = rules.breaches(path, [full], asked)
    assert (found.short_by_micro, found.tenant) == (1, "tax")
    assert rules.breaches(path, [full], {("tax", 2026): Change(encumbered_micro=4)}) == []
    assert rules.breaches(path, [full], {("tax", 2027): Change(encumbered_micro=5)}) == []
    soft = Standing(
        **{**{name: getattr(full, name) for name in full.__slots__}, "budget": Budget(appropriated_micro=1, hard=False)}
    )
    assert rules.breaches(path, [soft], asked) == []


@pytest.mark.parametrize(
    ("text", "meant"),
    [("80", "committed:80"), ("actual:50", "actual:50"), ("committed:1000", "committed:1000"), ("forecast:1", "forecast:1")],
)
def test_thresholds_are_read_as_people_write_them(text: str, meant: str) -> None:
    assert str(rules.threshold(text)) == meant


@pytest.mark.parametrize("text", ["", "0", "1001", "80%", "spent:80", "８０", "-1", "actual:", "80 ", "1e2"])
def test_a_senseless_threshold_is_refused(text: str) -> None:
    with pytest.raises(errors.GovpoolError, match=r"budget\.threshold"):
        rules.threshold(text)


def test_a_threshold_is_told_once_until_it_is_fallen_below() -> None:
    eighty = Threshold(basis=Basis.COMMITTED, percent=80)
    calm = standing(100 * YUAN, encumbered=80 * YUAN - 1, thresholds=(eighty,))
    assert rules.reached(calm, None) == ()
    high = standing(100 * YUAN, encumbered=80 * YUAN, thresholds=(eighty,))
    assert [each.threshold for each in rules.crossings(high, rules.reached(high, None), None)] == [eighty]
    told = standing(100 * YUAN, encumbered=90 * YUAN, thresholds=(eighty,), told=(eighty,))
    assert rules.crossings(told, rules.reached(told, None), None) == []


def test_a_forecast_takes_what_is_encumbered_or_the_pace_whichever_is_more() -> None:
    year = rules.year(2026)
    at = interval.month("2026-07").start_at
    pace = {"2026-05": 31 * YUAN, "2026-06": 30 * YUAN}  # a yuan a day
    days_left = (year.end_at - at).days
    slow = rules.forecast(standing(1000 * YUAN, spent=61 * YUAN, encumbered=10 * YUAN), pace, at)
    assert slow.at_year_end_micro == (61 + days_left) * YUAN
    assert (slow.error_percent, slow.runs_out_on) == (0, None)
    bound = rules.forecast(standing(1000 * YUAN, spent=61 * YUAN, encumbered=500 * YUAN), pace, at)
    assert bound.at_year_end_micro == 561 * YUAN


def test_the_day_on_which_the_money_runs_out() -> None:
    at = interval.month("2026-07").start_at
    short = rules.forecast(standing(71 * YUAN, spent=61 * YUAN), {"2026-06": 30 * YUAN}, at)
    assert short.runs_out_on == datetime.date(2026, 7, 11)  # ten yuan for ten days
    assert rules.forecast(standing(60 * YUAN, spent=61 * YUAN), {}, at).runs_out_on == datetime.date(2026, 7, 1)


def test_the_error_is_not_known_before_two_whole_months_are_behind() -> None:
    at = interval.month("2026-07").start_at + datetime.timedelta(days=3)
    assert rules.forecast(standing(YUAN), {"2026-06": 30 * YUAN, "2026-07": YUAN}, at).error_percent is None
    doubled = {"2026-05": 31 * YUAN, "2026-06": 60 * YUAN, "2026-07": YUAN}
    assert rules.forecast(standing(YUAN), doubled, at).error_percent == 50
    assert rules.forecast(standing(YUAN), {"2026-03": YUAN, "2026-05": YUAN}, at).error_percent is None


@given(
    st.integers(1, 10**12),
    st.integers(0, 10**12),
    st.integers(0, 10**12),
    moments,
    st.dictionaries(st.sampled_from([f"2026-{month:02}" for month in range(1, 13)]), st.integers(1, 10**12)),
)
def test_a_forecast_is_never_less_than_what_is_committed(
    limit: int, spent: int, encumbered: int, at: datetime.datetime, months: dict[str, int]
) -> None:
    found = rules.forecast(standing(limit, spent=spent, encumbered=encumbered), months, at)
    assert found.at_year_end_micro >= spent + encumbered
    assert found.runs_out_on is None or found.runs_out_on.year in (2026, 2027)
