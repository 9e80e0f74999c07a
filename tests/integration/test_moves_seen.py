"""What both sides see and pay of a move: statements, money, and who may look; on both databases and over a real lab cloud."""

import datetime
import pathlib
from collections.abc import Iterator
from typing import Any

import pytest

from control import order, order_view, resource
from metering import statements
from orders import model
from primitives import clock, errors, interval
from quotas.budgets import proof
from tenants import model as tenants_model
from tenants import service as tenants
from tests.integration.move_world import TwoOffices, going
from tests.integration.office import create
from tests.integration.reconciler_world import lab_cloud

TINY = 1000


@pytest.fixture
def offices(database_url: str, tmp_path: pathlib.Path) -> Iterator[TwoOffices]:
    """Two departments over a lab cloud."""
    with lab_cloud(tmp_path) as lab:
        made = TwoOffices(database_url, lab)
        yield made
        made.close()


def refused(code: str) -> Any:
    """The context of a refusal with a code."""
    return pytest.raises(errors.GovpoolError, check=lambda error: error.code == code)


def test_the_statement_of_the_month_shows_both_parts_and_together_they_are_the_whole(offices: TwoOffices) -> None:
    now = clock.now()
    ahead = (now.replace(day=1) + datetime.timedelta(days=40)).replace(day=10) - now  # the 10th of the month to come
    try:
        clock.shift(ahead)
        vm = offices.machine("税务申报")
        clock.shift(ahead + datetime.timedelta(hours=10))
        offices.moved("税务申报")
        clock.shift(ahead + datetime.timedelta(hours=30))
        month = interval.month_of(clock.now())
        shown = {code: offices.look(statements.show, offices.look(tenants.by_code, code), month) for code in ("tax", "health")}
        used = {code: sum(one.unit_seconds for one in each.lines if one.sku.endswith("cpu-milli")) for code, each in shown.items()}
        _, moved = (event.at.replace(microsecond=0) for event in offices.events(vm))
        began, second = interval.month(month).start_at, datetime.timedelta(seconds=1)  # the lab cloud's own clock is not shifted
        assert used["tax"] == TINY * ((moved - began) // second)
        assert used["tax"] + used["health"] == TINY * ((shown["health"].until - began) // second)
        assert shown["tax"].statement.total_micro > 0
    finally:
        clock.shift(datetime.timedelta(0))


def test_each_side_pays_its_part_to_the_second(offices: TwoOffices) -> None:
    vm = offices.machine("税务申报")
    offices.moved("税务申报")
    first, second = offices.events(vm)
    assert (first.tenant, first.project) == ("tax", "one-window")
    assert (second.tenant, second.project) == ("health", "hospital")
    assert (first.state, first.amounts, first.dimensions) == (second.state, second.amounts, second.dimensions)
    assert second.at > first.at


def test_nobody_of_the_giver_sees_it_afterwards_and_the_taker_does(offices: TwoOffices) -> None:
    vm = offices.machine("税务申报")
    offices.moved("税务申报")
    with refused("resource.unknown"):
        offices.read(lambda tx: resource.show(tx, offices.requester, vm))
    assert offices.read(lambda tx: resource.list_resources(tx, offices.requester, resource.Query())) == []
    shown = offices.read(lambda tx: resource.show(tx, offices.taker_requester, vm))
    assert shown["metadata"]["project"] == "hospital"
    assert "home" not in shown["status"], "whose it was is no business of the taker's people"
    operator = offices.person(offices.operator, (tenants_model.Role.OPERATOR, offices.city))
    assert offices.read(lambda tx: resource.show(tx, operator, vm))["status"]["home"] == "tax/one-window"


def test_both_sides_see_the_order_and_nobody_else(offices: TwoOffices) -> None:
    offices.machine("税务申报")
    number = offices.ask(going("税务申报"))["metadata"]["name"]
    for who in (offices.requester, offices.taker_approver, offices.taker_requester):
        assert offices.look(order_view.show, who, number)["spec"]["to"] == "health/hospital"
        assert number in [one["metadata"]["name"] for one in offices.look(order_view.list_orders, who)]


def test_money_is_kept_free_at_the_taker_counted_once_above_and_follows_on_approval(offices: TwoOffices) -> None:
    offices.machine("税务申报")
    needed = offices.encumbered(offices.tenant_id)
    offices.budget(offices.city, needed)
    offices.budget(offices.taker_id, needed)
    asked = offices.ask(going("税务申报"))
    assert [offices.encumbered(each) for each in (offices.tenant_id, offices.taker_id, offices.city)] == [needed, 0, needed]
    offices.budget(offices.city, 10 * needed)
    with refused("budget.exceeded"):
        _order_at_taker(offices, create("抢先一步"))
    offices.agree(asked)
    assert offices.encumbered(offices.taker_id) <= needed
    assert offices.encumbered(offices.tenant_id) < needed // 100, "use until the move is the giver's expense"
    assert offices.read(proof.check) == []


def test_a_taker_without_the_money_hears_so_before_anything_waits(offices: TwoOffices) -> None:
    offices.machine("税务申报")
    offices.budget(offices.taker_id, offices.encumbered(offices.tenant_id) // 2)
    with refused("budget.exceeded"):
        offices.ask(going("税务申报"))


def test_money_kept_free_for_a_move_that_is_refused_is_there_again(offices: TwoOffices) -> None:
    offices.machine("税务申报")
    offices.budget(offices.taker_id, offices.encumbered(offices.tenant_id))
    asked = offices.ask(going("税务申报"))
    offices.agree(asked, model.Verdict.REFUSED)
    _order_at_taker(offices, create("新机"))


def _order_at_taker(offices: TwoOffices, *lines: Any) -> None:
    wish = order.OrderWish(tenant="health", project="hospital", lines=lines)
    offices.case(order.submit(wish, bin_days=7), offices.taker_requester)
