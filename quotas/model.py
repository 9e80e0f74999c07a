"""What the room knows: grants and how they stand, reservations, breaches.  Frozen records; amounts are integers in the unit of their name."""

import dataclasses
import datetime
import enum
from collections.abc import Mapping, Sequence
from typing import Final

from primitives import quantity

UNLIMITED: Final = quantity.BOUND
"""A grant of this size is `unlimited`; only the root may have it."""


class State(enum.StrEnum):
    """Life of a reservation: held, then confirmed once the cloud shows the resource.  A released one is gone."""

    RESERVED = "reserved"
    CONFIRMED = "confirmed"


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Grant:
    """What a parent allows a tenant to hold of one name."""

    granted: int
    lending_limit: int | None = None  # most that others may draw from what is unused here; None: all, nothing is kept
    borrowing_limit: int = 0  # most that may be drawn beyond the own quota, from what others leave unused


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """How one tenant stands for one name."""

    tenant_id: str
    name: str
    granted: int
    lending_limit: int | None
    borrowing_limit: int
    subtree_quota: int  # granted less all that descendants keep for themselves
    local_quota: int  # the part of it that is kept for this subtree alone
    drawn: int  # held here (reserved and confirmed), plus what children drew from here
    over_by: int  # how far an allowed excess still reaches over the limit
    generation: int  # of the grant; 0 = never granted

    @property
    def limit(self) -> int:
        """The most that `drawn` may reach by a reservation."""
        return self.subtree_quota + self.borrowing_limit

    @property
    def risen(self) -> int:
        """What the parent covers of `drawn`."""
        return max(0, self.drawn - self.local_quota)

    @property
    def borrowed(self) -> int:
        """What is drawn beyond the own quota: -T(x), where that is positive."""
        return max(0, self.drawn - self.subtree_quota)

    @property
    def idle(self) -> int:
        """What is left to others right now."""
        left = max(0, self.subtree_quota - self.drawn)
        return left if self.lending_limit is None else min(self.lending_limit, left)

    @property
    def grant(self) -> Grant:
        """The part that somebody above decided."""
        return Grant(granted=self.granted, lending_limit=self.lending_limit, borrowing_limit=self.borrowing_limit)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Explained:
    """A standing with what follows for it from those around it.  docs/explanation/quotas.md says each number in words."""

    standing: Standing
    available: int  # the most that could be reserved here right now, with every level above considered
    promised: int  # sum of the grants right below
    lent: int  # units of its own quota that others use now
    borrowable: int  # the part of `available` that would go beyond its own quota
    lenders: Mapping[str, int]  # tenant -> what it lends now, for those who lend where this tenant borrows; {} if it does not


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Breach:
    """One level at which a request does not fit."""

    tenant_id: str
    tenant: str  # code
    name: str
    asked: int  # what this level would have to cover
    used: int
    limit: int

    @property
    def short_by(self) -> int:
        """How much is missing."""
        return self.used + self.asked - self.limit


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Reservation:
    """Units that one resource holds at one tenant, from its order until the cloud has confirmed its absence."""

    holder: str
    tenant_id: str
    state: State
    expires_at: datetime.datetime | None  # None: held until it is confirmed or released
    amounts: Mapping[str, int]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """A stored number that does not follow from grants and reservations: a defect, or a hand in the database."""

    tenant_id: str
    name: str
    column: str
    stored: int
    derived: int


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Recall:
    """A lender that wants its own back.  Its lending limit falls with what borrowers give back, until it is at `lending_target`."""

    id: str
    tenant_id: str
    name: str
    amount: int  # asked for: `lent_before` less `lending_target`
    lent_before: int  # used by others when it began
    lending_before: int | None  # the lending limit when it began; None: all
    lending_target: int
    reason: str
    started_at: datetime.datetime
    due_at: datetime.datetime  # by when borrowers were asked to give back
    reminded_at: datetime.datetime | None  # when operators were told that it is overdue
    ended_at: datetime.datetime | None
    outcome: str  # '' while it goes on, 'returned' when all is back, 'ended' by a person
    came_back: int  # of `amount`, when it ended; 0 before


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Holding:
    """What one reservation of a borrower takes beyond the borrower's own quota."""

    holder: str
    tenant_id: str
    borrowed: int
    amount: int  # all that it holds of the name


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Coming:
    """Units that a waiting move will bring: they come on top at `branch` (leaf first, below the nearest common ancestor)."""

    branch: Sequence[str]
    name: str
    amount: int
    order_id: str = ""
