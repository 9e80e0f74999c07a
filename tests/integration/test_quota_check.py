"""`quota check` finds every number that somebody bent, `quota repair` puts it right without loosening anything, also while orders go on."""

import concurrent.futures
import dataclasses
import pathlib
from collections.abc import Iterator
from typing import Any

import pytest

from control import quota_check, quota_repair
from orders import model as orders_model
from pools import repair as pools_repair
from primitives import errors
from provisioners import service as provisioners
from quotas import grants, model, repair, service
from quotas.budgets import service as money_service
from store import database as store_database
from store.transaction import Transaction, sql
from tests.integration import tenants_world
from tests.integration.office import Office, change, create
from tests.integration.quota_oracle import NAME, World, first_grants, step
from tests.integration.reconciler_world import lab_cloud


@pytest.fixture
def office(database_url: str, tmp_path: pathlib.Path) -> Iterator[Office]:
    """The tax bureau with two machines, one of them waiting for a resize, and an order that waits."""
    with lab_cloud(tmp_path) as lab:
        built = Office(database_url, lab)
        built.machine("web")
        built.machine("db")
        built.ask_for_approval_of("create", "resize")
        built.order(create("later", count=2))
        built.order(change("resize", "db", "small"))
        yield built
        built.close()


def found(office: Office) -> list[quota_check.Finding]:
    """What the check finds now."""
    findings: list[quota_check.Finding] = office.read(lambda tx: list(quota_check.findings(tx)))
    return findings


def bend(office: Office, *statements: str, **values: Any) -> None:
    """A hand in the database."""
    office.lane(lambda tx: [tx.execute(sql(each), **{k: v for k, v in values.items() if f":{k}" in each}) for each in statements])


def mend(office: Office, agreed: str | None = None) -> list[dict[str, Any]]:
    """Repair what a check finds; what was put right."""
    findings = found(office)
    digest = quota_check.digest(findings) if agreed is None else agreed
    root = dataclasses.replace(
        office.operator,
        bindings=tuple(dataclasses.replace(each, tenant_id=office.read(_root)) for each in office.operator.bindings),
    )
    repaired: list[dict[str, Any]] = office.case(quota_repair.repair(findings, digest), root)["repaired"]
    return repaired


def _root(tx: Transaction) -> str:
    row = tx.one(sql("SELECT id FROM tenants WHERE parent_id = ''"))
    assert row is not None
    return str(row["id"])


def test_a_sound_system_has_no_finding_whatever_waits(office: Office) -> None:
    assert found(office) == []
    number = office.order(create("bin-me"))
    office.decide(number, orders_model.Verdict.APPROVED)
    office.work()
    assert found(office) == []


@pytest.mark.parametrize(
    ("statement", "code"),
    [
        ("UPDATE grants SET drawn = drawn - 1000 WHERE tenant_id = :tenant AND name = 'cpu_milli'", "grant.derived"),
        ("UPDATE grants SET drawn = drawn + 7 WHERE tenant_id = :tenant AND name = 'cpu_milli'", "grant.derived"),
        ("UPDATE grants SET over_by = 5 WHERE tenant_id = :tenant AND name = 'ram_mib'", "grant.derived"),
        ("UPDATE grants SET subtree_quota = subtree_quota - 1 WHERE tenant_id = :tenant AND name = 'ram_mib'", "grant.derived"),
        ("UPDATE pool_rooms SET held = held - 1 WHERE name = 'ram_mib' AND held > 0", "room.derived"),
        ("UPDATE quota_amounts SET amount = amount + 1 WHERE holder = :web AND name = 'ram_mib'", "quota.amount"),
        ("UPDATE pool_amounts SET amount = amount + 1 WHERE holder = :web AND name = 'ram_mib'", "room.amount"),
        ("UPDATE quota_reservations SET tenant_id = :root WHERE holder = :web", "quota.elsewhere"),
        ("UPDATE pool_holds SET zone = 'az9' WHERE holder = :web", "room.elsewhere"),
    ],
)  # fmt: skip
def test_a_bent_number_is_found_and_added_up_again(office: Office, statement: str, code: str) -> None:
    web = office.rows()[0].id
    bend(office, statement, tenant=office.tenant_id, web=web, root=office.read(_root))
    findings = found(office)
    assert code in {each.code for each in findings}
    assert all(each.repair for each in findings)
    assert mend(office)
    assert found(office) == []
    assert mend(office) == [], "what is right stays as it is"


