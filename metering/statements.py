"""Closing a month and what comes of it: the statement of each department, Open until it is issued, then unchangeable.

A close is computed outside the lane from what was known at its cut, appended in chunks, and in force from the moment its last part is in.
A killed close goes on under the same key: the same cut gives the same lines.  Before anything of a month is issued it may be closed again;
the last close holds.
"""

import collections
import dataclasses
import datetime
import hashlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from metering import faults, model, rating, rules, service
from metering.records import book as book_records
from metering.records import statement as records
from metering.records import usage as usage_records
from primitives import canonical, clock, errors, ids, interval, money, quantity
from store.transaction import Transaction
from tenants import model as tenants_model
from tenants import service as tenants

CHUNK: Final = 500
"""Lines a use case."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Computed:
    """What a close comes to."""

    lines: tuple[model.Line, ...]
    statements: tuple[model.Statement, ...]
    digest: str


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """A statement with its lines."""

    statement: model.Statement
    lines: tuple[model.Line, ...]
    until: datetime.datetime  # the end of the month, or how far a draft reaches


# -- close -------------------------------------------------------------------------------------------------------------------------


def begin(
    tx: Transaction, month: str, *, account_id: str, key: str, person_id: str, excluded: Iterable[str] = (), keep: bool = True
) -> model.Close:
    """Begin to close a month, or find the killed close of the same key.  `excluded` are resources in dispute: on no statement.

    With `keep` false nothing is written: a rehearsal.
    Raises input.invalid, statement.month_unfinished, statement.issued.
    """
    span = interval.month(month)
    if tx.now() < span.end_at:
        raise faults.MONTH_UNFINISHED(month=month, end_at=clock.text(span.end_at))
    _refuse_issued(tx, month)
    known = records.open_close(tx, account_id, key)
    if known is not None and known.month == month:
        return known
    if known is not None:
        raise faults.CLOSE_OVERTAKEN(month=month)
    made = model.Close(id=ids.new("close"), month=month, person_id=person_id, cut_at=tx.now(), excluded=frozenset(excluded))
    if keep:
        records.begin(tx, made, account_id=account_id, key=key)
    return made


def compute(tx: Transaction, close: model.Close) -> Computed:
    """All lines and statements of a close; for a reader's snapshot.  Raises price.missing, statement.out_of_range."""
    span = interval.month(close.month)
    lines = _rated(
        tx, span, span.end_at, books=book_records.known(tx, close.cut_at), counted_by=close.cut_at, excluded=close.excluded
    )
    return _computed(lines, close.month, _places(tx, span))


def plan(tx: Transaction, close: model.Close, computed: Computed) -> model.Close | None:
    """Settle what the close comes to before its lines are written.  None: it was begun with other lines, and is given up."""
    if close.done and close.digest != computed.digest:
        records.abandon(tx, close.id)
        return None
    if not close.done:
        records.plan(tx, close.id, computed.digest, len(computed.lines))
    return dataclasses.replace(close, digest=computed.digest, lines=len(computed.lines))


def append(tx: Transaction, close: model.Close, computed: Computed, first: int) -> int:
    """Append the next chunk from line `first` on; how many are written now.  Raises statement.close_overtaken."""
    chunk = computed.lines[first : first + CHUNK]
    if not records.append_lines(tx, close.id, first, chunk):
        raise faults.CLOSE_OVERTAKEN(month=close.month)
    return first + len(chunk)


def complete(tx: Transaction, close: model.Close, computed: Computed) -> None:
    """Let the close be in force.  Raises statement.issued, statement.close_overtaken."""
    _refuse_issued(tx, close.month)
    if not records.complete(tx, close.id, computed.statements):
        raise faults.CLOSE_OVERTAKEN(month=close.month)


def issue(tx: Transaction, month: str, tenant_ids: Sequence[str], person_id: str) -> list[model.Statement]:
    """Issue the open statements of `tenant_ids` in a closed month.  Raises statement.not_closed, statement.nothing_to_issue."""
    issued = records.issue(tx, _closed(tx, month).id, tenant_ids, person_id)
    if not issued:
        raise faults.NOTHING_TO_ISSUE(month=month)
    return issued


# -- look --------------------------------------------------------------------------------------------------------------------------


def show(tx: Transaction, tenant: tenants_model.Tenant, month: str, *, excluded: frozenset[str] = frozenset()) -> Shown:
    """The statement of a department: as closed, or else the draft up to now.  Raises input.invalid, statement.unknown, price.missing."""
    span = interval.month(month)
    close = records.last_close(tx, month)
    if close is None:
        return draft(tx, tenant, month, excluded=excluded)
    found = records.statement(tx, close.id, tenant.id)
    if found is None:
        raise faults.STATEMENT_UNKNOWN(tenant=tenant.code, month=month)
    return Shown(statement=found, lines=tuple(records.lines(tx, close.id, tenant.code)), until=span.end_at)


