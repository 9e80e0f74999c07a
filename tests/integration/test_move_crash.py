"""A move or a merge happens whole or not at all: killed around its commit, asked twice under one key, raced against everything else."""

import concurrent.futures
import pathlib
import random
import time
from collections.abc import Iterator
from typing import Any

import pytest

from control import case, merge, order
from control.settings import Settings
from control.wiring import Wiring
from orders import model
from pools import service as pools
from primitives import errors
from quotas import service as quotas
from quotas.budgets import proof
from store import database as store_database
from store.transaction import Transaction, sql
from tenants import model as tenants_model
from tenants import people, signin
from tenants import service as tenants
from tests.integration import checker, lab_process, processes
from tests.integration.move_world import TwoOffices, going, whole
from tests.integration.office import change
from tests.integration.reconciler_world import lab_cloud

WAITING = sql("SELECT number FROM orders WHERE state = 'waiting_for_approval' ORDER BY number")
TERMS = merge.Terms(tenant="tax", into="health")


class Signed(TwoOffices):
    """Two departments whose people hold tokens, so that a process of its own can act for them."""

    def __init__(self, url: str, lab: lab_process.Lab, create: str = "ticket") -> None:
        super().__init__(url, lab, create)
        self.tokens: dict[str, str] = self.lane(self._sign)

    def _sign(self, tx: Transaction) -> dict[str, str]:
        city, taker = tenants.by_id(tx, self.city), tenants.by_id(tx, self.taker_id)
        self._person(tx, city, "系统管理员", "sys.one", tenants_model.Role.SYSTEM_ADMIN)
        self._person(tx, city, "云平台运维", "ops.city", tenants_model.Role.OPERATOR)
        roles = {
            "sys.one": (tenants_model.Role.SYSTEM_ADMIN, city),
            "ops.city": (tenants_model.Role.OPERATOR, city),
            "health.app": (tenants_model.Role.APPROVER, taker),
        }
        for code, (role, at) in roles.items():
            people.grant(tx, None, people.account(tx, code), role, at)
        return {code: signin.issue(tx, people.account(tx, code)) for code in roles}

    def context(self, account: str, key: str) -> case.Context:
        """A request of somebody."""
        return case.Context(request_id=key, method="POST", path="/", token=self.tokens[account], idempotency_key=key)

    def perform(self, use_case: case.UseCase, account: str, key: str) -> case.Answer:
        """A use case through the front door."""
        return case.perform(Wiring(self.database, Settings(workers=0)), use_case, self.context(account, key))

    def whole(self) -> bool:
        """Whether every number is the sum of what it stands for."""
        assert self.read(quotas.check) == []
        assert self.read(pools.check) == []
        assert self.read(proof.check) == []
        return True


@pytest.fixture
def offices(database_url: str, tmp_path: pathlib.Path) -> Iterator[Signed]:
    """Two departments over a lab cloud."""
    with lab_cloud(tmp_path) as lab:
        made = Signed(database_url, lab)
        yield made
        made.close()


def _approve(url: str, number: str, context: case.Context) -> None:
    opened = store_database.open_database(url)
    case.perform(Wiring(opened, Settings(workers=0)), order.decide(number, model.Verdict.APPROVED, reason="同意"), context)


def _merge(url: str, context: case.Context) -> None:
    opened = store_database.open_database(url)
    case.perform(Wiring(opened, Settings(workers=0)), merge.merge(TERMS), context)


@pytest.mark.parametrize("side", ["before", "after"])
def test_an_approval_that_is_killed_around_its_commit_is_whole_and_the_same_key_goes_on(offices: Signed, side: str) -> None:
    vm = offices.machine("税务申报")
    number = offices.ask(going("税务申报"))["metadata"]["name"]
    offices.share()
    assert processes.Process(
        _approve, offices.url, number, offices.context("health.app", "k1"), kill_at=f"lane.commit.{side}:1"
    ).died()
    offices.close()
    offices.open(owner=True)
    happened = side == "after"
    row = offices.get(vm)
    assert (row.tenant, len(offices.events(vm))) == (("health", 2) if happened else ("tax", 1))
    assert offices.whole()
    done = offices.perform(order.decide(number, model.Verdict.APPROVED, reason="同意"), "health.app", "k1")
    assert (done.replayed, done.body["status"]["state"]) == (happened, "delivered")
    assert (offices.get(vm).tenant, len(offices.events(vm))) == ("health", 2)
    assert offices.whole()


