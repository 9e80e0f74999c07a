"""Leases over a real lab cloud, on both databases: the guest stops at its end and is gone after the bin, once, whatever dies in between."""

import concurrent.futures
import dataclasses
import datetime
import json
from collections.abc import Callable

import pytest

from control import lease, plan, reservation, resource
from primitives import clock
from provisioners import contract
from provisioners import lease as rule
from provisioners.model import State
from store import database as store_database
from store import installation, transaction
from tests.integration import lab_process, processes
from tests.integration.lease_world import POLICY, TOLD, guest, in_days, leased, refused, tick, told, turn
from tests.integration.office import Office, change, create

_TRAIL = transaction.sql("SELECT action FROM audit_trail WHERE action LIKE 'lease.%' AND actor = 'system' ORDER BY seq")


# -- from the order to the empty cloud -----------------------------------------------------------------------------------------------


def test_the_cloud_shows_the_guest_stopped_at_its_end_and_nothing_after_the_bin(
    office: Office, later: Callable[[float], None]
) -> None:
    machine = leased(office, "临时测试-01", 40)
    tick(office)
    assert told(office) == []
    for days, expected in ((10.1, 1), (20, 1), (33.1, 2), (39.1, 3)):
        later(days)
        tick(office)
        assert told(office) == ["lease.near"] * expected
    later(40.1)
    tick(office)
    office.work()
    assert (guest(office, machine), office.get(machine).state, told(office)[3:]) == ("stopped", State.STOPPED, ["lease.over"])
    with refused("lease.over"):
        office.order(change("start", machine))
    later(46.9)
    tick(office)
    office.work()
    assert office.get(machine).state is State.STOPPED
    later(47.2)
    tick(office)
    office.work(lambda: office.get(machine).state is State.BIN)
    assert (guest(office, machine), told(office)[4:]) == ("stopped", ["lease.binned"])
    later(54.4)
    office.work(lambda: office.get(machine).ended)
    tick(office)
    assert (guest(office, machine), office.lab.tickets(machine), told(office)[5:]) == ("", [], [])
    assert office.read(lambda tx: [row["action"] for row in tx.execute(_TRAIL)]) == ["lease.end", "lease.bin"]
    assert office.is_sound()


def test_notices_name_the_day_the_way_out_and_how_long(office: Office, later: Callable[[float], None]) -> None:
    machine = leased(office, "档案库-01", 8)
    later(1.5)
    tick(office)
    (row,) = office.read(lambda tx: tx.execute(TOLD))
    values = json.loads(row["values_json"])
    end_at = office.get(machine).end_at
    assert end_at is not None
    assert (values["name"], values["days"], values["end"], values["id"]) == ("档案库-01", "7", rule.said(end_at), machine)
    assert row["address"] == f"{office.tenant_id}/"


def test_an_order_made_five_days_before_its_end_says_so_and_gets_one_notice(office: Office, later: Callable[[float], None]) -> None:
    machine = leased(office, "会议-01", 5)
    shown = office.read(lambda tx: resource.show(tx, office.requester, machine))
    end_at = office.get(machine).end_at
    assert end_at is not None
    assert shown["spec"]["end_at"] == clock.text(end_at)
    for days in (1, 2, 3, 4.1, 4.9):
        later(days)
        tick(office)
    assert told(office) == ["lease.near"]


def test_a_server_that_was_down_for_weeks_ends_it_late_and_gives_the_whole_grace(
    office: Office, later: Callable[[float], None]
) -> None:
    machine = leased(office, "停机-01", 35)
    later(80)
    tick(office)
    office.work()
    assert (guest(office, machine), told(office)) == ("stopped", ["lease.over"])
    later(86.9)
    tick(office)
    office.work()
    assert office.get(machine).state is State.STOPPED
    later(87.1)
    tick(office)
    office.work(lambda: office.get(machine).state is State.BIN)


