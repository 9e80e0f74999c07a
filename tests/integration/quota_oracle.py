"""A tree of one name twice, in the database and by Kueue's definition of T(x), for tests of recalls, waiting moves and repairs.

The whole of the room, with several names, merges and batches, is played by `kueue_machine`.
"""

import dataclasses
from typing import Any

from hypothesis import strategies as st

from primitives import errors, ids
from quotas import grants, model, service
from store import installation, transaction
from tenants import tree

NAME = "cpu_milli"
LEVELS_MAX = 8


@dataclasses.dataclass
class Node:
    """One tenant as the definition sees it."""

    parent: int | None
    granted: int = 0
    lend: int | None = None
    borrow: int = 0
    use: int = 0


class Oracle:
    """T(x) = nominal(x) + sum over children min(lend(c), T(c)) - use(x), where nominal(x) = granted(x) - sum of the children's grants."""

    def __init__(self, nodes: list[Node]) -> None:
        self.nodes = nodes

    def children(self, x: int) -> list[int]:
        return [c for c, node in enumerate(self.nodes) if node.parent == x]

    def path(self, x: int) -> list[int]:
        parent = self.nodes[x].parent
        return [x] if parent is None else [x, *self.path(parent)]

    def t(self, x: int, *, empty: bool = False) -> int:
        node = self.nodes[x]
        lent = 0
        for c in self.children(x):
            below, lend = self.t(c, empty=empty), self.nodes[c].lend
            lent += below if lend is None else min(lend, below)
        nominal = node.granted - sum(self.nodes[c].granted for c in self.children(x))
        return nominal + lent - (0 if empty else node.use)

    def over(self, x: int) -> int:
        return max(0, -self.nodes[x].borrow - self.t(x))

    def admits(self, x: int, k: int) -> bool:
        path = self.path(x)
        before = {n: self.t(n) for n in path}
        self.nodes[x].use += k
        fits = all(self.t(n) >= -self.nodes[n].borrow for n in path if self.t(n) < before[n])
        if not fits:
            self.nodes[x].use -= k
        return fits

    def attempt(self, change: Any, *, allow_over: bool) -> bool:
        """Whether a change of grants or places is sound; it is taken back if not."""
        saved = [dataclasses.replace(node) for node in self.nodes]
        before = {x: self.over(x) for x in range(len(self.nodes))}
        change()
        sound = all(
            (node.parent is None or node.granted <= self.nodes[node.parent].granted)
            and self.t(x, empty=True) >= 0
            and (allow_over or self.over(x) <= before[x])
            for x, node in enumerate(self.nodes)
        )
        if not sound:
            self.nodes[:] = saved
        return sound


