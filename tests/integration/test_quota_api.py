"""Quotas and pools as people meet them, over HTTP and as typed commands, on both databases, with a real lab cloud."""

import json
import pathlib
from collections.abc import Callable, Iterator

import pytest

from apiclient import client as api
from control import quota_names
from primitives import errors
from quotas import names
from quotas import service as quotas
from store import database as store_database
from tests.integration import process
from tests.integration.lab_process import Lab
from tests.integration.tenants_server import City, refused, serving

Typed = Callable[..., tuple[int, str, str]]


@pytest.fixture
def city(database: store_database.Database) -> Iterator[City]:
    """南海区 with a finance bureau and two offices, served; the root's operator grants."""
    with serving(database) as served:
        served.department("finance", "财政局")
        served.department("tax", "税务局")
        served.department("tax-1", "第一税务分局", "tax")
        yield served


@pytest.fixture
def operator(city: City) -> api.Client:
    """The operator of the root."""
    return city.person("nanhai", "chen", "陈强", "operator")


@pytest.fixture
def lab(tmp_path: pathlib.Path) -> Iterator[Lab]:
    """A lab cloud in a process of its own."""
    running = Lab(tmp_path / "lab.db")
    yield running
    running.stop()


@pytest.fixture
def typed(
    city: City, operator: api.Client, monkeypatch: pytest.MonkeyPatch, tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> Typed:
    """Run a command as the operator; gives exit code, standard output and standard error."""
    monkeypatch.setenv("GOVPOOL_CONFIG", str(tmp_path / "contexts.json"))
    monkeypatch.setenv("GOVPOOL_SERVER", city.url)
    monkeypatch.setenv("GOVPOOL_TOKEN", operator.token)
    monkeypatch.setenv("GOVPOOL_LANG", "zh")

    def run(line: str) -> tuple[int, str, str]:
        capsys.readouterr()
        code = process.here(line.split())
        told = capsys.readouterr()
        return code, told.out, told.err

    return run


def put(client: api.Client, tenant: str, name: str, granted: int | str, generation: int = 0, **more: object) -> None:
    """Set one grant."""
    client.put(f"/v1/grants/{tenant}/{name}", {"granted": granted, **more}, if_match=generation)


def test_grants_go_down_the_tree_and_show_how_they_stand(city: City, operator: api.Client) -> None:
    put(operator, "nanhai", "cpu_milli", "unlimited")
    put(operator, "tax", "cpu_milli", 64000, lending_limit=16000, borrowing_limit=8000)
    put(operator, "tax-1", "cpu_milli", 32000)
    found = {row["tenant"]: row for row in operator.pages("/v1/grants", name="cpu_milli")}
    assert found["nanhai"]["granted"] == 10**15
    assert (found["tax"]["granted"], found["tax"]["promised"], found["tax"]["kept"]) == (64000, 32000, 48000)
    assert found["tax-1"] | {"promised": 0} == found["tax-1"]
    shown = operator.get("/v1/grants/tax")
    assert [(row["name"], row["available"], row["limit"]) for row in shown] == [("cpu_milli", 72000, 72000)]
    document = operator.get("/v1/grants/tax/cpu_milli")
    assert document["spec"] == {"granted": 64000, "lending_limit": 16000, "borrowing_limit": 8000}
    assert city.database.read(quotas.check) == []


def test_a_sub_tenant_cannot_raise_its_own_quota(city: City, operator: api.Client) -> None:
    """cozystack#3085: only somebody above writes a grant."""
    put(operator, "nanhai", "instances", 100)
    put(operator, "tax", "instances", 10)
    own = city.person("tax", "zhou", "周敏", "operator")
    assert refused(put, own, "tax", "instances", 50, 1) == (403, "grant.from_above")
    assert refused(own.patch, "/v1/grants/tax", {"grants": [{"name": "instances", "granted": 50}]}) == (403, "grant.from_above")
    put(own, "tax-1", "instances", 5)
    move = {"giver": "tax", "taker": "tax-1", "amounts": {"instances": 1}}
    assert refused(own.post, "/v1/grant-moves", move) == (403, "grant.from_above")
    requester = city.person("tax-1", "he", "何丽", "requester")
    assert refused(put, requester, "tax-1", "instances", 9, 1) == (403, "role.forbidden")
    stranger = city.person("finance", "sun", "孙伟", "operator")
    assert refused(put, stranger, "tax", "instances", 1, 1) == (404, "object.unknown")
    assert refused(stranger.get, "/v1/grants/tax") == (404, "object.unknown")
    assert [row["tenant"] for row in own.pages("/v1/grants")] == ["tax", "tax-1"]


def test_two_operators_cannot_overwrite_each_other(city: City, operator: api.Client) -> None:
    put(operator, "nanhai", "instances", 100)
    assert refused(operator.put, "/v1/grants/tax/instances", {"granted": 5}) == (428, "precondition.missing")
    put(operator, "tax", "instances", 5)
    assert refused(put, operator, "tax", "instances", 7, 0) == (412, "object.stale")
    put(operator, "tax", "instances", 7, 1)
    stale = {"grants": [{"name": "instances", "granted": 9, "generation": 1}]}
    assert refused(operator.patch, "/v1/grants/tax", stale) == (412, "object.stale")
    put(operator, "tax", "instances", 7, 2)
    assert operator.get("/v1/grants/tax")[0]["generation"] == 2, "an equal grant stays at its generation"


def test_several_names_are_set_all_or_none(city: City, operator: api.Client) -> None:
    changes = [{"name": "instances", "granted": 100}, {"name": "cpu_milli", "granted": "unlimited"}]
    assert len(operator.patch("/v1/grants/nanhai", {"grants": changes})) == 2
    changes = [{"name": "instances", "granted": 10}, {"name": "cpu_milli", "granted": "unlimited"}]
    assert refused(operator.patch, "/v1/grants/tax", {"grants": changes}) == (400, "quota.unlimited")
    assert operator.get("/v1/grants/tax") == []


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("PUT", "/v1/grants/tax/instances", {"granted": -1}),
        ("PUT", "/v1/grants/tax/instances", {"granted": 10**15 + 1}),
        ("PUT", "/v1/grants/tax/instances", {"granted": 1.5}),
        ("PUT", "/v1/grants/tax/instances", {"granted": 1, "colour": "red"}),
        ("PUT", "/v1/grants/tax/gold", {"granted": 1}),
        ("PUT", "/v1/grants/tax/disk_gib.", {"granted": 1}),
        ("PATCH", "/v1/grants/tax", {"grants": []}),
        ("POST", "/v1/grant-moves", {"giver": "tax", "taker": "finance", "amounts": {}}),
        ("POST", "/v1/grant-moves", {"giver": "tax", "taker": "finance", "amounts": {"instances": 0}}),
        ("PUT", "/v1/grant-defaults/gold", {"granted": 1}),
        ("POST", "/v1/pools", {"code": "Ost", "name": "x", "driver": "lab"}),
        ("POST", "/v1/pools", {"code": "east", "name": "x", "driver": "nothing"}),
        ("POST", "/v1/pools", {"code": "east", "name": "x", "driver": "lab", "protection_level": 9}),
        ("POST", "/v1/pools", {"code": "east", "name": "x", "driver": "lab", "driver_settings": {"url": 5}}),
    ],
)
def test_bad_input_is_refused_with_a_code_and_changes_nothing(
    city: City, operator: api.Client, method: str, path: str, body: dict[str, object]
) -> None:
    status, code = refused(operator.call, method, path, body, if_match=0)
    assert (status, bool(code)) == (400, True)
    assert list(operator.pages("/v1/grants")) == []
    assert list(operator.pages("/v1/pools")) == []


