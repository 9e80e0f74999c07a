"""SQL of the room.  `take` and `give_back` are the guard: one conditional UPDATE for the place."""

import itertools
import json
import operator
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

import sqlalchemy as sa

from pools import model, tables
from primitives import canonical
from store import batch, engines
from store.transaction import Transaction, sql

_POOLS: Final = sa.select(tables.POOLS).order_by(tables.POOLS.c.code)
_BY_CODE: Final = sa.select(tables.POOLS).where(tables.POOLS.c.code == sa.bindparam("code"))
_BY_ID: Final = sa.select(tables.POOLS).where(tables.POOLS.c.id == sa.bindparam("pool_id"))
_INSERT: Final = sa.insert(tables.POOLS)
_UPDATE: Final = sql(
    "UPDATE pools SET name = :name, driver = :driver, driver_settings = :driver_settings, kinds = :kinds, zones = :zones,"
    " service_classes = :service_classes, halls = :halls, protection_level = :protection_level,"
    " overcommit_permille = :overcommit_permille, paused = :paused, generation = :generation WHERE id = :id"
)
_HOSTS: Final = sa.select(tables.HOSTS).order_by(tables.HOSTS.c.pool_id, tables.HOSTS.c.name)
_HOSTS_OF: Final = _HOSTS.where(tables.HOSTS.c.pool_id == sa.bindparam("pool_id"))
_PUT_HOST: Final = sql(
    "INSERT INTO pool_hosts (pool_id, name, zone, service_class, hall, enabled, physical, usable, used)"
    " VALUES (:pool_id, :name, :zone, :service_class, :hall, :enabled, :physical, :usable, :used)"
    " ON CONFLICT (pool_id, name) DO UPDATE SET zone = excluded.zone, service_class = excluded.service_class, hall = excluded.hall,"
    " enabled = excluded.enabled, physical = excluded.physical, usable = excluded.usable, used = excluded.used"
)
_DROP_HOST: Final = sql("DELETE FROM pool_hosts WHERE pool_id = :pool_id AND name = :name")
_DROP_PLACES: Final = sql("DELETE FROM pool_places WHERE pool_id = :pool_id")
_ADD_PLACE: Final = sa.insert(tables.PLACES)
_PLACES: Final = sa.select(tables.PLACES)
_ROOMS: Final = sa.select(tables.ROOMS).order_by(
    tables.ROOMS.c.pool_id, tables.ROOMS.c.zone, tables.ROOMS.c.service_class, tables.ROOMS.c.name
)
_ROOMS_OF: Final = _ROOMS.where(tables.ROOMS.c.pool_id == sa.bindparam("pool_id"))
_RESERVED: Final = sql(
    "SELECT h.zone, h.service_class, a.name, CAST(sum(a.amount) AS BIGINT) AS amount FROM pool_holds h"
    " JOIN pool_amounts a ON a.holder = h.holder WHERE h.pool_id = :pool_id AND h.state = 'reserved' GROUP BY h.zone, h.service_class, a.name"
)
_HELD: Final = sql(
    "SELECT h.pool_id, h.zone, h.service_class, a.name, CAST(sum(a.amount) AS BIGINT) AS amount FROM pool_holds h"
    " JOIN pool_amounts a ON a.holder = h.holder GROUP BY h.pool_id, h.zone, h.service_class, a.name"
)
_HOLD: Final = sql(
    "INSERT INTO pool_holds (holder, pool_id, zone, service_class, state) VALUES (:holder, :pool_id, :zone, :service_class, 'reserved')"
    " ON CONFLICT (holder) DO NOTHING"
)
_HOLD_ALL: Final = sql(
    "WITH made AS (INSERT INTO pool_holds (holder, pool_id, zone, service_class, state)"
    " VALUES (:holder, :pool_id, :zone, :service_class, 'reserved') ON CONFLICT (holder) DO NOTHING RETURNING holder),"
    " held AS (INSERT INTO pool_amounts (holder, name, amount) SELECT made.holder, k.name, k.amount FROM made"
    " CROSS JOIN unnest(CAST(:names AS text[]), CAST(:amounts AS bigint[])) AS k (name, amount)) SELECT holder FROM made"
)
_ADD_AMOUNT: Final = sa.insert(tables.AMOUNTS)
_FIND: Final = sql("SELECT * FROM pool_holds WHERE holder = :holder")
_AMOUNTS_OF: Final = sql("SELECT name, amount FROM pool_amounts WHERE holder = :holder ORDER BY name")
_HOLDS: Final = sql(
    "SELECT h.holder, h.pool_id, h.zone, h.service_class, h.state, a.name, a.amount FROM pool_holds h"
    " LEFT JOIN pool_amounts a ON a.holder = h.holder ORDER BY h.holder, a.name"
)
_CONFIRM: Final = sql("UPDATE pool_holds SET state = 'confirmed' WHERE holder = :holder")
_DROP_AMOUNTS: Final = sql("DELETE FROM pool_amounts WHERE holder = :holder")
_DROP: Final = sql("DELETE FROM pool_holds WHERE holder = :holder")

