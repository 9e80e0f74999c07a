"""Moving a project, or single resources of one, to another tenant: an order with two signatures (RULES 5, action `move`).

Somebody of the giver asks, an approver of the taker agrees.  While it waits nothing changes for the giver; the taker keeps room in its quota and
the names.  On approval, in one transaction, units, rows and use are the taker's; room in the pools stays where it is.  Anything else gives back.
`control/order.py` carries the order itself.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any, Final

from audit import model as audit_model
from control import access, encumbrance, handover, plan
from control.reservation import Ground, LineWish
from metering import service as metering
from orders import faults as orders_faults
from orders import model
from orders import service as orders
from primitives import errors, ids
from provisioners import faults as provisioners_faults
from provisioners import model as provisioners_model
from provisioners import service as provisioners
from quotas import moves as quota_moves
from quotas.budgets import moves as money_moves
from store.transaction import Transaction
from tenants import faults as tenants_faults
from tenants import model as tenants_model
from tenants import service as tenants
from tenants import tree

ACTION: Final = "move"
PROJECT: Final = "Project"
"""The kind of a line that moves a project with everything in it."""
RESOURCES_MAX: Final = 500
"""Resources of a project that one order moves."""
DEADLINE_H: Final = 24 * 7
"""Hours until a move that nobody decides ends, unless a rule of the taker says less."""
TAKER: Final = "taker"
"""What an order of this kind names as the first demand for an approval."""
GONE: Final = "it ended before the move was approved / 移交批准之前资源已结束"

CHANGED: Final = errors.Fault(
    "move.changed",
    errors.Kind.CONFLICT,
    en="project {project} has changed since order {order} was submitted: {names} came to it",
    zh="申请单 {order} 提交后项目 {project} 已有变化，新增：{names}",
    mend_en="refuse or withdraw it, and submit the move again: govpool order withdraw {order}",
    mend_zh="请驳回或撤回该申请单后重新提交：govpool order withdraw {order}",
)
TAKER_DECIDES: Final = errors.Fault(
    "move.taker_decides",
    errors.Kind.FORBIDDEN,
    en="order {order} moves something to {taker}: an approver there decides it, and you hold no role there",
    zh="申请单 {order} 移交给 {taker}，须由该单位审批人审批，您在该单位没有角色",
    mend_en="whoever asked can withdraw it: govpool order withdraw {order}",
    mend_zh="申请人可撤回：govpool order withdraw {order}",
)
TOO_MANY: Final = errors.Fault(
    "move.too_many",
    errors.Kind.INVALID,
    en="project {project} has more than {limit} resources; one order moves no more",
    zh="项目 {project} 的资源超过 {limit} 个，超出单个申请单上限",
    mend_en="move some of them first, into a project of the taker: govpool resource move ID --to TENANT/PROJECT",
    mend_zh="请先将部分资源移入对方项目：govpool resource move 编号 --to 单位/项目",
)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Taking:
    """Where something goes."""

    taker: tenants_model.Tenant
    project: tenants_model.Project | None  # of single resources: the taker's project; None: the order's own project goes as a whole
    code: str  # of the project at the taker


def taking(tx: Transaction, ground: Ground, wishes: Sequence[LineWish], to: str) -> Taking:
    """Where an order moves to: `to` is TENANT or TENANT/PROJECT.  Raises input.invalid, object.unknown, tenant.state, code.taken."""
    tenant, _, code = to.partition("/")
    whole = any(wish.kind == PROJECT for wish in wishes)
    if not to or any(wish.action != ACTION for wish in wishes) or (whole and len(wishes) > 1):
        reason = "is for lines that move, of single resources or of one project, and these need it"
        raise errors.INVALID(field="to", reason=reason)
    if whole and wishes[0].resource not in ("", ground.project.code, ground.project.id):
        raise errors.INVALID(field="resource", reason=f"the order is of project {ground.project.code}")
    taker = tenants.by_code(tx, tenant)
    code = code or ground.project.code
    if taker.state is not tenants_model.State.ACTIVE:
        raise tenants_faults.STATE(tenant=taker.code, state=str(taker.state), wanted="given resources")
    found = tree.find_project(tx, taker.id, code)
    if found is not None and found.id == ground.project.id:
        raise errors.INVALID(field="to", reason=f"{taker.code}/{code} is where it stands")
    if whole and found is not None:
        raise tenants_faults.CODE_TAKEN(code=code, kind="project")
    if not whole and found is None:
        raise tenants_faults.UNKNOWN(kind="project")
    return Taking(taker=taker, project=found, code=code)


def planned(tx: Transaction, ground: Ground, wishes: Sequence[LineWish], where: Taking) -> list[model.Line]:
    """The lines of a move, in their order; nothing is held yet.  Raises whatever hinders it."""
    rows = _whole(tx, ground) if where.project is None else [_one(tx, ground, wish) for wish in wishes]
    _refuse_hindered(tx, rows, where.taker)
    orders.nothing_speaks_of(tx, [row.id for row in rows])
    if where.project is None:
        _refuse_waiting(tx, ground.project)
    else:
        _refuse_taken(tx, rows, where.project)
    prices = _monthly(tx, ground, rows)
    head = {"to_tenant": where.taker.code, "to_project": where.code, "before": {}}
    lines = []
    if where.project is None:
        held = orders.held_name(where.taker.id, PROJECT, where.code)
        spec = {**head, "amounts": {}, "monthly_micro": 0, "held_name": held}
        lines.append(_line(PROJECT, ground.project.id, ground.project.code, spec))
    for row in rows:
        held = "" if where.project is None else orders.held_name(where.project.id, row.kind, row.name)
        spec = {
            **head,
            "amounts": dict(row.amounts),
            "pool": row.pool,
            "zone": row.zone,
            "service_class": row.service_class,
            "monthly_micro": prices[row.id],
            "held_name": held,
        }
        lines.append(_line(row.kind, row.id, row.name, spec))
    return [dataclasses.replace(line, position=position) for position, line in enumerate(lines, 1)]


def decider(tx: Transaction, who: tenants_model.Principal, verb: str, order: model.Order) -> tenants_model.Permit:
    """The permit of somebody of the taker to decide.  Raises move.taker_decides to whoever sees the order but holds no role there."""
    taker_id = _taker_id(order)
    try:
        return access.require(tx, who, verb, "order", tenant_id=taker_id)
    except errors.GovpoolError as error:
        if error.fault is not tenants_faults.UNKNOWN:
            raise
        raise TAKER_DECIDES(order=order.number, taker=tenants.by_id(tx, taker_id).code) from error


def hold(tx: Transaction, order: model.Order, lines: Sequence[model.Line]) -> None:
    """Keep units and money free at the taker while the order waits.  Raises quota.exceeded, budget.exceeded."""
    holders = [line.resource_id for line in lines if line.kind != PROJECT]
    sides: dict[str, Any] = {"from_id": order.tenant_id, "to_id": _taker_id(order), "holders": holders}
    quota_moves.expect(tx, order_id=order.id, **sides)
    money_moves.expect(tx, order_id=order.id, **sides)


def give_back(tx: Transaction, order: model.Order) -> None:
    """The order will move nothing: the taker's room is free again."""
    quota_moves.forget(tx, order_id=order.id)


