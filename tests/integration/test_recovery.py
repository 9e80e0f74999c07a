"""What a restore lost sight of, case by case, against a real lab cloud: found in its record, taken over with its times, never deleted."""

import dataclasses
import datetime
import pathlib
from collections.abc import Iterator

import pytest

from control import schema
from control.recovery import acceptance, model, settle
from control.recovery.model import Happened
from orders import model as orders_model
from orders import service as orders
from primitives import clock, errors
from provisioners import contract
from provisioners import service as provisioners
from provisioners.model import State
from store.transaction import Transaction
from tests.integration import checker, places, reconciler_world
from tests.integration.reconciler_world import SMALL
from tests.integration.recovery_world import BIG, City, tick


@pytest.fixture(params=["sqlite", "postgresql"])
def city(request: pytest.FixtureRequest, tmp_path: pathlib.Path) -> Iterator[City]:
    """A city over a lab cloud, once on each kind of database."""
    with places.empty_database(request, tmp_path) as url, reconciler_world.lab_cloud(tmp_path) as lab:
        schema.upgrade(url)
        world = City(url, lab, tmp_path)
        yield world
        world.close()


def test_nothing_that_happened_in_between_is_deleted_and_all_of_it_is_taken_over(city: City) -> None:
    kept, resized, stopped, deleted, paused = (city.want(name) for name in ("户籍库", "税务窗口", "统计月报", "旧网站", "报表"))
    city.work()
    path = city.back_up()
    tick()
    made = city.want("新网站")
    disk = city.want("数据盘", kind=contract.VOLUME, amounts={"disk_gib": 20})
    passed = city.want("临时测试")
    city.change(resized, "resize", amounts=BIG)
    city.change(stopped, "stop")
    city.change(paused, "stop")
    city.delete(deleted)
    city.work()
    tick()
    again = city.want("旧网站")
    city.change(made, "stop")
    city.change(paused, "start")
    city.delete(passed)
    city.work()
    held = {name: city.drawn(name) for name in SMALL}
    before = city.lab.guests()
    tick()

    city.restore(path)
    with city.working():
        tick()
    assert city.lab.guests() == before, "nothing was deleted, changed or made"
    assert city.findings() == {
        made: Happened.MADE, disk: Happened.MADE, again: Happened.MADE, passed: Happened.PASSED,
        resized: Happened.CHANGED, stopped: Happened.CHANGED, deleted: Happened.ENDED, paused: Happened.CHANGED,
    }  # fmt: skip
    disputed = {row.id for row in city.read(provisioners.disputed)}
    assert disputed == {resized, stopped, deleted, paused}
    assert city.read(acceptance.excluded) == disputed

    answer = city.accept("system_admin", "audit_admin")
    assert answer["accepted"]
    assert {one["resource"] for one in answer["findings"]} == {made, disk, again, passed, resized, stopped, deleted, paused}
    assert city.findings() == {} and city.read(acceptance.excluded) == frozenset()
    city.settle()
    assert city.lab.guests() == before
    assert {name: city.drawn(name) for name in SMALL} == held
    city.agrees(kept, resized, stopped, deleted, made, disk, passed, again, paused)
    assert city.names() == {"户籍库", "税务窗口", "统计月报", "新网站", "数据盘", "旧网站", "报表"}
    assert city.get(made).project == "one-window" and city.get(made).spec["image"] == "debian-12"
    city.delete(made)
    city.change(resized, "stop")
    city.settle()
    assert city.lab.guests(made) == [] and city.get(resized).state is State.STOPPED, "orders go on as ever"
    city.agrees(kept, stopped, deleted, disk, passed, again)


