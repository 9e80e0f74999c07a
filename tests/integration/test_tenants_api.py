"""Tenants, people, roles and tokens as people meet them: over HTTP, on both databases."""

import ast
import datetime
import pathlib
from collections.abc import Iterator

import pytest

from apiclient import client as api
from apiclient import failure
from control import init
from primitives import clock, errors
from store import database as store_database
from store import transaction
from tenants import role_table
from tests.integration.tenants_server import City, refused, serving

ROOT = pathlib.Path(__file__).parent.parent.parent


@pytest.fixture
def city(database: store_database.Database) -> Iterator[City]:
    """南海区, served."""
    with serving(database) as served:
        yield served


def test_a_department_starts_with_three_hands(city: City) -> None:
    """The system administrator founds and adds, the security administrator empowers, the department works."""
    city.department("tax", "税务局", credit_code="91110000600037341L", budget_unit="101001")
    li = city.person("tax", "li.na", "李娜", "approver")
    assert li.get("/v1/whoami")["roles"] == [{"role": "approver", "tenant": "tax", "tenant_name": "税务局"}]
    made = li.post("/v1/projects", {"tenant": "tax", "code": "one-window", "name": "一窗受理平台"})
    assert (made["metadata"]["name"], made["spec"]["name"]) == ("one-window", "一窗受理平台")
    assert [each["metadata"]["name"] for each in li.pages("/v1/projects")] == ["one-window"]
    assert [each["metadata"]["name"] for each in li.pages("/v1/tenants")] == ["tax"]
    assert li.get("/v1/tenants/tax")["status"]["path"] == ["nanhai", "tax"]
    assert refused(li.post, "/v1/projects", {"tenant": "tax", "code": "one-window", "name": "又一个"}) == (409, "code.taken")


def test_no_one_hand_makes_a_login_and_gives_it_power(city: City) -> None:
    city.department("tax", "税务局")
    new = {"account": "ghost", "name": "影子", "roles": ["approver"]}
    assert refused(city.system.post, "/v1/tenants/tax/members", new) == (403, "role.not_grantable")
    assert refused(city.system.get, "/v1/accounts/ghost") == (404, "object.unknown"), "a refusal leaves nothing behind"
    assert refused(city.security.post, "/v1/tenants/tax/members", {**new, "roles": []}) == (403, "role.forbidden")
    assert refused(city.system.post, "/v1/bindings", {"account": "audit-admin", "role": "operator", "tenant": "nanhai"})[0] == 403
    own = {"account": "security-admin", "role": "operator", "tenant": "nanhai"}
    assert refused(city.security.post, "/v1/bindings", own) == (403, "role.self")
    combined = {"account": "audit-admin", "role": "system_admin", "tenant": "nanhai"}
    assert refused(city.security.post, "/v1/bindings", combined) == (409, "role.combined")
    assert refused(city.system.post, "/v1/accounts/audit-admin/enrol") == (403, "account.administrator")


def test_a_stranger_gets_the_same_404_for_what_is_anothers_and_for_what_is_not(city: City) -> None:
    city.department("tax", "税务局")
    city.department("police", "公安局")
    wang = city.person("police", "wang", "王芳", "approver")
    city.system.post("/v1/projects", {"tenant": "police", "code": "grid", "name": "网格化"})
    li = city.person("tax", "li.na", "李娜", "approver")
    token = next(wang.pages("/v1/tokens"))["id"]
    for method, path, body in [
        ("GET", "/v1/tenants/{}", None),
        ("GET", "/v1/tenants/{}/history", None),
        ("GET", "/v1/tenants/{}/export", None),
        ("GET", "/v1/tenants/{}/members", None),
        ("PATCH", "/v1/tenants/{}", {"name": "别名"}),
        ("POST", "/v1/tenants/{}/move", {"parent": "tax"}),
        ("POST", "/v1/tenants/{}/freeze", None),
        ("POST", "/v1/tenants/{}/offboard", None),
        ("POST", "/v1/tenants/{}/members", {"account": "spy", "name": "细作"}),
        ("GET", "/v1/projects/{}/grid", None),
        ("GET", "/v1/projects?tenant={}", None),
        ("GET", "/v1/accounts?tenant={}", None),
        ("GET", "/v1/bindings?tenant={}", None),
        ("DELETE", "/v1/bindings/{}/wang/approver", None),
    ]:
        answers = []
        for code in ("police", "nowhere"):
            with pytest.raises(failure.ProblemError) as error:
                ask(li, method, path.format(code), body)
            told = error.value
            answers.append((told.status, told.code, told.title, told.detail, told.mend, told.values))
        assert answers[0] == answers[1], path
        assert answers[0][:2] == (404, "object.unknown"), path
    for method, path in [
        ("GET", "/v1/accounts/{}"),
        ("POST", "/v1/accounts/{}/enrol"),
        ("POST", "/v1/accounts/{}/disable"),
        ("GET", "/v1/tokens?account={}"),
    ]:
        foreign, unknown = (refused(ask, li, method, path.format(account)) for account in ("wang", "nobody"))
        assert foreign == unknown == (404, "object.unknown"), path
    assert refused(li.delete, f"/v1/tokens/{token}") == (404, "object.unknown")
    assert refused(li.get, f"/v1/persons/{wang.get('/v1/whoami')['person_id']}") == (404, "object.unknown")
    assert not [row for row in li.pages("/v1/accounts") if row["account"] == "wang"]


