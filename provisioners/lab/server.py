"""The lab cloud's HTTP API on loopback: decode, decide the call's fate, carry it out in one transaction, answer or cut.

`/v1/...` is the cloud that a driver speaks to.  `/lab/...` is the hand behind the scenes for tests and demos: the script, hosts,
foreign and vanishing guests, the log of requests; no driver touches it, and it suffers no faults.
"""

import http.server
import json
import socket
import struct
import sys
import threading
import time
import urllib.parse
from typing import Any, Final

import msgspec

from primitives import clock
from provisioners.lab import book as books
from provisioners.lab import placement, rows, script, view, wire, world

_BODY_MAX: Final = 262_144
_BODIES: Final[dict[str, type[wire.Body]]] = {
    "tenant.set": wire.TenantBody,
    "limits.set": wire.LimitsBody,
    "ticket.create": wire.TicketBody,
    "guest.create": wire.GuestBody,
    "guest.act": wire.ActionBody,
}
_REFUSALS: Final = {
    "quota": (403, "quota", "the tenant's limit does not allow it"),
    "no_host": (409, "no_host", "no host takes it"),
    "image_missing": (400, "image_missing", "there is no such image"),
    "busy": (409, "busy", "the guest is busy"),
    "overloaded": (503, "overloaded", "too many requests"),
    "forbidden": (403, "forbidden", "the account may not do this"),
}


