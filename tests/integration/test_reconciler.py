"""The reconciler against a real lab cloud process, on both databases."""

import datetime
import pathlib
from collections.abc import Iterator

import pytest

from control import resource
from control.reconciler import ending
from pools import model as pools_model
from pools import service as pools
from primitives import clock, errors
from provisioners import contract
from provisioners import service as provisioners
from provisioners.model import State
from store import installation
from store.transaction import Transaction
from tests.integration import lab_process
from tests.integration.reconciler_world import SMALL, World, lab_cloud, wait, wait_in_vain


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
    world.lane(lambda tx: provisioners.undelete(tx, resource_id=resource_id))
    world.work()
    assert (world.get(resource_id).state, world.lab.guests(resource_id)[0]["state"]) == (State.RUNNING, "running")


def test_the_bin_is_emptied_when_its_time_is_over(world: World) -> None:
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


def test_what_is_refused_for_now_again_and_again_is_shown_to_operators_within_seconds(world: World) -> None:
    world.lab.script({"do": "refuse", "on": ["ticket.create"], "reason": "busy"})
    resource_id = world.want("综合治税-01")
    world.work(lambda: bool(world.read(lambda tx: provisioners.stuck(tx, tenant_ids=None))))
    (row,) = world.read(lambda tx: provisioners.stuck(tx, tenant_ids=None))
    assert (row.id, row.state) == (resource_id, State.CREATING)
    assert row.failures >= 3


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
    several = [world.want(f"批量-{number:02}") for number in range(40)]
    world.work()
    assert {world.get(one).state for one in several} == {State.RUNNING}
    assert len({guest["resource_id"] for guest in world.lab.guests()}) == len(world.lab.guests()) == 40
    assert world.lab.limits(world.installation, "tax")["instances"] == 40


def test_the_tenant_that_the_cloud_forgot_is_told_again(world: World) -> None:
    world.want("信用平台-01")
    world.work()
    world.forget_what_the_cloud_was_told()
    world.want("信用平台-02")
    world.work()
    assert world.lab.limits(world.installation, "tax")["instances"] == 2


def test_what_carries_our_tag_without_a_row_is_quarantined_until_a_person_decides(world: World) -> None:
    resource_id = world.want("档案-02")
    world.work()
    stranger = "vm-" + "0" * 26
    body = {
        "kind": "VirtualMachine", "name": "恢复前-01", "installation": world.installation, "tenant": "tax", "project": "one-window",
        "resource_id": stranger, "amounts": {"cpu_milli": 1000}, "epoch": 1,
    }  # fmt: skip
    world.lab.call("PUT", f"/v1/tenants/{world.installation}/tax/limits", {"limits": SMALL | {"cpu_milli": 3000}})
    guest = world.lab.call("POST", "/v1/guests", body)
    for _ in range(2):
        assert world.sweep().quarantined == 1
        world.work()
    assert [item.cloud_id for item in world.read(lambda tx: provisioners.items(tx, origin="ours"))] == [guest["id"]]
    assert len(world.lab.guests()) == 2
    world.lane(lambda tx: resource._remove_item(tx, provisioners.decide_item(tx, guest["id"], "delete", "acc-1")))
    world.work()
    assert [one["resource_id"] for one in world.lab.guests()] == [resource_id]
    assert world.sweep().quarantined == 0


def test_two_persons_write_off_what_its_cloud_will_never_confirm(world: World) -> None:
    resource_id = world.want("老机房-01")
    world.work()
    world.lab.stop()
    world.delete(resource_id)
    world.work(lambda: world.get(resource_id).failures > 0)
    assert (world.get(resource_id).state, world.drawn("instances")) == (State.RELEASING, 1)

    def ask(person: str) -> bool:
        def use_case(tx: Transaction) -> bool:
            agreed = provisioners.ask_write_off(tx, resource_id=resource_id, person_id=person, person=person, reason="机房已拆除")
            if agreed:
                ending.written_off(tx, provisioners.get(tx, resource_id))
            return agreed

        return bool(world.lane(use_case))

    assert not ask("张三")
    with pytest.raises(errors.GovpoolError, match=r"write_off\.second_person"):
        ask("张三")
    assert ask("李四")
    assert (world.get(resource_id).state, world.drawn("instances")) == (State.WRITTEN_OFF, 0)


def test_between_a_restore_and_its_acceptance_nothing_is_touched(world: World) -> None:
    kept, deleted = world.want("恢复-01"), world.want("恢复-02")
    world.work()
    world.lab.call("DELETE", f"/lab/guests/{world.get(deleted).facts.cloud_id}")
    world.lane(installation.raise_epoch)
    world.delete(kept)
    swept = world.sweep()
    with world.working():
        assert not wait_in_vain(lambda: world.get(kept).ended)
    assert swept.report_only
    assert (world.get(deleted).disputed, world.get(deleted).state) == (True, State.RUNNING)
    assert len(world.lab.guests()) == 1
    world.lane(installation.accept)
    world.lane(provisioners.accept)
    world.work()
    world.sweep()
    world.work()
    assert (world.get(kept).state, world.get(deleted).state) == (State.GONE, State.LOST)


def test_what_the_cloud_never_delivers_expires_with_its_quota(world: World) -> None:
    world.lab.script({"do": "refuse", "on": ["ticket.create"], "reason": "overloaded"})
    resource_id = world.want("久候-01")
    world.work(lambda: world.get(resource_id).failures > 0)
    clock.shift(datetime.timedelta(days=1, minutes=1))
    try:
        world.sweeper.sweep_all()
        world.work()
    finally:
        clock.shift(datetime.timedelta(0))
    row = world.get(resource_id)
    assert row.reason is not None
    assert (row.state, row.reason.code, world.drawn("instances")) == (State.FAILED, "reservation.expired", 0)


def test_a_pool_without_a_driver_keeps_no_other_from_its_work(world: World) -> None:
    spec = pools_model.PoolSpec(name="已停用", driver="past", driver_settings={})
    world.lane(lambda tx: pools.create(tx, code="past", spec=spec, kinds=()))
    resource_id = world.want("仍可交付-01")
    world.work()
    assert (world.get(resource_id).state, world.sweep().error) == (State.RUNNING, "")
