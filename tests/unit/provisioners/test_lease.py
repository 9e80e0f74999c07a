"""When a lease may end, which notice is due when, and what its end asks for: any times, any order of looks."""

import dataclasses
import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from primitives import clock, errors
from provisioners import changes, contract, lease, model, rules
from provisioners.lease import Deed
from provisioners.model import Desired, State
from tests.unit.provisioners.test_rules import NOW, running, wanted

DAY = datetime.timedelta(days=1)
POLICY = lease.Policy()
END = NOW + 60 * DAY


def leased(end_at: datetime.datetime = END, kind: str = contract.VIRTUAL_MACHINE) -> model.Resource:
    """A running resource with an end, made at NOW."""
    return dataclasses.replace(running(kind), end_at=end_at, end_told_at=NOW, end_due_at=NOW)


def at(resource: model.Resource, now: datetime.datetime) -> model.Resource:
    """As the clock's job leaves it at `now`, its stop done at once and nothing in the way."""
    found = lease.look(resource, now, POLICY)
    after = {
        Deed.NOTHING: lambda: resource,
        Deed.NOTICE: lambda: dataclasses.replace(resource, end_told_at=now),
        Deed.END: lambda: settled(changes.lease_over(resource, now), now),
        Deed.STOP: lambda: settled(changes.changed(resource, "stop", spec={}, amounts=None, order_id="", now=now), now),
        Deed.BIN: lambda: settled(changes.deleted(resource, bin_until=now + 7 * DAY, order_id="", now=now), now),
        Deed.REMIND: lambda: resource,
    }[found.deed]()
    return dataclasses.replace(after, end_due_at=found.again_at)


def settled(resource: model.Resource, now: datetime.datetime) -> model.Resource:
    """Its change came to an end as wanted."""
    if not resource.pending:
        return resource
    state = contract.State.STOPPED if resource.power is contract.State.STOPPED else contract.State.RUNNING
    return changes.confirmed(changes.learnt(resource, dataclasses.replace(resource.facts, state=state), now), now)


# -- what may be asked for ---------------------------------------------------------------------------------------------------------


def test_a_day_stands_for_its_end_in_shanghai() -> None:
    assert lease.end_at("2026-12-31", NOW) == datetime.datetime(2026, 12, 31, 16, tzinfo=clock.UTC)
    assert lease.said(datetime.datetime(2026, 12, 31, 16, tzinfo=clock.UTC)) == "2026-12-31"


@pytest.mark.parametrize("text", ["2026-12-31T15:00:00+08:00", "2026-12-31T07:00:00Z"])
def test_a_moment_stands_for_itself(text: str) -> None:
    assert lease.end_at(text, NOW) == datetime.datetime(2026, 12, 31, 7, tzinfo=clock.UTC)


def test_none_is_no_end() -> None:
    assert lease.end_at("none", NOW) is None


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("2026-09-30", "is past"),
        ("2026-10-01", "is less than a day away; the earliest is 2026-10-02T16:00:00.08:00"),
        ("2036-10-01", "is more than 10 years away"),
        ("9999-12-31", "is not a day of the calendar"),
        ("2026-02-30", "is not a day of the calendar"),
        ("2026-12-31T00:00:00", "has no offset"),
        ("2026-12-31T00:00:00.5Z", "is not a whole second"),
        ("morgen", "is not an ISO 8601 time"),
        ("", "is not an ISO 8601 time"),
    ],
)
def test_an_end_that_cannot_be_is_refused_with_the_reason(text: str, why: str) -> None:
    with pytest.raises(errors.GovpoolError, match=why):
        lease.end_at(text, NOW)


@given(st.integers(0, 70 * 365 * 86400), st.integers(1, 3650))
def test_every_day_from_tomorrow_to_ten_years_on_can_be_asked_for(seconds: int, days: int) -> None:
    now = NOW + datetime.timedelta(seconds=seconds)
    day = (now + datetime.timedelta(hours=8)).date() + datetime.timedelta(days=days)
    end_at = lease.end_at(day.isoformat(), now)
    assert end_at is not None
    assert now + DAY <= end_at
    assert lease.said(end_at) == day.isoformat()


