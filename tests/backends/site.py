"""A lab cloud in a process of its own with the hand behind its scenes, and one site: a cloud, a driver, a department."""

import http.client
import json
import pathlib
import subprocess
import sys
import time
import urllib.parse
from typing import Any

import pytest

from primitives import ids
from provisioners import contract, registry

ROOT = pathlib.Path(__file__).resolve().parents[2]
INSTALLATION = "city-1"


class LabCloud:
    """One lab cloud process over one file."""

    def __init__(self, file: pathlib.Path) -> None:
        self.file = file
        self.port = 0
        self.start()

    def start(self) -> None:
        """Start the process (on the port it had) and wait until it says that it is ready."""
        command = [sys.executable, "-m", "provisioners.lab.cloud", "--file", str(self.file), "--port", str(self.port)]
        self.process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
        assert self.process.stdout is not None
        self.ready = json.loads(self.process.stdout.readline())
        self.url = self.ready["url"]
        self.port = urllib.parse.urlsplit(self.url).port or 0

    def kill(self) -> None:
        """SIGKILL."""
        self.process.kill()
        self.process.wait()
        if self.process.stdout is not None:
            self.process.stdout.close()

    def call(self, method: str, path: str, body: Any = None) -> Any:
        """One plain HTTP call, without the driver."""
        return self.answer(method, path, body)[1]

    def answer(self, method: str, path: str, body: Any = None) -> tuple[int, Any]:
        """Status and decoded body."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        payload = body if isinstance(body, bytes) else None if body is None else json.dumps(body)
        connection.request(method, path, payload)
        answer = connection.getresponse()
        raw = answer.read()
        connection.close()
        return answer.status, json.loads(raw) if raw else None

    def script(self, *rules: dict[str, Any], **settings: Any) -> None:
        """Replace the script of faults and delays."""
        self.call("PUT", "/lab/script", {"rules": list(rules)} | settings)

    def vanish(self, cloud_id: str) -> None:
        """Somebody deletes a guest past govpool."""
        self.call("DELETE", f"/lab/guests/{cloud_id}")

    def foreign(self, name: str) -> str:
        """Somebody makes a guest past govpool; its id."""
        return str(self.call("POST", "/lab/guests", {"name": name})["id"])

    def reboots(self, cloud_id: str) -> int:
        """How often a guest was restarted."""
        events = self.call("GET", "/v1/events")["events"]
        return sum(event["verb"] == "restarted" and event["guest"]["id"] == cloud_id for event in events)

    def mutations(self) -> list[dict[str, Any]]:
        """The mutating calls that the cloud has seen so far."""
        return [request for request in self.call("GET", "/lab/requests?limit=100000")["requests"] if request["mutating"]]

    def guests(self, resource_id: str) -> list[dict[str, Any]]:
        """The cloud's own truth about a resource."""
        return list(self.call("GET", f"/v1/inventory?resource_id={resource_id}")["guests"])

    def tickets(self, resource_id: str) -> list[dict[str, Any]]:
        """Tickets that are not deleted."""
        return list(self.call("GET", f"/v1/inventory?resource_id={resource_id}")["tickets"])

    def pending(self) -> list[dict[str, Any]]:
        """What will still happen."""
        return list(self.call("GET", "/lab/pending")["pending"])


