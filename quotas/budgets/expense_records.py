"""SQL of expenses: what the use of each tenant cost in a month, at every level it counts at, and up to when it is known."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import sqlalchemy as sa

from quotas.budgets import records, tables
from quotas.budgets.model import Expense
from store import columns
from store.transaction import Transaction, sql

_E: Final = tables.EXPENSES
_SUM_SPENT: Final = sql(
    "SELECT node_id, CAST(substr(month, 1, 4) AS integer) AS year, CAST(sum(amount_micro) AS bigint) AS amount"
    " FROM budget_expenses GROUP BY node_id, substr(month, 1, 4)"
)
_SPENT_AT: Final = sql(
    "SELECT month, CAST(sum(amount_micro) AS bigint) AS amount FROM budget_expenses"
    " WHERE node_id = :node_id AND month >= :first AND month <= :last GROUP BY month ORDER BY month"
)
_EXPENSES_OF: Final = sa.select(_E).where(columns.among(_E.c.tenant_id, "tenant_ids"), columns.among(_E.c.month, "months"))
_PUT_EXPENSE: Final = sql(
    "INSERT INTO budget_expenses (tenant_id, month, node_id, amount_micro) VALUES (:tenant_id, :month, :node_id, :amount_micro)"
    " ON CONFLICT (tenant_id, month, node_id) DO UPDATE SET amount_micro = excluded.amount_micro"
)
_PUT_EXPENSES: Final = sql(
    "INSERT INTO budget_expenses (tenant_id, month, node_id, amount_micro) SELECT * FROM unnest(CAST(:tenant_id AS text[]),"
    " CAST(:month AS text[]), CAST(:node_id AS text[]), CAST(:amount_micro AS bigint[]))"
    " ON CONFLICT (tenant_id, month, node_id) DO UPDATE SET amount_micro = excluded.amount_micro"
)
_DROP_EXPENSE: Final = sql("DELETE FROM budget_expenses WHERE tenant_id = :tenant_id AND month = :month AND node_id = :node_id")
_SETTLED: Final = sa.select(tables.SETTLEMENTS).where(columns.among(tables.SETTLEMENTS.c.tenant_id, "tenant_ids"))
_SETTLE: Final = sql(
    "INSERT INTO budget_settlements (tenant_id, settled_at) VALUES (:tenant_id, :at)"
    " ON CONFLICT (tenant_id) DO UPDATE SET settled_at = excluded.settled_at"
)


def spent_by_node(tx: Transaction) -> dict[tuple[str, int], int]:
    """(tenant, year) -> the sum of the expenses at and below the tenant."""
    return {(row["node_id"], row["year"]): row["amount"] for row in tx.execute(_SUM_SPENT)}


def spent_at(tx: Transaction, node_id: str, first: str, last: str) -> dict[str, int]:
    """month -> the expenses at and below a tenant, from a first to a last month."""
    return {row["month"]: row["amount"] for row in tx.execute(_SPENT_AT, node_id=node_id, first=first, last=last)}


def expenses(tx: Transaction, tenant_ids: Sequence[str], months: Sequence[str]) -> dict[tuple[str, str], Expense]:
    """(tenant, month) -> the expense as it is known."""
    found: dict[tuple[str, str], list[Any]] = {}
    for row in tx.execute(_EXPENSES_OF, tenant_ids=list(tenant_ids), months=list(months)):
        found.setdefault((row["tenant_id"], row["month"]), []).append(row)
    return {
        key: Expense(amount_micro=rows[0]["amount_micro"], node_ids=tuple(sorted(row["node_id"] for row in rows)))
        for key, rows in found.items()
    }


def put_expenses(tx: Transaction, before: Mapping[tuple[str, str], Expense], now: Mapping[tuple[str, str], Expense]) -> None:
    """Write expenses of (tenant, month) again where they differ."""
    was, rows = _by_node(before), _by_node(now)
    gone = [key for key in was if key not in rows]
    changed = [
        {"tenant_id": tenant_id, "month": month, "node_id": node_id, "amount_micro": amount}
        for (tenant_id, month, node_id), amount in rows.items()
        if was.get((tenant_id, month, node_id)) != amount
    ]
    tx.many(_DROP_EXPENSE, [dict(zip(("tenant_id", "month", "node_id"), key, strict=True)) for key in gone])
    if tx.dialect == "postgresql" and changed:
        tx.execute(_PUT_EXPENSES, **records.columns_of(changed))
    else:
        tx.many(_PUT_EXPENSE, changed)


def settled_at(tx: Transaction, tenant_ids: Sequence[str]) -> dict[str, int]:
    """Tenant -> microseconds up to which its use is expense."""
    return {row["tenant_id"]: row["settled_at"] for row in tx.execute(_SETTLED, tenant_ids=list(tenant_ids))}


def settle(tx: Transaction, tenant_ids: Sequence[str], at_us: int) -> None:
    """Remember up to when the use of some tenants is expense."""
    tx.many(_SETTLE, [{"tenant_id": tenant_id, "at": at_us} for tenant_id in tenant_ids])


def _by_node(known: Mapping[tuple[str, str], Expense]) -> dict[tuple[str, str, str], int]:
    return {
        (tenant_id, month, node_id): one.amount_micro
        for (tenant_id, month), one in known.items()
        if one.amount_micro
        for node_id in one.node_ids
    }