def test_ten_years_after_a_29th_of_february_is_a_day() -> None:
    leap = datetime.datetime(2028, 2, 29, 4, tzinfo=clock.UTC)
    assert lease.end_at("2038-02-28", leap) is not None


# -- notices -----------------------------------------------------------------------------------------------------------------------

moments = st.lists(st.integers(0, 60 * 24 * 60), min_size=1, max_size=30).map(sorted)


def given_notices(resource: model.Resource, looks: list[datetime.datetime]) -> list[datetime.datetime]:
    """When notices were given, looked at so."""
    found = []
    for now in looks:
        if resource.end_due_at is None or resource.end_due_at > now:
            continue
        if lease.look(resource, now, POLICY).deed is Deed.NOTICE:
            found.append(now)
        resource = at(resource, now)
    return found


@given(moments, st.integers(1, 90))
def test_each_notice_is_given_once_at_the_first_look_after_its_moment_and_the_latest_stands_for_those_before(
    minutes: list[int], days: int
) -> None:
    end_at = NOW + days * DAY
    looks = [NOW + datetime.timedelta(minutes=one) for one in minutes]
    expected, told = [], NOW
    for now in (one for one in looks if one < end_at):
        if any(told < moment <= now for moment in lease.notices(end_at, POLICY)):
            expected.append(now)
            told = now
    assert given_notices(leased(end_at), looks) == expected


@given(st.integers(1, 400))
def test_a_lease_that_is_looked_at_all_the_time_gives_the_notices_that_lie_ahead_of_its_birth(days: int) -> None:
    end_at = NOW + days * DAY
    looks = [NOW + datetime.timedelta(hours=hour) for hour in range(days * 24)]
    found = given_notices(leased(end_at), looks)
    assert found == [end_at - before * DAY for before in (30, 7, 1) if before < days]


def test_an_order_made_five_days_before_its_end_gets_only_the_last_notice() -> None:
    looks = [NOW + datetime.timedelta(hours=hour) for hour in range(5 * 24)]
    assert given_notices(leased(NOW + 5 * DAY), looks) == [NOW + 4 * DAY]


def test_a_server_that_was_down_over_two_notices_gives_one() -> None:
    assert given_notices(leased(), [NOW, END - 6 * DAY, END - 5 * DAY]) == [END - 6 * DAY]


@given(moments)
def test_the_next_look_is_never_in_the_past_and_never_after_the_end(minutes: list[int]) -> None:
    for minute in minutes:
        now = NOW + datetime.timedelta(minutes=minute)
        found = lease.look(leased(), now, POLICY)
        assert found.again_at is not None
        assert found.again_at > now
        assert now >= END or found.again_at <= END


# -- the end -----------------------------------------------------------------------------------------------------------------------


@given(st.lists(st.integers(0, 100 * 24), min_size=1, max_size=60, unique=True).map(sorted), st.booleans())
def test_nothing_goes_into_the_bin_before_its_grace_has_passed_since_its_end_was_carried_out(
    hours: list[int], volume: bool
) -> None:
    resource = leased(NOW + 10 * DAY, contract.VOLUME if volume else contract.VIRTUAL_MACHINE)
    reached = None
    for hour in hours:
        now = NOW + datetime.timedelta(hours=hour)
        if resource.end_due_at is None or resource.end_due_at > now:
            continue
        deed = lease.look(resource, now, POLICY).deed
        if deed is Deed.END:
            assert reached is None
            reached = now
        if deed is Deed.BIN:
            assert reached is not None
            assert now >= reached + POLICY.grace
        resource = at(resource, now)
    assert reached is None or (resource.power is contract.State.STOPPED) is (not volume or resource.desired is Desired.BIN)


