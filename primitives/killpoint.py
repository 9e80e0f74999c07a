"""Named points at which a test may kill this very process.  They stand before and after every driver call and every lane
commit, and before that of a restore.

`GOVPOOL_KILLPOINT=name` or `name:3` (the third passage) sends SIGKILL to ourselves there; `GOVPOOL_STOPPOINT=name` sends SIGSTOP
instead (a worker that sleeps past its lease).  Without the variables a passage costs one comparison.
"""

import os
import signal
import threading
from typing import Final

_KILL: Final = os.environ.get("GOVPOOL_KILLPOINT", "")
_STOP: Final = os.environ.get("GOVPOOL_STOPPOINT", "")
_lock = threading.Lock()
_passages: dict[str, int] = {}


def reach(name: str) -> None:
    """Pass the point `name`; die or stop here if a test asked for it."""
    if _KILL or _STOP:
        _passed(name)


def _passed(name: str) -> None:
    with _lock:
        _passages[name] = _passages.get(name, 0) + 1
        count = _passages[name]
    for wish, number in ((_KILL, signal.SIGKILL), (_STOP, signal.SIGSTOP)):
        wanted, _, nth = wish.partition(":")
        if wanted == name and count == int(nth or 1):
            os.kill(os.getpid(), number)
