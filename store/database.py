"""A database as the server holds it: the lane for writes, a few read-only connections for snapshots, the lock file, the startup refusals."""

import fcntl
import os
import pathlib
import queue
import urllib.parse
from collections.abc import Callable
from typing import Final, TypeVar

from primitives import clock
from store import engines, faults, lane, transaction

T = TypeVar("T")
READERS: Final = 16


class Database:
    """An open database.  `url` is 'sqlite:///path' or 'postgresql://...'."""

    def __init__(self, url: str, lock: "LockFile | None" = None) -> None:
        self.url = url
        self.dialect = dialect_of(url)
        self._lock = lock
        self._idle: queue.LifoQueue[engines.Connection] = queue.LifoQueue()
        self.lane = lane.Lane(lambda: connect(url))

    def read(self, function: Callable[[transaction.Transaction], T]) -> T:
        """Run a read on a read-only snapshot and return its result.  A connection that broke is replaced once."""
        try:
            connection = self._idle.get_nowait()
        except queue.Empty:
            return self._read_on(connect(self.url, read_only=True), function)
        try:
            connection.begin_read()
        except Exception:  # a server that restarted: the connection is stale, a fresh one decides
            connection.close()
            return self._read_on(connect(self.url, read_only=True), function)
        return self._read_begun(connection, function)

    def _read_on(self, connection: engines.Connection, function: Callable[[transaction.Transaction], T]) -> T:
        connection.begin_read()
        return self._read_begun(connection, function)

    def _read_begun(self, connection: engines.Connection, function: Callable[[transaction.Transaction], T]) -> T:
        try:
            return function(transaction.Transaction(connection, clock.to_us(clock.now())))
        finally:
            connection.rollback()
            if self._idle.qsize() < READERS:
                self._idle.put(connection)
            else:
                connection.close()

    def close(self) -> None:
        """Finish queued writes, close all connections, give the lock file back."""
        self.lane.close()
        while not self._idle.empty():
            self._idle.get_nowait().close()
        if self._lock is not None:
            self._lock.release()


class LockFile:
    """The lock beside a SQLite file: whoever holds it is the one process that may use the database."""

    def __init__(self, database_path: pathlib.Path) -> None:
        self.path = database_path.with_name(database_path.name + ".lock")
        self._file = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            pid = os.read(self._file, 20).decode(errors="replace").strip() or "?"
            os.close(self._file)
            raise faults.LOCKED(pid=pid, path=str(database_path)) from error
        os.ftruncate(self._file, 0)
        os.write(self._file, f"{os.getpid()}\n".encode())

    def release(self) -> None:
        """Give the database back.  The kernel does the same when the process dies."""
        os.close(self._file)


def open_database(url: str, *, owner: bool = True) -> Database:
    """Open a database; as `owner` of a SQLite file under its lock.  Raises store.locked, store.unsafe, store.unreachable."""
    lock = None
    if owner and dialect_of(url) == engines.SQLITE:
        path = sqlite_path(url)
        path.parent.mkdir(parents=True, exist_ok=True)
        lock = LockFile(path)
    try:
        return Database(url, lock)
    except BaseException:
        if lock is not None:
            lock.release()
        raise


def connect(url: str, *, read_only: bool = False) -> engines.Connection:
    """A new connection to the database of `url`."""
    if dialect_of(url) == engines.SQLITE:
        return engines.SqliteConnection(sqlite_path(url), read_only=read_only)
    return engines.PostgresqlConnection(url, read_only=read_only)


def dialect_of(url: str) -> str:
    """'sqlite' or 'postgresql'.  Raises store.unreachable for another scheme."""
    scheme = url.partition(":")[0]
    if scheme == "sqlite":
        return engines.SQLITE
    if scheme in ("postgresql", "postgres"):
        return engines.POSTGRESQL
    raise faults.UNREACHABLE(reason=f"unknown database scheme {scheme[:20]!r}; use sqlite:///path or postgresql://...")


def sqlite_path(url: str) -> pathlib.Path:
    """The file of a 'sqlite:///path' URL."""
    return pathlib.Path(urllib.parse.unquote(url.removeprefix("sqlite://")))
