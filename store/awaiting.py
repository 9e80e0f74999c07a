"""What the lane answers, awaited on an event loop: the answers of one batch wake the loop once, not once each."""

import asyncio
import collections
import concurrent.futures
import functools
import threading
import weakref
from typing import TypeVar

T = TypeVar("T")


class _Mailbox:
    """The answers on their way to one loop."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = weakref.ref(loop)
        self._arrived: collections.deque[tuple[asyncio.Future[object], concurrent.futures.Future[object]]] = collections.deque()
        self._rung = False

    def arrive(self, waiting: "asyncio.Future[object]", answered: "concurrent.futures.Future[object]") -> None:
        """In the thread that answers."""
        self._arrived.append((waiting, answered))
        loop = self._loop()
        if not self._rung and loop is not None and not loop.is_closed():
            self._rung = True
            loop.call_soon_threadsafe(self._hand_over)

    def _hand_over(self) -> None:
        self._rung = False  # first: what arrives from here on rings again
        while self._arrived:
            waiting, answered = self._arrived.popleft()
            if waiting.done():
                continue  # nobody waits any more
            error = answered.exception()
            if error is not None:
                waiting.set_exception(error)
            else:
                waiting.set_result(answered.result())


_mailboxes: "weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, _Mailbox]" = weakref.WeakKeyDictionary()
_lock = threading.Lock()


def on_loop(answered: "concurrent.futures.Future[T]") -> "asyncio.Future[T]":
    """A future of the running loop that ends as `answered` does.  To give it up takes nothing back."""
    loop = asyncio.get_running_loop()
    mailbox = _mailboxes.get(loop)
    if mailbox is None:
        with _lock:
            mailbox = _mailboxes.setdefault(loop, _Mailbox(loop))
    waiting: asyncio.Future[T] = loop.create_future()
    answered.add_done_callback(functools.partial(mailbox.arrive, waiting))  # type: ignore[arg-type]  # the same T on both sides
    return waiting
