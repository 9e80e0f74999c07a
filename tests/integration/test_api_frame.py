"""The HTTP surface as a stranger meets it: wrong requests are clear problems, nothing happens twice, rehearsals change nothing."""

import http.client
import json
import socket
import threading
import urllib.parse
from collections.abc import Iterator
from typing import Any

import pytest
import uvicorn

from apiclient import client as api
from apiclient import failure
from apiserver import app, route, serving
from store import database as store_database
from tests.integration.tenants_server import City
from tests.integration.tenants_server import serving as served


@pytest.fixture
def city(database: store_database.Database) -> Iterator[City]:
    """南海区, served."""
    with served(database) as running:
        yield running


def sent(url: str, method: str, path: str, body: bytes | None = None, **headers: str) -> tuple[int, dict[str, str], Any]:
    """(status, headers in lower case, JSON or text) of one raw request; header names with _ for -."""
    parts = urllib.parse.urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=30)
    connection.request(method, path, body=body, headers={name.replace("_", "-"): value for name, value in headers.items()})
    answer = connection.getresponse()
    content = answer.read()
    found = {name.lower(): value for name, value in answer.getheaders()}
    connection.close()
    return answer.status, found, json.loads(content) if content and "json" in found.get("content-type", "") else content.decode()


def test_an_unknown_path_and_a_wrong_method_are_problems(city: City) -> None:
    status, headers, body = sent(city.url, "GET", "/v1/nothing")
    assert (status, body["code"], headers["content-type"]) == (404, "route.unknown", "application/problem+json")
    assert body["trace"] == headers["x-request-id"]
    status, headers, body = sent(city.url, "PUT", "/v1/tenants", b"")
    assert (status, body["code"], headers["allow"]) == (405, "route.method", "GET, HEAD, OPTIONS, POST")
    status, headers, _ = sent(city.url, "OPTIONS", "/v1/tenants")
    assert (status, headers["allow"]) == (204, "GET, HEAD, OPTIONS, POST")
    status, _, body = sent(city.url, "HEAD", "/healthz")
    assert (status, body) == (200, "")


def test_a_request_id_is_taken_if_it_is_harmless_and_made_if_not(city: City) -> None:
    assert sent(city.url, "GET", "/healthz", X_Request_Id="ticket-2026-11")[1]["x-request-id"] == "ticket-2026-11"
    assert sent(city.url, "GET", "/healthz", X_Request_Id='"><script>')[1]["x-request-id"].startswith("req-")


def test_every_route_refuses_without_a_token_before_it_reads_the_body(city: City) -> None:
    for path, methods in sent(city.url, "GET", "/openapi.json")[2]["paths"].items():
        for method, operation in methods.items():
            if operation.get("security") == []:
                continue
            for token in ({}, {"Authorization": "Basic eA=="}, {"Authorization": "Bearer "}):
                status, headers, body = sent(city.url, method.upper(), path.replace("{", "").replace("}", ""), b"\xff", **token)
                assert (status, body["code"]) == (401, "auth.missing"), f"{method} {path}"
                assert headers["www-authenticate"].startswith("Bearer")


@pytest.mark.parametrize(
    "content", [b"", b"{", b"null", b"[]", b'"x"', b"\xff\xfe", b"[" * 5000, b'{"a":' * 100, b'{"\\u0000": 1}', b"{} {}", b"1e999"]
)
def test_no_body_on_any_route_gives_a_500(city: City, content: bytes) -> None:
    operations = sent(city.url, "GET", "/openapi.json")[2]["paths"]
    for path, methods in operations.items():
        for method, operation in methods.items():
            for media in operation.get("requestBody", {}).get("content", {}):
                target = path.replace("{", "").replace("}", "")
                headers = {
                    "Authorization": f"Bearer {city.system.token}",
                    "Idempotency_Key": "k1",
                    "Content_Type": media,
                    "If_Match": '"1"',
                }
                status, found, body = sent(city.url, method.upper(), target, content, **headers)
                assert 400 <= status < 500, f"{method} {path}: {status} {body}"
                assert found["content-type"] == "application/problem+json" and body["code"] and body["mend"]


