"""SQL of money.  `draw` is the guard: one conditional UPDATE over all levels at once, for what a level holds does not depend on another level."""

import dataclasses
import json
from collections.abc import Mapping, Sequence
from typing import Any, Final

import sqlalchemy as sa

from primitives import canonical, clock
from quotas.budgets import model, rules, tables
from quotas.budgets.model import Hold, Standing
from store import batch, columns, engines
from store.transaction import Transaction, sql

_B: Final = tables.BUDGETS
_H: Final = tables.HOLDS
_OF_TENANT: Final = sa.select(_B).where(_B.c.tenant_id == sa.bindparam("tenant_id")).order_by(_B.c.year)
_OF: Final = (
    sa.select(_B)
    .where(columns.among(_B.c.tenant_id, "tenant_ids"), columns.among(_B.c.year, "years"))
    .order_by(_B.c.tenant_id, _B.c.year)
)
_OF_NODES: Final = sa.select(_B).where(columns.among(_B.c.tenant_id, "tenant_ids"))
_OF_YEAR: Final = sa.select(_B).where(_B.c.year == sa.bindparam("of_year")).order_by(_B.c.tenant_id)
_ALL: Final = sa.select(_B).order_by(_B.c.tenant_id, _B.c.year)
_ANY: Final = sql("SELECT year FROM budgets LIMIT 1")
_PUT: Final = sql(
    "INSERT INTO budgets (tenant_id, year, appropriated_micro, carried_over_micro, hard, thresholds, told, encumbered_micro, spent_micro,"
    " over_micro, generation) VALUES (:tenant_id, :year, :appropriated_micro, :carried_over_micro, :hard, :thresholds, :told,"
    " :encumbered_micro, :spent_micro, :over_micro, :generation)"
    " ON CONFLICT (tenant_id, year) DO UPDATE SET appropriated_micro = excluded.appropriated_micro,"
    " carried_over_micro = excluded.carried_over_micro, hard = excluded.hard, thresholds = excluded.thresholds, told = excluded.told,"
    " encumbered_micro = excluded.encumbered_micro, spent_micro = excluded.spent_micro, over_micro = excluded.over_micro,"
    " generation = excluded.generation"
)
_TOLD: Final = sql("UPDATE budgets SET told = :told WHERE tenant_id = :tenant_id AND year = :year")

