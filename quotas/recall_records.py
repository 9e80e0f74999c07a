"""SQL of recalls."""

import datetime
from collections.abc import Sequence
from typing import Any, Final

import sqlalchemy as sa

from primitives import clock
from quotas import model, tables
from store import columns
from store.transaction import Transaction, sql

_R: Final = tables.RECALLS
_INSERT: Final = sa.insert(_R)
_FIND: Final = sa.select(_R).where(_R.c.id == sa.bindparam("id"))
_GOING_ON: Final = sa.select(_R).where(_R.c.ended_at.is_(None)).order_by(_R.c.id)
_AT: Final = _GOING_ON.where(_R.c.tenant_id == sa.bindparam("tenant_id"))
_LISTED: Final = sa.select(_R).where(_R.c.id < sa.bindparam("before")).order_by(_R.c.id.desc()).limit(sa.bindparam("count"))
_LISTED_OF: Final = _LISTED.where(columns.among(_R.c.tenant_id, "tenant_ids"))
_END: Final = sql(
    "UPDATE quota_recalls SET ended_at = :at, outcome = :outcome, came_back = :came_back WHERE id = :id AND ended_at IS NULL"
)
_REMIND: Final = sql("UPDATE quota_recalls SET reminded_at = :at WHERE id = :id AND reminded_at IS NULL")
_MOMENTS: Final = ("started_at", "due_at", "reminded_at", "ended_at")


def insert(tx: Transaction, recall: model.Recall) -> None:
    """A recall that begins."""
    tx.execute(_INSERT, **{column.name: _stored(getattr(recall, column.name)) for column in _R.columns})


def find(tx: Transaction, recall_id: str) -> model.Recall | None:
    """The recall of an id."""
    row = tx.one(_FIND, id=recall_id)
    return None if row is None else _recall(row)


def going_on(tx: Transaction, names: Sequence[str] | None) -> list[model.Recall]:
    """Recalls of some names (None: of all) that have not ended, oldest first."""
    return [recall for recall in tx.known(_GOING_ON, _recalls) if names is None or recall.name in names]


def at(tx: Transaction, tenant_id: str) -> list[model.Recall]:
    """Recalls of a tenant that have not ended."""
    return [_recall(row) for row in tx.execute(_AT, tenant_id=tenant_id)]


def listed(tx: Transaction, tenant_ids: Sequence[str] | None, before: str, count: int) -> list[model.Recall]:
    """Recalls of tenants (None: of all), newest first, those with ids below `before`."""
    page: dict[str, Any] = {"before": before or "~", "count": count}
    rows = tx.execute(_LISTED, **page) if tenant_ids is None else tx.execute(_LISTED_OF, tenant_ids=list(tenant_ids), **page)
    return [_recall(row) for row in rows]


def end(tx: Transaction, recall_id: str, outcome: str, came_back: int) -> bool:
    """End a recall; False if it has ended already."""
    return tx.changed(_END, id=recall_id, outcome=outcome, came_back=came_back, at=clock.to_us(tx.now())) == 1


def remind(tx: Transaction, recall_id: str) -> bool:
    """Note that operators heard that a recall is overdue; False if they had."""
    return tx.changed(_REMIND, id=recall_id, at=clock.to_us(tx.now())) == 1


def _stored(value: Any) -> Any:
    return clock.to_us(value) if isinstance(value, datetime.datetime) else value


def _recalls(rows: list[dict[str, Any]]) -> tuple[model.Recall, ...]:
    return tuple(map(_recall, rows))


def _recall(row: dict[str, Any]) -> model.Recall:
    moments = {name: None if row[name] is None else clock.from_us(row[name]) for name in _MOMENTS}
    return model.Recall(**row | moments)
