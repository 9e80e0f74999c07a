"""The contract of every driver on a real cloud process: one call a verb, creates exactly once, lost answers, revocation.

The suite goes on in `test_contract_change.py` (actions, removal) and `test_contract_view.py` (looking, limits, errors, the cloud's
death).  What counts is the cloud's own inventory, record and log of calls.
"""

import concurrent.futures
import dataclasses
import time

import pytest

from provisioners import contract
from provisioners.contract import Done, Facts, Landed, Revoked, State, Verb, Waiting
from tests.backends.site import LabCloud, Site, at_rest, lost, settled

# -- one mutating call a verb ------------------------------------------------------------------------------------------------------


def test_a_whole_life_makes_at_most_one_mutating_call_a_verb(site: Site) -> None:
    site.cloud.script(build_s=[0.05, 0.05], action_s=[0.05, 0.05])
    for kind in sorted(site.driver.kinds):
        spec = {"image": "nginx", "replicas": 2} if kind == contract.CONTAINER_APP else {"image": "debian-12"}
        wanted = site.wanted(kind, spec=spec)
        doubled = {name: n if name == "instances" else 2 * n for name, n in wanted.amounts.items()}
        bigger = dataclasses.replace(wanted, generation=2, amounts=doubled)
        known = site.made(wanted)
        for action in sorted(site.driver.actions[kind] & {"stop", "resize", "scale"}):
            known = site.act(bigger, known, action)
        site.removed(bigger, known)
        calls = [m["attempt"] for m in site.cloud.mutations() if m["attempt"]]
        assert len(calls) == len(set(calls)) >= 3
        assert site.cloud.guests(wanted.resource_id) == [] == site.cloud.tickets(wanted.resource_id)


def test_a_create_makes_its_ticket_first_and_its_last_step_consumes_it(ticketed: Site) -> None:
    wanted = ticketed.wanted()
    first = ticketed.driver.advance(wanted, Facts(), ticketed.attempt(wanted))
    assert isinstance(first, Facts)
    assert first.ticket_id
    assert not first.cloud_id
    ready = ticketed.before_create(wanted)
    assert ready.ticket_id == first.ticket_id
    assert ticketed.cloud.guests(wanted.resource_id) == []
    last = ticketed.driver.advance(wanted, ready, ticketed.attempt(wanted))
    assert isinstance(last, Done | Facts)
    assert (last.facts if isinstance(last, Done) else last).cloud_id == ticketed.cloud.guests(wanted.resource_id)[0]["id"]
    operations = [m["operation"] for m in ticketed.cloud.mutations() if m["attempt"]]
    assert (operations[0], operations[-1]) == ("ticket.create", "guest.create")
    assert operations.count("ticket.create") == operations.count("guest.create") == 1


def test_a_build_that_takes_time_holds_no_worker(site: Site) -> None:
    site.cloud.script(build_s=[0.3, 0.3])
    wanted = site.wanted()
    step = site.driver.advance(wanted, site.before_create(wanted), site.attempt(wanted))
    assert isinstance(step, Facts)
    assert step.state is State.BUILDING
    assert isinstance(site.driver.advance(wanted, step, site.attempt(wanted)), Waiting)
    facts = site.walk(wanted, Verb.ADVANCE, step)
    assert facts.state is State.RUNNING
    assert len(facts.addresses) == 2
    assert facts.host
    assert facts.hall
    assert facts.zone


def test_a_guest_wanted_stopped_is_built_stopped_and_keeps_its_room(site: Site) -> None:
    known = site.made(site.wanted(power=State.STOPPED))
    assert known.state is State.STOPPED
    assert site.used_ram_mib() == 4096
    used = {host.name: host.used.get("ram_mib", 0) for host in site.driver.capacity().hosts}
    assert used[known.host] >= 4096


# -- exactly once ------------------------------------------------------------------------------------------------------------------


def test_of_many_creates_at_once_with_one_ticket_exactly_one_makes_a_guest(ticketed: Site) -> None:
    rounds = ticketed.rounds(5)
    for _ in range(rounds):
        wanted = ticketed.wanted()
        known = ticketed.before_create(wanted)
        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            steps = list(pool.map(lambda _, w=wanted, k=known: ticketed.driver.advance(w, k, ticketed.attempt(w)), range(8)))
        guests = ticketed.cloud.guests(wanted.resource_id)
        assert len(guests) == 1
        learned = [step.facts if isinstance(step, Done) else step for step in steps if not isinstance(step, Waiting)]
        assert learned
        assert {facts.cloud_id for facts in learned} == {guests[0]["id"]}  # the losers, too
        assert ticketed.walk(wanted, Verb.ADVANCE, learned[0]).state is State.RUNNING
    creates = [m["status"] for m in ticketed.cloud.mutations() if m["operation"] == "guest.create"]
    assert creates.count(202) == rounds
    assert set(creates) == {202, 400}


