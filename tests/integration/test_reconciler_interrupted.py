"""The reconciler through a database that fails it for a moment: what it held is carried on by the next holder, never kept for ever."""

import datetime
import pathlib
import threading
from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from control.reconciler import call, conclusion, limits
from control.reconciler import job as jobs
from primitives import clock
from provisioners import contract
from provisioners.model import State
from provisioners.rules import Step
from store import faults, installation
from store.transaction import Transaction
from tests.integration import lab_process
from tests.integration.reconciler_world import SMALL, World, lab_cloud, wait


@pytest.fixture
def lab(tmp_path: pathlib.Path) -> Iterator[lab_process.Lab]:
    """A fresh lab cloud."""
    with lab_cloud(tmp_path) as running:
        yield running


@pytest.fixture
def world(database_url: str, lab: lab_process.Lab) -> Iterator[World]:
    """A department with a pool over it."""
    made = World(database_url, lab)
    yield made
    made.close()


def test_a_step_whose_commit_failed_is_taken_up_again_by_the_same_process(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    conclude = conclusion.conclude
    failed: list[int] = []

    def interrupted(tx: Transaction, *given: Any, **more: Any) -> Any:
        if not failed:
            failed.append(1)
            raise faults.REPEAT()
        return conclude(tx, *given, **more)

    monkeypatch.setattr(conclusion, "conclude", interrupted)
    resource_id = world.want("档案-01")
    with world.working():
        wait(lambda: world.get(resource_id).state is State.RUNNING, 20)
    assert len(world.lab.guests(resource_id)) == 1


def test_rows_that_were_leased_by_a_commit_of_unknown_outcome_are_leased_again(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = world.database.lane.run
    lost: list[Any] = []

    def unknown(use_case: Any, on_refusal: Any = None) -> Any:
        done = run(use_case, on_refusal)
        if not lost and isinstance(done, list) and done:
            lost.append(done)
            raise faults.REPEAT()
        return done

    resource_id = world.want("档案-02")
    monkeypatch.setattr(world.database.lane, "run", unknown)
    with world.working():
        wait(lambda: world.get(resource_id).state is State.RUNNING, 20)
    assert lost


def test_nothing_expires_between_a_restore_and_its_acceptance(world: World) -> None:
    resource_id = world.want("档案-03")
    world.lane(installation.raise_epoch)
    clock.shift(datetime.timedelta(days=30))
    try:
        world.sweeper.sweep_all()
        assert world.get(resource_id).state is State.CREATING
        world.lane(installation.accept)
        world.sweeper.sweep_all()
        assert world.get(resource_id).state is State.RELEASING
    finally:
        clock.shift(datetime.timedelta(0))


def test_an_attempt_whose_opening_was_never_heard_of_is_settled_by_tag_too(
    database_url: str, lab: lab_process.Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = World(database_url, lab, create="tag")
    run = world.database.lane.run
    lost: list[Any] = []

    def unknown(use_case: Any, on_refusal: Any = None) -> Any:
        done = run(use_case, on_refusal)
        if not lost and isinstance(done, jobs.Job) and done.step is Step.ADVANCE:
            lost.append(done)
            raise faults.REPEAT()
        return done

    monkeypatch.setattr(world.database.lane, "run", unknown)
    resource_id = world.want("档案-04")
    with world.working():
        wait(lambda: world.get(resource_id).state is State.RUNNING, 40)
    assert lost
    assert len(world.lab.guests(resource_id)) == 1
    world.close()


def test_a_native_limit_whose_answer_was_lost_is_lowered_all_the_same_once_nothing_needs_it(world: World) -> None:
    """The resource is deleted before anybody tries again: what was last heard of the cloud fits, what the cloud holds does not."""
    resource_id = world.want("档案-02")
    (cloud,) = world.sweeper._clouds.all()
    world.lab.script({"do": "lose", "on": ["limits.set"]})
    assert not isinstance(limits.Limits(world.wiring).cover(cloud, world.tenant_id), call.Limited)
    assert world.lab.limits(world.installation, world.tenant)["cpu_milli"] == SMALL["cpu_milli"]
    world.lab.script()
    world.delete(resource_id)
    world.work()
    world.sweep()
    assert world.lab.limits(world.installation, world.tenant) == {}


def test_of_two_processes_that_set_a_native_limit_at_once_neither_believes_itself_the_last(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The one that reckoned with less reaches the cloud last and is written down first."""
    world.want("档案-03")
    (cloud,) = world.sweeper._clouds.all()
    set_limits, more_is_set, less_is_written = cloud.driver.set_limits, threading.Event(), threading.Event()
    other = threading.Thread(target=lambda: limits.Limits(world.wiring).cover(cloud, world.tenant_id))

    def crossing(tenant: contract.Tenant, needed: Mapping[str, int]) -> None:
        if needed["instances"] == 1:
            world.want("档案-04")
            other.start()
            more_is_set.wait()
        set_limits(tenant, needed)
        if needed["instances"] == 2:
            more_is_set.set()
            less_is_written.wait()

    with monkeypatch.context() as patch:
        patch.setattr(cloud.driver, "set_limits", crossing)
        limits.Limits(world.wiring).cover(cloud, world.tenant_id)
        less_is_written.set()
        other.join()
    world.sweep()
    assert world.lab.limits(world.installation, world.tenant)["instances"] == 2
