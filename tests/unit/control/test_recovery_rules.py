"""A restored row against the cloud's own story of it."""

import dataclasses
import datetime
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from control.recovery import model, rules
from control.recovery.model import Happened
from primitives import clock
from provisioners import changes, contract
from provisioners import model as provisioners_model
from provisioners.contract import Facts, State

HERE = "inst-1"
START = datetime.datetime(2026, 11, 24, 2, 0, tzinfo=clock.UTC)
NOW = START + datetime.timedelta(hours=2)
SMALL = {"cpu_milli": 2000, "instances": 1}
BIG = {"cpu_milli": 8000, "instances": 1}


def at(minutes: int) -> datetime.datetime:
    return START + datetime.timedelta(minutes=minutes)


def facts(state: State = State.RUNNING, cloud_id: str = "g1", amounts: dict[str, int] = SMALL, minutes: int = 0) -> Facts:
    return Facts(state=state, cloud_id=cloud_id, amounts=amounts, created_at=clock.text(at(minutes)))


def seen(
    now: Facts, installation: str = HERE, resource_id: str = "vm-1", kind: str = contract.VIRTUAL_MACHINE
) -> contract.Observed:
    return contract.Observed(
        kind=kind,
        name="门户",
        tenant="tax",
        resource_id=resource_id,
        installation=installation,
        epoch=1,
        facts=now,
        project="window",
    )


def event(minutes: int, verb: str, now: Facts, resource_id: str = "vm-1") -> contract.Event:
    return contract.Event(
        id=str(minutes), at=clock.text(at(minutes)), verb=verb, kind=contract.VIRTUAL_MACHINE, tenant="tax", installation=HERE,
        resource_id=resource_id, facts=now, name="门户", project="window",
    )  # fmt: skip


def row(**more: object) -> provisioners_model.Resource:
    """A delivered guest whose last usage event is of minute 5."""
    wanted = provisioners_model.WantedResource(
        resource_id="vm-1", kind=contract.VIRTUAL_MACHINE, name="门户", tenant_id="t1", tenant="tax", project_id="p1", project="window",
        pool_id="pool-1", pool="gov", zone="az1", service_class="general", amounts=SMALL,
    )  # fmt: skip
    built = dataclasses.replace(
        changes.born(wanted, START),
        built=True,
        facts=facts(),
        observed_generation=1,
        usage_sequence=1,
        usage_at=at(5),
        next_at=None,
    )
    return dataclasses.replace(changes.restated(built, START), **more)  # type: ignore[arg-type]


def found(
    known: provisioners_model.Resource | None,
    items: Sequence[contract.Observed] = (),
    events: Sequence[contract.Event] = (),
    tenants: Sequence[str] = ("tax",),
) -> list[model.Finding]:
    stories = rules.stories("pool-1", "gov", HERE, items, events)
    rows = {} if known is None else {known.id: known}
    unseen = [one for one in rows.values() if one.id not in stories]
    return rules.findings(stories, rows, unseen, tenants=set(tenants), looked_at=NOW)


def happened(*arguments: object, **more: object) -> list[Happened]:
    return [one.happened for one in found(*arguments, **more)]  # type: ignore[arg-type]


CREATED = event(0, "created", facts(State.BUILDING))
BUILT = event(1, "built", facts())
DELETED = event(60, "deleted", facts(State.ABSENT))


def test_what_both_tell_alike_is_no_finding() -> None:
    assert happened(row(), [seen(facts())], [CREATED, BUILT]) == []
    assert happened(row(), [seen(facts())], []) == [], "a cloud without a record"


def test_what_is_not_ours_is_no_finding() -> None:
    assert happened(None, [seen(facts(), installation="inst-2"), seen(facts(), resource_id="")]) == []
    assert happened(None, [seen(facts(State.ABSENT), kind=contract.TICKET)]) == [], "a ticket makes nothing by itself"


@pytest.mark.parametrize(
    ("items", "events", "tenants", "expected"),
    [
        ([seen(facts())], [CREATED, BUILT], ["tax"], [Happened.MADE]),
        ([seen(facts())], [], ["tax"], [Happened.MADE]),
        ([seen(facts(State.BUILDING))], [CREATED], ["tax"], [Happened.MADE]),
        ([], [CREATED, BUILT, DELETED], ["tax"], [Happened.PASSED]),
        ([], [CREATED, event(2, "deleted", facts(State.ABSENT))], ["tax"], []),  # nobody could ever use it
        ([seen(facts())], [CREATED, BUILT], ["police"], [Happened.UNPLACED]),
        ([], [CREATED, BUILT, DELETED], ["police"], [Happened.UNPLACED]),
    ],
)
def test_what_the_database_does_not_know(
    items: list[contract.Observed], events: list[contract.Event], tenants: list[str], expected: list[Happened]
) -> None:
    assert happened(None, items, events, tenants) == expected


