"""A worker stands still (SIGSTOP) between its attempt row and its call, past its lease, and is then let go: a zombie that still sends."""

import pathlib
import signal
import time
from collections.abc import Iterator

import pytest

from provisioners import service as provisioners
from provisioners.model import State
from tests.integration import checker, lab_process, processes
from tests.integration.reconciler_world import World, lab_cloud, wait

LEASE_S = 5
SITTING_S = 3
"""How long a test looks on while nothing may happen; longer than the lab's bound on late effects (2 s)."""


@pytest.fixture
def lab(tmp_path: pathlib.Path) -> Iterator[lab_process.Lab]:
    """A lab cloud."""
    with lab_cloud(tmp_path) as running:
        yield running


def standing(world: World, point: str) -> tuple[str, processes.Process]:
    """A resource, and the worker process that stands still right before the call that makes its guest."""
    resource_id = world.want("一窗受理-01")
    world.share()
    zombie = processes.worker(world.url, stop_at=point)
    wait(zombie.stopped)
    return resource_id, zombie


def settled(world: World) -> None:
    """Two whole sweeps later."""
    world.close()
    world.open(owner=True)
    world.sweep()
    world.work()
    world.sweep()
    assert checker.check(world.url, world.lab.file) == []


def test_with_a_ticket_a_zombie_makes_no_second_guest(world_on_postgresql: World) -> None:
    world = world_on_postgresql
    resource_id, zombie = standing(world, "advance.before:2")
    successor = processes.worker(world.url)
    wait(lambda: world.get(resource_id).state is State.RUNNING)
    first = world.lab.guests(resource_id)[0]["id"]
    zombie.signal(signal.SIGCONT)
    wait(lambda: len(world.lab.requests("guest.create")) == 2)  # the zombie did send its create
    wait(lambda: world.at_rest())
    assert [guest["id"] for guest in world.lab.guests(resource_id)] == [first]
    for process in (zombie, successor):
        process.kill()
    settled(world)


def test_by_tag_only_the_attempt_stays_open_until_the_sender_is_back(tagged_on_postgresql: World) -> None:
    world = tagged_on_postgresql
    resource_id, zombie = standing(world, "advance.before:1")
    successor = processes.worker(world.url)
    wait(lambda: world.get(resource_id).fence.n >= 2)  # the successor has it now
    time.sleep(SITTING_S)
    assert _open(world, resource_id)
    assert (world.lab.guests(resource_id), world.drawn("instances")) == ([], 1)
    zombie.signal(signal.SIGCONT)
    wait(lambda: world.get(resource_id).state is State.RUNNING)
    assert len(world.lab.guests(resource_id)) == 1
    assert len(world.lab.requests("guest.create")) == 1
    for process in (zombie, successor):
        process.kill()
    settled(world)


def test_by_tag_only_quota_is_held_for_a_deleted_resource_while_its_sender_may_still_send(tagged_on_postgresql: World) -> None:
    world = tagged_on_postgresql
    resource_id, zombie = standing(world, "advance.before:1")
    world.delete(resource_id)
    successor = processes.worker(world.url)
    wait(lambda: world.get(resource_id).fence.n >= 2)
    time.sleep(SITTING_S)
    assert (world.get(resource_id).state, world.drawn("instances")) == (State.RELEASING, 1)
    zombie.signal(signal.SIGCONT)
    wait(lambda: world.get(resource_id).state is State.GONE)
    assert (world.lab.guests(resource_id), world.drawn("instances")) == ([], 0)
    for process in (zombie, successor):
        process.kill()
    settled(world)


def test_by_tag_only_the_attempt_of_a_sender_that_is_known_dead_closes_after_the_clouds_bound(tagged_on_postgresql: World) -> None:
    world = tagged_on_postgresql
    resource_id, zombie = standing(world, "advance.before:1")
    successor = processes.worker(world.url)
    wait(lambda: world.get(resource_id).fence.n >= 2)
    assert _open(world, resource_id)
    zombie.kill()
    wait(lambda: world.get(resource_id).state is State.RUNNING)
    assert len(world.lab.guests(resource_id)) == 1
    outcomes = [one.outcome for one in world.read(lambda tx: provisioners.attempts_of(tx, resource_id, 10))]
    assert "absent" in outcomes
    successor.kill()
    settled(world)


@pytest.mark.parametrize("create", ["ticket", "tag"])
def test_a_process_that_stood_still_goes_on_alone_and_makes_one_guest(database_url: str, lab: lab_process.Lab, create: str) -> None:
    """The one process of a SQLite file: its own new lease holder meets its own late thread."""
    world = World(database_url, lab, create)
    resource_id, sleeper = standing(world, "advance.before:2" if create == "ticket" else "advance.before:1")
    time.sleep(LEASE_S + 0.5)
    sleeper.signal(signal.SIGCONT)
    wait(lambda: world.get(resource_id).state is State.RUNNING)
    wait(world.at_rest)
    assert len(world.lab.guests(resource_id)) == 1
    sleeper.end()
    settled(world)
    world.close()


@pytest.fixture
def world_on_postgresql(cluster, lab: lab_process.Lab) -> Iterator[World]:  # type: ignore[no-untyped-def]  # conftest's Cluster
    """Several worker processes share a database only on PostgreSQL."""
    yield from _world(cluster, lab, "ticket")


@pytest.fixture
def tagged_on_postgresql(cluster, lab: lab_process.Lab) -> Iterator[World]:  # type: ignore[no-untyped-def]  # conftest's Cluster
    """The same over a driver whose creates are not revocable."""
    yield from _world(cluster, lab, "tag")


def _world(cluster, lab: lab_process.Lab, create: str) -> Iterator[World]:  # type: ignore[no-untyped-def]
    url = cluster.fresh()
    made = World(url, lab, create)
    yield made
    made.close()
    cluster.drop(url)


def _open(world: World, resource_id: str) -> bool:
    return world.read(lambda tx: provisioners.open_attempt_of(tx, resource_id)) is not None
