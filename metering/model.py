"""What metering speaks of: usage events, the intervals they make, prices, and the lines of a statement.  Frozen records, no logic.

Amounts are in registry units (cpu_milli, ram_mib, disk_gib, gpus ...), use in registry unit x seconds, money in integer micro-yuan.
"""

import dataclasses
import datetime
import enum
from collections.abc import Mapping
from typing import Any, Final

from primitives import clock, interval, money

AMOUNT_BOUND: Final = 10**9
"""No resource holds more of one name: a million vCPU, a petabyte of memory, an exabyte of disk."""
SEQUENCE_BOUND: Final = 10**15
FREE_UNLESS_PRICED: Final = frozenset({"instances", "pods"})
"""Counts of guests: what a book gives for nothing if it says no more about them.  Hardware always needs a price."""


class State(enum.StrEnum):
    """What a resource is from the time of an event on."""

    RUNNING = "running"
    STOPPED = "stopped"
    DELETED = "deleted"


class Standing(enum.StrEnum):
    """Where a statement stands, in the words of FOCUS 1.4."""

    OPEN = "Open"
    ISSUED = "Issued"


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class UsageEvent:
    """The whole state of one resource from `at` on.  `source` + `id` name the event for ever."""

    id: str
    source: str
    subject: str  # the resource's id; one that govpool does not know is a usage-only resource
    at: datetime.datetime
    tenant: str  # code, never used again
    project: str  # code, unique in the tenant
    kind: str
    state: State
    amounts: Mapping[str, int]
    sequence: int = 0
    dimensions: Mapping[str, str] = dataclasses.field(default_factory=dict)  # pool, zone, class, hall
    labels: Mapping[str, str] = dataclasses.field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        """The event in the public format; what its digest is taken over, so equal instants and any key order are equal content."""
        return {
            "specversion": "1.0",
            "id": self.id,
            "source": self.source,
            "type": "govpool.usage.state",
            "subject": self.subject,
            "time": clock.text(self.at),
            "sequence": self.sequence,
            "data": {
                "tenant": self.tenant,
                "project": self.project,
                "kind": self.kind,
                "state": self.state.value,
                "amounts": dict(self.amounts),
                "dimensions": dict(self.dimensions),
                "labels": dict(self.labels),
            },
        }


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class UsageInterval:
    """One resource in one unchanging state during `span`, whose ends are whole seconds.  `amounts` holds no zeros."""

    resource: str
    tenant: str
    project: str
    kind: str
    state: State
    amounts: Mapping[str, int]
    dimensions: Mapping[str, str]
    span: interval.Interval


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Price:
    """The price of one amount name of one kind of resource.  `micro` is micro-yuan per priced unit and hour."""

    sku: str
    kind: str
    name: str  # registry name: cpu_milli, disk_gib.ssd ...
    service_class: str = ""  # '' = every class that has no price of its own
    unit: str  # as shown: vCPU-Hours, GiB-Hours
    micro: int
    states: frozenset[State] = frozenset({State.RUNNING})


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class PriceBook:
    """All prices from `valid_from` until a later book starts.  Its name is the price version on every line it prices."""

    name: str
    generation: int
    valid_from: datetime.datetime  # a whole second
    recorded_at: datetime.datetime  # of two books with one valid_from the later recorded holds
    prices: tuple[Price, ...]
    free: frozenset[str] = FREE_UNLESS_PRICED  # amount names that cost nothing unless they have a price


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """What one resource cost under one SKU and price version.  `end_at` is never later than what is known."""

    tenant: str
    project: str
    resource: str
    kind: str
    sku: str
    unit: str
    unit_seconds: int  # registry unit x seconds
    unit_price_micro: int  # per priced unit and hour
    price_version: str
    start_at: datetime.datetime  # of the first and
    end_at: datetime.datetime  # the last second charged; between them it may have rested
    amount_micro: int  # whole fen

    def as_json(self) -> dict[str, Any]:
        """The line as statements show it; what their digest is taken over."""
        return {
            "resource": self.resource,
            "project": self.project,
            "kind": self.kind,
            "sku": self.sku,
            "unit": self.unit,
            "unit_seconds": self.unit_seconds,
            "unit_price": money.price_text(self.unit_price_micro),
            "price_version": self.price_version,
            "start_at": clock.text(self.start_at),
            "end_at": clock.text(self.end_at),
            "amount": money.text(self.amount_micro),
        }


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Unpriced:
    """Use for which no price was in force: never a silent zero."""

    resource: str
    kind: str
    name: str
    service_class: str
    at: datetime.datetime


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Rating:
    """Usage with its prices: the lines, and what could not be priced."""

    lines: tuple[Line, ...]
    unpriced: tuple[Unpriced, ...]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class MonthlyPrice:
    """What something costs in a month of 730 hours."""

    monthly_micro: int  # whole fen; the sum of the lines
    price_version: str
    lines: tuple["MonthlyLine", ...]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class MonthlyLine:
    """One SKU of a monthly price.  `units` are registry units."""

    sku: str
    unit: str
    units: int
    unit_price_micro: int
    amount_micro: int


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Statement:
    """One department's month.  Path, name and payer are those of the month and never follow later changes."""

    id: str
    month: str
    tenant_id: str
    tenant: str
    path: tuple[str, ...]  # codes, root first
    path_ids: tuple[str, ...]
    name: str
    payer_id: str
    lines: int
    total_micro: int
    digest: str  # of its lines
    state: Standing
    issued_at: datetime.datetime | None = None
    issued_by: str = ""  # person


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Close:
    """One closing of a month: what was known at `cut_at`, without what was in dispute."""

    id: str
    month: str
    person_id: str
    cut_at: datetime.datetime
    excluded: frozenset[str]
    digest: str = ""
    lines: int = 0
    done: int = 0
    completed_at: datetime.datetime | None = None


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class LateEvent:
    """An event that became known after the statement of its month was issued."""

    event: UsageEvent
    counted_at: datetime.datetime
    statement_id: str
