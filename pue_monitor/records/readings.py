"""SQL of raw readings (append-only), their imports, and what the poller saw last."""

from collections.abc import Iterator, Sequence
from typing import Any, Final

import sqlalchemy as sa

from primitives import clock
from pue_monitor import model, tables
from pue_monitor.rules import raw
from store import transaction
from store.transaction import Transaction

_R: Final = tables.READINGS
_I: Final = tables.IMPORTS
_OPEN: Final = "(SELECT id FROM reading_imports WHERE completed_at IS NULL)"  # their readings do not count yet
_INSERT: Final = transaction.sql(
    "INSERT INTO meter_readings (meter_id, register, read_at, value, source, recorded_at)"
    " SELECT :meter_id, :register, :read_at, :value, :source, :recorded_at WHERE NOT EXISTS (SELECT 1 FROM meter_readings x"
    " WHERE x.meter_id = :meter_id AND x.register = :register AND x.read_at = :read_at AND x.value = :value"
    f" AND x.source NOT IN {_OPEN}) ON CONFLICT (meter_id, register, read_at, value, source) DO NOTHING"
)
_BEHIND: Final = transaction.sql(
    "INSERT INTO register_progress (meter_id, register, behind_from_at) VALUES (:meter_id, :register, :at)"
    " ON CONFLICT (meter_id, register) DO UPDATE SET behind_from_at = CASE"
    " WHEN register_progress.behind_from_at < excluded.behind_from_at THEN register_progress.behind_from_at"
    " ELSE excluded.behind_from_at END"
)
_AFTER: Final = transaction.sql(
    "SELECT read_at, value FROM meter_readings WHERE meter_id = :meter_id AND register = :register AND read_at > :after"
    f" AND source NOT IN {_OPEN} ORDER BY read_at, value LIMIT :many"
)
_STORED: Final = transaction.sql(
    "SELECT read_at, value FROM meter_readings WHERE meter_id = :meter_id AND register = :register"
    f" AND read_at BETWEEN :low AND :high AND source <> :own AND source NOT IN {_OPEN}"
)
_LIST: Final = transaction.sql(
    "SELECT m.code AS meter, r.register, r.read_at, r.value, r.source, r.recorded_at FROM meter_readings r"
    " JOIN meters m ON m.id = r.meter_id WHERE r.meter_id = :meter_id AND r.register = :register"
    " AND r.read_at >= :low AND r.read_at < :high AND (r.read_at > :at OR (r.read_at = :at AND r.value > :value))"
    f" AND r.source NOT IN {_OPEN} ORDER BY r.read_at, r.value LIMIT :many"
)
_LAST: Final = transaction.sql(
    "SELECT r.meter_id, r.register, r.read_at, r.value, r.source FROM meter_readings r JOIN"
    " (SELECT meter_id, register, (SELECT MAX(x.read_at) FROM meter_readings x WHERE x.meter_id = p.meter_id"
    f" AND x.register = p.register AND x.source NOT IN {_OPEN}) AS read_at FROM register_progress p) l"
    " ON l.meter_id = r.meter_id AND l.register = r.register AND l.read_at = r.read_at"
    f" WHERE r.source NOT IN {_OPEN} ORDER BY r.meter_id, r.register, r.value"
)
_ANY: Final = transaction.sql("SELECT 1 AS found FROM meter_readings WHERE meter_id = :meter_id LIMIT 1")
_SEEN: Final = transaction.sql(
    "INSERT INTO meter_live (meter_id, seen_at, power_w, problem) VALUES (:meter_id, :seen_at, :power_w, :problem)"
    " ON CONFLICT (meter_id) DO UPDATE SET seen_at = excluded.seen_at, power_w = excluded.power_w, problem = excluded.problem"
)
_LIVE: Final = sa.select(tables.LIVE)
_IMPORT: Final = sa.select(_I).where(_I.c.account_id == sa.bindparam("account_id"), _I.c.key == sa.bindparam("key"))
_BEGIN_IMPORT: Final = sa.insert(_I)
_IMPORTED: Final = transaction.sql("UPDATE reading_imports SET done = :done WHERE id = :id AND done < :done")
_COMPLETE: Final = transaction.sql("UPDATE reading_imports SET completed_at = :at WHERE id = :id AND completed_at IS NULL")


