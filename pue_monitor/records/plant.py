"""SQL of halls, meters with their registers, and declared swaps."""

import datetime
import fractions
import json
from typing import Any, Final

import sqlalchemy as sa

from primitives import canonical, clock
from pue_monitor import model, tables
from pue_monitor.rules import raw
from store import transaction
from store.transaction import Transaction

_H: Final = tables.HALLS
_M: Final = tables.METERS
_S: Final = tables.SWAPS
_HALLS: Final = sa.select(_H).order_by(_H.c.code)
_HALL: Final = sa.select(_H).where(_H.c.code == sa.bindparam("code"))
_INSERT_HALL: Final = sa.insert(_H)
_UPDATE_HALL: Final = transaction.sql(
    "UPDATE halls SET name = :name, site = :site, boundary = :boundary, category = :category, generation = generation + 1"
    " WHERE id = :id"
)
_METERS: Final = sa.select(_M, _H.c.code.label("hall")).join(_H, _H.c.id == _M.c.hall_id).order_by(_M.c.code)
_METER: Final = _METERS.where(_M.c.code == sa.bindparam("code"))
_METER_BY_ID: Final = _METERS.where(_M.c.id == sa.bindparam("id"))
_METERS_OF: Final = _METERS.where(_H.c.code == sa.bindparam("hall"))
_INSERT_METER: Final = sa.insert(_M)
_UPDATE_METER: Final = transaction.sql(
    "UPDATE meters SET hall_id = :hall_id, side = :side, name = :name, rating_w = :rating_w, host = :host, port = :port,"
    " unit = :unit, poll_s = :poll_s, installed_at = :installed_at, removed_at = :removed_at,"
    " calibrated_until_at = :calibrated_until_at, registers = :registers, generation = generation + 1 WHERE id = :id"
)
_INSERT_SWAP: Final = sa.insert(_S)
_SWAPS: Final = (
    sa.select(_S).where(_S.c.meter_id == sa.bindparam("meter_id")).order_by(_S.c.register, _S.c.swapped_at, _S.c.recorded_at)
)
_WITHDRAW_SWAP: Final = transaction.sql(
    "UPDATE meter_swaps SET withdrawn_at = :now, withdrawal = :reason WHERE meter_id = :meter_id AND register = :register"
    " AND swapped_at = :swapped_at AND withdrawn_at IS NULL"
)


def halls(tx: Transaction) -> list[model.Hall]:
    """All halls by code."""
    return [_hall(row) for row in tx.execute(_HALLS)]


def hall(tx: Transaction, code: str) -> model.Hall | None:
    """The hall of a code."""
    row = tx.one(_HALL, code=code)
    return None if row is None else _hall(row)


def insert_hall(tx: Transaction, hall: model.Hall) -> None:
    """A new hall."""
    tx.execute(
        _INSERT_HALL,
        id=hall.id,
        code=hall.code,
        name=hall.name,
        site=hall.site,
        boundary=hall.boundary,
        category=hall.category,
        generation=1,
        created_at=clock.to_us(tx.now()),
    )


def update_hall(tx: Transaction, hall: model.Hall) -> None:
    """Change a hall; its generation rises."""
    tx.execute(_UPDATE_HALL, id=hall.id, name=hall.name, site=hall.site, boundary=hall.boundary, category=hall.category)


def meters(tx: Transaction, hall: str = "") -> list[model.Meter]:
    """Meters by code, of one hall or all."""
    rows = tx.execute(_METERS_OF, hall=hall) if hall else tx.execute(_METERS)
    return [_meter(row) for row in rows]


def meter(tx: Transaction, code: str) -> model.Meter | None:
    """The meter of a code."""
    row = tx.one(_METER, code=code)
    return None if row is None else _meter(row)


def meter_by_id(tx: Transaction, meter_id: str) -> model.Meter | None:
    """The meter of an id."""
    row = tx.one(_METER_BY_ID, id=meter_id)
    return None if row is None else _meter(row)


def insert_meter(tx: Transaction, meter: model.Meter) -> None:
    """A new meter."""
    tx.execute(_INSERT_METER, **_columns(meter), code=meter.code, generation=1, created_at=clock.to_us(tx.now()))


