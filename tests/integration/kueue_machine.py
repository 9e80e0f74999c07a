"""A quota tree twice: in the database through the verbs of the room, and in `kueue_model` by the definition.  After each step both must agree.

The machine goes through trees of 4 to 6 levels and several names, one of them a class that counts on two.  It reserves, resizes, confirms, lets
expire, releases and adopts, sets and moves grants, moves subtrees and single holdings, and merges tenants.  The use cases run in batches as the
lane runs them, and without; what is refused or given up half way must leave nothing behind.
"""

import collections
import contextlib
import dataclasses
import datetime
from collections.abc import Callable, Iterator, Mapping
from typing import Any, ClassVar

from hypothesis import stateful
from hypothesis import strategies as st

from primitives import clock, errors
from quotas import grants, model, moves, service
from store import batch, engines, installation
from store import database as store_database
from store.transaction import Transaction
from tenants import model as tenants_model
from tenants import tree
from tests.integration.kueue_model import Grant, View, counted

NAMES = ("cpu_milli", "disk_gib", "disk_gib.ssd")
LEVELS_MAX = 6
CITY = 30
Amounts = dict[str, int]

number = st.integers(0, 1000)
amounts = st.dictionaries(st.sampled_from(NAMES), st.integers(1, 8), min_size=1, max_size=2).map(
    lambda drawn: drawn | ({"disk_gib": sum(drawn.values())} if drawn.keys() >= {"disk_gib", "disk_gib.ssd"} else {})
)
limit = st.none() | st.integers(0, 12)
grant = st.builds(Grant, granted=st.integers(0, 20), lend=limit, borrow=st.integers(0, 8))


@dataclasses.dataclass(frozen=True, slots=True)
class Holding:
    """What one resource holds at a node; unconfirmed it may expire."""

    node: int
    amounts: Mapping[str, int]
    expires_at: datetime.datetime | None = None


class GivenUpError(Exception):
    """Ends a use case in the middle."""


