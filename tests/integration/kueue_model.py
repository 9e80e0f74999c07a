"""Kueue's definition of who may hold what, computed from nothing but the tree, the grants and what is held; it shares no code with the product.

With nominal(x) = granted(x) less the grants of x's children,
    T(x) = nominal(x) + sum over children c of min(lend(c), T(c)) - what is held at x itself,
and k more at a leaf is admitted if afterwards T(n) >= -borrow(n) at every node up to the root that it draws from, that is whose T falls by it.
All values are immutable, so that a search may hold many of them at once.
"""

import dataclasses
import functools
from collections.abc import Iterator, Mapping


@dataclasses.dataclass(frozen=True, slots=True)
class Grant:
    """What was decided above a node: `lend` None lends everything."""

    granted: int = 0
    lend: int | None = None
    borrow: int = 0


@dataclasses.dataclass(frozen=True, slots=True)
class View:
    """One name over one tree.  Nodes are numbers; the parent of the root is -1."""

    parents: tuple[int, ...]
    grants: tuple[Grant, ...]
    held: tuple[int, ...]

    def t(self, x: int) -> int:
        """T(x)."""
        return _all_t(self)[x]

    def t_empty(self, x: int) -> int:
        """T(x) if nobody held anything: what the subtree has of its own."""
        return _all_t(dataclasses.replace(self, held=(0,) * len(self.held)))[x]

    def drawn(self, x: int) -> int:
        """What is held at x, and what its children draw from it."""
        return self.t_empty(x) - self.t(x)

    def limit(self, x: int) -> int:
        """The most that `drawn` may reach by a request."""
        return self.t_empty(x) + self.grants[x].borrow

    def kept(self, x: int) -> int:
        """What x does not lend."""
        lend = self.grants[x].lend
        return 0 if lend is None else max(0, self.t_empty(x) - lend)

    def over(self, x: int) -> int:
        """By how much x is beyond what it may."""
        return max(0, -self.grants[x].borrow - self.t(x))

    def path(self, x: int) -> Iterator[int]:
        """x and everything above it."""
        while x >= 0:
            yield x
            x = self.parents[x]

    def children(self, x: int) -> list[int]:
        """The nodes directly below."""
        return [c for c, parent in enumerate(self.parents) if parent == x]

    def holding(self, x: int, more: int) -> "View":
        """The same with `more` (or less) held at x."""
        return dataclasses.replace(self, held=_put(self.held, x, self.held[x] + more))

    def breaches(self, x: int, k: int) -> dict[int, int]:
        """Node -> how much is missing there for k more at x; {} admits it."""
        after = self.holding(x, k)
        return {
            n: short
            for n in self.path(x)
            if after.t(n) < self.t(n) and (short := -self.grants[n].borrow - after.t(n)) > 0
        }  # fmt: skip

    def available(self, x: int) -> int:
        """The largest k that is admitted at x."""
        low, high = 0, max(0, self.t(x) + self.grants[x].borrow)
        while low < high:
            middle = (low + high + 1) // 2
            low, high = (low, middle - 1) if self.breaches(x, middle) else (middle, high)
        return low

    def granting(self, x: int, grant: Grant) -> "View":
        """The same with another grant of x."""
        return dataclasses.replace(self, grants=_put(self.grants, x, grant))

    def moving(self, x: int, to: int) -> "View":
        """The same with x and all below it under another parent."""
        return dataclasses.replace(self, parents=_put(self.parents, x, to))

    def sound_after(self, before: "View", *, allow_over: bool = False) -> bool:
        """Whether a change of grants or places may stay: no child has more than its parent, nobody keeps what is not there, and nobody
        is further beyond its limit than before, unless that is allowed.
        """
        return all(
            (parent < 0 or self.grants[x].granted <= self.grants[parent].granted)
            and self.t_empty(x) >= 0
            and (allow_over or self.over(x) <= before.over(x))
            for x, parent in enumerate(self.parents)
        )

    def merged(self, x: int, into: int) -> "View":
        """The same with x's use, children and grant at another node: both keep, lend and borrow together what they did apart.

        The grant grows as far as the parent has it; where x stood below that node, it held the units already, and nothing is added.
        """
        giver, taker, above = self.grants[x], self.grants[into], self.grants[self.parents[into]]
        grown = taker
        if into not in self.path(x):
            lent = [self.t_empty(n) if (lend := self.grants[n].lend) is None else min(lend, self.t_empty(n)) for n in (x, into)]
            grown = Grant(
                granted=max(taker.granted, min(taker.granted + giver.granted, above.granted)),
                lend=taker.lend if giver.lend == taker.lend is None or not self.t_empty(x) else sum(lent),
                borrow=giver.borrow + taker.borrow,
            )
        parents = tuple(into if parent == x else parent for parent in self.parents)
        together = dataclasses.replace(self, parents=parents).holding(into, self.held[x]).holding(x, -self.held[x])
        return together.granting(x, Grant()).granting(into, grown)


def counted(amounts: Mapping[str, int]) -> dict[str, int]:
    """Amounts on every name that counts: a class counts on the name before its dot too, unless that is given with it."""
    found = dict(amounts)
    for name, amount in amounts.items():
        plain = name.split(".")[0]
        if plain not in amounts:
            found[plain] = found.get(plain, 0) + amount
    return {name: amount for name, amount in found.items() if amount}


@functools.lru_cache(maxsize=200_000)
def _all_t(view: View) -> tuple[int, ...]:
    children: dict[int, list[int]] = {}
    for node, parent in enumerate(view.parents):
        children.setdefault(parent, []).append(node)
    found = [0] * len(view.parents)

    def t(x: int) -> int:
        below = children.get(x, [])
        nominal = view.grants[x].granted - sum(view.grants[c].granted for c in below)
        lent = sum(_least(view.grants[c].lend, t(c)) for c in below)
        found[x] = nominal + lent - view.held[x]
        return found[x]

    for root in children.get(-1, []):
        t(root)
    return tuple(found)


def _least(lend: int | None, t: int) -> int:
    return t if lend is None else min(lend, t)


def _put(values: tuple, x: int, value: object) -> tuple:  # type: ignore[type-arg]
    return (*values[:x], value, *values[x + 1 :])
