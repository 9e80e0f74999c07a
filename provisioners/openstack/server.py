"""Machines: the steps of a create, one mutating call each (flavor where none fits, boot volume as ticket, port, server), and the way back
(server, then its volumes, then its ports).

The last call is guarded by the ticket that was known before it: nova reserves the volume within the create.
"""

import base64
import dataclasses
import urllib.parse
from collections.abc import Mapping
from typing import Any, Final

import msgspec

from provisioners import contract
from provisioners.contract import Attempt, Done, Facts, Landed, Revoked, State, Waiting, Wanted
from provisioners.openstack import faults, flavor, marks, power, wire
from provisioners.openstack import options as settings
from provisioners.openstack import volume as volumes
from provisioners.openstack.client import COMPUTE, IMAGE, Client
from provisioners.openstack.port import SPARE, Ports
from provisioners.openstack.tenant import Tenants
from provisioners.openstack.volume import Volumes

PORT: Final = "port"
"""Key of `Facts.extra`: the port that the create will use."""
_DETAIL: Final = "/servers/detail"


class Servers:
    """Machines of one cloud."""

    def __init__(self, client: Client, options: settings.Options, tenants: Tenants, disks: Volumes, ports: Ports) -> None:
        self._client = client
        self._options = options
        self._tenants = tenants
        self._disks = disks
        self._ports = ports
        self._again = Waiting(options.bounds.poll_s)

    def find(self, server_id: str) -> wire.Server | None:
        """One server, None if it is gone."""
        found = self._client.find(COMPUTE, f"/servers/{server_id}", "server", wire.Server) if server_id else None
        return None if found is None or found.status == "DELETED" else found

    def listed(self, **query: str | int) -> list[wire.Server]:
        """Servers of every project, oldest first."""
        found = self._client.pages(COMPUTE, _DETAIL, "servers", wire.Server, all_tenants=1, **query)
        return sorted(found, key=lambda one: (one.created, one.id))

    def of_resource(self, resource_id: str) -> list[wire.Server]:
        """Servers that were made for a resource, oldest first."""
        return [
            one for one in self.listed(tags=resource_id) if one.metadata.get(marks.RESOURCE) == resource_id and self.is_ours(one)
        ]

    def is_ours(self, server: wire.Server) -> bool:
        """Whether it lies in the project of the department that it names."""
        return self._tenants.owns(server.metadata, server.tenant_id)

    def facts(self, server: wire.Server) -> Facts:
        """The facts of a server; asks for its boot volume."""
        disk = self._disks.find(ticket_of(server))
        return facts(server, {} if disk is None else {disk.id: disk}, self._options)

    # -- create ----------------------------------------------------------------------------------------------------------------

    def advance(self, wanted: Wanted, known: Facts, attempt: Attempt) -> contract.Step:
        """One step of a create."""
        if known.cloud_id:
            return self._built(wanted, known, attempt)
        if not known.ticket_id:
            return self._begin(wanted, known, attempt)
        disk = self._disks.find(known.ticket_id)
        if disk is None or disk.status in volumes.GOING:
            return dataclasses.replace(known, ticket_id="")
        if not self._disks.is_ready(disk):
            return self._again
        if not known.extra.get(PORT):
            unused = [port.id for port in self._ports.of_resource(wanted.resource_id) if not port.device_id]
            port_id = unused[0] if unused else self._ports.make(wanted, attempt)
            return dataclasses.replace(known, extra={PORT: port_id})
        return self._create(wanted, known, attempt)

    def _begin(self, wanted: Wanted, known: Facts, attempt: Attempt) -> contract.Step:
        """What a worker without facts finds, or else the first things of a create."""
        flavor.check(wanted.amounts)
        present = self.of_resource(wanted.resource_id)
        if present:
            return self.facts(present[0])
        ticket_id = self._disks.ticket_of(wanted.resource_id)
        if not ticket_id:
            image_id = self._image(wanted)
            if not flavor.choose(self._client, wanted.amounts):
                return self._make_flavor(wanted, known, attempt)
            ticket_id = self._disks.make_ticket(wanted, attempt, image_id)
        return dataclasses.replace(known, ticket_id=ticket_id)

    def _create(self, wanted: Wanted, known: Facts, attempt: Attempt) -> contract.Step:
        flavor_id = flavor.choose(self._client, wanted.amounts)
        if not flavor_id:
            return self._make_flavor(wanted, known, attempt)
        body = self._body(wanted, known, flavor_id)
        project = self._tenants.project_of(wanted.installation, wanted.tenant)
        try:
            made = self._client.change(
                "POST", COMPUTE, "/servers", {"server": body}, key="server", answer=wire.Named, project=project, attempt=attempt.id
            )
        except faults.RefusedError as refusal:
            return self._not_created(refusal, known)
        return dataclasses.replace(known, state=State.BUILDING, cloud_id=made.id, amounts=dict(wanted.amounts))

    def _not_created(self, refusal: faults.RefusedError, known: Facts) -> contract.Step:
        """A create that nova refused: its ticket is gone, or another create has it, or else it is the cloud's no."""
        if refusal.is_quota or refusal.status not in (400, 404, 409):
            raise faults.refused(refusal) from refusal
        disk = self._disks.find(known.ticket_id)
        if disk is None or disk.status in volumes.GOING:
            return dataclasses.replace(known, ticket_id="")
        if disk.status != "available":
            winner = self._on_ticket(disk)
            return self._again if winner is None else winner
        if self._ports.find(known.extra.get(PORT, "")) is None:
            return dataclasses.replace(known, extra={})
        raise faults.refused(refusal) from refusal

    def _on_ticket(self, disk: wire.Volume) -> Facts | None:
        """The facts of the server that a create made with this ticket."""
        for server in self.of_resource(disk.metadata.get(marks.RESOURCE, "")):
            if ticket_of(server) == disk.id:
                return facts(server, {disk.id: disk}, self._options)
        return None

    def _body(self, wanted: Wanted, known: Facts, flavor_id: str) -> dict[str, Any]:
        boot = {
            "boot_index": 0, "uuid": known.ticket_id, "source_type": "volume", "destination_type": "volume", "delete_on_termination": False,
        }  # fmt: skip
        body: dict[str, Any] = {
            "name": marks.text(wanted.name) or wanted.resource_id,
            "hostname": wanted.resource_id,
            "flavorRef": flavor_id,
            "networks": [{PORT: known.extra[PORT]}],
            "block_device_mapping_v2": [boot],
            "tags": [marks.tag(wanted.installation), wanted.resource_id],
            "metadata": marks.of(wanted) | {marks.TICKET: known.ticket_id, marks.PORT: known.extra[PORT]},
        }
        if wanted.zone:
            body["availability_zone"] = wanted.zone
        if self._options.config_drive:
            body["config_drive"] = True
        if key := str(wanted.spec.get("key", "")):
            config = b"#cloud-config\n" + msgspec.json.encode({"ssh_authorized_keys": [key]})  # JSON is YAML
            body["user_data"] = base64.b64encode(config).decode("ascii")
        return body

    def _make_flavor(self, wanted: Wanted, known: Facts, attempt: Attempt) -> Facts:
        if not self._options.make_flavors:
            raise flavor.none_fits()
        flavor.make(self._client, wanted.amounts, attempt)
        return known

    def _image(self, wanted: Wanted) -> str:
        """The id of the wanted image: a public one, for anybody may have a private one of that name; of several the newest.

        Raises PermanentError.
        """
        ordered = str(wanted.spec.get("image", ""))
        name = self._options.images.get(ordered, ordered)
        found = list(self._client.pages(IMAGE, "/images", "images", wire.Image, name=name, visibility="public"))
        if not found and (one := self._client.find(IMAGE, f"/images/{urllib.parse.quote(name, safe='')}", "", wire.Image)):
            found = [one]
        ready = [image for image in found if image.status == "active"]
        if not ready:
            raise faults.image_missing(ordered)
        image = max(ready, key=lambda one: (one.created_at, one.id))
        if image.min_disk > wanted.amounts["disk_gib"]:
            raise faults.disk_too_small(wanted.amounts["disk_gib"], image.min_disk)
        return image.id

    def _built(self, wanted: Wanted, known: Facts, attempt: Attempt) -> contract.Step:
        """Wait for a build; a machine that is wanted stopped is stopped as soon as it stands."""
        server = self.find(known.cloud_id)
        if server is None:
            raise faults.vanished()
        if server.status == "ERROR":
            raise faults.failed(server.fault.message if server.fault else "")
        if server.status == "BUILD" or server.task:
            return self._again
        if wanted.power is State.STOPPED and server.status == "ACTIVE":
            return known if power.send(self._client, server, {"os-stop": None}, attempt) else self._again
        return Done(self.facts(server))

    # -- change ----------------------------------------------------------------------------------------------------------------

    def act(self, wanted: Wanted, known: Facts, attempt: Attempt) -> contract.Step:
        """One step of an action.  Each leads to a state and not by a difference, so sending it twice does no harm."""
        server = self.find(known.cloud_id)
        if server is None:
            raise faults.vanished()
        if server.status == "ERROR":
            raise faults.failed(server.fault.message if server.fault else "")
        if server.task or server.status in power.UNDER_WAY:
            return self._again
        if server.status == "VERIFY_RESIZE":
            return known if power.send(self._client, server, {"confirmResize": None}, attempt) else self._again
        if attempt.action == "resize":
            return self._resize(wanted, known, attempt, server)
        step = power.restart if attempt.action == "restart" else power.switch
        sent = step(self._client, server, wanted, attempt)
        return Done(self.facts(server)) if sent is None else known if sent else self._again

    def _resize(self, wanted: Wanted, known: Facts, attempt: Attempt, server: wire.Server) -> contract.Step:
        """The disk first, then the flavor, then nova's confirmation."""
        flavor.check(wanted.amounts)
        disk = self._disks.find(ticket_of(server))
        if disk is None:
            raise faults.failed("its disk is gone")
        if disk.status == "extending":
            return self._again
        if disk.size != wanted.amounts["disk_gib"]:
            return known if self._disks.extend(disk, wanted.amounts["disk_gib"], attempt) else self._again
        if (server.flavor.vcpus * 1000, server.flavor.ram) == (wanted.amounts["cpu_milli"], wanted.amounts["ram_mib"]):
            return Done(facts(server, {disk.id: disk}, self._options))
        if known.extra.get("resized") == str(wanted.generation):
            raise faults.failed(server.fault.message if server.fault else "the cloud went back to the size before")
        flavor_id = flavor.choose(self._client, wanted.amounts)
        if not flavor_id:
            return self._make_flavor(wanted, known, attempt)
        sent = power.send(self._client, server, {"resize": {"flavorRef": flavor_id}}, attempt)
        return dataclasses.replace(known, extra={**known.extra, "resized": str(wanted.generation)}) if sent else self._again

    # -- the way back ----------------------------------------------------------------------------------------------------------

    def remove(self, wanted: Wanted, known: Facts, attempt: Attempt) -> contract.Step:
        """Servers, then volumes, then ports; with CLEAN only what is known."""
        only = attempt.action == contract.CLEAN
        server = self.find(known.cloud_id)
        if server is None and not only:
            server = next(iter(self.of_resource(wanted.resource_id)), None)
        if server is not None:
            if server.task == "deleting":
                return self._again
            self._delete(server, attempt)
            return dataclasses.replace(known, cloud_id=server.id)
        disks = (
            [disk for disk in [self._disks.find(known.ticket_id)] if disk] if only else self._disks.of_resource(wanted.resource_id)
        )
        if any(disk.status == "deleting" for disk in disks):
            return self._again
        if disks:
            return known if self._disks.delete(disks[0], attempt) else self._again
        port_ids = [known.extra.get(PORT, "")] if only else [port.id for port in self._ports.of_resource(wanted.resource_id)]
        for port_id in port_ids:
            if self._ports.find(port_id) is not None:
                self._ports.delete(port_id, attempt)
                return known
        return Done(Facts(changed_at=self._gone_at(known)))

    def _delete(self, server: wire.Server, attempt: Attempt) -> None:
        try:
            self._client.change("DELETE", COMPUTE, f"/servers/{server.id}", answer=wire.Nothing, attempt=attempt.id)
        except faults.RefusedError as refusal:
            if refusal.status != 404:
                raise faults.refused(refusal) from refusal

    def _gone_at(self, known: Facts) -> str:
        """Since when nova has it no more; a build that was deleted before a host had it leaves no trace."""
        if not known.cloud_id:
            return known.changed_at
        for server in self.listed(deleted="True", uuid=known.cloud_id):
            if server.id == known.cloud_id and server.status == "DELETED":
                return volumes.moment(server.terminated_at or server.updated)
        return known.changed_at

    # -- lost answers ----------------------------------------------------------------------------------------------------------

    def revoke(self, attempt: Attempt, known: Facts) -> contract.Verdict:
        """Delete the ticket of a create; of an action or a removal see what came of it."""
        if attempt.verb is contract.Verb.ACT:
            return self._revoke_action(attempt, known)
        if attempt.verb is contract.Verb.REMOVE:
            server = self.find(known.cloud_id)
            return Landed(Facts(changed_at=self._gone_at(known))) if server is None else Revoked(self.facts(server))
        if known.cloud_id:
            return Revoked(known)
        if known.ticket_id.startswith(SPARE):
            self._ports.delete(known.ticket_id.removeprefix(SPARE), attempt)
            return Revoked(dataclasses.replace(known, ticket_id=""))
        if known.ticket_id:
            return self._revoke_ticket(attempt, known)
        present = self.of_resource(attempt.resource_id)
        if present:
            return Landed(self.facts(present[0]))
        ticket_id = self._disks.ticket_of(attempt.resource_id)
        return Landed(dataclasses.replace(known, ticket_id=ticket_id)) if ticket_id else Revoked(known)

    def _revoke_ticket(self, attempt: Attempt, known: Facts) -> contract.Verdict:
        left = self._disks.destroy_ticket(known.ticket_id, attempt)
        if left is None:
            return Revoked(dataclasses.replace(known, ticket_id=""))
        server = self._on_ticket(left)
        return self._again if server is None else Landed(server)

    def _revoke_action(self, attempt: Attempt, known: Facts) -> contract.Verdict:
        server = self.find(known.cloud_id)
        if server is None:
            return Revoked(Facts())
        if server.task or server.status in power.UNDER_WAY:
            return self._again
        seen = self.facts(server)
        if (seen.state, dict(seen.amounts)) != (known.state, dict(known.amounts)) or server.status == "VERIFY_RESIZE":
            return Landed(seen)
        return volumes.settled(attempt, seen, self._options)


