"""Time: aware UTC in the program, integer microseconds in the database, ISO 8601 with 'Z' on the wire.  The only place that reads a clock."""

import datetime
import time
from typing import Final

from primitives import errors

UTC: Final = datetime.UTC
_EPOCH: Final = datetime.datetime(1970, 1, 1, tzinfo=UTC)

_offset = datetime.timedelta(0)


def now() -> datetime.datetime:
    """The present, aware UTC."""
    return datetime.datetime.now(UTC) + _offset


def shift(by: datetime.timedelta) -> None:
    """For tests only: move `now()` by a fixed offset; a zero delta restores it."""
    global _offset
    _offset = by


def offset() -> datetime.timedelta:
    """The offset that tests have set; zero in production."""
    return _offset


def monotonic_s() -> float:
    """Seconds of a clock that never steps; only for durations inside this process."""
    return time.monotonic()


def to_us(at: datetime.datetime) -> int:
    """Microseconds since 1970 of an aware datetime.  Raises ValueError for a naive one."""
    if at.tzinfo is None:
        raise ValueError("a naive datetime has no place here")
    since = at - _EPOCH
    return (since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds


def from_us(us: int) -> datetime.datetime:
    """The aware UTC datetime of microseconds since 1970."""
    return _EPOCH + datetime.timedelta(microseconds=us)


def text(at: datetime.datetime) -> str:
    """'2026-10-01T00:00:00Z'; with microseconds only when there are any."""
    return at.astimezone(UTC).isoformat().replace("+00:00", "Z")


def parse(value: str, field: str = "time") -> datetime.datetime:
    """The aware UTC datetime of an ISO 8601 text with an offset.  Raises input.invalid for anything else or outside 1970..2200."""
    try:
        at = datetime.datetime.fromisoformat(value)
    except ValueError as error:
        raise errors.INVALID(field=field, reason=f"{value[:40]!r} is not an ISO 8601 time such as 2026-10-01T00:00:00Z") from error
    if at.tzinfo is None:
        raise errors.INVALID(field=field, reason=f"{value[:40]!r} has no offset; write 2026-10-01T00:00:00Z or +08:00")
    if not 1970 <= at.year < 2200:
        raise errors.INVALID(field=field, reason=f"{value[:40]!r} is outside 1970 to 2199")
    return at.astimezone(UTC)
