"""Two departments under one city, both ordering from the same pool: things move from one to the other."""

import dataclasses
from collections.abc import Callable
from typing import Any

from control import move, order, plan, reservation
from metering import model as metering_model
from metering.records import usage
from orders import model
from primitives import clock
from provisioners import model as provisioners_model
from provisioners import service as provisioners
from quotas import grants
from quotas import model as quotas_model
from quotas import service as quotas
from quotas.budgets import appropriations
from quotas.budgets import model as budget_model
from quotas.budgets import rules as budget_rules
from store.transaction import Transaction
from tenants import model as tenants_model
from tenants import service as tenants
from tenants import tree
from tests.integration import lab_process
from tests.integration.office import Office
from tests.integration.reconciler_world import GRANT


class TwoOffices(Office):
    """The tax bureau gives, the health bureau (with its own people and the project `hospital`) takes."""

    def __init__(self, url: str, lab: lab_process.Lab, create: str = "ticket") -> None:
        super().__init__(url, lab, create)
        self.lane(self._taker)

    def _taker(self, tx: Transaction) -> None:
        city = tenants.root(tx)
        self.city = city.id
        bureau = tree.create(tx, tree.NewTenant(code="health", name="卫生健康局", parent=city))
        self.taker_id, self.taker = bureau.id, bureau.code
        self.taker_project_id = tree.create_project(tx, bureau, "hospital", "医院信息系统").id
        for name, amount in GRANT.items():
            grants.set_grant(tx, tenant_id=bureau.id, name=name, grant=quotas_model.Grant(granted=amount))
        self.taker_requester = self._person(tx, bureau, "卫健申请岗", "health.req", tenants_model.Role.REQUESTER)
        self.taker_approver = self._person(tx, bureau, "卫健审批岗", "health.app", tenants_model.Role.APPROVER)

    def ask(self, *wishes: reservation.LineWish, to: str = "health/hospital", project: str = "") -> dict[str, Any]:
        """The tax bureau's requester asks for a move; the order."""
        wish = order.OrderWish(tenant=self.tenant, project=project or self.project, lines=wishes, to=to)
        return self.case(order.submit(wish, bin_days=7), self.requester)

    def agree(self, asked: dict[str, Any], verdict: model.Verdict = model.Verdict.APPROVED) -> dict[str, Any]:
        """The health bureau's approver decides; the order."""
        return self.case(order.decide(asked["metadata"]["name"], verdict, reason="同意接收"), self.taker_approver)

    def moved(self, *names: str, to: str = "health/hospital") -> dict[str, Any]:
        """Asked for and agreed to."""
        return self.agree(self.ask(*(going(name) for name in names), to=to))

    def look(self, function: Callable[..., Any], *arguments: Any, **options: Any) -> Any:
        """What a read says."""
        return self.read(lambda tx: function(tx, *arguments, **options))

    def vcpu(self, tenant_id: str) -> int:
        """vCPU milli that a department draws."""
        return int(self.read(lambda tx: quotas.standing(tx, tenant_id=tenant_id, name="cpu_milli")).drawn)

    def encumbered(self, tenant_id: str) -> int:
        """Micro-yuan of this year that are encumbered at and below a department."""
        year = budget_rules.year_of(clock.now())
        found = self.read(lambda tx: appropriations.find(tx, tenant_id=tenant_id, year=year))
        return int((found or self.read(lambda tx: appropriations.nothing(tx, tenant_id=tenant_id, year=year))).encumbered_micro)

    def budget(self, tenant_id: str, micro: int) -> None:
        """Give a department the money of this year."""
        given, year = budget_model.Budget(appropriated_micro=micro), budget_rules.year_of(clock.now())
        self.lane(lambda tx: appropriations.set_budget(tx, tenant_id=tenant_id, year=year, budget=given, allow_over=True))

    def events(self, resource_id: str) -> list[metering_model.UsageEvent]:
        """Usage events of a resource in their order."""
        found = self.read(lambda tx: usage.of_subject(tx, resource_id))
        return sorted(found, key=lambda event: event.sequence)

    def of_taker(self, name: str) -> provisioners_model.Resource | None:
        """The machine of a name in the taker's project."""
        found: provisioners_model.Resource | None = self.read(
            lambda tx: provisioners.find(tx, project_id=self.taker_project_id, kind=plan.VIRTUAL_MACHINE, name=name)
        )
        return found

    def person(self, who: tenants_model.Principal, *roles: tuple[tenants_model.Role, str]) -> tenants_model.Principal:
        """The same person with other roles."""
        bindings = tuple(tenants_model.Binding(role=role, tenant_id=tenant_id) for role, tenant_id in roles)
        return dataclasses.replace(who, bindings=bindings)


def going(name: str, kind: str = plan.VIRTUAL_MACHINE) -> reservation.LineWish:
    """A machine that is to move."""
    return reservation.LineWish(action=move.ACTION, kind=kind, resource=name)


def whole(project: str = "one-window") -> reservation.LineWish:
    """A project that is to move."""
    return reservation.LineWish(action=move.ACTION, kind=move.PROJECT, resource=project)
