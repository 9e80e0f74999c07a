"""One department becomes part of another, in one transaction, by two persons above both; on both databases."""

import datetime
import pathlib
from collections.abc import Iterator
from typing import Any

import pytest

from control import case, merge, order, project, resource, tenant
from control.settings import Settings
from control.wiring import Wiring
from orders import model
from primitives import clock, errors, money
from provisioners import model as provisioners_model
from quotas import grants
from quotas import model as quotas_model
from quotas import service as quotas
from quotas.budgets import appropriations, proof
from quotas.budgets import rules as budget_rules
from store.transaction import Transaction
from tenants import model as tenants_model
from tenants import people, signin, tree
from tenants import service as tenants
from tenants.records import tree as records
from tests.integration import checker
from tests.integration.move_world import TwoOffices, going
from tests.integration.office import change, create
from tests.integration.reconciler_world import GRANT, lab_cloud

TINY = 1000
TERMS = merge.Terms(tenant="tax", into="health")


class Merging(TwoOffices):
    """Two departments, and two persons at the city who may merge them."""

    def _taker(self, tx: Transaction) -> None:
        super()._taker(tx)
        city = tenants.root(tx)
        self.chief = self._person(tx, city, "系统管理员", "sys.one", tenants_model.Role.SYSTEM_ADMIN)
        self.second = self._person(tx, city, "云平台运维", "ops.city", tenants_model.Role.OPERATOR)
        for code, role in (("sys.one", tenants_model.Role.SYSTEM_ADMIN), ("ops.city", tenants_model.Role.OPERATOR)):
            people.grant(tx, None, people.account(tx, code), role, city)

    def merged(self, terms: merge.Terms = TERMS) -> dict[str, Any]:
        """Asked for by one, agreed to by the other; what went over."""
        assert self.case(merge.merge(terms), self.chief)["state"] == "asked"
        return self.case(merge.merge(terms), self.second)

    def open_project(self, tenant_code: str, code: str) -> None:
        """A project of a tenant."""
        self.lane(lambda tx: tree.create_project(tx, tenants.by_code(tx, tenant_code), code, f"{tenant_code} 的系统"))

    def tenant_of(self, code: str) -> tenants_model.Tenant:
        """A tenant as it stands."""
        found: tenants_model.Tenant = self.read(lambda tx: tenants.by_code(tx, code))
        return found

    def granted(self, code: str) -> int:
        """vCPU milli that a tenant is granted."""
        tenant_id = self.tenant_of(code).id
        return int(self.read(lambda tx: quotas.standing(tx, tenant_id=tenant_id, name="cpu_milli")).granted)

    def grant(self, code: str, amount: int, *, allow_over: bool = False) -> None:
        """Grant a tenant vCPU."""
        tenant_id, given = self.tenant_of(code).id, quotas_model.Grant(granted=amount)
        self.lane(lambda tx: grants.set_grant(tx, tenant_id=tenant_id, name="cpu_milli", grant=given, allow_over=allow_over))


@pytest.fixture
def offices(database_url: str, tmp_path: pathlib.Path) -> Iterator[Merging]:
    """Two departments over a lab cloud."""
    with lab_cloud(tmp_path) as lab:
        made = Merging(database_url, lab)
        yield made
        made.close()


def refused(code: str) -> Any:
    """The context of a refusal with a code."""
    return pytest.raises(errors.GovpoolError, check=lambda error: error.code == code)


