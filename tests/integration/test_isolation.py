"""Nobody learns anything of another tenant: every route of the OpenAPI document, called by everybody, aimed at everybody.

Each tenant's own things carry its canary.  An answer may hold the canaries of tenants at and below the caller's, and the names of
the caller's ancestors; any other canary, in a body, a list, an error, an export or a metric, is a leak.  Requests are made from the
document itself, so a new route is tested without anybody remembering it.
"""

import dataclasses
import datetime
import http.client
import itertools
import json
import re
import urllib.parse
from collections.abc import Iterator
from typing import Any

import pytest

from apiserver import openapi, routes
from control import notice
from pools import model as pools_model
from pools import service as pools
from primitives import clock
from primitives import ids as new_ids
from quotas import model as quotas_model
from quotas import recall_records
from store import database as store_database
from store.transaction import Transaction
from tests.integration.tenants_server import City, serving

PARENTS = {"fin": "nanhai", "tax": "fin", "branch": "tax", "police": "fin", "edu": "nanhai"}
ROLES = ("requester", "approver", "viewer", "finance", "operator")
API: dict[str, Any] = json.loads(openapi.document(tuple(routes.gathered())))
OWN_SESSION = {"token.rotate", "token.logout", "token.issue"}  # they act on the caller himself and would end the test
WORDS = (
    "a",
    "abc",
    "1",
    "0.10",
    "2026-10",
    "2026-10-01T00:00:00Z",
    "vCPU-Hours",
    "VirtualMachine",
    "cpu_milli",
    "ours",
    "CNY",
    "csv",
)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Ids:
    """What a request aimed at a tenant can name."""

    tenant: str
    values: dict[str, str]


@dataclasses.dataclass(frozen=True, slots=True)
class Sent:
    """One answer."""

    operation: str
    caller: str
    target: str
    status: int
    text: str


_END = clock.text((clock.now() + datetime.timedelta(days=90)).replace(microsecond=0))


def canary(tenant: str) -> str:
    """What only those who may see a tenant's things may see."""
    return f"geheim-{tenant}-zhb"


def name_of(tenant: str) -> str:
    """The tenant's name, which those below it may see as well."""
    return f"名称{tenant}局"


def above(tenant: str) -> set[str]:
    """A tenant and its ancestors."""
    return {tenant} | (above(PARENTS[tenant]) if tenant in PARENTS else set())


def forbidden(caller: str) -> set[str]:
    """The marks that must not reach somebody bound at `caller`; '' is bound nowhere."""
    foreign = {tenant for tenant in PARENTS if not caller or caller not in above(tenant)}
    ancestors = above(caller) if caller else set()
    return {canary(tenant) for tenant in foreign} | {name_of(tenant) for tenant in foreign - ancestors}


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """The served city, who calls, and what is there."""

    city: City
    tokens: dict[str, str]  # by tenant; '' is the account that is bound nowhere
    ids: dict[str, Ids]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class _Host:
    name: str = "h1"
    zone: str = "az1"
    service_class: str = "std"
    hall: str = "h"
    enabled: bool = True
    physical: dict[str, int] = dataclasses.field(default_factory=lambda: {"cpu_milli": 10**6, "ram_mib": 10**7, "disk_gib": 10**6})
    usable: dict[str, int] = dataclasses.field(default_factory=lambda: {"cpu_milli": 10**6, "ram_mib": 10**7, "disk_gib": 10**6})
    used: dict[str, int] = dataclasses.field(default_factory=dict)

    @property
    def free(self) -> dict[str, int]:
        """All of it."""
        return self.usable


@pytest.fixture
def world(database: store_database.Database) -> Iterator[World]:
    """Five tenants with everything that the API can make for them."""
    with serving(database) as city:
        yield furnished(city, database)


def furnished(city: City, database: store_database.Database) -> World:
    """Make five tenants, each with everything that the API can make for it, under its canary."""
    operator = city.person("nanhai", "zhao", "赵敏", "operator", "finance")
    database.lane.run(_pool)
    prices = [
        {"sku": f"s{n}", "kind": "VirtualMachine", "name": name, "unit": "vCPU-Hours" if n == 0 else "GiB-Hours", "price": "0.10"}
        for n, name in enumerate(("cpu_milli", "ram_mib", "disk_gib"))
    ]
    operator.put("/v1/price-books/2026", {"valid_from": "2026-01-01T00:00:00+08:00", "currency": "CNY", "prices": prices})
    names = ("cpu_milli", "ram_mib", "disk_gib", "instances")
    for name in names:
        operator.put(f"/v1/grants/nanhai/{name}", {"granted": 10**6}, if_match=0)
    for tenant, parent in PARENTS.items():
        city.department(tenant, name_of(tenant), parent)
        for name in names:
            operator.put(f"/v1/grants/{tenant}/{name}", {"granted": 10**5}, if_match=0)
    tokens, ids = {}, {}
    for tenant in PARENTS:
        tokens[tenant], ids[tenant] = _department(city, tenant, database)
    tokens[""] = city.person("edu", "nobody", "无名氏").token
    return World(city=city, tokens=tokens, ids=ids)