def test_a_change_that_was_under_way_at_the_backup_ends_once(city: City) -> None:
    """Its attempt may be open in the restored rows, and the cloud may have gone further since."""
    done, overtaken, to_come, undeleted, purged = (city.want(f"业务-{number}") for number in range(5))
    city.work()
    for resource_id in (undeleted, purged):
        city.delete(resource_id, bin_days=7)
    city.work()
    for resource_id in (done, overtaken, to_come):
        city.change(resource_id, "stop")
    city.begin(done)
    created, gone, never = (city.want(name) for name in ("在建-一", "在建-二", "在建-三"))
    city.begin(created)
    city.begin(gone)
    path = city.back_up()
    tick()
    city.hold_back(to_come, never)
    city.work()
    city.change(overtaken, "start")
    city.lane(lambda tx: provisioners.undelete(tx, resource_id=undeleted))
    city.delete(gone)
    city.delete(purged)
    city.work()
    tick()
    before = city.lab.guests()

    city.restore(path)
    assert city.lab.guests() == before
    assert city.findings() == {
        done: Happened.CHANGED, overtaken: Happened.CHANGED, undeleted: Happened.CHANGED,
        created: Happened.MADE, gone: Happened.ENDED, purged: Happened.ENDED,
    }  # fmt: skip
    assert {done, overtaken, to_come, undeleted, purged} <= city.read(acceptance.excluded)
    city.accept("security_admin", "system_admin")
    city.settle()
    states = {one: city.get(one).state for one in (done, overtaken, to_come, undeleted, purged, created, gone, never)}
    assert states == {
        done: State.STOPPED, overtaken: State.RUNNING, to_come: State.STOPPED, undeleted: State.RUNNING, purged: State.GONE, created: State.RUNNING,
        gone: State.GONE, never: State.RUNNING,
    }  # fmt: skip
    assert {guest["id"] for guest in before} <= {guest["id"] for guest in city.lab.guests()}
    city.agrees(done, overtaken, undeleted, purged, created, gone, never)


def test_the_recycle_bin_is_not_emptied_by_a_restore(city: City) -> None:
    """What lay in it may have been taken back since, and its time may be over: it gets its whole time again."""
    disk = city.want("数据盘", kind=contract.VOLUME, amounts={"disk_gib": 20})
    guest = city.want("旧主机")
    city.work()
    city.delete(disk, bin_days=1)
    city.delete(guest, bin_days=1)
    city.work()
    path = city.back_up()
    city.lane(lambda tx: provisioners.undelete(tx, resource_id=disk))
    city.lane(lambda tx: provisioners.undelete(tx, resource_id=guest))
    city.work()
    city.change(guest, "stop")
    city.work()
    city.restore(path)
    row = city.get(disk)
    over = dataclasses.replace(row, bin_until_at=clock.now(), next_at=clock.now())
    city.lane(lambda tx: provisioners.store(tx, row, over))
    assert city.findings() == {disk: Happened.BINNED, guest: Happened.CHANGED}
    city.accept("system_admin", "audit_admin")
    city.settle()
    assert len(city.lab.guests()) == 2
    assert (city.get(disk).state, city.get(guest).state) == (State.BIN, State.STOPPED)
    until = city.get(disk).bin_until_at
    assert until is not None and until > clock.now() + datetime.timedelta(days=6)
    city.agrees(disk, guest)


def test_what_the_restored_database_cannot_place_is_never_lost(city: City) -> None:
    """A project made in between, a department made in between, a name that something else has by now."""
    waiting = city.want("门户")
    path = city.back_up()
    tick()
    city.lane(lambda tx: provisioners.unwant(tx, resource_id=waiting))
    city.work()
    same_name = city.want("门户")
    city.found_project("data-exchange", "数据共享交换")
    new_project = city.want("新项目主机", project="data-exchange")
    untagged = city.want("无项目主机", tagged=False)
    city.found_department("credit", "信用办")
    homeless = city.want("信用平台", department="credit")
    city.work()
    before = city.lab.guests()
    city.restore(path)
    made = dict.fromkeys((same_name, new_project, untagged), Happened.MADE)
    assert city.findings() == made | {homeless: Happened.UNPLACED}
    city.accept("system_admin", "security_admin")
    city.settle(whole=False)
    assert {guest["id"] for guest in before} <= {guest["id"] for guest in city.lab.guests()}
    assert (city.get(new_project).project, city.get(untagged).project) == ("data-exchange", settle.RECOVERED)
    assert city.get(waiting).name == "门户" and city.get(same_name).name == f"门户-{same_name[-6:]}"
    items = city.read(lambda tx: provisioners.items(tx, origin="ours"))
    assert {(item.resource_id, item.tenant) for item in items} == {(homeless, "credit")}, "a person decides"
    assert all(homeless in found or "credit" in found for found in checker.check(city.url, city.lab.file))
    city.agrees(new_project, same_name, untagged)


