"""The release: source distribution from the checkout, wheel from the source distribution, the command from the wheel."""

import os
import pathlib
import subprocess
import sys
import tomllib
import zipfile

import pytest

from primitives import version

ROOT = pathlib.Path(__file__).resolve().parents[2]
ROOMS = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["hatch"]["build"]["targets"]["wheel"][
    "packages"
]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    """The wheel, unpacked."""
    place = tmp_path_factory.mktemp("release")
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "sdist", "-d", place], cwd=ROOT, check=True, capture_output=True
    )
    subprocess.run(["tar", "-xzf", next(place.glob("*.tar.gz")), "-C", place], check=True)
    source = place / f"govpool-{version.VERSION}"
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", place], cwd=source, check=True, capture_output=True
    )
    with zipfile.ZipFile(next(place.glob("*.whl"))) as archive:
        archive.extractall(place / "wheel")
    return place / "wheel"


def files(folder: pathlib.Path) -> set[str]:
    """The files of all rooms below a folder."""
    return {
        str(path.relative_to(folder))
        for room in ROOMS
        for path in (folder / room).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }


def test_the_wheel_has_every_file_of_every_room_and_nothing_else(wheel: pathlib.Path) -> None:
    assert files(wheel) == files(ROOT)
    assert {path.name for path in wheel.iterdir()} == {*ROOMS, f"govpool-{version.VERSION}.dist-info"}


def test_the_command_runs_from_the_wheel(wheel: pathlib.Path, tmp_path: pathlib.Path) -> None:
    environment = {**os.environ, "PYTHONPATH": str(wheel), "PYTHONDONTWRITEBYTECODE": "1"}
    program = "import sys, cli.main; print(cli.main.__file__); sys.exit(cli.main.run(['--version']))"
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path, env=environment, capture_output=True, text=True, check=True
    )
    assert done.stdout == f"{wheel}/cli/main.py\ngovpool {version.VERSION}\n"


def test_the_licence_travels_with_it(wheel: pathlib.Path) -> None:
    licence = wheel / f"govpool-{version.VERSION}.dist-info" / "licenses" / "LICENSE"
    assert licence.read_bytes() == (ROOT / "LICENSE").read_bytes()
