"""How a change comes to its end: quota, room, usage event, order line, notice and trail, all in the one transaction of the row."""

import dataclasses
import datetime
from collections.abc import Mapping, Sequence
from typing import Final

from audit import model as audit_model
from audit import service as audit
from control import encumbrance, notice, plan
from metering import model as metering_model
from metering import service as metering
from orders import model as orders_model
from orders import rules as orders_rules
from orders import service as orders
from pools import service as pools
from primitives import canonical, clock
from provisioners import changes, contract, model, replicas
from provisioners import service as provisioners
from provisioners.model import State
from quotas import service as quotas
from store import installation
from store.transaction import Transaction

ACTOR: Final = "system"
FAILED: Final = notice.declare("resource.failed", en="{name} could not be made: {reason_en}", zh="{name} 未能创建：{reason_zh}")
NOT_CHANGED: Final = notice.declare(
    "resource.not_changed", en="{name}: {action} failed: {reason_en}", zh="{name}：{action} 失败：{reason_zh}"
)
LOST: Final = notice.declare(
    "resource.lost",
    en="{name} is no longer in the cloud, and nobody deleted it through govpool: govpool resource show {name}",
    zh="{name} 已不在云平台中，且并非通过本系统删除：govpool resource show {name}",
)
FOUND: Final = notice.declare("resource.found", en="{name}, which was lost, is there again", zh="此前丢失的 {name} 已重新出现")
OVERTAKEN: Final = model.Reason(
    code="resource.overtaken", en="it was deleted before this change came about", zh="该变更完成之前资源已被删除"
)
GIVEN_UP: Final = model.Reason(
    code="resource.written_off",
    en="it was written off: its cloud never answered for it",
    zh="资源已核销：其所在云平台未予确认",
)


def delivered(tx: Transaction, resource: model.Resource) -> model.Resource:
    """The change under way is what the cloud shows: confirm what it holds, say what it uses, settle its order line."""
    _hold(tx, resource, resource.amounts)
    first = not resource.built
    begun = resource.facts.created_at if first else resource.facts.changed_at
    confirmed = used(tx, changes.confirmed(resource, tx.now()), _as_said(begun, tx.now()))
    settle(tx, resource, resource.order_id, orders_model.Outcome.DELIVERED, None)
    trail(tx, confirmed, "resource.deliver" if first else f"resource.{resource.action}")
    return provisioners.store(tx, resource, confirmed)


def given_up(tx: Transaction, resource: model.Resource, reason: model.Reason) -> model.Resource:
    """The change under way was refused for good: what was wanted before holds again, and its quota with it."""
    fallen = dataclasses.replace(changes.given_up(resource, reason, tx.now()), look=True)
    _hold(tx, resource, fallen.amounts)
    settle(tx, resource, resource.order_id, orders_model.Outcome.FAILED, reason)
    _tell(tx, resource, NOT_CHANGED, reason, action=resource.action)
    trail(tx, fallen, f"resource.{resource.action}", reason)
    return provisioners.store(tx, resource, fallen)


def gone(tx: Transaction, resource: model.Resource) -> model.Resource:
    """The cloud confirms absence and every attempt is closed: only now quota and room go back."""
    open_attempt = provisioners.open_attempt_of(tx, resource.id)
    if open_attempt is not None:
        raise model.FencedOutError(f"attempt {open_attempt.id} is open: nothing of {resource.id} can be released")
    return _end(tx, resource, State.FAILED if resource.failing else State.GONE, resource.reason)


def written_off(tx: Transaction, resource: model.Resource) -> model.Resource:
    """Two persons gave it up: what it held goes back although its cloud never confirmed absence."""
    return _end(tx, resource, State.WRITTEN_OFF, GIVEN_UP)


def lost(tx: Transaction, resource: model.Resource) -> model.Resource:
    """The cloud no longer shows it: it is not used any more, its quota stays held until somebody deletes it or it shows up."""
    missing = dataclasses.replace(changes.lost(resource, tx.now()), reason=_reason_of_loss())
    if resource.pending:
        _hold(tx, resource, missing.amounts)
        settle(tx, resource, resource.order_id, orders_model.Outcome.FAILED, _reason_of_loss())
    missing = used(tx, missing, tx.now())
    _tell(tx, resource, LOST, None)
    trail(tx, missing, "resource.lose")
    return provisioners.store(tx, resource, missing)


def found_again(tx: Transaction, resource: model.Resource, facts: contract.Facts) -> model.Resource:
    """A lost one shows up."""
    back = used(tx, dataclasses.replace(changes.found_again(resource, facts, tx.now()), reason=None), tx.now())
    _tell(tx, resource, FOUND, None)
    trail(tx, back, "resource.find")
    return provisioners.store(tx, resource, back)


def drifted(tx: Transaction, resource: model.Resource) -> model.Resource:
    """It runs, or stands still, and nobody asked for that: it is used so since the cloud says."""
    changed = used(tx, resource, _as_said(resource.facts.changed_at, tx.now()))
    trail(tx, changed, "resource.observe")
    return changed


def rescaled(tx: Transaction, resource: model.Resource) -> model.Resource:
    """The cloud chose another number of replicas within the bounds: that many are used since it says.  Quota and room stay at the maximum,
    and no line is trailed: the cloud does what it was told to."""
    return used(tx, resource, _as_said(resource.facts.changed_at, tx.now()))


def used(tx: Transaction, resource: model.Resource, at: datetime.datetime) -> model.Resource:
    """Append the usage event that says the resource's state from `at` on; never before its last one.  The row with the next sequence."""
    return used_each(tx, [resource], at)[0]


