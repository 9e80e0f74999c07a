"""Orders on both databases: accepted whole or refused whole, decided by a second person, ended by their deadline."""

import dataclasses
import datetime
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from control import approval_rule, case, order, order_view, plan, reservation
from metering import books
from metering import service as metering
from orders import model
from pools import model as pools_model
from pools import service as pools
from primitives import clock, errors, ids
from provisioners import contract
from provisioners import model as provisioners_model
from provisioners import service as provisioners
from quotas import grants
from quotas import model as quotas_model
from quotas import service as quotas
from store import database as store_database
from store import installation
from store.transaction import Transaction
from tenants import model as tenants_model
from tenants import people, tree

PRICES = [
    {"sku": "vm-vcpu", "kind": "VirtualMachine", "name": "cpu_milli", "unit": "vCPU-Hours", "price": "0.1000"},
    {"sku": "vm-ram", "kind": "VirtualMachine", "name": "ram_mib", "unit": "GiB-Hours", "price": "0.0100"},
    {"sku": "vm-disk", "kind": "VirtualMachine", "name": "disk_gib", "unit": "GiB-Hours", "price": "0.0010"},
]
HOST = contract.Host(
    name="h01",
    zone="az1",
    service_class="general",
    hall="h1",
    enabled=True,
    physical={"cpu_milli": 64_000, "ram_mib": 262_144, "disk_gib": 8_000},
    usable={"cpu_milli": 64_000, "ram_mib": 262_144, "disk_gib": 8_000},
    used={},
)


class Bureau:
    """A tax bureau with a project, 16 vCPU of quota, a pool, prices, a requester with two accounts and an approver."""

    def __init__(self, database: store_database.Database) -> None:
        self.database = database
        database.lane.run(self._found)

    def _found(self, tx: Transaction) -> None:
        installation.create(tx)
        city = tree.create(tx, tree.NewTenant(code="city", name="清河市", parent=None))
        self.tenant = tree.create(tx, tree.NewTenant(code="tax", name="市税务局", parent=city))
        self.project = tree.create_project(tx, self.tenant, "ledger", "综合治税")
        for name, amount in {"cpu_milli": 16_000, "ram_mib": 65_536, "disk_gib": 1_000, "instances": 10, "pods": 10}.items():
            for tenant in (city, self.tenant):
                grants.set_grant(tx, tenant_id=tenant.id, name=name, grant=quotas_model.Grant(granted=amount))
        spec = pools_model.PoolSpec(name="市级资源池", driver="lab", driver_settings={"url": "http://127.0.0.1:9"})
        self.pool = pools.create(tx, code="gov", spec=spec, kinds=provisioners_model.ID_PREFIX)
        pools.record_capacity(tx, pool_id=self.pool.id, hosts=[HOST])
        prices = [books.PriceSpec(**price) for price in PRICES]  # type: ignore[arg-type]
        metering.set_price_book(tx, "2026", books.BookSpec(valid_from="2026-01-01T00:00:00+08:00", currency="CNY", prices=prices))
        self.requester = self._person(tx, city, "申请岗", "tax.req", tenants_model.Role.REQUESTER)
        self.approver = self._person(tx, city, "审批岗", "tax.app", tenants_model.Role.APPROVER)

    def _person(
        self, tx: Transaction, city: tenants_model.Tenant, name: str, account: str, role: tenants_model.Role
    ) -> tenants_model.Principal:
        person = people.create_person(tx, name)
        made = people.create_account(tx, account, person, self.tenant)
        return tenants_model.Principal(
            account_id=made.id,
            account=account,
            kind="person",
            person_id=person.id,
            person_name=name,
            tenant_id=self.tenant.id,
            token_id="",
            needs_renewal=False,
            bindings=(tenants_model.Binding(role=role, tenant_id=self.tenant.id),),
        )

    def run(self, use_case: case.UseCase, who: tenants_model.Principal) -> dict[str, Any]:
        """Permit and effect in one transaction, as `control.case` runs them for a signed-in person."""

        def both(tx: Transaction) -> case.Answer:
            return use_case.effect(tx, who, use_case.permit(tx, who))

        body: dict[str, Any] = self.database.lane.run(both).body
        return body

    def order(self, *lines: reservation.LineWish, who: tenants_model.Principal | None = None) -> dict[str, Any]:
        """Submit an order of the bureau."""
        wish = order.OrderWish(tenant="tax", project="ledger", lines=lines)
        return self.run(order.submit(wish, bin_days=7), who or self.requester)

    def decide(self, number: str, verdict: model.Verdict, who: tenants_model.Principal | None = None) -> dict[str, Any]:
        """A person decides."""
        return self.run(order.decide(number, verdict, reason="同意", document_no="清税〔2026〕1号"), who or self.approver)

    def ask_for_approval_over(self, monthly: str) -> None:
        """A rule of the city."""
        spec = approval_rule.ApprovalRuleSpec(monthly_over=monthly, deadline_h=24)
        chief = dataclasses.replace(
            self.approver, bindings=(tenants_model.Binding(role=tenants_model.Role.SECURITY_ADMIN, tenant_id=self.tenant.id),)
        )
        self.run(approval_rule.put_rule("tax", "dear", spec), chief)

    def drawn(self) -> dict[str, int]:
        """What the bureau holds."""
        return {
            one.name: one.drawn
            for one in self.database.read(lambda tx: quotas.standings(tx, tenant_id=self.tenant.id))
            if one.drawn
        }

    def room(self) -> int:
        """vCPU room held in the pool."""
        rooms = self.database.read(lambda tx: pools.rooms(tx, pool_id=self.pool.id))
        return sum(room.held for room in rooms if room.name == "cpu_milli")

    def resources(self) -> list[provisioners_model.Resource]:
        """All rows of resources."""
        return list(self.database.read(lambda tx: provisioners.listed(tx, provisioners.Filter(tenant_ids=None), limit=100)))


