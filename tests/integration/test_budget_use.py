"""Money of what runs, on both databases: use becomes expense, sizes and ends change, years turn, jobs die half way, checks find and mend."""

import dataclasses
import datetime
import pathlib
from collections.abc import Iterator

import pytest

from audit import service as audit
from control import budget, expense, notice, order
from metering import books
from metering import service as metering
from orders import model as orders_model
from primitives import clock, money
from quotas.budgets import model, proof, rules, service
from store.transaction import Transaction, sql
from tests.integration.lease_world import extension, in_days, leased, tick
from tests.integration.office import change, create
from tests.integration.treasury import DAY, YUAN, Treasury, at, refused, treasury


@pytest.fixture
def office(database_url: str, tmp_path: pathlib.Path) -> Iterator[Treasury]:
    """A bureau that orders, and its city's finance."""
    with treasury(database_url, tmp_path) as made:
        yield made


def test_metered_use_turns_encumbrance_into_expense_to_the_fen(office: Treasury) -> None:
    machine = office.machine("vm-a")
    office.give("5000.00")
    before = office.stands()
    clock.shift(3 * DAY)
    office.settle()
    after = office.stands()
    assert after.spent_micro > 0
    assert abs(after.spent_micro - office.billed()) <= 20_000  # a second more has passed
    assert abs(after.committed_micro - before.committed_micro) < 50_000
    office.order(change("delete", machine, purge=True))
    office.work()
    clock.shift(4 * DAY)
    office.settle()
    gone = office.stands()
    assert (gone.encumbered_micro, office.holds(machine)) == (0, [])
    assert gone.spent_micro == office.billed()  # the cloud's clock was not shifted: it says that the machine went three days ago
    assert office.is_sound()


def test_use_that_is_not_metered_yet_stays_encumbered_after_a_deletion(office: Treasury) -> None:
    machine = office.machine("vm-a")
    clock.shift(2 * DAY)
    office.order(change("delete", machine, purge=True))
    office.work()
    (held,) = office.holds(machine)
    assert held.open_ended is False
    assert held.end_at - held.start_at >= 2 * DAY - datetime.timedelta(minutes=5)
    assert office.stands().encumbered_micro == held.amount_micro > 0
    clock.shift(clock.offset() + DAY)
    office.settle()
    assert office.stands().encumbered_micro == 0
    assert office.stands().spent_micro == office.billed()
    assert office.is_sound()


def test_settling_twice_is_settling_once(office: Treasury) -> None:
    office.machine("vm-a")
    clock.shift(5 * DAY)
    office.settle()
    first = office.stands()
    office.settle()
    assert office.stands().committed_micro == pytest.approx(first.committed_micro, abs=20_000)
    assert office.is_sound()


def test_only_the_difference_of_a_larger_size_is_asked_for_and_a_smaller_one_passes_always(office: Treasury) -> None:
    machine = office.machine("vm-a", "small")
    small = office.stands().encumbered_micro
    office.give(money.text(small + 50 * YUAN))
    assert refused(office.order, change("resize", machine, "large")).code == "budget.exceeded"
    assert abs(office.stands().encumbered_micro - small) < YUAN
    office.give("0.01", allow_over=True)
    office.order(change("resize", machine, "tiny"))
    held_before = office.stands().encumbered_micro
    office.work()
    assert office.stands().encumbered_micro < held_before
    assert office.stands().over_micro > 0
    assert refused(office.order, create("vm-b")).code == "budget.exceeded"
    assert office.is_sound()


def test_a_refused_larger_size_gives_its_money_back(office: Treasury) -> None:
    machine = office.machine("vm-a", "tiny")
    tiny = office.holds(machine)[-1].monthly_micro
    office.ask_for_approval_of("resize")
    number = office.order(change("resize", machine, "medium"))
    assert office.holds(machine)[-1].monthly_micro > tiny
    office.decide(number, orders_model.Verdict.REFUSED)
    assert office.holds(machine)[-1].monthly_micro == tiny
    assert office.is_sound()


def test_a_lease_encumbers_until_its_end_and_an_extension_asks_for_more(office: Treasury) -> None:
    office.order(dataclasses.replace(create("vm-a"), end_at=in_days(10)))
    office.work()
    (row,) = office.rows()
    (held,) = office.holds(row.id)
    assert (held.open_ended, held.end_at) == (False, row.end_at)
    office.give(money.text(office.stands().encumbered_micro + YUAN))
    assert refused(office.order, extension(row.id, in_days(30))).code == "budget.exceeded"
    office.give("9000.00")
    office.order(extension(row.id, in_days(30)))
    assert office.holds(row.id)[-1].end_at > held.end_at + 19 * DAY
    office.order(extension(row.id, in_days(3)))
    assert office.holds(row.id)[-1].end_at < held.end_at
    assert office.is_sound()


