"""What the OpenStack driver makes of the cloud's answers: sizes, states, texts, prefixes, refusals.  Recorded shapes, no network."""

import ipaddress
import pathlib
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from provisioners import contract
from provisioners.contract import State
from provisioners.openstack import faults, flavor, marks, options, power, server, tenant, volume, wire

OPTIONS = options.Options(
    clouds_file=pathlib.Path("/etc/govpool/clouds.yaml"), cloud="city", region="", availability_zone="", service_class="general", hall="h1",
    external_network="", network_v4="10.64.0.0/20", volume_type="", volume_types={}, images={}, make_flavors=True, config_drive=False,
    bounds=contract.Bounds(call_s=60, late_s=60, poll_s=2, calls_at_once=8, largest={}, limit_step={}),
)  # fmt: skip
SERVER: dict[str, Any] = {
    "id": "901e453c", "name": "人口库-01", "status": "ACTIVE", "tenant_id": "p1", "created": "2026-11-25T01:01:16Z",
    "updated": "2026-11-25T01:01:18Z", "flavor": {"vcpus": 2, "ram": 4096, "disk": 20, "original_name": "m1.medium", "extra_specs": {}},
    "metadata": {"govpool.ticket": "v1", "govpool.port": "port1", "govpool.generation": "7", "govpool.disk-class": "ssd"},
    "addresses": {"govpool": [{"version": 6, "addr": "fd12::20"}, {"version": 4, "addr": "10.64.0.22"}]},
    "OS-EXT-STS:task_state": None, "OS-EXT-STS:power_state": 1, "OS-EXT-SRV-ATTR:hypervisor_hostname": "rack02",
    "OS-EXT-AZ:availability_zone": "nova", "os-extended-volumes:volumes_attached": [{"id": "v1"}],
}  # fmt: skip
DISK = wire.Volume(id="v1", status="in-use", size=40, created_at="2026-11-25T01:01:15.000000")


def decoded(**changes: Any) -> wire.Server:
    """A server as nova sends it."""
    return msgspec.json.decode(msgspec.json.encode(SERVER | changes), type=wire.Server)


def test_a_machine_is_its_flavor_and_its_boot_volume() -> None:
    facts = server.facts(decoded(), {"v1": DISK}, OPTIONS)
    assert facts.amounts == {"cpu_milli": 2000, "ram_mib": 4096, "disk_gib": 40, "disk_gib.ssd": 40, "instances": 1}
    assert facts.addresses == ("10.64.0.22", "fd12::20")
    assert (facts.host, facts.zone, facts.hall, facts.ticket_id, facts.done_generation) == ("rack02", "nova", "h1", "v1", 7)
    assert facts.changed_at == "2026-11-25T01:01:18Z"
    assert contract.Facts.from_json(facts.as_json()) == facts


@pytest.mark.parametrize(
    ("status", "power_state", "expected"),
    [
        ("BUILD", 0, State.BUILDING), ("ERROR", 0, State.ERROR), ("ACTIVE", 1, State.RUNNING), ("SHUTOFF", 4, State.STOPPED),
        ("REBOOT", 1, State.RUNNING), ("PAUSED", 3, State.STOPPED), ("SHELVED_OFFLOADED", 4, State.STOPPED),
        ("VERIFY_RESIZE", 4, State.STOPPED), ("VERIFY_RESIZE", 1, State.RUNNING), ("SOMETHING_NEW", 1, State.RUNNING),
    ],
)  # fmt: skip
def test_states_are_those_of_the_contract(status: str, power_state: int, expected: State) -> None:
    assert power.state(decoded(**{"status": status, "OS-EXT-STS:power_state": power_state})) is expected


@pytest.mark.parametrize(
    ("said", "expected"),
    [(None, ""), ("2026-11-25T01:01:15.000000", "2026-11-25T01:01:15Z"), ("2026-11-25T01:01:16Z", "2026-11-25T01:01:16Z")],
)
def test_times_are_utc_whether_they_say_so_or_not(said: str | None, expected: str) -> None:
    assert volume.moment(said) == expected


@given(st.text(max_size=400))
def test_texts_are_what_nova_and_cinder_take(value: str) -> None:
    made = marks.text(value)
    assert len(made) <= 255
    assert made == made.strip()
    assert all(c.isprintable() and c <= "\uffff" for c in made)
    assert marks.text(made) == made


@given(st.text("abcdefgh-0123456789", min_size=1, max_size=20), st.text("abcdefgh-0123456789", min_size=1, max_size=20))
def test_each_department_has_a_unique_local_prefix_of_its_own(installation: str, code: str) -> None:
    made = tenant.local_prefix(contract.Tenant(code=code, name="税务局", installation=installation, epoch=1))
    prefix = ipaddress.IPv6Network(made)
    assert prefix.prefixlen == 64
    assert prefix.subnet_of(ipaddress.IPv6Network("fd00::/8"))


@pytest.mark.parametrize(
    ("status", "body", "error", "code"),
    [
        (403, {"forbidden": {"code": 403, "message": "Quota exceeded for cores: Requested 4, but already used 1 of 3 cores"}},
         contract.TemporaryError, "cloud.quota"),
        (403, {"forbidden": {"code": 403, "message": "Maximum number of ports exceeded"}}, contract.TemporaryError, "cloud.quota"),
        (403, {"forbidden": {"code": 403, "message": "Policy doesn't allow os_compute_api:servers:create to be performed."}},
         contract.PermanentError, "cloud.refused"),
        (413, {"overLimit": {"code": 413, "message": "VolumeLimitExceeded: Maximum number of volumes allowed (2) exceeded"}},
         contract.TemporaryError, "cloud.quota"),
        (409, {"NeutronError": {"type": "OverQuota", "message": "Quota exceeded for resources: ['port'].", "detail": ""}},
         contract.TemporaryError, "cloud.quota"),
        (409, {"NeutronError": {"type": "PortInUse", "message": "Port is in use", "detail": ""}}, contract.TemporaryError, "cloud.busy"),
        (400, {"badRequest": {"code": 400, "message": "The requested availability zone is not available"}},
         contract.PermanentError, "cloud.no_host"),
        (400, "not json at all", contract.PermanentError, "cloud.refused"),
    ],
)  # fmt: skip
def test_refusals_by_quota_policy_and_conflict_are_told_apart(
    status: int, body: Any, error: type[contract.DriverError], code: str
) -> None:
    raw = body.encode() if isinstance(body, str) else msgspec.json.encode(body)
    made = faults.refused(faults.read(status, raw))
    assert isinstance(made, error)
    assert made.code == code
    assert any("\u4e00" <= c <= "\u9fff" for c in made.zh)


@pytest.mark.parametrize(
    "amounts",
    [
        {"cpu_milli": 1500, "ram_mib": 1, "disk_gib": 1}, {"cpu_milli": 0, "ram_mib": 1, "disk_gib": 1}, {"cpu_milli": 1000, "disk_gib": 1},
        {"cpu_milli": 1000, "ram_mib": 1}, {"cpu_milli": 1000, "ram_mib": 1, "disk_gib": 1, "gpus": 1},
    ],
)  # fmt: skip
def test_a_size_that_the_cloud_cannot_make_is_refused(amounts: dict[str, int]) -> None:
    with pytest.raises(contract.PermanentError) as refusal:
        flavor.check(amounts)
    assert refusal.value.code == "cloud.size"


def test_a_size_with_a_disk_class_is_one() -> None:
    flavor.check({"cpu_milli": 1000, "ram_mib": 1, "disk_gib": 1, "disk_gib.ssd": 1, "instances": 1, "gpus": 0})
