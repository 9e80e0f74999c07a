"""SQL of usage events and their imports.  Reads see only events that count: govpool's own, and those of complete imports."""

import datetime
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

import msgspec
import sqlalchemy as sa

from metering import model, rules, tables
from primitives import canonical, clock, interval
from store import columns
from store.transaction import Transaction

_E: Final = tables.EVENTS
_I: Final = tables.IMPORTS
_OWN: Final[Any] = sa.literal_column("''")
_COUNTED_AT: Final = sa.case((_E.c.import_id == _OWN, _E.c.recorded_at), else_=_I.c.completed_at).label("counted_at")


def _counted(*where: Any, columns_read: Sequence[Any] = (_E,)) -> sa.Select[Any]:
    """Events that count, with the moment since when they do."""
    return (
        sa.select(*columns_read, _COUNTED_AT)
        .select_from(_E.outerjoin(_I, _I.c.id == _E.c.import_id))
        .where(sa.or_(_E.c.import_id == _OWN, _I.c.completed_at.is_not(None)), *where)
    )


def _bind(name: str) -> Any:
    return sa.bindparam(name)


_OTHER: Final = _E.alias("other")
_HELD: Final = sa.select(_OTHER.c.subject).where(_OTHER.c.tenant == _bind("tenant")).distinct().subquery("held")
"""Subjects that a tenant ever held: the way in, so that a draft reads its own events and not everybody's."""
_KNOWN_BY: Final = _COUNTED_AT.element <= _bind("counted_by_us")
_WITHIN: Final = (_E.c.event_at >= _bind("start_us"), _E.c.event_at < _bind("end_us"), _KNOWN_BY)
_EARLIER: Final = (_E.c.event_at < _bind("start_us"), _KNOWN_BY)
_RANK: Final = sa.func.rank().over(partition_by=_E.c.subject, order_by=(_E.c.event_at.desc(), _E.c.sequence.desc())).label("rank")


def _latest(*where: Any, page: Any = None) -> sa.Select[Any]:
    """The last event of each subject; of several at one time and sequence all, for the rules to judge.  `page`: of its subjects only."""
    events = _counted(*where, columns_read=(_E, _RANK))
    ranked = (events if page is None else events.join(page, page.c.subject == _E.c.subject)).subquery("ranked")
    return sa.select(ranked).where(ranked.c.rank == sa.literal_column("1"))


def _page(*where: Any) -> Any:
    """The next subjects behind `after`, at most `limit`."""
    held = _counted(_E.c.subject > _bind("after"), *where, columns_read=(_E.c.subject,)).subquery("held")
    return (
        sa.select(held.c.subject)
        .distinct()
        .order_by(held.c.subject)
        .limit(sa.bindparam("limit", type_=sa.Integer()))
        .subquery("page")
    )


_MONTH: Final = (_counted(*_WITHIN), _latest(*_EARLIER))
_MONTH_OF_TENANT: Final = (_counted(*_WITHIN).join(_HELD, _HELD.c.subject == _E.c.subject), _latest(*_EARLIER, page=_HELD))
_OF_SUBJECT: Final = _counted(_E.c.subject == _bind("subject"))
_OF_SUBJECTS: Final = _counted(columns.among(_E.c.subject, "subjects"))
_BY_IDS: Final = _counted(columns.among(_E.c.id, "ids"), columns_read=(_E.c.source, _E.c.id, _E.c.digest))
_NEWER: Final = sa.select(
    _counted(_COUNTED_AT.element > _bind("counted_after_us"), _E.c.event_at < _bind("end_us"), columns_read=(_E.c.subject,))
    .subquery("newer")
    .c.subject
).distinct()
_PRESENT: Final = _latest(page=_page())
_PRESENT_OF: Final = _latest(page=_page(columns.among(_E.c.tenant, "tenants")))
_INSERT: Final = sa.insert(_E)


def insert(tx: Transaction, events: Iterable[model.UsageEvent], import_id: str = "") -> None:
    """Append events; '' as `import_id` makes them count at once."""
    recorded_at = clock.to_us(tx.now())
    tx.many(_INSERT, [_row(event, import_id, recorded_at) for event in events])


def digests(tx: Transaction, ids: Sequence[str]) -> dict[tuple[str, str], str]:
    """(source, id) -> digest of the counted events that bear one of `ids`."""
    return {(row["source"], row["id"]): row["digest"] for row in tx.execute(_BY_IDS, ids=list(ids))}


def of_month(
    tx: Transaction, span: interval.Interval, *, counted_by: datetime.datetime, tenant: str | None = None
) -> list[model.UsageEvent]:
    """What is needed to know `span`: the events in it and the last one before it of each subject; of one tenant's subjects if given."""
    values: dict[str, Any] = {"start_us": clock.to_us(span.start_at), "counted_by_us": clock.to_us(counted_by)}
    if tenant is not None:
        values["tenant"] = tenant
    within, earlier = _MONTH if tenant is None else _MONTH_OF_TENANT
    rows = tx.execute(within, **values, end_us=clock.to_us(span.end_at)) + tx.execute(earlier, **values)
    return [_event(row) for row in rows]


