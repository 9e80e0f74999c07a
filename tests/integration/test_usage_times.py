"""Use is metered at the cloud's own second, however late govpool hears of it."""

import datetime
import pathlib
import time
from collections.abc import Callable, Iterator

import pytest

from metering.records import usage
from primitives import clock
from provisioners.model import State
from tests.integration import lab_process
from tests.integration.reconciler_world import SMALL, World, lab_cloud, wait


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


def metered(world: World, resource_id: str) -> list[tuple[str, str]]:
    """State and time of each usage event, in their order."""
    events = world.read(lambda tx: usage.of_subject(tx, resource_id))
    ordered = sorted(events, key=lambda event: event.sequence)
    return [(str(event.state), event.at.isoformat(timespec="microseconds").replace("+00:00", "Z")) for event in ordered]


def recorded(world: World, *verbs: str) -> list[str]:
    """When the cloud did these things, by its own record."""
    return [entry["at"] for entry in world.lab.record() if entry["verb"] in verbs]


CHANGES: dict[str, Callable[[World, str], None]] = {
    "stopped": lambda world, machine: world.change(machine, "stop"),
    "resized": lambda world, machine: world.change(machine, "resize", amounts=SMALL | {"cpu_milli": 1000}),
    "deleted": lambda world, machine: world.delete(machine),
}


@pytest.mark.parametrize("verb", list(CHANGES))
def test_what_was_done_while_nobody_listened_is_metered_when_the_cloud_did_it(world: World, verb: str) -> None:
    machine = world.want("办税-21")
    world.work()
    world.lab.script({"do": "lose", "on": ["guest.act", "guest.delete"], "times": 1}, action_s=[1, 1])
    CHANGES[verb](world, machine)
    world.work(lambda: world.lab.guests(machine)[0]["task"] != "")
    time.sleep(2)  # govpool is away meanwhile
    world.work()
    assert metered(world, machine)[1:] == [({"resized": "running"}.get(verb, verb), recorded(world, verb)[0])]


def test_what_stopped_by_itself_is_metered_since_then(world: World) -> None:
    machine = world.want("办税-22")
    world.work()
    (guest,) = world.lab.guests(machine)
    world.lab.call("POST", f"/v1/guests/{guest['id']}/actions", {"action": "stop", "revision": guest["revision"]})
    wait(lambda: world.lab.guests(machine)[0]["state"] == "stopped")
    time.sleep(1.2)
    world.sweep()
    assert world.get(machine).state is State.STOPPED
    assert metered(world, machine)[1:] == [("stopped", recorded(world, "stopped")[0])]


def test_what_is_written_off_was_used_until_then(world: World) -> None:
    from control.reconciler import ending

    machine = world.want("办税-23")
    world.work()
    before = clock.now() - datetime.timedelta(minutes=1)
    world.lane(lambda tx: ending.written_off(tx, world.get(machine)))
    last = world.read(lambda tx: usage.of_subject(tx, machine))
    assert max(event.at for event in last if str(event.state) == "deleted") > before
