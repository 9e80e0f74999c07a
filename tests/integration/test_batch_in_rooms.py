"""Where what a batch shares meets the rooms: tables that reference each other, counters, rehearsals, migrations, repairs, the same asked twice."""

import concurrent.futures
import functools
import threading
from typing import Any

import hypothesis
import pytest
import sqlalchemy as sa
from alembic import command
from hypothesis import strategies as st

from audit import model as audit_model
from audit import service as audit
from control import quota_check, quota_repair
from orders import model as orders_model
from orders import records as orders_records
from orders import tables as orders_tables
from pools import model as pools_model
from pools import records as pools_records
from pools import repair as pools_repair
from primitives import errors, ids
from quotas import records as quota_records
from quotas import tables as quota_tables
from store import database as store_database
from store import idempotency, lane, migrate, tables, transaction
from store.transaction import Transaction
from tests.integration.test_batch import RefusedError, in_one_batch, number_of, perform, row, start

_G = quota_tables.GRANTS
_ORDERS = sa.select(sa.func.count().label("n")).select_from(orders_tables.ORDERS)
ORDER = functools.partial(
    orders_model.Order,
    number=0, tenant_id="t", project_id="p", state=orders_model.State.DELIVERING, account_id="a", person_id="p", reason="扩容", document_no="",
    monthly_micro=0, approval=(), decide_by=None, ended_at=None, generation=1,
)  # fmt: skip


@pytest.mark.parametrize("grant_first", [True, False])
def test_a_counter_that_is_written_later_counts_at_once(database: store_database.Database, grant_first: bool) -> None:
    start(database)
    new = {
        "tenant_id": "new", "name": "gpus", "granted": 5, "lending_limit": None, "borrowing_limit": 0, "subtree_quota": 5, "local_quota": 0,
        "drawn": 0, "over_by": 0, "generation": 1,
    }  # fmt: skip

    def grants_and_draws(tx: Transaction) -> Any:
        if not grant_first:
            quota_records.foresee(tx, ["new"])
        tx.later(_G, new)
        quota_records.foresee(tx, ["new"])
        return quota_records.draw(tx, "new", {"gpus": 2})

    assert database.lane.run(grants_and_draws) == {"gpus": (2, 0)}
    assert database.lane.run(lambda tx: tx.execute(sa.select(_G.c.drawn).where(_G.c.tenant_id == "new"))) == [{"drawn": 2}]


def test_a_row_finds_the_row_that_it_references_though_that_is_written_later(database: store_database.Database) -> None:
    def reserves(tx: Transaction) -> None:
        tx.later(quota_tables.RESERVATIONS, {"holder": "h", "tenant_id": "t", "state": "reserved", "expires_at": None})
        tx.execute(sa.insert(quota_tables.AMOUNTS), holder="h", name="gpus", amount=1)

    database.lane.run(reserves)
    found = database.read(lambda tx: quota_records.find(tx, "h"))
    assert found is not None and found.amounts == {"gpus": 1}


def test_a_rehearsal_hears_what_the_database_would_say_to_the_act(database: store_database.Database) -> None:
    start(database)

    def rehearses(tx: Transaction) -> None:
        tx.later(tables.ANSWERS, row(1))
        raise lane.RehearsedError("as if")

    assert in_one_batch(database, [[("at once", 1), ("draw", 2)]]) == [[{"gpus": (2, 0)}]]
    gate = threading.Event()
    database.lane.submit(lambda tx: gate.wait(10) and None)
    draws = database.lane.submit(lambda tx: perform(tx, [("draw", 3), ("later", 2)]))
    taken = database.lane.submit(rehearses)
    gate.set()
    assert draws.result() == [{"gpus": (5, 0)}]
    assert type(taken.exception()).__name__ in ("IntegrityError", "UniqueViolation")
    assert database.lane.run(lambda tx: perform(tx, [("count", 1), ("drawn", 1)])) == [2, 5]


