"""SQL of the 15-minute ledger, of what the register rule did, and of its checkpoints."""

import fractions
import json
from collections.abc import Iterator, Sequence
from typing import Any, Final

import sqlalchemy as sa

from primitives import canonical
from pue_monitor import model, tables
from pue_monitor.rules import raw, register
from store import transaction
from store.transaction import Transaction

_BEHIND: Final = transaction.sql(
    "SELECT meter_id, register, behind_from_at FROM register_progress WHERE behind_from_at IS NOT NULL"
    " ORDER BY meter_id, register LIMIT 1"
)
_SETTLED: Final = transaction.sql(
    "UPDATE register_progress SET behind_from_at = :at WHERE meter_id = :meter_id AND register = :register"
)
_CHECKPOINT: Final = transaction.sql(
    "SELECT seen_at, state FROM register_checkpoints WHERE meter_id = :meter_id AND register = :register AND seen_at < :before"
    " ORDER BY seen_at DESC LIMIT 1"
)
_HEAD: Final = transaction.sql(
    "SELECT state FROM register_checkpoints WHERE meter_id = :meter_id AND register = :register ORDER BY seen_at DESC LIMIT 1"
)
_HEADS: Final = transaction.sql(
    "SELECT c.meter_id, c.register, c.state FROM register_checkpoints c JOIN (SELECT meter_id, register, MAX(seen_at) AS seen_at"
    " FROM register_checkpoints GROUP BY meter_id, register) h"
    " ON h.meter_id = c.meter_id AND h.register = c.register AND h.seen_at = c.seen_at"
)
_DROP_CHECKPOINTS: Final = transaction.sql(
    "DELETE FROM register_checkpoints WHERE meter_id = :meter_id AND register = :register AND seen_at > :low AND seen_at < :high"
)
_SAVE_CHECKPOINT: Final = sa.insert(tables.CHECKPOINTS)
_DROP_ENTRIES: Final = transaction.sql(
    "DELETE FROM energy_ledger WHERE meter_id = :meter_id AND register = :register AND start_at >= :from_at"
)
_INSERT_ENTRIES: Final = sa.insert(tables.LEDGER)
_DROP_EVENTS: Final = transaction.sql(
    "DELETE FROM register_events WHERE meter_id = :meter_id AND register = :register AND read_at > :after AND read_at <= :until"
)
_KNOWN_EVENTS: Final = transaction.sql(
    "SELECT read_at, happening FROM register_events WHERE meter_id = :meter_id AND register = :register AND read_at > :after"
)
_INSERT_EVENTS: Final = transaction.sql(
    "INSERT INTO register_events (meter_id, register, read_at, happening, value, about_at)"
    " VALUES (:meter_id, :register, :read_at, :happening, :value, :about_at)"
    " ON CONFLICT (meter_id, register, read_at, happening) DO NOTHING"
)
_EVENTS: Final = transaction.sql(
    "SELECT m.code AS meter, e.register, e.read_at, e.happening, e.value, e.about_at FROM register_events e"
    " JOIN meters m ON m.id = e.meter_id WHERE e.meter_id = :meter_id AND e.read_at >= :low AND e.read_at < :high"
    " AND (e.read_at > :at OR (e.read_at = :at AND e.happening > :happening)) ORDER BY e.read_at, e.happening LIMIT :many"
)
_SUMS: Final = transaction.sql(
    "SELECT l.start_at, m.side, CAST(SUM(l.wh) AS BIGINT) AS wh, COUNT(l.wh) AS known,"
    " MAX(CASE l.quality WHEN 'M' THEN 0 WHEN 'R' THEN 1 WHEN 'P' THEN 2 WHEN 'E' THEN 3 ELSE 4 END) AS worst"
    " FROM energy_ledger l JOIN meters m ON m.id = l.meter_id"
    " WHERE m.hall_id = :hall_id AND l.start_at >= :from_at AND l.start_at < :to_at"
    " AND (m.installed_at IS NULL OR m.installed_at <= l.start_at) AND (m.removed_at IS NULL OR m.removed_at > l.start_at)"
    " GROUP BY l.start_at, m.side ORDER BY l.start_at"
)
_MARKS: Final = (model.Quality("M"), model.Quality("R"), model.Quality("P"), model.Quality("E"), model.Quality("Q"))


def next_behind(tx: Transaction) -> tuple[str, str, int] | None:
    """A (meter, register) whose ledger is behind, and from which moment; None when all is up to date."""
    row = tx.one(_BEHIND)
    return None if row is None else (row["meter_id"], row["register"], row["behind_from_at"])


def settled(tx: Transaction, meter_id: str, register_code: str, behind_from_us: int | None) -> None:
    """The ledger is up to date (None), or behind from a later moment on."""
    tx.execute(_SETTLED, meter_id=meter_id, register=register_code, at=behind_from_us)


