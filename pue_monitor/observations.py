"""What people look at beside the figures: a meter's last reading and live power, its swaps, what the register rule did."""

from typing import Any

from primitives import clock
from pue_monitor import model, service
from pue_monitor.records import ledger as ledger_records
from pue_monitor.records import plant as records
from pue_monitor.records import readings as reading_records
from pue_monitor.rules import register
from store.transaction import Transaction

register_spec = records.register_document


def live(tx: Transaction) -> list[dict[str, Any]]:
    """Per meter: live power, when and why not, and the last reading of its energy register."""
    seen, last, heads = reading_records.live(tx), reading_records.last(tx), ledger_records.heads(tx)
    rows = []
    for meter in records.meters(tx):
        code = service.energy_register(meter).code
        sign, reading = seen.get(meter.id), last.get((meter.id, code))
        state = heads.get((meter.id, code))
        rows.append(
            {
                "meter": meter.code,
                "hall": meter.hall,
                "side": str(meter.side),
                "name": meter.name,
                "power_w": sign["power_w"] if sign else None,
                "seen_at": _text(sign["seen_at"]) if sign else None,
                "problem": sign["problem"] if sign else "",
                "register": code,
                "value": reading["value"] if reading else None,
                "read_at": _text(reading["read_at"]) if reading else None,
                "held": state is not None and state.held is not None,
            }
        )
    return rows


def status(tx: Transaction, meter: model.Meter) -> dict[str, Any]:
    """Where a meter stands: last reading, what is held in quarantine, declared swaps."""
    code = service.energy_register(meter).code
    state = ledger_records.head(tx, meter.id, code)
    reading = reading_records.last(tx).get((meter.id, code))
    return {
        "last_value": reading["value"] if reading else None,
        "last_read_at": _text(reading["read_at"]) if reading else None,
        "held_since": _text(state.held.first_us) if state and state.held else None,
        "ledger_until": _text(register.floor(state.base.at_us)) if state else None,
        "swaps": swaps(tx, meter),
    }


def swaps(tx: Transaction, meter: model.Meter) -> list[dict[str, Any]]:
    """Declared swaps, withdrawn ones too, in the order in which they were declared."""
    rows = sorted(records.swap_rows(tx, meter.id), key=lambda row: row["recorded_at"])
    names = ("register", "final_value", "first_value", "scale", "modulus", "rating_w", "work_order", "withdrawal")
    return [
        {
            "meter": meter.code,
            "swapped_at": _text(row["swapped_at"]),
            "withdrawn_at": None if row["withdrawn_at"] is None else _text(row["withdrawn_at"]),
            **{name: row[name] for name in names},
        }
        for row in rows
    ]


def readings(
    tx: Transaction, meter: model.Meter, register_code: str, span: tuple[int, int], *, after: tuple[int, str], many: int
) -> list[dict[str, Any]]:
    """Raw readings of a register in [low, high) later than the key `after`, oldest first."""
    code = service.energy_register(meter, register_code).code
    rows = reading_records.listed(tx, (meter.id, code), span, after, many)
    return [row | {"read_at": _text(row["read_at"]), "recorded_at": _text(row["recorded_at"])} for row in rows]


def events(tx: Transaction, meter: model.Meter, span: tuple[int, int], after: tuple[int, str], many: int) -> list[dict[str, Any]]:
    """What the register rule did at readings in [low, high) later than the key `after`."""
    rows = ledger_records.events(tx, meter.id, span, after, many)
    return [row | {"read_at": _text(row["read_at"]), "about_at": _text(row["about_at"])} for row in rows]


def _text(us: int) -> str:
    return clock.text(clock.from_us(us))