class World:
    """The same tree twice: in the database, and in the oracle."""

    def __init__(self, tx: transaction.Transaction, parents: list[int]) -> None:
        self.tx = tx
        installation.create(tx)
        made = [tree.create(tx, tree.NewTenant(code="nanhai", name="南海区", parent=None))]
        nodes = [Node(None)]
        for number, back in enumerate(parents, 1):
            parent = max(0, number - 1 - back)
            while len(Oracle(nodes).path(parent)) >= LEVELS_MAX:
                parent = nodes[parent].parent or 0
            made.append(tree.create(tx, tree.NewTenant(code=f"d{number}", name=f"第{number}科", parent=made[parent])))
            nodes.append(Node(parent))
        self.ids = [tenant.id for tenant in made]
        self.tenants = made
        self.oracle = Oracle(nodes)
        self.held: dict[str, tuple[int, int]] = {}

    def grant(self, x: int, granted: int, lend: int | None, borrow: int, *, allow_over: bool) -> None:
        if x == 0:
            lend, borrow = None, 0

        def change() -> None:
            node = self.oracle.nodes[x]
            node.granted, node.lend, node.borrow = granted, lend, borrow

        expected = self.oracle.attempt(change, allow_over=allow_over)
        wanted = model.Grant(granted=granted, lending_limit=lend, borrowing_limit=borrow)
        got = passes(lambda: grants.set_grant(self.tx, tenant_id=self.ids[x], name=NAME, grant=wanted, allow_over=allow_over))
        assert got == expected, f"grant {wanted} at {x}"

    def reserve(self, x: int, k: int) -> None:
        expected = self.oracle.admits(x, k)
        holder = ids.new("vm")
        left = service.available(self.tx, tenant_id=self.ids[x]).get(NAME, 0)
        got = passes(lambda: service.reserve(self.tx, tenant_id=self.ids[x], amounts={NAME: k}, holder=holder, expires_at=None))
        assert got == expected, f"reserve {k} at {x}"
        assert got == (k <= left), "what is shown as available is what can be reserved"
        if got:
            self.held[holder] = (x, k)

    def resize(self, pick: int, k: int) -> None:
        holder, (x, before) = self.pick(pick)
        expected = True
        if k > before:
            expected = self.oracle.admits(x, k - before)
        else:
            self.oracle.nodes[x].use -= before - k
        assert passes(lambda: service.change(self.tx, holder=holder, amounts={NAME: k})) == expected
        if expected:
            self.held[holder] = (x, k)

    def release(self, pick: int) -> None:
        holder, (x, k) = self.pick(pick)
        del self.held[holder]
        self.oracle.nodes[x].use -= k
        assert service.release(self.tx, holder=holder)
        assert not service.release(self.tx, holder=holder)

    def adopt(self, x: int, k: int) -> None:
        holder = ids.new("vm")
        self.oracle.nodes[x].use += k
        self.held[holder] = (x, k)
        service.adopt(self.tx, tenant_id=self.ids[x], amounts={NAME: k}, holder=holder)

    def move(self, x: int, to: int, *, allow_over: bool) -> None:
        if x == 0 or x in self.oracle.path(to) or len(self.oracle.path(to)) + self.height(x) > LEVELS_MAX:
            return
        before, after = self.oracle.path(x)[1:], self.oracle.path(to)

        def change() -> None:
            self.oracle.nodes[x].parent = to

        expected = self.oracle.attempt(change, allow_over=allow_over)
        got = passes(
            lambda: grants.move_subtree(
                self.tx,
                tenant_id=self.ids[x],
                above_before=[self.ids[n] for n in before],
                above_after=[self.ids[n] for n in after],
                allow_over=allow_over,
            )
        )
        assert got == expected, f"move {x} under {to}"
        if got:
            self.tenants[x] = tree.move(self.tx, self.tenants[x], self.tenants[to])

    def height(self, x: int) -> int:
        return 1 + max((self.height(c) for c in self.oracle.children(x)), default=0)

    def pick(self, number: int) -> tuple[str, tuple[int, int]]:
        holders = sorted(self.held)
        holder = holders[number % len(holders)]
        return holder, self.held[holder]

    def agree(self) -> None:
        assert service.check(self.tx) == []
        for x, tenant_id in enumerate(self.ids):
            standing = service.standing(self.tx, tenant_id=tenant_id, name=NAME)
            assert standing.subtree_quota - standing.drawn == self.oracle.t(x)
            assert standing.over_by == self.oracle.over(x)


def passes(call: Any) -> bool:
    """Whether the call goes through; a fault is a no, anything else is a defect."""
    try:
        call()
    except errors.GovpoolError as error:
        if not error.code.startswith("quota."):
            raise
        return False
    return True


number = st.integers(0, 13)
amount = st.integers(1, 8)
limit = st.none() | st.integers(0, 12)
step = st.one_of(
    st.tuples(st.just("reserve"), number, amount),
    st.tuples(st.just("reserve"), number, amount),
    st.tuples(st.just("resize"), number, st.integers(0, 8)),
    st.tuples(st.just("release"), number),
    st.tuples(st.just("grant"), number, st.integers(0, 30), limit, st.integers(0, 8), st.booleans()),
    st.tuples(st.just("move"), number, number, st.booleans()),
    st.tuples(st.just("adopt"), number, st.integers(1, 4)),
)
first_grants = st.lists(st.tuples(st.integers(0, 12), limit, st.integers(0, 6)), min_size=14, max_size=14)
