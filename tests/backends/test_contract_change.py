"""The contract of every driver: actions and removal, each settled when its answer is lost."""

import dataclasses

import pytest

from provisioners import contract
from provisioners.contract import Done, Facts, Landed, Revoked, State, Verb
from tests.backends.site import Site, at_rest, lost, settled

# -- actions -----------------------------------------------------------------------------------------------------------------------


def test_start_and_stop_lead_to_the_state_and_count_once(site: Site) -> None:
    wanted = site.wanted()
    known = site.made(wanted)
    known = site.act(wanted, known, "stop")
    assert known.state is State.STOPPED
    known = site.act(wanted, known, "stop")
    known = site.act(wanted, known, "start")
    assert known.state is State.RUNNING
    assert [m["operation"] for m in site.cloud.mutations()].count("guest.act") == 2


def test_a_restart_counts_once_per_generation(site: Site) -> None:
    wanted = dataclasses.replace(site.wanted(), generation=5)
    known = site.act(wanted, site.made(wanted), "restart")
    assert known.done_generation == 5
    site.act(wanted, known, "restart")
    site.act(dataclasses.replace(wanted, generation=6), known, "restart")
    assert site.cloud.reboots(known.cloud_id) == 2


def test_a_resize_changes_the_amounts_in_the_cloud(site: Site) -> None:
    wanted = site.wanted()
    known = site.made(wanted)
    bigger = dataclasses.replace(wanted, generation=2, amounts=dict(wanted.amounts) | {"ram_mib": 16_384})
    known = site.act(bigger, known, "resize")
    assert known.amounts["ram_mib"] == 16_384
    assert site.used_ram_mib() == 16_384


def test_an_app_is_scaled_by_its_replicas(lab_site: Site) -> None:
    wanted = lab_site.wanted(contract.CONTAINER_APP, spec={"image": "nginx", "replicas": 2})
    known = lab_site.made(wanted)
    assert known.replicas == 2
    amounts = {name: 2 * n for name, n in wanted.amounts.items()}
    scaled = dataclasses.replace(wanted, generation=2, amounts=amounts, spec={"image": "nginx", "replicas": 4})
    known = lab_site.act(scaled, known, "scale")
    assert known.replicas == 4
    assert dict(known.amounts) == amounts


@pytest.mark.parametrize("fate", ["lose", "late"])
def test_an_action_whose_answer_is_lost_has_landed_or_never_will(site: Site, fate: str) -> None:
    wanted = site.wanted()
    known = site.made(wanted)
    site.cloud.script({"do": fate, "on": ["guest.act"], "after_s": [0.3, 0.3], "times": 1})
    attempt = lost(site, Verb.ACT, wanted, known, "stop")
    verdict = settled(site, attempt, known)
    # a cloud that fences nothing may land a late one: then the verdict waits until it has, or never can
    assert isinstance(verdict, Landed if fate == "lose" or not site.fenced else Revoked)
    at_rest(site)
    landed = isinstance(verdict, Landed)
    assert site.cloud.guests(wanted.resource_id)[0]["state"] == ("stopped" if landed else "running")
    assert site.act(wanted, verdict.facts, "stop").state is State.STOPPED


def test_a_worker_with_old_facts_changes_nothing(lab_site: Site) -> None:
    wanted = lab_site.wanted()
    old = lab_site.made(wanted)
    new = lab_site.act(wanted, lab_site.act(wanted, old, "stop"), "start")
    before = len(lab_site.cloud.mutations())
    step = lab_site.driver.act(wanted, old, lab_site.attempt(wanted, Verb.ACT, "stop"))
    assert isinstance(step, Facts)
    assert step.revision == new.revision
    assert step.state is State.RUNNING
    step = lab_site.driver.remove(wanted, old, lab_site.attempt(wanted, Verb.REMOVE))
    assert isinstance(step, Facts)
    assert step.cloud_id == new.cloud_id
    assert len(lab_site.cloud.mutations()) == before


# -- removal -----------------------------------------------------------------------------------------------------------------------


def test_removal_ends_in_absence_and_takes_the_ticket_along(site: Site) -> None:
    site.cloud.script(action_s=[0.1, 0.1])
    wanted = site.wanted()
    facts = site.removed(wanted, site.made(wanted))
    assert facts == Facts(changed_at=facts.changed_at)  # nothing is known of it, but since when
    assert site.cloud.guests(wanted.resource_id) == [] == site.cloud.tickets(wanted.resource_id)
    assert site.used_ram_mib() == 0


def test_what_is_not_there_counts_as_removed(site: Site) -> None:
    wanted = site.wanted()
    assert isinstance(site.driver.remove(wanted, Facts(), site.attempt(wanted, Verb.REMOVE)), Done)
    known = site.made(wanted)
    site.cloud.vanish(known.cloud_id)
    assert site.removed(wanted, known).state is State.ABSENT


def test_a_resource_is_removed_while_it_is_still_built(site: Site) -> None:
    site.cloud.script(build_s=[30, 30])
    wanted = site.wanted()
    step = site.driver.advance(wanted, site.before_create(wanted), site.attempt(wanted))
    assert isinstance(step, Facts)
    assert step.state is State.BUILDING
    assert site.removed(wanted, step).state is State.ABSENT


def test_a_stray_is_removed_alone_and_its_resource_lives_on(site: Site) -> None:
    wanted = site.wanted()
    first = site.made(wanted)
    stray_id = site.stray(wanted)
    assert stray_id != first.cloud_id
    unused = site.spare_ticket(wanted)
    seen = list(site.driver.observe(site.installation, wanted.resource_id))
    for item in seen:
        if item.facts.cloud_id == stray_id or item.facts.ticket_id == unused:
            assert site.walk(wanted, Verb.REMOVE, item.facts, contract.CLEAN).state is State.ABSENT
    assert [guest["id"] for guest in site.cloud.guests(wanted.resource_id)] == [first.cloud_id]
    assert [ticket["id"] for ticket in site.cloud.tickets(wanted.resource_id)] == [first.ticket_id] * bool(first.ticket_id)
    assert site.act(wanted, first, "stop").state is State.STOPPED


@pytest.mark.parametrize("fate", ["lose", "late", "drop"])
def test_a_removal_whose_answer_is_lost_is_settled_and_repeated(site: Site, fate: str) -> None:
    wanted = site.wanted()
    known = site.made(wanted)
    site.cloud.script({"do": fate, "on": ["guest.delete"], "after_s": [0.2, 0.2], "times": 1})
    attempt = lost(site, Verb.REMOVE, wanted, known)
    verdict = settled(site, attempt, known)
    assert verdict is not None
    at_rest(site)
    if site.fenced:
        assert isinstance(verdict, Landed if fate == "lose" else Revoked)
        assert len(site.cloud.guests(wanted.resource_id)) == (0 if fate == "lose" else 1)
    assert site.removed(wanted, verdict.facts).state is State.ABSENT
    assert site.cloud.guests(wanted.resource_id) == [] == site.cloud.tickets(wanted.resource_id)
