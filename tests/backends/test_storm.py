"""A small reconciler against a cloud that loses, drops and delays calls of every kind: what the contract promises must be enough.

The reconciler here shares nothing with the product's; it does only what `provisioners/contract.py` says a caller does.
"""

import concurrent.futures
import time

import pytest

from provisioners import contract
from provisioners.contract import Done, Facts, Landed, Revoked, Verb, Waiting
from tests.backends.site import INSTALLATION, Site, at_rest

TROUBLE = [
    {"do": "late", "on": ["guest.*", "ticket.*"], "percent": 20, "after_s": [0.05, 0.6]},
    {"do": "drop", "on": ["*"], "percent": 10, "how": "reset"},
    {"do": "lose", "on": ["*"], "percent": 15, "how": "502"},
    {"do": "lose", "on": ["*"], "percent": 10, "how": "reset"},
    {"do": "latency", "on": ["*"], "percent": 20, "after_s": [0, 0.05]},
    {"do": "refuse", "on": ["guest.create"], "percent": 10, "reason": "overloaded"},
]


def carried(site: Site, verb: Verb, wanted: contract.Wanted, known: Facts, action: str = "") -> Facts:
    """Repeat a verb until it is done; an attempt whose answer is lost is settled before the next is opened."""
    while True:
        attempt = site.attempt(wanted, verb, action)
        try:
            step = site.step(verb, wanted, known, attempt)
        except contract.TemporaryError:
            continue
        except contract.AnswerLost:
            known = settled(site, attempt, known)
            continue
        if isinstance(step, Done):
            return step.facts
        if isinstance(step, Waiting):
            time.sleep(0.02)
        else:
            known = step


def settled(site: Site, attempt: contract.Attempt, known: Facts) -> Facts:
    """Ask for the verdict until there is one."""
    while True:
        try:
            verdict = site.driver.revoke(attempt, known)
        except (contract.TemporaryError, contract.AnswerLost):
            continue
        if isinstance(verdict, Revoked | Landed):
            return verdict.facts
        time.sleep(0.02)


def killed_now_and_then(site: Site, times: int) -> None:
    """Kill the cloud itself and start it again."""
    for _ in range(times):
        time.sleep(0.15)
        site.cloud.kill()
        site.cloud.start()


@pytest.mark.parametrize(("seed", "kills"), [(1, 0), (2, 0), (3, 3)])
def test_whatever_is_lost_each_resource_has_one_guest_and_after_removal_none(ticketed: Site, seed: int, kills: int) -> None:
    ticketed.cloud.script(*TROUBLE, seed=seed, build_s=[0, 0.1], action_s=[0, 0.1])
    several = [ticketed.wanted(name=f"企业监管-{n:02}") for n in range(24)]

    def live(number: int) -> tuple[contract.Wanted, Facts]:
        wanted = several[number]
        known = carried(ticketed, Verb.ADVANCE, wanted, Facts())
        if number % 3 == 0:
            known = carried(ticketed, Verb.ACT, wanted, known, "stop")
        if number % 4 == 0:
            known = carried(ticketed, Verb.REMOVE, wanted, known)
        return wanted, known

    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        living = [pool.submit(live, number) for number in range(len(several))]
        killed_now_and_then(ticketed, kills)
        lived = [future.result() for future in living]
    at_rest(ticketed)
    ticketed.cloud.script()
    for number, (wanted, known) in enumerate(lived):
        guests = ticketed.cloud.guests(wanted.resource_id)
        assert [guest["id"] for guest in guests] == ([] if number % 4 == 0 else [known.cloud_id])
        assert [guest["state"] for guest in guests] == ([] if number % 4 == 0 else ["stopped" if number % 3 == 0 else "running"])
    lost = [call for call in ticketed.cloud.mutations() if call["fate"] != "answered"]
    assert {call["fate"] for call in lost} == {"late", "dropped", "lost"}  # the storm did blow
    for wanted, known in lived:
        carried(ticketed, Verb.REMOVE, wanted, known)
    assert list(ticketed.driver.observe(INSTALLATION)) == []
    assert all(not any(host.used.values()) for host in ticketed.driver.capacity().hosts)
    assert not any(ticketed.cloud.call("GET", f"/v1/tenants/{INSTALLATION}/tax/limits")["used"].values())
