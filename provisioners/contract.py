"""What a driver promises, and the records that pass between the reconciler and a driver.  Pure: no database, no network.

A driver carries one resource towards what is wanted in one kind of cloud.  It knows nothing of orders, quotas or leases; it is
told what is wanted (`Wanted`), what was known last (`Facts`), and under which attempt it may call (`Attempt`).  All verbs are
synchronous and run on worker threads.  The whole story, with a sequence for each lost answer: `docs/explanation/driver-contract.md`.

`advance`, `act` and `remove` make AT MOST ONE mutating cloud call and answer

    Facts      a step was made or learnt: store these facts, close the attempt, call again at once
    Waiting    nothing to send now: close the attempt, give the worker back, call again after `again_in_s`
    Done       the goal of the verb is reached: store the facts, close the attempt

or raise `TemporaryError` or `PermanentError` (answers: the attempt closes) or `AnswerLost` (the call may still take effect, now or
later: the attempt stays open until `revoke` settles it).

The call that mutates is guarded only by what `known` carries (`ticket_id`, `revision`), never by something read afresh: a worker
that sleeps past its lease wakes with old facts, and the cloud refuses them.
"""

import dataclasses
import enum
from collections.abc import Iterator, Mapping
from typing import Any, Final, Protocol

VIRTUAL_MACHINE: Final = "VirtualMachine"
VOLUME: Final = "Volume"
CONTAINER_APP: Final = "ContainerApp"
TICKET: Final = "Ticket"
"""The kind of an `Observed` that is an unused or used-up ticket, not a resource; it holds no quota."""


CLEAN: Final = "clean"
"""The action of a REMOVE attempt that ends only what `known` names (a stray), not everything of the resource."""


class State(enum.StrEnum):
    """What a resource is in the cloud, in the words that all clouds share."""

    ABSENT = "absent"
    BUILDING = "building"  # accepted, not yet usable
    RUNNING = "running"  # a volume that can be used is running as well
    STOPPED = "stopped"
    ERROR = "error"  # the cloud gave it up; it holds room until it is removed


class Verb(enum.StrEnum):
    """Why an attempt was opened; `revoke` settles each in its own way."""

    ADVANCE = "advance"
    ACT = "act"
    REMOVE = "remove"


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Tenant:
    """A department as a cloud needs it: one project, namespace or account of the cloud stands for it."""

    code: str  # tenant code of govpool, unique within the installation and never used again
    name: str  # for people; may be Chinese
    installation: str
    epoch: int


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What somebody ordered: the desired state of one resource at one generation."""

    resource_id: str  # 'vm-06...': a DNS label and a tag; never used again
    kind: str
    name: str  # unique per project and kind among the living; for people
    tenant: str  # code
    project: str  # code
    generation: int  # grows with each change of what is wanted
    power: State  # RUNNING or STOPPED, whatever the action
    amounts: Mapping[
        str, int
    ]  # size in registry units: cpu_milli, ram_mib, disk_gib, gpus ...; of an app: of all its replicas together, at their maximum
    spec: Mapping[str, Any]  # the rest, as ordered: image, key, replicas, min_replicas, max_surge ... (`provisioners.replicas`)
    zone: str = ""  # '' = any
    service_class: str = ""  # '' = any
    labels: Mapping[str, str] = dataclasses.field(default_factory=dict)
    installation: str = ""  # first tag: listed by
    epoch: int = 0  # second tag: information


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What is known of a resource in its cloud.  `Facts()` is a resource of which the cloud knows nothing."""

    state: State = State.ABSENT
    cloud_id: str = ""  # the cloud's id of the guest; '' = not created as far as is known
    ticket_id: str = ""  # the unique, revocable thing that its create consumes; '' = none, or used up and gone
    revision: str = (
        ""  # the cloud's own counter of this guest: acts and removals are refused on an older one; '' = the cloud has none
    )
    done_generation: int = 0  # `Wanted.generation` of the last completed restart or update
    amounts: Mapping[str, int] = dataclasses.field(
        default_factory=dict
    )  # size in the cloud, registry units; without what a rolling replacement adds for a while
    replicas: int = 0  # of an app, as many as it has now; else 0
    min_replicas: int = 0  # within these the cloud chooses `replicas` by itself; 0 = it does not
    max_replicas: int = 0
    addresses: tuple[str, ...] = ()  # IPv4 and IPv6 texts, in the cloud's order
    host: str = ""
    zone: str = ""
    service_class: str = ""
    hall: str = ""
    created_at: str = ""  # ISO 8601 with Z, the cloud's clock
    changed_at: str = ""  # the same; since when it is in this state and size, of an ABSENT one since when it is gone; '' = not said
    detail: str = ""  # the cloud's own words on an ERROR
    extra: Mapping[str, str] = dataclasses.field(default_factory=dict)  # ids that only the driver reads

    def as_json(self) -> dict[str, Any]:
        """JSON-able builtins without the fields that have their default; `Facts.from_json` is the inverse."""
        plain: dict[str, Any] = {}
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            if value:
                plain[field.name] = (
                    list(value) if isinstance(value, tuple) else dict(value) if isinstance(value, Mapping) else value
                )
        return plain | {"state": self.state.value}

    @classmethod
    def from_json(cls, plain: Mapping[str, Any]) -> "Facts":
        """The facts of stored JSON.  Fields that this version does not know are ignored: an older release reads newer rows."""
        known = {field.name for field in dataclasses.fields(cls)}
        values = {key: value for key, value in plain.items() if key in known}
        values["state"] = State(values.get("state", State.ABSENT))
        values["addresses"] = tuple(values.get("addresses", ()))
        return cls(**values)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """One open call into a cloud.  Its row was written under the fence before the driver is called."""

    id: str
    verb: Verb
    epoch: int  # fence: raised by a restore
    n: int  # fence: raised by each new holder of the resource
    number: int  # 1, 2, ... within the resource
    resource_id: str
    action: str = ""  # of an ACT: start, stop, restart, resize, scale, update; of a REMOVE: '' or CLEAN


