"""A city for histories: districts that share no unit with each other, each with a tree of its own and scarce quota.

A district lends nothing and borrows nothing, so what happens in it is its own history.  Below it four tenants on two levels share its limits by
borrowing and lending, by grants that a seed draws.
"""

import collections
import dataclasses
import datetime
import decimal
import random
from collections.abc import Mapping
from typing import Any

from control import approval_rule
from metering import books
from metering import service as metering
from orders import service as orders
from quotas import grants
from quotas import model as quotas_model
from quotas.budgets import appropriations
from quotas.budgets import model as budgets
from store import installation
from store.transaction import Transaction
from tenants import model as tenants_model
from tenants import people, signin, tree
from tests.integration import lab_process, places
from tests.integration.kueue_model import Grant, View
from tests.integration.quota_history import History
from tests.integration.reconciler_world import GRANT, World, add_pool

SHANGHAI = datetime.timedelta(hours=8)
PARENTS = (-1, 0, 0, 1, 1)
NAMES = {"东区": "d1", "西区": "d2", "南区": "d3", "北区": "d4"}
UNITS = {"cpu_milli": 1000, "disk_gib": 10, "disk_gib.ssd": 10, "instances": 1, "pods": 1}
"""The names that are scarce, with the step in which they are granted."""
SCARCE = {"cpu_milli": 16, "disk_gib": 40, "disk_gib.ssd": 9, "instances": 9, "pods": 8}
"""What a district has of each, in these steps."""


@dataclasses.dataclass(slots=True)
class Thing:
    """A resource as its customer knows it."""

    id: str
    kind: str
    node: int
    held: Mapping[str, int]
    asked: float  # when the change under way was ordered (at first its create), or last seen not to have ended
    state: str = "ordered"  # ordered, there, changing, leaving, gone; 'asked' while an answer is awaited
    before: Mapping[str, int] = dataclasses.field(default_factory=dict)  # what it held before a resize under way ...
    becomes: Mapping[str, int] = dataclasses.field(default_factory=dict)  # ... and what it will hold after it


class District:
    """One tree of its own: who is there, what was said, what exists."""

    def __init__(self, code: str, start: tuple[View, ...]) -> None:
        self.codes = [code, *(f"{code}-{part}" for part in ("a", "b", "a1", "a2"))]
        self.history = History(list(UNITS), self.codes, start)
        self.tokens: dict[str, str] = {}
        self.things: dict[str, Thing] = {}


HOURLY_YUAN = {0: "3.4", 1: "2.0"}
"""What a district and its first tenant may spend an hour, to the end of the year: less than all their quota would cost."""