def test_what_is_there_beyond_its_end_is_held_day_by_day(office: Treasury) -> None:
    office.order(dataclasses.replace(create("vm-a"), end_at=in_days(2)))
    office.work()
    (row,) = office.rows()
    clock.shift(3 * DAY)
    office.settle()
    assert office.holds(row.id)[-1].end_at > clock.now()
    assert office.holds(row.id)[-1].end_at <= clock.now() + 2 * DAY
    assert office.is_sound()


def test_running_machines_roll_over_the_turn_of_the_year_and_only_new_orders_are_refused(office: Treasury) -> None:
    machine = office.machine("vm-a")
    this = rules.year_of(clock.now())
    office.give("9000.00", year=this)
    office.give("0.01", year=this + 1)
    at(rules.year(this + 1).start_at + DAY)
    office.settle()
    stands = office.stands(year=this + 1)
    year = rules.year(this + 1)
    assert stands.encumbered_micro > 0
    assert stands.over_micro == stands.committed_micro - 10_000
    shown = office.read(lambda tx: budget.show_budget(tx, office.finance, office.tenant))
    assert money.parse(shown["status"]["uncovered"]) > 0
    last = office.holds(machine)[-1]
    assert (last.end_at, last.open_ended, last.year) == (year.end_at, True, this + 1)
    assert refused(office.order, create("vm-b")).code == "budget.exceeded"
    assert str(office.rows()[0].state) == "running"
    assert office.stands(year=this).encumbered_micro == 0
    assert office.is_sound()


def test_the_first_order_of_a_new_year_finds_what_runs_on_already_held(office: Treasury) -> None:
    machine = office.machine("vm-a")
    this = rules.year_of(clock.now())
    monthly = office.holds(machine)[-1].monthly_micro
    office.give(money.text(rules.cost(monthly, rules.year(this + 1).start_at, rules.year(this + 1).end_at) + YUAN), year=this + 1)
    at(rules.year(this + 1).start_at + DAY)
    assert refused(office.order, create("vm-b")).code == "budget.exceeded"  # no job has run
    office.give("90000.00")
    office.order(create("vm-b"))
    assert office.holds(machine)[-1].year == this + 1
    assert office.is_sound()


def test_what_a_year_left_is_carried_over_once_it_has_ended(office: Treasury) -> None:
    this = rules.year_of(clock.now())
    office.give("1000.00", year=this)
    assert refused(lambda: office.give("500.00", year=this + 1, carry_over="rest")).code == "budget.not_over"
    at(rules.year(this + 1).start_at + DAY)
    given = office.give("500.00", year=this + 1, carry_over="rest")
    assert given["spec"]["carry_over"] == "1000.00"
    assert given["status"]["left"] == "1500.00"


def test_another_price_is_held_from_the_next_settlement_on(office: Treasury) -> None:
    machine = office.machine("vm-a")
    before = office.holds(machine)[-1].monthly_micro
    book = office.read(metering.book_in_force)
    assert book is not None
    spec = books.spec(book)
    for price in spec["prices"]:
        price["price"] = money.price_text(2 * money.parse(price["price"]))
        price["service_class"] = price.pop("class")
    prices = [books.PriceSpec(**price) for price in spec["prices"]]

    def dearer(tx: Transaction) -> None:
        begins = clock.text(tx.now().replace(microsecond=0))
        metering.set_price_book(tx, "dearer", books.BookSpec(valid_from=begins, currency="CNY", prices=prices))

    office.lane(dearer)
    office.give("0.01", allow_over=True)
    clock.shift(DAY)
    office.settle()
    assert office.holds(machine)[-1].monthly_micro == 2 * before
    assert office.is_sound()


def test_what_ran_before_there_were_budgets_is_taken_in_by_the_job(office: Treasury) -> None:
    machine = office.want("vm-old")
    office.work()
    assert office.holds(machine) == []
    office.give("0.01")
    office.settle()
    assert office.holds(machine)[-1].open_ended
    assert office.stands().over_micro > 0
    assert office.is_sound()


def test_use_without_a_price_stays_encumbered_and_stops_nobody_else(office: Treasury) -> None:
    office.machine("vm-a")
    office.lane(lambda tx: tx.execute(sql("UPDATE budget_holds SET monthly_micro = monthly_micro")))
    clock.shift(2 * DAY)

    def unpriced(tx: Transaction) -> None:
        event = metering.latest(tx)[0]
        metering.append(
            tx, [dataclasses.replace(event, id="odd-1", source="odd", subject="odd", kind="QuantumComputer", at=tx.now() - DAY)]
        )

    office.lane(unpriced)
    held = office.stands().encumbered_micro
    office.settle()
    assert office.stands().encumbered_micro == held
    assert office.stands().spent_micro == 0
    assert office.is_sound()


