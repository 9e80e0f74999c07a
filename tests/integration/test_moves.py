"""Projects and resources move to another department by an order with two signatures, on both databases and over a real lab cloud."""

import datetime
import pathlib
from collections.abc import Iterator
from typing import Any

import pytest

from control import approval_rule, order, order_view, project
from orders import model
from primitives import clock, errors
from provisioners import model as provisioners_model
from quotas import grants
from quotas import model as quotas_model
from quotas import service as quotas
from tenants import model as tenants_model
from tenants import service as tenants
from tenants import tree
from tests.integration import checker
from tests.integration.move_world import TwoOffices, going, whole
from tests.integration.office import change, create
from tests.integration.reconciler_world import lab_cloud

TINY = 1000


@pytest.fixture
def offices(database_url: str, tmp_path: pathlib.Path) -> Iterator[TwoOffices]:
    """Two departments over a lab cloud."""
    with lab_cloud(tmp_path) as lab:
        made = TwoOffices(database_url, lab)
        yield made
        made.close()


def refused(code: str) -> Any:
    """The context of a refusal with a code."""
    return pytest.raises(errors.GovpoolError, check=lambda error: error.code == code)


def test_a_guest_changes_its_department_while_it_runs_and_stays_the_same_guest(offices: TwoOffices) -> None:
    vm = offices.machine("税务申报")
    guest = offices.lab.guests(vm)[0]
    done = offices.moved("税务申报")
    assert done["status"]["state"] == "delivered"
    row = offices.get(vm)
    assert (row.tenant, row.project, row.state) == ("health", "hospital", provisioners_model.State.RUNNING)
    assert (row.cloud_tenant, row.cloud_project) == ("tax", "one-window"), "the cloud keeps it at home"
    assert offices.lab.guests(vm) == [guest]
    assert (offices.vcpu(offices.tenant_id), offices.vcpu(offices.taker_id), offices.vcpu(offices.city)) == (0, TINY, TINY)
    assert offices.is_sound()
    swept = offices.sweep()
    assert (swept.quarantined, swept.strays, swept.missing, swept.drifted) == (0, 0, 0, 0)


def test_after_a_move_resize_and_delete_go_on_at_the_taker(offices: TwoOffices) -> None:
    vm = offices.machine("税务申报")
    offices.moved("税务申报")
    wish = order.OrderWish(tenant="health", project="hospital", lines=[change("resize", vm, "small")])
    offices.case(order.submit(wish, bin_days=7), offices.taker_requester)
    offices.work()
    assert offices.get(vm).amounts["cpu_milli"] == 2 * TINY
    assert offices.lab.guests(vm)[0]["amounts"]["cpu_milli"] == 2 * TINY
    offices.sweep()
    assert offices.lab.limits(offices.installation, "tax")["cpu_milli"] == 2 * TINY, "the native limit is its home's"
    assert checker.check(offices.url, offices.lab.file) == []
    wish = order.OrderWish(tenant="health", project="hospital", lines=[change("delete", vm, purge=True)])
    offices.case(order.submit(wish, bin_days=7), offices.taker_requester)
    offices.work()
    offices.sweep()
    assert offices.lab.guests(vm) == []
    assert offices.vcpu(offices.city) == 0
    assert checker.check(offices.url, offices.lab.file) == []


def test_what_comes_back_home_has_no_other_home(offices: TwoOffices) -> None:
    vm = offices.machine("税务申报")
    offices.moved("税务申报")
    back = order.OrderWish(tenant="health", project="hospital", lines=[going(vm)], to="tax/one-window")
    asked = offices.case(order.submit(back, bin_days=7), offices.taker_requester)
    offices.case(order.decide(asked["metadata"]["name"], model.Verdict.APPROVED, reason="接收"), offices.approver)
    row = offices.get(vm)
    assert (row.tenant, row.home_tenant_id, row.home_project) == ("tax", None, None)
    assert offices.is_sound()


def test_a_project_moves_with_everything_that_is_in_it(offices: TwoOffices) -> None:
    vms = [offices.machine(name) for name in ("前端", "后端")]
    offices.order(create("数据库"))
    offices.work()
    stopped = offices.order(change("stop", "后端"))
    offices.work()
    assert offices.shown(stopped)[0] == "delivered"
    asked = offices.ask(whole(), to="health")
    assert [line["kind"] for line in asked["spec"]["lines"]] == ["Project", *["VirtualMachine"] * 3]
    offices.agree(asked)
    assert {(row.tenant, row.project, row.home_tenant) for row in offices.rows()} == {("health", "one-window", "tax")}
    moved = offices.read(lambda tx: tenants.project_by_id(tx, offices.project_id))
    assert moved.tenant_id == offices.taker_id
    assert (offices.vcpu(offices.tenant_id), offices.vcpu(offices.taker_id)) == (0, 3 * TINY)
    assert [str(event.state) for event in offices.events(vms[1])][-2:] == ["stopped", "stopped"]
    assert offices.is_sound()


