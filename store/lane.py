"""The one lane in which all writes are committed: several use cases in one durable commit, each in its savepoint.

One batch: take the lock, run what is waiting (at most 50 use cases or 20 ms), commit once, answer each caller after the commit.  So the
batches of all processes are serial: no deadlock, and one true order for audit, cursors and numbers.  A use case is a plain synchronous function
of a transaction and may be run again from the start if the commit fails: it must not touch anything outside the transaction.
"""

import collections
import concurrent.futures
import dataclasses
import threading
from collections.abc import Callable
from typing import Any, Final, TypeVar

import structlog

from primitives import clock, errors, killpoint
from store import batch as store_batch
from store import engines, faults, transaction

T = TypeVar("T")
UseCase = Callable[[transaction.Transaction], T]
OnRefusal = Callable[[transaction.Transaction, BaseException], None]

BATCH_MAX: Final = 50
BATCH_S: Final = 0.020

_log = structlog.get_logger(__name__)


@dataclasses.dataclass(slots=True)
class _Waiting:
    use_case: UseCase[Any]
    on_refusal: OnRefusal | None
    future: concurrent.futures.Future[Any]


@dataclasses.dataclass(slots=True)
class _Outcome:
    waiting: _Waiting
    result: Any = None
    error: BaseException | None = None
    hints: list[Callable[[], None]] = dataclasses.field(default_factory=list)


class RehearsedError(Exception):
    """A use case did all it does only to see what comes of it: everything is undone, and its caller gets `result`."""

    def __init__(self, result: Any) -> None:
        super().__init__("rehearsed")
        self.result = result


class _BatchLostError(Exception):
    """The transaction under the batch is gone; nothing in it was kept, or nobody knows."""


class Lane:
    """The writing side of a database.  Thread-safe; owns one thread and one connection."""

    def __init__(self, connect: Callable[[], engines.Connection]) -> None:
        self._connect = connect
        self._connection: engines.Connection | None = connect()
        self._shared: store_batch.Batch | None = None
        self._queue: collections.deque[_Waiting] = collections.deque()
        self._wakeup = threading.Condition()
        self._closing = False
        self._thread = threading.Thread(target=self._work, name="lane", daemon=True)
        self._thread.start()

    def submit(self, use_case: UseCase[T], on_refusal: OnRefusal | None = None) -> "concurrent.futures.Future[T]":
        """Queue a use case.  The future ends after the durable commit, or with the fault; `on_refusal` then writes the audit line."""
        waiting = _Waiting(use_case, on_refusal, concurrent.futures.Future())
        with self._wakeup:
            if self._closing:
                raise faults.CLOSED()
            self._queue.append(waiting)
            self._wakeup.notify()
        return waiting.future

    def run(self, use_case: UseCase[T], on_refusal: OnRefusal | None = None) -> T:
        """Submit and wait.  From inside a use case it would wait for itself for ever, so it raises RuntimeError there."""
        if threading.current_thread() is self._thread:
            raise RuntimeError("a use case waits for the lane that runs it")
        return self.submit(use_case, on_refusal).result()

    def backlog(self) -> int:
        """Use cases waiting for a batch."""
        return len(self._queue)

    def close(self) -> None:
        """Finish what is queued, then stop.  Later submissions get `lane.closed`."""
        with self._wakeup:
            self._closing = True
            self._wakeup.notify()
        self._thread.join()
        if self._connection is not None:
            self._connection.close()

    def _work(self) -> None:
        while True:
            with self._wakeup:
                self._wakeup.wait_for(lambda: self._queue or self._closing)
                if not self._queue:
                    return
            batch: list[_Outcome] = []
            try:
                self._run_batch(batch)
            except Exception as error:
                _log.warning("lane.batch_lost", reason=str(error), use_cases=len(batch))
                self._forget_connection()
                self._answer_lost(batch)
                continue
            for outcome in batch:
                _answer(outcome)

    def _run_batch(self, batch: list[_Outcome]) -> None:
        connection = self._begun()
        shared = self._shared
        if shared is None or shared.connection is not connection or not connection.undisturbed():
            shared = self._shared = store_batch.Batch(connection, deferring=True)
        try:
            started = clock.monotonic_s()
            while self._queue and len(batch) < BATCH_MAX and clock.monotonic_s() - started < BATCH_S:
                waiting = self._queue.popleft()
                if waiting.future.set_running_or_notify_cancel():
                    batch.append(_Outcome(waiting))
                    _run_one(shared, batch[-1])
            shared.finish()
        except store_batch.RerunError as error:
            _log.warning("lane.rerun", reason=str(error), use_cases=len(batch))
            connection = self._run_again(batch)
        killpoint.reach("lane.commit.before")
        connection.commit()
        killpoint.reach("lane.commit.after")

    def _run_again(self, batch: list[_Outcome]) -> engines.Connection:
        """The same use cases in a new transaction, with every statement at once, so that each hears only of its own."""
        self._shared = None
        if self._connection is not None:
            self._connection.rollback()
        connection = self._begun()
        one_each = store_batch.Batch(connection)
        for outcome in batch:
            outcome.result = outcome.error = None
            outcome.hints = []
            _run_one(one_each, outcome)
        return connection

    def _begun(self) -> engines.Connection:
        """A connection with a transaction begun.  One that broke while nobody wrote (the server restarted) is replaced: nothing was lost."""
        if self._connection is not None:
            try:
                self._connection.begin()
                return self._connection
            except Exception as error:
                _log.info("lane.connection_stale", reason=str(error))
                self._forget_connection()
        self._connection = self._connect()
        self._connection.begin()
        return self._connection

    def _forget_connection(self) -> None:
        broken, self._connection = self._connection, None
        self._shared = None
        if broken is not None:
            for end in (broken.rollback, broken.close):
                try:
                    end()
                except Exception as error:
                    _log.warning("lane.close_failed", reason=str(error))

    def _answer_lost(self, batch: list[_Outcome]) -> None:
        if not batch:  # the transaction could not even begin: all who wait must hear it now, not after a time-out each
            waiting = [self._queue.popleft() for _ in range(len(self._queue))]
            batch = [_Outcome(one) for one in waiting if one.future.set_running_or_notify_cancel()]
        for outcome in batch:
            outcome.waiting.future.set_exception(faults.REPEAT())


