"""Tenants: found, rename, move, let another pay, freeze, wind up; show, list, history, export.

The tree, the money and the cloud meet here: a dated change may not reach behind the last issued statement, a move re-derives the
grants along both paths, and a tenant is closed only when nothing of it lives any more.
"""

import dataclasses
import datetime
from typing import Annotated, Any, Final

import msgspec

from control import access, case, document, encumbrance, protection
from metering import service as metering
from orders import model as orders_model
from orders import records as orders
from primitives import clock
from provisioners import service as provisioners
from provisioners.records import resources
from quotas import grants
from quotas import service as quotas
from store.transaction import Transaction
from tenants import faults, merging, model, people, service, tree

API_VERSION: Final = "govpool/v1"


class Spec(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """What a tenant is to be, as a document says it: names and codes, no ids."""

    name: Annotated[str, msgspec.Meta(min_length=1, max_length=100, description="for people, in any script")]
    parent: Annotated[str, msgspec.Meta(min_length=1, max_length=63, description="code of the tenant above")]
    payer: Annotated[str, msgspec.Meta(max_length=63, description="code of who pays; empty: itself")] = ""
    budget_unit: Annotated[str, msgspec.Meta(max_length=32, description="its code at the finance bureau")] = ""
    credit_code: Annotated[str, msgspec.Meta(max_length=24, description="unified social credit code, GB 32100")] = ""
    protection_level: Annotated[int, msgspec.Meta(ge=1, le=4, description="graded protection")] = 2
    valid_from: Annotated[str, msgspec.Meta(max_length=40, description="since when; empty: now")] = ""


def create_tenant(code: str, spec: Spec) -> case.UseCase:
    """Found a department under a parent."""

    def permit(tx: Transaction, who: model.Principal) -> model.Permit:
        return access.tenant(tx, who, spec.parent, "create", "tenant")[1]

    def effect(tx: Transaction, who: model.Principal, _: model.Permit) -> case.Answer:
        new = tree.NewTenant(
            code=code,
            name=spec.name,
            parent=service.by_code(tx, spec.parent),
            payer=_payer(tx, who, spec.payer, code),
            budget_unit=spec.budget_unit,
            credit_code=spec.credit_code,
            protection_level=spec.protection_level,
            valid_from=_moment(spec.valid_from),
            not_before=metering.issued_until(tx),
        )
        made = tree.create(tx, new)
        grants.grant_defaults(tx, tenant_id=made.id)
        return _answer(tx, None, made, status=201)

    return case.UseCase(action="tenant.create", permit=permit, effect=effect)


def update_tenant(code: str, values: dict[str, Any], *, valid_from: str = "", if_match: int | None = None) -> case.UseCase:
    """Change name, payer (dated) or budget_unit, credit_code, protection_level; `values` holds what changes."""

    def effect(tx: Transaction, who: model.Principal, _: model.Permit) -> case.Answer:
        tenant = _seen(tx, code, if_match)
        return _levelled(tx, tenant, _answer(tx, _facts(tx, tenant), _updated(tx, who, tenant, values, valid_from)))

    return case.UseCase(action="tenant.update", permit=_asked(code, "update"), effect=effect)


def move_tenant(
    code: str, parent: str, *, valid_from: str = "", if_match: int | None = None, allow_over: bool = False
) -> case.UseCase:
    """Put a department, with all below it and all that it holds, under another parent; the right is needed at both places."""

    def permit(tx: Transaction, who: model.Principal) -> model.Permit:
        allowed = access.tenant(tx, who, code, "move", "tenant")[1]
        access.tenant(tx, who, parent, "move", "tenant")
        return allowed

    def effect(tx: Transaction, who: model.Principal, _: model.Permit) -> case.Answer:
        tenant = _seen(tx, code, if_match)
        before = _facts(tx, tenant)
        after = _moved(tx, tenant, parent, valid_from, allow_over=allow_over)
        return dataclasses.replace(_answer(tx, before, after), facts={"allow_over": "true"} if allow_over else {})

    return case.UseCase(action="tenant.move", permit=permit, effect=effect)


def put_tenant(code: str, spec: Spec, *, if_match: int | None = None) -> case.UseCase:
    """Make a tenant be as a document says: found it, or change only what differs.  An equal one stays untouched, at its
    generation.
    """

    def permit(tx: Transaction, who: model.Principal) -> model.Permit:
        found = tree.find(tx, code)
        if found is None:
            return create_tenant(code, spec).permit(tx, who)
        if spec.parent != _code_of(tx, found.parent_id):
            move_tenant(code, spec.parent).permit(tx, who)
        return access.require(tx, who, "update", "tenant", tenant_id=found.id)

    def effect(tx: Transaction, who: model.Principal, permit: model.Permit) -> case.Answer:
        before = tree.find(tx, code)
        if before is None:
            return create_tenant(code, spec).effect(tx, who, permit)
        access.matches(if_match, before.generation, kind="tenant", name=code)
        facts = _facts(tx, before)
        after = before
        if spec.parent != facts["spec"]["parent"]:
            after = _moved(tx, before, spec.parent, spec.valid_from)
        wanted: dict[str, Any] = {"name": spec.name, "payer": spec.payer or code, "budget_unit": spec.budget_unit}
        wanted |= {"credit_code": spec.credit_code, "protection_level": spec.protection_level}
        values = {field: value for field, value in wanted.items() if value != facts["spec"][field]}
        return _levelled(tx, before, _answer(tx, facts, _updated(tx, who, after, values, spec.valid_from)))

    return case.UseCase(action="tenant.put", permit=permit, effect=effect)


def freeze_tenant(code: str) -> case.UseCase:
    """Stop all changes by the department's own people; what runs goes on running."""
    return _state(code, "freeze", model.State.FROZEN)


def unfreeze_tenant(code: str) -> case.UseCase:
    """Let the department's people work again."""
    return _state(code, "unfreeze", model.State.ACTIVE)


def offboard_tenant(code: str) -> case.UseCase:
    """Wind up a department: refused while anything of it lives; then its accounts are disabled and it is closed for ever.

    Take the export first: afterwards nobody of the department can sign in.
    """

    def effect(tx: Transaction, _: model.Principal, __: model.Permit) -> case.Answer:
        tenant = service.by_code(tx, code)
        before = _facts(tx, tenant)
        refuse_living(tx, tenant)
        closing = tenant if tenant.state == model.State.CLOSING else tree.set_state(tx, tenant, model.State.CLOSING)
        grants.withdraw(tx, tenant_id=tenant.id)
        people.disable_all(tx, closing)
        return _answer(tx, before, tree.set_state(tx, closing, model.State.CLOSED))

    return case.UseCase(action="tenant.offboard", permit=_asked(code, "offboard"), effect=effect)


def list_tenants(tx: Transaction, who: model.Principal, *, parent: str = "", state: str = "") -> list[dict[str, Any]]:
    """Tenants that the caller may list, by code; directly below `parent`, in `state`, if given."""
    found = tree.tenants(tx, access.scope(tx, who, verb="list", kind="tenant"))
    if parent:
        above = access.tenant(tx, who, parent, "list", "tenant")[0]
        found = [tenant for tenant in found if tenant.parent_id == above.id]
    if state:
        found = [tenant for tenant in found if tenant.state == state]
    codes = {tenant.id: tenant.code for tenant in found}
    missing = [node for tenant in found for node in (tenant.parent_id, tenant.payer_id) if node and node not in codes]
    codes |= {tenant.id: tenant.code for tenant in service.by_ids(tx, sorted(set(missing))).values()}
    return [_document(tenant, codes) for tenant in found]


def show_tenant(tx: Transaction, who: model.Principal, code: str) -> dict[str, Any]:
    """One tenant with its path of the present."""
    return shown(tx, access.tenant(tx, who, code, "show", "tenant")[0])


def show_history(tx: Transaction, who: model.Principal, code: str) -> list[dict[str, Any]]:
    """The dated place, names and payers of a tenant."""
    return tree.history(tx, access.tenant(tx, who, code, "show", "tenant")[0].id)


def shown(tx: Transaction, tenant: model.Tenant) -> dict[str, Any]:
    """A tenant as a document."""
    codes = {each.id: each.code for each in service.by_ids(tx, [tenant.payer_id, tenant.parent_id]).values()}
    made = _document(tenant, codes)
    made["status"]["path"] = service.path_codes(tx, tenant.id)[::-1]
    merged = merging.find(tx, tenant.id) if tenant.state is model.State.CLOSED else None
    if merged is not None and merged.merged_at is not None:
        made["status"] |= {"merged_into": service.by_id(tx, merged.into_id).code, "merged_at": clock.text(merged.merged_at)}
    return made


def refuse_living(tx: Transaction, tenant: model.Tenant) -> None:
    """Raises tenant.not_empty while resources, reservations or open orders of the tenant live."""
    living = provisioners.listed(tx, resources.Filter(tenant_ids=[tenant.id]), limit=1000)
    open_orders = [
        order
        for state in (orders_model.State.WAITING_FOR_APPROVAL, orders_model.State.DELIVERING)
        for order in orders.listed(tx, tenant_ids=[tenant.id], state=str(state), before=None, limit=1000)
    ]
    held = quotas.reservations(tx, tenant_id=tenant.id)
    for what, count in (("resources", len(living)), ("open orders", len(open_orders)), ("reservations", held)):
        if count:
            raise faults.NOT_EMPTY(tenant=tenant.code, count=count, what=what)


def _moved(tx: Transaction, tenant: model.Tenant, parent: str, valid_from: str, *, allow_over: bool = False) -> model.Tenant:
    """Move a tenant and carry what its subtree holds of the quotas from the old ancestors to the new."""
    above = service.path_ids(tx, tenant.id)[1:]
    after = tree.move(
        tx,
        tenant,
        service.by_code(tx, parent),
        valid_from=_moment(valid_from),
        not_before=metering.issued_until(tx),
    )
    now = service.path_ids(tx, tenant.id)[1:]
    grants.move_subtree(tx, tenant_id=tenant.id, above_before=above, above_after=now, allow_over=allow_over)
    encumbrance.move_subtree(tx, tenant.id, above_before=above, above_after=now, allow_over=allow_over)
    return after


def _updated(tx: Transaction, who: model.Principal, tenant: model.Tenant, values: dict[str, Any], valid_from: str) -> model.Tenant:
    dated: dict[str, Any] = {"valid_from": _moment(valid_from), "not_before": metering.issued_until(tx)}
    after = tenant
    if "name" in values:
        after = tree.rename(tx, after, values["name"], **dated)
    if "payer" in values:
        after = tree.pay(tx, after, _payer(tx, who, values["payer"], tenant.code) or after, **dated)
    plain = {field: values[field] for field in ("budget_unit", "credit_code", "protection_level") if field in values}
    return tree.update(tx, after, **plain) if plain else after


def _levelled(tx: Transaction, before: model.Tenant, answer: case.Answer) -> case.Answer:
    """The answer with what stands in pools of too low a level, if the tenant's level rose."""
    answer.body["status"].update(protection.raised(tx, before, service.by_id(tx, before.id)))
    return answer


def _payer(tx: Transaction, who: model.Principal, payer: str, code: str) -> model.Tenant | None:
    """The tenant that pays, which the caller must see; None for the tenant itself."""
    if not payer or payer == code:
        return None
    return access.tenant(tx, who, payer, "show", "tenant")[0]


def _state(code: str, verb: str, wanted: model.State) -> case.UseCase:
    def effect(tx: Transaction, _: model.Principal, __: model.Permit) -> case.Answer:
        tenant = service.by_code(tx, code)
        before = _facts(tx, tenant)
        return _answer(tx, before, tree.set_state(tx, tenant, wanted))

    return case.UseCase(action=f"tenant.{verb}", permit=_asked(code, verb), effect=effect)


def _asked(code: str, verb: str) -> case.Permit:
    return lambda tx, who: access.tenant(tx, who, code, verb, "tenant")[1]


def _seen(tx: Transaction, code: str, if_match: int | None) -> model.Tenant:
    tenant = service.by_code(tx, code)
    access.matches(if_match, tenant.generation, kind="tenant", name=code)
    return tenant


def _answer(tx: Transaction, before: dict[str, Any] | None, after: model.Tenant, *, status: int = 200) -> case.Answer:
    return case.Answer(
        status=status,
        body=shown(tx, after),
        kind="tenant",
        object_id=after.id,
        generation=after.generation,
        tenant_id=after.id,
        before=before,
        after=_facts(tx, after),
    )


def _facts(tx: Transaction, tenant: model.Tenant) -> dict[str, Any]:
    """What the trail and `diff` compare."""
    made = shown(tx, tenant)
    return {"spec": made["spec"], "state": made["status"]["state"]}


def _document(tenant: model.Tenant, codes: dict[str, str]) -> dict[str, Any]:
    return {
        "apiVersion": API_VERSION,
        "kind": "Tenant",
        "metadata": {"name": tenant.code, "id": tenant.id, "generation": tenant.generation},
        "spec": {
            "name": tenant.name,
            "parent": codes.get(tenant.parent_id, ""),
            "payer": codes.get(tenant.payer_id, ""),
            "budget_unit": tenant.budget_unit,
            "credit_code": tenant.credit_code,
            "protection_level": tenant.protection_level,
        },
        "status": {"state": str(tenant.state), "created_at": clock.text(tenant.created_at)},
    }


def _code_of(tx: Transaction, tenant_id: str) -> str:
    return service.by_id(tx, tenant_id).code if tenant_id else ""


def _moment(text: str) -> datetime.datetime | None:
    return clock.parse(text, "valid_from") if text else None


document.register(
    "Tenant", Spec, lambda declared: put_tenant(declared.metadata.name, declared.spec, if_match=declared.metadata.generation)
)
