"""Pools on both databases: room is held in the order's transaction, never more than there is, in the place that fits best."""

import concurrent.futures
from typing import Any

import hypothesis
import pytest
from hypothesis import strategies as st

from pools import model, service
from primitives import errors, ids
from store import database as store_database
from store import transaction
from tests.integration import tenants_world

VM = "VirtualMachine"
SMALL = {"cpu_milli": 2000, "ram_mib": 4096, "disk_gib": 50}


def host(name: str, *, zone: str = "az1", service_class: str = "general", enabled: bool = True, **amounts: int) -> model.Host:
    """A host as a driver reports it; CPU is overcommitted four times."""
    physical = {"cpu_milli": 16000, "ram_mib": 65536, "disk_gib": 1000} | amounts
    return model.Host(
        pool_id="",
        name=name,
        zone=zone,
        service_class=service_class,
        hall="hall-1",
        enabled=enabled,
        physical=physical,
        usable=physical | {"cpu_milli": physical["cpu_milli"] * 4},
        used={},
    )


def pool(tx: transaction.Transaction, code: str, *hosts: model.Host, level: int = 3, **more: Any) -> model.Pool:
    """A pool with these hosts."""
    spec = model.PoolSpec(name=f"{code} 资源池", driver="lab", driver_settings={}, protection_level=level, **more)
    made = service.create(tx, code=code, spec=spec, kinds=[VM])
    service.record_capacity(tx, pool_id=made.id, hosts=hosts)
    return made


def choose(tx: transaction.Transaction, **wish: Any) -> model.Place:
    """The place chosen for a small machine of a department of level 2, unless `wish` says otherwise."""
    return service.choose(tx, **{"kind": VM, "protection_level": 2, "amounts": SMALL, **wish})


def hold(tx: transaction.Transaction, place: model.Place, amounts: dict[str, int]) -> str:
    """Hold room there; the holder."""
    holder = ids.new("vm")
    service.hold(tx, pool_id=place.pool_id, zone=place.zone, service_class=place.service_class, amounts=amounts, holder=holder)
    return holder


def held(tx: transaction.Transaction) -> dict[str, int]:
    """name -> held, over all places."""
    total: dict[str, int] = {}
    for room in service.rooms(tx):
        total[room.name] = total.get(room.name, 0) + room.held
    return total


def test_room_is_held_confirmed_changed_and_given_back(database: store_database.Database) -> None:
    def run(tx: transaction.Transaction) -> None:
        pool(tx, "east", host("h1"))
        holder = hold(tx, choose(tx, amounts=SMALL | {"instances": 1}), SMALL | {"instances": 1})
        assert held(tx) == SMALL, "a count of machines takes no room"
        service.confirm(tx, holder=holder)
        service.change(tx, holder=holder, amounts={"cpu_milli": 4000, "ram_mib": 2048, "disk_gib": 50})
        assert held(tx) == {"cpu_milli": 4000, "ram_mib": 2048, "disk_gib": 50}
        assert service.check(tx) == []
        assert service.release(tx, holder=holder)
        assert not service.release(tx, holder=holder)
        assert held(tx) == dict.fromkeys(SMALL, 0)

    tenants_world.experiment(database, run)


def test_a_full_pool_refuses_and_keeps_nothing_of_the_refused(database: store_database.Database) -> None:
    def run(tx: transaction.Transaction) -> None:
        pool(tx, "east", host("h1", ram_mib=8192))
        place = choose(tx)
        hold(tx, place, SMALL)
        hold(tx, place, SMALL)
        before = held(tx)
        with pytest.raises(errors.GovpoolError) as refused:
            hold(tx, place, SMALL)
        assert refused.value.code == "pool.full"
        assert held(tx) == before
        assert tenants_world.code_of(choose, tx) == "pool.full"
        holder = hold(tx, place, {"disk_gib": 1})
        assert tenants_world.code_of(service.change, tx, holder=holder, amounts=SMALL) == "pool.full"
        assert service.check(tx) == []

    tenants_world.experiment(database, run)


