"""JSON text of columns and of the trail: the bytes of `primitives.canonical`, made in a fifth of the time.

`primitives` knows the standard library only; here msgspec does the same, and whatever it cannot say is left to `canonical`.  That both agree to
the byte is a property test.
"""

import hashlib
from typing import Any, Final

import msgspec

from primitives import canonical

_ENCODER: Final = msgspec.json.Encoder(order="sorted")


def dumps(value: Any) -> bytes:
    """The one byte form of a JSON value.  Raises TypeError for a float or an unknown type."""
    canonical.refuse_floats(value)
    try:
        return _ENCODER.encode(value)
    except (TypeError, OverflowError, UnicodeEncodeError):  # a mapping of another type, an integer beyond 64 bits: rare
        return canonical.dumps(value)


def of(value: Any) -> str:
    """The same as text."""
    return dumps(value).decode()


def digest(value: Any, said: str | None = None) -> str:
    """Hex SHA-256 of the bytes; `said` if they are known."""
    return hashlib.sha256(dumps(value) if said is None else said.encode()).hexdigest()