_HOLD_COLUMNS: Final = "holder, number, tenant_id, year, monthly_micro, start_at, end_at, open_ended, amount_micro"
_RENEWED: Final = ", ".join(f"{name} = excluded.{name}" for name in _HOLD_COLUMNS.split(", ")[2:])
_KNOWN_HOLD: Final = f" ON CONFLICT (holder, number) DO UPDATE SET {_RENEWED}"
_BEGUN: Final = sql("SELECT max(year) AS year FROM budget_years")
_HAS_BEGUN: Final = sql("SELECT year FROM budget_years WHERE year = :year")
_BEGIN: Final = sql("INSERT INTO budget_years (year, begun_at) VALUES (:year, :at) ON CONFLICT (year) DO NOTHING")
_PUT_HOLD: Final = sql(
    f"INSERT INTO budget_holds ({_HOLD_COLUMNS}) VALUES"
    f" (:holder, :number, :tenant_id, :year, :monthly_micro, :start_at, :end_at, :open_ended, :amount_micro){_KNOWN_HOLD}"
)
_PUT_HOLDS: Final = sql(
    f"INSERT INTO budget_holds ({_HOLD_COLUMNS}) SELECT * FROM unnest(CAST(:holder AS text[]), CAST(:number AS bigint[]),"
    " CAST(:tenant_id AS text[]), CAST(:year AS bigint[]), CAST(:monthly_micro AS bigint[]), CAST(:start_at AS bigint[]),"
    f" CAST(:end_at AS bigint[]), CAST(:open_ended AS bigint[]), CAST(:amount_micro AS bigint[])){_KNOWN_HOLD}"
)
_DROP_HOLD: Final = sql("DELETE FROM budget_holds WHERE holder = :holder AND number = :number")
_DROP_HOLDS: Final = sql(
    "DELETE FROM budget_holds USING unnest(CAST(:holder AS text[]), CAST(:number AS bigint[])) AS k (holder, number)"
    " WHERE budget_holds.holder = k.holder AND budget_holds.number = k.number"
)
_HELD_BY: Final = sa.select(_H).where(columns.among(_H.c.holder, "holders")).order_by(_H.c.holder, _H.c.number)
_AT: Final = sa.select(_H).where(columns.among(_H.c.tenant_id, "tenant_ids"))
_HELD_OF: Final = _AT.order_by(_H.c.holder, _H.c.number)
_HELD_BEFORE: Final = _AT.where(_H.c.start_at < sa.bindparam("at")).order_by(_H.c.holder, _H.c.number)
_HELD_IN: Final = (
    _AT.where(_H.c.year == sa.bindparam("of_year"))
    .order_by(_H.c.amount_micro.desc(), _H.c.holder, _H.c.number)
    .limit(sa.bindparam("count"))
)
_ALL_HELD: Final = sa.select(_H).order_by(_H.c.holder, _H.c.number)
_OPEN_UNTIL: Final = (
    sa.select(_H).where(
        _H.c.year == sa.bindparam("of_year"), _H.c.end_at == sa.bindparam("at"), _H.c.open_ended == sa.literal_column("1")
    )
).order_by(_H.c.holder)
_SUM_HELD: Final = sql(
    "SELECT tenant_id, year, CAST(sum(amount_micro) AS bigint) AS amount FROM budget_holds GROUP BY tenant_id, year"
)
_SUM_HELD_OF: Final = (
    sa.select(_H.c.year, sa.cast(sa.func.sum(_H.c.amount_micro), columns.INTEGER).label("amount"))
    .where(columns.among(_H.c.tenant_id, "tenant_ids"))
    .group_by(_H.c.year)
)
_LEAKED: Final = sql(
    "SELECT h.* FROM budget_holds h LEFT JOIN quota_reservations r ON r.holder = h.holder"
    " WHERE h.end_at > :at AND r.holder IS NULL ORDER BY h.holder, h.number"
)
_ELSEWHERE: Final = sql(
    "SELECT holder, number, r.tenant_id FROM quota_reservations r JOIN budget_holds h USING (holder) WHERE end_at > :at AND r.tenant_id<>h.tenant_id"
)

_DECIDED: Final = {
    engines.SQLITE: "UPDATE budgets SET encumbered_micro = :held, spent_micro = :spent, over_micro = :over WHERE tenant_id = :tenant_id"
    " AND year = :of_year AND encumbered_micro = :was_held AND spent_micro = :was_spent"
    " AND appropriated_micro + carried_over_micro = :most",
    engines.POSTGRESQL: "UPDATE budgets b SET encumbered_micro = k.held, spent_micro = k.spent, over_micro = k.over_by FROM unnest("
    "%(tenant_id)s::text[], %(of_year)s::bigint[], %(was_held)s::bigint[], %(was_spent)s::bigint[], %(held)s::bigint[],"
    " %(spent)s::bigint[], %(over)s::bigint[], %(most)s::bigint[])"
    " AS k (tenant_id, of_year, was_held, was_spent, held, spent, over_by, most)"
    " WHERE b.tenant_id = k.tenant_id AND b.year = k.of_year AND b.encumbered_micro = k.was_held AND b.spent_micro = k.was_spent"
    " AND b.appropriated_micro + b.carried_over_micro = k.most",
}
_DRAW: Final = (
    "encumbered_micro = encumbered_micro + {held}, spent_micro = spent_micro + {spent},"
    " over_micro = {greatest}(0, encumbered_micro + {held} + spent_micro + {spent} - appropriated_micro - carried_over_micro)"
)
_FITS: Final = (
    "(:forced = 1 OR hard = 0 OR {held} <= 0 OR encumbered_micro + spent_micro + {held} <= appropriated_micro + carried_over_micro)"
)


# -- budgets -----------------------------------------------------------------------------------------------------------------------