class Cloud(http.server.ThreadingHTTPServer):
    """The server and the clock of one lab cloud."""

    daemon_threads = True
    request_queue_size = 256

    def __init__(self, address: tuple[str, int], book: books.Book, new_script: bytes = b"") -> None:
        """Bind, and go on with what the file holds.  `new_script` replaces the script kept there; raises msgspec.MsgspecError."""
        self.book = book
        self._bell = threading.Event()
        self._stopping = False
        self.world = world.World(book, self._bell.set)
        kept = book.fact("script").encode()
        if kept and new_script in (b"", kept):
            self.world.script = msgspec.json.decode(kept, type=script.Script)
        else:
            self.set_script(new_script or b"{}")
        super().__init__(address, Handler)
        self._clock = threading.Thread(target=self._run_clock, name="lab-clock", daemon=True)
        self._clock.start()

    def set_script(self, text: bytes) -> script.Script:
        """Take a new script, kept over restarts; hosts that it names are added or changed.  Raises msgspec.DecodeError."""
        decoded = msgspec.json.decode(text, type=script.Script)
        with self.book.change():
            self.book.set_fact("script", text.decode())
            self.book.changed("DELETE FROM counters WHERE name LIKE 'rule:%' OR name LIKE 'nth:%'")
            for host in decoded.hosts:
                placement.put(self.book, host)
            if not placement.hosts(self.book):
                for host in placement.DEFAULT:
                    placement.put(self.book, host)
            self.world.script = decoded
        return decoded

    def fate(self, operation: str, name: str) -> script.Fate:
        """Decide the fate of the call that is now being made, and count it."""
        rules = self.world.script.rules
        if not rules:
            return script.Fate()
        nth = self.book.count(f"nth:{operation}:{name}") if operation != "read" else self.book.count("nth:read")
        counters = self.book.all("SELECT name, n FROM counters WHERE name LIKE 'rule:%'")
        fired = {int(row["name"].removeprefix("rule:")): row["n"] for row in counters}
        fate = script.decide(self.world.script, script.Call(operation=operation, name=name, nth=nth), fired)
        for index in fate.struck:
            self.book.count(f"rule:{index}")
        return fate

    def carry_out(self, operation: str, target: str, body: wire.Body | None, attempt: str, fate: script.Fate) -> world.Answer:
        """Carry one call out within the open transaction; a refusal is an answer."""
        try:
            with self.book.attempt():
                return self.world.perform(operation, target, body, attempt, fate)
        except world.RefusedError as refused:
            return refused.status, wire.Problem(code=refused.code, message=refused.message)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that hung up is no news; anything else is a defect of the lab and goes to stderr."""
        if not isinstance(sys.exception(), OSError):
            super().handle_error(request, client_address)

    def stop(self) -> None:
        """End the clock and the file; the HTTP loop has ended before."""
        self._stopping = True
        self._bell.set()
        self._clock.join()
        self.server_close()
        self.book.close()

    def _run_clock(self) -> None:
        while not self._stopping:
            self._bell.clear()
            with self.book.change():
                for row in rows.due(self.book):
                    self._happen(dict(row))
                    self.book.changed("DELETE FROM pending WHERE id = ?", row["id"])
                following = self.book.one("SELECT min(due_us) AS due_us FROM pending")
            due_us = following["due_us"] if following else None
            self._bell.wait(None if due_us is None else max(0, due_us - clock.to_us(clock.now())) / 1_000_000)

    def _happen(self, row: dict[str, Any]) -> None:
        """A thing that became due: a step of a guest, or a call that lands late."""
        if row["what"] not in script.MUTATING:
            self.world.happen(row["what"], row["target"], row["body"])
            return
        fate = msgspec.json.decode(row["attempt"], type=_Late)
        status, _ = self.carry_out(row["what"], row["target"], _decoded(row["what"], row["body"].encode()), fate.attempt, fate.fate)
        self.book.changed("UPDATE requests SET landed_at = ?, status = ? WHERE id = ?", books.stamp(), status, row["request_id"])


class _Late(msgspec.Struct, frozen=True, kw_only=True):
    """What a late call remembers."""

    attempt: str
    fate: script.Fate


class Handler(http.server.BaseHTTPRequestHandler):
    """One connection."""

    server: Cloud
    protocol_version = "HTTP/1.1"
    server_version = "govpool-lab-cloud"
    sys_version = "(simulated, no guest runs in it)"
    disable_nagle_algorithm = True
    wbufsize = -1
    timeout = 60

    def log_message(self, format: str, *args: Any) -> None:
        """Silent: every call is in the log of requests."""

    def do_GET(self) -> None:
        """Reads."""
        self._serve()

    do_PUT = do_POST = do_DELETE = do_GET

    def _serve(self) -> None:
        try:
            url = urllib.parse.urlsplit(self.path)
            query = dict(urllib.parse.parse_qsl(url.query, max_num_fields=16))
            raw = self._body()
            parts = [urllib.parse.unquote(part) for part in url.path.strip("/").split("/")]
            if parts[0] == "lab":
                status, answer = behind(self.server, self.command, parts[1:], query, raw)
            elif parts[0] == "v1":
                operation, target = _operation(self.command, parts[1:], query)
                if operation == "read":
                    self._read(parts[1:], query)
                else:
                    self._mutate(operation, target, raw)
                return
            elif parts == [""] and self.command == "GET":
                status, answer = 200, {"banner": wire.BANNER, "script": json.loads(self.server.book.fact("script") or "{}")}
            else:
                raise view.nothing_here()
        except world.RefusedError as refused:
            status, answer = refused.status, wire.Problem(code=refused.code, message=refused.message)
        except (msgspec.MsgspecError, ValueError) as error:
            status, answer = 400, wire.Problem(code="input.invalid", message=str(error)[:400])
        self._answer(status, answer)

    def _body(self) -> bytes:
        length = self.headers.get("Content-Length", "0")
        if not (length.isascii() and length.isdecimal()) or int(length) > _BODY_MAX or "Transfer-Encoding" in self.headers:
            self.close_connection = True
            raise world.RefusedError(413, "body.too_large", f"a body has a Content-Length of at most {_BODY_MAX} bytes")
        return self.rfile.read(int(length))

    def _read(self, parts: list[str], query: dict[str, str]) -> None:
        with self.server.book.change():
            fate = self.server.fate("read", "/".join(parts))
            self._log("read", "/".join(parts), "", fate, 200)
        time.sleep(fate.latency_s)
        if fate.refusal:
            status, code, message = _REFUSALS[fate.refusal]
            self._answer(status, wire.Problem(code=code, message=message))
        elif fate.cut:
            self._cut(fate)
        else:
            self._answer(200, view.read(self.server.world, parts, query))

    def _mutate(self, operation: str, target: str, raw: bytes) -> None:
        book, attempt = self.server.book, self.headers.get("X-Govpool-Attempt", "")[:64]
        body = _decoded(operation, raw)
        with book.change():
            name = _name(book, target, body)
            fate = self.server.fate(operation, name)
        time.sleep(fate.latency_s)
        with book.change():
            status = 0
            answer: msgspec.Struct | None = None
            if fate.refusal:
                status, code, message = _REFUSALS[fate.refusal]
                answer = wire.Problem(code=code, message=message)
            elif fate.late_s is None and fate.takes_effect:
                status, answer = self.server.carry_out(operation, target, body, attempt, fate)
            request_id = self._log(operation, target, name, fate, status)
            if fate.late_s is not None:
                remembered = msgspec.json.encode(_Late(attempt=attempt, fate=fate)).decode()
                self.server.world.later(fate.late_s, operation, target, raw.decode(), attempt=remembered, request_id=request_id)
        if fate.cut:
            self._cut(fate)
        else:
            self._answer(status, answer)

    def _log(self, operation: str, target: str, name: str, fate: script.Fate, status: int) -> int:
        what = (
            "late"
            if fate.late_s is not None
            else "dropped"
            if not fate.takes_effect and fate.cut
            else "lost"
            if fate.cut
            else "answered"
        )
        return self.server.book.insert(
            "requests", at=books.stamp(), operation=operation, target=target.partition("?")[0], name=name, fate=what, status=status,
            attempt=self.headers.get("X-Govpool-Attempt", "")[:64], mutating=int(operation != "read"), landed_at=None,
        )  # fmt: skip

    def _cut(self, fate: script.Fate) -> None:
        """Lose the answer: a gateway's error, or a reset after holding the connection as long as the rule says."""
        if fate.cut.isdecimal():
            self._answer(int(fate.cut), wire.Problem(code="gateway", message="the gateway lost the answer"))
            return
        if fate.cut == "hang":
            time.sleep(fate.hang_s)
        self.close_connection = True
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.connection.close()

    def _answer(self, status: int, answer: Any) -> None:
        payload = b"" if answer is None or status == 204 else msgspec.json.encode(answer)
        self.send_response(status)
        self.send_header("X-Lab-Banner", wire.BANNER)
        if status == 503:
            self.send_header("Retry-After", "2")
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(payload)))
        self.end_headers()
        self.wfile.write(payload)
        self.wfile.flush()


