"""The threads of a worker process: one leases due rows, some carry them, one keeps the leases.

A lease lasts while this process shows a sign of life; a process that is stopped loses its leases, and its late writes meet a newer fence.
"""

import contextlib
import functools
import queue
import threading
from typing import Final

import structlog

from control.reconciler import call, clouds, conclusion, limits, process
from control.reconciler import job as jobs
from control.wiring import Wiring
from primitives import errors
from provisioners import model, rules
from provisioners import service as provisioners
from provisioners.rules import Step
from store.transaction import Transaction

POLL_S: Final = 0.5
"""Between two looks for due rows; a hint of the same process comes at once."""
RENEWALS: Final = 3
"""Signs of life within one lease."""

_log = structlog.get_logger("reconciler")


class Reconciler:
    """See the module.  A `control.services.Service`."""

    name = "reconciler"

    def __init__(self, wiring: Wiring, *, threads: int, lease_s: int) -> None:
        self._database = wiring.database
        self._threads = threads
        self._lease_s = lease_s
        self._clouds = clouds.Clouds(wiring)
        self._limits = limits.Limits(wiring)
        self._worker: model.Worker | None = None
        self._leased: queue.SimpleQueue[model.Resource | None] = queue.SimpleQueue()
        self._free = threading.Semaphore(threads)
        self._in_hand: set[tuple[str, model.Fence]] = set()  # what is really carried, or waits in `_leased` for a thread
        self._over: queue.SimpleQueue[str] = queue.SimpleQueue()  # attempts whose call is over, which nobody could write down yet
        self._gates: dict[int, threading.Semaphore] = {}  # by driver
        self._stopping = threading.Event()
        self._running: list[threading.Thread] = []
        self._reason = ""

    def start(self) -> None:
        """Register this process and begin."""
        made = self._database.lane.run(self._registered)
        self._worker = made
        self._bury()
        bodies = [self._lease, self._keep, *([self._carry] * self._threads)]
        self._running = [
            threading.Thread(target=body, name=f"reconciler-{number}", daemon=True) for number, body in enumerate(bodies)
        ]
        for thread in self._running:
            thread.start()

    def stop(self) -> None:
        """Let each thread end its step, then give the leases back."""
        self._stopping.set()
        provisioners.due_hint.set()
        for _ in range(self._threads):
            self._leased.put(None)
        for thread in self._running:
            thread.join()
        worker = self._worker
        if worker is not None:
            self._database.lane.run(lambda tx: provisioners.abandon(tx, worker.id))

    def wrong(self) -> str:
        """A dead thread, or why leasing fails."""
        dead = [thread.name for thread in self._running if not thread.is_alive()]
        return f"threads ended: {', '.join(dead)}" if dead else self._reason

    def _registered(self, tx: Transaction) -> model.Worker:
        made = process.worker(self._threads, tx.now())
        provisioners.register_worker(tx, made)
        return made

    def _bury(self) -> None:
        """Free what dead processes of this machine held."""
        running = self._database.read(provisioners.working)
        here = process.here(*(worker.pid for worker in running))
        if any(rules.known_dead(worker, here, running) for worker in running):
            self._database.lane.run(lambda tx: provisioners.bury(tx, here))

    @property
    def _id(self) -> str:
        assert self._worker is not None
        return self._worker.id

    # -- leasing ---------------------------------------------------------------------------------------------------------------

    def _lease(self) -> None:
        while not self._stopping.is_set():
            provisioners.due_hint.clear()
            try:
                more = self._lease_some()
                self._reason = ""
            except Exception as error:
                more, self._reason = False, f"{type(error).__name__}: {error}"
                _log.warning("reconciler.cannot_lease", exc_info=True)
            if not more:
                provisioners.due_hint.wait(POLL_S)

    def _lease_some(self) -> bool:
        """Lease as many due rows as threads are free; whether there was any."""
        if not self._database.read(provisioners.due)[0]:
            return False
        free = 0
        while free < self._threads and self._free.acquire(blocking=free == 0, timeout=POLL_S if free == 0 else None):
            free += 1
        leased: list[model.Resource] = []
        try:
            if free:
                leased = self._database.lane.run(lambda tx: provisioners.lease(tx, self._id, free, self._lease_s))
        finally:
            for _ in range(free - len(leased)):
                self._free.release()
        for resource in leased:
            self._in_hand.add((resource.id, resource.fence))
            self._leased.put(resource)
        return bool(leased)

    def _keep(self) -> None:
        """Renew what is in hand.  A lease that no thread carries, because a commit was lost or a step failed, runs out and is leased anew."""
        while not self._stopping.wait(self._lease_s / RENEWALS):
            carried = [resource_id for resource_id, _ in self._in_hand.copy()]
            try:
                self._database.lane.run(
                    functools.partial(provisioners.renew, worker_id=self._id, resource_ids=carried, lease_s=self._lease_s)
                )
                self._confess()
                self._bury()
            except errors.GovpoolError:
                _log.warning("reconciler.cannot_renew", exc_info=True)

    # -- carrying --------------------------------------------------------------------------------------------------------------

    def _carry(self) -> None:
        while (resource := self._leased.get()) is not None:
            try:
                self._carry_one(resource)
            except model.FencedOutError as fenced:
                _log.warning("reconciler.fenced_out", resource=resource.id, detail=str(fenced))
            except Exception:
                _log.error("reconciler.step_failed", resource=resource.id, exc_info=True)
            finally:
                self._in_hand.discard((resource.id, resource.fence))
                self._free.release()

    def _carry_one(self, resource: model.Resource) -> None:
        """Step by step, until the row rests, or it is the turn of others."""
        with self._gate(self._clouds.of(resource.pool_id)):
            job = self._database.lane.run(lambda tx: jobs.begin(tx, self._clouds, self._id, resource.id, resource.fence))
            steps = 0
            while job is not None:
                steps += 1
                job = self._step(job, go_on=steps < conclusion.STEPS_MAX and not self._stopping.is_set())

    def _gate(self, cloud: clouds.Cloud | None) -> contextlib.AbstractContextManager[object]:
        """No cloud gets more calls at once than it bears."""
        if cloud is None:
            return contextlib.nullcontext()
        return self._gates.setdefault(id(cloud.driver), threading.Semaphore(cloud.driver.bounds.calls_at_once))

    def _step(self, job: jobs.Job, *, go_on: bool) -> jobs.Job | None:
        answer = self._limits.cover(job.cloud, job.resource.cloud_tenant_id) if job.step is Step.LIMIT else call.make(job)
        others = [fence for held, fence in self._in_hand.copy() if held == job.resource.id and fence != job.resource.fence]
        worker = conclusion.Worker(id=self._id, here=self._here(job), clouds=self._clouds, alone=not others)
        try:
            return self._database.lane.run(lambda tx: conclusion.conclude(tx, worker, job, answer, go_on=go_on))
        except model.FencedOutError:
            _log.warning(
                "reconciler.answer_came_too_late", resource=job.resource.id, step=job.step.value, answer=repr(answer)[:500]
            )
            self._call_is_over(job)
            return None
        except Exception:
            self._call_is_over(job)
            raise

    def _call_is_over(self, job: jobs.Job) -> None:
        """The attempt could not be closed, but nothing more is sent under it: whoever settles it must know."""
        if job.attempt is not None and job.step is not Step.REVOKE:
            self._over.put(job.attempt.id)
            with contextlib.suppress(errors.GovpoolError):
                self._confess()

    def _confess(self) -> None:
        """Write down which calls are over; what cannot be written now is written with the next sign of life."""
        for _ in range(self._over.qsize()):
            attempt_id = self._over.get()
            try:
                self._database.lane.run(functools.partial(provisioners.sender_returned, attempt_id=attempt_id))
            except errors.GovpoolError:
                self._over.put(attempt_id)
                raise

    def _here(self, job: jobs.Job) -> rules.Here:
        attempt = job.attempt
        if job.step is not Step.REVOKE or attempt is None:
            return process.here()
        sender = self._database.read(lambda tx: provisioners.sender(tx, attempt))
        return process.here(*([sender.pid] if sender else []))
