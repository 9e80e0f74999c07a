"""What happens to a resource, as pure changes of its row: wanted, changed, deleted, learnt, ended.

Each takes the row as it stands and gives the row as it will stand; `service` reads and writes.  Between `rules` (what to do next) and `records`.
"""

import dataclasses
import datetime
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from provisioners import contract, faults, lease, model, rules
from provisioners.model import Desired, Resource, State


def born(wanted: model.WantedResource, now: datetime.datetime) -> Resource:
    """The row of a resource that nothing was done for yet."""
    return Resource(
        id=wanted.resource_id, kind=wanted.kind, name=wanted.name, tenant_id=wanted.tenant_id, tenant=wanted.tenant,
        project_id=wanted.project_id, project=wanted.project, pool_id=wanted.pool_id, pool=wanted.pool, zone=wanted.zone,
        service_class=wanted.service_class, amounts=dict(wanted.amounts), spec=dict(wanted.spec), labels=dict(wanted.labels),
        protected=wanted.protected, desired=Desired.UP, power=contract.State.RUNNING, action="create", generation=1,
        observed_generation=0, before=None, order_id=wanted.order_id, superseded=(), failing=False, state=State.CREATING, reason=None,
        facts=contract.Facts(), facts_at=None, built=False,
        limited=False, disputed=False, strays=(), look=False, fence=model.Fence(epoch=0, n=0),
        leased_by="", leased_until_at=None, next_at=now, failures=0, attempts_made=0, usage_sequence=0, usage_at=None,
        bin_until_at=None, created_at=now, state_since_at=now, ended_at=None,
        end_at=wanted.end_at, end_told_at=now, end_due_at=None if wanted.end_at is None else now,
    )  # fmt: skip


def condemned(item: model.Item, *, tenant_id: str, tenant: str, now: datetime.datetime) -> Resource:
    """The row of something in a cloud that a person wants removed and that no row is known for."""
    made = born(
        model.WantedResource(
            resource_id=item.resource_id or f"{item.cloud_id}.item",
            kind=item.kind if item.kind in rules.ACTIONS else contract.VOLUME,
            name=item.cloud_id,
            tenant_id=tenant_id,
            tenant=tenant,
            project_id="",
            project="",
            pool_id=item.pool_id,
            pool=item.pool,
            zone="",
            service_class="",
            amounts={},
        ),
        now,
    )
    facts = item.facts
    return restated(
        dataclasses.replace(made, desired=Desired.DOWN, action="delete", facts=facts, facts_at=now, attempts_made=1), now
    )


def changed(
    resource: Resource,
    action: str,
    *,
    spec: Mapping[str, Any],
    amounts: Mapping[str, int] | None,
    surge: Mapping[str, int] = MappingProxyType({}),
    order_id: str,
    now: datetime.datetime,
) -> Resource:
    """Another size, number, image or power is wanted; `surge` is what it holds on top while its replicas are replaced.

    Raises resource.action_unknown, resource.busy, resource.state.
    """
    known = rules.ACTIONS[resource.kind]
    if action not in known:
        raise faults.ACTION_UNKNOWN(kind=resource.kind, action=action, known=", ".join(sorted(known)))
    _at_rest(resource, action)
    if resource.desired is not Desired.UP or resource.state is State.LOST:
        raise faults.STATE(name=resource.name, state=str(resource.state), action=action, needed="running, stopped")
    if resource.end_reached_at is not None and action != "stop":
        raise faults.LEASE_OVER(name=resource.name, resource=resource.id)
    if action == "restart" and resource.state is not State.RUNNING:
        raise faults.STATE(name=resource.name, state=str(resource.state), action=action, needed="running")
    return _next(
        dataclasses.replace(
            resource,
            before=_before(resource, surge),
            amounts=dict(resource.amounts if amounts is None else amounts),
            limited=not surge and (amounts is None or dict(amounts) == dict(resource.amounts)),
            spec=dict(resource.spec) | dict(spec),
            power=rules.power_after(resource, action),
        ),
        action,
        order_id,
        now,
    )


