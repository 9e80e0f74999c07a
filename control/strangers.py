"""Requests without a valid principal: counted per source and minute, not chained, so that nobody can fill the trail from outside.

The API counts in memory; a service writes the counts of ended minutes.  A crash loses at most the counts of a minute.
"""

import collections
import datetime
import threading
from typing import Any, Final

import sqlalchemy as sa

from control import access, services, tables
from primitives import clock
from store import database as store_database
from store.transaction import Transaction, sql
from tenants import model as tenants_model

EVERY_S: Final = 20
SOURCES_MAX: Final = 1000
"""Distinct sources of one minute; what comes from more is counted together under 'others'."""
KEPT: Final = datetime.timedelta(days=180)
MINUTE_US: Final = 60_000_000

_T: Final = tables.STRANGERS
_ADD: Final = sql(
    "INSERT INTO stranger_requests (source, minute_at, requests) VALUES (:source, :minute_at, :requests)"
    " ON CONFLICT (source, minute_at) DO UPDATE SET requests = stranger_requests.requests + excluded.requests"
)
_FORGET: Final = sa.delete(_T).where(_T.c.minute_at < sa.bindparam("before"))
_LIST: Final = (
    sa.select(_T)
    .where(
        sa.or_(
            _T.c.minute_at < sa.bindparam("minute_at"),
            sa.and_(_T.c.minute_at == sa.bindparam("minute_at"), _T.c.source > sa.bindparam("source")),
        )
    )
    .order_by(_T.c.minute_at.desc(), _T.c.source)
    .limit(sa.bindparam("count"))
)


class Counter:
    """Counts of this process.  Thread-safe."""

    def __init__(self) -> None:
        self._counts: collections.Counter[tuple[str, int]] = collections.Counter()
        self._guard = threading.Lock()

    def count(self, source: str) -> None:
        """One more request of nobody."""
        minute = clock.to_us(clock.now()) // MINUTE_US * MINUTE_US
        with self._guard:
            known = (source, minute) in self._counts or len(self._counts) < SOURCES_MAX
            self._counts[source[:100] if known else "others", minute] += 1

    def ended(self, before_us: int) -> list[dict[str, Any]]:
        """Take the counts of minutes that began before `before_us` out of the memory."""
        with self._guard:
            keys = sorted(key for key in self._counts if key[1] < before_us)
            return [{"source": key[0], "minute_at": key[1], "requests": self._counts.pop(key)} for key in keys]


def service(database: store_database.Database, counter: Counter) -> services.Service:
    """The service that writes the counts of ended minutes."""

    def work() -> bool:
        rows = counter.ended(clock.to_us(clock.now()) // MINUTE_US * MINUTE_US)
        if rows:
            database.lane.run(lambda tx: record(tx, rows))
        return False

    return services.Loop("strangers", work, EVERY_S)


def record(tx: Transaction, rows: list[dict[str, Any]]) -> None:
    """Add counts to what is stored, and forget what is older than 180 days."""
    tx.many(_ADD, rows)
    tx.execute(_FORGET, before=clock.to_us(tx.now() - KEPT))


def listed(
    tx: Transaction, who: tenants_model.Principal, *, after: tuple[int, str] | None = None, limit: int = 100
) -> list[dict[str, Any]]:
    """Counts by minute, newest first, for those who read the whole trail.  `after` is the (minute, source) of the page before."""
    access.require(tx, who, "list", "audit", tenant_id=None)
    minute_at, source = after or (2**62, "")
    return tx.execute(_LIST, minute_at=minute_at, source=source, count=limit)
