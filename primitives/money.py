"""Money: integer micro-yuan inside, decimal text outside.  No float anywhere."""

import decimal
import re
from typing import Final

from primitives import errors, quantity

CURRENCY: Final = "CNY"
MICRO: Final = 1_000_000
FEN: Final = 10_000
"""Micro-yuan in one fen."""

_DECIMAL: Final = re.compile(r"-?[0-9]{1,9}(\.[0-9]{1,6})?")


def parse(text: str, field: str = "amount") -> int:
    """Micro-yuan of decimal text such as '0.0437' (at most 9 digits and 6 places).  Raises input.invalid."""
    if not _DECIMAL.fullmatch(text):
        raise errors.INVALID(field=field, reason=f"{text[:40]!r} is not an amount in yuan with at most 6 decimal places")
    return int(decimal.Decimal(text).scaleb(6))


def text(micro: int, places: int = 2) -> str:
    """Decimal text with `places` (0..6) decimal places, half up; the form of every amount on the wire."""
    unit = 10 ** (6 - places)
    scaled = quantity.half_up(micro, unit)
    sign, digits = ("-" if scaled < 0 else ""), str(abs(scaled)).rjust(places + 1, "0")
    return f"{sign}{digits[:-places]}.{digits[-places:]}" if places else f"{sign}{digits}"


def price_text(micro: int) -> str:
    """A unit price without trailing zeros but at least two places: '0.0437', '12.00'."""
    full = text(micro, 6)
    whole, _, places = full.partition(".")
    return f"{whole}.{places.rstrip('0').ljust(2, '0')}"
