"""The lane outlives whatever its callers do: every one of them is answered, and the next is served."""

import concurrent.futures
import threading
from collections.abc import Iterator
from typing import Any

import pytest
import sqlalchemy as sa

from primitives import errors
from store import database as store_database
from store import engines, faults, tables, transaction
from store.transaction import Transaction

_ADD = sa.insert(tables.ANSWERS)


def add(tx: Transaction) -> str:
    """One row."""
    tx.execute(
        _ADD, account_id="acc-1", method="POST", path="/v1/x", key="k", request_hash="h", status=201, body="{}", etag=None, recorded_at=1
    )  # fmt: skip
    return "added"


def rows(database: store_database.Database) -> int:
    """How many rows there are."""
    return len(database.read(lambda tx: tx.execute(sa.select(tables.ANSWERS))))


def answered(future: "concurrent.futures.Future[Any]") -> BaseException | None:
    """What a caller hears; the limit only ends a test that hangs."""
    return future.exception(timeout=30)


def test_a_hint_that_fails_hurts_nobody(database: store_database.Database) -> None:
    gate = threading.Event()

    def hint() -> None:
        raise RuntimeError("the bell is broken")

    first = database.lane.submit(lambda tx: gate.wait(5))
    hurt = database.lane.submit(lambda tx: tx.after_commit.append(hint))
    neighbour = database.lane.submit(add)
    gate.set()
    assert [answered(one) for one in (first, hurt, neighbour)] == [None, None, None]
    assert rows(database) == 1


@pytest.mark.parametrize("raised", [SystemExit, KeyboardInterrupt, GeneratorExit])
def test_whatever_a_use_case_raises_is_its_own_callers(database: store_database.Database, raised: type[BaseException]) -> None:
    def leaves(tx: Transaction) -> None:
        add(tx)
        raise raised

    assert isinstance(answered(database.lane.submit(leaves)), raised)
    assert rows(database) == 0
    assert database.lane.run(add) == "added"


def test_a_use_case_that_waits_for_the_lane_hears_so_at_once(database: store_database.Database) -> None:
    heard = answered(database.lane.submit(lambda tx: database.lane.run(add)))
    assert isinstance(heard, RuntimeError)
    assert database.lane.run(add) == "added"


def test_a_caller_that_gave_up_before_its_turn_changes_nothing(database: store_database.Database) -> None:
    gate = threading.Event()
    database.lane.submit(lambda tx: gate.wait(5))
    given_up, neighbour = database.lane.submit(add), database.lane.submit(lambda tx: "served")
    assert given_up.cancel()
    gate.set()
    assert neighbour.result(timeout=30) == "served"
    assert rows(database) == 0


def test_all_who_wait_for_a_database_that_cannot_be_reached_hear_it(database: store_database.Database) -> None:
    gate, connect = threading.Event(), database.lane._connect  # a database that goes away

    def away() -> engines.Connection:
        raise faults.UNREACHABLE(reason="it is away")

    def breaks(tx: Transaction) -> None:
        gate.wait(5)
        tx._connection.close()
        tx.execute(_ADD)

    database.lane._connect = away
    broken = database.lane.submit(breaks)
    waiting = [database.lane.submit(add) for _ in range(100)]
    gate.set()
    heard = [answered(broken), *(answered(one) for one in waiting)]
    assert {error.code for error in heard if isinstance(error, errors.GovpoolError)} == {"lane.repeat"}
    assert None not in heard
    database.lane._connect = connect
    assert database.lane.run(add) == "added"


@pytest.fixture
def postgresql_url(request: pytest.FixtureRequest) -> Iterator[str]:
    """A fresh database on PostgreSQL."""
    cluster = request.getfixturevalue("cluster")
    url = cluster.fresh()
    yield url
    cluster.drop(url)


def test_a_process_that_stands_still_in_its_batch_loses_it_and_keeps_nobody_waiting(
    postgresql_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engines, "IDLE_S", 1)
    still, other = (store_database.open_database(postgresql_url) for _ in range(2))
    gate = threading.Event()

    def stands_still(tx: Transaction) -> str:
        made = add(tx)
        gate.wait(60)
        return made

    stopped = still.lane.submit(stands_still)
    while still.lane.backlog():
        gate.wait(0.01)
    assert other.lane.submit(add).result(timeout=30) == "added"
    gate.set()
    heard = answered(stopped)
    assert isinstance(heard, errors.GovpoolError)
    assert heard.code == "lane.repeat"
    assert rows(other) == 1
    for one in (still, other):
        one.close()


def test_a_connection_that_broke_while_nobody_wrote_costs_nobody_an_answer(postgresql_url: str) -> None:
    database, other = (store_database.open_database(postgresql_url) for _ in range(2))
    pid = database.lane.run(lambda tx: tx.execute(transaction.sql("SELECT pg_backend_pid() AS pid")))[0]["pid"]
    other.lane.run(lambda tx: tx.execute(transaction.sql("SELECT pg_terminate_backend(:pid, 10000)"), pid=pid))
    assert database.lane.run(add) == "added"
    for one in (database, other):
        one.close()


def test_a_failed_transaction_is_never_said_to_be_committed(postgresql_url: str) -> None:
    connection = store_database.connect(postgresql_url)
    connection.begin()
    with pytest.raises(Exception, match="zero"):
        connection.rows("SELECT 1 / 0", None)
    with pytest.raises(RuntimeError, match="ROLLBACK"):
        connection.commit()
    connection.close()


def test_a_commit_that_fails_is_answered_repeat_and_keeps_nothing(database: store_database.Database) -> None:
    def fails() -> None:
        raise OSError("the disk is full")

    def break_commit(tx: Transaction) -> str:
        monkey = pytest.MonkeyPatch()
        monkey.setattr(type(tx._connection), "commit", lambda connection: fails())
        undo.append(monkey)
        return add(tx)

    undo: list[pytest.MonkeyPatch] = []
    heard = answered(database.lane.submit(break_commit))
    undo[0].undo()
    assert isinstance(heard, errors.GovpoolError)
    assert heard.code == "lane.repeat"
    assert rows(database) == 0
    assert database.lane.run(add) == "added"
