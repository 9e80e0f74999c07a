"""The reconciler against a real lab cloud process, on both databases."""

import datetime
import pathlib
from collections.abc import Iterator

import pytest

from provisioners import contract
from provisioners import service as provisioners
from provisioners.model import State
from tests.integration import lab_process
from tests.integration.reconciler_world import SMALL, World, lab_cloud, wait


@pytest.fixture
def lab(tmp_path: pathlib.Path) -> Iterator[lab_process.Lab]:
    """A fresh lab cloud."""
    with lab_cloud(tmp_path) as running:
        yield running


@pytest.fixture
def world(database_url: str, lab: lab_process.Lab) -> Iterator[World]:
    """A department with a pool whose creates consume tickets."""
    made = World(database_url, lab)
    yield made
    made.close()


def test_a_wanted_guest_is_made_confirmed_and_used_from_the_moment_the_cloud_says(world: World) -> None:
    resource_id = world.want("一窗受理-01")
    assert world.get(resource_id).state is State.CREATING
    world.work()
    row, (guest,) = world.get(resource_id), world.lab.guests(resource_id)
    assert (row.state, row.facts.cloud_id, list(row.facts.addresses)) == (State.RUNNING, guest["id"], guest["addresses"])
    assert world.usage(resource_id) == [("running", 2000)]
    assert world.drawn("cpu_milli") == 2000
    assert world.lab.limits(world.installation, "tax")["cpu_milli"] == 2000
    assert [one["id"] for one in world.lab.tickets(resource_id)] == [guest["ticket_id"]]


def test_every_kind_is_made(world: World) -> None:
    volume = world.want("卷-01", kind=contract.VOLUME, amounts={"disk_gib": 20})
    app = world.want("服务-01", kind=contract.CONTAINER_APP, amounts={"cpu_milli": 1000, "ram_mib": 1024, "pods": 2})
    world.work()
    assert [world.get(one).state for one in (volume, app)] == [State.RUNNING, State.RUNNING]


def test_a_deleted_guest_lies_stopped_in_the_bin_then_goes_with_its_quota(world: World) -> None:
    resource_id = world.want("税务征收-01")
    world.work()
    world.delete(resource_id, bin_days=7)
    world.work(lambda: world.get(resource_id).state is State.BIN)
    assert world.lab.guests(resource_id)[0]["state"] == "stopped"
    assert world.drawn("cpu_milli") == 2000
    world.delete(resource_id)
    world.work()
    assert world.get(resource_id).state is State.GONE
    assert (world.lab.guests(), world.lab.tickets(), world.drawn("cpu_milli")) == ([], [], 0)
    assert world.usage(resource_id) == [("running", 2000), ("stopped", 2000), ("deleted", 2000)]
    world.sweep()
    assert world.lab.limits(world.installation, "tax") == {}


def test_what_is_undeleted_runs_again_under_its_name(world: World) -> None:
    resource_id = world.want("电子印章-01")
    world.work()
    world.delete(resource_id, bin_days=7)
    world.work(lambda: world.get(resource_id).state is State.BIN)
    world.change(resource_id, "undelete")
    world.work()
    assert (world.get(resource_id).state, world.lab.guests(resource_id)[0]["state"]) == (State.RUNNING, "running")


def test_the_bin_is_emptied_when_its_time_is_over(world: World) -> None:
    from primitives import clock

    resource_id = world.want("公共支付-01")
    world.work()
    world.delete(resource_id, bin_days=1)
    world.work(lambda: world.get(resource_id).state is State.BIN)
    clock.shift(datetime.timedelta(days=1, seconds=5))
    try:
        world.work(lambda: world.get(resource_id).ended)
    finally:
        clock.shift(datetime.timedelta(0))
    assert world.lab.guests() == []


def test_a_failed_create_gives_the_quota_back_and_leaves_nothing(world: World) -> None:
    world.lab.script({"do": "fail", "on": ["guest.create"]})
    resource_id = world.want("绩效考核-01")
    world.work()
    row = world.get(resource_id)
    assert row.state is State.FAILED
    assert row.reason is not None
    assert row.reason.code == "cloud.failed"
    assert (world.lab.guests(), world.lab.tickets(), world.drawn("cpu_milli")) == ([], [], 0)
    assert world.usage(resource_id) == []


def test_a_refused_resize_falls_back_to_the_size_before(world: World) -> None:
    resource_id = world.want("数据交换-01")
    world.work()
    world.lab.script({"do": "refuse", "on": ["guest.act"], "reason": "no_host"})
    world.change(resource_id, "resize", amounts=SMALL | {"cpu_milli": 8000}, spec={"size": "c8m4"})
    assert world.drawn("cpu_milli") == 8000
    world.work()
    row = world.get(resource_id)
    assert (row.state, row.amounts["cpu_milli"], world.drawn("cpu_milli")) == (State.RUNNING, 2000, 2000)