def test_what_is_known_is_known_by_the_names_of_its_parameters(database: store_database.Database) -> None:
    less = transaction.sql("SELECT CAST(:a AS bigint) - CAST(:b AS bigint) AS n")
    assert database.lane.run(lambda tx: [tx.known(less, number_of, a=3, b=1), tx.known(less, number_of, b=3, a=1)]) == [2, -2]


def test_what_is_kept_is_read_again_after_a_migration(database: store_database.Database) -> None:
    engine = migrate.engine_of(database.url)
    for _ in range(2):  # the first batch of a connection is alone for certain only as the second begins
        database.lane.run(lambda tx: tx.keep("note", True))
    assert database.lane.run(lambda tx: tx.recall("note"))
    with engine.begin() as connection:
        command.stamp(migrate.config(connection), "head")  # the schema of a test is made without migrations
        migrate._run(connection)
    engine.dispose()
    assert database.lane.run(lambda tx: tx.recall("note")) is None


def test_the_same_asked_twice_in_one_batch_is_done_once(database: store_database.Database) -> None:
    request = idempotency.Request("a", "POST", "/v1/x", "key", "h")

    def asks(tx: Transaction, name: str, number: int) -> str:
        known = idempotency.recall(tx, request)
        if known is not None:
            return str(known.body)
        if quota_records.reserve(tx, "t", {"h": {"gpus": number}}, None):
            return "held"
        if name == "refused":
            raise RefusedError
        idempotency.keep(tx, request, idempotency.Stored(200, name, None), secret=False)
        return name

    gate = threading.Event()
    database.lane.submit(lambda tx: gate.wait(10) and None)
    names = ("refused", "first", "second", "refused", "third")
    asked = [database.lane.submit(lambda tx, name=name, n=n: asks(tx, name, n + 1)) for n, name in enumerate(names)]  # type: ignore[misc]
    gate.set()
    assert isinstance(asked[0].exception(), RefusedError)
    assert [one.result() for one in asked[1:]] == ["first"] * 4
    found = database.read(lambda tx: quota_records.find(tx, "h"))
    assert found is not None and found.amounts == {"gpus": 2}


def test_a_repair_looks_at_the_database_and_not_at_what_the_lane_remembers(database: store_database.Database) -> None:
    pool = pools_model.Pool(
        id="pool", code="cs-a", name="长沙一号池", driver="lab", driver_settings={}, kinds=("VirtualMachine",), zones=("az-1",),
        service_classes=("general",), halls=("h1",), protection_level=3, paused=False, generation=1,
    )  # fmt: skip

    def begin(tx: Transaction) -> None:
        pools_records.insert(tx, pool)
        pools_records.put_rooms(tx, "pool", {("az-1", "general", "cpu_milli"): (9, 9, 0)})

    database.lane.run(begin)
    for _ in range(2):
        assert database.lane.run(lambda tx: pools_records.rooms(tx, None))[0].held == 0
    hand = store_database.connect(database.url)
    hand.rows("UPDATE pool_rooms SET held = 3", {})
    hand.rows("INSERT INTO pool_rooms VALUES ('pool', 'az-1', 'general', 'ram_mib', 9, 9, 0, 4, 0)", {})
    hand.close()
    found = [quota_check.Finding(code="room.derived", object="az-1", name="cpu_milli", stored=3, derived=0, repair="add_again")]
    effect = quota_repair.repair(found, quota_check.digest(found)).effect
    who: Any = None
    done = database.lane.run(lambda tx: effect(tx, who, who)).body["repaired"]
    assert [(each["name"], each["stored"], each["derived"]) for each in done] == [("cpu_milli", 3, 0), ("ram_mib", 4, 0)]
    assert database.read(pools_repair.differences) == []


