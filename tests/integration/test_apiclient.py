"""The client: a repeated call takes effect once, what cannot be mended is said at once, tokens stay in a file of their owner."""

import http.server
import json
import pathlib
import socket
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from apiclient import client as api
from apiclient import contexts, failure


class _Scripted(http.server.BaseHTTPRequestHandler):
    """Answers with what the test has queued: a status, or 'cut' to hang up without an answer."""

    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        server: Any = self.server
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        server.seen.append((self.command, self.path, dict(self.headers), body))
        step = server.steps.pop(0)
        if step == "cut":
            self.connection.shutdown(socket.SHUT_RDWR)
            self.close_connection = True
            return
        status, headers, content = step
        self.send_response(status)
        for name, value in ({"Content-Type": "application/json", "Content-Length": str(len(content))} | headers).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)

    do_GET = do_PUT = do_POST

    def log_message(self, format: str, *arguments: Any) -> None:
        """Quiet."""


@pytest.fixture
def server() -> Iterator[Any]:
    """A scripted server."""
    running: Any = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Scripted)
    running.seen, running.steps = [], []
    thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    yield running
    running.shutdown()
    running.server_close()
    thread.join()


@pytest.fixture
def client(server: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[api.Client]:
    """A client of it that does not really sleep."""
    monkeypatch.setattr("time.sleep", lambda seconds: server.seen.append(("pause", seconds)))
    made = api.Client(f"http://127.0.0.1:{server.server_port}/base", "gp_x", lang="zh")
    yield made
    made.close()


def answer(status: int, body: Any = None, **headers: str) -> tuple[int, dict[str, str], bytes]:
    """A queued answer."""
    return status, {name.replace("_", "-"): value for name, value in headers.items()}, json.dumps(body).encode()


def test_a_lost_answer_and_a_503_are_repeated_with_the_same_key(server: Any, client: api.Client) -> None:
    server.steps = ["cut", answer(503, {"code": "lane.repeat"}, Retry_After="3"), answer(201, {"name": "税务局"})]
    assert client.post("/v1/tenants", {"name": "税务局"}) == {"name": "税务局"}
    calls = [entry for entry in server.seen if entry[0] != "pause"]
    keys = {headers["Idempotency-Key"] for _, _, headers, _ in calls}
    assert len(calls) == 3 and len(keys) == 1 and all(len(key) > 20 for key in keys)
    assert [entry[1] >= 3 for entry in server.seen if entry[0] == "pause"][-1], "not before Retry-After"
    server.steps = [answer(200, {}), answer(200, {})]
    client.post("/v1/tenants", {})
    client.post("/v1/tenants", {})
    assert len({headers["Idempotency-Key"] for _, _, headers, _ in server.seen[-2:]}) == 2, "each call has a key of its own"


def test_a_refusal_is_not_repeated_and_keeps_everything(server: Any, client: api.Client) -> None:
    problem = {
        "code": "quota.exceeded",
        "kind": "quota",
        "detail": "缺 16",
        "mend": "x",
        "values": {"asked": 16},
        "trace": "req-1",
        "findings": [],
    }
    server.steps = [answer(409, problem)]
    with pytest.raises(failure.ProblemError) as raised:
        client.post("/v1/orders", {})
    error = raised.value
    assert (error.status, error.code, error.kind, error.values, error.trace) == (
        409,
        "quota.exceeded",
        "quota",
        {"asked": 16},
        "req-1",
    )
    assert len(server.seen) == 1


def test_it_gives_up_in_the_end_and_says_where(server: Any, client: api.Client) -> None:
    server.steps = ["cut"] * api.ATTEMPTS
    with pytest.raises(failure.ConnectionFailedError, match=r"127\.0\.0\.1"):
        client.get("/v1/tenants")
    server.steps = [answer(503, {"code": "lane.closed"}, Retry_After="1")] * api.ATTEMPTS
    with pytest.raises(failure.ProblemError, match=r"lane\.closed"):
        client.get("/v1/tenants")
    assert server.steps == []


def test_an_answer_that_is_no_problem_of_ours_is_still_an_error(server: Any, client: api.Client) -> None:
    server.steps = [(502, {"Content-Type": "text/html", "Content-Length": "5"}, b"<html"), (404, {"Content-Length": "2"}, b"[]")]
    with pytest.raises(failure.ProblemError) as raised:
        client.get("/")
    assert (raised.value.status, raised.value.kind) == (502, "internal")
    with pytest.raises(failure.ProblemError) as raised:
        client.get("/")
    assert (raised.value.code, raised.value.kind) == ("http.404", "not_found")


def test_paths_queries_and_headers_are_encoded(server: Any, client: api.Client) -> None:
    server.steps = [answer(200, {"items": [1], "next": "c=/"}), answer(200, {"items": [2], "next": None}), answer(200, {})]
    assert list(client.pages("/v1/tenants", parent="税务/局", state="", limit=None, unread=True)) == [1, 2]
    client.put(api.path("/v1/a/{}", "一/窗?"), {}, if_match=3, reason="按文号")
    (_, first, headers, _), (_, second, _, _), (_, third, sent, _) = server.seen
    assert first == "/base/v1/tenants?parent=%E7%A8%8E%E5%8A%A1%2F%E5%B1%80&unread=true" and second.endswith("&cursor=c%3D%2F")
    assert third == "/base/v1/a/%E4%B8%80%2F%E7%AA%97%3F" and (sent["If-Match"], sent["X-Govpool-Reason"]) == (
        '"3"',
        "%E6%8C%89%E6%96%87%E5%8F%B7",
    )
    assert headers["Authorization"] == "Bearer gp_x" and headers["Accept-Language"] == "zh" and "Idempotency-Key" not in headers


def test_a_rehearsal_marks_every_change_and_no_read(server: Any, client: api.Client) -> None:
    client.dry_run = True
    server.steps = [answer(200, {}), answer(200, {})]
    client.post("/v1/orders", {})
    client.get("/v1/orders")
    assert [entry[1] for entry in server.seen] == ["/base/v1/orders?dry_run=true", "/base/v1/orders"]


@pytest.mark.parametrize("url", ["", "cloud", "ftp://x", "http://", "file:///etc/passwd"])
def test_a_server_that_is_no_url_is_said_at_once(url: str) -> None:
    with pytest.raises(failure.ConnectionFailedError):
        api.Client(url).get("/healthz")


def test_contexts_are_kept_in_a_file_of_ones_own(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GOVPOOL_CONFIG", str(tmp_path / "deep" / "contexts.json"))
    assert contexts.load() == contexts.Book()
    book = contexts.Book(
        current="city", contexts={"city": contexts.Context(name="city", server="https://a", token="gp_1", tenant="tax")}
    )
    contexts.save(book)
    file = tmp_path / "deep" / "contexts.json"
    assert contexts.load() == book and file.stat().st_mode & 0o777 == 0o600 and len(list(file.parent.iterdir())) == 1
    assert "gp_1" not in repr(book), "a token is not shown by accident"
    assert contexts.load().get("other").server == contexts.SERVER_DEFAULT
    for broken in ("", "[]", "{}", '{"current": "a", "contexts": {"a": 1}}', "\xff"):
        file.write_text(broken, encoding="latin-1")
        with pytest.raises(ValueError, match=r"contexts\.json"):
            contexts.load()
