"""The contract of every driver: looking in bulk, events, capacity, native limits, errors, and a cloud that outlives everybody."""

import dataclasses
import itertools
import subprocess
import sys

import pytest

from primitives import ids
from provisioners import contract
from provisioners.contract import Facts, Landed, State, Verb
from tests.backends.site import INSTALLATION, ROOT, LabCloud, Site, at_rest, lost, settled

# -- looking -----------------------------------------------------------------------------------------------------------------------


def test_observe_lists_what_carries_the_tag_with_its_epoch_and_nothing_else(site: Site) -> None:
    ours = [site.made(site.wanted(kind)) for kind in sorted(site.driver.kinds)]
    older = site.made(site.wanted(epoch=2))
    other = contract.Tenant(code="tax", name="另一套系统", installation=f"{site.installation}-7", epoch=1)
    site.driver.ensure_tenant(other)
    site.driver.set_limits(other, {"cpu_milli": 2000, "ram_mib": 4096, "disk_gib": 40, "instances": 1})
    theirs = site.made(site.wanted(installation=other.installation))
    foreign = site.cloud.foreign("手工创建的虚拟机")
    seen = {o.facts.cloud_id: o for o in site.driver.observe(site.installation) if o.kind != contract.TICKET}
    assert seen.keys() == {facts.cloud_id for facts in [*ours, older]}
    assert seen[older.cloud_id].epoch == 2
    assert seen[ours[0].cloud_id].epoch == 3
    everything = {o.facts.cloud_id: o for o in site.driver.observe("") if o.kind != contract.TICKET}
    assert everything.keys() >= seen.keys() | {theirs.cloud_id, foreign}
    assert everything.keys() == seen.keys() | {theirs.cloud_id, foreign} or not site.alone
    assert everything[foreign].installation == "" == everything[foreign].resource_id


def test_observe_of_one_resource_sees_its_guest_and_its_ticket(ticketed: Site) -> None:
    wanted = ticketed.wanted()
    known = ticketed.made(wanted)
    ticketed.made(ticketed.wanted())
    seen = {o.kind: o for o in ticketed.driver.observe(ticketed.installation, wanted.resource_id)}
    assert seen.keys() == {contract.VIRTUAL_MACHINE, contract.TICKET}
    assert seen[contract.VIRTUAL_MACHINE].facts == known
    assert seen[contract.TICKET].facts.ticket_id == known.ticket_id


def test_observe_costs_one_call_for_a_thousand(lab_site: Site) -> None:
    for n in range(1, 1101):
        lab_site.cloud.call("POST", "/lab/guests", {"name": f"f{n}"})
    before = [r for r in lab_site.cloud.call("GET", "/lab/requests?limit=100000")["requests"] if r["operation"] == "read"]
    listed = list(lab_site.driver.observe(""))
    after = [r for r in lab_site.cloud.call("GET", "/lab/requests?limit=100000")["requests"] if r["operation"] == "read"]
    assert len({o.facts.cloud_id for o in listed}) == len(listed) == 1100
    assert len(after) - len(before) == 2


def test_events_come_once_each_in_order_and_go_on_at_the_cursor(lab_site: Site) -> None:
    wanted = lab_site.wanted()
    known = lab_site.act(wanted, lab_site.made(wanted), "stop")
    first = lab_site.driver.events()
    lab_site.removed(wanted, known)
    rest = lab_site.driver.events(first.cursor)
    assert [e.verb for e in first.events] == ["created", "built", "stopped"]
    assert [e.verb for e in rest.events] == ["deleted"]
    assert lab_site.driver.events(rest.cursor) == contract.EventPage(events=(), cursor=rest.cursor, more=False)
    assert rest.events[0].facts.state is State.ABSENT
    assert dict(rest.events[0].facts.amounts) == dict(wanted.amounts)
    singly: list[contract.Event] = []
    cursor, more = "", True
    while more:
        page = lab_site.driver.events(cursor, limit=1)
        singly, cursor, more = [*singly, *page.events], page.cursor, page.more
    assert singly == [*first.events, *rest.events]
    assert all(a.at <= b.at for a, b in itertools.pairwise(singly))


