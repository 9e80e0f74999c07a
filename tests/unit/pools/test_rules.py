"""Pure decisions of pools: what hosts come to, the largest free blocks, which place is best."""

import hypothesis
from hypothesis import strategies as st

from pools import model, rules

free = st.fixed_dictionaries({"cpu_milli": st.integers(0, 9), "ram_mib": st.integers(0, 9), "disk_gib": st.integers(0, 9)})


def host(name: str, usable: dict[str, int], *, used: dict[str, int] | None = None, enabled: bool = True) -> model.Host:
    """A host of one place."""
    return model.Host(
        pool_id="p",
        name=name,
        zone="az1",
        service_class="general",
        hall="h",
        enabled=enabled,
        physical=usable,
        usable=usable,
        used=used or {},
    )


def place(code: str, **rooms: tuple[int, int]) -> model.Place:
    """A place with (capacity, held) of each name."""
    made = {
        name: model.Room(
            pool_id=code,
            zone="az1",
            service_class="general",
            name=name,
            physical=capacity,
            capacity=capacity,
            used=0,
            held=held,
            over_by=0,
        )
        for name, (capacity, held) in rooms.items()
    }
    return model.Place(pool_id=code, code=code, zone="az1", service_class="general", rooms=made, blocks=())


@hypothesis.given(hosts=st.lists(free, max_size=8), wish=free)
def test_the_free_blocks_answer_as_all_hosts_would(hosts: list[dict[str, int]], wish: dict[str, int]) -> None:
    asked = {name: amount for name, amount in wish.items() if amount}
    blocks = rules.blocks(host(f"h{number}", each) for number, each in enumerate(hosts)).get(("az1", "general"), [])
    hypothesis.assume(asked)
    assert any(rules.fits(asked, block) for block in blocks) == any(rules.fits(asked, each) for each in hosts)
    assert len(blocks) <= len(hosts)


@hypothesis.given(hosts=st.lists(st.tuples(free, free, st.booleans()), max_size=8))
def test_a_disabled_host_counts_with_what_lies_on_it_and_no_more(hosts: list[tuple[dict[str, int], dict[str, int], bool]]) -> None:
    rooms = rules.rooms(host(f"h{n}", usable, used=used, enabled=on) for n, (usable, used, on) in enumerate(hosts))
    for (_, _, name), (physical, capacity, used) in rooms.items():
        assert physical == sum(usable[name] for usable, _, _ in hosts)
        assert used == sum(in_use[name] for _, in_use, _ in hosts)
        assert capacity == sum(usable[name] if on else min(usable[name], in_use[name]) for usable, in_use, on in hosts)


def test_a_disabled_host_offers_no_block() -> None:
    assert rules.blocks([host("h1", {"ram_mib": 9}, enabled=False)]) == {("az1", "general"): []}


def test_the_scarcest_name_decides_by_share_and_not_by_size() -> None:
    small = place("a", cpu_milli=(10, 1), ram_mib=(10, 5))
    big = place("b", cpu_milli=(1000, 600), ram_mib=(1000, 100))
    assert rules.best([small, big], {"cpu_milli": 1, "ram_mib": 1}).code == "a", "a has half of its memory, b 40 % of its CPU"
    assert rules.best([big, small], {"ram_mib": 1}).code == "b"
    assert rules.best([place("z", ram_mib=(9, 3)), place("y", ram_mib=(3, 1))], {"ram_mib": 1}).code == "y", "2/3 each: by code"


def test_what_is_missing_is_named_also_where_a_place_has_none_of_it() -> None:
    assert rules.missing(place("a", ram_mib=(10, 8)), {"ram_mib": 5, "gpus": 1}) == {"ram_mib": 3, "gpus": 1}