def test_a_server_that_comes_back_weeks_later_still_gives_the_whole_grace() -> None:
    late = END + 40 * DAY
    over = at(leased(), late)
    assert (over.end_reached_at, over.state, over.end_power) == (late, State.STOPPED, contract.State.RUNNING)
    assert lease.look(over, late + POLICY.grace - DAY / 24, POLICY).deed is Deed.NOTHING
    assert lease.look(over, late + POLICY.grace, POLICY).deed is Deed.BIN


def test_what_is_in_the_middle_of_a_change_is_taken_when_it_rests() -> None:
    busy = changes.changed(leased(), "resize", spec={}, amounts={"cpu_milli": 4000}, order_id="", now=END)
    assert lease.look(busy, END, POLICY) == lease.Look(deed=Deed.NOTHING, again_at=END + lease.BUSY_AGAIN)
    assert lease.look(settled(busy, END), END + lease.BUSY_AGAIN, POLICY).deed is Deed.END


def test_what_a_restore_left_in_dispute_is_not_ended() -> None:
    assert lease.look(dataclasses.replace(leased(), disputed=True), END, POLICY).deed is Deed.NOTHING


def test_a_volume_is_only_marked() -> None:
    over = changes.lease_over(leased(kind=contract.VOLUME), END)
    assert (over.pending, over.end_reached_at, over.end_power) == (False, END, None)


def test_what_was_stopped_before_its_end_stays_stopped_when_it_is_extended() -> None:
    stopped = settled(changes.changed(leased(), "stop", spec={}, amounts=None, order_id="", now=NOW), NOW)
    over = at(stopped, END)
    after = changes.extended(over, END + 90 * DAY, order_id="ord-2", now=END + DAY)
    assert (after.power, after.pending, after.end_reached_at) == (contract.State.STOPPED, False, None)


def test_a_protected_one_is_stopped_but_not_binned_and_reminded_of_each_week() -> None:
    over = at(dataclasses.replace(leased(), protected=True), END)
    found = lease.look(over, END + POLICY.grace, POLICY)
    assert (over.state, found) == (State.STOPPED, lease.Look(deed=Deed.REMIND, again_at=END + POLICY.grace + 7 * DAY))


def test_a_stop_that_was_refused_for_good_is_tried_again_each_day() -> None:
    reason = model.Reason(code="cloud.busy", en="no", zh="不")
    stopping = changes.lease_over(leased(), END)
    refused = changes.given_up(stopping, reason, END)
    assert refused.power is contract.State.RUNNING
    assert lease.look(refused, END + DAY, POLICY) == lease.Look(deed=Deed.STOP, again_at=END + 2 * DAY)


def test_a_lost_one_is_marked_and_never_removed_by_the_clock() -> None:
    lost = changes.lost(leased(), NOW)
    over = changes.lease_over(lost, END)
    assert (over.pending, over.end_reached_at) == (False, END)
    assert lease.look(over, END + 100 * DAY, POLICY).deed is Deed.NOTHING


@pytest.mark.parametrize("action", ["start", "restart", "resize"])
def test_after_its_end_it_can_be_extended_or_deleted_and_nothing_else(action: str) -> None:
    over = at(leased(), END)
    with pytest.raises(errors.GovpoolError, match=r"^lease.over"):
        changes.changed(over, action, spec={}, amounts=None, order_id="", now=END)


def test_a_deletion_that_the_cloud_refused_does_not_make_the_clock_forget_its_end() -> None:
    binning = at(changes.deleted(leased(), bin_until=NOW + 7 * DAY, order_id="", now=NOW), NOW)
    back = changes.given_up(binning, model.Reason(code="cloud.busy", en="no", zh="不"), NOW)
    assert (back.desired, back.end_due_at) == (Desired.UP, NOW + lease.BUSY_AGAIN)


