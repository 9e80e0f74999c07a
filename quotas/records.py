"""SQL of the room.  `draw` and `give_back` are the guard: one conditional UPDATE per level of the tree."""

import itertools
import operator
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

import sqlalchemy as sa

from primitives import clock
from quotas import model, tables
from store import batch, columns, engines, transaction
from store.transaction import Transaction, sql

_G: Final = tables.GRANTS
_OF: Final = sa.select(_G).where(columns.among(_G.c.tenant_id, "tenant_ids")).order_by(_G.c.tenant_id, _G.c.name)
_LOCKED: Final = _OF.with_for_update()
_ALL: Final = sa.select(_G).order_by(_G.c.tenant_id, _G.c.name)
_PUT: Final = sql(
    "INSERT INTO grants (tenant_id, name, granted, lending_limit, borrowing_limit, subtree_quota, local_quota, drawn, over_by, generation)"
    " VALUES (:tenant_id, :name, :granted, :lending_limit, :borrowing_limit, :subtree_quota, :local_quota, :drawn, :over_by, :generation)"
    " ON CONFLICT (tenant_id, name) DO UPDATE SET granted = excluded.granted, lending_limit = excluded.lending_limit,"
    " borrowing_limit = excluded.borrowing_limit, subtree_quota = excluded.subtree_quota, local_quota = excluded.local_quota,"
    " drawn = excluded.drawn, over_by = excluded.over_by, generation = excluded.generation"
)
_RESERVE: Final = sql(
    "INSERT INTO quota_reservations (holder, tenant_id, state, expires_at) VALUES (:holder, :tenant_id, 'reserved', :expires_at)"
    " ON CONFLICT (holder) DO NOTHING"
)
_RESERVE_ALL: Final = sql(
    "WITH made AS (INSERT INTO quota_reservations (holder, tenant_id, state, expires_at)"
    " SELECT h.holder, :tenant_id, 'reserved', CAST(:expires_at AS bigint) FROM unnest(CAST(:holders AS text[])) AS h (holder)"
    " ON CONFLICT (holder) DO NOTHING RETURNING holder),"
    " held AS (INSERT INTO quota_amounts (holder, name, amount) SELECT made.holder, k.name, k.amount FROM made"
    " JOIN unnest(CAST(:of AS text[]), CAST(:names AS text[]), CAST(:amounts AS bigint[])) AS k (holder, name, amount)"
    " ON k.holder = made.holder) SELECT holder FROM made"
)
_ADD_AMOUNT: Final = sa.insert(tables.AMOUNTS)
_AMOUNTS_OF: Final = sql("SELECT name, amount FROM quota_amounts WHERE holder = :holder ORDER BY name")
_FIND: Final = sql("SELECT * FROM quota_reservations WHERE holder = :holder")
_CONFIRM: Final = sql("UPDATE quota_reservations SET state = 'confirmed', expires_at = NULL WHERE holder = :holder")
_DROP_AMOUNTS: Final = sql("DELETE FROM quota_amounts WHERE holder = :holder")
_DROP: Final = sql("DELETE FROM quota_reservations WHERE holder = :holder")
_DUE: Final = sql(
    "SELECT holder FROM quota_reservations WHERE expires_at IS NOT NULL AND expires_at <= :at ORDER BY expires_at, holder LIMIT :count"
)
_COUNT: Final = sql("SELECT count(*) AS count FROM quota_reservations WHERE tenant_id = :tenant_id")
_HELD: Final = (
    sa.select(
        tables.RESERVATIONS.c.tenant_id,
        tables.RESERVATIONS.c.state,
        tables.AMOUNTS.c.name,
        sa.cast(sa.func.sum(tables.AMOUNTS.c.amount), columns.INTEGER).label("amount"),
    )
    .select_from(tables.RESERVATIONS.join(tables.AMOUNTS, tables.AMOUNTS.c.holder == tables.RESERVATIONS.c.holder))
    .group_by(tables.RESERVATIONS.c.tenant_id, tables.RESERVATIONS.c.state, tables.AMOUNTS.c.name)
)
_HELD_OF: Final = (
    sa.select(
        tables.RESERVATIONS.c.tenant_id,
        tables.AMOUNTS.c.name,
        sa.cast(sa.func.sum(tables.AMOUNTS.c.amount), columns.INTEGER).label("amount"),
    )
    .select_from(tables.RESERVATIONS.join(tables.AMOUNTS, tables.AMOUNTS.c.holder == tables.RESERVATIONS.c.holder))
    .where(tables.AMOUNTS.c.name == sa.bindparam("name"))
    .group_by(tables.RESERVATIONS.c.tenant_id, tables.AMOUNTS.c.name)
)
_OF_NAME: Final = sa.select(_G).where(_G.c.name == sa.bindparam("name")).order_by(_G.c.tenant_id).with_for_update()
_RESERVATIONS: Final = (
    sa.select(tables.RESERVATIONS, tables.AMOUNTS.c.name, tables.AMOUNTS.c.amount)
    .select_from(tables.RESERVATIONS.outerjoin(tables.AMOUNTS, tables.AMOUNTS.c.holder == tables.RESERVATIONS.c.holder))
    .order_by(tables.RESERVATIONS.c.holder, tables.AMOUNTS.c.name)
)
_HELD_AT: Final = (
    sa.select(
        tables.RESERVATIONS.c.tenant_id,
        tables.AMOUNTS.c.name,
        sa.cast(sa.func.sum(tables.AMOUNTS.c.amount), columns.INTEGER).label("amount"),
    )
    .select_from(tables.RESERVATIONS.join(tables.AMOUNTS, tables.AMOUNTS.c.holder == tables.RESERVATIONS.c.holder))
    .where(columns.among(tables.RESERVATIONS.c.tenant_id, "tenant_ids"))
    .group_by(tables.RESERVATIONS.c.tenant_id, tables.AMOUNTS.c.name)
)
_HELD_BY: Final = (
    sa.select(tables.RESERVATIONS.c.holder, tables.RESERVATIONS.c.tenant_id, tables.AMOUNTS.c.amount)
    .select_from(tables.RESERVATIONS.join(tables.AMOUNTS, tables.AMOUNTS.c.holder == tables.RESERVATIONS.c.holder))
    .where(columns.among(tables.RESERVATIONS.c.tenant_id, "tenant_ids"), tables.AMOUNTS.c.name == sa.bindparam("name"))
)
_PUT_DEFAULT: Final = sql(
    "INSERT INTO grant_defaults (name, granted, generation) VALUES (:name, :granted, 1)"
    " ON CONFLICT (name) DO UPDATE SET granted = excluded.granted, generation = grant_defaults.generation + 1"
)

