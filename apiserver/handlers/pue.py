"""Routes of PUE and of the 15-minute ledger behind it."""

from typing import Annotated, Any

import msgspec

from apiserver import page, route
from control import pue

Moment = Annotated[str, msgspec.Meta(min_length=1, max_length=40, description="a date in Asia/Shanghai, or ISO 8601 with offset")]


class PeriodQuery(msgspec.Struct, forbid_unknown_fields=True, kw_only=True, rename={"from_": "from"}):
    """A half-open period of whole quarters of an hour."""

    from_: Moment
    to: Moment


class LedgerQuery(page.Query, kw_only=True, rename={"from_": "from"}):
    """A half-open period of whole quarters of an hour, in pages."""

    from_: Moment
    to: Moment


class Completeness(msgspec.Struct, kw_only=True):
    """Shares as text with 4 places, rounded down."""

    energy: str
    profile: str


class Reason(msgspec.Struct, kw_only=True):
    """Why the figure is not reportable."""

    code: str
    en: str
    zh: str


class Figure(msgspec.Struct, kw_only=True, rename={"from_": "from"}):
    """PUE of a hall over a period; `value` has 3 places and is null when refused."""

    hall: str
    from_: str
    to: str
    name: str
    interim: bool
    value: str | None
    category: int
    facility_wh: int
    it_wh: int
    intervals: int
    completeness: Completeness
    quality: dict[str, int]
    reportable: bool
    reasons: list[Reason]


class Quarter(msgspec.Struct, kw_only=True):
    """One quarter of an hour; a side is null where a meter of it has no energy."""

    start_at: str
    facility_wh: int | None
    it_wh: int | None
    quality: str
    ratio: str | None
    alarm: bool


def show_pue(tx: Any, call: route.Call) -> Any:
    """PUE of a hall: energy over energy of the intervals that both sides have, with the reasons why it is not reportable."""
    return pue.show_pue(tx, call.who, call.path["hall"], call.query.from_, call.query.to)


def list_ledger(tx: Any, call: route.Call) -> Any:
    """The energy ledger of a hall, quarter by quarter."""
    asked, key = call.query, page.after(call, str)
    rows = pue.list_ledger(
        tx, call.who, call.path["hall"], span=(asked.from_, asked.to), after=key[0] if key else "", limit=asked.limit + 1
    )
    return page.of(rows, call, lambda row: [row["start_at"]])


ROUTES = [
    route.read("GET", "/v1/halls/{hall}/pue", "pue.show", show_pue, query=PeriodQuery, answer=Figure),
    route.read("GET", "/v1/halls/{hall}/ledger", "pue.list", list_ledger, query=LedgerQuery, answer=page.Page[Quarter]),
]
