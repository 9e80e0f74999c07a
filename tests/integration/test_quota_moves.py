"""Units that change their tenant, against Kueue's definition: waiting moves, moves that happen or do not, merges; on both databases."""

import dataclasses
from typing import Any

import hypothesis
from hypothesis import strategies as st

from quotas import model, moves, service
from store import database as store_database
from store import transaction
from tests.integration import tenants_world
from tests.integration.quota_oracle import NAME, World, amount, first_grants, limit, number, passes


@dataclasses.dataclass(frozen=True)
class Waiting:
    """A move that waits for its approval."""

    order: str
    holder: str
    giver: int
    taker: int
    k: int


class Moving(World):
    """The same tree twice, with units on the move."""

    def __init__(self, tx: transaction.Transaction, parents: list[int]) -> None:
        super().__init__(tx, parents)
        self.waiting: list[Waiting] = []
        self.orders = 0

    def branch(self, one: Waiting) -> list[int]:
        """The levels that only the taker's side has."""
        return [node for node in self.oracle.path(one.taker) if node not in self.oracle.path(one.giver)]

    def t_full(self, node: int) -> int:
        """T of a node if everything came that is kept room for there."""
        coming = [one for one in self.waiting if node in self.branch(one)]
        for one in coming:
            self.oracle.nodes[one.taker].use += one.k
        try:
            return self.oracle.t(node)
        finally:
            for one in coming:
                self.oracle.nodes[one.taker].use -= one.k

    def crowds(self, path: list[int], change: Any) -> bool:
        """Whether a change raises a level so far that what is coming to it would not fit any more; the change stays."""
        before = {node: self.t_full(node) for node in path}
        change()
        return any(
            self.t_full(node) < min(before[node], -self.oracle.nodes[node].borrow)
            for node in path
            if any(node in self.branch(one) for one in self.waiting)
        )

    def admits_beside(self, x: int, k: int) -> bool:
        """Whether the definition admits `k` more at x beside what is coming; they are used there if it does."""
        path, node = self.oracle.path(x), self.oracle.nodes[x]
        before = {n: self.t_full(n) for n in path}
        if not self.oracle.admits(x, k):
            return False
        crowded = any(
            self.t_full(n) < min(before[n], -self.oracle.nodes[n].borrow)
            for n in path
            if any(n in self.branch(one) for one in self.waiting)
        )
        node.use -= k if crowded else 0
        return not crowded

    def reserve(self, x: int, k: int) -> None:
        self.orders += 1
        expected, holder = self.admits_beside(x, k), f"vm-{self.orders}"
        left = service.available(self.tx, tenant_id=self.ids[x]).get(NAME, 0)
        got = passes(lambda: service.reserve(self.tx, tenant_id=self.ids[x], amounts={NAME: k}, holder=holder, expires_at=None))
        assert got == expected, f"reserve {k} at {x}"
        assert got == (k <= left), "what is shown as available is what can be reserved"
        if got:
            self.held[holder] = (x, k)

    def ask(self, pick: int, to: int) -> None:
        """A move is ordered; it waits."""
        holder, (x, k) = self.pick(pick)
        if any(one.holder == holder for one in self.waiting):
            return
        self.orders += 1
        one = Waiting(f"ord-{self.orders}", holder, x, to, k)
        expected = self._passes_moved(x, to, k, stay=False) and not self.crowds(
            self.oracle.path(to), lambda: self.waiting.append(one)
        )
        got = passes(lambda: moves.expect(self.tx, order_id=one.order, from_id=self.ids[x], to_id=self.ids[to], holders=[holder]))
        assert got == expected, f"ask {k} from {x} to {to}"
        if not got and one in self.waiting:
            self.waiting.remove(one)

    def refuse(self, pick: int) -> None:
        """Nobody gets anything."""
        if self.waiting:
            one = self.waiting.pop(pick % len(self.waiting))
            moves.forget(self.tx, order_id=one.order)

    def approve(self, pick: int) -> None:
        """The move happens, unless what really rises above both does not fit."""
        if not self.waiting:
            return
        one = self.waiting[pick % len(self.waiting)]
        path = self.oracle.path(one.taker)
        before = {node: self.t_full(node) for node in path}
        expected = self._passes_moved(one.giver, one.taker, one.k, stay=True)
        if expected:
            self.waiting.remove(one)
            expected = not any(
                self.t_full(node) < min(before[node], -self.oracle.nodes[node].borrow)
                for node in path
                if any(node in self.branch(other) for other in self.waiting)
            )
            if not expected:
                self.waiting.append(one)
                self.oracle.nodes[one.giver].use += one.k
                self.oracle.nodes[one.taker].use -= one.k
        got = passes(
            lambda: moves.transfer(
                self.tx, order_id=one.order, from_id=self.ids[one.giver], to_id=self.ids[one.taker], holders=[one.holder]
            )
        )
        assert got == expected, f"approve {one}"
        if got:
            self.held[one.holder] = (one.taker, one.k)

    def _passes_moved(self, x: int, to: int, k: int, *, stay: bool) -> bool:
        """Whether units may go from x to another; only what is raised is tested.  They go if they may and `stay`."""
        path, nodes = self.oracle.path(to), self.oracle.nodes
        before = {node: self.oracle.t(node) for node in path}
        nodes[x].use -= k
        nodes[to].use += k
        fits = all(self.oracle.t(node) >= -nodes[node].borrow for node in path if self.oracle.t(node) < before[node])
        if not (fits and stay):
            nodes[x].use += k
            nodes[to].use -= k
        return fits

    def release(self, pick: int) -> None:
        holder, _ = self.pick(pick)
        if not any(one.holder == holder for one in self.waiting):  # an order would refuse it
            super().release(pick)

    def merge(self, x: int, into: int) -> None:
        """One tenant becomes part of another, use and grants and all."""
        if x in (0, into) or into == 0 or x in self.oracle.path(into) or self.waiting:
            return
        everything = {n: service.standing(self.tx, tenant_id=self.ids[n], name=NAME) for n in range(len(self.ids))}
        common = [n for n in self.oracle.path(x)[1:] if n in self.oracle.path(into)[1:]]
        got = passes(lambda: moves.merge(self.tx, from_id=self.ids[x], into_id=self.ids[into], allow_over=True))
        if not got:
            return
        for child in self.oracle.children(x):
            self.oracle.nodes[child].parent = into
            self.tenants[child] = tree_move(self.tx, self.tenants[child], self.tenants[into])
        for holder, (at, k) in self.held.items():
            self.held[holder] = (into if at == x else at, k)
        after = service.standing(self.tx, tenant_id=self.ids[into], name=NAME)
        node, gone = self.oracle.nodes[into], self.oracle.nodes[x]
        node.use, node.granted, node.lend, node.borrow = (
            node.use + gone.use,
            after.granted,
            after.lending_limit,
            after.borrowing_limit,
        )
        gone.use, gone.granted, gone.lend, gone.borrow = 0, 0, None, 0
        if (
            self.oracle.nodes[x].parent == self.oracle.nodes[into].parent
            and everything[x].granted + everything[into].granted <= everything[common[0]].granted
        ):
            assert after.granted == everything[x].granted + everything[into].granted
            for n in common:
                stood = service.standing(self.tx, tenant_id=self.ids[n], name=NAME)
                assert stood.subtree_quota == everything[n].subtree_quota, "what is kept below the common ancestors stays"
                assert stood.drawn <= everything[n].drawn, "and they never hold more"


