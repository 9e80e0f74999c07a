"""The contract of every driver, on a real cloud process.  What counts is the cloud's own inventory, record and log of calls."""

import concurrent.futures
import dataclasses
import itertools
import subprocess
import sys
import time

import pytest

from primitives import ids
from provisioners import contract
from provisioners.contract import Done, Facts, Landed, Revoked, State, Verb, Waiting
from tests.backends.site import INSTALLATION, ROOT, LabCloud, Site

ADVANCE = Verb.ADVANCE


def lost(site, verb, wanted, known, action=""):
    """An attempt whose answer does not come."""
    attempt = site.attempt(wanted, verb, action)
    call = {Verb.ADVANCE: site.driver.advance, Verb.ACT: site.driver.act, Verb.REMOVE: site.driver.remove}[verb]
    with pytest.raises(contract.AnswerLost):
        call(wanted, known, attempt)
    return attempt


def settled(site, attempt, known):
    """The verdict on an attempt, asked for until it is one; None when it cannot be ruled out."""
    for _ in range(50):
        verdict = site.driver.revoke(attempt, known)
        if not isinstance(verdict, Waiting):
            return verdict
    return None


def at_rest(site):
    """Wait until nothing more will happen in the cloud by itself."""
    while site.cloud.pending():
        time.sleep(0.02)


# -- one mutating call a verb ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [contract.VIRTUAL_MACHINE, contract.VOLUME, contract.CONTAINER_APP])
def test_a_whole_life_makes_at_most_one_mutating_call_a_verb(site, kind):
    site.cloud.script(build_s=[0.05, 0.05], action_s=[0.05, 0.05])
    spec = {"image": "nginx", "replicas": 2} if kind == contract.CONTAINER_APP else {"image": "debian-12"}
    wanted = site.wanted(kind, spec=spec)
    bigger = dataclasses.replace(wanted, generation=2, amounts={name: 2 * n for name, n in wanted.amounts.items()})
    known = site.made(wanted)
    for action in sorted(site.driver.actions[kind] & {"stop", "resize", "scale"}):
        known = site.act(bigger, known, action)
    site.removed(bigger, known)
    calls = [m["attempt"] for m in site.cloud.mutations() if m["attempt"]]
    assert len(calls) == len(set(calls)) >= 3
    assert site.cloud.guests(wanted.resource_id) == [] == site.cloud.tickets(wanted.resource_id)


def test_the_first_step_of_a_create_is_its_ticket_and_the_second_consumes_it(ticketed):
    wanted = ticketed.wanted()
    first = ticketed.driver.advance(wanted, Facts(), ticketed.attempt(wanted))
    assert isinstance(first, Facts)
    assert first.ticket_id
    assert not first.cloud_id
    assert ticketed.cloud.guests(wanted.resource_id) == []
    second = ticketed.driver.advance(wanted, first, ticketed.attempt(wanted))
    assert isinstance(second, Done)
    assert second.facts.cloud_id
    assert second.facts.state is State.RUNNING
    assert [m["operation"] for m in ticketed.cloud.mutations() if m["attempt"]] == ["ticket.create", "guest.create"]


def test_a_build_that_takes_time_holds_no_worker(site):
    site.cloud.script(build_s=[0.3, 0.3])
    wanted = site.wanted()
    step = site.driver.advance(wanted, site.before_create(wanted), site.attempt(wanted))
    assert isinstance(step, Facts)
    assert step.state is State.BUILDING
    assert isinstance(site.driver.advance(wanted, step, site.attempt(wanted)), Waiting)
    facts = site.walk(wanted, ADVANCE, step)
    assert facts.state is State.RUNNING
    assert len(facts.addresses) == 2
    assert facts.host
    assert facts.hall
    assert facts.zone


