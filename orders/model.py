"""An order, its lines and the decisions of persons on it."""

import dataclasses
import datetime
import enum
from collections.abc import Mapping
from typing import Any


class State(enum.StrEnum):
    """Submitted goes on at once, in the same transaction, to one of the first two."""

    WAITING_FOR_APPROVAL = "waiting_for_approval"
    DELIVERING = "delivering"  # approved, or no approval was needed
    DELIVERED = "delivered"
    PARTLY_DELIVERED = "partly_delivered"
    FAILED = "failed"
    REFUSED = "refused"  # a person's no
    WITHDRAWN = "withdrawn"
    ENDED = "ended"  # the deadline for a decision passed


class Outcome(enum.StrEnum):
    """How one line ended."""

    OPEN = "open"
    DELIVERED = "delivered"
    FAILED = "failed"


class Verdict(enum.StrEnum):
    """What a person said."""

    APPROVED = "approved"
    REFUSED = "refused"
    WITHDRAWN = "withdrawn"


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One wish: {action, kind, resource or null, spec}."""

    position: int  # 1 ..
    action: str  # create, resize, scale, update, start, stop, restart, delete, undelete, extend, move
    kind: str  # VirtualMachine, Volume, ContainerApp; Project of a move
    resource_id: str  # of a create: the id that the resource will have
    name: str
    spec: Mapping[str, Any]  # the plan: what will be made, with amounts, pool, zone, class
    outcome: Outcome = Outcome.OPEN
    reason: str = ""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """The head of an order."""

    id: str
    number: int  # 1, 2, 3 ... over the installation, in the order of commits
    tenant_id: str
    project_id: str
    state: State
    account_id: str
    person_id: str
    reason: str
    document_no: str  # the document number (文号) it rests on; may be ''
    monthly_micro: int  # price a month of what it adds, micro-yuan
    approval: tuple[str, ...]  # names of the rules that demand an approval
    submitted_at: datetime.datetime
    decide_by: datetime.datetime | None  # while waiting
    ended_at: datetime.datetime | None
    generation: int
    taker_id: str | None = None  # of a move: the tenant that takes, and whose approver decides


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """What a person decided; never altered."""

    order_id: str
    verdict: Verdict
    account_id: str
    person_id: str
    reason: str
    document_no: str
    decided_at: datetime.datetime


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """When an order needs an approval: any of the bounds passed by an order of the tenant or below it."""

    id: str
    name: str  # unique within the installation
    tenant_id: str
    actions: tuple[str, ...]  # () = all that add something
    kinds: tuple[str, ...]  # () = all
    service_classes: tuple[str, ...]  # () = no bound by class
    monthly_over_micro: int | None  # more than this price a month
    amounts_over: Mapping[str, int]  # more than this of a resource name
    deadline_h: int  # hours until an undecided order ends
    generation: int


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Weight:
    """What a rule looks at: what an order adds."""

    actions: frozenset[str]
    kinds: frozenset[str]
    service_classes: frozenset[str]
    monthly_micro: int
    amounts: Mapping[str, int]