def deleted(resource: Resource, *, bin_until: datetime.datetime | None, order_id: str, now: datetime.datetime) -> Resource:
    """Nobody wants it any more: into the bin until `bin_until`, or out at once.  What was never delivered has nothing to keep.

    Raises resource.protected; resource.state when it is leaving already; resource.busy for one that would go into the bin in the middle
    of a change.  A create, or a change of what goes out at once, is overtaken.
    """
    if resource.protected:
        raise faults.PROTECTED(name=resource.name)
    if resource.ended or resource.desired is Desired.DOWN or (resource.desired is Desired.BIN and bin_until is not None):
        raise faults.STATE(name=resource.name, state=str(resource.state), action="delete", needed="creating, running, stopped")
    keep = bin_until is not None and resource.built and resource.state is not State.LOST
    if keep:
        _at_rest(resource, "delete")
    overtaken = (resource.order_id,) if resource.pending and resource.order_id else ()
    before = resource.before or _before(resource)
    return _next(
        dataclasses.replace(
            resource,
            desired=Desired.BIN if keep else Desired.DOWN,
            power=contract.State.STOPPED if keep else resource.power,
            bin_until_at=bin_until if keep else None,
            before=before if keep or resource.before is not None else None,
            superseded=(*resource.superseded, *overtaken),
            failures=0,
        ),
        "delete",
        order_id,
        now,
    )


def relabelled(resource: Resource, *, protected: bool, labels: Mapping[str, str]) -> Resource:
    """Other labels, or another protection: a new generation, so that nobody overwrites it unseen, and no change for its cloud.

    What rests goes on resting, what is under way stays so: the change keeps the generation that it was given (`rules.change_generation`).
    """
    if (protected, dict(labels)) == (resource.protected, dict(resource.labels)):
        return resource
    return dataclasses.replace(
        resource,
        protected=protected,
        labels=dict(labels),
        generation=resource.generation + 1,
        observed_generation=resource.observed_generation + (not resource.pending),
    )


def undeleted(resource: Resource, *, order_id: str, now: datetime.datetime) -> Resource:
    """Out of the bin, with the power that it had.  If its lease had ended, the grace begins anew.  Raises resource.state, resource.busy."""
    if resource.state is not State.BIN:
        raise faults.STATE(name=resource.name, state=str(resource.state), action="undelete", needed="bin")
    power = contract.State.RUNNING if resource.before is None else resource.before.power
    return _next(
        dataclasses.replace(
            resource,
            desired=Desired.UP,
            power=power,
            bin_until_at=None,
            before=None,
            end_due_at=None if resource.end_at is None else now,
            end_reached_at=None if resource.end_reached_at is None else now,
        ),
        "undelete",
        order_id,
        now,
    )


def extended(resource: Resource, end_at: datetime.datetime | None, *, order_id: str, now: datetime.datetime) -> Resource:
    """Its lease ends at another moment, or never (None): a new generation.  What its end had stopped is started again, which takes time;

    else nothing changes for its cloud, and a change under way goes on.  Raises lease.in_bin, resource.state, resource.busy for one that
    its end is just stopping.
    """
    if resource.state is State.BIN:
        raise faults.LEASE_IN_BIN(name=resource.name, noun=model.NOUNS[resource.kind])
    if resource.ended or resource.desired is not Desired.UP:
        raise faults.STATE(name=resource.name, state=str(resource.state), action="extend", needed="running, stopped")
    if resource.end_reached_at is not None:
        _at_rest(resource, "extend")
    dated = dataclasses.replace(
        resource, end_at=end_at, end_told_at=now, end_due_at=None if end_at is None else now, end_reached_at=None, end_power=None
    )
    stopped = resource.power is contract.State.STOPPED and resource.state is not State.LOST
    if resource.end_power is contract.State.RUNNING and stopped:
        return changed(dated, "start", spec={}, amounts=None, order_id=order_id, now=now)
    return dataclasses.replace(
        dated,
        generation=resource.generation + 1,
        observed_generation=resource.observed_generation + (not resource.pending),
    )


def lease_over(resource: Resource, now: datetime.datetime) -> Resource:
    """Its lease ended at `now`: what can be stopped is being stopped, and the grace begins."""
    power = contract.State.RUNNING if lease.stops(resource) else None
    over = changed(resource, "stop", spec={}, amounts=None, order_id="", now=now) if power else resource
    return dataclasses.replace(over, end_reached_at=now, end_power=power)


def handed_over(resource: Resource, *, tenant_id: str, tenant: str, project_id: str, project: str) -> Resource:
    """It belongs to another tenant and project; the cloud keeps it where it is.  One that comes home has no other home any more."""
    home = (resource.cloud_tenant_id, resource.cloud_tenant, resource.cloud_project)
    at_home = home == (tenant_id, tenant, project)
    return dataclasses.replace(
        resource,
        tenant_id=tenant_id,
        tenant=tenant,
        project_id=project_id,
        project=project,
        home_tenant_id=None if at_home else home[0],
        home_tenant=None if at_home else home[1],
        home_project=None if at_home else home[2],
    )


