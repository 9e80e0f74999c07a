"""Orders: submit, decide, end.  Where units, room, price and resource-to-be meet in one transaction (DESIGN 2, first flow).

Submitting reserves everything at once.  Where a rule asks for an approval the order waits, with name, quota and room held, until its
deadline; approval makes the resource rows in its own transaction, anything else releases.  What happens after the commit is the reconciler's.
"""

import dataclasses
import datetime
from collections.abc import Mapping, Sequence
from typing import Any, Final

from audit import model as audit_model
from audit import service as audit
from control import access, case, notice, order_view, plan
from metering import service as metering
from orders import model, rules
from orders import service as orders
from pools import service as pools
from primitives import errors, ids
from provisioners import faults as provisioners_faults
from provisioners import model as provisioners_model
from provisioners import service as provisioners
from quotas import service as quotas
from store.transaction import Transaction
from templates import catalog
from tenants import model as tenants_model
from tenants import service as tenants

LINES_MAX: Final = 100
"""Resources that one order may touch."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class LineWish:
    """One line as the requester wrote it."""

    action: str
    kind: str
    resource: str = ""  # id or name of an existing resource; '' for create
    count: int = 1
    zone: str = ""
    service_class: str = ""
    pool: str = ""
    labels: Mapping[str, str] = dataclasses.field(default_factory=dict)
    protected: bool = False
    purge: bool = False  # a delete that passes the recycle bin by
    wish: plan.Wish = dataclasses.field(default_factory=plan.Wish)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class OrderWish:
    """An order as it was submitted."""

    tenant: str
    project: str
    lines: Sequence[LineWish]
    reason: str = ""
    document_no: str = ""
    dry_run: bool = False


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class _Ground:
    """Where the order stands: resolved once."""

    tenant: tenants_model.Tenant
    project: tenants_model.Project
    at: datetime.datetime
    bin_days: int


def submit(wish: OrderWish, *, bin_days: int) -> case.UseCase:
    """Submit an order; what it deletes lies in the recycle bin for `bin_days`.

    Refused whole (quota.exceeded, pool.full, price.missing ...) or accepted whole.
    """

    def permit(tx: Transaction, who: tenants_model.Principal) -> tenants_model.Permit:
        return access.tenant(tx, who, wish.tenant, "submit", "order")[1]

    def effect(tx: Transaction, who: tenants_model.Principal, allowed: tenants_model.Permit) -> case.Answer:
        tenant = tenants.by_code(tx, wish.tenant)
        ground = _Ground(tenant=tenant, project=tenants.project(tx, tenant.id, wish.project), at=tx.now(), bin_days=bin_days)
        lines = [line for each in wish.lines for line in _held(tx, ground, each)]
        if len(lines) > LINES_MAX:
            raise errors.INVALID(field="lines", reason=f"{len(lines)} resources in one order; at most {LINES_MAX}")
        numbered = [dataclasses.replace(line, position=position) for position, line in enumerate(lines, 1)]
        order = orders.submit(tx, _order(tx, ground, wish, who, numbered), numbered)
        if order.state is model.State.DELIVERING:
            order = _deliver(tx, order, numbered)
        else:
            _tell(tx, order, "order.waiting")
        body = order_view.document(tx, order)
        if wish.dry_run:
            body["status"]["quota_after"] = order_view.quota_after(tx, tenant.id, numbered)
        return case.Answer(
            status=202, body=body, kind="order", object_id=order.id, generation=order.generation, tenant_id=tenant.id, after=body
        )

    return case.UseCase(action="order.submit", permit=permit, effect=effect, dry_run=wish.dry_run)


def decide(reference: str, verdict: model.Verdict, *, reason: str, document_no: str = "") -> case.UseCase:
    """Approve, refuse or withdraw a waiting order.  Requester and approver are different persons; withdrawing needs no second one."""
    verb = {model.Verdict.APPROVED: "approve", model.Verdict.REFUSED: "refuse", model.Verdict.WITHDRAWN: "withdraw"}[verdict]

    def permit(tx: Transaction, who: tenants_model.Principal) -> tenants_model.Permit:
        order = _visible(tx, who, reference)
        return access.require(tx, who, verb, "order", tenant_id=order.tenant_id)

    def effect(tx: Transaction, who: tenants_model.Principal, allowed: tenants_model.Permit) -> case.Answer:
        before = _visible(tx, who, reference)
        decision = model.Decision(
            order_id=before.id,
            verdict=verdict,
            account_id=who.account_id,
            person_id=who.person_id,
            reason=reason,
            document_no=document_no,
            decided_at=tx.now(),
        )
        order = orders.decide(tx, before, decision)
        lines = orders.lines(tx, [order.id])[order.id]
        if verdict is model.Verdict.APPROVED:
            order = _deliver(tx, order, lines)
        else:
            _give_back(tx, lines)
        _tell(tx, order, f"order.{verdict}", reason=reason)
        body = order_view.document(tx, order)
        return case.Answer(
            body=body,
            kind="order",
            object_id=order.id,
            generation=order.generation,
            tenant_id=order.tenant_id,
            before={"state": str(before.state), "generation": before.generation},
            after=body,
        )

    return case.UseCase(action=f"order.{verb}", permit=permit, effect=effect)


def end_overdue(tx: Transaction) -> list[str]:
    """A scheduled job's use case: waiting orders past their deadline end and give everything back.  Returns their ids."""
    ended = []
    for order in orders.overdue(tx):
        if orders.end_overdue(tx, order):
            _give_back(tx, orders.lines(tx, [order.id])[order.id])
            _tell(tx, order, "order.ended")
            line = audit_model.Line(actor="system", action="order.end", tenant_id=order.tenant_id, kind="order", object_id=order.id)
            audit.append(tx, line)
            ended.append(order.id)
    return ended


