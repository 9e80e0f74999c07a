"""The parts that we read of OpenStack's answers.  Decoded from raw JSON by msgspec; what is not named here is not looked at."""

from typing import Any

import msgspec
from msgspec import field


class Read(msgspec.Struct, kw_only=True, frozen=True):
    """A part of an answer."""


class Named(Read, kw_only=True, frozen=True):
    """Anything with an id."""

    id: str
    name: str | None = None


class Project(Named, kw_only=True, frozen=True):
    """A project of keystone."""

    description: str = ""
    tags: list[str] = []


class Flavor(Named, kw_only=True, frozen=True):
    """A flavor of nova; amounts in vCPU, MiB, GiB."""

    vcpus: int
    ram: int
    disk: int
    swap: int | str = 0
    extra_specs: dict[str, str] = {}
    ephemeral: int = field(name="OS-FLV-EXT-DATA:ephemeral", default=0)
    disabled: bool = field(name="OS-FLV-DISABLED:disabled", default=False)
    public: bool = field(name="os-flavor-access:is_public", default=True)


class Size(Read, kw_only=True, frozen=True):
    """The flavor within a server."""

    vcpus: int
    ram: int
    disk: int


class Address(Read, kw_only=True, frozen=True):
    """One address of a server."""

    version: int
    addr: str


class Fault(Read, kw_only=True, frozen=True):
    """Why a server is in ERROR."""

    message: str = ""


class Server(Named, kw_only=True, frozen=True):
    """A server of nova, as an administrator sees it."""

    status: str
    tenant_id: str
    created: str
    updated: str
    flavor: Size
    metadata: dict[str, str] = {}
    tags: list[str] = []
    addresses: dict[str, list[Address]] = {}
    fault: Fault | None = None
    host: str | None = field(name="OS-EXT-SRV-ATTR:hypervisor_hostname", default=None)
    hostname: str | None = field(name="OS-EXT-SRV-ATTR:hostname", default=None)
    task: str | None = field(name="OS-EXT-STS:task_state", default=None)
    power: int = field(name="OS-EXT-STS:power_state", default=0)
    zone: str | None = field(name="OS-EXT-AZ:availability_zone", default=None)
    terminated_at: str | None = field(name="OS-SRV-USG:terminated_at", default=None)
    volumes: list[Named] = field(name="os-extended-volumes:volumes_attached", default_factory=list)


class Attachment(Read, kw_only=True, frozen=True):
    """Who has a volume."""

    server_id: str | None = None


class Volume(Named, kw_only=True, frozen=True):
    """A volume of cinder, as an administrator sees it."""

    status: str
    size: int
    created_at: str
    updated_at: str | None = None
    description: str | None = None
    volume_type: str | None = None
    metadata: dict[str, str] = {}
    attachments: list[Attachment] = []
    tenant_id: str = field(name="os-vol-tenant-attr:tenant_id", default="")


class Port(Named, kw_only=True, frozen=True):
    """A port of neutron."""

    device_id: str = ""
    description: str = ""
    project_id: str = ""
    created_at: str = ""


class Made(Named, kw_only=True, frozen=True):
    """A network, subnet, router or security group of neutron."""

    description: str = ""
    created_at: str = ""
    ip_version: int = 0
    external_gateway_info: dict[str, Any] | None = None


class Image(Named, kw_only=True, frozen=True):
    """An image of glance."""

    status: str = ""
    min_disk: int = 0
    created_at: str = ""


class Action(Read, kw_only=True, frozen=True):
    """One line of what was done to a server."""

    action: str


class Service(Read, kw_only=True, frozen=True):
    """State of a service on a host."""

    active: bool = False
    available: bool = False


class Zone(Read, kw_only=True, frozen=True):
    """An availability zone with its hosts and their services."""

    name: str = field(name="zoneName")
    hosts: dict[str, dict[str, Service]] | None = None


class ServiceOf(Read, kw_only=True, frozen=True):
    """The compute service of a hypervisor."""

    host: str


class Hypervisor(Read, kw_only=True, frozen=True):
    """A hypervisor; placement calls its provider by `name`."""

    id: str
    name: str = field(name="hypervisor_hostname")
    state: str = ""
    status: str = ""
    service: ServiceOf


class Inventory(Read, kw_only=True, frozen=True):
    """How much of a resource class a provider has."""

    total: int
    reserved: int = 0
    allocation_ratio: float = 1.0


class Storage(Read, kw_only=True, frozen=True):
    """Capabilities of a pool of cinder; GiB, or a word where the backend does not know."""

    total: float | str = field(name="total_capacity_gb", default=0)
    allocated: float | str = field(name="allocated_capacity_gb", default=0)
    reserved_percentage: int = 0
    oversubscription: str | float = field(name="max_over_subscription_ratio", default="1.0")
    thin: bool = field(name="thin_provisioning_support", default=False)


class StoragePool(Read, kw_only=True, frozen=True):
    """A pool of cinder."""

    name: str
    capabilities: Storage


class Nothing(Read, kw_only=True, frozen=True):
    """An answer whose content does not matter."""
