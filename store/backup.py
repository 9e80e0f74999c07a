"""A backup is one zip file: `manifest.json` and one JSON-lines file a table, read from one snapshot.

The same form on both databases, so a backup of SQLite restores into PostgreSQL and the other way round (docs/adr/0005).  The manifest carries the
schema revision, the installation with its epoch, and rows and SHA-256 of each table; whoever knows more (the audit chain) checks that on top.
"""

import base64
import contextlib
import dataclasses
import fcntl
import hashlib
import json
import os
import pathlib
import time
import zipfile
import zlib
from collections.abc import Callable, Iterator
from typing import IO, Any, Final, TypeVar

import sqlalchemy as sa

from primitives import clock, errors, ids, killpoint
from store import columns, engines, faults, installation, migrate
from store import database as store_database
from store.transaction import Transaction

T = TypeVar("T")
FORMAT: Final = "govpool-backup/1"
SEAL: Final = 64
"""The comment of the zip, its last bytes: the SHA-256 of all bytes before it in hexadecimal.  Deflate and zip alone leave bits that nobody checks."""
PAGE: Final = 2000
PATIENCE: Final = 20
_SESSIONS: Final = (
    "SELECT pid, datname AS name FROM pg_stat_activity"
    " WHERE datname = current_database() AND application_name = 'govpool' AND pid <> pg_backend_pid()"
)

_UNREADABLE: Final = (OSError, EOFError, KeyError, TypeError, ValueError, RuntimeError, zipfile.BadZipFile, zlib.error)
"""What zipfile, zlib and json raise for bytes that are no backup: a flipped flag bit reads as encrypted, a flipped method as unknown."""

BROKEN: Final = errors.Fault(
    "backup.broken",
    errors.Kind.INVALID,
    en="the backup {file} is not sound: {reason}",
    zh="备份 {file} 不完整：{reason}",
    mend_en="use another backup: govpool backup verify FILE",
    mend_zh="请使用其他备份：govpool backup verify FILE",
)
NOT_EMPTY: Final = errors.Fault(
    "restore.not_empty",
    errors.Kind.CONFLICT,
    en="the target database holds data of an installation already",
    zh="目标数据库中已有数据",
    mend_en="restore into a new database, or add --replace to put it in the place of the old one",
    mend_zh="请恢复到新的数据库，或加 --replace 替换原有数据",
)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """What a backup says of itself."""

    format: str
    schema: str
    installation: str
    epoch: int
    created_at: str
    tables: dict[str, dict[str, Any]]  # name -> {rows, sha256}
    extra: dict[str, Any]  # of the caller, such as the head of the audit chain


def write(tx: Transaction, path: pathlib.Path, extra: dict[str, Any]) -> Manifest:
    """Write a backup of the open snapshot; the file appears under its name only when it is whole and on the disk."""
    here = installation.get(tx)
    tables: dict[str, dict[str, Any]] = {}
    with _partial(path) as file:
        with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED, compresslevel=3) as archive:
            for table in columns.METADATA.sorted_tables:
                tables[table.name] = _write_table(tx, archive, table)
            manifest = Manifest(
                format=FORMAT,
                schema=migrate.HEAD,
                installation=here.id,
                epoch=here.epoch,
                created_at=clock.text(tx.now()),
                tables=tables,
                extra=extra,
            )
            archive.writestr("manifest.json", json.dumps(dataclasses.asdict(manifest), ensure_ascii=False, indent=1))
            archive.comment = b"0" * SEAL
        file.flush()
        file.seek(-SEAL, os.SEEK_END)
        file.write(_seal(pathlib.Path(file.name)))
        file.flush()
        os.fsync(file.fileno())
        os.replace(file.name, path)
    _to_disk(path.parent)
    return manifest


