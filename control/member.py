"""Members: the people of a tenant.

Adding one makes person, account and a one-use code; the roles that decide, approve or pay come from another hand (`role grant`).
 The trail holds a salted commitment of name and contact, never the personal data.
"""

from typing import Annotated, Any

import msgspec

from control import access, case, document
from primitives import clock
from store.transaction import Transaction
from tenants import faults, model, people, service, signin


class Spec(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """A Person document: `metadata.name` is the login name, `metadata.tenant` the home.  Roles listed are granted, none is
    taken.
    """

    name: Annotated[str, msgspec.Meta(min_length=1, max_length=100, description="of the person, in any script")]
    contact: Annotated[str, msgspec.Meta(max_length=200, description="telephone or mail")] = ""
    roles: Annotated[list[model.Role], msgspec.Meta(max_length=8, description="at home and below")] = []


def add_member(tenant: str, account: str, spec: Spec, *, enrol: bool = True) -> case.UseCase:
    """A new person with an account at home in a tenant; with `enrol` the answer holds the code for `login`, shown once.

    Each role must be one that the caller may grant: the system administrator gives requester and viewer, all others come from the
    security administrator.
    """

    def effect(tx: Transaction, who: model.Principal, _: model.Permit) -> case.Answer:
        home = service.by_code(tx, tenant)
        made = people.create_account(tx, account, people.create_person(tx, spec.name, spec.contact), home)
        for role in dict.fromkeys(spec.roles):
            people.grant(tx, who, made, role, home)
        body = _body(tx, made, home)
        if enrol:
            body |= {"code": signin.new_code(tx, made), "code_expires_at": clock.text(tx.now() + signin.CODE_LIFE)}
        return case.Answer(
            status=201,
            body=body,
            kind="account",
            object_id=made.id,
            generation=made.generation,
            tenant_id=home.id,
            after=_facts(tx, made),
            secret=enrol,
        )

    return case.UseCase(action="member.add", permit=_asked(tenant, "add"), effect=effect)


def put_member(tenant: str, account: str, spec: Spec) -> case.UseCase:
    """Make a person be as a document says: added without a code (`account enrol` prints one), or corrected where it differs."""

    def permit(tx: Transaction, who: model.Principal) -> model.Permit:
        found = people.find_account(tx, account)
        if found is None:
            return add_member(tenant, account, spec).permit(tx, who)
        allowed = access.tenant(tx, who, service.by_id(tx, found.tenant_id).code, "show", "person")[1]
        if _differs(people.person(tx, found.person_id), spec):
            allowed = access.require(tx, who, "update", "person", tenant_id=found.tenant_id)
        if _missing(tx, found, spec):
            allowed = access.require(tx, who, "grant", "binding", tenant_id=found.tenant_id)
        return allowed

    def effect(tx: Transaction, who: model.Principal, allowed: model.Permit) -> case.Answer:
        found = people.find_account(tx, account)
        if found is None:
            return add_member(tenant, account, spec, enrol=False).effect(tx, who, allowed)
        home = service.by_id(tx, found.tenant_id)
        if home.code != tenant:
            raise faults.ELSEWHERE(account=account, home=home.code, tenant=tenant)
        before, person = _facts(tx, found), people.person(tx, found.person_id)
        if _differs(person, spec):
            people.update_person(tx, person, name=spec.name, contact=spec.contact)
        for role in _missing(tx, found, spec):
            people.grant(tx, who, found, role, home)
        return case.Answer(
            body=_body(tx, found, home),
            kind="account",
            object_id=found.id,
            generation=found.generation,
            tenant_id=home.id,
            before=before,
            after=_facts(tx, found),
        )

    return case.UseCase(action="member.put", permit=permit, effect=effect)


def remove_member(tenant: str, account: str) -> case.UseCase:
    """End every role of an account at and below a tenant.  The account stays; `account disable` ends it."""

    def effect(tx: Transaction, _: model.Principal, __: model.Permit) -> case.Answer:
        node = service.by_code(tx, tenant)
        found = people.account(tx, account)
        before = _facts(tx, found)
        ended = sorted({str(binding.role) for binding in people.remove(tx, found, node)})
        body = {"account": found.code, "tenant": node.code, "roles": ended}
        return case.Answer(body=body, kind="account", object_id=found.id, tenant_id=node.id, before=before, after=_facts(tx, found))

    return case.UseCase(action="member.remove", permit=_asked(tenant, "remove"), effect=effect)


def list_members(tx: Transaction, who: model.Principal, tenant: str) -> list[dict[str, Any]]:
    """Who is at home in a tenant or holds a role exactly there, by account; personal data, so not for everyone."""
    node = access.tenant(tx, who, tenant, "list", "member")[0]
    here = model.Scope(tenant_ids=(node.id,), everything=False)
    members: dict[str, dict[str, Any]] = {}
    for row in people.accounts(tx, here):
        if row["disabled_at"] is None:
            members[row["code"]] = _member(row["code"], row, "home")
    for row in people.bindings(tx, here):
        members.setdefault(row["account"], _member(row["account"], row, "guest"))["roles"].append(row["role"])
    return [members[account] for account in sorted(members)]


def _member(account: str, row: dict[str, Any], at: str) -> dict[str, Any]:
    return {"account": account, "name": row["person_name"], "kind": row["kind"], "at": at, "roles": []}


def _differs(person: model.Person, spec: Spec) -> bool:
    return (person.name, person.contact) != (spec.name, spec.contact)


def _missing(tx: Transaction, account: model.Account, spec: Spec) -> list[model.Role]:
    held = {binding.role for binding in people.account_roles(tx, account) if binding.tenant_id == account.tenant_id}
    return [role for role in dict.fromkeys(spec.roles) if role not in held]


def _body(tx: Transaction, account: model.Account, home: model.Tenant) -> dict[str, Any]:
    person = people.person(tx, account.person_id)
    roles = [str(binding.role) for binding in people.account_roles(tx, account) if binding.tenant_id == home.id]
    return {"account": account.code, "person_id": person.id, "name": person.name, "tenant": home.code, "roles": sorted(roles)}


def _facts(tx: Transaction, account: model.Account) -> dict[str, Any]:
    """What the trail and `diff` compare; no personal data."""
    roles = people.account_roles(tx, account)
    return {
        "account": account.code,
        "person": people.commitment(people.person(tx, account.person_id)),
        "roles": sorted(f"{binding.role}@{service.by_id(tx, binding.tenant_id).code}" for binding in roles),
    }


def _asked(tenant: str, verb: str) -> case.Permit:
    return lambda tx, who: access.tenant(tx, who, tenant, verb, "member")[1]


document.register(
    "Person",
    Spec,
    lambda declared: put_member(declared.metadata.tenant, declared.metadata.name, declared.spec),
    after_kinds={"Tenant"},
)