def behind(cloud: Cloud, method: str, parts: list[str], query: dict[str, str], raw: bytes) -> tuple[int, Any]:
    """/lab/...: the hand behind the scenes.  Raises RefusedError and msgspec.MsgspecError."""
    book = cloud.book
    match method, parts:
        case "PUT", ["script"]:
            return 200, cloud.set_script(raw)
        case "GET", ["requests"]:
            after, limit = view.number(query, "after", 0, 2**63 - 1, 0), view.number(query, "limit", 1, 100_000, view.PAGE_MAX)
            rows = book.all("SELECT * FROM requests WHERE id > ? ORDER BY id LIMIT ?", after, limit)
            return 200, {"requests": [dict(row) for row in rows]}
        case "GET", ["pending"]:
            return 200, {"pending": [dict(row) for row in book.all("SELECT id, due_us, what, target FROM pending ORDER BY due_us")]}
        case "POST", ["guests"]:
            with book.change():
                return 201, cloud.world.foreign(msgspec.json.decode(raw, type=wire.ForeignBody))
        case "POST", ["guests", guest_id, "replicas"]:
            with book.change():
                return 200, cloud.world.autoscale(guest_id, msgspec.json.decode(raw, type=wire.ReplicasBody).replicas)
        case "DELETE", ["guests", guest_id]:
            with book.change():
                guest = cloud.world.guest(guest_id)
                cloud.world.happen("vanish", guest_id, "")
            return 200, guest
        case "PUT", ["hosts", name]:
            with book.change():
                placement.put(book, msgspec.structs.replace(msgspec.json.decode(raw, type=wire.HostBody), name=name))
            return 200, {"name": name}
        case "POST", ["hosts", name, "enable" | "disable" as verb]:
            with book.change():
                if not placement.enable(book, name, verb == "enable"):
                    raise world.RefusedError(404, "host.unknown", f"there is no host {name!r}")
            return 200, {"name": name, "enabled": verb == "enable"}
    raise view.nothing_here()


def _operation(method: str, parts: list[str], query: dict[str, str]) -> tuple[str, str]:
    match method, parts:
        case "GET", _:
            return "read", ""
        case "PUT", ["tenants", installation, code]:
            return "tenant.set", f"{_code(installation)}/{_code(code)}"
        case "PUT", ["tenants", installation, code, "limits"]:
            return "limits.set", f"{installation}/{code}"
        case "POST", ["tickets"]:
            return "ticket.create", ""
        case "DELETE", ["tickets", ticket_id]:
            return "ticket.delete", ticket_id
        case "POST", ["guests"]:
            return "guest.create", ""
        case "POST", ["guests", guest_id, "actions"]:
            return "guest.act", guest_id
        case "DELETE", ["guests", guest_id]:
            return "guest.delete", f"{guest_id}?{view.number(query, 'revision', 0, 2**63 - 1, 0)}"
    raise view.nothing_here()


def _decoded(operation: str, raw: bytes) -> wire.Body | None:
    body = _BODIES.get(operation)
    return None if body is None else msgspec.json.decode(raw, type=body)


def _code(text: str) -> str:
    return msgspec.convert(text, wire.Code)


def _name(book: books.Book, target: str, body: wire.Body | None) -> str:
    """What a rule's `name` is compared with."""
    if isinstance(body, wire.GuestBody):
        return body.name
    if isinstance(body, wire.TicketBody):
        return body.resource_id
    guest = book.one("SELECT name FROM guests WHERE id = ?", target.partition("?")[0])
    ticket = None if guest else book.one("SELECT resource_id AS name FROM tickets WHERE id = ?", target)
    found = guest or ticket
    return str(found["name"]) if found else target.rpartition("/")[2]
