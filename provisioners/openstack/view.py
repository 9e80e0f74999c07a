"""What the cloud shows in bulk: everything of ours, and its hosts.  Reads only; a thousand items a call."""

import dataclasses
from collections.abc import Iterator, Sequence

from provisioners import contract
from provisioners.contract import Facts, Observed
from provisioners.openstack import marks, port, server, volume, wire
from provisioners.openstack import options as settings
from provisioners.openstack.client import COMPUTE, PLACEMENT, STORAGE, Client
from provisioners.openstack.port import SPARE, Ports
from provisioners.openstack.server import Servers
from provisioners.openstack.volume import Volumes

_DISK_MAX_GIB = 10**9
"""Of a backend that does not know its size."""


def observe(
    options: settings.Options, servers: Servers, disks: Volumes, ports: Ports, *, installation: str, resource_id: str
) -> Iterator[Observed]:
    """Machines first, then volumes: a machine's boot volume was there before it."""
    query = {"tags": resource_id or marks.tag(installation)} if resource_id or installation else {}
    machines = servers.listed(**query)
    volumes = disks.of_resource(resource_id) if resource_id else disks.all()
    unplugged = [one for one in ports.of_resource(resource_id) if not one.device_id] if resource_id else list(ports.spare())
    by_id = {disk.id: disk for disk in volumes}
    seen = [_machine(one, by_id, options, ours=servers.is_ours(one)) for one in machines]
    seen += [_volume(one, options, ours=disks.is_ours(one)) for one in volumes if one.status not in volume.GOING]
    seen += [_spare(one) for one in unplugged if ports.is_ours(one)]
    return (one for one in seen if installation in ("", one.installation))


def _machine(one: wire.Server, disks: dict[str, wire.Volume], options: settings.Options, *, ours: bool) -> Observed:
    return _marked(contract.VIRTUAL_MACHINE, one.name or "", one.metadata if ours else {}, server.facts(one, disks, options))


def _volume(one: wire.Volume, options: settings.Options, *, ours: bool) -> Observed:
    metadata = one.metadata if ours else {}
    if metadata.get(marks.ROLE) == marks.AS_TICKET:
        return _marked(contract.TICKET, one.name or "", metadata, Facts(ticket_id=one.id, created_at=volume.moment(one.created_at)))
    return _marked(contract.VOLUME, one.description or one.name or "", metadata, volume.facts(one, options))


def _spare(one: wire.Port) -> Observed:
    """A port that no machine has, as a ticket: it holds nothing, and one that is nobody's is removed."""
    facts = Facts(ticket_id=SPARE + one.id, created_at=volume.moment(one.created_at))
    return _marked(contract.TICKET, one.name or "", port.claim(one), facts)


def _marked(kind: str, name: str, metadata: dict[str, str], facts: Facts) -> Observed:
    """One item; without metadata it is a foreign one, whatever it carries."""
    return Observed(
        kind=kind,
        name=name,
        tenant=metadata.get(marks.TENANT, ""),
        resource_id=metadata.get(marks.RESOURCE, ""),
        installation=metadata.get(marks.INSTALLATION, ""),
        epoch=marks.number(metadata, marks.EPOCH),
        facts=facts,
        project=metadata.get(marks.PROJECT, ""),
        image=metadata.get(marks.IMAGE, ""),
        labels=marks.labels(metadata),
    )


def capacity(client: Client, options: settings.Options) -> contract.Capacity:
    """Hypervisors with what placement lets them take.  Storage is shared: it is counted in equal parts to the hosts."""
    zones = client.get(COMPUTE, "/os-availability-zone/detail", "availabilityZoneInfo", list[wire.Zone])
    zone_of = {host: zone.name for zone in zones for host, services in (zone.hosts or {}).items() if "nova-compute" in services}
    known = list(client.pages(COMPUTE, "/os-hypervisors/detail", "hypervisors", wire.Hypervisor))
    hosts = [
        _host(client, one, zone_of.get(one.service.host, ""), options)
        for one in sorted(known, key=lambda one: one.name)
        if options.availability_zone in ("", zone_of.get(one.service.host, ""))
    ]
    return contract.Capacity(hosts=tuple(_with_storage(hosts, _storage(client))))


def _host(client: Client, one: wire.Hypervisor, zone: str, options: settings.Options) -> contract.Host:
    path = f"/resource_providers/{one.id}"
    has = client.find(PLACEMENT, f"{path}/inventories", "inventories", dict[str, wire.Inventory]) or {}
    uses = client.find(PLACEMENT, f"{path}/usages", "usages", dict[str, int]) or {}
    counted = {"cpu_milli": ("VCPU", 1000), "ram_mib": ("MEMORY_MB", 1)}
    present = {name: (has[key], unit) for name, (key, unit) in counted.items() if key in has}
    return contract.Host(
        name=one.name,
        zone=zone,
        service_class=options.service_class,
        hall=options.hall,
        enabled=one.state == "up" and one.status == "enabled",
        physical={name: held.total * unit for name, (held, unit) in present.items()},
        usable={name: int((held.total - held.reserved) * held.allocation_ratio) * unit for name, (held, unit) in present.items()},
        used={name: uses.get(key, 0) * unit for name, (key, unit) in counted.items()},
    )


def _storage(client: Client) -> tuple[int, int, int]:
    """GiB of all pools of cinder: physical, usable with its thin provisioning, used."""
    pools = client.get(STORAGE, "/scheduler-stats/get_pools", "pools", list[wire.StoragePool], detail="True")
    physical = usable = used = 0
    for pool in pools:
        has = pool.capabilities
        total = _whole(has.total)
        ratio = float(has.oversubscription) if has.thin and str(has.oversubscription) != "auto" else 1.0
        physical += total
        usable += int(total * (100 - has.reserved_percentage) / 100 * ratio)
        used += min(_whole(has.allocated), _DISK_MAX_GIB)
    return physical, usable, used


def _with_storage(hosts: Sequence[contract.Host], storage: tuple[int, int, int]) -> list[contract.Host]:
    if not hosts:
        return []
    physical, usable, used = (amount // len(hosts) for amount in storage)
    return [
        dataclasses.replace(
            host,
            physical={**host.physical, "disk_gib": physical},
            usable={**host.usable, "disk_gib": usable},
            used={**host.used, "disk_gib": used},
        )
        for host in hosts
    ]


def _whole(amount: float | str) -> int:
    """'unknown' and 'infinite' are what cinder says of a backend that does not count."""
    return min(int(amount), _DISK_MAX_GIB) if isinstance(amount, int | float) else _DISK_MAX_GIB