def used_each(tx: Transaction, resources: Sequence[model.Resource], at: datetime.datetime) -> list[model.Resource]:
    """The same for several at one moment, appended together."""
    source = f"urn:govpool:{installation.get(tx).id}:reconciler"
    said = [_said(resource, at, source) for resource in resources]
    metering.append(tx, [event for event, _ in said])
    return [after for _, after in said]


def _said(resource: model.Resource, at: datetime.datetime, source: str) -> tuple[metering_model.UsageEvent, model.Resource]:
    """The next event of a resource, and the row that has said it."""
    moment = at if resource.usage_at is None else max(at, resource.usage_at)
    present = resource.before if resource.pending and resource.before else resource  # a change under way is not there yet
    scaled = (
        replicas.autoscaled(present.spec) and not resource.ended
    )  # the cloud chose how many within the bounds: that many are used
    event = metering_model.UsageEvent(
        id=f"{resource.id}.{resource.usage_sequence + 1}",
        source=source,
        subject=resource.id,
        at=moment,
        tenant=resource.tenant,
        project=resource.project,
        kind=resource.kind,
        state=_usage_state(resource),
        amounts=dict(resource.facts.amounts if scaled and resource.facts.amounts else present.amounts),
        sequence=resource.usage_sequence + 1,
        dimensions={
            "pool": resource.pool,
            "zone": resource.facts.zone or resource.zone,
            "class": resource.facts.service_class or resource.service_class,
            "hall": resource.facts.hall,
        },
        labels=dict(resource.labels),
    )
    return event, dataclasses.replace(resource, usage_sequence=resource.usage_sequence + 1, usage_at=moment)


def trail(tx: Transaction, resource: model.Resource, action: str, reason: model.Reason | None = None) -> None:
    """The line of an effect that no person asked for at this moment."""
    audit.append(
        tx,
        audit_model.Line(
            actor=ACTOR,
            action=action,
            outcome=audit_model.Outcome.FAILED if reason else audit_model.Outcome.DONE,
            tenant_id=resource.tenant_id,
            kind="resource",
            object_id=resource.id,
            generation=resource.generation,
            after_digest=canonical.digest({"state": str(resource.state), "amounts": dict(resource.amounts)}),
            code=reason.code if reason else "",
        ),
    )


def _hold(tx: Transaction, resource: model.Resource, amounts: Mapping[str, int]) -> None:
    """Confirm what it holds.  During a change it held the greater of both sizes, and what was added while it was rolled; only then is there
    anything to give back, for a waiting order may hold more for it than the row knows of.
    """
    if resource.before is not None and (resource.before.surge or resource.before.amounts != resource.amounts):
        quotas.change(tx, holder=resource.id, amounts=amounts)
        pools.change(tx, holder=resource.id, amounts=plan.physical(amounts))
        encumbrance.of_size(tx, resource, amounts)
    quotas.confirm(tx, holder=resource.id)
    pools.confirm(tx, holder=resource.id)


def _end(tx: Transaction, resource: model.Resource, state: State, reason: model.Reason | None) -> model.Resource:
    quotas.release(tx, holder=resource.id)
    pools.release(tx, holder=resource.id)
    encumbrance.free(tx, [resource.id], used=bool(resource.usage_sequence))
    ended = changes.ended(resource, state, tx.now())
    if resource.usage_sequence:
        absent = resource.facts.state is contract.State.ABSENT
        ended = used(tx, ended, _as_said(resource.facts.changed_at if absent else "", tx.now()))
    for order_id in resource.superseded:
        settle(tx, resource, order_id, orders_model.Outcome.FAILED, OVERTAKEN)
    gone = state is State.GONE
    outcome = orders_model.Outcome.DELIVERED if gone else orders_model.Outcome.FAILED
    settle(tx, resource, resource.order_id, outcome, None if gone else reason)
    failed = state is State.FAILED
    if failed:
        _tell(tx, resource, FAILED, reason)
    trail(tx, ended, f"resource.{'fail' if failed else 'release'}", reason if failed else None)
    return provisioners.store(tx, resource, ended)


def settle(
    tx: Transaction, resource: model.Resource, order_id: str, outcome: orders_model.Outcome, reason: model.Reason | None
) -> None:
    """End the line of a resource in an order ('' = none), and tell of the order if that ends with it."""
    if not order_id:
        return
    said = "" if reason is None else f"{reason.en} / {reason.zh}"
    order = orders.settle(tx, order_id=order_id, resource_id=resource.id, outcome=outcome, reason=said)
    if order is not None and order.state in orders_rules.ENDED:
        values = {"order": str(order.number), "reason": said}
        notice.tell(tx, tenant_id=resource.tenant_id, code=f"order.{order.state}", values=values, object_id=order.id)


def _tell(tx: Transaction, resource: model.Resource, code: str, reason: model.Reason | None, **more: str) -> None:
    values: Mapping[str, str] = {
        "name": resource.name,
        "reason_en": reason.en if reason else "",
        "reason_zh": reason.zh if reason else "",
    }
    notice.tell(tx, tenant_id=resource.tenant_id, code=code, values={**values, **more}, object_id=resource.id)


def _usage_state(resource: model.Resource) -> metering_model.State:
    if resource.ended or resource.state is State.LOST:
        return metering_model.State.DELETED
    stopped = resource.facts.state is contract.State.STOPPED
    return metering_model.State.STOPPED if stopped else metering_model.State.RUNNING


def _as_said(said: str, now: datetime.datetime) -> datetime.datetime:
    """When the cloud says it came about, '' = now; the cloud's clock may be ahead of ours, but nothing comes about in the future."""
    return min(clock.parse(said), now) if said else now


def _reason_of_loss() -> model.Reason:
    return model.Reason(
        code="cloud.vanished",
        en="it was deleted in the cloud, not through govpool",
        zh="该资源已在云平台侧被删除，并非通过本系统操作",
    )