def draw(tx: Transaction, deltas: rules.Deltas, *, forced: bool) -> tuple[list[Standing], bool]:
    """Change every level that has a budget of the year: the levels after it, and whether all of them agreed.

    A hard budget refuses what would take it beyond its money, unless `forced`.  The difference between the databases is here: PostgreSQL takes all
    levels in one statement, because a round trip costs more than the work; on SQLite short statements are faster, and a look saves them all.
    """
    if not deltas or not _any_budget(tx):
        return [], True
    tally = tx.tally(_B, _write)
    if tally is not None:
        return _decided(tx, tally, deltas, forced=forced)
    if tx.dialect == "postgresql":
        words = {"held": "k.held", "spent": "k.spent", "greatest": "greatest"}
        statement = sql(
            "WITH k AS (SELECT * FROM unnest(CAST(:nodes AS text[]), CAST(:years AS bigint[]), CAST(:helds AS bigint[]),"
            " CAST(:spents AS bigint[])) AS k (node_id, of_year, held, spent)),"
            " here AS (SELECT tenant_id AS node_id, year AS of_year FROM budgets JOIN k ON tenant_id = k.node_id AND year = k.of_year),"
            f" drawn AS (UPDATE budgets SET {_DRAW.format(**words)} FROM k WHERE tenant_id = k.node_id AND year = k.of_year"
            f" AND {_FITS.format(**words)} RETURNING budgets.*)"
            " SELECT drawn.* FROM here LEFT JOIN drawn ON drawn.tenant_id = here.node_id AND drawn.year = here.of_year"
            " ORDER BY here.node_id, here.of_year"
        )
        rows = tx.execute(
            statement,
            nodes=[node for node, _ in deltas],
            years=[year for _, year in deltas],
            helds=[change.encumbered_micro for change in deltas.values()],
            spents=[change.spent_micro for change in deltas.values()],
            forced=int(forced),
        )
        agreed = [row for row in rows if row["tenant_id"] is not None]
        return [_standing(row) for row in agreed], len(agreed) == len(rows)
    words = {"held": ":held", "spent": ":spent", "greatest": "max"}
    statement = sql(
        f"UPDATE budgets SET {_DRAW.format(**words)} WHERE tenant_id = :node_id AND year = :of_year AND {_FITS.format(**words)} RETURNING *"
    )
    here = [
        one for one in of(tx, [node for node, _ in deltas], [year for _, year in deltas]) if (one.tenant_id, one.year) in deltas
    ]
    found = []
    for one in here:
        change = deltas[one.tenant_id, one.year]
        found += tx.execute(
            statement,
            node_id=one.tenant_id,
            of_year=one.year,
            held=change.encumbered_micro,
            spent=change.spent_micro,
            forced=int(forced),
        )
    return [_standing(row) for row in found], len(found) == len(here)


def _decided(tx: Transaction, tally: batch.Tally, deltas: rules.Deltas, *, forced: bool) -> tuple[list[Standing], bool]:
    """The guard's decision on budgets that this batch has read and nobody else can change (`store.batch`)."""
    unread = sorted({node for node, _ in deltas} - tally.known)
    if unread:
        for row in tx.stored(_OF_NODES, tenant_ids=unread):
            one = _standing(row)
            values = (one.encumbered_micro, one.spent_micro, one.over_micro)
            line = batch.Line((one.tenant_id, one.year), values, (int(one.budget.hard), one.limit_micro), one)
            tally.lines[line.key] = line
        tally.known.update(unread)
    found: list[Standing] = []
    here = [(tally.lines[key], change) for key, change in deltas.items() if key in tally.lines]
    for line, change in here:
        (hard, limit), (encumbered, spent, _) = line.fixed, line.values
        held = change.encumbered_micro
        if not forced and hard and held > 0 and encumbered + spent + held > limit:
            continue
        encumbered, spent = encumbered + held, spent + change.spent_micro
        over = max(0, encumbered + spent - limit)
        tally.put(line, (encumbered, spent, over))
        found.append(dataclasses.replace(line.about, encumbered_micro=encumbered, spent_micro=spent, over_micro=over))
    return found, len(found) == len(here)


def _write(connection: engines.Connection, lines: Sequence[batch.Line]) -> int:
    """Store decided budgets.  The guard says no where a row is not as it was read."""
    rows = [
        {
            "tenant_id": line.key[0],
            "of_year": line.key[1],
            "was_held": line.stored[0],
            "was_spent": line.stored[1],
            "held": line.values[0],
            "spent": line.values[1],
            "over": line.values[2],
            "most": line.fixed[1],
        }
        for line in lines
    ]
    return connection.bulk(_DECIDED[connection.dialect], rows)


