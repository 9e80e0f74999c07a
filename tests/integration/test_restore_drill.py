"""The drill: a department works on after the backup; the restore deletes nothing of it, bills nothing of it, and takes it over when two accept."""

import json
import pathlib
import signal
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from apiclient import client as api
from apiclient import failure
from tests.integration import checker, lab_process, places
from tests.integration.process import Command, serving
from tests.integration.reconciler_world import lab_cloud, wait
from tests.integration.recovery_world import recorded, tick
from tests.integration.tenants_server import City, refused
from tests.integration.town import GRANT, POOL, PRICES, WORKING, Town


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: pathlib.Path) -> Iterator[str]:
    """An empty database, once on each kind."""
    with places.empty_database(request, tmp_path) as made:
        yield made


class Drill(Town):
    """A town with a pool over a real lab cloud, a tax office that orders, and a finance officer."""

    def __init__(self, url: str, folder: pathlib.Path, lab: lab_process.Lab) -> None:
        super().__init__(url, folder)
        self.lab = lab
        self.restored_at = ""

    def found(self, city: City) -> None:
        """Department, people, pool, grants, prices."""
        city.department("tax", "税务局")
        city.system.post("/v1/projects", {"tenant": "tax", "code": "window", "name": "一窗受理平台"})
        self.li = city.person("tax", "li.na", "李娜", "requester")
        operator = city.person("nanhai", "zhou", "周运维", "operator")
        self.qian = city.person("nanhai", "qian", "钱会计", "finance")
        grants = "".join(
            GRANT % (name, tenant, amount)
            for tenant in ("nanhai", "tax")
            for name, amount in {"cpu_milli": 100_000, "ram_mib": 400_000, "disk_gib": 9_000, "instances": 50}.items()
        )
        operator.post("/v1/apply", raw=(POOL % self.lab.url + grants).encode(), media="application/yaml")
        self.qian.post("/v1/apply", raw=PRICES.encode(), media="application/yaml")
        wait(lambda: bool(city.system.get("/v1/status")["sweeps"]))  # its hosts are known

    def signs_in_again(self, city: City) -> None:
        """After a restore only the administrators can: they enrol the others anew."""
        self.qian = city.login(city.system.post("/v1/accounts/qian/enrol")["code"])
        self.li = city.login(city.system.post("/v1/accounts/li.na/enrol")["code"])

    def order(self, action: str, name: str, kind: str = "VirtualMachine", **spec: Any) -> str:
        """Order something and wait until it is delivered; the resource's id."""
        line = {"action": action, "kind": kind, "spec": spec | ({"name": name} if action == "create" else {})}
        if action != "create":
            line["resource"] = name
        number = self.li.post("/v1/orders", {"tenant": "tax", "project": "window", "lines": [line]})["metadata"]["name"]
        order: dict[str, Any] = {}

        def delivered() -> bool:
            nonlocal order
            order = self.li.get(f"/v1/orders/{number}")
            return str(order["status"]["state"]) not in ("delivering", "waiting_for_approval")

        wait(delivered)
        assert order["status"]["state"] == "delivered", order
        return str(order["spec"]["lines"][0]["resource"])

    def billed(self) -> set[str]:
        """Resources on the draft of the month."""
        month = time.strftime("%Y-%m", time.gmtime(time.time() + 8 * 3600))
        return {line["resource"] for line in self.qian.get(f"/v1/statements/tax/{month}")["lines"]}

    def intervals(self, resource_id: str) -> list[tuple[str, int, int, int]]:
        """State, cpu_milli, start and end in seconds; end 0 for what lasts."""
        from primitives import clock

        def seconds(text: str) -> int:
            return int(clock.parse(text).timestamp())

        found = self.qian.get("/v1/usage-intervals", resource=resource_id)
        rows = found["items"] if isinstance(found, dict) else found
        return [
            (
                row["state"],
                row["amounts"].get("cpu_milli", 0),
                seconds(row["start_at"]),
                0 if row["lasts"] else seconds(row["end_at"]),
            )
            for row in rows
        ]

    def swept_twice(self, city: City) -> Callable[[], bool]:
        """Whether two sweeps of this server have ended."""
        seen: set[str] = set()

        def look() -> bool:
            for sweep in city.system.get("/v1/status")["sweeps"]:
                if sweep["ended_at"] and not sweep["error"] and sweep["started_at"] > self.restored_at:
                    seen.add(sweep["started_at"])
            return len(seen) >= 2

        return look