def _held(tx: Transaction, ground: _Ground, wish: LineWish) -> list[model.Line]:
    """The lines that a wish comes to, with quota and room held for each."""
    known = plan.ACTIONS.get(wish.kind)
    if known is None:
        raise errors.INVALID(field="kind", reason=f"{wish.kind!r} is none of {', '.join(plan.ACTIONS)}")
    if wish.action not in known:
        raise provisioners_faults.ACTION_UNKNOWN(kind=wish.kind, action=wish.action, known=", ".join(known))
    if wish.action == "create":
        return [_held_new(tx, ground, wish, name) for name in plan.numbered(_named(wish), wish.count)]
    return [_held_change(tx, ground, wish)]


def _named(wish: LineWish) -> str:
    if not wish.wish.name:
        raise errors.INVALID(field="name", reason="is needed here")
    return wish.wish.name


def _held_new(tx: Transaction, ground: _Ground, wish: LineWish, name: str) -> model.Line:
    if provisioners.find(tx, project_id=ground.project.id, kind=wish.kind, name=name) is not None:
        raise provisioners_faults.NAME_TAKEN(project=ground.project.code, kind=wish.kind, name=name)
    amounts, spec = plan.created(wish.kind, wish.wish, catalog)
    resource_id = ids.new(plan.PREFIX[wish.kind])
    quotas.reserve(tx, tenant_id=ground.tenant.id, amounts=amounts, holder=resource_id, expires_at=None)
    pool = pools.choose(
        tx,
        kind=wish.kind,
        zone=wish.zone,
        service_class=wish.service_class,
        protection_level=ground.tenant.protection_level,
        amounts=plan.physical(amounts),
        pool=wish.pool,
    )
    pools.hold(
        tx,
        pool_id=pool.pool_id,
        zone=pool.zone,
        service_class=pool.service_class,
        amounts=plan.physical(amounts),
        holder=resource_id,
    )
    price = metering.monthly_price(
        tx,
        tenant_id=ground.tenant.id,
        kind=wish.kind,
        amounts=amounts,
        dimensions={"pool": pool.code, "zone": pool.zone, "class": pool.service_class},
        at=ground.at,
    )
    planned = {
        "amounts": amounts,
        "before": {},
        "driver": spec,
        "pool_id": pool.pool_id,
        "pool": pool.code,
        "zone": pool.zone,
        "service_class": pool.service_class,
        "labels": dict(wish.labels),
        "protected": wish.protected,
        "monthly_micro": price.monthly_micro,
    }
    return model.Line(position=0, action="create", kind=wish.kind, resource_id=resource_id, name=name, spec=planned)


def _held_change(tx: Transaction, ground: _Ground, wish: LineWish) -> model.Line:
    resource = _resource(tx, ground, wish)
    planned: dict[str, Any] = {"amounts": dict(resource.amounts), "before": dict(resource.amounts), "monthly_micro": 0}
    planned["bin_days"] = 0 if wish.purge else ground.bin_days
    if wish.action == plan.CHANGING[wish.kind]:
        amounts, spec = plan.changed(wish.kind, wish.wish, resource.spec, catalog)
        held = {name: max(amounts.get(name, 0), resource.amounts.get(name, 0)) for name in {*amounts, *resource.amounts}}
        quotas.change(tx, holder=resource.id, amounts=held)
        pools.change(tx, holder=resource.id, amounts=plan.physical(held))
        dimensions = {"pool": resource.pool, "zone": resource.zone, "class": resource.service_class}
        price = [
            metering.monthly_price(
                tx, tenant_id=ground.tenant.id, kind=wish.kind, amounts=each, dimensions=dimensions, at=ground.at
            ).monthly_micro
            for each in (amounts, dict(resource.amounts))
        ]
        planned |= {"amounts": amounts, "driver": spec, "monthly_micro": price[0] - price[1]}
    return model.Line(position=0, action=wish.action, kind=wish.kind, resource_id=resource.id, name=resource.name, spec=planned)


