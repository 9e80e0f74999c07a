"""Makes the restored rows follow what the clouds recorded: resources, quota, room, orders and use, each finding in one piece.

Use takes the cloud's own moments, so that intervals equal its record.  Quota and room are taken whether it fits or not: what exists, exists.
A killed acceptance asks the clouds once more and finds only what is left.
"""

import dataclasses
import datetime
from collections.abc import Mapping, Sequence
from typing import Any, Final

from audit import model as audit_model
from audit import service as audit
from control import encumbrance, plan
from control.reconciler import ending
from control.recovery import model, rules
from control.recovery.model import Finding, Happened, Moment
from orders import model as orders_model
from orders import service as orders
from pools import service as pools
from primitives import canonical, clock, errors
from provisioners import changes, contract
from provisioners import model as provisioners_model
from provisioners import service as provisioners
from provisioners.model import Desired, Resource, State
from quotas import service as quotas
from store.transaction import Transaction
from templates import catalog
from tenants import model as tenants_model
from tenants import rules as tenants_rules
from tenants import service as tenants
from tenants import tree

RECOVERED: Final = "recovered"
"""Code of the project that takes what a cloud cannot place in one."""
NAME_MAX: Final = 63
_LOST_SIGHT: Final = "a restore lost sight of it / 恢复丢失了其变更记录"
_USABLE: Final = (contract.State.RUNNING, contract.State.STOPPED)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Hand:
    """Who takes over, and everything that is to be taken over."""

    account_id: str
    person_id: str
    role: str
    resource_ids: frozenset[str]
    bin_days: int  # how long the recycle bin keeps something


def settle(tx: Transaction, hand: Hand, finding: Finding) -> None:
    """Take one finding over; one that was settled meanwhile is left alone."""
    story = finding.story
    row = provisioners.get_many(tx, [story.resource_id]).get(story.resource_id)
    if finding.happened is Happened.UNPLACED or (row is not None and row.ended):
        return
    finding = dataclasses.replace(finding, news=rules.news(story, row))  # as the row stands now
    known = row or _born(tx, hand, finding)
    after = _ended(tx, known, finding) if story.facts is None else _living(tx, hand, known, finding, story.facts)
    after = dataclasses.replace(after, disputed=True)  # until the whole state is accepted
    if row is None:
        provisioners.take_in(tx, after)
    else:
        provisioners.store(tx, row, after)
    provisioners.items_leave(
        tx, after.pool_id, sorted({moment.facts.cloud_id for moment in story.moments} | {after.facts.cloud_id})
    )
    if (
        provisioners.told(tx, after.pool_id, after.cloud_tenant_id) is None
    ):  # the cloud was told of the department: the next sweep sets its limits
        provisioners.tell(tx, after.pool_id, after.cloud_tenant_id, cloud_id="", epoch=0, limits={})
    audit.append(tx, _line(hand, finding, row, after))


# -- what nobody knew ----------------------------------------------------------------------------------------------------------------


def _born(tx: Transaction, hand: Hand, finding: Finding) -> Resource:
    """The row of what was ordered in between, or of what waited for an approval at the backup and got it since; not written yet."""
    story = finding.story
    facts = story.facts or story.moments[-1].facts
    owner = tenants.by_code(tx, story.tenant)
    project = _project(tx, owner, story.project)
    ordered = _approved_meanwhile(tx, hand, story.resource_id)
    wanted = provisioners_model.WantedResource(
        resource_id=story.resource_id,
        kind=story.kind,
        name=story.name if story.facts is None else _free_name(tx, project.id, story),
        tenant_id=owner.id,
        tenant=owner.code,
        project_id=project.id,
        project=project.code,
        pool_id=story.pool_id,
        pool=story.pool,
        zone=facts.zone,
        service_class=facts.service_class,
        amounts=rules.counted(facts),
        spec=ordered["driver"] if ordered else _menu(story.kind, story.image) | _size(story.kind, facts),
        labels=dict(story.labels),
        end_at=clock.parse(ordered["end_at"]) if ordered and ordered.get("end_at") else None,
    )
    # a guest is there, so a deletion must go to the cloud: as if the one attempt that made it were known
    return dataclasses.replace(changes.born(wanted, tx.now()), attempts_made=1, created_at=_created_at(finding, facts))


def _project(tx: Transaction, owner: tenants_model.Tenant, code: str) -> tenants_model.Project:
    """The project that the cloud's tag names, made again if it was made in between; without a sound tag a project for all such."""
    try:
        tenants_rules.code(code)
    except errors.GovpoolError:
        code = RECOVERED
    return tree.find_project(tx, owner.id, code) or tree.create_project(tx, owner, code, f"{code} (恢复 recovered)")


