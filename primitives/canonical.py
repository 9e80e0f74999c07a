"""Canonical JSON bytes (sorted keys, no blanks, UTF-8, no floats) and their SHA-256: what is hashed, compared and chained."""

import hashlib
import json
from typing import Any, Final

_PLAIN: Final = frozenset({str, int, bool, type(None)})
_ENCODER: Final = json.JSONEncoder(ensure_ascii=False, sort_keys=True, separators=(",", ":"), allow_nan=False)


def dumps(value: Any) -> bytes:
    """The one byte form of a JSON value.  Raises TypeError for a float or an unknown type: neither has an exact form here."""
    refuse_floats(value)
    return _ENCODER.encode(value).encode()


def digest(value: Any) -> str:
    """Hex SHA-256 of the canonical bytes."""
    return hashlib.sha256(dumps(value)).hexdigest()


def refuse_floats(value: Any) -> None:
    """Raises TypeError where a float stands anywhere in a JSON value."""
    if type(value) in _PLAIN:
        return
    if isinstance(value, float):
        raise TypeError("a float has no place in canonical JSON")
    if isinstance(value, dict):
        value = value.values()
    elif not isinstance(value, list | tuple):
        return
    for item in value:
        if type(item) not in _PLAIN:
            refuse_floats(item)
