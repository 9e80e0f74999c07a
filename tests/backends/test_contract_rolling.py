"""The contract of every driver: apps whose replicas are replaced a few at a time, and apps whose number the cloud chooses by itself."""

import dataclasses
import time
from typing import Any

import pytest

from provisioners import contract, replicas
from provisioners.contract import Done, Facts, Landed, Revoked, State, Verb
from tests.backends.site import Site, at_rest, lost, settled

EACH = {"cpu_milli": 1000, "ram_mib": 2048, "disk_gib": 20}


@pytest.fixture(autouse=True)
def pods(site: Site) -> None:
    """The department may have replicas."""
    limits = {"cpu_milli": 400_000, "ram_mib": 800_000, "disk_gib": 8_000, "instances": 200, "pods": 200}
    site.driver.set_limits(site.tenant, limits)


def app(site: Site, number: int, **spec: Any) -> contract.Wanted:
    """An app of so many replicas at most."""
    amounts = {name: amount * number for name, amount in EACH.items()} | {"pods": number}
    return site.wanted(
        contract.CONTAINER_APP, amounts=amounts, spec={"image": "nginx-1.26", "replicas": number, "max_surge": "25%"} | spec
    )


def updated(wanted: contract.Wanted, image: str = "nginx-1.28", **spec: Any) -> contract.Wanted:
    """The same with another image, one generation on."""
    return dataclasses.replace(wanted, generation=wanted.generation + 1, spec={**wanted.spec, "image": image, **spec})


def used(site: Site) -> int:
    """Replicas that the department has in the cloud, those of a surge too."""
    return int(site.cloud.call("GET", f"/v1/tenants/city-1/{site.tenant.code}/limits")["used"].get("pods", 0))


def test_an_update_replaces_the_image_once_per_generation_and_leaves_the_size(site: Site) -> None:
    wanted = app(site, 4)
    known = site.made(wanted)
    new = updated(wanted)
    after = site.act(new, known, "update")
    assert (after.done_generation, dict(after.amounts), after.replicas) == (2, dict(wanted.amounts), 4)
    assert site.cloud.guests(wanted.resource_id)[0]["image"] == "nginx-1.28"
    calls = len(site.cloud.mutations())
    assert isinstance(site.driver.act(new, after, site.attempt(new, Verb.ACT, "update")), Done)
    assert len(site.cloud.mutations()) == calls


@pytest.mark.parametrize(
    ("number", "spec", "surge"),
    [(4, {}, 1), (5, {}, 2), (1, {}, 1), (4, {"max_surge": "3"}, 3), (4, {"max_surge": "0", "max_unavailable": "1"}, 0)],
)
@pytest.mark.parametrize("action", ["update", "restart"])
def test_while_it_is_rolled_the_cloud_holds_the_surge_that_was_counted_and_no_more(
    site: Site, number: int, spec: dict[str, str], surge: int, action: str
) -> None:
    wanted = app(site, number, **spec)
    known = site.made(wanted)
    site.cloud.script(action_s=[0.3, 0.3])
    new = updated(wanted)
    step = site.driver.act(new, known, site.attempt(new, Verb.ACT, action))
    assert isinstance(step, Facts)
    assert dict(step.amounts) == dict(wanted.amounts)
    assert used(site) == number + surge == number + replicas.surge(new.spec, number)
    site.act(new, step, action)
    assert used(site) == number
    assert sum(host.used.get("cpu_milli", 0) for host in site.driver.capacity().hosts) == number * EACH["cpu_milli"]


def test_an_update_that_the_cloud_rolls_back_is_a_no_and_leaves_nothing_of_the_surge(site: Site) -> None:
    wanted = app(site, 4)
    known = site.made(wanted)
    site.cloud.script({"do": "roll_back", "on": ["guest.act"], "times": 1}, action_s=[0.1, 0.1])
    new = updated(wanted)
    with pytest.raises(contract.PermanentError, match=r"cloud\.rolled_back"):
        site.act(new, known, "update")
    assert used(site) == 4
    assert site.cloud.guests(wanted.resource_id)[0]["image"] == "nginx-1.26"
    again = dataclasses.replace(new, generation=new.generation + 1)
    assert site.act(again, known, "update").done_generation == 3


def test_a_surge_beyond_the_native_limit_waits_for_it(site: Site) -> None:
    wanted = app(site, 4)
    known = site.made(wanted)
    site.driver.set_limits(site.tenant, dict(wanted.amounts))
    new = updated(wanted)
    with pytest.raises(contract.TemporaryError, match=r"cloud\.quota"):
        site.driver.act(new, known, site.attempt(new, Verb.ACT, "update"))
    assert used(site) == 4


