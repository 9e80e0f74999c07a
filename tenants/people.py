"""Persons, accounts and service accounts, and the roles bound at nodes: who may become what.

The rules here give people a clear no; the constraints of the tables stand behind them.  Nobody grants himself, no person is two
of the three administrators, no program is an administrator, and a service account never holds more than its owner.
"""

import dataclasses
import hashlib
import secrets
from collections.abc import Mapping, Sequence
from typing import Any

from primitives import canonical, ids
from store import transaction
from tenants import faults, model, role_table, rules
from tenants.records import people as records
from tenants.records import signin as signin_records
from tenants.records import tree as tree_records

ADMINISTRATORS = role_table.ADMINISTRATORS


def create_person(tx: transaction.Transaction, name: str, contact: str = "") -> model.Person:
    """Note a person.  Raises input.invalid."""
    person = model.Person(
        id=ids.new("person"), name=rules.label(name, "name"), contact=_contact(contact), salt=secrets.token_hex(16)
    )
    records.insert_person(tx, person)
    return person


def commitment(person: model.Person) -> str:
    """What the trail may hold of a person: SHA-256 over his salt, name and contact.  Nobody can guess it, and erasing the
    row voids it.
    """
    return hashlib.sha256(canonical.dumps([person.salt, person.name, person.contact])).hexdigest()


def update_person(tx: transaction.Transaction, person: model.Person, *, name: str, contact: str) -> model.Person:
    """Correct a name or contact.  Raises input.invalid."""
    changed = dataclasses.replace(person, name=rules.label(name, "name"), contact=_contact(contact))
    records.update_person(tx, changed)
    return changed


def person(tx: transaction.Transaction, person_id: str) -> model.Person:
    """The person of an id.  Raises object.unknown."""
    found = records.person(tx, person_id)
    if found is None:
        raise faults.UNKNOWN(kind="person")
    return found


def create_account(
    tx: transaction.Transaction, code: str, person: model.Person, tenant: model.Tenant, kind: str = "person"
) -> model.Account:
    """An account of a person, at home in a tenant.  Raises input.invalid, code.taken, tenant.state."""
    if tenant.state in (model.State.CLOSING, model.State.CLOSED):
        raise faults.STATE(tenant=tenant.code, state=str(tenant.state), wanted="given an account")
    if records.account(tx, rules.account_code(code)) is not None:
        raise faults.CODE_TAKEN(code=code, kind="account")
    account = model.Account(
        id=ids.new("account"), code=code, kind=kind, person_id=person.id, tenant_id=tenant.id, disabled=False, generation=1
    )
    records.insert_account(tx, account)
    return account


def account(tx: transaction.Transaction, code: str) -> model.Account:
    """The account of a login name.  Raises object.unknown."""
    found = records.account(tx, code)
    if found is None:
        raise faults.UNKNOWN(kind="account")
    return found


def find_account(tx: transaction.Transaction, code: str) -> model.Account | None:
    """The account of a login name, or None."""
    return records.account(tx, code)


def account_codes(tx: transaction.Transaction, account_ids: Sequence[str]) -> Mapping[str, str]:
    """Login names by account id; unknown ids are left out."""
    return records.account_codes(tx, account_ids)


def accounts(tx: transaction.Transaction, scope: model.Scope) -> list[dict[str, Any]]:
    """Accounts at home in the scope, with the names of their persons."""
    return records.accounts(tx, None if scope.everything else scope.tenant_ids)


def accounts_of_person(tx: transaction.Transaction, person_id: str) -> list[dict[str, Any]]:
    """All accounts of a person, service accounts included."""
    return records.accounts_of_person(tx, person_id)


def bindings(tx: transaction.Transaction, scope: model.Scope) -> list[dict[str, Any]]:
    """Living roles bound within the scope, with account and person."""
    return records.bindings(tx, None if scope.everything else scope.tenant_ids)


def account_roles(tx: transaction.Transaction, account: model.Account) -> list[model.Binding]:
    """Living roles of an account."""
    return records.account_bindings(tx, account.id)


def persons(tx: transaction.Transaction, scope: model.Scope) -> list[dict[str, Any]]:
    """id, name, contact of the persons with an account at home in the scope, by name."""
    return records.persons(tx, None if scope.everything else scope.tenant_ids)


def grant(
    tx: transaction.Transaction, who: model.Principal | None, account: model.Account, role: model.Role, tenant: model.Tenant
) -> model.Binding:
    """Bind a role at a node.  `who` is None only in `init`.

    Raises role.self, role.not_grantable, role.combined, role.service, role.bound, account.disabled, tenant.state.
    """
    if account.disabled:
        raise faults.DISABLED(account=account.code)
    if tenant.state in (model.State.CLOSING, model.State.CLOSED):
        raise faults.STATE(tenant=tenant.code, state=str(tenant.state), wanted="given a role")
    path = [node for node, _, _ in tree_records.path(tx, tenant.id)]
    if who is not None:
        if who.person_id == account.person_id and account.kind == "person":
            raise faults.SELF()
        if account.kind == "person" or who.person_id != account.person_id:
            rules.grantable(rules.held_at(who.bindings, path), role)
    binding = model.Binding(role=role, tenant_id=tenant.id)
    if account.kind == "service":
        _service_may(tx, account, binding, path)
    if role in role_table.ADMINISTRATORS:
        held = [each.role for each in records.person_bindings(tx, account.person_id) if each.role in role_table.ADMINISTRATORS]
        if held:
            raise faults.ADMINISTRATORS(held=str(held[0]))
    if binding in records.account_bindings(tx, account.id):
        raise faults.BOUND(account=account.code, role=str(role), tenant=tenant.code)
    records.insert_binding(tx, ids.new("binding"), account, binding, "" if who is None else who.person_id)
    return binding