def read_manifest(path: pathlib.Path) -> Manifest:
    """The manifest of a backup.  Raises backup.broken."""
    try:
        with zipfile.ZipFile(path) as archive:
            found = Manifest(**json.loads(archive.read("manifest.json")))
        if not isinstance(found.tables, dict) or any({"rows", "sha256"} - told.keys() for told in found.tables.values()):
            raise ValueError("its list of tables cannot be read")
    except _UNREADABLE as error:
        raise BROKEN(file=path.name, reason=str(error)) from error
    if found.format != FORMAT:
        raise BROKEN(file=path.name, reason=f"its format is {found.format!r}, this release reads {FORMAT!r}")
    if found.schema != migrate.HEAD:
        raise BROKEN(file=path.name, reason=f"its schema is {found.schema}, this release has {migrate.HEAD}")
    return found


def verify(path: pathlib.Path) -> Manifest:
    """Read the whole backup and hold every table against the manifest.  Raises backup.broken."""
    manifest = read_manifest(path)
    with path.open("rb") as file:
        file.seek(-SEAL, os.SEEK_END)
        if file.read() != _seal(path):
            raise BROKEN(file=path.name, reason="its bytes are not those that were written")
    if manifest.tables.keys() != columns.METADATA.tables.keys():
        raise BROKEN(file=path.name, reason="it does not hold the tables of this release")
    with zipfile.ZipFile(path) as archive:
        for name, told in manifest.tables.items():
            digest, count = hashlib.sha256(), 0
            for line in _lines(archive, path, name):
                digest.update(line)
                count += 1
            if (count, digest.hexdigest()) != (told["rows"], told["sha256"]):
                raise BROKEN(file=path.name, reason=f"table {name} does not match the manifest")
    return manifest


def rows(path: pathlib.Path, table: str) -> Iterator[dict[str, Any]]:
    """The rows of one table in a backup, in primary-key order; blobs as bytes."""
    with zipfile.ZipFile(path) as archive:
        for line in _lines(archive, path, table):
            yield _decoded(columns.METADATA.tables[table], json.loads(line))


def load(url: str, path: pathlib.Path, above: int, finish: Callable[[Transaction], T]) -> T:
    """Fill an empty database from a verified backup; what `finish` returns, run last in the same transaction.

    The new epoch is greater than the backup's and than `above`.  Raises restore.not_empty.
    """
    migrate.upgrade(url)
    connection = store_database.connect(url)
    try:
        connection.begin()
        tx = Transaction(connection, clock.to_us(clock.now()))
        if installation.find(tx) is not None:
            raise NOT_EMPTY()
        for table in columns.METADATA.sorted_tables:
            batch: list[dict[str, Any]] = []
            for row in rows(path, table.name):
                batch.append(row)
                if len(batch) == PAGE:
                    tx.many(sa.insert(table), batch)
                    batch = []
            tx.many(sa.insert(table), batch)
        installation.raise_epoch(tx, above)
        done = finish(tx)
        killpoint.reach("restore.commit.before")
        connection.commit()
    except BaseException:
        connection.rollback()
        raise
    finally:
        connection.close()
    return done


def epoch_of(url: str) -> int:
    """The epoch of the installation that a database holds; 0 if it holds none."""
    if migrate.revision(url) is None:
        return 0
    connection = store_database.connect(url)
    try:
        here = installation.find(Transaction(connection, clock.to_us(clock.now())))
    finally:
        connection.close()
    return 0 if here is None else here.epoch


def refuse_in_use(url: str) -> None:
    """A PostgreSQL database that another process works with is not replaced under it.  Raises store.locked.  SQLite has its lock file."""
    if store_database.dialect_of(url) == engines.SQLITE:
        return
    connection = store_database.connect(url)
    try:
        for _ in range(PATIENCE):
            sessions = connection.rows(_SESSIONS, None)
            if not sessions:
                return
            time.sleep(0.1)  # a session that was closed just now is listed for a moment
    finally:
        connection.close()
    raise faults.LOCKED(pid=f"session {sessions[0]['pid']}", path=sessions[0]["name"])


