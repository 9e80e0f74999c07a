"""A file of requests against a copy of today's state: the verdicts are those of the guard and of real orders, and nothing is touched."""

import pathlib
import types
from collections.abc import Iterator
from typing import Any

import hypothesis
import pytest
from hypothesis import strategies as st

from control import plan, simulation, simulation_file
from pools import service as pools
from primitives import clock, errors
from quotas import grants, guard, model, rules, service
from quotas.budgets import appropriations
from quotas.budgets import model as budgets_model
from quotas.budgets import rules as budgets_rules
from quotas.budgets import service as budgets
from store import columns, transaction
from store import database as store_database
from tests.integration import tenants_world
from tests.integration.office import Office, create
from tests.integration.quota_oracle import NAME, first_grants, limit, number
from tests.integration.reconciler_world import lab_cloud
from tests.integration.test_quota_recall import Lending

request = st.tuples(number, st.integers(-6, 10).filter(bool))


@tenants_world.QUICK
@hypothesis.given(
    parents=st.lists(st.integers(0, 3), min_size=2, max_size=9),
    first=first_grants,
    held=st.lists(st.tuples(number, st.integers(1, 8)), max_size=15),
    calling=st.lists(st.tuples(number, limit), max_size=2),
    requests=st.lists(request, min_size=10, max_size=60),
)
def test_a_simulation_says_what_the_guard_will_say(
    database: store_database.Database,
    parents: list[int],
    first: list[tuple[int, int | None, int]],
    held: list[tuple[int, int]],
    calling: list[tuple[int, int | None]],
    requests: list[tuple[int, int]],
) -> None:
    def play(tx: transaction.Transaction) -> None:
        world = Lending(tx, parents)
        size = len(world.ids)
        world.grant(0, 30, None, 0, allow_over=False)
        for x, (less, lend, borrow) in enumerate(first[: size - 1], 1):
            parent = world.oracle.nodes[world.oracle.nodes[x].parent or 0]
            world.grant(x, max(0, parent.granted - less), lend, borrow, allow_over=False)
        for x, k in held:
            world.reserve(x % size, k)
        for x, amount in calling:
            if x % size not in world.going:
                world.recall(x % size, amount)
        ledger = service.in_memory(tx, world.ids)
        for x, k in requests:
            tenant_id, code = world.ids[x % size], world.tenants[x % size].code
            if k > 0:
                said = ledger.draw(tenant_id, {NAME: k})
                assert _breaches(tx, tenant_id, k) == [(each.tenant, each.short_by) for each in said], f"{k} at {code}"
            else:
                gave = ledger.give_back(tenant_id, {NAME: -k}) == {}
                assert _shrunk(tx, tenant_id, -k) == gave, f"{k} at {code}"

    tenants_world.experiment(database, play)


def _breaches(tx: transaction.Transaction, tenant_id: str, k: int) -> list[tuple[str, int]]:
    holder = f"vm-{len(list(service.standings(tx, tenant_id=tenant_id)))}-{service.reservations(tx, tenant_id=tenant_id)}-{tenant_id[-6:]}"
    try:
        service.reserve(tx, tenant_id=tenant_id, amounts={NAME: k}, holder=holder, expires_at=None)
    except guard.Exceeded as refused:
        return [(breach.tenant, breach.short_by) for breach in refused.found]
    return []


def _shrunk(tx: transaction.Transaction, tenant_id: str, k: int) -> bool:
    """Give k units back out of whatever the tenant holds; False if it holds less."""
    held = tx.execute(
        transaction.sql(
            "SELECT r.holder, a.amount FROM quota_reservations r JOIN quota_amounts a ON a.holder = r.holder"
            " WHERE r.tenant_id = :tenant_id ORDER BY r.holder"
        ),
        tenant_id=tenant_id,
    )
    if sum(row["amount"] for row in held) < k:
        return False
    for row in held:
        less = min(k, row["amount"])
        if less:
            service.change(tx, holder=row["holder"], amounts={NAME: row["amount"] - less})
        k -= less
    return True


@pytest.fixture
def office(database_url: str, tmp_path: pathlib.Path) -> Iterator[Office]:
    """The tax bureau, over a real lab cloud."""
    with lab_cloud(tmp_path) as lab:
        built = Office(database_url, lab)
        yield built
        built.close()


def simulated(office: Office, text: str, **more: Any) -> dict[str, Any]:
    """The report on a file."""
    asked: dict[str, Any] = {"everything": True, "lang": "zh"} | more
    report: dict[str, Any] = office.read(lambda tx: simulation.simulate(tx, office.requester, text.encode(), **asked))
    return report