def test_an_approval_that_was_lost_is_known_by_what_came_of_it(city: City) -> None:
    approved, refused = city.order_that_waits("税务主机", "税务备机")
    path = city.back_up()
    tick()
    city.approve(approved, refused)
    city.work()
    city.lane(lambda tx: provisioners.unwant(tx, resource_id=refused))
    city.work()
    city.restore(path)
    assert city.findings() == {approved: Happened.MADE, refused: Happened.PASSED}
    city.accept("system_admin", "audit_admin")
    city.settle()
    order = city.read(lambda tx: orders.listed(tx, tenant_ids=None, state="", before=None, limit=10))[0]
    assert order.state is orders_model.State.DELIVERED
    assert city.drawn("instances") == 1
    end_at = city.get(approved).end_at
    assert end_at is not None and clock.text(end_at) == "2046-12-31T16:00:00Z"
    city.agrees(approved, refused)


def test_two_administrators_of_different_roles_accept_and_nobody_alone(city: City) -> None:
    path = city.back_up()
    made = city.want("新网站")
    city.work()
    city.restore(path)
    system = city.token("system_admin")
    assert not city.accept_with(system, "a")["accepted"]
    for key in ("a", "b"):
        answer = city.accept_with(system, key) if key == "a" else None
        assert answer is None or not answer["accepted"], "the same request again is the same answer"
    with pytest.raises(errors.GovpoolError) as caught:
        city.accept_with(system, "b")
    assert caught.value.code == "restore.accepted_already"
    assert city.read(lambda tx: provisioners.get_many(tx, [made])) == {}
    city.lab.pause()
    audit = city.token("audit_admin")
    with pytest.raises(errors.GovpoolError) as caught:
        city.accept_with(audit, "c")
    assert caught.value.code == "restore.cloud_silent", "a cloud that does not answer is waited for, not guessed"
    city.lab.resume()
    assert city.accept_with(audit, "c")["accepted"]
    assert city.accept_with(audit, "c")["findings"][0]["resource"] == made, "the same request again is the same answer"
    with pytest.raises(errors.GovpoolError) as caught:
        city.accept_with(city.token("security_admin"), "d")
    assert caught.value.code == "restore.nothing"
    city.settle()
    city.agrees(made)


def test_an_acceptance_that_was_cut_short_goes_on(city: City, monkeypatch: pytest.MonkeyPatch) -> None:
    path = city.back_up()
    made = [city.want(f"业务-{number}") for number in range(6)]
    city.work()
    tick()
    for resource_id in made[:3]:
        city.change(resource_id, "stop")
    city.work()
    city.restore(path)
    monkeypatch.setattr(acceptance, "CHUNK", 2)
    real, calls = settle.settle, []

    def dies(tx: Transaction, hand: settle.Hand, finding: model.Finding) -> None:
        calls.append(finding)
        if len(calls) == 4:
            raise RuntimeError("the machine went down")
        real(tx, hand, finding)

    monkeypatch.setattr(settle, "settle", dies)
    with pytest.raises(RuntimeError):
        city.accept("system_admin", "audit_admin")
    assert len(city.findings()) == 4, "a chunk is taken over whole or not at all"
    assert {row.id for row in city.rows()} <= city.read(acceptance.excluded), "still on no statement"
    monkeypatch.setattr(settle, "settle", real)
    assert city.accept("security_admin")["accepted"]
    city.settle()
    assert city.drawn("instances") == 6
    city.agrees(*made)
