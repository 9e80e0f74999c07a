"""The lease of a resource: when it may end, which notices it gets, and what its end asks for.  Pure; `control/lease.py` carries it out.

The end is judged by our own clock alone: what a cloud says of an end is a hint at most (Blazar does not promise to deliver its on-end).
"""

import datetime
import re
from typing import Final

from primitives import clock, errors, interval

OPEN_ENDED: Final = "none"
"""How people say that there is no end."""
SHORTEST: Final = datetime.timedelta(days=1)
LONGEST_YEARS: Final = 10
_DAY: Final = re.compile(r"\d{4}-\d{2}-\d{2}")


def end_at(text: str, now: datetime.datetime) -> datetime.datetime | None:
    """The end that somebody asks for at `now`: a day stands for its end in Asia/Shanghai, a moment for itself, 'none' for no end.

    Raises input.invalid for anything else, and for an end that is not 1 day to 10 years away, or not a whole second.
    """
    if text == OPEN_ENDED:
        return None
    if _DAY.fullmatch(text):
        try:
            day = datetime.date.fromisoformat(text)
            at = datetime.datetime.combine(day, datetime.time(), interval.SHANGHAI) + datetime.timedelta(days=1)
        except (ValueError, OverflowError) as error:
            raise errors.INVALID(field="end_at", reason=f"{text!r} is not a day of the calendar") from error
        at = at.astimezone(clock.UTC)
    else:
        at = clock.parse(text, "end_at")
    if at.microsecond:
        raise errors.INVALID(field="end_at", reason=f"{text[:40]!r} is not a whole second")
    earliest, latest = now + SHORTEST, _years_on(now, LONGEST_YEARS)
    if at < earliest:
        past = "is past" if at <= now else "is less than a day away"
        raise errors.INVALID(field="end_at", reason=f"{text[:40]!r} {past}; the earliest is {_said(earliest)}")
    if at > latest:
        raise errors.INVALID(
            field="end_at", reason=f"{text[:40]!r} is more than {LONGEST_YEARS} years away; 'none' is no end at all"
        )
    return at


def _years_on(now: datetime.datetime, years: int) -> datetime.datetime:
    """The same day and time so many years later, as Asia/Shanghai counts them; 29 February becomes 1 March."""
    local = now.astimezone(interval.SHANGHAI)
    try:
        return local.replace(year=local.year + years).astimezone(clock.UTC)
    except ValueError:
        return local.replace(year=local.year + years, month=3, day=1).astimezone(clock.UTC)


def _said(at: datetime.datetime) -> str:
    return at.astimezone(interval.SHANGHAI).replace(microsecond=0).isoformat()
