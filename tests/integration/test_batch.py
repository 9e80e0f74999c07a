"""What the use cases of one batch share is never seen by anybody: each sees, and leaves, what it would if it ran alone."""

import concurrent.futures
import threading
from collections.abc import Callable, Sequence
from typing import Any

import hypothesis
import pytest
import sqlalchemy as sa
from hypothesis import strategies as st

from quotas import records as quota_records
from quotas import tables as quota_tables
from store import batch as store_batch
from store import database as store_database
from store import lane, tables, transaction
from store.transaction import Transaction

LIMIT = 10
_COUNT = sa.select(sa.func.count().label("n")).select_from(tables.ANSWERS)
_ADD = sa.insert(tables.ANSWERS)
_G = quota_tables.GRANTS
_DRAWN = sa.select(_G.c.drawn).where(_G.c.tenant_id == "t")
_LEND = sa.update(_G).where(_G.c.tenant_id == "t").values(borrowing_limit=sa.bindparam("more"))

Step = tuple[str, int]


class RefusedError(Exception):
    """A use case that is refused at its end."""


def row(key: int) -> dict[str, Any]:
    """A row that can be there once."""
    return {
        "account_id": "a", "method": "POST", "path": "/v1/x", "key": str(key), "request_hash": "h", "status": 200, "body": "{}",
        "etag": None, "recorded_at": 1,
    }  # fmt: skip


def number_of(rows: list[dict[str, Any]]) -> int:
    """The number in the only row."""
    return int(rows[0]["n"])


def perform(tx: Transaction, steps: Sequence[Step]) -> list[Any]:
    """What a use case of these steps sees."""
    seen: list[Any] = []
    for verb, number in steps:
        if verb == "later":
            tx.later(tables.ANSWERS, row(number))
        elif verb == "at once":
            tx.execute(_ADD, **row(number))
        elif verb == "count":
            seen.append(tx.execute(_COUNT)[0]["n"])
        elif verb == "known count":
            seen.append(tx.known(_COUNT, number_of))
        elif verb == "draw":
            quota_records.foresee(tx, ["t"])
            seen.append(quota_records.draw(tx, "t", {"gpus": number}))
        elif verb == "give back":
            quota_records.foresee(tx, ["t"])
            seen.append(quota_records.give_back(tx, "t", {"gpus": min(number, tx.execute(_DRAWN)[0]["drawn"])}))
        elif verb == "drawn":
            seen.append(tx.execute(_DRAWN)[0]["drawn"])
        elif verb == "lend":
            seen.append(tx.changed(_LEND, more=90 + number))
        else:
            raise RefusedError
    return seen


class Alone:
    """The same in plain numbers, one use case after the other."""

    def __init__(self) -> None:
        self.keys: set[int] = set()
        self.drawn, self.limit = 0, LIMIT

    def perform(self, steps: Sequence[Step]) -> list[Any] | None:
        """What the use case sees, or None if it is refused."""
        before = set(self.keys), self.drawn, self.limit
        seen: list[Any] = []
        for verb, number in steps:
            if verb in ("later", "at once"):
                if number in self.keys:
                    self.keys, self.drawn, self.limit = before
                    return None
                self.keys.add(number)
            elif verb in ("count", "known count"):
                seen.append(len(self.keys))
            elif verb == "draw":
                fits = self.drawn + number <= self.limit
                self.drawn += number if fits else 0
                seen.append({"gpus": (self.drawn, 0)} if fits else {})
            elif verb == "give back":
                self.drawn -= min(number, self.drawn)
                seen.append({"gpus": (self.drawn, 0)})
            elif verb == "drawn":
                seen.append(self.drawn)
            elif verb == "lend":
                self.limit = LIMIT + 90 + number
                seen.append(1)
            else:
                self.keys, self.drawn, self.limit = before
                return None
        return seen


STEPS = st.lists(
    st.tuples(
        st.sampled_from(
            ["later", "later", "at once", "count", "known count", "draw", "draw", "give back", "drawn", "lend", "refuse"]
        ),
        st.integers(1, 6),
    ),
    min_size=1,
    max_size=5,
)


def in_one_batch(database: store_database.Database, all_steps: Sequence[Sequence[Step]]) -> list[list[Any] | None]:
    """Let all wait for the lane before it begins; what each sees, None for a refused one."""
    gate = threading.Event()
    database.lane.submit(lambda tx: gate.wait(10) and None)
    waiting = [database.lane.submit(lambda tx, steps=steps: perform(tx, steps)) for steps in all_steps]  # type: ignore[misc]
    gate.set()
    concurrent.futures.wait(waiting)
    for one in waiting:
        error = one.exception()
        assert error is None or type(error).__name__ in ("RefusedError", "IntegrityError", "UniqueViolation"), error
    return [None if one.exception() else one.result() for one in waiting]