@dataclasses.dataclass(frozen=True, slots=True)
class Waiting:
    """Nothing to send now.  From `revoke`: not settled yet, see there."""

    again_in_s: int


@dataclasses.dataclass(frozen=True, slots=True)
class Done:
    """The goal of the verb is reached; after `remove` the facts' state is ABSENT."""

    facts: Facts


@dataclasses.dataclass(frozen=True, slots=True)
class Revoked:
    """The attempt did not take effect and never can.  `facts` hold what is still true (the dead ticket is gone from them)."""

    facts: Facts


@dataclasses.dataclass(frozen=True, slots=True)
class Landed:
    """The attempt did take effect: store these facts and go on from them."""

    facts: Facts


Step = Facts | Waiting | Done
Verdict = Revoked | Landed | Waiting


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Observed:
    """One item of a cloud's inventory, seen in bulk."""

    kind: str  # a kind of resource, or TICKET
    name: str
    tenant: str  # code; '' if the cloud's project is not one of ours
    resource_id: str  # '' if it carries no tag of govpool
    installation: str  # first tag; '' if it is not govpool's
    epoch: int  # second tag; 0 if absent
    facts: Facts  # of a TICKET: `ticket_id` alone, with state ABSENT
    project: str = ""  # code, from the tags; '' if the cloud does not carry it
    image: str = ""
    labels: Mapping[str, str] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Host:
    """A physical host, or whatever the cloud places on.  Amounts in registry units."""

    name: str
    zone: str
    service_class: str
    hall: str
    enabled: bool  # the cloud places new guests here
    physical: Mapping[str, int]
    usable: Mapping[str, int]  # physical x overcommit: what the cloud will place here at most
    used: Mapping[str, int]

    @property
    def free(self) -> dict[str, int]:
        """The largest block that still fits here, by name; all 0 while the host is disabled."""
        return {name: max(0, usable - self.used.get(name, 0)) if self.enabled else 0 for name, usable in self.usable.items()}


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Capacity:
    """All hosts of a cloud at one moment."""

    hosts: tuple[Host, ...]

    def largest_free(self, name: str, *, zone: str = "", service_class: str = "") -> int:
        """The largest amount of `name` that one host of this zone and class ('' = any) still takes; 0 if there is none."""
        matching = (h for h in self.hosts if zone in ("", h.zone) and service_class in ("", h.service_class))
        return max((host.free.get(name, 0) for host in matching), default=0)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One line of the cloud's own record: from `at` on the guest is in this state with these amounts."""

    id: str  # unique within the cloud
    at: str  # ISO 8601 with Z, the cloud's clock
    verb: str  # created, built, failed, resized, started, stopped, restarted, updated, rolled_back, moved, deleted
    kind: str
    tenant: str
    installation: str
    resource_id: str  # '' if the guest carries no tag of govpool
    facts: Facts
    name: str = ""
    project: str = ""  # code, from the tags; '' if the cloud does not carry it
    labels: Mapping[str, str] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class EventPage:
    """Events in the order of the cloud's record; `cursor` continues after the last of them."""

    events: tuple[Event, ...]
    cursor: str
    more: bool  # another page can be read at once


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """What a caller may count on."""

    call_s: int  # no call into the cloud takes longer before it is AnswerLost
    late_s: int  # an accepted call takes effect within this time, or never
    poll_s: int  # usual `again_in_s`
    calls_at_once: int  # concurrent calls that the cloud bears
    largest: Mapping[str, int]  # registry name -> most that one resource may have
    limit_step: Mapping[str, int]  # registry name -> native limits are set in multiples of this


