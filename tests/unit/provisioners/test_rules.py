"""Which step a row needs next, what the sweep makes of what it finds, and when a sender counts as dead."""

import dataclasses
import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from primitives import clock, errors
from provisioners import changes, contract, model, rules
from provisioners.contract import Facts
from provisioners.model import Desired, State
from provisioners.rules import Finding, Step

NOW = datetime.datetime(2026, 10, 1, 8, 0, tzinfo=clock.UTC)
LATER = NOW + datetime.timedelta(minutes=1)
GUEST = Facts(state=contract.State.RUNNING, cloud_id="guest-1", ticket_id="ticket-1", revision="3", addresses=("10.0.0.3",))
REASON = model.Reason(code="cloud.no_host", en="no host has room", zh="没有主机可容纳")


def wanted(kind: str = contract.VIRTUAL_MACHINE, **more: object) -> model.Resource:
    """A resource nothing was done for yet."""
    return dataclasses.replace(
        changes.born(
            model.WantedResource(
                resource_id="vm-1",
                kind=kind,
                name="一窗受理-01",
                tenant_id="ten-1",
                tenant="tax",
                project_id="prj-1",
                project="one-window",
                pool_id="pool-1",
                pool="city",
                zone="az1",
                service_class="general",
                amounts={"cpu_milli": 2000, "ram_mib": 4096},
                order_id="ord-1",
            ),
            NOW,
        ),
        **more,  # type: ignore[arg-type]
    )


def running(kind: str = contract.VIRTUAL_MACHINE) -> model.Resource:
    """A delivered one."""
    made = dataclasses.replace(wanted(kind), attempts_made=2, limited=True)
    return changes.released(changes.confirmed(changes.learnt(made, GUEST, NOW), NOW), None)


# -- the next step -----------------------------------------------------------------------------------------------------------------


def test_an_open_attempt_is_settled_before_anything_else() -> None:
    rows = [
        wanted(),
        running(),
        changes.deleted(running(), bin_until=None, order_id="", now=NOW),
        dataclasses.replace(running(), strays=(GUEST,)),
    ]
    assert {rules.next_step(row, True, NOW) for row in rows} == {Step.REVOKE}


def test_a_resource_is_created_then_rests() -> None:
    assert rules.next_step(wanted(), False, NOW) is Step.ADVANCE
    assert rules.next_step(running(), False, NOW) is Step.REST
    assert running().state is State.RUNNING


def test_what_was_never_sent_is_released_without_asking_the_cloud() -> None:
    overtaken = changes.deleted(wanted(), bin_until=LATER, order_id="ord-2", now=NOW)
    assert rules.next_step(overtaken, False, NOW) is Step.RELEASE
    assert overtaken.superseded == ("ord-1",)
    tried = changes.deleted(wanted(attempts_made=1), bin_until=LATER, order_id="ord-2", now=NOW)
    assert rules.next_step(tried, False, NOW) is Step.REMOVE


def test_a_deleted_guest_is_stopped_lies_in_the_bin_and_is_removed_when_its_time_is_over() -> None:
    binned = changes.deleted(running(), bin_until=LATER, order_id="ord-2", now=NOW)
    assert (rules.next_step(binned, False, NOW), rules.cloud_action(binned)) == (Step.ACT, "stop")
    stopped = changes.learnt(binned, dataclasses.replace(GUEST, state=contract.State.STOPPED), NOW)
    resting = changes.confirmed(stopped, NOW)
    assert (resting.state, rules.next_step(resting, False, NOW)) == (State.BIN, Step.REST)
    assert rules.rests_until(resting) == LATER
    assert rules.next_step(resting, False, LATER) is Step.EXPIRE
    assert rules.next_step(changes.expired(resting, LATER), False, LATER) is Step.REMOVE


def test_a_volume_needs_no_call_to_lie_in_the_bin() -> None:
    binned = changes.deleted(running(contract.VOLUME), bin_until=LATER, order_id="", now=NOW)
    assert rules.next_step(binned, False, NOW) is Step.CONFIRM


def test_what_comes_out_of_the_bin_has_the_power_that_it_had() -> None:
    for power, action in ((contract.State.RUNNING, "start"), (contract.State.STOPPED, "")):
        row = dataclasses.replace(running(), power=power)
        binned = changes.confirmed(changes.deleted(row, bin_until=LATER, order_id="", now=NOW), NOW)
        back = changes.undeleted(binned, order_id="", now=NOW)
        assert (back.power, rules.cloud_action(back), back.desired) == (power, action, Desired.UP)