def test_a_create_that_comes_again_long_after_finds_the_first_guest(ticketed: Site) -> None:
    wanted = ticketed.wanted()
    known = ticketed.before_create(wanted)
    made = ticketed.walk(wanted, Verb.ADVANCE, known)
    again = ticketed.driver.advance(wanted, known, ticketed.attempt(wanted))
    assert isinstance(again, Facts)
    assert again.cloud_id == made.cloud_id
    assert len(ticketed.cloud.guests(wanted.resource_id)) == 1


def test_a_create_by_tag_finds_what_it_made_before(tagged: Site) -> None:
    wanted = tagged.wanted()
    made = tagged.made(wanted)
    again = tagged.driver.advance(wanted, Facts(), tagged.attempt(wanted))
    assert isinstance(again, Facts)
    assert again.cloud_id == made.cloud_id


def test_facts_lost_in_a_restore_are_found_again_by_the_tag(site: Site) -> None:
    wanted = site.wanted()
    made = site.made(wanted)
    assert site.made(wanted).cloud_id == made.cloud_id
    assert site.removed(wanted, Facts()).state is State.ABSENT  # a removal, too, needs no facts
    assert site.cloud.guests(wanted.resource_id) == []


# -- lost answers ------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("how", ["reset", "500", "502", "504", "hang"])
@pytest.mark.parametrize("do", ["lose", "drop"])
def test_a_lost_answer_is_neither_a_yes_nor_a_no(site: Site, how: str, do: str) -> None:
    wanted = site.wanted()
    known = site.before_create(wanted)
    site.cloud.script({"do": do, "on": ["guest.create"], "how": how, "after_s": [0.1, 0.1], "times": 1})
    attempt = lost(site, Verb.ADVANCE, wanted, known)
    verdict = settled(site, attempt, known)
    assert len(site.cloud.guests(wanted.resource_id)) == (1 if do == "lose" else 0)
    if do == "lose":
        assert isinstance(verdict, Landed)
        assert verdict.facts.cloud_id == site.cloud.guests(wanted.resource_id)[0]["id"]
    else:
        assert isinstance(verdict, Revoked) if site.driver.revocable else verdict is None
    known = verdict.facts if verdict else known
    assert site.walk(wanted, Verb.ADVANCE, known).state is State.RUNNING
    assert len(site.cloud.guests(wanted.resource_id)) == 1


def test_a_call_that_outlasts_the_bound_is_lost(cloud: LabCloud) -> None:
    site = Site(cloud, {"call_s": 1})
    wanted = site.wanted()
    known = site.before_create(wanted)
    site.cloud.script({"do": "latency", "on": ["guest.create"], "after_s": [1.5, 1.5], "times": 1})
    attempt = lost(site, Verb.ADVANCE, wanted, known)
    assert isinstance(settled(site, attempt, known), Revoked)  # the ticket went before the slow create came through
    deadline = time.monotonic() + 30
    while [m["status"] for m in cloud.mutations() if m["attempt"] == attempt.id and m["operation"] == "guest.create"] != [400]:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert cloud.guests(wanted.resource_id) == []


def test_a_late_create_after_its_revocation_is_refused(ticketed: Site) -> None:
    wanted = ticketed.wanted()
    known = ticketed.before_create(wanted)
    ticketed.cloud.script({"do": "late", "on": ["guest.create"], "after_s": [0.5, 0.5 * ticketed.pace], "times": 1})
    attempt = lost(ticketed, Verb.ADVANCE, wanted, known)
    verdict = ticketed.driver.revoke(attempt, known)
    assert isinstance(verdict, Revoked)
    assert verdict.facts.ticket_id == ""
    made = ticketed.walk(wanted, Verb.ADVANCE, verdict.facts)  # on a ticket of its own, while the late one is still under way
    at_rest(ticketed)
    assert [g["id"] for g in ticketed.cloud.guests(wanted.resource_id)] == [made.cloud_id]
    late = [m for m in ticketed.cloud.mutations() if m["fate"] == "late"]
    assert [(m["operation"], m["status"], m["landed_at"] is not None) for m in late] == [("guest.create", 400, True)]


def test_a_late_create_before_its_revocation_has_landed(ticketed: Site) -> None:
    wanted = ticketed.wanted()
    known = ticketed.before_create(wanted)
    ticketed.cloud.script({"do": "late", "on": ["guest.create"], "after_s": [0.1, 0.1], "times": 1})
    attempt = lost(ticketed, Verb.ADVANCE, wanted, known)
    at_rest(ticketed)
    verdict = ticketed.driver.revoke(attempt, known)
    assert isinstance(verdict, Landed)
    assert verdict.facts.cloud_id == ticketed.cloud.guests(wanted.resource_id)[0]["id"]
    assert ticketed.walk(wanted, Verb.ADVANCE, verdict.facts).state is State.RUNNING


