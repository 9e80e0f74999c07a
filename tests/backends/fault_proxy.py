"""A proxy before the HTTP APIs of an OpenStack: it keeps a log of every call and makes trouble as a test scripts it.

A rule is {"do", "on", ...} as in the lab cloud's script:

    lose      the call reaches the cloud, its answer does not come back
    drop      it does not reach the cloud
    late      no answer; it reaches the cloud `after_s` later
    latency   it reaches the cloud `after_s` later, then the answer comes
    answer    the cloud is not asked; `status` and `body` come back
    fail      a create that the host will fail (the test bed's server metadata `testbed_fail`)

`on` are patterns of operations, `times` how often it strikes, `how` what the caller sees of a lost one: reset, hang, 500, 502, 504.
"""

import contextlib
import fnmatch
import http.client
import http.server
import json
import re
import socket
import struct
import threading
import time
import urllib.parse
from collections.abc import Callable
from typing import Any, Final

_OPERATIONS: Final = [
    ("POST", r"/compute/.*/servers", "guest.create"),
    ("POST", r"/compute/.*/servers/[^/]+/action", "guest.act"),
    ("POST", r"/compute/.*/servers/[^/]+/metadata", "guest.mark"),
    ("DELETE", r"/compute/.*/servers/[^/]+", "guest.delete"),
    ("POST", r"/compute/.*/flavors", "flavor.create"),
    ("POST", r"/block-storage/.*/volumes", "ticket.create"),
    ("POST", r"/block-storage/.*/volumes/[^/]+/metadata", "volume.hand_over"),
    ("POST", r"/block-storage/.*/volumes/[^/]+/action", "guest.act"),
    ("DELETE", r"/block-storage/.*/volumes/[^/]+", "ticket.delete"),
    ("POST", r"/network/.*/ports", "port.create"),
    ("DELETE", r"/network/.*/ports/[^/]+", "port.delete"),
    ("GET", r".*", "read"),
]
_HANG_S: Final = 60


