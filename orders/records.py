"""SQL of the room.  Rows in, frozen records out."""

import dataclasses
import json
from collections.abc import Sequence
from typing import Any, Final

import sqlalchemy as sa

from orders import model, tables
from primitives import canonical, clock
from store import columns, text
from store.transaction import Transaction

_O: Final = tables.ORDERS
_L: Final = tables.LINES
_D: Final = tables.DECISIONS
_R: Final = tables.RULES

_NEXT: Final = sa.select((sa.func.coalesce(sa.func.max(_O.c.number), 0) + 1).label("number"))
_NUMBER: Final = "orders.number"
"""Key of what the batch keeps: the number of the next order."""
_INSERT_DECISION: Final = sa.insert(_D)
_BY_ID: Final = sa.select(_O).where(_O.c.id == sa.bindparam("id"))
_BY_NUMBER: Final = sa.select(_O).where(_O.c.number == sa.bindparam("number"))
_LINES: Final = sa.select(_L).where(columns.among(_L.c.order_id, "ids")).order_by(_L.c.order_id, _L.c.position)
_WAITING_LINE: Final = (
    sa.select(_L)
    .select_from(_L.join(_O, _O.c.id == _L.c.order_id))
    .where(
        _L.c.resource_id == sa.bindparam("resource"),
        _O.c.state == str(model.State.WAITING_FOR_APPROVAL),
        sa.or_(
            *(_L.c.action == action for action in ("create", "resize", "scale", "update", "extend", "move")),
            sa.and_(_L.c.action == "restart", _L.c.kind == "ContainerApp"),  # it holds what it adds while it is rolled
        ),
    )
    .order_by(_O.c.number)
)
_DECISIONS: Final = sa.select(_D).where(columns.among(_D.c.order_id, "ids")).order_by(_D.c.decided_at, _D.c.id)
_HELD: Final = sa.select(_L.c.held_name).where(columns.among(_L.c.held_name, "asked"), _L.c.held_name.is_not(None))
_ALL_HELD: Final = sa.select(_L.c.held_name).where(_L.c.held_name.is_not(None)).limit(sa.literal_column("1001"))
_WAITING_NAMES: Final = "orders.held_names"
"""Key of what the batch keeps: all names that waiting orders hold, if they are few."""
NAMES_KEPT: Final = 1000
_MOVE: Final = (
    sa.update(_O)
    .where(_O.c.id == sa.bindparam("key"), _O.c.state == sa.bindparam("was"))
    .values(
        state=sa.bindparam("state"),
        decide_by=None,
        ended_at=sa.bindparam("ended_at"),
        generation=_O.c.generation + 1,
    )
)
_FREE_NAMES: Final = sa.update(_L).where(_L.c.order_id == sa.bindparam("key")).values(held_name=None)
_END_LINE: Final = (
    sa.update(_L)
    .where(_L.c.order_id == sa.bindparam("key"), _L.c.resource_id == sa.bindparam("resource"), _L.c.outcome == "open")
    .values(outcome=sa.bindparam("outcome"), reason=sa.bindparam("reason"))
)
_END_OPEN_LINES: Final = (
    sa.update(_L).where(_L.c.order_id == sa.bindparam("key"), _L.c.outcome == "open").values(outcome=sa.bindparam("outcome"))
)
_OVERDUE: Final = (
    sa.select(_O).where(_O.c.decide_by <= sa.bindparam("now"), _O.c.decide_by.is_not(None)).order_by(_O.c.decide_by).limit(5)
)
_COUNTS: Final = sa.select(_O.c.state, sa.func.count().label("count")).group_by(_O.c.state).order_by(_O.c.state)
_IN_FORCE: Final = sa.select(_R).where(_R.c.retired_at.is_(None)).order_by(_R.c.name)
_RULE: Final = sa.select(_R).where(_R.c.name == sa.bindparam("name"), _R.c.retired_at.is_(None))
_KNOWN_RULE: Final = (
    sa.select(_R).where(_R.c.name == sa.bindparam("name")).order_by(_R.c.retired_at.is_not(None), _R.c.retired_at.desc()).limit(1)
)
_INSERT_RULE: Final = sa.insert(_R)
_UPDATE_RULE: Final = (
    sa.update(_R)
    .where(_R.c.id == sa.bindparam("key"))
    .values(spec=sa.bindparam("spec"), tenant_id=sa.bindparam("tenant"), generation=_R.c.generation + 1)
)
_RETIRE_RULE: Final = sa.update(_R).where(_R.c.id == sa.bindparam("key")).values(retired_at=sa.bindparam("now"))


def insert(tx: Transaction, order: model.Order, lines: Sequence[model.Line]) -> model.Order:
    """Insert an order with the next number; lines that create hold their names while it waits."""
    number = tx.recall(_NUMBER) or tx.execute(_NEXT)[0]["number"]
    waiting = order.state is model.State.WAITING_FOR_APPROVAL
    tx.later(_O, {**_head(order), "number": number})
    names: frozenset[str] | None = tx.recall(_WAITING_NAMES)
    rows = [_line_row(order, line, waiting) for line in lines]
    tx.later(_L, *rows)
    tx.keep(_NUMBER, number + 1, _O)
    if names is not None:
        tx.keep(_WAITING_NAMES, names.union(row["held_name"] for row in rows if row["held_name"]), _L)
    return dataclasses.replace(order, number=number)