def test_a_create_sent_after_the_revocation_makes_nothing(ticketed: Site) -> None:
    wanted = ticketed.wanted()
    known = ticketed.before_create(wanted)
    assert isinstance(ticketed.driver.revoke(ticketed.attempt(wanted), known), Revoked)
    step = ticketed.driver.advance(wanted, known, ticketed.attempt(wanted))  # a worker that slept past its lease
    assert isinstance(step, Facts)
    assert not step.cloud_id
    assert not step.ticket_id
    assert ticketed.cloud.guests(wanted.resource_id) == []


def test_revocation_and_creates_that_race_leave_one_guest_or_none_and_agree(ticketed: Site) -> None:
    for _ in range(ticketed.rounds(20)):
        wanted = ticketed.wanted()
        known = ticketed.before_create(wanted)
        attempt = ticketed.attempt(wanted)
        with concurrent.futures.ThreadPoolExecutor(4) as pool:
            creates = [pool.submit(ticketed.driver.advance, wanted, known, ticketed.attempt(wanted)) for _ in range(3)]
            revoked = pool.submit(settled, ticketed, attempt, known)
            concurrent.futures.wait(creates)
            verdict = revoked.result()
        assert verdict is not None
        guests = ticketed.cloud.guests(wanted.resource_id)
        assert len(guests) == (1 if isinstance(verdict, Landed) else 0)


def test_a_revocation_whose_own_answer_is_lost_is_asked_again(ticketed: Site) -> None:
    wanted = ticketed.wanted()
    known = ticketed.before_create(wanted)
    attempt = ticketed.attempt(wanted)
    ticketed.cloud.script({"do": "lose", "on": ["ticket.delete"], "times": 1})
    with pytest.raises(contract.AnswerLost):
        ticketed.driver.revoke(attempt, known)
    assert isinstance(ticketed.driver.revoke(attempt, known), Revoked)
    assert isinstance(ticketed.driver.revoke(attempt, known), Revoked)


def test_a_lost_ticket_is_found_again_and_not_made_twice(ticketed: Site) -> None:
    wanted = ticketed.wanted()
    ticketed.cloud.script({"do": "lose", "on": ["ticket.create"], "times": 1})
    attempt = lost(ticketed, Verb.ADVANCE, wanted, Facts())
    verdict = ticketed.driver.revoke(attempt, Facts())
    assert isinstance(verdict, Landed)
    assert verdict.facts.ticket_id
    ticketed.walk(wanted, Verb.ADVANCE, verdict.facts)
    assert len(ticketed.cloud.tickets(wanted.resource_id)) == 1


def test_a_worker_without_facts_takes_the_ticket_that_is_there(ticketed: Site) -> None:
    wanted = ticketed.wanted()
    first = ticketed.before_create(wanted)  # its facts were never stored
    assert ticketed.before_create(wanted) == first
    assert len(ticketed.cloud.tickets(wanted.resource_id)) == 1


def test_a_ticket_that_lands_late_makes_no_guest_and_goes_with_the_resource(ticketed: Site) -> None:
    wanted = ticketed.wanted()
    ticketed.cloud.script({"do": "late", "on": ["ticket.create"], "after_s": [0.2, 0.2 * ticketed.pace], "times": 1})
    attempt = lost(ticketed, Verb.ADVANCE, wanted, Facts())
    assert isinstance(ticketed.driver.revoke(attempt, Facts()), Revoked)
    made = ticketed.made(wanted)
    at_rest(ticketed)
    assert len(ticketed.cloud.tickets(wanted.resource_id)) == 2
    assert len(ticketed.cloud.guests(wanted.resource_id)) == 1
    assert {o.facts.ticket_id for o in ticketed.driver.observe(ticketed.installation) if o.kind == contract.TICKET} > {
        made.ticket_id
    }
    ticketed.removed(wanted, made)
    assert ticketed.cloud.tickets(wanted.resource_id) == []


def test_by_tag_alone_a_late_create_cannot_be_ruled_out_but_is_seen_when_it_lands(tagged: Site) -> None:
    assert not tagged.driver.revocable
    wanted = tagged.wanted()
    tagged.cloud.script({"do": "late", "on": ["guest.create"], "after_s": [0.3, 0.3], "times": 1})
    attempt = lost(tagged, Verb.ADVANCE, wanted, Facts())
    assert isinstance(tagged.driver.revoke(attempt, Facts()), Waiting)
    at_rest(tagged)
    verdict = tagged.driver.revoke(attempt, Facts())
    assert isinstance(verdict, Landed)
    assert verdict.facts.cloud_id


def test_by_tag_alone_an_impatient_second_create_makes_a_second_guest_and_removal_takes_both(tagged: Site) -> None:
    wanted = tagged.wanted()
    tagged.cloud.script({"do": "late", "on": ["guest.create"], "after_s": [0.2, 0.2], "times": 1})
    lost(tagged, Verb.ADVANCE, wanted, Facts())
    known = tagged.made(wanted)  # what the reconciler must not do: this is why the attempt stays open
    at_rest(tagged)
    assert len(tagged.cloud.guests(wanted.resource_id)) == 2
    tagged.removed(wanted, known)
    assert tagged.cloud.guests(wanted.resource_id) == []
