"""Half-open intervals [start_at, end_at) in aware UTC, and the one function that cuts months (in Asia/Shanghai)."""

import dataclasses
import datetime
import re
from typing import Final

from primitives import clock, errors

# China has kept UTC+8 without daylight saving since 1992; a fixed offset needs no time-zone database.
SHANGHAI: Final = datetime.timezone(datetime.timedelta(hours=8), "Asia/Shanghai")
_MONTH: Final = re.compile(r"(20[0-9]{2}|21[0-9]{2})-(0[1-9]|1[0-2])")


@dataclasses.dataclass(frozen=True, slots=True, order=True)
class Interval:
    """[start_at, end_at), aware UTC, start_at < end_at."""

    start_at: datetime.datetime
    end_at: datetime.datetime

    def __post_init__(self) -> None:
        if self.start_at.tzinfo is None or self.end_at.tzinfo is None or self.start_at >= self.end_at:
            raise ValueError(f"not an interval: {self.start_at} to {self.end_at}")

    @property
    def seconds(self) -> int:
        """Whole seconds between start and end (floor)."""
        return (self.end_at - self.start_at) // datetime.timedelta(seconds=1)

    def meets(self, other: "Interval") -> "Interval | None":
        """The common part, or None."""
        start_at, end_at = max(self.start_at, other.start_at), min(self.end_at, other.end_at)
        return Interval(start_at, end_at) if start_at < end_at else None

    def contains(self, at: datetime.datetime) -> bool:
        """Whether the moment lies in [start_at, end_at)."""
        return self.start_at <= at < self.end_at


def month(text: str, field: str = "month") -> Interval:
    """The month 'YYYY-MM' as cut in Asia/Shanghai.  Raises input.invalid."""
    if not _MONTH.fullmatch(text):
        raise errors.INVALID(field=field, reason=f"{text[:20]!r} is not a month such as 2026-10")
    year, number = int(text[:4]), int(text[5:])
    start_at = datetime.datetime(year, number, 1, tzinfo=SHANGHAI)
    end_at = datetime.datetime(year + number // 12, number % 12 + 1, 1, tzinfo=SHANGHAI)
    return Interval(start_at.astimezone(clock.UTC), end_at.astimezone(clock.UTC))


def month_of(at: datetime.datetime) -> str:
    """The month 'YYYY-MM' in Asia/Shanghai that a moment lies in."""
    return at.astimezone(SHANGHAI).strftime("%Y-%m")