def _any_budget(tx: Transaction) -> bool:
    """Whether anybody has a budget at all: as long as nobody has, an order asks this once a batch.  A budget is never taken away again."""
    if tx.recall(_ANY) is None:
        if not tx.known(_ANY, bool):
            return False
        tx.keep(_ANY, True)
    return True


def of(tx: Transaction, tenant_ids: Sequence[str], years: Sequence[int]) -> list[Standing]:
    """The budgets of some tenants in some years."""
    return [_standing(row) for row in tx.execute(_OF, tenant_ids=sorted(set(tenant_ids)), years=sorted(set(years)))]


def of_tenant(tx: Transaction, tenant_id: str) -> list[Standing]:
    """All budgets of a tenant, by year."""
    return [_standing(row) for row in tx.execute(_OF_TENANT, tenant_id=tenant_id)]


def of_year(tx: Transaction, year: int | None) -> list[Standing]:
    """All budgets of a year (None: of all years), by tenant."""
    return [_standing(row) for row in (tx.execute(_ALL) if year is None else tx.execute(_OF_YEAR, of_year=year))]


def put(tx: Transaction, standing: Standing) -> None:
    """Write a budget as it is."""
    tx.execute(
        _PUT,
        tenant_id=standing.tenant_id,
        year=standing.year,
        appropriated_micro=standing.budget.appropriated_micro,
        carried_over_micro=standing.budget.carried_over_micro,
        hard=int(standing.budget.hard),
        thresholds=_words(standing.budget.thresholds),
        told=_words(standing.told),
        encumbered_micro=standing.encumbered_micro,
        spent_micro=standing.spent_micro,
        over_micro=standing.over_micro,
        generation=standing.generation,
    )


def tell(tx: Transaction, standing: Standing, told: Sequence[model.Threshold]) -> None:
    """Remember which thresholds were told."""
    tx.execute(_TOLD, tenant_id=standing.tenant_id, year=standing.year, told=_words(told))


# -- holds -------------------------------------------------------------------------------------------------------------------------


def holds(tx: Transaction, holders: Sequence[str]) -> list[Hold]:
    """All holds of some holders."""
    return [_hold(row) for row in tx.execute(_HELD_BY, holders=sorted(set(holders)))]


def holds_of(tx: Transaction, tenant_id: str) -> list[Hold]:
    """All holds of a tenant itself."""
    return [_hold(row) for row in tx.execute(_HELD_OF, tenant_ids=[tenant_id])]


def holds_before(tx: Transaction, tenant_ids: Sequence[str], at_us: int) -> list[Hold]:
    """The holds of some tenants that begin before a moment."""
    return [_hold(row) for row in tx.execute(_HELD_BEFORE, tenant_ids=list(tenant_ids), at=at_us)]


def holds_in(tx: Transaction, tenant_ids: Sequence[str], year: int, count: int) -> list[Hold]:
    """The holds of some tenants in a year, the largest first."""
    return [_hold(row) for row in tx.execute(_HELD_IN, tenant_ids=list(tenant_ids), of_year=year, count=count)]


def all_holds(tx: Transaction) -> list[Hold]:
    """Every hold."""
    return [_hold(row) for row in tx.execute(_ALL_HELD)]


def open_until(tx: Transaction, year: int, at_us: int) -> list[Hold]:
    """The open-ended holds that reach the end of a year."""
    return [_hold(row) for row in tx.execute(_OPEN_UNTIL, of_year=year, at=at_us)]


def leaked(tx: Transaction, at_us: int) -> list[Hold]:
    """Holds that last beyond a moment although their holder has no reservation of units."""
    return [_hold(row) for row in tx.execute(_LEAKED, at=at_us)]


def elsewhere(tx: Transaction, at_us: int) -> dict[tuple[str, int], str]:
    """Holds (holder, number) that last beyond a moment and are not the tenant's that has the units of their holder; whose they should be."""
    return {(row["holder"], row["number"]): row["tenant_id"] for row in tx.execute(_ELSEWHERE, at=at_us)}


