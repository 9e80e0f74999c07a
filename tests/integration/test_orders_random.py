"""Orders, decisions, deadlines and whatever a cloud answers, in random order: after every step each unit and each room is held by somebody
who has a right to it, and at the end nothing is held and every order has ended.
"""

import dataclasses
import datetime
import functools
import pathlib
import random
from collections.abc import Callable, Iterator

import pytest

from control import order
from control.reconciler import ending
from orders import model as orders_model
from orders import rules as orders_rules
from orders import service as orders
from pools import service as pools
from primitives import clock, errors
from provisioners import changes, contract, model, rules
from provisioners import service as provisioners
from provisioners.model import Desired, State
from quotas import service as quotas
from quotas.budgets import appropriations, proof
from quotas.budgets import model as budgets_model
from quotas.budgets import service as budgets
from store.transaction import Transaction
from tests.integration.city import SHANGHAI, hours_left
from tests.integration.lease_world import in_days, tick
from tests.integration.office import Office, change, create
from tests.integration.reconciler_world import lab_cloud

REASON = model.Reason(code="cloud.no_host", en="no host has room", zh="没有主机可容纳")
SIZES = ["tiny", "small", "medium", "large"]
STEPS = 250


@pytest.fixture
def office(database_url: str, tmp_path: pathlib.Path) -> Iterator[Office]:
    """A bureau that orders; what its cloud answers is drawn by the test."""
    with lab_cloud(tmp_path) as lab:
        made = Office(database_url, lab)
        yield made
        made.close()
    clock.shift(datetime.timedelta(0))


