"""What is wrong is refused with the rule and the numbers, over HTTP and as a typed command, and nothing is changed by it."""

import pathlib
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from apiclient import client as api
from quotas import service as quotas
from store import database as store_database
from store.transaction import Transaction
from tenants import service as tenants
from tests.integration import process
from tests.integration.tenants_server import City, Refused, serving
from tests.integration.test_every_change import rows

Typed = Callable[..., tuple[int, str, str]]


@pytest.fixture
def city(database: store_database.Database) -> Iterator[City]:
    """南海区 with 100 instances: 10 for the tax bureau (8 of them for its office, which uses 6), 5 for finance, 40 for the archive."""
    with serving(database) as served:
        for code, name, parent in (
            ("tax", "税务局", "nanhai"),
            ("tax-1", "第一税务分局", "tax"),
            ("finance", "财政局", "nanhai"),
            ("archive", "档案馆", "nanhai"),
        ):
            served.department(code, name, parent)
        operator = served.person("nanhai", "chen", "陈强", "operator")
        for code, granted, borrowing in (
            ("nanhai", 100, 0),
            ("tax", 10, 0),
            ("tax-1", 8, 0),
            ("finance", 5, 55),
            ("archive", 40, 0),
        ):
            operator.put(f"/v1/grants/{code}/instances", {"granted": granted, "borrowing_limit": borrowing}, if_match=0)
        operator.put("/v1/grants/nanhai/gpus", {"granted": 4}, if_match=0)
        database.lane.run(_used)
        yield served


def _used(tx: Transaction) -> None:
    for code, amount in (("tax-1", 6), ("finance", 57)):
        tenant_id = tenants.by_code(tx, code).id
        quotas.reserve(tx, tenant_id=tenant_id, amounts={"instances": amount}, holder=f"vm-{code}", expires_at=None)


@pytest.fixture
def operator(city: City) -> api.Client:
    """The operator of the root."""
    return city.clients[-1]


_MOVES, _RECALLS = "/v1/grant-moves", "/v1/recalls"


def move(giver: str, taker: str, amount: int) -> dict[str, Any]:
    """The body of a move of instances."""
    return {"giver": giver, "taker": taker, "amounts": {"instances": amount}}