def carry_out(tx: Transaction, order: model.Order, lines: Sequence[model.Line]) -> model.Order:
    """The approved move happens now.  What ended meanwhile stays behind.

    Raises resource.busy and the like while something is under way, move.changed, order.waits, quota.exceeded, budget.exceeded: then the order
    goes on waiting.
    """
    taker, project = tenants.by_id(tx, _taker_id(order)), tenants.project_by_id(tx, order.project_id)
    giver = tenants.by_id(tx, order.tenant_id)
    for side, wanted in ((giver, "deprived of resources"), (taker, "given resources")):
        if side.state is not tenants_model.State.ACTIVE:
            raise tenants_faults.STATE(tenant=side.code, state=str(side.state), wanted=wanted)
    known = provisioners.get_many(tx, [line.resource_id for line in lines])
    rows = [row for line in lines if (row := known.get(line.resource_id)) is not None and not row.ended]
    for row in rows:
        if (row.tenant_id, row.project_id) != (order.tenant_id, order.project_id):
            raise provisioners_faults.UNKNOWN(resource=row.id)
    _refuse_hindered(tx, rows, taker)
    orders.nothing_speaks_of(tx, [row.id for row in rows], but=order.id)
    code = str(lines[0].spec["to_project"])
    if lines[0].kind == PROJECT:
        _refuse_changed(tx, order, project, known)
        _refuse_waiting(tx, project, but=order.id)
        target = tree.move_project(tx, project, taker, code)
        handover.pass_on_reported(tx, order.id, giver, taker, {project.code: code})
    else:
        target = tenants.project(tx, taker.id, code)
        _refuse_taken(tx, rows, target)
    holders = [row.id for row in rows]
    money_moves.refuse_short(tx, from_id=order.tenant_id, to_id=taker.id, holders=holders, but=order.id)
    quota_moves.transfer(tx, order_id=order.id, from_id=order.tenant_id, to_id=taker.id, holders=holders)
    encumbrance.move(tx, holders, taker.id, asked=False)
    handover.pass_on(tx, rows, taker, lambda row: (target.id, target.code))
    gone = [line.resource_id for line in lines if line.kind != PROJECT and line.resource_id not in holders]
    return orders.settle_all(tx, order_id=order.id, failed=gone, reason=GONE)