def test_a_reservation_without_a_resource_is_a_leak_and_is_released(office: Office) -> None:
    used = office.drawn("cpu_milli")
    office.lane(
        lambda tx: service.reserve(tx, tenant_id=office.tenant_id, amounts={"cpu_milli": 5}, holder="vm-lost", expires_at=None)
    )
    place = office.rows()[0]
    office.lane(
        lambda tx: pools_repair.put_right(
            tx, holder="vm-lost", place=(place.pool_id, place.zone, place.service_class), amounts={"cpu_milli": 5}, confirmed=False
        )
    )
    assert {(each.code, each.object) for each in found(office)} == {("quota.leak", "vm-lost"), ("room.leak", "vm-lost")}
    mend(office)
    assert found(office) == []
    assert office.drawn("cpu_milli") == used


def test_a_resource_without_a_reservation_is_a_hole_and_holds_again(office: Office) -> None:
    web = office.rows()[0].id
    held = office.held(web)
    office.lane(lambda tx: (service.release(tx, holder=web), pools_repair.release(tx, holder=web)))
    assert {each.code for each in found(office)} == {"quota.hole", "room.hole", "money.derived"}, "money that no units stand behind"
    mend(office)
    assert office.held(web) == held
    assert found(office) == []


@pytest.mark.parametrize(
    ("statement", "field"),
    [
        ("UPDATE budget_holds SET tenant_id = :root WHERE holder = :web", "held_elsewhere"),
        ("UPDATE budget_holds SET year = year + 1 WHERE holder = :web", "year"),
        ("UPDATE budget_holds SET amount_micro = amount_micro + 5 WHERE holder = :web", "amount_micro"),
    ],
)
def test_bent_money_goes_back_to_where_it_was(office: Office, statement: str, field: str) -> None:
    web = office.rows()[0].id
    before = office.read(lambda tx: money_service.held(tx, holders=[web]))
    bend(office, statement, web=web, root=office.read(_root))
    assert field in {each.field for each in found(office)}
    mend(office)
    assert found(office) == []
    assert office.read(lambda tx: money_service.held(tx, holders=[web])) == before


def test_room_that_is_kept_for_a_move_that_does_not_wait_is_a_leak_and_is_released(office: Office) -> None:
    bend(
        office,
        "INSERT INTO quota_incoming (order_id, name, from_id, tenant_id, amount) VALUES ('ord-lost', 'cpu_milli', :root, :tenant, 5)",
        tenant=office.tenant_id,
        root=office.read(_root),
    )
    assert [(each.code, each.object, each.stored) for each in found(office)] == [("move.leak", "ord-lost", 5)]
    assert [each["code"] for each in mend(office)] == ["move.leak"]
    assert found(office) == []


def test_no_limit_is_loosened_what_does_not_fit_is_an_excess(office: Office) -> None:
    """The hole is mended though its quota was given to others meanwhile: then only shrinking passes."""
    web = office.rows()[0].id
    office.lane(lambda tx: service.release(tx, holder=web))
    used = office.drawn("cpu_milli")
    grant = model.Grant(granted=used)
    office.lane(lambda tx: grants.set_grant(tx, tenant_id=office.tenant_id, name="cpu_milli", grant=grant))
    mend(office)
    standing = office.read(lambda tx: service.standing(tx, tenant_id=office.tenant_id, name="cpu_milli"))
    assert (standing.granted, standing.drawn, standing.over_by) == (used, used + 1000, 1000)
    with pytest.raises(errors.GovpoolError) as refused:
        office.order(create("more"))
    assert refused.value.code == "quota.exceeded"
    assert found(office) == []


def test_grants_that_contradict_each_other_are_left_to_a_person(office: Office) -> None:
    bend(
        office,
        "UPDATE grants SET granted = 5, subtree_quota = 5, over_by = drawn WHERE tenant_id = :root AND name = 'instances'",
        root=office.read(_root),
    )
    assert {each.code for each in found(office)} >= {"grant.above_parent"}
    mend(office)
    assert {(each.code, each.repair) for each in found(office)} == {("grant.above_parent", "")}