def rewrite(tx: Transaction, before: Sequence[Hold], after: Sequence[Hold]) -> None:
    """Let holds be as in `after`: those of `before` that are not there go.  Equal ones are not touched."""
    was = {(one.holder, one.number): one for one in before}
    now = {(one.holder, one.number): one for one in after}
    changed = [one for key, one in now.items() if was.get(key) != one]
    gone = [key for key in was if key not in now]
    if tx.dialect == "postgresql":  # the difference for holds and expenses: arrays here, rows there
        if gone:
            tx.execute(_DROP_HOLDS, holder=[holder for holder, _ in gone], number=[number for _, number in gone])
        if changed:
            tx.execute(_PUT_HOLDS, **columns_of([_hold_row(one) for one in changed]))
        return
    tx.many(_DROP_HOLD, [{"holder": holder, "number": number} for holder, number in gone])
    tx.many(_PUT_HOLD, [_hold_row(one) for one in changed])


def add(tx: Transaction, new: Sequence[Hold]) -> None:
    """Holds of holders that are new: nobody can have them."""
    if new:
        tx.later(_H, *[_hold_row(one) for one in new])


def last_year(tx: Transaction) -> int | None:
    """The last year that has begun."""
    row = tx.one(_BEGUN)
    return None if row is None else row["year"]


def has_begun(tx: Transaction, year: int) -> bool:
    """Whether a year has begun; read once as long as none begins."""
    return tx.known(_HAS_BEGUN, bool, year=year)


def begin(tx: Transaction, year: int) -> bool:
    """Let a year begin; False if it has."""
    return tx.changed(_BEGIN, year=year, at=clock.to_us(tx.now())) == 1


# -- sums --------------------------------------------------------------------------------------------------------------------------


def held_by_tenant(tx: Transaction) -> dict[tuple[str, int], int]:
    """(tenant, year) -> the sum of the tenant's own holds."""
    return {(row["tenant_id"], row["year"]): row["amount"] for row in tx.execute(_SUM_HELD)}


def held_of(tx: Transaction, tenant_ids: Sequence[str]) -> dict[int, int]:
    """year -> the sum of the holds of some tenants."""
    return {row["year"]: row["amount"] for row in tx.execute(_SUM_HELD_OF, tenant_ids=list(tenant_ids))}


# -- rows --------------------------------------------------------------------------------------------------------------------------


def columns_of(rows: Sequence[Mapping[str, Any]]) -> dict[str, list[Any]]:
    """Rows as the arrays that one statement takes on PostgreSQL."""
    return {name: [row[name] for row in rows] for name in rows[0]}


def _standing(row: Mapping[str, Any]) -> Standing:
    return Standing(
        tenant_id=row["tenant_id"],
        year=row["year"],
        budget=model.Budget(
            appropriated_micro=row["appropriated_micro"],
            carried_over_micro=row["carried_over_micro"],
            hard=bool(row["hard"]),
            thresholds=_thresholds(row["thresholds"]),
        ),
        told=_thresholds(row["told"]),
        encumbered_micro=row["encumbered_micro"],
        spent_micro=row["spent_micro"],
        over_micro=row["over_micro"],
        generation=row["generation"],
    )


def _words(thresholds: Sequence[model.Threshold]) -> str:
    return canonical.dumps([str(one) for one in thresholds]).decode()


def _thresholds(text: str) -> tuple[model.Threshold, ...]:
    return tuple(rules.threshold(one) for one in json.loads(text))


def _hold_row(one: Hold) -> dict[str, Any]:
    return {
        "holder": one.holder,
        "number": one.number,
        "tenant_id": one.tenant_id,
        "year": one.year,
        "monthly_micro": one.monthly_micro,
        "start_at": clock.to_us(one.start_at),
        "end_at": clock.to_us(one.end_at),
        "open_ended": int(one.open_ended),
        "amount_micro": one.amount_micro,
    }


def _hold(row: Mapping[str, Any]) -> Hold:
    values = dict(row)
    moments = {name: clock.from_us(values.pop(name)) for name in ("start_at", "end_at")}
    return Hold(**values | moments | {"open_ended": bool(row["open_ended"])})