@hypothesis.settings(max_examples=40, deadline=None, suppress_health_check=[hypothesis.HealthCheck.function_scoped_fixture])
@hypothesis.given(st.lists(STEPS, min_size=1, max_size=8), st.lists(STEPS, max_size=4))
def test_every_use_case_sees_and_leaves_what_it_would_alone(
    database: store_database.Database, first: list[list[Step]], second: list[list[Step]]
) -> None:
    start(database)
    alone = Alone()
    for batch in (first, second):  # the second finds what the first one kept
        assert in_one_batch(database, batch) == [alone.perform(steps) for steps in batch]
    left = database.read(lambda tx: (tx.execute(_COUNT)[0]["n"], tx.execute(_DRAWN)[0]["drawn"]))
    assert left == (len(alone.keys), alone.drawn)


def start(database: store_database.Database) -> None:
    """No rows, and one counter with a limit."""
    standing = {"subtree_quota": LIMIT, "local_quota": 0, "drawn": 0, "over_by": 0, "generation": 1}
    grant = {"tenant_id": "t", "name": "gpus", "granted": LIMIT, "lending_limit": None, "borrowing_limit": 0}

    def begin(tx: Transaction) -> None:
        tx.execute(sa.delete(tables.ANSWERS))
        tx.execute(sa.delete(_G))
        tx.later(_G, {**grant, **standing})

    database.lane.run(begin)


def test_a_row_that_the_database_refuses_is_heard_of_by_its_own_caller_alone(database: store_database.Database) -> None:
    start(database)
    assert in_one_batch(database, [[("later", 1)], [("later", 2), ("later", 1)], [("later", 3), ("draw", 4)]]) == [
        [],
        None,
        [{"gpus": (4, 0)}],
    ]


def test_what_a_refused_use_case_knew_is_forgotten_with_it(database: store_database.Database) -> None:
    start(database)
    seen = in_one_batch(
        database, [[("at once", 1), ("known count", 1), ("refuse", 1)], [("known count", 1)], [("later", 1), ("known count", 1)]]
    )
    assert seen == [None, [0], [1]]

    def note(value: int, refused: bool) -> Callable[[Transaction], Any]:
        def noted(tx: Transaction) -> Any:
            before = tx.recall("note")
            tx.keep("note", value, tables.ANSWERS)
            if refused:
                raise RefusedError
            return before

        return noted

    gate = threading.Event()
    database.lane.submit(lambda tx: gate.wait(10) and None)
    answers = [database.lane.submit(note(*each)) for each in ((1, False), (2, True), (3, False))]
    gate.set()
    assert (answers[0].result(), answers[2].result()) == (None, 1)


def test_a_counter_that_somebody_else_moved_makes_the_batch_run_again(
    database: store_database.Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    start(database)
    runs: list[str] = []
    tally_write = store_batch.Tally.write

    def moved(tally: store_batch.Tally, connection: Any) -> None:
        if any(line.values != line.stored for line in tally.lines.values()):
            connection.rows("UPDATE grants SET drawn = drawn + 1", {})
        tally_write(tally, connection)

    def draw(tx: Transaction) -> Any:
        runs.append("run")
        return perform(tx, [("draw", 2)])

    monkeypatch.setattr(store_batch.Tally, "write", moved)
    assert database.lane.run(draw) == [{"gpus": (2, 0)}]
    monkeypatch.undo()
    assert runs == ["run", "run"]
    assert database.lane.run(lambda tx: perform(tx, [("drawn", 1)])) == [2]


def test_what_is_kept_is_read_again_once_another_process_wrote(database_url: str) -> None:
    if database_url.startswith("sqlite:"):
        one = store_database.open_database(database_url)
        other_lane = lane.Lane(lambda: store_database.connect(database_url))
    else:
        one, other = (store_database.open_database(database_url) for _ in range(2))
        other_lane = other.lane
    counted = [("known count", 1)]
    assert one.lane.run(lambda tx: perform(tx, counted)) == [0]
    other_lane.run(lambda tx: perform(tx, [("at once", 1)]))
    assert one.lane.run(lambda tx: perform(tx, counted)) == [1]
    other_lane.run(lambda tx: perform(tx, [("later", 2)]))
    assert one.lane.run(lambda tx: perform(tx, counted)) == [2]
    for each in (one, other_lane) if database_url.startswith("sqlite:") else (one, other):
        each.close()


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("SELECT 1 FROM grants", set()),
        ("WITH k AS (SELECT 1) SELECT * FROM k", set()),
        ("INSERT INTO answers (key) VALUES (:k)", {"answers"}),
        ("INSERT OR REPLACE INTO answers (key) VALUES (:k)", {"answers", "?"}),
        ("UPDATE grants SET drawn = 1", {"grants"}),
        ("UPDATE OR IGNORE grants SET drawn = 1", {"grants"}),
        ("DELETE FROM ONLY grants", {"grants"}),
        ("DELETE FROM grants", {"grants"}),
        ("WITH d AS (UPDATE grants SET drawn = 1 RETURNING name) INSERT INTO answers SELECT * FROM d", {"grants", "answers"}),
        ("PRAGMA user_version = 1", {"?"}),
    ],
)
def test_what_a_statement_writes_to_is_known_from_its_text(text: str, written: set[str]) -> None:
    found = transaction._form(transaction.sql(text), "sqlite", {"k": 1} if ":k" in text else {}).written
    assert found - {"?"} == written - {"?"}
    assert bool(found) == bool(written)


