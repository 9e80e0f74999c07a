"""The tree through time, beside a naive one that shares no code with the product; on both databases."""

import collections
import dataclasses
import datetime
import itertools

import hypothesis
import pytest
from hypothesis import strategies

from store import database as store_database
from store import transaction
from tenants import model, service, tree
from tests.integration.tenants_world import QUICK, city_and_bureau, code_of, experiment

MINUTE = datetime.timedelta(minutes=1)


@dataclasses.dataclass
class Timeline:
    """The naive tree: for each tenant its moves as (minute, parent), oldest first; '' is no parent."""

    moves: dict[str, list[tuple[int, str]]]

    def parent(self, tenant: str, minute: int) -> str | None:
        """The parent at a minute; None when the tenant does not stand yet."""
        past = [parent for at, parent in self.moves[tenant] if at <= minute]
        return past[-1] if past else None

    def path(self, tenant: str, minute: int) -> list[str] | None:
        """Root first, or None where it is no path: not standing, a cycle, a ninth level."""
        path: list[str] = []
        node: str | None = tenant
        while node:
            if node in path or len(path) == 8:
                return None
            path.insert(0, node)
            node = self.parent(node, minute)
        return None if node is None else path

    def sound_from(self, minute: int) -> bool:
        """Whether every tenant that stands has a path at every minute of change from `minute` on."""
        minutes = {at for moves in self.moves.values() for at, _ in moves if at >= minute} | {minute}
        return all(
            self.path(tenant, at) is not None for tenant in self.moves for at in minutes if self.parent(tenant, at) is not None
        )


STEPS = strategies.lists(
    strategies.tuples(
        strategies.sampled_from(["create", "create", "move"]),
        strategies.integers(0, 30),
        strategies.one_of(strategies.just(-1), strategies.integers(0, 30)),  # -1, the newest, makes deep trees
        strategies.integers(0, 60),
    ),
    min_size=1,
    max_size=24,
)


@QUICK
@hypothesis.example(steps=[("create", 0, -1, 0)] * 8)  # the ninth level
@hypothesis.given(steps=STEPS)
def test_a_dated_tree_never_cycles_never_overlaps_and_is_never_nine_deep(
    database: store_database.Database, steps: list[tuple[str, int, int, int]]
) -> None:
    def run(tx: transaction.Transaction) -> None:
        start = tx.now() - 61 * MINUTE
        naive = Timeline({"root": [(0, "")]})
        known = {"root": tree.create(tx, tree.NewTenant(code="root", name="市", parent=None, valid_from=start))}
        for verb, who, where, minute in steps:
            names = list(known)
            parent, tenant = names[where % len(names)], names[who % len(names)]
            if verb == "create":
                tenant = f"t{len(names)}"
            allowed, after = naively(naive, verb, tenant, parent, minute)
            code = code_of(apply, tx, known, verb, tenant, parent, start + minute * MINUTE)
            assert (code == "") == allowed, (verb, tenant, parent, minute, code)
            naive = after if allowed else naive
        compare(tx, naive, {code: tenant.id for code, tenant in known.items()}, start)

    experiment(database, run)


def naively(naive: Timeline, verb: str, tenant: str, parent: str, minute: int) -> tuple[bool, Timeline]:
    """Whether a step is allowed, and the tree after it."""
    after = Timeline({name: list(moves) for name, moves in naive.moves.items()})
    if naive.parent(parent, minute) is None or tenant == "root":
        return False, after
    if verb == "move":
        last = after.moves[tenant][-1][0]
        if minute < last:
            return False, after
        after.moves[tenant] = [move for move in after.moves[tenant] if move[0] != minute]
    after.moves.setdefault(tenant, []).append((minute, parent))
    return after.sound_from(minute), after


def apply(
    tx: transaction.Transaction, known: dict[str, model.Tenant], verb: str, tenant: str, parent: str, at: datetime.datetime
) -> None:
    """The same step in the product."""
    if verb == "create":
        known[tenant] = tree.create(tx, tree.NewTenant(code=tenant, name=f"{tenant}局", parent=known[parent], valid_from=at))
    else:
        known[tenant] = tree.move(tx, known[tenant], known[parent], valid_from=at)