def test_capacity_adds_up_with_overcommit_and_the_largest_free_block(lab_site: Site) -> None:
    empty = lab_site.driver.capacity()
    assert {host.zone for host in empty.hosts} == {"az1", "az2"}
    host = next(host for host in empty.hosts if host.service_class == "general")
    assert host.usable["cpu_milli"] == 4 * host.physical["cpu_milli"]
    assert empty.largest_free("ram_mib", zone="az1", service_class="general") == 262_144
    known = lab_site.made(lab_site.wanted(zone="az1", service_class="general"))
    full = {host.name: host for host in lab_site.driver.capacity().hosts}
    assert full[known.host].zone == "az1"
    assert full[known.host].free["ram_mib"] == 262_144 - 4096
    for name in full:
        lab_site.cloud.call("POST", f"/lab/hosts/{name}/disable")
    assert lab_site.driver.capacity().largest_free("ram_mib") == 0


# -- limits and errors -------------------------------------------------------------------------------------------------------------


def test_the_native_limit_refuses_exactly_what_is_over_it(site: Site) -> None:
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
    assert site.used_ram_mib() == wanted.amounts["ram_mib"]


def test_a_tenant_without_limits_holds_nothing_and_ensuring_it_again_keeps_them(site: Site) -> None:
    new = contract.Tenant(code="audit", name="审计局", installation=site.installation, epoch=3)
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
def test_a_refusal_changes_nothing_and_says_why_in_both_languages(
    lab_site: Site, reason: str, error: type[contract.DriverError]
) -> None:
    wanted = lab_site.wanted(name="统计年鉴")
    known = lab_site.before_create(wanted)
    lab_site.cloud.script({"do": "refuse", "on": ["guest.create"], "name": "统计*", "reason": reason})
    with pytest.raises(error) as refusal:
        lab_site.driver.advance(wanted, known, lab_site.attempt(wanted))
    assert refusal.value.code.startswith("cloud.")
    assert refusal.value.en
    assert any("\u4e00" <= c <= "\u9fff" for c in refusal.value.zh)
    assert lab_site.cloud.guests(wanted.resource_id) == []
    assert lab_site.made(lab_site.wanted(name="人口库")).state is State.RUNNING


def test_no_room_in_the_zone_and_class_is_a_permanent_no(site: Site) -> None:
    with pytest.raises(contract.PermanentError) as refusal:
        site.made(site.wanted(zone="az9"))
    assert refusal.value.code == "cloud.no_host"


def test_a_build_that_fails_is_a_permanent_error_and_can_be_removed(site: Site) -> None:
    wanted = site.wanted()
    known = site.before_create(wanted)
    site.cloud.script({"do": "fail", "on": ["guest.create"]})
    with pytest.raises(contract.PermanentError) as failure:
        site.walk(wanted, Verb.ADVANCE, known)
    assert failure.value.code == "cloud.failed"
    observed = next(o for o in site.driver.observe(site.installation, wanted.resource_id) if o.kind != contract.TICKET)
    assert observed.facts.state is State.ERROR
    assert site.removed(wanted, observed.facts).state is State.ABSENT


def test_a_guest_that_vanishes_is_not_made_again_unasked(site: Site) -> None:
    wanted = site.wanted()
    known = site.made(wanted)
    site.cloud.vanish(known.cloud_id)
    for call, verb in ((site.driver.advance, Verb.ADVANCE), (site.driver.act, Verb.ACT)):
        with pytest.raises(contract.PermanentError) as gone:
            call(wanted, known, site.attempt(wanted, verb, "stop"))
        assert gone.value.code == "cloud.vanished"
    assert [o for o in site.driver.observe(site.installation) if o.kind != contract.TICKET] == []


