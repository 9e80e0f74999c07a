"""Which orders wait for a person, and what an order is when its lines have ended."""

import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orders import model, rules

RULE = model.Rule(
    id="rule-1",
    name="dear",
    tenant_id="t",
    actions=(),
    kinds=(),
    service_classes=(),
    monthly_over_micro=None,
    amounts_over={},
    deadline_h=24,
    generation=1,
)
WEIGHT = model.Weight(
    actions=frozenset({"create"}),
    kinds=frozenset({"VirtualMachine"}),
    service_classes=frozenset({"standard"}),
    monthly_micro=500_000_000,
    amounts={"cpu_milli": 8000},
)


@pytest.mark.parametrize(
    ("bounds", "asks"),
    [
        ({}, True),
        ({"monthly_over_micro": 499_999_999}, True),
        ({"monthly_over_micro": 500_000_000}, False),
        ({"amounts_over": {"cpu_milli": 7999}}, True),
        ({"amounts_over": {"cpu_milli": 8000}}, False),
        ({"amounts_over": {"gpus": 0}}, False),
        ({"service_classes": ("gpu",)}, False),
        ({"service_classes": ("standard",)}, True),
        ({"monthly_over_micro": 10**12, "amounts_over": {"cpu_milli": 0}}, True),
        ({"kinds": ("Volume",)}, False),
        ({"actions": ("resize",)}, False),
    ],
)
def test_a_rule_asks_when_any_bound_is_passed(bounds: dict[str, object], asks: bool) -> None:
    assert rules.demands(dataclasses.replace(RULE, **bounds), WEIGHT) is asks  # type: ignore[arg-type]


@given(st.sets(st.sampled_from(sorted(rules.FREE_OF_APPROVAL))))
def test_start_stop_and_delete_never_need_an_approval(actions: set[str]) -> None:
    assert not rules.demands(RULE, dataclasses.replace(WEIGHT, actions=frozenset(actions)))


@given(st.lists(st.sampled_from(list(model.Outcome)), min_size=1))
def test_an_order_ends_with_its_last_line(outcomes: list[model.Outcome]) -> None:
    state = rules.settled(outcomes)
    assert (state is model.State.DELIVERING) == (model.Outcome.OPEN in outcomes)
    if state is not model.State.DELIVERING:
        good = outcomes.count(model.Outcome.DELIVERED)
        expected = {len(outcomes): model.State.DELIVERED, 0: model.State.FAILED}.get(good, model.State.PARTLY_DELIVERED)
        assert state is expected