def held(tx: Transaction, asked: Sequence[str]) -> set[str]:
    """Those of the names (as `held_name` writes them) that waiting orders hold."""
    if not asked:
        return set()
    known: frozenset[str] | None = tx.recall(_WAITING_NAMES)
    if known is None:
        rows = tx.execute(_ALL_HELD)
        known = frozenset(row["held_name"] for row in rows)
        if len(rows) <= NAMES_KEPT:
            tx.keep(_WAITING_NAMES, known, _L)
        else:
            return {row["held_name"] for row in tx.execute(_HELD, asked=list(asked))}
    return set(known.intersection(asked))


def held_name(place: str, kind: str, name: str) -> str:
    """The text under which a name is held: a resource's in a project, a project's code in a tenant."""
    return f"{place}/{kind}/{name}"


def asked_name(order: model.Order, line: model.Line) -> str:
    """The name that a line holds while its order waits, '' for none: of a create in the order's project, of a move where it goes to."""
    if line.action == "move":
        return str(line.spec["held_name"])
    return held_name(order.project_id, line.kind, line.name) if line.action == "create" else ""


def find(tx: Transaction, reference: str) -> model.Order | None:
    """The order of an id or a number."""
    if reference.isascii() and reference.isdecimal() and len(reference) < 16:
        row = tx.one(_BY_NUMBER, number=int(reference))
    else:
        row = tx.one(_BY_ID, id=reference)
    return None if row is None else _order(row)


def listed(tx: Transaction, *, tenant_ids: Sequence[str] | None, state: str, before: int | None, limit: int) -> list[model.Order]:
    """Orders of tenants (None: of all), and moves to them, newest first, with numbers below `before`."""
    query = sa.select(_O).order_by(_O.c.number.desc()).limit(limit)
    if state:
        query = query.where(_O.c.state == state)
    if before is not None:
        query = query.where(_O.c.number < before)
    if tenant_ids is not None:
        theirs = sa.or_(
            columns.among(_O.c.tenant_id, "tenants"), sa.and_(_O.c.taker_id.is_not(None), columns.among(_O.c.taker_id, "tenants"))
        )
        return [_order(row) for row in tx.execute(query.where(theirs), tenants=list(tenant_ids))]
    return [_order(row) for row in tx.execute(query)]


def lines(tx: Transaction, order_ids: Sequence[str]) -> dict[str, list[model.Line]]:
    """Lines by order."""
    found: dict[str, list[model.Line]] = {order_id: [] for order_id in order_ids}
    for row in tx.execute(_LINES, ids=list(order_ids)):
        found[row["order_id"]].append(_line(row))
    return found


def waiting_line(tx: Transaction, resource_id: str) -> tuple[str, model.Line] | None:
    """The line of a waiting order that holds units for a resource, behind the order's id."""
    rows = tx.execute(_WAITING_LINE, resource=resource_id)
    return (rows[0]["order_id"], _line(rows[0])) if rows else None


def decisions(tx: Transaction, order_ids: Sequence[str]) -> dict[str, list[model.Decision]]:
    """Decisions by order, oldest first."""
    found: dict[str, list[model.Decision]] = {order_id: [] for order_id in order_ids}
    for row in tx.execute(_DECISIONS, ids=list(order_ids)):
        found[row["order_id"]].append(_decision(row))
    return found


def move(tx: Transaction, order_id: str, was: model.State, state: model.State, *, ended: bool) -> bool:
    """Move an order that is in `was`; False if it is not (any more)."""
    now = clock.to_us(tx.now()) if ended else None
    moved = tx.changed(_MOVE, key=order_id, was=str(was), state=str(state), ended_at=now)
    if moved and was is model.State.WAITING_FOR_APPROVAL:
        tx.execute(_FREE_NAMES, key=order_id)
    return moved == 1


def end_line(tx: Transaction, order_id: str, resource_id: str, outcome: model.Outcome, reason: str) -> bool:
    """End the open line of a resource; False if there is none."""
    return tx.changed(_END_LINE, key=order_id, resource=resource_id, outcome=str(outcome), reason=reason) > 0


def end_open_lines(tx: Transaction, order_id: str, outcome: model.Outcome) -> None:
    """End all open lines of an order alike."""
    tx.execute(_END_OPEN_LINES, key=order_id, outcome=str(outcome))


def insert_decision(tx: Transaction, decision: model.Decision, decision_id: str) -> None:
    """Append a decision."""
    tx.execute(
        _INSERT_DECISION,
        id=decision_id,
        order_id=decision.order_id,
        verdict=str(decision.verdict),
        account_id=decision.account_id,
        person_id=decision.person_id,
        reason=decision.reason,
        document_no=decision.document_no,
        decided_at=clock.to_us(decision.decided_at),
    )


