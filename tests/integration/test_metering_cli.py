"""Use and money on the command line: what finance types, and what it reads."""

import csv
import io
import json
import pathlib
from collections.abc import Iterator
from decimal import Decimal

import pytest

from store import database as store_database
from tests.integration import metering_world, process
from tests.integration.metering_world import Market, event

MONTH = ("--month", "2026-10")


@pytest.fixture
def market(database: store_database.Database) -> Iterator[Market]:
    """The city, with prices since January."""
    with metering_world.market(database) as made:
        made.prices("2026", "2026-01-01T00:00:00+08:00")
        yield made


class Person:
    """Somebody at a terminal."""

    def __init__(self, market: Market, token: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
        self.market, self.token, self.monkeypatch, self.capsys = market, token, monkeypatch, capsys

    def types(self, *words: str, code: int = 0) -> str:
        """Run a command; what it puts on standard output, or for another exit code on standard error."""
        self.monkeypatch.setenv("GOVPOOL_SERVER", self.market.city.url)
        self.monkeypatch.setenv("GOVPOOL_TOKEN", self.token)
        assert process.here(list(words)) == code, self.capsys.readouterr().err
        shown = self.capsys.readouterr()
        return shown.err if code else shown.out


@pytest.fixture
def at_terminal(market: Market, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> tuple[Person, Person]:
    """The operator and the finance officer."""
    return Person(market, market.operator.token, monkeypatch, capsys), Person(market, market.finance.token, monkeypatch, capsys)


def test_a_month_is_imported_closed_issued_and_shown(at_terminal: tuple[Person, Person], tmp_path: pathlib.Path) -> None:
    operator, finance = at_terminal
    file = tmp_path / "usage.jsonl"
    file.write_bytes(metering_world.lines(event(1, "2026-10-10T00:00:00+08:00"), event(2, "2026-10-20T00:00:00+08:00", "stopped")))
    assert json.loads(operator.types("usage", "import", str(file), "-o", "json"))["events"] == 2
    assert "vm-1" in operator.types("usage", "list")
    assert len(operator.types("usage", "show", "vm-1", *MONTH, "-o", "csv").splitlines()) == 3
    assert json.loads(finance.types("statement", "close", *MONTH, "-o", "json"))["total"] == "212.54"
    assert "--yes" in finance.types("statement", "issue", *MONTH, code=2), "nobody can answer here"
    finance.types("statement", "issue", *MONTH, "--yes")
    statement = json.loads(finance.types("statement", "show", "tax", *MONTH, "-o", "json"))
    assert list(statement) == ["tenant", "path", "month", "currency", "state", "total", "lines", "names"]
    assert list(statement["lines"][0]) == [
        "resource", "project", "kind", "sku", "unit", "unit_seconds", "unit_price", "price_version", "start_at", "end_at", "amount",
    ]  # fmt: skip
    assert (statement["state"], statement["total"]) == ("Issued", "212.54")
    rows = list(csv.DictReader(io.StringIO(finance.types("statement", "show", "tax", *MONTH, "-o", "csv"))))
    assert sum(Decimal(row["AMOUNT"]) for row in rows) == Decimal("212.54")
    table = finance.types("statement", "list", *MONTH)
    assert table.splitlines()[1].split()[:2] == ["nanhai", "南海区"] and "212.54" in table
    exported = tmp_path / "out.csv"
    finance.types("statement", "export", *MONTH, "--file", str(exported))
    assert len(exported.read_text().splitlines()) == 4
    late = tmp_path / "late.jsonl"
    late.write_bytes(metering_world.lines(event(3, "2026-10-12T00:00:00+08:00", "deleted")))
    operator.types("usage", "import", str(late))
    assert "2026-10-12T00:00:00+08:00" in finance.types("usage", "late", *MONTH)
    assert json.loads(finance.types("statement", "show", "tax", *MONTH, "-o", "json")) == statement


def test_prices_are_listed_shown_and_tried(at_terminal: tuple[Person, Person], tmp_path: pathlib.Path) -> None:
    operator, finance = at_terminal
    operator.market.report(event(1, "2026-10-31T00:00:00+08:00"))
    assert "2026-01-01T00:00:00+08:00" in finance.types("price", "list")
    assert "vCPU-Hours" in finance.types("price", "show", "2026")
    book = tmp_path / "prices.yaml"
    book.write_text(metering_world.BOOK % ("tried", "2027-01-01T00:00:00+08:00", "0.0108"))
    tried = json.loads(finance.types("price", "try", str(book), *MONTH, "-o", "json"))
    assert (tried["now"], tried["then"], tried["difference"]) == ("18.95", "42.95", "24.00"), "100 GiB x 24 h x 0.01 yuan more"
    assert tried["tenants"] == [{"tenant": "tax", "now": "18.95", "then": "42.95", "difference": "24.00"}]
    size = json.loads(finance.types("price", "try", "2026", "--amounts", "cpu_milli=4000,disk_gib=100", "-o", "json"))
    assert (size["now"], size["then"], size["in_force"]) == ("321.20", "321.20", "2026")
    assert finance.types("price", "try", "2026", code=2)
    assert finance.types("price", "show", "none", code=3)
    assert "tried" not in finance.types("price", "list")


def test_a_wrong_file_tells_each_line_and_exits_with_2(at_terminal: tuple[Person, Person], tmp_path: pathlib.Path) -> None:
    operator, _ = at_terminal
    file = tmp_path / "usage.jsonl"
    file.write_bytes(metering_world.lines(event(1, "2026-10-10T00:00:00+08:00", tenant="nowhere")) + b"{}\n")
    told = operator.types("usage", "import", str(file), code=2)
    assert "line 1" in told and "line 2" in told
    assert operator.types("usage", "import", str(tmp_path / "none"), code=2)
    assert operator.types("usage", "show", "vm-1", code=3)
