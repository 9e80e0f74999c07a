"""A lender takes its own back: what came back is never lent again, nothing that runs is touched, on both databases."""

import datetime
from typing import Any

import hypothesis
import pytest
from hypothesis import strategies as st

from primitives import errors
from quotas import faults, grants, model, moves, recalls, rules, service
from store import database as store_database
from store import transaction
from tests.integration import tenants_world
from tests.integration.quota_oracle import NAME, World, first_grants, passes, step

DUE = datetime.timedelta(days=14)


class Lending(World):
    """The tree of the oracle, with lenders that call back."""

    def __init__(self, tx: transaction.Transaction, parents: list[int]) -> None:
        super().__init__(tx, parents)
        self.going: dict[int, model.Recall] = {}
        self.kept: dict[int, int] = {}

    def recall(self, x: int, amount: int | None) -> bool:
        def begin() -> None:
            due_at = self.tx.now() + DUE
            self.going[x] = recalls.begin(self.tx, tenant_id=self.ids[x], name=NAME, amount=amount, due_at=due_at)

        began = passes(begin)
        if began:
            self.follow(x)
        return began

    def end(self, x: int) -> None:
        assert recalls.end(self.tx, self.going.pop(x))
        self.kept.pop(x, None)
        self.follow(x)
        assert self.standing(x).lending_limit == self.oracle.nodes[x].lend

    def standing(self, x: int) -> model.Standing:
        return service.standing(self.tx, tenant_id=self.ids[x], name=NAME)

    def follow(self, *moved: int) -> None:
        """The oracle learns the lending limits that moved by themselves; only those of recalls may."""
        for x in {*self.going, *moved}:
            self.oracle.nodes[x].lend = self.standing(x).lending_limit

    def lending_is_as_low_as_it_can_be(self) -> None:
        """The definition, once more: one unit less lent would push somebody over a limit, or the target is reached."""
        for x, recall in self.going.items():
            limit = self.standing(x).lending_limit
            assert limit is not None
            assert limit >= recall.lending_target
            if recall.lending_target < limit <= self.standing(x).subtree_quota:
                before = [self.oracle.over(n) for n in range(len(self.ids))]
                self.oracle.nodes[x].lend = limit - 1
                pushed = [self.oracle.over(n) > over or self.oracle.t(n, empty=True) < 0 for n, over in enumerate(before)]
                self.oracle.nodes[x].lend = limit
                assert any(pushed), f"{x} could keep more"

    def nothing_is_lent_again(self) -> None:
        for x in self.going:
            limit = self.standing(x).lending_limit
            assert limit is not None
            assert limit <= self.kept.get(x, limit), f"{x} lent again what had come back"
            self.kept[x] = limit


@tenants_world.QUICK
@hypothesis.given(
    parents=st.lists(st.integers(0, 3), min_size=2, max_size=9),
    first=first_grants,
    steps=st.lists(
        step | st.tuples(st.just("recall"), st.integers(0, 13), st.none() | st.integers(1, 6)), min_size=20, max_size=60
    ),
)
def test_what_came_back_is_never_lent_again_through_any_history(
    database: store_database.Database, parents: list[int], first: list[tuple[int, int | None, int]], steps: list[tuple[Any, ...]]
) -> None:
    def play(tx: transaction.Transaction) -> None:
        world = Lending(tx, parents)
        size = len(world.ids)
        world.grant(0, 30, None, 0, allow_over=False)
        for x, (less, lend, borrow) in enumerate(first[: size - 1], 1):
            parent = world.oracle.nodes[world.oracle.nodes[x].parent or 0]
            world.grant(x, max(0, parent.granted - less), lend, borrow, allow_over=False)
        for verb, *given in steps:
            x = given[0] % size
            if verb == "recall":
                if x in world.going:
                    world.end(x)
                else:
                    world.recall(x, given[1])
            elif verb in ("reserve", "adopt"):
                getattr(world, verb)(x, given[1])
            elif verb in ("resize", "release") and world.held:
                getattr(world, verb)(*given)
            elif verb == "grant" and x not in world.going:
                world.grant(x, given[1], given[2], given[3], allow_over=given[4])
            world.follow()
            world.nothing_is_lent_again()
            world.lending_is_as_low_as_it_can_be()
            world.agree()

    tenants_world.experiment(database, play)