def test_everything_of_a_department_goes_over_and_it_is_closed_for_ever(offices: Merging) -> None:
    vm = offices.machine("税务申报")
    guest = offices.lab.guests(vm)[0]
    for code, amount in (("tax", 12), ("health", 20), ("nanhai", 40)):
        offices.grant(code, amount * TINY)
    done = offices.merged()
    assert done["state"] == "merged"
    assert (done["resources"], done["projects"]) == (1, [{"project": "one-window", "becomes": "one-window"}])
    row = offices.get(vm)
    assert (row.tenant, row.project, row.home_tenant) == ("health", "one-window", "tax")
    assert offices.lab.guests(vm) == [guest]
    assert (offices.granted("tax"), offices.granted("health"), offices.granted("nanhai")) == (0, 32 * TINY, 40 * TINY)
    assert (offices.vcpu(offices.tenant_id), offices.vcpu(offices.taker_id), offices.vcpu(offices.city)) == (0, TINY, TINY)
    assert offices.tenant_of("tax").state is tenants_model.State.CLOSED
    shown = offices.read(lambda tx: tenant.show_tenant(tx, offices.chief, "tax"))
    assert shown["status"]["merged_into"] == "health"
    with refused("code.taken"):
        offices.case(tenant.create_tenant("tax", tenant.Spec(name="新税务局", parent="nanhai")), offices.chief)
    assert offices.read(quotas.check) == []
    assert offices.is_sound()


def test_what_was_merged_is_resized_and_deleted_at_the_other(offices: Merging) -> None:
    vm = offices.machine("税务申报")
    offices.merged()
    for wish in (change("resize", vm, "small"), change("delete", vm, purge=True)):
        asked = order.OrderWish(tenant="health", project="one-window", lines=[wish])
        offices.case(order.submit(asked, bin_days=7), offices.taker_requester)
        offices.work()
        offices.sweep()
        assert checker.check(offices.url, offices.lab.file) == []
    assert offices.lab.guests(vm) == []
    assert offices.vcpu(offices.city) == 0


def test_it_needs_two_persons_who_say_the_same(offices: Merging) -> None:
    assert offices.case(merge.merge(TERMS), offices.chief)["state"] == "asked"
    assert offices.case(merge.merge(TERMS), offices.chief)["state"] == "asked", "once more is not a second person"
    other = merge.Terms(tenant="tax", into="health", allow_over=True)
    assert offices.case(merge.merge(other), offices.second)["state"] == "asked", "other words are another request"
    assert offices.case(merge.merge(TERMS), offices.second)["state"] == "asked"
    assert offices.case(merge.merge(TERMS), offices.chief)["state"] == "merged"


def test_whoever_asked_must_still_have_the_right_when_another_agrees(offices: Merging) -> None:
    offices.case(merge.merge(TERMS), offices.second)

    def leave(tx: Transaction) -> None:
        people.revoke(tx, people.account(tx, "ops.city"), tenants_model.Role.OPERATOR, tenants.root(tx))

    offices.lane(leave)
    assert offices.case(merge.merge(TERMS), offices.chief)["state"] == "asked", "a role that ended signs nothing"


def test_a_request_that_nobody_agreed_to_for_a_week_is_none(offices: Merging) -> None:
    offices.case(merge.merge(TERMS), offices.chief)
    clock.shift(datetime.timedelta(days=8))
    try:
        assert offices.case(merge.merge(TERMS), offices.second)["state"] == "asked"
    finally:
        clock.shift(datetime.timedelta(0))


def test_only_a_role_above_both_may_merge(offices: Merging) -> None:
    below = offices.person(
        offices.chief,
        (tenants_model.Role.SYSTEM_ADMIN, offices.tenant_id),
        (tenants_model.Role.SYSTEM_ADMIN, offices.taker_id),
    )
    with refused("merge.above_both"):
        offices.case(merge.merge(TERMS), below)
    with refused("object.unknown"):
        offices.case(merge.merge(TERMS), offices.approver)


@pytest.mark.parametrize(
    ("terms", "code"),
    [
        (merge.Terms(tenant="nanhai", into="tax"), "tenant.root"),
        (merge.Terms(tenant="tax", into="nanhai"), "tenant.root"),
        (merge.Terms(tenant="tax", into="tax"), "tenant.cycle"),
        (merge.Terms(tenant="tax", into="branch"), "tenant.cycle"),
        (merge.Terms(tenant="tax", into="nobody"), "object.unknown"),
    ],
)
def test_what_cannot_be_merged_is_refused(offices: Merging, terms: merge.Terms, code: str) -> None:
    _branch(offices)
    with refused(code):
        offices.case(merge.merge(terms), offices.chief)


