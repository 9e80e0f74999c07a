"""The guard of money: every level that has a budget of the year is changed, or none is.  Right even without the lane, with CHECKs behind it."""

from collections.abc import Sequence

from primitives import errors
from quotas import move_records
from quotas.budgets import faults, model, records, rules
from quotas.budgets.model import Crossing, Standing
from store.transaction import Transaction
from tenants import model as tenants_model
from tenants import service as tenants


class Exceeded(errors.GovpoolError):
    """budget.exceeded.  Its values show the numbers of the tenant itself only; `seen_by` widens them to what a caller may see."""

    def __init__(self, tenant: str, found: Sequence[model.Breach], seen: Sequence[str] | None) -> None:
        self.tenant = tenant
        self.found = tuple(found)
        shown = rules.visible(self.found, seen)
        super().__init__(faults.EXCEEDED, {"tenant": tenant, "year": found[0].year, "breaches": shown, "told": rules.told(shown)})

    def seen_by(self, scope: tenants_model.Scope) -> "Exceeded":
        """The same refusal as a caller may see it: of levels outside of his scope only the name and what is missing."""
        return Exceeded(self.tenant, self.found, None if scope.everything else scope.tenant_ids)


def draw(tx: Transaction, deltas: rules.Deltas, *, asked: bool) -> list[Crossing]:
    """Change all levels, or raise budget.exceeded with none changed.

    Money that came free between the refusal and the look at its reasons (possible only outside of the lane) is tried for once more.
    """
    for _ in range(2):
        standings, agreed = records.draw(tx, deltas, forced=not asked)
        found = crowded(tx, standings, deltas) if agreed and asked and standings else []
        if agreed and not found:
            return noted(tx, standings)
        records.draw(tx, {(one.tenant_id, one.year): -deltas[one.tenant_id, one.year] for one in standings}, forced=True)
        leaf = tenants.by_id(tx, _nearest_first(tx, deltas)[0])
        found = found or breaches(tx, deltas)
        if found:
            raise Exceeded(leaf.code, found, [leaf.id])
    raise faults.CONTENDED(tenant=leaf.code)


def breaches(tx: Transaction, deltas: rules.Deltas) -> list[model.Breach]:
    """Every level at which `deltas` do not fit now, nearest first."""
    nodes = sorted({node for node, _ in deltas})
    found = records.of(tx, nodes, [year for _, year in deltas])
    if not found:
        return []
    codes = {tenant.id: tenant.code for tenant in tenants.by_ids(tx, nodes).values()}
    return rules.breaches([(node, codes[node]) for node in _nearest_first(tx, deltas)], found, deltas)


def crowded(tx: Transaction, after: Sequence[Standing], deltas: rules.Deltas) -> list[model.Breach]:
    """The hard budgets that have changed and no longer leave what waiting moves will take (`quotas.budgets.moves`)."""
    known = coming(tx)
    codes = {tenant.id: tenant.code for tenant in tenants.by_ids(tx, [one.tenant_id for one in after]).values()} if known else {}
    return [
        model.Breach(
            tenant_id=one.tenant_id,
            tenant=codes[one.tenant_id],
            year=one.year,
            asked_micro=asked_micro,
            spent_micro=one.spent_micro,
            encumbered_micro=one.encumbered_micro - asked_micro + held_micro,
            appropriated_micro=one.limit_micro,
        )
        for one in after
        if (held_micro := known.get((one.tenant_id, one.year), 0))
        and (asked_micro := deltas[one.tenant_id, one.year].encumbered_micro) > 0
        and one.budget.hard
        and one.committed_micro + held_micro > one.limit_micro
    ]


def coming(tx: Transaction, *, but: str = "") -> dict[tuple[str, int], int]:
    """(tenant id, year) -> micro-yuan that waiting moves, but for the order `but`, will take there; not above giver and taker."""
    found: dict[tuple[str, int], int] = {}
    for row in move_records.incoming(tx):
        if row["order_id"] == but or not row["name"].startswith(move_records.MONEY):
            continue
        shared, year = set(tenants.path_ids(tx, row["from_id"])), int(row["name"].removeprefix(move_records.MONEY))
        for node in tenants.path_ids(tx, row["tenant_id"]):
            if node not in shared:
                found[node, year] = found.get((node, year), 0) + row["amount"]
    return found


def noted(tx: Transaction, standings: Sequence[Standing], forecast_micro: int | None = None) -> list[Crossing]:
    """The thresholds that are crossed now and were not; remembered, so that each is told once until it is fallen below again."""
    crossed: list[Crossing] = []
    for one in standings:
        reached = rules.reached(one, forecast_micro)
        if reached != one.told:
            crossed += rules.crossings(one, reached, forecast_micro)
            records.tell(tx, one, reached)
    return crossed


def paths(tx: Transaction, tenant_ids: Sequence[str]) -> dict[str, list[str]]:
    """Tenant -> itself and everyone above it, nearest first: one statement for one, one a level of the tree for several."""
    if len(tenant_ids) == 1:
        return {tenant_ids[0]: tenants.path_ids(tx, tenant_ids[0])}
    known: dict[str, str] = {}
    wanted = list(tenant_ids)
    while wanted:
        found = tenants.by_ids(tx, wanted)
        known |= {tenant_id: tenant.parent_id for tenant_id, tenant in found.items()}
        wanted = sorted({tenant.parent_id for tenant in found.values()} - known.keys() - {""})
    return {tenant_id: rules.path(tenant_id, known) for tenant_id in tenant_ids}


def _nearest_first(tx: Transaction, deltas: rules.Deltas) -> list[str]:
    nodes = sorted({node for node, _ in deltas})
    depth = {node: len(path) for node, path in paths(tx, nodes).items()}
    return sorted(nodes, key=lambda node: -depth[node])