class DriverError(Exception):
    """An answer of the cloud that is a no.  `en` and `zh` are one sentence each, for the department; `code` is ASCII and stable."""

    def __init__(self, code: str, *, en: str, zh: str) -> None:
        self.code = code
        self.en = en
        self.zh = zh
        super().__init__(f"{code}: {en}")


class TemporaryError(DriverError):
    """No for now: nothing was changed; the same call may work after `delay_s`."""

    def __init__(self, code: str, *, delay_s: int, en: str, zh: str) -> None:
        self.delay_s = delay_s
        super().__init__(code, en=en, zh=zh)


class PermanentError(DriverError):
    """No, and repeating will not help: the resource cannot become what is wanted."""


class AnswerLost(Exception):
    """Time-out, reset, HTTP 500, 502 or 504: the call may have taken effect, may do so later, or never arrived."""


class Driver(Protocol):
    """One cloud.  Instances are shared by all worker threads."""

    name: str  # as in the registry
    simulated: bool  # True: no guest runs in this cloud, and whoever shows its resources says so
    kinds: frozenset[str]
    actions: Mapping[str, frozenset[str]]  # kind -> actions `act` knows, beside create and delete
    bounds: Bounds
    revocable: bool  # creates consume a revocable ticket; without it `revoke` of an ADVANCE cannot rule out a late create

    def ensure_tenant(self, tenant: Tenant) -> str:
        """The cloud's id of the tenant's project, created if absent.  Idempotent by code; repeat it after AnswerLost."""
        ...

    def set_limits(self, tenant: Tenant, limits: Mapping[str, int]) -> None:
        """Set the native limits of the tenant's project to `limits` (registry units; a name not given is 0).  Idempotent."""
        ...

    def advance(self, wanted: Wanted, known: Facts, attempt: Attempt) -> Step:
        """One step towards an existing, built guest of `wanted`.  With one `known.ticket_id` any number of calls, at once or late,
        makes one guest.  Done when the cloud has built it; power and size thereafter are `act`'s.
        """
        ...

    def act(self, wanted: Wanted, known: Facts, attempt: Attempt) -> Step:
        """One step of `attempt.action` towards what `wanted` says (power, amounts, image; a restart or update counts once per
        generation).  Done at once if the cloud already shows it.

        An app that runs is restarted and updated by replacing its replicas a few at a time, with at most `replicas.surge` more than it
        has; a change of their size adds none.  Done, or a PermanentError, means that nothing of the surge is left in the cloud.
        """
        ...

    def remove(self, wanted: Wanted, known: Facts, attempt: Attempt) -> Step:
        """One step towards the absence of every guest and every ticket of this resource; what is not there counts as removed.
        With the action CLEAN: of the one guest or ticket that `known` names, and of no other.
        """
        ...

    def revoke(self, attempt: Attempt, known: Facts) -> Verdict:
        """Settle an attempt whose answer was lost: afterwards it can no longer take effect, or it has (Landed).

        `known` are the facts that the attempt was opened with.  Repeat it after AnswerLost or Waiting.  When `revocable` is False,
        Waiting for an ADVANCE means exactly: nothing is there now, a late create cannot be ruled out; the caller may close the
        attempt only if the sender is known dead and `bounds.late_s` have passed.
        """
        ...

    def observe(self, installation: str, resource_id: str = "") -> Iterator[Observed]:
        """The guests and tickets that carry the installation's tag, of any epoch; '' = all that the cloud holds, foreign ones too.
        With `resource_id`: those of one resource.  Whatever exists from the call's begin to its end is listed.
        """
        ...

    def events(self, cursor: str = "", limit: int = 1000) -> EventPage:
        """The cloud's record after `cursor` ('' = from its begin), oldest first; at most `limit` of them."""
        ...

    def capacity(self) -> Capacity:
        """All hosts with what they hold now."""
        ...
