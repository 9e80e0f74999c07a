"""Accounts and service accounts: list, show, a fresh login code, a program's account, disable."""

from typing import Any

from control import access, case
from primitives import clock
from store.transaction import Transaction
from tenants import faults, model, people, service, signin


def list_accounts(tx: Transaction, who: model.Principal, *, tenant: str = "") -> list[dict[str, Any]]:
    """Accounts at home where the caller may list them (in `tenant` and below, if given); his own besides."""
    scope = access.scope(tx, who, verb="list", kind="account")
    if tenant:
        node = access.tenant(tx, who, tenant, "list", "account")[0]
        scope = model.Scope(tenant_ids=tuple(service.subtree_ids(tx, node.id)), everything=False)
    rows = {row["code"]: row for row in people.accounts(tx, scope)}
    if not tenant:
        rows |= {row["code"]: row for row in people.accounts_of_person(tx, who.person_id)}
    homes = service.by_ids(tx, sorted({row["tenant_id"] for row in rows.values()}))
    return [_shown(rows[code], homes[rows[code]["tenant_id"]].code) for code in sorted(rows)]


def show_account(tx: Transaction, who: model.Principal, code: str) -> dict[str, Any]:
    """One account with the roles that it holds."""
    found = people.account(tx, code)
    permit(tx, who, found, "show")
    person = people.person(tx, found.person_id)
    home = service.by_id(tx, found.tenant_id)
    row = {
        "code": found.code,
        "kind": found.kind,
        "person_id": person.id,
        "person_name": person.name,
        "generation": found.generation,
    }
    roles = people.account_roles(tx, found)
    codes = {each.id: each.code for each in service.by_ids(tx, [binding.tenant_id for binding in roles]).values()}
    held = [{"role": str(binding.role), "tenant": codes[binding.tenant_id]} for binding in roles]
    return _shown({**row, "disabled_at": 0 if found.disabled else None}, home.code) | {"roles": held}


def enrol_account(code: str) -> case.UseCase:
    """A fresh one-use code; every token and code of the account so far is void."""

    def effect(tx: Transaction, who: model.Principal, _: model.Permit) -> case.Answer:
        found = people.account(tx, code)
        if found.person_id != who.person_id:
            _refuse_beyond(tx, who, found)
        secret = signin.enrol(tx, found)
        body = {"account": found.code, "code": secret, "code_expires_at": clock.text(tx.now() + signin.CODE_LIFE)}
        return _answer(found, body, secret=True)

    return case.UseCase(action="account.enrol", permit=_asked(code, "enrol"), effect=effect)


def create_service(code: str, tenant: str, roles: list[model.Role]) -> case.UseCase:
    """An account for a program of the caller, with some of his own roles in a tenant; the answer holds its token, shown once."""

    def asked(tx: Transaction, who: model.Principal) -> model.Permit:
        allowed = access.tenant(tx, who, tenant, "create_service", "account")[1]
        if who.kind != "person":
            raise faults.FORBIDDEN(roles="service account", verb="create_service", kind="account", needed="a person")
        return allowed

    def effect(tx: Transaction, who: model.Principal, _: model.Permit) -> case.Answer:
        home = service.by_code(tx, tenant)
        made = people.create_account(tx, code, people.person(tx, who.person_id), home, "service")
        for role in dict.fromkeys(roles):
            people.grant(tx, who, made, role, home)
        token = signin.issue(tx, made)
        body = {"account": made.code, "tenant": home.code, "roles": [str(role) for role in roles], "token": token}
        return _answer(made, body, secret=True, status=201)

    return case.UseCase(action="account.create_service", permit=asked, effect=effect)


def disable_account(code: str) -> case.UseCase:
    """End an account for good, with its roles and tokens; with a person's last one go the service accounts he answers for."""

    def effect(tx: Transaction, _: model.Principal, __: model.Permit) -> case.Answer:
        found = people.account(tx, code)
        ended = people.disable(tx, found)
        return _answer(ended[0], {"account": found.code, "disabled": [each.code for each in ended]})

    return case.UseCase(action="account.disable", permit=_asked(code, "disable"), effect=effect)


def permit(tx: Transaction, who: model.Principal, account: model.Account, verb: str) -> model.Permit:
    """The permit over an account: by a role where it is at home, or because it is the caller's own (to end or enrol: a
    program of his).
    """
    own = account.person_id == who.person_id and who.kind == "person"
    if account.id == who.account_id and verb == "show":
        return access.own(who, "whoami", "account")
    if own and (verb == "show" or account.kind == "service"):
        return access.own(who, "list" if verb == "show" else verb, "account")
    return access.require(tx, who, verb, "account", tenant_id=account.tenant_id)


def _refuse_beyond(tx: Transaction, who: model.Principal, account: model.Account) -> None:
    """A code is all the power of its account, so its roles must lie where the caller may enrol.  Raises account.beyond."""
    within = access.scope(tx, who, verb="enrol", kind="account")
    nodes = {binding.tenant_id for binding in people.account_roles(tx, account)}
    if not within.everything and not nodes <= set(within.tenant_ids):
        raise faults.ENROL_BEYOND(account=account.code)


def _asked(code: str, verb: str) -> case.Permit:
    return lambda tx, who: permit(tx, who, people.account(tx, code), verb)


def _answer(account: model.Account, body: dict[str, Any], *, secret: bool = False, status: int = 200) -> case.Answer:
    hidden = {"code", "token", "code_expires_at"}
    return case.Answer(
        status=status,
        body=body,
        kind="account",
        object_id=account.id,
        generation=account.generation,
        tenant_id=account.tenant_id,
        after={key: value for key, value in body.items() if key not in hidden},
        secret=secret,
    )


def _shown(row: dict[str, Any], home: str) -> dict[str, Any]:
    return {
        "account": row["code"],
        "kind": row["kind"],
        "person_id": row["person_id"],
        "name": row["person_name"],
        "tenant": home,
        "state": "active" if row["disabled_at"] is None else "disabled",
        "generation": row["generation"],
    }
