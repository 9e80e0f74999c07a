"""Signing in and out: a one-use code for a token, who am I, log out."""

import functools
from typing import Any

from control import access, case
from primitives import clock
from store.transaction import Transaction
from tenants import model, people, service, signin


def login(code: str) -> case.OpenCase:
    """Exchange a one-use code for a token, which the answer shows once."""

    def effect(tx: Transaction) -> case.Answer:
        token, who = signin.login(tx, code)
        return case.Answer(
            body={"token": token, **_who(tx, who)},
            kind="token",
            object_id=who.token_id,
            tenant_id=who.tenant_id,
            actor=who.account_id,
            secret=True,
        )

    return case.OpenCase(action="token.issue", effect=effect)


def logout() -> case.UseCase:
    """Revoke the token that the request came with."""

    def effect(tx: Transaction, who: model.Principal, _: model.Permit) -> case.Answer:
        people.revoke_token(tx, who.token_id)
        return case.Answer(body={"account": who.account}, kind="token", object_id=who.token_id, tenant_id=who.tenant_id)

    return case.UseCase(action="token.logout", permit=lambda _, who: access.own(who, "revoke", "token"), effect=effect)


def keep_alive(wiring: case.Wired, who: model.Principal | None) -> None:
    """Renew the token of a caller who only reads, at most once an hour; the answer does not wait for it."""
    if who is not None and who.needs_renewal:
        wiring.database.lane.submit(functools.partial(service.renew, who=who))


def whoami(tx: Transaction, who: model.Principal) -> dict[str, Any]:
    """The caller: account, person, home and the roles that count now."""
    return _who(tx, who)


def _who(tx: Transaction, who: model.Principal) -> dict[str, Any]:
    nodes = service.by_ids(tx, sorted({who.tenant_id, *(binding.tenant_id for binding in who.bindings)}))
    token = next((each for each in people.tokens_of(tx, who.account_id) if each.id == who.token_id), None)
    return {
        "account": who.account,
        "kind": who.kind,
        "person_id": who.person_id,
        "name": who.person_name,
        "tenant": nodes[who.tenant_id].code,
        "roles": [
            {"role": str(binding.role), "tenant": nodes[binding.tenant_id].code, "tenant_name": nodes[binding.tenant_id].name}
            for binding in who.bindings
        ],
        "token_id": who.token_id,
        "token_expires_at": clock.text(token.expires_at) if token else "",
    }
