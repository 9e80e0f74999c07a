"""Raw values: decimal text and Modbus words to exact millionths of the register's own unit, and back.  Sentinels and the impossible are refused."""

import decimal
import math
import re
import struct
from collections.abc import Sequence
from typing import Final

from pue_monitor import model
from pue_monitor.model import MICRO

_TEXT: Final = re.compile(r"([0-9]{1,20})(?:\.([0-9]{1,6}))?")
FLOAT_TOTAL_WH: Final = 1_000_000_000
"""A 32-bit float above this many Wh moves in steps of more than 60 Wh: too coarse for quarters of an hour."""


class RefusedError(ValueError):
    """The value is not a reading.  `code` says why, the text is for people."""

    def __init__(self, code: str, text: str) -> None:
        super().__init__(text)
        self.code = code


def parse(text: str, register: model.Register) -> int:
    """Millionths of a raw unit of decimal text, such as '1234.5'.  Raises RefusedError."""
    return checked(micro(text), register)


def micro(text: str) -> int:
    """Millionths of decimal text.  Raises RefusedError."""
    found = _TEXT.fullmatch(text)
    if not found:
        raise RefusedError("reading.value", f"{text[:40]!r} is not a decimal number >= 0 with at most 6 places")
    return int(found[1]) * MICRO + int((found[2] or "").ljust(6, "0"))


def show(amount: int) -> str:
    """The shortest decimal text of millionths."""
    whole, part = divmod(amount, MICRO)
    return f"{whole}.{part:06d}".rstrip("0") if part else str(whole)


def checked(amount: int, register: model.Register) -> int:
    """The value, if it can be one of this register.  Raises RefusedError for sentinels and values at or above the modulus."""
    if amount % MICRO == 0 and amount // MICRO in register.sentinels:
        raise RefusedError("reading.sentinel", f"{amount // MICRO} means 'no value' in this register")
    if register.quantity == "energy" and not 0 <= amount < register.modulus * MICRO:
        raise RefusedError("reading.range", f"{show(amount)} is not below the register's modulus {register.modulus}")
    if register.quantity == "energy" and register.kind == "float" and register.scale * amount / MICRO > FLOAT_TOTAL_WH:
        raise RefusedError("reading.float_coarse", "a 32-bit float total above 1,000,000 kWh is too coarse for 15 minutes")
    return amount


def decode(words: Sequence[int], register: model.Register) -> int:
    """Millionths of a raw unit of the 16-bit words of a register as read.  Raises RefusedError."""
    ordered = words if register.word_order == "big" else list(reversed(words))
    number = 0
    for word in ordered:
        number = number << 16 | word
    if number in register.sentinels:
        raise RefusedError("reading.sentinel", f"{number:#x} means 'no value' in this register")
    if register.kind == "float":
        value = struct.unpack(">f", number.to_bytes(4, "big"))[0]
        if not math.isfinite(value) or abs(value) > 10**15:
            raise RefusedError("reading.sentinel", "not a finite number")
        return checked(int((decimal.Decimal(value) * MICRO).to_integral_value(decimal.ROUND_FLOOR)), register)
    if register.kind == "int" and number >> (register.width - 1):
        number -= 1 << register.width
    return checked(number * MICRO, register)


def encode(value: int, width: int, word_order: str) -> list[int]:
    """The 16-bit words of an unsigned value: `decode` backwards."""
    words = [value >> shift & 0xFFFF for shift in range(width - 16, -1, -16)]
    return words if word_order == "big" else words[::-1]
