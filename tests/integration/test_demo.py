"""The demo as it is: its summary follows what goes in.  One run as shipped, one with a price doubled, a reading gone, a grant shrunk."""

import json
import pathlib
import shutil
import subprocess
import sys
from typing import Any

import pytest

DEMO = pathlib.Path(__file__).parent.parent.parent / "demo"


def played(folder: pathlib.Path, *arguments: str) -> dict[str, Any]:
    """The facts of the summary of one run."""
    command = [sys.executable, str(DEMO / "run.py"), "--out", str(folder / "out"), *arguments]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=280, check=False)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    facts: dict[str, Any] = json.loads((folder / "out" / "summary.json").read_text(encoding="utf-8"))
    several = (*facts["holdings"].values(), *facts["money"].values(), *facts["years"], *facts["statements"], *facts["halls"])
    for told in (*several, facts["power"], facts["trail"]):
        assert told["call"] in ran.stdout, "a number without its call"
    return facts


@pytest.fixture(scope="module")
def as_shipped(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The demo as a newcomer runs it."""
    return played(tmp_path_factory.mktemp("shipped"))


@pytest.fixture(scope="module")
def altered(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The same with one price doubled, one reading left out and one grant shrunk."""
    folder = tmp_path_factory.mktemp("altered")
    documents = folder / "documents"
    shutil.copytree(DEMO / "documents", documents)
    _replace(
        documents / "50-prices.yaml",
        'sku: vm-ram, kind: VirtualMachine, name: ram_mib, unit: GiB-Hours, price: "0.0300"',
        'sku: vm-ram, kind: VirtualMachine, name: ram_mib, unit: GiB-Hours, price: "0.0600"',
    )
    _replace(
        documents / "30-grants.yaml",
        "{name: cpu_milli, tenant: tax}, spec: {granted: 64000}",
        "{name: cpu_milli, tenant: tax}, spec: {granted: 56000}",
    )
    return played(folder, "--documents", str(documents), "--without-reading", "hall-a-main-1,energy,@MONTH@-10")


def _replace(path: pathlib.Path, old: str, new: str) -> None:
    text = path.read_text(encoding="utf-8")
    assert text.count(old) == 1, f"{old} in {path}"
    path.write_text(text.replace(old, new), encoding="utf-8")


def _fen(statement: dict[str, Any], sku: str) -> int:
    return sum(int(line["amount"].replace(".", "")) for line in statement["lines"] if line["sku"] == sku)


@pytest.mark.xdist_group("demo")
def test_a_doubled_price_doubles_its_lines_and_nothing_else(as_shipped: dict[str, Any], altered: dict[str, Any]) -> None:
    for one, two in zip(as_shipped["statements"], altered["statements"], strict=True):
        before, after = one["answer"], two["answer"]
        assert _fen(after, "vm-ram") == pytest.approx(2 * _fen(before, "vm-ram"), abs=1)
        assert _fen(after, "vm-vcpu") == _fen(before, "vm-vcpu") > 0
        grown = int(after["total"].replace(".", "")) - int(before["total"].replace(".", ""))
        assert grown == _fen(after, "vm-ram") - _fen(before, "vm-ram") > 0


@pytest.mark.xdist_group("demo")
def test_the_money_of_the_year_follows_prices_and_use(as_shipped: dict[str, Any], altered: dict[str, Any]) -> None:
    for at, told in enumerate(as_shipped["statements"]):
        spent = [float(facts["years"][at]["answer"]["status"]["spent"]) for facts in (as_shipped, altered)]
        this_month = spent[0] - float(told["answer"]["total"])
        assert 0 <= this_month < 5, "what is spent is the statement, and the minutes that the new machines ran"
        assert spent[1] > spent[0]
        held = [_encumbered(facts, told["answer"]["tenant"]) for facts in (as_shipped, altered)]
        assert held[1] > held[0] > 0, "dearer machines hold more of the year"
    ends = as_shipped["money"]["leases"]["answer"]
    assert {row["metadata"]["name"] for row in ends} == {"marks-1", "marks-2"}


def _encumbered(facts: dict[str, Any], tenant: str) -> float:
    return sum(float(row["encumbered"]) for row in facts["money"]["budgets"]["answer"] if row["tenant"] == tenant)


@pytest.mark.xdist_group("demo")
def test_a_missing_reading_shows_in_the_completeness_of_its_hall_alone(as_shipped: dict[str, Any], altered: dict[str, Any]) -> None:
    (a_before, b_before), (a_after, b_after) = ([told["answer"] for told in facts["halls"]] for facts in (as_shipped, altered))
    assert a_after["completeness"] != a_before["completeness"] or a_after["quality"] != a_before["quality"]
    assert b_after == b_before
    for hall in (a_before, b_before):
        assert hall["interim"]
        assert not hall["reportable"]
        assert hall["reasons"]
        assert 1 < float(hall["value"]) < 3


@pytest.mark.xdist_group("demo")
def test_a_shrunk_grant_leaves_less(as_shipped: dict[str, Any], altered: dict[str, Any]) -> None:
    def of_tax(facts: dict[str, Any]) -> dict[str, Any]:
        return next(row for row in facts["holdings"]["quota"]["answer"] if (row["tenant"], row["name"]) == ("tax", "cpu_milli"))

    before, after = of_tax(as_shipped), of_tax(altered)
    assert before["granted"] - after["granted"] == 8000
    assert before["used"] == after["used"] > 0


@pytest.mark.xdist_group("demo")
def test_the_story_ends_with_some_sixty_resources_and_a_sound_trail(as_shipped: dict[str, Any]) -> None:
    living = as_shipped["holdings"]["resources"]["answer"]
    assert 50 <= len(living) <= 80
    assert {row["kind"] for row in living} == {"VirtualMachine", "ContainerApp", "Volume"}
    assert len({row["metadata"]["tenant"] for row in living}) == 12
    assert as_shipped["trail"]["answer"]["flaw"] == ""
