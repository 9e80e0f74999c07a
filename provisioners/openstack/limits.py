"""The native limits of a department's project in nova, cinder and neutron."""

from collections.abc import Mapping
from typing import Any, Final

from provisioners import contract
from provisioners.openstack import faults, wire
from provisioners.openstack import options as settings
from provisioners.openstack.client import COMPUTE, NETWORK, STORAGE, Client

SPARE_PORTS: Final = 8
"""Ports beside one a machine: both legs of the router, DHCP, and one whose making was lost and is made again."""
_UNLIMITED: Final = -1


def put(client: Client, options: settings.Options, project: str, limits: Mapping[str, int]) -> None:
    """Set all of them; a name not given is 0.  Nova takes a limit below what is used; cinder and neutron then get what is used.

    Volumes are limited by their GiB alone: their number is none of govpool's names.  Raises TemporaryError, PermanentError, AnswerLost.
    """
    instances = limits.get("instances", 0)
    nova = {"instances": instances, "cores": -(-limits.get("cpu_milli", 0) // 1000), "ram": limits.get("ram_mib", 0), "force": True}
    _put(client, COMPUTE, f"/os-quota-sets/{project}", "quota_set", nova)
    typed = {f"gigabytes_{name}": limits.get(f"disk_gib.{disk_class}", 0) for disk_class, name in options.volume_types.items()}
    cinder = {
        "gigabytes": limits.get("disk_gib", 0),
        "volumes": _UNLIMITED,
        "snapshots": 0,
        "backups": 0,
        "backup_gigabytes": 0,
    } | typed
    _put(client, STORAGE, f"/os-quota-sets/{project}", "quota_set", cinder, usage_path=f"/os-quota-sets/{project}?usage=True")
    neutron = {"port": instances + SPARE_PORTS, "floatingip": 0}
    _put(client, NETWORK, f"/quotas/{project}", "quota", neutron, usage_path=f"/quotas/{project}/details")


def _put(client: Client, service: str, path: str, key: str, wanted: dict[str, Any], *, usage_path: str = "") -> None:
    try:
        client.change("PUT", service, path, {key: wanted}, answer=wire.Nothing)
    except faults.RefusedError as refusal:
        if refusal.status != 400 or not usage_path:
            raise faults.refused(refusal) from refusal
        floor = _used(client, service, key, usage_path)
        at_least = {name: limit if limit == _UNLIMITED else max(limit, floor.get(name, 0)) for name, limit in wanted.items()}
        try:
            client.change("PUT", service, path, {key: at_least}, answer=wire.Nothing)
        except faults.RefusedError as again:
            raise contract.TemporaryError(
                "cloud.limit",
                delay_s=faults.BUSY_AGAIN_S,
                en=f"the cloud refuses the limit: {again.message}",
                zh=f"云平台拒绝设置配额：{again.message}",
            ) from again


def _used(client: Client, service: str, key: str, path: str) -> dict[str, int]:
    """What is in use and reserved, by the service's own names."""
    path, _, query = path.partition("?")
    more = dict([query.split("=")]) if query else {}
    told = client.get(service, path, key, dict[str, Any], **more)
    return {
        name: int(entry.get("in_use") or entry.get("used") or 0) + int(entry.get("reserved") or 0)
        for name, entry in told.items()
        if isinstance(entry, dict)
    }