@pytest.mark.parametrize("side", ["before", "after"])
def test_a_merge_that_is_killed_around_its_commit_is_whole_and_the_same_key_goes_on(offices: Signed, side: str) -> None:
    vm = offices.machine("税务申报")
    offices.perform(merge.merge(TERMS), "sys.one", "ask")
    offices.share()
    assert processes.Process(_merge, offices.url, offices.context("ops.city", "agree"), kill_at=f"lane.commit.{side}:1").died()
    offices.close()
    offices.open(owner=True)
    happened = side == "after"
    state = offices.read(lambda tx: tenants.by_code(tx, "tax").state)
    assert (offices.get(vm).tenant, str(state)) == (("health", "closed") if happened else ("tax", "active"))
    assert offices.whole()
    done = offices.perform(merge.merge(TERMS), "ops.city", "agree")
    assert (done.replayed, done.body["state"]) == (happened, "merged")
    assert offices.get(vm).tenant == "health"
    assert offices.whole()


def test_two_merges_of_one_department_happen_once(offices: Signed) -> None:
    offices.machine("税务申报")
    offices.perform(merge.merge(TERMS), "sys.one", "ask")
    with concurrent.futures.ThreadPoolExecutor(4) as several:
        outcomes = list(
            several.map(lambda n: _outcome(lambda: offices.perform(merge.merge(TERMS), "ops.city", f"agree{n}")), range(4))
        )
    assert sorted(outcomes) == ["", "tenant.state", "tenant.state", "tenant.state"]
    assert offices.whole()


@pytest.mark.parametrize("seed", range(3))
def test_moves_race_resizes_deletes_other_moves_and_a_merge_and_nothing_is_lost_or_doubled(offices: Signed, seed: int) -> None:
    chance = random.Random(seed)
    names = ["甲", "乙", "丙", "丁"]
    vms = {name: offices.machine(name) for name in names}

    def act(number: int) -> str:
        name = chance.choice(names)
        if number == 27:
            return _outcome(lambda: offices.perform(merge.merge(TERMS), "ops.city", "agree"))
        if number == 19:
            return _outcome(lambda: offices.ask(whole(), to="health"))
        if number % 3 == 0:
            return _outcome(lambda: offices.ask(going(name)))
        if number % 3 == 1:
            return _outcome(lambda: _decide_any(offices, chance))
        wish = chance.choice(
            [change("resize", vms[name], "small"), change("stop", vms[name]), change("delete", vms[name], purge=True)]
        )
        return _outcome(lambda: offices.order(wish))

    offices.perform(merge.merge(TERMS), "sys.one", "ask")
    with offices.working(), concurrent.futures.ThreadPoolExecutor(6) as several:
        outcomes = list(several.map(act, range(30)))
    assert outcomes.count("") >= 5, outcomes
    offices.work()
    offices.sweep()
    offices.work()
    offices.sweep()
    assert offices.whole()
    assert checker.check(offices.url, offices.lab.file) == []


def _decide_any(offices: Signed, chance: random.Random) -> None:
    verdict = chance.choice([model.Verdict.APPROVED, model.Verdict.APPROVED, model.Verdict.REFUSED])
    waiting = offices.read(lambda tx: tx.execute(WAITING))
    if waiting:
        number = str(chance.choice(waiting)["number"])
        offices.case(order.decide(number, verdict, reason="办理"), offices.taker_approver)


def _outcome(act: Any) -> str:
    """'' if it goes through, else the code of its refusal; what is only busy is tried again for a while."""
    for _ in range(40):
        try:
            act()
        except errors.GovpoolError as error:
            if error.code not in ("resource.busy", "merge.hindered"):
                return error.code
            time.sleep(0.02)
        else:
            return ""
    return "busy"