def tree_move(tx: transaction.Transaction, tenant: Any, parent: Any) -> Any:
    from tenants import tree

    return tree.move(tx, tenant, parent)


step = st.one_of(
    st.tuples(st.just("reserve"), number, amount),
    st.tuples(st.just("reserve"), number, amount),
    st.tuples(st.just("ask"), number, number),
    st.tuples(st.just("ask"), number, number),
    st.tuples(st.just("approve"), number),
    st.tuples(st.just("refuse"), number),
    st.tuples(st.just("release"), number),
    st.tuples(st.just("grant"), number, st.integers(0, 30), limit, st.integers(0, 8), st.booleans()),
    st.tuples(st.just("merge"), number, number),
)


@tenants_world.QUICK
@hypothesis.given(
    parents=st.lists(st.integers(0, 3), min_size=2, max_size=9), first=first_grants, steps=st.lists(step, min_size=15, max_size=60)
)
def test_moves_and_merges_agree_with_the_definition_of_kueue_through_any_history(
    database: store_database.Database, parents: list[int], first: list[tuple[int, int | None, int]], steps: list[tuple[Any, ...]]
) -> None:
    def play(tx: transaction.Transaction) -> None:
        world = Moving(tx, parents)
        size = len(world.ids)
        world.grant(0, 30, None, 0, allow_over=False)
        for x, (less, lend, borrow) in enumerate(first[: size - 1], 1):
            parent = world.oracle.nodes[world.oracle.nodes[x].parent or 0]
            world.grant(x, max(0, parent.granted - less), lend, borrow, allow_over=False)
        for verb, *given in steps:
            if verb == "grant":
                world.grant(given[0] % size, given[1], given[2], given[3], allow_over=given[4])
            elif verb == "merge":
                world.merge(given[0] % size, given[1] % size)
            elif verb == "reserve":
                world.reserve(given[0] % size, given[1])
            elif verb == "ask" and world.held:
                world.ask(given[0], given[1] % size)
            elif verb in ("approve", "refuse") or (verb == "release" and world.held):
                getattr(world, verb)(given[0])
            world.agree()

    tenants_world.experiment(database, play)


