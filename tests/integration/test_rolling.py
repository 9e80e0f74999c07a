"""Apps are updated and restarted replica by replica: what that adds is counted before it starts, and given back however it ends."""

import contextlib
import pathlib
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from control import plan, reservation
from orders import model as orders_model
from pools import service as pools
from primitives import errors
from provisioners import replicas, rules
from provisioners import service as provisioners
from provisioners.model import Resource, State
from quotas import grants
from quotas import model as quotas_model
from quotas import service as quotas
from tests.integration import checker, processes
from tests.integration.office import Office, create
from tests.integration.reconciler_world import lab_cloud, wait

NO_SURGE = plan.Wish(max_surge="0", max_unavailable="1")


@pytest.fixture
def office(database_url: str, tmp_path: pathlib.Path) -> Iterator[Office]:
    """A bureau that orders apps."""
    with lab_cloud(tmp_path) as lab:
        made = Office(database_url, lab)
        yield made
        made.close()


def line(action: str, name: str = "", **wish: Any) -> reservation.LineWish:
    """A line about an app; `name` is that of a new one, or id or name of one that is there."""
    new = action == "create"
    wished = plan.Wish(name=name if new else "", **({"size": "tiny", "image": "nginx-1.26"} if new else {}) | wish)
    return reservation.LineWish(action=action, kind=plan.CONTAINER_APP, resource="" if new else name, wish=wished)


def app(office: Office, name: str = "一窗受理", number: int = 4, **wish: Any) -> str:
    """A running app of so many tiny replicas (1 vCPU each); its id."""
    office.order(line("create", name, **({"replicas": number} | wish)))
    office.work()
    found = office.read(lambda tx: provisioners.find(tx, project_id=office.project_id, kind=plan.CONTAINER_APP, name=name))
    return str(found.id)