@pytest.fixture
def bureau(database: store_database.Database) -> Bureau:
    """A bureau in a fresh database."""
    return Bureau(database)


@pytest.fixture
def later() -> Iterator[Callable[[float], None]]:
    """Hours pass."""
    yield lambda hours: clock.shift(datetime.timedelta(hours=hours))
    clock.shift(datetime.timedelta(0))


def machine(name: str, size: str = "medium", count: int = 1) -> reservation.LineWish:
    """A machine of the catalogue: medium has 4 vCPU, 8 GiB, 100 GiB."""
    wish = plan.Wish(name=name, size=size, image="debian-12")
    return reservation.LineWish(action="create", kind=plan.VIRTUAL_MACHINE, count=count, wish=wish)


def refused(code: str) -> Any:
    """The context of a refusal with a code."""
    return pytest.raises(errors.GovpoolError, match=rf"^{code}: ")


def test_an_order_holds_units_and_room_names_its_price_and_makes_the_rows(bureau: Bureau) -> None:
    made = bureau.order(machine("台账", count=2))
    assert made["status"]["state"] == "delivering"
    assert made["status"]["monthly"] == "846.80"  # 2 x 730 h x (4 x 0.10 + 8 x 0.01 + 100 x 0.001), 0.58 an hour
    assert bureau.drawn() == {"cpu_milli": 8_000, "ram_mib": 16_384, "disk_gib": 200, "instances": 2}
    assert bureau.room() == 8_000
    assert [row.name for row in bureau.resources()] == ["台账-1", "台账-2"]


def test_an_order_over_quota_names_the_numbers_and_leaves_nothing(bureau: Bureau) -> None:
    with refused("quota.exceeded") as caught:
        bureau.order(machine("a", count=5))
    own, above = caught.value.values["breaches"]
    assert own == {"tenant": "tax", "name": "cpu_milli", "short_by": 4_000, "asked": 20_000, "used": 0, "limit": 16_000}
    assert above == {"tenant": "city", "name": "cpu_milli", "short_by": 4_000}  # the city's numbers are not the bureau's to see
    assert (bureau.drawn(), bureau.room(), bureau.resources()) == ({}, 0, [])
    assert bureau.database.read(lambda tx: order_view.list_orders(tx, bureau.requester)) == []


def test_what_has_no_price_is_not_sold(bureau: Bureau) -> None:
    volume = reservation.LineWish(action="create", kind=plan.VOLUME, wish=plan.Wish(name="v", size_gib=10))
    with refused("price.missing"):
        bureau.order(volume)
    assert (bureau.drawn(), bureau.room()) == ({}, 0)