def test_the_drill(url: str, tmp_path: pathlib.Path) -> None:
    """After the restore of an older backup nothing that a department got in between is deleted; it is listed for a person, disputed and on no
    statement until two administrators accept; its intervals then equal the lab cloud's own record.
    """
    with lab_cloud(tmp_path) as lab:
        drill = Drill(url, tmp_path, lab)
        with drill.served(*WORKING) as city:
            drill.found(city)
            sizes = {"size": "small", "image": "debian-12"}
            kept, grown, halted, given_back = (drill.order("create", name, **sizes) for name in ("keep", "grow", "halt", "drop"))
            path = drill.backups / city.system.post("/v1/backups")["file"]
            tick()  # two hours of a department's work, in seconds
            new = drill.order("create", "new", **sizes)
            disk = drill.order("create", "disk", "Volume", size_gib=100)
            passed = drill.order("create", "passed", **sizes)
            drill.order("resize", "grow", size="medium")
            drill.order("stop", "halt")
            drill.order("delete", "drop", purge=True)
            tick()
            drill.order("delete", "passed", purge=True)
            drill.order("stop", "new")
            second = drill.order("create", "drop", **sizes)
            tick()
            before = drill.billed()
            assert {kept, grown, halted, given_back, new, disk, passed} <= before
            token = city.system.token
            assert drill.server.stop() == 0
        guests, record = lab.guests(), lab.record()

        drill.restore(path, "--replace")
        drill.restored_at = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime())
        with drill.served(*WORKING) as city:
            assert refused(city.client(token).get, "/v1/whoami") == (401, "token.revoked")
            drill.signs_in_again(city)
            assert drill.billed() <= {kept}, "also before the first sweep"
            wait(drill.swept_twice(city))
            assert lab.guests() == guests and lab.record() == record, "nothing was deleted, changed or made"
            assert drill.billed() == {kept}
            auditor = Command(tmp_path / "audit", city.url)
            auditor.environment["GOVPOOL_TOKEN"] = city.audit.token
            happened = {
                one["resource"]: one["happened"] for one in json.loads(auditor.ok("restore", "show", "-o", "json"))["findings"]
            }
            listed = auditor.ok("restore", "show")
            assert all(words in listed for words in ("tax", "window", "created@", "passed", "its use is recorded"))
            assert happened == {
                new: "made", disk: "made", second: "made", passed: "passed", grown: "changed", halted: "changed", given_back: "ended",
            }  # fmt: skip
            assert refused(drill.qian.get, "/v1/restore") == (403, "role.forbidden")

            assert not city.system.post("/v1/restore/acceptances")["accepted"]
            assert refused(city.system.post, "/v1/restore/acceptances") == (409, "restore.accepted_already")
            assert refused(drill.qian.post, "/v1/restore/acceptances") == (403, "role.forbidden")
            wait(drill.swept_twice(city))
            assert lab.guests() == guests and drill.billed() == {kept}, "one alone is not enough"
            answer = json.loads(auditor.ok("restore", "accept", "--yes", "-o", "json"))
            assert answer["accepted"] and {one["resource"] for one in answer["findings"]} == set(happened)

            assert drill.billed() == before | {second}
            for resource_id in (kept, grown, halted, given_back, new, disk, passed, second):
                assert drill.intervals(resource_id) == recorded(lab.file, resource_id), resource_id
            drill.order("start", "new")
            drill.order("delete", "grow", purge=True)
            assert lab.guests(grown) == [], "orders go on as ever"
            wait(lambda: checker.check(url, lab.file) == [])


def test_a_server_killed_while_it_takes_over_goes_on_when_somebody_accepts_once_more(
    request: pytest.FixtureRequest, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with places.empty_database(request, tmp_path, "sqlite") as url, lab_cloud(tmp_path) as lab:
        drill = Drill(url, tmp_path, lab)
        with drill.served(*WORKING) as city:
            drill.found(city)
            path = drill.backups / city.system.post("/v1/backups")["file"]
            made = [drill.order("create", name, size="small", image="debian-12") for name in ("one", "two")]
            tick()
            drill.order("stop", "two")
            assert drill.server.stop() == 0
        guests = lab.guests()
        drill.restore(path, "--replace")
        monkeypatch.setenv("GOVPOOL_KILLPOINT", "events.after:1")
        with drill.served(*WORKING) as city:
            city.system.post("/v1/restore/acceptances")
            with pytest.raises(failure.ConnectionFailedError):
                city.audit.post("/v1/restore/acceptances")
            assert drill.server.process.wait(60) == -signal.SIGKILL
            tokens = city.security.token, city.audit.token
        monkeypatch.delenv("GOVPOOL_KILLPOINT")
        with serving(tmp_path, "--database", url, *WORKING) as server:
            security, audit = (api.Client(server.url, token) for token in tokens)
            assert not security.get("/v1/status")["restore_accepted"], (
                "two have accepted, and nothing acts before all is taken over"
            )
            assert lab.guests() == guests
            answer = security.post("/v1/restore/acceptances")
            assert answer["accepted"] and answer["by"] == ["system_admin", "audit_admin"]
            assert {one["resource"] for one in answer["findings"]} == set(made)
            wait(lambda: checker.check(url, lab.file) == [])
            assert refused(audit.post, "/v1/restore/acceptances") == (409, "restore.nothing")
            security.close()
            audit.close()
        assert lab.guests() == guests