BAD: list[tuple[str, str, str, Any, int, str, tuple[str, ...]]] = [
    ("a negative grant", "PUT", "/v1/grants/tax/instances", {"granted": -1}, 400, "input.invalid", ("granted", "0")),
    ("2^63", "PUT", "/v1/grants/tax/instances", {"granted": 2**63}, 400, "input.invalid", ("granted",)),
    ("10^15 + 1", "PUT", "/v1/grants/tax/instances", {"granted": 10**15 + 1}, 400, "input.invalid", ("granted", str(10**15))),
    ("a fraction", "PUT", "/v1/grants/tax/instances", {"granted": 1.5}, 400, "input.invalid", ("granted",)),
    ("a negative lending limit", "PUT", "/v1/grants/tax/instances", {"granted": 9, "lending_limit": -1}, 400, "input.invalid", ("lending_limit",)),
    ("an unknown name", "PUT", "/v1/grants/tax/gold", {"granted": 1}, 400, "quota.name", ("gold", "cpu_milli")),
    ("above the parent", "PUT", "/v1/grants/tax/instances", {"granted": 101}, 409, "quota.above_parent", ("101", "100", "nanhai")),
    ("above a parent that has nothing", "PUT", "/v1/grants/tax-1/gpus", {"granted": 1}, 409, "quota.above_parent", ("1", "0", "tax")),
    ("below a child", "PUT", "/v1/grants/tax/instances", {"granted": 7}, 409, "quota.below_child", ("7", "8", "tax-1")),
    ("below use", "PUT", "/v1/grants/tax-1/instances", {"granted": 5}, 409, "quota.below_use", ("1", "6", "5")),
    ("keep what others use", "PUT", "/v1/grants/archive/instances", {"granted": 40, "lending_limit": 0}, 409, "quota.below_use", ("3", "63", "60")),
    ("unlimited below the root", "PUT", "/v1/grants/tax/instances", {"granted": "unlimited"}, 400, "quota.unlimited", ()),
    ("lending at the root", "PUT", "/v1/grants/nanhai/instances", {"granted": 100, "lending_limit": 1}, 400, "quota.root", ()),
    ("a move of nothing", "POST", _MOVES, move("tax", "finance", 0), 400, "input.invalid", ("1",)),
    ("a negative move", "POST", _MOVES, move("tax", "finance", -3), 400, "input.invalid", ("1",)),
    ("a move to itself", "POST", _MOVES, move("tax", "tax", 1), 400, "quota.same", ("tax",)),
    ("more than it has", "POST", _MOVES, move("finance", "tax", 6), 409, "quota.not_enough", ("6", "5")),
    ("a move past a child", "POST", _MOVES, move("tax", "finance", 3), 409, "quota.below_child", ("7", "8")),
    ("a move past a limit", "POST", _MOVES, move("finance", "tax", 5), 409, "quota.below_use", ("2", "57", "55")),
    ("a move past the parent", "POST", _MOVES, move("finance", "tax-1", 3), 409, "quota.above_parent", ("11", "10")),
    ("a recall of nothing", "POST", _RECALLS, {"tenant": "archive", "name": "instances", "amount": 0}, 400, "input.invalid", ("1",)),
    ("a negative recall", "POST", _RECALLS, {"tenant": "archive", "name": "instances", "amount": -1}, 400, "input.invalid", ("1",)),
    ("more than is lent", "POST", _RECALLS, {"tenant": "archive", "name": "instances", "amount": 41}, 409, "quota.not_lent", ("41",)),
    ("a recall of what nobody uses", "POST", _RECALLS, {"tenant": "tax-1", "name": "gpus"}, 409, "quota.not_lent", ("0", "gpus")),
    ("a recall at the root", "POST", _RECALLS, {"tenant": "nanhai", "name": "instances"}, 400, "quota.root", ()),
    ("a recall of gold", "POST", _RECALLS, {"tenant": "archive", "name": "gold"}, 400, "quota.name", ("gold",)),
    ("a default for gold", "PUT", "/v1/grant-defaults/gold", {"granted": 1}, 400, "quota.name", ("gold",)),
    ("a repair nobody looked at", "POST", "/v1/quota-repairs", {"digest": "no"}, 412, "quota.repair_changed", ("2",)),
]  # fmt: skip


@pytest.mark.parametrize("bad", BAD, ids=lambda bad: bad[0])
def test_bad_input_names_the_rule_and_the_numbers_and_changes_nothing(
    city: City, operator: api.Client, database: store_database.Database, bad: tuple[str, str, str, Any, int, str, tuple[str, ...]]
) -> None:
    _, method, path, body, status, code, words = bad
    before = rows(database)
    with pytest.raises(Refused) as refused:
        operator.call(method, path, body, if_match=0 if "gpus" in path or "gold" in path else 1)
    assert (refused.value.status, refused.value.code) == (status, code), refused.value.detail
    told = refused.value.detail + " ".join(str(each) for each in refused.value.findings)
    assert all(word in told for word in words), told
    assert refused.value.mend
    assert rows(database) == before


def test_a_cycle_and_a_tree_move_past_a_limit_change_nothing(city: City, database: store_database.Database) -> None:
    before = rows(database)
    for tenant, parent, code, words in (
        ("tax", "tax-1", "tenant.cycle", ("tax", "tax-1")),
        ("tax", "tax", "tenant.cycle", ("tax",)),
        ("archive", "finance", "quota.above_parent", ("40", "5")),
        ("finance", "tax", "quota.below_use", ("10",)),
    ):
        with pytest.raises(Refused) as refused:
            city.system.post(f"/v1/tenants/{tenant}/move", {"parent": parent})
        assert refused.value.code == code, refused.value.detail
        assert all(word in refused.value.detail for word in words), refused.value.detail
    assert rows(database) == before


