"""Extension of leases, an order like any other: approved, refused, overtaken by the end, the bin or a deletion; racing with the clock."""

import concurrent.futures
import dataclasses
import datetime
from collections.abc import Callable
from typing import Any

import pytest

from control import lease, order
from orders import model
from primitives import clock, errors
from provisioners import service as provisioners
from provisioners.model import State
from quotas.budgets import service as budgets
from store import database as store_database
from tests.integration import lab_process
from tests.integration.lease_world import DAY, POLICY, extension, guest, in_days, leased, refused, tick, told, turn
from tests.integration.office import Office, change, create

# -- extension -------------------------------------------------------------------------------------------------------------------------


def test_an_extension_is_delivered_in_the_transaction_that_agrees_to_it(office: Office, later: Callable[[float], None]) -> None:
    machine = leased(office, "延期-01", 10)
    calls = len(office.lab.record())
    number = office.order(extension(machine, in_days(100)))
    assert office.shown(number) == ("delivered", ["delivered"])
    row = office.get(machine)
    assert (row.generation, row.observed_generation) == (2, 2)
    office.work()
    assert len(office.lab.record()) == calls
    later(11)
    tick(office)
    assert (office.get(machine).state, told(office)) == (State.RUNNING, [])


def test_what_its_end_stopped_runs_again_when_it_is_extended_and_the_order_waits_for_that(
    office: Office, later: Callable[[float], None]
) -> None:
    machine = leased(office, "延期-02", 2)
    later(2.1)
    tick(office)
    with refused("resource.busy"):
        office.order(extension(machine, in_days(30)))
    office.work()
    number = office.order(extension(machine, "none"))
    assert office.shown(number) == ("delivering", ["open"])
    office.work()
    assert (office.shown(number)[0], guest(office, machine), office.get(machine).end_at) == ("delivered", "running", None)
    later(400)
    tick(office)
    assert told(office) == ["lease.over"]
    assert office.is_sound()


def test_what_lies_in_the_bin_is_taken_back_first(office: Office, later: Callable[[float], None]) -> None:
    machine = leased(office, "延期-03", 2)
    later(2.1)
    tick(office)
    office.work()
    later(9.2)
    tick(office)
    office.work(lambda: office.get(machine).state is State.BIN)
    with refused("lease.in_bin"):
        office.order(extension(machine, in_days(30)))
    office.order(change("undelete", machine))
    office.work()
    tick(office)
    assert (office.get(machine).state, guest(office, machine)) == (State.STOPPED, "stopped")  # a new grace, not the bin again
    office.order(extension(machine, in_days(30)))
    office.work()
    assert guest(office, machine) == "running"


def test_a_longer_stay_waits_for_approval_where_a_rule_asks_and_a_shorter_one_never_does(office: Office) -> None:
    machine = leased(office, "审批-01", 50)
    office.ask_for_approval_of("extend")
    assert office.shown(office.order(extension(machine, in_days(40))))[0] == "delivered"
    number = office.order(extension(machine, in_days(300)))
    assert office.shown(number)[0] == "waiting_for_approval"
    with refused("order.waits"):
        office.order(extension(machine, "none"))
    before = office.get(machine).end_at
    office.decide(number, model.Verdict.APPROVED)
    after = office.get(machine).end_at
    assert office.shown(number) == ("delivered", ["delivered"])
    assert before is not None and after is not None
    assert after - before > 200 * DAY
    assert office.shown(office.order(extension(machine, "none")))[0] == "waiting_for_approval"


@pytest.mark.parametrize("verdict", [model.Verdict.REFUSED, model.Verdict.WITHDRAWN, model.Verdict.APPROVED])
def test_the_money_of_the_longer_time_is_held_while_an_extension_waits(office: Office, verdict: model.Verdict) -> None:
    machine = leased(office, "经费-01", 10)
    short = money_until(office, machine)
    office.ask_for_approval_of("extend")
    until = in_days(20)
    number = office.order(extension(machine, until))
    assert money_until(office, machine) == clock.parse(until)
    office.decide(number, verdict)
    assert money_until(office, machine) == office.get(machine).end_at
    assert (money_until(office, machine) == short) is (verdict is not model.Verdict.APPROVED)
    office.order(extension(machine, in_days(5)))
    assert money_until(office, machine) == office.get(machine).end_at
    office.order(extension(machine, "none"))
    office.decide(str(int(number) + 2), model.Verdict.APPROVED)
    assert all(one.open_ended for one in office.read(lambda tx: budgets.held(tx, holders=[machine]))[-1:])


def money_until(office: Office, resource_id: str) -> datetime.datetime:
    """Up to when money is held for a resource."""
    until: datetime.datetime = max(one.end_at for one in office.read(lambda tx: budgets.held(tx, holders=[resource_id])))
    return until


@pytest.mark.parametrize("purge", [False, True])
def test_a_waiting_extension_of_what_was_deleted_meanwhile_fails_and_leaves_nothing_held(office: Office, purge: bool) -> None:
    machine = leased(office, "审批-02", 50)
    office.ask_for_approval_of("extend")
    number = office.order(extension(machine, in_days(300)))
    office.order(change("delete", machine, purge=purge))
    office.work(lambda: not office.get(machine).pending)
    office.decide(number, model.Verdict.APPROVED)
    assert office.shown(number) == ("failed", ["failed"])
    assert office.is_sound()