def test_a_guest_wanted_stopped_is_built_stopped_and_keeps_its_room(site):
    before = site.driver.capacity().hosts
    known = site.made(site.wanted(power=State.STOPPED))
    assert known.state is State.STOPPED
    used = {host.name: host.used.get("ram_mib", 0) for host in site.driver.capacity().hosts}
    assert sum(used.values()) - sum(host.used.get("ram_mib", 0) for host in before) == 4096
    assert used[known.host] >= 4096


# -- exactly once ------------------------------------------------------------------------------------------------------------------


def test_of_many_creates_at_once_with_one_ticket_exactly_one_makes_a_guest(ticketed):
    for _ in range(5):
        wanted = ticketed.wanted()
        known = ticketed.before_create(wanted)
        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            steps = list(pool.map(lambda _, w=wanted, k=known: ticketed.driver.advance(w, k, ticketed.attempt(w)), range(8)))
        guests = ticketed.cloud.guests(wanted.resource_id)
        assert len(guests) == 1
        assert {(s.facts if isinstance(s, Done) else s).cloud_id for s in steps} == {
            guests[0]["id"]
        }  # the losers learn of the winner
    creates = [m["status"] for m in ticketed.cloud.mutations() if m["operation"] == "guest.create"]
    assert sorted(creates) == [202] * 5 + [400] * 35


def test_a_create_that_comes_again_long_after_finds_the_first_guest(ticketed):
    wanted = ticketed.wanted()
    known = ticketed.before_create(wanted)
    made = ticketed.walk(wanted, ADVANCE, known)
    again = ticketed.driver.advance(wanted, known, ticketed.attempt(wanted))
    assert isinstance(again, Facts)
    assert again.cloud_id == made.cloud_id
    assert len(ticketed.cloud.guests(wanted.resource_id)) == 1


def test_a_create_by_tag_finds_what_it_made_before(tagged):
    wanted = tagged.wanted()
    made = tagged.made(wanted)
    again = tagged.driver.advance(wanted, Facts(), tagged.attempt(wanted))
    assert isinstance(again, Facts)
    assert again.cloud_id == made.cloud_id


def test_facts_lost_in_a_restore_are_found_again_by_the_tag(site):
    wanted = site.wanted()
    made = site.made(wanted)
    assert site.made(wanted).cloud_id == made.cloud_id
    assert site.removed(wanted, Facts()).state is State.ABSENT  # a removal, too, needs no facts
    assert site.cloud.guests(wanted.resource_id) == []


# -- lost answers ------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("how", ["reset", "500", "502", "504", "hang"])
@pytest.mark.parametrize("do", ["lose", "drop"])
def test_a_lost_answer_is_neither_a_yes_nor_a_no(site, how, do):
    wanted = site.wanted()
    known = site.before_create(wanted)
    site.cloud.script({"do": do, "on": ["guest.create"], "how": how, "after_s": [0.1, 0.1], "times": 1})
    attempt = lost(site, ADVANCE, wanted, known)
    verdict = settled(site, attempt, known)
    assert len(site.cloud.guests(wanted.resource_id)) == (1 if do == "lose" else 0)
    if do == "lose":
        assert isinstance(verdict, Landed)
        assert verdict.facts.cloud_id == site.cloud.guests(wanted.resource_id)[0]["id"]
    else:
        assert isinstance(verdict, Revoked) if site.driver.revocable else verdict is None
    known = verdict.facts if verdict else known
    assert site.walk(wanted, ADVANCE, known).state is State.RUNNING
    assert len(site.cloud.guests(wanted.resource_id)) == 1


def test_a_call_that_outlasts_the_bound_is_lost(cloud):
    site = Site(cloud, {"call_s": 1})
    wanted = site.wanted()
    known = site.before_create(wanted)
    site.cloud.script({"do": "latency", "on": ["guest.create"], "after_s": [1.5, 1.5], "times": 1})
    attempt = lost(site, ADVANCE, wanted, known)
    assert isinstance(settled(site, attempt, known), Revoked)  # the ticket went before the slow create came through
    deadline = time.monotonic() + 30
    while [m["status"] for m in cloud.mutations() if m["attempt"] == attempt.id and m["operation"] == "guest.create"] != [400]:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert cloud.guests(wanted.resource_id) == []


