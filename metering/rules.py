"""Usage events to intervals.  Pure: no clock, no database.

An event states the whole state of its subject from its time on, so the intervals follow from the set of events alone: order of arrival and
repetitions do not matter.  Ends are whole seconds (floor), which makes intervals additive: what one loses at a cut the next one gains.
"""

import collections
import datetime
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from metering import model
from primitives import interval


def precedence(event: model.UsageEvent) -> tuple[datetime.datetime, int, str, str]:
    """The order of events of one subject; at equal times the higher sequence, then the greater id, then the greater source wins."""
    return event.at, event.sequence, event.id, event.source


def whole_second(at: datetime.datetime) -> datetime.datetime:
    """The second that a moment lies in."""
    return at.replace(microsecond=0)


def intervals(events: Iterable[model.UsageEvent], cut_at: datetime.datetime) -> list[model.UsageInterval]:
    """The intervals of all subjects, by subject and start; what is open at `cut_at` (watermark or end of a month) ends there.

    An event after `deleted` opens a new interval.  Neighbours in the same state (a repeated report) are one interval.
    """
    by_subject: dict[str, list[model.UsageEvent]] = collections.defaultdict(list)
    for event in events:
        if event.at < cut_at:
            by_subject[event.subject].append(event)
    return [made for subject in sorted(by_subject) for made in _of_one(sorted(by_subject[subject], key=precedence), cut_at)]


def reaching(events: Iterable[model.UsageEvent], month: interval.Interval) -> list[model.UsageEvent]:
    """The events of one subject that speak of `month`: their time lies in it, or the state they open lasts into it."""
    ordered = sorted(events, key=precedence)
    ends = [each.at for each in ordered[1:]] + [month.end_at]
    return [
        event
        for event, end_at in zip(ordered, ends, strict=True)
        if event.at < month.end_at and (event.at >= month.start_at or end_at > month.start_at)
    ]


def _of_one(events: Sequence[model.UsageEvent], cut_at: datetime.datetime) -> Iterator[model.UsageInterval]:
    ends = [whole_second(each.at) for each in events[1:]] + [whole_second(cut_at)]
    open_made: model.UsageInterval | None = None
    for event, end_at in zip(events, ends, strict=True):
        start_at = whole_second(event.at)
        if start_at == end_at or event.state is model.State.DELETED:
            continue
        made = _interval(event, interval.Interval(start_at, end_at))
        if open_made is not None and open_made.span.end_at == start_at and _state(open_made) == _state(made):
            made = _interval(event, interval.Interval(open_made.span.start_at, end_at))
        elif open_made is not None:
            yield open_made
        open_made = made
    if open_made is not None:
        yield open_made


def _interval(event: model.UsageEvent, span: interval.Interval) -> model.UsageInterval:
    return model.UsageInterval(
        resource=event.subject,
        tenant=event.tenant,
        project=event.project,
        kind=event.kind,
        state=event.state,
        amounts={name: amount for name, amount in event.amounts.items() if amount},
        dimensions=event.dimensions,
        span=span,
    )


def _state(made: model.UsageInterval) -> tuple[Any, ...]:
    return made.tenant, made.project, made.kind, made.state, made.amounts, made.dimensions