def test_too_large_wrong_media_and_strange_tokens_are_refused(city: City) -> None:
    good = {"Authorization": f"Bearer {city.system.token}", "Idempotency_Key": "k1", "Content_Type": "application/json"}
    big = b'{"code": "' + b"a" * (1 << 20) + b'"}'
    assert sent(city.url, "POST", "/v1/tenants", big, **good)[2]["code"] == "input.too_large"
    assert sent(city.url, "POST", "/v1/tenants", b"{}", **(good | {"Content_Type": "text/plain"}))[0] == 415
    assert sent(city.url, "POST", "/v1/tenants", b"{}", **(good | {"Idempotency_Key": "a b"}))[2]["code"] == "idempotency.invalid"
    for token in ("x", "gp_" + "0" * 60, "é".encode().decode("latin-1"), "a" * 5000):
        status, _, body = sent(city.url, "GET", "/v1/whoami", Authorization=f"Bearer {token}")
        assert status == 401 and body["kind"] == "unauthenticated", token
    for path in (
        "/v1/tenants/%00",
        "/v1/tenants/" + "a" * 200,
        "/v1/tenants/%ff",
        "/v1/tenants/a%0Ab",
        "/v1/tenants?limit=0",
        "/v1/tenants?x=%ff",
    ):
        status, _, body = sent(city.url, "GET", path, Authorization=f"Bearer {city.system.token}")
        assert status in (400, 404), path


def test_a_body_sent_in_pieces_cannot_pass_the_limit(city: City) -> None:
    parts = urllib.parse.urlsplit(city.url)
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=30)
    headers = {"Authorization": f"Bearer {city.system.token}", "Idempotency-Key": "k", "Content-Type": "application/json"}
    connection.request("POST", "/v1/tenants", body=iter([b" " * 65536] * 40), headers=headers, encode_chunked=True)
    assert json.loads(connection.getresponse().read())["code"] == "input.too_large"
    connection.close()


def test_the_same_key_gives_the_first_answer_and_one_change(city: City) -> None:
    body = {"code": "tax", "name": "税务局", "parent": "nanhai"}
    first = city.system.post("/v1/tenants", body, key="once")
    assert city.system.post("/v1/tenants", body, key="once") == first
    with pytest.raises(failure.ProblemError) as other:
        city.system.post("/v1/tenants", body | {"name": "别的"}, key="once")
    assert (other.value.status, other.value.code) == (409, "idempotency.conflict")
    with pytest.raises(failure.ProblemError, match=r"code\.taken"):
        city.system.post("/v1/tenants", body, key="twice")
    assert [row["metadata"]["name"] for row in city.system.pages("/v1/tenants")] == ["nanhai", "tax"]


def test_a_rehearsal_answers_as_usual_and_keeps_nothing(city: City) -> None:
    rehearsing = city.client(city.system.token)
    rehearsing.dry_run = True
    body = {"code": "tax", "name": "税务局", "parent": "nanhai"}
    lines = len(list(city.audit.pages("/v1/audit-lines")))
    assert rehearsing.post("/v1/tenants", body, key="k")["metadata"]["name"] == "tax"
    assert [row["metadata"]["name"] for row in city.system.pages("/v1/tenants")] == ["nanhai"]
    assert len(list(city.audit.pages("/v1/audit-lines"))) == lines
    assert city.system.post("/v1/tenants", body, key="k")["metadata"]["name"] == "tax", "the key of a rehearsal is still free"
    with pytest.raises(failure.ProblemError, match=r"code\.taken"):
        rehearsing.post("/v1/tenants", body)


def test_a_stale_if_match_is_412_and_the_etag_of_a_read_is_taken(city: City) -> None:
    city.department("tax", "税务局")
    generation = city.system.call("GET", "/v1/tenants/tax").generation
    assert generation is not None
    assert city.system.patch("/v1/tenants/tax", {"name": "税务总局"}, if_match=generation)["spec"]["name"] == "税务总局"
    with pytest.raises(failure.ProblemError) as stale:
        city.system.patch("/v1/tenants/tax", {"name": "再改"}, if_match=generation)
    assert (stale.value.status, stale.value.code) == (412, "object.stale")


