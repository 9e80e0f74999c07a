"""SQL of what waits while something moves: orders that speak of a resource, of a project, moves of a tenant; and what a merge passes on."""

from collections.abc import Sequence
from typing import Final

import sqlalchemy as sa

from orders import model, tables
from store import columns
from store.transaction import Transaction

_O: Final = tables.ORDERS
_L: Final = tables.LINES
_R: Final = tables.RULES

_WAITING_ON: Final = (
    sa.select(_L.c.name, _O.c.number)
    .select_from(_L.join(_O, _O.c.id == _L.c.order_id))
    .where(
        columns.among(_L.c.resource_id, "resources"),
        _O.c.state == str(model.State.WAITING_FOR_APPROVAL),
        _O.c.id != sa.bindparam("but"),
    )
    .order_by(_O.c.number)
    .limit(1)
)
_WAITING_IN: Final = (
    sa.select(_O.c.number)
    .where(
        _O.c.project_id == sa.bindparam("project"),
        _O.c.state == str(model.State.WAITING_FOR_APPROVAL),
        _O.c.id != sa.bindparam("but"),
    )
    .order_by(_O.c.number)
)
_WAITING_MOVES: Final = (
    sa.select(_O.c.number)
    .where(
        _O.c.state == str(model.State.WAITING_FOR_APPROVAL),
        _O.c.taker_id.is_not(None),
        sa.or_(_O.c.tenant_id == sa.bindparam("tenant"), _O.c.taker_id == sa.bindparam("tenant")),
    )
    .order_by(_O.c.number)
)
_PASS_ON: Final = (
    sa.update(_O)
    .where(_O.c.tenant_id == sa.bindparam("from_id"), _O.c.state == str(model.State.WAITING_FOR_APPROVAL))
    .values(tenant_id=sa.bindparam("to_id"), generation=_O.c.generation + 1)
)
_PASS_ON_RULES: Final = (
    sa.update(_R)
    .where(_R.c.tenant_id == sa.bindparam("from_id"), _R.c.retired_at.is_(None))
    .values(tenant_id=sa.bindparam("to_id"), generation=_R.c.generation + 1)
    .returning(_R.c.name)
)


def waiting_on(tx: Transaction, resource_ids: Sequence[str], *, but: str = "") -> tuple[int, str] | None:
    """Number of a waiting order, other than `but`, that speaks of one of these, and its name."""
    row = tx.one(_WAITING_ON, resources=list(resource_ids), but=but)
    return None if row is None else (row["number"], row["name"])


def waiting_in(tx: Transaction, project_id: str, *, but: str = "") -> list[int]:
    """Numbers of the waiting orders of a project, other than `but`."""
    return [row["number"] for row in tx.execute(_WAITING_IN, project=project_id, but=but)]


def waiting_moves(tx: Transaction, tenant_id: str) -> list[int]:
    """Numbers of the waiting moves from or to a tenant."""
    return [row["number"] for row in tx.execute(_WAITING_MOVES, tenant=tenant_id)]


def pass_on(tx: Transaction, from_id: str, to_id: str) -> int:
    """The waiting orders of one tenant are another's; how many."""
    return tx.changed(_PASS_ON, from_id=from_id, to_id=to_id)


def pass_on_rules(tx: Transaction, from_id: str, to_id: str) -> list[str]:
    """The approval rules that stand at one tenant stand at another; their names."""
    return sorted(row["name"] for row in tx.execute(_PASS_ON_RULES, from_id=from_id, to_id=to_id))