def compare(tx: transaction.Transaction, naive: Timeline, tenant_ids: dict[str, str], start: datetime.datetime) -> None:
    """The product's places, present paths and rows are those of the naive tree."""
    now_minute = 61
    for name, minute in itertools.product(naive.moves, [0, 7, 23, 42, 60, now_minute]):
        expected = naive.path(name, minute) if naive.parent(name, minute) is not None else None
        at = start + minute * MINUTE
        if expected is None:
            assert code_of(service.place_at, tx, tenant_ids[name], at) == "object.unknown"
            assert tenant_ids[name] not in service.places_at(tx, at)
        else:
            place = service.place_at(tx, tenant_ids[name], at)
            assert list(place.path) == expected
            assert service.places_at(tx, at)[tenant_ids[name]] == place
    for name in naive.moves:
        path = naive.path(name, now_minute)
        assert path is not None
        assert service.path_codes(tx, tenant_ids[name]) == path[::-1]
    rows = tx.execute(transaction.sql("SELECT tenant_id, fact, valid_from_at, valid_to_at FROM tenant_facts"))
    by_fact = collections.defaultdict(list)
    for row in rows:
        by_fact[row["tenant_id"], row["fact"]].append((row["valid_from_at"], row["valid_to_at"]))
    for spans in by_fact.values():
        spans.sort()
        assert all(earlier[1] == later[0] for earlier, later in itertools.pairwise(spans)), "a gap or an overlap"
        assert spans[-1][1] == 10**16


def test_a_merger_leaves_the_old_statement_its_path_and_name(database: store_database.Database) -> None:
    def run(tx: transaction.Transaction) -> None:
        start = tx.now() - 90 * MINUTE
        city = tree.create(tx, tree.NewTenant(code="foshan", name="佛山市", parent=None, valid_from=start))
        old = tree.create(tx, tree.NewTenant(code="it-office", name="信息化办公室", parent=city, valid_from=start))
        bureau = tree.create(tx, tree.NewTenant(code="data-bureau", name="数据统筹局", parent=city, valid_from=start))
        old = tree.rename(tx, old, "政务服务数据管理局", valid_from=start + 30 * MINUTE)
        old = tree.move(tx, old, bureau, valid_from=start + 30 * MINUTE)
        old = tree.pay(tx, old, bureau, valid_from=start + 30 * MINUTE)
        before, after = service.place_at(tx, old.id, start + 29 * MINUTE), service.place_at(tx, old.id, start + 30 * MINUTE)
        assert (before.path, before.name, before.payer_id) == (("foshan", "it-office"), "信息化办公室", old.id)
        assert (after.path, after.name, after.payer_id) == (("foshan", "data-bureau", "it-office"), "政务服务数据管理局", bureau.id)
        issued = start + 40 * MINUTE
        assert code_of(tree.rename, tx, old, "别名", valid_from=start + 35 * MINUTE, not_before=issued) == "dated.issued"
        assert code_of(tree.rename, tx, old, "别名", valid_from=start + 29 * MINUTE) == "dated.later"
        assert code_of(tree.rename, tx, old, "别名", valid_from=start - MINUTE) == "dated.early"
        assert code_of(tree.rename, tx, old, "别名", valid_from=tx.now() + MINUTE) == "input.invalid"
        assert old.generation == 4 == service.by_code(tx, "it-office").generation

    experiment(database, run)


def test_a_code_is_never_used_again(database: store_database.Database) -> None:
    def run(tx: transaction.Transaction) -> None:
        city, bureau = city_and_bureau(tx)
        bureau = tree.set_state(tx, bureau, model.State.CLOSING)
        bureau = tree.set_state(tx, bureau, model.State.CLOSED)
        assert code_of(tree.create, tx, tree.NewTenant(code="tax", name="新税务局", parent=city)) == "code.taken"
        assert code_of(tree.rename, tx, bureau, "复活") == "tenant.state"
        assert code_of(tree.set_state, tx, bureau, model.State.ACTIVE) == "tenant.state"
        assert code_of(tree.create, tx, tree.NewTenant(code="below", name="下级", parent=bureau)) == "tenant.state"

    experiment(database, run)
    with pytest.raises(Exception, match=r"(?i)forbid|not allowed|never|tenants"):
        database.lane.run(lambda tx: (city_and_bureau(tx), tx.execute(transaction.sql("DELETE FROM tenants"))))


def test_a_tenant_with_living_children_is_not_wound_up_and_the_root_never(database: store_database.Database) -> None:
    def run(tx: transaction.Transaction) -> None:
        city, bureau = city_and_bureau(tx)
        branch = tree.create(tx, tree.NewTenant(code="branch", name="分局", parent=bureau))
        assert code_of(tree.set_state, tx, bureau, model.State.CLOSING) == "tenant.not_empty"
        assert code_of(tree.set_state, tx, city, model.State.FROZEN) == "tenant.root"
        tree.set_state(tx, tree.set_state(tx, branch, model.State.CLOSING), model.State.CLOSED)
        assert tree.set_state(tx, bureau, model.State.CLOSING).state == "closing"

    experiment(database, run)


def test_there_is_one_root(database: store_database.Database) -> None:
    def two_roots(tx: transaction.Transaction) -> None:
        tree.create(tx, tree.NewTenant(code="one", name="一", parent=None))
        tree.create(tx, tree.NewTenant(code="two", name="二", parent=None))

    with pytest.raises(Exception, match=r"(?i)unique"):
        database.lane.run(two_roots)