def test_what_the_database_has_and_the_cloud_has_not_ended_at_the_clouds_moment() -> None:
    (one,) = found(row(), [], [CREATED, BUILT, DELETED])
    assert (one.happened, one.ended_at) == (Happened.ENDED, at(60))
    (other,) = found(row(), [], [])
    assert (other.happened, other.ended_at) == (Happened.ENDED, NOW), "without a record, when it was looked for"
    assert happened(row(state=provisioners_model.State.LOST), [], [CREATED, BUILT, DELETED]) == [], "known to be lost already"
    assert happened(row(built=False, facts=Facts()), [], []) == [], "still to be made"
    assert happened(changes.ended(row(), provisioners_model.State.GONE, NOW), [], [CREATED, BUILT, DELETED]) == []


def test_a_guest_that_ended_while_the_clouds_were_asked_is_gone() -> None:
    """The inventory is read before the record."""
    (one,) = found(None, [seen(facts())], [CREATED, BUILT, DELETED])
    assert one.happened is Happened.PASSED


def test_other_size_power_or_guest_is_a_change() -> None:
    for now in (facts(State.STOPPED), facts(amounts=BIG), facts(cloud_id="g2")):
        assert happened(row(), [seen(now)]) == [Happened.CHANGED], now
    assert happened(row(desired=provisioners_model.Desired.DOWN), [seen(facts(State.STOPPED))]) == [], "its removal goes on"


def test_what_stood_still_for_an_hour_is_a_change_though_it_runs_as_before() -> None:
    pause = [event(10, "stopped", facts(State.STOPPED)), event(70, "started", facts())]
    (one,) = found(row(), [seen(facts())], [CREATED, BUILT, *pause])
    assert one.happened is Happened.CHANGED and [moment.verb for moment in one.news] == ["stopped", "started"]
    assert happened(row(), [seen(facts())], [CREATED, BUILT, event(10, "restarted", facts())]) == [], "a restart is the same use"


def test_what_lay_in_the_recycle_bin_is_asked_after() -> None:
    binned = row(desired=provisioners_model.Desired.BIN, facts=facts(State.STOPPED), bin_until_at=NOW)
    stopped, started = facts(State.STOPPED), event(10, "started", facts())
    assert happened(binned, [seen(stopped)]) == [Happened.BINNED]
    assert happened(binned, [seen(facts())], [started]) == [Happened.CHANGED]
    assert happened(binned, [seen(stopped)], [started, event(20, "stopped", stopped)]) == [Happened.CHANGED], (
        "taken back, then stopped"
    )


def test_of_the_record_only_what_can_be_news_is_kept() -> None:
    late, early = event(6, "stopped", facts(State.STOPPED)), event(5, "built", facts())
    ended = changes.ended(row(), provisioners_model.State.GONE, NOW)
    assert [rules.is_news(late, one) for one in (row(), None, ended)] == [True, True, False]
    assert [rules.is_news(early, one) for one in (row(), None, row(usage_at=None))] == [False, True, True]
    (one,) = found(row(), [], [DELETED])
    assert (one.happened, one.ended_at) == (Happened.ENDED, at(60)), "its begin is not needed to know its end"


def test_of_two_guests_of_one_resource_the_oldest_counts() -> None:
    older, younger = facts(cloud_id="g9", minutes=1), facts(cloud_id="g1", minutes=2)
    stories = rules.stories("pool-1", "gov", HERE, [seen(younger), seen(older)], [event(2, "created", younger)])
    assert stories["vm-1"].facts == older and stories["vm-1"].moments == ()


@given(st.lists(st.sampled_from([facts(), facts(State.STOPPED), facts(amounts=BIG)]), max_size=12), st.integers(0, 13))
def test_old_and_news_are_the_whole_record_wherever_the_backup_was_cut(states: list[Facts], cut: int) -> None:
    events = [CREATED, *(event(number, "changed", state) for number, state in enumerate(states, 1))]
    story = rules.stories("pool-1", "gov", HERE, [seen(states[-1] if states else facts())], events)["vm-1"]
    news = rules.news(story, row(usage_at=at(cut)))
    old = [moment for moment in story.moments if moment.at <= at(cut)]
    assert (*old, *news) == story.moments


def test_a_change_under_way_came_about_if_the_cloud_ever_showed_it() -> None:
    wanted = row(amounts=BIG)
    moments = [model.Moment(at=at(7), verb="resized", facts=facts(amounts=BIG))]
    assert rules.follows_wish(wanted, moments, facts(amounts=SMALL)), "it came about, and was changed again"
    assert rules.follows_wish(wanted, [], facts(amounts=BIG))
    assert not rules.follows_wish(wanted, [], facts())
    assert not rules.follows_wish(row(power=State.STOPPED), [], facts()), "a stop that is still to come"
