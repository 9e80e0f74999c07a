"""The lease of a resource: when it may end, which notices it gets, and what its end asks for.  Pure; `control/lease.py` carries it out.

The end is judged by our own clock alone: what a cloud says of an end is a hint at most (Blazar does not promise to deliver its on-end).
"""

import dataclasses
import datetime
import enum
import re
from typing import Final

from primitives import clock, errors, interval
from provisioners import contract, model, rules

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
        raise errors.INVALID(field="end_at", reason=f"{text[:40]!r} {past}; the earliest is {_moment(earliest)}")
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


def said(at: datetime.datetime) -> str:
    """A moment as notices say it, in Asia/Shanghai: an end at midnight is the day that ends with it, others have their minute."""
    local = at.astimezone(interval.SHANGHAI)
    if local.time() == datetime.time():
        return (local.date() - datetime.timedelta(days=1)).isoformat()
    return local.strftime("%Y-%m-%d %H:%M")


def _moment(at: datetime.datetime) -> str:
    return at.astimezone(interval.SHANGHAI).replace(microsecond=0).isoformat()


# -- what the clock does ---------------------------------------------------------------------------------------------------------------


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """How a server ends leases."""

    notice_days: tuple[int, ...] = (30, 7, 1)  # before the end
    grace: datetime.timedelta = datetime.timedelta(days=7)  # between the end, as carried out, and the recycle bin


class Deed(enum.Enum):
    """What a lease asks for at one moment."""

    NOTHING = "nothing"
    NOTICE = "notice"  # say that the end is near
    END = "end"  # stop it, say so, and let the grace begin
    STOP = "stop"  # it ended and runs again: stop it once more
    BIN = "bin"  # the grace is over
    REMIND = "remind"  # the grace is over, but it is protected from deletion


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """What to do now, and when to look again; None = something else must happen first, and that sets the next look itself."""

    deed: Deed
    again_at: datetime.datetime | None


BUSY_AGAIN: Final = datetime.timedelta(minutes=1)
FAILED_AGAIN: Final = datetime.timedelta(days=1)
REMIND_EVERY: Final = datetime.timedelta(days=7)


def look(resource: model.Resource, now: datetime.datetime, policy: Policy) -> Look:
    """What the lease of a resource asks for at `now`.

    Of several notices that became due since the last look (a server was down) only the latest is given; those that were past when
    the end was set are never given.  The grace counts from when the end was carried out, so a server that comes late takes nothing away.
    """
    if resource.end_at is None or resource.ended or resource.desired is model.Desired.DOWN:
        return Look(deed=Deed.NOTHING, again_at=None)
    if (
        resource.desired is model.Desired.BIN
    ):  # which has its own clock; who takes it out of there looks again, and so does a stop that fails
        return Look(deed=Deed.NOTHING, again_at=now + BUSY_AGAIN if resource.pending else None)
    if now < resource.end_at:
        return _before_end(resource.end_at, resource.end_told_at or resource.created_at, now, policy)
    if resource.pending or resource.disputed:
        return Look(deed=Deed.NOTHING, again_at=now + BUSY_AGAIN)
    if resource.end_reached_at is None:
        return Look(deed=Deed.END, again_at=now + min(FAILED_AGAIN, policy.grace))
    return _after_end(resource, resource.end_reached_at + policy.grace, now)


def stops(resource: model.Resource) -> bool:
    """Whether its end has something to stop: it runs, its kind can be stopped, and the cloud has it."""
    running = resource.power is contract.State.RUNNING and resource.state is not model.State.LOST
    return running and "stop" in rules.ACTIONS[resource.kind]


def notices(end_at: datetime.datetime, policy: Policy) -> list[datetime.datetime]:
    """The moments of the notices, the earliest first."""
    return sorted(end_at - datetime.timedelta(days=days) for days in policy.notice_days)


def _before_end(end_at: datetime.datetime, told_at: datetime.datetime, now: datetime.datetime, policy: Policy) -> Look:
    moments = notices(end_at, policy)
    coming = next((moment for moment in moments if moment > now), end_at)
    due = any(told_at < moment <= now for moment in moments)
    return Look(deed=Deed.NOTICE if due else Deed.NOTHING, again_at=coming)


def _after_end(resource: model.Resource, over_at: datetime.datetime, now: datetime.datetime) -> Look:
    if now < over_at:
        if stops(resource):
            return Look(deed=Deed.STOP, again_at=min(now + FAILED_AGAIN, over_at))
        return Look(deed=Deed.NOTHING, again_at=over_at)
    if resource.state is model.State.LOST:
        return Look(deed=Deed.NOTHING, again_at=now + FAILED_AGAIN)  # where it went is for a person to find out first
    if resource.protected:
        return Look(deed=Deed.REMIND, again_at=now + REMIND_EVERY)
    return Look(deed=Deed.BIN, again_at=now + FAILED_AGAIN)
