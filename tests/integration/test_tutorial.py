"""The tutorial, typed as it stands: every shell block of docs/tutorial/first-hour.md, in order, against a real server and lab cloud."""

import os
import pathlib
import re
import signal
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Iterator

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "tutorial" / "first-hour.md").read_text(encoding="utf-8")


class Terminal:
    """A folder, an environment, and the programs left running in the background."""

    def __init__(self, folder: pathlib.Path) -> None:
        self.folder = folder
        self.server, self.lab = _free_port(), _free_port()
        self.codes: dict[str, str] = {}
        self.running: list[subprocess.Popen[bytes]] = []
        (folder / "bin").mkdir()
        program = folder / "bin" / "govpool"
        program.write_text(f'#!/bin/sh\nexec {sys.executable} -m cli.main "$@"\n', encoding="utf-8")
        program.chmod(0o755)
        self.environment = {
            "PATH": f"{program.parent}:/usr/bin:/bin",
            "PYTHONPATH": str(ROOT),
            "HOME": str(folder),
            "LANG": "en_US.UTF-8",
            "GOVPOOL_PORT": str(self.server),
            "GOVPOOL_SERVER": f"http://127.0.0.1:{self.server}",
            "GOVPOOL_SWEEP_S": "5",
        }

    def type(self, line: str) -> str:
        """Run one command as the page has it; ports and codes are this run's.  Returns what it printed."""
        line = line.replace(":8430", f":{self.lab}").replace("--port 8430", f"--port {self.lab}")
        line = re.sub(r"CODE-OF-([\w.-]+)", lambda found: self.codes[found[1]], line)
        if line.endswith("&"):
            self.running.append(
                subprocess.Popen(
                    ["bash", "-c", f"exec {line[:-1]}"],
                    cwd=self.folder,
                    env=self.environment,
                    stdout=subprocess.DEVNULL,
                    stderr=subprocess.DEVNULL,
                    start_new_session=True,
                )
            )
            return ""
        done = subprocess.run(
            ["bash", "-c", line], cwd=self.folder, env=self.environment, capture_output=True, text=True, timeout=120
        )
        assert done.returncode == 0, f"{line}\n{done.stdout}{done.stderr}"
        account = ""
        for word in re.findall(r"^ACCOUNT +(\S+)|(\S+) +(gpc_\w+)", done.stdout, flags=re.MULTILINE):
            account = word[0] or account
            if word[2]:
                self.codes[account if word[1] == "CODE" else word[1]] = word[2]
        return done.stdout + done.stderr

    def wait(self) -> None:
        """Until the server takes requests."""
        request = f"http://127.0.0.1:{self.server}/readyz"
        for _ in range(300):
            try:
                with urllib.request.urlopen(request, timeout=5):
                    return
            except OSError:
                self.running[0].poll()
                assert self.running[0].returncode is None
                subprocess.run(["sleep", "0.2"], check=True)
        raise AssertionError("the server does not answer")

    def close(self) -> None:
        """End what was left running."""
        for process in self.running:
            os.killpg(process.pid, signal.SIGTERM)
            process.wait()


def _free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port: int = found.getsockname()[1]
        return port


def commands(block: str) -> list[str]:
    """The commands of a block; a here-document belongs to its command."""
    found: list[str] = []
    inside = False
    for line in block.splitlines():
        if inside:
            found[-1] += f"\n{line}"
        else:
            found.append(line)
        inside = (inside or "<<END" in line) and line != "END"
    return found


@pytest.fixture
def terminal(tmp_path: pathlib.Path) -> Iterator[Terminal]:
    """A terminal whose background programs end with the test."""
    opened = Terminal(tmp_path)
    yield opened
    opened.close()


def test_every_command_of_the_tutorial_works_in_its_order(terminal: Terminal) -> None:
    printed: dict[str, str] = {}
    for block in re.findall(r"^```sh\n(.*?)^```$", PAGE, flags=re.MULTILINE | re.DOTALL):
        for line in commands(block):
            printed[line] = terminal.type(line)
        if terminal.running:
            terminal.wait()

    def told(start: str) -> str:
        return next(text for line, text in printed.items() if line.startswith(start))

    assert "exit code 6" in told("govpool vm create huge")
    assert "quota.exceeded" in told("govpool vm create huge")
    assert "exit code 9" in told("govpool vm create report")
    assert re.search(r"^web +running", told("govpool vm list --context"), flags=re.MULTILINE)
    assert re.search(r"^SOUND +true", told("govpool audit verify"), flags=re.MULTILINE)
    assert re.search(r"^STATE +Open", told("govpool statement show"), flags=re.MULTILINE)