def test_a_secret_is_shown_once(city: City) -> None:
    city.department("tax", "税务局")
    body = {"account": "li.na", "name": "李娜"}
    code = city.system.post("/v1/tenants/tax/members", body, key="once-1")["code"]
    assert refused(city.system.post, "/v1/tenants/tax/members", body, key="once-1") == (409, "secret.shown")
    li = city.login(code)
    assert refused(city.login, code) == (401, "login.code")
    new = li.post("/v1/tokens/rotate", key="once-2")["token"]
    assert refused(li.post, "/v1/tokens/rotate", key="once-2") == (409, "secret.shown")
    tables = ("answers", "audit_trail", "tokens", "login_codes")
    kept = city.database.read(lambda tx: str([tx.execute(transaction.sql(f"SELECT * FROM {table}")) for table in tables]))
    assert not [secret for secret in (code, li.token, new) if secret in kept]


def test_the_trail_knows_ids_and_never_a_persons_name(city: City) -> None:
    city.department("tax", "税务局")
    li = city.person("tax", "li.na", "李娜独一", "requester")
    person = li.get("/v1/whoami")["person_id"]
    city.system.patch(f"/v1/persons/{person}", {"name": "李娜改名", "contact": "13800138000"})
    lines = city.database.read(lambda tx: tx.execute(transaction.sql("SELECT content FROM audit_trail")))
    trail = b"\n".join(bytes(row["content"]) for row in lines)
    assert person.encode() in trail
    for told in ("李娜", "13800138000", "税务局"):
        assert told.encode() not in trail
    refused(li.post, "/v1/tenants/tax/freeze")
    last = city.database.read(lambda tx: tx.one(transaction.sql("SELECT content FROM audit_trail ORDER BY seq DESC LIMIT 1")))
    assert last is not None
    assert b'"code":"role.forbidden"' in bytes(last["content"])


def test_who_logs_out_or_is_revoked_is_out_at_once(city: City) -> None:
    city.department("tax", "税务局")
    li = city.person("tax", "li.na", "李娜", "requester")
    li.post("/v1/logout")
    assert refused(li.get, "/v1/whoami") == (401, "token.revoked")
    again = city.login(city.system.post("/v1/accounts/li.na/enrol")["code"])
    token = next(each for each in again.pages("/v1/tokens") if each["current"])
    city.security.delete(f"/v1/tokens/{token['id']}")
    assert refused(again.get, "/v1/whoami") == (401, "token.revoked")
    assert refused(city.client("gp_wrong").get, "/v1/whoami") == (401, "token.unknown")


def test_who_only_reads_stays_signed_in(city: City) -> None:
    city.department("tax", "税务局")
    li = city.person("tax", "li.na", "李娜", "viewer")
    try:
        clock.shift(datetime.timedelta(hours=11))
        li.get("/v1/whoami")
        city.database.lane.run(lambda tx: None)  # the renewal stands before it in the line
        clock.shift(datetime.timedelta(hours=22))
        assert li.get("/v1/whoami")["account"] == "li.na"
        clock.shift(datetime.timedelta(hours=47))
        assert refused(li.get, "/v1/whoami") == (401, "token.expired")
    finally:
        clock.shift(datetime.timedelta(0))


def test_a_program_acts_within_its_owners_roles(city: City) -> None:
    city.department("tax", "税务局")
    li = city.person("tax", "li.na", "李娜", "viewer")
    made = li.post("/v1/service-accounts", {"account": "meter-export", "tenant": "tax", "roles": ["viewer"]})
    program = city.client(made["token"])
    assert program.get("/v1/whoami")["kind"] == "service"
    more = {"account": "greedy", "tenant": "tax", "roles": ["approver"]}
    assert refused(li.post, "/v1/service-accounts", more) == (409, "role.service")
    assert refused(program.post, "/v1/service-accounts", {**more, "roles": ["viewer"]}) == (403, "role.forbidden")
    city.security.delete("/v1/bindings/tax/li.na/viewer")
    assert program.get("/v1/whoami")["roles"] == []
    assert refused(program.get, "/v1/tenants/tax") == (404, "object.unknown")
    assert li.post("/v1/accounts/meter-export/enrol")["code"], "its owner can put a lost token right"
    assert refused(program.get, "/v1/whoami") == (401, "token.revoked")
    li.post("/v1/accounts/meter-export/disable")
    assert refused(li.post, "/v1/accounts/meter-export/enrol") == (409, "account.disabled")