def standing(tx: transaction.Transaction, world: World, x: int) -> model.Standing:
    """How a tenant stands."""
    return service.standing(tx, tenant_id=world.ids[x], name=NAME)


def test_while_a_move_waits_the_taker_keeps_room_and_those_above_both_count_it_once(database: store_database.Database) -> None:
    def play(tx: transaction.Transaction) -> None:
        world = Moving(tx, [0, 1])  # d1 and d2 below the root
        for x, granted in ((0, 10), (1, 10), (2, 8)):
            world.grant(x, granted, None, 0, allow_over=False)
        world.reserve(1, 8)
        world.ask(0, 2)
        assert standing(tx, world, 0).drawn == 8, "the city, of which 10 are granted, has room for both orders"
        assert not passes(
            lambda: service.reserve(tx, tenant_id=world.ids[2], amounts={NAME: 1}, holder="vm-late", expires_at=None)
        ), "the taker's 8 are kept for what comes"
        assert passes(lambda: service.reserve(tx, tenant_id=world.ids[1], amounts={NAME: 2}, holder="vm-more", expires_at=None))
        world.held["vm-more"] = (1, 2)
        world.oracle.nodes[1].use += 2
        world.approve(0)
        assert (standing(tx, world, 0).drawn, standing(tx, world, 1).drawn, standing(tx, world, 2).drawn) == (10, 2, 8)
        assert service.check(tx) == []

    tenants_world.experiment(database, play)


def test_two_moves_that_wait_cannot_both_count_on_the_same_room(database: store_database.Database) -> None:
    def play(tx: transaction.Transaction) -> None:
        world = Moving(tx, [0, 1])
        for x, granted in ((0, 20), (1, 10), (2, 5)):
            world.grant(x, granted, None, 0, allow_over=False)
        world.reserve(1, 3)
        world.reserve(1, 3)
        world.ask(0, 2)
        world.ask(1, 2)
        assert len(world.waiting) == 1, "5 are granted, 3 are coming: another 3 are too many"
        world.refuse(0)
        world.ask(1, 2)
        assert len(world.waiting) == 1

    tenants_world.experiment(database, play)


def test_a_merge_of_siblings_keeps_and_lends_together_what_they_kept_and_lent_apart(database: store_database.Database) -> None:
    def play(tx: transaction.Transaction) -> None:
        world = Moving(tx, [0, 1])
        world.grant(0, 30, None, 0, allow_over=False)
        world.grant(1, 10, 4, 2, allow_over=False)  # keeps 6
        world.grant(2, 8, 8, 1, allow_over=False)  # keeps none
        world.reserve(1, 7)  # 6 of its own, 1 of the root's
        world.reserve(2, 5)
        world.merge(1, 2)
        joint, root = standing(tx, world, 2), standing(tx, world, 0)
        assert joint.grant == model.Grant(granted=18, lending_limit=12, borrowing_limit=3)
        assert (joint.local_quota, joint.drawn, joint.risen) == (6, 12, 6)
        assert (root.subtree_quota, root.drawn) == (24, 6)
        assert standing(tx, world, 1).grant == model.Grant(granted=0)
        world.agree()

    tenants_world.experiment(database, play)