def test_a_volume_that_ends_is_marked_and_binned_after_its_grace(office: Office, later: Callable[[float], None]) -> None:
    wish = plan.Wish(name="数据盘-01", size_gib=20)
    office.order(reservation.LineWish(action="create", kind=contract.VOLUME, wish=wish, end_at=in_days(2)))
    office.work()
    (volume,) = (row.id for row in office.rows())
    later(2.1)
    tick(office)
    assert (office.get(volume).pending, told(office)) == (False, ["lease.near", "lease.over"][1:])
    later(9.2)
    tick(office)
    office.work(lambda: office.get(volume).state is State.BIN)


def test_a_protected_one_stays_stopped_and_operators_and_owner_hear_of_it_each_week(
    office: Office, later: Callable[[float], None]
) -> None:
    machine = leased(office, "重要-01", 3)
    office.case(resource.update(machine, protected=True, labels=None), office.requester)
    for days in (3.1, 10.2, 12, 17.3):
        later(days)
        tick(office)
        office.work()
    assert (office.get(machine).state, guest(office, machine)) == (State.STOPPED, "stopped")
    addresses = [row["address"] for row in office.read(lambda tx: tx.execute(TOLD)) if row["code"] == "lease.protected"]
    assert addresses == [f"{office.tenant_id}/", f"{office.tenant_id}/operator"] * 2
    office.case(resource.update(machine, protected=False, labels=None), office.requester)
    tick(office)
    office.work(lambda: office.get(machine).state is State.BIN)


def test_nothing_ends_by_the_clock_between_a_restore_and_its_acceptance(office: Office, later: Callable[[float], None]) -> None:
    machine = leased(office, "恢复-01", 3)
    office.lane(installation.raise_epoch)
    later(20)
    assert turn(office.database) == []
    assert (office.get(machine).end_reached_at, told(office)) == (None, [])
    office.lane(installation.accept)
    tick(office)
    assert told(office) == ["lease.over"]


# -- two servers, kills ----------------------------------------------------------------------------------------------------------------


def test_two_servers_give_each_notice_and_end_each_lease_once(
    cluster_url: str, lab: lab_process.Lab, later: Callable[[float], None]
) -> None:
    office = Office(cluster_url, lab)
    second = store_database.open_database(cluster_url, owner=False)
    try:
        for number in range(12):
            office.order(dataclasses.replace(create(f"并行-{number:02}"), end_at=in_days(35)))
        for days in (5.1, 28.1, 34.1, 35.1, 42.2):
            office.work()
            later(days)
            with concurrent.futures.ThreadPoolExecutor(2) as both:
                for _ in range(3):
                    list(both.map(turn, [office.database, second]))
        codes = told(office)
        assert {code: codes.count(code) for code in codes} == {"lease.near": 36, "lease.over": 12, "lease.binned": 12}
        office.work(lambda: all(row.state is State.BIN for row in office.rows()))
    finally:
        second.close()
        office.close()


@pytest.mark.parametrize("point", [f"lane.commit.{side}:{passage}" for side in ("before", "after") for passage in (1, 2)])
def test_killed_between_the_lines_a_lease_goes_on_where_it_stood(
    office: Office, later: Callable[[float], None], point: str
) -> None:
    machine = leased(office, "断电-01", 9)
    for days in (2.1, 8.1, 9.1, 16.2):  # notices of 7 days and of 1, the end, the bin
        office.share()
        process = processes.Process(_job, office.url, days, kill_at=point)
        process.died()
        later(days)
        office.close()
        office.open(owner=True)
        tick(office)
        office.work(lambda: not office.get(machine).pending)
    assert told(office) == ["lease.near", "lease.near", "lease.over", "lease.binned"]
    assert (office.get(machine).state, guest(office, machine)) == (State.BIN, "stopped")


def _job(url: str, days: float) -> None:
    """A process that does what is due, so many days later, until it is killed."""
    clock.shift(datetime.timedelta(days=days))
    database = store_database.open_database(url, owner=True)
    while turn(database):
        continue
    database.close()


def test_where_there_is_no_recycle_bin_the_notice_does_not_promise_one(office: Office, later: Callable[[float], None]) -> None:
    leased(office, "临时测试-02", 2)
    later(2.1)
    tick(office)
    office.work()
    later(9.2)
    while office.database.lane.run(lambda tx: lease.carry_out(tx, POLICY, bin_days=0)):
        continue
    assert told(office)[-1] == "lease.deleted"
