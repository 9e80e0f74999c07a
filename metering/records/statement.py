"""SQL of closes, statements and their lines.  The close in force of a month is the last complete one."""

import datetime
import json
from collections.abc import Sequence
from typing import Any, Final

import sqlalchemy as sa

from metering import model, tables
from primitives import clock, interval
from store import columns
from store.transaction import Transaction

_C: Final = tables.CLOSES
_S: Final = tables.STATEMENTS
_L: Final = tables.LINES
_ONE: Final[Any] = sa.literal_column("1")
_ISSUED: Final[Any] = sa.literal_column("'Issued'")


def _bind(name: str) -> Any:
    return sa.bindparam(name)


_OPEN_CLOSE: Final = sa.select(_C).where(
    _C.c.account_id == _bind("account_id"),
    _C.c.key == _bind("key"),
    _C.c.completed_at.is_(sa.null()),
    _C.c.abandoned_at.is_(sa.null()),
)
_LAST_CLOSE: Final = (
    sa.select(_C)
    .where(_C.c.month == _bind("month"), _C.c.completed_at.is_not(None))
    .order_by(_C.c.completed_at.desc(), _C.c.id.desc())
    .limit(_ONE)
)
_BEGIN: Final = sa.insert(_C)
_PLAN: Final = sa.update(_C).where(_C.c.id == _bind("close_id")).values(digest=_bind("new_digest"), lines=_bind("new_lines"))
_ADVANCE: Final = sa.update(_C).where(_C.c.id == _bind("close_id"), _C.c.done == _bind("was")).values(done=_bind("now_done"))
_ABANDON: Final = sa.update(_C).where(_C.c.id == _bind("close_id")).values(abandoned_at=_bind("at_us"))
_COMPLETE: Final = (
    sa.update(_C).where(_C.c.id == _bind("close_id"), _C.c.completed_at.is_(sa.null())).values(completed_at=_bind("at_us"))
)
_INSERT_LINES: Final = sa.insert(_L)
_INSERT_STATEMENTS: Final = sa.insert(_S)
_STATEMENTS: Final = sa.select(_S).where(_S.c.close_id == _bind("close_id")).order_by(_S.c.path, _S.c.tenant)
_STATEMENT: Final = sa.select(_S).where(_S.c.close_id == _bind("close_id"), _S.c.tenant_id == _bind("tenant_id"))
_LINES: Final = sa.select(_L).where(_L.c.close_id == _bind("close_id"), _L.c.tenant == _bind("tenant")).order_by(_L.c.number)
_LINES_OF_RESOURCES: Final = (
    sa.select(_L.c.resource, _L.c.tenant)
    .where(_L.c.close_id == _bind("close_id"), columns.among(_L.c.resource, "resources"))
    .distinct()
)
_COUNT_ISSUED: Final = sa.select(sa.func.count().label("count")).where(_S.c.month == _bind("month"), _S.c.state == _ISSUED)
_LAST_ISSUED: Final = sa.select(sa.func.max(_S.c.month).label("month")).where(_S.c.state == _ISSUED)
_ISSUE: Final = (
    sa.update(_S)
    .where(
        _S.c.close_id == _bind("close_id"),
        _S.c.state == sa.literal_column("'Open'"),
        columns.among(_S.c.tenant_id, "tenant_ids"),
    )
    .values(state=_ISSUED, issued_at=_bind("at_us"), issued_by=_bind("person_id"))
    .returning(_S)
)


def open_close(tx: Transaction, account_id: str, key: str) -> model.Close | None:
    """The unfinished close of an account under a key."""
    row = tx.one(_OPEN_CLOSE, account_id=account_id, key=key)
    return None if row is None else _close(row)


def last_close(tx: Transaction, month: str) -> model.Close | None:
    """The close in force of a month."""
    row = tx.one(_LAST_CLOSE, month=month)
    return None if row is None else _close(row)


def begin(tx: Transaction, close: model.Close, *, account_id: str, key: str) -> None:
    """Write down that a close begins."""
    tx.execute(
        _BEGIN,
        id=close.id,
        month=close.month,
        account_id=account_id,
        key=key,
        person_id=close.person_id,
        cut_at=clock.to_us(close.cut_at),
        excluded=json.dumps(sorted(close.excluded)),
        digest=close.digest,
        lines=close.lines,
        done=0,
    )


def plan(tx: Transaction, close_id: str, digest: str, lines: int) -> None:
    """Remember what the close comes to."""
    tx.execute(_PLAN, close_id=close_id, new_digest=digest, new_lines=lines)


def abandon(tx: Transaction, close_id: str) -> None:
    """Give a close up for ever; its lines belong to nothing."""
    tx.execute(_ABANDON, close_id=close_id, at_us=clock.to_us(tx.now()))


def append_lines(tx: Transaction, close_id: str, first: int, lines: Sequence[model.Line]) -> bool:
    """Append the lines numbered from `first` on; False if somebody else did."""
    if tx.changed(_ADVANCE, close_id=close_id, was=first, now_done=first + len(lines)) != 1:
        return False
    tx.many(_INSERT_LINES, [_line_row(close_id, first + offset, line) for offset, line in enumerate(lines)])
    return True