_LESS: Final = "held = held - {k}, over_by = {least}(over_by, {greatest}(0, held - {k} - capacity))"
_DECIDED: Final = {
    engines.SQLITE: "UPDATE pool_rooms SET held = :held, over_by = :over_by WHERE pool_id = :pool_id AND zone = :zone"
    " AND service_class = :service_class AND name = :name AND held = :was AND (:held <= :was OR :held <= capacity)",
    engines.POSTGRESQL: "UPDATE pool_rooms r SET held = k.held, over_by = k.over_by FROM unnest(%(pool_id)s::text[], %(zone)s::text[],"
    " %(service_class)s::text[], %(name)s::text[], %(was)s::bigint[], %(held)s::bigint[], %(over_by)s::bigint[])"
    " AS k (pool_id, zone, service_class, name, was, held, over_by) WHERE r.pool_id = k.pool_id AND r.zone = k.zone"
    " AND r.service_class = k.service_class AND r.name = k.name AND r.held = k.was AND (k.held <= k.was OR k.held <= r.capacity)",
}

_JSON: Final = ("driver_settings", "kinds", "zones", "service_classes", "halls", "overcommit_permille")
_AT: Final = "pool_id = :pool_id AND zone = :zone AND service_class = :service_class"


def pools(tx: Transaction) -> list[model.Pool]:
    """All pools by code."""
    return tx.known(_POOLS, _pools)


def by_code(tx: Transaction, code: str) -> model.Pool | None:
    """The pool of a code."""
    row = tx.one(_BY_CODE, code=code)
    return None if row is None else _pool(row)


def by_id(tx: Transaction, pool_id: str) -> model.Pool | None:
    """The pool of an id."""
    row = tx.one(_BY_ID, pool_id=pool_id)
    return None if row is None else _pool(row)


def insert(tx: Transaction, pool: model.Pool) -> None:
    """A new pool."""
    tx.execute(_INSERT, **_row(pool))


def update(tx: Transaction, pool: model.Pool) -> None:
    """Write a pool as it is."""
    row = _row(pool)
    del row["code"]
    tx.execute(_UPDATE, **row)


def hosts(tx: Transaction, pool_id: str | None) -> list[model.Host]:
    """Hosts by pool and name; None: of all pools."""
    rows = tx.execute(_HOSTS) if pool_id is None else tx.execute(_HOSTS_OF, pool_id=pool_id)
    return [
        model.Host(
            **row | {name: json.loads(row[name]) for name in ("physical", "usable", "used")} | {"enabled": bool(row["enabled"])}
        )
        for row in rows
    ]


def put_hosts(tx: Transaction, changed: Iterable[model.Host], gone: Iterable[model.Host]) -> None:
    """Write hosts that changed, remove those that are gone."""
    tx.many(_PUT_HOST, [_host_row(host) for host in changed])
    tx.many(_DROP_HOST, [{"pool_id": host.pool_id, "name": host.name} for host in gone])