def test_the_requester_cannot_agree_to_his_own_move_even_as_the_takers_approver(offices: TwoOffices) -> None:
    offices.machine("税务申报")
    both = offices.person(
        offices.requester,
        (tenants_model.Role.REQUESTER, offices.tenant_id),
        (tenants_model.Role.APPROVER, offices.taker_id),
    )
    asked = offices.ask(going("税务申报"))
    with refused("order.own"):
        offices.case(order.decide(asked["metadata"]["name"], model.Verdict.APPROVED, reason="自批"), both)


def test_the_givers_own_approver_cannot_give_something_away(offices: TwoOffices) -> None:
    offices.machine("税务申报")
    asked = offices.ask(going("税务申报"))
    for verdict in (model.Verdict.APPROVED, model.Verdict.REFUSED):
        with refused("move.taker_decides"):
            offices.case(order.decide(asked["metadata"]["name"], verdict, reason="代批"), offices.approver)
    with refused("role.forbidden"):
        offices.case(order.decide(asked["metadata"]["name"], model.Verdict.APPROVED, reason="代批"), offices.taker_requester)


@pytest.mark.parametrize("how", ["refused", "withdrawn", "deadline"])
def test_what_is_not_agreed_to_changes_nothing_and_gives_the_takers_room_back(offices: TwoOffices, how: str) -> None:
    vm = offices.machine("税务申报")
    _grant(offices, offices.taker_id, TINY)
    asked = offices.ask(going("税务申报"))
    number = asked["metadata"]["name"]
    with refused("quota.exceeded"):
        _order_at_taker(offices, create("抢先一步"))
    if how == "deadline":
        clock.shift(datetime.timedelta(hours=24 * 7 + 1))
        try:
            offices.lane(order.end_overdue)
        finally:
            clock.shift(datetime.timedelta(0))
    else:
        verdict = model.Verdict.REFUSED if how == "refused" else model.Verdict.WITHDRAWN
        who = offices.taker_approver if how == "refused" else offices.requester
        offices.case(order.decide(number, verdict, reason="不接收"), who)
    assert offices.get(vm).tenant == "tax"
    assert len(offices.events(vm)) == 1
    assert (offices.vcpu(offices.tenant_id), offices.vcpu(offices.taker_id)) == (TINY, 0)
    _order_at_taker(offices, create("抢先一步"))
    offices.work()
    assert offices.is_sound()


def test_while_it_waits_the_city_counts_the_units_once(offices: TwoOffices) -> None:
    offices.machine("税务申报")
    asked = offices.ask(going("税务申报"))
    assert (offices.vcpu(offices.tenant_id), offices.vcpu(offices.taker_id), offices.vcpu(offices.city)) == (TINY, 0, TINY)
    offices.agree(asked)
    assert (offices.vcpu(offices.tenant_id), offices.vcpu(offices.taker_id), offices.vcpu(offices.city)) == (0, TINY, TINY)


def test_a_city_that_is_over_its_limit_refuses_no_move_within_it(offices: TwoOffices) -> None:
    offices.machine("税务申报")
    for tenant_id in (offices.tenant_id, offices.taker_id, offices.city):
        _grant(offices, tenant_id, TINY, allow_over=True)
    _grant(offices, offices.tenant_id, 0, allow_over=True)
    offices.lane(
        lambda tx: grants.set_grant(
            tx, tenant_id=offices.tenant_id, name="cpu_milli", grant=quotas_model.Grant(granted=0), allow_over=True
        )
    )
    offices.moved("税务申报")
    assert (offices.vcpu(offices.tenant_id), offices.vcpu(offices.taker_id)) == (0, TINY)
    assert offices.read(quotas.check) == []


def test_a_taker_without_room_hears_so_before_anything_waits(offices: TwoOffices) -> None:
    offices.machine("税务申报")
    _grant(offices, offices.taker_id, TINY - 1)
    with refused("quota.exceeded"):
        offices.ask(going("税务申报"))
    assert offices.read(lambda tx: order_view.list_orders(tx, offices.requester, state="waiting_for_approval")) == []


def test_its_name_is_held_at_the_taker_while_it_waits(offices: TwoOffices) -> None:
    offices.machine("门户")
    offices.ask(going("门户"))
    with refused("order.name_taken"):
        _order_at_taker(offices, create("门户"))


def test_the_code_of_a_project_is_held_at_the_taker_while_it_waits(offices: TwoOffices) -> None:
    chief = offices.person(offices.taker_approver, (tenants_model.Role.SYSTEM_ADMIN, offices.taker_id))
    asked = offices.ask(whole(), to="health/portal")
    with refused("order.name_taken"):
        offices.case(project.create_project("health", "portal", "门户"), chief)
    offices.agree(asked, model.Verdict.REFUSED)
    offices.case(project.create_project("health", "portal", "门户"), chief)
    with refused("code.taken"):
        offices.ask(whole(), to="health/portal")


