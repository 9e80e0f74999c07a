"""`apply` and `diff`: a file is one change, all or nothing, each document checked for its own right, and says what it did."""

from collections.abc import Iterator
from typing import Any

import pytest

from apiclient import client as api
from apiclient import failure
from store import database as store_database
from tests.integration.tenants_server import City, serving

FILE = """
apiVersion: govpool/v1
kind: Project
metadata: {name: one-window, tenant: tax}
spec: {name: 一窗受理平台}
---
apiVersion: govpool/v1
kind: Tenant
metadata: {name: tax}
spec: {name: 税务局, parent: nanhai, budget_unit: "101001"}
---
apiVersion: govpool/v1
kind: Person
metadata: {name: li.na, tenant: tax}
spec: {name: 李娜}
"""


@pytest.fixture
def city(database: store_database.Database) -> Iterator[City]:
    """南海区, served."""
    with serving(database) as running:
        yield running


def applied(client: api.Client, text: str, *, dry_run: bool = False) -> Any:
    """The report of an `apply` or, with `dry_run`, a `diff`."""
    return client.post("/v1/apply", raw=text.encode(), media="application/yaml", query={"dry_run": True} if dry_run else None)


def outcomes(report: Any) -> list[tuple[str, str, str]]:
    """(kind, name, outcome) of each document."""
    return [(row["kind"], row["name"], row["outcome"]) for row in report["documents"]]


def names(city: City) -> list[str]:
    """Codes of all tenants."""
    return [row["metadata"]["name"] for row in city.system.pages("/v1/tenants")]


def trail(city: City) -> int:
    """Lines of the trail."""
    return len(list(city.audit.pages("/v1/audit-lines", limit=500)))


def test_a_file_makes_everything_in_the_order_that_its_kinds_need(city: City) -> None:
    report = applied(city.system, FILE)
    assert outcomes(report) == [("Tenant", "tax", "created"), ("Project", "one-window", "created"), ("Person", "li.na", "created")]
    assert report["counts"] == {"created": 3, "changed": 0, "unchanged": 0}
    assert names(city) == ["nanhai", "tax"]


def test_the_same_file_again_changes_nothing_and_one_line_changes_one_thing(city: City) -> None:
    applied(city.system, FILE)
    generation = city.system.get("/v1/tenants/tax")["metadata"]["generation"]
    assert applied(city.system, FILE)["counts"] == {"created": 0, "changed": 0, "unchanged": 3}
    assert city.system.get("/v1/tenants/tax")["metadata"]["generation"] == generation
    report = applied(city.system, FILE.replace("101001", "101002"))
    assert report["counts"] == {"created": 0, "changed": 1, "unchanged": 2}
    (changed,) = [row for row in report["documents"] if row["outcome"] == "changed"]
    assert changed["changes"] == [{"path": "spec.budget_unit", "before": "101001", "after": "101002"}]


def test_a_diff_says_the_same_and_changes_nothing(city: City) -> None:
    before = trail(city)
    assert outcomes(applied(city.system, FILE, dry_run=True)) == outcomes(applied(city.system, FILE, dry_run=True))
    assert names(city) == ["nanhai"] and trail(city) == before
    applied(city.system, FILE)
    report = applied(city.system, FILE.replace("李娜", "李娜娜"), dry_run=True)
    assert report["counts"] == {"created": 0, "changed": 1, "unchanged": 2}
    assert applied(city.system, FILE)["counts"]["unchanged"] == 3


def test_one_refused_document_takes_all_back_and_is_named_with_its_line(city: City) -> None:
    """The mutant: a transaction per document."""
    bad = FILE + "---\napiVersion: govpool/v1\nkind: Project\nmetadata: {name: p, tenant: nowhere}\nspec: {name: 无}\n"
    with pytest.raises(failure.ProblemError) as raised:
        applied(city.system, bad)
    assert (raised.value.status, raised.value.code) == (404, "object.unknown")
    assert raised.value.findings[0]["place"] == "line 17 (Project p)"
    assert names(city) == ["nanhai"]


def test_each_document_is_checked_for_its_own_right(city: City) -> None:
    city.department("tax", "税务局")
    li = city.person("tax", "li.na", "李娜", "approver")
    mine = "apiVersion: govpool/v1\nkind: Project\nmetadata: {name: p, tenant: tax}\nspec: {name: 我们的}\n"
    assert applied(li, mine)["counts"]["created"] == 1
    others = mine.replace("name: p,", "name: q,") + "---\n" + FILE
    with pytest.raises(failure.ProblemError) as raised:
        applied(li, others)
    assert raised.value.code in ("role.forbidden", "object.unknown")
    assert [row["metadata"]["name"] for row in li.pages("/v1/projects")] == ["p"]


def test_every_mistake_of_a_file_is_listed_and_nothing_is_done(city: City) -> None:
    bad = FILE.replace("parent: nanhai", "parent: 7").replace("kind: Person", "kind: Persoon") + "---\n{a: 1, a: 2}\n"
    with pytest.raises(failure.ProblemError) as raised:
        applied(city.system, bad)
    found = [(finding["place"], finding["code"]) for finding in raised.value.findings]
    assert raised.value.code == "document.invalid"
    assert sorted(found) == [("line 10", "input.invalid"), ("line 13", "document.kind"), ("line 17", "yaml.duplicate")]
    assert names(city) == ["nanhai"]


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\xff\xfe",
        b"a: &a [x]\nb: *a",
        b"&a [" * 300,
        b"!!python/object/apply:os.system [id]",
        b"[" * 100_000,
        b"a: 1\na: 1",
        b"%TAG ! !x",
        b"\x00",
        b"- " * 5000,
        b"{" + b"a" * 5000 + b": 1}",
        b"apiVersion: govpool/v1\nkind: [Tenant]\nmetadata: {name: a}\nspec: {}",
        b"apiVersion: govpool/v1\nkind: Tenant\nmetadata: {name: [a]}\nspec: {}",
        b"apiVersion: govpool/v1\nkind: Tenant\nmetadata: {name: a}\nspec: null",
    ],
)
def test_hostile_yaml_is_a_400_with_findings(city: City, content: bytes) -> None:
    with pytest.raises(failure.ProblemError) as raised:
        city.system.post("/v1/apply", raw=content, media="application/yaml")
    assert raised.value.status == 400 and raised.value.findings


def test_a_file_beyond_the_limit_is_refused(city: City) -> None:
    with pytest.raises(failure.ProblemError) as raised:
        city.system.post("/v1/apply", raw=b"a: " + b"x" * (256 * 1024), media="application/yaml")
    assert (raised.value.status, raised.value.code) == (413, "input.too_large")


def test_the_same_key_applies_once(city: City) -> None:
    first = city.system.post("/v1/apply", raw=FILE.encode(), media="application/yaml", key="once")
    assert city.system.post("/v1/apply", raw=FILE.encode(), media="application/yaml", key="once") == first
    assert first["counts"]["created"] == 3
