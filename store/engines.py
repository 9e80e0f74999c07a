"""The two databases behind one small interface: connections that run compiled text and settle their own settings.

SQLAlchemy compiles (`store.transaction`); the driver's own connection runs (12 to 14 times less CPU, measured before the design).
"""

import contextlib
import json
import os
import pathlib
import sqlite3
from collections.abc import Mapping, Sequence
from typing import Any, Final, Protocol

from sqlalchemy import engine
from sqlalchemy.dialects import postgresql, sqlite

from primitives import clock
from store import faults

SQLITE: Final = "sqlite"
POSTGRESQL: Final = "postgresql"
DIALECTS: Final[dict[str, engine.Dialect]] = {
    SQLITE: sqlite.dialect(paramstyle="named"),
    POSTGRESQL: postgresql.dialect(paramstyle="pyformat"),  # type: ignore[no-untyped-call]
}
LANE_LOCK: Final = 0x676F76706F6F6C
"""Key of the PostgreSQL advisory lock under which batches of all processes are serial ('govpool' in ASCII)."""

LANE_TURN: Final = "lane_turn"
"""A sequence on PostgreSQL that counts who took the lock: one turn further, and nobody else has written in between."""

IDLE_S: Final = 30
"""A process that stands still in the middle of a batch loses it after this, so that it cannot keep the lock from all others."""

_LISTS: Final = frozenset({list, tuple})

_PRAGMAS: Final = {
    "journal_mode": "wal",
    "synchronous": 2,
    "foreign_keys": 1,
    "recursive_triggers": 1,
}


class Connection(Protocol):
    """One connection.  Every method raises the driver's own error."""

    dialect: str

    def rows(self, text: str, parameters: Mapping[str, Any] | None) -> list[dict[str, Any]]:
        """Run one statement and fetch all its rows; `None` for text that is no template (DDL)."""

    def changed(self, text: str, parameters: Mapping[str, Any]) -> int:
        """Run one statement; the number of rows it changed."""

    def many(self, text: str, parameters: Sequence[Mapping[str, Any]]) -> None:
        """Run one statement for each of the parameter sets."""

    def bulk(self, text: str, rows: Sequence[Mapping[str, Any]]) -> int:
        """Run a statement for many rows with the same keys and no lists; how many it changed.  On PostgreSQL it takes one array a key."""

    def begin(self) -> None:
        """Open a writing transaction under the lane's lock."""

    def begin_read(self) -> None:
        """Open a read-only snapshot."""

    def undisturbed(self) -> bool:
        """Whether it is certain, within a writing transaction, that nobody else has written since the last one of this connection."""

    def now_us(self) -> int:
        """The present in microseconds since 1970, within a writing transaction."""

    def savepoint(self) -> None:
        """Set the savepoint of a use case."""

    def release(self) -> None:
        """Keep what was done since the savepoint."""

    def rollback_to(self) -> None:
        """Undo what was done since the savepoint."""

    def commit(self) -> None:
        """Commit durably."""

    def rollback(self) -> None:
        """Undo the whole transaction if there is one."""

    def in_transaction(self) -> bool:
        """Whether a transaction is open and can go on."""

    def close(self) -> None:
        """Close for good."""


class SqliteConnection:
    """A connection to a SQLite file, with the settings that the design demands checked."""

    dialect = SQLITE

    def __init__(self, path: pathlib.Path, *, read_only: bool = False) -> None:
        mode = "ro" if read_only else "rw"
        try:
            if not read_only:  # what departments have is nobody else's to read; the -wal and -shm files take the mode of the file
                os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
            self._raw = sqlite3.connect(
                f"{path.absolute().as_uri()}?mode={mode}", uri=True, isolation_level=None, check_same_thread=False
            )
            self._raw.execute("PRAGMA busy_timeout = 10000")
            if (
                not read_only
            ):  # a batch touches hundreds of pages: with the 2 MiB of the default they are written and read again on the way
                self._raw.execute("PRAGMA cache_size = -32768")
                self._raw.execute("PRAGMA wal_autocheckpoint = 4000")
            if not read_only:
                self._raw.execute("PRAGMA journal_mode = WAL")
            for setting, wanted in _PRAGMAS.items():
                if setting != "journal_mode":
                    self._raw.execute(f"PRAGMA {setting} = {wanted}")
                found = self._raw.execute(f"PRAGMA {setting}").fetchone()[0]
                if found != wanted:
                    raise faults.UNSAFE(setting=setting, found=found, wanted=wanted)
        except (sqlite3.Error, OSError) as error:
            raise faults.UNREACHABLE(reason=str(error)) from error
        self._version = -1  # of the file, as `undisturbed` last saw it

    def rows(self, text: str, parameters: Mapping[str, Any] | None) -> list[dict[str, Any]]:
        cursor = self._raw.execute(text, _for_sqlite(parameters or {}))
        if cursor.description is None:
            return []
        names = [column[0] for column in cursor.description]
        return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]

    def changed(self, text: str, parameters: Mapping[str, Any]) -> int:
        return self._raw.execute(text, _for_sqlite(parameters)).rowcount

    def many(self, text: str, parameters: Sequence[Mapping[str, Any]]) -> None:
        self._raw.executemany(text, [_for_sqlite(row) for row in parameters])

    def bulk(self, text: str, rows: Sequence[Mapping[str, Any]]) -> int:
        return self._raw.executemany(text, rows).rowcount

    def begin(self) -> None:
        self._raw.execute("BEGIN IMMEDIATE")

    def begin_read(self) -> None:
        self._raw.execute("BEGIN")

    def undisturbed(self) -> bool:
        before, self._version = self._version, self._raw.execute("PRAGMA data_version").fetchone()[0]
        return bool(before == self._version)

    def now_us(self) -> int:
        return clock.to_us(clock.now())

    def savepoint(self) -> None:
        self._raw.execute("SAVEPOINT use_case")

    def release(self) -> None:
        self._raw.execute("RELEASE use_case")

    def rollback_to(self) -> None:
        self._raw.execute("ROLLBACK TO use_case")
        self._raw.execute("RELEASE use_case")

    def commit(self) -> None:
        self._raw.execute("COMMIT")

    def rollback(self) -> None:
        if self._raw.in_transaction:
            self._raw.execute("ROLLBACK")

    def in_transaction(self) -> bool:
        return self._raw.in_transaction

    def close(self) -> None:
        self._raw.close()

    def raw(self) -> sqlite3.Connection:
        """The driver's connection, for Alembic and the backup API only."""
        return self._raw


