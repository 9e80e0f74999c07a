"""Faults that others had, each with a test named after its row in the list of peers' faults; the docstring names where it was seen."""

import datetime
import pathlib
from collections.abc import Iterator
from typing import Any

import pytest

from apiclient import client as api
from control import order
from metering import service as metering
from orders import model as orders_model
from primitives import clock, errors
from provisioners.model import State
from quotas import faults, grants, model, rules
from quotas import service as quotas
from store import database as store_database
from tests.integration import lease_world
from tests.integration import test_rolling as rolling
from tests.integration.move_world import TwoOffices, going
from tests.integration.office import Office, change, create
from tests.integration.reconciler_world import lab_cloud
from tests.integration.tenants_server import Refused, refused, serving


@pytest.fixture
def office(database_url: str, tmp_path: pathlib.Path) -> Iterator[Office]:
    """A tax bureau that orders, over a real lab cloud."""
    with lab_cloud(tmp_path) as lab:
        built = Office(database_url, lab)
        yield built
        built.close()


def grant(office: Office, name: str, granted: int, *, allow_over: bool = False) -> model.Standing:
    """Set a grant of the bureau; how it stands then."""
    wanted = model.Grant(granted=granted)
    after: model.Standing = office.lane(
        lambda tx: grants.set_grant(tx, tenant_id=office.tenant_id, name=name, grant=wanted, allow_over=allow_over)
    )[1]
    return after


def test_sub_tenant_raises_own_quota(database: store_database.Database) -> None:
    """cozystack#3085: a sub-tenant could write its own limit.  Only somebody bound above a tenant writes its grants."""
    with serving(database) as city:
        city.department("tax", "税务局")
        city.department("tax-1", "第一税务分局", "tax")
        operator = city.person("nanhai", "chen", "陈强", "operator")
        for tenant, granted in (("nanhai", 100), ("tax", 10), ("tax-1", 5)):
            operator.put(f"/v1/grants/{tenant}/instances", {"granted": granted}, if_match=0)
        own: api.Client = city.person("tax", "zhou", "周敏", "operator", "approver", "finance")
        assert refused(own.put, "/v1/grants/tax/instances", {"granted": 50}, if_match=1) == (403, "grant.from_above")
        several = {"grants": [{"name": "instances", "borrowing_limit": 90}]}
        assert refused(own.patch, "/v1/grants/tax", several) == (403, "grant.from_above")
        move = {"giver": "tax-1", "taker": "tax", "amounts": {"instances": 1}}
        assert refused(own.post, "/v1/grant-moves", move) == (403, "grant.from_above")
        assert refused(own.put, "/v1/grant-defaults/instances", {"granted": 50}) == (403, "role.forbidden")
        own.put("/v1/grants/tax-1/instances", {"granted": 7}, if_match=1)
        assert [(row["tenant"], row["granted"]) for row in own.pages("/v1/grants")] == [("tax", 10), ("tax-1", 7)]


def test_limit_set_below_use(office: Office) -> None:
    """cloudpods#17810: a limit below use was accepted without a word.  It needs a flag, shows 'over by n', and then only shrinking passes."""
    for name in ("web", "db"):
        office.machine(name, "medium")  # 4 vCPU each
    with pytest.raises(errors.GovpoolError) as below:
        grant(office, "cpu_milli", 5000)
    assert below.value.fault is faults.BELOW_USE
    assert below.value.values["over_by"] == "3 vCPU"
    assert grant(office, "cpu_milli", 5000, allow_over=True).over_by == 3000
    for line in (create("more"), change("resize", "web", "large")):
        with pytest.raises(errors.GovpoolError) as full:
            office.order(line)
        assert full.value.code == "quota.exceeded"
    office.order(change("resize", "web", "small"))
    office.work()
    standing = office.read(lambda tx: quotas.standing(tx, tenant_id=office.tenant_id, name="cpu_milli"))
    assert (standing.drawn, standing.over_by) == (6000, 1000)
    with pytest.raises(errors.GovpoolError):
        office.order(create("still-more"))
    office.order(change("delete", "db", purge=True))
    office.work()
    office.machine("fits-again", "small")
    assert office.is_sound()


