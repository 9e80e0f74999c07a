"""Approval rules as documents: when an order of a tenant, or of one below it, waits for an approver."""

from typing import Annotated, Any, Final

import msgspec

from control import access, case, document, order_view, plan
from orders import model, rules
from orders import service as orders
from primitives import errors, ids, money
from store.transaction import Transaction
from tenants import model as tenants_model
from tenants import service as tenants

DEADLINE_H_MAX: Final = 24 * 90

_Word = Annotated[str, msgspec.Meta(min_length=1, max_length=63)]
_Amount = Annotated[int, msgspec.Meta(ge=0, le=10**15)]


class ApprovalRuleSpec(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """When an approval is asked for; empty lists and null mean no bound of that sort.  Passing any bound given is enough."""

    actions: Annotated[list[_Word], msgspec.Meta(max_length=16)] = []
    kinds: Annotated[list[_Word], msgspec.Meta(max_length=16)] = []
    service_classes: Annotated[list[_Word], msgspec.Meta(max_length=32)] = []
    monthly_over: Annotated[str, msgspec.Meta(max_length=20)] | None = None
    amounts_over: Annotated[dict[_Word, _Amount], msgspec.Meta(max_length=32)] = {}
    deadline_h: Annotated[int, msgspec.Meta(ge=1, le=DEADLINE_H_MAX)] = 24 * 7


def put_rule(tenant: str, name: str, spec: ApprovalRuleSpec, *, if_match: int | None = None) -> case.UseCase:
    """Make or replace the rule of a name at a tenant."""

    def permit(tx: Transaction, who: tenants_model.Principal) -> tenants_model.Permit:
        return access.tenant(tx, who, tenant, "set", "approval_rule")[1]

    def effect(tx: Transaction, who: tenants_model.Principal, allowed: tenants_model.Permit) -> case.Answer:
        present = _present(tx, name)
        if present is not None:
            if present.tenant_id != tenants.by_code(tx, tenant).id:
                access.require(tx, who, "set", "approval_rule", tenant_id=present.tenant_id)
            access.matches(if_match, present.generation, kind="approval_rule", name=name)
        new = _rule(tx, tenant, name, spec, present)
        before = None if present is None else order_view.rule_document(tx, present)
        stored = new if new == present else orders.put_rule(tx, new)
        after = order_view.rule_document(tx, stored)
        return case.Answer(
            status=200 if present else 201,
            body=after,
            kind="approval_rule",
            object_id=stored.id,
            generation=stored.generation,
            tenant_id=stored.tenant_id,
            before=before,
            after=after,
        )

    return case.UseCase(action="approval_rule.set", permit=permit, effect=effect)


def retire_rule(name: str) -> case.UseCase:
    """A rule asks no more for approvals; orders that wait under it go on waiting."""

    def permit(tx: Transaction, who: tenants_model.Principal) -> tenants_model.Permit:
        return access.require(tx, who, "set", "approval_rule", tenant_id=orders.known_rule(tx, name).tenant_id)

    def effect(tx: Transaction, who: tenants_model.Principal, allowed: tenants_model.Permit) -> case.Answer:
        before = order_view.rule_document(tx, orders.rule(tx, name))
        retired = orders.retire_rule(tx, name)
        return case.Answer(
            body=before, kind="approval_rule", object_id=retired.id, tenant_id=retired.tenant_id, before=before, after={}
        )

    return case.UseCase(action="approval_rule.retire", permit=permit, effect=effect)


def _present(tx: Transaction, name: str) -> model.Rule | None:
    try:
        return orders.rule(tx, name)
    except errors.GovpoolError:
        return None


def _rule(tx: Transaction, tenant: str, name: str, spec: ApprovalRuleSpec, present: model.Rule | None) -> model.Rule:
    known = {action for actions in plan.ACTIONS.values() for action in actions} - rules.FREE_OF_APPROVAL
    _only("actions", spec.actions, known)
    _only("kinds", spec.kinds, set(plan.ACTIONS))
    return model.Rule(
        id=present.id if present else ids.new("rule"),
        name=name,
        tenant_id=tenants.by_code(tx, tenant).id,
        actions=tuple(sorted(set(spec.actions))),
        kinds=tuple(sorted(set(spec.kinds))),
        service_classes=tuple(sorted(set(spec.service_classes))),
        monthly_over_micro=None if spec.monthly_over is None else money.parse(spec.monthly_over, "monthly_over"),
        amounts_over=dict(sorted(spec.amounts_over.items())),
        deadline_h=spec.deadline_h,
        generation=present.generation if present else 1,
    )


def _only(field: str, found: list[str], known: set[str]) -> None:
    unknown = sorted(set(found) - known)
    if unknown:
        raise errors.INVALID(field=field, reason=f"{', '.join(unknown)[:80]} is none of {', '.join(sorted(known))}")


def _planned(placed: document.Document[Any]) -> case.UseCase:
    metadata = placed.metadata
    return put_rule(metadata.tenant, metadata.name, placed.spec, if_match=metadata.generation)


document.register("ApprovalRule", ApprovalRuleSpec, _planned, after_kinds={"Tenant"})