class PostgresqlConnection:
    """A connection to PostgreSQL through psycopg 3, READ COMMITTED, statements prepared by the driver after five uses."""

    dialect = POSTGRESQL

    def __init__(self, url: str, *, read_only: bool = False) -> None:
        import psycopg
        from psycopg.rows import dict_row

        try:
            self._raw = psycopg.connect(url, autocommit=True, connect_timeout=10, application_name="govpool", row_factory=dict_row)
        except psycopg.Error as error:
            raise faults.UNREACHABLE(reason=str(error).strip()) from error
        self._raw.prepared_max = 1000  # a server has some hundred statements; the driver's 100 would push out those of each order
        # What is looked up here by key lies in memory.  With the default of 4 a plan made while a table was small reads all of it, and is
        # kept by the foreign keys and prepared statements of a connection while the table grows.  No statement is worth compiling.
        self._raw.execute("SET random_page_cost = 1.1; SET jit = off")
        durable = self._raw.execute("SHOW synchronous_commit").fetchone()
        if durable is not None and durable["synchronous_commit"] == "off" and not read_only:
            self._raw.execute("SET synchronous_commit = on")
        if not read_only:
            self._raw.execute(f"SET idle_in_transaction_session_timeout = '{IDLE_S}s'")
        self._began_us, self._began_s = 0, 0.0
        self._turn, self._alone = 0, False

    def rows(self, text: str, parameters: Mapping[str, Any] | None) -> list[dict[str, Any]]:
        cursor = self._raw.execute(text, parameters)
        # The number of columns, and not `description`, which makes an object for each of them.
        return cursor.fetchall() if cursor.pgresult is not None and cursor.pgresult.nfields else []

    def changed(self, text: str, parameters: Mapping[str, Any]) -> int:
        return self._raw.execute(text, parameters).rowcount

    def many(self, text: str, parameters: Sequence[Mapping[str, Any]]) -> None:
        if len(parameters) == 1:  # a pipeline for one row costs more than the row
            self._raw.execute(text, parameters[0])
            return
        with self._raw.cursor() as cursor:
            cursor.executemany(text, parameters)

    def bulk(self, text: str, rows: Sequence[Mapping[str, Any]]) -> int:
        return self._raw.execute(text, {name: [row[name] for row in rows] for name in rows[0]}).rowcount

    def begin(self) -> None:
        # One round trip for all; clock_timestamp() and never now(), which is the time before the lock.
        cursor = self._raw.execute(
            f"BEGIN; SELECT pg_advisory_xact_lock({LANE_LOCK}); SELECT CASE WHEN to_regclass('{LANE_TURN}') IS NULL THEN 0"
            f" ELSE nextval(to_regclass('{LANE_TURN}')) END AS turn, (extract(epoch FROM clock_timestamp()) * 1000000)::bigint AS now_us"
        )
        while cursor.nextset():
            pass
        row = cursor.fetchone()
        if row is None:
            raise RuntimeError("the database gave no time")
        self._began_us, self._began_s = int(row["now_us"]), clock.monotonic_s()
        self._alone, self._turn = row["turn"] == self._turn + 1 > 1, row["turn"]

    def begin_read(self) -> None:
        self._raw.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")

    def undisturbed(self) -> bool:
        return self._alone

    def now_us(self) -> int:
        """The database's clock when the lock was taken, carried on by ours for the milliseconds of a batch."""
        passed_us = int((clock.monotonic_s() - self._began_s) * 1_000_000)
        return self._began_us + passed_us + clock.to_us(clock.from_us(0) + clock.offset())

    def savepoint(self) -> None:
        self._raw.execute("SAVEPOINT use_case")

    def release(self) -> None:
        self._raw.execute("RELEASE use_case")

    def rollback_to(self) -> None:
        self._raw.execute("ROLLBACK TO use_case; RELEASE use_case")

    def commit(self) -> None:
        said = self._raw.execute("COMMIT").statusmessage
        if said != "COMMIT":  # of a failed transaction it says ROLLBACK, and no error
            raise RuntimeError(f"the database answered {said} to COMMIT")

    def rollback(self) -> None:
        import psycopg

        with contextlib.suppress(psycopg.Error):
            self._raw.execute("ROLLBACK")

    def in_transaction(self) -> bool:
        from psycopg import pq

        return not self._raw.closed and self._raw.info.transaction_status == pq.TransactionStatus.INTRANS

    def close(self) -> None:
        self._raw.close()


def _for_sqlite(parameters: Mapping[str, Any]) -> Mapping[str, Any]:
    """Lists travel as JSON text (for json_each)."""
    if _LISTS.isdisjoint(map(type, parameters.values())):
        return parameters
    return {key: json.dumps(value) if type(value) in _LISTS else value for key, value in parameters.items()}
