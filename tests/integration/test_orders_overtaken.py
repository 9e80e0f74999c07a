"""Orders that something overtakes: another order, a deletion, a refusal of the cloud, a deadline.  Nothing leaks, and every order ends."""

import datetime
import pathlib
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from control import order, resource
from orders import model
from primitives import clock, errors
from provisioners.model import State
from tests.integration import lab_process
from tests.integration.office import Office, change, create
from tests.integration.reconciler_world import lab_cloud, wait

APPROVED, REFUSED, WITHDRAWN = model.Verdict.APPROVED, model.Verdict.REFUSED, model.Verdict.WITHDRAWN


@pytest.fixture
def lab(tmp_path: pathlib.Path) -> Iterator[lab_process.Lab]:
    """A fresh lab cloud."""
    with lab_cloud(tmp_path) as running:
        yield running


@pytest.fixture
def office(database_url: str, lab: lab_process.Lab) -> Iterator[Office]:
    """A bureau that orders."""
    made = Office(database_url, lab)
    yield made
    made.close()


@pytest.fixture
def later() -> Iterator[Callable[[float], None]]:
    """Hours pass."""
    yield lambda hours: clock.shift(datetime.timedelta(hours=hours))
    clock.shift(datetime.timedelta(0))


def refused(code: str) -> Any:
    """The context of a refusal with a code."""
    return pytest.raises(errors.GovpoolError, match=rf"^{code}: ")


@pytest.mark.parametrize("size", ["small", "large"])
def test_what_waits_for_a_larger_size_gets_no_second_size_meanwhile(office: Office, size: str) -> None:
    machine = office.machine("办税-01")
    office.ask_for_approval_of("resize")
    number = office.order(change("resize", machine, "medium"))
    with refused("order.waits"):
        office.order(change("resize", machine, size))
    assert office.held(machine) == (4000, 4000)
    office.decide(number, APPROVED)
    office.work()
    assert office.shown(number) == ("delivered", ["delivered"])
    assert office.is_sound()


def test_a_stop_may_come_between_an_order_of_a_larger_size_and_its_approval(office: Office) -> None:
    machine = office.machine("办税-02")
    office.ask_for_approval_of("resize")
    number = office.order(change("resize", machine, "medium"))
    office.order(change("stop", machine))
    office.work()
    assert office.held(machine) == (4000, 4000)
    office.decide(number, APPROVED)
    office.work()
    assert (office.shown(number)[0], office.get(machine).state) == ("delivered", State.STOPPED)
    assert office.is_sound()


@pytest.mark.parametrize("verdict", [REFUSED, WITHDRAWN])
def test_an_order_for_what_was_deleted_meanwhile_can_be_refused_and_withdrawn_but_not_approved(
    office: Office, verdict: model.Verdict
) -> None:
    machine = office.machine("办税-03")
    office.ask_for_approval_of("resize")
    number = office.order(change("resize", machine, "medium"), create("新机-01", "medium"))
    office.order(change("delete", machine, purge=True))
    office.work()
    assert office.get(machine).state is State.GONE
    with refused("resource.state"):
        office.decide(number, APPROVED)
    office.decide(number, verdict)
    assert office.shown(number)[0] == str(verdict)
    assert office.drawn("cpu_milli") == 0
    assert office.is_sound()


def test_an_order_for_what_was_deleted_keeps_no_other_order_from_ending(office: Office, later: Callable[[float], None]) -> None:
    machine = office.machine("办税-04")
    office.ask_for_approval_of("resize", "create")
    office.order(change("resize", machine, "medium"))
    office.order(create("新机-02", "medium"))
    office.order(change("delete", machine, purge=True))
    office.work()
    later(25)
    while office.lane(order.end_overdue):
        pass
    assert [office.shown(number)[0] for number in ("2", "3")] == ["ended", "ended"]
    assert office.is_sound()


def test_what_is_in_the_middle_of_a_change_takes_no_order_of_another_size(office: Office) -> None:
    machine = office.machine("办税-05", "medium")
    office.order(change("resize", machine, "tiny"))
    office.ask_for_approval_of("resize")
    with refused("resource.busy"):
        office.order(change("resize", machine, "small"))
    assert office.held(machine) == (4000, 4000)
    office.work()
    assert office.is_sound()