def test_a_refused_create_is_cleaned_away_and_a_refused_change_falls_back() -> None:
    refused = changes.refused(dataclasses.replace(wanted(), attempts_made=1), REASON, NOW)
    assert (rules.next_step(refused, False, NOW), refused.state) == (Step.REMOVE, State.RELEASING)
    bigger = changes.changed(running(), "resize", spec={"size": "c4m8"}, amounts={"cpu_milli": 4000}, order_id="o", now=NOW)
    fallen = changes.given_up(bigger, REASON, NOW)
    assert (fallen.amounts, fallen.spec, fallen.pending, fallen.reason) == (running().amounts, running().spec, False, REASON)


def test_a_change_waits_for_the_one_before_it() -> None:
    busy = changes.changed(running(), "stop", spec={}, amounts=None, order_id="o", now=NOW)
    with pytest.raises(Exception, match=r"resource\.busy"):
        changes.changed(busy, "start", spec={}, amounts=None, order_id="o", now=NOW)
    with pytest.raises(Exception, match=r"resource\.busy"):
        changes.deleted(busy, bin_until=LATER, order_id="o", now=NOW)
    assert changes.deleted(busy, bin_until=None, order_id="o", now=NOW).desired is Desired.DOWN


def test_protection_keeps_a_resource_and_unknown_actions_are_named() -> None:
    with pytest.raises(Exception, match=r"resource\.protected"):
        changes.deleted(dataclasses.replace(running(), protected=True), bin_until=None, order_id="", now=NOW)
    with pytest.raises(Exception, match=r"action"):
        changes.changed(running(contract.VOLUME), "stop", spec={}, amounts=None, order_id="", now=NOW)


def test_a_lost_one_rests_until_somebody_deletes_it() -> None:
    lost = changes.lost(running(), NOW)
    assert rules.next_step(lost, False, NOW) is Step.REST
    assert rules.next_step(dataclasses.replace(lost, look=True), False, NOW) is Step.LOOK
    deleted = changes.deleted(lost, bin_until=LATER, order_id="", now=NOW)
    assert (rules.next_step(deleted, False, NOW), deleted.state) == (Step.REMOVE, State.RELEASING)


_MOVES = st.lists(
    st.sampled_from(
        ["learn", "confirm", "fail", "stop", "start", "restart", "resize", "bin", "purge", "undelete", "expire", "lose", "end"]
    ),
    max_size=12,
)


@given(moves=_MOVES, attempt_open=st.booleans(), seconds=st.integers(0, 10**6))
def test_whatever_happens_there_is_one_next_step_and_the_shown_state_agrees(
    moves: list[str], attempt_open: bool, seconds: int
) -> None:
    now = NOW + datetime.timedelta(seconds=seconds)
    row = wanted()
    for move in moves:
        row = _moved(row, move)
        assert row.observed_generation <= row.generation
        assert (row.ended_at is not None) is row.ended
        assert not row.ended or row.desired is Desired.DOWN
        assert row.desired is not Desired.BIN or row.bin_until_at is not None
    step = rules.next_step(row, attempt_open, now)
    assert (step is Step.REVOKE) is attempt_open
    if row.ended and not attempt_open:
        assert step is Step.REST
    if not row.ended and row.desired is Desired.DOWN:
        assert step in (Step.REVOKE, Step.REMOVE, Step.RELEASE)
        assert rules.visible(row) is State.RELEASING


def _moved(row: model.Resource, move: str) -> model.Resource:
    if move == "learn":
        return row if row.ended else changes.learnt(dataclasses.replace(row, attempts_made=row.attempts_made + 1), GUEST, NOW)
    if move == "confirm":
        return row if row.ended or row.desired is Desired.DOWN else changes.confirmed(row, NOW)
    if move == "fail":
        return row if row.ended or not row.built else changes.given_up(row, REASON, NOW)
    if move == "lose":
        return changes.lost(row, NOW) if row.built and row.desired is Desired.UP else row
    if move == "end":
        return changes.ended(row, State.GONE, NOW) if row.desired is Desired.DOWN and not row.ended else row
    if move == "expire":
        return changes.expired(row, NOW) if row.state is State.BIN else row
    try:
        if move in ("bin", "purge"):
            return changes.deleted(row, bin_until=LATER if move == "bin" else None, order_id="", now=NOW)
        if move == "undelete":
            return changes.undeleted(row, order_id="", now=NOW)
        return changes.changed(row, move, spec={}, amounts={"cpu_milli": 1} if move == "resize" else None, order_id="", now=NOW)
    except errors.GovpoolError:
        return row


