"""Orders that make no sense, over the API and at the command line: the error names the rule and the numbers, and nothing is changed."""

import dataclasses
import pathlib
from collections.abc import Iterator
from typing import Any

import pytest

from apiclient import client as api
from control import settings
from control.reconciler import engine, sweep
from control.wiring import Wiring
from metering import books
from metering import service as metering
from quotas import grants
from quotas import model as quotas_model
from store import columns, transaction
from store import database as store_database
from store.transaction import Transaction
from tenants import service as tenants
from tests.integration import tenants_server
from tests.integration.process import Command
from tests.integration.reconciler_world import GRANT, add_pool, lab_cloud, wait
from tests.integration.tenants_server import City, Refused

KINDS = ("VirtualMachine", "Volume", "ContainerApp")
UNITS = {"cpu_milli": "vCPU-Hours", "ram_mib": "GiB-Hours", "disk_gib": "GiB-Hours"}
ONE_PERSON = transaction.sql(
    "UPDATE accounts SET person_id = (SELECT person_id FROM accounts WHERE code = 'li') WHERE code = 'li2'"
)
SPOKEN_OF = ("answers", "audit_trail", "stranger_requests", "tokens", "workers", "sweeps", "login_codes")
"""Tables that a refusal may write: that it was refused, and that somebody was there."""


class Desk:
    """A served city: 李娜 orders (with a second account that may approve), 王芳 approves; a machine, an app, an order that waits."""

    def __init__(self, city: City, lab_url: str, folder: pathlib.Path) -> None:
        self.city, self.folder = city, folder
        self.wiring = Wiring(city.database, settings.Settings())
        city.department("tax", "税务局")
        self.li = city.person("tax", "li", "李娜", "requester")
        self.li_again = city.person("tax", "li2", "李娜")
        city.database.lane.run(lambda tx: tx.changed(ONE_PERSON))
        city.security.post("/v1/bindings", {"account": "li2", "role": "approver", "tenant": "tax"})
        self.wang = city.person("tax", "wang", "王芳", "approver")
        self.operator = city.person("nanhai", "ops", "运维", "operator")
        city.database.lane.run(lambda tx: self._equip(tx, lab_url))
        self.operator.post("/v1/projects", {"tenant": "tax", "code": "service", "name": "一窗受理"})
        sweep.Sweeper(self.wiring, every_s=0).sweep_all()
        city.security.put("/v1/approval-rules/asked", {"tenant": "tax", "kinds": ["Volume"], "deadline_h": 24})
        machine = {"name": "税务-01", "size": "tiny", "image": "debian-12"}
        self.machine = self.order("create", "VirtualMachine", spec=machine)["resource"]
        self.app = self.order(
            "create", "ContainerApp", spec={"name": "受理", "size": "tiny", "image": "nginx-1.26", "replicas": 4}
        )["resource"]
        self.gone = self.order("create", "VirtualMachine", spec=machine | {"name": "已删"})["resource"]
        self.work()
        self.order("delete", "VirtualMachine", resource=self.gone, spec={"purge": True})
        self.work()
        self.order("create", "Volume", spec={"name": "盘", "size_gib": 20})
        self.waiting = self.last()
        self.order("create", "Volume", spec={"name": "盘-2", "size_gib": 20})
        self.decided = self.last()
        self.wang.post(f"/v1/orders/{self.decided}/refuse", {"reason": "不需要"})

    def line(self, action: str, kind: str, **more: Any) -> dict[str, Any]:
        """The body of an order of one line."""
        return {"tenant": "tax", "project": "service", "lines": [{"action": action, "kind": kind, **more}]}

    def order(self, action: str, kind: str, **more: Any) -> dict[str, Any]:
        """Order one line; the line that it came to."""
        line: dict[str, Any] = self.li.post("/v1/orders", self.line(action, kind, **more))["spec"]["lines"][0]
        return line

    def last(self) -> str:
        """Number of the newest order."""
        return str(self.li.get("/v1/orders", limit=1)["items"][0]["metadata"]["name"])

    def work(self) -> None:
        """Let a reconciler work until nothing is under way."""
        reconciler = engine.Reconciler(self.wiring, threads=2, lease_s=5)
        reconciler.start()
        try:
            busy = ("creating", "changing", "releasing")
            wait(lambda: all(row["status"]["state"] not in busy for row in self.operator.pages("/v1/resources")))
        finally:
            reconciler.stop()

    def typed(self, who: str, *words: str) -> tuple[int, str]:
        """A command of somebody; exit code and what it says."""
        client: api.Client = getattr(self, who)
        command = Command(self.folder, self.city.url)
        done = command.run(*words, GOVPOOL_TOKEN=client.token)
        return done.returncode, done.stderr

    def everything(self) -> dict[str, list[dict[str, Any]]]:
        """All that orders could change, row by row."""

        def read(tx: Transaction) -> dict[str, list[dict[str, Any]]]:
            tables = [table for table in columns.METADATA.sorted_tables if table.name not in SPOKEN_OF]
            return {table.name: sorted(tx.execute(table.select()), key=str) for table in tables}

        found: dict[str, list[dict[str, Any]]] = self.city.database.read(read)
        return found

    def _equip(self, tx: Transaction, lab_url: str) -> None:
        for name, amount in GRANT.items():
            for code in ("nanhai", "tax"):
                tenant = tenants.by_code(tx, code)
                grants.set_grant(tx, tenant_id=tenant.id, name=name, grant=quotas_model.Grant(granted=amount))
        prices = [
            books.PriceSpec(sku=f"{kind}-{name}".lower().replace("_", "-"), kind=kind, name=name, unit=unit, price="0.1")
            for kind in KINDS
            for name, unit in UNITS.items()
        ]
        metering.set_price_book(tx, "2026", books.BookSpec(valid_from="2026-01-01T00:00:00+08:00", currency="CNY", prices=prices))
        add_pool(tx, {"url": lab_url, "poll_s": 0, "call_s": 5, "late_s": 2})