def test_a_resize_stop_start_and_restart_are_carried_out_and_metered(world: World) -> None:
    resource_id = world.want("法人库-01")
    world.work()
    world.change(resource_id, "resize", amounts=SMALL | {"cpu_milli": 1000})
    assert world.drawn("cpu_milli") == 2000  # the greater of both until the cloud has done it
    world.work()
    assert world.drawn("cpu_milli") == 1000
    for action in ("stop", "start", "restart"):
        world.change(resource_id, action)
        world.work()
    assert [verb["verb"] for verb in world.lab.record()] == ["created", "built", "resized", "stopped", "started", "restarted"]
    assert world.usage(resource_id) == [
        ("running", 2000), ("running", 1000), ("stopped", 1000), ("running", 1000), ("running", 1000),
    ]  # fmt: skip


@pytest.mark.parametrize("how", ["lose", "drop", "late"])
@pytest.mark.parametrize("operation", ["ticket.create", "guest.create", "guest.act", "guest.delete", "ticket.delete"])
def test_whatever_answer_is_lost_one_guest_is_made_changed_and_removed(world: World, operation: str, how: str) -> None:
    world.lab.script({"do": how, "on": [operation], "times": 2, "after_s": [1, 1] if how == "late" else [0, 0]})
    resource_id = world.want("一窗受理-02")
    world.work()
    assert len(world.lab.guests(resource_id)) == 1
    world.change(resource_id, "stop")
    world.work()
    assert world.lab.guests(resource_id)[0]["state"] == "stopped"
    world.delete(resource_id)
    world.work()
    wait(lambda: not world.lab.pending())
    world.sweep()
    world.work()
    assert world.get(resource_id).state is State.GONE
    assert (world.lab.guests(), world.lab.tickets(), world.drawn("cpu_milli")) == ([], [], 0)
    created = [entry for entry in world.lab.record() if entry["verb"] == "created"]
    assert len(created) == 1


def test_a_late_ticket_is_swept_and_a_late_create_finds_its_ticket_gone(world: World) -> None:
    world.lab.script({"do": "late", "on": ["ticket.create", "guest.create"], "times": 2, "after_s": [1, 2]})
    resource_id = world.want("征信平台-01")
    world.work()
    wait(lambda: not world.lab.pending())
    world.sweep()
    world.work()
    assert len(world.lab.guests(resource_id)) == 1
    assert len(world.lab.tickets(resource_id)) == 1


def test_a_vanished_guest_is_lost_with_a_notice_and_its_quota_is_kept_until_somebody_deletes_it(world: World) -> None:
    resource_id = world.want("社会治理-01")
    world.work()
    world.lab.call("DELETE", f"/lab/guests/{world.get(resource_id).facts.cloud_id}")
    assert world.sweep().missing == 1
    world.work()
    assert world.get(resource_id).state is State.LOST
    assert world.drawn("cpu_milli") == 2000
    assert world.usage(resource_id) == [("running", 2000), ("deleted", 2000)]
    assert [row.id for row in world.read(lambda tx: provisioners.stuck(tx, tenant_ids=None))] == [resource_id]
    world.delete(resource_id, bin_days=7)
    world.work()
    assert (world.get(resource_id).state, world.drawn("cpu_milli")) == (State.GONE, 0)


def test_what_changes_in_the_cloud_alone_is_adopted_and_metered(world: World) -> None:
    resource_id = world.want("档案-01")
    world.work()
    guest = world.lab.guests(resource_id)[0]
    world.lab.call("POST", f"/v1/guests/{guest['id']}/actions", {"action": "stop", "revision": guest["revision"]})
    assert world.sweep().drifted == 1
    assert world.get(resource_id).state is State.STOPPED
    assert world.usage(resource_id) == [("running", 2000), ("stopped", 2000)]
    assert world.sweep().drifted == 0


def test_foreign_guests_are_reported_and_never_touched(world: World) -> None:
    world.lab.call("POST", "/lab/guests", {"name": "老系统"})
    swept = world.sweep()
    world.work()
    assert (swept.foreign, swept.quarantined, len(world.lab.guests())) == (1, 0, 1)
    assert [item.origin for item in world.read(lambda tx: provisioners.items(tx))] == ["foreign"]


def test_a_delete_overtakes_a_create_that_was_not_delivered(world: World) -> None:
    world.lab.script(build_s=[3, 3])
    resource_id = world.want("公共资源交易-01")
    with world.working():
        wait(lambda: bool(world.lab.guests(resource_id)))
        world.delete(resource_id, bin_days=7)
        wait(lambda: world.get(resource_id).ended)
    wait(lambda: not world.lab.pending())
    assert (world.lab.guests(), world.lab.tickets(), world.drawn("instances"), world.usage(resource_id)) == ([], [], 0, [])


def test_an_unreachable_cloud_is_tried_again_and_stays_visible(world: World, tmp_path: pathlib.Path) -> None:
    world.lab.script({"do": "refuse", "on": ["guest.create", "ticket.create"], "reason": "overloaded", "times": 2})
    resource_id = world.want("城市管理-01")
    world.work(lambda: world.get(resource_id).failures > 0)
    assert world.get(resource_id).state is State.CREATING
    world.work()
    assert world.get(resource_id).state is State.RUNNING


def test_many_guests_of_one_department_are_made_at_once(world: World) -> None:
    made = [world.want(f"批量-{number:02}") for number in range(40)]
    world.work()
    assert {world.get(one).state for one in made} == {State.RUNNING}
    assert len({guest["resource_id"] for guest in world.lab.guests()}) == len(world.lab.guests()) == 40
    assert world.lab.limits(world.installation, "tax")["instances"] == 40
