"""What one step of one resource needs: decided, and its attempt opened, in the transaction that still sees the resource so."""

import dataclasses
import datetime
from typing import Final

from control.reconciler import clouds, ending
from provisioners import changes, contract, model, rules
from provisioners import service as provisioners
from provisioners.rules import Step
from store import installation
from store.transaction import Transaction

NO_CLOUD_AGAIN_S: Final = 30
_VERBS: Final = {
    Step.ADVANCE: contract.Verb.ADVANCE,
    Step.ACT: contract.Verb.ACT,
    Step.REMOVE: contract.Verb.REMOVE,
    Step.CLEAN: contract.Verb.REMOVE,
}
NO_CLOUD: Final = model.Reason(
    code="pool.gone",
    en="its pool is no longer there; cloud operations must bring it back or write the resource off",
    zh="其所属资源池已不存在，须由云平台运维人员恢复资源池或核销该资源",
)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One step under one fence.  `attempt` is None where nothing can be changed by the call."""

    step: Step
    resource: model.Resource  # as stored by the transaction that made the job
    attempt: model.Attempt | None
    cloud: clouds.Cloud
    installation: str

    @property
    def wanted(self) -> contract.Wanted:
        """What the driver is told is wanted."""
        return wanted(self.resource, self.installation)

    @property
    def known(self) -> contract.Facts:
        """What the driver is told is known: what the attempt was opened with."""
        return self.resource.facts if self.attempt is None else self.attempt.known

    @property
    def call_attempt(self) -> contract.Attempt:
        """The attempt as the driver sees it."""
        if self.attempt is None:
            raise ValueError(f"{self.step} has no attempt")
        return contract.Attempt(
            id=self.attempt.id,
            verb=self.attempt.verb,
            epoch=self.attempt.epoch,
            n=self.attempt.fence.n,
            number=self.attempt.number,
            resource_id=self.resource.id,
            action=self.attempt.action,
        )


def wanted(resource: model.Resource, installation_id: str) -> contract.Wanted:
    """The row in the words of the contract."""
    return contract.Wanted(
        resource_id=resource.id,
        kind=resource.kind,
        name=resource.name,
        tenant=resource.cloud_tenant,
        project=resource.cloud_project,
        generation=rules.change_generation(resource),
        power=resource.power,
        amounts=resource.amounts,
        spec=resource.spec,
        zone=resource.zone,
        service_class=resource.service_class,
        labels=resource.labels,
        installation=installation_id,
        epoch=resource.fence.epoch,
    )


def begin(tx: Transaction, known: clouds.Clouds, worker_id: str, resource_id: str, fence: model.Fence) -> Job | None:
    """The first step of a freshly leased row.  Raises FencedOutError."""
    return following(tx, known, worker_id, provisioners.held(tx, resource_id, fence))


def following(tx: Transaction, known: clouds.Clouds, worker_id: str, resource: model.Resource) -> Job | None:
    """The next step of a row that this worker holds; None when it rests, and the lease is given back.

    What needs no call (a change that is confirmed by what is known, the end of the time in the bin, a resource for which nothing was ever
    sent) is done here and now.
    """
    while True:
        attempt = provisioners.open_attempt_of(tx, resource.id)
        step = rules.next_step(resource, attempt is not None, tx.now())
        if step is Step.EXPIRE:
            resource = provisioners.store(tx, resource, changes.expired(resource, tx.now()))
        elif step is Step.CONFIRM:
            resource = ending.delivered(tx, resource)
        elif step is Step.RELEASE:
            resource = ending.gone(tx, resource)
        elif step is Step.REST:
            provisioners.store(tx, resource, changes.released(resource, rules.rests_until(resource)))
            return None
        else:
            break
    cloud = known.known(resource.pool_id)
    if cloud is None:
        stated = dataclasses.replace(resource, reason=NO_CLOUD)
        rest(tx, resource, stated, NO_CLOUD_AGAIN_S)
        return None
    return _job(tx, step, resource, attempt, cloud=cloud, worker_id=worker_id)


def rest(tx: Transaction, before: model.Resource, after: model.Resource, again_in_s: int) -> None:
    """Give the lease back and come again later."""
    provisioners.store(tx, before, changes.released(after, tx.now() + datetime.timedelta(seconds=again_in_s)))


def _job(
    tx: Transaction, step: Step, resource: model.Resource, attempt: model.Attempt | None, *, cloud: clouds.Cloud, worker_id: str
) -> Job:
    installed = installation.get(tx).id
    if step in (Step.ADVANCE, Step.ACT) and not resource.limited:
        return Job(step=Step.LIMIT, resource=resource, attempt=None, cloud=cloud, installation=installed)
    if step in _VERBS:
        action = {Step.ACT: rules.cloud_action(resource), Step.CLEAN: model.CLEAN}.get(step, "")
        facts = resource.strays[0] if step is Step.CLEAN else resource.facts
        verb = contract.Verb.ADVANCE if step is Step.CLEAN and not facts.cloud_id else _VERBS[step]
        resource, attempt = provisioners.open_attempt(tx, resource, worker_id=worker_id, verb=verb, action=action, known=facts)
    return Job(step=step, resource=resource, attempt=attempt, cloud=cloud, installation=installed)
