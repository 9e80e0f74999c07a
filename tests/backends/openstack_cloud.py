"""The OpenStack of the test bed as the suite sees it: behind the fault proxy for the driver, and asked directly for the truth.

What looks here shares no code with the driver: it reads nova, cinder, neutron and keystone by itself.  The test bed is started by
`make testbed-openstack`; every test has an installation of its own in it.
"""

import contextlib
import http.client
import json
import os
import pathlib
import time
import uuid
from collections.abc import Callable
from typing import Any, Final

from primitives import ids
from provisioners import contract, registry
from tests.backends.fault_proxy import FaultProxy
from tests.backends.site import Site

HOME: Final = pathlib.Path(os.environ.get("GOVPOOL_OPENSTACK_HOME") or "~/.cache/govpool-testbed/openstack").expanduser()
PORT: Final = int(os.environ.get("GOVPOOL_OPENSTACK_PORT", "15000"))
CLOUDS: Final = HOME / "clouds.yaml"
_SERVICES: Final = {
    "identity": (0, "/v3"),
    "placement": (1, ""),
    "image": (2, ""),
    "network": (3, ""),
    "block-storage": (4, "/v3"),
    "compute": (5, "/v2.1"),
}
_VERSIONS: Final = {"network": "/v2.0", "image": "/v2"}
_MICROVERSIONS: Final = {"compute": "compute 2.96", "block-storage": "volume 3.60"}
_STATES: Final = {"ACTIVE": "running", "SHUTOFF": "stopped", "BUILD": "building", "ERROR": "error"}
WAIT_S: Final = 120