def of_subject(tx: Transaction, subject: str) -> list[model.UsageEvent]:
    """All events of one subject."""
    return [_event(row) for row in tx.execute(_OF_SUBJECT, subject=subject)]


def newer(
    tx: Transaction, counted_after: datetime.datetime, before: datetime.datetime
) -> list[tuple[model.UsageEvent, datetime.datetime]]:
    """All events, with the moment since when they count, of the subjects that got one for the time before `before` after `counted_after`."""
    found = tx.execute(_NEWER, counted_after_us=clock.to_us(counted_after), end_us=clock.to_us(before))
    rows = tx.execute(_OF_SUBJECTS, subjects=[row["subject"] for row in found])
    return [(_event(row), clock.from_us(row["counted_at"])) for row in rows]


def latest(tx: Transaction, *, after: str, limit: int, tenants: Sequence[str] | None) -> list[model.UsageEvent]:
    """The last event of each subject that `tenants` (codes; None = all) ever held, by subject behind `after`."""
    values: dict[str, Any] = {} if tenants is None else {"tenants": list(tenants)}
    rows = tx.execute(_PRESENT if tenants is None else _PRESENT_OF, after=after, limit=limit, **values)
    last: dict[str, model.UsageEvent] = {}
    for event in sorted((_event(row) for row in rows), key=rules.precedence):
        last[event.subject] = event
    return [last[subject] for subject in sorted(last)]


_OPEN_IMPORT: Final = sa.select(_I).where(
    _I.c.account_id == _bind("account_id"), _I.c.key == _bind("key"), _I.c.completed_at.is_(sa.null())
)
_BEGIN: Final = sa.insert(_I)
_ADVANCE: Final = sa.update(_I).where(_I.c.id == _bind("import_id"), _I.c.done == _bind("was")).values(done=_bind("now_done"))
_COMPLETE: Final = (
    sa.update(_I).where(_I.c.id == _bind("import_id"), _I.c.completed_at.is_(sa.null())).values(completed_at=_bind("at_us"))
)
_RIVAL: Final = _E.alias("rival")
_CONTRADICTED: Final = (
    sa.select(_E.c.source, _E.c.id)
    .select_from(
        _E.join(_RIVAL, sa.and_(_RIVAL.c.source == _E.c.source, _RIVAL.c.id == _E.c.id, _RIVAL.c.digest != _E.c.digest)).outerjoin(
            _I, _I.c.id == _RIVAL.c.import_id
        )
    )
    .where(_E.c.import_id == _bind("import_id"), sa.or_(_RIVAL.c.import_id == _OWN, _I.c.completed_at.is_not(None)))
    .order_by(_E.c.source, _E.c.id)
    .limit(sa.literal_column("1"))
)


def open_import(tx: Transaction, account_id: str, key: str) -> dict[str, Any] | None:
    """The unfinished import of an account under a key."""
    return tx.one(_OPEN_IMPORT, account_id=account_id, key=key)


def begin_import(tx: Transaction, *, import_id: str, account_id: str, key: str, sha256: str, events: int) -> None:
    """Write down that an import of `events` events begins."""
    begun_at = clock.to_us(tx.now())
    tx.execute(_BEGIN, id=import_id, account_id=account_id, key=key, sha256=sha256, events=events, done=0, begun_at=begun_at)


def advance_import(tx: Transaction, import_id: str, was: int, done: int) -> bool:
    """`done` events of the file are settled; False if somebody else moved on from `was`."""
    return tx.changed(_ADVANCE, import_id=import_id, was=was, now_done=done) == 1


def complete_import(tx: Transaction, import_id: str) -> bool:
    """Let all events of an import count from now on; False if they already do."""
    return tx.changed(_COMPLETE, import_id=import_id, at_us=clock.to_us(tx.now())) == 1


def contradicted(tx: Transaction, import_id: str) -> tuple[str, str] | None:
    """Source and id of an event of the import that meanwhile counts with other content."""
    row = tx.one(_CONTRADICTED, import_id=import_id)
    return None if row is None else (row["source"], row["id"])


def _row(event: model.UsageEvent, import_id: str, recorded_at: int) -> dict[str, Any]:
    return {
        "source": event.source,
        "id": event.id,
        "import_id": import_id,
        "subject": event.subject,
        "event_at": clock.to_us(event.at),
        "sequence": event.sequence,
        "tenant": event.tenant,
        "project": event.project,
        "kind": event.kind,
        "state": event.state.value,
        "amounts": canonical.dumps(dict(event.amounts)).decode(),
        "dimensions": canonical.dumps(dict(event.dimensions)).decode(),
        "labels": canonical.dumps(dict(event.labels)).decode(),
        "digest": canonical.digest(event.as_json()),
        "recorded_at": recorded_at,
    }


def _event(row: Mapping[str, Any]) -> model.UsageEvent:
    return model.UsageEvent(
        id=row["id"],
        source=row["source"],
        subject=row["subject"],
        at=clock.from_us(row["event_at"]),
        sequence=row["sequence"],
        tenant=row["tenant"],
        project=row["project"],
        kind=row["kind"],
        state=model.State(row["state"]),
        amounts=msgspec.json.decode(row["amounts"]),
        dimensions=msgspec.json.decode(row["dimensions"]),
        labels=msgspec.json.decode(row["labels"]),
    )
