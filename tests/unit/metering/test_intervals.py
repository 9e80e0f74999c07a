"""Events to intervals: whatever order and repetition they arrive in, the same intervals come out."""

import datetime
import itertools
import random

from hypothesis import given
from hypothesis import strategies as st

from metering import model, rules
from tests.unit.metering import worlds
from tests.unit.metering.worlds import DELETED, OCTOBER, RUNNING, STOPPED, at, event


def spans(made: list[model.UsageInterval]) -> list[tuple[str, datetime.datetime, datetime.datetime]]:
    return [(one.state.value, one.span.start_at, one.span.end_at) for one in made]


@given(worlds.events(), st.randoms(use_true_random=False))
def test_any_order_and_repetition_of_events_gives_the_same_intervals(events: list[model.UsageEvent], chance: random.Random) -> None:
    disturbed = events + [chance.choice(events) for _ in events]
    chance.shuffle(disturbed)
    assert rules.intervals(disturbed, OCTOBER.end_at) == rules.intervals(events, OCTOBER.end_at)


@given(worlds.events(), st.integers(-50, 200))
def test_intervals_of_a_resource_never_overlap_and_never_pass_the_cut(events: list[model.UsageEvent], cut: int) -> None:
    cut_at = OCTOBER.start_at + datetime.timedelta(seconds=cut)
    made = rules.intervals(events, cut_at)
    for one, following in itertools.pairwise(made):
        assert one.resource < following.resource or one.span.end_at <= following.span.start_at
    assert all(one.span.end_at <= cut_at for one in made)


@given(worlds.events())
def test_the_state_at_each_second_is_that_of_the_last_event_before_its_end(events: list[model.UsageEvent]) -> None:
    """Told another way: second by second, the event that wins is looked for afresh."""
    made = rules.intervals(events, OCTOBER.start_at + datetime.timedelta(seconds=100))
    for second in range(-50, 100):
        start_at = OCTOBER.start_at + datetime.timedelta(seconds=second)
        for subject in ("vm-1", "vm-2", "vm-3"):
            known = [e for e in events if e.subject == subject and e.at < start_at + datetime.timedelta(seconds=1)]
            winner = max(known, key=lambda e: (e.at, e.sequence, e.id, e.source), default=None)
            held = [one for one in made if one.resource == subject and one.span.start_at <= start_at < one.span.end_at]
            if winner is None or winner.state is DELETED:
                assert held == []
            else:
                assert [(one.state, one.tenant, one.project) for one in held] == [(winner.state, winner.tenant, winner.project)]
                assert held[0].amounts == {name: amount for name, amount in winner.amounts.items() if amount}


def test_a_late_line_cuts_the_interval_it_falls_into() -> None:
    on_time = [event(at("10-02 00:00:00")), event(at("10-09 00:00:00"), DELETED)]
    late = event(at("10-05 00:00:00"), STOPPED)
    assert spans(rules.intervals([*on_time, late], OCTOBER.end_at)) == [
        ("running", at("10-02 00:00:00"), at("10-05 00:00:00")),
        ("stopped", at("10-05 00:00:00"), at("10-09 00:00:00")),
    ]


def test_at_equal_times_the_higher_sequence_wins_as_a_number() -> None:
    same = at("10-02 00:00:00")
    made = rules.intervals([event(same, id="a", sequence=10), event(same, STOPPED, id="b", sequence=9)], OCTOBER.end_at)
    assert [one.state for one in made] == [RUNNING]


def test_at_equal_times_and_sequences_the_greater_id_wins_then_the_greater_source() -> None:
    same = at("10-02 00:00:00")
    by_id = rules.intervals([event(same, STOPPED, id="b"), event(same, id="a")], OCTOBER.end_at)
    sources = [event(same, STOPPED, id="a", source="urn:b"), event(same, id="a", source="urn:a")]
    by_source = rules.intervals(sources, OCTOBER.end_at)
    assert [one.state for one in by_id + by_source] == [STOPPED, STOPPED]


def test_an_event_after_deleted_opens_a_new_interval() -> None:
    made = rules.intervals(
        [event(at("10-02 00:00:00")), event(at("10-03 00:00:00"), DELETED), event(at("10-04 00:00:00"))], at("10-05 00:00:00")
    )
    assert spans(made) == [
        ("running", at("10-02 00:00:00"), at("10-03 00:00:00")),
        ("running", at("10-04 00:00:00"), at("10-05 00:00:00")),
    ]


def test_a_repeated_report_of_the_same_state_is_one_interval() -> None:
    hourly = [event(at("10-02 00:00:00") + datetime.timedelta(hours=hour)) for hour in range(5)]
    assert spans(rules.intervals(hourly, at("10-03 00:00:00"))) == [("running", at("10-02 00:00:00"), at("10-03 00:00:00"))]


def test_a_move_to_another_tenant_cuts_the_interval_and_both_sides_show() -> None:
    made = rules.intervals([event(at("10-02 00:00:00")), event(at("10-03 00:00:00"), tenant="公安局")], at("10-04 00:00:00"))
    assert [one.tenant for one in made] == ["税务局", "公安局"]


@given(worlds.events(), st.integers(-40, 120))
def test_intervals_are_additive_at_any_cut(events: list[model.UsageEvent], cut: int) -> None:
    """No second is lost or doubled where a watermark falls, fractions of seconds in the events included."""

    def unit_seconds(cut_at: datetime.datetime, since: datetime.datetime | None = None) -> int:
        total = 0
        for one in rules.intervals(events, cut_at):
            start_at = max(one.span.start_at, since) if since else one.span.start_at
            total += max(0, (one.span.end_at - start_at) // datetime.timedelta(seconds=1)) * sum(one.amounts.values())
        return total

    middle, end = OCTOBER.start_at + datetime.timedelta(seconds=cut), OCTOBER.start_at + datetime.timedelta(seconds=130)
    assert unit_seconds(middle) + unit_seconds(end, since=middle) == unit_seconds(end)


def test_only_events_whose_state_reaches_into_a_month_speak_of_it() -> None:
    old, before, within, after = (event(at(f"{month}-15 00:00:00")) for month in ("08", "09", "10", "11"))
    assert rules.reaching([after, old, within, before], OCTOBER) == [before, within]