def test_over_quota_on_one_class_blocks_another(office: Office) -> None:
    """manageiq-automation_engine#150: over quota on memory, a request for another resource was refused.  Only what a request raises is tested."""
    office.machine("web", "small")
    grant(office, "ram_mib", 100, allow_over=True)
    holder = office.rows()[0].id
    office.lane(
        lambda tx: quotas.reserve(tx, tenant_id=office.tenant_id, amounts={"disk_gib": 10}, holder="vol-a", expires_at=None)
    )
    held = office.read(lambda tx: quotas.find(tx, holder=holder)).amounts
    office.lane(lambda tx: quotas.change(tx, holder=holder, amounts={**held, "disk_gib": held["disk_gib"] + 5}))
    with pytest.raises(errors.GovpoolError) as memory:
        office.lane(lambda tx: quotas.change(tx, holder=holder, amounts={**held, "ram_mib": held["ram_mib"] + 1}))
    assert {breach["name"] for breach in memory.value.values["breaches"]} == {"ram_mib"}


def test_failed_create_keeps_quota(office: Office) -> None:
    """cloudpods#15998: a create that failed kept its quota for ever.  The ledger returns to where it began, whatever fails and wherever."""
    names = ("cpu_milli", "ram_mib", "disk_gib", "instances")
    before = {name: office.drawn(name) for name in names}
    scripts: tuple[dict[str, Any], ...] = (
        {"do": "refuse", "on": ["ticket.create"], "reason": "forbidden"},
        {"do": "refuse", "on": ["guest.create"], "reason": "no_host"},
        {"do": "fail", "on": ["guest.create"]},
        {"do": "lose", "on": ["guest.create"], "times": 1},
    )
    for number, fault in enumerate(scripts):
        office.lab.script(fault)
        office.order(create(f"bad-{number}"))
        office.work()
        office.lab.script()
        for row in office.rows():
            if not row.ended:  # only an answer was lost: the machine is there, so it is deleted
                office.order(change("delete", row.name, purge=True))
        office.work()
    office.ask_for_approval_of("create")
    for verdict in (orders_model.Verdict.REFUSED, orders_model.Verdict.WITHDRAWN):
        office.decide(office.order(create("never")), verdict)
    with pytest.raises(errors.GovpoolError):
        office.order(create("too-many", "large", count=50), create("far-too-many", "large", count=50), create("one-more", "large"))
    grant(office, "cpu_milli", 7000)
    with pytest.raises(errors.GovpoolError):
        office.order(create("too-large", "large"))
    assert {name: office.drawn(name) for name in names} == before
    assert office.read(quotas.check) == []


def test_fractional_limit_truncated(database: store_database.Database) -> None:
    """waldur-mastermind#93: a limit of 0.5 became 0 by int().  Amounts are integers of a fine unit; a fraction of that unit is refused, never cut."""
    with serving(database) as city:
        operator = city.person("nanhai", "chen", "陈强", "operator")
        for wrong in (0.5, 1.0000001, "1.5"):
            with pytest.raises(Refused) as cut:
                operator.put("/v1/grants/nanhai/cpu_milli", {"granted": wrong}, if_match=0)
            assert cut.value.status == 400
        operator.put("/v1/grants/nanhai/cpu_milli", {"granted": 500}, if_match=0)
        assert operator.get("/v1/grants/nanhai")[0]["granted"] == 500, "half a vCPU is 500 of its thousandths"
    assert rules.counted({"cpu_milli": 500}) == {"cpu_milli": 500}


def test_retry_doubles(database: store_database.Database) -> None:
    """CloudKitty with ES and OS storage: a retry stored a frame twice.  The same key gives the first answer and happens once, also for grants."""
    with serving(database) as city:
        city.department("tax", "税务局")
        city.department("finance", "财政局")
        operator = city.person("nanhai", "chen", "陈强", "operator")
        for tenant, granted in (("nanhai", 100), ("tax", 50), ("finance", 10)):
            operator.put(f"/v1/grants/{tenant}/instances", {"granted": granted}, if_match=0)
        move = {"giver": "tax", "taker": "finance", "amounts": {"instances": 5}}
        answers = [operator.post("/v1/grant-moves", move, key="retried") for _ in range(3)]
        assert answers[0] == answers[1] == answers[2]
        found = {row["tenant"]: row["granted"] for row in operator.pages("/v1/grants")}
        assert (found["tax"], found["finance"]) == (45, 15)


