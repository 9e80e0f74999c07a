"""The stage of the demo: its processes, its people, and a transcript of every command that they type.

Everything here goes through the `govpool` command as a person would use it; nothing reaches into the database.
"""

import concurrent.futures
import contextlib
import dataclasses
import json
import os
import pathlib
import shlex
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable
from typing import Any, TypeVar

T = TypeVar("T")
HERE = pathlib.Path(__file__).parent
GOVPOOL = pathlib.Path(sys.executable).with_name("govpool")
READY_S = 30


class StoryError(Exception):
    """A command of the demo did something else than the story says."""


@dataclasses.dataclass(frozen=True)
class Done:
    """One command that ended."""

    line: str  # as it was typed
    code: int  # exit code
    out: str
    err: str

    def json(self) -> Any:
        """Its output as JSON."""
        return json.loads(self.out)


class Stage:
    """The folder, the processes and the people of one run."""

    def __init__(self, out: pathlib.Path) -> None:
        self.out = out
        self.server = ""
        self._running: list[tuple[str, subprocess.Popen[str]]] = []
        self._transcript = threading.Lock()
        shutil.rmtree(out, ignore_errors=True)
        out.mkdir(parents=True)

    # -- processes -----------------------------------------------------------------------------------------------------------------

    def start(self, name: str, *arguments: str) -> subprocess.Popen[str]:
        """Start a `govpool` process that stays; its talk goes to <name>.log."""
        log = (self.out / f"{name}.log").open("w", encoding="utf-8")
        process = subprocess.Popen(
            [str(GOVPOOL), *arguments],
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
            env=self._environment(""),
            start_new_session=True,
        )
        self._running.append((name, process))
        return process

    def first_line(self, name: str, process: subprocess.Popen[str]) -> dict[str, Any]:
        """The JSON line that a process prints when it is ready."""
        line = process.stdout.readline() if process.stdout else ""
        if not line:
            raise StoryError(f"{name} did not start: {(self.out / f'{name}.log').read_text(encoding='utf-8')[-2000:]}")
        found: dict[str, Any] = json.loads(line)
        return found

    def serve(self, data: pathlib.Path, *settings: str) -> None:
        """Start the server on a free port and wait until it takes requests."""
        ready = self.out / "server.url"
        process = self.start("server", "serve", "--data", str(data), "--port", "0", "--ready-file", str(ready), *settings)
        deadline = time.monotonic() + READY_S
        while not ready.exists():
            if process.poll() is not None or time.monotonic() > deadline:
                raise StoryError(f"the server did not start: {(self.out / 'server.log').read_text(encoding='utf-8')[-2000:]}")
            time.sleep(0.05)
        self.server = ready.read_text(encoding="utf-8").strip()

    def stop(self) -> None:
        """Stop all processes, the last one first."""
        for _, process in reversed(self._running):
            with contextlib.suppress(ProcessLookupError):
                process.send_signal(signal.SIGTERM)
        for _, process in reversed(self._running):
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        self._running.clear()

    def pids(self) -> list[int]:
        """The processes that run now."""
        return [process.pid for _, process in self._running]

    # -- people --------------------------------------------------------------------------------------------------------------------

    def type(self, who: str, line: str, *, expect: Iterable[int] = (0,)) -> Done:
        """`who` types a command; raises StoryError unless it ends with one of the exit codes expected."""
        words = shlex.split(line)
        ran = subprocess.run(
            [str(GOVPOOL), *words],
            env=self._environment(who),
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
            check=False,
        )
        done = Done(f"govpool {line}", ran.returncode, ran.stdout, ran.stderr)
        self._write(who, done)
        if ran.returncode not in set(expect):
            raise StoryError(f"{who} typed: govpool {line}\nexit code {ran.returncode}\n{ran.stdout}{ran.stderr}")
        return done

    def login(self, who: str, code: str) -> None:
        """Exchange a one-use code; from here on `who` is signed in."""
        self.type(who, f"login --code {code} --server {self.server}")

    def at_once(self, tasks: Iterable[Callable[[], T]], people: int = 4) -> list[T]:
        """Several people at work in parallel; results in the order of the tasks."""
        with concurrent.futures.ThreadPoolExecutor(people) as pool:
            return [future.result() for future in [pool.submit(task) for task in tasks]]

    def home(self, who: str) -> pathlib.Path:
        """The home folder of a person on the stage."""
        return self.out / "people" / (who or "console")

    def _environment(self, who: str) -> dict[str, str]:
        home = self.home(who)
        home.mkdir(parents=True, exist_ok=True)
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("GOVPOOL_", "XDG_"))}
        return kept | {"HOME": str(home), "LANG": os.environ.get("LANG", "C.UTF-8"), "PYTHONDONTWRITEBYTECODE": ""}

    def _write(self, who: str, done: Done) -> None:
        with self._transcript, (self.out / "transcript.txt").open("a", encoding="utf-8") as file:
            file.write(f"[{who or 'console'}] $ {done.line}\n{done.out}{done.err}")
            if done.code:
                file.write(f"(exit code {done.code})\n")
            file.write("\n")
