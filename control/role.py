"""Roles: the table of what each may do, who holds which where, grant and revoke."""

from typing import Annotated, Any

import msgspec

from control import access, case, document
from store.transaction import Transaction
from tenants import faults, model, people, role_table, service


class Spec(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """A RoleBinding document: `metadata.name` is the account, `metadata.tenant` the node.  Roles listed are granted, none
    is taken.
    """

    roles: Annotated[list[model.Role], msgspec.Meta(min_length=1, max_length=8)]


def show_table(*, role: str = "", kind: str = "") -> list[dict[str, str]]:
    """The role table, one line per kind and verb; those of a role or a kind if given.  It is no secret."""
    lines = role_table.lines()
    return [line for line in lines if (not role or role in line["roles"].split()) and (not kind or kind == line["kind"])]


def list_bindings(tx: Transaction, who: model.Principal, *, tenant: str = "", role: str = "") -> list[dict[str, Any]]:
    """Who holds which role, where the caller may list it; at `tenant` and below, and of `role`, if given."""
    scope = access.scope(tx, who, verb="list", kind="binding")
    if tenant:
        node = access.tenant(tx, who, tenant, "list", "binding")[0]
        scope = model.Scope(tenant_ids=tuple(service.subtree_ids(tx, node.id)), everything=False)
    rows = people.bindings(tx, scope)
    return [_shown(row) for row in rows if not role or row["role"] == role]


def grant_role(account: str, role: str, tenant: str) -> case.UseCase:
    """Bind a role of an account at a tenant, valid there and below."""

    def effect(tx: Transaction, who: model.Principal, _: model.Permit) -> case.Answer:
        node, found = service.by_code(tx, tenant), _visible(tx, who, account)
        people.grant(tx, who, found, model.Role(role), node)
        return _answer(found, role, node, granted=True)

    return case.UseCase(action="role.grant", permit=_asked(tenant, "grant"), effect=effect)


def put_roles(account: str, tenant: str, roles: list[model.Role]) -> case.UseCase:
    """Grant the roles of a RoleBinding document that are not held yet; none is taken."""

    def effect(tx: Transaction, who: model.Principal, _: model.Permit) -> case.Answer:
        node, found = service.by_code(tx, tenant), _visible(tx, who, account)
        held = {binding.role for binding in people.account_roles(tx, found) if binding.tenant_id == node.id}
        for role in dict.fromkeys(roles):
            if role not in held:
                people.grant(tx, who, found, role, node)
        before, after = sorted(map(str, held)), sorted({*map(str, held), *map(str, roles)})
        return case.Answer(
            body={"account": found.code, "tenant": node.code, "roles": after},
            kind="binding",
            object_id=found.id,
            tenant_id=node.id,
            before={"roles": before} if before else None,
            after={"roles": after},
        )

    return case.UseCase(action="role.put", permit=_asked(tenant, "grant"), effect=effect)


def revoke_role(account: str, role: str, tenant: str) -> case.UseCase:
    """End a role of an account at a tenant."""

    def effect(tx: Transaction, _: model.Principal, __: model.Permit) -> case.Answer:
        if role not in {str(known) for known in model.Role}:
            raise faults.UNKNOWN(kind="binding")
        node, found = service.by_code(tx, tenant), people.account(tx, account)
        people.revoke(tx, found, model.Role(role), node)
        return _answer(found, role, node, granted=False)

    return case.UseCase(action="role.revoke", permit=_asked(tenant, "revoke"), effect=effect)


def _visible(tx: Transaction, who: model.Principal, code: str) -> model.Account:
    """The account, if the caller holds a role where it is at home; else it is as unknown as one that does not exist."""
    found = people.account(tx, code)
    if not service.sees(tx, who, found.tenant_id):
        raise faults.UNKNOWN(kind="account")
    return found


def _asked(tenant: str, verb: str) -> case.Permit:
    return lambda tx, who: access.tenant(tx, who, tenant, verb, "binding")[1]


def _answer(account: model.Account, role: str, node: model.Tenant, *, granted: bool) -> case.Answer:
    facts = {"account": account.code, "role": role, "tenant": node.code}
    return case.Answer(
        status=201 if granted else 200,
        body=facts,
        kind="binding",
        object_id=account.id,
        tenant_id=node.id,
        before=None if granted else facts,
        after=facts if granted else None,
        facts={"role": role},
    )


def _shown(row: dict[str, Any]) -> dict[str, Any]:
    return {
        "account": row["account"],
        "name": row["person_name"],
        "kind": row["kind"],
        "role": row["role"],
        "tenant": row["tenant"],
    }


document.register(
    "RoleBinding",
    Spec,
    lambda declared: put_roles(declared.metadata.name, declared.metadata.tenant, declared.spec.roles),
    after_kinds={"Tenant", "Person"},
)
