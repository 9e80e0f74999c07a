"""What an order costs must not grow with what was ordered before: no statement of it reads a whole table that grows (on SQLite, which says so)."""

import pathlib
import re
import shutil
from typing import Any

import pytest

from orders import model
from store import database as store_database
from store import engines
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
    bureau.order(machine("台账", count=3))
    bureau.ask_for_approval_over("1.00")
    number = bureau.order(machine("归档"))["metadata"]["name"]
    bureau.decide(number, model.Verdict.WITHDRAWN)
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
