"""The verbs of the room: submit, decide, settle, end what is overdue, and the approval rules.  Reservations and resources are `control`'s."""

from collections.abc import Sequence

from orders import faults, model, move_records, records, rules
from primitives import ids
from store.transaction import Transaction

by_reference = records.find
listed = records.listed
lines = records.lines
decisions = records.decisions
overdue = records.overdue
counts = records.counts
waiting_line = records.waiting_line
waiting_moves = move_records.waiting_moves
waiting_in = move_records.waiting_in
held_name = records.held_name
held = records.held
pass_on = move_records.pass_on
pass_on_rules = move_records.pass_on_rules
rules_at = records.rules_at


def submit(tx: Transaction, order: model.Order, lines: Sequence[model.Line]) -> model.Order:
    """Insert a submitted order, waiting or delivering, and give it its number.  A name held by another waiting order refuses."""
    asked = [(line, name) for line in lines if (name := records.asked_name(order, line))]
    taken = records.held(tx, [name for _, name in asked])
    for line, name in asked:
        if name in taken:
            raise faults.NAME_HELD(kind=line.kind, name=line.name)
    return records.insert(tx, order, lines)


def decide(tx: Transaction, order: model.Order, decision: model.Decision) -> model.Order:
    """Write a person's decision and move the order.  Raises order.decided, order.own (by person, not only by account)."""
    if order.state is not model.State.WAITING_FOR_APPROVAL:
        raise faults.DECIDED(order=order.number, state=str(order.state))
    withdrawn = decision.verdict is model.Verdict.WITHDRAWN
    if not withdrawn and decision.person_id == order.person_id:
        raise faults.OWN(order=order.number)
    state = {
        model.Verdict.APPROVED: model.State.DELIVERING,
        model.Verdict.REFUSED: model.State.REFUSED,
        model.Verdict.WITHDRAWN: model.State.WITHDRAWN,
    }[decision.verdict]
    records.insert_decision(tx, decision, ids.new("dec"))
    records.move(tx, order.id, order.state, state, ended=state is not model.State.DELIVERING)
    return _again(tx, order.id)


def end_overdue(tx: Transaction, order: model.Order) -> bool:
    """End a waiting order whose deadline has passed; False if somebody decided meanwhile."""
    return records.move(tx, order.id, model.State.WAITING_FOR_APPROVAL, model.State.ENDED, ended=True)


def approved_meanwhile(tx: Transaction, order_id: str) -> None:
    """A waiting order whose approval is only known by what came of it: a restore lost the decision itself."""
    records.move(tx, order_id, model.State.WAITING_FOR_APPROVAL, model.State.DELIVERING, ended=False)


def nothing_waits(tx: Transaction, *, resource_id: str) -> None:
    """Raises order.waits while a waiting order holds units for a resource: a second size would take them away from it."""
    found = records.waiting_line(tx, resource_id)
    if found is not None:
        raise faults.WAITS(order=_again(tx, found[0]).number, name=found[1].name)


def settle(tx: Transaction, *, order_id: str, resource_id: str, outcome: model.Outcome, reason: str = "") -> model.Order | None:
    """End the open line of a resource and, with the last one, the order.  A second time does nothing and returns None."""
    if not records.end_line(tx, order_id, resource_id, outcome, reason):
        return None
    state = rules.settled([line.outcome for line in records.lines(tx, [order_id])[order_id]])
    if state is not model.State.DELIVERING:
        records.move(tx, order_id, model.State.DELIVERING, state, ended=True)
    return _again(tx, order_id)


def nothing_speaks_of(tx: Transaction, resource_ids: Sequence[str], *, but: str = "") -> None:
    """Raises order.waits while a waiting order, other than `but`, asks for anything of one of these."""
    found = move_records.waiting_on(tx, resource_ids, but=but)
    if found is not None:
        raise faults.WAITS(order=found[0], name=found[1])


def settle_all(tx: Transaction, *, order_id: str, failed: Sequence[str] = (), reason: str = "") -> model.Order:
    """End all lines of an order at once, and the order: those of the resources in `failed` failed for `reason`."""
    for resource_id in failed:
        records.end_line(tx, order_id, resource_id, model.Outcome.FAILED, reason)
    records.end_open_lines(tx, order_id, model.Outcome.DELIVERED)
    state = rules.settled([line.outcome for line in records.lines(tx, [order_id])[order_id]])
    records.move(tx, order_id, model.State.DELIVERING, state, ended=True)
    return _again(tx, order_id)


def rule(tx: Transaction, name: str) -> model.Rule:
    """The approval rule of a name.  Raises approval_rule.unknown."""
    found = records.rule(tx, name)
    if found is None:
        raise faults.RULE_UNKNOWN(name=name)
    return found


def known_rule(tx: Transaction, name: str) -> model.Rule:
    """The rule of a name, else the one that had it last, so that a repeated retirement is still told.  Raises approval_rule.unknown."""
    found = records.known_rule(tx, name)
    if found is None:
        raise faults.RULE_UNKNOWN(name=name)
    return found


def put_rule(tx: Transaction, new: model.Rule) -> model.Rule:
    """Make a rule, or replace the one of its name (keeping its id)."""
    present = records.rule(tx, new.name)
    records.put_rule(tx, new, exists=present is not None)
    return rule(tx, new.name)


def retire_rule(tx: Transaction, name: str) -> model.Rule:
    """A rule asks no more.  Raises approval_rule.unknown."""
    present = rule(tx, name)
    records.retire_rule(tx, present.id)
    return present


def _again(tx: Transaction, order_id: str) -> model.Order:
    found = records.find(tx, order_id)
    if found is None:
        raise faults.UNKNOWN(order=order_id)
    return found