def revoke(tx: transaction.Transaction, account: model.Account, role: model.Role, tenant: model.Tenant) -> None:
    """End a role at a node.  Raises object.unknown if it is not held, role.last for the last administrator of the root."""
    keep_last_administrator(tx, account, [model.Binding(role=role, tenant_id=tenant.id)])
    if not records.revoke_binding(tx, account.id, model.Binding(role=role, tenant_id=tenant.id)):
        raise faults.UNKNOWN(kind="binding")


def remove(tx: transaction.Transaction, account: model.Account, tenant: model.Tenant) -> list[model.Binding]:
    """End all roles of an account at and below a tenant; returns them.  Raises object.unknown if there are none, role.last."""
    nodes = set(tree_records.below(tx, [tenant.id]))
    held = [binding for binding in records.account_bindings(tx, account.id) if binding.tenant_id in nodes]
    if not held:
        raise faults.UNKNOWN(kind="member")
    keep_last_administrator(tx, account, held)
    for binding in held:
        records.revoke_binding(tx, account.id, binding)
    return held


def disable(tx: transaction.Transaction, account: model.Account) -> list[model.Account]:
    """Disable an account for good, with its roles, tokens and codes; returns what was disabled.

    With the last personal account of a person go the service accounts that he answers for.  Raises account.disabled, role.last.
    """
    if account.disabled:
        raise faults.DISABLED(account=account.code)
    keep_last_administrator(tx, account, records.account_bindings(tx, account.id))
    ending = [account]
    others = [
        row for row in records.accounts_of_person(tx, account.person_id) if row["disabled_at"] is None and row["id"] != account.id
    ]
    if account.kind == "person" and all(row["kind"] == "service" for row in others):
        ending += [found for row in others if (found := records.account(tx, row["code"])) is not None]
    for each in ending:
        records.disable(tx, each.id)
    return [dataclasses.replace(each, disabled=True, generation=each.generation + 1) for each in ending]


def disable_all(tx: transaction.Transaction, tenant: model.Tenant) -> int:
    """Disable all accounts at home in a tenant that is wound up, and end every role bound there; the number of accounts."""
    living = [row for row in records.accounts(tx, [tenant.id]) if row["disabled_at"] is None]
    for row in living:
        records.disable(tx, row["id"])
    records.revoke_at(tx, tenant.id)
    return len(living)


def keep_last_administrator(tx: transaction.Transaction, account: model.Account, ending: list[model.Binding]) -> None:
    """The root keeps one of each of the three, or nobody could ever be made one again.  Raises role.last."""
    top = tree_records.root(tx)
    held = records.account_bindings(tx, account.id)
    for binding in ending:
        at_root = top is not None and binding.tenant_id == top.id and binding.role in role_table.ADMINISTRATORS
        if at_root and binding in held and records.holders(tx, binding.role, binding.tenant_id) == 1:
            raise faults.LAST_ADMINISTRATOR(account=account.code, role=str(binding.role))


def tokens_of(tx: transaction.Transaction, account_id: str) -> list[model.Token]:
    """Tokens of an account, newest first, without their secrets."""
    return signin_records.tokens(tx, account_id)


def token_owner(tx: transaction.Transaction, token_id: str) -> dict[str, Any]:
    """account_id, account, person_id, tenant_id of a token.  Raises object.unknown."""
    row = signin_records.token_account(tx, token_id)
    if row is None:
        raise faults.UNKNOWN(kind="token")
    return row


def revoke_token(tx: transaction.Transaction, token_id: str) -> None:
    """Revoke one token; it is refused from the next request on."""
    signin_records.revoke(tx, token_id)


def _service_may(tx: transaction.Transaction, account: model.Account, binding: model.Binding, path: list[str]) -> None:
    role = str(binding.role)
    if binding.role in role_table.ADMINISTRATORS:
        raise faults.SERVICE_ADMINISTRATOR(role=role, reason="")
    if account.tenant_id not in path:
        raise faults.SERVICE_ADMINISTRATOR(role=role, reason=" outside of its tenant")
    if binding.role not in rules.held_at(records.person_bindings(tx, account.person_id), path):
        raise faults.SERVICE_ADMINISTRATOR(role=role, reason=" that its owner does not hold there")


def _contact(text: str) -> str:
    return rules.label(text, "contact", 200) if text else ""
