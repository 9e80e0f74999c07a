"""Money of orders over a lab cloud, on both databases: encumbered, spent, freed; refused where it is not there; over the turn of the year."""

import dataclasses
import datetime
import pathlib
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from control import budget, expense, notice, order, order_view
from metering import books, statements
from metering import service as metering
from orders import model as orders_model
from primitives import clock, errors, interval, money
from quotas import grants
from quotas import model as quotas_model
from quotas.budgets import appropriations, model, proof, rules, service
from store.transaction import Transaction, sql
from tenants import model as tenants_model
from tenants import service as tenants
from tests.integration.lease_world import extension, in_days, leased, tick
from tests.integration.office import Office, change, create
from tests.integration.reconciler_world import lab_cloud

YUAN = 10**6
DAY = datetime.timedelta(days=1)
NEW_YEAR = sql("SELECT count(*) AS count FROM notices WHERE code = 'budget.threshold'")


class Treasury(Office):
    """The bureau with the finance of its city above it."""

    finance: tenants_model.Principal

    def found_finance(self) -> None:
        """A person of the city's finance, bound at the root."""

        def use_case(tx: Transaction) -> None:
            root = tenants.root(tx)
            made = self._person(tx, root, "财务岗", "fin.one", tenants_model.Role.FINANCE)
            binding = tenants_model.Binding(role=tenants_model.Role.FINANCE, tenant_id=root.id)
            self.finance = dataclasses.replace(made, bindings=(binding,))
            self.root_id, self.root = root.id, root.code

        self.lane(use_case)

    def give(
        self, yuan: str, *, tenant: str = "", year: int | None = None, allow_over: bool = False, **more: Any
    ) -> dict[str, Any]:
        """Set a budget, of this year unless said otherwise."""
        spec = budget.Spec(appropriated=yuan, **more)
        of_year = year or rules.year_of(clock.now())
        return self.case(budget.set_budget(tenant or self.tenant, of_year, spec, allow_over=allow_over), self.finance)

    def stands(self, tenant_id: str = "", year: int | None = None) -> model.Standing:
        """How the bureau stands in a year, with a budget or without one."""
        of, at_year = tenant_id or self.tenant_id, year or rules.year_of(clock.now())

        def look(tx: Transaction) -> model.Standing:
            found = appropriations.find(tx, tenant_id=of, year=at_year)
            return found or appropriations.nothing(tx, tenant_id=of, year=at_year)

        stands: model.Standing = self.read(look)
        return stands

    def billed(self) -> int:
        """What all statements of this and the last month come to."""

        def total(tx: Transaction) -> int:
            months = {interval.month_of(tx.now()), interval.month_of(tx.now() - 20 * DAY)}
            return sum(one.total_micro for month in months for one in statements.listed(tx, month))

        amount: int = self.read(total)
        return amount

    def holds(self, holder: str) -> list[model.Hold]:
        """What a resource holds."""
        found: list[model.Hold] = self.read(lambda tx: service.held(tx, holders=[holder]))
        return found

    def settle(self) -> None:
        """The job, as a server runs it."""
        expense.settle(self.database)

    def told(self) -> int:
        """Notices about thresholds."""
        return int(self.read(lambda tx: tx.one(NEW_YEAR))["count"])

    def is_sound(self) -> bool:
        """Units, room and money."""
        assert self.read(proof.check) == []
        return super().is_sound()


@pytest.fixture
def office(database_url: str, tmp_path: pathlib.Path) -> Iterator[Treasury]:
    """A bureau that orders, and its city's finance."""
    with lab_cloud(tmp_path) as lab:
        made = Treasury(database_url, lab)
        made.found_finance()
        yield made
        made.close()
    clock.shift(datetime.timedelta(0))


def refused(call: Callable[..., Any], *arguments: Any) -> errors.GovpoolError:
    """The refusal of a call."""
    with pytest.raises(errors.GovpoolError) as caught:
        call(*arguments)
    return caught.value


def monthly_of(office: Treasury, number: str) -> int:
    """The price a month of an order."""
    found = office.read(lambda tx: tx.one(sql("SELECT monthly_micro FROM orders WHERE number = :number"), number=int(number)))
    return int(found["monthly_micro"])


def at(moment: datetime.datetime) -> None:
    """It is that moment now."""
    clock.shift(clock.offset() + (moment - clock.now()))


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
