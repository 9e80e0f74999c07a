"""`quota check`: proves on a live system, in one snapshot, that nobody holds more or less than he should and that every sum is right.

What is proved: the derived numbers of every grant; no grant above its parent's; a reservation and a hold of room for every living resource and
every line of a waiting order, and none without; nothing kept for a move that does not wait; the sums of every place; the money; the CHECKs of
the tables once more.
"""

import collections
import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from control import access, holdings
from pools import repair as pools_repair
from pools import service as pools
from pools import tables as pools_tables
from primitives import canonical, clock
from quotas import repair as quotas_repair
from quotas import tables as quotas_tables
from quotas.budgets import proof
from quotas.budgets import tables as budget_tables
from store import constraints
from store.transaction import Transaction
from tenants import model as tenants_model
from tenants import service as tenants

LISTED_MAX: Final = 10_000
"""Findings that an answer lists; all are counted."""
TABLES: Final = (
    quotas_tables.GRANTS,
    quotas_tables.RESERVATIONS,
    quotas_tables.AMOUNTS,
    quotas_tables.INCOMING,
    quotas_tables.RECALLS,
    budget_tables.BUDGETS,
    budget_tables.HOLDS,
    budget_tables.EXPENSES,
    pools_tables.ROOMS,
    pools_tables.HOLDS,
    pools_tables.AMOUNTS,
)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing that is not as it must be.  `stored` and `derived` are integers in the unit of `name`."""

    code: str
    tenant: str = ""  # code
    object: str = ""  # holder, place, or constraint
    name: str = ""
    field: str = ""
    stored: int = 0
    derived: int = 0
    repair: str = ""  # what `quota repair` does about it: add_again, release, hold, or '' where a person must decide


def check(tx: Transaction, who: tenants_model.Principal) -> dict[str, Any]:
    """The report: how much was looked at, and every finding.  `digest` names what a repair is agreed to."""
    access.require(tx, who, "check", "grant", tenant_id=None)
    found = list(findings(tx))
    counts = collections.Counter(finding.code for finding in found)
    return {
        "at": clock.text(tx.now()),
        "sound": not found,
        "findings": len(found),
        "codes": dict(sorted(counts.items())),
        "repairable": sum(bool(finding.repair) for finding in found),
        "digest": digest(found),
        "listed": [dataclasses.asdict(finding) for finding in found[:LISTED_MAX]],
    }


def digest(found: Sequence[Finding]) -> str:
    """Names the repairable findings, whatever live orders add to both sides of a difference meanwhile."""
    facts = sorted(
        [each.code, each.tenant, each.object, each.name, each.field, str(each.derived - each.stored)]
        for each in found
        if each.repair
    )
    return canonical.digest(facts)


def findings(tx: Transaction) -> Iterator[Finding]:
    """All findings, one by one."""
    codes = {tenant.id: tenant.code for tenant in tenants.all_tenants(tx)}
    yield from _grants(tx, codes)
    yield from _held(tx, codes)
    for each in proof.check(tx):
        yield Finding(
            code="money.derived",
            tenant=codes.get(each.tenant_id, each.tenant_id),
            object=each.name,
            field=each.column,
            stored=each.stored,
            derived=each.derived,
            repair="add_again",
        )
    for table in TABLES:
        for name, rows in constraints.broken(tx, table):
            yield Finding(code="table.check", object=name, stored=rows)


def _grants(tx: Transaction, codes: Mapping[str, str]) -> Iterator[Finding]:
    different = quotas_repair.differences(tx)
    torn = {each.name for each in different if each.column == "subtree_quota" and each.derived < 0}
    for each in different:
        repair = "" if each.name in torn else "add_again"  # grants that contradict each other add up to nothing
        yield Finding(
            code="grant.derived",
            tenant=codes.get(each.tenant_id, each.tenant_id),
            name=each.name,
            field=each.column,
            stored=each.stored,
            derived=each.derived,
            repair=repair,
        )
    for child, parent in quotas_repair.above_parent(tx):
        yield Finding(
            code="grant.above_parent",
            tenant=codes[child.tenant_id],
            object=codes[parent.tenant_id],
            name=child.name,
            field="granted",
            stored=child.granted,
            derived=parent.granted,
        )


def _held(tx: Transaction, codes: Mapping[str, str]) -> Iterator[Finding]:
    reserved, holds = quotas_repair.reservations(tx), pools_repair.holds(tx)
    places = {pool.id: pool.code for pool in pools.pools(tx)}
    for each in pools_repair.differences(tx):
        yield Finding(
            code="room.derived",
            object=f"{places.get(each.pool_id, each.pool_id)} {each.zone} {each.service_class}".rstrip(),
            name=each.name,
            field="held",
            stored=each.stored,
            derived=each.derived,
            repair="add_again",
        )
    for expected in holdings.everything(tx):
        tenant = codes.get(expected.tenant_id, expected.tenant_id)
        units, room = reserved.pop(expected.holder, None), holds.pop(expected.holder, None)
        at = Finding(code="", tenant=tenant, object=expected.holder, repair="hold")
        if units is not None and units.tenant_id != expected.tenant_id:
            yield dataclasses.replace(at, code="quota.elsewhere", field=codes.get(units.tenant_id, units.tenant_id))
        if room is not None and (room.pool_id, room.zone, room.service_class) != expected.place:
            yield dataclasses.replace(at, code="room.elsewhere", field=f"{places.get(room.pool_id, room.pool_id)} {room.zone}")
        yield from _compared(dataclasses.replace(at, code="quota"), units.amounts if units else None, expected.units)
        yield from _compared(dataclasses.replace(at, code="room"), room.amounts if room else None, expected.room)
    for holder, left in reserved.items():
        yield Finding(code="quota.leak", tenant=codes.get(left.tenant_id, left.tenant_id), object=holder, repair="release")
    for holder in holds:
        yield Finding(code="room.leak", object=holder, repair="release")
    waiting = holdings.waiting_moves(tx)
    for row in quotas_repair.coming(tx):
        if row["order_id"] not in waiting:
            tenant = codes.get(row["tenant_id"], row["tenant_id"])
            left_over = Finding(code="move.leak", tenant=tenant, object=row["order_id"], name=row["name"], stored=row["amount"])
            yield dataclasses.replace(left_over, field="amount", repair="release")


def _compared(at: Finding, stored: Mapping[str, int] | None, derived: Mapping[str, int]) -> Iterator[Finding]:
    """A holder that holds nothing though it should is one finding; else one for each amount that differs."""
    if stored is None:
        if derived:
            yield dataclasses.replace(at, code=f"{at.code}.hole")
        return
    for name in sorted({*stored, *derived}):
        if stored.get(name, 0) != derived.get(name, 0):
            yield dataclasses.replace(
                at, code=f"{at.code}.amount", name=name, stored=stored.get(name, 0), derived=derived.get(name, 0)
            )
