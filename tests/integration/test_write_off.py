"""What two persons gave up stays given up, whatever its cloud still answers; what shows up again is for a person."""

import pathlib
from collections.abc import Iterator
from typing import Any

import pytest

from control.reconciler import call, ending
from control.reconciler import job as jobs
from provisioners import service as provisioners
from provisioners.model import State
from provisioners.rules import Step
from tests.integration import lab_process
from tests.integration.reconciler_world import SMALL, World, lab_cloud


@pytest.fixture
def lab(tmp_path: pathlib.Path) -> Iterator[lab_process.Lab]:
    """A fresh lab cloud."""
    with lab_cloud(tmp_path) as running:
        yield running


@pytest.fixture
def world(database_url: str, lab: lab_process.Lab) -> Iterator[World]:
    """A department with a pool."""
    made = World(database_url, lab)
    yield made
    made.close()


def written_off_during(world: World, step: Step, resource_id: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two persons give the resource up while a call of this step is under way."""
    make = call.make

    def made(job: jobs.Job) -> Any:
        answer = make(job)
        if job.step is step and not world.get(resource_id).ended:
            world.lane(lambda tx: ending.written_off(tx, provisioners.get(tx, resource_id)))
        return answer

    monkeypatch.setattr(call, "make", made)


@pytest.mark.parametrize("step", [Step.REMOVE, Step.ACT, Step.LOOK])
@pytest.mark.parametrize("refused", [False, True])
def test_an_answer_that_comes_after_the_write_off_changes_nothing(
    world: World, step: Step, refused: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine = world.want("办税-31")
    world.work()
    written_off_during(world, step, machine, monkeypatch)
    if refused:
        world.lab.script({"do": "refuse", "on": ["guest.act", "guest.delete"], "reason": "forbidden"})
    if step is Step.LOOK:
        world.lab.call("DELETE", f"/lab/guests/{world.get(machine).facts.cloud_id}")
        world.sweep()
    elif step is Step.ACT:
        world.change(machine, "resize", amounts=SMALL | {"cpu_milli": 4000})
    else:
        world.delete(machine)
    world.work(lambda: world.get(machine).ended and not world.get(machine).leased_by)
    assert (world.get(machine).state, world.drawn("cpu_milli")) == (State.WRITTEN_OFF, 0)
    assert [state for state, _ in world.usage(machine)] == ["running", "deleted"]
    assert world.read(lambda tx: provisioners.open_attempt_of(tx, machine)) is None


def test_what_was_written_off_with_a_call_open_is_quarantined_when_its_cloud_is_back(world: World) -> None:
    machine = world.want("办税-32")
    world.work()
    world.lab.script({"do": "drop", "on": ["guest.act"]})
    world.change(machine, "stop")
    world.work(lambda: world.read(lambda tx: provisioners.open_attempt_of(tx, machine)) is not None)
    world.lane(lambda tx: ending.written_off(tx, provisioners.get(tx, machine)))
    world.lab.script()
    assert world.sweep().quarantined == 2  # the guest and its ticket