# -- tries and limits --------------------------------------------------------------------------------------------------------------


@given(failures=st.integers(1, 10_000), delay_s=st.integers(0, 10_000))
def test_the_pause_between_tries_is_bounded_and_never_shrinks(failures: int, delay_s: int) -> None:
    pause = rules.backoff_s(failures, delay_s)
    assert min(delay_s, rules.BACKOFF_MAX_S) <= pause <= rules.BACKOFF_MAX_S
    assert pause <= rules.backoff_s(failures + 1, delay_s)


@given(
    amounts=st.lists(st.dictionaries(st.sampled_from(["cpu_milli", "ram_mib", "gpus"]), st.integers(0, 10**9)), max_size=6),
    step=st.integers(1, 5000),
)
def test_a_native_limit_covers_what_is_held_and_exceeds_it_by_less_than_a_step(amounts: list[dict[str, int]], step: int) -> None:
    limits = rules.limits(amounts, {"cpu_milli": step})
    for name in ("cpu_milli", "ram_mib", "gpus"):
        total = sum(one.get(name, 0) for one in amounts)
        assert total <= limits.get(name, 0) < total + (step if name == "cpu_milli" else 1) + (total == 0)


def test_during_a_resize_the_greater_size_is_held() -> None:
    assert rules.held({"cpu_milli": 4000, "ram_mib": 1024}, {"cpu_milli": 2000, "ram_mib": 4096}) == {
        "cpu_milli": 4000,
        "ram_mib": 4096,
    }


# -- dead senders ------------------------------------------------------------------------------------------------------------------

SENDER = model.Worker(
    id="wrk-1",
    host="machine-a",
    boot="boot-1",
    pid_space="pid:[1]",
    pid=4711,
    started_ticks=100,
    threads=8,
    started_at=NOW,
    seen_at=NOW,
)
HERE = rules.Here(host="machine-a", boot="boot-1", pid_space="pid:[1]", started_ticks={4711: 100})


def test_a_silent_process_that_still_exists_is_not_dead() -> None:
    assert not rules.known_dead(SENDER, HERE, [])


def test_a_process_is_dead_when_its_pid_is_free_taken_by_another_or_its_machine_was_booted_again() -> None:
    assert rules.known_dead(SENDER, dataclasses.replace(HERE, started_ticks={}), [])
    assert rules.known_dead(SENDER, dataclasses.replace(HERE, started_ticks={4711: 101}), [])
    assert rules.known_dead(SENDER, dataclasses.replace(HERE, boot="boot-2"), [])


def test_a_pid_of_another_container_proves_nothing() -> None:
    assert not rules.known_dead(SENDER, dataclasses.replace(HERE, pid_space="pid:[2]", started_ticks={}), [])


def test_a_machine_without_a_name_is_never_said_to_have_been_booted_again() -> None:
    nameless = dataclasses.replace(SENDER, host="")
    elsewhere = dataclasses.replace(HERE, host="", boot="boot-2")
    assert not rules.known_dead(nameless, elsewhere, [dataclasses.replace(nameless, id="wrk-2", boot="boot-2", started_at=LATER)])


def test_from_another_machine_only_a_later_boot_of_the_senders_machine_is_a_proof() -> None:
    elsewhere = dataclasses.replace(HERE, host="machine-b", boot="boot-9")
    rebooted = dataclasses.replace(SENDER, id="wrk-2", boot="boot-2", started_at=LATER)
    neighbour = dataclasses.replace(SENDER, id="wrk-3", started_at=LATER)
    assert not rules.known_dead(SENDER, elsewhere, [SENDER, neighbour])
    assert rules.known_dead(SENDER, elsewhere, [SENDER, rebooted])


def test_absence_closes_an_attempt_only_after_its_sender_is_done_and_the_bound_has_passed() -> None:
    attempt = model.Attempt(
        id="att-1", resource_id="vm-1", number=1, verb=contract.Verb.ADVANCE, action="", fence=model.Fence(epoch=1, n=1), epoch=1,
        worker_id="wrk-1", known=Facts(), opened_at=NOW - datetime.timedelta(days=9), returned_at=None, closed_at=None, outcome="", detail="",
    )  # fmt: skip
    assert not rules.closes_on_absence(attempt, 30, NOW)
    back = dataclasses.replace(attempt, returned_at=NOW)
    assert not rules.closes_on_absence(back, 30, NOW + datetime.timedelta(seconds=29))
    assert rules.closes_on_absence(back, 30, NOW + datetime.timedelta(seconds=30))


