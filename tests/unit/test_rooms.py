"""The rooms are top-level packages with plain names (docs/adr/0001).  What could go wrong with that is checked here."""

import importlib.metadata
import importlib.util
import pathlib
import re
import sys
import tomllib
from typing import Any

import pytest

from primitives import version

ROOT = pathlib.Path(__file__).resolve().parents[2]
PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
ROOMS: list[str] = PROJECT["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]
LINTER: dict[str, Any] = PROJECT["tool"]["importlinter"]


def contract(name: str) -> dict[str, Any]:
    """The import-linter contract with that id."""
    found: dict[str, Any] = next(each for each in LINTER["contracts"] if each["id"] == name)
    return found


def test_every_folder_with_an_init_is_a_room_and_the_other_way_round() -> None:
    assert {path.parent.name for path in ROOT.glob("*/__init__.py")} == set(ROOMS)


def test_the_linter_and_the_type_checker_see_every_room() -> None:
    rows = [room.strip() for row in contract("rows")["layers"] for room in row.split("|")]
    assert sorted(rows) == sorted(ROOMS)
    assert sorted(LINTER["root_packages"]) == sorted(ROOMS)
    assert set(ROOMS) <= set(PROJECT["tool"]["mypy"]["files"])


def test_the_thin_client_may_see_no_room_but_primitives() -> None:
    assert set(ROOMS) - set(contract("thin-client")["forbidden_modules"]) == {"apiclient", "cli", "primitives"}


def test_the_document_on_rooms_names_them_all() -> None:
    page = (ROOT / "docs" / "explanation" / "rooms.md").read_text(encoding="utf-8")
    assert set(re.findall(r"^\| \d+ \| `(\w+)/`", page, flags=re.MULTILINE)) == set(ROOMS)


@pytest.mark.parametrize("room", ROOMS)
def test_no_room_has_a_name_of_the_standard_library(room: str) -> None:
    assert room not in sys.stdlib_module_names


@pytest.mark.parametrize("room", ROOMS)
def test_no_other_distribution_owns_the_name_of_a_room(room: str) -> None:
    owners = set(importlib.metadata.packages_distributions().get(room, []))
    assert owners <= {"govpool"}, f"{owners} would overwrite {room}/ in a shared environment"


@pytest.mark.parametrize("room", ROOMS)
def test_a_room_is_imported_from_this_checkout(room: str) -> None:
    spec = importlib.util.find_spec(room)
    assert spec is not None
    assert spec.origin == str(ROOT / room / "__init__.py")


def test_no_test_folder_is_a_package_that_could_shadow_a_room() -> None:
    assert not [str(path) for path in (ROOT / "tests").rglob("__init__.py")]


def test_the_two_statements_of_the_version_agree() -> None:
    assert PROJECT["project"]["version"] == version.VERSION


@pytest.mark.parametrize("lock", ["requirements.lock", "requirements-dev.lock"])
def test_the_lock_pins_each_dependency_with_hashes_and_names_no_index(lock: str) -> None:
    text = (ROOT / lock).read_text(encoding="utf-8")
    pinned = dict(re.findall(r"^([a-z0-9-]+)==(\S+)", text, flags=re.MULTILINE))
    wanted = [*PROJECT["project"]["dependencies"], *PROJECT["project"]["optional-dependencies"]["postgres"]]
    wanted += PROJECT["dependency-groups"]["build"]
    if lock == "requirements-dev.lock":
        wanted += [each for each in PROJECT["dependency-groups"]["dev"] if isinstance(each, str)]
    names = {re.split(r"[\[<>=~! ]", each)[0].lower() for each in wanted}
    assert names <= pinned.keys()
    assert text.count("--hash=sha256:") >= len(pinned)
    assert "://" not in text


def test_both_locks_agree() -> None:
    runtime, development = (
        dict(re.findall(r"^([a-z0-9-]+)==(\S+)", (ROOT / lock).read_text(encoding="utf-8"), flags=re.MULTILINE))
        for lock in ("requirements.lock", "requirements-dev.lock")
    )
    assert runtime.items() <= development.items()
