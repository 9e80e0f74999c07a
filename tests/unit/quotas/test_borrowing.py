"""Who lends and who borrows, against Kueue's definition of T(x) on random trees."""

import dataclasses

import hypothesis
from hypothesis import strategies as st

from quotas import borrowing, model, rules

NAME = "cpu_milli"


@dataclasses.dataclass
class Tree:
    """A random tree with its standings; node 0 is the root, each parent has a smaller number."""

    parents: list[int]
    grants: list[model.Grant]
    use: list[int]

    def __post_init__(self) -> None:
        tree = {"0": ""} | {str(x): str(p) for x, p in enumerate(self.parents, 1)}
        granted = {(str(x), NAME): grant for x, grant in enumerate(self.grants)}
        held = {(str(x), NAME): use for x, use in enumerate(self.use)}
        derived = rules.derived(tree, granted, held)
        self.standings = [derived[str(x), NAME] for x in range(len(self.grants))]

    def children(self, x: int) -> list[int]:
        return [c for c, p in enumerate(self.parents, 1) if p == x]

    def t(self, x: int) -> int:
        """The definition: nominal + what each child adds, at most its lending limit, less what is held here."""
        children = self.children(x)
        lends = [self.grants[c].lending_limit for c in children]
        added = sum(self.t(c) if lend is None else min(lend, self.t(c)) for c, lend in zip(children, lends, strict=True))
        return self.nominal(x) + added - self.use[x]

    def nominal(self, x: int) -> int:
        return self.grants[x].granted - sum(self.grants[c].granted for c in self.children(x))

    def pools(self, x: int) -> list[borrowing.Pool]:
        found = []
        while x:
            x = self.parents[x - 1]
            found.append(borrowing.Pool(parent=self.standings[x], children=[self.standings[c] for c in self.children(x)]))
        return found

    def lent(self, x: int) -> int:
        return borrowing.lent(self.pools(x), str(x))


@st.composite
def trees(draw: st.DrawFn, *, promised: bool = False) -> Tree:
    """Trees in which nobody is promised more than there is, unless `promised`."""
    count = draw(st.integers(2, 10))
    parents = [draw(st.integers(0, x - 1)) for x in range(1, count)]
    lend = st.none() | st.integers(0, 15)
    free = [draw(st.integers(0, 15)) for _ in range(count)]
    granted = list(free)
    if not promised:
        for x in reversed(range(1, count)):
            granted[parents[x - 1]] += granted[x]
    grants = [model.Grant(granted=granted[0])]
    grants += [model.Grant(granted=units, lending_limit=draw(lend), borrowing_limit=100) for units in granted[1:]]
    return Tree(parents, grants, [draw(st.integers(0, 12)) for _ in range(count)])


@hypothesis.given(trees())
def test_what_is_lent_is_what_is_borrowed_in_every_pool(tree: Tree) -> None:
    for x, standing in enumerate(tree.standings):
        assert standing.subtree_quota - standing.drawn == tree.t(x)
        assert standing.borrowed == max(0, -tree.t(x))
        children = tree.children(x)
        lent = tree.lent(x)
        free = max(0, tree.nominal(x) - tree.use[x])
        demand = sum(max(0, -tree.t(c)) for c in children) + lent + max(0, tree.use[x] - tree.nominal(x))
        assert sum(tree.lent(c) for c in children) + min(free, demand) + max(0, -tree.t(x)) == demand
        if x == 0 and tree.nominal(0) == tree.use[0]:
            assert sum(tree.lent(c) for c in children) + max(0, -tree.t(0)) == sum(max(0, -tree.t(c)) for c in children)


@hypothesis.given(trees(promised=True))
def test_nobody_lends_more_than_it_leaves_and_nobody_lends_where_nobody_borrows(tree: Tree) -> None:
    for x in range(1, len(tree.grants)):
        limit = tree.grants[x].lending_limit
        idle = max(0, tree.t(x)) if limit is None else min(limit, max(0, tree.t(x)))
        assert 0 <= tree.lent(x) <= idle
    if all(tree.t(x) >= 0 for x in range(len(tree.grants))) and not any(tree.use[x] for x in tree.parents):
        assert not any(tree.lent(x) for x in range(1, len(tree.grants)))


@hypothesis.given(trees())
def test_a_borrower_names_who_lends_or_whoever_above_lends_for_it(tree: Tree) -> None:
    for x in range(1, len(tree.grants)):
        for borrower in borrowing.borrowers(tree.pools(x), str(x)) if tree.lent(x) else {}:
            if borrower not in (pool.parent.tenant_id for pool in tree.pools(x)):
                named = borrowing.lenders(tree.pools(int(borrower)), borrower)
                assert named.keys() & {str(x), *(pool.parent.tenant_id for pool in tree.pools(x))}


def test_two_lenders_share_what_a_third_borrows_by_what_they_leave_idle() -> None:
    """40 to the health bureau and 20 to the archive, both idle; the tax bureau draws 15 beyond its 10."""
    grants = [
        model.Grant(granted=70),
        model.Grant(granted=40),
        model.Grant(granted=20),
        model.Grant(granted=10, borrowing_limit=30),
    ]
    tree = Tree([0, 0, 0], grants, [0, 0, 0, 25])
    assert [tree.lent(x) for x in (1, 2, 3)] == [10, 5, 0]
    assert borrowing.lenders(tree.pools(3), "3") == {"1": 10, "2": 5}
    assert borrowing.borrowers(tree.pools(1), "1") == {"3": 15}


def test_what_a_county_cannot_cover_comes_out_of_another_county() -> None:
    """Two counties of 20 under a city of 40: a bureau of the first draws 30, so the second lends 10, and so does its own bureau."""
    grants = [
        model.Grant(granted=40),
        *[model.Grant(granted=20, borrowing_limit=40)] * 2,
        *[model.Grant(granted=20, borrowing_limit=40)] * 2,
    ]
    tree = Tree([0, 0, 1, 2], grants, [0, 0, 0, 30, 0])
    assert [standing.borrowed for standing in tree.standings] == [0, 10, 0, 10, 0]
    assert [tree.lent(x) for x in (1, 2, 3, 4)] == [0, 10, 0, 10]
    assert borrowing.lenders(tree.pools(3), "3") == {"2": 10}
    assert borrowing.borrowers(tree.pools(4), "4") == {"1": 10}


def test_what_nobody_was_promised_is_used_before_anybody_lends() -> None:
    grants = [model.Grant(granted=30), model.Grant(granted=10), model.Grant(granted=10, borrowing_limit=20)]
    tree = Tree([0, 0], grants, [0, 0, 18])
    assert tree.lent(1) == 0
    assert borrowing.lenders(tree.pools(2), "2") == {"0": 8}
    tree = Tree([0, 0], grants, [0, 0, 24])
    assert tree.lent(1) == 4