# -- the sweep's judgement ---------------------------------------------------------------------------------------------------------


def seen(facts: Facts = GUEST, **more: object) -> contract.Observed:
    """A guest as a sweep sees it."""
    values: dict[str, object] = {
        "kind": contract.VIRTUAL_MACHINE, "name": "一窗受理-01", "tenant": "tax", "resource_id": "vm-1", "installation": "inst-1",
        "epoch": 1, "facts": facts,
    }  # fmt: skip
    return contract.Observed(**values | more)  # type: ignore[arg-type]


TRAIL = rules.Trail(any_open=False, cloud_ids=frozenset({"guest-1"}), epochs=frozenset({1}), creates_ended_at=NOW)
SECOND = dataclasses.replace(GUEST, cloud_id="guest-2", created_at=clock.text(NOW))


def _judged(item: contract.Observed, row: model.Resource | None, trail: rules.Trail = TRAIL) -> Finding:
    return rules.judge(item, "inst-1", row, trail, LATER)


def test_what_is_as_stored_is_known_and_what_is_not_has_drifted() -> None:
    assert _judged(seen(), running()) is Finding.KNOWN
    assert _judged(seen(dataclasses.replace(GUEST, state=contract.State.STOPPED)), running()) is Finding.DRIFTED
    assert _judged(seen(), changes.lost(running(), NOW)) is Finding.DRIFTED


def test_a_second_guest_that_no_answer_ever_named_is_a_stray() -> None:
    assert _judged(seen(SECOND), running()) is Finding.STRAY


def test_a_guest_that_may_have_been_handed_out_is_never_a_stray() -> None:
    named = dataclasses.replace(TRAIL, cloud_ids=frozenset({"guest-1", "guest-2"}))
    assert _judged(seen(SECOND), running(), named) is Finding.QUARANTINE
    assert (
        _judged(seen(SECOND, epoch=2), running()) is Finding.QUARANTINE
    )  # made after a restore that this database does not know of
    assert _judged(seen(SECOND), running(), rules.NO_TRAIL) is Finding.QUARANTINE
    assert _judged(seen(), None, rules.NO_TRAIL) is Finding.QUARANTINE
    assert _judged(seen(), changes.ended(running(), State.GONE, NOW)) is Finding.QUARANTINE


def test_a_copy_that_somebody_made_later_is_never_a_stray() -> None:
    for created_at in (clock.text(NOW + rules.LATE + datetime.timedelta(seconds=1)), ""):
        copied = dataclasses.replace(SECOND, created_at=created_at)
        assert _judged(seen(copied), running()) is Finding.QUARANTINE
        assert _judged(seen(copied), changes.lost(running(), NOW)) is Finding.QUARANTINE


def test_foreign_things_are_only_reported() -> None:
    assert _judged(seen(installation=""), running()) is Finding.FOREIGN
    assert _judged(seen(installation="inst-2"), running()) is Finding.FOREIGN


def test_what_is_under_way_is_left_to_who_carries_it() -> None:
    assert _judged(seen(SECOND), running(), dataclasses.replace(TRAIL, any_open=True)) is Finding.LEAVE
    assert _judged(seen(SECOND), dataclasses.replace(running(), facts_at=LATER)) is Finding.LEAVE
    assert _judged(seen(SECOND), wanted()) is Finding.LEAVE
    assert _judged(seen(), changes.deleted(running(), bin_until=None, order_id="", now=NOW)) is Finding.KNOWN


def test_a_spare_ticket_is_a_stray_and_the_guests_own_is_not() -> None:
    def ticket(ticket_id: str) -> contract.Observed:
        return seen(Facts(ticket_id=ticket_id), kind=contract.TICKET)

    assert _judged(ticket("ticket-1"), running()) is Finding.KNOWN
    assert _judged(ticket("ticket-2"), running()) is Finding.STRAY
    assert _judged(ticket("ticket-2"), running(), dataclasses.replace(TRAIL, any_open=True)) is Finding.LEAVE


def test_only_delivered_resources_that_nothing_happened_to_meanwhile_can_be_missing() -> None:
    row = running()
    fresh = dataclasses.replace(row, facts_at=LATER)
    leaving = changes.deleted(row, bin_until=None, order_id="", now=NOW)
    rows = [row, fresh, leaving, wanted(), changes.lost(row, NOW)]
    assert rules.missing(rows, frozenset(), LATER) == [row]
    assert not rules.missing([row], frozenset({"guest-1"}), LATER)