def ticket_of(server: wire.Server) -> str:
    """The boot volume of a server: the one that it was made on, else the first that it has."""
    return server.metadata.get(marks.TICKET) or next((disk.id for disk in server.volumes), "")


def facts(server: wire.Server, disks: Mapping[str, wire.Volume], options: settings.Options) -> Facts:
    """The facts of a server; `disks` holds its boot volume, if that is known."""
    ticket_id = ticket_of(server)
    disk = disks.get(ticket_id)
    size_gib = server.flavor.disk if disk is None else disk.size
    disk_class = server.metadata.get(marks.DISK_CLASS, "")
    addresses = [address for network in server.addresses.values() for address in network]
    return Facts(
        state=power.state(server),
        cloud_id=server.id,
        ticket_id=ticket_id if server.metadata.get(marks.TICKET) else "",
        done_generation=marks.number(server.metadata, marks.GENERATION),
        amounts={"cpu_milli": server.flavor.vcpus * 1000, "ram_mib": server.flavor.ram, "disk_gib": size_gib, "instances": 1}
        | ({f"disk_gib.{disk_class}": size_gib} if disk_class else {}),
        addresses=tuple(one.addr for one in sorted(addresses, key=lambda one: (one.version, one.addr))),
        host=server.host or "",
        zone=server.zone or "",
        service_class=options.service_class,
        hall=options.hall,
        created_at=volumes.moment(server.created),
        changed_at=volumes.moment(server.updated),
        detail=server.fault.message if server.fault and server.status == "ERROR" else "",
        extra={PORT: server.metadata[marks.PORT]} if server.metadata.get(marks.PORT) else {},
    )