@pytest.mark.parametrize("state", ["bin", "gone"])
def test_what_was_deleted_takes_no_order_of_another_size(office: Office, state: str) -> None:
    machine = office.machine("办税-06")
    office.order(change("delete", machine, purge=state == "gone"))
    office.work()
    office.ask_for_approval_of("resize")
    with refused("resource.state"):
        office.order(change("resize", machine, "medium"))
    assert office.is_sound()


@pytest.mark.parametrize(("first", "second"), [("resize", "resize"), ("resize", "delete"), ("delete", "delete"), ("stop", "start")])
def test_an_order_names_each_resource_once(office: Office, first: str, second: str) -> None:
    machine = office.machine("办税-07")
    office.ask_for_approval_of("resize")
    sizes = {"resize": "medium"}
    with refused("input.invalid"):
        office.order(change(first, machine, sizes.get(first, "")), change(second, "办税-07", sizes.get(second, ""), purge=True))
    assert office.is_sound()


def test_a_create_that_is_written_off_was_not_delivered(office: Office) -> None:
    office.lab.script({"do": "refuse", "on": ["ticket.create"], "reason": "overloaded"})
    number = office.order(create("办税-08"))
    (row,) = office.rows()
    office.work(lambda: office.get(row.id).failures > 0)
    for person in (office.operator, office.second_operator):
        office.case(resource.write_off(row.id, "云平台已停用"), person)
    assert office.shown(number) == ("failed", ["failed"])
    assert office.is_sound()


def test_a_deletion_refused_for_good_leaves_the_machine_as_it_was(office: Office) -> None:
    machine = office.machine("办税-09")
    office.lab.script({"do": "refuse", "on": ["guest.act"], "reason": "forbidden"})
    number = office.order(change("delete", machine))
    office.work()
    assert office.shown(number) == ("failed", ["failed"])
    row = office.get(machine)
    assert (row.state, row.bin_until_at, office.lab.guests(machine)[0]["state"]) == (State.RUNNING, None, "running")


def test_a_bin_that_runs_out_before_its_guest_could_be_stopped_still_ends_the_order(
    office: Office, later: Callable[[float], None]
) -> None:
    machine = office.machine("办税-10")
    office.lab.script({"do": "refuse", "on": ["guest.act"], "reason": "overloaded"})
    number = office.order(change("delete", machine))
    office.work(lambda: office.get(machine).failures > 0)
    later(24 * 7 + 1)
    office.work()
    assert office.get(machine).state is State.GONE
    assert office.shown(number) == ("delivered", ["delivered"])
    assert office.is_sound()


def test_a_machine_lost_in_the_middle_of_a_resize_comes_back_as_it_was(office: Office) -> None:
    machine = office.machine("办税-11")
    office.lab.script({"do": "refuse", "on": ["guest.act"], "reason": "overloaded"})
    number = office.order(change("resize", machine, "medium"))
    office.work(lambda: office.get(machine).failures > 0)
    guest = office.lab.guests(machine)[0]
    office.lab.call("DELETE", f"/lab/guests/{guest['id']}")
    office.sweep()
    office.work(lambda: office.get(machine).state is State.LOST)
    assert office.shown(number) == ("failed", ["failed"])
    assert office.is_sound()
    assert office.held(machine) == (1000, 1000)


def test_what_stops_by_itself_before_its_resize_is_metered_at_the_size_it_has(office: Office) -> None:
    machine = office.machine("办税-12")
    office.lab.script({"do": "refuse", "on": ["guest.act"], "reason": "overloaded", "times": 1})
    office.order(change("resize", machine, "medium"))
    office.work(lambda: office.get(machine).failures > 0)
    guest = office.lab.guests(machine)[0]
    office.lab.call("POST", f"/v1/guests/{guest['id']}/actions", {"action": "stop", "revision": guest["revision"]})
    office.sweep()
    assert office.usage(machine) == [("running", 1000), ("stopped", 1000)]


def test_a_deletion_of_what_an_order_still_makes_ends_both_orders(office: Office) -> None:
    office.lab.script(build_s=[3, 3])
    made = office.order(create("办税-13", count=2))
    with office.working():
        wait(lambda: len(office.lab.guests()) == 2)
        first, _ = office.rows()
        gone = office.order(change("delete", first.id))
        wait(lambda: office.get(first.id).ended)
        wait(office.at_rest)
    assert office.shown(made) == ("partly_delivered", ["failed", "delivered"])
    assert office.shown(gone) == ("delivered", ["delivered"])
    assert office.is_sound()