@pytest.mark.parametrize("kept", [True, False])
def test_after_a_commit_of_unknown_outcome_counters_are_what_the_database_has(
    database: store_database.Database, monkeypatch: pytest.MonkeyPatch, kept: bool
) -> None:
    start(database)
    assert in_one_batch(database, [[("draw", 1), ("later", 1)]]) == [[{"gpus": (1, 0)}]]
    connection = database.lane._connection
    assert connection is not None
    commit = connection.commit

    def says_nothing() -> None:
        commit() if kept else connection.rollback()
        raise OSError("the line is dead")

    monkeypatch.setattr(connection, "commit", says_nothing)
    with pytest.raises(errors.GovpoolError) as lost:
        database.lane.run(lambda tx: perform(tx, [("draw", 3), ("later", 2)]))
    assert lost.value.code == "lane.repeat"
    assert in_one_batch(database, [[("draw", 2), ("count", 1)]]) == [[{"gpus": (6 if kept else 3, 0)}, 2 if kept else 1]]


def test_a_connection_that_dies_in_a_batch_loses_and_doubles_nothing(database: store_database.Database) -> None:
    start(database)
    runs: list[str] = []

    def dies(tx: Transaction) -> None:
        runs.append("run")
        if len(runs) == 1:
            tx._connection.close()
        perform(tx, [("draw", 2), ("later", 2)])

    gate = threading.Event()
    database.lane.submit(lambda tx: gate.wait(10) and None)
    draws = database.lane.submit(lambda tx: perform(tx, [("draw", 3), ("later", 1)]))
    dead = database.lane.submit(dies)
    gate.set()
    answered = [one.exception() for one in (draws, dead)]
    assert {getattr(error, "code", "") for error in answered if error is not None} <= {"lane.repeat"}
    there = 5 if answered == [None, None] else 0
    assert database.lane.run(lambda tx: perform(tx, [("drawn", 1), ("count", 1)])) == [there, 2 if there else 0]
    assert database.dialect == "sqlite" or there == 5


@hypothesis.settings(max_examples=15, deadline=None, suppress_health_check=[hypothesis.HealthCheck.function_scoped_fixture])
@hypothesis.given(
    st.lists(st.lists(st.sampled_from(["done", "refused", "rehearsed", "broken", "at once"]), min_size=1, max_size=6), max_size=3)
)
def test_numbers_and_the_trail_have_no_gap_whatever_a_batch_refuses_or_runs_again(
    database: store_database.Database, batches: list[list[str]]
) -> None:
    def orders_it(tx: Transaction, how: str) -> int:
        made = orders_records.insert(tx, ORDER(id=ids.new("ord"), submitted_at=tx.now()), [])
        audit.append(tx, audit_model.Line(actor=how, action="order.create"))
        if how == "refused":
            raise RefusedError
        if how == "rehearsed":
            raise lane.RehearsedError(0)
        if how == "broken":
            tx.later(tables.ANSWERS, row(1), row(1))
        if how == "at once":
            tx.changed(sa.update(orders_tables.ORDERS).values(reason="changed"))
        return made.number

    def refused(tx: Transaction, error: BaseException) -> None:
        audit.append(tx, audit_model.Line(actor="no", action="order.create", outcome=audit_model.Outcome.REFUSED))

    before = database.read(lambda tx: (tx.execute(_ORDERS)[0]["n"], audit.head(tx)[0]))
    given: list[int] = []
    for batch in batches:
        gate = threading.Event()
        database.lane.submit(lambda tx, gate=gate: gate.wait(10) and None)  # type: ignore[misc]
        asked = [database.lane.submit(lambda tx, how=how: orders_it(tx, how), refused) for how in batch]  # type: ignore[misc]
        gate.set()
        concurrent.futures.wait(asked)
        given += [one.result() for one, how in zip(asked, batch, strict=True) if how in ("done", "at once")]
    lines = sum(how != "rehearsed" for batch in batches for how in batch)
    assert given == list(range(before[0] + 1, before[0] + len(given) + 1))
    verdict = database.read(audit.verify)
    assert (verdict.flaw, verdict.records) == ("", before[1] + lines)