class Site:
    """A cloud with a driver and one department that may hold a lot; makes resources and walks them along."""

    installation = INSTALLATION
    fenced = True  # acts and removals are refused on an older revision
    pause_s = 0.0  # after a Waiting
    alone = True  # nobody else has anything in the cloud
    pace = 1  # how much slower than the lab the cloud is
    tenant = contract.Tenant(code="tax", name="税务局", installation=INSTALLATION, epoch=3)

    def __init__(self, cloud: LabCloud, settings: dict[str, Any]) -> None:
        self.cloud = cloud
        self.driver = registry.driver("lab", {"url": cloud.url, "poll_s": 0, "call_s": 5} | settings)
        self.driver.ensure_tenant(self.tenant)
        self.driver.set_limits(self.tenant, {"cpu_milli": 400_000, "ram_mib": 800_000, "disk_gib": 8_000, "instances": 200})
        self._numbers = 0

    def wanted(self, kind: str = contract.VIRTUAL_MACHINE, **changes: Any) -> contract.Wanted:
        """A resource nobody has asked the cloud for yet."""
        prefix = {contract.VIRTUAL_MACHINE: "vm", contract.VOLUME: "vol", contract.CONTAINER_APP: "app"}[kind]
        amounts = (
            {"disk_gib": 20} if kind == contract.VOLUME else {"cpu_milli": 2000, "ram_mib": 4096, "disk_gib": 40, "instances": 1}
        )
        values: dict[str, Any] = {
            "resource_id": ids.new(prefix), "kind": kind, "name": "一窗受理-01", "tenant": "tax", "project": "one-window",
            "generation": 1, "power": contract.State.RUNNING, "amounts": amounts, "spec": {"image": "debian-12"},
            "installation": self.installation, "epoch": 3,
        }  # fmt: skip
        return contract.Wanted(**values | changes)

    def attempt(self, wanted: contract.Wanted, verb: contract.Verb = contract.Verb.ADVANCE, action: str = "") -> contract.Attempt:
        """The next attempt of a resource."""
        self._numbers += 1
        return contract.Attempt(
            id=ids.new("att"), verb=verb, epoch=3, n=1, number=self._numbers, resource_id=wanted.resource_id, action=action
        )

    def step(self, verb: contract.Verb, wanted: contract.Wanted, known: contract.Facts, attempt: contract.Attempt) -> contract.Step:
        """One call of a verb."""
        call = {
            contract.Verb.ADVANCE: self.driver.advance,
            contract.Verb.ACT: self.driver.act,
            contract.Verb.REMOVE: self.driver.remove,
        }[verb]
        return call(wanted, known, attempt)

    def walk(
        self, wanted: contract.Wanted, verb: contract.Verb, known: contract.Facts | None = None, action: str = ""
    ) -> contract.Facts:
        """Repeat a verb, an attempt a step, until it is done."""
        known = known or contract.Facts()
        for _ in range(2000):
            step = self.step(verb, wanted, known, self.attempt(wanted, verb, action))
            if isinstance(step, contract.Done):
                return step.facts
            if isinstance(step, contract.Facts):
                known = step
            else:
                time.sleep(self.pause_s)
        raise AssertionError(f"{verb} of {wanted.resource_id} never ends; known: {known}")

    def made(self, wanted: contract.Wanted) -> contract.Facts:
        """A built guest."""
        return self.walk(wanted, contract.Verb.ADVANCE)

    def act(self, wanted: contract.Wanted, known: contract.Facts, action: str) -> contract.Facts:
        """An action carried through."""
        return self.walk(wanted, contract.Verb.ACT, known, action)

    def removed(self, wanted: contract.Wanted, known: contract.Facts) -> contract.Facts:
        """A removal carried through."""
        return self.walk(wanted, contract.Verb.REMOVE, known)

    def before_create(self, wanted: contract.Wanted) -> contract.Facts:
        """The facts with which the next `advance` sends the create."""
        if not self.driver.revocable:
            return contract.Facts()
        step = self.driver.advance(wanted, contract.Facts(), self.attempt(wanted))
        assert isinstance(step, contract.Facts)
        return step

    def shown(self, name: str) -> str:
        """How the cloud shows a name."""
        return name

    def rounds(self, number: int) -> int:
        """How often something is repeated that takes a real cloud seconds: a tenth as often."""
        return number if self.pace == 1 else max(1, number // 10)

    def spare_ticket(self, wanted: contract.Wanted) -> str:
        """A ticket of a resource that no answer ever named."""
        body = {"installation": self.installation, "tenant": "tax", "resource_id": wanted.resource_id}
        return str(self.cloud.call("POST", "/v1/tickets", body)["id"])

    def stray(self, wanted: contract.Wanted) -> str:
        """A second guest of a resource, made on a ticket of its own; its id in the cloud."""
        known = contract.Facts(ticket_id=self.spare_ticket(wanted))
        while not known.cloud_id:
            step = self.driver.advance(wanted, known, self.attempt(wanted))
            if isinstance(step, contract.Waiting):
                time.sleep(self.pause_s)
            else:
                known = step.facts if isinstance(step, contract.Done) else step
        return known.cloud_id

    def used_ram_mib(self) -> int:
        """RAM that the cloud counts for the department."""
        return sum(host.used.get("ram_mib", 0) for host in self.driver.capacity().hosts)


def lost(site: Site, verb: contract.Verb, wanted: contract.Wanted, known: contract.Facts, action: str = "") -> contract.Attempt:
    """An attempt whose answer does not come."""
    attempt = site.attempt(wanted, verb, action)
    with pytest.raises(contract.AnswerLost):
        site.step(verb, wanted, known, attempt)
    return attempt


def settled(site: Site, attempt: contract.Attempt, known: contract.Facts) -> contract.Revoked | contract.Landed | None:
    """The verdict on an attempt, asked for until it is one; None when it cannot be ruled out."""
    for _ in range(50):
        verdict = site.driver.revoke(attempt, known)
        if not isinstance(verdict, contract.Waiting):
            return verdict
        time.sleep(2 * site.pause_s)
    return None


def at_rest(site: Site) -> None:
    """Wait until nothing more will happen in the cloud by itself."""
    while site.cloud.pending():
        time.sleep(0.02)