_DECIDED: Final = {
    engines.SQLITE: "UPDATE grants SET drawn = :drawn, over_by = :over_by WHERE tenant_id = :tenant_id AND name = :name"
    " AND drawn = :was AND (:drawn <= :was OR :drawn <= subtree_quota + borrowing_limit)",
    engines.POSTGRESQL: "UPDATE grants g SET drawn = k.drawn, over_by = k.over_by FROM unnest(%(tenant_id)s::text[], %(name)s::text[],"
    " %(was)s::bigint[], %(drawn)s::bigint[], %(over_by)s::bigint[]) AS k (tenant_id, name, was, drawn, over_by)"
    " WHERE g.tenant_id = k.tenant_id AND g.name = k.name AND g.drawn = k.was"
    " AND (k.drawn <= k.was OR k.drawn <= g.subtree_quota + g.borrowing_limit)",
}
_FITS: Final = "drawn + {k} <= subtree_quota + borrowing_limit"
_MORE: Final = "drawn = drawn + {k}"
_LESS: Final = "drawn = drawn - {k}, over_by = {least}(over_by, {greatest}(0, drawn - {k} - subtree_quota - borrowing_limit))"


def draw(tx: Transaction, tenant_id: str, amounts: Mapping[str, int]) -> dict[str, tuple[int, int]]:
    """Draw `amounts` at one level where they fit: name -> (drawn, local_quota) after it.  A name that is missing was refused."""
    tally = tx.tally(_G, _write)
    return _guarded(tx, tenant_id, amounts, _MORE, _FITS) if tally is None else _decided(tally, tenant_id, amounts, 1)


def give_back(tx: Transaction, tenant_id: str, amounts: Mapping[str, int]) -> dict[str, tuple[int, int]]:
    """Give back at one level; an allowed excess shrinks with it and never grows again."""
    tally = tx.tally(_G, _write)
    return _guarded(tx, tenant_id, amounts, _LESS, "1 = 1") if tally is None else _decided(tally, tenant_id, amounts, -1)


def foresee(tx: Transaction, path: Sequence[str]) -> None:
    """The levels of a path are about to be drawn from or given back to: where counters are decided in memory, read them at once."""
    tally = tx.tally(_G, _write)
    unread = [] if tally is None else [tenant_id for tenant_id in path if tenant_id not in tally.known]
    if tally is None or not unread:
        return
    for row in tx.stored(_OF, tenant_ids=unread):
        fixed = (row["subtree_quota"] + row["borrowing_limit"], row["local_quota"])
        line = batch.Line((row["tenant_id"], row["name"]), (row["drawn"], row["over_by"]), fixed)
        tally.lines[line.key] = line
    tally.known.update(unread)


