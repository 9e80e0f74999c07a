"""Scheduled jobs of a server: overdue orders end, answers older than 30 days are forgotten.  Each is a use case of its own."""

import datetime
from collections.abc import Callable
from typing import Any, Final

from control import order, recall, services
from control.wiring import Wiring
from primitives import clock
from store import idempotency
from store.transaction import Transaction

EVERY_S: Final = 10
_JOBS: Final[tuple[tuple[str, datetime.timedelta, Callable[[Transaction], Any]], ...]] = (
    ("orders.overdue", datetime.timedelta(seconds=30), order.end_overdue),
    ("recalls.settle", datetime.timedelta(seconds=30), recall.settle),
    ("answers.forget", datetime.timedelta(hours=6), idempotency.forget_old),
)


def service(wiring: Wiring) -> services.Service:
    """The service that runs each job when its time has come."""
    due = {name: clock.now() for name, _, _ in _JOBS}

    def work() -> bool:
        for name, every, job in _JOBS:
            if clock.now() >= due[name]:
                while wiring.database.lane.run(job):  # a few at a time, so that others have their turn in the lane
                    continue
                due[name] = clock.now() + every
        return False

    return services.Loop("jobs", work, EVERY_S)
