"""Sizes in the words of nova: the plain flavor with just these vCPU and MiB.  Disks are volumes, so a flavor's own disk does not matter.

A flavor with extra specs means more than its size (a trait, pinned CPUs, a GPU), which govpool does not count: it is never chosen.
"""

from collections.abc import Mapping
from typing import Final

from provisioners import contract
from provisioners.openstack import faults, wire
from provisioners.openstack.client import COMPUTE, Client

_COUNTED: Final = frozenset({"cpu_milli", "ram_mib", "disk_gib", "instances"})


def check(amounts: Mapping[str, int]) -> None:
    """Refuse a size that this cloud cannot make.  Raises PermanentError."""
    unknown = sorted(name for name in amounts if name not in _COUNTED and not name.startswith("disk_gib.") and amounts[name])
    if unknown:
        raise faults.no_size(f"this cloud has no {', '.join(unknown)}", f"该云平台不提供 {'、'.join(unknown)}")
    cpu_milli = amounts.get("cpu_milli", 0)
    if cpu_milli < 1000 or cpu_milli % 1000:
        raise faults.no_size(
            f"{cpu_milli} thousandths of a vCPU: this cloud has whole ones", f"该云平台只支持整数核，申请的是 {cpu_milli} 毫核"
        )
    if amounts.get("ram_mib", 0) < 1 or amounts.get("disk_gib", 0) < 1:
        raise faults.no_size("a machine needs memory and a disk of at least 1 GiB", "虚拟机需要内存和至少 1 GiB 磁盘")


def choose(client: Client, amounts: Mapping[str, int]) -> str:
    """The id of the flavor for these amounts, '' if there is none.  Of several the one with the first name."""
    flavors = client.pages(COMPUTE, "/flavors/detail", "flavors", wire.Flavor)
    fitting = [one for one in flavors if _plain(one) and (one.vcpus * 1000, one.ram) == (amounts["cpu_milli"], amounts["ram_mib"])]
    return min(fitting, key=lambda one: one.name or "").id if fitting else ""


def make(client: Client, amounts: Mapping[str, int], attempt: contract.Attempt) -> None:
    """Make the flavor for these amounts.  Its name is unique, so of two that do so one is told that it is there."""
    vcpus, ram_mib = amounts["cpu_milli"] // 1000, amounts["ram_mib"]
    body = {"flavor": {"name": f"govpool.{vcpus}c.{ram_mib}m", "vcpus": vcpus, "ram": ram_mib, "disk": 0}}
    try:
        client.change("POST", COMPUTE, "/flavors", body, answer=wire.Nothing, attempt=attempt.id)
    except faults.RefusedError as refusal:
        if refusal.status != 409:
            raise faults.refused(refusal) from refusal
        if not choose(client, amounts):
            raise faults.no_size(
                f"the cloud's flavor govpool.{vcpus}c.{ram_mib}m was changed; cloud operations must delete it",
                f"云平台规格 govpool.{vcpus}c.{ram_mib}m 已被改动，须由云平台运维人员删除",
            ) from refusal


def none_fits() -> contract.PermanentError:
    """The pool does not let us make flavors."""
    return faults.no_size("this cloud has no flavor of the wanted size", "该云平台没有所需规格")


def _plain(flavor: wire.Flavor) -> bool:
    return flavor.public and not flavor.disabled and not flavor.extra_specs and not flavor.ephemeral and not int(flavor.swap or 0)
