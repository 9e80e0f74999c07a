"""Graded protection (dengbao): what stands in a pool of a lower level than its tenant.  Used by `control.tenant`, `control.pool`, `control.resource`.

A level is found by an authority, not wished for, so nobody is kept from recording it (docs/explanation/protection-level.md).  What it makes wrong
is reported: listed in the answer, told to each department, shown on each resource.  There nothing new comes and nothing grows.
"""

from collections.abc import Iterable, Sequence
from typing import Any, Final

from control import notice
from pools import model as pools_model
from pools import service as pools
from provisioners import model
from provisioners import service as provisioners
from store.transaction import Transaction
from tenants import model as tenants_model
from tenants import service as tenants

SHOWN: Final = 100
"""Resources that an answer lists; `count` says how many there are."""
BELOW: Final = notice.declare(
    "protection.below",
    en="{count} resources of {tenant} (protection level {level}) stand in pools of a lower level and should be moved: {names}",
    zh="{tenant}（等保 {level} 级）有 {count} 个资源位于级别较低的资源池，应予迁移：{names}",
)


def raised(tx: Transaction, before: tenants_model.Tenant, after: tenants_model.Tenant) -> dict[str, Any]:
    """What stands too low since a tenant's level rose, told to it; {} when it did not rise."""
    if after.protection_level <= before.protection_level:
        return {}
    rows = provisioners.listed(tx, provisioners.Filter(tenant_ids=[after.id]), limit=10_000)
    return _reported(tx, rows, {after.id: after})


def lowered(tx: Transaction, before: pools_model.Pool | None, after: pools_model.Pool) -> dict[str, Any]:
    """What stands too low since a pool's level fell, told to each department; {} when it did not fall."""
    if before is None or after.protection_level >= before.protection_level:
        return {}
    rows = provisioners.living(tx, after.id)
    return _reported(tx, rows, tenants.by_ids(tx, sorted({row.tenant_id for row in rows})))


def condition(tx: Transaction, row: model.Resource) -> dict[str, Any] | None:
    """What a resource says of itself while it stands too low."""
    if row.ended:
        return None
    found = _below(tx, [row], {row.tenant_id: tenants.by_id(tx, row.tenant_id)})
    if not found:
        return None
    one = found[0]
    en = f"pool {one['pool']} is of protection level {one['pool_level']}, its tenant needs {one['level']}: it cannot grow here"
    zh = f"资源池 {one['pool']} 为等保 {one['pool_level']} 级，本单位要求 {one['level']} 级：不得在此扩容，应予迁移"
    return {"code": "protection.below", "en": en, "zh": zh}


def _reported(tx: Transaction, rows: Iterable[model.Resource], owners: dict[str, tenants_model.Tenant]) -> dict[str, Any]:
    found = _below(tx, rows, owners)
    for owner in owners.values():
        theirs = [one["name"] for one in found if one["tenant"] == owner.code]
        if theirs:
            names = ", ".join(theirs[:5]) + (" ..." if len(theirs) > 5 else "")
            values = {"tenant": owner.name, "level": owner.protection_level, "count": len(theirs), "names": names}
            notice.tell(tx, tenant_id=owner.id, code=BELOW, values=values, object_id=owner.id)
    return {"below_level": {"count": len(found), "resources": found[:SHOWN]}}


def _below(tx: Transaction, rows: Iterable[model.Resource], owners: dict[str, tenants_model.Tenant]) -> Sequence[dict[str, Any]]:
    levels = {pool.id: pool.protection_level for pool in pools.pools(tx)}
    return [
        {
            "id": row.id,
            "name": row.name,
            "kind": row.kind,
            "tenant": row.tenant,
            "level": owners[row.tenant_id].protection_level,
            "pool": row.pool,
            "pool_level": levels[row.pool_id],
        }
        for row in rows
        if row.pool_id in levels and levels[row.pool_id] < owners[row.tenant_id].protection_level
    ]
