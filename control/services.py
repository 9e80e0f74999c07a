"""What runs in the background of a server process: things that start, stop, and can say what is wrong with them."""

import threading
from collections.abc import Callable
from typing import Final, Protocol

import structlog

PAUSE_MAX_S: Final = 60

_log = structlog.get_logger("services")


class Service(Protocol):
    """A background service of one process."""

    name: str

    def start(self) -> None:
        """Begin; returns at once."""

    def stop(self) -> None:
        """End what is under way and return when it has ended."""

    def wrong(self) -> str:
        """What is wrong with it, in one sentence; '' when it is well."""


class Loop:
    """A service that calls `work` every `every_s` seconds, at once when woken, and more seldom while it fails.

    `work` returns True when there is more to do right now.
    """

    def __init__(self, name: str, work: Callable[[], bool], every_s: float) -> None:
        self.name = name
        self._work = work
        self._every_s = every_s
        self._bell = threading.Event()
        self._stopping = False
        self._failures = 0
        self._reason = ""
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Begin on a thread of its own."""
        self._thread = threading.Thread(target=self._run, name=self.name, daemon=True)
        self._thread.start()

    def wake(self) -> None:
        """Work now."""
        self._bell.set()

    def stop(self) -> None:
        """Let the work under way end."""
        self._stopping = True
        self._bell.set()
        if self._thread is not None:
            self._thread.join()

    def wrong(self) -> str:
        """The last failure while it fails; that the thread is dead."""
        if self._thread is None or not self._thread.is_alive():
            return "it does not run"
        return self._reason

    def _run(self) -> None:
        while not self._stopping:
            self._bell.clear()
            try:
                more = self._work()
                self._failures, self._reason = 0, ""
            except Exception as error:
                more = False
                self._failures += 1
                self._reason = f"{type(error).__name__}: {error}"
                _log.warning("service.failed", service=self.name, failures=self._failures, exc_info=True)
            if not more:
                self._bell.wait(min(self._every_s * 2 ** min(self._failures, 10), max(self._every_s, PAUSE_MAX_S)))