@pytest.fixture
def desk(database: store_database.Database, tmp_path: pathlib.Path) -> Iterator[Desk]:
    """See the class."""
    with lab_cloud(tmp_path) as lab, tenants_server.serving(database) as city:
        yield Desk(city, lab.url, tmp_path)


@dataclasses.dataclass(frozen=True, slots=True)
class Bad:
    """One bad order: as a line, as words of the command line (after the noun), and what both must say."""

    action: str
    spec: dict[str, Any]
    words: str
    code: str
    says: tuple[str, ...]
    exit_code: int
    on: str = ""  # 'machine', 'app', 'gone': the resource it is about
    by_parser: bool = False  # the command line's own parser knows the bound


VM = {"name": "x", "size": "tiny", "image": "debian-12"}
APP = {"name": "x", "size": "tiny", "image": "nginx-1.26"}
MACHINES = "--size tiny --image debian-12"
APPS = "container create x --size tiny --image nginx-1.26"
BAD = [
    Bad("create", VM | {"count": 0}, f"vm create x {MACHINES} --count 0", "input.invalid", ("count", "1"), 2, by_parser=True),
    Bad("create", VM | {"count": -3}, f"vm create x {MACHINES} --count -3", "input.invalid", ("count", "1"), 2, by_parser=True),
    Bad("create", VM | {"count": 10**12}, f"vm create x {MACHINES} --count {10**12}", "input.invalid", ("count", "100"), 2, by_parser=True),
    Bad("create", VM | {"count": 2**70}, f"vm create x {MACHINES} --count {2**70}", "input.invalid", (), 2, by_parser=True),
    Bad("create", VM | {"size": "huge"}, "vm create x --size huge --image debian-12", "size.unknown", ("huge", "tiny"), 2),
    Bad("create", VM | {"image": "win"}, "vm create x --size tiny --image win", "image.unknown", ("win", "debian-12"), 2),
    Bad("create", VM | {"image": "nginx-1.26"}, "vm create x --size tiny --image nginx-1.26", "input.invalid", ("nginx-1.26",), 2),
    Bad("create", VM | {"zone": "az9"}, f"vm create x {MACHINES} --zone az9", "pool.none", ("city", "zone"), 7),
    Bad("create", VM | {"pool": "no"}, f"vm create x {MACHINES} --pool no", "pool.unknown", ("no",), 3),
    Bad("create", APP | {"replicas": 1001}, f"{APPS} --replicas 1001", "input.invalid", ("replicas", "1000"), 2, by_parser=True),
    Bad(
        "create", APP | {"min_replicas": 5, "max_replicas": 3}, f"{APPS} --min-replicas 5 --max-replicas 3", "input.invalid",
        ("min_replicas", "5", "3"), 2,
    ),
    Bad("create", APP | {"min_replicas": 2}, f"{APPS} --min-replicas 2", "input.invalid", ("max_replicas",), 2),
    Bad(
        "create", APP | {"replicas": 3, "max_surge": "4"}, f"{APPS} --replicas 3 --max-surge 4", "input.invalid",
        ("max_surge", "4", "3 replicas"), 2,
    ),
    Bad("resize", {"size": "tiny"}, "vm resize 税务-01 --size tiny", "resource.unchanged", ("税务-01", "resize"), 7, "machine"),
    Bad("scale", {"replicas": 4}, "container scale 受理 --replicas 4", "resource.unchanged", ("受理", "scale"), 7, "app"),
    Bad("scale", {}, "container scale 受理", "resource.unchanged", ("受理",), 7, "app"),
    Bad("update", {"image": "nginx-1.26"}, "container update 受理 --image nginx-1.26", "resource.unchanged", ("受理",), 7, "app"),
    Bad("update", {}, "container update 受理", "input.invalid", ("image", "restart"), 2, "app"),
    Bad(
        "update", {"image": "python-3.12", "max_surge": "5"}, "container update 受理 --image python-3.12 --max-surge 5",
        "input.invalid", ("max_surge", "5", "4 replicas"), 2, "app",
    ),
    Bad(
        "restart", {"max_surge": "101%"}, "container restart 受理 --max-surge 101%", "input.invalid", ("max_surge", "101%"), 2, "app",
    ),
    Bad("restart", {"max_surge": "-1"}, "container restart 受理 --max-surge=-1", "input.invalid", ("max_surge", "-1"), 2, "app"),
    Bad(
        "restart", {"max_surge": "0", "max_unavailable": "0"}, "container restart 受理 --max-surge 0 --max-unavailable 0",
        "input.invalid", ("max_unavailable", "cannot both be 0"), 2, "app",
    ),
    Bad("update", {"image": "debian-12"}, "container update 受理 --image debian-12", "input.invalid", ("debian-12",), 2, "app"),
    Bad("stop", {}, "vm stop GONE", "resource.state", ("gone",), 7, "gone"),
    Bad("resize", {"size": "small"}, "vm resize GONE --size small", "resource.state", ("gone",), 7, "gone"),
    Bad("undelete", {}, "vm undelete GONE", "resource.state", ("gone", "bin"), 7, "gone"),
    Bad("update", {"image": "x"}, "", "resource.action_unknown", ("update", "resize"), 2, "machine"),
]  # fmt: skip