def test_an_order_that_dies_half_way_holds_nothing(office: Treasury) -> None:
    office.give("9000.00")

    def dies(tx: Transaction) -> None:
        wish = model.Wish(holder="vm-dies", monthly_micro=YUAN)
        service.hold_each(tx, tenant_id=office.tenant_id, wishes=[wish])
        raise RuntimeError("killed")

    with pytest.raises(RuntimeError):
        office.lane(dies)
    assert (office.stands().encumbered_micro, office.holds("vm-dies")) == (0, [])


def test_a_settlement_that_dies_between_two_use_cases_is_finished_by_the_next(
    office: Treasury, monkeypatch: pytest.MonkeyPatch
) -> None:
    office.machine("vm-a")
    office.give("9000.00", tenant=office.root)
    clock.shift(2 * DAY)
    monkeypatch.setattr(expense, "TENANTS", 1)
    real, count = service.settle, [0]

    def once(tx: Transaction, part: model.Settlement) -> list[model.Crossing]:
        count[0] += 1
        if count[0] == 2:
            raise RuntimeError("killed")
        return real(tx, part)

    monkeypatch.setattr(service, "settle", once)
    with pytest.raises(RuntimeError):
        office.settle()
    assert office.is_sound()
    monkeypatch.setattr(service, "settle", real)
    office.settle()
    assert office.stands(office.root_id).spent_micro > 0
    assert office.is_sound()


def test_check_finds_a_hand_in_the_database_and_repair_mends_it(office: Treasury) -> None:
    office.machine("vm-a")
    office.give("9000.00")

    def spoil(tx: Transaction) -> None:
        tx.execute(sql("UPDATE budgets SET encumbered_micro = encumbered_micro - 1000"))
        tx.execute(sql("UPDATE budget_holds SET amount_micro = amount_micro + 7"))
        service.hold_each(tx, tenant_id=office.tenant_id, wishes=[model.Wish(holder="vm-leak", monthly_micro=YUAN)])

    office.lane(spoil)
    found = office.read(proof.check)
    assert {one.column for one in found} == {"encumbered_micro", "amount_micro", "held_without_units"}
    assert office.lane(proof.repair) == found
    assert office.is_sound()


def test_a_rehearsed_order_shows_the_budget_after_it(office: Treasury) -> None:
    office.give("9000.00")
    wish = order.OrderWish(tenant=office.tenant, project=office.project, lines=[create("vm-a")], dry_run=True)
    (after,) = office.case(order.submit(wish, bin_days=7), office.requester)["status"]["budget_after"]
    assert after["tenant"] == office.tenant
    assert money.parse(after["left"]) + money.parse(after["encumbered"]) == pytest.approx(9000 * YUAN, abs=20_000)
    assert money.parse(after["encumbered"]) > 0


def test_finance_is_told_in_both_languages(office: Treasury) -> None:
    office.give("0.01", hard=False, thresholds=["100", "actual:50", "forecast:100"])
    office.machine("vm-a")
    clock.shift(DAY)
    office.settle()
    texts = [row["text"] for row in office.read(lambda tx: notice.inbox(tx, office.finance, lang="zh"))]
    assert len([text for text in texts if "预算" in text]) == 3


def test_an_extension_asked_for_after_the_end_asks_for_money_too(office: Treasury) -> None:
    """What was held ended with the lease; before the job looks again, nothing is held, and an extension must not pass by the budget."""
    machine = leased(office, "vm-a", 2)
    clock.shift(2 * DAY + datetime.timedelta(minutes=2))
    tick(office)
    office.work()
    office.give("1.00", allow_over=True)
    assert refused(office.order, extension(machine, in_days(30))).code == "budget.exceeded"
    office.give("9000.00")
    office.ask_for_approval_of("extend")
    number = office.order(extension(machine, in_days(30)))
    assert office.holds(machine)[-1].end_at > clock.now() + 29 * DAY
    office.decide(number, orders_model.Verdict.REFUSED)
    assert office.holds(machine)[-1].end_at <= clock.now()
    office.settle()
    number = office.order(extension(machine, in_days(30)))
    office.decide(number, orders_model.Verdict.APPROVED)
    office.work()
    assert office.holds(machine)[-1].end_at == office.rows()[0].end_at
    assert office.is_sound()


def test_what_the_clock_does_to_money_stands_in_the_trail(office: Treasury) -> None:
    """The turn of the year, and what is taken in; each line once."""
    office.want("vm-old")
    office.machine("vm-a")
    office.work()
    at(rules.year(rules.year_of(clock.now()) + 1).start_at + DAY)
    office.settle()
    office.settle()
    told = [line.content.decode() for line in office.read(lambda tx: list(audit.records(tx)))]
    for action in ("budget.begin_year", "budget.take_in"):
        assert sum(f'"{action}"' in line for line in told) == 1, action