@pytest.mark.parametrize("fate", ["lose", "late"])
def test_an_update_whose_answer_is_lost_has_landed_or_never_will(site: Site, fate: str) -> None:
    wanted = app(site, 4)
    known = site.made(wanted)
    site.cloud.script({"do": fate, "on": ["guest.act"], "after_s": [0.3, 0.3], "times": 1})
    new = updated(wanted)
    attempt = lost(site, Verb.ACT, new, known, "update")
    verdict = settled(site, attempt, known)
    assert isinstance(verdict, Landed if fate == "lose" else Revoked)
    at_rest(site)
    assert site.cloud.guests(wanted.resource_id)[0]["image"] == ("nginx-1.28" if fate == "lose" else "nginx-1.26")
    assert site.act(new, verdict.facts, "update").done_generation == 2
    verbs = [event.verb for event in site.driver.events().events if event.resource_id == wanted.resource_id]
    assert verbs.count("updated") == 1
    assert used(site) == 4


def test_an_app_that_stands_still_is_updated_without_a_surge(site: Site) -> None:
    wanted = app(site, 4)
    known = site.act(wanted, site.made(wanted), "stop")
    after = site.act(updated(wanted), known, "update")
    assert after.state is State.STOPPED
    verbs = [event.verb for event in site.driver.events().events if event.resource_id == wanted.resource_id]
    assert verbs[-1] == "updated"
    assert "rolling" not in verbs


def test_an_app_goes_while_it_is_rolled_and_takes_its_surge_along(site: Site) -> None:
    wanted = app(site, 4)
    known = site.made(wanted)
    site.cloud.script(action_s=[0.2, 0.2])
    new = updated(wanted)
    step = site.driver.act(new, known, site.attempt(new, Verb.ACT, "update"))
    assert isinstance(step, Facts)
    assert site.removed(new, step).state is State.ABSENT
    assert used(site) == 0
    assert all(host.used.get("cpu_milli", 0) == 0 for host in site.driver.capacity().hosts)


# -- the number that the cloud chooses -----------------------------------------------------------------------------------------------


def scaled(site: Site, known: Facts, number: int) -> int:
    """What the cloud's autoscaler is told to do; the status of its answer."""
    status, _ = site.cloud.answer("POST", f"/lab/guests/{known.cloud_id}/replicas", {"replicas": number})
    return int(status)


def test_within_its_bounds_the_cloud_chooses_and_says_how_many(site: Site) -> None:
    wanted = app(site, 6, replicas=2, min_replicas=2, max_replicas=6)
    known = site.made(wanted)
    assert (known.replicas, known.min_replicas, known.max_replicas, known.amounts["cpu_milli"]) == (2, 2, 6, 2000)
    assert scaled(site, known, 5) == 200
    (seen,) = [one.facts for one in site.driver.observe("", wanted.resource_id) if one.kind == contract.CONTAINER_APP]
    assert (seen.replicas, dict(seen.amounts)) == (5, {name: amount * 5 for name, amount in EACH.items()} | {"pods": 5})
    assert scaled(site, known, 7) == 409
    assert scaled(site, known, 1) == 409
    assert isinstance(site.driver.act(wanted, seen, site.attempt(wanted, Verb.ACT, "scale")), Done), "it is what is wanted"


def test_other_bounds_bring_the_number_within_them_and_a_fixed_number_ends_them(site: Site) -> None:
    wanted = app(site, 6, replicas=2, min_replicas=2, max_replicas=6)
    known = site.made(wanted)
    assert scaled(site, known, 6) == 200
    narrow = dataclasses.replace(
        wanted,
        generation=2,
        amounts={name: amount * 3 for name, amount in EACH.items()} | {"pods": 3},
        spec={**wanted.spec, "min_replicas": 1, "max_replicas": 3},
    )
    known = site.act(narrow, known, "scale")
    assert (known.replicas, known.max_replicas, known.amounts["cpu_milli"]) == (3, 3, 3000)
    fixed = dataclasses.replace(narrow, generation=3, spec={"image": "nginx-1.26", "replicas": 3})
    known = site.act(fixed, known, "scale")
    assert (known.replicas, known.min_replicas, known.max_replicas) == (3, 0, 0)
    assert scaled(site, known, 2) == 409


def test_a_rolled_app_surges_by_what_it_has_not_by_what_it_may_have(site: Site) -> None:
    wanted = app(site, 8, replicas=4, min_replicas=2, max_replicas=8)
    known = site.made(wanted)
    site.cloud.script(action_s=[0.5, 0.5])
    new = updated(wanted)
    step = site.driver.act(new, known, site.attempt(new, Verb.ACT, "update"))
    assert isinstance(step, Facts)
    assert used(site) == 5
    assert scaled(site, known, 8) == 200
    assert used(site) == 9 <= 8 + replicas.surge(new.spec, 8)
    while used(site) != 8:
        time.sleep(0.02)
