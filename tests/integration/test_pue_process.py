"""The whole way as processes: `govpool facility simulate` and `govpool serve` with its poller, a past month by import, a kill in its middle."""

import contextlib
import json
import os
import pathlib
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from primitives import clock, interval
from tests.integration.process import ROOT, Command, initialised, serving


@contextlib.contextmanager
def simulating(home: pathlib.Path, *options: str) -> Iterator[list[str]]:
    """A running `govpool facility simulate`; yields what it printed: hall and address a line."""
    command = [sys.executable, "-m", "cli.main", "facility", "simulate", *options]
    environment = Command(home).environment | {"PYTHONUNBUFFERED": "1"}
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment, text=True, cwd=ROOT)
    try:
        assert process.stdout is not None
        assert process.stderr is not None
        said = process.stderr.readline()
        assert "SIMULATOR" in said, said
        yield [process.stdout.readline().strip() for _ in range(2)]
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0
    finally:
        process.kill()
        process.communicate()


def until(look: Callable[[], Any], limit_s: int = 40) -> Any:
    """What `look` finds, once it finds anything."""
    deadline = time.monotonic() + limit_s
    while not (found := look()):
        assert time.monotonic() < deadline, "it did not come true in time"
        time.sleep(0.3)
    return found


@pytest.fixture
def place(tmp_path: pathlib.Path) -> list[str]:
    return ["--data", str(tmp_path / "data")]


def system_person(tmp_path: pathlib.Path, codes: dict[str, str], url: str) -> Command:
    """The system administrator declares meters; an operator imports readings."""
    system, security = Command(tmp_path / "system", url), Command(tmp_path / "security", url)
    system.ok("login", "--code", codes["system_admin"])
    security.ok("login", "--code", codes["security_admin"])
    return system


def operator(tmp_path: pathlib.Path, codes: dict[str, str], url: str) -> Command:
    system = system_person(tmp_path, codes, url)
    made = json.loads(system.ok("tenant", "member", "add", "root", "wang.yun", "--name", "王运", "-o", "json"))
    Command(tmp_path / "security", url).ok("role", "grant", "wang.yun", "operator", "--tenant", "root")
    person = Command(tmp_path / "operator", url)
    person.ok("login", "--code", made["code"])
    return person


def test_live_meters_and_a_past_month_join_into_one_ledger(place: list[str], tmp_path: pathlib.Path) -> None:
    codes = initialised(tmp_path / "server", *place)
    documents, past = tmp_path / "meters.yaml", tmp_path / "readings.csv"
    month = interval.month_of(clock.now())
    simulated = simulating(tmp_path, "--documents", str(documents), "--poll-s", "1")
    with simulated as halls, serving(tmp_path / "server", *place) as server:
        assert [line.split()[0] for line in halls] == ["hall-a", "hall-b"]
        person = operator(tmp_path, codes, server.url)
        person.ok("apply", "-f", str(documents))
        person.ok("facility", "history", "--month", month, "--out", str(past), "--until-now")
        person.ok("reading", "import", str(past))

        def alive() -> Any:
            rows = json.loads(person.ok("facility", "power", "-o", "json"))
            return rows if len(rows) == 7 and all(row["power_w"] and not row["problem"] for row in rows) else None

        rows = until(alive)
        assert {row["side"] for row in rows} == {"facility", "it"}
        by_hall = {hall: [row for row in rows if row["hall"] == hall] for hall in ("hall-a", "hall-b")}
        for hall in by_hall.values():
            facility, it = (sum(row["power_w"] for row in hall if row["side"] == side) for side in ("facility", "it"))
            assert 1.05 < facility / it < 1.7
        today = clock.now().astimezone(interval.SHANGHAI).strftime("%Y-%m-%d")
        figure = json.loads(person.ok("pue", "show", "--hall", "hall-a", "--from", f"{month}-01", "--to", today, "-o", "json"))
        if today != f"{month}-01":
            assert figure["completeness"] == {"energy": "1.0000", "profile": "1.0000"}
            assert 1.05 < float(figure["value"]) < 1.7
        events = json.loads(person.ok("reading", "events", "--meter", "hall-a-main-1", "-o", "json"))
        assert {event["happening"] for event in events} <= {"rollover"}, "live readings continue those of the past month"
        assert "iPUE2" in person.ok("pue", "show", "--hall", "hall-a", "--from", f"{month}-01", "--to", f"{month}-02")
        assert server.stop() == 0


def test_an_import_killed_in_its_middle_goes_on_with_the_same_command(place: list[str], tmp_path: pathlib.Path) -> None:
    codes = initialised(tmp_path / "server", *place)
    documents, past = tmp_path / "meters.yaml", tmp_path / "readings.csv"
    with simulating(tmp_path, "--documents", str(documents)):
        pass
    off = ("--set", "meters=false", "--set", "workers=0")  # nothing else commits meanwhile
    with serving(tmp_path / "server", *place, *off) as server:
        person = operator(tmp_path, codes, server.url)
        person.ok("apply", "-f", str(documents))
        person.ok("facility", "history", "--month", "2026-10", "--out", str(past))
    os.environ["GOVPOOL_KILLPOINT"] = "lane.commit.after:9"  # a few at the start, 11 chunks in the file
    try:
        with serving(tmp_path / "server", *place, *off) as server:
            person.environment["GOVPOOL_SERVER"] = server.url
            assert person.run("reading", "import", str(past)).returncode != 0
            assert server.process.wait(30) == -signal.SIGKILL
    finally:
        del os.environ["GOVPOOL_KILLPOINT"]
    with serving(tmp_path / "server", *place, *off) as server:
        person.environment["GOVPOOL_SERVER"] = server.url
        show = ("pue", "show", "--hall", "hall-b", "--from", "2026-10-01", "--to", "2026-11-01", "-o", "json")
        assert json.loads(person.ok(*show))["intervals"] == 0, "half an import counts for nothing"
        report = json.loads(person.ok("reading", "import", str(past), "-o", "json"))
        assert report["readings"] == 7 * 2977
        assert json.loads(person.ok(*show))["intervals"] == 2976