class OpenStackCloud:
    """Same handles as `LabCloud`, over a real cloud."""

    def __init__(self, folder: pathlib.Path) -> None:
        upstream = {name: f"http://127.0.0.1:{PORT + offset}" for name, (offset, _) in _SERVICES.items()}
        self.proxy = FaultProxy(upstream)
        self.clouds_file = folder / "clouds.yaml"
        entry = json.loads(CLOUDS.read_text(encoding="utf-8"))["clouds"]["admin"]
        for name, (_, version) in _SERVICES.items():
            entry[f"{name.replace('-', '_')}_endpoint_override"] = f"http://127.0.0.1:{self.proxy.port}/{name}{version}"
        self.clouds_file.touch(0o600)
        self.clouds_file.write_text(json.dumps({"clouds": {"bed": entry}}), encoding="utf-8")
        self._own_token = ""

    # -- trouble ---------------------------------------------------------------------------------------------------------------

    def script(self, *rules: dict[str, Any], **settings: Any) -> None:
        """Replace the rules; how long a real cloud builds is its own business, so the lab's settings do nothing here."""
        single = [rule | ({"after_s": rule["after_s"][1]} if isinstance(rule.get("after_s"), list) else {}) for rule in rules]
        self.proxy.script(*single)

    def mutations(self) -> list[dict[str, Any]]:
        """The mutating calls that came by so far."""
        return [entry for entry in self.proxy.log if entry["mutating"]]

    def pending(self) -> list[dict[str, Any]]:
        """What will still reach the cloud."""
        return self.proxy.pending()

    def kill(self) -> None:
        """Nobody answers any more."""
        self.proxy.stop()

    def start(self) -> None:
        """The cloud answers again."""
        self.proxy.start()

    # -- truth -----------------------------------------------------------------------------------------------------------------

    def read(self, service: str, path: str) -> Any:
        """GET, decoded; None for 404."""
        return self.answered("GET", service, path)

    def answered(self, method: str, service: str, path: str, body: Any = None) -> Any:
        """One plain call past the proxy; None for 404."""
        status, _, payload = _call(method, service, path, body, self._token())
        if status == 404:
            return None
        assert status < 300, payload
        return json.loads(payload) if payload else {}

    def _token(self) -> str:
        """Keystone's token of the administrator, asked for once a test."""
        if not self._own_token:
            auth = json.loads(CLOUDS.read_text(encoding="utf-8"))["clouds"]["admin"]["auth"]
            user = {"name": auth["username"], "password": auth["password"], "domain": {"name": auth["user_domain_name"]}}
            scope = {"project": {"name": auth["project_name"], "domain": {"name": auth["project_domain_name"]}}}
            asked = {"auth": {"identity": {"methods": ["password"], "password": {"user": user}}, "scope": scope}}
            status, headers, payload = _call("POST", "identity", "/auth/tokens", asked, "")
            assert status == 201, payload
            self._own_token = headers["X-Subject-Token"]
        return self._own_token

    def guests(self, resource_id: str) -> list[dict[str, Any]]:
        """Servers with the resource's tag, and volumes that were handed over for it."""
        servers = self.read("compute", f"/servers/detail?all_tenants=1&tags={resource_id}")["servers"]
        found = [{"id": one["id"], "name": one["name"], "state": _STATES.get(one["status"], one["status"])} for one in servers]
        return found + [{"id": one["id"], "name": one["name"], "state": "running"} for one in self._volumes(resource_id, "volume")]

    def tickets(self, resource_id: str) -> list[dict[str, Any]]:
        """Boot volumes and volumes that nobody got yet."""
        return [{"id": one["id"]} for one in self._volumes(resource_id, "ticket")]

    def ports(self, resource_id: str) -> list[dict[str, Any]]:
        """Ports of the resource."""
        found: list[dict[str, Any]] = self.read("network", f"/ports?name={resource_id}")["ports"]
        return found

    def left(self, resource_id: str) -> list[str]:
        """Everything that carries the resource's id in nova, cinder and neutron."""
        things = [*self.guests(resource_id), *self.tickets(resource_id), *self.ports(resource_id)]
        return [str(one["id"]) for one in things]

    def reboots(self, server_id: str) -> int:
        """How often nova rebooted a server."""
        done = self.read("compute", f"/servers/{server_id}/os-instance-actions")["instanceActions"]
        return sum(one["action"] == "reboot" for one in done)

    def ram_mib(self, project: str) -> int:
        """RAM that nova counts for a project."""
        return int(self.read("compute", f"/os-quota-sets/{project}/detail")["quota_set"]["ram"]["in_use"])

    def limits(self, project: str) -> dict[str, Any]:
        """Native limits of a project: instances, cores, RAM, GiB, ports."""
        nova = self.read("compute", f"/os-quota-sets/{project}")["quota_set"]
        cinder = self.read("block-storage", f"/os-quota-sets/{project}")["quota_set"]
        neutron = self.read("network", f"/quotas/{project}")["quota"]
        return {name: nova[name] for name in ("instances", "cores", "ram")} | {
            "gigabytes": cinder["gigabytes"],
            "port": neutron["port"],
        }

    # -- the hand behind the scenes --------------------------------------------------------------------------------------------

    def vanish(self, cloud_id: str) -> None:
        """Somebody deletes a server or a volume past govpool."""
        service, path = ("compute", f"/servers/{cloud_id}")
        if self.read(service, path) is None:
            service, path = "block-storage", f"/volumes/{cloud_id}"
        self.answered("DELETE", service, path)
        until(lambda: self.read(service, path) is None)

    def foreign(self, name: str, **more: Any) -> str:
        """Somebody makes a server past govpool, in a project of his own; its id."""
        images = self.read("image", "/images?name=tiny")["images"]
        flavors = self.read("compute", "/flavors")["flavors"]
        body = {
            "name": name, "networks": "none", "imageRef": images[0]["id"],
            "flavorRef": next(one["id"] for one in flavors if one["name"] == "t1.nano"),
        }  # fmt: skip
        made: str = self.answered("POST", "compute", "/servers", {"server": body | more})["server"]["id"]
        until(lambda: self.read("compute", f"/servers/{made}")["server"]["status"] == "ACTIVE")
        return made

    def sweep_up(self, installation: str) -> None:
        """Send the deletion of whatever a test left; nobody waits for it."""
        tag = f"govpool.{installation}"
        for server in self.read("compute", f"/servers/detail?all_tenants=1&tags={tag}")["servers"]:
            with contextlib.suppress(AssertionError):
                self.answered("DELETE", "compute", f"/servers/{server['id']}")

    def _volumes(self, resource_id: str, role: str) -> list[dict[str, Any]]:
        found = self.read("block-storage", f"/volumes/detail?all_tenants=1&name={resource_id}")["volumes"]
        return [one for one in found if one["metadata"].get("govpool.role") == role and one["status"] != "deleting"]


