"""The lane and transactions on both databases: group commit, savepoints, refusals, lost connections, one true order."""

import concurrent.futures
import datetime
import pathlib
import threading
from collections.abc import Callable

import pytest
import sqlalchemy as sa

from primitives import clock, errors, ids
from store import columns, engines, faults, idempotency, installation, schema, tables, transaction
from store import database as store_database

_ADD = sa.insert(tables.ANSWERS)
_COUNT = sa.select(sa.func.count().label("n")).select_from(tables.ANSWERS)


def _row(key: str) -> dict[str, object]:
    return {
        "account_id": "acc-1", "method": "POST", "path": "/v1/x", "key": key, "request_hash": "h",
        "status": 201, "body": "{}", "etag": None, "recorded_at": 1,
    }  # fmt: skip


def _add(key: str) -> Callable[[transaction.Transaction], None]:
    def use_case(tx: transaction.Transaction) -> None:
        tx.execute(_ADD, **_row(key))

    return use_case


def _count(database: store_database.Database) -> int:
    return int(database.read(lambda tx: tx.execute(_COUNT))[0]["n"])


def test_a_refused_use_case_leaves_nothing_and_its_neighbours_stay(database: store_database.Database) -> None:
    def refuse(tx: transaction.Transaction) -> None:
        tx.execute(_ADD, **_row("refused"))
        raise errors.INVALID(field="x", reason="no")

    futures = [database.lane.submit(_add(f"k{n}")) for n in range(20)]
    refused = database.lane.submit(refuse)
    for future in futures:
        future.result()
    with pytest.raises(errors.GovpoolError):
        refused.result()
    assert _count(database) == 20


def test_the_refusal_is_recorded_in_a_savepoint_of_its_own(database: store_database.Database) -> None:
    def refuse(tx: transaction.Transaction) -> None:
        tx.execute(_ADD, **_row("refused"))
        raise errors.INVALID(field="x", reason="no")

    with pytest.raises(errors.GovpoolError) as caught:
        database.lane.run(refuse, lambda tx, error: _add("audit")(tx))
    assert caught.value.code == "input.invalid"
    assert database.read(lambda tx: tx.execute(sa.select(tables.ANSWERS.c.key))) == [{"key": "audit"}]


def test_a_refusal_that_cannot_be_recorded_is_answered_audit_unavailable(database: store_database.Database) -> None:
    def refuse(tx: transaction.Transaction) -> None:
        raise errors.INVALID(field="x", reason="no")

    def broken(tx: transaction.Transaction, error: BaseException) -> None:
        raise RuntimeError("the trail is full")

    with pytest.raises(errors.GovpoolError) as caught:
        database.lane.run(refuse, broken)
    assert caught.value.code == "audit.unavailable"
    database.lane.run(_add("after"))
    assert _count(database) == 1


def test_a_database_error_undoes_only_its_own_use_case(database: store_database.Database) -> None:
    database.lane.run(_add("one"))
    twice = database.lane.submit(_add("one"))
    other = database.lane.submit(_add("two"))
    with pytest.raises(Exception, match=r"(UNIQUE|unique|duplicate)"):
        twice.result()
    other.result()
    assert _count(database) == 2


def test_callers_of_many_threads_are_all_answered_after_the_commit(database: store_database.Database) -> None:
    def caller(number: int) -> int:
        database.lane.run(_add(f"k{number}"))
        return _count(database)

    with concurrent.futures.ThreadPoolExecutor(16) as pool:
        seen = list(pool.map(caller, range(100)))
    assert _count(database) == 100
    assert all(count >= 1 for count in seen)


def test_a_killed_connection_is_answered_repeat_and_the_lane_goes_on(database: store_database.Database) -> None:
    def kill_own_connection(tx: transaction.Transaction) -> None:
        tx.execute(_ADD, **_row("lost"))
        if tx.dialect == engines.POSTGRESQL:
            tx.execute(transaction.sql("SELECT pg_terminate_backend(pg_backend_pid())"))
        else:
            tx._connection.close()

    with pytest.raises(errors.GovpoolError) as caught:
        database.lane.run(kill_own_connection)
    assert caught.value.code == "lane.repeat"
    database.lane.run(_add("after"))
    assert _count(database) == 1


def test_a_list_parameter_finds_its_members(database: store_database.Database) -> None:
    database.lane.run(lambda tx: tx.many(_ADD, [_row(f"k{n}") for n in range(5)]))
    statement = sa.select(tables.ANSWERS.c.key).where(columns.among(tables.ANSWERS.c.key, "keys")).order_by(tables.ANSWERS.c.key)
    assert [row["key"] for row in database.read(lambda tx: tx.execute(statement, keys=["k1", "k3", "k9"]))] == ["k1", "k3"]
    assert database.read(lambda tx: tx.execute(statement, keys=[])) == []


def test_reads_cannot_write(database: store_database.Database) -> None:
    with pytest.raises(Exception, match=r"(readonly|read-only)"):
        database.read(_add("x"))