def test_a_frozen_department_is_told_so_and_an_offboarded_one_is_gone(city: City) -> None:
    city.department("tax", "税务局")
    li = city.person("tax", "li.na", "李娜", "approver")
    city.system.post("/v1/tenants/tax/freeze")
    project = {"tenant": "tax", "code": "late", "name": "迟到的项目"}
    assert refused(li.post, "/v1/projects", project) == (403, "tenant.frozen")
    assert li.get("/v1/tenants/tax")["status"]["state"] == "frozen"
    city.system.post("/v1/tenants/tax/unfreeze")
    li.post("/v1/projects", project)
    exported = city.system.content("/v1/tenants/tax/export").decode()
    assert '"kind":"Project"' in exported
    assert "迟到的项目" in exported
    assert '"kind":"AuditLine"' in exported
    assert city.system.post("/v1/tenants/tax/offboard")["status"]["state"] == "closed"
    assert refused(li.get, "/v1/whoami") == (401, "token.revoked")
    assert refused(city.system.post, "/v1/tenants", {"code": "tax", "name": "新局", "parent": "nanhai"}) == (409, "code.taken")
    assert refused(city.system.post, "/v1/tenants/tax/unfreeze") == (409, "tenant.state")
    assert refused(city.system.post, "/v1/tenants/nanhai/offboard") == (409, "tenant.root")


def test_two_who_change_the_same_department_do_not_overwrite_each_other(city: City) -> None:
    city.department("tax", "税务局")
    city.system.patch("/v1/tenants/tax", {"name": "国家税务总局南海区税务局"}, if_match=1)
    assert refused(city.system.patch, "/v1/tenants/tax", {"name": "地税"}, if_match=1) == (412, "object.stale")
    facts = [(fact["fact"], fact["value"]) for fact in city.system.pages("/v1/tenants/tax/history")]
    assert ("name", "税务局") in facts
    assert ("name", "国家税务总局南海区税务局") in facts


def test_a_move_needs_the_right_at_both_ends_and_makes_no_cycle(city: City) -> None:
    for code, parent in (("county", "nanhai"), ("town", "county"), ("other", "nanhai")):
        city.department(code, f"{code}局", parent)
    city.person("county", "local", "地方管理员")
    city.security.post("/v1/bindings", {"account": "local", "role": "system_admin", "tenant": "county"})
    local = city.login(city.database.lane.run(lambda tx: init._enrol(tx, "local")).code)
    assert refused(local.post, "/v1/tenants/town/move", {"parent": "other"}) == (404, "object.unknown")
    assert refused(city.system.post, "/v1/tenants/county/move", {"parent": "town"}) == (409, "tenant.cycle")
    assert city.system.post("/v1/tenants/town/move", {"parent": "other"})["status"]["path"] == ["nanhai", "other", "town"]
    assert refused(local.get, "/v1/tenants/town") == (404, "object.unknown"), "a move takes the old county's view away"


def ask(client: api.Client, method: str, target: str, body: object = None) -> None:
    """A call of a path with its query."""
    path, _, query = target.partition("?")
    client.call(method, path, body, query=dict([query.split("=")]) if query else None)


def test_a_countys_administrator_cannot_borrow_power_over_the_city(city: City) -> None:
    city.department("county", "桂城街道")
    city.person("county", "local", "地方管理员")
    city.security.post("/v1/bindings", {"account": "local", "role": "system_admin", "tenant": "county"})
    local = city.login(city.database.lane.run(lambda tx: init._enrol(tx, "local")).code)
    city.person("county", "clerk", "办事员", "requester")
    city.person("county", "ops", "周杰", "operator", at="nanhai")
    assert local.post("/v1/accounts/clerk/enrol")["code"]
    assert refused(local.post, "/v1/accounts/ops/enrol") == (403, "account.beyond")
    assert city.system.post("/v1/accounts/ops/enrol")["code"]


DOCUMENTS = """
apiVersion: govpool/v1
kind: Person
metadata: {name: li.na, tenant: tax}
spec: {name: 李娜, roles: [requester]}
---
apiVersion: govpool/v1
kind: Tenant
metadata: {name: tax}
spec: {name: 税务局, parent: nanhai}
---
apiVersion: govpool/v1
kind: Project
metadata: {name: one-window, tenant: tax}
spec: {name: 一窗受理平台}
""".encode()


