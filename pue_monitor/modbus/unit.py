"""One look at one meter over an open Modbus connection: its energy readings and its power now."""

from typing import Final

import pymodbus
from pymodbus.client import AsyncModbusTcpClient

from primitives import clock
from pue_monitor import model
from pue_monitor.model import MICRO
from pue_monitor.rules import raw

POWER_MAX_W: Final = 10**12


class SilentError(Exception):
    """The unit did not answer; the connection may hold a late answer and must be closed."""


async def look(client: AsyncModbusTcpClient, meter: model.Meter) -> tuple[list[model.Reading], model.Live]:
    """Read every register of a meter that has an address.  Raises SilentError.

    The time of a reading is ours, taken when the answer arrives: meters' clocks are not to be trusted.
    """
    readings: list[model.Reading] = []
    power_w: int | None = None
    problem = ""
    for register in meter.registers:
        if register.address is None:
            continue
        try:
            micro = raw.decode(await _words(client, meter.unit, register), register)
        except raw.RefusedError as error:
            problem = f"{register.code}: {error}"
            continue
        if register.quantity == "energy":
            now_us = clock.to_us(clock.now())
            readings.append(
                model.Reading(meter_id=meter.id, register=register.code, read_us=now_us, value_micro=micro, source="poll")
            )
        else:
            power_w = (register.scale * micro / MICRO).__floor__()
            if abs(power_w) > POWER_MAX_W:
                power_w, problem = None, f"{register.code}: {power_w} W cannot be; compare word order and scale"
    return readings, model.Live(meter_id=meter.id, at_us=clock.to_us(clock.now()), power_w=power_w, problem=problem)


async def _words(client: AsyncModbusTcpClient, unit: int, register: model.Register) -> list[int]:
    """The words of a register.  Raises SilentError, and RefusedError for an exception answer."""
    read = client.read_input_registers if register.table == "input" else client.read_holding_registers
    assert register.address is not None
    count = register.width // 16
    try:
        answer = await read(register.address, count=count, device_id=unit)
    except pymodbus.ModbusException as error:
        raise SilentError(str(error)) from error
    if answer.isError():
        raise raw.RefusedError("modbus.exception", f"Modbus exception {answer.exception_code}")
    if len(answer.registers) != count:
        raise raw.RefusedError("modbus.short", f"{len(answer.registers)} words instead of {count}")
    return list(answer.registers)
