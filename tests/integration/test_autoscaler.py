"""Apps whose number of replicas the cloud chooses: counted at their maximum, metered at what they have, never mended."""

import pathlib
from collections.abc import Iterator

import pytest

from control import order_view, resource
from metering.records import usage
from primitives import errors
from provisioners import service as provisioners
from tests.integration import checker
from tests.integration.office import Office
from tests.integration.reconciler_world import lab_cloud
from tests.integration.test_rolling import app, counted, grant, in_the_cloud, line, never_beyond, refused


@pytest.fixture
def office(database_url: str, tmp_path: pathlib.Path) -> Iterator[Office]:
    """A bureau that orders apps."""
    with lab_cloud(tmp_path) as lab:
        made = Office(database_url, lab)
        yield made
        made.close()


def bounded(office: Office, low: int = 2, high: int = 6) -> str:
    """An app with bounds; its id."""
    return app(office, "预约挂号", low, min_replicas=low, max_replicas=high)


def choose(office: Office, app_id: str, number: int) -> None:
    """The cloud's autoscaler decides."""
    (guest,) = office.lab.guests(app_id)
    office.lab.call("POST", f"/lab/guests/{guest['id']}/replicas", {"replicas": number})


def metered(office: Office, app_id: str) -> list[int]:
    """Replicas by the usage events, in their order."""
    events = office.read(lambda tx: usage.of_subject(tx, app_id))
    return [event.amounts["pods"] for event in sorted(events, key=lambda event: event.sequence)]


def test_its_maximum_is_counted_and_priced_and_what_it_has_is_metered(office: Office) -> None:
    fixed = app(office, "固定", 6)
    app_id = bounded(office)
    assert counted(office, app_id) == (6, 6) == counted(office, fixed)
    monthly = [order["status"]["monthly"] for order in office.read(lambda tx: order_view.list_orders(tx, office.requester))]
    assert monthly[0] == monthly[1], "the maximum is what is encumbered"
    assert (metered(office, app_id), metered(office, fixed)) == ([2], [6])
    shown = office.read(lambda tx: resource.show(tx, office.requester, app_id))
    assert (shown["spec"]["min_replicas"], shown["spec"]["max_replicas"], shown["spec"]["target_cpu_percent"]) == (2, 6, 80)
    assert (shown["spec"]["amounts"]["pods"], shown["status"]["replicas"]) == (6, 2)
    assert office.is_sound() and checker.check(office.url, office.lab.file) == []


def test_what_the_cloud_chooses_is_seen_as_use_and_neither_mended_nor_counted(office: Office) -> None:
    app_id = bounded(office)
    acts = len(office.lab.requests("guest.act"))
    drawn = office.drawn("cpu_milli")
    for number in (5, 5, 3, 6):
        choose(office, app_id, number)
        swept = office.sweep()
        office.work()
        assert swept.missing == swept.quarantined == 0
        assert office.drawn("cpu_milli") == drawn and counted(office, app_id) == (6, 6)
        assert in_the_cloud(office) == number
        assert checker.check(office.url, office.lab.file) == []
    assert metered(office, app_id) == [2, 5, 3, 6]
    events = office.read(lambda tx: usage.of_subject(tx, app_id))
    resized = [one["at"] for one in office.lab.record() if one["verb"] == "resized"]
    assert [event.at.isoformat() for event in sorted(events, key=lambda event: event.sequence)][-1][:19] == resized[-1][:19]
    assert len(office.lab.requests("guest.act")) == acts, "nothing was mended"


def test_only_what_raises_the_maximum_is_asked_for(office: Office) -> None:
    app_id = bounded(office)
    grant(office, "pods", 6)
    office.order(line("scale", app_id, min_replicas=4))
    office.work()
    assert (office.lab.guests(app_id)[0]["min_replicas"], in_the_cloud(office)) == (4, 4)
    with refused("quota.exceeded"):
        office.order(line("scale", app_id, max_replicas=7))
    grant(office, "pods", 1)
    office.order(line("scale", app_id, min_replicas=1, max_replicas=5))
    assert counted(office, app_id) == (6, 6), "the greater of both while it changes"
    office.work(never_beyond(office, app_id))
    assert counted(office, app_id) == (5, 5)
    office.order(line("scale", app_id, replicas=3))
    office.work(never_beyond(office, app_id))
    assert counted(office, app_id) == (3, 3) and in_the_cloud(office) == 3
    assert office.lab.guests(app_id)[0]["max_replicas"] == 0, "a number alone ends the bounds"
    assert office.is_sound()
    office.sweep()
    assert checker.check(office.url, office.lab.file) == []


def test_a_change_under_way_and_a_choice_of_the_cloud_do_not_disturb_each_other(office: Office) -> None:
    app_id = bounded(office)
    office.lab.script(action_s=[0.4, 0.4])
    office.order(line("update", app_id, image="python-3.12"))
    assert counted(office, app_id) == (8, 8), "a quarter of the maximum, rounded up"
    office.work(lambda: office.lab.guests(app_id)[0]["task"] == "update")
    choose(office, app_id, 5)
    office.work(never_beyond(office, app_id))
    assert office.lab.guests(app_id)[0]["image"] == "python-3.12"
    assert metered(office, app_id)[0] == 2 and metered(office, app_id)[-1] == 5
    assert counted(office, app_id) == (6, 6)
    office.sweep()
    assert office.is_sound() and checker.check(office.url, office.lab.file) == []


@pytest.mark.parametrize(
    ("wish", "field", "why"),
    [
        ({"min_replicas": 5, "max_replicas": 3}, "min_replicas", "5 is more than max_replicas, which is 3"),
        ({"min_replicas": 2}, "max_replicas", "is needed for bounds"),
        ({"target_cpu_percent": 50}, "max_replicas", "is needed for bounds"),
        ({"replicas": 9, "max_replicas": 3}, "replicas", "9 to begin with is not between 1 and 3"),
        ({"max_replicas": 1001}, "max_replicas", "1001 is not between 1 and 1,000"),
        ({"max_replicas": 3, "target_cpu_percent": 101}, "target_cpu_percent", "101 is not between 1 and 100"),
    ],
)
def test_bounds_that_make_no_sense_are_refused_with_their_numbers(
    office: Office, wish: dict[str, int], field: str, why: str
) -> None:
    with pytest.raises(errors.GovpoolError) as caught:
        office.order(line("create", "无", **wish))
    assert (caught.value.code, caught.value.values["field"]) == ("input.invalid", field)
    assert why in caught.value.text("en")
    assert office.rows() == []


def test_a_stopped_app_keeps_its_maximum_and_its_bounds(office: Office) -> None:
    app_id = bounded(office)
    choose(office, app_id, 4)
    office.order(line("stop", app_id))
    office.work()
    assert counted(office, app_id) == (6, 6)
    office.order(line("start", app_id))
    office.work()
    assert metered(office, app_id)[-1] == 4
    row = office.read(lambda tx: provisioners.get(tx, app_id))
    assert (row.amounts["pods"], row.facts.replicas, row.facts.max_replicas) == (6, 4, 6)
    assert office.is_sound() and checker.check(office.url, office.lab.file) == []
