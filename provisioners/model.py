"""What the room knows: resources wanted and observed, attempts, worker processes, sweeps, quarantine.  Frozen records, pure.

What passes between the reconciler and a cloud is in `provisioners.contract`; this is what govpool itself remembers of it.
"""

import dataclasses
import datetime
import enum
from collections.abc import Mapping
from typing import Any, Final

from provisioners import contract

ID_PREFIX: Final[Mapping[str, str]] = {contract.VIRTUAL_MACHINE: "vm", contract.VOLUME: "vol", contract.CONTAINER_APP: "app"}
"""Prefix of the ids of each kind that can be ordered."""
NOUNS: Final[Mapping[str, str]] = {contract.VIRTUAL_MACHINE: "vm", contract.VOLUME: "volume", contract.CONTAINER_APP: "container"}
"""The command of each kind."""
KIND_OF_PREFIX: Final[Mapping[str, str]] = {prefix: kind for kind, prefix in ID_PREFIX.items()}


class State(enum.StrEnum):
    """What the department sees.  The last three are ends: the name is free again and nothing is held."""

    CREATING = "creating"  # wanted; the cloud has not delivered it yet
    RUNNING = "running"
    STOPPED = "stopped"
    CHANGING = "changing"  # delivered; a change of it is under way
    BIN = "bin"  # deleted, stopped, can be taken back until `bin_until_at`
    RELEASING = "releasing"  # being removed: quota and room are held until the cloud confirms absence
    LOST = "lost"  # the cloud no longer shows it, and nobody asked for that
    GONE = "gone"  # removed as asked
    FAILED = "failed"  # could not be created; nothing is left of it
    WRITTEN_OFF = "written_off"  # given up by two persons; its cloud never confirmed that it is gone


CLEAN: Final = "clean"
"""The action of an attempt that removes a stray: what it names was never handed to anyone."""
ENDED: Final = frozenset({State.GONE, State.FAILED, State.WRITTEN_OFF})


class Desired(enum.StrEnum):
    """What somebody wants of a resource."""

    UP = "up"
    BIN = "bin"
    DOWN = "down"


class Outcome(enum.StrEnum):
    """How an attempt was closed."""

    ANSWERED = "answered"  # facts, waiting or done
    REFUSED = "refused"  # an answer that is a no
    REVOKED = "revoked"  # its answer was lost; it did not take effect and never can
    LANDED = "landed"  # its answer was lost; it did take effect
    ABSENT = "absent"  # its answer was lost; its sender is done, the cloud's bound for late effects passed, and nothing is there