def update_meter(tx: Transaction, meter: model.Meter) -> None:
    """Change a meter; its generation rises."""
    tx.execute(_UPDATE_METER, **_columns(meter))


def insert_swap(tx: Transaction, meter_id: str, register: str, swap: model.Swap, work_order: str) -> None:
    """A declared swap."""
    tx.execute(
        _INSERT_SWAP,
        meter_id=meter_id,
        register=register,
        swapped_at=swap.at_us,
        final_value=raw.show(swap.final_micro),
        first_value=raw.show(swap.first_micro),
        scale=str(swap.fit.scale),
        modulus=str(swap.fit.modulus),
        rating_w=swap.fit.rating_w,
        work_order=work_order,
        recorded_at=clock.to_us(tx.now()),
        withdrawn_at=None,
        withdrawal="",
    )


def withdraw_swap(tx: Transaction, meter_id: str, register: str, swapped_us: int, reason: str) -> bool:
    """Let a declared swap count no more; False if there is none at that moment."""
    now = clock.to_us(tx.now())
    return bool(tx.changed(_WITHDRAW_SWAP, meter_id=meter_id, register=register, swapped_at=swapped_us, now=now, reason=reason))


def swap_rows(tx: Transaction, meter_id: str) -> list[dict[str, Any]]:
    """Declared swaps of a meter as they were recorded, withdrawn ones too, in order of register and time."""
    return tx.execute(_SWAPS, meter_id=meter_id)


def swaps(tx: Transaction, meter_id: str, register: str) -> list[model.Swap]:
    """Declared swaps of a register that count, in order of time."""
    return [
        model.Swap(
            at_us=row["swapped_at"],
            final_micro=raw.micro(row["final_value"]),
            first_micro=raw.micro(row["first_value"]),
            fit=model.Fit(scale=fractions.Fraction(row["scale"]), modulus=int(row["modulus"]), rating_w=row["rating_w"]),
        )
        for row in tx.execute(_SWAPS, meter_id=meter_id)
        if row["register"] == register and row["withdrawn_at"] is None
    ]


def registers_text(registers: tuple[model.Register, ...]) -> str:
    """Registers as canonical JSON."""
    return canonical.dumps([register_document(one) for one in registers]).decode()


def register_document(register: model.Register) -> dict[str, Any]:
    """A register as builtins; exact numbers are text."""
    return {
        "code": register.code,
        "quantity": register.quantity,
        "scale": str(register.scale),
        "width": register.width,
        "kind": register.kind,
        "word_order": register.word_order,
        "modulus": str(register.modulus),
        "sentinels": [str(one) for one in register.sentinels],
        "address": register.address,
        "table": register.table,
    }


def _hall(row: dict[str, Any]) -> model.Hall:
    names = ("id", "code", "name", "site", "boundary", "category", "generation")
    return model.Hall(**{name: row[name] for name in names})


def _meter(row: dict[str, Any]) -> model.Meter:
    names = ("id", "code", "hall_id", "hall", "name", "rating_w", "host", "port", "unit", "poll_s", "generation")
    return model.Meter(
        **{name: row[name] for name in names},
        installed_at=_moment(row["installed_at"]),
        removed_at=_moment(row["removed_at"]),
        calibrated_until=_moment(row["calibrated_until_at"]),
        side=model.Side(row["side"]),
        registers=tuple(_register(each) for each in json.loads(row["registers"])),
    )


def _moment(us: int | None) -> datetime.datetime | None:
    return None if us is None else clock.from_us(us)


def _register(stored: dict[str, Any]) -> model.Register:
    exact = {
        "scale": fractions.Fraction(stored["scale"]),
        "modulus": int(stored["modulus"]),
        "sentinels": tuple(int(one) for one in stored["sentinels"]),
    }
    return model.Register(**{**stored, **exact})


def _columns(meter: model.Meter) -> dict[str, Any]:
    names = ("id", "hall_id", "name", "rating_w", "host", "port", "unit", "poll_s")
    times = {
        "installed_at": meter.installed_at,
        "removed_at": meter.removed_at,
        "calibrated_until_at": meter.calibrated_until,
    }
    return {
        **{name: getattr(meter, name) for name in names},
        **{name: None if at is None else clock.to_us(at) for name, at in times.items()},
        "side": str(meter.side),
        "registers": registers_text(meter.registers),
    }