def test_clashing_projects_are_all_named_and_a_prefix_mends_it(offices: Merging) -> None:
    for code in ("hospital", "archive"):
        offices.open_project("tax", code)
    offices.open_project("health", "archive")
    with pytest.raises(errors.GovpoolError) as caught:
        offices.case(merge.merge(TERMS), offices.chief)
    assert caught.value.code == "merge.hindered"
    assert [finding.place for finding in caught.value.findings] == ["project archive", "project hospital"]
    done = offices.merged(merge.Terms(tenant="tax", into="health", prefix="tax-"))
    codes = {each["project"]: each["becomes"] for each in done["projects"]}
    assert codes == {"archive": "tax-archive", "hospital": "tax-hospital", "one-window": "one-window"}
    listed = offices.read(lambda tx: project.list_projects(tx, offices.taker_requester))
    assert {row["metadata"]["name"] for row in listed} == {"archive", "hospital", "one-window", "tax-archive", "tax-hospital"}


def test_a_change_under_way_and_a_waiting_move_are_named(offices: Merging) -> None:
    offices.machine("去")
    busy = offices.machine("忙")
    number = offices.ask(going("去"))["metadata"]["name"]
    offices.order(change("stop", busy))
    with pytest.raises(errors.GovpoolError) as caught:
        offices.case(merge.merge(TERMS), offices.chief)
    assert [finding.place for finding in caught.value.findings] == [f"order {number}", "resource 忙"]


def test_departments_below_go_along_with_their_quota_and_keep_their_history(offices: Merging) -> None:
    _branch(offices)
    done = offices.merged()
    assert done["tenants"] == ["branch"]
    assert offices.read(lambda tx: tenants.path_codes(tx, offices.tenant_of("branch").id)) == ["branch", "health", "nanhai"]
    assert offices.read(quotas.check) == []


def test_a_merge_may_be_dated_back_as_far_as_no_statement_covers_it(offices: Merging) -> None:
    _branch(offices)
    clock.shift(datetime.timedelta(days=3))
    try:
        since = clock.now() - datetime.timedelta(days=1)
        offices.merged(merge.Terms(tenant="tax", into="health", valid_from=clock.text(since)))
        history = offices.read(lambda tx: tree.history(tx, offices.tenant_of("branch").id))
        assert [(row["value"], row["valid_from"]) for row in history if row["fact"] == "parent"][-1] == (
            "health",
            clock.text(since),
        )
        for hours, owner in ((-1, offices.tenant_id), (1, offices.taker_id)):
            at_us = clock.to_us(since + datetime.timedelta(hours=hours))
            assert offices.look(records.project_owner_at, offices.project_id, at_us) == owner
        for moment, code in (("2050-01-01T00:00:00+08:00", "input.invalid"), ("2020-01-01T00:00:00+08:00", "dated.early")):
            with refused(code):
                offices.case(merge.merge(merge.Terms(tenant="branch", into="health", valid_from=moment)), offices.chief)
    finally:
        clock.shift(datetime.timedelta(0))


def test_roles_at_the_merged_department_end_so_that_nobody_gains_a_right(offices: Merging) -> None:
    offices.lane(
        lambda tx: people.grant(tx, None, people.account(tx, "tax.req"), tenants_model.Role.REQUESTER, tenants.by_code(tx, "tax"))
    )
    done = offices.merged()
    assert done["roles_ended"] == [{"account": "tax.req", "role": "requester"}]
    token = offices.lane(lambda tx: signin.issue(tx, people.account(tx, "tax.req")))
    who = offices.read(lambda tx: signin.authenticate(tx, token))
    assert (who.bindings, who.tenant_id) == ((), offices.taker_id)