class FencedOutError(Exception):
    """Another holder has the resource: this one's writes no longer count.  What the cloud answered goes to the log; the sweep judges."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Fence:
    """The number that a holder must still hold for its writes to count; ordered by (epoch, n)."""

    epoch: int
    n: int


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Reason:
    """Why something did not come about: a stable code and one sentence for the department in each language."""

    code: str
    en: str
    zh: str


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class WantedResource:
    """A resource that an order brings into being.  Its quota and room are held under `resource_id` in the same transaction."""

    resource_id: str
    kind: str
    name: str  # unique per project and kind among the living
    tenant_id: str
    tenant: str  # code; the cloud's project is named after it
    project_id: str
    project: str  # code
    pool_id: str
    pool: str  # code
    zone: str
    service_class: str
    amounts: Mapping[str, int]  # registry units
    spec: Mapping[str, Any] = dataclasses.field(default_factory=dict)  # image, key, size, replicas ... as ordered
    labels: Mapping[str, str] = dataclasses.field(default_factory=dict)
    order_id: str = ""
    protected: bool = False  # deletion is refused until the protection is taken away
    end_at: datetime.datetime | None = None  # the end of its lease, whole seconds; None = open-ended


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Before:
    """What was wanted before the change that is under way: what a failed change falls back to."""

    amounts: Mapping[str, int]
    spec: Mapping[str, Any]
    power: contract.State
    surge: Mapping[str, int] = dataclasses.field(default_factory=dict)  # held beyond both sizes while replicas are replaced
    generation: int = 0  # that the change was given: a restart counts once for it, whatever labels are set meanwhile


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Resource:
    """One row: what is wanted, what is known, and who is at work on it."""

    id: str
    kind: str
    name: str
    tenant_id: str
    tenant: str
    project_id: str
    project: str
    pool_id: str
    pool: str
    zone: str
    service_class: str
    amounts: Mapping[str, int]
    spec: Mapping[str, Any]
    labels: Mapping[str, str]
    protected: bool
    # what is wanted
    desired: Desired
    power: contract.State  # RUNNING or STOPPED
    action: str  # of the change under way: start, stop, restart, resize, scale, update, delete, undelete; '' before the first
    generation: int  # grows with each change of what is wanted
    observed_generation: int  # the last generation that came to an end, good or bad
    before: Before | None
    order_id: str  # of the change under way; '' = none asked for it
    superseded: tuple[str, ...]  # orders whose change will not come about any more, because another came after them
    failing: bool  # its create was refused for good: it ends as FAILED
    # what is known
    state: State
    reason: Reason | None
    facts: contract.Facts
    facts_at: datetime.datetime | None  # when the cloud was last heard of it
    built: bool  # the cloud delivered it once
    limited: bool  # the cloud's native limit of the tenant was raised for what is wanted now
    disputed: bool  # a restore lost what happened to it; on no statement until accepted
    strays: tuple[contract.Facts, ...]  # found by the sweep, proven to be nobody's, to be removed
    look: bool  # the sweep missed it: look again before it is called lost
    # who is at work
    fence: Fence
    leased_by: str  # '' = nobody
    leased_until_at: datetime.datetime | None
    next_at: datetime.datetime | None  # when there is work; None = at rest
    failures: int  # temporary refusals in a row
    attempts_made: int
    usage_sequence: int
    usage_at: datetime.datetime | None
    # when
    bin_until_at: datetime.datetime | None
    created_at: datetime.datetime
    state_since_at: datetime.datetime
    ended_at: datetime.datetime | None
    # its lease (`provisioners.lease`)
    end_at: datetime.datetime | None = None  # when it is to end, whole seconds; None = open-ended
    end_told_at: datetime.datetime | None = None  # when the end was set, or its last notice given: notices up to here are past
    end_due_at: datetime.datetime | None = None  # when the clock looks at its lease next; None = never by itself
    end_reached_at: datetime.datetime | None = None  # when the end was carried out and told: the grace counts from here
    end_power: contract.State | None = None  # the power that its end took away, and that an extension gives back
    # where the cloud keeps it, None = with its tenant: a guest cannot change its project there, so it stays when it is moved to another tenant
    home_tenant_id: str | None = None
    home_tenant: str | None = None
    home_project: str | None = None

    @property
    def cloud_tenant_id(self) -> str:
        """The tenant whose project in the cloud it stands in, and whose native limits it counts on."""
        return self.home_tenant_id or self.tenant_id

    @property
    def cloud_tenant(self) -> str:
        """Its code."""
        return self.home_tenant or self.tenant

    @property
    def cloud_project(self) -> str:
        """The project's code as the cloud was told."""
        return self.home_project or self.project

    @property
    def pending(self) -> bool:
        """Whether a change of what is wanted has not come to an end."""
        return self.generation > self.observed_generation

    @property
    def ended(self) -> bool:
        """Whether nothing is held for it any more."""
        return self.state in ENDED


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """One call into a cloud, written before it is made.  At most one of a resource is open."""

    id: str
    resource_id: str
    number: int
    verb: contract.Verb
    action: str
    fence: Fence  # of the present holder, who may be another than the sender
    epoch: int  # in which it was sent
    worker_id: str  # the sender
    known: contract.Facts  # what it was opened with
    opened_at: datetime.datetime
    returned_at: datetime.datetime | None  # from here on the sender certainly sends nothing more under it
    closed_at: datetime.datetime | None
    outcome: str
    detail: str


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Worker:
    """A process that runs the reconciler, told apart from any other that ever had its pid."""

    id: str
    host: str  # id and name of the machine; '' if it has none
    boot: str  # boot id of the kernel
    pid_space: str  # pids mean something only within it
    pid: int
    started_ticks: int  # clock ticks between the boot and the start of the process
    threads: int
    started_at: datetime.datetime
    seen_at: datetime.datetime


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """What a sweep found in a cloud that no resource accounts for; waits for a person."""

    pool_id: str
    pool: str
    cloud_id: str  # of the guest, or of the ticket
    origin: str  # 'ours' carries our tag: quarantined; 'foreign' does not: reported
    kind: str
    name: str
    tenant: str
    resource_id: str
    epoch: int
    facts: contract.Facts
    why: str
    decision: str  # '', 'release' (leave it alone), 'delete', 'adopt'
    decided_by: str
    found_at: datetime.datetime
    seen_at: datetime.datetime


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Sweep:
    """One look at everything in one pool, and what came of it."""

    id: str
    pool_id: str
    pool: str
    started_at: datetime.datetime
    ended_at: datetime.datetime | None
    observed: int
    ours: int
    foreign: int
    drifted: int
    missing: int
    strays: int
    quarantined: int
    report_only: bool
    error: str
