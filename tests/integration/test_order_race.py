"""The last units over HTTP: 32 people order at once, exactly as many as there is room for are served, nobody is refused too early.

One server process on SQLite, two on PostgreSQL; whole orders with quota, room, price, audit and idempotency.
"""

import concurrent.futures
import contextlib
import pathlib
from collections.abc import Iterator

import pytest

from apiclient import client as api
from apiclient import failure
from quotas import service as quotas
from store import database as store_database
from tests.integration import places, process
from tests.integration.lab_process import Lab

ROOM = 100
THREADS = 32
ORDERED_EACH = 6
SMALL = {"cpu_milli": 2000, "ram_mib": 4096, "disk_gib": 50, "instances": 1}
PRICES = [
    {"sku": f"vm-{name}", "kind": "VirtualMachine", "name": name, "unit": unit, "price": "0.10"}
    for name, unit in (("cpu_milli", "vCPU-Hours"), ("ram_mib", "GiB-Hours"), ("disk_gib", "GiB-Hours"))
]


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: pathlib.Path) -> Iterator[str]:
    """An empty database, once on each kind."""
    with places.empty_database(request, tmp_path) as made:
        yield made


@pytest.fixture
def lab(tmp_path: pathlib.Path) -> Iterator[Lab]:
    """A lab cloud in a process of its own, with room for far more than the quota."""
    running = Lab(tmp_path / "lab.db")
    yield running
    running.stop()


def furnished(server: str, codes: dict[str, str], lab_url: str) -> str:
    """A tax bureau with room for exactly 100 small machines; the token of its requester."""

    def client(token: str = "") -> api.Client:
        return stack.enter_context(contextlib.closing(api.Client(server, token)))

    def login(code: str) -> api.Client:
        return client(str(client().post("/v1/login", {"code": code})["token"]))

    def person(account: str, tenant: str, *roles: str) -> api.Client:
        made = system.post(f"/v1/tenants/{tenant}/members", {"account": account, "name": f"{tenant} 的经办人"})
        for role in roles:
            security.post("/v1/bindings", {"account": account, "role": role, "tenant": tenant})
        return login(made["code"])

    with contextlib.ExitStack() as stack:
        system, security = login(codes["system_admin"]), login(codes["security_admin"])
        operator = person("chen", "root", "operator", "finance")
        system.post("/v1/tenants", {"code": "tax", "name": "税务局", "parent": "root"})
        for tenant in ("root", "tax"):
            granted = [{"name": name, "granted": amount * ROOM} for name, amount in SMALL.items()]
            operator.patch(f"/v1/grants/{tenant}", {"grants": granted})
        spec = {"name": "市级资源池", "driver": "lab", "driver_settings": {"url": lab_url}}
        operator.post("/v1/pools", {"code": "gov", **spec})
        operator.put("/v1/price-books/2026", {"valid_from": "2026-01-01T00:00:00+08:00", "currency": "CNY", "prices": PRICES})
        requester = person("li", "tax", "requester", "approver")
        requester.post("/v1/projects", {"tenant": "tax", "code": "ledger", "name": "综合治税"})
        return requester.token


def order(server: str, token: str, name: str) -> list[str]:
    """Order machines one after the other; the code of each answer, '' for an accepted one."""
    client, answers = api.Client(server, token), []
    for number in range(ORDERED_EACH):
        spec = {"name": f"{name}-{number}", "size": "small", "image": "debian-12"}
        line = {"action": "create", "kind": "VirtualMachine", "spec": spec}
        try:
            client.post("/v1/orders", {"tenant": "tax", "project": "ledger", "lines": [line]})
            answers.append("")
        except failure.ProblemError as refused:
            answers.append(refused.code)
    client.close()
    return answers


def test_exactly_the_last_hundred_orders_are_accepted(url: str, lab: Lab, tmp_path: pathlib.Path) -> None:
    one_process = url.startswith("sqlite")
    where = ["--data", str(pathlib.Path(url.removeprefix("sqlite://")).parent)] if one_process else ["--database", url]
    codes = process.initialised(tmp_path / "server", *where)
    options = [*where, "--set", "workers=0", "--set", "meters=false"]
    with contextlib.ExitStack() as stack:
        servers = [
            stack.enter_context(process.serving(tmp_path / f"server-{number}", *options)).url
            for number in range(1 if one_process else 2)
        ]
        token = furnished(servers[0], codes, lab.url)
        with concurrent.futures.ThreadPoolExecutor(THREADS) as threads:
            asked = [threads.submit(order, servers[n % len(servers)], token, f"vm-{n}") for n in range(THREADS)]
            answers = [code for each in asked for code in each.result()]
    assert answers.count("") == ROOM
    assert set(answers) == {"", "quota.exceeded"}
    database = store_database.open_database(url)
    assert database.read(quotas.check) == []
    used = {each.drawn for each in database.read(lambda tx: quotas.standings_of(tx, None)) if each.name == "instances"}
    assert used == {ROOM}
    database.close()
