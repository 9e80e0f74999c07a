"""Labels and protection move the generation: nobody overwrites unseen what somebody else has set, and no change of the resource is disturbed."""

import pathlib
from collections.abc import Iterator

import pytest

from control import resource
from orders import model as orders_model
from primitives import errors
from provisioners.model import State
from tests.integration.office import Office, change
from tests.integration.reconciler_world import lab_cloud
from tests.integration.test_rolling import app, line


@pytest.fixture
def office(database_url: str, tmp_path: pathlib.Path) -> Iterator[Office]:
    """A bureau that orders."""
    with lab_cloud(tmp_path) as lab:
        made = Office(database_url, lab)
        yield made
        made.close()


def patched(
    office: Office,
    resource_id: str,
    *,
    labels: dict[str, str] | None = None,
    protected: bool | None = None,
    seen: int | None = None,
) -> int:
    """Set labels or protection; the generation afterwards."""
    use_case = resource.update(resource_id, protected=protected, labels=labels, if_match=seen)
    return int(office.case(use_case, office.requester)["metadata"]["generation"])


def test_each_change_of_labels_and_protection_is_a_generation_and_an_equal_one_is_none(office: Office) -> None:
    machine = office.machine("税务-01")
    first = office.get(machine).generation
    assert patched(office, machine, labels={"系统": "申报"}) == first + 1
    assert patched(office, machine, labels={"系统": "申报"}) == first + 1
    assert patched(office, machine, protected=True, labels={"系统": "征收"}) == first + 2, "both at once are one change"
    assert patched(office, machine, protected=True) == first + 2
    row = office.get(machine)
    assert (row.pending, row.state, row.next_at, row.observed_generation) == (False, State.RUNNING, None, first + 2)


def test_who_has_not_seen_the_last_labels_does_not_overwrite_them(office: Office) -> None:
    machine = office.machine("税务-01")
    seen = office.get(machine).generation
    patched(office, machine, labels={"负责人": "李娜"}, seen=seen)
    for again in ({"labels": {"负责人": "王芳"}}, {"protected": True}):
        with pytest.raises(errors.GovpoolError) as caught:
            patched(office, machine, **again, seen=seen)
        assert caught.value.code == "object.stale"
    assert office.get(machine).labels == {"负责人": "李娜"}
    patched(office, machine, labels={"负责人": "王芳"}, seen=seen + 1)


@pytest.mark.parametrize("kind", ["machine", "app"])
def test_labels_set_during_a_restart_neither_restart_it_twice_nor_end_it(office: Office, kind: str) -> None:
    target = office.machine("税务-01") if kind == "machine" else app(office)
    office.lab.script(action_s=[0.5, 0.5])
    number = office.order(change("restart", target) if kind == "machine" else line("restart", target))
    office.work(lambda: any(guest["task"] == "restart" for guest in office.lab.guests(target)))
    patched(office, target, labels={"系统": "申报"})
    assert office.get(target).pending
    office.work()
    patched(office, target, protected=True)
    assert [one["verb"] for one in office.lab.record()].count("restarted") == 1
    assert office.shown(number) == ("delivered", [str(orders_model.Outcome.DELIVERED)])
    row = office.get(target)
    assert (row.pending, row.protected, row.labels) == (False, True, {"系统": "申报"})
    assert office.is_sound()


def test_labels_set_between_two_tries_of_a_lost_restart_do_not_repeat_it(office: Office) -> None:
    machine = office.machine("税务-01")
    office.lab.script({"do": "lose", "on": ["guest.act"], "times": 1})
    office.order(change("restart", machine))
    patched(office, machine, labels={"a": "b"})
    office.work()
    assert [one["verb"] for one in office.lab.record()].count("restarted") == 1
    assert office.is_sound()
