"""Money in random histories, on both databases: after every step all numbers are those of an independent model, and nothing is counted too low."""

import copy
import datetime
import random
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from primitives import clock, ids
from quotas import move_records
from quotas import service as quotas
from quotas.budgets import appropriations, model, proof, service
from store import database as store_database
from store import installation
from store.transaction import Transaction
from tenants import tree
from tests.integration.budget_model import Model, Money, Stretch, year_of
from tests.integration.tenants_world import code_of

YUAN = 10**6
PARENTS = {"foshan": "", "nanhai": "foshan", "tax": "nanhai", "police": "nanhai", "tax-1": "tax"}
STEPS = 120


@pytest.fixture(autouse=True)
def our_time() -> Iterator[None]:
    """The clock stands right again afterwards."""
    yield
    clock.shift(datetime.timedelta(0))


class Story:
    """One random history."""

    def __init__(self, database: store_database.Database, seed: int) -> None:
        self.database = database
        self.random = random.Random(seed)
        self.model = Model(PARENTS)
        self.ids: dict[str, str] = database.lane.run(self._found)
        self.done: dict[str, int] = {}

    def _found(self, tx: Transaction) -> dict[str, str]:
        installation.create(tx)
        made: dict[str, Any] = {}
        for code, parent in PARENTS.items():
            made[code] = tree.create(tx, tree.NewTenant(code=code, name=f"{code} 局", parent=made.get(parent)))
        return {code: tenant.id for code, tenant in made.items()}

    def step(self) -> None:
        """Something happens; the model says what comes of it."""
        happens = self.random.choices(
            [self.orders, self.resizes, self.ends, self.extends, self.moves, self.settles, self.gives, self.waits, self.repeats],
            [30, 15, 10, 8, 6, 12, 12, 8, 2],
        )[0]
        happens()
        self.proves()

    # -- what happens ------------------------------------------------------------------------------------------------------------------

    def orders(self) -> None:
        tenant, monthly, end_days = self._tenant(), self._price(), self.random.choice([None, None, 10, 90, 500])
        holder, now_used = ids.new("vm"), []

        def use_case(tx: Transaction) -> None:
            now_used.append(tx.now())
            quotas.reserve(tx, tenant_id=self.ids[tenant], amounts={}, holder=holder, expires_at=None)
            end_at = None if end_days is None else tx.now() + datetime.timedelta(days=end_days)
            wish = model.Wish(holder=holder, monthly_micro=monthly, end_at=end_at)
            service.hold_each(tx, tenant_id=self.ids[tenant], wishes=[wish])

        def expected(of: Model, now: datetime.datetime) -> None:
            end_at = None if end_days is None else now + datetime.timedelta(days=end_days)
            of.machines[holder] = of.stretches(tenant, now, end_at, monthly)
            if end_at is None:
                of.open_ended.add(holder)

        self._asked("orders", use_case, now_used, expected)

    def resizes(self) -> None:
        holder = self._living()
        if holder is None:
            return
        monthly, now_used = self._price(), []

        def use_case(tx: Transaction) -> None:
            now_used.append(tx.now())
            service.change(tx, holder=holder, monthly_micro=monthly)

        def expected(of: Model, now: datetime.datetime) -> None:
            last, was_open = of.machines[holder][-1], holder in of.open_ended
            if last.monthly == monthly:
                return
            end_at = None if was_open else last.end_at
            of.cut(holder, now)
            of.machines[holder] += of.stretches(last.tenant, now, end_at, monthly)
            if was_open:
                of.open_ended.add(holder)

        dearer = monthly > self.model.machines[holder][-1].monthly
        self._asked("resizes", use_case, now_used, expected, always=not dearer)

    def extends(self) -> None:
        holder = self._living()
        if holder is None:
            return
        days, now_used = self.random.choice([5, 40, 400]), []

        def use_case(tx: Transaction) -> None:
            now_used.append(tx.now())
            service.change(tx, holder=holder, end_at=tx.now() + datetime.timedelta(days=days), open_ended=False)

        def expected(of: Model, now: datetime.datetime) -> None:
            last = of.machines[holder][-1]
            of.cut(holder, now)
            of.machines[holder] += of.stretches(last.tenant, now, now + datetime.timedelta(days=days), last.monthly)

        longer = self.model.machines[holder][-1].end_at < clock.now() + datetime.timedelta(days=days)
        self._asked("extends", use_case, now_used, expected, always=not longer)

    def moves(self) -> None:
        holder, tenant = self._living(), self._tenant()
        if holder is None or self.model.machines[holder][-1].tenant == tenant:
            return
        now_used: list[datetime.datetime] = []

        def use_case(tx: Transaction) -> None:
            now_used.append(tx.now())
            move_records.assign(tx, [holder], self.ids[tenant])
            service.move(tx, holders=[holder], tenant_id=self.ids[tenant])

        def expected(of: Model, now: datetime.datetime) -> None:
            last, was_open = of.machines[holder][-1], holder in of.open_ended
            end_at = None if was_open else last.end_at
            of.cut(holder, now)
            of.machines[holder] += of.stretches(tenant, now, end_at, last.monthly)
            if was_open:
                of.open_ended.add(holder)

        self._asked("moves", use_case, now_used, expected)

    def ends(self) -> None:
        holder = self._living()
        if holder is None:
            return
        used = self.random.random() < 0.7 or self.model.machines[holder][0].settled_to > self.model.machines[holder][0].start_at

        def use_case(tx: Transaction) -> datetime.datetime:
            quotas.release(tx, holder=holder)
            service.release(tx, holders=[holder], used=used)
            return tx.now()

        now = self.database.lane.run(use_case)
        if used:
            self.model.cut(holder, now)
        else:
            del self.model.machines[holder]
            self.model.open_ended.discard(holder)
        self._count("ends")

    def settles(self) -> None:
        at = clock.now().replace(microsecond=0)
        self.database.lane.run(service.begin_year)
        self.model.roll(clock.now())
        self.model.settle(at)
        expenses: dict[str, dict[str, model.Expense]] = {tenant_id: {} for tenant_id in self.ids.values()}
        for (tenant, month), amount in self.model.expenses.items():
            nodes = tuple(self.ids[node] for node in self.model.path(tenant))
            expenses[self.ids[tenant]][month] = model.Expense(amount_micro=amount, node_ids=nodes)
        chosen = list(expenses.items())
        self.random.shuffle(chosen)
        half = len(chosen) // 2
        for part in (chosen[:half], chosen[half:]):
            self._settle(model.Settlement(at=at, expenses=dict(part)))
        self.last = model.Settlement(at=at, expenses=expenses)
        self._count("settles")

    def repeats(self) -> None:
        """The last settlement once more, and an older one of nothing: neither changes anything."""
        if "settles" in self.done:
            self._settle(self.last)
            nothing = {
                tenant_id: {month: model.Expense(amount_micro=0, node_ids=one.node_ids) for month, one in months.items()}
                for tenant_id, months in self.last.expenses.items()
            }
            self._settle(model.Settlement(at=self.last.at - datetime.timedelta(hours=1), expenses=nothing))

    def gives(self) -> None:
        tenant, year = self._tenant(), year_of(clock.now()) + self.random.choice([0, 0, 0, 1])
        limit, hard = self.random.randint(1, 30_000) * YUAN, self.random.random() < 0.8
        allow_over = self.random.random() < 0.4
        budget = model.Budget(appropriated_micro=limit, hard=hard)
        before = self.model.budgets.get((tenant, year))
        committed = self.model.committed(tenant, year)
        refused = code_of(
            self.database.lane.run,
            lambda tx: appropriations.set_budget(tx, tenant_id=self.ids[tenant], year=year, budget=budget, allow_over=allow_over),
        )
        if refused:
            assert refused == "budget.below_use"
            assert hard
            assert not allow_over
            assert committed > limit
            assert before is None or limit < before.limit or not before.hard
            self._count("gives refused")
            return
        self.model.roll(clock.now())
        assert not hard or allow_over or committed <= limit or (before is not None and before.hard and limit >= before.limit), (
            f"{committed} is committed, {limit} was given"
        )
        self.model.budgets[tenant, year] = Money(limit, hard)
        self._count("gives")

    def waits(self) -> None:
        clock.shift(clock.offset() + datetime.timedelta(hours=self.random.choice([1, 30, 500, 1500])))

    # -- what must hold ----------------------------------------------------------------------------------------------------------------

    def proves(self) -> None:
        """Every number is the model's, and is proved by the product's own check."""
        assert self.database.read(proof.check) == []
        codes = {tenant_id: code for code, tenant_id in self.ids.items()}
        found = {(codes[one.tenant_id], one.year): one for one in self.database.read(appropriations.standings)}
        assert found.keys() == self.model.budgets.keys()
        for (tenant, year), one in found.items():
            assert one.encumbered_micro == self.model.encumbered(tenant, year)
            assert one.spent_micro == self.model.spent(tenant, year)
            assert one.over_micro == max(0, one.committed_micro - self.model.budgets[tenant, year].limit)
            months = sum(1 for of, month in self.model.expenses if month[:4] == str(year))
            assert (
                one.committed_micro >= self.model.cost(tenant, year) - months * 5000
            )  # rounding to the fen, once a month and tenant

    def _asked(
        self,
        what: str,
        use_case: Callable[[Transaction], None],
        moments: list[datetime.datetime],
        expected: Callable[[Model, datetime.datetime], None],
        *,
        always: bool = False,
    ) -> None:
        """Run what is asked for; it must be admitted exactly if the model says that the money is there."""
        refused = code_of(self.database.lane.run, use_case)
        assert refused in ("", "budget.exceeded")
        admitted = not refused
        now = moments[-1]
        rolled = admitted or self.model.rolled_to == year_of(now)
        after = copy.deepcopy(self.model)
        after.roll(now)
        before = after.all_committed()
        expected(after, now)
        assert admitted == (always or after.fits(before)), f"{what}: {'admitted' if admitted else 'refused'}"
        if admitted:
            self.model = after
        elif not rolled:
            assert self.model.rolled_to < year_of(now)  # a refusal takes the turn of the year back with it
        self._count(what if admitted else f"{what} refused")

    def _settle(self, settlement: model.Settlement) -> None:
        self.database.lane.run(lambda tx: service.settle(tx, settlement))

    def _holds_units(self, holder: str) -> bool:
        return self.database.read(lambda tx: quotas.find(tx, holder=holder)) is not None

    def _tenant(self) -> str:
        return self.random.choice(list(PARENTS))

    def _price(self) -> int:
        return self.random.choice([0, 1, 7 * YUAN, 333_330_000, 1200 * YUAN])

    def _living(self) -> str | None:
        now = clock.now() + datetime.timedelta(minutes=5)
        if year_of(now) != self.model.rolled_to:  # what is open-ended has not been rolled yet, in the model
            return None
        living = [holder for holder, own in self.model.machines.items() if own and self._lives(own[-1], now)]
        living = [holder for holder in living if self._holds_units(holder)]
        return self.random.choice(sorted(living)) if living else None

    @staticmethod
    def _lives(last: Stretch, now: datetime.datetime) -> bool:
        return last.end_at > now

    def _count(self, what: str) -> None:
        self.done[what] = self.done.get(what, 0) + 1


@pytest.mark.parametrize("seed", [1, 2])
def test_every_number_is_that_of_an_independent_model(database: store_database.Database, seed: int) -> None:
    story = Story(database, seed)
    for _ in range(STEPS):
        story.step()
    assert min(story.done.get(each, 0) for each in ("orders", "orders refused", "resizes", "ends", "settles", "gives")) > 0, (
        story.done
    )