def _pool(tx: Transaction) -> None:
    spec = pools_model.PoolSpec(name="甲池", driver="lab", driver_settings={"url": "http://127.0.0.1:9"})
    pool = pools.create(tx, code="east", spec=spec, kinds=["VirtualMachine", "Volume", "ContainerApp"])
    pools.record_capacity(tx, pool_id=pool.id, hosts=[_Host()])


def _department(city: City, tenant: str, database: store_database.Database) -> tuple[str, Ids]:
    mark = canary(tenant)
    made = city.system.post(
        f"/v1/tenants/{tenant}/members", {"account": f"user.{tenant}", "name": f"人员{mark}", "contact": f"{mark}@example.cn"}
    )
    for role in ROLES:
        city.security.post("/v1/bindings", {"account": f"user.{tenant}", "role": role, "tenant": tenant})
    user = city.login(made["code"])
    user.post("/v1/projects", {"tenant": tenant, "code": "main", "name": f"项目{mark}"})
    spec = {"name": mark, "size": "small", "image": "openeuler-24.03", "labels": {"note": mark}, "end_at": _END}
    order = user.post(
        "/v1/orders",
        {
            "tenant": tenant,
            "project": "main",
            "lines": [{"action": "create", "kind": "VirtualMachine", "spec": spec}],
            "reason": f"事由{mark}",
            "document_no": mark,
        },
    )
    tenant_id = city.system.get(f"/v1/tenants/{tenant}")["metadata"]["id"]
    noticed = database.lane.run(
        lambda tx: notice.tell(tx, tenant_id=tenant_id, code="order.refused", values={"order": "1", "reason": mark}, object_id="x")
    )
    values = {
        "tenant": tenant,
        "parent": tenant,
        "project": "main",
        "account": f"user.{tenant}",
        "actor": f"user.{tenant}",
        "person": made["person_id"],
        "order": order["metadata"]["name"],
        "resource": order["spec"]["lines"][0]["resource"],
        "object": order["metadata"]["id"],
        "text": mark,
        "notice": noticed,
        "recall": _recalled(database, tenant_id, mark),
        "token": next(user.pages("/v1/tokens"))["id"],
        "role": "viewer",
        "item": "guest-1",
        "hall": "h1",
        "meter": "m1",
        "month": "2026-10",
        "year": "2026",
        "name": "cpu_milli",
        "pool": "east",
        "host": "h1",
        "file": "docs.css",
    }
    return user.token, Ids(tenant=tenant, values=values)


def _recalled(database: store_database.Database, tenant_id: str, mark: str) -> str:
    """A recall that has ended; its id."""
    at = clock.now()
    recall = quotas_model.Recall(
        id=new_ids.new("recall"), tenant_id=tenant_id, name="cpu_milli", amount=1, lent_before=1, lending_before=None, lending_target=0,
        reason=mark, started_at=at, due_at=at, reminded_at=None, ended_at=at, outcome="ended", came_back=0,
    )  # fmt: skip
    database.lane.run(lambda tx: recall_records.insert(tx, recall))
    return recall.id


def sample(schema: dict[str, Any], name: str, values: dict[str, str]) -> Any:
    """A small right value of a schema; what has the name of an identifier gets it."""
    if "$ref" in schema:
        return sample(API["components"]["schemas"][schema["$ref"].removeprefix("#/components/schemas/")], name, values)
    for choice in schema.get("anyOf", ())[:1]:
        return sample(choice, name, values)
    if "const" in schema or "enum" in schema:
        return schema.get("const", schema.get("enum", [None])[0])
    kind = schema.get("type")
    if kind == "object":
        fields = schema.get("properties", {})
        wanted = {
            *schema.get("required", ()),
            *(field for field in fields if field in values and field not in ("name", "text", "pool")),
        }
        return {field: sample(fields[field], field, values) for field in sorted(wanted)}
    if kind == "array":
        return [sample(schema["items"], name, values)] if schema.get("minItems") or name in values else []
    if kind == "integer":
        return schema.get("minimum", 1)
    if kind == "string":
        return values[name] if name in values and name != "name" else _word(schema)
    return False if kind == "boolean" else None


def _word(schema: dict[str, Any]) -> str:
    pattern, low, high = schema.get("pattern", ""), schema.get("minLength", 0), schema.get("maxLength", 100)
    return next((word for word in WORDS if low <= len(word) <= high and re.search(pattern, word)), "a")


