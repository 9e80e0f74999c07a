"""The guard over one path of the tree, leaf to root: what a level cannot cover from its own quota rises to the next.

Right even without the lane: each level says yes or no in one conditional UPDATE, with a CHECK behind it.  (The lane keeps two requests for several
names from waiting for each other; without it PostgreSQL would end one of them.)
"""

from collections.abc import Mapping, Sequence

from primitives import errors
from quotas import faults, incoming, model, records, rules
from store.transaction import Transaction
from tenants import model as tenants_model
from tenants import service as tenants


class Exceeded(errors.GovpoolError):
    """quota.exceeded.  Its values show the numbers of the tenant itself only; `seen_by` widens them to what a caller may see."""

    def __init__(self, tenant: str, found: Sequence[model.Breach], seen: Sequence[str] | None) -> None:
        self.tenant = tenant
        self.found = tuple(found)
        shown = rules.visible(self.found, seen)
        super().__init__(faults.EXCEEDED, {"tenant": tenant, "breaches": shown, "told": rules.told(shown)})

    def seen_by(self, scope: tenants_model.Scope) -> "Exceeded":
        """The same refusal as a caller may see it: of levels outside of his scope only the name and what is missing."""
        return Exceeded(self.tenant, self.found, None if scope.everything else scope.tenant_ids)


def draw(tx: Transaction, path: Sequence[str], amounts: Mapping[str, int]) -> None:
    """Draw `amounts` at the leaf of `path` and what rises from it above, or raise quota.exceeded with nothing drawn.

    What a waiting move will bring is kept free for it (`quotas.incoming`).  Room that came free between the refusal and the look at its reasons
    (possible only outside of the lane) is tried for once more.
    """
    records.foresee(tx, path)
    for _ in range(2):
        drawn: list[tuple[str, dict[str, int]]] = []
        fits = _risen_through(tx, path, amounts, drawn)
        found = incoming.crowded_by_draw(tx, path, drawn) if fits else []
        if fits and not found:
            return
        for tenant_id, taken in drawn:
            records.give_back(tx, tenant_id, taken)
        codes = tenants.path_codes(tx, path[0])
        found = found or rules.breaches(list(zip(path, codes, strict=True)), records.by_key(tx, path), amounts)
        if found:
            raise Exceeded(codes[0], found, path[:1])
    raise faults.CONTENDED(tenant=codes[0])


def give_back(tx: Transaction, path: Sequence[str], amounts: Mapping[str, int]) -> None:
    """Give `amounts` back at the leaf of `path`, and above what had risen.  Always passes."""
    sinking = dict(amounts)
    records.foresee(tx, path)
    for tenant_id in path:
        if not sinking:
            return
        after = records.give_back(tx, tenant_id, sinking)
        sinking = {name: -amount for name, amount in _rising(after, {name: -sinking[name] for name in after}).items()}


def _risen_through(
    tx: Transaction, path: Sequence[str], amounts: Mapping[str, int], drawn: list[tuple[str, dict[str, int]]]
) -> bool:
    """Whether every level agreed; notes in `drawn` what was taken where, also on a refusal."""
    rising = dict(amounts)
    for tenant_id in path:
        if not rising:
            return True
        after = records.draw(tx, tenant_id, rising)
        drawn.append((tenant_id, {name: rising[name] for name in after}))
        if len(after) < len(rising):
            return False
        rising = _rising(after, rising)
    return True


def _rising(after: Mapping[str, tuple[int, int]], added: Mapping[str, int]) -> dict[str, int]:
    rises: dict[str, int] = {}
    for name, amount in added.items():
        drawn, local_quota = after[name]
        rise = rules.risen(drawn, local_quota, amount) if local_quota else amount
        if rise:
            rises[name] = rise
    return rises
