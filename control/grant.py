"""Grants: set, move, defaults of new tenants; show, list; the document kind Grant.

Only somebody above a tenant writes its grants: the right must come from a role bound at its parent or higher (at the root, from one bound there).
"""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Final, Literal

import msgspec

from control import access, case, document
from primitives import errors, quantity
from quotas import grants, lending, model, names
from quotas import service as quotas
from store.transaction import Transaction
from tenants import model as tenants_model
from tenants import service as tenants

FROM_ABOVE: Final = errors.Fault(
    "grant.from_above",
    errors.Kind.FORBIDDEN,
    en="the quota of {tenant} is granted from above: your role must be bound at {parent} or higher",
    zh="{tenant} 的配额由上级授予：您的角色须在 {parent} 或更上级",
    mend_en="ask the operator of {parent}; govpool whoami shows where you hold a role",
    mend_zh="请联系 {parent} 的运维人员；用 govpool whoami 查看您的角色范围",
)

Amount = Annotated[int, msgspec.Meta(ge=0, le=quantity.BOUND)]
Granted = Amount | Literal["unlimited"]


class Spec(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """A grant as a document says it, in the unit of its name (`govpool quota names`)."""

    granted: Granted
    lending_limit: Annotated[
        Amount | None, msgspec.Meta(description="most that others may draw from what is unused here; null: all")
    ] = None
    borrowing_limit: Annotated[Amount, msgspec.Meta(description="most that may be drawn beyond the own quota")] = 0


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """What becomes of the grant of one name; a value left out stays.  `generation` is what the caller has seen (0: no grant yet)."""

    name: str
    granted: int | str | msgspec.UnsetType = msgspec.UNSET
    lending_limit: int | msgspec.UnsetType | None = msgspec.UNSET
    borrowing_limit: int | msgspec.UnsetType = msgspec.UNSET
    generation: int | None = None


def set_grant(tenant: str, name: str, spec: Spec, *, if_match: int | None = None, allow_over: bool = False) -> case.UseCase:
    """Make the grant of one name be as the spec says; an equal one stays untouched, at its generation."""
    whole = Change(
        name=name,
        granted=spec.granted,
        lending_limit=spec.lending_limit,
        borrowing_limit=spec.borrowing_limit,
        generation=if_match,
    )

    def effect(tx: Transaction, who: tenants_model.Principal, permit: tenants_model.Permit) -> case.Answer:
        owner = tenants.by_code(tx, tenant)
        before, after = _set(tx, owner, whole, allow_over)
        return case.Answer(
            status=200 if before.generation else 201,
            body=_document(owner, after),
            kind="grant",
            object_id=f"{tenant}/{name}",
            generation=after.generation,
            tenant_id=owner.id,
            before=_facts(before) if before.generation else None,
            after=_facts(after),
            facts=_over([after], allow_over),
        )

    return case.UseCase(action="grant.set", permit=lambda tx, who: _from_above(tx, who, tenant, "set"), effect=effect)


def set_grants(tenant: str, changes: Sequence[Change], *, allow_over: bool = False) -> case.UseCase:
    """Change the grants of several names at once, all or none."""

    def effect(tx: Transaction, who: tenants_model.Principal, permit: tenants_model.Permit) -> case.Answer:
        owner = tenants.by_code(tx, tenant)
        pairs = [_set(tx, owner, change, allow_over) for change in changes]
        return _several(tx, [(owner, before, after) for before, after in pairs], allow_over, owner)

    return case.UseCase(action="grant.set_several", permit=lambda tx, who: _from_above(tx, who, tenant, "set"), effect=effect)


def move_grants(giver: str, taker: str, amounts: Mapping[str, int], *, allow_over: bool = False) -> case.UseCase:
    """Move granted units from one tenant to another in one transaction; the right is needed above both."""

    def permit(tx: Transaction, who: tenants_model.Principal) -> tenants_model.Permit:
        _from_above(tx, who, taker, "move")
        return _from_above(tx, who, giver, "move")

    def effect(tx: Transaction, who: tenants_model.Principal, allowed: tenants_model.Permit) -> case.Answer:
        owners = {owner.id: owner for owner in (tenants.by_code(tx, giver), tenants.by_code(tx, taker))}
        from_id, *rest = owners
        moved = grants.move_grant(tx, from_id=from_id, to_id=rest[0] if rest else from_id, amounts=amounts, allow_over=allow_over)
        triples = [(owners[after.tenant_id], before, after) for before, after in moved]
        return _several(tx, triples, allow_over, owners[from_id])

    return case.UseCase(action="grant.move", permit=permit, effect=effect)


def set_default(name: str, granted: int) -> case.UseCase:
    """What a new tenant is granted of a name, as far as its parent has it; tenants that exist keep what they have."""

    def effect(tx: Transaction, who: tenants_model.Principal, permit: tenants_model.Permit) -> case.Answer:
        before = grants.defaults(tx)
        after = {"name": name, "granted": granted}
        grants.set_default(tx, name=name, granted=granted)
        found = before.get(name)
        return case.Answer(
            body=after,
            kind="grant_default",
            object_id=name,
            before=None if found is None else {"name": name, "granted": found},
            after=after,
        )

    return case.UseCase(
        action="grant.set_default", permit=lambda tx, who: access.require(tx, who, "set", "grant", tenant_id=None), effect=effect
    )


def list_grants(tx: Transaction, who: tenants_model.Principal, *, tenant: str = "", name: str = "") -> list[dict[str, Any]]:
    """How the tenants that the caller may list stand; of one tenant and below it, for one name, if given."""
    scope = access.scope(tx, who, verb="list", kind="grant")
    seen = None if scope.everything else list(scope.tenant_ids)
    if tenant:
        owner = access.tenant(tx, who, tenant, "list", "grant")[0]
        below = tenants.subtree_ids(tx, owner.id)
        seen = below if seen is None else [each for each in below if each in set(seen)]
    if name:
        names.of(name)
    found = [each for each in quotas.standings_of(tx, seen) if not name or each.name == name]
    owners = tenants.by_ids(tx, sorted({each.tenant_id for each in found}))
    promised: dict[tuple[str, str], int] = {}
    for each in found:
        key = (owners[each.tenant_id].parent_id, each.name)
        promised[key] = promised.get(key, 0) + each.granted
    return [_row(owners[each.tenant_id], each) | {"promised": promised.get((each.tenant_id, each.name), 0)} for each in found]


def show_grants(tx: Transaction, who: tenants_model.Principal, tenant: str) -> list[dict[str, Any]]:
    """How one tenant stands for every name: granted, kept, used, lent, borrowed, what it could still reserve and borrow right now.

    Who lends is named where the caller may grant, to operators, that is.
    """
    owner = access.tenant(tx, who, tenant, "show", "grant")[0]
    explained = lending.explained(tx, owner.id)
    granting = access.scope(tx, who, verb="set", kind="grant")
    named = {node for each in explained for node in each.lenders if granting.everything or node in granting.tenant_ids}
    codes = {node: lender.code for node, lender in tenants.by_ids(tx, sorted(named)).items()}
    return [
        _row(owner, each.standing)
        | {"promised": each.promised, "available": each.available, "borrowable": each.borrowable, "lent": each.lent}
        | {"lenders": {codes[node]: units for node, units in sorted(each.lenders.items()) if node in codes}}
        for each in explained
    ]


def show_grant(tx: Transaction, who: tenants_model.Principal, tenant: str, name: str) -> dict[str, Any]:
    """The grant of one name; a generation of 0 says that there is none yet."""
    owner = access.tenant(tx, who, tenant, "show", "grant")[0]
    return _document(owner, quotas.standing(tx, tenant_id=owner.id, name=name))


def list_defaults(tx: Transaction, who: tenants_model.Principal) -> list[dict[str, Any]]:
    """What new tenants are granted, by name."""
    access.require(tx, who, "list", "grant", tenant_id=None)
    return [{"name": name, "granted": granted} for name, granted in grants.defaults(tx).items()]


def list_names() -> list[dict[str, Any]]:
    """Everything that is counted, with unit and description; no secret."""
    return [dataclasses.asdict(each) for each in names.all_names()]


def _from_above(tx: Transaction, who: tenants_model.Principal, tenant: str, verb: str) -> tenants_model.Permit:
    return access.from_above(tx, who, tenant, verb, kind="grant", refused=FROM_ABOVE)


def _set(tx: Transaction, owner: tenants_model.Tenant, change: Change, allow_over: bool) -> tuple[model.Standing, model.Standing]:
    at = quotas.standing(tx, tenant_id=owner.id, name=change.name)
    access.matches(change.generation, at.generation, kind="grant", name=f"{owner.code}/{change.name}")
    given = {
        field: value
        for field in ("granted", "lending_limit", "borrowing_limit")
        if (value := getattr(change, field)) is not msgspec.UNSET
    }
    if given.get("granted") == "unlimited":
        given["granted"] = model.UNLIMITED
    grant = dataclasses.replace(at.grant, **given)
    return grants.set_grant(tx, tenant_id=owner.id, name=change.name, grant=grant, allow_over=allow_over)


def _several(
    tx: Transaction,
    changed: Sequence[tuple[tenants_model.Tenant, model.Standing, model.Standing]],
    allow_over: bool,
    owner: tenants_model.Tenant,
) -> case.Answer:
    return case.Answer(
        body=[_row(each, quotas.standing(tx, tenant_id=each.id, name=after.name)) for each, _, after in changed],
        kind="grant",
        object_id=owner.code,
        tenant_id=owner.id,
        before=[_facts(before) for _, before, _ in changed],
        after=[_facts(after) for _, _, after in changed],
        facts=_over([after for _, _, after in changed], allow_over),
    )


def _over(after: Sequence[model.Standing], allow_over: bool) -> dict[str, str]:
    """An excess that somebody allowed is said in the trail, in plain words."""
    over = {each.name: str(each.over_by) for each in after if each.over_by}
    return {"allow_over": "true"} | {f"over_by.{name}": amount for name, amount in over.items()} if allow_over else {}


def _facts(standing: model.Standing) -> dict[str, Any]:
    return {"tenant_id": standing.tenant_id, "name": standing.name, **dataclasses.asdict(standing.grant)}


def _row(owner: tenants_model.Tenant, standing: model.Standing) -> dict[str, Any]:
    return {
        "tenant": owner.code,
        "name": standing.name,
        "granted": standing.granted,
        "used": standing.drawn,
        "lending_limit": standing.lending_limit,
        "borrowing_limit": standing.borrowing_limit,
        "limit": standing.limit,
        "kept": standing.local_quota,
        "borrowed": standing.borrowed,
        "over_by": standing.over_by,
        "generation": standing.generation,
    }


def _document(owner: tenants_model.Tenant, standing: model.Standing) -> dict[str, Any]:
    return {
        "apiVersion": document.API_VERSION,
        "kind": "Grant",
        "metadata": {"name": standing.name, "tenant": owner.code, "generation": standing.generation},
        "spec": dataclasses.asdict(standing.grant),
        "status": {
            "used": standing.drawn,
            "limit": standing.limit,
            "kept": standing.local_quota,
            "over_by": standing.over_by,
        },
    }


document.register(
    "Grant",
    Spec,
    lambda one: set_grant(one.metadata.tenant, one.metadata.name, one.spec, if_match=one.metadata.generation),
    after_kinds={"Tenant"},
)
