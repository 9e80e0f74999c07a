"""The verbs of the trail: append in the transaction of the effect, list, verify.

An effect whose line cannot be written does not happen: both are one transaction.  The lane makes all appends of all processes serial, so the
chain has one order.
"""

import dataclasses
import datetime
import json
from collections.abc import Iterator
from typing import Any, Final

import sqlalchemy as sa

from audit import model, rules, tables
from primitives import clock
from store import columns, text
from store.transaction import Transaction

PAGE: Final = 1000

_SAID: Final = tuple(field.name for field in dataclasses.fields(model.Line))
_T: Final = tables.TRAIL
_HEAD: Final = sa.select(_T.c.seq, _T.c.chain_hash).order_by(_T.c.seq.desc()).limit(1)
_LAST: Final = "audit.last"
"""Key of what the batch keeps: position and chain hash of the newest line."""
_AFTER: Final = sa.select(_T).where(_T.c.seq > sa.bindparam("after")).order_by(_T.c.seq).limit(PAGE)


def append(tx: Transaction, line: model.Line) -> int:
    """Append one line; returns its position."""
    last: tuple[int, bytes] | None = tx.recall(_LAST)
    if last is None:
        row = tx.one(_HEAD)
        last = (0, rules.START) if row is None else (row["seq"], bytes(row["chain_hash"]))
    seq, previous = last[0] + 1, last[1]
    said = {name: getattr(line, name) for name in _SAID}
    content = text.dumps({**said, "seq": seq, "at": clock.text(tx.now())})
    leaf = rules.leaf_hash(content)
    chain = rules.chained(previous, leaf)
    tx.later(
        _T,
        {
            "seq": seq,
            "at": clock.to_us(tx.now()),
            "actor": line.actor,
            "tenant_id": line.tenant_id,
            "object_id": line.object_id,
            "action": line.action,
            "outcome": str(line.outcome),
            "content": content,
            "leaf_hash": leaf,
            "chain_hash": chain,
        },
    )
    tx.keep(_LAST, (seq, chain), _T)
    return seq


def find(
    tx: Transaction,
    *,
    tenant_ids: list[str] | None,
    actor: str = "",
    object_id: str = "",
    action: str = "",
    since: datetime.datetime | None = None,
    until: datetime.datetime | None = None,
    before_seq: int | None = None,
    limit: int = 100,
) -> list[dict[str, Any]]:
    """Lines, newest first, as their own JSON with hashes.  `tenant_ids` None: the whole trail; `[since, until)`; `before_seq` pages."""
    query = sa.select(_T).order_by(_T.c.seq.desc()).limit(limit)
    for column, wanted in ((_T.c.actor, actor), (_T.c.object_id, object_id), (_T.c.action, action)):
        if wanted:
            query = query.where(column == wanted)
    if since is not None:
        query = query.where(_T.c.at >= clock.to_us(since))
    if until is not None:
        query = query.where(_T.c.at < clock.to_us(until))
    if before_seq is not None:
        query = query.where(_T.c.seq < before_seq)
    if tenant_ids is not None:
        return [_shown(row) for row in tx.execute(query.where(columns.among(_T.c.tenant_id, "tenant_ids")), tenant_ids=tenant_ids)]
    return [_shown(row) for row in tx.execute(query)]


def records(tx: Transaction, *, after_seq: int = 0) -> Iterator[model.Record]:
    """All records in order, read in pages of the open snapshot."""
    while rows := tx.execute(_AFTER, after=after_seq):
        for row in rows:
            yield model.Record(
                seq=row["seq"],
                content=bytes(row["content"]),
                leaf_hash=bytes(row["leaf_hash"]).hex(),
                chain_hash=bytes(row["chain_hash"]).hex(),
            )
        after_seq = rows[-1]["seq"]


def verify(tx: Transaction) -> model.Verdict:
    """Re-hash the whole trail from its bytes."""
    return rules.verify(records(tx))


def head(tx: Transaction) -> tuple[int, str]:
    """Position and chain hash of the newest line; (0, zeros) for an empty trail."""
    row = tx.one(_HEAD)
    return (0, rules.START.hex()) if row is None else (row["seq"], bytes(row["chain_hash"]).hex())


def _shown(row: dict[str, Any]) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(bytes(row["content"]))
    return {**content, "leaf_hash": bytes(row["leaf_hash"]).hex(), "chain_hash": bytes(row["chain_hash"]).hex()}
