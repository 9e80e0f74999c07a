"""What an order costs must not grow with what was ordered before: no statement of it reads a whole table that grows (on SQLite, which says so).

Nor does it ask twice: on PostgreSQL a round trip costs more than the work.
"""

import pathlib
import re
import shutil
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from benchmarks import city
from control import case, order, settings, wiring
from orders import model
from store import database as store_database
from store import engines, lane
from tests.conftest import Cluster
from tests.integration.lease_world import extension, in_days, turn
from tests.integration.test_orders import Bureau, machine

GROWING = {
    "resources",
    "orders",
    "order_lines",
    "order_decisions",
    "audit_trail",
    "answers",
    "tenant_ancestors",
    "tenant_facts",
    "projects",
    "persons",
    "tokens",
    "grants",
    "quota_reservations",
    "quota_amounts",
    "pool_holds",
    "pool_amounts",
    "usage_events",
}


def test_no_statement_of_an_order_reads_a_whole_table(
    tmp_path: pathlib.Path, sqlite_template: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "govpool.db"
    shutil.copy(sqlite_template, path)
    database = store_database.open_database(f"sqlite://{path}")
    bureau = Bureau(database)
    said: dict[str, Any] = {}
    ran = engines.SqliteConnection.rows

    def noted(self: engines.SqliteConnection, text: str, parameters: Any) -> Any:
        said[text] = parameters
        return ran(self, text, parameters)

    monkeypatch.setattr(engines.SqliteConnection, "rows", noted)
    made = bureau.order(machine("台账", count=3))["spec"]["lines"][0]["resource"]
    bureau.ask_for_approval_over("1.00")
    number = bureau.order(machine("归档"))["metadata"]["name"]
    bureau.decide(number, model.Verdict.WITHDRAWN)
    bureau.order(extension(made, in_days(2)))
    turn(database)
    monkeypatch.undo()
    scans = {text: found for text in said if (found := scanned(path, text))}
    database.close()
    assert len(said) > 25
    assert scans == {}


def scanned(path: pathlib.Path, text: str) -> set[str]:
    """Growing tables that a statement reads from end to end; one that stops after the first row of an order is none."""
    connection = engines.SqliteConnection(path, read_only=True)
    try:
        plan = connection.rows(f"EXPLAIN QUERY PLAN {text}", dict.fromkeys(re.findall(r":(\w+)", text), "1"))
    finally:
        connection.close()
    if re.search(r"ORDER BY \S+ DESC\s+LIMIT", text):
        return set()
    return {found[1] for row in plan if (found := re.match(r"SCAN (\w+)", row["detail"]))} & GROWING


def test_the_check_sees_a_scan(tmp_path: pathlib.Path, sqlite_template: pathlib.Path) -> None:
    path = tmp_path / "govpool.db"
    shutil.copy(sqlite_template, path)
    assert scanned(path, "SELECT name FROM order_lines WHERE name = :name") == {"order_lines"}
    assert scanned(path, "SELECT id FROM orders WHERE id IN (SELECT value FROM json_each(:ids)) = 1") == {"orders"}
    assert not scanned(path, "SELECT id FROM orders WHERE id IN (SELECT value FROM json_each(:ids))")


def test_an_order_on_postgresql_sends_few_statements_and_a_further_one_of_its_batch_three(
    departments: tuple[store_database.Database, list[city.Department]], monkeypatch: pytest.MonkeyPatch
) -> None:
    database, asking = departments
    shared = wiring.Wiring(database, settings.Settings())
    sent: list[str] = []
    monkeypatch.setattr(lane, "BATCH_S", 10)  # however slow the machine is, those who wait together are one batch
    for verb in ("rows", "changed", "many", "bulk"):
        monkeypatch.setattr(engines.PostgresqlConnection, verb, _counted(getattr(engines.PostgresqlConnection, verb), sent))

    def statements(prefix: str, count: int) -> int:
        gate = threading.Event()
        database.lane.submit(lambda tx: gate.wait(10) and None)
        sent.clear()
        orders = []
        for number in range(count):
            key = f"{prefix}{number}"
            who = asking[number % len(asking)]
            context = case.Context(request_id=key, method="POST", path="/v1/orders", token=who.token, idempotency_key=key)
            use_case = order.submit(city.machine(who.tenant, key), bin_days=7)
            orders.append(case.submit(shared, use_case, case.with_body(context, b"{}")))
        gate.set()
        assert {one.result().status for one in orders} == {202}
        return len(sent)

    statements("first", len(asking))  # what stands is read once
    one, ten = statements("one", 1), statements("ten", 10)
    assert one <= 15, sent  # two look-ups, and what a batch writes: one statement a table
    assert ten <= one + 9 * 3, sent


def test_a_further_machine_of_an_order_on_postgresql_costs_no_statement(
    postgresql_bureau: Bureau, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent: list[str] = []
    for verb in ("rows", "changed", "many", "bulk"):
        monkeypatch.setattr(engines.PostgresqlConnection, verb, _counted(getattr(engines.PostgresqlConnection, verb), sent))

    def statements(name: str, count: int) -> int:
        sent.clear()
        postgresql_bureau.order(machine(name, size="tiny", count=count))
        return len(sent)

    statements("first", 1)
    assert statements("b", 7) <= statements("a", 1) + 1, sent


@pytest.fixture
def postgresql_bureau(cluster: Cluster) -> Iterator[Bureau]:
    """A bureau on PostgreSQL, where a statement is a round trip."""
    url = cluster.fresh()
    database = store_database.open_database(url)
    yield Bureau(database)
    database.close()
    cluster.drop(url)


@pytest.fixture
def departments(cluster: Cluster) -> Iterator[tuple[store_database.Database, list[city.Department]]]:
    """The city of the benchmarks on PostgreSQL: who orders there is answered without a refusal."""
    with cluster.connect("postgres") as connection:
        connection.execute("CREATE DATABASE city_of_the_benchmarks")
    url = cluster.url("city_of_the_benchmarks")
    found = city.found(url)
    database = store_database.open_database(url)
    yield database, found
    database.close()
    cluster.drop(url)


def _counted(verb: Callable[..., Any], sent: list[str]) -> Callable[..., Any]:
    def counted(self: engines.PostgresqlConnection, text: str, parameters: Any) -> Any:
        sent.append(text)
        return verb(self, text, parameters)

    return counted