def test_a_borrower_that_shrinks_makes_no_room_for_another_borrower(database: store_database.Database) -> None:
    """The mutant: to lower the limit in a later job, so that the room stands open in between."""

    def play(tx: transaction.Transaction) -> None:
        world = Lending(tx, [0, 1, 2])  # three bureaus under the root
        for x, granted, borrow in ((0, 20, 0), (1, 20, 0), (2, 0, 20), (3, 0, 20)):
            world.grant(x, granted, None, borrow, allow_over=False)
        for _ in range(2):
            world.reserve(2, 8)
        assert world.recall(1, None)
        assert world.standing(1).lending_limit == 16, "what is idle is kept at once"
        assert not passes(lambda: service.reserve(tx, tenant_id=world.ids[3], amounts={NAME: 1}, holder="vm-a", expires_at=None))
        holder = sorted(world.held)[0]
        world.release(0)
        assert holder not in world.held
        assert world.standing(1).lending_limit == 8
        assert not passes(lambda: service.reserve(tx, tenant_id=world.ids[3], amounts={NAME: 1}, holder="vm-b", expires_at=None))
        assert service.available(tx, tenant_id=world.ids[1]) == {NAME: 12}
        world.resize(0, 3)
        assert recalls.came_back(tx, world.going[1]) == 13
        assert not recalls.settle(tx, world.going[1])
        world.release(0)
        assert recalls.settle(tx, world.going[1])
        assert world.standing(1).lending_limit == 0, "what came back stays kept"

    tenants_world.experiment(database, play)


def test_a_recall_leaves_room_for_what_a_waiting_move_was_promised(database: store_database.Database) -> None:
    def play(tx: transaction.Transaction) -> None:
        world = Lending(tx, [0, 0, 1, 3])  # a county with a lender and a borrower, and a bureau beside the county
        for x, granted, borrow in ((0, 40, 0), (1, 20, 0), (2, 20, 0), (3, 0, 20), (4, 10, 0)):
            world.grant(x, granted, None, borrow, allow_over=False)
        world.reserve(4, 8)
        (moving,) = world.held
        world.reserve(3, 2)
        given: dict[str, Any] = {"order_id": "ord-1", "from_id": world.ids[4], "to_id": world.ids[3], "holders": [moving]}
        moves.expect(tx, **given)
        assert world.recall(2, None)
        assert world.standing(2).lending_limit == 10, "2 are lent, and 8 are on their way"
        moves.transfer(tx, **given)
        assert world.standing(2).lending_limit == 10
        service.release(tx, holder=moving)
        assert world.standing(2).lending_limit == 2
        assert service.check(tx) == []

    tenants_world.experiment(database, play)


def test_what_a_refused_move_was_promised_comes_back_to_the_lender_at_once(database: store_database.Database) -> None:
    def play(tx: transaction.Transaction) -> None:
        world = Lending(tx, [0, 0, 1, 3])
        for x, granted, borrow in ((0, 40, 0), (1, 20, 0), (2, 20, 0), (3, 0, 20), (4, 10, 0)):
            world.grant(x, granted, None, borrow, allow_over=False)
        world.reserve(4, 8)
        (moving,) = world.held
        world.reserve(3, 2)
        moves.expect(tx, order_id="ord-1", from_id=world.ids[4], to_id=world.ids[3], holders=[moving])
        assert world.recall(2, None)
        assert world.standing(2).lending_limit == 10
        moves.forget(tx, order_id="ord-1")
        assert world.standing(2).lending_limit == 2, "nobody else borrows in between"

    tenants_world.experiment(database, play)