def test_what_no_single_host_can_take_is_refused_though_the_sum_would_do(database: store_database.Database) -> None:
    def run(tx: transaction.Transaction) -> None:
        pool(tx, "east", host("cpu", ram_mib=4096), host("ram", cpu_milli=500))
        assert tenants_world.code_of(choose, tx, amounts={"cpu_milli": 32000, "ram_mib": 32768}) == "pool.block"
        assert choose(tx, amounts={"cpu_milli": 32000, "ram_mib": 4096}).code == "east"

    tenants_world.experiment(database, run)


@pytest.mark.parametrize(
    ("wish", "code", "why"),
    [
        ({"zone": "az9"}, "pool.none", "no host in this zone"),
        ({"service_class": "gold"}, "pool.none", "no host in this zone and class"),
        ({"kind": "ContainerApp"}, "pool.none", "makes no ContainerApp"),
        ({"protection_level": 4}, "pool.none", "protection level 3 is below 4"),
        ({"pool": "nowhere"}, "pool.unknown", "nowhere"),
        ({"amounts": {"gpus": 1}}, "pool.full", "gpus 1"),
    ],
)
def test_the_refusal_says_why_no_pool_matches(database: store_database.Database, wish: dict[str, Any], code: str, why: str) -> None:
    def run(tx: transaction.Transaction) -> None:
        pool(tx, "east", host("h1"))
        with pytest.raises(errors.GovpoolError) as refused:
            choose(tx, **wish)
        assert refused.value.code == code
        assert why in refused.value.text("en")

    tenants_world.experiment(database, run)


def test_a_paused_pool_takes_nothing_new_and_goes_on_with_what_it_has(database: store_database.Database) -> None:
    def run(tx: transaction.Transaction) -> None:
        made = pool(tx, "east", host("h1"))
        holder = hold(tx, choose(tx), SMALL)
        paused = service.set_paused(tx, made, True)
        assert tenants_world.code_of(choose, tx) == "pool.none"
        service.change(tx, holder=holder, amounts=SMALL | {"ram_mib": 8192})
        service.set_paused(tx, paused, False)
        assert choose(tx).code == "east"

    tenants_world.experiment(database, run)


def test_the_pool_with_most_free_of_the_scarcest_name_is_chosen_and_ties_go_by_code(database: store_database.Database) -> None:
    def run(tx: transaction.Transaction) -> None:
        pool(tx, "west", host("w1"))
        pool(tx, "east", host("e1"))
        first = choose(tx)
        assert first.code == "east"
        hold(tx, first, SMALL)
        assert choose(tx).code == "west"
        hold(tx, choose(tx), {"disk_gib": 900})
        assert choose(tx).code == "east", "west has more memory free, but its disk is nearly full"
        assert choose(tx, amounts={"cpu_milli": 1000}).code == "west", "only what is asked for counts"

    tenants_world.experiment(database, run)


def test_hosts_with_gpus_are_kept_for_those_who_ask_for_gpus(database: store_database.Database) -> None:
    def run(tx: transaction.Transaction) -> None:
        pool(tx, "east", host("h1"), host("g1", service_class="gpu", gpus=8))
        hold(tx, choose(tx), {"ram_mib": 60000})
        assert choose(tx).service_class == "general"
        assert choose(tx, amounts=SMALL | {"gpus": 1}).service_class == "gpu"

    tenants_world.experiment(database, run)


def test_a_host_that_goes_leaves_an_excess_that_only_shrinks(database: store_database.Database) -> None:
    def run(tx: transaction.Transaction) -> None:
        made = pool(tx, "east", host("h1", ram_mib=8192), host("h2", ram_mib=8192))
        holders = [hold(tx, choose(tx), {"ram_mib": 4096}) for _ in range(4)]
        service.record_capacity(tx, pool_id=made.id, hosts=[host("h1", ram_mib=8192)])
        assert {room.name: room.over_by for room in service.rooms(tx)}["ram_mib"] == 8192
        for left in (4096, 0, 0):
            service.release(tx, holder=holders.pop())
            assert {room.name: room.over_by for room in service.rooms(tx)}["ram_mib"] == left
        assert [each.name for each in service.hosts(tx)] == ["h1"]
        assert service.check(tx) == []

    tenants_world.experiment(database, run)


