"""A department that orders, over a real lab cloud: `World` with prices, a requester, an approver, and orders as `control.case` runs them."""

import dataclasses
from typing import Any

from control import approval_rule, case, order, order_view, plan, reservation
from metering import books
from metering import service as metering
from orders import model
from pools import service as pools
from provisioners import model as provisioners_model
from provisioners import service as provisioners
from quotas import service as quotas
from store.transaction import Transaction
from tenants import model as tenants_model
from tenants import people
from tenants import service as tenants
from tests.integration import lab_process
from tests.integration.reconciler_world import World

PRICES = {"cpu_milli": ("vCPU-Hours", "0.1000"), "ram_mib": ("GiB-Hours", "0.0100"), "disk_gib": ("GiB-Hours", "0.0010")}


class Office(World):
    """A tax bureau whose people order from a pool that a reconciler serves."""

    def __init__(self, url: str, lab: lab_process.Lab, create: str = "ticket") -> None:
        super().__init__(url, lab, create)
        self.lane(self._staff)

    def _staff(self, tx: Transaction) -> None:
        prices = [
            books.PriceSpec(sku=f"{kind}-{name}".lower().replace("_", "-"), kind=kind, name=name, unit=unit, price=price)
            for kind in (plan.VIRTUAL_MACHINE, plan.VOLUME, plan.CONTAINER_APP)
            for name, (unit, price) in PRICES.items()
        ]
        metering.set_price_book(tx, "2026", books.BookSpec(valid_from="2026-01-01T00:00:00+08:00", currency="CNY", prices=prices))
        bureau = tenants.by_id(tx, self.tenant_id)
        self.requester = self._person(tx, bureau, "申请岗", "tax.req", tenants_model.Role.REQUESTER)
        self.approver = self._person(tx, bureau, "审批岗", "tax.app", tenants_model.Role.APPROVER)
        self.operator = self._person(tx, bureau, "运维岗", "ops.one", tenants_model.Role.OPERATOR)
        self.second_operator = self._person(tx, bureau, "运维副岗", "ops.two", tenants_model.Role.OPERATOR)

    def _person(
        self, tx: Transaction, bureau: tenants_model.Tenant, name: str, account: str, role: tenants_model.Role
    ) -> tenants_model.Principal:
        person = people.create_person(tx, name)
        made = people.create_account(tx, account, person, bureau)
        return tenants_model.Principal(
            account_id=made.id, account=account, kind="person", person_id=person.id, person_name=name, tenant_id=bureau.id, token_id="",
            needs_renewal=False, bindings=(tenants_model.Binding(role=role, tenant_id=bureau.id),),
        )  # fmt: skip

    def case(self, use_case: case.UseCase, who: tenants_model.Principal) -> dict[str, Any]:
        """Permit and effect in one transaction, as `control.case` runs them for a signed-in person."""
        body: dict[str, Any] = self.lane(lambda tx: use_case.effect(tx, who, use_case.permit(tx, who))).body
        return body

    def order(self, *lines: reservation.LineWish) -> str:
        """Submit an order; its number."""
        wish = order.OrderWish(tenant=self.tenant, project=self.project, lines=lines)
        return str(self.case(order.submit(wish, bin_days=7), self.requester)["metadata"]["name"])

    def decide(self, number: str, verdict: model.Verdict) -> None:
        """A person decides: the requester withdraws, the approver does the rest."""
        who = self.requester if verdict is model.Verdict.WITHDRAWN else self.approver
        self.case(order.decide(number, verdict, reason="同意"), who)

    def machine(self, name: str, size: str = "tiny") -> str:
        """A running machine, ordered and delivered; its id."""
        self.order(create(name, size))
        self.work()
        found = self.read(lambda tx: provisioners.find(tx, project_id=self.project_id, kind=plan.VIRTUAL_MACHINE, name=name))
        return str(found.id)

    def ask_for_approval_of(self, *actions: str) -> None:
        """A rule of the bureau: every order with one of these actions waits for an approval, one day long."""
        chief = dataclasses.replace(
            self.approver, bindings=(tenants_model.Binding(role=tenants_model.Role.SECURITY_ADMIN, tenant_id=self.tenant_id),)
        )
        spec = approval_rule.ApprovalRuleSpec(actions=list(actions), deadline_h=24)
        self.case(approval_rule.put_rule(self.tenant, "asked", spec), chief)

    def rows(self) -> list[provisioners_model.Resource]:
        """All resources, ended ones too, by age."""
        wanted = provisioners.Filter(tenant_ids=None, living_only=False)
        found: list[provisioners_model.Resource] = self.read(lambda tx: provisioners.listed(tx, wanted, limit=1000))
        return found

    def shown(self, number: str) -> tuple[str, list[str]]:
        """State of an order and the outcomes of its lines."""
        document = self.read(lambda tx: order_view.show(tx, self.requester, number))
        return document["status"]["state"], [line["outcome"] for line in document["spec"]["lines"]]

    def held(self, resource_id: str) -> tuple[int, int]:
        """vCPU milli that a resource holds: of the quota, and of the room in its pool."""
        units = self.read(lambda tx: quotas.find(tx, holder=resource_id))
        room = self.read(lambda tx: pools.find(tx, holder=resource_id))
        return units.amounts["cpu_milli"] if units else 0, room.amounts["cpu_milli"] if room else 0

    def is_sound(self) -> bool:
        """Whether every number of quotas and pools is the sum of what holders hold, and each resource at rest holds what it is."""
        assert self.read(quotas.check) == []
        assert self.read(pools.check) == []
        rows = self.rows()
        assert {row.id: self.held(row.id) for row in rows} == {
            row.id: (0, 0) if row.ended else (row.amounts["cpu_milli"],) * 2 for row in rows
        }
        return True


def create(name: str, size: str = "tiny", count: int = 1) -> reservation.LineWish:
    """A machine of the catalogue: tiny has 1 vCPU, small 2, medium 4, large 8."""
    wish = plan.Wish(name=name, size=size, image="debian-12")
    return reservation.LineWish(action="create", kind=plan.VIRTUAL_MACHINE, count=count, wish=wish)


def change(action: str, resource: str, size: str = "", *, purge: bool = False) -> reservation.LineWish:
    """An action on a machine."""
    return reservation.LineWish(action=action, kind=plan.VIRTUAL_MACHINE, resource=resource, purge=purge, wish=plan.Wish(size=size))