def show_many(tx: Transaction, month: str, *, codes: frozenset[str] | None, excluded: frozenset[str] = frozenset()) -> list[Shown]:
    """The statements of departments (`codes`; None = all), parents before children: as closed, or else drafts up to now."""
    close = records.last_close(tx, month)
    if close is None:
        return _drafts(tx, month, codes, excluded)
    span = interval.month(month)
    return [
        Shown(statement=one, lines=tuple(records.lines(tx, close.id, one.tenant)), until=span.end_at)
        for one in records.statements(tx, close.id)
        if codes is None or one.tenant in codes
    ]


def closed_at(tx: Transaction, month: str) -> datetime.datetime | None:
    """When the close in force of a month was completed; None while the month is a draft."""
    close = records.last_close(tx, month)
    return None if close is None else close.completed_at


def draft(tx: Transaction, tenant: tenants_model.Tenant, month: str, *, excluded: frozenset[str] = frozenset()) -> Shown:
    """The month to date of one department, computed now; nothing is stored.  Raises input.invalid for a month in the future."""
    return _drafts(tx, month, frozenset({tenant.code}), excluded)[0]


def listed(
    tx: Transaction, month: str, *, codes: frozenset[str] | None = None, excluded: frozenset[str] = frozenset()
) -> list[model.Statement]:
    """The statements without their lines, parents before children: as closed, or else drafts up to now."""
    close = records.last_close(tx, month)
    if close is None:
        return [shown.statement for shown in _drafts(tx, month, codes, excluded)]
    return [one for one in records.statements(tx, close.id) if codes is None or one.tenant in codes]


def what_if(
    tx: Transaction, month: str, book: model.PriceBook, *, codes: frozenset[str] | None, excluded: frozenset[str] = frozenset()
) -> dict[str, tuple[int, int]]:
    """Tenant code -> money of its use in `month` so far under the books in force, and if `book` had been in force all month.

    `codes`: tenants to tell of; None = all.  Raises price.missing when either side lacks a price.
    """
    span, until = _begun(tx, month)
    always = dataclasses.replace(book, valid_from=span.start_at)
    sums: dict[str, list[int]] = collections.defaultdict(lambda: [0, 0])
    for side, books in enumerate((book_records.known(tx, tx.now()), [always])):
        for line in _rated(tx, span, until, books=books, counted_by=tx.now(), excluded=excluded, codes=codes):
            sums[line.tenant][side] += line.amount_micro
    return {code: (now, then) for code, (now, then) in sorted(sums.items())}


def rolled_up(statements: Sequence[model.Statement]) -> dict[str, int]:
    """Tenant id -> total of its subtree, in the tree of the month."""
    return rating.rolled_up(
        {one.tenant_id: one.total_micro for one in statements}, {one.tenant_id: one.path_ids for one in statements}
    )


def late(tx: Transaction, month: str) -> list[model.LateEvent]:
    """Events that speak of a month and became known after its statements were computed, where these are issued; by moment and id.

    The statements stay as they are.  Raises input.invalid, statement.not_closed.
    """
    span, close = interval.month(month), _closed(tx, month)
    issued = {one.tenant: one.id for one in records.statements(tx, close.id) if one.state is model.Standing.ISSUED}
    since: dict[tuple[str, str], datetime.datetime] = {}
    by_subject: dict[str, list[model.UsageEvent]] = collections.defaultdict(list)
    for event, counted_at in usage_records.newer(tx, close.cut_at, span.end_at):
        key = (event.source, event.id)
        if key not in since:
            by_subject[event.subject].append(event)
        since[key] = min(counted_at, since.get(key, counted_at))
    billed = records.billed(tx, close.id, list(by_subject)) if by_subject else set()
    statement_of = {resource: issued[tenant] for resource, tenant in sorted(billed) if tenant in issued}
    found = []
    for subject, events in by_subject.items():
        for event in rules.reaching(events, span):
            counted_at, statement_id = since[event.source, event.id], issued.get(event.tenant, statement_of.get(subject, ""))
            if counted_at > close.cut_at and statement_id:
                found.append(model.LateEvent(event=event, counted_at=counted_at, statement_id=statement_id))
    return sorted(found, key=lambda one: (one.counted_at, rules.precedence(one.event)))


# -- inside ------------------------------------------------------------------------------------------------------------------------