def test_a_late_create_after_its_revocation_is_refused(ticketed):
    wanted = ticketed.wanted()
    known = ticketed.before_create(wanted)
    ticketed.cloud.script({"do": "late", "on": ["guest.create"], "after_s": [0.5, 0.5], "times": 1})
    attempt = lost(ticketed, ADVANCE, wanted, known)
    verdict = ticketed.driver.revoke(attempt, known)
    assert isinstance(verdict, Revoked)
    assert verdict.facts.ticket_id == ""
    made = ticketed.walk(wanted, ADVANCE, verdict.facts)  # on a ticket of its own, while the late one is still under way
    at_rest(ticketed)
    assert [g["id"] for g in ticketed.cloud.guests(wanted.resource_id)] == [made.cloud_id]
    late = [m for m in ticketed.cloud.mutations() if m["fate"] == "late"]
    assert [(m["operation"], m["status"], m["landed_at"] is not None) for m in late] == [("guest.create", 400, True)]


def test_a_late_create_before_its_revocation_has_landed(ticketed):
    wanted = ticketed.wanted()
    known = ticketed.before_create(wanted)
    ticketed.cloud.script({"do": "late", "on": ["guest.create"], "after_s": [0.1, 0.1], "times": 1})
    attempt = lost(ticketed, ADVANCE, wanted, known)
    at_rest(ticketed)
    verdict = ticketed.driver.revoke(attempt, known)
    assert isinstance(verdict, Landed)
    assert verdict.facts.state is State.RUNNING
    assert isinstance(ticketed.driver.advance(wanted, verdict.facts, ticketed.attempt(wanted)), Done)


def test_a_create_sent_after_the_revocation_makes_nothing(ticketed):
    wanted = ticketed.wanted()
    known = ticketed.before_create(wanted)
    assert isinstance(ticketed.driver.revoke(ticketed.attempt(wanted), known), Revoked)
    step = ticketed.driver.advance(wanted, known, ticketed.attempt(wanted))  # a worker that slept past its lease
    assert isinstance(step, Facts)
    assert not step.cloud_id
    assert not step.ticket_id
    assert ticketed.cloud.guests(wanted.resource_id) == []


def test_revocation_and_creates_that_race_leave_one_guest_or_none_and_agree(ticketed):
    for _ in range(20):
        wanted = ticketed.wanted()
        known = ticketed.before_create(wanted)
        attempt = ticketed.attempt(wanted)
        with concurrent.futures.ThreadPoolExecutor(4) as pool:
            creates = [pool.submit(ticketed.driver.advance, wanted, known, ticketed.attempt(wanted)) for _ in range(3)]
            verdict = pool.submit(ticketed.driver.revoke, attempt, known).result()
            concurrent.futures.wait(creates)
        guests = ticketed.cloud.guests(wanted.resource_id)
        assert len(guests) == (1 if isinstance(verdict, Landed) else 0)


def test_a_revocation_whose_own_answer_is_lost_is_asked_again(ticketed):
    wanted = ticketed.wanted()
    known = ticketed.before_create(wanted)
    attempt = ticketed.attempt(wanted)
    ticketed.cloud.script({"do": "lose", "on": ["ticket.delete"], "times": 1})
    with pytest.raises(contract.AnswerLost):
        ticketed.driver.revoke(attempt, known)
    assert isinstance(ticketed.driver.revoke(attempt, known), Revoked)
    assert isinstance(ticketed.driver.revoke(attempt, known), Revoked)


def test_a_lost_ticket_is_found_again_and_not_made_twice(ticketed):
    wanted = ticketed.wanted()
    ticketed.cloud.script({"do": "lose", "on": ["ticket.create"], "times": 1})
    attempt = lost(ticketed, ADVANCE, wanted, Facts())
    verdict = ticketed.driver.revoke(attempt, Facts())
    assert isinstance(verdict, Landed)
    assert verdict.facts.ticket_id
    ticketed.walk(wanted, ADVANCE, verdict.facts)
    assert len(ticketed.cloud.tickets(wanted.resource_id)) == 1