def test_nothing_leaves_a_frozen_department(offices: TwoOffices) -> None:
    offices.machine("税务申报")
    asked = offices.ask(going("税务申报"))
    offices.lane(lambda tx: tree.set_state(tx, tenants.by_id(tx, offices.tenant_id), tenants_model.State.FROZEN))
    with refused("tenant.state"):
        offices.agree(asked)


def test_a_name_that_the_taker_has_is_refused(offices: TwoOffices) -> None:
    offices.machine("门户")
    _order_at_taker(offices, create("门户"))
    offices.work()
    with refused("resource.name_taken"):
        offices.ask(going("门户"))


def test_a_change_under_way_refuses_the_move_until_it_rests(offices: TwoOffices) -> None:
    vm = offices.machine("税务申报")
    offices.order(change("stop", vm))
    with refused("resource.busy"):
        offices.ask(going("税务申报"))
    offices.work()
    asked = offices.ask(going("税务申报"))
    offices.order(change("start", vm))
    with refused("resource.busy"):
        offices.agree(asked)
    offices.work()
    offices.agree(asked)
    assert offices.get(vm).tenant == "health"


def test_while_a_move_waits_no_other_size_is_ordered_and_no_second_move(offices: TwoOffices) -> None:
    vm = offices.machine("税务申报")
    offices.ask(going("税务申报"))
    with refused("order.waits"):
        offices.order(change("resize", vm, "small"))
    with refused("order.waits"):
        offices.ask(going("税务申报"))


def test_what_was_deleted_meanwhile_stays_behind(offices: TwoOffices) -> None:
    goes, stays = offices.machine("去"), offices.machine("删")
    asked = offices.ask(going("去"), going("删"))
    offices.order(change("delete", stays, purge=True))
    offices.work()
    done = offices.agree(asked)
    assert done["status"]["state"] == "partly_delivered"
    assert (offices.get(goes).tenant, offices.get(stays).tenant) == ("health", "tax")
    assert offices.is_sound()


def test_a_project_that_grew_since_is_not_moved(offices: TwoOffices) -> None:
    offices.machine("甲")
    asked = offices.ask(whole(), to="health")
    offices.machine("乙")
    with refused("move.changed"):
        offices.agree(asked)


def test_an_order_of_the_giver_that_waits_cannot_touch_what_was_given_away(offices: TwoOffices) -> None:
    vm = offices.machine("税务申报")
    asked = offices.ask(going("税务申报"))
    offices.ask_for_approval_of("create")
    mixed = offices.order(create("新机"), change("delete", vm))
    with refused("order.waits"):
        offices.agree(asked)
    offices.decide(mixed, model.Verdict.WITHDRAWN)
    offices.agree(asked)
    with refused("resource.unknown"):
        offices.order(change("delete", vm))


def test_rules_of_the_taker_shorten_the_deadline_and_are_named(offices: TwoOffices) -> None:
    offices.machine("税务申报")
    chief = offices.person(offices.taker_approver, (tenants_model.Role.SECURITY_ADMIN, offices.taker_id))
    spec = approval_rule.ApprovalRuleSpec(actions=["move"], deadline_h=5)
    offices.case(approval_rule.put_rule("health", "incoming", spec), chief)
    asked = offices.ask(going("税务申报"))
    assert asked["status"]["approval"] == ["taker:health", "incoming"]


def test_a_pool_of_too_low_a_level_for_the_taker_is_refused(offices: TwoOffices) -> None:
    offices.machine("税务申报")
    offices.lane(lambda tx: tree.update(tx, tenants.by_id(tx, offices.taker_id), protection_level=3))
    with refused("move.protection"):
        offices.ask(going("税务申报"))


@pytest.mark.parametrize(
    ("to", "code"),
    [
        ("nobody", "object.unknown"),
        ("health/none", "object.unknown"),
        ("tax/one-window", "input.invalid"),
        ("", "input.invalid"),
    ],
)
def test_a_place_that_is_none_is_refused(offices: TwoOffices, to: str, code: str) -> None:
    offices.machine("税务申报")
    with refused(code):
        offices.ask(going("税务申报"), to=to)


def _grant(offices: TwoOffices, tenant_id: str, amount: int, *, allow_over: bool = False) -> None:
    grant = quotas_model.Grant(granted=amount)
    offices.lane(lambda tx: grants.set_grant(tx, tenant_id=tenant_id, name="cpu_milli", grant=grant, allow_over=allow_over))


def _order_at_taker(offices: TwoOffices, *lines: Any) -> None:
    wish = order.OrderWish(tenant="health", project="hospital", lines=lines)
    offices.case(order.submit(wish, bin_days=7), offices.taker_requester)