def test_a_waiting_order_holds_name_units_and_room_and_a_refusal_gives_them_back(bureau: Bureau) -> None:
    bureau.ask_for_approval_over("400.00")
    number = bureau.order(machine("a"))["metadata"]["name"]
    assert (bureau.drawn()["cpu_milli"], bureau.room(), bureau.resources()) == (4_000, 4_000, [])
    with refused("order.name_taken"):
        bureau.order(machine("a", size="tiny"))
    decided = bureau.decide(number, model.Verdict.REFUSED)
    assert decided["status"]["state"] == "refused"
    assert decided["status"]["decisions"][0]["document_no"] == "清税〔2026〕1号"
    assert (bureau.drawn(), bureau.room()) == ({}, 0)
    assert bureau.order(machine("a", size="tiny"))["status"]["state"] == "delivering"


def test_one_name_twice_in_an_order_is_refused_also_where_it_would_wait(bureau: Bureau) -> None:
    with refused("resource.name_taken"):
        bureau.order(machine("a"), machine("a"))
    bureau.ask_for_approval_over("400.00")
    with refused("resource.name_taken"):
        bureau.order(machine("a-1"), machine("a", count=2))
    assert (bureau.drawn(), bureau.room(), bureau.resources()) == ({}, 0, [])


def test_an_approval_makes_the_rows_and_comes_from_another_person(bureau: Bureau) -> None:
    bureau.ask_for_approval_over("400.00")
    number = bureau.order(machine("a"))["metadata"]["name"]
    second_account = dataclasses.replace(bureau.approver, person_id=bureau.requester.person_id, account_id=ids.new("acc"))
    with refused("order.own"):
        bureau.decide(number, model.Verdict.APPROVED, second_account)
    assert bureau.decide(number, model.Verdict.APPROVED)["status"]["state"] == "delivering"
    assert [row.name for row in bureau.resources()] == ["a"]
    with refused("order.decided"):
        bureau.decide(number, model.Verdict.REFUSED)
    assert bureau.drawn()["cpu_milli"] == 4_000


def test_an_undecided_order_is_flagged_and_then_ends_by_itself(bureau: Bureau, later: Callable[[float], None]) -> None:
    bureau.ask_for_approval_over("400.00")
    number = bureau.order(machine("a"))["metadata"]["name"]
    later(13)
    shown = bureau.database.read(lambda tx: order_view.show(tx, bureau.requester, number))
    if bureau.database.dialect == "sqlite":
        assert shown["status"]["overdue"]
    assert bureau.database.lane.run(order.end_overdue) == []
    later(25)
    assert len(bureau.database.lane.run(order.end_overdue)) == 1
    assert bureau.database.lane.run(order.end_overdue) == []
    assert (bureau.drawn(), bureau.room()) == ({}, 0)
    with refused("order.decided"):
        bureau.decide(number, model.Verdict.APPROVED)


def test_a_resize_holds_the_greater_size_while_it_waits(bureau: Bureau) -> None:
    bureau.order(machine("a", size="tiny"))
    row = bureau.resources()[0]
    bureau.database.lane.run(
        lambda tx: provisioners.store(
            tx,
            provisioners.get(tx, row.id),
            dataclasses.replace(
                row, state=provisioners_model.State.RUNNING, built=True, observed_generation=1, next_at=None, order_id=""
            ),
        )
    )
    bureau.ask_for_approval_over("100.00")
    resize = reservation.LineWish(action="resize", kind=plan.VIRTUAL_MACHINE, resource="a", wish=plan.Wish(size="medium"))
    made = bureau.order(resize)
    assert made["status"]["state"] == "waiting_for_approval"
    assert bureau.drawn()["cpu_milli"] == 4_000
    bureau.decide(made["metadata"]["name"], model.Verdict.WITHDRAWN)
    assert (bureau.drawn()["cpu_milli"], bureau.room()) == (1_000, 1_000)


def test_a_stranger_gets_the_answer_of_an_unknown_order(bureau: Bureau) -> None:
    number = bureau.order(machine("a"))["metadata"]["name"]
    stranger = dataclasses.replace(bureau.requester, bindings=())
    for reference in (number, "999"):
        with refused("order.unknown"):
            bureau.database.read(lambda tx, reference=reference: order_view.show(tx, stranger, reference))  # type: ignore[misc]