def _closed(tx: Transaction, month: str) -> model.Close:
    interval.month(month)
    close = records.last_close(tx, month)
    if close is None:
        raise faults.NOT_CLOSED(month=month)
    return close


def _refuse_issued(tx: Transaction, month: str) -> None:
    count = records.count_issued(tx, month)
    if count:
        raise faults.ISSUED(month=month, count=count)


def _begun(tx: Transaction, month: str) -> tuple[interval.Interval, datetime.datetime]:
    """The month and how far it is known.  Raises input.invalid before its first second is over."""
    span = interval.month(month)
    until = min(span.end_at, rules.whole_second(tx.now()))
    if until <= span.start_at:
        raise errors.INVALID(field="month", reason=f"{month} has not begun")
    return span, until


def _drafts(tx: Transaction, month: str, codes: frozenset[str] | None, excluded: frozenset[str]) -> list[Shown]:
    span, until = _begun(tx, month)
    now = tx.now()
    lines = _rated(tx, span, until, books=book_records.known(tx, now), counted_by=now, excluded=excluded, codes=codes)
    places = {code: place for code, place in _places(tx, span).items() if codes is None or code in codes}
    by_tenant = _by_tenant(lines)
    return [
        Shown(statement=one, lines=tuple(by_tenant.get(one.tenant, ())), until=until)
        for one in _computed(lines, month, places).statements
    ]


def _rated(
    tx: Transaction,
    span: interval.Interval,
    until: datetime.datetime,
    *,
    books: Sequence[model.PriceBook],
    counted_by: datetime.datetime,
    excluded: frozenset[str],
    codes: frozenset[str] | None = None,
) -> Sequence[model.Line]:
    """The lines of a month up to a watermark; of tenants `codes` only, so that nobody hears of a missing price of somebody else's."""
    one = next(iter(codes)) if codes is not None and len(codes) == 1 else None
    events = usage_records.of_month(tx, span, counted_by=counted_by, tenant=one)
    made = rules.intervals((event for event in events if event.subject not in excluded), until)
    rated = rating.rate((each for each in made if codes is None or each.tenant in codes), books, span)
    if rated.unpriced:
        raise service.price_missing(rated.unpriced)
    for line in rated.lines:
        if line.amount_micro > quantity.BOUND:
            raise faults.OUT_OF_RANGE(what=line.resource, amount=money.text(line.amount_micro), resource=line.resource)
    return rated.lines


def _by_tenant(lines: Iterable[model.Line]) -> dict[str, list[model.Line]]:
    found: dict[str, list[model.Line]] = collections.defaultdict(list)
    for line in lines:
        found[line.tenant].append(line)
    return found


def _computed(lines: Sequence[model.Line], month: str, places: Mapping[str, tenants_model.Place]) -> Computed:
    """One statement for each place, also where nothing was used, so that a missing one is never taken for a zero."""
    by_tenant = _by_tenant(lines)
    for code in by_tenant:
        if code not in places:
            raise faults.STATEMENT_UNKNOWN(tenant=code, month=month)
    statements = [_statement(month, place, by_tenant.get(code, [])) for code, place in places.items()]
    statements.sort(key=lambda one: (one.path, one.tenant))
    whole = hashlib.sha256("".join(one.digest for one in statements).encode()).hexdigest()
    return Computed(lines=tuple(lines), statements=tuple(statements), digest=whole)


def _statement(month: str, place: tenants_model.Place, lines: Sequence[model.Line]) -> model.Statement:
    total = sum(line.amount_micro for line in lines)
    if total > quantity.BOUND:
        raise faults.OUT_OF_RANGE(what=place.path[-1], amount=money.text(total), resource=lines[0].resource)
    digest = hashlib.sha256(b"".join(canonical.dumps(line.as_json()) + b"\n" for line in lines)).hexdigest()
    return model.Statement(
        id=ids.new("st"),
        month=month,
        tenant_id=place.tenant_id,
        tenant=place.path[-1],
        path=place.path,
        path_ids=place.path_ids,
        name=place.name,
        payer_id=place.payer_id,
        lines=len(lines),
        total_micro=total,
        digest=digest,
        state=model.Standing.OPEN,
    )


def _places(tx: Transaction, span: interval.Interval) -> dict[str, tenants_model.Place]:
    """Code -> place of every tenant at the end of a month, or at present for one that was founded later."""
    places = tenants.places_at(tx, tx.now()) | tenants.places_at(tx, _last_moment(tx, span))
    return {place.path[-1]: place for place in places.values()}


def _last_moment(tx: Transaction, span: interval.Interval) -> datetime.datetime:
    return min(span.end_at - datetime.timedelta(seconds=1), tx.now())