def test_a_ticket_that_lands_late_makes_no_guest_and_goes_with_the_resource(ticketed):
    wanted = ticketed.wanted()
    ticketed.cloud.script({"do": "late", "on": ["ticket.create"], "after_s": [0.2, 0.2], "times": 1})
    attempt = lost(ticketed, ADVANCE, wanted, Facts())
    assert isinstance(ticketed.driver.revoke(attempt, Facts()), Revoked)
    made = ticketed.made(wanted)
    at_rest(ticketed)
    assert len(ticketed.cloud.tickets(wanted.resource_id)) == 2
    assert len(ticketed.cloud.guests(wanted.resource_id)) == 1
    assert {o.facts.ticket_id for o in ticketed.driver.observe(INSTALLATION) if o.kind == contract.TICKET} > {made.ticket_id}
    ticketed.removed(wanted, made)
    assert ticketed.cloud.tickets(wanted.resource_id) == []


def test_by_tag_alone_a_late_create_cannot_be_ruled_out_but_is_seen_when_it_lands(tagged):
    assert not tagged.driver.revocable
    wanted = tagged.wanted()
    tagged.cloud.script({"do": "late", "on": ["guest.create"], "after_s": [0.3, 0.3], "times": 1})
    attempt = lost(tagged, ADVANCE, wanted, Facts())
    assert isinstance(tagged.driver.revoke(attempt, Facts()), Waiting)
    at_rest(tagged)
    verdict = tagged.driver.revoke(attempt, Facts())
    assert isinstance(verdict, Landed)
    assert verdict.facts.cloud_id


def test_by_tag_alone_an_impatient_second_create_makes_a_second_guest_and_removal_takes_both(tagged):
    wanted = tagged.wanted()
    tagged.cloud.script({"do": "late", "on": ["guest.create"], "after_s": [0.2, 0.2], "times": 1})
    lost(tagged, ADVANCE, wanted, Facts())
    known = tagged.made(wanted)  # what the reconciler must not do: this is why the attempt stays open
    at_rest(tagged)
    assert len(tagged.cloud.guests(wanted.resource_id)) == 2
    tagged.removed(wanted, known)
    assert tagged.cloud.guests(wanted.resource_id) == []


# -- actions -----------------------------------------------------------------------------------------------------------------------


def test_start_and_stop_lead_to_the_state_and_count_once(site):
    wanted = site.wanted()
    known = site.made(wanted)
    known = site.act(wanted, known, "stop")
    assert known.state is State.STOPPED
    known = site.act(wanted, known, "stop")
    known = site.act(wanted, known, "start")
    assert known.state is State.RUNNING
    assert [m["operation"] for m in site.cloud.mutations()].count("guest.act") == 2


def test_a_restart_counts_once_per_generation(site):
    wanted = dataclasses.replace(site.wanted(), generation=5)
    known = site.act(wanted, site.made(wanted), "restart")
    assert known.done_generation == 5
    site.act(wanted, known, "restart")
    site.act(dataclasses.replace(wanted, generation=6), known, "restart")
    verbs = [event.verb for event in site.driver.events().events if event.resource_id == wanted.resource_id]
    assert verbs.count("restarted") == 2


def test_a_resize_changes_the_amounts_in_the_cloud(site):
    wanted = site.wanted()
    known = site.made(wanted)
    bigger = dataclasses.replace(wanted, generation=2, amounts=dict(wanted.amounts) | {"ram_mib": 16_384})
    known = site.act(bigger, known, "resize")
    assert known.amounts["ram_mib"] == 16_384
    assert sum(host.used.get("ram_mib", 0) for host in site.driver.capacity().hosts) == 16_384


