"""Every change of the API, without exception: a rehearsal leaves the database as it was, and a repetition happens once.

The requests are those of `test_isolation`, made from the OpenAPI document, so a new route is held to both rules without anybody
remembering it.  The database is read directly and compared row by row.
"""

import http.client
import json
import urllib.parse
from collections.abc import Iterator

import pytest

from store import columns
from store import database as store_database
from tests.integration.tenants_server import serving
from tests.integration.test_isolation import API, Ids, World, furnished, requests

READS = {"price.try", "grant.simulate"}  # questions that are too long for a URL
UNREHEARSED = {"token.issue", "backup.create"}  # login has nobody to rehearse for; a backup is a file
ENDS_THE_SESSION = {"token.rotate", "token.logout", "token.revoke", "account.disable"}
MOVES = {"stranger_requests", "workers"}
"""Tables that live by themselves."""


@pytest.fixture
def world(database: store_database.Database) -> Iterator[World]:
    """The five tenants of the isolation test."""
    with serving(database) as city:
        yield furnished(city, database)


def rows(database: store_database.Database, *, but: tuple[str, ...] = ()) -> dict[str, list[str]]:
    """Every row of every table as text; of the trail only what was done, and tokens without the hour of their last use."""
    found = {}
    for table in columns.METADATA.sorted_tables:
        if table.name in MOVES or table.name in but:
            continue
        content = database.read(lambda tx, table=table: tx.execute(table.select()))  # type: ignore[misc]
        if table.name == "audit_trail":
            content = [row for row in content if row["outcome"] == "done"]
        kept = [{name: value for name, value in row.items() if (table.name, name) != ("tokens", "used_at")} for row in content]
        found[table.name] = sorted(repr(row) for row in kept)
    return found


def changes(ids: Ids) -> Iterator[tuple[str, str, str, bytes | None, str]]:
    """The changes among the requests aimed at a tenant."""
    for operation, method, target, body, media in requests(ids):
        if method != "GET" and operation not in READS:
            yield operation, method, target, body, media


def sent(world: World, token: str, method: str, target: str, body: bytes | None, media: str, key: str) -> tuple[int, str]:
    """(status, body) of one request."""
    parts = urllib.parse.urlsplit(world.city.url)
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=60)
    headers = {"Authorization": f"Bearer {token}", "Idempotency-Key": key, "If-Match": '"1"'} | (
        {"Content-Type": media} if media else {}
    )
    connection.request(method, urllib.parse.quote(target, safe="/?=&%:@.-_~+"), body=body, headers=headers)
    answer = connection.getresponse()
    content = answer.read().decode()
    connection.close()
    return answer.status, content


def callers(world: World) -> dict[str, str]:
    """Those who may do much: the department, the operator of the cloud, the three administrators."""
    named = {client.get("/v1/whoami")["account"]: client.token for client in world.city.clients if client.token}
    return {name: named[name] for name in ("user.tax", "zhao", "system-admin", "security-admin", "audit-admin")}


def test_no_rehearsal_leaves_a_trace(world: World, database: store_database.Database) -> None:
    """The mutant: a handler that does its work outside the use case that is rolled back."""
    before = rows(database)
    decided = set()
    for name, token in callers(world).items():
        for operation, method, target, body, media in changes(world.ids["tax"]):
            if operation in UNREHEARSED:
                continue
            rehearsed = f"{target}{'&' if '?' in target else '?'}dry_run=true"
            status, content = sent(world, token, method, rehearsed, body, media, f"dry-{name}-{operation}")
            assert status < 500, f"{method} {target}: {status} {content}"
            decided |= {operation} if status < 300 else set()
    assert rows(database) == before
    assert len(decided) > 15, f"too few could be decided at all: {sorted(decided)}"


def test_every_repetition_gives_the_first_answer_and_happens_once(world: World, database: store_database.Database) -> None:
    """The mutant: a change that forgets to keep its answer."""
    done = set()
    for name, token in callers(world).items():
        for operation, method, target, body, media in changes(world.ids["tax"]):
            if operation in UNREHEARSED | ENDS_THE_SESSION:
                continue
            key = f"twice-{name}-{operation}"
            status, first = sent(world, token, method, target, body, media, key)
            if status >= 300:
                continue
            done.add(operation)
            after = rows(database)
            again, second = sent(world, token, method, target, body, media, key)
            secret = again == 409 and json.loads(second)["code"] == "secret.shown"
            assert secret or (again, second) == (status, first), f"{method} {target} as {name}: {again} {second[:300]}"
            assert rows(database) == after, f"{method} {target} happened twice"
    assert len(done) > 12, f"too few went through at all: {sorted(done)}"


def test_every_change_is_declared_with_a_key() -> None:
    """What stands in READS and UNREHEARSED exists, so that a renamed operation does not slip out of these tests."""
    named = {operation["operationId"] for methods in API["paths"].values() for operation in methods.values()}
    assert named >= READS | UNREHEARSED | ENDS_THE_SESSION
