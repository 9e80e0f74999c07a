"""Scheduled jobs of a server: overdue orders end, leases go on, answers older than 30 days are forgotten.  Each is a use case of its own."""

import datetime
from collections.abc import Callable
from typing import Any, Final

from control import lease, order, recall, services
from control.wiring import Wiring
from primitives import clock
from store import idempotency
from store.transaction import Transaction

EVERY_S: Final = 10
Job = tuple[str, datetime.timedelta, Callable[[Transaction], Any]]
_JOBS: Final[tuple[Job, ...]] = (
    ("orders.overdue", datetime.timedelta(seconds=30), order.end_overdue),
    ("recalls.settle", datetime.timedelta(seconds=30), recall.settle),
    ("answers.forget", datetime.timedelta(hours=6), idempotency.forget_old),
)


def service(wiring: Wiring) -> services.Service:
    """The service that runs each job when its time has come."""
    policy, bin_days = lease.policy(wiring.settings), wiring.settings.recycle_days
    leases: Job = ("leases", datetime.timedelta(seconds=30), lambda tx: lease.carry_out(tx, policy, bin_days=bin_days))
    jobs = (*_JOBS, leases)
    due = {name: clock.now() for name, _, _ in jobs}

    def work() -> bool:
        for name, every, job in jobs:
            if clock.now() >= due[name]:
                while wiring.database.lane.run(job):  # a few at a time, so that others have their turn in the lane
                    continue
                due[name] = clock.now() + every
        return False

    return services.Loop("jobs", work, EVERY_S)