class FaultProxy:
    """Serves `/<service>/...` on a port of its own until it is stopped; may be started again on the same port."""

    def __init__(self, upstream: dict[str, str]) -> None:
        self.upstream = {name: urllib.parse.urlsplit(url) for name, url in upstream.items()}
        self.guard = threading.Lock()
        self.rules: list[dict[str, Any]] = []
        self.log: list[dict[str, Any]] = []
        self.hung = threading.Event()
        self.connections: set[socket.socket] = set()
        self.port = 0
        self.start()

    def start(self) -> None:
        """Listen."""
        proxy = self

        class Handler(_Handler):
            """Of this proxy."""

            of = proxy

        class Server(http.server.ThreadingHTTPServer):
            """Does not wait for calls that hang."""

            daemon_threads = True
            block_on_close = False
            request_queue_size = 128
            allow_reuse_address = True

            def handle_error(self, request: Any, client_address: Any) -> None:
                """A client that went away is what these tests are about."""

        self._server = Server(("127.0.0.1", self.port), Handler)
        self.port = self._server.server_port
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()

    def stop(self) -> None:
        """Refuse connections from now on."""
        self._server.shutdown()
        self._server.server_close()
        for connection in list(self.connections):
            with contextlib.suppress(OSError):  # it may have been closed by then
                connection.shutdown(socket.SHUT_RDWR)

    def script(self, *rules: dict[str, Any]) -> None:
        """Replace the rules."""
        with self.guard:
            self.rules = [dict(rule) for rule in rules]

    def struck(self, operation: str) -> dict[str, Any]:
        """The rule that strikes this call, or one that does nothing."""
        with self.guard:
            for rule in self.rules:
                if rule.get("times", 1_000_000) > 0 and any(fnmatch.fnmatchcase(operation, pattern) for pattern in rule["on"]):
                    rule["times"] = rule.get("times", 1_000_000) - 1
                    return rule
        return {"do": "pass"}

    def pending(self) -> list[dict[str, Any]]:
        """Late calls that have not reached the cloud yet."""
        with self.guard:
            return [entry for entry in self.log if entry["fate"] == "late" and entry["landed_at"] is None]


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    of: FaultProxy

    def setup(self) -> None:
        """Remember the connection, so that it can be cut."""
        super().setup()
        self.of.connections.add(self.connection)

    def finish(self) -> None:
        """Forget it."""
        self.of.connections.discard(self.connection)
        super().finish()

    def log_message(self, format: str, *args: Any) -> None:
        """Silent: the log is `FaultProxy.log`."""

    def do_GET(self) -> None:
        """Any call."""
        payload = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        operation = next((name for method, path, name in _OPERATIONS if method == self.command and self._is(path)), "other")
        rule = self.of.struck(operation)
        entry = {
            "operation": operation, "method": self.command, "path": self.path, "status": 0, "fate": rule["do"], "landed_at": None,
            "attempt": self.headers.get("X-Govpool-Attempt", ""), "mutating": self.command != "GET", "body": payload,
        }  # fmt: skip
        with self.of.guard:
            self.of.log.append(entry)
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            _FATES[rule["do"]](self, rule, entry, payload)

    do_POST = do_PUT = do_PATCH = do_DELETE = do_GET

    def _is(self, path: str) -> bool:
        return re.fullmatch(path, self.path.partition("?")[0]) is not None

    def forward(self, entry: dict[str, Any], payload: bytes) -> tuple[int, list[tuple[str, str]], bytes]:
        """Ask the cloud."""
        _, service, rest = self.path.split("/", 2)
        upstream = self.of.upstream[service]
        connection = http.client.HTTPConnection(upstream.hostname or "", upstream.port or 80, timeout=120)
        headers = {
            name: value for name, value in self.headers.items() if name.lower() not in ("host", "connection", "content-length")
        }
        connection.request(self.command, f"/{rest}", payload or None, headers)
        answer = connection.getresponse()
        body = answer.read()
        connection.close()
        kept = [
            (name, value)
            for name, value in answer.getheaders()
            if name.lower() not in ("connection", "transfer-encoding", "content-length")
        ]
        with self.of.guard:
            entry |= {"status": answer.status, "landed_at": time.monotonic(), "answer": body}
        return answer.status, kept, body

    def reply(self, status: int, headers: list[tuple[str, str]], body: bytes) -> None:
        """Answer the caller."""
        self.send_response(status)
        for name, value in headers:
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def lose(self, how: str) -> None:
        """What the caller sees instead of an answer."""
        if how.isdecimal():
            return self.reply(int(how), [("Content-Type", "text/plain")], b"trouble")
        if how == "hang":
            self.of.hung.wait(_HANG_S)
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.close_connection = True
        self.connection.close()
        return None


def _pass(handler: _Handler, rule: dict[str, Any], entry: dict[str, Any], payload: bytes) -> None:
    handler.reply(*handler.forward(entry, payload))


def _lose(handler: _Handler, rule: dict[str, Any], entry: dict[str, Any], payload: bytes) -> None:
    handler.forward(entry, payload)
    handler.lose(rule.get("how", "reset"))


def _drop(handler: _Handler, rule: dict[str, Any], entry: dict[str, Any], payload: bytes) -> None:
    handler.lose(rule.get("how", "reset"))


def _late(handler: _Handler, rule: dict[str, Any], entry: dict[str, Any], payload: bytes) -> None:
    timer = threading.Timer(rule["after_s"], handler.forward, (entry, payload))
    timer.daemon = True
    timer.start()
    handler.lose("reset")


def _latency(handler: _Handler, rule: dict[str, Any], entry: dict[str, Any], payload: bytes) -> None:
    time.sleep(rule["after_s"])
    _pass(handler, rule, entry, payload)


def _answer(handler: _Handler, rule: dict[str, Any], entry: dict[str, Any], payload: bytes) -> None:
    entry["status"] = rule["status"]
    handler.reply(rule["status"], [("Content-Type", "application/json")], json.dumps(rule["body"]).encode())


def _fail(handler: _Handler, rule: dict[str, Any], entry: dict[str, Any], payload: bytes) -> None:
    body = json.loads(payload)
    body["server"]["metadata"]["testbed_fail"] = "spawn"
    _pass(handler, rule, entry, json.dumps(body).encode())


_FATES: Final[dict[str, Callable[[_Handler, dict[str, Any], dict[str, Any], bytes], None]]] = {
    "pass": _pass, "lose": _lose, "drop": _drop, "late": _late, "latency": _latency, "answer": _answer, "fail": _fail,
}  # fmt: skip
