"""govpool whole over a real OpenStack: orders at the command line, workers that are killed, calls that are lost or late.

What is in nova, cinder and neutron is read from them directly.  `make test-openstack` runs this with the contract suite.
"""

import json
import pathlib
import shutil
import subprocess
import sys
from collections.abc import Iterator

import pytest

from primitives import errors
from provisioners import contract, registry
from provisioners.contract import State
from tests.backends.openstack_cloud import CLOUDS, OpenStackCloud, OpenStackSite, until
from tests.integration import processes
from tests.integration.process import Command, initialised, serving
from tests.integration.reconciler_world import World

ROOT = pathlib.Path(__file__).resolve().parents[2]
TINY = {"cpu_milli": 1000, "ram_mib": 2048, "disk_gib": 20, "instances": 1}
DOCUMENTS = """
apiVersion: govpool/v1
kind: Pool
metadata: {name: gov}
spec:
  name: 政务云
  driver: openstack
  driver_settings: {clouds_file: "@CLOUDS@", cloud: bed, poll_s: 1, external_network: public, image.debian-12: tiny}
---
apiVersion: govpool/v1
kind: PriceBook
metadata: {name: "2026"}
spec:
  valid_from: "2026-01-01T00:00:00+08:00"
  currency: CNY
  prices:
    - {sku: vcpu, kind: VirtualMachine, name: cpu_milli, unit: vCPU-Hours, price: 0.09}
    - {sku: ram, kind: VirtualMachine, name: ram_mib, unit: GiB-Hours, price: 0.03}
    - {sku: disk, kind: VirtualMachine, name: disk_gib, unit: GiB-Hours, price: 0.0007, states: [running, stopped]}
    - {sku: vol, kind: Volume, name: disk_gib, unit: GiB-Hours, price: 0.0006, states: [running, stopped]}
"""
GRANT = "---\n{apiVersion: govpool/v1, kind: Grant, metadata: {name: %s, tenant: %s}, spec: {granted: %d}}\n"


class CloudWorld(World):
    """A department, a pool over the test bed, and workers that can be killed."""

    driver = "openstack"

    def __init__(self, url: str, cloud: OpenStackCloud) -> None:
        self.url = url
        self.cloud = cloud
        self.open(owner=True)
        settings = {
            "clouds_file": str(cloud.clouds_file), "cloud": "bed", "poll_s": 1, "call_s": 15, "late_s": 2, "image.debian-12": "tiny",
        }  # fmt: skip
        self.lane(lambda tx: self._found(tx, settings))
        self.sweep()

    def order(self, name: str) -> str:
        """A tiny machine is wanted; its id."""
        return self.want(name, amounts=TINY)

    def gone(self, resource_id: str) -> bool:
        """Delete a machine, let it go and see that nothing of it is left."""
        self.delete(resource_id)
        self.work(timeout_s=180)
        assert self.cloud.left(resource_id) == []
        return self.get(resource_id).ended


@pytest.fixture
def cloud(tmp_path: pathlib.Path) -> Iterator[OpenStackCloud]:
    """The test bed behind a proxy."""
    made = OpenStackCloud(tmp_path)
    yield made
    made.proxy.hung.set()
    made.kill()


@pytest.fixture
def world(sqlite_template: pathlib.Path, tmp_path: pathlib.Path, cloud: OpenStackCloud) -> Iterator[CloudWorld]:
    """A department over the test bed."""
    path = tmp_path / "govpool.db"
    shutil.copy(sqlite_template, path)
    made = CloudWorld(f"sqlite://{path}", cloud)
    yield made
    cloud.sweep_up(made.installation)
    made.close()


# -- the whole way -----------------------------------------------------------------------------------------------------------------


