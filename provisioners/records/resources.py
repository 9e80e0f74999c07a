"""SQL of resources and their addresses.

A row is read, changed as a frozen record by a rule, and written back whole in one transaction of the lane; lane batches are serial over all
processes, so nothing is lost between the read and the write.
"""

import dataclasses
import datetime
import json
from collections.abc import Mapping, Sequence
from typing import Any, Final

import sqlalchemy as sa

from primitives import clock
from provisioners import contract, model, tables
from store import columns, text, transaction

_R: Final = tables.RESOURCES
_A: Final = tables.ADDRESSES
_TIMES: Final = (
    "facts_at", "leased_until_at", "next_at", "usage_at", "bin_until_at", "created_at", "state_since_at", "ended_at", "end_at",
    "end_told_at", "end_due_at", "end_reached_at",
)  # fmt: skip
_FLAGS: Final = ("protected", "failing", "built", "limited", "disputed", "look")
_JSON: Final = ("amounts", "spec", "labels")
_FIELDS: Final = tuple(field.name for field in dataclasses.fields(model.Resource) if field.name != "fence")
_EMPTY: Final[dict[type, str]] = {dict: "{}", list: "[]"}
_NO_FACTS: Final = text.of(contract.Facts().as_json())
_OWNER: Final = ("tenant_id", "tenant", "project_id", "project", "home_tenant_id", "home_tenant", "home_project")
"""Columns that only `hand_over` changes."""
_BIRTH: Final = ("id", "kind", "pool_id", "pool", "created_at", *_OWNER)
"""Columns that `put` never changes."""

_UPDATE: Final = (
    sa.update(_R)
    .where(_R.c.id == sa.bindparam("key"))
    .values({column.name: sa.bindparam(column.name) for column in _R.c if column.name not in _BIRTH})
)
_HAND_OVER: Final = (
    sa.update(_R)
    .where(_R.c.id == sa.bindparam("key"))
    .values({name: sa.bindparam(name) for name in (*_OWNER, "usage_sequence", "usage_at")})
)
_BY_ID: Final = sa.select(_R).where(_R.c.id == sa.bindparam("id"))
_BY_IDS: Final = sa.select(_R).where(columns.among(_R.c.id, "ids"))
_LIVING_NAMED: Final = sa.select(_R).where(
    _R.c.project_id == sa.bindparam("project_id"), _R.c.kind == sa.bindparam("kind"), _R.c.name == sa.bindparam("name"),
    _R.c.ended_at.is_(None),
)  # fmt: skip
_LIVING_NAMES: Final = sa.select(_R.c.name).where(
    _R.c.project_id == sa.bindparam("project_id"), _R.c.kind == sa.bindparam("kind"), columns.among(_R.c.name, "names"),
    _R.c.ended_at.is_(None),
)  # fmt: skip
_LIVING_NAME: Final = _LIVING_NAMED.with_only_columns(_R.c.name)
_LEASE: Final = (
    sa.update(_R)
    .where(
        _R.c.id.in_(
            sa.select(_R.c.id)
            .where(
                _R.c.next_at <= sa.bindparam("now"),
                sa.or_(_R.c.leased_until_at.is_(None), _R.c.leased_until_at <= sa.bindparam("now")),
            )
            .order_by(_R.c.next_at, _R.c.id)
            .limit(sa.bindparam("n"))
        )
    )
    .values(
        leased_by=sa.bindparam("worker"),
        leased_until_at=sa.bindparam("until"),
        fence_epoch=sa.bindparam("epoch"),
        fence_n=_R.c.fence_n + 1,
    )
    .returning(*_R.c)
)
_DUE: Final = (
    sa.select(sa.func.count().label("n"), sa.func.min(_R.c.next_at).label("oldest_at"))
    .where(
        _R.c.next_at <= sa.bindparam("now"),
        sa.or_(_R.c.leased_until_at.is_(None), _R.c.leased_until_at <= sa.bindparam("now")),
    )
)  # fmt: skip
_RENEW: Final = (
    sa.update(_R)
    .where(columns.among(_R.c.id, "ids"), _R.c.leased_by == sa.bindparam("worker"), _R.c.leased_until_at > sa.bindparam("now"))
    .values(leased_until_at=sa.bindparam("until"))
)
_ABANDON: Final = sa.update(_R).where(_R.c.leased_by == sa.bindparam("worker")).values(leased_by="", leased_until_at=None)
_LIVING_OF_POOL: Final = sa.select(_R).where(_R.c.pool_id == sa.bindparam("pool_id"), _R.c.ended_at.is_(None))
_IN_POOL: Final = sa.select(_R.c.amounts, _R.c.before).where(_R.c.pool_id == sa.bindparam("pool_id"), _R.c.ended_at.is_(None))
_HOLDINGS: Final = sa.union_all(
    _IN_POOL.where(_R.c.tenant_id == sa.bindparam("tenant_id"), _R.c.home_tenant_id.is_(None)),
    _IN_POOL.where(_R.c.home_tenant_id == sa.bindparam("tenant_id"), _R.c.home_tenant_id.is_not(None)),
)
_POOL_TENANTS: Final = (
    sa.select(_R.c.tenant_id, _R.c.tenant).where(_R.c.pool_id == sa.bindparam("pool_id"), _R.c.ended_at.is_(None)).distinct()
)
_CREATING: Final = (
    sa.select(_R)
    .where(_R.c.state == "creating", _R.c.ended_at.is_(None), _R.c.created_at < sa.bindparam("before"))
    .order_by(_R.c.created_at, _R.c.id)
    .limit(sa.bindparam("n"))
)
_LEASES_DUE: Final = (
    sa.select(_R).where(_R.c.end_due_at <= sa.bindparam("now")).order_by(_R.c.end_due_at, _R.c.id).limit(sa.bindparam("n"))
)
_DISPUTED: Final = sa.select(_R).where(_R.c.disputed == 1).order_by(_R.c.id)
_BY_STATE: Final = sa.select(_R.c.state, sa.func.count().label("n")).group_by(_R.c.state)
_HELD: Final = sa.select(sa.func.count().label("n")).where(_R.c.leased_until_at > sa.bindparam("now"))
_ADDRESSES_OF: Final = sa.select(_A.c.address).where(_A.c.resource_id == sa.bindparam("resource_id"))
_FORGET_ADDRESSES: Final = sa.delete(_A).where(_A.c.resource_id == sa.bindparam("resource_id"))
_INSERT_ADDRESS: Final = sa.insert(_A)


