"""Ids: UUIDv7 as 26 lower-case base32 characters behind a kind prefix ('vm-06...').  Sortable by time, never used again.

The alphabet is base32hex (RFC 4648 section 7) in lower case, so the order of texts is the order of the 128-bit numbers.  An id is
a DNS label and a valid nova tag.  UUIDv7: RFC 9562 section 5.7.
"""

import datetime
import os
import threading
import time
from typing import Final

ALPHABET: Final = "0123456789abcdefghijklmnopqrstuv"
LENGTH: Final = 26
_PAIRS: Final = tuple(first + second for first in ALPHABET for second in ALPHABET)
_SHIFTS: Final = range(10 * (LENGTH // 2 - 1), -1, -10)

_lock = threading.Lock()
_last_ms = 0
_counter = 0


def new(kind: str) -> str:
    """A fresh id of `kind` (1 to 8 lower-case letters); ids of one process ascend strictly within it."""
    return f"{kind}-{_text(_uuid7())}"


def is_id(text: str, kind: str) -> bool:
    """Whether `text` has the form of an id of `kind`."""
    prefix, _, rest = text.rpartition("-")
    return prefix == kind and len(rest) == LENGTH and all(c in ALPHABET for c in rest)


def kind_of(text: str) -> str:
    """The kind prefix of an id; '' when `text` has not the form of an id."""
    prefix, _, rest = text.rpartition("-")
    return prefix if len(rest) == LENGTH and all(c in ALPHABET for c in rest) else ""


def made_at(text: str) -> datetime.datetime:
    """When an id was made, to the second: its first 48 bits count milliseconds.  Raises ValueError for what is no id."""
    if not kind_of(text):
        raise ValueError(f"{text[:40]!r} is not an id")
    number = 0
    for character in text.rpartition("-")[2]:
        number = number << 5 | ALPHABET.index(character)
    return datetime.datetime.fromtimestamp((number >> 80) // 1000, datetime.UTC)


def _uuid7() -> int:
    global _last_ms, _counter
    with _lock:
        now_ms = time.time_ns() // 1_000_000
        if now_ms > _last_ms:
            _last_ms, _counter = now_ms, int.from_bytes(os.urandom(2), "big") & 0x7FF
        else:
            _counter += 1
            if _counter > 0xFFF:
                _last_ms, _counter = _last_ms + 1, 0
        ms, sequence = _last_ms, _counter
    random_part = int.from_bytes(os.urandom(8), "big") & ((1 << 62) - 1)
    return (ms << 80) | (0x7 << 76) | (sequence << 64) | (0b10 << 62) | random_part


def _text(number: int) -> str:
    """26 characters for 130 bits, two at a time."""
    return "".join([_PAIRS[(number >> shift) & 1023] for shift in _SHIFTS])