class KueueMachine(stateful.RuleBasedStateMachine):
    """Steps on both sides.  `url` is an empty database with today's schema; nothing is ever committed to it."""

    url: ClassVar[str] = ""
    steps: ClassVar[collections.Counter[str]] = collections.Counter()
    _connections: ClassVar[dict[str, engines.Connection]] = {}

    def __init__(self) -> None:
        super().__init__()
        self.connection = self._connections.get(self.url) or store_database.connect(self.url)
        self._connections[self.url] = self.connection
        self.connection.begin()
        self.batch = batch.Batch(self.connection)
        self.now_us = clock.to_us(datetime.datetime(2026, 3, 1, tzinfo=datetime.UTC))
        self.holdings: dict[str, Holding] = {}
        self.tenants: list[tenants_model.Tenant] = []
        self.views: dict[str, View] = {}
        self.every, self.done = 1, 0

    def teardown(self) -> None:
        """As if it had never been."""
        self.connection.rollback()

    @classmethod
    def close(cls) -> None:
        """Close the connections of all runs."""
        while cls._connections:
            cls._connections.popitem()[1].close()

    @stateful.initialize(
        backs=st.lists(number, min_size=1, max_size=7),
        first=st.lists(grant, min_size=12, max_size=12),
        deferring=st.booleans(),
        every=st.sampled_from([1, 1, 4, 16]),
    )
    def found(self, backs: list[int], first: list[Grant], deferring: bool, every: int) -> None:
        """A spine of four levels, and whatever hangs on it; random grants as far as they are sound."""
        self.every = every
        parents = [-1, 0, 1, 2]
        for back in backs:
            depths = [len(list(View(tuple(parents), (), ()).path(x))) for x in range(len(parents))]
            parents.append([x for x, depth in enumerate(depths) if depth < LEVELS_MAX][back % sum(d < LEVELS_MAX for d in depths)])
        self.use_case(lambda tx: self._plant(tx, parents))
        self.views = {name: View(tuple(parents), (Grant(),) * len(parents), (0,) * len(parents)) for name in NAMES}
        for name in NAMES:
            for x, one in enumerate(first[: len(parents)]):
                most = self.views[name].grants[parents[x]].granted if x else CITY
                drawn = Grant(CITY - CITY // 2) if x == 0 else dataclasses.replace(one, granted=max(0, most - one.granted // 3))
                self.set_grant(x=x, name=name, grant=drawn, allow_over=False)
        self.batch = batch.Batch(self.connection, deferring=deferring)

    def _plant(self, tx: Transaction, parents: list[int]) -> None:
        installation.create(tx)
        for x, parent in enumerate(parents):
            above = None if parent < 0 else self.tenants[parent]
            self.tenants.append(tree.create(tx, tree.NewTenant(code=f"d{x}", name=f"第{x}科", parent=above)))

    # -- holdings --------------------------------------------------------------------------------------------------------------------

    @stateful.rule(x=number, asked=amounts, expires=st.sampled_from([None, None, 1, 5]))
    def reserve(self, x: int, asked: Amounts, expires: int | None) -> None:
        """Admitted if, and only if, the definition admits it."""
        x, holder = self.node(x), f"vm-{self.done}"
        until = None if expires is None else clock.from_us(self.now_us) + datetime.timedelta(minutes=expires)
        self.asks(
            x,
            counted(asked),
            lambda tx: service.reserve(tx, tenant_id=self.tenants[x].id, amounts=asked, holder=holder, expires_at=until),
            lambda: self.holdings.update({holder: Holding(x, counted(asked), until)}),
        )

    @stateful.precondition(lambda self: self.holdings)
    @stateful.rule(pick=number, asked=amounts)
    def resize(self, pick: int, asked: Amounts) -> None:
        """Only what grows is asked for; the rest goes back."""
        holder, held = self.pick(pick)
        new = counted(asked)
        changes = {name: new.get(name, 0) - held.amounts.get(name, 0) for name in {*new, *held.amounts}}
        self.asks(
            held.node,
            changes,
            lambda tx: service.change(tx, holder=holder, amounts=asked),
            lambda: self.holdings.update({holder: dataclasses.replace(held, amounts=new)}),
        )

    @stateful.precondition(lambda self: self.holdings)
    @stateful.rule(pick=number)
    def release(self, pick: int) -> None:
        """All goes back, once."""
        holder, held = self.pick(pick)
        assert self.use_case(lambda tx: service.release(tx, holder=holder))
        assert not self.use_case(lambda tx: service.release(tx, holder=holder))
        self.hold(held.node, {name: -amount for name, amount in held.amounts.items()})
        del self.holdings[holder]

    @stateful.precondition(lambda self: self.holdings)
    @stateful.rule(pick=number)
    def confirm(self, pick: int) -> None:
        """What is there expires no more."""
        holder, held = self.pick(pick)
        self.use_case(lambda tx: service.confirm(tx, holder=holder))
        self.holdings[holder] = dataclasses.replace(held, expires_at=None)

    @stateful.rule(minutes=st.integers(0, 6))
    def wait(self, minutes: int) -> None:
        """What nobody confirmed in time is released."""
        self.now_us += minutes * 60_000_000
        now = clock.from_us(self.now_us)
        due = {holder for holder, held in self.holdings.items() if held.expires_at is not None and held.expires_at <= now}
        assert set(self.use_case(service.due)) == due
        for holder in sorted(due):
            self.release(pick=sorted(self.holdings).index(holder))

    @stateful.rule(x=number, there=amounts)
    def adopt(self, x: int, there: Amounts) -> None:
        """What exists is held, whether it fits or not."""
        x, holder = self.node(x), f"vm-{self.done}"
        self.use_case(lambda tx: service.adopt(tx, tenant_id=self.tenants[x].id, amounts=there, holder=holder))
        self.hold(x, counted(there))
        self.holdings[holder] = Holding(x, counted(there))

    @stateful.precondition(lambda self: self.holdings)
    @stateful.rule(pick=number, to=number)
    def hand_over(self, pick: int, to: int) -> None:
        """A holding goes to another tenant, if every level that it raises stays within its limit."""
        holder, held = self.pick(pick)
        to = self.node(to)
        after = {}
        for name, amount in held.amounts.items():
            after[name] = self.views[name].holding(held.node, -amount).holding(to, amount)
        levels = [(self.views[name], view, x) for name, view in after.items() for x in range(len(self.tenants))]
        expected = all(now.t(x) >= -now.grants[x].borrow for was, now, x in levels if now.t(x) < was.t(x))
        ids = {"from_id": self.tenants[held.node].id, "to_id": self.tenants[to].id}
        assert self.passes(lambda tx: moves.transfer(tx, order_id="ord-1", holders=[holder], **ids)) == expected, (
            f"{holder} to {to}"
        )
        if expected:
            self.views |= after
            self.holdings[holder] = dataclasses.replace(held, node=to)

    # -- grants and places -----------------------------------------------------------------------------------------------------------

    @stateful.rule(x=number, name=st.sampled_from(NAMES), grant=grant, allow_over=st.booleans())
    def set_grant(self, x: int, name: str, grant: Grant, allow_over: bool) -> None:
        """At the root there is nobody to lend to or to borrow from."""
        x = self.node(x)
        grant = (
            grant if x else dataclasses.replace(grant, granted=grant.granted + CITY // 2)
        )  # hardly less than those below it have
        wanted = model.Grant(granted=grant.granted, lending_limit=grant.lend, borrowing_limit=grant.borrow)
        possible = x > 0 or (grant.lend is None and not grant.borrow)
        self.changes(
            {name: self.views[name].granting(x, grant)} if possible else None,
            allow_over,
            lambda tx: grants.set_grant(tx, tenant_id=self.tenants[x].id, name=name, grant=wanted, allow_over=allow_over),
        )

    @stateful.rule(giver=number, taker=number, moved=amounts, allow_over=st.booleans())
    def move_grant(self, giver: int, taker: int, moved: Amounts, allow_over: bool) -> None:
        """Granted units go from one tenant to another; what counts is what comes of both."""
        giver, taker = self.node(giver), self.node(taker)
        after: dict[str, View] | None = {}
        for name, amount in counted(moved).items():
            view = self.views[name]
            for x, more in ((giver, -amount), (taker, amount)):
                grown = dataclasses.replace(view.grants[x], granted=view.grants[x].granted + more)
                view = view.granting(x, grown)
                after = None if after is None or grown.granted < 0 or giver == taker else after | {name: view}
        ids = {"from_id": self.tenants[giver].id, "to_id": self.tenants[taker].id}
        self.changes(after, allow_over, lambda tx: grants.move_grant(tx, amounts=moved, allow_over=allow_over, **ids))

    @stateful.rule(x=number, to=number, allow_over=st.booleans())
    def move_subtree(self, x: int, to: int, allow_over: bool) -> None:
        """A tenant goes under another one, with all below it and all they hold."""
        x, to = self.node(x), self.node(to)
        view = self.views[NAMES[0]]
        if x == 0 or x in view.path(to) or len(list(view.path(to))) + self.height(x) > LEVELS_MAX or view.parents[x] == to:
            return
        before, after = list(view.path(x))[1:], list(view.path(to))

        def moves_it(tx: Transaction) -> tenants_model.Tenant:
            moved = tree.move(tx, self.tenants[x], self.tenants[to])
            grants.move_subtree(
                tx,
                tenant_id=moved.id,
                above_before=[self.tenants[n].id for n in before],
                above_after=[self.tenants[n].id for n in after],
                allow_over=allow_over,
            )
            return moved

        moved = self.changes({name: view.moving(x, to) for name, view in self.views.items()}, allow_over, moves_it)
        self.tenants[x] = moved or self.tenants[x]

    @stateful.rule(x=number, into=number, allow_over=st.booleans())
    def merge(self, x: int, into: int, allow_over: bool) -> None:
        """One tenant becomes part of another.  It stays in the tree, empty, and may be granted something again."""
        x, into = self.node(x), self.node(into)
        view = self.views[NAMES[0]]
        depth = len(list(view.path(into))) + max((self.height(c) for c in view.children(x)), default=0)
        if 0 in (x, into) or x in view.path(into) or depth > LEVELS_MAX:
            return

        def merges(tx: Transaction) -> list[tenants_model.Tenant]:
            moves.merge(tx, from_id=self.tenants[x].id, into_id=self.tenants[into].id, allow_over=allow_over)
            return [tree.move(tx, self.tenants[child], self.tenants[into]) for child in view.children(x)]

        moved = self.changes({name: one.merged(x, into) for name, one in self.views.items()}, allow_over, merges)
        if moved is not None:
            for child, tenant in zip(view.children(x), moved, strict=True):
                self.tenants[child] = tenant
            for holder, held in self.holdings.items():
                self.holdings[holder] = dataclasses.replace(held, node=into) if held.node == x else held

    # -- batches ---------------------------------------------------------------------------------------------------------------------

    @stateful.rule(x=number, asked=amounts, pick=number)
    def give_up(self, x: int, asked: Amounts, pick: int) -> None:
        """A use case that fails after it has drawn and given back."""
        x = self.node(x)

        def half(tx: Transaction) -> None:
            if self.holdings:
                service.release(tx, holder=self.pick(pick)[0])
            with contextlib.suppress(errors.GovpoolError):
                service.reserve(tx, tenant_id=self.tenants[x].id, amounts=asked, holder="vm-half", expires_at=None)
            raise GivenUpError

        with contextlib.suppress(GivenUpError):
            self.use_case(half)

    @stateful.rule()
    def end_batch(self) -> None:
        """All that was to be written later is written."""
        self.batch.finish()

    @stateful.invariant()
    def agree(self) -> None:
        """After each step, or after several: what is decided in memory is to be written only then."""
        self.done += 1
        self.steps["all"] += 1
        if self.views and self.done % self.every == 0:
            self.looks_the_same()

    def looks_the_same(self) -> None:
        """Every number of every node, by the definition."""
        standings = {(each.tenant_id, each.name): each for each in self.use_case(lambda tx: service.standings_of(tx, None))}
        for name, view in self.views.items():
            for x, tenant in enumerate(self.tenants):
                found = standings.get((tenant.id, name))
                if found is not None:
                    stored = (found.drawn, found.subtree_quota, found.local_quota, found.over_by)
                    assert stored == (view.drawn(x), view.t_empty(x), view.kept(x), view.over(x)), f"{name} at {x}"
        x = self.done % len(self.tenants)
        for name, left in self.use_case(lambda tx: service.available(tx, tenant_id=self.tenants[x].id)).items():
            assert left == self.views[name].available(x), f"{left} {name} available at {x}"
        assert self.use_case(service.check) == []

    # -- both sides ------------------------------------------------------------------------------------------------------------------

    def use_case(self, run: Callable[[Transaction], Any]) -> Any:
        """As the lane runs one, a second after the one before."""
        self.now_us += 1_000_000
        self.batch.begin()
        try:
            result = run(Transaction(self.connection, self.now_us, self.batch))
            self.batch.end()
        except BaseException:
            self.batch.undo()
            raise
        return result

    def passes(self, run: Callable[[Transaction], Any]) -> bool:
        """Whether it goes through; a refusal of the room is a no, anything else is a defect."""
        try:
            self.use_case(run)
        except errors.GovpoolError as error:
            if not error.code.startswith("quota."):
                raise
            self.steps["refused"] += 1
            return False
        return True

    def asks(self, x: int, changes: Mapping[str, int], run: Callable[[Transaction], Any], then: Callable[[], None]) -> None:
        """A request for more (and less) at x: the same verdict on both sides, for the same reasons."""
        told: set[tuple[str, str, int]] = set()
        try:
            self.use_case(run)
        except errors.GovpoolError as error:
            if error.code != "quota.exceeded":
                raise
            told = {(each["tenant"], each["name"], each["short_by"]) for each in error.values["breaches"]}
            self.steps["refused"] += 1
        short = {
            (f"d{n}", name, missing)
            for name, more in changes.items()
            if more > 0
            for n, missing in self.views[name].breaches(x, more).items()
        }
        assert told == short, f"{dict(changes)} at {x}"
        if not told:
            self.hold(x, changes)
            then()

    def changes(self, after: dict[str, View] | None, allow_over: bool, run: Callable[[Transaction], Any]) -> Any:
        """A change of grants or places (None: an impossible one): it happens if, and only if, what comes of it is sound; its result."""
        expected = after is not None and all(
            view == self.views[name] or view.sound_after(self.views[name], allow_over=allow_over) for name, view in after.items()
        )
        results: list[Any] = []
        assert self.passes(lambda tx: results.append(run(tx))) == expected, "a change of grants or places"
        if not expected or after is None:
            return None
        self.views |= after
        return results[0]

    def hold(self, x: int, changes: Mapping[str, int]) -> None:
        for name, more in changes.items():
            self.views[name] = self.views[name].holding(x, more)

    def node(self, x: int) -> int:
        return x % len(self.tenants)

    def height(self, x: int) -> int:
        return 1 + max((self.height(c) for c in self.views[NAMES[0]].children(x)), default=0)

    def pick(self, x: int) -> tuple[str, Holding]:
        holder = sorted(self.holdings)[x % len(self.holdings)]
        return holder, self.holdings[holder]


@contextlib.contextmanager
def machine(url: str) -> Iterator[type[KueueMachine]]:
    """The machine on a database, closed at the end."""
    made: type[KueueMachine] = type("Machine", (KueueMachine,), {"url": url, "steps": collections.Counter(), "_connections": {}})
    try:
        yield made
    finally:
        made.close()