def test_waiting_orders_and_approval_rules_go_over(offices: Merging) -> None:
    offices.ask_for_approval_of("create")
    number = offices.order(create("新机"))
    done = offices.merged()
    assert (done["waiting_orders"], done["approval_rules"]) == (1, ["asked"])
    offices.case(order.decide(number, model.Verdict.APPROVED, reason="同意"), offices.taker_approver)
    offices.work()
    (row,) = offices.rows()
    assert (row.tenant, row.home_tenant, row.state) == ("health", None, provisioners_model.State.RUNNING)
    assert offices.is_sound()
    assert checker.check(offices.url, offices.lab.file) == []


def test_reported_use_of_something_that_govpool_does_not_run_goes_over_too(offices: Merging) -> None:
    from metering import model as metering_model
    from metering import service as metering

    event = metering_model.UsageEvent(
        id="e1", source="legacy", subject="old-1", at=clock.now(), tenant="tax", project="one-window", kind="VirtualMachine",
        state=metering_model.State.RUNNING, amounts={"cpu_milli": TINY},
    )  # fmt: skip
    offices.lane(lambda tx: metering.append(tx, [event]))
    assert offices.merged()["reported"] == 1
    _, second = offices.events("old-1")
    assert (second.tenant, second.project, second.state) == ("health", "one-window", metering_model.State.RUNNING)


def test_use_beyond_the_joint_limit_needs_allow_over(offices: Merging) -> None:
    offices.machine("甲")
    offices.grant("tax", 0, allow_over=True)
    offices.grant("health", 0)
    offices.case(merge.merge(TERMS), offices.chief)
    with refused("quota.below_use"):
        offices.case(merge.merge(TERMS), offices.second)
    terms = merge.Terms(tenant="tax", into="health", allow_over=True)
    done = offices.merged(terms)
    assert [grant["over_by"] for grant in done["grants"] if grant["name"] == "cpu_milli"] == [TINY]


