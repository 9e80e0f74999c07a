"""Meters and their registers: set, list, show, declare a swap, live power; the document kind Meter."""

import datetime
import fractions
import re
from typing import Annotated, Any, Final, Literal

import msgspec

from control import access, case, document
from control import hall as control_hall
from primitives import clock, errors, interval
from pue_monitor import model, observations, service
from pue_monitor.rules import raw, reading_file
from store.transaction import Transaction
from tenants import model as tenants_model

_EXACT: Final = r"^[0-9]{1,12}(\.[0-9]{1,9})?(/[1-9][0-9]{0,11})?$"
_GATEWAY: Final = re.compile(r"(\[[0-9A-Fa-f:.]{2,45}\]|[A-Za-z0-9]([A-Za-z0-9.-]{0,251}[A-Za-z0-9])?):([0-9]{1,5})")
_UNITS: Final = {"Wh": 1, "kWh": 1000, "MWh": 1_000_000, "W": 1, "kW": 1000}
_BOUND: Final = 10**12

Exact = Annotated[int, msgspec.Meta(ge=1, le=_BOUND)] | Annotated[str, msgspec.Meta(pattern=_EXACT, max_length=40)]
Whole = (
    Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)] | Annotated[str, msgspec.Meta(pattern="^(0x[0-9a-fA-F]{1,16}|[0-9]{1,20})$")]
)
Modulus = (
    Annotated[int, msgspec.Meta(ge=2, le=2**63 - 1, description="raw units after which it starts at 0 again; empty: by width")]
    | Annotated[str, msgspec.Meta(pattern="^[0-9]{0,20}$")]
)
Value = Annotated[
    str, msgspec.Meta(pattern=r"^[0-9]{1,20}(\.[0-9]{1,6})?$", max_length=27, description="in raw units of the register")
]
Moment = Annotated[str, msgspec.Meta(max_length=40, description="ISO 8601 with offset, or a date in Asia/Shanghai; empty: none")]
Code = Annotated[str, msgspec.Meta(pattern=r"^[a-z]([a-z0-9_-]{0,30}[a-z0-9])?$", max_length=32)]