def test_orders_come_out_as_they_were_simulated(office: Office) -> None:
    """Rooms and quota together: what the report admits can be ordered, what it refuses is refused with the same code."""
    host = types.SimpleNamespace(
        name="h01", zone="az1", service_class="general", hall="", enabled=True, used={},
        physical={"cpu_milli": 30000}, usable={"cpu_milli": 30000, "ram_mib": 10**6, "disk_gib": 10**4},
    )  # fmt: skip
    office.lane(lambda tx: pools.record_capacity(tx, pool_id=pools.pools(tx)[0].id, hosts=[host]))
    grant = model.Grant(granted=500_000)
    office.lane(lambda tx: grants.set_grant(tx, tenant_id=office.tenant_id, name="cpu_milli", grant=grant))
    wishes = [("small", 3), ("large", 100), ("large", 100), ("medium", 6), ("tiny", 1), ("medium", 1)]
    lines = [f"{nth},tax,VirtualMachine,{size},{count}" for nth, (size, count) in enumerate(wishes, 1)]
    report = simulated(office, "\n".join(["order,tenant,kind,size,count", *lines]))
    codes = []
    for nth, (size, count) in enumerate(wishes, 1):
        try:
            office.order(create(f"web{nth}", size, count))
            codes.append("")
        except errors.GovpoolError as error:
            codes.append(error.code)
    assert [verdict["code"] for verdict in report["verdicts"]] == codes
    assert {*codes} == {"", "quota.exceeded", "pool.full"}
    assert report["refused"] == sum(map(bool, codes))