def apply(client: api.Client, content: bytes) -> dict[str, int]:
    """Apply documents; how many were created, changed, unchanged."""
    counts: dict[str, int] = client.call("POST", "/v1/apply", raw=content, media="application/yaml").json()["counts"]
    return counts


def test_documents_found_a_department_once_and_then_change_only_what_differs(city: City) -> None:
    assert apply(city.system, DOCUMENTS) == {"created": 3, "changed": 0, "unchanged": 0}
    assert apply(city.system, DOCUMENTS) == {"created": 0, "changed": 0, "unchanged": 3}
    changed = DOCUMENTS.replace("税务局".encode(), "南海税务局".encode()).replace("李娜".encode(), "李娜娜".encode())
    assert apply(city.system, changed) == {"created": 0, "changed": 2, "unchanged": 1}
    assert city.system.get("/v1/tenants/tax")["metadata"]["generation"] == 2
    roles = b"apiVersion: govpool/v1\nkind: RoleBinding\nmetadata: {name: li.na, tenant: tax}\nspec: {roles: [approver]}\n"
    assert refused(apply, city.system, roles) == (403, "role.not_grantable")
    assert apply(city.security, roles)["changed"] == 1
    assert apply(city.security, roles)["unchanged"] == 1


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/v1/tenants", {"code": "Tax", "name": "x", "parent": "nanhai"}),
        ("/v1/tenants", {"code": "tax", "name": "", "parent": "nanhai"}),
        ("/v1/tenants", {"code": "tax", "name": "x\u202e", "parent": "nanhai"}),
        ("/v1/tenants", {"code": "tax", "name": "x", "parent": "nanhai", "credit_code": "91110000600037341X"}),
        ("/v1/tenants", {"code": "tax", "name": "x", "parent": "nanhai", "protection_level": 10**30}),
        ("/v1/tenants", {"code": "tax", "name": "x", "parent": "nanhai", "valid_from": "yesterday"}),
        ("/v1/tenants", {"code": "tax", "name": "x", "parent": "nanhai", "valid_from": "2199-01-01T00:00:00Z"}),
        ("/v1/tenants", {"code": "tax", "name": "x", "parent": "nanhai", "surprise": 1}),
        ("/v1/tenants", {"code": "tax", "name": "x", "parent": "nowhere"}),
        ("/v1/tenants", {"code": "tax", "name": "x", "parent": "nanhai", "payer": "nowhere"}),
        ("/v1/tenants", {"code": "tax", "name": "x", "parent": "nanhai", "valid_from": "2001-01-01T00:00:00Z"}),
        ("/v1/tenants/nanhai/move", {"parent": "nanhai"}),
        ("/v1/tenants/nanhai/members", {"account": "李娜", "name": "李娜"}),
        ("/v1/tenants/nanhai/members", {"account": "li", "name": "李娜", "roles": ["emperor"]}),
        ("/v1/projects", {"tenant": "nanhai", "code": "../x", "name": "x"}),
        ("/v1/bindings", {"account": "nobody", "role": "viewer", "tenant": "nanhai"}),
        ("/v1/login", {"code": "x" * 101}),
        ("/v1/login", {"code": "gpc_'; DROP TABLE tenants; --"}),
    ],
)
def test_bad_input_is_refused_with_a_way_out_and_changes_nothing(city: City, path: str, body: dict[str, object]) -> None:
    before = list(city.system.pages("/v1/tenants"))
    with pytest.raises(failure.ProblemError) as error:
        city.security.post(path, body) if path == "/v1/bindings" else city.system.post(path, body)
    assert 400 <= error.value.status < 500
    assert error.value.code
    assert error.value.mend
    assert list(city.system.pages("/v1/tenants")) == before


def test_an_installation_begins_once(database: store_database.Database) -> None:
    init.initialise(database)
    with pytest.raises(errors.GovpoolError, match=r"init\.done"):
        init.initialise(database)


def test_every_question_about_rights_has_a_line_in_the_role_table() -> None:
    """Literal (verb, kind) pairs in `control` against the table: a misspelt verb would forbid everyone, silently."""
    asked = set()
    for path in (ROOT / "control").glob("**/*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not isinstance(node, ast.Call) or getattr(node.func, "attr", "") not in ("require", "tenant", "own", "scope"):
                continue
            named = {each.arg: each.value for each in node.keywords}
            given = [*node.args, *(named[name] for name in ("verb", "kind") if name in named)]
            words = [each.value for each in given if isinstance(each, ast.Constant)]
            if len(words) == 2:
                asked.add((str(path.relative_to(ROOT)), words[1], words[0]))
    known = {pair for pairs in role_table.TABLE.values() for pair in pairs} | role_table.SELF
    assert len(asked) > 20
    assert not {(path, kind, verb) for path, kind, verb in asked if (kind, verb) not in known}
