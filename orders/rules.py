"""Which orders need an approval, and what an order becomes when its lines end.  Pure."""

from collections.abc import Iterable, Sequence
from typing import Final

from orders import model

FREE_OF_APPROVAL: Final = frozenset({"start", "stop", "restart", "update", "delete", "undelete"})
"""Actions that add nothing: they never need an approval."""

ENDED: Final = frozenset(
    {
        model.State.DELIVERED,
        model.State.PARTLY_DELIVERED,
        model.State.FAILED,
        model.State.REFUSED,
        model.State.WITHDRAWN,
        model.State.ENDED,
    }
)


def demands(rule: model.Rule, weight: model.Weight) -> bool:
    """Whether `rule` asks for an approval of an order of this weight.  A rule without any bound asks for every order it covers."""
    actions = weight.actions - FREE_OF_APPROVAL
    if not actions or (rule.actions and not actions & set(rule.actions)):
        return False
    if rule.kinds and not weight.kinds & set(rule.kinds):
        return False
    bounds = [
        *([weight.monthly_micro > rule.monthly_over_micro] if rule.monthly_over_micro is not None else []),
        *(weight.amounts.get(name, 0) > most for name, most in rule.amounts_over.items()),
        *([bool(weight.service_classes & set(rule.service_classes))] if rule.service_classes else []),
    ]
    return any(bounds) if bounds else True


def demanding(rules: Iterable[model.Rule], weight: model.Weight) -> list[model.Rule]:
    """The rules that ask for an approval, by name."""
    return sorted((rule for rule in rules if demands(rule, weight)), key=lambda rule: rule.name)


def settled(outcomes: Sequence[model.Outcome]) -> model.State:
    """What an order is when its lines stand so: delivering until the last has ended."""
    if model.Outcome.OPEN in outcomes:
        return model.State.DELIVERING
    if model.Outcome.FAILED not in outcomes:
        return model.State.DELIVERED
    return model.State.PARTLY_DELIVERED if model.Outcome.DELIVERED in outcomes else model.State.FAILED