def test_a_cloud_that_is_down_is_a_temporary_error_and_nothing_is_lost(site: Site) -> None:
    wanted = site.wanted()
    known = site.made(wanted)
    site.cloud.kill()
    with pytest.raises(contract.TemporaryError) as down:
        site.driver.act(wanted, known, site.attempt(wanted, Verb.ACT, "stop"))
    assert down.value.code == "cloud.unreachable"
    with pytest.raises(contract.TemporaryError):
        list(site.driver.observe(site.installation))
    site.cloud.start()
    assert site.act(wanted, known, "stop").state is State.STOPPED


def test_a_read_that_is_lost_is_temporary_because_nothing_was_changed(site: Site) -> None:
    site.cloud.script({"do": "lose", "on": ["read"], "times": 1})
    with pytest.raises(contract.TemporaryError):
        site.driver.capacity()
    assert site.driver.capacity().hosts


# -- the cloud outlives everybody --------------------------------------------------------------------------------------------------


def shown(site: Site) -> tuple[object, ...]:
    """All that a cloud shows."""
    return site.driver.events(), list(site.driver.observe("")), site.driver.capacity()


def test_a_killed_cloud_knows_everything_again_and_still_lands_what_it_accepted(lab_site: Site) -> None:
    kept = lab_site.made(lab_site.wanted())
    wanted = lab_site.wanted()
    known = lab_site.before_create(wanted)
    lab_site.cloud.script({"do": "late", "on": ["guest.create"], "after_s": [0.5, 0.5], "times": 1}, build_s=[0.2, 0.2])
    attempt = lost(lab_site, Verb.ADVANCE, wanted, known)
    waiting = lab_site.cloud.pending()
    before = shown(lab_site)
    lab_site.cloud.kill()
    lab_site.cloud.start()
    after = shown(lab_site)
    if waiting and lab_site.cloud.pending() == waiting:  # nothing landed meanwhile
        assert after == before
    at_rest(lab_site)
    verdict = settled(lab_site, attempt, known)
    assert isinstance(verdict, Landed)
    assert {o.facts.cloud_id for o in lab_site.driver.observe(INSTALLATION) if o.kind != contract.TICKET} == {
        kept.cloud_id,
        verdict.facts.cloud_id,
    }


def test_the_driver_says_that_no_guest_runs_and_what_it_can_do(lab_site: Site) -> None:
    driver: contract.Driver = lab_site.driver
    assert driver.simulated
    assert "no guest runs" in lab_site.cloud.ready["banner"]
    assert set(driver.actions) == driver.kinds >= {contract.VIRTUAL_MACHINE, contract.VOLUME, contract.CONTAINER_APP}
    assert driver.bounds.call_s > 0
    assert driver.bounds.late_s >= 0


def test_facts_survive_their_row(site: Site) -> None:
    facts = site.made(site.wanted())
    assert Facts.from_json(facts.as_json()) == facts
    assert Facts.from_json(facts.as_json() | {"of_a_later_release": 1}) == facts


def test_hostile_names_and_ids_reach_the_cloud_as_they_are(site: Site) -> None:
    wanted = site.wanted(name="'; DROP TABLE guests; --\u0000 \U0001f600", resource_id=ids.new("vm"))
    made = site.made(wanted)
    assert site.cloud.guests(wanted.resource_id)[0]["name"] == site.shown(wanted.name)
    site.removed(wanted, made)


def test_two_clouds_never_share_a_file(cloud: LabCloud) -> None:
    second = subprocess.run(
        [sys.executable, "-m", "provisioners.lab.cloud", "--file", str(cloud.file), "--port", "0"],
        capture_output=True, text=True, timeout=60, check=False, cwd=ROOT,
    )  # fmt: skip
    assert second.returncode == 1
    assert "open in another lab cloud" in second.stderr