def insert(tx: transaction.Transaction, resources: Sequence[model.Resource]) -> None:
    """New rows."""
    tx.later(_R, *[_row(resource) for resource in resources])


def take_in(tx: transaction.Transaction, resource: model.Resource) -> None:
    """The row, as it stands, of what a cloud holds already or held; raises what the database raises for a known id or a taken name."""
    bare = dataclasses.replace(resource, facts=contract.Facts())
    insert(tx, [bare])
    put(tx, bare, resource)


def put(tx: transaction.Transaction, before: model.Resource, after: model.Resource) -> None:
    """Write what changed between the row as read in this transaction and `after`."""
    if before == after:
        return
    row = _row(after)
    tx.execute(_UPDATE, key=after.id, **{name: value for name, value in row.items() if name not in _BIRTH})
    if set(before.facts.addresses) != set(after.facts.addresses):
        tx.execute(_FORGET_ADDRESSES, resource_id=after.id)
        tx.many(_INSERT_ADDRESS, [{"address": one, "resource_id": after.id} for one in dict.fromkeys(after.facts.addresses)])


def hand_over(tx: transaction.Transaction, resources: Sequence[model.Resource]) -> None:
    """Write the owners and homes of these rows as they are, and how far their use is told."""
    rows = [_row(one) for one in resources]
    tx.many(
        _HAND_OVER, [{"key": row["id"], **{name: row[name] for name in (*_OWNER, "usage_sequence", "usage_at")}} for row in rows]
    )


def get(tx: transaction.Transaction, resource_id: str) -> model.Resource | None:
    """The resource of an id."""
    row = tx.one(_BY_ID, id=resource_id)
    return None if row is None else _resource(row)


def named(tx: transaction.Transaction, *, project_id: str, kind: str, name: str) -> model.Resource | None:
    """The living resource of a name in a project."""
    row = tx.one(_LIVING_NAMED, project_id=project_id, kind=kind, name=name)
    return None if row is None else _resource(row)


def get_many(tx: transaction.Transaction, resource_ids: Sequence[str]) -> dict[str, model.Resource]:
    """Resources by id; unknown ids are left out."""
    return {row["id"]: _resource(row) for row in tx.execute(_BY_IDS, ids=list(resource_ids))}


def taken(tx: transaction.Transaction, *, project_id: str, kind: str, names: Sequence[str]) -> list[str]:
    """Which of these names a living resource of the project and kind has."""
    free = ("free", project_id, kind, *names)
    if tx.recall(free):  # asked by the order, asked again by whoever makes the rows
        return []
    asked = {"project_id": project_id, "kind": kind}
    found = {name for name in names if tx.unwritten(_R, **asked, name=name, ended_at=None)}
    if len(names) == 1:
        found |= {row["name"] for row in tx.stored(_LIVING_NAME, **asked, name=names[0])}
    else:
        found |= {row["name"] for row in tx.stored(_LIVING_NAMES, **asked, names=list(names))}
    if not found:
        tx.keep(free, True, _R)
    return sorted(found)