class RegisterSpec(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """One register: what it counts and where it is read."""

    code: Code = "energy"
    quantity: Literal["energy", "power"] = "energy"
    scale: Annotated[Exact, msgspec.Meta(description="units per raw unit, exact: 100, 0.1 or 1/800")] = 1
    unit: Annotated[Literal["Wh", "kWh", "MWh", "W", "kW", ""], msgspec.Meta(description="of the scale; empty: Wh, or W")] = ""
    width: Literal[16, 32, 64] = 32
    kind: Literal["uint", "int", "float"] = "uint"
    word_order: Literal["big", "little"] = "big"
    modulus: Modulus = ""
    sentinels: Annotated[list[Whole], msgspec.Meta(max_length=8, description="words that mean 'no value'")] = []
    address: Annotated[int, msgspec.Meta(ge=0, le=65535)] | None = None
    table: Literal["holding", "input"] = "holding"


class Spec(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """A meter as a document says it."""

    hall: control_hall.Code
    side: Literal["facility", "it"]
    name: Annotated[str, msgspec.Meta(max_length=100)] = ""
    rating_w: Annotated[int, msgspec.Meta(ge=1, le=10**9, description="of its breaker or transformer: bounds every advance")]
    registers: Annotated[list[RegisterSpec], msgspec.Meta(min_length=1, max_length=4)]
    gateway: Annotated[str, msgspec.Meta(max_length=260, description="host:port of its Modbus TCP gateway; empty: not polled")] = ""
    unit: Annotated[int, msgspec.Meta(ge=0, le=255, description="Modbus unit id")] = 1
    poll_s: Annotated[int, msgspec.Meta(ge=0, le=3600, description="seconds between readings; 0: the server's setting")] = 0
    installed_at: Moment = ""
    removed_at: Moment = ""
    calibrated_until: Moment = ""


class Swap(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """A declared exchange: the last reading of the old meter, the first of the new one, and what differs in the new one."""

    register: Annotated[str, msgspec.Meta(max_length=32)] = ""
    swapped_at: Annotated[str, msgspec.Meta(min_length=1, max_length=40)]
    final_value: Value
    first_value: Value
    scale: Exact | None = None  # in Wh
    modulus: Modulus | None = None
    rating_w: Annotated[int, msgspec.Meta(ge=1, le=10**9)] | None = None
    work_order: Annotated[str, msgspec.Meta(min_length=1, max_length=200, description="work order or photo that proves it")]


class Withdrawal(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """Which declared swap was wrong, and why."""

    register: Annotated[str, msgspec.Meta(max_length=32)] = ""
    swapped_at: Annotated[str, msgspec.Meta(min_length=1, max_length=40)]
    reason: Annotated[str, msgspec.Meta(min_length=1, max_length=200)]


def set_meter(code: str, spec: Spec, *, if_match: int | None = None) -> case.UseCase:
    """Make a meter be as the spec says; an equal one stays untouched, one with readings keeps the meaning of its registers."""

    def effect(tx: Transaction, who: tenants_model.Principal, permit: tenants_model.Permit) -> case.Answer:
        wanted = _wanted(code, spec, service.hall(tx, spec.hall))
        before = service.find_meter(tx, code)
        access.matches(if_match, before.generation if before else 0, kind="meter", name=code)
        after = service.put_meter(tx, wanted, before)
        body = _document(after)
        return case.Answer(
            status=200 if before else 201,
            body=body,
            kind="meter",
            object_id=after.id,
            generation=after.generation,
            before=None if before is None else _document(before)["spec"],
            after=body["spec"],
        )

    return case.UseCase(action="meter.set", permit=_asked("set"), effect=effect)


def swap_meter(code: str, swap: Swap) -> case.UseCase:
    """Declare that a meter was exchanged; its register goes on without a gap."""

    def effect(tx: Transaction, who: tenants_model.Principal, permit: tenants_model.Permit) -> case.Answer:
        meter = service.meter(tx, code)
        register = service.energy_register(meter, swap.register)
        at = moment(swap.swapped_at, "swapped_at")
        if at is None or at > tx.now() or clock.to_us(at) < reading_file.EARLIEST_US:
            raise errors.INVALID(field="swapped_at", reason="it lies in the future or before 2000")
        fit = model.Fit(
            scale=register.scale if swap.scale is None else _exact(swap.scale, "scale"),
            modulus=register.modulus if swap.modulus is None else _modulus(swap.modulus, register.width, register.kind),
            rating_w=swap.rating_w or meter.rating_w,
        )
        values = {name: raw.micro(getattr(swap, name)) for name in ("final_value", "first_value")}
        if values["first_value"] >= fit.modulus_micro:
            raise errors.INVALID(field="first_value", reason="it is not below the modulus")
        declared = model.Swap(at_us=clock.to_us(at), final_micro=values["final_value"], first_micro=values["first_value"], fit=fit)
        service.declare_swap(tx, meter, register.code, declared, swap.work_order)
        body = observations.swaps(tx, meter)
        return case.Answer(
            status=201, body=body[-1], kind="meter", object_id=meter.id, after=body, facts={"work_order": swap.work_order}
        )

    return case.UseCase(action="meter.swap", permit=_asked("swap"), effect=effect)


def withdraw_swap(code: str, withdrawal: Withdrawal) -> case.UseCase:
    """Take back a swap that was declared wrongly; it stays on record and counts no more."""

    def effect(tx: Transaction, who: tenants_model.Principal, permit: tenants_model.Permit) -> case.Answer:
        meter = service.meter(tx, code)
        before = observations.swaps(tx, meter)
        at = moment(withdrawal.swapped_at, "swapped_at")
        assert at is not None
        service.withdraw_swap(tx, meter, withdrawal.register, clock.to_us(at), withdrawal.reason)
        after = observations.swaps(tx, meter)
        withdrawn = next(new for old, new in zip(before, after, strict=True) if old != new)
        return case.Answer(body=withdrawn, kind="meter", object_id=meter.id, before=before, after=after)

    return case.UseCase(action="meter.swap_withdraw", permit=_asked("swap"), effect=effect)


def list_meters(tx: Transaction, who: tenants_model.Principal, *, hall: str = "") -> list[dict[str, Any]]:
    """Meters by code, of one hall or all."""
    _asked("list")(tx, who)
    if hall:
        service.hall(tx, hall)
    return [_document(meter) for meter in service.meters(tx, hall)]


def show_meter(tx: Transaction, who: tenants_model.Principal, code: str) -> dict[str, Any]:
    """One meter, its last reading, what is held back, its swaps."""
    _asked("show")(tx, who)
    meter = service.meter(tx, code)
    return _document(meter) | {"status": observations.status(tx, meter)}


def list_power(tx: Transaction, who: tenants_model.Principal) -> list[dict[str, Any]]:
    """Live power and last reading of every meter."""
    _asked("list")(tx, who)
    return observations.live(tx)


def moment(text: str, field: str) -> datetime.datetime | None:
    """A moment with offset, a date or a month in Asia/Shanghai, or None for ''.  Raises input.invalid."""
    if not text:
        return None
    if re.fullmatch(r"[0-9]{4}-[0-9]{2}", text):
        text += "-01"
    if re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", text):
        text += "T00:00:00" + datetime.datetime(2000, 1, 1, tzinfo=interval.SHANGHAI).isoformat()[-6:]
    return clock.parse(text, field)


def _wanted(code: str, spec: Spec, hall: model.Hall) -> model.Meter:
    if not re.fullmatch(control_hall.CODE, code):
        raise errors.INVALID(field="name", reason="a code has lower-case letters, digits and inner hyphens")
    host, port = _gateway(spec.gateway)
    registers = tuple(_register(one, number) for number, one in enumerate(spec.registers))
    if [one.quantity for one in registers].count("energy") != 1 or len({one.code for one in registers}) != len(registers):
        raise errors.INVALID(
            field="spec.registers", reason="a meter has exactly one energy register, and codes of its own for each"
        )
    installed_at, removed_at = moment(spec.installed_at, "spec.installed_at"), moment(spec.removed_at, "spec.removed_at")
    if installed_at is not None and removed_at is not None and removed_at <= installed_at:
        raise errors.INVALID(field="spec.removed_at", reason="it is not after installed_at")
    return model.Meter(
        id="",
        code=code,
        hall_id=hall.id,
        hall=hall.code,
        side=model.Side(spec.side),
        name=spec.name,
        rating_w=spec.rating_w,
        host=host,
        port=port,
        unit=spec.unit,
        poll_s=spec.poll_s,
        installed_at=installed_at,
        removed_at=removed_at,
        calibrated_until=moment(spec.calibrated_until, "spec.calibrated_until"),
        registers=registers,
        generation=0,
    )


def _register(spec: RegisterSpec, number: int) -> model.Register:
    field = f"spec.registers[{number}]"
    unit = spec.unit or ("Wh" if spec.quantity == "energy" else "W")
    if (spec.quantity == "energy") != unit.endswith("h"):
        raise errors.INVALID(field=f"{field}.unit", reason=f"{unit} does not measure {spec.quantity}")
    if spec.kind == "float" and (spec.width != 32 or (spec.quantity == "energy" and spec.modulus == "")):
        raise errors.INVALID(field=f"{field}.kind", reason="a float has 32 bits, and its modulus must be given")
    return model.Register(
        code=spec.code,
        quantity=spec.quantity,
        scale=_exact(spec.scale, f"{field}.scale") * _UNITS[unit],
        width=spec.width,
        kind=spec.kind,
        word_order=spec.word_order,
        modulus=_modulus(spec.modulus, spec.width, spec.kind),
        sentinels=tuple(_whole(one) for one in spec.sentinels),
        address=spec.address,
        table=spec.table,
    )


def _modulus(given: int | str, width: int, kind: str) -> int:
    highest = 2 ** (width - (kind == "int"))
    modulus = highest if given == "" else _whole(given)
    if not 2 <= modulus <= (10**15 if kind == "float" else highest):
        raise errors.INVALID(field="modulus", reason=f"it is 2 to {highest} for {width} bits")
    return modulus


def _exact(given: int | str, field: str) -> fractions.Fraction:
    number, _, divisor = str(given).partition("/")
    exact = fractions.Fraction(number) / int(divisor or 1)
    if not fractions.Fraction(1, _BOUND) <= exact <= _BOUND:
        raise errors.INVALID(field=field, reason="it is above 0 and at most 10^12")
    return exact


def _whole(given: int | str) -> int:
    return given if isinstance(given, int) else int(given, 16 if given.startswith("0x") else 10)


def _gateway(text: str) -> tuple[str, int]:
    if not text:
        return "", 502
    found = _GATEWAY.fullmatch(text)
    if not found or not 1 <= int(found[3]) <= 65535:
        raise errors.INVALID(field="spec.gateway", reason="it is host:port, such as 10.1.2.3:502")
    return found[1].strip("[]"), int(found[3])


def _document(meter: model.Meter) -> dict[str, Any]:
    host = f"[{meter.host}]" if ":" in meter.host else meter.host
    times = {"installed_at": meter.installed_at, "removed_at": meter.removed_at, "calibrated_until": meter.calibrated_until}
    return {
        "apiVersion": document.API_VERSION,
        "kind": "Meter",
        "metadata": {"name": meter.code, "id": meter.id, "generation": meter.generation},
        "spec": {
            "hall": meter.hall,
            "side": str(meter.side),
            "name": meter.name,
            "rating_w": meter.rating_w,
            "registers": [observations.register_spec(one) for one in meter.registers],
            "gateway": f"{host}:{meter.port}" if meter.host else "",
            "unit": meter.unit,
            "poll_s": meter.poll_s,
            **{name: "" if at is None else clock.text(at) for name, at in times.items()},
        },
        "status": {},
    }


def _asked(verb: str) -> case.Permit:
    return lambda tx, who: access.require(tx, who, verb, "meter", tenant_id=None)


document.register(
    "Meter", Spec, lambda one: set_meter(one.metadata.name, one.spec, if_match=one.metadata.generation), after_kinds={"Hall"}
)