def _decided(tally: batch.Tally, tenant_id: str, amounts: Mapping[str, int], sign: int) -> dict[str, tuple[int, int]]:
    """The guard's decision on counters that this batch has read and nobody else can change (`store.batch`)."""
    found: dict[str, tuple[int, int]] = {}
    for name, amount in amounts.items():
        line = tally.lines.get((tenant_id, name))
        if line is None:
            continue
        limit, local_quota = line.fixed
        drawn = line.values[0] + sign * amount
        if sign > 0 and drawn > limit:
            continue
        tally.put(line, (drawn, line.values[1] if sign > 0 else min(line.values[1], max(0, drawn - limit))))
        found[name] = (drawn, local_quota)
    return found


def _write(connection: engines.Connection, lines: Sequence[batch.Line]) -> int:
    """Store decided counters.  The guard says no where a row is not as it was read, or has grown beyond its limit."""
    rows = [
        {"tenant_id": line.key[0], "name": line.key[1], "was": line.stored[0], "drawn": line.values[0], "over_by": line.values[1]}
        for line in lines
    ]
    return connection.bulk(_DECIDED[connection.dialect], rows)


def _guarded(
    tx: Transaction, tenant_id: str, amounts: Mapping[str, int], change: str, condition: str
) -> dict[str, tuple[int, int]]:
    """One level of the guard.  The difference between the databases is here and nowhere else: PostgreSQL takes all names in one
    statement, because a round trip costs more than the work; on SQLite several short statements are faster than one that joins.
    """
    if tx.dialect == "postgresql":
        words = {"k": "k.amount", "least": "least", "greatest": "greatest"}
        statement = sql(
            f"UPDATE grants SET {change.format(**words)}"
            " FROM unnest(CAST(:names AS text[]), CAST(:amounts AS bigint[])) AS k (asked, amount)"
            f" WHERE tenant_id = :tenant_id AND name = k.asked AND {condition.format(**words)} RETURNING name, drawn, local_quota"
        )
        rows = tx.execute(statement, tenant_id=tenant_id, names=list(amounts), amounts=list(amounts.values()))
    else:
        words = {"k": ":amount", "least": "min", "greatest": "max"}
        statement = sql(
            f"UPDATE grants SET {change.format(**words)} WHERE tenant_id = :tenant_id AND name = :name AND {condition.format(**words)}"
            " RETURNING name, drawn, local_quota"
        )
        rows = [
            row for name, amount in amounts.items() for row in tx.execute(statement, tenant_id=tenant_id, name=name, amount=amount)
        ]
    return {row["name"]: (row["drawn"], row["local_quota"]) for row in rows}


def standings(tx: Transaction, tenant_ids: Sequence[str] | None) -> list[model.Standing]:
    """How tenants stand, all names, by tenant and name; None: all tenants."""
    rows = tx.execute(_ALL) if tenant_ids is None else tx.execute(_OF, tenant_ids=list(tenant_ids))
    return [model.Standing(**row) for row in rows]


def by_key(tx: Transaction, tenant_ids: Sequence[str] | None) -> dict[tuple[str, str], model.Standing]:
    """Standings of tenants (None: of all) by (tenant, name)."""
    return {(each.tenant_id, each.name): each for each in standings(tx, tenant_ids)}


def lock(tx: Transaction, tenant_ids: Sequence[str]) -> dict[tuple[str, str], model.Standing]:
    """`by_key` for a re-derivation: on PostgreSQL nobody draws from these rows until the commit.  (On SQLite nobody writes anyway.)"""
    return {(row["tenant_id"], row["name"]): model.Standing(**row) for row in tx.execute(_LOCKED, tenant_ids=list(tenant_ids))}


def lock_name(tx: Transaction, name: str) -> dict[tuple[str, str], model.Standing]:
    """`lock` for one name at all tenants."""
    return {(row["tenant_id"], row["name"]): model.Standing(**row) for row in tx.execute(_OF_NAME, name=name)}


def put(tx: Transaction, changed: Iterable[model.Standing]) -> None:
    """Write standings as they are."""
    for each in changed:
        tx.execute(_PUT, **_row(each))