def test_what_idle_quota_of_others_can_cover_is_back_at_once(database: store_database.Database) -> None:
    def play(tx: transaction.Transaction) -> None:
        world = Lending(tx, [0, 1, 2])
        for x, granted, borrow in ((0, 40, 0), (1, 20, 0), (2, 20, 0), (3, 0, 20)):
            world.grant(x, granted, None, borrow, allow_over=False)
        world.reserve(3, 10)
        assert world.recall(1, None)
        assert world.going[1].amount == 5, "two lenders with as much idle lend the same"
        assert recalls.settle(tx, world.going[1])
        assert service.available(tx, tenant_id=world.ids[1]) == {NAME: 20}

    tenants_world.experiment(database, play)


def test_a_recall_holds_its_lending_limit_and_its_end_gives_the_old_one_back(database: store_database.Database) -> None:
    def play(tx: transaction.Transaction) -> None:
        world = Lending(tx, [0, 1])
        for x, granted, borrow in ((0, 20, 0), (1, 20, 0), (2, 0, 20)):
            world.grant(x, granted, None, borrow, allow_over=False)
        with pytest.raises(errors.GovpoolError) as caught:
            recalls.begin(tx, tenant_id=world.ids[1], name=NAME, amount=None, due_at=tx.now())
        assert caught.value.fault is faults.NOT_LENT
        world.reserve(2, 8)
        for amount, fault in ((9, faults.NOT_LENT), (0, faults.NOT_LENT), (-1, faults.NOT_LENT)):
            with pytest.raises(errors.GovpoolError) as caught:
                recalls.begin(tx, tenant_id=world.ids[1], name=NAME, amount=amount, due_at=tx.now())
            assert caught.value.fault is fault
        with pytest.raises(errors.GovpoolError) as caught:
            recalls.begin(tx, tenant_id=world.ids[0], name=NAME, amount=1, due_at=tx.now())
        assert caught.value.fault is faults.ROOT
        assert world.recall(1, 6)
        assert not world.recall(1, 6), "one at a time"
        with pytest.raises(errors.GovpoolError) as caught:
            grants.set_grant(tx, tenant_id=world.ids[1], name=NAME, grant=model.Grant(granted=20, lending_limit=20))
        assert caught.value.fault is faults.RECALLED
        grants.set_grant(tx, tenant_id=world.ids[1], name=NAME, grant=model.Grant(granted=19, lending_limit=8))
        recalls.end(tx, world.going[1])
        assert world.standing(1).lending_limit is None
        assert service.check(tx) == []
        world.going.clear()
        assert world.recall(1, None)
        world.release(0)
        grants.withdraw(tx, tenant_id=world.ids[1])
        assert recalls.going_on(tx, None) == [], "who is wound up calls nothing back"

    tenants_world.experiment(database, play)


def test_the_longest_borrowers_come_first_and_only_with_what_goes_beyond_their_own(database: store_database.Database) -> None:
    def play(tx: transaction.Transaction) -> None:
        world = Lending(tx, [0, 1, 2, 0])  # 1, 2, 3 bureaus, 4 an office of 3
        for x, granted, borrow in ((0, 30, 0), (1, 20, 0), (2, 5, 20), (3, 5, 20), (4, 5, 20)):
            world.grant(x, granted, None, borrow, allow_over=False)
        for x, units in ((2, 4), (2, 3), (4, 6), (2, 2)):
            world.reserve(x, units)
        first, second, third, fourth = sorted(world.held)
        listed = recalls.holdings(tx, world.ids[1], NAME)
        assert [(each.holder, each.borrowed, each.amount) for each in listed] == [
            (second, 2, 3),
            (third, 1, 6),
            (fourth, 2, 2),
        ], f"{first} has room in the bureau's own quota"

    tenants_world.experiment(database, play)


def test_the_smallest_lending_limit_is_found_by_halving() -> None:
    leaf = rules.granted(rules.nothing("1", NAME), model.Grant(granted=10**15 - 1))
    root = rules.granted(rules.nothing("0", NAME), model.Grant(granted=10**15 - 1))
    level = rules.ascended([root], 0, 12345)[0]
    assert rules.least_lending([leaf, level]) == 12345
