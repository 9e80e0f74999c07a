"""The real thing as processes: `govpool` run as a command, and `govpool serve` in a process of its own."""

import contextlib
import importlib
import os
import pathlib
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence

ROOT = pathlib.Path(__file__).resolve().parents[2]
READY_S = 60


class Command:
    """Runs `govpool` as one person: a configuration of its own, no terminal."""

    def __init__(self, home: pathlib.Path, server: str = "", lang: str = "en") -> None:
        home.mkdir(parents=True, exist_ok=True)
        self.home = home
        self.environment = {
            "PATH": "/usr/bin:/bin",
            "PYTHONPATH": os.environ.get("PYTHONPATH", str(ROOT)),
            "HOME": str(home),
            "LANG": "C.UTF-8",
            "GOVPOOL_LANG": lang,
            "GOVPOOL_CONFIG": str(home / "contexts.json"),
        }
        if server:
            self.environment["GOVPOOL_SERVER"] = server

    def run(self, *arguments: str, stdin: str | None = None, **environment: str) -> subprocess.CompletedProcess[str]:
        """One command, whatever it exits with."""
        return subprocess.run(
            [sys.executable, "-m", "cli.main", *arguments],
            capture_output=True,
            text=True,
            input=stdin if stdin is not None else "",
            env=self.environment | environment,
            timeout=120,
            check=False,
        )

    def ok(self, *arguments: str, stdin: str | None = None) -> str:
        """The standard output of a command that must exit 0."""
        done = self.run(*arguments, stdin=stdin)
        assert done.returncode == 0, f"{arguments}: exit {done.returncode}\n{done.stdout}{done.stderr}"
        return done.stdout


def here(words: Sequence[str]) -> int:
    """A command inside the test's own process, loaded anew: its texts are of the language that is set when it is loaded."""
    for name in [name for name in sys.modules if name == "cli" or name.startswith("cli.")]:
        del sys.modules[name]
    code: int = importlib.import_module("cli.main").run(list(words))
    return code


class Server:
    """A running `govpool serve`."""

    def __init__(self, process: "subprocess.Popen[bytes]", url: str, log: pathlib.Path) -> None:
        self.process = process
        self.url = url
        self.log = log

    def stop(self) -> int:
        """SIGTERM; the exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(60)


def initialised(home: pathlib.Path, *database: str) -> dict[str, str]:
    """A new installation; the one-use codes by role."""
    lines = Command(home).ok("init", *database, "-o", "csv").splitlines()
    return {role: code for role, _, code in (line.split(",") for line in lines[1:])}


@contextlib.contextmanager
def serving(home: pathlib.Path, *options: str) -> Iterator[Server]:
    """`govpool serve` on a free port; killed at the end if it still runs."""
    home.mkdir(parents=True, exist_ok=True)
    ready, log = home / "url", home / "serve.log"
    ready.unlink(missing_ok=True)
    command = [sys.executable, "-m", "cli.main", "serve", "--port", "0", "--ready-file", str(ready), *options]
    environment = Command(home).environment | {name: value for name, value in os.environ.items() if name.startswith("GOVPOOL_")}
    with log.open("ab") as stream:
        process = subprocess.Popen(command, stdout=stream, stderr=stream, env=environment, stdin=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + READY_S
        while not ready.exists():
            assert process.poll() is None and time.monotonic() < deadline, log.read_text(encoding="utf-8")
            time.sleep(0.02)
        yield Server(process, ready.read_text(encoding="utf-8").strip(), log)
    finally:
        process.kill()
        process.wait()
