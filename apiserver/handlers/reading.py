"""Routes of readings: import, list, the newest, what the register rule did."""

from typing import Annotated, Any

import msgspec

from apiserver import page, route
from control import case, reading

Moment = Annotated[str, msgspec.Meta(max_length=40, description="ISO 8601 with offset, or a date in Asia/Shanghai")]


class SpanQuery(page.Query, kw_only=True, rename={"from_": "from"}):
    """A meter and a half-open span of time."""

    meter: Annotated[str, msgspec.Meta(min_length=1, max_length=63)]
    from_: Moment = ""
    to: Moment = ""


class ReadingQuery(SpanQuery, kw_only=True, rename={"from_": "from"}):
    """A register of a meter and a half-open span of time."""

    register: Annotated[str, msgspec.Meta(max_length=32, description="empty: the energy register")] = ""


class Reading(msgspec.Struct, kw_only=True):
    """One raw reading; `value` in the register's own unit, `source` an import id or 'poll'."""

    meter: str
    register: str
    read_at: str
    value: str
    source: str
    recorded_at: str


class Last(msgspec.Struct, kw_only=True):
    """The newest reading of a meter; `held` says that one is in quarantine."""

    meter: str
    hall: str
    register: str
    read_at: str
    value: str
    held: bool


class RegisterEvent(msgspec.Struct, kw_only=True):
    """What the rule did at a reading; `about_at` is since when, or which reading."""

    meter: str
    register: str
    read_at: str
    happening: str
    value: str
    about_at: str


class Report(msgspec.Struct, kw_only=True, rename={"from_": "from"}):
    """A complete import."""

    id: str
    readings: int
    meters: int
    from_: str
    to: str
    sha256: str


def list_readings(tx: Any, call: route.Call) -> Any:
    """Raw readings of a meter, oldest first."""
    asked = call.query
    rows = reading.list_readings(
        tx,
        call.who,
        asked.meter,
        register=asked.register,
        span=(asked.from_, asked.to),
        after=page.after(call, str, str),
        limit=asked.limit + 1,
    )
    return page.of(rows, call, lambda row: [row["read_at"], row["value"]])


def last_readings(tx: Any, call: route.Call) -> Any:
    """The newest reading of each meter."""
    return page.whole(reading.last_readings(tx, call.who), call, lambda row: [row["meter"]])


def list_events(tx: Any, call: route.Call) -> Any:
    """What the register rule did with a meter's readings: rollovers, quarantine, resets, swaps."""
    asked = call.query
    rows = reading.list_events(
        tx, call.who, asked.meter, span=(asked.from_, asked.to), after=page.after(call, str, str), limit=asked.limit + 1
    )
    return page.of(rows, call, lambda row: [row["read_at"], row["happening"]])


def import_readings(call: route.Call) -> case.Answer:
    """Import a CSV file `meter,register,read_at,value`, all or nothing."""
    return reading.import_readings(call.wiring, call.context, call.raw, dry_run=call.dry_run)


ROUTES = [
    route.read("GET", "/v1/readings", "reading.list", list_readings, query=ReadingQuery, answer=page.Page[Reading]),
    route.read("GET", "/v1/last-readings", "reading.last", last_readings, query=page.Query, answer=page.Page[Last]),
    route.read("GET", "/v1/register-events", "reading.events", list_events, query=SpanQuery, answer=page.Page[RegisterEvent]),
    route.work(
        "POST", "/v1/reading-imports", "reading.import", import_readings, raw="text/csv", limit=32 << 20, answer=Report, status=201
    ),
]
