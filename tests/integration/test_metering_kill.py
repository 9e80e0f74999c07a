"""An import or a close that is killed goes on under its key, and counts whole or not at all.  Real processes, real SIGKILL, both databases."""

import json
import os
import pathlib
import signal
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest

from metering import service as metering
from metering import statements
from store import database as store_database
from store import transaction
from tests.integration import metering_world
from tests.integration.metering_world import event

ROOT = pathlib.Path(__file__).parents[2]
GUESTS = 1_100
"""More than two chunks of events, and of lines."""


@pytest.fixture
def prepared(database_url: str, tmp_path: pathlib.Path) -> tuple[str, dict[str, str], pathlib.Path]:
    """A closed database with a city in it, the tokens of its people, a file of 1,100 guests that ran in October."""
    database = store_database.open_database(database_url)
    with metering_world.market(database) as market:
        market.prices("2026", "2026-01-01T00:00:00+08:00")
        tokens = {"import": market.operator.token, "close": market.finance.token}
    database.close()
    file = tmp_path / "usage.jsonl"
    guests = (event(n, "2026-10-10T00:00:00+08:00", subject=f"vm-{n:04}", amounts={"disk_gib": n}) for n in range(1, GUESTS + 1))
    file.write_bytes(metering_world.lines(*guests))
    return database_url, tokens, file


def run(what: str, prepared: tuple[str, dict[str, str], pathlib.Path], step: int, killpoint: str = "") -> tuple[int, Any]:
    """One passage of the child; its exit code and its answer."""
    url, tokens, file = prepared
    environment = os.environ | {"GOVPOOL_KILLPOINT": killpoint, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "tests.integration.metering_child", what, url, tokens[what], str(file), str(step)]
    done = subprocess.run(command, env=environment, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode in (0, -signal.SIGKILL), done.stderr
    return done.returncode, json.loads(done.stdout) if done.returncode == 0 else None


def killed_until_done(
    what: str, prepared: tuple[str, dict[str, str], pathlib.Path], killpoint: str, look: Callable[[transaction.Transaction], int]
) -> tuple[list[int], Any]:
    """Kill each passage after one step further; what could be seen after each death, and the answer of the one that came through."""
    seen = []
    for step in range(2, 12):
        code, answer = run(what, prepared, step, killpoint)
        with metering_world.november(step + 1):
            database = store_database.open_database(prepared[0])
            seen.append(database.read(look))
            database.close()
        if code == 0:
            return seen, answer
    raise AssertionError(f"it never came through: {seen}")


@pytest.mark.parametrize("killpoint", ["lane.commit.after:2", "lane.commit.before:3"])
def test_a_killed_import_goes_on_and_counts_whole_or_not_at_all(
    prepared: tuple[str, dict[str, str], pathlib.Path], killpoint: str
) -> None:
    seen, answer = killed_until_done("import", prepared, killpoint, lambda tx: len(metering.latest(tx, limit=2 * GUESTS)))
    assert len(seen) >= 4 and set(seen) == {0, GUESTS}
    assert answer["events"] == GUESTS
    assert run("import", prepared, 20)[1] == answer, "the key has its answer"


@pytest.mark.parametrize("killpoint", ["lane.commit.after:3", "lane.commit.before:4"])
def test_a_killed_close_goes_on_and_is_in_force_whole_or_not_at_all(
    prepared: tuple[str, dict[str, str], pathlib.Path], killpoint: str
) -> None:
    def listed(tx: transaction.Transaction) -> int:
        if statements.closed_at(tx, "2026-10") is None:
            return 0
        (found,) = [one for one in statements.listed(tx, "2026-10") if one.tenant == "tax"]
        rows = tx.execute(transaction.sql("SELECT SUM(amount_micro) AS total, COUNT(*) AS rows FROM statement_lines"))
        assert (int(rows[0]["total"]), rows[0]["rows"]) == (found.total_micro, found.lines)
        return found.lines

    run("import", prepared, 1)
    seen, answer = killed_until_done("close", prepared, killpoint, listed)
    assert len(seen) >= 3 and set(seen) == {0, GUESTS}
    disk_hours = sum(range(1, GUESTS + 1)) * 22 * 24  # from 10 October to the end of the month
    assert answer["total"] == f"{disk_hours * 8 / 10_000:.2f}"
    assert run("close", prepared, 20)[1] == answer, "the key has its answer"
