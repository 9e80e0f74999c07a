"""SQL of those who work and what they found: worker processes, what clouds were told of tenants, sweeps, quarantine, write-offs."""

import dataclasses
import datetime
import json
from collections.abc import Mapping, Sequence
from typing import Any, Final

import sqlalchemy as sa

from primitives import canonical, clock
from provisioners import contract, model, tables
from store import columns, transaction

_W: Final = tables.WORKERS
_C: Final = tables.CLOUD_TENANTS
_S: Final = tables.SWEEPS
_Q: Final = tables.QUARANTINE
_O: Final = tables.WRITE_OFFS

_INSERT_WORKER: Final = sa.insert(_W)
_SEEN: Final = sa.update(_W).where(_W.c.id == sa.bindparam("key")).values(seen_at=sa.bindparam("now"))
_STOPPED: Final = (
    sa.update(_W).where(_W.c.id == sa.bindparam("key")).values(seen_at=sa.bindparam("now"), stopped_at=sa.bindparam("now"))
)
_WORKER: Final = sa.select(_W).where(_W.c.id == sa.bindparam("id"))
_WORKERS_OF_HOST: Final = sa.select(_W).where(_W.c.host == sa.bindparam("host"))
_WORKERS_SINCE: Final = (
    sa.select(_W).where(_W.c.seen_at >= sa.bindparam("since"), _W.c.stopped_at.is_(None)).order_by(_W.c.started_at, _W.c.id)
)
_WORKING: Final = sa.select(_W).where(_W.c.stopped_at.is_(None))
_CLOUD_TENANT: Final = sa.select(_C).where(_C.c.pool_id == sa.bindparam("pool_id"), _C.c.tenant_id == sa.bindparam("tenant_id"))
_CLOUD_TENANTS: Final = sa.select(_C).where(_C.c.pool_id == sa.bindparam("pool_id"))
_TELL: Final = transaction.sql(
    "INSERT INTO cloud_tenants (pool_id, tenant_id, cloud_id, epoch, limits, told_at)"
    " VALUES (:pool_id, :tenant_id, :cloud_id, :epoch, :limits, :now)"
    " ON CONFLICT (pool_id, tenant_id) DO UPDATE SET cloud_id = excluded.cloud_id, epoch = excluded.epoch, limits = excluded.limits,"
    " told_at = excluded.told_at"
)
_INSERT_SWEEP: Final = sa.insert(_S)
_END_SWEEP: Final = (
    sa.update(_S)
    .where(_S.c.id == sa.bindparam("key"))
    .values(
        {
            name: sa.bindparam(name)
            for name in (
                "ended_at", "observed", "ours", "foreign_items", "drifted", "missing", "strays", "quarantined", "report_only", "error",
            )
        }
    )
)  # fmt: skip
_LAST_SWEEPS: Final = transaction.sql(
    "SELECT s.* FROM sweeps s JOIN (SELECT pool_id, max(started_at) AS started_at FROM sweeps WHERE ended_at IS NOT NULL GROUP BY pool_id) l"
    " ON l.pool_id = s.pool_id AND l.started_at = s.started_at ORDER BY s.pool"
)
_BEGUN: Final = sa.select(sa.func.max(_S.c.started_at).label("started_at")).where(_S.c.pool_id == sa.bindparam("pool_id"))
_FORGET_SWEEPS: Final = sa.delete(_S).where(_S.c.started_at < sa.bindparam("before"))
_FIND_ITEM: Final = transaction.sql(
    "INSERT INTO quarantine (pool_id, cloud_id, pool, origin, kind, name, tenant, resource_id, epoch, facts, why, decision, decided_by,"
    " found_at, seen_at, gone_at) VALUES (:pool_id, :cloud_id, :pool, :origin, :kind, :name, :tenant, :resource_id, :epoch, :facts, :why,"
    " '', '', :now, :now, NULL) ON CONFLICT (pool_id, cloud_id) DO UPDATE SET facts = excluded.facts, seen_at = excluded.seen_at,"
    " origin = excluded.origin, why = excluded.why, gone_at = NULL"
)
_GONE: Final = (
    sa.update(_Q)
    .where(_Q.c.pool_id == sa.bindparam("pool"), _Q.c.gone_at.is_(None), _Q.c.seen_at < sa.bindparam("began_at"))
    .values(gone_at=sa.bindparam("now"))
)
_LEAVES: Final = (
    sa.update(_Q)
    .where(_Q.c.pool_id == sa.bindparam("pool"), columns.among(_Q.c.cloud_id, "ids"))
    .values(gone_at=sa.bindparam("now"))
)
_ITEMS: Final = sa.select(_Q).where(_Q.c.gone_at.is_(None)).order_by(_Q.c.pool, _Q.c.cloud_id)
_ITEM: Final = sa.select(_Q).where(_Q.c.cloud_id == sa.bindparam("cloud_id"), _Q.c.gone_at.is_(None))
_DECIDE: Final = (
    sa.update(_Q)
    .where(_Q.c.pool_id == sa.bindparam("pool"), _Q.c.cloud_id == sa.bindparam("key"))
    .values(decision=sa.bindparam("decision"), decided_by=sa.bindparam("decided_by"))
)
_COUNT_ITEMS: Final = sa.select(sa.func.count().label("n")).where(
    _Q.c.gone_at.is_(None), _Q.c.origin == "ours", _Q.c.decision == ""
)
_INSERT_WRITE_OFF: Final = sa.insert(_O)
_WRITE_OFF: Final = sa.select(_O).where(_O.c.resource_id == sa.bindparam("resource_id"))
_AGREE: Final = (
    sa.update(_O)
    .where(_O.c.resource_id == sa.bindparam("key"))
    .values(agreed_by=sa.bindparam("agreed_by"), agreed_at=sa.bindparam("now"))
)


