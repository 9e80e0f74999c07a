"""Faults under the API: connections killed again and again give no 5xx but a 503 with Retry-After, and nothing answered is lost."""

import pathlib
import shutil
import sqlite3
import threading
import time
from collections.abc import Iterator

import pytest

from apiclient import client as api
from apiclient import failure
from store import database as store_database
from tests.conftest import Cluster
from tests.integration.tenants_server import City, serving


@pytest.fixture
def city(cluster: Cluster) -> Iterator[City]:
    """南海区 on PostgreSQL, served."""
    url = cluster.fresh()
    database = store_database.open_database(url)
    with serving(database) as running:
        yield running
    database.close()
    cluster.drop(url)


def test_killed_connections_give_a_503_or_nothing_and_what_was_answered_is_there(city: City, cluster: Cluster) -> None:
    """The mutant: an error of the driver that reaches the caller as a 500."""
    stop = threading.Event()
    answered: list[str] = []
    wrong: list[str] = []
    seen: dict[int, int] = {}

    def work(worker: int) -> None:
        client = api.Client(city.url, city.system.token)
        number = 0
        while not stop.is_set():
            number += 1
            code = f"t{worker}-{number}"
            try:
                answer = client._once("POST", "/v1/tenants", *_made(code, city.system.token))
                seen[answer[0]] = seen.get(answer[0], 0) + 1
                if answer[0] == 201:
                    answered.append(code)
                elif answer[0] != 503 or "retry-after" not in answer[1]:
                    wrong.append(f"{answer[0]} {answer[2]!r}")
                status, headers, content = client._once("GET", "/v1/tenants?limit=1", b"", _headers(city.system.token))
                if status != 200 and (status != 503 or "retry-after" not in headers):
                    wrong.append(f"{status} {content!r}")
            except OSError as error:
                wrong.append(repr(error))
        client.close()

    workers = [threading.Thread(target=work, args=(number,)) for number in range(6)]
    for one in workers:
        one.start()
    name = city.database.url.removeprefix("postgresql://govpool@/").partition("?")[0]
    killed = 0
    with cluster.connect("postgres") as connection:
        for _ in range(25):
            time.sleep(0.1)
            rows = connection.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s AND pid <> pg_backend_pid()", (name,)
            ).fetchall()
            killed += len(rows)
    stop.set()
    for one in workers:
        one.join()
    assert wrong == [] and killed > 25 and seen.get(201, 0) > 0
    held = {row["metadata"]["name"] for row in city.system.pages("/v1/tenants", limit=500)}
    assert set(answered) <= held
    assert city.audit.get("/v1/audit-verification")["sound"]


def _headers(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def _made(code: str, token: str) -> tuple[bytes, dict[str, str]]:
    body = f'{{"code": "{code}", "name": "部门", "parent": "nanhai"}}'.encode()
    return body, _headers(token) | {"Content-Type": "application/json", "Idempotency-Key": code}


def test_a_database_that_is_gone_is_a_503_that_says_nothing_about_where_it_was(city: City, cluster: Cluster) -> None:
    name = city.database.url.removeprefix("postgresql://govpool@/").partition("?")[0]
    with cluster.connect("postgres") as connection:
        connection.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS false")
        connection.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", (name,))
        for _ in range(3):
            with pytest.raises(failure.ProblemError) as raised:
                _once(city, "/v1/tenants")
            assert (raised.value.status, raised.value.code) == (503, "server.database")
            assert name not in raised.value.detail and "postgres" not in raised.value.detail.lower()
        connection.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS true")
    assert city.system.get("/v1/tenants")["items"], "it comes back by itself"


def _once(city: City, path: str) -> None:
    client = api.Client(city.url, city.system.token)
    status, _, content = client._once("GET", path, b"", _headers(city.system.token))
    client.close()
    if status >= 400:
        raise failure.ProblemError(api._problem(content), status)


def test_a_locked_sqlite_file_is_a_503(sqlite_template: pathlib.Path, tmp_path: pathlib.Path) -> None:
    path = tmp_path / "govpool.db"
    shutil.copy(sqlite_template, path)
    database = store_database.open_database(f"sqlite://{path}")
    with serving(database) as city:
        thief = sqlite3.connect(path, isolation_level=None, timeout=0)
        thief.execute("BEGIN IMMEDIATE")
        client = api.Client(city.url, city.system.token, timeout_s=60)
        status, headers, content = client._once("POST", "/v1/tenants", *_made("tax", city.system.token))
        assert status == 503 and "retry-after" in headers, content
        thief.execute("ROLLBACK")
        thief.close()
        status, _, content = client._once("POST", "/v1/tenants", *_made("tax", city.system.token))
        assert status == 201, content
        client.close()
    database.close()
