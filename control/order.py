"""Orders: submit, decide, end.  Where units, room, price and resource-to-be meet in one transaction (DESIGN 2, first flow).

Submitting reserves everything at once.  Where a rule asks for an approval the order waits, with name, quota and room held, until its
deadline; approval makes the resource rows in its own transaction, anything else releases.  What happens after the commit is the reconciler's.
"""

import dataclasses
import datetime
from collections.abc import Mapping, Sequence

from audit import model as audit_model
from audit import service as audit
from control import access, budget, case, encumbrance, lease, move, notice, order_view, plan, reservation, settings, shrink
from orders import faults as orders_faults
from orders import model, rules
from orders import service as orders
from pools import choice as pools_choice
from pools import service as pools
from primitives import clock, ids
from provisioners import faults as provisioners_faults
from provisioners import lease as provisioners_lease
from provisioners import model as provisioners_model
from provisioners import service as provisioners
from store import installation
from store.transaction import Transaction
from tenants import model as tenants_model
from tenants import service as tenants


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class OrderWish:
    """An order as it was submitted."""

    tenant: str
    project: str
    lines: Sequence[reservation.LineWish]
    reason: str = ""
    document_no: str = ""
    to: str = ""  # of a move: TENANT or TENANT/PROJECT
    dry_run: bool = False

    @property
    def moves(self) -> bool:
        """Whether it moves something to another tenant or project."""
        return bool(self.to) or any(line.action == move.ACTION for line in self.lines)


def submit(wish: OrderWish, *, bin_days: int, protection_rule: str = settings.PROTECTION_RULE) -> case.UseCase:
    """Submit an order; what it deletes lies in the recycle bin for `bin_days`; a refusal for the protection level cites `protection_rule`.

    Refused whole (quota.exceeded, pool.full, price.missing ...) or accepted whole.
    """

    def permit(tx: Transaction, who: tenants_model.Principal) -> tenants_model.Permit:
        return shrink.permit(tx, who, wish.tenant, wish.lines)

    def effect(tx: Transaction, who: tenants_model.Principal, allowed: tenants_model.Permit) -> case.Answer:
        tenant = tenants.by_code(tx, wish.tenant)
        ground = reservation.Ground(
            tenant=tenant,
            project=tenants.project(tx, tenant.id, wish.project),
            at=tx.now(),
            bin_days=bin_days,
            protection_rule=protection_rule,
        )
        where = move.taking(tx, ground, wish.lines, wish.to) if wish.moves else None
        try:
            lines = reservation.hold(tx, ground, wish.lines) if where is None else move.planned(tx, ground, wish.lines, where)
            shrink.refuse_growth(allowed, lines)
            order = orders.submit(tx, _order(tx, ground, wish, who, lines, taker=where.taker if where else None), lines)
            if where is not None:
                move.hold(tx, order, lines)
        except encumbrance.REFUSALS as refused:
            raise encumbrance.seen_by(tx, who, refused) from refused
        if order.state is model.State.DELIVERING:
            order, lines = _deliver(tx, order, lines)
        else:
            _tell(tx, order, "order.waiting")
        body = order_view.new_document(tx, order, lines, who)
        if wish.dry_run and where is None:
            body["status"]["quota_after"] = order_view.quota_after(tx, tenant.id, lines)
            body["status"]["budget_after"] = budget.after_order(tx, who, tenant.id)
        return case.Answer(
            status=202,
            body=body,
            kind="order",
            object_id=order.id,
            generation=order.generation,
            tenant_id=tenant.id,
            after=body,
            parts=move.trail(order, lines, who, allowed, "order.submit") if where else (),
        )

    return case.UseCase(action="order.submit", permit=permit, effect=effect, dry_run=wish.dry_run)


