"""SQL of attempts.  A closed attempt never changes again (a trigger), and of a resource at most one is open (a unique index)."""

import datetime
import json
from collections.abc import Mapping, Sequence
from typing import Any, Final

import sqlalchemy as sa

from primitives import canonical, clock
from provisioners import contract, model, tables
from store import columns, transaction

_A: Final = tables.ATTEMPTS
_INSERT: Final = sa.insert(_A)
_OPEN_OF: Final = sa.select(_A).where(_A.c.resource_id == sa.bindparam("resource_id"), _A.c.closed_at.is_(None))
_OPEN_OF_MANY: Final = sa.select(_A).where(columns.among(_A.c.resource_id, "ids"), _A.c.closed_at.is_(None))
_BY_ID: Final = sa.select(_A).where(_A.c.id == sa.bindparam("id"))
_TAKE_OVER: Final = (
    sa.update(_A)
    .where(_A.c.resource_id == sa.bindparam("resource"), _A.c.closed_at.is_(None))
    .values(fence_epoch=sa.bindparam("epoch"), fence_n=sa.bindparam("n"))
)
_CLOSE: Final = (
    sa.update(_A)
    .where(
        _A.c.id == sa.bindparam("key"), _A.c.fence_epoch == sa.bindparam("epoch"), _A.c.fence_n == sa.bindparam("n"),
        _A.c.closed_at.is_(None),
    )
    .values(
        closed_at=sa.bindparam("now"), returned_at=sa.func.coalesce(_A.c.returned_at, sa.bindparam("now")),
        outcome=sa.bindparam("outcome"), detail=sa.bindparam("detail"), cloud_id=sa.bindparam("cloud_id"),
    )
)  # fmt: skip
_RETURNED: Final = (
    sa.update(_A)
    .where(_A.c.id == sa.bindparam("key"), _A.c.closed_at.is_(None), _A.c.returned_at.is_(None))
    .values(returned_at=sa.bindparam("now"))
)
_OF_RESOURCE: Final = (
    sa.select(_A).where(_A.c.resource_id == sa.bindparam("resource_id")).order_by(_A.c.number.desc()).limit(sa.bindparam("n"))
)
_TRAIL: Final = (
    sa.select(
        _A.c.resource_id, _A.c.cloud_id, _A.c.epoch, sa.func.max(sa.case((_A.c.closed_at.is_(None), 1), else_=0)).label("open"),
        sa.func.max(sa.case((_A.c.verb == "advance", 1), else_=0)).label("creates"),
        sa.func.max(sa.case((_A.c.verb == "advance", _A.c.closed_at))).label("creates_ended_at"),
    )
    .where(columns.among(_A.c.resource_id, "ids"))
    .group_by(_A.c.resource_id, _A.c.cloud_id, _A.c.epoch)
)  # fmt: skip
_OLDEST: Final = sa.select(sa.func.count().label("n"), sa.func.min(_A.c.opened_at).label("opened_at")).where(
    _A.c.closed_at.is_(None)
)


def insert(tx: transaction.Transaction, attempt: model.Attempt) -> None:
    """A new open attempt."""
    tx.execute(
        _INSERT, id=attempt.id, resource_id=attempt.resource_id, number=attempt.number, verb=str(attempt.verb), action=attempt.action,
        fence_epoch=attempt.fence.epoch, fence_n=attempt.fence.n, epoch=attempt.epoch, worker_id=attempt.worker_id,
        known=canonical.dumps(attempt.known.as_json()).decode(), cloud_id="" if attempt.action == model.CLEAN else attempt.known.cloud_id,
        opened_at=clock.to_us(attempt.opened_at), returned_at=None, closed_at=None, outcome="", detail="",
    )  # fmt: skip


def open_of(tx: transaction.Transaction, resource_id: str) -> model.Attempt | None:
    """The open attempt of a resource."""
    row = tx.one(_OPEN_OF, resource_id=resource_id)
    return None if row is None else _attempt(row)


def open_of_many(tx: transaction.Transaction, resource_ids: Sequence[str]) -> dict[str, model.Attempt]:
    """Open attempts by resource."""
    return {row["resource_id"]: _attempt(row) for row in tx.execute(_OPEN_OF_MANY, ids=list(resource_ids))}


def get(tx: transaction.Transaction, attempt_id: str) -> model.Attempt | None:
    """The attempt of an id."""
    row = tx.one(_BY_ID, id=attempt_id)
    return None if row is None else _attempt(row)


def take_over(tx: transaction.Transaction, resource_id: str, fence: model.Fence) -> None:
    """Write the new holder's fence into the open attempt: from now on only the new holder can close it."""
    tx.execute(_TAKE_OVER, resource=resource_id, epoch=fence.epoch, n=fence.n)


def close(
    tx: transaction.Transaction, attempt_id: str, fence: model.Fence, *, outcome: model.Outcome, cloud_id: str, detail: str
) -> bool:
    """Close an attempt under a fence; False if the fence is no longer the attempt's, or it is closed already."""
    changed = tx.changed(
        _CLOSE, key=attempt_id, epoch=fence.epoch, n=fence.n, now=clock.to_us(tx.now()), outcome=str(outcome), detail=detail[:500],
        cloud_id=cloud_id,
    )  # fmt: skip
    return changed == 1


def returned(tx: transaction.Transaction, attempt_id: str) -> None:
    """The sender certainly sends nothing more under this attempt.  Needs no fence: it is a fact about the sender."""
    tx.execute(_RETURNED, key=attempt_id, now=clock.to_us(tx.now()))


def of_resource(tx: transaction.Transaction, resource_id: str, n: int) -> list[model.Attempt]:
    """The last `n` attempts of a resource, newest first."""
    return [_attempt(row) for row in tx.execute(_OF_RESOURCE, resource_id=resource_id, n=n)]


def trails(tx: transaction.Transaction, resource_ids: Sequence[str]) -> dict[str, list[Mapping[str, Any]]]:
    """By resource: each (cloud_id, epoch) that its attempts name, whether one is open, whether one of them was a create."""
    found: dict[str, list[Mapping[str, Any]]] = {}
    for row in tx.execute(_TRAIL, ids=list(resource_ids)):
        found.setdefault(row["resource_id"], []).append(row)
    return found


def still_open(tx: transaction.Transaction) -> tuple[int, datetime.datetime | None]:
    """How many attempts are open, and when the oldest was opened."""
    row = tx.one(_OLDEST) or {"n": 0, "opened_at": None}
    return row["n"], None if row["opened_at"] is None else clock.from_us(row["opened_at"])


def _attempt(row: Mapping[str, Any]) -> model.Attempt:
    return model.Attempt(
        id=row["id"], resource_id=row["resource_id"], number=row["number"], verb=contract.Verb(row["verb"]), action=row["action"],
        fence=model.Fence(epoch=row["fence_epoch"], n=row["fence_n"]), epoch=row["epoch"], worker_id=row["worker_id"],
        known=contract.Facts.from_json(json.loads(row["known"])), opened_at=clock.from_us(row["opened_at"]),
        returned_at=None if row["returned_at"] is None else clock.from_us(row["returned_at"]),
        closed_at=None if row["closed_at"] is None else clock.from_us(row["closed_at"]), outcome=row["outcome"], detail=row["detail"],
    )  # fmt: skip