class Story:
    """One random course of events."""

    def __init__(self, office: Office, seed: int) -> None:
        self.office = office
        self.random = random.Random(seed)
        self.numbers = 0
        self.office.lane(self.gives_money)

    def gives_money(self, tx: Transaction) -> None:
        """For this year and the next, and not enough for all that is asked for."""
        this = (tx.now() + SHANGHAI).year
        for year, hours in ((this, int(hours_left(tx.now())) + 1), (this + 1, 8760)):
            budget = budgets_model.Budget(appropriated_micro=hours * 2_000_000)
            appropriations.set_budget(tx, tenant_id=self.office.tenant_id, year=year, budget=budget)

    def step(self) -> None:
        """Something happens; what is refused leaves everything as it was."""
        happens = self.random.choices(
            [self.orders_new, self.orders_change, self.decides, self.cloud_answers, self.changes_rule, self.waits, self.writes_off],
            [10, 25, 12, 45, 3, 2, 1],
        )[0]
        try:
            happens()
        except errors.GovpoolError as refused:
            if refused.code in ("quota.not_held", "pool.not_held"):
                raise

    def orders_new(self) -> None:
        self.numbers += 1
        wish = create(f"机-{self.numbers}", self.random.choice(SIZES), self.random.randint(1, 2))
        self.office.order(dataclasses.replace(wish, end_at=self.random.choice(["", "none", in_days(2), in_days(9)])))

    def orders_change(self) -> None:
        if living := [row for row in self.office.rows() if not row.ended]:
            lines = []
            for row in self.random.sample(living, min(len(living), self.random.choice([1, 1, 2]))):
                action = self.random.choice(
                    ["resize", "resize", "resize", "stop", "start", "restart", "delete", "undelete", "extend"]
                )
                size = self.random.choice(SIZES) if action == "resize" else ""
                until = self.random.choice([in_days(1.5), in_days(40), "none"]) if action == "extend" else ""
                wish = change(action, row.id, size, purge=self.random.random() < 0.3)
                lines.append(dataclasses.replace(wish, end_at=until))
            self.office.order(*lines)

    def decides(self) -> None:
        if waiting := self.orders(orders_model.State.WAITING_FOR_APPROVAL):
            verdicts = [orders_model.Verdict.APPROVED] * 3 + [orders_model.Verdict.REFUSED, orders_model.Verdict.WITHDRAWN]
            self.office.decide(str(self.random.choice(waiting).number), self.random.choice(verdicts))

    def changes_rule(self) -> None:
        self.office.ask_for_approval_of(*self.random.choice([["resize"], ["create", "resize"], ["scale"], ["resize", "extend"]]))

    def waits(self) -> None:
        clock.shift(clock.offset() + datetime.timedelta(hours=self.random.choice([1, 25, 24 * 8])))
        self.office.lane(order.end_overdue)
        tick(self.office)

    def writes_off(self) -> None:
        if living := [row for row in self.office.rows() if not row.ended]:
            self.office.lane(lambda tx: ending.written_off(tx, provisioners.get(tx, self.random.choice(living).id)))

    def cloud_answers(self) -> None:
        if living := [row for row in self.office.rows() if not row.ended]:
            chosen = self.random.choice(living).id
            self.office.lane(lambda tx: self.answered(tx, provisioners.get(tx, chosen)))

    def answered(self, tx: Transaction, row: model.Resource, *, well: bool = False) -> None:
        """What the reconciler makes of the answer that was drawn (`well`: of the one that was hoped for)."""
        good = well or self.random.random() < 0.7
        facts = contract.Facts(state=row.power, cloud_id=f"guest-{row.id}", created_at=clock.text(tx.now()))
        if row.desired is Desired.DOWN:
            ending.gone(tx, row)
        elif not row.built:
            if good:
                ending.delivered(tx, provisioners.store_facts(tx, row, facts))
            else:
                provisioners.store(tx, row, changes.refused(row, REASON, tx.now()))
        elif row.desired is Desired.BIN and row.bin_until_at is not None and row.bin_until_at <= tx.now():
            provisioners.store(tx, row, changes.expired(row, tx.now()))
        elif row.state is State.LOST:
            ending.found_again(tx, row, facts)
        elif not row.pending or (not well and self.random.random() < 0.05):
            if not well and self.random.random() < 0.1:
                ending.lost(tx, row)
        elif good or not rules.cloud_action(row):
            ending.delivered(tx, provisioners.store_facts(tx, row, facts))
        else:
            ending.given_up(tx, row, REASON)

    def does_well(self, tx: Transaction, resource_id: str) -> None:
        """The cloud does what is asked."""
        self.answered(tx, provisioners.get(tx, resource_id), well=True)

    def orders(self, state: orders_model.State) -> list[orders_model.Order]:
        """All orders in a state."""
        found: list[orders_model.Order] = self.office.read(
            lambda tx: orders.listed(tx, tenant_ids=None, state=str(state), before=None, limit=1000)
        )
        return found

    def check(self) -> None:
        """Every number is the sum of what holders hold, and each holds what it is, becomes, or waits to become: the most of these."""
        office = self.office
        assert office.read(quotas.check) == []
        assert office.read(pools.check) == []
        assert office.read(proof.check) == []
        expected = {}
        for row in office.rows():
            sizes = [row.amounts["cpu_milli"], *([row.before.amounts["cpu_milli"]] if row.pending and row.before else [])]
            expected[row.id] = 0 if row.ended else max(sizes)
        waiting = self.orders(orders_model.State.WAITING_FOR_APPROVAL)
        for lines in office.read(lambda tx: orders.lines(tx, [one.id for one in waiting])).values():
            for line in lines:
                ended = any(row.id == line.resource_id and row.ended for row in office.rows())
                if line.action in ("create", "resize") and not ended:
                    expected[line.resource_id] = max(expected.get(line.resource_id, 0), line.spec["amounts"]["cpu_milli"])
        assert {holder: office.held(holder) for holder in expected} == {holder: (n, n) for holder, n in expected.items()}
        assert office.drawn("cpu_milli") == sum(expected.values())
        assert self.paid_for() <= {holder for holder, amount in expected.items() if amount}

    def paid_for(self) -> set[str]:
        """Whose money is held for a time to come."""
        return {one.holder for one in self.office.read(budgets.all_held) if one.end_at > clock.now()}

    def end(self) -> None:
        """Everybody gives up: waiting orders are withdrawn, everything is deleted, and the cloud does all that is asked of it."""
        for one in self.orders(orders_model.State.WAITING_FOR_APPROVAL):
            self.office.decide(str(one.number), orders_model.Verdict.WITHDRAWN)
        for _ in range(3):
            for row in self.office.rows():
                if not row.ended and row.desired is not Desired.DOWN and not row.pending:
                    self.office.order(change("delete", row.id, purge=True))
            for row in self.office.rows():
                if not row.ended:
                    self.office.lane(functools.partial(self.does_well, resource_id=row.id))


@pytest.mark.parametrize("seed", range(4))
def test_whatever_overtakes_whatever_nothing_is_held_by_nobody_and_every_order_ends(office: Office, seed: int) -> None:
    story = Story(office, seed)
    steps: list[Callable[[], None]] = [story.step] * STEPS
    for happens in steps:
        happens()
        story.check()
    story.end()
    story.check()
    assert office.drawn("cpu_milli") == 0 and story.paid_for() == set()
    states = {one.state for one in office.read(lambda tx: orders.listed(tx, tenant_ids=None, state="", before=None, limit=1000))}
    assert states <= orders_rules.ENDED
    outcomes = office.read(lambda tx: orders.lines(tx, [one.id for one in story.orders(orders_model.State.DELIVERED)]))
    assert all(line.outcome is orders_model.Outcome.DELIVERED for lines in outcomes.values() for line in lines)
