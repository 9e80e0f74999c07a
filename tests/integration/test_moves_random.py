"""Random weeks of two departments: orders, deletions, moves there and back, approvals, refusals; whatever the order, nothing is held by nobody."""

import pathlib
from collections.abc import Iterator
from typing import Any

import hypothesis
import pytest
from hypothesis import strategies as st

from control import order
from orders import model
from pools import service as pools
from primitives import errors
from quotas import service as quotas
from quotas.budgets import proof
from store.transaction import sql
from tests.integration import checker
from tests.integration.move_world import TwoOffices, going
from tests.integration.office import change, create
from tests.integration.reconciler_world import lab_cloud

WAITING = sql("SELECT number, taker_id FROM orders WHERE state = 'waiting_for_approval' ORDER BY number")
QUICK = hypothesis.settings(max_examples=4, deadline=None, suppress_health_check=list(hypothesis.HealthCheck))
step = st.tuples(
    st.sampled_from(
        ["create", "resize", "stop", "delete", "ask", "ask", "ask back", "approve", "approve", "refuse", "work", "work"]
    ),
    st.integers(0, 9),
)


@pytest.fixture
def offices(database_url: str, tmp_path: pathlib.Path) -> Iterator[TwoOffices]:
    """Two departments over a lab cloud."""
    with lab_cloud(tmp_path) as lab:
        made = TwoOffices(database_url, lab)
        yield made
        made.close()


def act(offices: TwoOffices, verb: str, pick: int, number: int) -> None:
    """One step of the week, by whoever may do it; raises what is refused."""
    living = [row for row in offices.rows() if not row.ended]
    waiting: list[dict[str, Any]] = offices.read(lambda tx: tx.execute(WAITING))
    if verb == "create":
        offices.order(create(f"机器-{number}"))
    elif verb == "work":
        offices.work()
    elif verb in ("approve", "refuse") and waiting:
        chosen = waiting[pick % len(waiting)]
        verdict = model.Verdict.APPROVED if verb == "approve" else model.Verdict.REFUSED
        who = offices.taker_approver if chosen["taker_id"] == offices.taker_id else offices.approver
        offices.case(order.decide(str(chosen["number"]), verdict, reason="办理"), who)
    elif living and verb not in ("approve", "refuse"):
        row = living[pick % len(living)]
        ours = row.tenant_id == offices.tenant_id
        who = offices.requester if ours else offices.taker_requester
        lines = [going(row.id)] if verb.startswith("ask") else [change(verb, row.id, "small" if verb == "resize" else "")]
        to = {"ask": "health/hospital", "ask back": "tax/one-window"}.get(verb, "")
        wish = order.OrderWish(tenant=row.tenant, project=row.project, lines=lines, to=to)
        offices.case(order.submit(wish, bin_days=7), who)


@QUICK
@hypothesis.given(steps=st.lists(step, min_size=10, max_size=25))
def test_after_any_week_every_unit_yuan_and_room_is_held_by_what_lives(offices: TwoOffices, steps: list[tuple[str, int]]) -> None:
    for number, (verb, pick) in enumerate([("create", 0), ("work", 0), *steps]):
        try:
            act(offices, verb, pick, number)
        except errors.GovpoolError as refused:
            hypothesis.event(refused.code)
        assert offices.read(quotas.check) == []
    offices.work()
    for each in offices.read(lambda tx: tx.execute(WAITING)):
        asker = offices.requester if each["taker_id"] == offices.taker_id else offices.taker_requester
        offices.case(order.decide(str(each["number"]), model.Verdict.WITHDRAWN, reason="撤回"), asker)
    offices.sweep()
    offices.work()
    offices.sweep()
    assert offices.read(pools.check) == []
    assert offices.read(proof.check) == []
    assert offices.read(lambda tx: tx.execute(sql("SELECT * FROM quota_incoming"))) == []
    assert checker.check(offices.url, offices.lab.file) == []