def register(tx: transaction.Transaction, worker: model.Worker) -> None:
    """A process starts to work."""
    row = dataclasses.asdict(worker) | {"started_at": clock.to_us(worker.started_at), "seen_at": clock.to_us(worker.seen_at)}
    tx.execute(_INSERT_WORKER, **row, stopped_at=None)


def seen(tx: transaction.Transaction, worker_id: str) -> None:
    """The heartbeat."""
    tx.execute(_SEEN, key=worker_id, now=clock.to_us(tx.now()))


def stopped(tx: transaction.Transaction, worker_id: str) -> None:
    """A process stops in good order."""
    tx.execute(_STOPPED, key=worker_id, now=clock.to_us(tx.now()))


def worker(tx: transaction.Transaction, worker_id: str) -> model.Worker | None:
    """A worker process by id, also one long gone."""
    row = tx.one(_WORKER, id=worker_id)
    return None if row is None else _worker(row)


def workers_of_host(tx: transaction.Transaction, host: str) -> list[model.Worker]:
    """All worker processes that a machine ever had."""
    return [_worker(row) for row in tx.execute(_WORKERS_OF_HOST, host=host)]


def working(tx: transaction.Transaction) -> list[model.Worker]:
    """Worker processes that did not stop in good order, dead ones among them."""
    return [_worker(row) for row in tx.execute(_WORKING)]


def workers_since(tx: transaction.Transaction, since: datetime.datetime) -> list[model.Worker]:
    """Worker processes heard of since a moment that did not stop in good order."""
    return [_worker(row) for row in tx.execute(_WORKERS_SINCE, since=clock.to_us(since))]


def told(tx: transaction.Transaction, pool_id: str, tenant_id: str) -> tuple[str, int, dict[str, int]] | None:
    """What a cloud was last told of a tenant: its project's id, the epoch, the limits."""
    row = tx.one(_CLOUD_TENANT, pool_id=pool_id, tenant_id=tenant_id)
    return None if row is None else (row["cloud_id"], row["epoch"], json.loads(row["limits"]))


def all_told(tx: transaction.Transaction, pool_id: str) -> dict[str, dict[str, int]]:
    """The limits that a cloud was last told, by tenant id."""
    return {row["tenant_id"]: json.loads(row["limits"]) for row in tx.execute(_CLOUD_TENANTS, pool_id=pool_id)}


def tell(
    tx: transaction.Transaction,
    pool_id: str,
    tenant_id: str,
    *,
    cloud_id: str,
    epoch: int,
    limits: Mapping[str, int],
    mark: int | None = None,
) -> int:
    """Remember what a cloud was told of a tenant; returns a mark of this moment.

    With a `mark` it is remembered only if nobody wrote since: else two calls crossed, and what the cloud holds now is unknown.
    """
    if mark is not None:
        row = tx.one(_CLOUD_TENANT, pool_id=pool_id, tenant_id=tenant_id)
        if row is None or row["told_at"] != mark:
            cloud_id, epoch, limits = "", 0, {}
    now_us = clock.to_us(tx.now())
    text = canonical.dumps(dict(limits)).decode()
    tx.execute(_TELL, pool_id=pool_id, tenant_id=tenant_id, cloud_id=cloud_id, epoch=epoch, limits=text, now=now_us)
    return now_us


def begin_sweep(tx: transaction.Transaction, sweep: model.Sweep) -> None:
    """A sweep starts."""
    tx.execute(_INSERT_SWEEP, **_sweep_row(sweep))


def end_sweep(tx: transaction.Transaction, sweep: model.Sweep) -> None:
    """A sweep ended."""
    row = _sweep_row(sweep)
    tx.execute(_END_SWEEP, key=row.pop("id"), **{name: row[name] for name in row if name not in ("pool_id", "pool", "started_at")})


def forget_sweeps(tx: transaction.Transaction, before: datetime.datetime) -> None:
    """Drop the reports of old sweeps."""
    tx.execute(_FORGET_SWEEPS, before=clock.to_us(before))