def decide(
    reference: str, verdict: model.Verdict, *, reason: str, document_no: str = "", protection_rule: str = settings.PROTECTION_RULE
) -> case.UseCase:
    """Approve, refuse or withdraw a waiting order.  Requester and approver are different persons; withdrawing needs no second one."""
    verb = {model.Verdict.APPROVED: "approve", model.Verdict.REFUSED: "refuse", model.Verdict.WITHDRAWN: "withdraw"}[verdict]

    def permit(tx: Transaction, who: tenants_model.Principal) -> tenants_model.Permit:
        order = _visible(tx, who, reference)
        if order.taker_id is not None and verdict is not model.Verdict.WITHDRAWN:
            return move.decider(tx, who, verb, order)
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
        if verdict is not model.Verdict.APPROVED:
            _give_back(tx, order, lines)
        elif order.taker_id is not None:
            order = move.carry_out(tx, order, lines)
        else:
            _refuse_moved(tx, order, lines)
            _refuse_past(tx, order, lines)
            _refuse_lower(tx, order, lines, protection_rule)
            order, lines = _deliver(tx, order, lines)
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
            parts=move.trail(order, lines, who, allowed, f"order.{verb}") if order.taker_id else (),
        )

    return case.UseCase(action=f"order.{verb}", permit=permit, effect=effect)


def end_overdue(tx: Transaction) -> list[str]:
    """A scheduled job's use case: waiting orders past their deadline end and give everything back.  Returns their ids."""
    ended: list[str] = []
    if not installation.get(tx).accepted:  # the approval may be what a restore lost
        return ended
    for order in orders.overdue(tx):
        if orders.end_overdue(tx, order):
            lines = orders.lines(tx, [order.id])[order.id]
            _give_back(tx, order, lines)
            end_at = _first_end(lines)
            _tell(tx, order, "order.past" if end_at is not None and end_at <= tx.now() else "order.ended")
            for side in _sides(order):
                line = audit_model.Line(actor="system", action="order.end", tenant_id=side, kind="order", object_id=order.id)
                audit.append(tx, line)
            ended.append(order.id)
    return ended


def _give_back(tx: Transaction, order: model.Order, lines: Sequence[model.Line]) -> None:
    """What a waiting order held is free again."""
    if order.taker_id is not None:
        move.give_back(tx, order)
    else:
        reservation.give_back(tx, lines)


def _refuse_moved(tx: Transaction, order: model.Order, lines: Sequence[model.Line]) -> None:
    """While the order waited something may have been moved to another tenant: it is not this one's to change any more."""
    rows = provisioners.get_many(tx, [line.resource_id for line in lines if line.action != "create"])
    for row in rows.values():
        if (row.tenant_id, row.project_id) != (order.tenant_id, order.project_id):
            raise provisioners_faults.UNKNOWN(resource=row.name)


def _refuse_past(tx: Transaction, order: model.Order, lines: Sequence[model.Line]) -> None:
    """An end that has passed cannot be agreed to any more; the order ends by itself."""
    end_at = _first_end(lines)
    if end_at is not None and end_at <= tx.now():
        raise orders_faults.PAST(order=order.number, end=provisioners_lease.said(end_at))


def _refuse_lower(tx: Transaction, order: model.Order, lines: Sequence[model.Line], rule: str) -> None:
    """While the order waited its tenant's protection level may have risen, or a pool's fallen: nothing new comes there, nothing grows."""
    tenant = tenants.by_id(tx, order.tenant_id)
    level = pools_choice.Level(tenant=tenant.code, protection_level=tenant.protection_level, rule=rule)
    for line in lines:
        if any(amount > line.spec["before"].get(name, 0) for name, amount in line.spec["amounts"].items()):
            pool = line.spec["pool"] if line.action == "create" else provisioners.get(tx, line.resource_id).pool
            pools.refuse_lower(tx, level, kind=line.kind, pool=pool)


def _first_end(lines: Sequence[model.Line]) -> datetime.datetime | None:
    """The first end that the lines ask for."""
    return min((clock.parse(line.spec["end_at"]) for line in lines if line.spec.get("end_at")), default=None)


