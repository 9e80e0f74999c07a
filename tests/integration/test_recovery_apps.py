"""Apps after a restore: what the cloud rolled and scaled since, by order or by itself, is followed, counted at its maximum, and metered as it was."""

import dataclasses
import pathlib
from collections.abc import Iterator
from typing import Any

import pytest

from control import schema
from pools import service as pools
from provisioners import contract
from provisioners import service as provisioners
from quotas import service as quotas
from tests.integration import checker, places, reconciler_world
from tests.integration.recovery_world import City, tick

EACH = {"cpu_milli": 1000, "ram_mib": 2048, "disk_gib": 20}


@pytest.fixture(params=["sqlite", "postgresql"])
def city(request: pytest.FixtureRequest, tmp_path: pathlib.Path) -> Iterator[City]:
    """A city over a lab cloud, once on each kind of database."""
    with places.empty_database(request, tmp_path) as url, reconciler_world.lab_cloud(tmp_path) as lab:
        schema.upgrade(url)
        world = City(url, lab, tmp_path)
        yield world
        world.close()


def amounts(number: int) -> dict[str, int]:
    """Of so many tiny replicas."""
    return {name: amount * number for name, amount in EACH.items()} | {"pods": number}


def app(city: City, name: str, number: int, **spec: Any) -> str:
    """A running app."""
    app_id = city.want(name, kind=contract.CONTAINER_APP, amounts=amounts(number))
    wanted = {"image": "nginx-1.26", "size": "tiny", "replicas": number, **spec}
    city.lane(lambda tx: provisioners.store(tx, (row := provisioners.get(tx, app_id)), dataclasses.replace(row, spec=wanted)))
    city.work()
    return app_id


def change(city: City, app_id: str, action: str, number: int, **spec: Any) -> None:
    """Another size, bounds or image, held as an order holds it."""
    held = {name: max(amount, city.get(app_id).amounts[name]) for name, amount in amounts(number).items()}
    city.lane(lambda tx: quotas.change(tx, holder=app_id, amounts=held))
    city.lane(lambda tx: pools.change(tx, holder=app_id, amounts={name: held[name] for name in EACH}))
    city.lane(lambda tx: provisioners.change_wanted(tx, resource_id=app_id, action=action, amounts=amounts(number), spec=spec))


def choose(city: City, app_id: str, number: int) -> None:
    """The cloud's autoscaler decides."""
    (guest,) = city.lab.guests(app_id)
    city.lab.call("POST", f"/lab/guests/{guest['id']}/replicas", {"replicas": number})


def test_what_was_rolled_scaled_and_chosen_in_between_is_followed(city: City) -> None:
    bounds = {"min_replicas": 2, "max_replicas": 6, "target_cpu_percent": 80}
    chosen = app(city, "预约", 6, **bounds | {"replicas": 2})
    widened = app(city, "受理", 6, **bounds | {"replicas": 2})
    rolled = app(city, "公示", 2)
    path = city.back_up()
    tick()
    choose(city, chosen, 5)
    change(city, widened, "scale", 8, max_replicas=8)
    change(city, rolled, "update", 2, image="python-3.12", max_surge="0")
    city.work()
    tick()
    choose(city, widened, 7)
    city.sweep()
    city.work()
    tick()
    before = city.lab.guests()
    city.restore(path)
    city.accept("system_admin", "audit_admin")
    city.settle()
    assert city.lab.guests() == before, "nothing was mended, rolled back or scaled"
    rows = {name: city.get(one) for name, one in (("chosen", chosen), ("widened", widened), ("rolled", rolled))}
    assert {name: row.amounts["pods"] for name, row in rows.items()} == {"chosen": 6, "widened": 8, "rolled": 2}
    assert {name: row.facts.replicas for name, row in rows.items()} == {"chosen": 5, "widened": 7, "rolled": 2}
    assert (rows["widened"].spec["max_replicas"], rows["rolled"].spec["image"]) == (8, "python-3.12")
    city.agrees(chosen, widened, rolled)
    assert city.drawn("pods") == 16
    assert checker.check(city.url, city.lab.file) == []


@pytest.mark.parametrize("since", ["nothing", "done"])
def test_an_update_under_way_at_the_backup_is_carried_out_once(city: City, since: str) -> None:
    rolled = app(city, "公示", 2)
    change(city, rolled, "update", 2, image="python-3.12", max_surge="0")
    path = city.back_up()
    tick()
    if since == "done":
        city.work()
        tick()
    city.restore(path)
    city.accept("system_admin", "audit_admin")
    city.settle()
    assert [one["verb"] for one in city.lab.record()].count("updated") == 1
    assert (city.get(rolled).spec["image"], city.lab.guests(rolled)[0]["image"]) == ("python-3.12", "python-3.12")
    assert not city.get(rolled).pending
    assert checker.check(city.url, city.lab.file) == []