def lease(tx: transaction.Transaction, *, worker_id: str, epoch: int, n: int, until: datetime.datetime) -> list[model.Resource]:
    """Up to `n` due rows, the longest due first, each under a new fence."""
    rows = tx.execute(_LEASE, worker=worker_id, epoch=epoch, n=n, now=clock.to_us(tx.now()), until=clock.to_us(until))
    return [_resource(row) for row in rows]


def due(tx: transaction.Transaction) -> tuple[int, datetime.datetime | None]:
    """How many rows wait for a worker, and since when the oldest does."""
    row = tx.one(_DUE, now=clock.to_us(tx.now())) or {"n": 0, "oldest_at": None}
    return row["n"], _time(row["oldest_at"])


def renew(tx: transaction.Transaction, worker_id: str, resource_ids: Sequence[str], until: datetime.datetime) -> int:
    """Prolong what a worker holds of these; a lease that ran out stays so.  How many it still holds."""
    return tx.changed(_RENEW, ids=list(resource_ids), worker=worker_id, now=clock.to_us(tx.now()), until=clock.to_us(until))


def abandon(tx: transaction.Transaction, worker_id: str) -> None:
    """A worker that stops in good order gives back what it holds."""
    tx.execute(_ABANDON, worker=worker_id)


def living(tx: transaction.Transaction, pool_id: str) -> list[model.Resource]:
    """All living resources of a pool."""
    return [_resource(row) for row in tx.execute(_LIVING_OF_POOL, pool_id=pool_id)]


def holdings(tx: transaction.Transaction, pool_id: str, tenant_id: str) -> list[tuple[dict[str, int], ...]]:
    """What `rules.held` is told of each living resource that a pool's cloud keeps for a tenant: wanted amounts, those before a change under

    way, and what is added while its replicas are replaced ({} without one).

    Those are its own, without what stands with another tenant there, and what it gave away and that stands with it.
    """
    rows = tx.execute(_HOLDINGS, pool_id=pool_id, tenant_id=tenant_id)
    before = [json.loads(row["before"]) if row["before"] else {} for row in rows]
    return [
        (json.loads(row["amounts"]), was.get("amounts", {}), was.get("surge", {})) for row, was in zip(rows, before, strict=True)
    ]


def pool_tenants(tx: transaction.Transaction, pool_id: str) -> dict[str, str]:
    """Codes by id of the tenants with living resources in a pool."""
    return {row["tenant_id"]: row["tenant"] for row in tx.execute(_POOL_TENANTS, pool_id=pool_id)}


def creating_since(tx: transaction.Transaction, before: datetime.datetime, limit: int = 100) -> list[model.Resource]:
    """Resources wanted since before a moment that were never delivered, the oldest first."""
    return [_resource(row) for row in tx.execute(_CREATING, before=clock.to_us(before), n=limit)]


def leases_due(tx: transaction.Transaction, limit: int) -> list[model.Resource]:
    """Resources whose lease wants to be looked at, the longest due first."""
    return [_resource(row) for row in tx.execute(_LEASES_DUE, now=clock.to_us(tx.now()), n=limit)]


def leases(
    tx: transaction.Transaction,
    *,
    tenant_ids: Sequence[str] | None,
    project_id: str,
    before: datetime.datetime | None,
    after: tuple[int, str] | None,
    limit: int,
) -> list[model.Resource]:
    """Living resources with an end (at the latest `before`), the soonest first, those behind the sort key `after` (microseconds, id)."""
    query = sa.select(_R).where(_R.c.end_at.is_not(None), _R.c.ended_at.is_(None)).order_by(_R.c.end_at, _R.c.id).limit(limit)
    parameters: dict[str, Any] = {}
    if tenant_ids is not None:
        query, parameters["tenant_ids"] = query.where(columns.among(_R.c.tenant_id, "tenant_ids")), list(tenant_ids)
    if project_id:
        query, parameters["project"] = query.where(_R.c.project_id == sa.bindparam("project")), project_id
    if before is not None:
        query, parameters["before"] = query.where(_R.c.end_at <= sa.bindparam("before")), clock.to_us(before)
    if after is not None:
        at: sa.BindParameter[int] = sa.bindparam("after_at")
        query = query.where(_R.c.end_at >= at, sa.or_(_R.c.end_at > at, _R.c.id > sa.bindparam("after_id")))
        parameters |= {"after_at": after[0], "after_id": after[1]}
    return [_resource(row) for row in tx.execute(query, **parameters)]


def disputed(tx: transaction.Transaction) -> list[model.Resource]:
    """What a restore left in dispute."""
    return [_resource(row) for row in tx.execute(_DISPUTED)]