def _free_name(tx: Transaction, project_id: str, story: model.Story) -> str:
    """Its own name, unless something that the restored database still wants has it."""
    if provisioners.find(tx, project_id=project_id, kind=story.kind, name=story.name) is None:
        return story.name
    return f"{story.name[: NAME_MAX - 7]}-{story.resource_id[-6:]}"


def _approved_meanwhile(tx: Transaction, hand: Hand, resource_id: str) -> Mapping[str, Any] | None:
    """The plan of a create that waited for its approval at the backup and got it since; its order ends with what came of it."""
    found = orders.waiting_line(tx, resource_id)
    if found is None:
        return None
    order_id, line = found
    orders.approved_meanwhile(tx, order_id)
    for other in orders.lines(tx, [order_id])[order_id]:
        delivered = other.resource_id in hand.resource_ids
        if not delivered and other.action == "create":
            quotas.release(tx, holder=other.resource_id)
            pools.release(tx, holder=other.resource_id)
            encumbrance.free(tx, [other.resource_id], used=False)
        outcome = orders_model.Outcome.DELIVERED if delivered else orders_model.Outcome.FAILED
        orders.settle(
            tx, order_id=order_id, resource_id=other.resource_id, outcome=outcome, reason="" if delivered else _LOST_SIGHT
        )
    return line.spec


# -- what lives ----------------------------------------------------------------------------------------------------------------------


def _living(tx: Transaction, hand: Hand, row: Resource, finding: Finding, facts: contract.Facts) -> Resource:
    known = changes.learnt(_replayed(tx, row, finding, facts), facts, tx.now())
    known = dataclasses.replace(known, attempts_made=max(1, known.attempts_made), next_at=tx.now())
    if facts.state not in _USABLE:  # being built, or given up by the cloud: a worker goes on from here
        _hold(tx, known, rules.counted(facts))
        return known
    if row.desired is Desired.BIN and not rules.taken_back(row, finding.news, facts):
        return dataclasses.replace(known, bin_until_at=tx.now() + datetime.timedelta(days=max(1, hand.bin_days)))
    if row.built and row.pending and not rules.follows_wish(row, finding.news, facts):
        return known  # the change under way at the backup is still to come
    if row.order_id:
        orders.settle(tx, order_id=row.order_id, resource_id=row.id, outcome=orders_model.Outcome.DELIVERED)
    generation = max(row.generation, facts.done_generation)
    followed = dataclasses.replace(
        known,
        desired=Desired.UP,
        bin_until_at=None,
        before=None,
        amounts=rules.counted(facts),
        power=facts.state,
        spec={**row.spec, **_size(row.kind, facts), **_image(row, finding.story.image)},
        generation=generation,
        observed_generation=generation,
        state=State.CHANGING,
        built=True,
        limited=True,
        order_id="",
        reason=None,
    )
    _hold(tx, followed, followed.amounts)
    return changes.restated(followed, tx.now())


def _hold(tx: Transaction, row: Resource, amounts: Mapping[str, int]) -> None:
    """Quota and room for what is there; more while a change of it waits for an approval."""
    waiting = orders.waiting_line(tx, row.id)
    asked = waiting[1].spec["amounts"] if waiting else {}
    held = {name: max(amounts.get(name, 0), asked.get(name, 0)) for name in {*amounts, *asked}}
    quotas.release(tx, holder=row.id)
    quotas.adopt(tx, tenant_id=row.tenant_id, amounts=held, holder=row.id)
    pools.release(tx, holder=row.id)
    pools.adopt(
        tx,
        pool_id=row.pool_id,
        zone=row.zone,
        service_class=row.service_class,
        amounts=plan.physical(held),
        holder=row.id,
    )
    encumbrance.take_in(tx, row, held)


# -- what is gone --------------------------------------------------------------------------------------------------------------------


def _ended(tx: Transaction, row: Resource, finding: Finding) -> Resource:
    known = _replayed(tx, row, finding, None)
    if provisioners.open_attempt_of(tx, row.id) is not None:  # a worker settles it first; until then quota is held
        leaving = dataclasses.replace(known, desired=Desired.DOWN, bin_until_at=None, next_at=tx.now())
        return changes.restated(leaving, tx.now())
    quotas.release(tx, holder=row.id)
    pools.release(tx, holder=row.id)
    encumbrance.free(tx, [row.id], used=True)
    asked = row.action == "delete"
    for order_id, delivered in ((row.order_id, asked), *((one, False) for one in row.superseded)):
        if order_id:
            outcome = orders_model.Outcome.DELIVERED if delivered else orders_model.Outcome.FAILED
            reason = "" if delivered else _LOST_SIGHT
            orders.settle(tx, order_id=order_id, resource_id=row.id, outcome=outcome, reason=reason)
    ended = changes.ended(dataclasses.replace(known, built=True), State.GONE, finding.ended_at)
    return changes.released(ended, None)


