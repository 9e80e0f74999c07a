"""Notices: written with their cause, read by whom they are for, delivered over real sockets until it works."""

import base64
import datetime
import functools
import hashlib
import hmac
import http.server
import json
import pathlib
import socketserver
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from control import init, notice, notice_delivery, settings, wiring
from primitives import clock, errors
from store import database as store_database
from store.transaction import Transaction
from tenants import model, people, service, signin, tree


class World:
    """南海区 with a tax bureau and its requester and approver, and an operator at the root."""

    def __init__(self, database: store_database.Database) -> None:
        self.database = database
        init.initialise(database, code="nanhai", name="南海区")
        self.who: dict[str, model.Principal] = {}
        self.tax = database.lane.run(self._make)

    def _make(self, tx: Transaction) -> str:
        root = service.root(tx)
        new = tree.NewTenant(
            code="tax",
            name="税务局",
            parent=root,
            payer=None,
            budget_unit="",
            credit_code="",
            protection_level=2,
            valid_from=None,
            not_before=None,
        )
        tax = tree.create(tx, new)
        for name, tenant, role in (
            ("li", tax, "requester"),
            ("wang", tax, "approver"),
            ("zhao", root, "operator"),
            ("chen", root, "approver"),
        ):
            person = people.create_person(tx, f"{name}同志", f"{name}@tax.example")
            account = people.create_account(tx, name, person, tenant)
            people.grant(tx, None, account, model.Role(role), tenant)
            self.who[name] = signin.authenticate(tx, signin.login(tx, signin.enrol(tx, account))[0])
        return tax.id

    def tell(self, code: str = "order.waiting", **more: Any) -> str:
        """A notice of the tax bureau."""
        return self.database.lane.run(
            lambda tx: notice.tell(
                tx, tenant_id=self.tax, code=code, values={"order": "12", "reason": "预算不足"}, object_id="ord-1", **more
            )
        )

    def inbox(self, name: str, **more: Any) -> list[dict[str, Any]]:
        """Somebody's inbox."""
        return self.database.read(lambda tx: notice.inbox(tx, self.who[name], lang=more.pop("lang", "zh"), **more))

    def shared(self, **chosen: str) -> wiring.Wiring:
        """The wiring of a server with these settings."""
        return wiring.Wiring(self.database, settings.read(None, {}, chosen))

    def deliveries(self) -> list[dict[str, Any]]:
        """All deliveries as they stand."""
        return self.database.read(lambda tx: tx.execute(notice_delivery._D.select()))


@pytest.fixture
def world(database: store_database.Database) -> World:
    """The world of these tests, once on each database."""
    return World(database)


@pytest.fixture
def later() -> Iterator[Any]:
    """Moves the clock on; PostgreSQL's own clock is shifted by the same offset."""

    def move(**delta: int) -> None:
        clock.shift(clock.offset() + datetime.timedelta(**delta))

    yield move
    clock.shift(datetime.timedelta(0))


def test_a_notice_reaches_whom_it_is_for_and_nobody_else(world: World) -> None:
    world.tell()
    assert [len(world.inbox(name)) for name in ("li", "wang", "zhao", "chen")] == [0, 1, 0, 1], "approvers of the tenant and above"
    world.tell("order.refused")
    assert [len(world.inbox(name)) for name in ("li", "wang", "zhao", "chen")] == [1, 2, 0, 1], "everyone bound right at the tenant"
    world.tell("order.refused", person_id=world.who["zhao"].person_id)
    assert [len(world.inbox(name)) for name in ("li", "wang", "zhao", "chen")] == [1, 2, 1, 1]
    assert world.inbox("li")[0]["text"] == "申请单 12 被驳回：预算不足"
    assert world.inbox("li", lang="en")[0]["text"] == "order 12 was refused: 预算不足"


def test_reading_is_noted_once_and_only_for_one_self(world: World) -> None:
    notice_id = world.tell()
    case = notice.mark_read(notice_id, lang="zh")

    def read(tx: Transaction, name: str) -> Any:
        return case.effect(tx, world.who[name], case.permit(tx, world.who[name])).body["read_at"]

    first = world.database.lane.run(lambda tx: read(tx, "wang"))
    assert world.database.lane.run(lambda tx: read(tx, "wang")) == first
    assert world.inbox("wang", unread=True) == [] and len(world.inbox("chen", unread=True)) == 1
    for stranger in ("li", "zhao"):
        with pytest.raises(errors.GovpoolError, match=r"object\.unknown"):
            world.database.lane.run(functools.partial(read, name=stranger))


def test_a_notice_of_a_change_that_did_not_happen_does_not_exist(world: World) -> None:
    def refused(tx: Transaction) -> None:
        notice.tell(tx, tenant_id=world.tax, code="order.failed", values={}, object_id="")
        raise errors.INVALID(field="x", reason="y")

    with pytest.raises(errors.GovpoolError):
        world.database.lane.run(refused)
    assert world.inbox("li") == []


