"""What an answer leads to, in one transaction under the fence: close the attempt, store the facts, end the change or try again later.

Raises FencedOutError when another holder has the row meanwhile: then nothing of the answer is stored, and the sweep judges what is in the cloud.
"""

import dataclasses
from typing import Final

import structlog

from control.reconciler import call, clouds, ending
from control.reconciler import job as jobs
from provisioners import changes, contract, model, replicas, rules
from provisioners import service as provisioners
from provisioners.contract import Done, Facts, Landed, Revoked, Waiting
from provisioners.model import Outcome, State
from provisioners.rules import Step
from store.transaction import Transaction

HOLD_AGAIN_S: Final = 5
"""How often an attempt that cannot be settled yet is looked at."""
STEPS_MAX: Final = 64
"""Steps of one resource under one lease; then others have their turn."""

_log = structlog.get_logger("reconciler")


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Worker:
    """Who concludes."""

    id: str
    here: rules.Here  # with the start time of the sender's pid, if the job revokes another's attempt
    clouds: clouds.Clouds
    alone: bool  # no other thread of this process carries the resource: what this process opened for it before, it sends no more


def conclude(tx: Transaction, worker: Worker, job: jobs.Job, answer: call.Answer, *, go_on: bool) -> jobs.Job | None:
    """Take the answer in.  The next step of the same row, its attempt opened, when there is one at once and `go_on`; else None."""
    resource = provisioners.held(tx, job.resource.id, job.resource.fence)
    after = _taken(tx, worker, job, answer, resource)
    if after is None:
        return None
    if not go_on:
        jobs.rest(tx, after, after, 0)
        return None
    return jobs.following(tx, worker.clouds, worker.id, after)


def _taken(tx: Transaction, worker: Worker, job: jobs.Job, answer: call.Answer, resource: model.Resource) -> model.Resource | None:
    """The row as stored, to go on with; None when the lease was given back."""
    if isinstance(answer, call.Limited):
        return provisioners.store(tx, resource, dataclasses.replace(resource, limited=True))
    if isinstance(answer, call.Seen):
        return _seen(tx, job, answer, resource)
    if isinstance(answer, call.Lost):
        return _lost(tx, job, answer, resource)
    if isinstance(answer, contract.DriverError):
        return _refused(tx, job, answer, resource)
    if job.step is Step.REVOKE:
        return _revoked(tx, worker, job, answer, resource)
    return _answered(tx, job, answer, resource)


def _answered(
    tx: Transaction, job: jobs.Job, answer: contract.Step | contract.Verdict, resource: model.Resource
) -> model.Resource | None:
    """An answer to advance, act, remove or clean."""
    facts = None if isinstance(answer, Waiting) else answer if isinstance(answer, Facts) else answer.facts
    _close(tx, job, resource, Outcome.ANSWERED, cloud_id="" if facts is None else facts.cloud_id)
    if job.step is Step.CLEAN:
        return provisioners.store(tx, resource, dataclasses.replace(resource, strays=resource.strays[1:]))
    if isinstance(answer, Waiting):
        jobs.rest(tx, resource, dataclasses.replace(resource, failures=0), answer.again_in_s)
        return None
    if facts is None:
        raise TypeError(f"{answer!r} is no answer to {job.step}")
    known = provisioners.store_facts(tx, resource, facts)
    if isinstance(answer, Done):
        return _done(tx, job, known)
    return provisioners.store(tx, known, ending.rescaled(tx, known)) if _rescaled(resource, facts) else known


def _done(tx: Transaction, job: jobs.Job, known: model.Resource) -> model.Resource:
    """The goal of the verb is reached; what was wanted may have changed meanwhile, then the new goal counts."""
    if job.step is Step.REMOVE:
        return known if known.ended else ending.gone(tx, known)  # it may have been written off during the call
    if known.desired is model.Desired.DOWN or known.generation != job.resource.generation:
        return known
    return ending.delivered(tx, known)


def _refused(tx: Transaction, job: jobs.Job, error: contract.DriverError, resource: model.Resource) -> model.Resource | None:
    """A no: for now, or for good."""
    reason = model.Reason(code=error.code, en=error.en, zh=error.zh)
    if job.attempt is not None and job.step is not Step.REVOKE:
        _close(tx, job, resource, Outcome.REFUSED, detail=str(error))
    if isinstance(error, contract.PermanentError):
        return _refused_for_good(tx, job, reason, resource)
    failures = resource.failures + 1
    later = dataclasses.replace(
        resource, failures=failures, reason=reason, limited=resource.limited and job.step is not Step.ADVANCE
    )
    delay_s = error.delay_s if isinstance(error, contract.TemporaryError) else 0
    if job.step is Step.ADVANCE:  # the limit that we believe was raised may be what refuses
        provisioners.tell(tx, resource.pool_id, resource.cloud_tenant_id, cloud_id="", epoch=0, limits={})
    jobs.rest(tx, resource, later, rules.backoff_s(failures, delay_s))
    return None