def test_a_pool_shows_granted_reserved_physical_and_used(city: City, operator: api.Client, lab: Lab) -> None:
    put(operator, "nanhai", "cpu_milli", "unlimited")
    put(operator, "tax", "cpu_milli", 64000)
    spec = {"name": "佛山政务云", "driver": "lab", "driver_settings": {"url": lab.url}, "protection_level": 3}
    made = operator.post("/v1/pools", {"code": "gov", **spec})
    assert made["status"]["kinds"] == ["ContainerApp", "VirtualMachine", "Volume"]
    rooms = {(room["zone"], room["class"], room["name"]): room for room in operator.get("/v1/pools/gov")["status"]["rooms"]}
    own = [host for host in operator.pages("/v1/hosts", pool="gov") if host["zone"] == "az1" and host["class"] != "gpu"]
    room = rooms["az1", own[0]["class"], "cpu_milli"]
    assert room["physical"] == sum(host["physical"]["cpu_milli"] for host in own)
    assert room["capacity"] == 4 * room["physical"], "the lab's CPU is overcommitted four times"
    assert (room["granted"], room["reserved"], room["held"], room["used"]) == (64000, 0, 0, 0)
    assert refused(operator.post, "/v1/pools", {"code": "gov", **spec}) == (409, "pool.taken")
    assert operator.post("/v1/pools/gov/pause")["status"]["paused"] is True
    assert operator.post("/v1/pools/gov/resume")["status"]["paused"] is False
    finance = city.person("finance", "sun", "孙伟", "requester")
    seen = finance.get("/v1/pools/gov")
    assert {frozenset(each) for each in seen["status"]["rooms"]} == {frozenset({"zone", "class", "name", "free"})}
    assert seen["spec"]["driver_settings"] == {}, "where the cloud is, and what others hold, is no department's business"
    assert refused(finance.post, "/v1/pools/gov/pause")[0] == 403
    assert refused(finance.get, "/v1/hosts")[0] == 403
    assert refused(operator.get, "/v1/pools/west") == (404, "pool.unknown")