def checkpoint(tx: Transaction, meter_id: str, register_code: str, before_us: int) -> register.State | None:
    """The last saved state that has seen nothing at or after a moment."""
    row = tx.one(_CHECKPOINT, meter_id=meter_id, register=register_code, before=before_us)
    return None if row is None else _state(row["state"])


def head(tx: Transaction, meter_id: str, register_code: str) -> register.State | None:
    """Where the rule stands now."""
    row = tx.one(_HEAD, meter_id=meter_id, register=register_code)
    return None if row is None else _state(row["state"])


def heads(tx: Transaction) -> dict[tuple[str, str], register.State]:
    """Where the rule stands now, by (meter, register)."""
    return {(row["meter_id"], row["register"]): _state(row["state"]) for row in tx.execute(_HEADS)}


def drop_checkpoints(tx: Transaction, meter_id: str, register_code: str, span: tuple[int, int]) -> None:
    """Forget the states of an open span."""
    tx.execute(_DROP_CHECKPOINTS, meter_id=meter_id, register=register_code, low=span[0], high=span[1])


def save_checkpoint(tx: Transaction, meter_id: str, register_code: str, state: register.State) -> None:
    """Keep a state."""
    text = canonical.dumps(_document(state)).decode()
    tx.execute(_SAVE_CHECKPOINT, meter_id=meter_id, register=register_code, seen_at=state.seen_us, state=text)


def known_events(tx: Transaction, meter_id: str, register_code: str, after_us: int) -> set[tuple[int, str]]:
    """(moment, happening) of the events stored later than a moment."""
    rows = tx.execute(_KNOWN_EVENTS, meter_id=meter_id, register=register_code, after=after_us)
    return {(row["read_at"], row["happening"]) for row in rows}


def replace(tx: Transaction, of: tuple[str, str], derived: register.Derived, after_us: int, until_us: int) -> None:
    """Put the entries of a run of a (meter, register), and its events at (after, until], in place of what they replace."""
    meter_id, register_code = of
    tx.execute(_DROP_ENTRIES, meter_id=meter_id, register=register_code, from_at=derived.from_us)
    tx.many(
        _INSERT_ENTRIES,
        [
            {"meter_id": meter_id, "register": register_code, "start_at": start, "wh": entry.wh, "quality": str(entry.quality)}
            for start, entry in derived.entries.items()
        ],
    )
    tx.execute(_DROP_EVENTS, meter_id=meter_id, register=register_code, after=after_us, until=until_us)
    tx.many(_INSERT_EVENTS, [_event(meter_id, register_code, event) for event in derived.events])


def events(tx: Transaction, meter_id: str, span: tuple[int, int], after: tuple[int, str], many: int) -> list[dict[str, Any]]:
    """What the rule did at readings in [low, high), later than the key `after`."""
    return tx.execute(_EVENTS, meter_id=meter_id, low=span[0], high=span[1], at=after[0], happening=after[1], many=many)


def sums(tx: Transaction, hall_id: str, from_us: int, to_us: int) -> Iterator[tuple[int, model.Side, int, int, model.Quality]]:
    """Per quarter and side of a hall that has entries: start, side, Wh, meters with energy, worst mark."""
    for row in tx.execute(_SUMS, hall_id=hall_id, from_at=from_us, to_at=to_us):
        yield row["start_at"], model.Side(row["side"]), row["wh"] or 0, row["known"], _MARKS[row["worst"]]


def _event(meter_id: str, register_code: str, event: model.Event) -> dict[str, Any]:
    return {
        "meter_id": meter_id,
        "register": register_code,
        "read_at": event.at_us,
        "happening": str(event.happening),
        "value": raw.show(event.value_micro),
        "about_at": event.about_us,
    }


def _document(state: register.State) -> dict[str, Any]:
    held = state.held
    return {
        "seen_us": state.seen_us,
        "value": raw.show(state.value_micro),
        "base": _knot_document(state.base),
        "changed": _knot_document(state.changed),
        "held": None if held is None else [held.first_us, held.last_us, raw.show(held.value_micro)],
        "swaps": state.swaps,
    }


def _state(text: str) -> register.State:
    stored = json.loads(text)
    held = stored["held"]
    return register.State(
        seen_us=stored["seen_us"],
        value_micro=raw.micro(stored["value"]),
        base=_knot(stored["base"]),
        changed=_knot(stored["changed"]),
        held=None if held is None else register.Held(held[0], held[1], raw.micro(held[2])),
        swaps=stored["swaps"],
    )


def _knot_document(knot: register.Knot) -> list[Any]:
    return [knot.at_us, str(knot.wh), knot.boundary_wh, knot.rough]


def _knot(stored: Sequence[Any]) -> register.Knot:
    return register.Knot(stored[0], fractions.Fraction(stored[1]), stored[2], stored[3])