def reserve(tx: Transaction, tenant_id: str, amounts_of: Mapping[str, Mapping[str, int]], expires_at_us: int | None) -> list[str]:
    """Reservations of one tenant, holder -> amounts; the holders that have one already, for which nothing was written.

    One statement on PostgreSQL (a round trip costs more than the work), short ones on SQLite.  Where rows are written later, a holder that has one
    in the database is found when the batch runs again.
    """
    rows = [(holder, name, amount) for holder, amounts in amounts_of.items() for name, amount in amounts.items()]
    if tx.deferring:
        if holding := [holder for holder in amounts_of if tx.unwritten(tables.RESERVATIONS, holder=holder)]:
            return holding
        head = {"tenant_id": tenant_id, "state": "reserved", "expires_at": expires_at_us}
        tx.later(tables.RESERVATIONS, *[{"holder": holder, **head} for holder in amounts_of])
        tx.later(tables.AMOUNTS, *[{"holder": holder, "name": name, "amount": amount} for holder, name, amount in rows])
        return []
    if tx.dialect == "postgresql":
        made = tx.execute(
            _RESERVE_ALL,
            tenant_id=tenant_id,
            expires_at=expires_at_us,
            holders=list(amounts_of),
            of=[holder for holder, _, _ in rows],
            names=[name for _, name, _ in rows],
            amounts=[amount for _, _, amount in rows],
        )
        return sorted(amounts_of.keys() - {row["holder"] for row in made})
    taken = [
        holder for holder in amounts_of if not tx.changed(_RESERVE, holder=holder, tenant_id=tenant_id, expires_at=expires_at_us)
    ]
    tx.many(_ADD_AMOUNT, [dict(zip(("holder", "name", "amount"), row, strict=True)) for row in rows if row[0] not in taken])
    return taken


def replace_amounts(tx: Transaction, holder: str, amounts: Mapping[str, int]) -> None:
    """Other amounts for the reservation."""
    tx.execute(_DROP_AMOUNTS, holder=holder)
    tx.many(_ADD_AMOUNT, [{"holder": holder, "name": name, "amount": amount} for name, amount in amounts.items()])


def find(tx: Transaction, holder: str) -> model.Reservation | None:
    """The reservation of a holder."""
    row = tx.one(_FIND, holder=holder)
    if row is None:
        return None
    return _reservation(row, {amount["name"]: amount["amount"] for amount in tx.execute(_AMOUNTS_OF, holder=holder)})


def reservations(tx: Transaction) -> dict[str, model.Reservation]:
    """Every reservation with its amounts, by holder."""
    found: dict[str, model.Reservation] = {}
    for holder, rows in itertools.groupby(tx.execute(_RESERVATIONS), key=operator.itemgetter("holder")):
        several = list(rows)
        found[holder] = _reservation(several[0], {row["name"]: row["amount"] for row in several if row["name"] is not None})
    return found


def confirm(tx: Transaction, holder: str) -> bool:
    """Confirm a reservation; False if there is none."""
    return tx.changed(_CONFIRM, holder=holder) == 1


def drop(tx: Transaction, holder: str) -> None:
    """Remove a reservation."""
    tx.execute(_DROP_AMOUNTS, holder=holder)
    tx.execute(_DROP, holder=holder)


def due(tx: Transaction, at_us: int, count: int) -> list[str]:
    """Holders whose reservation should have been confirmed by `at_us`, longest overdue first."""
    return [row["holder"] for row in tx.execute(_DUE, at=at_us, count=count)]


def count(tx: Transaction, tenant_id: str) -> int:
    """How many reservations a tenant has itself."""
    row = tx.one(_COUNT, tenant_id=tenant_id)
    return 0 if row is None else int(row["count"])


def held(tx: Transaction) -> list[dict[str, Any]]:
    """tenant_id, state, name and amount of all reservations, summed."""
    return tx.execute(_HELD)


def held_of(tx: Transaction, name: str) -> list[dict[str, Any]]:
    """tenant_id, name and amount of what is held of one name, summed by tenant."""
    return tx.execute(_HELD_OF, name=name)


def held_at(tx: Transaction, tenant_ids: Sequence[str]) -> list[dict[str, Any]]:
    """tenant_id, name and amount of what is held at some tenants themselves, summed."""
    return tx.execute(_HELD_AT, tenant_ids=list(tenant_ids))


def held_by(tx: Transaction, tenant_ids: Sequence[str], name: str) -> list[dict[str, Any]]:
    """holder, tenant_id and amount of every reservation of one name at some tenants."""
    return tx.execute(_HELD_BY, tenant_ids=list(tenant_ids), name=name)


def defaults(tx: Transaction) -> list[dict[str, Any]]:
    """name, granted and generation of the defaults of new tenants."""
    return tx.execute(transaction.sql("SELECT name, granted, generation FROM grant_defaults ORDER BY name"))


def put_default(tx: Transaction, name: str, granted: int) -> None:
    """What new tenants are granted of a name."""
    tx.execute(_PUT_DEFAULT, name=name, granted=granted)


def _row(standing: model.Standing) -> dict[str, Any]:
    return {column.name: getattr(standing, column.name) for column in _G.columns}


def _reservation(row: Mapping[str, Any], amounts: Mapping[str, int]) -> model.Reservation:
    return model.Reservation(
        holder=row["holder"],
        tenant_id=row["tenant_id"],
        state=model.State(row["state"]),
        expires_at=None if row["expires_at"] is None else clock.from_us(row["expires_at"]),
        amounts=amounts,
    )
