"""The messages of the lab cloud's HTTP API, with their bounds: all that the cloud and its driver share."""

from typing import Annotated, Final

import msgspec
from msgspec import Meta

BANNER: Final = "govpool lab cloud: simulated, no guest runs in it"
AMOUNT_MAX: Final = 10**15
KINDS: Final = ("VirtualMachine", "Volume", "ContainerApp")
ACTIONS: Final = {
    "VirtualMachine": frozenset({"start", "stop", "restart", "resize"}),
    "Volume": frozenset({"resize"}),
    "ContainerApp": frozenset({"start", "stop", "restart", "resize", "scale", "update"}),
}

Code = Annotated[str, Meta(min_length=1, max_length=64, pattern=r"\A[A-Za-z0-9][A-Za-z0-9._-]*\Z")]
OptionalCode = Annotated[str, Meta(max_length=64, pattern=r"\A[A-Za-z0-9._-]*\Z")]
Text = Annotated[str, Meta(max_length=255)]
Amount = Annotated[int, Meta(ge=0, le=AMOUNT_MAX)]
ResourceName = Annotated[str, Meta(min_length=1, max_length=64, pattern=r"\A[a-z][a-z0-9_.]*\Z")]
Amounts = Annotated[dict[ResourceName, Amount], Meta(max_length=32)]
Replicas = Annotated[int, Meta(ge=0, le=10_000)]
Labels = Annotated[dict[Annotated[str, Meta(max_length=64)], Text], Meta(max_length=64)]


class Body(msgspec.Struct, forbid_unknown_fields=True, kw_only=True, frozen=True):
    """What a client may send: bounded, and nothing that is not named here."""


class TenantBody(Body, frozen=True):
    """PUT /v1/tenants/{installation}/{code}"""

    name: Text
    epoch: Amount = 0


class LimitsBody(Body, frozen=True):
    """PUT /v1/tenants/{installation}/{code}/limits; a name not given is 0."""

    limits: Amounts


class TicketBody(Body, frozen=True):
    """POST /v1/tickets"""

    installation: Code
    tenant: Code
    resource_id: Code
    epoch: Amount = 0


class GuestBody(Body, frozen=True):
    """POST /v1/guests.  With `ticket_id` it consumes that ticket; without, nothing keeps a second create from a second guest.

    With `max_replicas` the cloud chooses the number of replicas by itself, from `replicas` on; `amounts` are then those of the maximum.
    """

    kind: Annotated[str, Meta(pattern=r"\A(VirtualMachine|Volume|ContainerApp)\Z")]
    name: Annotated[str, Meta(min_length=1, max_length=255)]
    installation: Code
    tenant: Code
    project: OptionalCode
    resource_id: Code
    amounts: Amounts
    epoch: Amount = 0
    ticket_id: OptionalCode = ""
    image: Text = ""
    replicas: Replicas = 0
    min_replicas: Replicas = 0
    max_replicas: Replicas = 0
    power: Annotated[str, Meta(pattern=r"\A(running|stopped)\Z")] = "running"
    zone: OptionalCode = ""
    service_class: OptionalCode = ""
    metadata: Labels = msgspec.field(default_factory=dict)


class ActionBody(Body, frozen=True):
    """POST /v1/guests/{id}/actions.  Refused with 412 unless `revision` is the guest's.

    An app that runs is restarted and updated with `surge` replicas more until the task ends, then it has the new `image` ('' = the old).
    """

    action: Annotated[str, Meta(pattern=r"\A(start|stop|restart|resize|scale|update|touch)\Z")]
    revision: Annotated[int, Meta(ge=1, le=AMOUNT_MAX)]
    amounts: Amounts = msgspec.field(default_factory=dict)
    replicas: Replicas = 0
    min_replicas: Replicas = 0
    max_replicas: Replicas = 0
    surge: Replicas = 0
    image: Text = ""
    generation: Amount = 0


class ReplicasBody(Body, frozen=True):
    """POST /lab/guests/{id}/replicas: what the cloud's own autoscaler decides."""

    replicas: Annotated[int, Meta(ge=1, le=10_000)]


class HostBody(Body, frozen=True):
    """PUT /lab/hosts/{name}, and a line of the script's `hosts`."""

    name: Code
    zone: Code = "az1"
    service_class: Code = "general"
    hall: Code = "hall-1"
    enabled: bool = True
    physical: Amounts = msgspec.field(default_factory=dict)
    overcommit_permille: Annotated[dict[ResourceName, Annotated[int, Meta(ge=0, le=1_000_000)]], Meta(max_length=32)] = (
        msgspec.field(default_factory=dict)
    )


class ForeignBody(Body, frozen=True):
    """POST /lab/guests: a guest that somebody made without govpool."""

    name: Annotated[str, Meta(min_length=1, max_length=255)]
    kind: Annotated[str, Meta(pattern=r"\A(VirtualMachine|Volume|ContainerApp)\Z")] = "VirtualMachine"
    amounts: Amounts = msgspec.field(default_factory=dict)
    zone: OptionalCode = ""
    service_class: OptionalCode = ""


class Tenant(msgspec.Struct, kw_only=True, frozen=True):
    """A tenant as the cloud shows it."""

    id: str
    name: str
    epoch: int


class Guest(msgspec.Struct, kw_only=True, frozen=True):
    """A guest as the cloud shows it."""

    id: str
    kind: str
    name: str
    tenant: str
    project: str
    installation: str
    epoch: int
    resource_id: str
    ticket_id: str
    state: str  # building, running, stopped, error, deleted
    task: str  # what is under way: '', build, start, stop, restart, resize, scale, update, delete
    revision: int
    generation: int  # of the last completed restart or update
    amounts: dict[str, int]  # without `surge`
    replicas: int
    image: str
    addresses: list[str]
    host: str
    zone: str
    service_class: str
    hall: str
    created_at: str
    detail: str
    last_attempt: str  # the attempt of the last accepted call
    metadata: dict[str, str]
    changed_at: str = ""  # of the last line about it in the record
    min_replicas: int = 0
    max_replicas: int = 0  # 0 = the number of replicas is fixed
    surge: dict[str, int] = {}  # what it holds beyond `amounts` while its replicas are replaced
    failed_generation: int = 0  # of the last restart or update that was rolled back


class Ticket(msgspec.Struct, kw_only=True, frozen=True):
    """A ticket as the cloud shows it."""

    id: str
    tenant: str
    installation: str
    epoch: int
    resource_id: str
    state: str  # available, consumed, deleted
    guest_id: str
    created_at: str


class Inventory(msgspec.Struct, kw_only=True, frozen=True):
    """GET /v1/inventory: one page of living guests, then of tickets; `after` is '' on the last page."""

    guests: list[Guest]
    tickets: list[Ticket]
    after: str


class Entry(msgspec.Struct, kw_only=True, frozen=True):
    """One line of the cloud's own record."""

    seq: int
    at: str
    verb: str
    guest: Guest  # right after it


class Events(msgspec.Struct, kw_only=True, frozen=True):
    """GET /v1/events"""

    events: list[Entry]
    more: bool


class Host(msgspec.Struct, kw_only=True, frozen=True):
    """A host as the cloud shows it."""

    name: str
    zone: str
    service_class: str
    hall: str
    enabled: bool
    physical: dict[str, int]
    usable: dict[str, int]
    used: dict[str, int]


class Hosts(msgspec.Struct, kw_only=True, frozen=True):
    """GET /v1/hosts"""

    hosts: list[Host]


class Problem(msgspec.Struct, kw_only=True, frozen=True):
    """Any answer from 400 on."""

    code: str
    message: str