class City(World):
    """A city of districts with scarce quota, its people, and a pool with room for everything."""

    def __init__(self, url: str, lab: lab_process.Lab, seed: int, districts: int = 4) -> None:
        self.chance, self.count = random.Random(seed), districts
        self.refusals: collections.Counter[str] = collections.Counter()
        super().__init__(url, lab)

    def _found(self, tx: Transaction, driver_settings: dict[str, Any]) -> None:
        self.installation = installation.create(tx).id
        self.districts: list[District] = []
        city = tree.create(tx, tree.NewTenant(code="nanhai", name="南海区", parent=None))
        plenty = {name: quotas_model.Grant(granted=amount) for name, amount in (GRANT | dict.fromkeys(UNITS, 10**7)).items()}
        self._grant(tx, city, plenty)
        self.operator = self._somebody(tx, city, "ops", tenants_model.Role.OPERATOR)
        for name, code in list(NAMES.items())[: self.count]:
            district = District(code, self._start())
            made: list[tenants_model.Tenant] = []
            for node, tenant_code in enumerate(district.codes):
                parent = city if node == 0 else made[PARENTS[node]]
                made.append(tree.create(tx, tree.NewTenant(code=tenant_code, name=f"{name}{node}科", parent=parent)))
                self._grant(tx, made[-1], plenty | self._wanted(district.history.start, node))
                tree.create_project(tx, made[-1], "service", "业务系统")
                token = self._somebody(tx, made[-1], tenant_code, tenants_model.Role.REQUESTER)
                district.tokens[tenant_code] = token
            district.tokens["approver"] = self._somebody(tx, made[0], f"{code}-app", tenants_model.Role.APPROVER)
            self._ask_for_approval(tx, code)
            for node, hourly in HOURLY_YUAN.items():
                self._give(tx, made[node].id, decimal.Decimal(hourly))
            self.districts.append(district)
        book = books.BookSpec(valid_from="2026-01-01T00:00:00+08:00", currency="CNY", prices=places.PRICES)
        metering.set_price_book(tx, "2026", book)
        add_pool(tx, driver_settings)

    def _start(self) -> tuple[View, ...]:
        """Random grants of a district that are sound; it keeps everything for itself."""
        views = []
        for name, unit in UNITS.items():
            nothing = View(PARENTS, (Grant(),) * len(PARENTS), (0,) * len(PARENTS))
            view = nothing.granting(0, Grant(SCARCE[name] * unit, lend=0))
            for node in range(1, len(PARENTS)):
                drawn = (view.granting(node, self.grant(name, view.grants[PARENTS[node]].granted)) for _ in range(1000))
                view = next(one for one in drawn if one.sound_after(view))
            views.append(view)
        return tuple(views)

    def grant(self, name: str, at_most: int) -> Grant:
        """A random grant that is mostly worth something."""
        unit, chance = UNITS[name], self.chance
        return Grant(
            granted=chance.randint(at_most // 3, at_most) // unit * unit,
            lend=chance.choice([None, None, chance.randint(0, 4) * unit]),
            borrow=chance.choice([0, chance.randint(1, 4) * unit]),
        )

    def _wanted(self, start: tuple[View, ...], node: int) -> dict[str, quotas_model.Grant]:
        grants_here = {name: view.grants[node] for name, view in zip(UNITS, start, strict=True)}
        return {
            name: quotas_model.Grant(granted=one.granted, lending_limit=one.lend, borrowing_limit=one.borrow)
            for name, one in grants_here.items()
        }

    def _grant(self, tx: Transaction, tenant: tenants_model.Tenant, wanted: Mapping[str, quotas_model.Grant]) -> None:
        for name, grant in wanted.items():
            grants.set_grant(tx, tenant_id=tenant.id, name=name, grant=grant)

    def _somebody(self, tx: Transaction, tenant: tenants_model.Tenant, account: str, role: tenants_model.Role) -> str:
        made = people.create_account(tx, f"{account}.{role}", people.create_person(tx, "经办人"), tenant)
        people.grant(tx, None, made, role, tenant)
        return signin.issue(tx, made)

    def _give(self, tx: Transaction, tenant_id: str, hourly_yuan: decimal.Decimal) -> None:
        """A hard budget of this year."""
        enough = decimal.Decimal(hours_left(tx.now())) * hourly_yuan
        budget = budgets.Budget(appropriated_micro=int(enough * 1_000_000) or 1, hard=True)
        appropriations.set_budget(tx, tenant_id=tenant_id, year=(tx.now() + SHANGHAI).year, budget=budget)

    def _ask_for_approval(self, tx: Transaction, code: str) -> None:
        spec = approval_rule.ApprovalRuleSpec(actions=["create"], kinds=["ContainerApp"])
        orders.put_rule(tx, approval_rule._rule(tx, code, f"{code}-apps", spec, None))


def hours_left(now: datetime.datetime) -> decimal.Decimal:
    """To the end of the fiscal year, which is the calendar year in Shanghai."""
    there = now + SHANGHAI
    new_year = there.replace(year=there.year + 1, month=1, day=1, hour=0, minute=0, second=0, microsecond=0)
    return decimal.Decimal(int((new_year - there).total_seconds())) / 3600