def expired(resource: Resource, now: datetime.datetime) -> Resource:
    """Its time in the bin is over.  No order asked for that, but one may still wait for it to come to rest in the bin."""
    return _next(dataclasses.replace(resource, desired=Desired.DOWN, bin_until_at=None), "delete", resource.order_id, now)


def refused(resource: Resource, reason: model.Reason, now: datetime.datetime) -> Resource:
    """Its create cannot succeed: what there is of it is removed, then it ends as failed."""
    return restated(dataclasses.replace(resource, desired=Desired.DOWN, failing=True, reason=reason, next_at=now, failures=0), now)


def learnt(resource: Resource, facts: contract.Facts, now: datetime.datetime) -> Resource:
    """What the cloud said of it."""
    return restated(dataclasses.replace(resource, facts=facts, facts_at=now, failures=0, look=False), now)


def confirmed(resource: Resource, now: datetime.datetime) -> Resource:
    """The change under way came to its end as wanted.  What the bin needs to go back is kept."""
    return restated(
        dataclasses.replace(
            resource,
            built=True,
            observed_generation=resource.generation,
            before=resource.before if resource.desired is Desired.BIN else None,
            order_id="",
            reason=None,
            failures=0,
        ),
        now,
    )


def given_up(resource: Resource, reason: model.Reason, now: datetime.datetime) -> Resource:
    """The change under way was refused for good: what was wanted before holds again."""
    return restated(
        dataclasses.replace(
            _fallen_back(resource), observed_generation=resource.generation, order_id="", reason=reason, failures=0
        ),
        now,
    )


def lost(resource: Resource, now: datetime.datetime) -> Resource:
    """The cloud no longer shows it.  The facts stay, so that a sweep can find it again; a change under way will not come about."""
    return dataclasses.replace(
        _fallen_back(resource) if resource.pending else resource,
        state=State.LOST,
        state_since_at=now,
        look=False,
        facts_at=now,
        observed_generation=resource.generation,
        order_id="",
    )


def found_again(resource: Resource, facts: contract.Facts, now: datetime.datetime) -> Resource:
    """A lost one shows up."""
    return learnt(dataclasses.replace(resource, state=State.CHANGING), facts, now)


def ended(resource: Resource, state: State, now: datetime.datetime) -> Resource:
    """Nothing is held for it any more."""
    facts = resource.facts if state is State.WRITTEN_OFF else contract.Facts()
    return dataclasses.replace(
        resource, desired=Desired.DOWN, state=state, state_since_at=now, ended_at=now, facts=facts, facts_at=now, look=False,
        observed_generation=resource.generation, before=None, bin_until_at=None, order_id="", superseded=(), failures=0, end_due_at=None,
    )  # fmt: skip


def released(resource: Resource, next_at: datetime.datetime | None) -> Resource:
    """The holder gives the row back; the next one takes it at `next_at`."""
    return dataclasses.replace(resource, leased_by="", leased_until_at=None, next_at=next_at)


def restated(resource: Resource, now: datetime.datetime) -> Resource:
    """With the state that its other columns amount to."""
    state = rules.visible(resource)
    return resource if state is resource.state else dataclasses.replace(resource, state=state, state_since_at=now)


def _next(resource: Resource, action: str, order_id: str, now: datetime.datetime) -> Resource:
    return restated(
        dataclasses.replace(
            resource, action=action, order_id=order_id, generation=resource.generation + 1, next_at=now, reason=None
        ),
        now,
    )


def _before(resource: Resource, surge: Mapping[str, int] = MappingProxyType({})) -> model.Before:
    """What holds now, for the change that gets the next generation."""
    return model.Before(
        amounts=resource.amounts,
        spec=resource.spec,
        power=resource.power,
        surge=dict(surge),
        generation=resource.generation + 1,
    )


def _fallen_back(resource: Resource) -> Resource:
    """With what was wanted before the change under way; out of the bin, if it was on its way there."""
    before = resource.before
    if before is None or resource.desired is Desired.DOWN:
        return resource
    return dataclasses.replace(
        resource, desired=Desired.UP, bin_until_at=None, amounts=before.amounts, spec=before.spec, power=before.power, before=None
    )


def _at_rest(resource: Resource, action: str) -> None:
    if resource.pending and not resource.ended:
        raise faults.BUSY(name=resource.name, state=str(resource.state), action=resource.action)
    if resource.ended:
        raise faults.STATE(name=resource.name, state=str(resource.state), action=action, needed="running, stopped")
