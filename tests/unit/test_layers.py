"""The contracts of import-linter catch what they are for: one forbidden import is planted for each, in a copy of the rooms."""

import pathlib
import re
import shutil
import subprocess
import sys
import tomllib

ROOT = pathlib.Path(__file__).resolve().parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]
# contract: (module that gets the import, the import)
MUTANTS = {
    "rows": ("quotas/service.py", "import pools.service"),
    "inside": ("orders/rules.py", "import orders.service"),
    "thin-client": ("apiclient/client.py", "import msgspec"),
    "pure": ("metering/rules.py", "import sqlite3"),
    "postgresql": ("control/case.py", "import psycopg"),
    "command-line": ("apiserver/app.py", "import typer"),
    "modbus": ("control/wiring.py", "import pymodbus"),
    "openstack": ("control/pool.py", "import keystoneauth1"),
}


def linted(folder: pathlib.Path) -> dict[str, str]:
    """KEPT or BROKEN by the name of the contract."""
    program = "import sys; from importlinter.cli import lint_imports_command; sys.exit(lint_imports_command())"
    done = subprocess.run([sys.executable, "-c", program, "--no-cache"], cwd=folder, capture_output=True, text=True)
    return dict(re.findall(r"^(.+) (KEPT|BROKEN)", done.stdout, flags=re.MULTILINE)) or {"no answer": done.stdout + done.stderr}


def test_each_contract_catches_its_mutant(tmp_path: pathlib.Path) -> None:
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    for room in PROJECT["hatch"]["build"]["targets"]["wheel"]["packages"]:
        shutil.copytree(ROOT / room, tmp_path / room, ignore=shutil.ignore_patterns("__pycache__"))
    contracts = {each["id"]: each["name"] for each in PROJECT["importlinter"]["contracts"]}
    assert contracts.keys() == MUTANTS.keys()
    for path, planted in MUTANTS.values():
        with (tmp_path / path).open("a", encoding="utf-8") as file:
            file.write(f"\n{planted}\n")
    assert linted(tmp_path) == dict.fromkeys(contracts.values(), "BROKEN")