def test_rolling_update_exceeds_quota(office: Office) -> None:
    """kubernetes#123434: a rolling update made more pods than the quota allowed.  Here what it adds is counted before it starts."""
    app_id = rolling.app(office, number=4)
    grant(office, "pods", 4)
    with pytest.raises(errors.GovpoolError) as caught:
        office.order(rolling.line("update", app_id, image="python-3.12"))
    assert caught.value.code == "resource.surge"
    grant(office, "pods", 5)
    office.lab.script(action_s=[0.3, 0.3])
    office.order(rolling.line("update", app_id, image="python-3.12"))
    assert (rolling.counted(office, app_id)[0], rolling.in_the_cloud(office)) == (5, 4)
    with pytest.raises(errors.GovpoolError) as caught:
        office.order(rolling.line("create", "另一个", replicas=1))
    assert caught.value.code == "quota.exceeded", "what is added for a while is not given to somebody else"
    office.work(rolling.never_beyond(office, app_id))
    office.order(rolling.line("create", "另一个", replicas=1))


def test_use_that_moves_to_another_department_shows_on_both_sides(database_url: str, tmp_path: pathlib.Path) -> None:
    """manageiq#21283: what moved to another tenant took its past use along.  Here a move is an order with two signatures, and both ledgers show it:
    the trail of each side has it, and each pays its part to the second.
    """
    with lab_cloud(tmp_path) as lab:
        offices = TwoOffices(database_url, lab)
        vm = offices.machine("税务申报")
        asked = offices.ask(going("税务申报"))
        with pytest.raises(errors.GovpoolError) as caught:
            offices.case(order.decide(asked["metadata"]["name"], orders_model.Verdict.APPROVED, reason="自批"), offices.approver)
        assert caught.value.code == "move.taker_decides"
        use_case = order.decide(asked["metadata"]["name"], orders_model.Verdict.APPROVED, reason="同意接收")
        answer = offices.lane(lambda tx: use_case.effect(tx, offices.taker_approver, use_case.permit(tx, offices.taker_approver)))
        assert {line.tenant_id for line in answer.parts if line.object_id == vm} == {offices.tenant_id, offices.taker_id}
        given, taken = offices.events(vm)
        assert (given.tenant, taken.tenant) == ("tax", "health")
        until = taken.at.replace(microsecond=0) + datetime.timedelta(hours=1)
        shares = {one.tenant: one.span for one in offices.read(lambda tx: metering.intervals(tx, vm, until=until))}
        assert shares["health"].start_at == taken.at.replace(microsecond=0)
        assert "tax" not in shares or shares["tax"].end_at == shares["health"].start_at
        offices.close()


def test_late_or_lost_end_event(office: Office) -> None:
    """Blazar: a lease whose end event came late, or never, ran on.  The end is our own clock's, also after weeks without a server; what the
    cloud answers to it is a hint, and what it does not answer is asked again.
    """
    machine = lease_world.leased(office, "临时测试-01", 2)
    office.lab.script({"do": "lose", "on": ["guest.act"], "times": 1})
    try:
        clock.shift(datetime.timedelta(days=30))
        lease_world.tick(office)
        office.work()
        assert lease_world.guest(office, machine) == "stopped"
        clock.shift(datetime.timedelta(days=60))  # its grace is over
        lease_world.tick(office)
        office.work(lambda: office.get(machine).state is State.BIN)
        clock.shift(datetime.timedelta(days=90))  # and its time in the bin
        office.work(lambda: office.get(machine).ended)
        assert office.lab.guests(machine) == [] and office.drawn("instances") == 0
    finally:
        clock.shift(datetime.timedelta(0))