class OpenStackSite(Site):
    """A department in the test bed's cloud."""

    cloud: OpenStackCloud  # type: ignore[assignment]
    fenced = False
    alone = False
    pause_s = 0.2
    pace = 5

    def __init__(self, cloud: OpenStackCloud, **settings: Any) -> None:
        self.cloud = cloud
        self.installation = f"ci-{uuid.uuid4().hex[:10]}"
        self.tenant = contract.Tenant(code="tax", name="税务局", installation=self.installation, epoch=3)
        place = {"clouds_file": str(cloud.clouds_file), "cloud": "bed", "hall": "hall-1", "image.debian-12": "tiny"}
        self.driver = registry.driver("openstack", {**place, "poll_s": 0, "call_s": 15, "late_s": 2} | settings)
        self.project = self.driver.ensure_tenant(self.tenant)
        self.driver.set_limits(self.tenant, {"cpu_milli": 400_000, "ram_mib": 800_000, "disk_gib": 8_000, "instances": 200})
        self._numbers = 0

    def before_create(self, wanted: contract.Wanted) -> contract.Facts:
        """Ticket and port are there, and the ticket can be used."""
        known = contract.Facts()
        while not (known.ticket_id and (known.extra or wanted.kind == contract.VOLUME)):
            step = self.driver.advance(wanted, known, self.attempt(wanted))
            assert not isinstance(step, contract.Done)
            if isinstance(step, contract.Waiting):
                time.sleep(self.pause_s)
            else:
                known = step
        return known

    def shown(self, name: str) -> str:
        """Nova takes no control characters, and its tables nothing beyond the basic plane."""
        return name.replace("\0", "").replace("\U0001f600", "\ufffd")

    def used_ram_mib(self) -> int:
        """RAM that the cloud counts for the department."""
        return self.cloud.ram_mib(self.project)

    def spare_ticket(self, wanted: contract.Wanted) -> str:
        """A ticket of a resource that no answer ever named: made for an id of its own, then marked as the resource's."""
        other = self.wanted(wanted.kind, resource_id=ids.new("vm"))
        ticket_id = self.before_create(other).ticket_id
        mark = {"metadata": {"govpool.resource": wanted.resource_id}}
        self.cloud.answered("PUT", "block-storage", f"/volumes/{ticket_id}", {"volume": {"name": wanted.resource_id}})
        self.cloud.answered("POST", "block-storage", f"/volumes/{ticket_id}/metadata", mark)
        for port in self.cloud.ports(other.resource_id):
            self.cloud.answered("DELETE", "network", f"/ports/{port['id']}")
        return ticket_id


def _call(method: str, service: str, path: str, body: Any, token: str) -> tuple[int, http.client.HTTPMessage, bytes]:
    offset, version = _SERVICES[service]
    connection = http.client.HTTPConnection("127.0.0.1", PORT + offset, timeout=60)
    headers = {"Content-Type": "application/json", "Accept": "application/json"}
    headers |= {"X-Auth-Token": token} if token else {}
    headers |= {"OpenStack-API-Version": _MICROVERSIONS[service]} if service in _MICROVERSIONS else {}
    connection.request(method, _VERSIONS.get(service, version) + path, None if body is None else json.dumps(body), headers)
    answer = connection.getresponse()
    payload = answer.read()
    connection.close()
    return answer.status, answer.headers, payload


def until(holds: Callable[[], bool], timeout_s: float = WAIT_S) -> None:
    """Wait until something holds; the limit only ends a test that hangs."""
    end = time.monotonic() + timeout_s
    while not holds():
        assert time.monotonic() < end, "it never came"
        time.sleep(0.1)