def test_an_app_is_scaled_by_its_replicas(site):
    wanted = site.wanted(contract.CONTAINER_APP, spec={"image": "nginx", "replicas": 2})
    known = site.made(wanted)
    assert known.replicas == 2
    amounts = {name: 2 * n for name, n in wanted.amounts.items()}
    scaled = dataclasses.replace(wanted, generation=2, amounts=amounts, spec={"image": "nginx", "replicas": 4})
    known = site.act(scaled, known, "scale")
    assert known.replicas == 4
    assert dict(known.amounts) == amounts


@pytest.mark.parametrize("fate", ["lose", "late"])
def test_an_action_whose_answer_is_lost_has_landed_or_never_will(site, fate):
    wanted = site.wanted()
    known = site.made(wanted)
    site.cloud.script({"do": fate, "on": ["guest.act"], "after_s": [0.3, 0.3], "times": 1})
    attempt = lost(site, Verb.ACT, wanted, known, "stop")
    verdict = settled(site, attempt, known)
    assert isinstance(verdict, Landed if fate == "lose" else Revoked)
    at_rest(site)
    assert site.cloud.guests(wanted.resource_id)[0]["state"] == ("stopped" if fate == "lose" else "running")
    assert site.act(wanted, verdict.facts, "stop").state is State.STOPPED


def test_a_worker_with_old_facts_changes_nothing(site):
    wanted = site.wanted()
    old = site.made(wanted)
    new = site.act(wanted, site.act(wanted, old, "stop"), "start")
    before = len(site.cloud.mutations())
    step = site.driver.act(wanted, old, site.attempt(wanted, Verb.ACT, "stop"))
    assert isinstance(step, Facts)
    assert step.revision == new.revision
    assert step.state is State.RUNNING
    step = site.driver.remove(wanted, old, site.attempt(wanted, Verb.REMOVE))
    assert isinstance(step, Facts)
    assert step.cloud_id == new.cloud_id
    assert len(site.cloud.mutations()) == before


# -- removal -----------------------------------------------------------------------------------------------------------------------


def test_removal_ends_in_absence_and_takes_the_ticket_along(site):
    site.cloud.script(action_s=[0.1, 0.1])
    wanted = site.wanted()
    facts = site.removed(wanted, site.made(wanted))
    assert facts == Facts()
    assert site.cloud.guests(wanted.resource_id) == [] == site.cloud.tickets(wanted.resource_id)
    assert all(host.used.get("ram_mib", 0) == 0 for host in site.driver.capacity().hosts)


def test_what_is_not_there_counts_as_removed(site):
    wanted = site.wanted()
    assert isinstance(site.driver.remove(wanted, Facts(), site.attempt(wanted, Verb.REMOVE)), Done)
    known = site.made(wanted)
    site.cloud.call("DELETE", f"/lab/guests/{known.cloud_id}")
    assert site.removed(wanted, known).state is State.ABSENT


def test_a_resource_is_removed_while_it_is_still_built(site):
    site.cloud.script(build_s=[30, 30])
    wanted = site.wanted()
    step = site.driver.advance(wanted, site.before_create(wanted), site.attempt(wanted))
    assert isinstance(step, Facts)
    assert step.state is State.BUILDING
    assert site.removed(wanted, step).state is State.ABSENT


@pytest.mark.parametrize("fate", ["lose", "late", "drop"])
def test_a_removal_whose_answer_is_lost_is_settled_and_repeated(site, fate):
    wanted = site.wanted()
    known = site.made(wanted)
    site.cloud.script({"do": fate, "on": ["guest.delete"], "after_s": [0.2, 0.2], "times": 1})
    attempt = lost(site, Verb.REMOVE, wanted, known)
    verdict = settled(site, attempt, known)
    assert isinstance(verdict, Landed if fate == "lose" else Revoked)
    at_rest(site)
    assert len(site.cloud.guests(wanted.resource_id)) == (0 if fate == "lose" else 1)
    assert site.removed(wanted, verdict.facts).state is State.ABSENT


