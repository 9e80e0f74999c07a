"""SQL of signing in: tokens and one-use codes, both kept as SHA-256 only."""

from typing import Any, Final

import sqlalchemy as sa

from primitives import clock
from store import transaction
from tenants import model, tables

_INSERT_TOKEN: Final = sa.insert(tables.TOKENS)
_INSERT_CODE: Final = sa.insert(tables.CODES)
_AUTHENTICATE: Final = transaction.sql(  # one statement for everything a request needs to know of its caller
    "SELECT t.id AS token_id, t.epoch, t.used_at, t.expires_at, t.revoked_at, a.id AS account_id, a.code AS account,"
    " a.kind, a.disabled_at, a.tenant_id, p.id AS person_id, p.name AS person_name, b.role, b.tenant_id AS bound_at,"
    " (SELECT epoch FROM installation) AS installation_epoch"
    " FROM tokens t JOIN accounts a ON a.id = t.account_id JOIN persons p ON p.id = a.person_id"
    " LEFT JOIN bindings b ON b.account_id = a.id AND b.revoked_at IS NULL WHERE t.hash = :hash"
)
_CODE: Final = transaction.sql(
    "SELECT c.id, c.account_id, c.epoch, c.expires_at, c.used_at, a.code AS account, a.disabled_at"
    " FROM login_codes c JOIN accounts a ON a.id = c.account_id WHERE c.hash = :hash"
)


def authentication(tx: transaction.Transaction, token_hash: str) -> list[dict[str, Any]]:
    """Token, account and person of a token's hash, one row per role held; [] if there is no such token."""
    return tx.known(_AUTHENTICATE, list, hash=token_hash)


def insert_token(tx: transaction.Transaction, row: dict[str, Any]) -> None:
    """A token; `row` has all columns but revoked_at."""
    tx.execute(_INSERT_TOKEN, **row, revoked_at=None)


def renew(tx: transaction.Transaction, token_id: str, now_us: int, idle_us: int) -> None:
    """Note the use of a token and move its end, never beyond the end of its whole life and never back."""
    tx.execute(
        transaction.sql(
            "UPDATE tokens SET used_at = :now, expires_at ="
            " CASE WHEN :wanted > ends_at THEN ends_at WHEN :wanted > expires_at THEN :wanted ELSE expires_at END"
            " WHERE id = :token_id AND revoked_at IS NULL AND expires_at > :now"
        ),
        token_id=token_id,
        now=now_us,
        wanted=now_us + idle_us,
    )


def shorten(tx: transaction.Transaction, token_id: str, end_us: int) -> None:
    """A replaced token ends at `end_us` for good, if not earlier."""
    tx.execute(
        transaction.sql(
            "UPDATE tokens SET ends_at = CASE WHEN ends_at < :end THEN ends_at ELSE :end END,"
            " expires_at = CASE WHEN expires_at < :end THEN expires_at ELSE :end END WHERE id = :token_id AND revoked_at IS NULL"
        ),
        token_id=token_id,
        end=end_us,
    )


def revoke(tx: transaction.Transaction, token_id: str) -> None:
    """Revoke one token."""
    tx.execute(
        transaction.sql("UPDATE tokens SET revoked_at = :now WHERE id = :token_id AND revoked_at IS NULL"),
        token_id=token_id,
        now=clock.to_us(tx.now()),
    )


def revoke_all(tx: transaction.Transaction, account_id: str) -> None:
    """Revoke every token and void every unused code of an account."""
    for statement in (
        "UPDATE tokens SET revoked_at = :now WHERE account_id = :account_id AND revoked_at IS NULL",
        "UPDATE login_codes SET used_at = :now WHERE account_id = :account_id AND used_at IS NULL",
    ):
        tx.execute(transaction.sql(statement), account_id=account_id, now=clock.to_us(tx.now()))


def tokens(tx: transaction.Transaction, account_id: str) -> list[model.Token]:
    """Tokens of an account, newest first."""
    rows = tx.execute(
        transaction.sql(
            "SELECT id, account_id, created_at, used_at, expires_at, revoked_at FROM tokens WHERE account_id = :account_id"
            " ORDER BY created_at DESC, id DESC LIMIT 200"
        ),
        account_id=account_id,
    )
    return [_token(row) for row in rows]


def token_account(tx: transaction.Transaction, token_id: str) -> dict[str, Any] | None:
    """account_id, account (login name), person_id and tenant_id of a token."""
    return tx.one(
        transaction.sql(
            "SELECT a.id AS account_id, a.code AS account, a.person_id, a.tenant_id "
            " FROM tokens t JOIN accounts a ON a.id = t.account_id"
            " WHERE t.id = :token_id"
        ),
        token_id=token_id,
    )


def insert_code(tx: transaction.Transaction, row: dict[str, Any]) -> None:
    """A one-use code; `row` has all columns but used_at."""
    tx.execute(_INSERT_CODE, **row, used_at=None)


def code(tx: transaction.Transaction, code_hash: str) -> dict[str, Any] | None:
    """The code of a hash with its account."""
    return tx.one(_CODE, hash=code_hash)


def use_code(tx: transaction.Transaction, code_id: str) -> None:
    """The code is used up."""
    tx.execute(
        transaction.sql("UPDATE login_codes SET used_at = :now WHERE id = :code_id"), code_id=code_id, now=clock.to_us(tx.now())
    )


def _token(row: dict[str, Any]) -> model.Token:
    times = {name: clock.from_us(row[name]) for name in ("created_at", "used_at", "expires_at")}
    revoked_at = None if row["revoked_at"] is None else clock.from_us(row["revoked_at"])
    return model.Token(id=row["id"], account_id=row["account_id"], **times, revoked_at=revoked_at)