def test_a_disabled_host_offers_nothing_but_what_lies_on_it_still_counts(database: store_database.Database) -> None:
    def run(tx: transaction.Transaction) -> None:
        import dataclasses

        busy = dataclasses.replace(host("h1", ram_mib=8192, enabled=False), used={"ram_mib": 4096})
        made = pool(tx, "east", busy, host("h2", ram_mib=8192))
        assert {room.name: room.capacity for room in service.rooms(tx, pool_id=made.id)}["ram_mib"] == 4096 + 8192
        assert tenants_world.code_of(choose, tx, amounts={"ram_mib": 8193}) == "pool.block"

    tenants_world.experiment(database, run)


def test_the_pool_can_bound_the_overcommit_that_the_cloud_allows(database: store_database.Database) -> None:
    def run(tx: transaction.Transaction) -> None:
        pool(tx, "east", host("h1"), overcommit_permille={"cpu_milli": 1500, "ram_mib": 9000})
        assert {room.name: room.capacity for room in service.rooms(tx)} == {
            "cpu_milli": 24000,
            "ram_mib": 65536,
            "disk_gib": 1000,
        }

    tenants_world.experiment(database, run)


def test_32_threads_hold_exactly_what_there_is(database: store_database.Database) -> None:
    database.lane.run(lambda tx: pool(tx, "east", host("h1", ram_mib=100 * 512)))

    def order(tx: transaction.Transaction) -> None:
        hold(tx, choose(tx, amounts={"ram_mib": 512}), {"ram_mib": 512})

    with concurrent.futures.ThreadPoolExecutor(32) as threads:
        asked = [threads.submit(tenants_world.code_of, database.lane.run, order) for _ in range(256)]
    answers = [each.result() for each in asked]
    assert answers.count("") == 100
    assert answers.count("pool.full") == 156
    assert database.read(service.check) == []


step = st.tuples(st.sampled_from(["hold", "release", "change", "report"]), st.integers(0, 9), st.integers(1, 30))


@tenants_world.QUICK
@hypothesis.given(steps=st.lists(step, min_size=5, max_size=40))
def test_what_is_held_is_always_the_sum_of_the_holders(
    database: store_database.Database, steps: list[tuple[str, int, int]]
) -> None:
    def run(tx: transaction.Transaction) -> None:
        made = pool(tx, "east", host("h1", ram_mib=64))
        capacity, holders = 64, dict[str, int]()
        for verb, pick, amount in steps:
            total = sum(holders.values())
            holder = sorted(holders)[pick % len(holders)] if holders else ""
            if verb == "report":
                capacity = amount * 3
                service.record_capacity(tx, pool_id=made.id, hosts=[host("h1", ram_mib=capacity)])
            elif verb == "hold":
                place = model.Place(pool_id=made.id, code="east", zone="az1", service_class="general", rooms={}, blocks=())
                new = ""
                try:
                    new = hold(tx, place, {"ram_mib": amount})
                    holders[new] = amount
                except errors.GovpoolError as error:
                    assert (error.code, new) == ("pool.full", "")  # noqa: PT017
                assert bool(new) == (total + amount <= capacity)
            elif holder and verb == "release":
                service.release(tx, holder=holder)
                del holders[holder]
            elif holder:
                grown = amount - holders[holder]
                refused = tenants_world.code_of(service.change, tx, holder=holder, amounts={"ram_mib": amount})
                assert (refused == "") == (grown <= 0 or total + grown <= capacity)
                holders[holder] = holders[holder] if refused else amount
            assert service.check(tx) == []
            room = next(room for room in service.rooms(tx) if room.name == "ram_mib")
            assert (room.held, room.over_by) == (sum(holders.values()), max(0, sum(holders.values()) - capacity))

    tenants_world.experiment(database, run)
