"""Lending as people meet it: over HTTP and as typed commands, with notices, orders that shrink, and an end by itself."""

import dataclasses
import datetime
import json
import pathlib
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from apiclient import client as api
from control import recall, shrink
from primitives import clock, errors, ids
from provisioners import service as provisioners
from quotas import grants, model, recalls
from quotas import service as quotas
from store import database as store_database
from store import installation
from store.transaction import Transaction
from tenants import model as tenants_model
from tenants import service as tenants
from tenants import tree
from tests.integration import process
from tests.integration.office import Office, change, create
from tests.integration.reconciler_world import lab_cloud
from tests.integration.tenants_server import City, refused, serving

Typed = Callable[..., tuple[int, str, str]]
INSTANCES = "instances"


@pytest.fixture
def city(database: store_database.Database) -> Iterator[City]:
    """南海区: the archive leaves 40 idle, health 20; the tax bureau (10, may borrow 40) uses 16 and its office 9 more."""
    with serving(database) as served:
        departments = (
            ("archive", "档案馆", "nanhai"),
            ("health", "卫健局", "nanhai"),
            ("tax", "税务局", "nanhai"),
            ("tax-1", "一分局", "tax"),
        )
        for code, name, parent in departments:
            served.department(code, name, parent)
        operator = served.person("nanhai", "chen", "陈强", "operator")
        for code, granted, borrowing in (
            ("nanhai", 70, 0),
            ("archive", 40, 0),
            ("health", 20, 0),
            ("tax", 10, 40),
            ("tax-1", 5, 20),
        ):
            operator.put(f"/v1/grants/{code}/{INSTANCES}", {"granted": granted, "borrowing_limit": borrowing}, if_match=0)
        served.database.lane.run(_used)
        yield served


def _used(tx: Transaction) -> None:
    for code, amount in (("tax", 9), ("tax-1", 9), ("tax", 7)):
        owner = tenants.by_code(tx, code).id
        quotas.reserve(tx, tenant_id=owner, amounts={INSTANCES: amount}, holder=ids.new("vm"), expires_at=None)


@pytest.fixture
def operator(city: City) -> api.Client:
    """The operator of the root."""
    return city.clients[-1]


