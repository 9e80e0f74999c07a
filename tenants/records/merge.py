"""SQL of merges: who asked for one, what it ends and passes on."""

from typing import Any, Final

import sqlalchemy as sa

from primitives import clock
from store import transaction
from tenants import model, tables

_M: Final = tables.MERGES
_FIND: Final = sa.select(_M).where(_M.c.tenant_id == sa.bindparam("tenant_id"))
_INSERT: Final = sa.insert(_M)
_FORGET: Final = transaction.sql("DELETE FROM tenant_merges WHERE tenant_id = :tenant_id AND merged_at IS NULL")
_AGREE: Final = transaction.sql(
    "UPDATE tenant_merges SET agreed_by = :agreed_by, merged_at = :merged_at, valid_from_at = :valid_from_at"
    " WHERE tenant_id = :tenant_id AND merged_at IS NULL"
)
_PAID_FOR: Final = transaction.sql("SELECT code FROM tenants WHERE payer_id = :tenant_id AND id <> :tenant_id ORDER BY code")
_REHOME: Final = transaction.sql(
    "UPDATE accounts SET tenant_id = :into_id, generation = generation + 1 WHERE tenant_id = :tenant_id AND disabled_at IS NULL"
)


def find(tx: transaction.Transaction, tenant_id: str) -> model.Merge | None:
    """The merge of a tenant, asked for or done."""
    row = tx.one(_FIND, tenant_id=tenant_id)
    return None if row is None else _merge(row)


def ask(tx: transaction.Transaction, merge: model.Merge) -> None:
    """Somebody asks; what was asked before and not agreed to is forgotten."""
    tx.execute(_FORGET, tenant_id=merge.tenant_id)
    tx.execute(
        _INSERT,
        tenant_id=merge.tenant_id,
        into_id=merge.into_id,
        terms=merge.terms,
        asked_by=merge.asked_by,
        asked_at=clock.to_us(merge.asked_at),
        agreed_by="",
        valid_from_at=None,
        merged_at=None,
    )


def agree(tx: transaction.Transaction, tenant_id: str, agreed_by: str, valid_from_us: int) -> None:
    """Somebody else agrees, and it is done."""
    tx.execute(_AGREE, tenant_id=tenant_id, agreed_by=agreed_by, merged_at=clock.to_us(tx.now()), valid_from_at=valid_from_us)


def paid_for(tx: transaction.Transaction, tenant_id: str) -> list[str]:
    """Codes of the other tenants for which it pays now."""
    return [row["code"] for row in tx.execute(_PAID_FOR, tenant_id=tenant_id)]


def rehome(tx: transaction.Transaction, tenant_id: str, into_id: str) -> int:
    """The living accounts at home in one tenant are at home in another; how many."""
    return tx.changed(_REHOME, tenant_id=tenant_id, into_id=into_id)


def _merge(row: dict[str, Any]) -> model.Merge:
    return model.Merge(
        tenant_id=row["tenant_id"],
        into_id=row["into_id"],
        terms=row["terms"],
        asked_by=row["asked_by"],
        asked_at=clock.from_us(row["asked_at"]),
        merged_at=None if row["merged_at"] is None else clock.from_us(row["merged_at"]),
    )
