"""Worker processes that tests kill, stop and let go.  They come from a fork server that has the program loaded, so a new one takes no second.

`python -m control.worker` and `govpool serve` run the same `background` services; these processes enter by the same `main`.
"""

import multiprocessing
import multiprocessing.process
import os
import signal
import sys
from collections.abc import Callable
from typing import Any

SETTINGS = ("workers=4", "lease_s=5", "sweep_s=1", "log_level=error")
_context = multiprocessing.get_context("forkserver")
_context.set_forkserver_preload(
    [
        "tests.integration.processes",
        "control.worker",
        "control.energy",
        "control.expense",
        "control.jobs",
        "control.notice_delivery",
        "control.strangers",
        "apiserver.app",
        "apiserver.serving",
        "cli.serve",
        "provisioners.lab.driver",
        "psycopg",
        "uvicorn",
    ]
)


class Process:
    """One process of govpool, alive until it is killed."""

    def __init__(self, main: Callable[..., Any], *arguments: Any, kill_at: str = "", stop_at: str = "") -> None:
        self._process: multiprocessing.process.BaseProcess = _context.Process(
            target=_enter, args=(kill_at, stop_at, main, arguments), daemon=True
        )
        self._process.start()

    @property
    def pid(self) -> int:
        """The process id."""
        assert self._process.pid is not None
        return self._process.pid

    def alive(self) -> bool:
        """Whether it has not ended."""
        return self._process.is_alive()

    def died(self, timeout_s: float = 60) -> bool:
        """Wait for the end; whether it was by SIGKILL."""
        self._process.join(timeout_s)
        return self._process.exitcode == -signal.SIGKILL

    def signal(self, number: int) -> None:
        """Send a signal."""
        os.kill(self.pid, number)

    def kill(self) -> None:
        """SIGKILL, at once."""
        self._process.kill()
        self._process.join()

    def end(self) -> None:
        """SIGTERM; wait for a good end."""
        self._process.terminate()
        self._process.join(60)
        assert self._process.exitcode == 0, f"exit code {self._process.exitcode}"

    def stopped(self) -> bool:
        """Whether it stands still (SIGSTOP)."""
        with open(f"/proc/{self.pid}/stat", encoding="ascii") as stat:
            return stat.read().rpartition(")")[2].split()[0] == "T"


def worker(url: str, *settings: str, kill_at: str = "", stop_at: str = "") -> Process:
    """A worker process on a database."""
    return Process(_work, url, (*SETTINGS, *settings), kill_at=kill_at, stop_at=stop_at)


def server(url: str, port: int, *settings: str) -> Process:
    """A whole server, API and workers, as `govpool serve` puts it together."""
    return Process(_serve, url, (*SETTINGS, f"port={port}", *settings))


def _serve(url: str, given: tuple[str, ...]) -> None:
    from cli import serve
    from control import settings

    chosen = settings.read(None, {}, dict(pair.partition("=")[::2] for pair in given))
    serve._serve(url, chosen, "")


def _work(url: str, settings: tuple[str, ...]) -> None:
    from control import worker

    raise SystemExit(worker.main(["--database", url, *(part for one in settings for part in ("--set", one))]))


def _enter(kill_at: str, stop_at: str, main: Callable[..., Any], arguments: tuple[Any, ...]) -> None:
    """The kill points read the environment when they are loaded, which the fork server has done already: set them here as they would be."""
    from primitives import killpoint

    vars(killpoint).update(_KILL=kill_at, _STOP=stop_at)
    sys.stdout = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115 -- lives as long as the process
    main(*arguments)
