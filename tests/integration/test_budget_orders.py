"""Money of orders over a lab cloud, on both databases: encumbered when ordered, refused where it is not there, freed when an order ends."""

import pathlib
from collections.abc import Iterator

import pytest

from control import order, order_view
from orders import model as orders_model
from primitives import clock, errors, money
from quotas import grants
from quotas import model as quotas_model
from quotas.budgets import rules
from store.transaction import Transaction
from tests.integration.office import create
from tests.integration.treasury import DAY, YUAN, Treasury, monthly_of, refused, treasury


@pytest.fixture
def office(database_url: str, tmp_path: pathlib.Path) -> Iterator[Treasury]:
    """A bureau that orders, and its city's finance."""
    with treasury(database_url, tmp_path) as made:
        yield made


def test_an_order_encumbers_its_price_until_the_end_of_the_year(office: Treasury) -> None:
    number = office.order(create("vm-a"), create("vm-b"))
    stands = office.stands()
    year = rules.year(stands.year)
    expected = 2 * rules.cost(monthly_of(office, number) // 2, clock.now(), year.end_at)
    assert 0 <= stands.encumbered_micro - expected < YUAN
    document = office.read(lambda tx: order_view.show(tx, office.requester, number))
    assert sum(money.parse(line["encumbers"]) for line in document["spec"]["lines"]) == pytest.approx(
        stands.encumbered_micro, abs=20_000
    )
    assert office.is_sound()


def test_an_order_whose_money_is_not_there_is_refused_and_holds_nothing(office: Treasury) -> None:
    office.give("0.01", tenant=office.root)
    error = refused(office.order, create("vm-a"))
    assert (error.code, error.fault.kind) == ("budget.exceeded", errors.Kind.QUOTA)
    assert error.values["tenant"] == office.tenant
    (breach,) = error.values["breaches"]
    assert set(breach) == {"tenant", "year", "short_by"}  # the requester holds no role at the city
    assert office.root in error.text("en")
    assert "缺" in error.text("zh")
    assert office.rows() == []
    assert office.stands().encumbered_micro == 0
    assert office.is_sound()


def test_a_refusal_shows_all_numbers_of_the_levels_that_the_caller_sees(office: Treasury) -> None:
    office.give("1.00")
    (breach,) = refused(office.order, create("vm-a")).values["breaches"]
    assert breach["tenant"] == office.tenant
    assert (breach["appropriated"], breach["spent"], breach["encumbered"]) == ("1.00", "0.00", "0.00")
    assert money.parse(breach["short_by"]) == money.parse(breach["asked"]) - YUAN


def test_an_order_that_breaks_quota_and_budget_hears_of_both(office: Treasury) -> None:
    office.give("0.01")

    def less(tx: Transaction) -> None:
        grants.set_grant(tx, tenant_id=office.tenant_id, name="instances", grant=quotas_model.Grant(granted=1))

    office.lane(less)
    error = refused(office.order, create("vm-a"), create("vm-b"))
    assert error.code == "quota.exceeded"
    assert [breach["name"] for breach in error.values["breaches"]] == ["instances"]
    assert [breach["tenant"] for breach in error.values["budget_breaches"]] == [office.tenant]
    assert "instances" in error.text("en")
    assert "yuan" in error.text("en")
    assert refused(office.order, create("vm-a")).code == "budget.exceeded"
    assert office.is_sound()


def test_a_soft_budget_refuses_nothing_and_tells_finance_once(office: Treasury) -> None:
    office.give("0.01", hard=False, thresholds=["100"])
    office.order(create("vm-a"))
    office.order(create("vm-b"))
    assert office.stands().over_micro > 0
    assert office.told() == 1


def test_a_threshold_is_told_again_only_after_it_was_fallen_below(office: Treasury) -> None:
    office.ask_for_approval_of("create")
    office.order(create("vm-a"))
    one = office.stands().encumbered_micro
    office.give(money.text(3 * one), thresholds=["50"])
    second = office.order(create("vm-b"))
    assert office.told() == 1
    office.decide(second, orders_model.Verdict.WITHDRAWN)
    office.order(create("vm-c"))
    assert office.told() == 2


@pytest.mark.parametrize("verdict", [orders_model.Verdict.REFUSED, orders_model.Verdict.WITHDRAWN])
def test_a_waiting_order_holds_its_money_until_it_is_decided(office: Treasury, verdict: orders_model.Verdict) -> None:
    office.ask_for_approval_of("create")
    number = office.order(create("vm-a"))
    assert office.stands().encumbered_micro > 0
    office.decide(number, verdict)
    assert office.stands().encumbered_micro == 0
    assert office.is_sound()


def test_a_deadline_gives_the_money_back(office: Treasury) -> None:
    office.ask_for_approval_of("create")
    office.order(create("vm-a"))
    clock.shift(2 * DAY)
    office.lane(order.end_overdue)
    assert office.stands().encumbered_micro == 0
    assert office.is_sound()
