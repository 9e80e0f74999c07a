"""The one driver call of a job, between two kill points.  Whatever comes back, or does not, becomes a value: the conclusion judges it."""

import contextlib
import dataclasses
from collections.abc import Iterator

import structlog

from control.reconciler import job as jobs
from primitives import killpoint
from provisioners import contract
from provisioners.rules import Step

_log = structlog.get_logger("reconciler")


@dataclasses.dataclass(frozen=True, slots=True)
class Seen:
    """What the cloud shows of one resource."""

    items: tuple[contract.Observed, ...]


@dataclasses.dataclass(frozen=True, slots=True)
class Limited:
    """The native limit allows what is wanted."""


@dataclasses.dataclass(frozen=True, slots=True)
class Lost:
    """No answer, or one that nobody can read."""

    detail: str


Answer = contract.Step | contract.Verdict | Seen | Limited | Lost | contract.DriverError


@contextlib.contextmanager
def around(name: str) -> Iterator[None]:
    """The kill points before and after a driver call, also when it raises.  Every driver call of the program stands inside one."""
    killpoint.reach(f"{name}.before")
    try:
        yield
    finally:
        killpoint.reach(f"{name}.after")


def make(job: jobs.Job) -> Answer:
    """Make the call.  Raises nothing: a defect of a driver is an answer lost, for nobody knows what it did."""
    try:
        return _made(job)
    except contract.DriverError as error:
        return error
    except contract.AnswerLost as lost:
        return Lost(str(lost))
    except Exception as error:
        _log.error("driver.defect", step=job.step.value, resource=job.resource.id, exc_info=True)
        return Lost(f"{type(error).__name__}: {error}")


def _made(job: jobs.Job) -> Answer:
    driver = job.cloud.driver
    if job.step is Step.ADVANCE:
        with around("advance"):
            return driver.advance(job.wanted, job.known, job.call_attempt)
    if job.step is Step.ACT:
        with around("act"):
            return driver.act(job.wanted, job.known, job.call_attempt)
    if job.step is Step.REMOVE or (job.step is Step.CLEAN and job.known.cloud_id):
        with around("remove"):
            return driver.remove(job.wanted, job.known, job.call_attempt)
    if job.step in (Step.REVOKE, Step.CLEAN):
        with around("revoke"):
            return driver.revoke(job.call_attempt, job.known)
    if job.step is Step.LOOK:
        with around("observe"):
            return Seen(tuple(driver.observe(job.installation, job.resource.id)))
    raise ValueError(f"{job.step} calls nothing")