def test_the_time_of_a_use_case_follows_the_offset_of_tests(database: store_database.Database) -> None:
    plain = database.lane.run(lambda tx: tx.now())
    clock.shift(datetime.timedelta(days=40))
    try:
        shifted = database.lane.run(lambda tx: tx.now())
    finally:
        clock.shift(datetime.timedelta(0))
    assert datetime.timedelta(days=39) < shifted - plain < datetime.timedelta(days=41)


def test_same_key_same_request_gets_the_first_answer_and_another_is_refused(database: store_database.Database) -> None:
    request = idempotency.Request("acc-1", "POST", "/v1/orders", "k", "hash-a")
    database.lane.run(lambda tx: idempotency.keep(tx, request, idempotency.Stored(202, {"名": "税务局"}, "3"), secret=False))
    assert database.read(lambda tx: idempotency.recall(tx, request)) == idempotency.Stored(202, {"名": "税务局"}, "3")
    other = idempotency.Request("acc-1", "POST", "/v1/orders", "k", "hash-b")
    with pytest.raises(errors.GovpoolError) as caught:
        database.read(lambda tx: idempotency.recall(tx, other))
    assert caught.value.code == "idempotency.conflict"
    assert (
        database.read(lambda tx: idempotency.recall(tx, idempotency.Request("acc-2", "POST", "/v1/orders", "k", "hash-b"))) is None
    )


def test_an_answer_with_a_secret_is_never_given_twice(database: store_database.Database) -> None:
    request = idempotency.Request("acc-1", "POST", "/v1/tokens", "k", "h")
    database.lane.run(lambda tx: idempotency.keep(tx, request, idempotency.Stored(201, {"token": "gp_secret"}, None), secret=True))
    with pytest.raises(errors.GovpoolError) as caught:
        database.read(lambda tx: idempotency.recall(tx, request))
    assert caught.value.code == "secret.shown"
    assert database.read(lambda tx: tx.execute(sa.select(tables.ANSWERS.c.body))) == [{"body": None}]


def test_a_restore_raises_the_epoch_until_accepted(database: store_database.Database) -> None:
    first = database.lane.run(installation.create)
    assert ids.is_id(first.id, "inst")
    raised = database.lane.run(installation.raise_epoch)
    assert (raised.epoch, raised.accepted) == (2, False)
    database.lane.run(installation.accept)
    assert database.read(installation.get).accepted


def test_a_second_process_may_not_own_the_same_file(tmp_path: pathlib.Path) -> None:
    url = f"sqlite://{tmp_path}/one.db"
    first = store_database.open_database(url)
    with pytest.raises(errors.GovpoolError) as caught:
        store_database.open_database(url)
    assert caught.value.code == "store.locked"
    first.close()
    store_database.open_database(url).close()


def test_nobody_else_may_read_the_file(tmp_path: pathlib.Path) -> None:
    opened = store_database.open_database(f"sqlite://{tmp_path}/one.db")
    opened.lane.run(lambda tx: tx.execute(transaction.sql("CREATE TABLE x (y INTEGER) STRICT")))
    assert {path.name: path.stat().st_mode & 0o777 for path in tmp_path.iterdir()} == dict.fromkeys(
        ("one.db", "one.db-wal", "one.db-shm", "one.db.lock"), 0o600
    )
    opened.close()


def test_replace_into_cannot_pass_an_append_only_trigger(tmp_path: pathlib.Path) -> None:
    """REPLACE deletes without a DELETE trigger unless recursive_triggers is on: it is one of the settings checked at each connect."""
    connection = store_database.connect(f"sqlite://{tmp_path}/one.db")
    connection.rows("CREATE TABLE trail (id INTEGER PRIMARY KEY, x TEXT) STRICT", {})
    connection.rows("CREATE TRIGGER trail_no_delete BEFORE DELETE ON trail BEGIN SELECT RAISE(ABORT, 'forbidden'); END", {})
    connection.rows("INSERT INTO trail VALUES (1, 'a')", {})
    with pytest.raises(Exception, match="forbidden"):
        connection.rows("REPLACE INTO trail VALUES (1, 'b')", {})
    connection.close()


def test_a_stopping_lane_finishes_its_queue_and_then_refuses(tmp_path: pathlib.Path) -> None:
    url = f"sqlite://{tmp_path}/one.db"
    connection = store_database.connect(url)
    schema.create_all(connection)
    connection.close()
    opened = store_database.open_database(url)
    gate = threading.Event()
    opened.lane.submit(lambda tx: gate.wait(5))
    queued = [opened.lane.submit(_add(f"k{n}")) for n in range(5)]
    closing = threading.Thread(target=opened.close)
    closing.start()
    gate.set()
    closing.join()
    assert all(future.done() for future in queued)
    with pytest.raises(errors.GovpoolError) as caught:
        opened.lane.submit(lambda tx: None)
    assert caught.value.code == faults.CLOSED.code