class _Hook(http.server.BaseHTTPRequestHandler):
    """A receiver of webhooks that refuses the first ones."""

    def do_POST(self) -> None:
        server: Any = self.server
        server.seen.append((dict(self.headers), self.rfile.read(int(self.headers["Content-Length"]))))
        self.send_response(500 if len(server.seen) <= server.refuse else 202)
        self.end_headers()

    def log_message(self, format: str, *arguments: Any) -> None:
        """Quiet."""


@pytest.fixture
def hook() -> Iterator[Any]:
    """A running receiver."""
    server: Any = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Hook)
    server.seen, server.refuse = [], 0
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    thread.join()


def test_a_webhook_is_a_signed_cloudevent_and_is_repeated_until_it_is_taken(
    world: World, hook: Any, later: Any, tmp_path: pathlib.Path
) -> None:
    (tmp_path / "key").write_text("钥匙\n", encoding="utf-8")
    shared = world.shared(webhook_url=f"http://127.0.0.1:{hook.server_port}/hook", webhook_secret_file=str(tmp_path / "key"))
    hook.refuse = 2
    notice_id = world.tell()
    for seconds in (0, 31, 61, 600):
        later(seconds=seconds)
        notice_delivery.deliver(shared)
    assert len(hook.seen) == 3, "refused twice, taken once, then left alone"
    headers, content = hook.seen[-1]
    lower = {name.lower(): value for name, value in headers.items()}
    event = json.loads(content)
    assert (event["specversion"], event["id"], event["type"], event["subject"]) == (
        "1.0",
        notice_id,
        "govpool.notice.order.waiting",
        "ord-1",
    )
    assert event["data"]["tenant"] == "tax" and event["data"]["text"]["zh"].startswith("申请单 12")
    signed = f"{lower['webhook-id']}.{lower['webhook-timestamp']}.".encode() + content
    wanted = base64.b64encode(hmac.new("钥匙".encode(), signed, hashlib.sha256).digest()).decode()
    assert lower["webhook-signature"] == f"v1,{wanted}" and lower["webhook-id"] == notice_id
    (row,) = world.deliveries()
    assert (row["state"], row["tries"], row["answer"]) == ("sent", 3, "HTTP 202")


def test_a_delivery_that_never_works_is_given_up_and_its_last_answer_kept(world: World, hook: Any, later: Any) -> None:
    shared = world.shared(webhook_url=f"http://127.0.0.1:{hook.server_port}/hook")
    hook.refuse = 1000
    world.tell()
    for _ in range(12):
        notice_delivery.deliver(shared)
        later(hours=2)
    assert len(hook.seen) == notice_delivery.TRIES_MAX
    (row,) = world.deliveries()
    assert row["state"] == "failed" and "500" in row["answer"]


def test_a_sender_that_died_after_its_claim_loses_nothing(world: World, hook: Any, later: Any) -> None:
    """The mutant: marking a delivery as sent when it is claimed."""
    shared = world.shared(webhook_url=f"http://127.0.0.1:{hook.server_port}/hook")
    world.tell()
    world.database.lane.run(lambda tx: notice_delivery.plan(tx, ["webhook"]))
    assert len(world.database.lane.run(notice_delivery.claim)) == 1
    notice_delivery.deliver(shared)
    assert hook.seen == []
    later(minutes=6)
    notice_delivery.deliver(shared)
    assert len(hook.seen) == 1


def test_what_was_told_before_a_channel_was_switched_on_is_not_sent_late(world: World, hook: Any) -> None:
    world.tell()
    notice_delivery.deliver(world.shared())
    notice_delivery.deliver(world.shared(webhook_url=f"http://127.0.0.1:{hook.server_port}/hook"))
    assert hook.seen == [] and world.deliveries() == []


class _Mail(socketserver.StreamRequestHandler):
    """The least of an SMTP server (RFC 5321)."""

    def handle(self) -> None:
        server: Any = self.server
        self.wfile.write(b"220 mail\r\n")
        while line := self.rfile.readline():
            word = line[:4].upper()
            if word == b"DATA":
                self.wfile.write(b"354 go on\r\n")
                content = b""
                while (part := self.rfile.readline()) != b".\r\n":
                    content += part
                server.seen.append(content)
            elif word == b"RCPT":
                server.recipients.append(line.split(b"<")[1].split(b">")[0].decode())
            self.wfile.write(b"221 bye\r\n" if word == b"QUIT" else b"250 ok\r\n")
            if word == b"QUIT":
                return


def test_a_mail_goes_to_each_person_the_notice_is_for(world: World) -> None:
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), _Mail) as raw:
        server: Any = raw
        server.seen, server.recipients = [], []
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        thread.start()
        shared = world.shared(
            smtp_server=f"127.0.0.1:{server.server_address[1]}", smtp_starttls="false", smtp_sender="cloud@nanhai.example"
        )
        world.tell()
        notice_delivery.deliver(shared)
        server.shutdown()
        thread.join()
    assert sorted(server.recipients) == ["chen@tax.example", "wang@tax.example"]
    assert all(b"Subject: =?utf-8?" in content for content in server.seen)
    assert {row["state"] for row in world.deliveries()} == {"sent"}