# -- looking -----------------------------------------------------------------------------------------------------------------------


def test_observe_lists_what_carries_the_tag_with_its_epoch_and_nothing_else(site):
    ours = [site.made(site.wanted(kind)) for kind in (contract.VIRTUAL_MACHINE, contract.VOLUME, contract.CONTAINER_APP)]
    older = site.made(site.wanted(epoch=2))
    other = contract.Tenant(code="tax", name="另一套系统", installation="county-7", epoch=1)
    site.driver.ensure_tenant(other)
    site.driver.set_limits(other, {"cpu_milli": 2000, "ram_mib": 4096, "disk_gib": 40, "instances": 1})
    theirs = site.made(site.wanted(installation="county-7"))
    foreign = site.cloud.call("POST", "/lab/guests", {"name": "手工创建的虚拟机"})["id"]
    seen = {o.facts.cloud_id: o for o in site.driver.observe(INSTALLATION) if o.kind != contract.TICKET}
    assert seen.keys() == {facts.cloud_id for facts in [*ours, older]}
    assert seen[older.cloud_id].epoch == 2
    assert seen[ours[0].cloud_id].epoch == 3
    everything = {o.facts.cloud_id: o for o in site.driver.observe("") if o.kind != contract.TICKET}
    assert everything.keys() == seen.keys() | {theirs.cloud_id, foreign}
    assert everything[foreign].installation == "" == everything[foreign].resource_id


def test_observe_of_one_resource_sees_its_guest_and_its_ticket(ticketed):
    wanted = ticketed.wanted()
    known = ticketed.made(wanted)
    ticketed.made(ticketed.wanted())
    seen = {o.kind: o for o in ticketed.driver.observe(INSTALLATION, wanted.resource_id)}
    assert seen.keys() == {contract.VIRTUAL_MACHINE, contract.TICKET}
    assert seen[contract.VIRTUAL_MACHINE].facts == known
    assert seen[contract.TICKET].facts.ticket_id == known.ticket_id


def test_observe_costs_one_call_for_a_thousand(site):
    for n in range(1, 1101):
        site.cloud.call("POST", "/lab/guests", {"name": f"f{n}"})
    before = [r for r in site.cloud.call("GET", "/lab/requests?limit=100000")["requests"] if r["operation"] == "read"]
    listed = list(site.driver.observe(""))
    after = [r for r in site.cloud.call("GET", "/lab/requests?limit=100000")["requests"] if r["operation"] == "read"]
    assert len({o.facts.cloud_id for o in listed}) == len(listed) == 1100
    assert len(after) - len(before) == 2


def test_events_come_once_each_in_order_and_go_on_at_the_cursor(site):
    wanted = site.wanted()
    known = site.act(wanted, site.made(wanted), "stop")
    first = site.driver.events()
    site.removed(wanted, known)
    rest = site.driver.events(first.cursor)
    assert [e.verb for e in first.events] == ["created", "built", "stopped"]
    assert [e.verb for e in rest.events] == ["deleted"]
    assert site.driver.events(rest.cursor) == contract.EventPage(events=(), cursor=rest.cursor, more=False)
    assert rest.events[0].facts.state is State.ABSENT
    assert dict(rest.events[0].facts.amounts) == dict(wanted.amounts)
    singly, cursor, more = [], "", True
    while more:
        page = site.driver.events(cursor, limit=1)
        singly, cursor, more = [*singly, *page.events], page.cursor, page.more
    assert singly == [*first.events, *rest.events]
    assert all(a.at <= b.at for a, b in itertools.pairwise(singly))


def test_capacity_adds_up_with_overcommit_and_the_largest_free_block(site):
    empty = site.driver.capacity()
    assert {host.zone for host in empty.hosts} == {"az1", "az2"}
    host = next(host for host in empty.hosts if host.service_class == "general")
    assert host.usable["cpu_milli"] == 4 * host.physical["cpu_milli"]
    assert empty.largest_free("ram_mib", zone="az1", service_class="general") == 262_144
    known = site.made(site.wanted(zone="az1", service_class="general"))
    full = {host.name: host for host in site.driver.capacity().hosts}
    assert full[known.host].zone == "az1"
    assert full[known.host].free["ram_mib"] == 262_144 - 4096
    for name in full:
        site.cloud.call("POST", f"/lab/hosts/{name}/disable")
    assert site.driver.capacity().largest_free("ram_mib") == 0


