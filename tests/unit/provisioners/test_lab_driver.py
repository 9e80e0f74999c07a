"""What the lab driver and the registry take as settings, placement, and the records of the contract."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from primitives import errors
from provisioners import contract, registry
from provisioners.lab import placement, wire

URL = "http://127.0.0.1:4711"


def test_a_driver_is_made_without_a_connection() -> None:
    driver = registry.driver("lab", {"url": URL})
    assert driver.revocable
    assert driver.bounds.late_s == 30
    assert not registry.driver("lab", {"url": URL, "create": "tag"}).revocable


@pytest.mark.parametrize(
    ("settings", "field"),
    [
        ({}, "url"),
        ({"url": "http://192.0.2.1:80"}, "url"),
        ({"url": "https://127.0.0.1:80"}, "url"),
        ({"url": "http://127.0.0.1"}, "url"),
        ({"url": "http://127.0.0.1:99999"}, "url"),
        ({"url": 7}, "url"),
        ({"url": URL, "create": "hope"}, "create"),
        ({"url": URL, "call_s": 0}, "call_s"),
        ({"url": URL, "call_s": True}, "call_s"),
        ({"url": URL, "late_s": "30"}, "late_s"),
        ({"url": URL, "password": "x"}, "password"),
    ],
)
def test_settings_out_of_bounds_name_their_field(settings: dict[str, Any], field: str) -> None:
    with pytest.raises(errors.GovpoolError) as refusal:
        registry.driver("lab", settings)
    assert refusal.value.code == "driver.settings"
    assert refusal.value.values["field"] == field


def test_an_unknown_driver_names_the_known_ones() -> None:
    with pytest.raises(errors.GovpoolError) as refusal:
        registry.driver("mainframe", {})
    assert refusal.value.code == "driver.unknown"
    assert "lab" in refusal.value.text("zh")


TEXTS = st.text(max_size=20)
AMOUNTS = st.dictionaries(st.sampled_from(["cpu_milli", "ram_mib", "gpus.a100"]), st.integers(0, 10**15))


@given(
    st.builds(
        contract.Facts, state=st.sampled_from(contract.State), cloud_id=TEXTS, ticket_id=TEXTS, revision=TEXTS, amounts=AMOUNTS,
        done_generation=st.integers(0, 2**63 - 1), addresses=st.lists(TEXTS, max_size=3).map(tuple), replicas=st.integers(0, 9),
        host=TEXTS, hall=TEXTS, detail=TEXTS, extra=st.dictionaries(TEXTS, TEXTS),
    )
)  # fmt: skip
def test_facts_come_back_from_json_as_they_were(facts: contract.Facts) -> None:
    assert contract.Facts.from_json(facts.as_json()) == facts


def host(name: str, *, enabled: bool = True, used: dict[str, int] | None = None, **usable: int) -> wire.Host:
    """A host of az1, general."""
    return wire.Host(
        name=name,
        zone="az1",
        service_class="general",
        hall="hall-1",
        enabled=enabled,
        physical=usable,
        usable=usable,
        used=used or {},
    )


@given(st.lists(st.tuples(st.integers(0, 64), st.integers(0, 64)), max_size=6), st.integers(0, 64))
def test_a_guest_goes_where_it_fits_and_nowhere_else(hosts: list[tuple[int, int]], asked: int) -> None:
    made = [host(f"h{n}", used={"ram_mib": min(used, usable)}, ram_mib=usable) for n, (usable, used) in enumerate(hosts)]
    chosen = placement.choose(made, {"ram_mib": asked, "instances": 1}, "", "")
    frees = [each.usable["ram_mib"] - each.used["ram_mib"] for each in made]
    assert (chosen is not None) == any(free >= asked for free in frees)
    if chosen is not None:
        assert chosen.usable["ram_mib"] - chosen.used["ram_mib"] == max(frees)


def test_gpu_hosts_are_kept_for_those_who_ask_and_finer_classes_must_be_there() -> None:
    plain, gpu = host("z", ram_mib=10), wire.Host(
        name="a", zone="az1", service_class="general", hall="hall-1", enabled=True, physical={}, usable={"ram_mib": 99, "gpus": 8}, used={}
    )  # fmt: skip
    assert placement.choose([gpu, plain], {"ram_mib": 1}, "", "") == plain
    assert placement.choose([gpu, plain], {"ram_mib": 1, "gpus": 1}, "", "") == gpu
    assert placement.choose([gpu, plain], {"gpus": 1, "gpus.a100": 1}, "", "") is None


def test_a_disabled_host_takes_nothing_new_but_what_lies_on_it_may_grow() -> None:
    off = host("h", enabled=False, ram_mib=10)
    assert placement.choose([off], {"ram_mib": 1}, "", "") is None
    assert placement.choose([off], {"ram_mib": 1}, "", "", preferred="h") == off
    assert placement.choose([off], {"ram_mib": 1}, "az2", "", preferred="h") is None


def test_the_largest_free_block_is_that_of_one_host_not_the_sum() -> None:
    hosts = [
        contract.Host(
            name=name, zone="az1", service_class="general", hall="hall-1", enabled=enabled, physical={"ram_mib": 64},
            usable={"ram_mib": 64}, used={"ram_mib": used},
        )
        for name, used, enabled in (("a", 60, True), ("b", 34, True), ("c", 0, False), ("d", 70, True))
    ]  # fmt: skip
    capacity = contract.Capacity(hosts=tuple(hosts))
    assert capacity.largest_free("ram_mib") == 30
    assert capacity.largest_free("ram_mib", zone="az2") == 0
    assert capacity.largest_free("gpus") == 0