def test_an_order_that_waits_past_the_end_it_asks_for_cannot_be_approved_and_ends(
    office: Office, later: Callable[[float], None]
) -> None:
    machine = leased(office, "审批-03", 0.9 + 1)
    office.ask_for_approval_of("extend", "create")
    numbers = [
        office.order(extension(machine, in_days(2))),
        office.order(dataclasses.replace(create("审批-04"), end_at=in_days(1.0001))),
    ]
    # the rule gives one day; the orders' own ends cut that short only if they come first
    later(2.1)
    for number in numbers:
        with refused("order.past"):
            office.decide(number, model.Verdict.APPROVED)
    office.lane(order.end_overdue)
    assert [office.shown(number)[0] for number in numbers] == ["ended", "ended"]
    tick(office)
    office.work()
    assert office.is_sound()


def test_an_extension_of_a_machine_that_waited_while_its_end_came_starts_it_again(
    office: Office, later: Callable[[float], None]
) -> None:
    machine = leased(office, "审批-05", 1.5)
    office.ask_for_approval_of("extend")
    later(1.4)
    number = office.order(extension(machine, in_days(90)))
    later(1.6)
    tick(office)
    office.work()
    assert guest(office, machine) == "stopped"
    office.decide(number, model.Verdict.APPROVED)
    office.work()
    assert (office.shown(number)[0], guest(office, machine)) == ("delivered", "running")


@pytest.mark.parametrize("at_days", [2.1, 9.3])
def test_of_an_extension_and_the_clock_one_comes_first_and_the_other_sees_it(
    cluster_url: str, lab: lab_process.Lab, later: Callable[[float], None], at_days: float
) -> None:
    office = Office(cluster_url, lab)
    second = store_database.open_database(cluster_url, owner=False)
    try:
        machines = [leased(office, f"竞赛-{number}", 2) for number in range(6)]
        if at_days > 9:
            later(2.1)
            tick(office)
            office.work()
        later(at_days)

        def extended(machine: str) -> str:
            try:
                return office.order(extension(machine, in_days(60)))
            except errors.GovpoolError as error:
                return error.code

        with concurrent.futures.ThreadPoolExecutor(3) as pool:
            clocks = [pool.submit(turn, second) for _ in range(3)]
            answers = list(pool.map(extended, machines))
            for one in clocks:
                one.result()
        tick(office)
        office.work(lambda: all(not row.pending for row in office.rows()))
        for machine, answer in zip(machines, answers, strict=True):
            row = office.get(machine)
            if answer.isdecimal():
                assert (office.shown(answer)[0], row.state, guest(office, machine)) == ("delivered", State.RUNNING, "running")
            else:
                assert answer in ("resource.busy", "lease.in_bin", "resource.state")
                assert row.state is (State.BIN if at_days > 9 else State.STOPPED)
    finally:
        second.close()
        office.close()


# -- what is refused -------------------------------------------------------------------------------------------------------------------


def test_ends_that_cannot_be_are_refused_and_change_nothing(office: Office) -> None:
    machine = leased(office, "边界-01", 50)
    end_at = office.get(machine).end_at
    assert end_at is not None
    for until in ("2020-01-01", in_days(0.5), in_days(4000), clock.text(end_at), "", "morgen"):
        with refused("input.invalid"):
            office.order(extension(machine, until))
    for wish in (
        dataclasses.replace(change("stop", machine), end_at=in_days(9)),
        dataclasses.replace(create("过去"), end_at="2020-01-01"),
    ):
        with refused("input.invalid"):
            office.order(wish)
    assert (office.get(machine).end_at, len(office.rows())) == (end_at, 1)


def test_a_list_of_leases_has_the_soonest_first_in_pages_and_only_those_with_an_end(office: Office) -> None:
    for name, days in (("乙", 20), ("甲", 10), ("丙", 30)):
        office.order(dataclasses.replace(create(name), end_at=in_days(days)))
    office.order(create("丁"))

    def listed(query: lease.Query, **more: Any) -> list[str]:
        rows = office.read(lambda tx: lease.list_leases(tx, office.requester, query, POLICY, **more))
        return [row["metadata"]["name"] for row in rows]

    assert listed(lease.Query(tenant=office.tenant, project=office.project)) == ["甲", "乙", "丙"]
    assert listed(lease.Query(within_days=21)) == ["甲", "乙"]
    assert listed(lease.Query(ended=True)) == []
    first = next(row for row in office.rows() if row.name == "甲")
    assert first.end_at is not None
    assert listed(lease.Query(), after=(clock.to_us(first.end_at), first.id), limit=1) == ["乙"]
    assert (
        office.read(
            lambda tx: len(provisioners.listed(tx, provisioners.Filter(tenant_ids=None, end_before=clock.now() + 21 * DAY)))
        )
        == 2
    )
