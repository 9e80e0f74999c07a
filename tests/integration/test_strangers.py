"""Requests of nobody are counted per source and minute, and never fill the trail."""

import datetime
from collections.abc import Iterator

import pytest

from apiclient import failure
from control import strangers
from primitives import clock
from store import database as store_database
from tests.integration.tenants_server import City, serving


@pytest.fixture
def city(database: store_database.Database) -> Iterator[City]:
    """南海区, served."""
    with serving(database) as running:
        yield running
    clock.shift(datetime.timedelta(0))


def test_requests_without_a_valid_token_are_counted_and_not_chained(city: City, database: store_database.Database) -> None:
    counter = strangers.Counter()
    lines = len(city.audit.get("/v1/audit-lines")["items"])
    for token in ("", "gp_nonsense", "gp_" + "0" * 60):
        with pytest.raises(failure.ProblemError):
            city.client(token).get("/v1/whoami")
        counter.count("127.0.0.1")
    assert len(city.audit.get("/v1/audit-lines")["items"]) == lines
    minute = clock.to_us(clock.now()) // strangers.MINUTE_US * strangers.MINUTE_US
    assert counter.ended(minute - strangers.MINUTE_US) == [], "a minute is written when it has ended"
    rows = counter.ended(minute + strangers.MINUTE_US)
    assert sum(row["requests"] for row in rows) == 3
    for _ in range(2):
        database.lane.run(lambda tx: strangers.record(tx, rows))
    shown = list(city.audit.pages("/v1/stranger-requests", limit=1))
    assert {row["source"] for row in shown} == {"127.0.0.1"} and sum(row["requests"] for row in shown) == 6
    with pytest.raises(failure.ProblemError, match=r"role\.forbidden"):
        city.system.get("/v1/stranger-requests")


def test_a_flood_from_many_sources_stays_bounded() -> None:
    """The mutant: a row for each address that somebody makes up."""
    counter = strangers.Counter()
    for n in range(strangers.SOURCES_MAX + 500):
        counter.count(f"10.0.0.{n}")
    rows = counter.ended(2**62)
    assert len(rows) <= strangers.SOURCES_MAX + 2 and sum(row["requests"] for row in rows) == strangers.SOURCES_MAX + 500


def test_old_counts_are_forgotten(database: store_database.Database) -> None:
    old = clock.to_us(clock.now() - strangers.KEPT - datetime.timedelta(days=1))
    database.lane.run(lambda tx: strangers.record(tx, [{"source": "a", "minute_at": old, "requests": 1}]))
    database.lane.run(lambda tx: strangers.record(tx, [{"source": "b", "minute_at": clock.to_us(clock.now()), "requests": 1}]))
    assert [row["source"] for row in database.read(lambda tx: tx.execute(strangers._T.select()))] == ["b"]