def test_a_machine_ordered_at_the_command_line_runs_in_nova_and_goes_without_a_trace(
    tmp_path: pathlib.Path, cloud: OpenStackCloud
) -> None:
    place = ["--data", str(tmp_path / "data")]
    codes = initialised(tmp_path, *place, "--code", "nanhai", "--name", "南海区")
    with serving(tmp_path, *place, "--set", "sweep_s=2", "--set", "recycle_days=0") as server:
        people = {name: Command(tmp_path / name, server.url) for name in ("li", "zhao", "system", "security")}
        people["system"].ok("login", "--code", codes["system_admin"])
        people["security"].ok("login", "--code", codes["security_admin"])
        people["system"].ok("tenant", "create", "tax", "--name", "税务局", "--parent", "nanhai")
        for name, person, tenant, roles in (
            ("li", "李娜", "tax", ["requester", "approver"]),
            ("zhao", "赵敏", "nanhai", ["operator", "finance"]),
        ):
            code = json.loads(people["system"].ok("tenant", "member", "add", tenant, name, "--name", person, "-o", "json"))["code"]
            for role in roles:
                people["security"].ok("role", "grant", name, role, "--tenant", tenant)
            people[name].ok("login", "--code", code)
        documents = DOCUMENTS.replace("@CLOUDS@", str(cloud.clouds_file))
        documents += "".join(GRANT % (name, at, amount * 10) for at in ("nanhai", "tax") for name, amount in TINY.items())
        people["zhao"].ok("apply", "-f", "-", stdin=documents)
        until(lambda: bool(people["zhao"].ok("host", "list", "-o", "name").strip()))
        li = people["li"]
        li.ok("project", "create", "main", "--tenant", "tax", "--name", "一窗受理平台")
        li.ok("context", "set", "default", "--tenant", "tax", "--project", "main")

        li.ok("vm", "create", "申报-web", "--size", "tiny", "--image", "debian-12", "--wait")
        shown = json.loads(li.ok("vm", "show", "申报-web", "-o", "json"))
        resource_id = shown["metadata"]["id"]
        (guest,) = cloud.guests(resource_id)
        server_shown = cloud.read("compute", f"/servers/{guest['id']}")["server"]
        assert server_shown["status"] == "ACTIVE"
        assert resource_id in server_shown["tags"]
        assert server_shown["metadata"]["govpool.tenant"] == "tax"
        assert (server_shown["flavor"]["vcpus"], server_shown["flavor"]["ram"]) == (1, 2048)
        assert cloud.limits(server_shown["tenant_id"])["instances"] == 1

        li.ok("vm", "stop", "申报-web", "--wait")
        assert cloud.guests(resource_id)[0]["state"] == "stopped"
        li.ok("vm", "delete", "申报-web", "--yes", "--wait")
        assert cloud.left(resource_id) == []
        assert server.stop() == 0


# -- killed, lost, late ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "point",
    [
        "ensure_tenant.after:1", "set_limits.after:1",
        "advance.before:1", "advance.after:1",  # the ticket
        "advance.before:2", "advance.after:2",
        "advance.before:3", "advance.after:3",
        "advance.before:4", "advance.after:4",
        "lane.commit.before:5", "lane.commit.after:5", "lane.commit.before:8", "lane.commit.after:8",
    ],
)  # fmt: skip
def test_a_worker_killed_around_the_boot_leaves_one_machine_and_then_none(world: CloudWorld, point: str) -> None:
    resource_id = world.order("税务申报-新建")
    world.share()
    killed = processes.worker(world.url, kill_at=point)
    assert killed.died(60), f"{point} was never reached"
    world.close()
    world.open(owner=True)
    world.work(timeout_s=180)
    row = world.get(resource_id)
    assert row.built
    assert [one["id"] for one in world.cloud.guests(resource_id)] == [row.facts.cloud_id]
    assert world.drawn("cpu_milli") == 1000
    world.sweep()
    world.work(timeout_s=60)
    assert [one["id"] for one in world.cloud.tickets(resource_id)] == [row.facts.ticket_id]
    assert world.gone(resource_id)
    assert world.drawn("cpu_milli") == 0


@pytest.mark.parametrize("operation", ["ticket.create", "port.create", "guest.create"])
@pytest.mark.parametrize("do", ["lose", "late", "drop"])
def test_a_call_that_is_lost_or_late_leads_to_one_machine(world: CloudWorld, operation: str, do: str) -> None:
    world.cloud.script({"do": do, "on": [operation], "times": 1, "after_s": 2})
    resource_id = world.order("人口库-01")
    world.work(timeout_s=180)
    until(lambda: not world.cloud.pending())
    row = world.get(resource_id)
    assert [one["id"] for one in world.cloud.guests(resource_id)] == [row.facts.cloud_id]
    until(lambda: not row_strays(world, resource_id))
    assert world.gone(resource_id)


def row_strays(world: CloudWorld, resource_id: str) -> bool:
    """Sweep and work; whether anything beside the machine's own ticket and port is left."""
    world.sweep()
    world.work(timeout_s=60)
    return len(world.cloud.tickets(resource_id)) > 1 or len(world.cloud.ports(resource_id)) > 1


def test_a_create_that_lands_after_its_revocation_is_refused_by_nova(world: CloudWorld) -> None:
    world.cloud.script({"do": "late", "on": ["guest.create"], "times": 1, "after_s": 4})
    resource_id = world.order("企业监管-01")
    world.work(timeout_s=180)
    until(lambda: not world.cloud.pending())
    late = [entry for entry in world.cloud.proxy.log if entry["fate"] == "late"]
    assert [entry["status"] for entry in late] == [400]
    assert len(world.cloud.guests(resource_id)) == 1
    assert world.gone(resource_id)