def requests(ids: Ids) -> Iterator[tuple[str, str, str, bytes | None, str]]:
    """(operation, method, target, body, media) of each operation, aimed at a tenant: with all filters, with each, with none."""
    for path, methods in API["paths"].items():
        for method, operation in methods.items():
            filled = re.sub(r"\{(\w+)\}", lambda found: ids.tenant if found[1] == "code" else ids.values[found[1]], path)
            names = [one["name"] for one in operation["parameters"] if one["in"] == "query" and one["name"] in ids.values]
            required = {
                one["name"]: ids.values.get(one["name"]) or _word(one["schema"])
                for one in operation["parameters"]
                if one["in"] == "query" and one.get("required")
            }
            choices = [dict.fromkeys(names), *({name: None} for name in names), {}] if method == "get" else [{}]
            content = operation.get("requestBody", {}).get("content", {})
            media, shape = next(iter(content.items()), ("", None))
            body = None if shape is None else json.dumps(sample(shape["schema"], "", ids.values)).encode()
            for chosen in choices:
                query = urllib.parse.urlencode(required | {name: ids.values[name] for name in chosen})
                yield operation["operationId"], method.upper(), f"{filled}?{query}" if query else filled, body, media


def call(
    connection: http.client.HTTPConnection, token: str, method: str, target: str, body: bytes | None, media: str
) -> tuple[int, str]:
    """(status, text) of one request, headers included in the text."""
    headers = {
        "Authorization": f"Bearer {token}",
        "Idempotency-Key": f"k{next(_COUNT)}",
        "If-Match": '"1"',
        "Accept-Language": "en",
    }
    if body is not None:
        headers["Content-Type"] = media
    connection.request(method, urllib.parse.quote(target, safe="/?=&%:@.-_~+"), body=body, headers=headers)
    answer = connection.getresponse()
    content = answer.read().decode(errors="replace")
    return answer.status, content + json.dumps(answer.getheaders(), ensure_ascii=False)


_COUNT = itertools.count()


def test_every_identifier_in_a_path_is_known_to_this_test() -> None:
    """A route with a new kind of identifier must be taught here, or it would be tested with nonsense."""
    known = Ids(tenant="", values=dict.fromkeys(_IDENTIFIERS, "x")).values
    assert {name for path in API["paths"] for name in re.findall(r"\{(\w+)\}", path)} <= set(known)


_IDENTIFIERS = {
    "tenant",
    "project",
    "account",
    "person",
    "order",
    "resource",
    "notice",
    "recall",
    "code",
    "year",
    "token",
    "role",
    "item",
    "hall",
    "meter",
    "month",
    "name",
    "pool",
    "host",
    "file",
}


def test_no_answer_holds_anything_of_another_tenant(world: World) -> None:
    parts = urllib.parse.urlsplit(world.city.url)
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=60)
    seen: list[Sent] = []
    leaks: list[str] = []
    for caller, token in world.tokens.items():
        marks = forbidden(caller)
        for target, ids in world.ids.items():
            foreign = not caller or caller not in above(target)
            for operation, method, path, body, media in requests(ids):
                if operation in OWN_SESSION or (method != "GET" and not foreign):
                    continue
                status, text = call(connection, token, method, path, body, media)
                sent = {part for part in (path, (body or b"").decode()) if part}
                echoed = {mark for mark in marks if any(mark in urllib.parse.unquote(part) for part in sent)}
                leaks += [
                    f"{caller or 'nobody'} saw {mark}: {method} {path}: {text[:300]}" for mark in marks - echoed if mark in text
                ]
                leaks += [f"{caller or 'nobody'}: {method} {path}: {status}" for _ in (1,) if status >= 500]
                seen.append(Sent(operation, caller, target, status, text))
    connection.close()
    assert not leaks, "\n".join(leaks[:20])
    _reached(seen)


def _reached(seen: list[Sent]) -> None:
    """The test is not empty: owners and parents see the canaries that strangers must not."""
    for caller, target in (("tax", "tax"), ("fin", "tax"), ("tax", "branch"), ("fin", "branch"), ("police", "police")):
        shown = {one.operation for one in seen if (one.caller, one.target) == (caller, target) and canary(target) in one.text}
        assert {
            "project.list",
            "order.list",
            "order.show",
            "resource.list",
            "resource.show",
            "lease.list",
            "lease.show",
        } <= shown, (
            caller,
            target,
            sorted(shown),
        )
    for caller, target in (("", "tax"), ("edu", "tax"), ("police", "tax"), ("branch", "tax")):
        aimed = [one for one in seen if (one.caller, one.target) == (caller, target) and one.operation in _AIMED]
        assert aimed and all(one.status in (400, 403, 404, 409) for one in aimed), [one for one in aimed if one.status < 400][:3]


_AIMED = {
    "tenant.show",
    "tenant.update",
    "tenant.freeze",
    "tenant.export",
    "member.list",
    "member.add",
    "project.show",
    "project.create",
    "person.show",
    "account.show",
    "token.revoke",
    "order.show",
    "order.submit",
    "order.approve",
    "order.withdraw",
    "resource.show",
    "resource.update",
    "resource.retry",
    "notice.read",
    "grant.set",
    "grant.show",
    "approval_rule.set",
}


def test_metrics_need_a_token_of_the_root_from_elsewhere(world: World) -> None:
    parts = urllib.parse.urlsplit(world.city.url)
    for token in world.tokens.values():
        connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=60)
        assert call(connection, token, "GET", "/metrics", None, "")[0] == 403
        connection.close()
