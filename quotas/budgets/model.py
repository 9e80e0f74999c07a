"""What the room knows of money.  Frozen records; amounts are integer micro-yuan.

In the words of public finance: what a year is given is its appropriation; what is ordered and not yet used is an encumbrance; what was used and
metered is an expense; what a finished year left may be carried over.
"""

import dataclasses
import datetime
import enum
from collections.abc import Mapping
from typing import Final

from primitives import quantity

YEARS: Final = range(2000, 2101)
MONTHLY_BOUND_MICRO: Final = 10**13
"""No single resource costs more than ten million yuan a month; so no year of one comes near the bound of an amount."""
AMOUNT_BOUND_MICRO: Final = quantity.BOUND


class Basis(enum.StrEnum):
    """What a threshold is a percentage of the money of the year of."""

    ACTUAL = "actual"  # spent
    COMMITTED = "committed"  # spent and encumbered
    FORECAST = "forecast"  # expected to be spent by the end of the year


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Threshold:
    """Tell when this much of the money of the year is reached.  `percent` 1 .. 1000."""

    basis: Basis
    percent: int

    def __str__(self) -> str:
        return f"{self.basis}:{self.percent}"


DEFAULT_THRESHOLDS: Final = (Threshold(basis=Basis.COMMITTED, percent=80), Threshold(basis=Basis.COMMITTED, percent=100))


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """What finance decides for one tenant and everything below it in one year."""

    appropriated_micro: int
    carried_over_micro: int = 0
    hard: bool = True
    thresholds: tuple[Threshold, ...] = DEFAULT_THRESHOLDS


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """A budget and how it stands."""

    tenant_id: str
    year: int
    budget: Budget
    told: tuple[Threshold, ...]
    encumbered_micro: int
    spent_micro: int
    over_micro: int
    generation: int

    @property
    def limit_micro(self) -> int:
        """All the money of the year."""
        return self.budget.appropriated_micro + self.budget.carried_over_micro

    @property
    def committed_micro(self) -> int:
        """What is spent or encumbered."""
        return self.spent_micro + self.encumbered_micro

    @property
    def left_micro(self) -> int:
        """What may still be ordered; 0 while it is over."""
        return max(0, self.limit_micro - self.committed_micro)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Hold:
    """Money held for one resource from `start_at` to `end_at`, within one year, at one price."""

    holder: str
    number: int
    tenant_id: str
    year: int
    monthly_micro: int
    start_at: datetime.datetime
    end_at: datetime.datetime
    open_ended: bool
    amount_micro: int


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """A resource that money is to be held for, from now to its end."""

    holder: str
    monthly_micro: int
    end_at: datetime.datetime | None = None  # None: open-ended


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Breach:
    """One level at which the money does not suffice."""

    tenant_id: str
    tenant: str  # code
    year: int
    asked_micro: int
    spent_micro: int
    encumbered_micro: int
    appropriated_micro: int  # with what was carried over

    @property
    def short_by_micro(self) -> int:
        """How much is missing."""
        return self.asked_micro + self.spent_micro + self.encumbered_micro - self.appropriated_micro


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Crossing:
    """A threshold that was reached and is to be told now."""

    tenant_id: str
    year: int
    threshold: Threshold
    amount_micro: int
    limit_micro: int


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Expense:
    """What one month of one tenant cost, and where it counts."""

    amount_micro: int
    node_ids: tuple[str, ...]  # the tenant and everyone above it in that month


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Settlement:
    """The use of some tenants up to `at`, rated: what becomes expense.  Holders in `unsettled` stay encumbered, their use is not known so far."""

    at: datetime.datetime
    expenses: Mapping[str, Mapping[str, Expense]]  # tenant id -> month -> expense; only these months are written again
    unsettled: frozenset[str] = frozenset()


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Forecast:
    """What the year is expected to cost, and how well such a forecast has done."""

    at_year_end_micro: int
    error_percent: int | None  # None: not known yet, fewer than two whole months behind
    runs_out_on: datetime.date | None  # None: not within the year


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """Money that comes to or goes from one level in one year."""

    encumbered_micro: int = 0
    spent_micro: int = 0

    def __add__(self, other: "Change") -> "Change":
        return Change(
            encumbered_micro=self.encumbered_micro + other.encumbered_micro, spent_micro=self.spent_micro + other.spent_micro
        )

    def __neg__(self) -> "Change":
        return Change(encumbered_micro=-self.encumbered_micro, spent_micro=-self.spent_micro)

    def __bool__(self) -> bool:
        return bool(self.encumbered_micro or self.spent_micro)
