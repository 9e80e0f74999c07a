"""The lab cloud's own file: SQLite in WAL mode, so that what was answered survives kill -9.  Nothing of govpool's store is used.

One connection under one lock; `Book.change()` is one transaction.  The record (what truly happened, and when) only grows.
"""

import contextlib
import fcntl
import json
import pathlib
import sqlite3
import threading
import uuid
import zlib
from collections.abc import Iterator
from typing import IO, Any, Final

from primitives import clock

_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS facts (name TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS counters (name TEXT PRIMARY KEY, n INTEGER NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS tenants (
    id TEXT PRIMARY KEY, number INTEGER NOT NULL UNIQUE, installation TEXT NOT NULL, code TEXT NOT NULL, name TEXT NOT NULL,
    epoch INTEGER NOT NULL, limits TEXT NOT NULL, UNIQUE (installation, code)) STRICT;
CREATE TABLE IF NOT EXISTS hosts (
    name TEXT PRIMARY KEY, zone TEXT NOT NULL, service_class TEXT NOT NULL, hall TEXT NOT NULL, enabled INTEGER NOT NULL,
    physical TEXT NOT NULL, usable TEXT NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS tickets (
    id TEXT PRIMARY KEY, tenant_id TEXT NOT NULL REFERENCES tenants, resource_id TEXT NOT NULL, installation TEXT NOT NULL,
    tenant TEXT NOT NULL, epoch INTEGER NOT NULL, state TEXT NOT NULL, guest_id TEXT NOT NULL, created_at TEXT NOT NULL) STRICT;
CREATE INDEX IF NOT EXISTS tickets_resource ON tickets (resource_id);
CREATE TABLE IF NOT EXISTS guests (
    id TEXT PRIMARY KEY, kind TEXT NOT NULL, name TEXT NOT NULL, tenant_id TEXT NOT NULL, tenant TEXT NOT NULL,
    project TEXT NOT NULL, installation TEXT NOT NULL, epoch INTEGER NOT NULL, resource_id TEXT NOT NULL, ticket_id TEXT NOT NULL,
    state TEXT NOT NULL, task TEXT NOT NULL, revision INTEGER NOT NULL, generation INTEGER NOT NULL, amounts TEXT NOT NULL,
    replicas INTEGER NOT NULL, image TEXT NOT NULL, addresses TEXT NOT NULL, host TEXT NOT NULL REFERENCES hosts,
    created_at TEXT NOT NULL, detail TEXT NOT NULL, last_attempt TEXT NOT NULL, metadata TEXT NOT NULL, changed_at TEXT NOT NULL,
    min_replicas INTEGER NOT NULL DEFAULT 0, max_replicas INTEGER NOT NULL DEFAULT 0, surge TEXT NOT NULL DEFAULT '{}',
    surge_host TEXT NOT NULL DEFAULT '', failed_generation INTEGER NOT NULL DEFAULT 0, deleted_at TEXT) STRICT;
CREATE UNIQUE INDEX IF NOT EXISTS guests_ticket ON guests (ticket_id) WHERE ticket_id <> '';
CREATE INDEX IF NOT EXISTS guests_resource ON guests (resource_id);
CREATE INDEX IF NOT EXISTS guests_living ON guests (id) WHERE deleted_at IS NULL;
CREATE INDEX IF NOT EXISTS guests_tenant ON guests (tenant_id) WHERE deleted_at IS NULL;
CREATE INDEX IF NOT EXISTS guests_host ON guests (host) WHERE deleted_at IS NULL;
CREATE TABLE IF NOT EXISTS used (
    holder TEXT NOT NULL, name TEXT NOT NULL, amount INTEGER NOT NULL CHECK (amount >= 0),
    PRIMARY KEY (holder, name)) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS record (
    seq INTEGER PRIMARY KEY AUTOINCREMENT, at TEXT NOT NULL, verb TEXT NOT NULL, guest_id TEXT NOT NULL, resource_id TEXT NOT NULL,
    guest TEXT NOT NULL) STRICT;
CREATE TRIGGER IF NOT EXISTS record_kept BEFORE DELETE ON record BEGIN SELECT RAISE(ABORT, 'the record is only appended to'); END;
CREATE TRIGGER IF NOT EXISTS record_fixed BEFORE UPDATE ON record BEGIN SELECT RAISE(ABORT, 'the record is only appended to'); END;
CREATE TABLE IF NOT EXISTS pending (
    id INTEGER PRIMARY KEY AUTOINCREMENT, due_us INTEGER NOT NULL, what TEXT NOT NULL, target TEXT NOT NULL, body TEXT NOT NULL,
    attempt TEXT NOT NULL, request_id INTEGER) STRICT;
CREATE INDEX IF NOT EXISTS pending_due ON pending (due_us);
CREATE TABLE IF NOT EXISTS requests (
    id INTEGER PRIMARY KEY AUTOINCREMENT, at TEXT NOT NULL, operation TEXT NOT NULL, target TEXT NOT NULL, name TEXT NOT NULL,
    attempt TEXT NOT NULL, mutating INTEGER NOT NULL, fate TEXT NOT NULL, status INTEGER NOT NULL, landed_at TEXT) STRICT;
"""
_NAMESPACE: Final = uuid.UUID("9d2f2c6e-7d0c-4a43-8a53-0f2a6d2c1ab0")


class OccupiedError(Exception):
    """Another lab cloud has this file open."""


class OtherReleaseError(Exception):
    """The file was made by a release with other tables."""


class Book:
    """The open file.  Raises OccupiedError when another process has it."""

    def __init__(self, path: pathlib.Path) -> None:
        self._lock_file = _locked(path)
        self.lock = threading.RLock()
        self._connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        self._connection.row_factory = sqlite3.Row
        for pragma in ("journal_mode=WAL", "synchronous=NORMAL", "foreign_keys=ON", "recursive_triggers=ON", "busy_timeout=10000"):
            self._connection.execute(f"PRAGMA {pragma}")
        made_by, ours = self._connection.execute("PRAGMA user_version").fetchone()[0], zlib.crc32(_SCHEMA.encode()) & 0x7FFFFFFF
        if made_by != ours and self._connection.execute("SELECT 1 FROM sqlite_master LIMIT 1").fetchone():
            self.close()
            raise OtherReleaseError(f"{path} was made by another release of the lab cloud; give another --file, or remove it")
        self._connection.executescript(_SCHEMA)
        self._connection.execute(f"PRAGMA user_version={ours}")

    def close(self) -> None:
        """Close the file and let another process have it."""
        with self.lock:
            self._connection.close()
            self._lock_file.close()

    @contextlib.contextmanager
    def change(self) -> Iterator[None]:
        """One transaction; any exception rolls it back."""
        with self.lock:
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield
            except BaseException:
                self._connection.execute("ROLLBACK")
                raise
            self._connection.execute("COMMIT")

    @contextlib.contextmanager
    def attempt(self) -> Iterator[None]:
        """A savepoint within `change()`: an exception undoes only what was done inside."""
        self._connection.execute("SAVEPOINT attempt")
        try:
            yield
        except BaseException:
            self._connection.execute("ROLLBACK TO attempt")
            self._connection.execute("RELEASE attempt")
            raise
        self._connection.execute("RELEASE attempt")

    def all(self, sql: str, /, *values: Any, **named: Any) -> list[sqlite3.Row]:
        """All rows."""
        with self.lock:
            return self._connection.execute(sql, named or values).fetchall()

    def one(self, sql: str, /, *values: Any, **named: Any) -> sqlite3.Row | None:
        """The first row, or None."""
        rows = self.all(sql, *values, **named)
        return rows[0] if rows else None

    def insert(self, table: str, /, **values: Any) -> int:
        """Insert one row; its rowid."""
        names, marks = ", ".join(values), ", ".join(f":{name}" for name in values)
        with self.lock:
            sql = f"INSERT INTO {table} ({names}) VALUES ({marks})"
            return self._connection.execute(sql, values).lastrowid or 0

    def changed(self, sql: str, /, *values: Any) -> int:
        """Run a statement that changes rows; how many it changed."""
        with self.lock:
            return self._connection.execute(sql, values).rowcount

    def count(self, name: str) -> int:
        """The next number (1, 2, ...) of a counter."""
        row = self.one(
            "INSERT INTO counters VALUES (?, 1) ON CONFLICT (name) DO UPDATE SET n = n + 1 RETURNING n",
            name,
        )
        return int(row["n"]) if row else 0

    def fresh_id(self, kind: str, seed: int) -> str:
        """An id that was never used: the same seed gives the same sequence."""
        number = self.count(f"ids:{kind}")
        return f"{kind}-{uuid.uuid5(_NAMESPACE, f'{seed}:{kind}:{number}').hex}"

    def fact(self, name: str) -> str:
        """A named value, '' if it was never set."""
        row = self.one("SELECT value FROM facts WHERE name = ?", name)
        return str(row["value"]) if row else ""

    def set_fact(self, name: str, value: str) -> None:
        """Set a named value."""
        self.changed("INSERT INTO facts VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = excluded.value", name, value)

    def use(self, holder: str, amounts: dict[str, int], sign: int) -> None:
        """Add (sign 1) or give back (sign -1) amounts of a holder: 'tenant:<id>' or 'host:<name>'."""
        for name, amount in amounts.items():
            self.changed(
                "INSERT INTO used VALUES (?, ?, max(0, ?)) ON CONFLICT (holder, name) DO UPDATE SET amount = amount + ?",
                holder, name, sign * amount, sign * amount,
            )  # fmt: skip

    def usage(self, holder: str) -> dict[str, int]:
        """What a holder has now, by name."""
        return {row["name"]: row["amount"] for row in self.all("SELECT name, amount FROM used WHERE holder = ?", holder)}


def packed(value: Any) -> str:
    """JSON text of a stored value."""
    return json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":"))


def stamp() -> str:
    """The present, ISO 8601 with all six places and Z: texts sort as times."""
    return clock.now().isoformat(timespec="microseconds").replace("+00:00", "Z")


def _locked(path: pathlib.Path) -> IO[str]:
    path.parent.mkdir(parents=True, exist_ok=True)
    file = path.with_name(path.name + ".lock").open("w", encoding="utf-8")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        file.close()
        raise OccupiedError(f"{path} is open in another lab cloud") from error
    return file
