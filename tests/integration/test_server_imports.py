"""What a running server has not loaded: packages that cost memory and time, and that only some commands, drivers or upgrades need."""

import pathlib

import pytest

from tests.integration.process import Command, initialised, serving

HEAVY = (
    "polars",
    "duckdb",
    "pandas",
    "numpy",
    "pyarrow",
    "openstack",
    "keystoneauth1",
    "kubernetes",
    "pulumi",
    "alembic",
    "mako",
    "typst",
)

LISTING = """
import atexit, os, sys
if os.environ.get("GOVPOOL_TEST_MODULES"):
    atexit.register(lambda: open(os.environ["GOVPOOL_TEST_MODULES"], "w").write("\\n".join(sorted(sys.modules))))
"""
"""A `sitecustomize` that writes down, when the process ends, what it has imported."""


@pytest.fixture(scope="module")
def modules(tmp_path_factory: pytest.TempPathFactory) -> set[str]:
    """Top-level names of all modules of a server on SQLite that started, answered and was stopped."""
    home = tmp_path_factory.mktemp("imports")
    site, listing = home / "site", home / "modules"
    site.mkdir()
    (site / "sitecustomize.py").write_text(LISTING, encoding="utf-8")
    place = ["--data", str(home / "data")]
    codes = initialised(home, *place)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", f"{site}:{pathlib.Path(__file__).resolve().parents[2]}")
        patch.setenv("GOVPOOL_TEST_MODULES", str(listing))
        with serving(home, *place) as server:
            person = Command(home / "person", server.url)
            person.environment.pop("GOVPOOL_TEST_MODULES", None)
            person.ok("login", "--code", codes["system_admin"])
            person.ok("status")
            person.ok("tenant", "list")
            assert server.stop() == 0
    return {name.partition(".")[0] for name in listing.read_text(encoding="utf-8").splitlines()}


def test_the_list_is_that_of_the_server(modules: set[str]) -> None:
    assert {"apiserver", "uvicorn", "sqlalchemy", "pymodbus", "sqlite3"} <= modules


@pytest.mark.parametrize("package", HEAVY)
def test_a_running_server_has_not_imported(package: str, modules: set[str]) -> None:
    assert package not in modules


def test_a_server_on_sqlite_needs_no_postgresql_driver(modules: set[str]) -> None:
    assert "psycopg" not in modules
