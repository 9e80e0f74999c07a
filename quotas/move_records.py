"""SQL of units that change their tenant: what is coming, and whose a reservation is."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import sqlalchemy as sa

from quotas import tables
from store import columns
from store.transaction import Transaction, sql

MONEY: Final = "money."
"""Before the year, where what is coming is micro-yuan of it."""

_R: Final = tables.RESERVATIONS
_ALL: Final = sa.select(tables.INCOMING).order_by(tables.INCOMING.c.order_id, tables.INCOMING.c.name)
_EXPECT: Final = sa.insert(tables.INCOMING)
_FORGET: Final = sql("DELETE FROM quota_incoming WHERE order_id = :order_id")
_HELD: Final = (
    sa.select(_R.c.holder, _R.c.tenant_id, tables.AMOUNTS.c.name, tables.AMOUNTS.c.amount)
    .select_from(_R.join(tables.AMOUNTS, tables.AMOUNTS.c.holder == _R.c.holder))
    .where(columns.among(_R.c.holder, "holders"))
)
_ASSIGN: Final = sa.update(_R).where(columns.among(_R.c.holder, "holders")).values(tenant_id=sa.bindparam("to_id"))
_ASSIGN_ALL: Final = sa.update(_R).where(_R.c.tenant_id == sa.bindparam("from_id")).values(tenant_id=sa.bindparam("to_id"))


def incoming(tx: Transaction) -> list[dict[str, Any]]:
    """order_id, name, from_id, tenant_id and amount of all that is coming, by order and name."""
    return tx.known(_ALL, list)


def expect(tx: Transaction, order_id: str, from_id: str, tenant_id: str, amounts: Mapping[str, int]) -> None:
    """Note what an order will move."""
    head = {"order_id": order_id, "from_id": from_id, "tenant_id": tenant_id}
    tx.many(_EXPECT, [{**head, "name": name, "amount": amount} for name, amount in amounts.items()])


def forget(tx: Transaction, order_id: str) -> None:
    """Nothing comes of an order any more, or it has come."""
    tx.execute(_FORGET, order_id=order_id)


def held(tx: Transaction, holders: Sequence[str]) -> list[dict[str, Any]]:
    """holder, tenant_id, name and amount of these reservations."""
    return tx.execute(_HELD, holders=list(holders))


def assign(tx: Transaction, holders: Sequence[str], to_id: str) -> None:
    """These reservations are a tenant's."""
    tx.execute(_ASSIGN, holders=list(holders), to_id=to_id)


def assign_all(tx: Transaction, from_id: str, to_id: str) -> None:
    """All reservations of one tenant are another's."""
    tx.execute(_ASSIGN_ALL, from_id=from_id, to_id=to_id)
