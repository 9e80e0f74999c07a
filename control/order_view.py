"""How orders and approval rules are read: documents, lists, what is left of a quota after an order.  `control/order.py` changes them."""

import contextlib
import datetime
from collections.abc import Mapping, Sequence
from typing import Any, Final

from control import access
from orders import faults, model
from orders import service as orders
from primitives import clock, errors, money
from quotas import service as quotas
from store.transaction import Transaction
from tenants import model as tenants_model
from tenants import service as tenants

DELIVERY_OVERDUE: Final = datetime.timedelta(hours=1)
"""An order still delivering after this is flagged."""


def visible(tx: Transaction, who: tenants_model.Principal, reference: str) -> model.Order:
    """The order of an id or number, if the caller may see it; else the same order.unknown as for an unknown one."""
    order = orders.by_reference(tx, reference)
    if order is None:
        raise faults.UNKNOWN(order=reference)
    for side in filter(None, (order.taker_id, order.tenant_id)):
        with contextlib.suppress(errors.GovpoolError):
            access.require(tx, who, "show", "order", tenant_id=side)
            return order
    raise faults.UNKNOWN(order=reference)


def show(tx: Transaction, who: tenants_model.Principal, reference: str) -> dict[str, Any]:
    """One order as a document."""
    return document(tx, visible(tx, who, reference))


def list_orders(
    tx: Transaction, who: tenants_model.Principal, *, tenant: str = "", state: str = "", before: int | None = None, limit: int = 100
) -> list[dict[str, Any]]:
    """Orders in the caller's scope, newest first."""
    if state and state not in list(model.State):
        raise errors.INVALID(field="state", reason=f"{state[:30]!r} is none of {', '.join(model.State)}")
    scope = access.scope(tx, who, verb="list", kind="order")
    ids: Sequence[str] | None = None if scope.everything else scope.tenant_ids
    if tenant:
        ids = tenants.subtree_ids(tx, access.tenant(tx, who, tenant, "list", "order")[0].id)
    return documents(tx, orders.listed(tx, tenant_ids=ids, state=state, before=before, limit=limit))


def again(tx: Transaction, order: model.Order) -> tuple[model.Order, list[model.Line]]:
    """The order and its lines as they stand now."""
    found = orders.by_reference(tx, order.id)
    return found or order, orders.lines(tx, [order.id])[order.id]


def document(tx: Transaction, order: model.Order) -> dict[str, Any]:
    """An order with lines and decisions."""
    return documents(tx, [order])[0]


def new_document(
    tx: Transaction, order: model.Order, lines: Sequence[model.Line], requester: tenants_model.Principal
) -> dict[str, Any]:
    """The document of an order that `requester` has just submitted: nothing needs to be read for it."""
    tenant, project = tenants.by_id(tx, order.tenant_id), tenants.project_by_id(tx, order.project_id)
    return _document(order, lines, _status(tx, order, (), {requester.person_id: requester.person_name}), tenant, project)


def documents(tx: Transaction, found: Sequence[model.Order]) -> list[dict[str, Any]]:
    """Several orders in a handful of statements."""
    order_ids = [order.id for order in found]
    lines, decisions = orders.lines(tx, order_ids), orders.decisions(tx, order_ids)
    owners = tenants.by_ids(tx, sorted({order.tenant_id for order in found}))
    projects = {project_id: tenants.project_by_id(tx, project_id) for project_id in {order.project_id for order in found}}
    people = {order.person_id for order in found} | {each.person_id for made in decisions.values() for each in made}
    names = tenants.person_names(tx, sorted(people))
    return [
        _document(
            order,
            lines[order.id],
            _status(tx, order, decisions[order.id], names),
            owners[order.tenant_id],
            projects[order.project_id],
        )
        for order in found
    ]


def quota_after(tx: Transaction, tenant_id: str, lines: Sequence[model.Line]) -> list[dict[str, Any]]:
    """What stands in the department's quota with the order in it, for the names that it touches."""
    touched = {name for line in lines for name in line.spec["amounts"]}
    return [
        {"name": standing.name, "granted": standing.granted, "used": standing.drawn}
        for standing in quotas.standings(tx, tenant_id=tenant_id)
        if standing.name in touched
    ]


