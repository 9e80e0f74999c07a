"""A request is tested only on what it raises, at every level of the path and in the pool, also while something is over.

Random requests against a little model that knows sums and limits alone; it says of each name whether it fits, and the product must say the same.
"""

import collections
import functools
import pathlib
import random
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pytest

from control import plan, reservation
from control.reconciler import ending
from pools import model as pools_model
from pools import service as pools
from primitives import clock, errors
from provisioners import contract
from provisioners import service as provisioners
from quotas import grants, guard, records
from quotas import model as quotas_model
from quotas import service as quotas
from store.transaction import Transaction
from tenants import tree
from tests.integration.office import Office
from tests.integration.reconciler_world import lab_cloud

NAMES = ("cpu_milli", "ram_mib", "disk_gib", "pods", "instances")
ROOM = {"cpu_milli": 60_000, "ram_mib": 150_000, "disk_gib": 2_000}
EACH = {
    "tiny": {"cpu_milli": 1000, "ram_mib": 2048, "disk_gib": 20},
    "small": {"cpu_milli": 2000, "ram_mib": 4096, "disk_gib": 50},
    "medium": {"cpu_milli": 4000, "ram_mib": 8192, "disk_gib": 100},
    "large": {"cpu_milli": 8000, "ram_mib": 32768, "disk_gib": 200},
    "memory": {"cpu_milli": 8000, "ram_mib": 65536, "disk_gib": 200},
}
"""The menu, written down once more: the model takes nothing from the product."""
STEPS = 250


class Model:
    """What everybody holds, what each level allows, what the pool has."""

    def __init__(self) -> None:
        self.limits: dict[tuple[str, str], int] = {}
        self.held: dict[str, dict[str, int]] = {}  # by resource of the bureau
        self.beside: collections.Counter[str] = collections.Counter()  # what another bureau of the city holds

    def used(self, node: str, name: str) -> int:
        """By the bureau, or by the city in all."""
        own = sum(amounts.get(name, 0) for amounts in self.held.values())
        return own + (self.beside[name] if node == "city" else 0)

    def lacking(self, raised: Mapping[str, int]) -> set[tuple[str, str]]:
        """(level, name) at which a request does not fit that raises so much."""
        return {
            (node, name)
            for node in ("bureau", "city")
            for name, more in raised.items()
            if more > 0 and self.used(node, name) + more > self.limits[node, name]
        }

    def no_room(self, raised: Mapping[str, int]) -> set[str]:
        """Names of which the pool has too little."""
        return {n for n, more in raised.items() if n in ROOM and more > 0 and self.used("bureau", n) + more > ROOM[n]}