def _refused_for_good(tx: Transaction, job: jobs.Job, reason: model.Reason, resource: model.Resource) -> model.Resource | None:
    if job.step is Step.ADVANCE and resource.desired is not model.Desired.DOWN:
        return provisioners.store(tx, resource, changes.refused(resource, reason, tx.now()))
    if job.step is Step.ACT and resource.generation == job.resource.generation and not resource.ended:
        return ending.given_up(tx, resource, reason)
    if job.step in (Step.ADVANCE, Step.ACT):
        return resource
    _log.warning("driver.refuses", step=job.step.value, resource=resource.id, code=reason.code, text=reason.en)
    rested = dataclasses.replace(resource, failures=resource.failures + 1, reason=reason)
    jobs.rest(tx, resource, rested, rules.BACKOFF_MAX_S)
    return None


def _lost(tx: Transaction, job: jobs.Job, answer: call.Lost, resource: model.Resource) -> model.Resource | None:
    """No answer: the attempt stays open.  This thread sends nothing more under it, which is all that is certain."""
    _log.info("driver.answer_lost", step=job.step.value, resource=resource.id, detail=answer.detail)
    if job.attempt is not None and job.step is not Step.REVOKE:
        provisioners.sender_returned(tx, job.attempt.id)
        if job.step is Step.CLEAN:
            return provisioners.store(tx, resource, dataclasses.replace(resource, strays=resource.strays[1:]))
        return resource
    failures = resource.failures + 1
    jobs.rest(tx, resource, dataclasses.replace(resource, failures=failures), rules.backoff_s(failures))
    return None


def _revoked(
    tx: Transaction, worker: Worker, job: jobs.Job, answer: contract.Step | contract.Verdict, resource: model.Resource
) -> model.Resource | None:
    """The verdict on an attempt whose answer was lost."""
    if job.attempt is None:
        raise ValueError("nothing was revoked")
    if isinstance(answer, Waiting):
        return _held_open(tx, worker, job, answer, resource)
    if not isinstance(answer, Revoked | Landed):
        raise TypeError(f"{answer!r} is no verdict")
    outcome = Outcome.LANDED if isinstance(answer, Landed) else Outcome.REVOKED
    _close(tx, job, resource, outcome, cloud_id=answer.facts.cloud_id)
    return resource if job.attempt.action == model.CLEAN else provisioners.store_facts(tx, resource, answer.facts)


def _held_open(tx: Transaction, worker: Worker, job: jobs.Job, answer: Waiting, resource: model.Resource) -> model.Resource | None:
    """Not settled yet.  Without a revocable ticket absence closes a create only if its sender is done and the cloud's bound has passed."""
    attempt, driver = job.attempt, job.cloud.driver
    if attempt is None:
        raise ValueError("nothing is held open")
    current = provisioners.open_attempt_of(tx, resource.id) or attempt
    if attempt.verb is contract.Verb.ADVANCE and not driver.revocable:
        if rules.closes_on_absence(current, driver.bounds.late_s, tx.now()):
            _close(tx, job, resource, Outcome.ABSENT)
            return resource
        ours_and_over = current.worker_id == worker.id and worker.alone
        if current.returned_at is None and (ours_and_over or provisioners.sender_known_dead(tx, current, worker.here)):
            provisioners.sender_returned(tx, current.id)
    jobs.rest(tx, resource, resource, min(max(answer.again_in_s, 1), HOLD_AGAIN_S))
    return None


def _seen(tx: Transaction, job: jobs.Job, answer: call.Seen, resource: model.Resource) -> model.Resource:
    """A second look at what a sweep missed."""
    guests = {item.facts.cloud_id: item.facts for item in answer.items if item.kind != contract.TICKET}
    facts = guests.get(job.resource.facts.cloud_id)
    looked = dataclasses.replace(resource, look=False)
    if resource.ended:
        return provisioners.store(tx, resource, looked)
    if facts is None:
        return provisioners.store(tx, resource, looked) if resource.state is State.LOST else ending.lost(tx, looked)
    if resource.state is State.LOST:
        return ending.found_again(tx, looked, facts)
    return drifted(tx, looked, facts)


def drifted(tx: Transaction, resource: model.Resource, facts: contract.Facts) -> model.Resource:
    """The cloud shows it otherwise than the row: store it, and say so to metering if it runs or stands still otherwise, or if its own
    autoscaler chose another number of replicas."""
    if resource.state is State.LOST:
        return ending.found_again(tx, resource, facts)
    changed = changes.learnt(resource, facts, tx.now())
    if (
        resource.built
        and facts.state is not resource.facts.state
        and facts.state in (contract.State.RUNNING, contract.State.STOPPED)
    ):
        changed = ending.drifted(tx, changed)
    elif _rescaled(resource, facts):
        changed = ending.rescaled(tx, changed)
    return provisioners.store(tx, resource, changed)


def _rescaled(resource: model.Resource, facts: contract.Facts) -> bool:
    """Whether the cloud chose another number of replicas, as it may within the bounds: more or less is used, nothing is to be mended."""
    return (
        resource.built
        and replicas.autoscaled(resource.spec)
        and facts.state in (contract.State.RUNNING, contract.State.STOPPED)
        and dict(facts.amounts) != dict(resource.facts.amounts)
    )


def _close(
    tx: Transaction, job: jobs.Job, resource: model.Resource, outcome: Outcome, *, cloud_id: str = "", detail: str = ""
) -> None:
    if job.attempt is not None:
        provisioners.close_attempt(tx, job.attempt, resource.fence, outcome=outcome, cloud_id=cloud_id, detail=detail)