def put_aside(url: str) -> None:
    """Make room for what replaces a database: its file, or on PostgreSQL its schema, stays under a dated name."""
    stamp = f"{clock.now():%Y%m%dT%H%M%S}"
    if store_database.dialect_of(url) == engines.SQLITE:
        path = store_database.sqlite_path(url)
        for suffix in ("-wal", "-shm", ""):
            part = path.with_name(path.name + suffix)
            if part.exists():
                os.replace(part, part.with_name(f"{path.name}.replaced-{stamp}{suffix}"))
        return
    connection = store_database.connect(url)
    try:
        name = f"replaced_{stamp.lower()}"
        connection.rows(f"BEGIN; ALTER SCHEMA public RENAME TO {name}; CREATE SCHEMA public; COMMIT", None)
    finally:
        connection.close()


def _partial(path: pathlib.Path) -> IO[bytes]:
    """A new file beside `path` for its owner alone, locked while it is written; what writers that died left there is taken away."""
    for left in path.parent.glob("*.partial"):
        with contextlib.suppress(OSError), left.open("rb") as dead:
            fcntl.flock(dead, fcntl.LOCK_EX | fcntl.LOCK_NB)
            left.unlink()
    while True:
        partial = path.with_name(f"{path.name}.{ids.new('part')}.partial")
        file = open(partial, "xb", opener=lambda name, flags: os.open(name, flags | os.O_CLOEXEC, 0o600))  # noqa: SIM115 -- the caller closes it
        fcntl.flock(file, fcntl.LOCK_EX)
        if os.fstat(file.fileno()).st_nlink:  # else taken for dead before it was locked
            return file
        file.close()


def _seal(path: pathlib.Path) -> bytes:
    """The SHA-256 of a file without its last SEAL bytes."""
    digest, left = hashlib.sha256(), path.stat().st_size - SEAL
    with path.open("rb") as file:
        while left > 0:
            block = file.read(min(left, 1 << 20))
            digest.update(block)
            left -= len(block)
    return digest.hexdigest().encode()


def _write_table(tx: Transaction, archive: zipfile.ZipFile, table: sa.Table) -> dict[str, Any]:
    digest, count = hashlib.sha256(), 0
    with archive.open(f"{table.name}.jsonl", "w", force_zip64=True) as file:
        for row in _pages(tx, table):
            line = json.dumps(_encoded(row), ensure_ascii=False, separators=(",", ":")).encode() + b"\n"
            digest.update(line)
            file.write(line)
            count += 1
    return {"rows": count, "sha256": digest.hexdigest()}


def _pages(tx: Transaction, table: sa.Table) -> Iterator[dict[str, Any]]:
    """All rows by primary key, a page at a time: no page holds more than 2,000 rows in memory."""
    keys = list(table.primary_key.columns)
    first = sa.select(table).order_by(*keys).limit(PAGE)
    found = tx.execute(first)
    after = first.where(sa.tuple_(*keys) > sa.tuple_(*(sa.bindparam(f"k_{key.name}", type_=key.type) for key in keys)))
    while found:
        yield from found
        if len(found) < PAGE:
            return
        found = tx.execute(after, **{f"k_{key.name}": found[-1][key.name] for key in keys})


def _encoded(row: dict[str, Any]) -> dict[str, Any]:
    return {
        name: base64.b64encode(value).decode() if isinstance(value, bytes | memoryview) else value for name, value in row.items()
    }


def _decoded(table: sa.Table, row: dict[str, Any]) -> dict[str, Any]:
    blobs = {column.name for column in table.columns if isinstance(column.type, sa.LargeBinary)}
    return {
        name: base64.b64decode(value, validate=True) if name in blobs and value is not None else value
        for name, value in row.items()
    }


def _lines(archive: zipfile.ZipFile, path: pathlib.Path, table: str) -> Iterator[bytes]:
    try:
        with archive.open(f"{table}.jsonl") as file:
            yield from file
    except _UNREADABLE as error:
        raise BROKEN(file=path.name, reason=str(error)) from error


def _to_disk(path: pathlib.Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