def test_a_machine_deleted_past_govpool_becomes_lost_and_can_be_deleted(world: CloudWorld) -> None:
    resource_id = world.order("统计年鉴")
    world.work(timeout_s=180)
    world.cloud.vanish(world.get(resource_id).facts.cloud_id)
    world.sweep()
    world.work(lambda: str(world.get(resource_id).state) == "lost", timeout_s=60)
    assert world.drawn("cpu_milli") == 1000
    assert world.gone(resource_id)


def test_a_build_that_fails_on_every_host_gives_quota_and_everything_in_the_cloud_back(world: CloudWorld) -> None:
    world.cloud.script({"do": "fail", "on": ["guest.create"]})
    resource_id = world.order("坏-01")
    world.work(timeout_s=180)
    row = world.get(resource_id)
    assert str(row.state) == "failed"
    assert row.reason is not None
    assert row.reason.code in ("cloud.failed", "cloud.no_host")
    assert world.cloud.left(resource_id) == []
    assert world.drawn("cpu_milli") == 0


def test_a_cloud_that_is_down_for_a_while_delays_and_loses_nothing(world: CloudWorld) -> None:
    resource_id = world.order("一窗受理-02")
    world.cloud.kill()
    world.work(lambda: world.get(resource_id).failures > 0, timeout_s=60)
    world.cloud.start()
    world.work(timeout_s=180)
    assert len(world.cloud.guests(resource_id)) == 1
    assert world.gone(resource_id)


# -- bad input ---------------------------------------------------------------------------------------------------------------------


def test_what_the_cloud_cannot_make_is_a_permanent_no_before_anything_is_made(openstack: OpenStackSite) -> None:
    for changes, code in (
        ({"spec": {"image": "windows-95"}}, "cloud.image_missing"),
        ({"amounts": TINY | {"cpu_milli": 1500}}, "cloud.size"),
        ({"amounts": TINY | {"gpus": 1}}, "cloud.size"),
        ({"spec": {"image": "debian-12", "disk_class": "nvme"}}, "cloud.disk_class"),
    ):
        wanted = openstack.wanted(**changes)
        with pytest.raises(contract.PermanentError) as refusal:
            openstack.made(wanted)
        assert refusal.value.code == code
        assert any("\u4e00" <= c <= "\u9fff" for c in refusal.value.zh)
        assert openstack.cloud.left(wanted.resource_id) == []


def test_a_wrong_password_and_a_wrong_cloud_say_what_to_correct(openstack: OpenStackSite, tmp_path: pathlib.Path) -> None:
    file = tmp_path / "other.yaml"
    file.touch(0o600)
    content = json.loads(CLOUDS.read_text(encoding="utf-8"))
    content["clouds"]["admin"]["auth"]["password"] = "秘密-4711"
    file.write_text(json.dumps(content), encoding="utf-8")
    driver = registry.driver("openstack", {"clouds_file": str(file), "cloud": "admin"})
    with pytest.raises(contract.TemporaryError) as refused:
        driver.capacity()
    assert refused.value.code == "cloud.credential"
    mended = json.loads(CLOUDS.read_text(encoding="utf-8"))
    file.write_text(json.dumps(mended), encoding="utf-8")
    assert driver.capacity().hosts  # without a restart
    file.write_text(json.dumps(content), encoding="utf-8")
    with pytest.raises(errors.GovpoolError) as unknown:
        registry.driver("openstack", {"clouds_file": str(file), "cloud": "mars"})
    assert unknown.value.code == "driver.settings"
    assert "admin" in unknown.value.text("en")
    assert "4711" not in unknown.value.text("en")
    file.chmod(0o644)
    with pytest.raises(errors.GovpoolError, match="chmod 600"):
        registry.driver("openstack", {"clouds_file": str(file), "cloud": "admin"})


def test_a_token_that_expired_is_renewed_and_the_call_made(openstack: OpenStackSite) -> None:
    wanted = openstack.wanted()
    known = openstack.before_create(wanted)
    refusal = {"error": {"code": 401, "title": "Unauthorized", "message": "The request you have made requires authentication."}}
    openstack.cloud.script({"do": "answer", "on": ["guest.create"], "times": 1, "status": 401, "body": refusal})
    assert openstack.walk(wanted, contract.Verb.ADVANCE, known).state is State.RUNNING


