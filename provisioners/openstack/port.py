"""Ports with fixed addresses, made before their machine.  A port is no ticket (a second create on it unplugs the first machine): the boot
volume alone keeps creates apart.  A spare port holds nothing; it is found by its name and removed.
"""

from collections.abc import Iterator
from typing import Final

from provisioners.contract import Attempt, Wanted
from provisioners.openstack import faults, marks, wire
from provisioners.openstack.client import NETWORK, Client
from provisioners.openstack.tenant import Tenants

SPARE: Final = "port:"
"""Prefix of the `ticket_id` under which a sweep reports a port that no machine has."""


class Ports:
    """Ports of one cloud."""

    def __init__(self, client: Client, tenants: Tenants) -> None:
        self._client = client
        self._tenants = tenants

    def find(self, port_id: str) -> wire.Port | None:
        """One port, None if it is gone."""
        return self._client.find(NETWORK, f"/ports/{port_id}", "port", wire.Port) if port_id else None

    def of_resource(self, resource_id: str) -> list[wire.Port]:
        """Ports that were made for a resource, oldest first."""
        found = self._client.pages(NETWORK, "/ports", "ports", wire.Port, name=resource_id)
        return sorted((port for port in found if self.is_ours(port)), key=lambda one: (one.created_at, one.id))

    def spare(self) -> Iterator[wire.Port]:
        """Ports of ours that no machine has."""
        unplugged = self._client.pages(NETWORK, "/ports", "ports", wire.Port, device_id="")
        return (port for port in unplugged if port.description.startswith(marks.tag("")))

    def is_ours(self, port: wire.Port) -> bool:
        """Whether it lies in the project of the department that it names."""
        return self._tenants.owns(claim(port), port.project_id)

    def make(self, wanted: Wanted, attempt: Attempt) -> str:
        """Make a port in the department's network; its id.  Raises TemporaryError, PermanentError, AnswerLost."""
        project = self._tenants.project_of(wanted.installation, wanted.tenant)
        network, group = self._tenants.network_of(project)
        body = {
            "name": wanted.resource_id,
            "network_id": network,
            "project_id": project,
            "security_groups": [group],
            "description": f"{marks.tag(wanted.installation)} {wanted.epoch} {wanted.tenant} {wanted.project}",
        }
        try:
            return self._client.change(
                "POST", NETWORK, "/ports", {"port": body}, key="port", answer=wire.Port, attempt=attempt.id
            ).id
        except faults.RefusedError as refusal:
            raise faults.refused(refusal) from refusal

    def delete(self, port_id: str, attempt: Attempt) -> None:
        """Delete a port.  What is gone already counts."""
        try:
            self._client.change("DELETE", NETWORK, f"/ports/{port_id}", answer=wire.Nothing, attempt=attempt.id)
        except faults.RefusedError as refusal:
            if refusal.status != 404:
                raise faults.refused(refusal) from refusal


def claim(port: wire.Port) -> dict[str, str]:
    """What a port says of itself, as metadata: ports have only a description."""
    said, epoch, tenant, project = (*port.description.split(" "), "", "", "", "")[:4]
    if not said.startswith(marks.tag("")):
        return {}
    return {
        marks.INSTALLATION: said.removeprefix(marks.tag("")), marks.EPOCH: epoch, marks.TENANT: tenant, marks.PROJECT: project,
        marks.RESOURCE: port.name or "",
    }  # fmt: skip
