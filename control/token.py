"""Tokens: list without their secrets, rotate one's own, revoke."""

from typing import Any

from control import access, case
from primitives import clock
from store.transaction import Transaction
from tenants import model, people, signin


def list_tokens(tx: Transaction, who: model.Principal, *, account: str = "") -> list[dict[str, Any]]:
    """The caller's tokens, or those of an account; newest first."""
    if account and account != who.account:
        found = people.account(tx, account)
        _permit(tx, who, found.person_id, found.tenant_id, "list")
        account_id, name = found.id, found.code
    else:
        account_id, name = who.account_id, who.account
    now = tx.now()
    return [_shown(token, name, now, current=token.id == who.token_id) for token in people.tokens_of(tx, account_id)]


def rotate_token() -> case.UseCase:
    """A new token for the one that asks; the old one still works for ten minutes, in case the answer gets lost."""

    def effect(tx: Transaction, who: model.Principal, _: model.Permit) -> case.Answer:
        token, ends_at = signin.rotate(tx, who)
        body = {"token": token, "account": who.account, "old_token_ends_at": clock.text(ends_at)}
        return case.Answer(status=201, body=body, kind="token", object_id=who.token_id, tenant_id=who.tenant_id, secret=True)

    return case.UseCase(action="token.rotate", permit=lambda _, who: access.own(who, "rotate", "token"), effect=effect)


def revoke_token(token_id: str) -> case.UseCase:
    """Revoke a token: one's own, a service account's, or by a role that allows it where its account is at home."""

    def permit(tx: Transaction, who: model.Principal) -> model.Permit:
        owner = people.token_owner(tx, token_id)
        return _permit(tx, who, owner["person_id"], owner["tenant_id"], "revoke")

    def effect(tx: Transaction, _: model.Principal, __: model.Permit) -> case.Answer:
        owner = people.token_owner(tx, token_id)
        people.revoke_token(tx, token_id)
        body = {"id": token_id, "account": owner["account"], "state": "revoked"}
        return case.Answer(body=body, kind="token", object_id=token_id, tenant_id=owner["tenant_id"])

    return case.UseCase(action="token.revoke", permit=permit, effect=effect)


def _permit(tx: Transaction, who: model.Principal, person_id: str, tenant_id: str, verb: str) -> model.Permit:
    if person_id == who.person_id and who.kind == "person":
        return access.own(who, verb, "token")
    return access.require(tx, who, verb, "token", tenant_id=tenant_id)


def _shown(token: model.Token, account: str, now: Any, *, current: bool) -> dict[str, Any]:
    state = "revoked" if token.revoked_at is not None else "expired" if token.expires_at <= now else "active"
    return {
        "id": token.id,
        "account": account,
        "state": state,
        "current": current,
        "created_at": clock.text(token.created_at),
        "used_at": clock.text(token.used_at),
        "expires_at": clock.text(token.expires_at),
    }