def test_a_bad_order_says_the_rule_and_the_numbers_and_changes_nothing(desk: Desk) -> None:
    before = desk.everything()
    for bad in BAD:
        app = bad.on == "app" or "container" in bad.words
        body = desk.line(bad.action, "ContainerApp" if app else "VirtualMachine", spec=bad.spec)
        if bad.on:
            body["lines"][0]["resource"] = getattr(desk, bad.on)
        with pytest.raises(Refused) as caught:
            desk.city.client(desk.li.token, "en").post("/v1/orders", body)
        said = f"{caught.value.detail} {caught.value.findings}"
        assert caught.value.code == bad.code, (bad, said)
        assert all(word in said for word in bad.says), (bad, said)
        assert desk.everything() == before, bad
        if bad.words:
            words = bad.words.replace("GONE", desk.gone).split()
            exit_code, text = desk.typed("li", *words, "--tenant", "tax", "--project", "service")
            assert exit_code == bad.exit_code, (bad, text)
            assert bad.by_parser or (bad.code in text and all(word in text for word in bad.says)), (bad, text)
            assert text.count("\n") >= 4 and "Traceback" not in text
            assert desk.everything() == before, bad


def test_a_decision_by_the_requester_or_on_a_decided_order_changes_nothing(desk: Desk) -> None:
    before = desk.everything()
    for client, number, code, exit_code, who in (
        (desk.li_again, desk.waiting, "order.own", 5, "li_again"),
        (desk.wang, desk.decided, "order.decided", 7, "wang"),
        (desk.wang, "999", "order.unknown", 3, "wang"),
    ):
        for verb in ("approve", "refuse"):
            with pytest.raises(Refused) as caught:
                client.post(f"/v1/orders/{number}/{verb}", {"reason": "同意"})
            assert caught.value.code == code
            assert number in caught.value.detail
            status, text = desk.typed(who, "order", verb, number, "--reason", "同意")
            assert (status, code in text) == (exit_code, True), text
            assert desk.everything() == before
    assert desk.wang.post(f"/v1/orders/{desk.waiting}/approve", {})["status"]["state"] == "delivering"


def test_two_bodies_under_one_key_are_a_conflict_and_the_first_stands(desk: Desk) -> None:
    first = desk.line("create", "VirtualMachine", spec=VM | {"name": "一"})
    answer = desk.li.post("/v1/orders", first, key="one-key")
    before = desk.everything()
    with pytest.raises(Refused) as caught:
        desk.li.post("/v1/orders", desk.line("create", "VirtualMachine", spec=VM | {"name": "二"}), key="one-key")
    assert (caught.value.status, caught.value.code) == (409, "idempotency.conflict")
    assert desk.li.post("/v1/orders", first, key="one-key") == answer
    assert desk.everything() == before
