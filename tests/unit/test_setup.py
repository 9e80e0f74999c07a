"""What a newcomer meets first: where something is missing, the setup says the one command that mends it and stops."""

import pathlib
import shutil
import subprocess

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]


@pytest.fixture
def checkout(tmp_path: pathlib.Path) -> pathlib.Path:
    """What the setup needs of a checkout, without a .venv."""
    shutil.copytree(ROOT / "deploy", tmp_path / "deploy")
    for name in ("pyproject.toml", "requirements.lock", "requirements-dev.lock"):
        shutil.copy(ROOT / name, tmp_path)
    return tmp_path


def program(path: pathlib.Path, text: str) -> pathlib.Path:
    """A small shell program."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{text}\n", encoding="utf-8")
    path.chmod(0o755)
    return path


def run(
    checkout: pathlib.Path, *command: str, path: str = "", python: str = "/usr/bin/python3"
) -> subprocess.CompletedProcess[str]:
    """Run a command in the checkout with next to no environment."""
    environment = {"PATH": f"{path}:/usr/bin:/bin", "PYTHON": python, "HOME": str(checkout)}
    return subprocess.run(command, cwd=checkout, env=environment, capture_output=True, text=True)


def test_a_python_that_is_too_old_is_refused_with_the_way_out(checkout: pathlib.Path) -> None:
    old = program(checkout / "bin" / "python3.9", "exit 1")
    done = run(checkout, "deploy/setup", "requirements.lock", python=str(old))
    assert done.returncode == 1
    assert "Python 3.11 or newer" in done.stderr
    assert not (checkout / ".venv").exists()


def test_a_python_without_venv_is_answered_with_the_one_command(checkout: pathlib.Path) -> None:
    bare = program(checkout / "bin" / "python3", 'case "$2" in *ensurepip*) exit 1;; esac')
    done = run(checkout, "deploy/setup", "requirements.lock", python=str(bare))
    assert done.returncode == 1
    assert done.stderr.count("apt-get install -y python3-venv\n") == 1
    assert not (checkout / ".venv").exists()


def test_what_is_installed_already_takes_no_step(checkout: pathlib.Path) -> None:
    stamp = b"".join((checkout / name).read_bytes() for name in ("requirements-dev.lock", "pyproject.toml", "deploy/setup"))
    program(checkout / ".venv" / "bin" / "python", "exit 1")
    (checkout / ".venv" / "requirements-dev.lock.stamp").write_bytes(stamp)
    for lock in ("requirements.lock", "requirements-dev.lock"):
        done = run(checkout, "deploy/setup", lock, python="/nowhere")
        assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@pytest.mark.parametrize("user", ["1000", "0"])
def test_missing_packages_are_named_to_a_user_and_installed_by_root(checkout: pathlib.Path, user: str) -> None:
    tools = checkout / "tools"
    program(tools / "id", f"echo {user}")
    program(tools / "dpkg-query", '[ "$4" = python3-venv ] && echo installed || exit 1')
    program(tools / "apt-get", f'echo "$@" >> {checkout}/asked')
    done = run(checkout, "deploy/packages", path=str(tools))
    if user == "0":
        assert done.returncode == 0, done.stderr
        assert (checkout / "asked").read_text().splitlines()[-1].endswith("install -y -qq --no-install-recommends postgresql")
    else:
        assert done.returncode == 1
        assert "sudo apt-get install -y postgresql\n" in done.stderr
        assert not (checkout / "asked").exists()