def test_the_reason_of_a_change_and_of_a_refusal_is_in_the_trail(city: City) -> None:
    city.system.post("/v1/tenants", {"code": "tax", "name": "税务局", "parent": "nanhai"}, reason="粤机编〔2026〕3号")
    with pytest.raises(failure.ProblemError):
        city.security.post("/v1/tenants", {"code": "fin", "name": "财政局", "parent": "nanhai"}, reason="试一试")
    done, refused = (city.audit.get("/v1/audit-lines", action="tenant.create")["items"][at] for at in (1, 0))
    assert (done["outcome"], done["reason"]) == ("done", "粤机编〔2026〕3号")
    assert (refused["outcome"], refused["code"], refused["reason"]) == ("refused", "role.forbidden", "试一试")


def test_chinese_is_the_language_of_who_asks_for_it(city: City) -> None:
    english, chinese = (city.client(city.system.token, lang=lang) for lang in ("en", "zh"))
    texts = []
    for client in (english, chinese):
        with pytest.raises(failure.ProblemError) as raised:
            client.get("/v1/tenants/nowhere")
        texts.append(raised.value.detail)
    assert texts[0].isascii() and not texts[1].isascii()


def test_lists_are_walked_by_cursor(city: City) -> None:
    for n in range(7):
        city.department(f"d{n}", f"部门{n}")
    assert [row["metadata"]["name"] for row in city.system.pages("/v1/tenants", limit=3)] == [
        *(f"d{n}" for n in range(7)),
        "nanhai",
    ]
    with pytest.raises(failure.ProblemError, match=r"input\.cursor"):
        city.system.get("/v1/tenants", cursor="bm90IG91cnM")


def test_the_docs_page_asks_no_other_host(city: City) -> None:
    status, headers, page = sent(city.url, "GET", "/docs")
    assert status == 200 and "default-src 'none'" in headers["content-security-policy"]
    for file in ("docs.css", "docs.js"):
        status, headers, text = sent(city.url, "GET", f"/docs/{file}")
        assert status == 200 and "http://" not in text and "https://" not in text
        assert f"/docs/{file}" in page
    assert sent(city.url, "GET", "/docs/..%2Fapp.py")[0] == 404


def test_a_stopping_server_says_503_and_the_client_repeats(city: City) -> None:
    city.database.lane.close()
    status, headers, body = sent(
        city.url, "POST", "/v1/logout", b"", Authorization=f"Bearer {city.audit.token}", Idempotency_Key="k"
    )
    assert (status, body["code"]) == (503, "lane.closed") and int(headers["retry-after"]) > 0
    status, headers, body = sent(city.url, "GET", "/readyz")
    assert (status, body["code"]) == (503, "server.not_ready")


def test_answers_do_not_wait_for_the_clients_acknowledgement() -> None:
    """The mutant: a socket without TCP_NODELAY, on which head and body of each answer are 40 ms apart."""
    listening = serving.listen("127.0.0.1", 0, tls=False)
    client = socket.create_connection(listening.getsockname())
    accepted, _ = listening.accept()
    assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
    for one in (accepted, client, listening):
        one.close()


def test_a_defect_is_a_500_with_a_trace_and_without_its_insides(database: store_database.Database) -> None:
    def broken(call: route.Call) -> Any:
        raise RuntimeError("secret insides")

    application = app.Api(None, [route.look("GET", "/v1/broken", "broken.show", broken)])
    listening = serving.listen("127.0.0.1", 0, tls=False)
    config = uvicorn.Config(application, log_config=None, lifespan="on")
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
    thread.start()
    client = api.Client(serving.url_of(listening, tls=False))
    with pytest.raises(failure.ProblemError) as raised:
        client.get("/v1/broken")
    assert (raised.value.status, raised.value.code) == (500, "internal") and raised.value.trace
    assert "insides" not in str(raised.value.__dict__)
    client.close()
    server.should_exit = True
    thread.join()