def put_blocks(tx: Transaction, pool_id: str, blocks: Mapping[tuple[str, str], list[dict[str, int]]]) -> None:
    """The places of a pool with their largest free blocks."""
    tx.execute(_DROP_PLACES, pool_id=pool_id)
    tx.many(
        _ADD_PLACE,
        [
            {"pool_id": pool_id, "zone": zone, "service_class": service_class, "blocks": canonical.dumps(free).decode()}
            for (zone, service_class), free in blocks.items()
        ],
    )


def put_rooms(tx: Transaction, pool_id: str, rooms: Mapping[tuple[str, str, str], tuple[int, int, int]]) -> None:
    """(zone, class, name) -> (physical, capacity, used).  A capacity that shrank below what is held leaves an excess."""
    greatest = "greatest" if tx.dialect == "postgresql" else "max"
    statement = sql(
        "INSERT INTO pool_rooms (pool_id, zone, service_class, name, physical, capacity, used, held, over_by)"
        " VALUES (:pool_id, :zone, :service_class, :name, :physical, :capacity, :used, 0, 0)"
        " ON CONFLICT (pool_id, zone, service_class, name) DO UPDATE SET physical = excluded.physical, capacity = excluded.capacity,"
        f" used = excluded.used, over_by = {greatest}(0, pool_rooms.held - excluded.capacity)"
    )
    tx.many(
        statement,
        [
            {"pool_id": pool_id, "zone": zone, "service_class": service_class, "name": name}
            | dict(zip(("physical", "capacity", "used"), amounts, strict=True))
            for (zone, service_class, name), amounts in rooms.items()
        ],
    )


def rooms(tx: Transaction, pool_id: str | None) -> list[model.Room]:
    """Rooms by pool, zone, class and name; None: of all pools."""
    tally = _tally(tx)
    if tally is not None:
        return [
            model.Room(
                pool_id=line.key[0],
                zone=line.key[1],
                service_class=line.key[2],
                name=line.key[3],
                physical=line.fixed[0],
                capacity=line.fixed[1],
                used=line.fixed[2],
                held=line.values[0],
                over_by=line.values[1],
            )
            for line in tally.lines.values()
            if pool_id in (None, line.key[0])
        ]
    rows = tx.execute(_ROOMS) if pool_id is None else tx.execute(_ROOMS_OF, pool_id=pool_id)
    return [model.Room(**row) for row in rows]


def reserved(tx: Transaction, pool_id: str) -> dict[tuple[str, str, str], int]:
    """(zone, class, name) -> what is held but not yet confirmed."""
    return {(row["zone"], row["service_class"], row["name"]): row["amount"] for row in tx.execute(_RESERVED, pool_id=pool_id)}


def held(tx: Transaction) -> dict[tuple[str, str, str, str], int]:
    """(pool, zone, class, name) -> sum of what holders take there."""
    return {(row["pool_id"], row["zone"], row["service_class"], row["name"]): row["amount"] for row in tx.execute(_HELD)}


def blocks(tx: Transaction) -> dict[tuple[str, str, str], tuple[dict[str, int], ...]]:
    """(pool, zone, class) -> the largest free blocks of its hosts."""
    return tx.known(_PLACES, _blocks)


def take(tx: Transaction, place: tuple[str, str, str], amounts: Mapping[str, int]) -> set[str]:
    """Take room where there is some; the names that were taken."""
    return _guarded(tx, place, amounts, "held = held + {k}", "held + {k} <= capacity")


def take_over(tx: Transaction, place: tuple[str, str, str], amounts: Mapping[str, int]) -> None:
    """Take room without asking, also in a place that no host reports: what reaches over the capacity is an excess."""
    greatest = "greatest" if tx.dialect == "postgresql" else "max"
    statement = sql(
        "INSERT INTO pool_rooms (pool_id, zone, service_class, name, physical, capacity, used, held, over_by)"
        " VALUES (:pool_id, :zone, :service_class, :name, 0, 0, 0, :amount, :amount)"
        " ON CONFLICT (pool_id, zone, service_class, name) DO UPDATE SET held = pool_rooms.held + :amount,"
        f" over_by = {greatest}(pool_rooms.over_by, pool_rooms.held + :amount - pool_rooms.capacity)"
    )
    at = dict(zip(("pool_id", "zone", "service_class"), place, strict=True))
    tx.many(statement, [{**at, "name": name, "amount": amount} for name, amount in amounts.items()])


