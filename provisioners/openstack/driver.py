"""The driver of one region of an OpenStack cloud.  How it keeps its promises: `docs/explanation/openstack.md`."""

import importlib.util
from collections.abc import Callable, Iterator, Mapping
from types import MappingProxyType
from typing import Any, TypeVar

from primitives import ids
from provisioners import contract, model, registry
from provisioners.contract import Attempt, Facts, Observed, Wanted
from provisioners.openstack import faults, limits, options, view
from provisioners.openstack.client import Client
from provisioners.openstack.port import Ports
from provisioners.openstack.server import Servers
from provisioners.openstack.tenant import Tenants
from provisioners.openstack.volume import Volumes

T = TypeVar("T")


def connect(settings: Mapping[str, Any]) -> "OpenStackDriver":
    """The driver over the cloud that `settings` name.  Opens no connection.  Raises driver.settings."""
    if importlib.util.find_spec("keystoneauth1") is None:
        raise registry.SETTINGS(
            name="openstack", field="driver", reason="openstacksdk is not installed: pip install 'govpool[openstack]'"
        )
    return OpenStackDriver(options.read(settings))


class OpenStackDriver:
    """See `contract.Driver`."""

    name: str = "openstack"
    simulated: bool = False
    kinds: frozenset[str] = frozenset({contract.VIRTUAL_MACHINE, contract.VOLUME})
    actions: Mapping[str, frozenset[str]] = MappingProxyType(
        {contract.VIRTUAL_MACHINE: frozenset({"start", "stop", "restart", "resize"}), contract.VOLUME: frozenset({"resize"})}
    )
    revocable: bool = True

    def __init__(self, chosen: options.Options) -> None:
        self.bounds = chosen.bounds
        self._options = chosen
        self._client = Client(chosen)
        self._tenants = Tenants(self._client, chosen)
        self._ports = Ports(self._client, self._tenants)
        self._volumes = Volumes(self._client, chosen, self._tenants)
        self._servers = Servers(self._client, chosen, self._tenants, self._volumes, self._ports)

    def ensure_tenant(self, tenant: contract.Tenant) -> str:
        """The id of the department's project."""
        return _told(lambda: self._tenants.ensure(tenant))

    def set_limits(self, tenant: contract.Tenant, wanted: Mapping[str, int]) -> None:
        """Quotas of nova, cinder and neutron."""
        _told(lambda: limits.put(self._client, self._options, self._tenants.project_of(tenant.installation, tenant.code), wanted))

    def advance(self, wanted: Wanted, known: Facts, attempt: Attempt) -> contract.Step:
        """Ticket, port, server; of a volume ticket and hand-over."""
        return _told(lambda: self._of(wanted.kind).advance(wanted, known, attempt))

    def act(self, wanted: Wanted, known: Facts, attempt: Attempt) -> contract.Step:
        """Nova has no version of a server that an action could be bound to: every action leads to a state."""
        return _told(lambda: self._of(wanted.kind).act(wanted, known, attempt))

    def remove(self, wanted: Wanted, known: Facts, attempt: Attempt) -> contract.Step:
        """Server, volumes, ports."""
        return _told(lambda: self._of(wanted.kind).remove(wanted, known, attempt))

    def revoke(self, attempt: Attempt, known: Facts) -> contract.Verdict:
        """The id of a resource says its kind."""
        kind = model.KIND_OF_PREFIX.get(ids.kind_of(attempt.resource_id), "")
        return _told(lambda: self._of(kind).revoke(attempt, known))

    def observe(self, installation: str, resource_id: str = "") -> Iterator[Observed]:
        """Servers, volumes, and ports that no server has."""
        return _told(
            lambda: view.observe(
                self._options, self._servers, self._volumes, self._ports, installation=installation, resource_id=resource_id
            )
        )

    def events(self, cursor: str = "", limit: int = 1000) -> contract.EventPage:
        """Nova keeps no record that can be read from its begin: archived rows are gone.  What is there counts from its `created_at`."""
        return contract.EventPage(events=(), cursor=cursor, more=False)

    def capacity(self) -> contract.Capacity:
        """Hypervisors with placement's inventories."""
        return _told(lambda: view.capacity(self._client, self._options))

    def _of(self, kind: str) -> Servers | Volumes:
        return self._volumes if kind == contract.VOLUME else self._servers


def _told(call: Callable[[], T]) -> T:
    """A refusal that no step knows what to make of is the cloud's no."""
    try:
        return call()
    except faults.RefusedError as refusal:
        raise faults.refused(refusal) from refusal