def complete(tx: Transaction, close_id: str, statements: Sequence[model.Statement]) -> bool:
    """Write the statements and let the close be in force; False if it already is."""
    if tx.changed(_COMPLETE, close_id=close_id, at_us=clock.to_us(tx.now())) != 1:
        return False
    tx.many(_INSERT_STATEMENTS, [_statement_row(close_id, statement) for statement in statements])
    return True


def statements(tx: Transaction, close_id: str) -> list[model.Statement]:
    """All statements of a close, parents before children."""
    return [_statement(row) for row in tx.execute(_STATEMENTS, close_id=close_id)]


def statement(tx: Transaction, close_id: str, tenant_id: str) -> model.Statement | None:
    """The statement of a tenant in a close."""
    row = tx.one(_STATEMENT, close_id=close_id, tenant_id=tenant_id)
    return None if row is None else _statement(row)


def lines(tx: Transaction, close_id: str, tenant: str) -> list[model.Line]:
    """The lines of a tenant (code) in a close, in their order."""
    return [_line(row) for row in tx.execute(_LINES, close_id=close_id, tenant=tenant)]


def billed(tx: Transaction, close_id: str, resources: Sequence[str]) -> set[tuple[str, str]]:
    """(resource, tenant) pairs that have a line in a close."""
    rows = tx.execute(_LINES_OF_RESOURCES, close_id=close_id, resources=list(resources))
    return {(row["resource"], row["tenant"]) for row in rows}


def count_issued(tx: Transaction, month: str) -> int:
    """Issued statements of a month."""
    row = tx.one(_COUNT_ISSUED, month=month)
    return 0 if row is None else int(row["count"])


def last_issued(tx: Transaction) -> str | None:
    """The last month with an issued statement."""
    row = tx.one(_LAST_ISSUED)
    return None if row is None else row["month"]


def issue(tx: Transaction, close_id: str, tenant_ids: Sequence[str], person_id: str) -> list[model.Statement]:
    """Issue the open statements of `tenant_ids`; those that were."""
    rows = tx.execute(_ISSUE, close_id=close_id, tenant_ids=list(tenant_ids), at_us=clock.to_us(tx.now()), person_id=person_id)
    return sorted((_statement(row) for row in rows), key=lambda one: (one.path, one.tenant))


def _close(row: dict[str, Any]) -> model.Close:
    return model.Close(
        id=row["id"],
        month=row["month"],
        person_id=row["person_id"],
        cut_at=clock.from_us(row["cut_at"]),
        excluded=frozenset(json.loads(row["excluded"])),
        digest=row["digest"],
        lines=row["lines"],
        done=row["done"],
        completed_at=_moment(row["completed_at"]),
    )


def _statement_row(close_id: str, one: model.Statement) -> dict[str, Any]:
    return {
        "id": one.id,
        "close_id": close_id,
        "month": one.month,
        "tenant_id": one.tenant_id,
        "tenant": one.tenant,
        "path": json.dumps(one.path, ensure_ascii=False),
        "path_ids": json.dumps(one.path_ids),
        "name": one.name,
        "payer_id": one.payer_id,
        "lines": one.lines,
        "total_micro": one.total_micro,
        "digest": one.digest,
        "state": one.state.value,
    }


def _statement(row: dict[str, Any]) -> model.Statement:
    return model.Statement(
        id=row["id"],
        month=row["month"],
        tenant_id=row["tenant_id"],
        tenant=row["tenant"],
        path=tuple(json.loads(row["path"])),
        path_ids=tuple(json.loads(row["path_ids"])),
        name=row["name"],
        payer_id=row["payer_id"],
        lines=row["lines"],
        total_micro=row["total_micro"],
        digest=row["digest"],
        state=model.Standing(row["state"]),
        issued_at=_moment(row["issued_at"]),
        issued_by=row["issued_by"] or "",
    )


def _line_row(close_id: str, number: int, line: model.Line) -> dict[str, Any]:
    return {
        "close_id": close_id,
        "number": number,
        "tenant": line.tenant,
        "project": line.project,
        "resource": line.resource,
        "kind": line.kind,
        "sku": line.sku,
        "unit": line.unit,
        "unit_seconds": line.unit_seconds,
        "unit_price_micro": line.unit_price_micro,
        "price_version": line.price_version,
        "start_at": clock.to_us(line.start_at),
        "end_at": clock.to_us(line.end_at),
        "amount_micro": line.amount_micro,
    }


def _line(row: dict[str, Any]) -> model.Line:
    span = interval.Interval(clock.from_us(row["start_at"]), clock.from_us(row["end_at"]))
    values = {key: value for key, value in row.items() if key not in ("close_id", "number", "start_at", "end_at")}
    return model.Line(**values, start_at=span.start_at, end_at=span.end_at)


def _moment(us: int | None) -> datetime.datetime | None:
    return None if us is None else clock.from_us(us)
