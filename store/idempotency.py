"""Answers already given, kept with their effect: the same key and request get the first answer (RULES: idempotency).

Scoped to account, method and concrete path; the hash covers body and If-Match; kept 30 days.  Permission is checked before a stored answer is
handed out, by whoever calls `recall`.
"""

import dataclasses
import datetime
import json
from typing import Any, Final

import sqlalchemy as sa

from primitives import clock
from store import faults, tables
from store.transaction import Transaction

KEPT: Final = datetime.timedelta(days=30)


@dataclasses.dataclass(frozen=True, slots=True)
class Request:
    """What identifies one mutating request."""

    account_id: str
    method: str
    path: str
    key: str
    request_hash: str


@dataclasses.dataclass(frozen=True, slots=True)
class Stored:
    """The first answer."""

    status: int
    body: Any
    etag: str | None


_A: Final = tables.ANSWERS
_FIND: Final = sa.select(_A).where(
    _A.c.account_id == sa.bindparam("account_id"),
    _A.c.method == sa.bindparam("method"),
    _A.c.path == sa.bindparam("path"),
    _A.c.key == sa.bindparam("key"),
)
_FORGET: Final = sa.delete(_A).where(_A.c.recorded_at < sa.bindparam("before"))


def recall(tx: Transaction, request: Request) -> Stored | None:
    """The stored answer, or None.  Raises idempotency.conflict for another request under the key, secret.shown where a secret was given."""
    asked = {"account_id": request.account_id, "method": request.method, "path": request.path, "key": request.key}
    row = tx.unwritten(_A, **asked) or next(iter(tx.stored(_FIND, **asked)), None)
    if row is None:
        return None
    if row["request_hash"] != request.request_hash:
        raise faults.KEY_REUSED(key=request.key)
    if row["body"] is None:
        raise faults.SECRET_SHOWN()
    return Stored(row["status"], json.loads(row["body"]), row["etag"])


def keep(tx: Transaction, request: Request, stored: Stored, *, secret: bool, said: str | None = None) -> None:
    """Keep the answer in the transaction of its effect, without its body where it holds a secret; `said`: the body as JSON, if at hand."""
    tx.later(
        _A,
        {
            "account_id": request.account_id,
            "method": request.method,
            "path": request.path,
            "key": request.key,
            "request_hash": request.request_hash,
            "status": stored.status,
            "body": None if secret else said or json.dumps(stored.body, ensure_ascii=False),
            "etag": stored.etag,
            "recorded_at": clock.to_us(tx.now()),
        },
    )


def forget_old(tx: Transaction) -> None:
    """Drop answers older than 30 days (a scheduled job)."""
    tx.execute(_FORGET, before=clock.to_us(tx.now() - KEPT))
