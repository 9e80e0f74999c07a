"""Budgets as people meet them: over HTTP, as typed commands in both languages, in documents, and with everything that is wrong."""

import concurrent.futures
import json
import pathlib
from collections.abc import Callable, Iterator
from typing import Final

import pytest

from apiclient import client as api
from primitives import clock, errors, ids
from quotas import service as quotas
from quotas.budgets import appropriations, model, proof, rules, service
from store import database as store_database
from store.transaction import Transaction
from tenants import service as tenants
from tests.integration import process
from tests.integration.tenants_server import City, serving
from tests.integration.tenants_server import refused as refused_with

YUAN = 10**6
YEAR = rules.year_of(clock.now())
ROOM = 50
THREADS = 16
Typed = Callable[..., tuple[int, str, str]]


@pytest.fixture
def city(database: store_database.Database) -> Iterator[City]:
    """南海区 with a tax bureau and its office, served."""
    with serving(database) as served:
        served.department("tax", "税务局")
        served.department("tax-1", "第一税务分局", "tax")
        yield served


@pytest.fixture
def finance(city: City) -> api.Client:
    """The finance of the root."""
    return city.person("nanhai", "qian", "钱晓", "finance")


@pytest.fixture
def typed(
    city: City, finance: api.Client, monkeypatch: pytest.MonkeyPatch, tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> Typed:
    """Run a command as finance; gives exit code, standard output and standard error."""
    monkeypatch.setenv("GOVPOOL_CONFIG", str(tmp_path / "contexts.json"))
    monkeypatch.setenv("GOVPOOL_SERVER", city.url)
    monkeypatch.setenv("GOVPOOL_TOKEN", finance.token)

    def run(line: str, lang: str = "zh") -> tuple[int, str, str]:
        monkeypatch.setenv("GOVPOOL_LANG", lang)
        capsys.readouterr()
        code = process.here(line.split())
        told = capsys.readouterr()
        return code, told.out, told.err

    return run


def refused(call: Callable[..., object], *arguments: object, **options: object) -> str:
    """The code of a refusal."""
    return refused_with(call, *arguments, **options)[1]


def put(
    client: api.Client, tenant: str, yuan: str, generation: int = 0, *, query: dict[str, str] | None = None, **more: object
) -> dict[str, object]:
    """Set the budget of this year."""
    body = {"appropriated": yuan, **more}
    made: dict[str, object] = client.put(f"/v1/tenants/{tenant}/budgets/{YEAR}", body, if_match=generation, query=query)
    return made


def hold(database: store_database.Database, code: str, yuan_a_month: int) -> str:
    """Something of a tenant that costs so much a month, open-ended; its id."""
    holder = ids.new("vm")

    def use_case(tx: Transaction) -> None:
        tenant_id = tenants.by_code(tx, code).id
        quotas.reserve(tx, tenant_id=tenant_id, amounts={}, holder=holder, expires_at=None)
        service.hold_each(tx, tenant_id=tenant_id, wishes=[model.Wish(holder=holder, monthly_micro=yuan_a_month * YUAN)])

    database.lane.run(use_case)
    return holder


def test_a_budget_is_set_from_above_and_shown_below(city: City, finance: api.Client) -> None:
    made = put(finance, "tax", "120000.00", thresholds=["80", "forecast:100"])
    assert made["metadata"] == {"name": str(YEAR), "tenant": "tax", "generation": 1}
    assert made["spec"] == {
        "appropriated": "120000.00", "carry_over": "0.00", "hard": True, "thresholds": ["committed:80", "forecast:100"], "currency": "CNY",
    }  # fmt: skip
    requester = city.person("tax", "sun", "孙丽", "requester")
    shown = requester.get(f"/v1/tenants/tax/budgets/{YEAR}")
    assert shown["status"]["left"] == "120000.00"
    assert shown == requester.get("/v1/tenants/tax/budgets/present")
    assert [row["tenant"] for row in requester.pages("/v1/budgets", year=YEAR)] == ["tax"]
    assert [one["metadata"]["name"] for one in requester.get("/v1/tenants/tax/budgets")] == [str(YEAR)]
    assert refused(requester.get, f"/v1/tenants/nanhai/budgets/{YEAR}") == "object.unknown"


def test_only_a_role_above_the_tenant_gives_it_money(city: City, finance: api.Client) -> None:
    own = city.person("tax", "zhou", "周敏", "finance")
    assert refused(put, own, "tax", "5.00") == "budget.from_above"
    assert put(own, "tax-1", "5.00")["spec"]
    operator = city.person("nanhai", "chen", "陈强", "operator")
    assert refused(put, operator, "tax", "5.00") == "role.forbidden"


BAD: Final[list[tuple[dict[str, object], str]]] = [
    ({"appropriated": "0"}, "budget.amount"),
    ({"appropriated": "-5.00"}, "budget.amount"),
    ({"appropriated": "1000000000.01"}, "input.invalid"),
    ({"appropriated": "999999999999999999"}, "input.invalid"),
    ({"appropriated": "12,000"}, "input.invalid"),
    ({"appropriated": "1e6"}, "input.invalid"),
    ({"appropriated": 5}, "input.invalid"),
    ({"appropriated": "5.00", "currency": "USD"}, "budget.currency"),
    ({"appropriated": "5.00", "carry_over": "-1"}, "budget.amount"),
    ({"appropriated": "5.00", "carry_over": "all"}, "input.invalid"),
    ({"appropriated": "5.00", "carry_over": "rest"}, "budget.unknown"),
    ({"appropriated": "5.00", "thresholds": ["0"]}, "budget.threshold"),
    ({"appropriated": "5.00", "thresholds": ["80"] * 21}, "input.invalid"),
    ({"appropriated": "5.00", "hard": "yes"}, "input.invalid"),
    ({"appropriated": "5.00", "spent": "1.00"}, "input.invalid"),
    ({}, "input.invalid"),
]
BAD_YEARS: Final = ("1999", "2101", "26", "20260", "twenty", "２０２６")


def test_senseless_budgets_are_refused_and_change_nothing(finance: api.Client) -> None:
    path = f"/v1/tenants/tax/budgets/{YEAR}"
    assert [refused(finance.put, path, body, if_match=0) for body, _ in BAD] == [code for _, code in BAD]
    for year in BAD_YEARS:
        elsewhere = api.path("/v1/tenants/tax/budgets/{}", year)
        assert refused(finance.put, elsewhere, {"appropriated": "5.00"}, if_match=0) == "budget.year"
        assert refused(finance.get, elsewhere) == "budget.year"
    assert finance.get(path)["metadata"]["generation"] == 0


def test_two_writers_do_not_overwrite_each_other(finance: api.Client) -> None:
    put(finance, "tax", "100.00")
    assert refused(put, finance, "tax", "200.00") == "object.stale"
    assert put(finance, "tax", "200.00", 1)["metadata"] == {"name": str(YEAR), "tenant": "tax", "generation": 2}
    assert put(finance, "tax", "200.00", 2)["metadata"] == {"name": str(YEAR), "tenant": "tax", "generation": 2}  # equal: untouched


def test_less_than_is_committed_needs_allow_over_and_says_how_much(city: City, finance: api.Client) -> None:
    hold(city.database, "tax-1", 1000)
    assert refused(put, finance, "tax", "1.00") == "budget.below_use"
    made = put(finance, "tax", "1.00", query={"allow_over": "true"})
    status = made["status"]
    assert isinstance(status, dict)
    assert status["over_by"] == status["uncovered"] != "0.00"
    assert put(finance, "tax", "2.00", 1)["status"]  # more is never refused
    trail = [line for line in city.audit.pages("/v1/audit-lines") if line["action"] == "budget.set" and line["outcome"] == "done"]
    assert any(line["facts"].get("allow_over") == "true" for line in trail)


def test_what_holds_the_money_is_listed_the_largest_first(city: City, finance: api.Client) -> None:
    holders = [hold(city.database, tenant, price) for tenant, price in (("tax", 100), ("tax-1", 300))]
    rows = finance.get("/v1/tenants/tax/budgets/present/holds")
    assert [(row["resource"], row["tenant"], row["monthly"]) for row in rows] == [
        (holders[1], "tax-1", "300.00"),
        (holders[0], "tax", "100.00"),
    ]


def test_documents_declare_budgets(city: City, finance: api.Client) -> None:
    def text(yuan: str) -> bytes:
        return f"apiVersion: govpool/v1\nkind: Budget\nmetadata: {{name: '{YEAR}', tenant: tax}}\nspec: {{appropriated: {yuan}}}\n".encode()

    def applied(content: bytes) -> str:
        answer = finance.post("/v1/apply", raw=content, media="application/yaml")
        return str(answer["documents"][0]["outcome"])

    assert [applied(text(yuan)) for yuan in ("500.00", "500.00", "600.5")] == ["created", "unchanged", "changed"]
    assert finance.get(f"/v1/tenants/tax/budgets/{YEAR}")["spec"]["appropriated"] == "600.50"


def test_commands_set_show_and_list_in_both_languages(city: City, typed: Typed) -> None:
    code, out, err = typed(f"budget set tax {YEAR} 120000 --thresholds 80,forecast:100 --reason 年初预算")
    assert (code, err) == (0, "")
    assert "120000.00" in out
    assert "预算数" in out
    holder = hold(city.database, "tax", 1000)
    code, out, _ = typed("budget show tax", "en")
    assert code == 0
    for word in ("ENCUMBERED", "not known yet", "RUNS OUT ON", "not this year"):
        assert word in out
    assert holder in typed("budget show tax --holds")[1]
    assert "南海" not in typed(f"budget list --year {YEAR}")[1]
    assert json.loads(typed(f"budget list --year {YEAR} -o json")[1])[0]["tenant"] == "tax"
    code, _, err = typed(f"budget set tax {YEAR} 1", "en")
    assert code == 7
    assert "over by" in err
    assert "--allow-over" in err
    assert typed(f"budget set tax {YEAR} 1 --allow-over --soft")[0] == 0
    assert "否" in typed("budget show tax")[1]
    code, _, err = typed(f"budget set tax {YEAR} abc", "en")
    assert code == 2
    assert "yuan" in err
    assert typed("budget show nowhere")[0] == 3


def test_the_last_money_goes_to_exactly_as_many_as_it_suffices_for(city: City, finance: api.Client) -> None:
    database = city.database
    one = rules.cost(100 * YUAN, clock.now(), rules.year(YEAR).end_at)

    def give(tx: Transaction) -> None:
        root = tenants.by_code(tx, "nanhai").id
        appropriations.set_budget(
            tx, tenant_id=root, year=YEAR, budget=model.Budget(appropriated_micro=ROOM * one, thresholds=model.DEFAULT_THRESHOLDS)
        )

    database.lane.run(give)
    second = store_database.open_database(database.url, owner=False) if database.dialect == "postgresql" else database

    def order(number: int) -> bool:
        try:
            hold(database if number % 2 else second, ("tax", "tax-1")[number % 3 % 2], 100)
        except errors.GovpoolError as error:
            if error.code != "budget.exceeded":
                raise
            return False
        return True

    with concurrent.futures.ThreadPoolExecutor(THREADS) as threads:
        admitted = sum(threads.map(order, range(3 * ROOM)))
    if second is not database:
        second.close()
    assert admitted == ROOM  # a moment later each costs a little less, which together is less than one more
    assert database.read(proof.check) == []
    (standing,) = database.read(appropriations.standings)
    assert standing.committed_micro <= standing.limit_micro < standing.committed_micro + one
    assert "committed:80" in [str(each) for each in standing.told]
