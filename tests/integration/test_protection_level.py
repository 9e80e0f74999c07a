"""A tenant of a higher level of graded protection is refused on a pool of a lower one, before anything is held, with the rule named."""

import pathlib
from collections.abc import Iterator
from typing import Any

import pytest

from control import case, order, plan, pool, reservation, resource, tenant
from orders import model as orders_model
from pools import model as pools_model
from pools import service as pools
from primitives import errors
from provisioners import model as provisioners_model
from store import columns
from store.transaction import Transaction
from tenants import model as tenants_model
from tests.integration.office import Office, change, create
from tests.integration.reconciler_world import lab_cloud

RULE = "GB/T 22239-2019 8.2.2.1 a)"


@pytest.fixture
def office(database_url: str, tmp_path: pathlib.Path) -> Iterator[Office]:
    """A bureau of level 2, and its pool 'city' of level 2."""
    with lab_cloud(tmp_path) as lab:
        made = Office(database_url, lab)
        yield made
        made.close()


def everything(office: Office) -> dict[str, list[dict[str, Any]]]:
    """All tables, row by row."""

    def read(tx: Transaction) -> dict[str, list[dict[str, Any]]]:
        return {table.name: tx.execute(table.select()) for table in columns.METADATA.sorted_tables}

    found: dict[str, list[dict[str, Any]]] = office.read(read)
    return found


def system(office: Office) -> tenants_model.Principal:
    """Somebody who may do this at the root."""
    roles = (tenants_model.Role.SYSTEM_ADMIN, tenants_model.Role.OPERATOR)
    bindings = tuple(tenants_model.Binding(role=role, tenant_id=root_of(office)) for role in roles)
    return tenants_model.Principal(
        account_id=office.operator.account_id, account="ops.one", kind="person", person_id=office.operator.person_id,
        person_name="运维岗", tenant_id=root_of(office), token_id="", needs_renewal=False, bindings=bindings,
    )  # fmt: skip


def root_of(office: Office) -> str:
    """The city."""
    from tenants import service as tenants

    return str(office.read(tenants.root).id)


def done(office: Office, use_case: case.UseCase) -> dict[str, Any]:
    """Run it as somebody who may."""
    return office.case(use_case, system(office))


def raise_to(office: Office, level: int) -> dict[str, Any]:
    """The bureau's system was found to be of another level."""
    return done(office, tenant.update_tenant(office.tenant, {"protection_level": level}))


def second_pool(office: Office, level: int) -> None:
    """Another pool over the same cloud."""
    first = office.read(lambda tx: pools.by_code(tx, "city"))
    spec = pools_model.PoolSpec(name="重要资源池", driver="lab", driver_settings=first.driver_settings, protection_level=level)
    made = office.lane(lambda tx: pools.create(tx, code="secure", spec=spec, kinds=provisioners_model.ID_PREFIX))
    hosts = office.read(lambda tx: pools.hosts(tx, pool_id=first.id))
    office.lane(lambda tx: pools.record_capacity(tx, pool_id=made.id, hosts=hosts))


def placed(name: str, pool_code: str = "", zone: str = "") -> reservation.LineWish:
    """A machine that must be in a certain place."""
    wish = plan.Wish(name=name, size="tiny", image="debian-12")
    return reservation.LineWish(action="create", kind=plan.VIRTUAL_MACHINE, pool=pool_code, zone=zone, wish=wish)


@pytest.mark.parametrize("pool_code", ["", "city"])
def test_it_is_refused_first_with_the_rule_named_and_nothing_is_held(office: Office, pool_code: str) -> None:
    raise_to(office, 3)
    before = everything(office)
    enormous = reservation.LineWish(
        action="create", kind=plan.VIRTUAL_MACHINE, pool=pool_code, count=100, wish=plan.Wish(name="机", size="no-such", image="x")
    )
    with pytest.raises(errors.GovpoolError) as caught:
        office.order(enormous)
    refusal = caught.value
    assert refusal.code == "pool.protection_level", "before size, image, quota and price were looked at"
    assert {name: refusal.values[name] for name in ("tenant", "level", "pools", "rule")} == {
        "tenant": "tax", "level": 3, "pools": {"city": 2}, "rule": RULE,
    }  # fmt: skip
    assert RULE in refusal.text("en") and "city level 2" in refusal.text("en")
    assert RULE in refusal.text("zh") and "city 2 级" in refusal.text("zh")
    assert "level 3 or higher" in refusal.mend("en")
    assert everything(office) == before


