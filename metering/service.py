"""What other rooms and `control` ask of metering: append usage, ask a price, look at intervals; each verb takes the open transaction.

Imports are in `metering.importing`, closing and issuing a month in `metering.statements`.
"""

import datetime
from collections.abc import Iterable, Mapping, Sequence

from metering import books, faults, model, rating, rules
from metering.records import book as book_records
from metering.records import statement as statement_records
from metering.records import usage as usage_records
from primitives import canonical, clock, errors, interval
from store.transaction import Transaction


def append(tx: Transaction, events: Sequence[model.UsageEvent]) -> None:
    """Append usage events in the transaction of their cause.  A known source and id is ignored; with other content: usage.changed."""
    usage_records.insert(tx, unknown(tx, events))


def unknown(tx: Transaction, events: Iterable[model.UsageEvent]) -> list[model.UsageEvent]:
    """Those of `events` that are not known yet, each once.  Raises usage.changed."""
    by_key: dict[tuple[str, str], model.UsageEvent] = {}
    for event in events:
        if by_key.setdefault((event.source, event.id), event) != event:
            raise faults.EVENT_CHANGED(id=event.id, source=event.source)
    known = usage_records.digests(tx, [event.id for event in by_key.values()]) if by_key else {}
    for key, event in by_key.items():
        if key in known and known[key] != canonical.digest(event.as_json()):
            raise faults.EVENT_CHANGED(id=event.id, source=event.source)
    return [event for key, event in by_key.items() if key not in known]


def intervals(tx: Transaction, resource: str, *, until: datetime.datetime) -> list[model.UsageInterval]:
    """The intervals of one resource up to a watermark.  Raises usage.unknown when nothing was ever reported of it."""
    events = usage_records.of_subject(tx, resource)
    if not events:
        raise unknown_usage(resource)
    return rules.intervals(events, until)


def unknown_usage(resource: str) -> errors.GovpoolError:
    """The fault for a resource of which no use is known, or none that the caller may see."""
    return faults.USAGE_UNKNOWN(resource=resource[:128])


def latest(tx: Transaction, *, after: str = "", limit: int = 100, tenants: Sequence[str] | None = None) -> list[model.UsageEvent]:
    """The present state of resources behind `after`, by id; of those that `tenants` (codes, None = all) ever held."""
    return usage_records.latest(tx, after=after, limit=limit, tenants=tenants)


def price_books(tx: Transaction) -> list[model.PriceBook]:
    """All price books, by valid_from."""
    return sorted(book_records.known(tx, tx.now()), key=lambda book: (book.valid_from, book.recorded_at, book.name))


def price_book(tx: Transaction, name: str) -> model.PriceBook:
    """The last generation of a book.  Raises price.unknown."""
    found = book_records.find(tx, name)
    if found is None:
        raise faults.PRICE_UNKNOWN(name=name[:63])
    return found


def set_price_book(tx: Transaction, name: str, spec: books.BookSpec) -> tuple[model.PriceBook | None, model.PriceBook]:
    """Make a book be as its document says; what it was before and what it is now (the same object when nothing changed).

    A book that has started stays as it is for ever; `valid_from` may lie in the past as long as no issued statement covers it.
    Raises input.invalid, price.started, price.issued.
    """
    before = book_records.find(tx, name)
    after = books.book(name, spec, generation=1 if before is None else before.generation + 1, recorded_at=tx.now())
    if before is not None:
        if books.spec(before) == books.spec(after):
            return before, before
        if before.valid_from <= tx.now():
            raise faults.PRICE_STARTED(name=name, valid_from=clock.text(before.valid_from))
    covered = issued_until(tx)
    if covered is not None and after.valid_from < covered:
        month = interval.month_of(covered - datetime.timedelta(seconds=1))
        raise faults.PRICE_ISSUED(valid_from=clock.text(after.valid_from), month=month, earliest=clock.text(covered))
    book_records.insert(tx, after)
    return before, after


def monthly_price(
    tx: Transaction,
    *,
    tenant_id: str,
    kind: str,
    amounts: Mapping[str, int],
    dimensions: Mapping[str, str],
    at: datetime.datetime,
) -> model.MonthlyPrice:
    """What running `amounts` costs in a month of 730 hours under the book in force at `at`.  Raises price.missing.

    All tenants have one book today; `tenant_id` is taken for the day when a department has prices of its own.
    """
    del tenant_id
    book = book_records.in_force(tx, at)
    if book is None:
        return quote(book, kind, amounts, dimensions, at)
    key = ("monthly", book.name, book.generation, kind, dimensions.get("class", ""), tuple(amounts.items()))
    known: model.MonthlyPrice | None = tx.recall(key)
    if known is None:
        known = quote(book, kind, amounts, dimensions, at)
        book_records.keep(tx, key, known)
    return known


def quote(
    book: model.PriceBook | None, kind: str, amounts: Mapping[str, int], dimensions: Mapping[str, str], at: datetime.datetime
) -> model.MonthlyPrice:
    """The same under one given book.  Raises price.missing."""
    held = {name: amount for name, amount in amounts.items() if amount}
    if book is None:
        raise price_missing([gap(kind, name, dimensions, at) for name in sorted(held) or ["-"]])
    price, missing = rating.monthly(book, kind, held, dimensions)
    if missing:
        raise price_missing([gap(kind, name, dimensions, at) for name in missing])
    return price


def book_in_force(tx: Transaction) -> model.PriceBook | None:
    """The book that prices this moment."""
    return book_records.in_force(tx, tx.now())


def gap(kind: str, name: str, dimensions: Mapping[str, str], at: datetime.datetime) -> model.Unpriced:
    """A wish without a price."""
    return model.Unpriced(resource="", kind=kind, name=name, service_class=dimensions.get("class", ""), at=at)


def issued_until(tx: Transaction) -> datetime.datetime | None:
    """The end of the last month with an issued statement: no dated fact may reach behind it.  None before the first."""
    month = statement_records.last_issued(tx)
    return None if month is None else interval.month(month).end_at


def price_missing(gaps: Sequence[model.Unpriced]) -> errors.GovpoolError:
    """The fault for use without a price, each gap a finding."""
    first = gaps[0]
    findings = tuple(
        errors.Finding(one.resource or one.kind, faults.PRICE_MISSING.code, f"{one.name} of {one.kind} at {clock.text(one.at)}")
        for one in gaps[:1000]
    )
    return faults.PRICE_MISSING(
        name=first.name,
        kind=first.kind,
        service_class=first.service_class or "-",
        at=clock.text(first.at),
        count=len(gaps),
        findings=findings,
    )
