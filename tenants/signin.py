"""Signing in: a one-use code becomes a token, a token becomes a principal.  No passwords anywhere.

A person's token lives 12 h and renews itself by use up to 30 days; a service account's lives 30 days, so that a nightly job
needs no human.  Codes and tokens carry the epoch of the installation: a restore raises it and so voids them all.
"""

import datetime
from typing import Any, Final

from primitives import clock, ids
from store import installation, transaction
from tenants import faults, model, rules, secret
from tenants.records import people as people_records
from tenants.records import signin as records
from tenants.records import tree as tree_records

CODE_LIFE: Final = datetime.timedelta(hours=24)
TOKEN_LIFE: Final = datetime.timedelta(days=30)
IDLE: Final = {"person": datetime.timedelta(hours=12), "service": TOKEN_LIFE}
RENEW_AFTER: Final = datetime.timedelta(hours=1)
"""A token is noted as used at most this often, so that reading costs no write."""
OVERLAP: Final = datetime.timedelta(minutes=10)
"""How long the old token outlives its rotation: the answer with the new one may get lost."""


def authenticate(tx: transaction.Transaction, token: str) -> model.Principal:
    """Who holds this token.  Reads only.  Raises token.unknown, token.expired, token.revoked."""
    token_hash = secret.digest(token)
    sound = tx.recall(("sound", token_hash)) or secret.is_sound(token, secret.TOKEN)
    rows = records.authentication(tx, token_hash) if sound else []
    if not rows:
        raise faults.TOKEN_UNKNOWN()
    tx.keep(("sound", token_hash), True)
    row, now_us = rows[0], clock.to_us(tx.now())
    if row["disabled_at"] is not None:
        raise faults.TOKEN_REVOKED(reason="the account is disabled")
    if row["revoked_at"] is not None:
        raise faults.TOKEN_REVOKED(reason="by its owner, an administrator or a newer enrolment")
    if row["epoch"] != row["installation_epoch"]:
        raise faults.TOKEN_REVOKED(reason="the installation was restored from a backup")
    if row["expires_at"] <= now_us:
        raise faults.TOKEN_EXPIRED(expired_at=clock.text(clock.from_us(row["expires_at"])))
    bindings = tuple(
        model.Binding(role=model.Role(each["role"]), tenant_id=each["bound_at"]) for each in rows if each["role"] is not None
    )
    if row["kind"] == "service":
        bindings = _covered(tx, bindings, people_records.person_bindings(tx, row["person_id"]))
    return model.Principal(
        account_id=row["account_id"],
        account=row["account"],
        kind=row["kind"],
        person_id=row["person_id"],
        person_name=row["person_name"],
        tenant_id=row["tenant_id"],
        token_id=row["token_id"],
        needs_renewal=now_us - row["used_at"] >= RENEW_AFTER // datetime.timedelta(microseconds=1),
        bindings=bindings,
    )


def renew(tx: transaction.Transaction, who: model.Principal) -> None:
    """Note the use of the token and move its end; run it on the lane when `who.needs_renewal`.  A dead token stays dead."""
    records.renew(tx, who.token_id, clock.to_us(tx.now()), _us(IDLE[who.kind]))


def new_code(tx: transaction.Transaction, account: model.Account) -> str:
    """A one-use code for `login`, valid 24 h; the only time that its text exists."""
    text, now = secret.new(secret.CODE), tx.now()
    records.insert_code(
        tx,
        {
            "id": ids.new("code"),
            "account_id": account.id,
            "hash": secret.digest(text),
            "epoch": installation.get(tx).epoch,
            "created_at": clock.to_us(now),
            "expires_at": clock.to_us(now + CODE_LIFE),
        },
    )
    return text


def enrol(tx: transaction.Transaction, account: model.Account, *, at_console: bool = False) -> str:
    """A fresh code for an account; its tokens and codes so far are void, so the owner notices.

    An administrator is enrolled only at the server's console.  Raises account.disabled, account.administrator.
    """
    if account.disabled:
        raise faults.DISABLED(account=account.code)
    held = [
        binding.role for binding in people_records.person_bindings(tx, account.person_id) if binding.role in rules.ADMINISTRATORS
    ]
    if held and not at_console:
        raise faults.ENROL_ADMINISTRATOR(account=account.code, role=str(held[0]))
    records.revoke_all(tx, account.id)
    return new_code(tx, account)


def login(tx: transaction.Transaction, code: str) -> tuple[str, model.Principal]:
    """A token for a one-use code, and its principal.  Raises login.code."""
    row = records.code(tx, secret.digest(code)) if secret.is_sound(code, secret.CODE) else None
    dead = row is None or row["used_at"] is not None or row["disabled_at"] is not None
    if row is None or dead or row["expires_at"] <= clock.to_us(tx.now()) or row["epoch"] != installation.get(tx).epoch:
        raise faults.CODE_REFUSED()
    records.use_code(tx, row["id"])
    account = people_records.account(tx, row["account"])
    if account is None:
        raise faults.CODE_REFUSED()
    token = issue(tx, account)
    return token, authenticate(tx, token)


def issue(tx: transaction.Transaction, account: model.Account) -> str:
    """A fresh token for an account; the only time that its text exists."""
    text, now = secret.new(secret.TOKEN), tx.now()
    row: dict[str, Any] = {
        "id": ids.new("token"),
        "account_id": account.id,
        "hash": secret.digest(text),
        "epoch": installation.get(tx).epoch,
        "created_at": clock.to_us(now),
        "used_at": clock.to_us(now),
        "expires_at": clock.to_us(now + IDLE[account.kind]),
        "ends_at": clock.to_us(now + TOKEN_LIFE),
    }
    records.insert_token(tx, row)
    return text


def rotate(tx: transaction.Transaction, who: model.Principal) -> tuple[str, datetime.datetime]:
    """A new token in place of the one that asks, which still works for ten minutes.  Returns the token and the old one's end."""
    account = people_records.account(tx, who.account)
    if account is None:
        raise faults.TOKEN_UNKNOWN()
    ends_at = tx.now() + OVERLAP
    records.shorten(tx, who.token_id, clock.to_us(ends_at))
    return issue(tx, account), ends_at


def _covered(
    tx: transaction.Transaction, bindings: tuple[model.Binding, ...], owners: list[model.Binding]
) -> tuple[model.Binding, ...]:
    """The roles of a service account that its owner still holds there: who leaves takes the power of his programs with him."""
    return tuple(
        binding
        for binding in bindings
        if binding.role in rules.held_at(owners, [node for node, _, _ in tree_records.path(tx, binding.tenant_id)])
    )


def _us(delta: datetime.timedelta) -> int:
    return delta // datetime.timedelta(microseconds=1)