class Story:
    """One random course of requests."""

    def __init__(self, office: Office, seed: int) -> None:
        self.office, self.random, self.model = office, random.Random(seed), Model()
        self.number = 0
        self.passed_over = self.refused_some = self.mixed = 0
        self.kinds: dict[str, str] = {}
        self.sibling, self.city = office.lane(self._founded)
        for node in ("bureau", "city"):
            for name in NAMES:
                self._grant(node, name, ROOM.get(name, 40))

    def _founded(self, tx: Transaction) -> tuple[str, str]:
        from tenants import service as tenants

        city = tenants.root(tx)
        other = tree.create(tx, tree.NewTenant(code="edu", name="教育局", parent=city))
        for name, amount in (("cpu_milli", 40_000), ("pods", 40)):
            grants.set_grant(tx, tenant_id=other.id, name=name, grant=quotas_model.Grant(granted=amount))
        (pool,) = pools.pools(tx)
        host = pools_model.Host(
            pool_id=pool.id, name="h", zone="az1", service_class="general", hall="", enabled=True, physical=ROOM, usable=ROOM, used={}
        )  # fmt: skip
        pools.record_capacity(tx, pool_id=pool.id, hosts=[host])
        return other.id, city.id

    def step(self) -> None:
        self.random.choices([self.limits, self.neighbour, self.asks_new, self.asks_change, self.deletes], [3, 1, 3, 12, 1])[0]()

    def limits(self) -> None:
        """Somebody moves a limit, now and then below what is used."""
        node, name = self.random.choice(["bureau", "city"]), self.random.choice(NAMES)
        used = self.model.used(node, name)
        less = [-5, -1, 0] if name in ("pods", "instances", "ram_mib") else []
        amount = max(
            0, used + self.random.choice([*less, 5, 20, 40, 40]) * {"pods": 1, "instances": 1, "disk_gib": 50}.get(name, 2048)
        )
        refused = _refusal(lambda: self._grant(node, name, amount))
        assert refused is None or refused.code in ("quota.above_parent", "quota.below_child")

    def neighbour(self) -> None:
        """The other bureau takes something."""
        amounts = {"cpu_milli": 1000, "pods": 1}
        self.number += 1
        holder = f"edu-{self.number}"
        taken = lambda tx: quotas.reserve(tx, tenant_id=self.sibling, amounts=amounts, holder=holder, expires_at=None)  # noqa: E731
        if _refusal(lambda: self.office.lane(taken)) is None:
            self.model.beside.update(amounts)

    def asks_new(self) -> None:
        self.number += 1
        size, count = self.random.choice(list(EACH)), self.random.randint(1, 4)
        kind = self.random.choice([plan.VIRTUAL_MACHINE, plan.CONTAINER_APP, plan.VOLUME])
        wish: dict[str, Any] = {"size_gib": count * 30} if kind == plan.VOLUME else {"size": size, "image": "debian-12"}
        if kind == plan.CONTAINER_APP:
            wish |= {"image": "nginx-1.26", "replicas": count}
        line = reservation.LineWish(action="create", kind=kind, wish=plan.Wish(name=f"件-{self.number}", **wish))
        self._ask(line, "", _amounts(kind, size, count))

    def asks_change(self) -> None:
        if not self.model.held:
            return
        chosen = self.random.choice(list(self.model.held))
        kind, size, count = self.kinds[chosen], self.random.choice(list(EACH)), self.random.randint(1, 4)
        if kind == plan.VOLUME:
            count = max(count, self.model.held[chosen]["disk_gib"] // 30 - 2)
        wish: dict[str, Any] = {"size_gib": count * 30} if kind == plan.VOLUME else {"size": size}
        if kind == plan.CONTAINER_APP:
            wish["replicas"] = count
        action = "scale" if kind == plan.CONTAINER_APP else "resize"
        line = reservation.LineWish(action=action, kind=kind, resource=chosen, wish=plan.Wish(**wish))
        self._ask(line, chosen, _amounts(kind, size, count))

    def deletes(self) -> None:
        if self.model.held:
            chosen = self.random.choice(list(self.model.held))
            self.office.order(reservation.LineWish(action="delete", kind=self.kinds[chosen], resource=chosen, purge=True))
            self.office.lane(lambda tx: ending.gone(tx, provisioners.get(tx, chosen)))
            del self.model.held[chosen]

    def _ask(self, line: reservation.LineWish, resource_id: str, wanted: dict[str, int]) -> None:
        present = self.model.held.get(resource_id, {})
        if wanted == present:
            return
        raised = {name: wanted.get(name, 0) - present.get(name, 0) for name in {*wanted, *present}}
        lacking, roomless = self.model.lacking(raised), self.model.no_room(raised)
        over = any(self.model.used(*key) > limit for key, limit in self.model.limits.items())
        before = self._numbers()
        refused = _refusal(lambda: self.office.order(line))
        if refused is None:
            assert not lacking and not roomless
            self.passed_over += over
            self.mixed += any(more > 0 for more in raised.values()) and any(more < 0 for more in raised.values())
            self._delivered(line, resource_id, wanted)
            return
        self.refused_some += 1
        if isinstance(refused, guard.Exceeded):
            nodes = {self.city: "city", self.office.tenant_id: "bureau"}
            assert {(nodes[each.tenant_id], each.name) for each in refused.found} == lacking
            assert all(raised[name] > 0 for _, name in lacking)
        else:
            assert refused.code == "pool.full" and roomless and not lacking, refused
        assert self._numbers() == before, "a refusal leaves everything as it was"

    def _delivered(self, line: reservation.LineWish, resource_id: str, wanted: dict[str, int]) -> None:
        """The cloud does what is asked; until then the greater of both was held."""
        rows = {row.id: row for row in self.office.rows() if not row.ended}
        (done,) = [rows[resource_id]] if resource_id else [row for row in rows.values() if row.id not in self.model.held]
        present = self.model.held.get(done.id, {})
        greater = {name: max(wanted.get(name, 0), present.get(name, 0)) for name in {*wanted, *present}}
        held = self.office.read(lambda tx: quotas.find(tx, holder=done.id)).amounts
        assert held == {name: amount for name, amount in greater.items() if amount}
        self.office.lane(functools.partial(_done, resource_id=done.id))
        self.model.held[done.id], self.kinds[done.id] = wanted, line.kind

    def _grant(self, node: str, name: str, amount: int) -> None:
        tenant_id = self.city if node == "city" else self.office.tenant_id
        self.office.lane(
            lambda tx: grants.set_grant(
                tx, tenant_id=tenant_id, name=name, grant=quotas_model.Grant(granted=amount), allow_over=True
            )
        )
        self.model.limits[node, name] = amount

    def _numbers(self) -> Any:
        return self.office.read(lambda tx: (records.by_key(tx, None), records.held(tx), pools.rooms(tx)))

    def check(self) -> None:
        assert self.office.read(quotas.check) == [] == self.office.read(pools.check)
        for name in NAMES:
            assert self.office.drawn(name) == self.model.used("bureau", name)


def _played(story: Story, steps: int) -> None:
    for _ in range(steps):
        story.step()
        story.check()


def _refusal(call: Callable[[], object]) -> errors.GovpoolError | None:
    try:
        call()
    except errors.GovpoolError as refused:
        return refused
    return None


def _amounts(kind: str, size: str, count: int) -> dict[str, int]:
    if kind == plan.VOLUME:
        return {"disk_gib": count * 30}
    if kind == plan.VIRTUAL_MACHINE:
        return {**EACH[size], "instances": 1}
    return {name: amount * count for name, amount in EACH[size].items()} | {"pods": count}


def _done(tx: Transaction, resource_id: str) -> None:
    row = provisioners.get(tx, resource_id)
    facts = contract.Facts(state=row.power, cloud_id=f"guest-{row.id}", created_at=clock.text(tx.now()), amounts=dict(row.amounts))
    ending.delivered(tx, provisioners.store_facts(tx, row, facts))


@pytest.fixture
def office(database_url: str, tmp_path: pathlib.Path) -> Iterator[Office]:
    """A bureau under a city; its cloud does whatever it is asked."""
    with lab_cloud(tmp_path) as lab:
        made = Office(database_url, lab)
        yield made
        made.close()


@pytest.mark.parametrize("seed", [0, 1, 3])
def test_every_request_is_tested_exactly_on_what_it_raises(office: Office, seed: int) -> None:
    story = Story(office, seed)
    _played(story, STEPS)
    assert story.passed_over and story.refused_some and story.mixed, "the story has shown what it is for"


def test_a_check_of_every_name_asked_is_seen_by_the_model(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    """The mutant: over on one name, a change of another is refused (manageiq-automation_engine#150)."""
    drawn = guard.draw

    def all_names(tx: Transaction, path: list[str], amounts: Mapping[str, int]) -> None:
        drawn(tx, path, {**dict.fromkeys(NAMES, 0), **amounts})

    monkeypatch.setattr(guard, "draw", all_names)
    with pytest.raises(AssertionError):
        _played(Story(office, 0), STEPS * 3)