def test_a_draw_that_is_given_back_in_the_same_batch_stays_given_back_when_the_row_is_changed(
    database: store_database.Database,
) -> None:
    start(database)

    def takes_back(tx: Transaction) -> int:
        quota_records.foresee(tx, ["t"])
        quota_records.give_back(tx, "t", {"gpus": 3})  # in memory the counter is now as it is stored
        return tx.changed(_LEND, more=90)

    gate = threading.Event()
    database.lane.submit(lambda tx: gate.wait(10) and None)
    drawn = database.lane.submit(lambda tx: perform(tx, [("draw", 3)]))
    back = database.lane.submit(takes_back)
    gate.set()
    assert (drawn.result(), back.result()) == ([{"gpus": (3, 0)}], 1)
    assert database.lane.run(lambda tx: perform(tx, [("drawn", 1)])) == [0]


def test_a_refusal_gives_back_a_counter_though_all_that_was_kept_was_forgotten(
    database: store_database.Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    start(database)
    monkeypatch.setattr(store_batch, "KEPT_MAX", 1)

    def refused(tx: Transaction) -> None:
        quota_records.foresee(tx, ["t"])
        quota_records.give_back(tx, "t", {"gpus": 3})
        for number in range(3):
            tx.keep(number, number)
        raise RefusedError

    gate = threading.Event()
    database.lane.submit(lambda tx: gate.wait(10) and None)
    drawn = database.lane.submit(lambda tx: perform(tx, [("draw", 3)]))
    no = database.lane.submit(refused)
    gate.set()
    assert drawn.result() == [{"gpus": (3, 0)}]
    assert isinstance(no.exception(), RefusedError)
    assert database.lane.run(lambda tx: perform(tx, [("drawn", 1)])) == [3]


def test_a_refusal_whose_audit_line_went_on_after_refused_rows_is_run_again(database: store_database.Database) -> None:
    start(database)

    def swallowed(tx: Transaction, error: BaseException) -> None:
        try:
            tx.execute(_COUNT)  # writes what others left, and the database refuses it
        except Exception:
            tx.recall("nothing")

    gate = threading.Event()
    database.lane.run(lambda tx: perform(tx, [("at once", 1)]))
    database.lane.submit(lambda tx: gate.wait(10) and None)
    draws = database.lane.submit(lambda tx: perform(tx, [("draw", 3)]))
    twice = database.lane.submit(lambda tx: perform(tx, [("later", 1)]))
    refused = database.lane.submit(lambda tx: perform(tx, [("refuse", 1)]), swallowed)
    gate.set()
    assert draws.result() == [{"gpus": (3, 0)}]
    assert type(twice.exception()).__name__ in ("IntegrityError", "UniqueViolation")
    assert isinstance(refused.exception(), RefusedError)
    assert database.lane.run(lambda tx: perform(tx, [("count", 1), ("drawn", 1)])) == [1, 3]


def test_what_is_no_longer_kept_is_named_nowhere(database: store_database.Database) -> None:
    def known(tx: Transaction, number: int) -> int:
        tx.keep(("one", number), number, tables.ANSWERS, _G)
        tx.later(tables.ANSWERS, row(number))
        return sum(map(len, tx._batch._keys_of.values()))

    start(database)
    assert [database.lane.run(lambda tx, n=n: known(tx, n)) for n in range(5)] == [0] * 5  # type: ignore[misc]
