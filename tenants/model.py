"""What the room knows: tenants with their dated facts, projects, people and accounts, roles bound at a node, and who is asking.

Frozen records only; imports nothing but the standard library.
"""

import dataclasses
import datetime
import enum


class Role(enum.StrEnum):
    """What an account may be at a node and below it; the order is the order in which a decision looks for one that allows."""

    REQUESTER = "requester"
    APPROVER = "approver"
    OPERATOR = "operator"
    FINANCE = "finance"
    VIEWER = "viewer"
    SYSTEM_ADMIN = "system_admin"
    SECURITY_ADMIN = "security_admin"
    AUDIT_ADMIN = "audit_admin"


class State(enum.StrEnum):
    """Life of a tenant: frozen can be undone, closing only waits until nothing of it is left, closed is for ever."""

    ACTIVE = "active"
    FROZEN = "frozen"
    CLOSING = "closing"
    CLOSED = "closed"


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Tenant:
    """An authority or a department as it stands now.  `parent_id` is '' at the root; `payer_id` is its own id unless
    another pays.
    """

    id: str
    code: str
    parent_id: str
    name: str
    payer_id: str
    budget_unit: str  # code of the budget unit at the finance bureau; '' when it has none
    credit_code: str  # unified social credit code, GB 32100; '' when it has none
    protection_level: int  # graded protection (dengbao), 1 to 4
    state: State
    generation: int
    created_at: datetime.datetime


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Merge:
    """A tenant that becomes, or became, part of another; `terms` are what the two persons agreed to, canonical JSON."""

    tenant_id: str
    into_id: str
    terms: str
    asked_by: str  # person
    asked_at: datetime.datetime
    merged_at: datetime.datetime | None  # None while it waits for the second person


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a tenant stood at one moment, what it was called and who paid.  Statements keep this of their month."""

    tenant_id: str
    path_ids: tuple[str, ...]  # root first, the tenant last
    path: tuple[str, ...]  # codes, root first
    names: tuple[str, ...]  # names of that moment, root first
    payer_id: str

    @property
    def name(self) -> str:
        """The tenant's own name of that moment."""
        return self.names[-1]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """A tenant met on a walk through the dated tree: `level` steps away during [start_us, end_us)."""

    tenant_id: str
    level: int
    start_us: int
    end_us: int


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Project:
    """A piece of work of one tenant; everything ordered belongs to one.  `code` is unique in its tenant."""

    id: str
    tenant_id: str
    code: str
    name: str
    generation: int
    created_at: datetime.datetime


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """A human being.  `name` and `contact` are personal data: never in the trail, never shown to a viewer."""

    id: str
    name: str
    contact: str
    salt: str = dataclasses.field(repr=False)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """What signs in.  A service account serves a program: a person answers for it, and it belongs to one tenant."""

    id: str
    code: str  # unique over the installation, never used again
    kind: str  # 'person' | 'service'
    person_id: str
    tenant_id: str  # home; a service account can hold roles only there and below
    disabled: bool
    generation: int


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Binding:
    """A role of an account at a node, valid there and below."""

    role: Role
    tenant_id: str


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Token:
    """A token as a list may show it: everything but the secret, of which only the SHA-256 is kept."""

    id: str
    account_id: str
    created_at: datetime.datetime
    used_at: datetime.datetime  # to the hour: each use would otherwise be a write
    expires_at: datetime.datetime
    revoked_at: datetime.datetime | None


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Principal:
    """Who is asking: one account of one person, with the roles that count now."""

    account_id: str
    account: str
    kind: str
    person_id: str
    person_name: str
    tenant_id: str
    token_id: str
    needs_renewal: bool  # the token was not seen for an hour: `service.renew` should run on the lane
    bindings: tuple[Binding, ...]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Permit:
    """The yes to a question: under which role and rule ('operator.grant.set'), for which tenant."""

    role: str
    rule: str
    tenant_id: str


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Scope:
    """The tenants that a list may speak of.  `everything` needs no filter (and leaves `tenant_ids` empty)."""

    tenant_ids: tuple[str, ...]
    everything: bool