def insert(tx: Transaction, readings: Sequence[model.Reading]) -> None:
    """Append readings; what is already there stays."""
    now = clock.to_us(tx.now())
    rows = [
        {
            "meter_id": one.meter_id,
            "register": one.register,
            "read_at": one.read_us,
            "value": raw.show(one.value_micro),
            "source": one.source,
            "recorded_at": now,
        }
        for one in readings
    ]
    tx.many(_INSERT, rows)


def behind(tx: Transaction, moments: Sequence[tuple[str, str, int]]) -> None:
    """Note that the ledger of (meter, register) is behind from a moment on."""
    tx.many(_BEHIND, [{"meter_id": meter_id, "register": register, "at": at} for meter_id, register, at in moments])


def after(tx: Transaction, meter_id: str, register: str, after_us: int, many: int) -> list[tuple[int, int]]:
    """The first `many` (moment, value) later than a moment, of complete imports and polls, in order."""
    rows = tx.execute(_AFTER, meter_id=meter_id, register=register, after=after_us, many=many)
    return [(row["read_at"], raw.micro(row["value"])) for row in rows]


def stored(tx: Transaction, meter_id: str, register: str, span: tuple[int, int], own: str) -> Iterator[tuple[int, int]]:
    """(moment, value) within a closed span, those of the import `own` excepted."""
    for row in tx.execute(_STORED, meter_id=meter_id, register=register, low=span[0], high=span[1], own=own):
        yield row["read_at"], raw.micro(row["value"])


def listed(tx: Transaction, of: tuple[str, str], span: tuple[int, int], after: tuple[int, str], many: int) -> list[dict[str, Any]]:
    """Raw readings of a (meter, register) in [low, high) later than the key `after`, oldest first."""
    return tx.execute(
        _LIST,
        meter_id=of[0],
        register=of[1],
        low=span[0],
        high=span[1],
        at=after[0],
        value=after[1],
        many=many,
    )


def last(tx: Transaction) -> dict[tuple[str, str], dict[str, Any]]:
    """The newest reading by (meter, register)."""
    return {(row["meter_id"], row["register"]): row for row in tx.execute(_LAST)}


def any_of(tx: Transaction, meter_id: str) -> bool:
    """Whether a meter has a reading."""
    return tx.one(_ANY, meter_id=meter_id) is not None


def saw(tx: Transaction, signs: Sequence[model.Live]) -> None:
    """What the poller saw last of each meter."""
    rows = [{"meter_id": one.meter_id, "seen_at": one.at_us, "power_w": one.power_w, "problem": one.problem} for one in signs]
    tx.many(_SEEN, rows)


def live(tx: Transaction) -> dict[str, dict[str, Any]]:
    """What the poller saw last, by meter id."""
    return {row["meter_id"]: row for row in tx.execute(_LIVE)}


def find_import(tx: Transaction, account_id: str, key: str) -> dict[str, Any] | None:
    """The import of an account's key."""
    return tx.one(_IMPORT, account_id=account_id, key=key)


def begin_import(tx: Transaction, row: dict[str, Any]) -> None:
    """A new import with nothing done; `row` has id, account_id, key, file_hash, readings."""
    tx.execute(_BEGIN_IMPORT, **row, done=0, started_at=clock.to_us(tx.now()), completed_at=None)


def imported(tx: Transaction, import_id: str, done: int) -> None:
    """How many readings of an import are in."""
    tx.execute(_IMPORTED, id=import_id, done=done)


def complete_import(tx: Transaction, import_id: str) -> None:
    """From now on its readings count."""
    tx.execute(_COMPLETE, id=import_id, at=clock.to_us(tx.now()))