def test_a_pool_whose_cloud_does_not_answer_is_made_all_the_same(city: City, operator: api.Client) -> None:
    body = {"code": "gov", "name": "政务云", "driver": "lab", "driver_settings": {"url": "http://127.0.0.1:9"}}
    assert operator.post("/v1/pools", body)["metadata"]["name"] == "gov"
    assert operator.get("/v1/pools/gov")["status"]["rooms"] == []


def test_documents_of_grants_and_pools_can_be_applied_twice(city: City, operator: api.Client) -> None:
    text = """
apiVersion: govpool/v1
kind: Grant
metadata: {name: instances, tenant: nanhai}
spec: {granted: unlimited}
---
apiVersion: govpool/v1
kind: Grant
metadata: {name: instances, tenant: tax}
spec: {granted: 12, lending_limit: 3}
---
apiVersion: govpool/v1
kind: Pool
metadata: {name: gov}
spec: {name: 政务云, driver: lab, driver_settings: {url: "http://127.0.0.1:9"}, halls: [hall-1], overcommit_permille: {cpu_milli: 2000}}
""".encode()
    city.security.post("/v1/bindings", {"account": "chen", "role": "viewer", "tenant": "nanhai"})
    for outcome in ("created", "unchanged"):
        report = operator.post("/v1/apply", raw=text, media="application/yaml")
        assert [each["outcome"] for each in report["documents"]] == [outcome] * 3
    report = operator.post("/v1/apply", raw=text.replace(b"granted: 12", b"granted: 13"), media="application/yaml")
    assert [change["path"] for each in report["documents"] for change in each["changes"]] == ["granted"]


def test_an_operator_sets_shows_and_moves_quotas_from_the_command_line(typed: Typed) -> None:
    assert typed("quota set nanhai --cpu unlimited --ram unlimited --instances 100 --set gpus.a100=8 --gpus 8")[0] == 0
    assert typed("quota set tax --cpu 64.5 --ram 256GiB --instances 10 --lending instances=4 --borrowing instances=2")[0] == 0
    assert typed("quota set finance cpu_milli 8000")[0] == 0
    code, out, err = typed("quota show tax")
    assert (code, err) == (0, "")
    assert "64.5 vCPU" in out and "256 GiB" in out
    code, out, err = typed("quota move --from tax --to finance --cpu 16")
    assert (code, err) == (0, "")
    rows = {row["tenant"]: row for row in json.loads(typed("quota list --name cpu_milli -o json")[1])}
    assert (rows["tax"]["granted"], rows["finance"]["granted"]) == (48500, 24000)
    shown = {row["name"]: row for row in json.loads(typed("quota show tax -o json")[1])}
    assert (shown["instances"]["lending_limit"], shown["instances"]["borrowing_limit"]) == (4, 2)
    assert typed("quota set tax --lending instances=all")[0] == 0
    code, out, err = typed("quota set tax --instances 101")
    assert code == 7
    assert "nanhai" in err
    assert typed("quota set tax --cpu lots")[0] == 2
    assert typed("quota set tax")[0] == 2
    code, out, _ = typed("quota defaults --cpu 2 --instances 4")
    assert (code, "2 vCPU" in out) == (0, True)
    assert "milli-vCPU" in typed("quota names")[1]


def test_pools_and_hosts_from_the_command_line(typed: Typed, lab: Lab) -> None:
    code, out, err = typed(f"pool create gov --driver lab --setting url={lab.url} --protection-level 3 --overcommit cpu_milli=2000")
    assert (code, err) == (0, "")
    code, out, err = typed("pool show gov")
    assert (code, err) == (0, "")
    assert "vCPU" in out
    assert json.loads(typed("pool show gov -o json")[1])["spec"]["overcommit_permille"] == {"cpu_milli": 2000}
    assert "h01" in typed("host list")[1]
    assert typed("pool pause gov")[0] == 0
    assert typed("pool list")[1].split()[-1] in ("yes", "是")
    assert typed("pool resume gov")[0] == 0
    assert typed("pool show west")[0] == 3


def test_an_installation_counts_things_of_its_own(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(names, "_known", dict(names._known))
    file = tmp_path / "names.yaml"
    file.write_text('tapes: {unit: "1", en: backup tapes, zh: 备份磁带}\n', encoding="utf-8")
    quota_names.declare(str(file))
    quota_names.declare("")
    assert names.of("tapes.lto9").zh == "备份磁带"
    for wrong in (
        "tapes: {unit: 盒, en: t, zh: 带}",
        "Tapes: {unit: 盒, en: t, zh: 带}",
        "tapes: {unit: 盒}",
        "[1]",
        "a: &b {}",
        "tapes: {",
    ):
        file.write_text(wrong, encoding="utf-8")
        with pytest.raises(errors.GovpoolError) as refused:
            quota_names.declare(str(file))
        assert refused.value.code == "settings.invalid"
    with pytest.raises(errors.GovpoolError):
        quota_names.declare(str(tmp_path / "nowhere.yaml"))