def test_a_repair_is_agreed_to_for_what_was_shown(office: Office) -> None:
    bend(office, "UPDATE grants SET drawn = drawn + 7 WHERE tenant_id = :tenant AND name = 'cpu_milli'", tenant=office.tenant_id)
    agreed = quota_check.digest(found(office))
    office.order(create("meanwhile"))
    assert quota_check.digest(found(office)) == agreed, "an order moves both sides of the difference"
    bend(office, "UPDATE grants SET drawn = drawn + 1 WHERE tenant_id = :tenant AND name = 'cpu_milli'", tenant=office.tenant_id)
    with pytest.raises(errors.GovpoolError) as refused:
        mend(office, agreed)
    assert refused.value.fault is quota_repair.CHANGED


def test_a_repair_among_live_orders_is_right(office: Office) -> None:
    """Orders, withdrawals and bent numbers at once; each repair goes by findings that are old when it runs."""

    def live(number: int) -> None:
        order = office.order(create(f"live-{number}"))
        office.decide(order, orders_model.Verdict.WITHDRAWN if number % 2 else orders_model.Verdict.APPROVED)

    def bent(number: int) -> None:
        sign = "+" if number % 2 else "-"
        bend(
            office,
            f"UPDATE grants SET drawn = drawn {sign} 3 WHERE tenant_id = :tenant AND name = 'cpu_milli'",
            tenant=office.tenant_id,
        )
        mend(office)

    with concurrent.futures.ThreadPoolExecutor(6) as threads:
        done = [threads.submit(work, number) for number in range(12) for work in (live, bent)]
        for each in done:
            each.result()
    assert found(office) == []
    office.work()
    assert found(office) == []
    assert len(office.read(lambda tx: provisioners.listed(tx, provisioners.Filter(tenant_ids=None), limit=100))) == 8


def test_a_waiting_order_holds_and_what_was_refused_does_not(office: Office) -> None:
    for verdict in (orders_model.Verdict.REFUSED, orders_model.Verdict.WITHDRAWN, orders_model.Verdict.APPROVED):
        number = office.order(create(f"x-{verdict}"))
        assert found(office) == []
        office.decide(number, verdict)
        assert found(office) == []


def test_adding_up_again_gives_back_what_any_history_had(database: store_database.Database) -> None:
    """Bend every derived number after a random history: the repair restores each, to the last column."""
    import hypothesis
    from hypothesis import strategies as st

    @tenants_world.QUICK
    @hypothesis.given(
        parents=st.lists(st.integers(0, 3), min_size=2, max_size=8),
        first=first_grants,
        steps=st.lists(step, min_size=5, max_size=30),
        bends=st.lists(st.tuples(st.integers(0, 13), st.sampled_from(repair.COLUMNS), st.integers(-3, 5)), min_size=1, max_size=5),
    )
    def play(
        parents: list[int],
        first: list[tuple[int, int | None, int]],
        steps: list[tuple[Any, ...]],
        bends: list[tuple[int, str, int]],
    ) -> None:
        def history(tx: Transaction) -> None:
            world = World(tx, parents)
            size = len(world.ids)
            world.grant(0, 30, None, 0, allow_over=False)
            for x, (less, lend, borrow) in enumerate(first[: size - 1], 1):
                parent = world.oracle.nodes[world.oracle.nodes[x].parent or 0]
                world.grant(x, max(0, parent.granted - less), lend, borrow, allow_over=False)
            for verb, *given in steps:
                if verb in ("reserve", "adopt"):
                    getattr(world, verb)(given[0] % size, given[1])
            right = service.standings_of(tx, None)
            bent_rows = list(right)
            changed = 0
            for x, column, by in bends:
                standing = bent_rows[x % len(right)]
                number = getattr(standing, column) + by
                bent = dataclasses.replace(standing, **{column: number})
                sound = 0 <= bent.local_quota <= bent.subtree_quota <= bent.granted and bent.over_by >= 0
                if sound and 0 <= bent.drawn <= bent.subtree_quota + bent.borrowing_limit + bent.over_by and by:
                    statement = f"UPDATE grants SET {column} = :number WHERE tenant_id = :tenant_id AND name = :name"
                    tx.execute(sql(statement), number=number, tenant_id=bent.tenant_id, name=bent.name)
                    bent_rows[x % len(right)] = bent
                    changed += 1
            assert len(repair.add_again(tx, NAME)) <= changed
            assert service.standings_of(tx, None) == right
            world.agree()

        tenants_world.experiment(database, history)

    play()