def sweep_begun_at(tx: transaction.Transaction, pool_id: str) -> datetime.datetime | None:
    """When the last sweep of a pool began."""
    row = tx.one(_BEGUN, pool_id=pool_id)
    return None if row is None or row["started_at"] is None else clock.from_us(row["started_at"])


def last_sweeps(tx: transaction.Transaction) -> list[model.Sweep]:
    """The last ended sweep of each pool."""
    return [_sweep(row) for row in tx.execute(_LAST_SWEEPS)]


def found(
    tx: transaction.Transaction,
    pool_id: str,
    pool: str,
    items: Sequence[tuple[contract.Observed, str, str]],
    now: datetime.datetime,
) -> None:
    """Items that no resource accounts for, each with its origin and why; what a person decided before stays."""
    rows = [
        {
            "pool_id": pool_id, "cloud_id": item.facts.cloud_id or item.facts.ticket_id, "pool": pool, "origin": origin, "why": why,
            "kind": item.kind, "name": item.name, "tenant": item.tenant, "resource_id": item.resource_id, "epoch": item.epoch,
            "facts": canonical.dumps(item.facts.as_json()).decode(), "now": clock.to_us(now),
        }
        for item, origin, why in items
    ]  # fmt: skip
    tx.many(_FIND_ITEM, rows)


def not_seen(tx: transaction.Transaction, pool_id: str, began_at: datetime.datetime) -> None:
    """What a whole sweep begun at `began_at` did not see again is gone from quarantine."""
    tx.execute(_GONE, pool=pool_id, began_at=clock.to_us(began_at), now=clock.to_us(tx.now()))


def leave(tx: transaction.Transaction, pool_id: str, cloud_ids: Sequence[str]) -> None:
    """Items that a resource accounts for now."""
    tx.execute(_LEAVES, pool=pool_id, ids=list(cloud_ids), now=clock.to_us(tx.now()))


def items(tx: transaction.Transaction, *, origin: str = "") -> list[model.Item]:
    """What lies in quarantine ('ours') and what was reported ('foreign'), by pool."""
    return [_item(row) for row in tx.execute(_ITEMS) if origin in ("", row["origin"])]


def item(tx: transaction.Transaction, cloud_id: str) -> model.Item | None:
    """The item of a cloud id."""
    row = tx.one(_ITEM, cloud_id=cloud_id)
    return None if row is None else _item(row)


def decide(tx: transaction.Transaction, item: model.Item, decision: str, decided_by: str) -> None:
    """A person's decision."""
    tx.execute(_DECIDE, pool=item.pool_id, key=item.cloud_id, decision=decision, decided_by=decided_by)


def undecided(tx: transaction.Transaction) -> int:
    """How many items in quarantine wait for a person."""
    row = tx.one(_COUNT_ITEMS)
    return 0 if row is None else int(row["n"])


def write_off(tx: transaction.Transaction, resource_id: str) -> Mapping[str, Any] | None:
    """The write-off of a resource as asked for: asked_by, asked_at, reason, agreed_by."""
    return tx.one(_WRITE_OFF, resource_id=resource_id)


def ask_write_off(tx: transaction.Transaction, resource_id: str, person_id: str, reason: str) -> None:
    """The first person."""
    tx.execute(
        _INSERT_WRITE_OFF, resource_id=resource_id, asked_by=person_id, asked_at=clock.to_us(tx.now()), reason=reason, agreed_by="",
        agreed_at=None,
    )  # fmt: skip


def agree_write_off(tx: transaction.Transaction, resource_id: str, person_id: str) -> None:
    """The second person."""
    tx.execute(_AGREE, key=resource_id, agreed_by=person_id, now=clock.to_us(tx.now()))


def _worker(row: Mapping[str, Any]) -> model.Worker:
    values = {name: row[name] for name in row if name != "stopped_at"}
    return model.Worker(**values | {"started_at": clock.from_us(row["started_at"]), "seen_at": clock.from_us(row["seen_at"])})


def _sweep_row(sweep: model.Sweep) -> dict[str, Any]:
    row = dataclasses.asdict(sweep)
    row["foreign_items"] = row.pop("foreign")
    row["report_only"] = int(sweep.report_only)
    row["ended_at"] = None if sweep.ended_at is None else clock.to_us(sweep.ended_at)
    return row | {"started_at": clock.to_us(sweep.started_at)}


def _sweep(row: Mapping[str, Any]) -> model.Sweep:
    values = dict(row)
    values["foreign"] = values.pop("foreign_items")
    values["report_only"] = bool(values["report_only"])
    values["started_at"] = clock.from_us(values["started_at"])
    values["ended_at"] = None if values["ended_at"] is None else clock.from_us(values["ended_at"])
    return model.Sweep(**values)


def _item(row: Mapping[str, Any]) -> model.Item:
    values = {name: row[name] for name in row if name != "gone_at"}
    values["facts"] = contract.Facts.from_json(json.loads(values["facts"]))
    return model.Item(**values | {"found_at": clock.from_us(row["found_at"]), "seen_at": clock.from_us(row["seen_at"])})