def _resource(tx: Transaction, ground: _Ground, wish: LineWish) -> provisioners_model.Resource:
    """The living resource of an id or name in the order's project.  Raises resource.unknown."""
    found: provisioners_model.Resource | None = (
        provisioners.get(tx, wish.resource)
        if ids.kind_of(wish.resource)
        else provisioners.find(tx, project_id=ground.project.id, kind=wish.kind, name=wish.resource)
    )
    if found is None or (found.project_id, found.kind) != (ground.project.id, wish.kind):
        raise provisioners_faults.UNKNOWN(resource=wish.resource)
    return found


def _order(
    tx: Transaction, ground: _Ground, wish: OrderWish, who: tenants_model.Principal, lines: Sequence[model.Line]
) -> model.Order:
    monthly = sum(int(line.spec["monthly_micro"]) for line in lines)
    demanding = rules.demanding(orders.rules_at(tx, tenants.path_ids(tx, ground.tenant.id)), _weight(lines, monthly))
    deadline_h = min((rule.deadline_h for rule in demanding), default=0)
    return model.Order(
        id=ids.new("ord"),
        number=0,
        tenant_id=ground.tenant.id,
        project_id=ground.project.id,
        state=model.State.WAITING_FOR_APPROVAL if demanding else model.State.DELIVERING,
        account_id=who.account_id,
        person_id=who.person_id,
        reason=wish.reason,
        document_no=wish.document_no,
        monthly_micro=monthly,
        approval=tuple(rule.name for rule in demanding),
        submitted_at=ground.at,
        decide_by=ground.at + datetime.timedelta(hours=deadline_h) if demanding else None,
        ended_at=None,
        generation=1,
    )


def _weight(lines: Sequence[model.Line], monthly_micro: int) -> model.Weight:
    added = [
        {name: max(0, amount - line.spec["before"].get(name, 0)) for name, amount in line.spec["amounts"].items()}
        for line in lines
        if line.action not in rules.FREE_OF_APPROVAL
    ]
    return model.Weight(
        actions=frozenset(line.action for line in lines),
        kinds=frozenset(line.kind for line in lines),
        service_classes=frozenset(str(line.spec.get("service_class", "")) for line in lines) - {""},
        monthly_micro=monthly_micro,
        amounts=plan.total(added),
    )


def _deliver(tx: Transaction, order: model.Order, lines: Sequence[model.Line]) -> model.Order:
    """Hand each line to the reconciler; what needs no call is settled at once."""
    for line in lines:
        _hand_over(tx, order, line)
    return orders.by_reference(tx, order.id) or order


def _hand_over(tx: Transaction, order: model.Order, line: model.Line) -> None:
    if line.action == "create":
        spec = line.spec
        provisioners.want(
            tx,
            provisioners_model.WantedResource(
                resource_id=line.resource_id,
                kind=line.kind,
                name=line.name,
                tenant_id=order.tenant_id,
                tenant=tenants.by_id(tx, order.tenant_id).code,
                project_id=order.project_id,
                project=tenants.project_by_id(tx, order.project_id).code,
                order_id=order.id,
                pool_id=spec["pool_id"],
                pool=spec["pool"],
                zone=spec["zone"],
                service_class=spec["service_class"],
                amounts=spec["amounts"],
                spec=spec["driver"],
                labels=spec["labels"],
                protected=spec["protected"],
            ),
        )
        return
    if line.action == "delete":
        provisioners.unwant(tx, resource_id=line.resource_id, bin_days=line.spec["bin_days"], order_id=order.id)
    elif line.action == "undelete":
        provisioners.undelete(tx, resource_id=line.resource_id, order_id=order.id)
    else:
        changed = line.spec["amounts"] if line.action == plan.CHANGING[line.kind] else None
        provisioners.change_wanted(
            tx,
            resource_id=line.resource_id,
            action=line.action,
            order_id=order.id,
            amounts=changed,
            spec=line.spec.get("driver", {}),
        )


def _give_back(tx: Transaction, lines: Sequence[model.Line]) -> None:
    """Release what a waiting order held: nothing was ever sent to a cloud for it."""
    for line in lines:
        if line.action == "create":
            quotas.release(tx, holder=line.resource_id)
            pools.release(tx, holder=line.resource_id)
        elif line.spec["amounts"] != line.spec["before"]:
            quotas.change(tx, holder=line.resource_id, amounts=line.spec["before"])
            pools.change(tx, holder=line.resource_id, amounts=plan.physical(line.spec["before"]))


def _visible(tx: Transaction, who: tenants_model.Principal, reference: str) -> model.Order:
    return order_view.visible(tx, who, reference)


def _tell(tx: Transaction, order: model.Order, code: str, **values: str) -> None:
    facts = {"order": str(order.number), **values}
    notice.tell(tx, tenant_id=order.tenant_id, code=code, values=facts, object_id=order.id)
