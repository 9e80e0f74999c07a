"""The reconciler over a driver whose creates cannot be revoked: absence proves nothing while a create may still land.  On both databases."""

import pathlib
from collections.abc import Iterator

import pytest

from provisioners import rules
from tests.integration import checker, lab_process
from tests.integration.reconciler_world import World, lab_cloud, wait


@pytest.fixture
def lab(tmp_path: pathlib.Path) -> Iterator[lab_process.Lab]:
    """A fresh lab cloud."""
    with lab_cloud(tmp_path) as running:
        yield running


@pytest.fixture
def tagged(database_url: str, lab: lab_process.Lab) -> Iterator[World]:
    """A department with a pool whose creates are found by their tag only."""
    made = World(database_url, lab, "tag")
    yield made
    made.close()


LATE = {"do": "late", "on": ["guest.create"], "times": 1, "after_s": [1, 1]}


def slack(world: World) -> str:
    """Let the cloud's own limit allow one guest more than there are: else that limit alone refuses a second guest.  What was lost for it."""
    spare = world.want("余量-01")
    world.work()
    world.lab.call("DELETE", f"/lab/guests/{world.get(spare).facts.cloud_id}")
    return spare


def made(world: World, resource_id: str) -> int:
    """How many guests were ever made for a resource."""
    return sum(entry["verb"] == "created" and entry["guest"]["resource_id"] == resource_id for entry in world.lab.record())


def clear(world: World, spare: str) -> None:
    """Take away what `slack` left."""
    world.delete(spare)
    world.work()
    world.sweep()


def test_by_tag_only_a_late_create_is_waited_for(tagged: World) -> None:
    spare = slack(tagged)
    tagged.lab.script(LATE)
    resource_id = tagged.want("一窗受理-03")
    tagged.work()
    wait(lambda: not tagged.lab.pending())
    assert made(tagged, resource_id) == 1
    clear(tagged, spare)
    assert checker.check(tagged.url, tagged.lab.file) == []


def test_the_checker_finds_the_second_guest_of_one_who_does_not_wait(tagged: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """The mutant of the test above: whoever believes absence at once makes two guests, and the sweep then takes the unowned one away."""
    monkeypatch.setattr(rules, "closes_on_absence", lambda attempt, late_s, now: True)
    spare = slack(tagged)
    tagged.lab.script(LATE)
    resource_id = tagged.want("一窗受理-03")
    tagged.work()
    wait(lambda: not tagged.lab.pending())
    assert {"duplicate", "orphan"} <= {one.partition(":")[0] for one in checker.check(tagged.url, tagged.lab.file)}
    assert made(tagged, resource_id) == 2
    assert tagged.sweep().strays == 1
    tagged.work()
    assert [guest["id"] for guest in tagged.lab.guests(resource_id)] == [tagged.get(resource_id).facts.cloud_id]
    clear(tagged, spare)
    assert checker.check(tagged.url, tagged.lab.file) == []


def test_by_tag_only_what_is_deleted_while_its_create_is_late_gives_nothing_back_before_the_bound(tagged: World) -> None:
    tagged.lab.script(LATE)
    resource_id = tagged.want("一窗受理-04")
    with tagged.working():
        wait(lambda: bool(tagged.lab.pending()))
        tagged.delete(resource_id)
        wait(lambda: bool(tagged.lab.guests(resource_id)) or not tagged.lab.pending())
        assert tagged.drawn("instances") == 1
        wait(lambda: tagged.get(resource_id).ended)
    tagged.sweep()
    assert (made(tagged, resource_id), checker.check(tagged.url, tagged.lab.file)) == (1, [])


def test_by_tag_only_whatever_answer_is_lost_nothing_is_left(tagged: World) -> None:
    tagged.lab.script({"do": "lose", "on": ["guest.*", "tenant.set", "limits.set"], "percent": 30}, seed=7)
    several = [tagged.want(f"标签-{number}") for number in range(6)]
    tagged.work()
    for resource_id in several[:3]:
        tagged.delete(resource_id)
    tagged.work()
    tagged.lab.script()
    tagged.sweep()
    assert checker.check(tagged.url, tagged.lab.file) == []
