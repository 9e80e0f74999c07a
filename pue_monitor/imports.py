"""Imports of readings: checked whole outside the lane, appended in chunks under an import id, counted when the last chunk completes it.

The import belongs to an account and its idempotency key, so a killed one goes on where it stood when the same call is made again.
"""

import dataclasses
import hashlib
from collections.abc import Mapping, Sequence
from typing import Final

from primitives import ids
from pue_monitor import faults, model, service
from pue_monitor.records import readings as records
from pue_monitor.rules import reading_file
from store.transaction import Transaction

CHUNK: Final = 2000
"""Readings a use case."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Import:
    """An import under way."""

    id: str
    file_hash: str
    readings: int
    done: int
    complete: bool


def check(tx: Transaction, content: bytes, own: str = "") -> Sequence[reading_file.Row]:
    """The rows of a file, in a read-only transaction; `own` is the import that is being resumed.  Raises reading.import_findings."""
    findings = reading_file.Findings()
    meters = {meter.code: meter for meter in service.meters(tx)}
    rows = reading_file.read(content, meters, tx.now(), findings)
    _compare(tx, rows, own, findings)
    if findings.count:
        raise faults.IMPORT_FINDINGS(count=findings.count, findings=tuple(findings.listed))
    return sorted(rows, key=lambda row: (row.meter_id, row.register, row.read_us))


def find(tx: Transaction, account_id: str, key: str, content: bytes) -> Import | None:
    """The import that an account began under a key.  Raises reading.import_other_file if it was of another file."""
    row = records.find_import(tx, account_id, key)
    if row is None:
        return None
    if row["file_hash"] != file_hash(content):
        raise faults.IMPORT_OTHER_FILE(hash=row["file_hash"])
    return Import(
        id=row["id"],
        file_hash=row["file_hash"],
        readings=row["readings"],
        done=row["done"],
        complete=row["completed_at"] is not None,
    )


def begin(tx: Transaction, account_id: str, key: str, content: bytes, readings: int) -> Import:
    """The import of a key: a new one, or the one that was begun."""
    known = find(tx, account_id, key, content)
    if known is not None:
        return known
    import_id, digest = ids.new("import"), file_hash(content)
    row = {"id": import_id, "account_id": account_id, "key": key, "file_hash": digest, "readings": readings}
    records.begin_import(tx, row)
    return Import(id=import_id, file_hash=digest, readings=readings, done=0, complete=False)


def append(tx: Transaction, import_id: str, rows: Sequence[reading_file.Row], done: int) -> None:
    """One chunk; `done` counts the readings up to its end."""
    records.insert(
        tx,
        [
            model.Reading(
                meter_id=row.meter_id, register=row.register, read_us=row.read_us, value_micro=row.value_micro, source=import_id
            )
            for row in rows
        ],
    )
    records.imported(tx, import_id, done)


def complete(tx: Transaction, import_id: str, first_us: Mapping[tuple[str, str], int]) -> None:
    """The readings count from now on; `first_us` is the earliest moment by (meter, register)."""
    records.complete_import(tx, import_id)
    records.behind(tx, [(meter_id, register, at) for (meter_id, register), at in first_us.items()])


def first_moments(rows: Sequence[reading_file.Row]) -> dict[tuple[str, str], int]:
    """The earliest moment by (meter, register)."""
    first: dict[tuple[str, str], int] = {}
    for row in rows:
        key = (row.meter_id, row.register)
        first[key] = min(first.get(key, row.read_us), row.read_us)
    return first


def file_hash(content: bytes) -> str:
    """Hex SHA-256 of a file."""
    return hashlib.sha256(content).hexdigest()


def _compare(tx: Transaction, rows: Sequence[reading_file.Row], own: str, findings: reading_file.Findings) -> None:
    """The same moment with another value, here and in the store, is a finding."""
    wanted: dict[tuple[str, str], dict[int, reading_file.Row]] = {}
    for row in rows:
        wanted.setdefault((row.meter_id, row.register), {})[row.read_us] = row
    for (meter_id, register), by_time in wanted.items():
        for at_us, value in records.stored(tx, meter_id, register, (min(by_time), max(by_time)), own):
            mine = by_time.get(at_us)
            if mine is not None and mine.value_micro != value:
                findings.add(mine.line, "reading.conflict", "another value is stored for the same moment")
