"""The whole server, on PostgreSQL two of them, is killed with SIGKILL at random moments while departments order and delete through HTTP.

The lab cloud loses 10 % of its answers and lands 10 % of its creates 1 to 20 s late.  Every request is repeated with its key until it is
answered.  Afterwards the checker, which shares no code with the product, must find nothing.  `make soak` sends GOVPOOL_SOAK (10) times as many.
"""

import concurrent.futures
import contextlib
import os
import pathlib
import random
import threading
import time
import uuid
from collections.abc import Iterator
from typing import Any

import pytest

from apiclient import client as api
from apiclient import failure
from control import schema
from metering import books
from metering import service as metering
from quotas import grants
from quotas import model as quotas_model
from store import installation
from store.transaction import Transaction
from tenants import model as tenants_model
from tenants import people, signin, tree
from tests.integration import checker, places, processes
from tests.integration.reconciler_world import GRANT, World, add_pool, lab_cloud, wait

REQUESTS = 300
SOAK = int(os.environ.get("GOVPOOL_SOAK", "10"))
CALLERS = 6
DEPARTMENTS = {"tax": "税务局", "credit": "征信中心", "city-mgmt": "城市管理局"}


class County(World):
    """Three departments with a requester each; the last one has little quota."""

    def _found(self, tx: Transaction, driver_settings: dict[str, Any]) -> None:
        self.installation = installation.create(tx).id
        self.tokens: dict[str, str] = {}
        county = tree.create(tx, tree.NewTenant(code="nanhai", name="南海区", parent=None))
        for name, amount in GRANT.items():
            grants.set_grant(tx, tenant_id=county.id, name=name, grant=quotas_model.Grant(granted=amount))
        for code, name in DEPARTMENTS.items():
            bureau = tree.create(tx, tree.NewTenant(code=code, name=name, parent=county))
            tree.create_project(tx, bureau, "service", "业务系统")
            for counted, amount in GRANT.items():
                few = {"instances": 12}.get(counted, amount) if code == "city-mgmt" else amount
                grants.set_grant(tx, tenant_id=bureau.id, name=counted, grant=quotas_model.Grant(granted=few))
            account = people.create_account(tx, f"{code}.req", people.create_person(tx, "申请人"), bureau)
            people.grant(tx, None, account, tenants_model.Role.REQUESTER, bureau)
            self.tokens[code] = signin.issue(tx, account)
        book = books.BookSpec(valid_from="2026-01-01T00:00:00+08:00", currency="CNY", prices=places.PRICES)
        metering.set_price_book(tx, "2026", book)
        add_pool(tx, driver_settings)


class Callers:
    """People who order, change and delete, each request repeated until it is answered."""

    def __init__(self, urls: list[str], tokens: dict[str, str], seed: int) -> None:
        self.urls, self.tokens, self.seed = urls, tokens, seed
        self.made: list[tuple[str, str, str]] = []  # department, kind, id of what was ordered
        self.accepted: dict[str, str] = {}  # order id by key
        self.refused: list[str] = []
        self.guard = threading.Lock()

    def run(self, number: int) -> None:
        """The request of a number."""
        chance = random.Random(f"{self.seed}/{number}")
        time.sleep(chance.uniform(0, 0.5))
        line, department = self._line(chance, number)
        body = {"tenant": department, "project": "service", "lines": [line]}
        key = f"crash-{self.seed}-{number}"
        try:
            order = self._answered(department, body, key)
        except failure.ProblemError as refusal:
            if refusal.status not in (404, 409):
                raise
            with self.guard:
                self.refused.append(refusal.code)
            return
        with self.guard:
            assert self.accepted.setdefault(key, order["metadata"]["id"]) == order["metadata"]["id"]
            if line["action"] == "create":
                self.made += [(department, line["kind"], each["resource"]) for each in order["spec"]["lines"]]

    def _line(self, chance: random.Random, number: int) -> tuple[dict[str, Any], str]:
        with self.guard:
            known = list(self.made)
        if known and chance.random() < 0.45:
            department, kind, resource_id = chance.choice(known)
            action = chance.choice(["delete", "delete", "delete", "stop", "start", "restart", "resize"])
            if action == "resize" or kind != "VirtualMachine":
                action = "resize" if kind == "VirtualMachine" else "delete"
            spec: dict[str, Any] = (
                {"size": "small"} if action == "resize" else {"purge": chance.random() < 0.6} if action == "delete" else {}
            )
            return {"action": action, "kind": kind, "resource": resource_id, "spec": spec}, department
        department = chance.choice(list(DEPARTMENTS))
        kind = chance.choice(["VirtualMachine", "VirtualMachine", "ContainerApp", "Volume"])
        name = f"系统-{number}"
        spec = {
            "VirtualMachine": {"name": name, "size": "tiny", "image": "debian-12", "count": chance.choice([1, 1, 2])},
            "ContainerApp": {"name": name, "size": "tiny", "image": APP_IMAGE, "replicas": 2},
            "Volume": {"name": name, "size_gib": 20},
        }[kind]
        return {"action": "create", "kind": kind, "spec": spec}, department

    def _answered(self, department: str, body: dict[str, Any], key: str) -> Any:
        end = time.monotonic() + 120
        while True:
            client = api.Client(random.choice(self.urls), self.tokens[department], timeout_s=20)
            with contextlib.suppress(failure.ConnectionFailedError, OSError), contextlib.closing(client):
                try:
                    return client.post("/v1/orders", body, key=key)
                except failure.ProblemError as refusal:
                    if refusal.status != 503:
                        raise
            assert time.monotonic() < end, "the server never answered"
            time.sleep(0.05)