def counted(office: Office, app_id: str) -> tuple[int, int]:
    """Replicas that an app holds in the quota, and vCPUs of room in its pool."""
    units = office.read(lambda tx: quotas.find(tx, holder=app_id))
    room = office.read(lambda tx: pools.find(tx, holder=app_id))
    return (units.amounts["pods"] if units else 0, room.amounts["cpu_milli"] // 1000 if room else 0)


def in_the_cloud(office: Office) -> int:
    """Replicas that the department has in the cloud now, those of a surge too."""
    told = office.lab.call("GET", f"/v1/tenants/{office.installation}/{office.tenant}/limits")
    return int(told["used"].get("pods", 0))


def grant(office: Office, name: str, amount: int) -> None:
    """What the bureau may hold of a name from now on; as the city does, whether it uses more or not."""
    office.lane(
        lambda tx: grants.set_grant(
            tx, tenant_id=office.tenant_id, name=name, grant=quotas_model.Grant(granted=amount), allow_over=True
        )
    )


@contextlib.contextmanager
def refused(code: str) -> Iterator[Any]:
    """Something is refused with a code."""
    with pytest.raises(errors.GovpoolError) as caught:
        yield caught
    assert caught.value.code == code


def never_beyond(office: Office, app_id: str) -> Callable[[], bool]:
    """At rest? Looks each time that the cloud holds no more than what is counted, before or after the look."""

    def look() -> bool:
        before = counted(office, app_id)[0]
        present = in_the_cloud(office)
        assert present <= max(before, counted(office, app_id)[0])
        return office.at_rest()

    return look


# -- what is held ------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("action", ["update", "restart"])
def test_the_surge_is_counted_before_it_starts_and_given_back_when_it_ends(office: Office, action: str) -> None:
    app_id = app(office)
    office.lab.script(action_s=[0.4, 0.4])
    number = office.order(line(action, app_id, **({"image": "python-3.12"} if action == "update" else {})))
    assert counted(office, app_id) == (5, 5) and in_the_cloud(office) == 4, "25 % of 4, before anything is sent"
    office.work(never_beyond(office, app_id))
    assert office.shown(number) == ("delivered", ["delivered"])
    assert counted(office, app_id) == (4, 4) and in_the_cloud(office) == 4
    rolling = [one["guest"]["surge"].get("pods") for one in office.lab.record() if one["verb"] == "rolling"]
    assert rolling == [1]
    assert office.usage(app_id) == [("running", 4000), ("running", 4000)], "what is added for a while has no price"
    office.sweep()
    assert office.is_sound() and checker.check(office.url, office.lab.file) == []


@pytest.mark.parametrize("short", ["pods", "cpu_milli"])
def test_a_surge_that_does_not_fit_is_refused_with_the_numbers_and_the_way_out(office: Office, short: str) -> None:
    app_id = app(office)
    grant(office, short, {"pods": 4, "cpu_milli": 4000}[short])
    with refused("resource.surge") as caught:
        office.order(line("update", app_id, image="python-3.12"))
    refusal = caught.value
    assert refusal.fault.kind is errors.Kind.QUOTA
    assert refusal.values["surge"] == {"pods": 1, "cpu_milli": 1000, "ram_mib": 2048, "disk_gib": 20}
    assert "short" in refusal.text("en") or "limit" in refusal.text("en")
    assert refusal.mend("en").endswith("govpool container update 一窗受理 --max-surge 0 --max-unavailable 1")
    assert counted(office, app_id) == (4, 4) and office.drawn("pods") == 4
    office.order(line("update", app_id, image="python-3.12", max_surge="0", max_unavailable="1"))
    office.work(never_beyond(office, app_id))
    assert office.lab.guests(app_id)[0]["image"] == "python-3.12"
    assert not [one for one in office.lab.record() if one["verb"] == "rolling"]
    with refused("quota.exceeded"):
        office.order(line("scale", app_id, replicas=5))


def test_a_surge_without_room_in_the_pool_is_refused_and_leaves_the_quota(office: Office) -> None:
    app_id = app(office)
    for host in office.lab.call("GET", "/v1/hosts")["hosts"]:
        office.lab.call("POST", f"/lab/hosts/{host['name']}/disable")
    office.sweep()
    with refused("resource.surge") as caught:
        office.order(line("restart", app_id))
    assert caught.value.values["cause"] == "pool.full"
    assert office.is_sound()


def test_the_strategy_stays_with_the_app_and_a_restart_follows_it(office: Office) -> None:
    app_id = app(office, max_surge="50%")
    office.order(line("restart", app_id))
    assert counted(office, app_id) == (6, 6)
    office.work(never_beyond(office, app_id))
    office.order(line("restart", app_id, max_surge="0"))
    assert counted(office, app_id) == (4, 4)
    office.work()
    office.order(line("update", app_id, image="python-3.12"))
    assert counted(office, app_id) == (4, 4)
    office.work()
    assert office.is_sound()


def test_an_app_that_stands_still_is_updated_without_a_surge(office: Office) -> None:
    app_id = app(office)
    office.order(line("stop", app_id))
    office.work()
    office.order(line("update", app_id, image="python-3.12"))
    assert counted(office, app_id) == (4, 4)
    office.work()
    assert (office.get(app_id).state, office.lab.guests(app_id)[0]["image"]) == (State.STOPPED, "python-3.12")
    with refused("resource.state"):
        office.order(line("restart", app_id))


# -- however it ends ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("why", ["rolled back", "no image"])
def test_an_update_that_fails_gives_the_surge_back_and_leaves_the_old_image(office: Office, why: str) -> None:
    app_id = app(office)
    if why == "rolled back":
        office.lab.script({"do": "roll_back", "on": ["guest.act"], "times": 1}, action_s=[0.2, 0.2])
    else:
        office.lab.script(images=["nginx-1.26"])
    number = office.order(line("update", app_id, image="python-3.12"))
    office.work(never_beyond(office, app_id))
    assert office.shown(number) == ("failed", ["failed"])
    assert counted(office, app_id) == (4, 4)
    assert (office.get(app_id).spec["image"], office.lab.guests(app_id)[0]["image"]) == ("nginx-1.26", "nginx-1.26")
    office.sweep()
    office.work()
    assert office.is_sound() and checker.check(office.url, office.lab.file) == []


def test_a_delete_overtakes_an_update_and_the_surge_goes_with_the_app(office: Office) -> None:
    app_id = app(office)
    office.lab.script(action_s=[0.4, 0.4])
    office.order(line("update", app_id, image="python-3.12"))
    office.work(lambda: in_the_cloud(office) == 5)
    deleted = reservation.LineWish(action="delete", kind=plan.CONTAINER_APP, resource=app_id, purge=True)
    office.order(deleted)
    assert counted(office, app_id) == (5, 5), "the cloud has it until it says otherwise"
    office.work(never_beyond(office, app_id))
    assert counted(office, app_id) == (0, 0) and in_the_cloud(office) == 0
    assert office.is_sound()


def test_an_order_that_waits_holds_its_surge_and_nothing_else_takes_it(office: Office) -> None:
    app_id = app(office)
    office.ask_for_approval_of("create")
    number = office.order(create("随同"), line("restart", app_id))
    assert counted(office, app_id) == (5, 5)
    for other in (line("scale", app_id, replicas=2), line("restart", app_id)):
        with refused("order.waits"):
            office.order(other)
    office.decide(number, orders_model.Verdict.WITHDRAWN)
    assert counted(office, app_id) == (4, 4)
    number = office.order(create("随同"), line("restart", app_id))
    office.decide(number, orders_model.Verdict.APPROVED)
    assert counted(office, app_id) == (5, 5)
    office.work()
    assert office.shown(number) == ("delivered", ["delivered", "delivered"])
    assert office.is_sound()


CALLS = ("act", "set_limits", "revoke")
POINTS = [f"{call}.{side}:1" for call in CALLS for side in ("before", "after")]
COMMITS = [f"lane.commit.{side}:{passage}" for side in ("before", "after") for passage in (1, 3, 5, 7)]


@pytest.mark.parametrize("point", [*POINTS, *COMMITS])
def test_killed_at_any_point_of_an_update_nothing_of_its_surge_is_left_or_doubled(office: Office, point: str) -> None:
    app_id = app(office)
    office.lab.script({"do": "lose", "on": ["guest.act"], "times": 1}, action_s=[0.2, 0.2])
    office.order(line("update", app_id, image="python-3.12"))
    look = never_beyond(office, app_id)
    office.share()
    killed = processes.worker(office.url, kill_at=point)
    wait(lambda: look() or not killed.alive())
    killed.kill()
    surviving = processes.worker(office.url)
    try:
        wait(lambda: look() and not office.lab.pending())
    finally:
        surviving.kill()
    office.close()
    office.open(owner=True)
    office.sweep()
    office.work()
    office.sweep()
    assert [one["verb"] for one in office.lab.record()].count("updated") == 1
    assert counted(office, app_id) == (4, 4)
    assert office.is_sound() and checker.check(office.url, office.lab.file) == []


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(number=st.integers(1, 1000), surge=st.integers(0, 1000), percent=st.integers(0, 100), missing=st.integers(0, 100))
def test_the_arithmetic_of_a_rolling_replacement_is_that_of_kubernetes(number: int, surge: int, percent: int, missing: int) -> None:
    spec = {"replicas": number, "max_surge": f"{percent}%", "max_unavailable": f"{missing}%"}
    added, away = replicas.surge(spec, number), replicas.unavailable(spec, number)
    assert (added - 1) * 100 < percent * number <= added * 100, "rounded up"
    assert away * 100 <= missing * number < (away + 1) * 100 or (away == 1 and added == 0), "rounded down"
    assert added + away > 0, "something can always be replaced"
    assert replicas.surge({"max_surge": str(surge)}, number) == min(surge, number)


def test_the_row_alone_says_what_is_held(office: Office) -> None:
    app_id = app(office)
    office.order(line("update", app_id, image="python-3.12"))
    row: Resource = office.get(app_id)
    assert row.before is not None
    held = rules.held(row.amounts, row.before.amounts, row.before.surge)
    assert held == office.read(lambda tx: quotas.find(tx, holder=app_id)).amounts
    office.work()