def test_the_sdk_is_loaded_at_the_first_call_and_not_with_the_pool(tmp_path: pathlib.Path) -> None:
    program = (
        "import sys\nfrom provisioners import registry\n"
        f"registry.driver('openstack', {{'clouds_file': {str(CLOUDS)!r}, 'cloud': 'admin'}})\n"
        "print([name for name in ('openstack', 'keystoneauth1', 'requests', 'urllib3') if name in sys.modules])\n"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_nothing_is_believed_of_tags_and_metadata_outside_the_departments_own_project(openstack: OpenStackSite) -> None:
    """Anybody in the cloud can write our marks on a machine of his: it stays foreign, and our removal leaves it alone."""
    wanted = openstack.wanted()
    marked = {
        "govpool.installation": openstack.installation, "govpool.tenant": "tax", "govpool.resource": wanted.resource_id, "govpool.epoch": "3",
    }  # fmt: skip
    forged = openstack.cloud.foreign("冒名", tags=[f"govpool.{openstack.installation}", wanted.resource_id], metadata=marked)
    everything = {item.facts.cloud_id: item for item in openstack.driver.observe("")}
    assert (everything[forged].installation, everything[forged].resource_id) == ("", "")
    assert list(openstack.driver.observe(openstack.installation)) == []
    made = openstack.made(wanted)
    assert made.cloud_id != forged
    openstack.removed(wanted, made)
    assert [guest["id"] for guest in openstack.cloud.guests(wanted.resource_id)] == [forged]
    openstack.cloud.vanish(forged)


# -- what the department has -------------------------------------------------------------------------------------------------------


def test_a_department_has_a_closed_group_two_subnets_and_limits_that_are_set_back(openstack: OpenStackSite) -> None:
    cloud, project = openstack.cloud, openstack.project
    networks = cloud.read("network", f"/networks?project_id={project}")["networks"]
    assert [one["name"] for one in networks] == ["govpool"]
    subnets = cloud.read("network", f"/subnets?project_id={project}")["subnets"]
    assert sorted(one["ip_version"] for one in subnets) == [4, 6]
    groups = cloud.read("network", f"/security-groups?project_id={project}&name=govpool")["security_groups"]
    assert {rule["direction"] for rule in groups[0]["security_group_rules"]} == {"egress"}
    assert openstack.driver.ensure_tenant(openstack.tenant) == project
    assert len(cloud.read("network", f"/subnets?project_id={project}")["subnets"]) == 2
    wanted = {"cpu_milli": 2000, "ram_mib": 4096, "disk_gib": 40, "instances": 1}
    openstack.driver.set_limits(openstack.tenant, wanted)
    assert cloud.limits(project) == {"instances": 1, "cores": 2, "ram": 4096, "gigabytes": 40, "port": 9}
    openstack.made(openstack.wanted())
    openstack.driver.set_limits(openstack.tenant, {})
    assert cloud.limits(project) == {
        "instances": 0,
        "cores": 0,
        "ram": 0,
        "gigabytes": 40,
        "port": 8,
    }  # cinder takes no less than is used


def test_capacity_is_what_placement_lets_each_host_take(openstack: OpenStackSite) -> None:
    hosts = {host.name: host for host in openstack.driver.capacity().hosts}
    listed = openstack.cloud.read("compute", "/os-hypervisors/detail")["hypervisors"]
    assert hosts.keys() == {one["hypervisor_hostname"] for one in listed}
    for host in hosts.values():
        assert host.enabled
        assert host.zone == "nova"
        assert host.usable["cpu_milli"] == 4 * host.physical["cpu_milli"]
        assert 0 < host.usable["ram_mib"] <= host.physical["ram_mib"]
        assert host.usable["disk_gib"] > 0
    known = openstack.made(openstack.wanted())
    after = {host.name: host for host in openstack.driver.capacity().hosts}
    assert after[known.host].used["ram_mib"] >= 4096


def test_a_spare_port_is_reported_and_removed_like_a_spare_ticket(openstack: OpenStackSite) -> None:
    wanted = openstack.wanted()
    known = openstack.before_create(wanted)
    seen = {o.facts.ticket_id: o for o in openstack.driver.observe(openstack.installation) if o.kind == contract.TICKET}
    assert seen.keys() == {known.ticket_id, f"port:{known.extra['port']}"}
    assert {one.resource_id for one in seen.values()} == {wanted.resource_id}
    for one in seen.values():
        clean = openstack.attempt(wanted, contract.Verb.ADVANCE, contract.CLEAN)
        assert isinstance(openstack.driver.revoke(clean, one.facts), contract.Revoked)
    until(lambda: openstack.cloud.left(wanted.resource_id) == [])