# -- limits and errors -------------------------------------------------------------------------------------------------------------


def test_the_native_limit_refuses_exactly_what_is_over_it(site):
    wanted = site.wanted()
    site.driver.set_limits(site.tenant, dict(wanted.amounts))
    made = site.made(wanted)
    with pytest.raises(contract.TemporaryError) as refusal:
        site.made(site.wanted())
    assert refusal.value.code == "cloud.quota"
    assert refusal.value.delay_s > 0
    assert refusal.value.zh
    bigger = dataclasses.replace(wanted, generation=2, amounts=dict(wanted.amounts) | {"ram_mib": 4097})
    with pytest.raises(contract.TemporaryError):
        site.act(bigger, made, "resize")
    site.removed(wanted, made)
    assert site.made(site.wanted()).state is State.RUNNING
    assert site.cloud.call("GET", f"/v1/tenants/{INSTALLATION}/tax/limits")["used"] == dict(wanted.amounts)


def test_a_tenant_without_limits_holds_nothing_and_ensuring_it_again_keeps_them(site):
    new = contract.Tenant(code="audit", name="审计局", installation=INSTALLATION, epoch=3)
    project = site.driver.ensure_tenant(new)
    with pytest.raises(contract.TemporaryError):
        site.made(site.wanted(tenant="audit"))
    site.driver.set_limits(new, {"cpu_milli": 2000, "ram_mib": 4096, "disk_gib": 40, "instances": 1})
    assert site.driver.ensure_tenant(new) == project
    assert site.made(site.wanted(tenant="audit")).state is State.RUNNING


@pytest.mark.parametrize(
    ("reason", "error"),
    [
        ("quota", contract.TemporaryError),
        ("overloaded", contract.TemporaryError),
        ("no_host", contract.PermanentError),
        ("image_missing", contract.PermanentError),
        ("forbidden", contract.PermanentError),
    ],
)
def test_a_refusal_changes_nothing_and_says_why_in_both_languages(site, reason, error):
    wanted = site.wanted(name="统计年鉴")
    known = site.before_create(wanted)
    site.cloud.script({"do": "refuse", "on": ["guest.create"], "name": "统计*", "reason": reason})
    with pytest.raises(error) as refusal:
        site.driver.advance(wanted, known, site.attempt(wanted))
    assert refusal.value.code.startswith("cloud.")
    assert refusal.value.en
    assert any("\u4e00" <= c <= "\u9fff" for c in refusal.value.zh)
    assert site.cloud.guests(wanted.resource_id) == []
    assert site.made(site.wanted(name="人口库")).state is State.RUNNING


def test_no_room_in_the_zone_and_class_is_a_permanent_no(site):
    with pytest.raises(contract.PermanentError) as refusal:
        site.made(site.wanted(zone="az9"))
    assert refusal.value.code == "cloud.no_host"


def test_a_build_that_fails_is_a_permanent_error_and_can_be_removed(site):
    wanted = site.wanted()
    known = site.before_create(wanted)
    site.cloud.script({"do": "fail", "on": ["guest.create"]})
    with pytest.raises(contract.PermanentError) as failure:
        site.walk(wanted, ADVANCE, known)
    assert failure.value.code == "cloud.failed"
    observed = next(o for o in site.driver.observe(INSTALLATION, wanted.resource_id) if o.kind != contract.TICKET)
    assert observed.facts.state is State.ERROR
    assert site.removed(wanted, observed.facts).state is State.ABSENT