def _run_one(batch: store_batch.Batch, outcome: _Outcome) -> None:
    try:
        tx = _begin(batch)
        outcome.result = outcome.waiting.use_case(tx)
        batch.end()
        if batch.broken:
            raise store_batch.RerunError("a use case went on after its rows were refused")
        outcome.hints = tx.after_commit
        return
    except RehearsedError as rehearsed:
        batch.write()  # what the database says to rows written later belongs to what comes of it
        _undo(batch)
        outcome.result = rehearsed.result
        return
    except BaseException as error:  # whatever it is, it is this caller's: the lane must outlive it
        outcome.error = error
        _undo(batch)
    if outcome.waiting.on_refusal is not None:
        _record_refusal(batch, outcome, outcome.waiting.on_refusal)


def _record_refusal(batch: store_batch.Batch, outcome: _Outcome, on_refusal: OnRefusal) -> None:
    try:
        on_refusal(_begin(batch), outcome.error or errors.INTERNAL())
        if batch.broken:
            raise store_batch.RerunError("a refusal went on after rows of others were refused")
        batch.end()
    except BaseException as error:
        _undo(batch)
        _log.error("lane.refusal_not_audited", reason=str(error))
        outcome.error = faults.AUDIT_UNAVAILABLE()


def _begin(batch: store_batch.Batch) -> transaction.Transaction:
    batch.begin()
    return transaction.Transaction(batch.connection, batch.connection.now_us(), batch)


def _undo(batch: store_batch.Batch) -> None:
    """Back to where the use case began; if the transaction did not survive the error, or what others wrote was refused, all run again."""
    if batch.broken:
        raise store_batch.RerunError("rows were refused")
    try:
        batch.undo()
    except Exception as error:
        raise _BatchLostError(str(error)) from error
    if not batch.connection.in_transaction():
        if batch.deferring:
            raise store_batch.RerunError("the transaction ended with the error")
        raise _BatchLostError("the transaction ended with the error")


def _answer(outcome: _Outcome) -> None:
    if outcome.error is not None:
        outcome.waiting.future.set_exception(outcome.error)
        return
    outcome.waiting.future.set_result(outcome.result)
    for hint in outcome.hints:
        try:
            hint()
        except Exception:
            _log.warning("lane.hint_failed", exc_info=True)