def give_back(tx: Transaction, place: tuple[str, str, str], amounts: Mapping[str, int]) -> None:
    """Give room back; an excess shrinks with it."""
    _guarded(tx, place, amounts, _LESS, "1 = 1")


def _tally(tx: Transaction) -> batch.Tally | None:
    """All room as this batch has read it; None where the guard must be asked at once."""
    tally = tx.tally(tables.ROOMS, _write)
    if tally is not None and not tally.known:
        for row in tx.stored(_ROOMS):
            fixed = (row["physical"], row["capacity"], row["used"])
            line = batch.Line(
                (row["pool_id"], row["zone"], row["service_class"], row["name"]), (row["held"], row["over_by"]), fixed
            )
            tally.lines[line.key] = line
        tally.known.add(_ROOMS)
    return tally


def _decided(tally: batch.Tally, place: tuple[str, str, str], amounts: Mapping[str, int], sign: int) -> set[str]:
    """The guard's decision on counters that this batch has read and nobody else can change (`store.batch`)."""
    found: set[str] = set()
    for name, amount in amounts.items():
        line = tally.lines.get((*place, name))
        if line is None:
            continue
        held, over_by = line.values[0] + sign * amount, line.values[1]
        if sign > 0 and held > line.fixed[1]:
            continue
        tally.put(line, (held, over_by if sign > 0 else min(over_by, max(0, held - line.fixed[1]))))
        found.add(name)
    return found


def _write(connection: engines.Connection, lines: Sequence[batch.Line]) -> int:
    """Store decided counters.  The guard says no where a row is not as it was read, or has grown beyond its capacity."""
    names = ("pool_id", "zone", "service_class", "name")
    rows = [
        dict(zip(names, line.key, strict=True)) | {"was": line.stored[0], "held": line.values[0], "over_by": line.values[1]}
        for line in lines
    ]
    return connection.bulk(_DECIDED[connection.dialect], rows)


def _guarded(tx: Transaction, place: tuple[str, str, str], amounts: Mapping[str, int], change: str, condition: str) -> set[str]:
    """The guard.  The difference between the databases is here: all names at once on PostgreSQL, one by one on SQLite."""
    if not amounts:
        return set()
    tally = _tally(tx)
    if tally is not None:
        return _decided(tally, place, amounts, -1 if change is _LESS else 1)
    at = dict(zip(("pool_id", "zone", "service_class"), place, strict=True))
    if tx.dialect == "postgresql":
        words = {"k": "k.amount", "least": "least", "greatest": "greatest"}
        statement = sql(
            f"UPDATE pool_rooms SET {change.format(**words)}"
            " FROM unnest(CAST(:names AS text[]), CAST(:amounts AS bigint[])) AS k (asked, amount)"
            f" WHERE {_AT} AND name = k.asked AND {condition.format(**words)} RETURNING name"
        )
        rows = tx.execute(statement, **at, names=list(amounts), amounts=list(amounts.values()))
    else:
        words = {"k": ":amount", "least": "min", "greatest": "max"}
        statement = sql(
            f"UPDATE pool_rooms SET {change.format(**words)} WHERE {_AT} AND name = :name AND {condition.format(**words)} RETURNING name"
        )
        rows = [row for name, amount in amounts.items() for row in tx.execute(statement, **at, name=name, amount=amount)]
    return {row["name"] for row in rows}