def test_money_that_an_order_would_not_find_is_missing_in_the_simulation_too(office: Office) -> None:
    office.order(create("first", "small"))
    year = budgets_rules.year_of(clock.now())
    first = sum(one.amount_micro for one in office.read(lambda tx: budgets.held(tx, holders=[office.rows()[0].id])))
    budget = budgets_model.Budget(appropriated_micro=first * 7 // 2)
    office.lane(lambda tx: appropriations.set_budget(tx, tenant_id=office.tenant_id, year=year, budget=budget))
    wishes = ["small", "large", "small", "small"]
    lines = [f"{nth},tax,VirtualMachine,{size}," for nth, size in enumerate(wishes)]
    report = simulated(office, "\n".join(["order,tenant,kind,size,monthly_price", *lines, "z,tax,VirtualMachine,small,0.01"]))
    codes = []
    for nth, size in enumerate(wishes):
        try:
            office.order(create(f"web{nth}", size))
            codes.append("")
        except errors.GovpoolError as error:
            codes.append(error.code)
    assert [verdict["code"] for verdict in report["verdicts"]] == [*codes, ""], "a price in the file stands above the book"
    assert codes == ["", "budget.exceeded", "", "budget.exceeded"]
    assert "元" in report["verdicts"][1]["why"]


def test_a_simulation_changes_nothing_and_holds_nothing(office: Office) -> None:
    def everything(tx: transaction.Transaction) -> dict[str, list[dict[str, Any]]]:
        return {table.name: tx.execute(table.select()) for table in columns.METADATA.sorted_tables}

    before = office.read(everything)
    report = simulated(
        office,
        "tenant,name,amount\ntax,cpu_milli,1000000\ntax,cpu_milli,1\ntax,cpu_milli,-5\n税务,cpu_milli,1".replace(
            "\n税务,cpu_milli,1", ""
        ),
    )
    assert (report["requests"], report["admitted"], report["refused"]) == (3, 2, 1)
    assert report["where"] == [
        {"tenant": "nanhai", "name": "cpu_milli", "refused": 1, "short_by_most": 1},
        {"tenant": "tax", "name": "cpu_milli", "refused": 1, "short_by_most": 1},
    ]
    refused = report["verdicts"][1]
    assert refused["lines"] == [3]
    assert refused["breaches"][0] == {
        "tenant": "tax", "name": "cpu_milli", "short_by": 1, "asked": 1, "used": 10**6, "limit": 10**6,
    }  # fmt: skip
    assert refused["breaches"][1] == {"tenant": "nanhai", "name": "cpu_milli", "short_by": 1}, (
        "of levels above only what is missing"
    )
    assert "缺" in refused["why"]
    assert office.read(everything) == before


def test_rows_of_one_order_are_admitted_together_or_not_at_all(office: Office) -> None:
    text = "order,tenant,name,amount\na,tax,cpu_milli,600000\nb,tax,cpu_milli,400000\na,tax,cpu_milli,500000\n,tax,cpu_milli,600000"
    report = simulated(office, text)
    assert [(each["order"], each["lines"], each["verdict"]) for each in report["verdicts"]] == [
        ("a", [2, 4], "refused"),
        ("b", [3], "admitted"),
        ("", [5], "admitted"),
    ]


def test_a_release_makes_room_and_nobody_gives_back_what_he_does_not_hold(office: Office) -> None:
    report = simulated(office, "tenant,name,amount\ntax,cpu_milli,1000000\ntax,cpu_milli,-1000\ntax,cpu_milli,1000\ntax,ram_mib,-1")
    assert [each["code"] for each in report["verdicts"]] == ["", "", "", "quota.not_held"]


def test_requests_are_played_by_their_time(office: Office) -> None:
    late, early = "2026-11-02T00:00:00+08:00", "2026-11-01T00:00:00+08:00"
    report = simulated(office, f"time,tenant,name,amount\n{late},tax,cpu_milli,600000\n{early},tax,cpu_milli,600000")
    assert [(each["lines"], each["verdict"]) for each in report["verdicts"]] == [([3], "admitted"), ([2], "refused")]


@pytest.mark.parametrize(
    ("text", "place", "code"),
    [
        ("", "line 1", "requests.header"),
        ("tenant,name\ntax,cpu_milli", "line 1", "requests.header"),
        ("tenant,name,amount,color\ntax,cpu_milli,1,red", "line 1", "requests.header"),
        ("tenant,name,amount,name\ntax,cpu_milli,1,x", "line 1", "requests.header"),
        ("tenant,name,amount\n", "line 2", "requests.empty"),
        ("tenant,name,amount\ntax,gold,1", "line 2", "quota.name"),
        ("tenant,name,amount\ntax,cpu_milli,1\ntax,cpu_milli,0", "line 3", "input.invalid"),
        ("tenant,name,amount\ntax,cpu_milli,1.5", "line 2", "input.invalid"),
        ("tenant,name,amount\ntax,cpu_milli,9223372036854775808", "line 2", "input.invalid"),
        ("tenant,name,amount\ntax,cpu_milli,1000000000000001", "line 2", "input.invalid"),
        ("tenant,name,amount\ntax,cpu_milli", "line 2", "requests.line"),
        ("tenant,name,amount\nnowhere,cpu_milli,1", "line 2", "requests.tenant"),
        ("tenant,name,amount\n,cpu_milli,1", "line 2", "requests.tenant"),
        ("tenant,name,amount\nnanhai,cpu_milli,1", "line 2", "requests.tenant"),
        ("tenant,kind,size\ntax,VirtualMachine,huge", "line 2", "size.unknown"),
        ("tenant,kind,size\ntax,Ship,tiny", "line 2", "input.invalid"),
        ("tenant,kind,size,count\ntax,VirtualMachine,tiny,-1", "line 2", "input.invalid"),
        ("tenant,kind,name,amount\ntax,VirtualMachine,cpu_milli,1", "line 2", "input.invalid"),
        ("tenant,name,amount,monthly_price\ntax,cpu_milli,-1,5", "line 2", "input.invalid"),
        ("tenant,name,amount,monthly_price\ntax,cpu_milli,1,5 USD", "line 2", "input.invalid"),
        ("tenant,name,amount,size\ntax,cpu_milli,1,tiny", "line 2", "input.invalid"),
        ("time,tenant,name,amount\n2026-11-01,tax,cpu_milli,1", "line 2", "input.invalid"),
        ("time,tenant,name,amount\n2026-11-01T00:00:00Z,tax,cpu_milli,1\n,tax,cpu_milli,1", "line 3", "requests.time"),
        ("order,tenant,name,amount\na,tax,cpu_milli,1\na,finance,cpu_milli,1", "line 3", "requests.order"),
        ('tenant,name,amount\ntax,"cpu_milli,1', "line 2", "requests.line"),
    ],
)  # fmt: skip
def test_every_wrong_line_is_named(office: Office, text: str, place: str, code: str) -> None:
    with pytest.raises(errors.GovpoolError) as caught:
        simulated(office, text)
    assert caught.value.fault is simulation.FINDINGS
    assert (place, code) in {(finding.place, finding.code) for finding in caught.value.findings}


def test_a_file_is_bounded_and_another_encoding_is_a_finding() -> None:
    findings = simulation_file.Findings()
    assert simulation_file.read("tenant,name,amount\n税务,cpu_milli,1".encode("gb18030"), findings) == []
    assert findings.listed[0].code == "requests.encoding"
    findings = simulation_file.Findings()
    row = b"tax,cpu_milli,1\n"
    assert simulation_file.read(b"tenant,name,amount\n" + row * (simulation_file.ROWS_MAX + 1), findings) == []
    assert findings.listed[0].code == "requests.count"
    assert (
        len(simulation_file.read(b"tenant,name,amount\n" + row * simulation_file.ROWS_MAX, simulation_file.Findings())) == 100_000
    )


def test_a_class_counts_on_both_names_in_a_simulation_too(office: Office) -> None:
    report = simulated(office, "tenant,kind,size_gib,disk_class\ntax,Volume,100,ssd")
    assert {breach["name"] for breach in report["verdicts"][0]["breaches"]} == {"disk_gib.ssd"}
    assert rules.counted({"disk_gib": 100, "disk_gib.ssd": 100}) == {"disk_gib": 100, "disk_gib.ssd": 100}
    assert plan.VOLUME == "Volume"