@pytest.fixture
def typed(
    city: City, operator: api.Client, monkeypatch: pytest.MonkeyPatch, tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> Typed:
    """Run a command as the operator; gives exit code, standard output and standard error."""
    for name, value in (("CONFIG", str(tmp_path / "c.json")), ("SERVER", city.url), ("TOKEN", operator.token), ("LANG", "zh")):
        monkeypatch.setenv(f"GOVPOOL_{name}", value)

    def run(line: str) -> tuple[int, str, str]:
        capsys.readouterr()
        code = process.here(line.split())
        told = capsys.readouterr()
        return code, told.out, told.err

    return run


def shown(client: api.Client, tenant: str) -> dict[str, Any]:
    """How a tenant stands for instances."""
    row: dict[str, Any] = client.get(f"/v1/grants/{tenant}")[0]
    return row


def test_quota_show_says_who_lends_and_who_borrows(city: City, operator: api.Client) -> None:
    """25 drawn at the tax bureau, 15 beyond its own: 2 to 1 from the archive's 40 and the health bureau's 20."""
    rows = {tenant: shown(operator, tenant) for tenant in ("nanhai", "archive", "health", "tax", "tax-1")}
    assert {tenant: (row["lent"], row["borrowed"]) for tenant, row in rows.items()} == {
        "nanhai": (0, 0), "archive": (10, 0), "health": (5, 0), "tax": (0, 15), "tax-1": (0, 4),
    }  # fmt: skip
    assert (rows["tax"]["available"], rows["tax"]["borrowable"]) == (25, 25)
    assert (rows["archive"]["available"], rows["archive"]["borrowable"]) == (40, 0)
    assert rows["tax"]["lenders"] == {"archive": 10, "health": 5}
    assert sum(row["lent"] for row in rows.values()) == rows["tax"]["borrowed"]


def test_lenders_are_named_to_those_who_grant_there_only(city: City, operator: api.Client) -> None:
    own = city.person("tax", "zhou", "周敏", "operator", "viewer")
    row = shown(own, "tax")
    assert (row["borrowed"], row["lenders"]) == (15, {})
    assert "archive" not in json.dumps(row)
    lender = city.person("archive", "wu", "吴洋", "operator")
    found = lender.get(f"/v1/grants/archive/{INSTANCES}/borrowers")
    assert found == {"borrowers": [], "borrowed": 15, "others": {"resources": 2, "borrowed": 15}}
    assert refused(lender.get, f"/v1/grants/tax/{INSTANCES}/borrowers") == (404, "object.unknown")
    begun = lender.post("/v1/recalls", {"tenant": "archive", "name": INSTANCES, "amount": 4})
    assert begun["borrowers"] == []
    assert "tax" not in json.dumps(begun)
    assert refused(own.get, f"/v1/recalls/{begun['id']}") == (404, "object.unknown")
    assert refused(own.post, f"/v1/recalls/{begun['id']}/end", {}) == (404, "object.unknown")
    assert list(own.pages("/v1/recalls")) == []
    viewer = city.person("archive", "he", "何丽", "viewer")
    assert refused(viewer.post, "/v1/recalls", {"tenant": "archive", "name": INSTANCES}) == (403, "role.forbidden")
    assert [row["id"] for row in viewer.pages("/v1/recalls")] == [begun["id"]]


def test_a_recall_from_the_command_line_to_its_end(city: City, typed: Typed) -> None:
    assert typed(f"quota set health --lending {INSTANCES}=0")[0] == 0
    code, out, err = typed(f"quota recall archive {INSTANCES} --dry-run")
    assert code == 0, err
    assert json.loads(typed("quota recalls -o json")[1]) == []
    code, out, err = typed(f"quota recall archive {INSTANCES} 12 --notice 30d --reason 数字化")
    assert (code, "12" in out, "tax-1" in out) == (0, True, True), err
    (row,) = json.loads(typed("quota recalls --tenant archive -o json")[1])
    assert (row["state"], row["amount"], row["came_back"], row["reason"]) == ("going_on", 12, 0, "数字化")
    assert datetime.timedelta(days=29) < clock.parse(row["due_at"]) - clock.now() <= datetime.timedelta(days=30)
    code, _, err = typed(f"quota set archive --lending {INSTANCES}=all")
    assert (code, "--end" in err) == (7, True)
    listed = json.loads(typed(f"quota borrowers archive {INSTANCES} -o json")[1])
    assert [(each["tenant"], each["borrowed"], each["held"]) for each in listed] == [("tax-1", 8, 9), ("tax", 7, 7)]
    youngest = listed[-1]["id"]
    city.database.lane.run(lambda tx: quotas.release(tx, holder=youngest))
    assert json.loads(typed("quota recalls -o json")[1])[0]["came_back"] == 7
    assert json.loads(typed("quota show tax -o json")[1])[0]["available"] == 0, "nobody borrows what came back"
    assert typed(f"quota recall archive {INSTANCES} --end")[0] == 0
    (row,) = json.loads(typed("quota recalls -o json")[1])
    assert (row["state"], row["came_back"]) == ("ended", 7)
    assert json.loads(typed("quota show tax -o json")[1])[0]["available"] == 32


def test_borrowers_hear_of_it_without_the_lender_and_operators_of_its_end(city: City, operator: api.Client) -> None:
    own = city.person("tax", "zhou", "周敏", "requester")
    office = city.person("tax-1", "he", "何丽", "requester")
    operator.patch("/v1/grants/health", {"grants": [{"name": INSTANCES, "lending_limit": 0}]})
    operator.post("/v1/recalls", {"tenant": "archive", "name": INSTANCES, "notice_days": 0})
    for client, amount in ((own, "7"), (office, "8")):
        (notice,) = client.get("/v1/notices")["items"]
        assert notice["code"] == recall.ASKED
        assert f"{INSTANCES} {amount}" in notice["text"]
        assert "archive" not in json.dumps(notice)

    def restored(tx: Transaction) -> None:
        installation.raise_epoch(tx)
        raise LookupError(recall.settle(tx))  # and all is rolled back

    with pytest.raises(LookupError, match=r"^\[\]$"):  # before it is accepted nobody knows what is back
        city.database.lane.run(restored)
    assert city.database.lane.run(recall.settle), "overdue at once"
    assert city.database.lane.run(recall.settle) == [], "and told once"
    codes = [notice["code"] for notice in operator.get("/v1/notices")["items"]]
    assert codes == [recall.OVERDUE]
    assert next(operator.pages("/v1/recalls"))["state"] == "overdue"
    for each in operator.get(f"/v1/grants/archive/{INSTANCES}/borrowers")["borrowers"]:
        city.database.lane.run(lambda tx, holder=each["id"]: quotas.release(tx, holder=holder))  # type: ignore[misc]
    assert city.database.lane.run(recall.settle)
    (row,) = operator.pages("/v1/recalls")
    assert (row["state"], row["came_back"]) == ("returned", 15)
    assert [notice["code"] for notice in operator.get("/v1/notices")["items"]] == [recall.RETURNED, recall.OVERDUE]
    trail = {line["action"] for line in city.audit.pages("/v1/audit-lines")}
    assert {"recall.begin", "recall.remind", "recall.return"} <= trail


def test_a_simulation_and_a_check_from_the_command_line(typed: Typed, tmp_path: pathlib.Path) -> None:
    file = tmp_path / "requests.csv"
    file.write_text(
        f"order,tenant,name,amount\n一,tax,{INSTANCES},25\n二,tax-1,{INSTANCES},1\n三,health,{INSTANCES},1\n", encoding="utf-8"
    )
    code, out, err = typed(f"quota simulate -f {file}")
    assert code == 0
    assert "二" in out and "nanhai" not in out.splitlines()[0]
    assert "可满足 2 项" in err or "可满足 1 项" in err
    assert typed(f"quota simulate -f {file} --fail-on-refusal")[0] == 6
    report = json.loads(typed(f"quota simulate -f {file} --all -o json")[1])
    assert (report["requests"], report["refused"], len(report["verdicts"])) == (3, report["refused"], 3)
    assert typed(f"quota simulate -f {file} -o csv")[1].splitlines()[0].startswith("行,申请")
    file.write_text("tenant,name,amount\nnowhere,instances,1\n")
    code, out, err = typed(f"quota simulate -f {file}")
    assert (code, out, "line 2" in err) == (2, "", True)
    code, out, err = typed("quota check")
    assert (code, "quota.leak" in out) == (1, True), "the machines of this test are reservations only"
    assert typed("quota repair --dry-run")[0] == 0
    assert typed("quota check")[0] == 1
    assert typed("quota repair --yes")[0] == 0
    code, _, err = typed("quota check")
    assert (code, "通过" in err) == (0, True)
    assert typed("quota repair --yes")[0] == 0


@pytest.fixture
def office(database_url: str, tmp_path: pathlib.Path) -> Iterator[Office]:
    """The tax bureau with 2 vCPU of its own, which borrows from an idle archive; over a real lab cloud."""
    with lab_cloud(tmp_path) as lab:
        built = Office(database_url, lab)

        def found(tx: Transaction) -> None:
            city = tenants.root(tx)
            archive = tree.create(tx, tree.NewTenant(code="archive", name="档案馆", parent=city))
            own = model.Grant(granted=2000, borrowing_limit=50_000)
            grants.set_grant(tx, tenant_id=built.tenant_id, name="cpu_milli", grant=own)
            grants.set_grant(tx, tenant_id=archive.id, name="cpu_milli", grant=model.Grant(granted=10**6 - 2000))

        built.lane(found)
        yield built
        built.close()


def test_operations_order_the_shrink_and_the_recall_ends_by_itself(office: Office) -> None:
    web, db = office.machine("web", "medium"), office.machine("db", "small")
    root = office.read(tenants.root).id
    operator = dataclasses.replace(
        office.operator, bindings=(tenants_model.Binding(role=tenants_model.Role.OPERATOR, tenant_id=root),)
    )
    with pytest.raises(errors.GovpoolError) as caught:
        ordered(office, operator, change("resize", "web", "large"))
    assert caught.value.fault is shrink.GROWS
    begun = office.case(recall.begin("archive", "cpu_milli", amount=None, notice_days=14), operator)
    assert [(row["resource"], row["borrowed"], row["id"]) for row in begun["borrowers"]] == [("web", 2000, web), ("db", 2000, db)]
    assert begun["borrowers"][0]["command"] == "govpool vm resize web --tenant tax --project one-window --size SIZE"
    with pytest.raises(errors.GovpoolError):
        office.order(create("another"))
    for line in (create("mine"), change("start", "web")):
        with pytest.raises(errors.GovpoolError) as caught:
            ordered(office, operator, line)
        assert caught.value.code == "role.forbidden"
    assert office.read(lambda tx: provisioners.get(tx, web)).amounts["cpu_milli"] == 4000, "nothing is touched without an order"
    ordered(office, operator, change("resize", "web", "small"))
    ordered(office, operator, change("delete", "db", purge=True))
    office.work()
    assert office.lane(recall.settle) == [begun["id"]]
    standing = office.read(lambda tx: quotas.standing(tx, tenant_id=tenants.by_code(tx, "archive").id, name="cpu_milli"))
    assert standing.lending_limit == 0
    assert office.read(lambda tx: recalls.find(tx, begun["id"])).outcome == "returned"
    assert office.is_sound()


def ordered(office: Office, who: tenants_model.Principal, line: Any) -> None:
    """Submit an order as somebody."""
    from control import order

    office.case(order.submit(order.OrderWish(tenant=office.tenant, project=office.project, lines=(line,)), bin_days=7), who)