# -- use -----------------------------------------------------------------------------------------------------------------------------


def _replayed(tx: Transaction, row: Resource, finding: Finding, now: contract.Facts | None) -> Resource:
    """Append the use that the database does not know, moment by moment, up to `now` (None: gone); the row with its last usage event."""
    if not finding.story.delivered and not row.built:
        return row
    moments = list(finding.news)
    if not moments and not row.usage_sequence and now is not None:  # a cloud without a record
        moments.append(Moment(at=_created_at(finding, now), verb="created", facts=now))
    told = [rules.use(moment.facts) for moment in moments]
    last = told[-1] if told else rules.use(row.facts)
    target = rules.use(now) if now is not None else None
    if target is None and (last is not None and (row.usage_sequence or told)):
        moments.append(Moment(at=finding.ended_at, verb="deleted", facts=contract.Facts(amounts=row.amounts)))
    elif target is not None and target != last and now is not None:
        moments.append(Moment(at=finding.looked_at, verb="observed", facts=now))
    return _used(tx, row, moments)


def _used(tx: Transaction, row: Resource, moments: Sequence[Moment]) -> Resource:
    told: object = ""
    for moment in moments:
        use = rules.use(moment.facts)
        if use == told:
            continue  # built after created, restarted: the same use goes on
        told = use
        then = dataclasses.replace(
            row,
            before=None,  # this is what was there then, whatever was wanted
            amounts=dict(moment.facts.amounts) or row.amounts,
            facts=moment.facts,
            state=State.GONE if use is None else State.RUNNING,
        )
        after = ending.used(tx, then, moment.at)
        row = dataclasses.replace(row, usage_sequence=after.usage_sequence, usage_at=after.usage_at)
    return row


def _created_at(finding: Finding, facts: contract.Facts) -> datetime.datetime:
    if finding.story.moments:
        return finding.story.moments[0].at
    return clock.parse(facts.created_at) if facts.created_at else finding.looked_at


# -- inside --------------------------------------------------------------------------------------------------------------------------


def _menu(kind: str, image: str) -> dict[str, Any]:
    """What the cloud does not tell of an order, empty; of a volume there is no more to say."""
    if kind == contract.VOLUME:
        return {}
    return {"image": image} | ({"key": ""} if kind == contract.VIRTUAL_MACHINE else {"port": 0})


def _size(kind: str, facts: contract.Facts) -> dict[str, Any]:
    """What an order would have said to come to these amounts: the size of the menu that they are, '' if they are none."""
    classes = [name.partition(".")[2] for name in facts.amounts if name.startswith("disk_gib.")]
    disk_class = classes[0] if classes else ""
    if kind == contract.VOLUME:
        return {"disk_class": disk_class}
    number = max(1, facts.replicas) if kind == contract.CONTAINER_APP else 1
    plain = plan.physical(facts.amounts)
    names = [
        name
        for name, size in catalog.sizes().items()
        if plan.physical({one: amount * number for one, amount in size.amounts.items()}) == plain
    ]
    sized: dict[str, Any] = {"size": names[0] if names else ""}
    if kind != contract.CONTAINER_APP:
        return sized | {"disk_class": disk_class}
    bounds = {"min_replicas": facts.min_replicas, "max_replicas": facts.max_replicas}
    return sized | {"replicas": number} | (bounds if facts.max_replicas else {"min_replicas": 0, "max_replicas": 0})


def _image(row: Resource, image: str) -> dict[str, str]:
    """The image of an app, which an update may have changed since."""
    return {"image": image} if image and row.kind == contract.CONTAINER_APP else {}


def _line(hand: Hand, finding: Finding, before: Resource | None, after: Resource) -> audit_model.Line:
    facts = {"happened": str(finding.happened), "cloud_id": finding.story.facts.cloud_id if finding.story.facts else ""}
    return audit_model.Line(
        actor=hand.account_id,
        on_behalf_of=hand.person_id,
        role=hand.role,
        action="resource.recover",
        tenant_id=after.tenant_id,
        kind="resource",
        object_id=after.id,
        generation=after.generation,
        before_digest="" if before is None else _digest(before),
        after_digest=_digest(after),
        facts=facts,
    )


def _digest(row: Resource) -> str:
    return canonical.digest({"state": str(row.state), "amounts": dict(row.amounts), "power": str(row.power)})