def hold(tx: Transaction, holder: str, place: tuple[str, str, str], amounts: Mapping[str, int]) -> bool:
    """A hold with its amounts; False if the holder has one, and then nothing is written.  One statement on PostgreSQL.

    Where rows are written later, a holder that has one in the database is found when the batch runs again.
    """
    at = dict(zip(("pool_id", "zone", "service_class"), place, strict=True))
    if tx.deferring:
        if tx.unwritten(tables.HOLDS, holder=holder):
            return False
        tx.later(tables.HOLDS, {"holder": holder, **at, "state": "reserved"})
        tx.later(tables.AMOUNTS, *_amount_rows(holder, amounts))
        return True
    if tx.dialect == "postgresql":
        return bool(tx.execute(_HOLD_ALL, holder=holder, **at, names=list(amounts), amounts=list(amounts.values())))
    made = tx.changed(_HOLD, holder=holder, **at) == 1
    if made:
        tx.many(_ADD_AMOUNT, _amount_rows(holder, amounts))
    return made


def replace_amounts(tx: Transaction, holder: str, amounts: Mapping[str, int]) -> None:
    """Other amounts for the hold."""
    tx.execute(_DROP_AMOUNTS, holder=holder)
    tx.many(_ADD_AMOUNT, _amount_rows(holder, amounts))


def find(tx: Transaction, holder: str) -> model.Hold | None:
    """The hold of a holder."""
    row = tx.one(_FIND, holder=holder)
    if row is None:
        return None
    amounts = {amount["name"]: amount["amount"] for amount in tx.execute(_AMOUNTS_OF, holder=holder)}
    return model.Hold(**row | {"state": model.State(row["state"])}, amounts=amounts)


def holds(tx: Transaction) -> dict[str, model.Hold]:
    """Every hold with its amounts, by holder."""
    found: dict[str, model.Hold] = {}
    for holder, rows in itertools.groupby(tx.execute(_HOLDS), key=operator.itemgetter("holder")):
        several = list(rows)
        head = {name: several[0][name] for name in ("holder", "pool_id", "zone", "service_class")}
        amounts = {row["name"]: row["amount"] for row in several if row["name"] is not None}
        found[holder] = model.Hold(**head, state=model.State(several[0]["state"]), amounts=amounts)
    return found


def confirm(tx: Transaction, holder: str) -> bool:
    """Confirm a hold; False if there is none."""
    return tx.changed(_CONFIRM, holder=holder) == 1


def drop(tx: Transaction, holder: str) -> None:
    """Remove a hold."""
    tx.execute(_DROP_AMOUNTS, holder=holder)
    tx.execute(_DROP, holder=holder)


def _amount_rows(holder: str, amounts: Mapping[str, int]) -> list[dict[str, Any]]:
    return [{"holder": holder, "name": name, "amount": amount} for name, amount in amounts.items()]


def _row(pool: model.Pool) -> dict[str, Any]:
    row = {column.name: getattr(pool, column.name) for column in tables.POOLS.columns}
    plain = {name: dict(row[name]) if isinstance(row[name], Mapping) else list(row[name]) for name in _JSON}
    return row | {name: canonical.dumps(value).decode() for name, value in plain.items()} | {"paused": int(pool.paused)}


def _blocks(rows: list[dict[str, Any]]) -> dict[tuple[str, str, str], tuple[dict[str, int], ...]]:
    return {(row["pool_id"], row["zone"], row["service_class"]): tuple(json.loads(row["blocks"])) for row in rows}


def _pools(rows: list[dict[str, Any]]) -> list[model.Pool]:
    return [_pool(row) for row in rows]


def _pool(row: dict[str, Any]) -> model.Pool:
    parsed = {name: json.loads(row[name]) for name in _JSON}
    lists = {name: tuple(value) for name, value in parsed.items() if isinstance(value, list)}
    return model.Pool(**row | parsed | lists | {"paused": bool(row["paused"])})


def _host_row(host: model.Host) -> dict[str, Any]:
    row = {column.name: getattr(host, column.name) for column in tables.HOSTS.columns}
    packed = {name: canonical.dumps(dict(row[name])).decode() for name in ("physical", "usable", "used")}
    return row | packed | {"enabled": int(host.enabled)}