def test_two_bodies_under_one_key_are_one_change_and_one_refusal(
    city: City, operator: api.Client, database: store_database.Database
) -> None:
    move = {"giver": "archive", "taker": "tax", "amounts": {"instances": 1}}
    first = operator.post("/v1/grant-moves", move, key="one-key")
    before = rows(database)
    with pytest.raises(Refused) as refused:
        operator.post("/v1/grant-moves", move | {"amounts": {"instances": 2}}, key="one-key")
    assert refused.value.status == 409
    assert "one-key" in refused.value.detail
    assert operator.post("/v1/grant-moves", move, key="one-key") == first
    assert rows(database) == before


COMMANDS: list[tuple[str, int, tuple[str, ...]]] = [
    ("quota set tax instances -- -1", 2, ("-1",)),
    ("quota set tax --instances=-1", 2, ("-1",)),
    ("quota set tax instances 9223372036854775808", 2, ("9223372036854775808",)),
    ("quota set tax instances 1000000000000001", 2, ("1000000000000000",)),
    ("quota set tax --cpu 0.0001", 2, ("0.0001",)),
    ("quota set tax gold 1", 2, ("gold", "cpu_milli")),
    ("quota set tax instances 101", 7, ("101", "100", "nanhai")),
    ("quota set tax instances 7", 7, ("7", "8", "tax-1")),
    ("quota set tax-1 instances 5", 7, ("6", "5", "--allow-over")),
    ("quota set tax --instances unlimited", 2, ("不限",)),
    ("quota move --from tax --to finance instances=0", 2, ("1",)),
    ("quota move --from tax --to finance instances=-3", 2, ("-3",)),
    ("quota move --from tax --to tax instances=1", 2, ("tax",)),
    ("quota move --from finance --to tax instances=6", 7, ("6", "5")),
    ("quota move --from tax --to finance instances=3", 7, ("7", "8")),
    ("quota move --from finance --to tax instances=5", 7, ("57", "55", "--allow-over")),
    ("quota move --from tax --to finance", 2, ("--cpu",)),
    ("quota recall archive instances 0", 2, ("1",)),
    ("quota recall archive instances 41", 7, ("41",)),
    ("quota recall archive instances -- -1", 2, ("-1",)),
    ("quota recall nanhai instances", 2, ("根单位",)),
    ("quota recall archive instances --notice soon", 2, ("14d",)),
    ("quota recall archive instances --notice 400d", 2, ("14d",)),
    ("quota recall archive instances --end", 2, ("archive",)),
]


@pytest.mark.parametrize("bad", COMMANDS, ids=lambda bad: bad[0])
def test_a_bad_command_says_the_same_and_changes_nothing(
    city: City,
    operator: api.Client,
    database: store_database.Database,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: pathlib.Path,
    capsys: pytest.CaptureFixture[str],
    bad: tuple[str, int, tuple[str, ...]],
) -> None:
    line, exit_code, words = bad
    for name, value in (("CONFIG", str(tmp_path / "c.json")), ("SERVER", city.url), ("TOKEN", operator.token), ("LANG", "zh")):
        monkeypatch.setenv(f"GOVPOOL_{name}", value)
    before = rows(database)
    assert process.here(line.split()) == exit_code
    told = capsys.readouterr()
    assert told.out == ""
    assert all(word in told.err for word in words), told.err
    assert rows(database) == before


def test_a_command_of_a_cycle_says_so(city: City, monkeypatch: pytest.MonkeyPatch, tmp_path: pathlib.Path, capsys: Any) -> None:
    for name, value in (("CONFIG", str(tmp_path / "c.json")), ("SERVER", city.url), ("TOKEN", city.system.token), ("LANG", "zh")):
        monkeypatch.setenv(f"GOVPOOL_{name}", value)
    assert process.here(["tenant", "move", "tax", "--parent", "tax-1", "--yes"]) == 7
    assert "tax-1" in capsys.readouterr().err
