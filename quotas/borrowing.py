"""Who lends and who borrows, at any depth.  Pure: it explains how tenants stand, it decides nothing.

The guard knows no pairs: what a tenant does not keep is a pool with its parent, and units in a pool have no owner.  These are the numbers that
follow from Kueue's T(x) = subtree_quota - drawn all the same, for one name:

    borrowed(x) = max(0, -T(x))                       what x with all below it draws beyond its own
    idle(x)     = min(lending_limit(x), max(0, T(x)))  what x leaves to others
    free(p)     = max(0, nominal(p) - use(p))          what p has granted to nobody and does not use itself

A pool p has to cover what its children borrow, what p lends further up, and what p uses itself beyond what it granted to nobody.  That is covered
first out of free(p), then by the children that leave something idle, each in proportion to it (largest remainder, ties by id); what is left is
borrowed(p) and is covered one level higher.  So at every p whose children are not promised more than p has (nominal(p) >= 0)

    sum of lent(children) + what free(p) covers + borrowed(p) = sum of borrowed(children) + lent(p) + max(0, use(p) - nominal(p))
"""

import dataclasses
from collections.abc import Sequence

from primitives import quantity
from quotas import model


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Pool:
    """One tenant with those right below it, for one name."""

    parent: model.Standing
    children: Sequence[model.Standing]

    @property
    def nominal(self) -> int:
        """What the parent has granted to nobody; negative where more is promised than there is."""
        return self.parent.granted - sum(child.granted for child in self.children)

    @property
    def use(self) -> int:
        """What is held at the parent itself."""
        return self.parent.drawn - sum(child.risen for child in self.children)

    @property
    def free(self) -> int:
        """What the parent can cover out of what it granted to nobody."""
        return max(0, self.nominal - self.use)

    @property
    def overuse(self) -> int:
        """What the parent itself uses beyond that: it comes out of what its children leave idle, or from above."""
        return max(0, self.use - max(0, self.nominal))

    def demand(self, lent: int) -> int:
        """What the pool has to cover; `lent` is what the parent lends further up."""
        return sum(child.borrowed for child in self.children) + lent + self.overuse

    def shares(self, lent: int) -> dict[str, int]:
        """child -> units of its own quota that others use now."""
        idle = {child.tenant_id: child.idle for child in self.children if child.idle}
        wanted = min(sum(idle.values()), max(0, self.demand(lent) - self.free))
        return quantity.shared(wanted, idle) if idle else {}


def lent(pools: Sequence[Pool], tenant_id: str) -> int:
    """What others use now of a tenant's own quota; `pools` from its parent up to the root."""
    units = 0
    for below, pool in reversed([*zip([tenant_id, *(pool.parent.tenant_id for pool in pools)], pools, strict=False)]):
        units = pool.shares(units).get(below, 0)
    return units


def lenders(pools: Sequence[Pool], tenant_id: str) -> dict[str, int]:
    """tenant -> units of its own quota that others use now, for all who lend where `tenant_id` borrows; the parent for what it granted to nobody.

    `pools` from its parent up to the root.  What a pool cannot cover it borrows itself, so its lenders are one level higher.
    """
    found: dict[str, int] = {}
    below = tenant_id
    for level, pool in enumerate(pools):
        above = lent(pools[level + 1 :], pool.parent.tenant_id)
        found |= {lender: units for lender, units in pool.shares(above).items() if units and lender != below}
        own = min(pool.free, pool.demand(above))
        if own:
            found[pool.parent.tenant_id] = own
        if not pool.parent.borrowed:
            break
        below = pool.parent.tenant_id
    return found


def borrowers(pools: Sequence[Pool], tenant_id: str) -> dict[str, int]:
    """tenant -> units that it with all below it draws beyond its own, out of the pools into which `tenant_id` lends.

    A parent that uses more itself than it granted to nobody stands under its own id, with that alone.
    """
    found: dict[str, int] = {}
    below = tenant_id
    for level, pool in enumerate(pools):
        found |= {child.tenant_id: child.borrowed for child in pool.children if child.borrowed and child.tenant_id != below}
        if pool.overuse:
            found[pool.parent.tenant_id] = pool.overuse
        if not lent(pools[level + 1 :], pool.parent.tenant_id):
            break
        below = pool.parent.tenant_id
    return found