def rule_document(tx: Transaction, rule: model.Rule) -> dict[str, Any]:
    """An approval rule as a document."""
    return {
        "apiVersion": "govpool/v1",
        "kind": "ApprovalRule",
        "metadata": {
            "id": rule.id,
            "name": rule.name,
            "tenant": tenants.by_id(tx, rule.tenant_id).code,
            "generation": rule.generation,
        },
        "spec": {
            "actions": list(rule.actions),
            "kinds": list(rule.kinds),
            "service_classes": list(rule.service_classes),
            "monthly_over": None if rule.monthly_over_micro is None else money.text(rule.monthly_over_micro),
            "amounts_over": dict(rule.amounts_over),
            "deadline_h": rule.deadline_h,
        },
    }


def list_rules(tx: Transaction, who: tenants_model.Principal, *, tenant: str) -> list[dict[str, Any]]:
    """The approval rules that hold for a tenant: its own and those above it."""
    found, _ = access.tenant(tx, who, tenant, "list", "order")
    return [rule_document(tx, rule) for rule in orders.rules_at(tx, tenants.path_ids(tx, found.id))]


def _document(
    order: model.Order,
    lines: Sequence[model.Line],
    status: dict[str, Any],
    tenant: tenants_model.Tenant,
    project: tenants_model.Project,
) -> dict[str, Any]:
    return {
        "apiVersion": "govpool/v1",
        "kind": "Order",
        "metadata": {
            "id": order.id,
            "name": str(order.number),
            "tenant": tenant.code,
            "project": project.code,
            "generation": order.generation,
        },
        "spec": {"reason": order.reason, "document_no": order.document_no, **_to(lines), "lines": [_line(line) for line in lines]},
        "status": status,
    }


def _to(lines: Sequence[model.Line]) -> dict[str, str]:
    """Where a move goes, as it was asked for."""
    return {"to": f"{lines[0].spec['to_tenant']}/{lines[0].spec['to_project']}"} if lines and lines[0].action == "move" else {}


def _line(line: model.Line) -> dict[str, Any]:
    spec = line.spec
    return {
        "position": line.position,
        "action": line.action,
        "kind": line.kind,
        "resource": line.resource_id,
        "name": line.name,
        "amounts": dict(spec["amounts"]),
        **({"surge": dict(spec["surge"])} if spec.get("surge") else {}),
        "pool": spec.get("pool", ""),
        "zone": spec.get("zone", ""),
        "service_class": spec.get("service_class", ""),
        "monthly": money.text(int(spec["monthly_micro"])),
        "encumbers": money.text(int(spec.get("encumbers_micro", 0))),
        "end_at": spec.get("end_at"),
        "end_before": spec.get("end_before"),
        "outcome": str(line.outcome),
        "reason": line.reason,
    }


def _status(tx: Transaction, order: model.Order, decisions: Sequence[model.Decision], names: Mapping[str, str]) -> dict[str, Any]:
    return {
        "state": str(order.state),
        "overdue": _overdue(order, tx.now()),
        "requester": names.get(order.person_id, ""),
        "monthly": money.text(order.monthly_micro),
        "approval": list(order.approval),
        "submitted_at": clock.text(order.submitted_at),
        "decide_by": None if order.decide_by is None else clock.text(order.decide_by),
        "ended_at": None if order.ended_at is None else clock.text(order.ended_at),
        "decisions": [
            {
                "verdict": str(decision.verdict),
                "person": names.get(decision.person_id, ""),
                "reason": decision.reason,
                "document_no": decision.document_no,
                "decided_at": clock.text(decision.decided_at),
            }
            for decision in decisions
        ],
    }


def _overdue(order: model.Order, now: datetime.datetime) -> bool:
    """Waiting past half of the time for a decision, or delivering for more than an hour."""
    if order.decide_by is not None:
        return now >= order.submitted_at + (order.decide_by - order.submitted_at) / 2
    return order.state is model.State.DELIVERING and now >= order.submitted_at + DELIVERY_OVERDUE