def _order(
    tx: Transaction,
    ground: reservation.Ground,
    wish: OrderWish,
    who: tenants_model.Principal,
    lines: Sequence[model.Line],
    *,
    taker: tenants_model.Tenant | None = None,
) -> model.Order:
    monthly = sum(int(line.spec["monthly_micro"]) for line in lines)
    side = taker or ground.tenant
    demanding = rules.demanding(orders.rules_at(tx, tenants.path_ids(tx, side.id)), _weight(lines, monthly))
    waits = bool(demanding) or taker is not None
    deadline_h = min((rule.deadline_h for rule in demanding), default=move.DEADLINE_H)
    demands = [f"{move.TAKER}:{taker.code}"] if taker else []
    return model.Order(
        id=ids.new("ord"),
        number=0,
        tenant_id=ground.tenant.id,
        project_id=ground.project.id,
        state=model.State.WAITING_FOR_APPROVAL if waits else model.State.DELIVERING,
        account_id=who.account_id,
        person_id=who.person_id,
        reason=wish.reason,
        document_no=wish.document_no,
        monthly_micro=monthly,
        approval=(*demands, *(rule.name for rule in demanding)),
        submitted_at=ground.at,
        decide_by=min(filter(None, (ground.at + datetime.timedelta(hours=deadline_h), _first_end(lines)))) if waits else None,
        ended_at=None,
        generation=1,
        taker_id=taker.id if taker else None,
    )


def _weight(lines: Sequence[model.Line], monthly_micro: int) -> model.Weight:
    """What the lines add: the difference of a resize, all of what an extension keeps longer, nothing of what it ends sooner."""
    lines = [line for line in lines if line.action != reservation.EXTEND or reservation.longer(line)]
    added = [
        {name: max(0, amount - _before(line).get(name, 0)) for name, amount in line.spec["amounts"].items()}
        for line in lines
        if line.action not in rules.FREE_OF_APPROVAL
    ]
    return model.Weight(
        actions=frozenset(line.action for line in lines),
        kinds=frozenset(line.kind for line in lines),
        service_classes=frozenset(str(line.spec.get("service_class", "")) for line in lines) - {""},
        monthly_micro=monthly_micro + sum(int(line.spec.get("kept_micro", 0)) for line in lines),
        amounts=plan.total(added),
    )


def _before(line: model.Line) -> Mapping[str, int]:
    return {} if line.action == reservation.EXTEND else line.spec["before"]


def _deliver(tx: Transaction, order: model.Order, lines: list[model.Line]) -> tuple[model.Order, list[model.Line]]:
    """Hand each line to the reconciler, which settles it when it is done; an extension is done here.  The order as it stands then."""
    provisioners.want(tx, *[_wanted(tx, order, line) for line in lines if line.action == "create"])
    for line in lines:
        if line.action == reservation.EXTEND:
            lease.extend(tx, order.id, line)
        elif line.action != "create":
            _hand_over(tx, order, line)
    if all(line.action != reservation.EXTEND for line in lines):
        return order, lines
    return order_view.again(tx, order)


def _wanted(tx: Transaction, order: model.Order, line: model.Line) -> provisioners_model.WantedResource:
    spec = line.spec
    return provisioners_model.WantedResource(
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
        end_at=clock.parse(spec["end_at"]) if spec.get("end_at") else None,
    )


def _hand_over(tx: Transaction, order: model.Order, line: model.Line) -> None:
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
            surge=line.spec.get("surge", {}),
        )


def _visible(tx: Transaction, who: tenants_model.Principal, reference: str) -> model.Order:
    return order_view.visible(tx, who, reference)


def _tell(tx: Transaction, order: model.Order, code: str, **values: str) -> None:
    facts = {"order": str(order.number), **values}
    for side in _sides(order)[-1:] if code == "order.waiting" else _sides(order):
        notice.tell(tx, tenant_id=side, code=code, values=facts, object_id=order.id)


def _sides(order: model.Order) -> list[str]:
    """The tenants that an order concerns: its own, and of a move the taker."""
    return list(dict.fromkeys(filter(None, (order.tenant_id, order.taker_id))))