def overdue(tx: Transaction) -> list[model.Order]:
    """Some of the waiting orders whose deadline has passed, the oldest first."""
    return [_order(row) for row in tx.execute(_OVERDUE, now=clock.to_us(tx.now()))]


def counts(tx: Transaction) -> dict[str, int]:
    """Number of orders by state."""
    return {row["state"]: row["count"] for row in tx.execute(_COUNTS)}


def rules_at(tx: Transaction, tenant_ids: Sequence[str]) -> list[model.Rule]:
    """Approval rules that stand at any of the tenants."""
    return [rule for rule in tx.known(_IN_FORCE, _rules) if rule.tenant_id in tenant_ids]


def rule(tx: Transaction, name: str) -> model.Rule | None:
    """The rule of a name."""
    row = tx.one(_RULE, name=name)
    return None if row is None else _rule(row)


def known_rule(tx: Transaction, name: str) -> model.Rule | None:
    """The rule of a name, else the one that had it last."""
    row = tx.one(_KNOWN_RULE, name=name)
    return None if row is None else _rule(row)


def put_rule(tx: Transaction, new: model.Rule, *, exists: bool) -> None:
    """Insert or replace a rule."""
    spec = canonical.dumps(
        {
            "actions": list(new.actions),
            "kinds": list(new.kinds),
            "service_classes": list(new.service_classes),
            "monthly_over_micro": new.monthly_over_micro,
            "amounts_over": dict(new.amounts_over),
            "deadline_h": new.deadline_h,
        }
    ).decode()
    if exists:
        tx.execute(_UPDATE_RULE, key=new.id, spec=spec, tenant=new.tenant_id)
    else:
        tx.execute(_INSERT_RULE, id=new.id, name=new.name, tenant_id=new.tenant_id, spec=spec, generation=1, retired_at=None)


def retire_rule(tx: Transaction, rule_id: str) -> None:
    """A rule asks no more; it stays for the record."""
    tx.execute(_RETIRE_RULE, key=rule_id, now=clock.to_us(tx.now()))


def _head(order: model.Order) -> dict[str, Any]:
    return {
        **{name: getattr(order, name) for name in ("id", "tenant_id", "project_id", "account_id", "person_id", "reason")},
        "state": str(order.state),
        "document_no": order.document_no,
        "monthly_micro": order.monthly_micro,
        "approval": json.dumps(order.approval),
        "submitted_at": clock.to_us(order.submitted_at),
        "decide_by": None if order.decide_by is None else clock.to_us(order.decide_by),
        "ended_at": None,
        "generation": 1,
        "taker_id": order.taker_id,
    }


def _line_row(order: model.Order, line: model.Line, waiting: bool) -> dict[str, Any]:
    return {
        "order_id": order.id,
        "position": line.position,
        "action": line.action,
        "kind": line.kind,
        "resource_id": line.resource_id,
        "name": line.name,
        "spec": text.of(dict(line.spec)),
        "outcome": str(line.outcome),
        "reason": line.reason,
        "held_name": (asked_name(order, line) or None) if waiting else None,
    }


def _order(row: dict[str, Any]) -> model.Order:
    return model.Order(
        id=row["id"],
        number=row["number"],
        tenant_id=row["tenant_id"],
        project_id=row["project_id"],
        state=model.State(row["state"]),
        account_id=row["account_id"],
        person_id=row["person_id"],
        reason=row["reason"],
        document_no=row["document_no"],
        monthly_micro=row["monthly_micro"],
        approval=tuple(json.loads(row["approval"])),
        submitted_at=clock.from_us(row["submitted_at"]),
        decide_by=None if row["decide_by"] is None else clock.from_us(row["decide_by"]),
        ended_at=None if row["ended_at"] is None else clock.from_us(row["ended_at"]),
        generation=row["generation"],
        taker_id=row["taker_id"],
    )


def _line(row: dict[str, Any]) -> model.Line:
    return model.Line(
        position=row["position"],
        action=row["action"],
        kind=row["kind"],
        resource_id=row["resource_id"],
        name=row["name"],
        spec=json.loads(row["spec"]),
        outcome=model.Outcome(row["outcome"]),
        reason=row["reason"],
    )


def _decision(row: dict[str, Any]) -> model.Decision:
    return model.Decision(
        order_id=row["order_id"],
        verdict=model.Verdict(row["verdict"]),
        account_id=row["account_id"],
        person_id=row["person_id"],
        reason=row["reason"],
        document_no=row["document_no"],
        decided_at=clock.from_us(row["decided_at"]),
    )


def _rules(rows: Sequence[dict[str, Any]]) -> tuple[model.Rule, ...]:
    return tuple(map(_rule, rows))


def _rule(row: dict[str, Any]) -> model.Rule:
    spec = json.loads(row["spec"])
    return model.Rule(
        id=row["id"],
        name=row["name"],
        tenant_id=row["tenant_id"],
        actions=tuple(spec["actions"]),
        kinds=tuple(spec["kinds"]),
        service_classes=tuple(spec["service_classes"]),
        monthly_over_micro=spec["monthly_over_micro"],
        amounts_over=spec["amounts_over"],
        deadline_h=spec["deadline_h"],
        generation=row["generation"],
    )