def test_a_guest_that_vanishes_is_not_made_again_unasked(site):
    wanted = site.wanted()
    known = site.made(wanted)
    site.cloud.call("DELETE", f"/lab/guests/{known.cloud_id}")
    for call, verb in ((site.driver.advance, ADVANCE), (site.driver.act, Verb.ACT)):
        with pytest.raises(contract.PermanentError) as gone:
            call(wanted, known, site.attempt(wanted, verb, "stop"))
        assert gone.value.code == "cloud.vanished"
    assert [o for o in site.driver.observe(INSTALLATION) if o.kind != contract.TICKET] == []


def test_a_cloud_that_is_down_is_a_temporary_error_and_nothing_is_lost(site):
    wanted = site.wanted()
    known = site.made(wanted)
    site.cloud.kill()
    with pytest.raises(contract.TemporaryError) as down:
        site.driver.act(wanted, known, site.attempt(wanted, Verb.ACT, "stop"))
    assert down.value.code == "cloud.unreachable"
    with pytest.raises(contract.TemporaryError):
        list(site.driver.observe(INSTALLATION))
    site.cloud.start()
    assert site.act(wanted, known, "stop").state is State.STOPPED


def test_a_read_that_is_lost_is_temporary_because_nothing_was_changed(site):
    site.cloud.script({"do": "lose", "on": ["read"], "times": 1})
    with pytest.raises(contract.TemporaryError):
        site.driver.capacity()
    assert site.driver.capacity().hosts


# -- the cloud outlives everybody --------------------------------------------------------------------------------------------------


def test_a_killed_cloud_knows_everything_again_and_still_lands_what_it_accepted(site):
    kept = site.made(site.wanted())
    wanted = site.wanted()
    known = site.before_create(wanted)
    site.cloud.script({"do": "late", "on": ["guest.create"], "after_s": [0.5, 0.5], "times": 1}, build_s=[0.2, 0.2])
    attempt = lost(site, ADVANCE, wanted, known)
    before = (site.driver.events(), list(site.driver.observe("")), site.driver.capacity(), site.cloud.pending())
    site.cloud.kill()
    site.cloud.start()
    if site.cloud.pending() == before[3]:
        assert (site.driver.events(), list(site.driver.observe("")), site.driver.capacity()) == before[:3]
    at_rest(site)
    verdict = settled(site, attempt, known)
    assert isinstance(verdict, Landed)
    assert {o.facts.cloud_id for o in site.driver.observe(INSTALLATION) if o.kind != contract.TICKET} == {
        kept.cloud_id,
        verdict.facts.cloud_id,
    }


def test_the_driver_says_that_no_guest_runs_and_what_it_can_do(site):
    driver: contract.Driver = site.driver
    assert driver.simulated
    assert "no guest runs" in site.cloud.ready["banner"]
    assert set(driver.actions) == driver.kinds >= {contract.VIRTUAL_MACHINE, contract.VOLUME, contract.CONTAINER_APP}
    assert driver.bounds.call_s > 0
    assert driver.bounds.late_s >= 0


def test_facts_survive_their_row(site):
    facts = site.made(site.wanted())
    assert Facts.from_json(facts.as_json()) == facts
    assert Facts.from_json(facts.as_json() | {"of_a_later_release": 1}) == facts


def test_hostile_names_and_ids_reach_the_cloud_as_they_are(site):
    wanted = site.wanted(name="'; DROP TABLE guests; --\u0000 \U0001f600", resource_id=ids.new("vm"))
    made = site.made(wanted)
    assert site.cloud.guests(wanted.resource_id)[0]["name"] == wanted.name
    site.removed(wanted, made)


def test_two_clouds_never_share_a_file(cloud: LabCloud):
    second = subprocess.run(
        [sys.executable, "-m", "provisioners.lab.cloud", "--file", str(cloud.file), "--port", "0"],
        capture_output=True, text=True, timeout=60, check=False, cwd=ROOT,
    )  # fmt: skip
    assert second.returncode == 1
    assert "open in another lab cloud" in second.stderr