APP_IMAGE = "nginx-1.26"


@pytest.fixture(params=["sqlite", "postgresql"])
def county(request: pytest.FixtureRequest, tmp_path: pathlib.Path) -> Iterator[County]:
    """The departments on an empty database of each kind, over a lab cloud that makes trouble."""
    with lab_cloud(tmp_path) as lab, places.empty_database(request, tmp_path) as url:
        schema.upgrade(url)
        made = County(url, lab)
        lab.script(*places.TROUBLE, seed=int(uuid.uuid4()) % 10**6, build_s=[0, 0.5], action_s=[0, 0.3])
        yield made
        made.close()


def test_killed_at_random_moments_nothing_is_lost_doubled_or_left(county: County) -> None:
    _killed_at_random(county, REQUESTS)


@pytest.mark.soak
def test_the_same_for_a_long_time(county: County) -> None:
    _killed_at_random(county, SOAK * REQUESTS)


def _killed_at_random(county: County, requests: int) -> None:
    seed = random.randrange(10**6)
    print(f"seed {seed}")
    ports = [places.free_port() for _ in range(2 if county.url.startswith("postgresql") else 1)]
    callers = Callers([f"http://127.0.0.1:{port}" for port in ports], county.tokens, seed)
    county.share()
    calm = threading.Event()
    kills: list[int] = []

    def killing(port: int) -> None:
        chance = random.Random(f"{seed}/{port}")
        while not calm.is_set():
            running = processes.server(county.url, port)
            calm.wait(chance.uniform(0.5, 1.8))  # half a second is about what a server needs to start
            running.kill()
            kills.append(port)

    killers = [threading.Thread(target=killing, args=(port,)) for port in ports]
    for killer in killers:
        killer.start()
    try:
        with concurrent.futures.ThreadPoolExecutor(CALLERS) as pool:
            list(pool.map(callers.run, range(requests)))
        time.sleep(6)  # and some more kills while the last ones are on their way
    finally:
        calm.set()
        for killer in killers:
            killer.join()
    print(f"{len(kills)} kills, {len(callers.accepted)} accepted, {len(callers.refused)} refused")
    surviving = processes.server(county.url, ports[0])
    wait(lambda: county.at_rest() and not county.lab.pending(), 180)
    surviving.kill()
    _calm_down(county)
    assert checker.check(county.url, county.lab.file) == []
    picture = checker.Picture(county.url, county.lab.file)
    assert set(picture.orders) == set(callers.accepted.values()), "an acknowledged order is gone, or one was made twice"
    assert len(kills) >= 8
    assert len(callers.accepted) >= requests // 2


def _calm_down(county: County) -> None:
    """The cloud behaves; a whole sweep, begun after the last late create, and what it asks for."""
    county.lab.script()
    county.close()
    county.open(owner=True)
    county.sweep()
    county.work(lambda: county.at_rest(), 60)
    county.sweep()