MOVES = {
    "stop": lambda one, now: changes.changed(one, "stop", spec={}, amounts=None, order_id="", now=now),
    "start": lambda one, now: changes.changed(one, "start", spec={}, amounts=None, order_id="", now=now),
    "bin": lambda one, now: changes.deleted(one, bin_until=now + 7 * DAY, order_id="", now=now),
    "purge": lambda one, now: changes.deleted(one, bin_until=None, order_id="", now=now),
    "undelete": lambda one, now: changes.undeleted(one, order_id="", now=now),
    "extend": lambda one, now: changes.extended(one, now + 20 * DAY, order_id="", now=now),
    "lose": lambda one, now: one if one.pending else changes.lost(one, now),
    "refuse": lambda one, now: changes.given_up(one, model.Reason(code="c", en="e", zh="z"), now) if one.pending else one,
    "settle": settled,
    "protect": lambda one, now: dataclasses.replace(one, protected=not one.protected, end_due_at=one.end_due_at and now),
    "clock": at,
}


@given(st.lists(st.tuples(st.sampled_from(sorted(MOVES)), st.integers(0, 12)), max_size=40), st.sampled_from(sorted(rules.ACTIONS)))
def test_whatever_happens_to_it_the_clock_never_fails_and_never_forgets_it(story: list[tuple[str, int]], kind: str) -> None:
    resource, now = leased(NOW + 15 * DAY, kind), NOW
    for move, days in story:
        now += days * DAY
        try:
            resource = MOVES[move](resource, now)
        except errors.GovpoolError:
            assert move != "clock"
        if resource.end_at is not None and resource.desired is Desired.UP and not resource.ended:
            assert resource.end_due_at is not None


# -- extension ---------------------------------------------------------------------------------------------------------------------


def test_an_extension_moves_the_generation_and_touches_no_cloud() -> None:
    after = changes.extended(leased(), END + DAY, order_id="ord-2", now=NOW)
    assert (after.end_at, after.generation, after.observed_generation, after.pending) == (END + DAY, 2, 2, False)
    assert after.end_due_at == NOW


def test_an_extension_of_what_its_end_stopped_starts_it_again_under_the_order() -> None:
    after = changes.extended(at(leased(), END), None, order_id="ord-2", now=END + DAY)
    assert (after.action, after.order_id, after.power, after.end_at) == ("start", "ord-2", contract.State.RUNNING, None)
    assert (after.end_reached_at, after.end_power, after.end_due_at) == (None, None, None)


def test_an_extension_while_its_end_is_stopping_it_waits_for_the_stop() -> None:
    with pytest.raises(errors.GovpoolError, match=r"^resource.busy"):
        changes.extended(changes.lease_over(leased(), END), END + DAY, order_id="ord-2", now=END)


def test_what_lies_in_the_bin_is_taken_back_first_and_has_its_whole_grace_then() -> None:
    binned = at(at(at(leased(), END), END + POLICY.grace - DAY), END + POLICY.grace)
    assert (binned.state, lease.look(binned, END + 9 * DAY, POLICY).again_at) == (State.BIN, None)
    with pytest.raises(errors.GovpoolError, match=r"^lease.in_bin"):
        changes.extended(binned, END + 60 * DAY, order_id="ord-2", now=END + 9 * DAY)
    back = settled(changes.undeleted(binned, order_id="ord-3", now=END + 9 * DAY), END + 9 * DAY)
    assert (back.state, back.end_due_at) == (State.STOPPED, END + 9 * DAY)
    assert lease.look(back, END + 15 * DAY, POLICY).deed is Deed.NOTHING
    assert lease.look(back, END + 16 * DAY, POLICY).deed is Deed.BIN
    after = changes.extended(back, END + 60 * DAY, order_id="ord-4", now=END + 10 * DAY)
    assert after.power is contract.State.RUNNING


def test_a_lease_that_never_began_is_not_looked_at_for_ever() -> None:
    gone = changes.ended(changes.deleted(wanted(end_at=END, end_due_at=NOW), bin_until=None, order_id="", now=NOW), State.GONE, NOW)
    assert gone.end_due_at is None