def test_what_the_years_have_left_and_what_is_encumbered_go_over(offices: Merging) -> None:
    offices.machine("甲")
    needed = offices.encumbered(offices.tenant_id)
    offices.budget(offices.tenant_id, 3 * needed)
    offices.budget(offices.taker_id, needed // 2)
    done = offices.merged()
    (went,) = done["budgets"]
    moved = money.parse(went["amount"], "amount")
    assert 3 * needed - needed // 100 < moved <= 3 * needed + money.FEN, "but for the use until now"
    year = budget_rules.year_of(clock.now())
    budgets = [offices.look(appropriations.find, tenant_id=each, year=year) for each in (offices.tenant_id, offices.taker_id)]
    assert sum(each.budget.appropriated_micro for each in budgets) == 3 * needed + needed // 2, "no money is lost or made"
    assert [each.over_micro for each in budgets] == [0, 0]
    assert needed - needed // 100 < budgets[1].encumbered_micro <= needed
    assert offices.read(proof.check) == []


def test_a_department_that_becomes_part_of_the_one_above_it_makes_no_money(offices: Merging) -> None:
    offices.lane(lambda tx: tree.create(tx, tree.NewTenant(code="clinic", name="社区门诊", parent=tenants.by_code(tx, "health"))))
    offices.budget(offices.taker_id, 1000 * money.MICRO)
    offices.budget(offices.tenant_of("clinic").id, 400 * money.MICRO)
    assert offices.merged(merge.Terms(tenant="clinic", into="health"))["budgets"] == []
    year = budget_rules.year_of(clock.now())
    budget = offices.look(appropriations.find, tenant_id=offices.taker_id, year=year)
    assert budget.limit_micro == 1000 * money.MICRO, "it covers what is below it already"
    assert offices.read(proof.check) == []


def test_a_hard_budget_of_the_other_is_not_passed_by_without_allow_over(offices: Merging) -> None:
    offices.machine("甲")
    offices.budget(offices.taker_id, offices.encumbered(offices.tenant_id) // 2)
    offices.case(merge.merge(TERMS), offices.chief)
    with refused("budget.exceeded"):
        offices.case(merge.merge(TERMS), offices.second)
    offices.merged(merge.Terms(tenant="tax", into="health", allow_over=True))
    assert offices.read(proof.check) == []


def test_who_pays_for_others_hands_that_over(offices: Merging) -> None:
    offices.lane(lambda tx: tree.pay(tx, tenants.by_code(tx, "health"), tenants.by_code(tx, "tax")))
    assert offices.merged()["pays_for"] == ["health"]
    assert offices.tenant_of("health").payer_id == offices.taker_id


def test_a_child_can_become_part_of_its_parent(offices: Merging) -> None:
    _branch(offices)
    before = offices.granted("tax")
    done = offices.merged(merge.Terms(tenant="branch", into="tax"))
    assert done["state"] == "merged"
    assert offices.granted("tax") == before, "it held those units already"
    assert offices.read(quotas.check) == []


def test_a_rehearsal_shows_all_and_leaves_nothing(offices: Merging) -> None:
    vm = offices.machine("税务申报")
    token = offices.lane(lambda tx: _token(tx, "sys.one"))
    wiring = Wiring(offices.database, Settings(workers=0))
    context = case.Context(request_id="r", method="POST", path="/v1/tenants/tax/merge", token=token, idempotency_key="k")
    rehearsed = case.perform(wiring, merge.merge(TERMS, dry_run=True), context).body
    assert (rehearsed["state"], rehearsed["resources"]) == ("merged", 1)
    assert offices.get(vm).tenant == "tax"
    assert offices.tenant_of("tax").state is tenants_model.State.ACTIVE
    first = case.perform(wiring, merge.merge(TERMS), context)
    again = case.perform(wiring, merge.merge(TERMS), context)
    assert (first.body["state"], again.body, again.replayed) == ("asked", first.body, True)


def test_people_of_the_other_department_see_what_came_and_strangers_do_not(offices: Merging) -> None:
    vm = offices.machine("税务申报")
    offices.merged()
    with refused("resource.unknown"):
        offices.read(lambda tx: resource.show(tx, offices.requester, vm))
    assert offices.read(lambda tx: resource.show(tx, offices.taker_requester, vm))["metadata"]["tenant"] == "health"


def test_both_sides_trail_has_it(offices: Merging) -> None:
    from audit import service as audit

    token = {
        "sys.one": offices.lane(lambda tx: _token(tx, "sys.one")),
        "ops.city": offices.lane(lambda tx: _token(tx, "ops.city")),
    }
    wiring = Wiring(offices.database, Settings(workers=0))
    for account, each in token.items():
        context = case.Context(request_id=account, method="POST", path="/v1/tenants/tax/merge", token=each, idempotency_key=account)
        case.perform(wiring, merge.merge(TERMS), context)
    for tenant_id in (offices.tenant_id, offices.taker_id):
        found = offices.look(audit.find, tenant_ids=[tenant_id], action="tenant.merge")
        assert [line["facts"]["step"] for line in found] == ["merged", "asked"]


def _branch(offices: Merging) -> None:
    """A branch below the tax bureau with a running machine's worth of quota in use."""

    def found(tx: Transaction) -> None:
        made = tree.create(tx, tree.NewTenant(code="branch", name="第一税务分局", parent=tenants.by_code(tx, "tax")))
        for name in GRANT:
            grants.set_grant(tx, tenant_id=made.id, name=name, grant=quotas_model.Grant(granted=5 * TINY, lending_limit=TINY))
        quotas.reserve(tx, tenant_id=made.id, amounts={"cpu_milli": 3 * TINY}, holder="vm-of-branch", expires_at=None)

    offices.lane(found)


def _token(tx: Transaction, account: str) -> str:
    return signin.issue(tx, people.account(tx, account))