def counts(tx: transaction.Transaction) -> dict[str, int]:
    """Number of resources by state."""
    return {row["state"]: row["n"] for row in tx.execute(_BY_STATE)}


def at_work(tx: transaction.Transaction) -> int:
    """How many resources a worker holds now."""
    row = tx.one(_HELD, now=clock.to_us(tx.now()))
    return 0 if row is None else int(row["n"])


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Filter:
    """What a list may ask for; '' and None do not filter.  `tenant_ids` None: all tenants."""

    tenant_ids: Sequence[str] | None
    project_id: str = ""
    kind: str = ""
    state: str = ""
    name: str = ""
    address: str = ""
    living_only: bool = True
    end_before: datetime.datetime | None = None  # with an end at the latest then
    attention: bool = False  # lost, not at rest, or disputed: what may be stuck


def listed(tx: transaction.Transaction, wanted: Filter, *, after: str = "", limit: int = 100) -> list[model.Resource]:
    """Resources by id (hence by age), those behind the id `after`."""
    query = sa.select(_R).order_by(_R.c.id).limit(limit)
    parameters: dict[str, Any] = {}
    if wanted.tenant_ids is not None:
        query, parameters["tenant_ids"] = query.where(columns.among(_R.c.tenant_id, "tenant_ids")), list(wanted.tenant_ids)
    for name in ("project_id", "kind", "state", "name"):
        if value := getattr(wanted, name):
            query, parameters[f"by_{name}"] = query.where(_R.c[name] == sa.bindparam(f"by_{name}")), value
    if wanted.address:
        of_address = sa.select(_A.c.resource_id).where(_A.c.address == sa.bindparam("by_address"))
        query, parameters["by_address"] = query.where(_R.c.id.in_(of_address)), wanted.address
    if wanted.living_only:
        query = query.where(_R.c.ended_at.is_(None))
    if wanted.end_before is not None:
        query, parameters["end_before"] = query.where(_R.c.end_at <= sa.bindparam("end_before")), clock.to_us(wanted.end_before)
    if wanted.attention:
        query = query.where(sa.or_(_R.c.next_at.is_not(None), _R.c.state == "lost", _R.c.disputed == 1))
    if after:
        query, parameters["after"] = query.where(_R.c.id > sa.bindparam("after")), after
    return [_resource(row) for row in tx.execute(query, **parameters)]


def _row(resource: model.Resource) -> dict[str, Any]:
    row: dict[str, Any] = {name: getattr(resource, name) for name in _FIELDS}
    for name in _TIMES:
        if row[name] is not None:
            row[name] = clock.to_us(row[name])
    for name in _FLAGS:
        row[name] = int(row[name])
    for name in _JSON:
        row[name] = _text(row[name])
    row["desired"], row["power"], row["state"] = str(resource.desired), str(resource.power), str(resource.state)
    row["end_power"] = None if resource.end_power is None else str(resource.end_power)
    row["before"] = None if resource.before is None else _text(dataclasses.asdict(resource.before))
    row["superseded"] = _text(list(resource.superseded))
    row["reason"] = None if resource.reason is None else _text(dataclasses.asdict(resource.reason))
    row["facts"] = _NO_FACTS if resource.facts == contract.Facts() else _text(resource.facts.as_json())
    row["strays"] = _text([facts.as_json() for facts in resource.strays])
    row["fence_epoch"], row["fence_n"] = resource.fence.epoch, resource.fence.n
    return row


def _resource(row: Mapping[str, Any]) -> model.Resource:
    values = dict(row)
    fence = model.Fence(epoch=values.pop("fence_epoch"), n=values.pop("fence_n"))
    values |= {name: _time(values[name]) for name in _TIMES}
    values |= {name: bool(values[name]) for name in _FLAGS}
    values |= {name: json.loads(values[name]) for name in _JSON}
    before = None if values["before"] is None else json.loads(values["before"])
    return model.Resource(
        **values
        | {
            "desired": model.Desired(values["desired"]),
            "power": contract.State(values["power"]),
            "state": model.State(values["state"]),
            "end_power": None if values["end_power"] is None else contract.State(values["end_power"]),
            "before": None if before is None else model.Before(**before | {"power": contract.State(before["power"])}),
            "superseded": tuple(json.loads(values["superseded"])),
            "reason": None if values["reason"] is None else model.Reason(**json.loads(values["reason"])),
            "facts": contract.Facts.from_json(json.loads(values["facts"])),
            "strays": tuple(contract.Facts.from_json(plain) for plain in json.loads(values["strays"])),
            "fence": fence,
        }
    )


def _text(value: Any) -> str:
    return text.of(value) if value else _EMPTY[type(value)]


def _time(us: int | None) -> datetime.datetime | None:
    return None if us is None else clock.from_us(us)