def trail(
    order: model.Order, lines: Sequence[model.Line], who: tenants_model.Principal, rule: tenants_model.Permit, action: str
) -> list[audit_model.Line]:
    """Lines of the trail beside the order's own, so that the ledgers of both sides show it: the taker's, and on approval each resource's at both."""
    said = {"order": str(order.number), "to": f"{lines[0].spec['to_tenant']}/{lines[0].spec['to_project']}"}
    taker_id = _taker_id(order)
    blank = audit_model.Line(
        actor=who.account_id, on_behalf_of=who.person_id, action=action, role=rule.role, rule=rule.rule, facts=said
    )
    found = [dataclasses.replace(blank, tenant_id=taker_id, kind="order", object_id=order.id, generation=order.generation)]
    if order.state in (model.State.DELIVERED, model.State.PARTLY_DELIVERED):
        for line in lines:
            kind = "project" if line.kind == PROJECT else "resource"
            moved = dataclasses.replace(blank, action=f"{kind}.move", kind=kind, object_id=line.resource_id)
            found += [dataclasses.replace(moved, tenant_id=tenant_id) for tenant_id in (order.tenant_id, taker_id)]
    return found


def _taker_id(order: model.Order) -> str:
    if order.taker_id is None:
        raise ValueError(f"order {order.number} moves nothing")
    return order.taker_id


def _whole(tx: Transaction, ground: Ground) -> list[provisioners_model.Resource]:
    """Everything that lives in the order's project."""
    wanted = provisioners.Filter(tenant_ids=[ground.tenant.id], project_id=ground.project.id)
    found = provisioners.listed(tx, wanted, limit=RESOURCES_MAX + 1)
    if len(found) > RESOURCES_MAX:
        raise TOO_MANY(project=ground.project.code, limit=RESOURCES_MAX)
    return found


def _one(tx: Transaction, ground: Ground, wish: LineWish) -> provisioners_model.Resource:
    """The living resource of an id or name in the order's project.  Raises resource.unknown, resource.action_unknown."""
    known = plan.ACTIONS.get(wish.kind, ())
    if ACTION not in known:
        raise provisioners_faults.ACTION_UNKNOWN(kind=wish.kind, action=ACTION, known=", ".join(known))
    found: provisioners_model.Resource | None = (
        provisioners.get_many(tx, [wish.resource]).get(wish.resource)
        if ids.kind_of(wish.resource)
        else provisioners.find(tx, project_id=ground.project.id, kind=wish.kind, name=wish.resource)
    )
    here = (ground.tenant.id, ground.project.id, wish.kind)
    if found is None or (found.tenant_id, found.project_id, found.kind) != here:
        raise provisioners_faults.UNKNOWN(resource=wish.resource)
    return found


def _monthly(tx: Transaction, ground: Ground, rows: Sequence[provisioners_model.Resource]) -> dict[str, int]:
    """What each costs in a month, asked once for equal ones."""
    known: dict[tuple[Any, ...], int] = {}
    prices = {}
    for row in rows:
        dimensions = {"pool": row.pool, "zone": row.zone, "class": row.service_class}
        key = (row.kind, *sorted(row.amounts.items()), *dimensions.values())
        if key not in known:
            price = metering.monthly_price(
                tx, tenant_id=ground.tenant.id, kind=row.kind, amounts=row.amounts, dimensions=dimensions, at=ground.at
            )
            known[key] = price.monthly_micro
        prices[row.id] = known[key]
    return prices


def _line(kind: str, resource_id: str, name: str, spec: Mapping[str, Any]) -> model.Line:
    return model.Line(position=0, action=ACTION, kind=kind, resource_id=resource_id, name=name, spec=spec)


def _refuse_hindered(tx: Transaction, rows: Sequence[provisioners_model.Resource], taker: tenants_model.Tenant) -> None:
    for hindrance in handover.hindrances(tx, rows, taker):
        raise hindrance


def _refuse_waiting(tx: Transaction, project: tenants_model.Project, *, but: str = "") -> None:
    """An order that waits for something in the project holds units and names there: it is decided first."""
    for number in orders.waiting_in(tx, project.id, but=but):
        raise orders_faults.WAITS(order=number, name=project.code)


def _refuse_taken(tx: Transaction, rows: Sequence[provisioners_model.Resource], target: tenants_model.Project) -> None:
    """A living resource of the taker's project has one of the names; what waiting orders hold there is refused when the order is written."""
    by_kind: dict[str, list[str]] = {}
    for row in rows:
        by_kind.setdefault(row.kind, []).append(row.name)
    for kind, names in by_kind.items():
        for taken in provisioners.taken(tx, project_id=target.id, kind=kind, names=names):
            raise provisioners_faults.NAME_TAKEN(project=target.code, kind=kind, name=taken)


def _refuse_changed(
    tx: Transaction, order: model.Order, project: tenants_model.Project, known: Mapping[str, provisioners_model.Resource]
) -> None:
    wanted = provisioners.Filter(tenant_ids=[order.tenant_id], project_id=project.id)
    living = provisioners.listed(tx, wanted, limit=RESOURCES_MAX + len(known) + 1)
    new = [row.name for row in living if row.id not in known]
    if new:
        raise CHANGED(project=project.code, order=order.number, names=", ".join(new[:10]))