def test_the_rule_that_is_cited_is_a_setting(office: Office) -> None:
    raise_to(office, 3)
    wish = order.OrderWish(tenant=office.tenant, project=office.project, lines=[create("机")])
    with pytest.raises(errors.GovpoolError, match="protection_level") as caught:
        office.case(order.submit(wish, bin_days=7, protection_rule="市政务云管理办法 第十二条"), office.requester)
    assert caught.value.values["rule"] == "市政务云管理办法 第十二条"


def test_among_several_pools_one_of_the_level_is_chosen_and_one_below_is_refused(office: Office) -> None:
    raise_to(office, 3)
    second_pool(office, 3)
    number = office.order(placed("机-1"))
    assert office.shown(number)[0] == "delivering"
    assert [row.pool for row in office.rows()] == ["secure"]
    with pytest.raises(errors.GovpoolError) as caught:
        office.order(placed("机-2", "city"))
    assert caught.value.code == "pool.protection_level"
    with pytest.raises(errors.GovpoolError) as caught:
        office.order(placed("机-2", "secure", zone="az9"))
    assert caught.value.code == "pool.none", "no place at all is another matter"
    with pytest.raises(errors.GovpoolError) as caught:
        office.order(placed("机-2", "no-such"))
    assert caught.value.code == "pool.unknown"


def test_a_tenant_of_a_lower_level_goes_into_a_pool_of_a_higher_one(office: Office) -> None:
    raise_to(office, 1)
    assert office.shown(office.order(placed("机-1", "city")))[0] == "delivering"


def test_a_level_that_rises_is_recorded_and_what_stands_too_low_is_listed_told_and_cannot_grow(office: Office) -> None:
    machine = office.machine("税务申报-01", "small")
    answer = raise_to(office, 3)
    below = answer["status"]["below_level"]
    assert below["count"] == 1
    assert below["resources"][0] == {
        "id": machine, "name": "税务申报-01", "kind": plan.VIRTUAL_MACHINE, "tenant": "tax", "level": 3, "pool": "city", "pool_level": 2,
    }  # fmt: skip
    told = [row for row in everything(office)["notices"] if row["code"] == "protection.below"]
    assert [row["tenant_id"] for row in told] == [office.tenant_id]
    shown = office.read(lambda tx: resource.show(tx, office.requester, machine))
    assert "protection.below" in [one["code"] for one in shown["status"]["conditions"]]
    with pytest.raises(errors.GovpoolError) as caught:
        office.order(change("resize", machine, "large"))
    assert caught.value.code == "pool.protection_level"
    office.order(change("resize", machine, "tiny"))
    office.work()
    office.order(change("stop", machine))
    office.work()
    assert "below_level" not in raise_to(office, 2)["status"]
    assert office.is_sound()


def test_a_pool_whose_level_falls_says_what_stands_in_it_and_takes_nothing_more(office: Office) -> None:
    office.machine("税务申报-01")
    present = office.read(lambda tx: pools.by_code(tx, "city"))
    spec = pool.Spec(name=present.name, driver=present.driver, driver_settings=dict(present.driver_settings), protection_level=1)
    answer = done(office, pool.set_pool("city", spec))
    assert [one["name"] for one in answer["status"]["below_level"]["resources"]] == ["税务申报-01"]
    with pytest.raises(errors.GovpoolError) as caught:
        office.order(create("机-2"))
    assert caught.value.code == "pool.protection_level"
    spec.protection_level = 2
    done(office, pool.set_pool("city", spec))
    office.order(create("机-2"))


def test_what_was_ordered_before_a_level_rose_is_not_approved_after_it(office: Office) -> None:
    machine = office.machine("税务申报-01", "tiny")
    office.ask_for_approval_of("create", "resize")
    waiting = [office.order(create("机-2")), office.order(change("resize", machine, "small"))]
    raise_to(office, 3)
    for number in waiting:
        with pytest.raises(errors.GovpoolError) as caught:
            office.decide(number, orders_model.Verdict.APPROVED)
        assert caught.value.code == "pool.protection_level"
        office.decide(number, orders_model.Verdict.REFUSED)
    assert office.is_sound()
