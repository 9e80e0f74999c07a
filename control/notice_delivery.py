"""Notices leave the house: by mail and as signed webhooks, each delivery kept with its state, repeated, in the end given up.

Deliveries are planned, claimed and settled in the lane; the sending itself holds no transaction.  A claim that nobody settles falls
due again, so a delivery may arrive twice (the webhook's id tells) but is never lost.  Webhooks are CloudEvents 1.0 under the
Standard Webhooks signature.
"""

import base64
import dataclasses
import datetime
import email.message
import hashlib
import hmac
import json
import pathlib
import smtplib
import urllib.request
from typing import Any, Final

import sqlalchemy as sa

from control import notice, services, tables
from control.settings import Settings
from control.wiring import Wiring
from primitives import clock
from store import installation
from store.transaction import Transaction
from tenants import model as tenants_model
from tenants import people
from tenants import service as tenants

EVERY_S: Final = 5
BATCH: Final = 20
CLAIM: Final = datetime.timedelta(minutes=5)
PAUSE: Final = datetime.timedelta(seconds=30)
TRIES_MAX: Final = 8
TIMEOUT_S: Final = 10
MAIL: Final = "mail"
WEBHOOK: Final = "webhook"

_N: Final = tables.NOTICES
_D: Final = tables.DELIVERIES
_key = sa.and_(
    _D.c.notice_id == sa.bindparam("of_notice"),
    _D.c.channel == sa.bindparam("of_channel"),
    _D.c.recipient == sa.bindparam("of_recipient"),
)
_UNPLANNED: Final = sa.select(_N).where(_N.c.planned == sa.literal_column("0")).order_by(_N.c.id).limit(BATCH)
_PLANNED: Final = sa.update(_N).where(_N.c.id == sa.bindparam("notice_id")).values(planned=1)
_INSERT: Final = sa.insert(_D)
_DUE: Final = (
    sa.select(_D.c.channel, _D.c.recipient, _D.c.tries, _N)
    .select_from(_D.join(_N, _N.c.id == _D.c.notice_id))
    .where(_D.c.state == sa.literal_column("'waiting'"), _D.c.due_at <= sa.bindparam("now"))
    .order_by(_D.c.due_at)
    .limit(BATCH)
)
_COUNTS: Final = sa.select(_D.c.state, sa.func.count().label("n")).group_by(_D.c.state)
_CLAIM: Final = sa.update(_D).where(_key).values(due_at=sa.bindparam("until"), tries=sa.bindparam("count"))
_SETTLE: Final = (
    sa.update(_D)
    .where(_key)
    .values(
        state=sa.bindparam("new_state"), due_at=sa.bindparam("again_at"), sent_at=sa.bindparam("at"), answer=sa.bindparam("said")
    )
)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """One notice on its way to one recipient."""

    channel: str
    recipient: str
    address: str  # of a mail; looked up when it was claimed
    tries: int  # this one included
    notice: dict[str, Any]
    tenant: str  # code
    installation: str


def service(wiring: Wiring) -> services.Service:
    """The delivery service of a server."""
    return services.Loop("notices", lambda: deliver(wiring), EVERY_S)


def deliver(wiring: Wiring) -> bool:
    """Plan what is new, send what is due; True when there is more."""
    settings = wiring.settings
    channels: list[str] = [name for name, wanted in ((MAIL, settings.smtp_server), (WEBHOOK, settings.webhook_url)) if wanted]
    has_new: bool = wiring.database.read(_has_unplanned)
    planned = wiring.database.lane.run(lambda tx: plan(tx, channels)) if has_new else 0
    has_due: bool = wiring.database.read(_has_due)
    claimed = wiring.database.lane.run(claim) if channels and has_due else []
    for delivery in claimed:
        try:
            answer, sent = send(delivery, settings), True
        except (OSError, smtplib.SMTPException, ValueError) as error:  # URLError and HTTPError are OSErrors
            answer, sent = f"{type(error).__name__}: {error}"[:300], False
        wiring.database.lane.run(lambda tx, d=delivery, a=answer, s=sent: settle(tx, d, a, sent=s))  # type: ignore[misc]
    return planned == BATCH or len(claimed) == BATCH


def plan(tx: Transaction, channels: list[str]) -> int:
    """Write the deliveries of notices that have none yet; returns how many notices were planned."""
    rows = tx.execute(_UNPLANNED)
    now = clock.to_us(tx.now())
    for row in rows:
        pairs = [(WEBHOOK, "")] if WEBHOOK in channels else []
        if MAIL in channels:
            pairs += [(MAIL, person_id) for person_id in sorted(_persons(tx, row["address"]))]
        new = {"notice_id": row["id"], "state": "waiting", "tries": 0, "due_at": now, "sent_at": None, "answer": ""}
        tx.many(_INSERT, [new | {"channel": channel, "recipient": recipient} for channel, recipient in pairs])
        tx.execute(_PLANNED, notice_id=row["id"])
    return len(rows)


def claim(tx: Transaction) -> list[Delivery]:
    """Take deliveries that are due; they fall due again if nobody settles them."""
    found = installation.get(tx)
    claimed = []
    for row in tx.execute(_DUE, now=clock.to_us(tx.now())):
        until = clock.to_us(tx.now() + CLAIM)
        tx.execute(_CLAIM, **_of(row["id"], row["channel"], row["recipient"]), until=until, count=row["tries"] + 1)
        claimed.append(
            Delivery(
                channel=row["channel"],
                recipient=row["recipient"],
                address=people.person(tx, row["recipient"]).contact if row["recipient"] else "",
                tries=row["tries"] + 1,
                notice=row,
                tenant=tenants.by_id(tx, row["tenant_id"]).code,
                installation=found.id,
            )
        )
    return claimed


def settle(tx: Transaction, delivery: Delivery, answer: str, *, sent: bool) -> None:
    """Note how a try ended: sent, to be repeated, or given up."""
    now = tx.now()
    state = "sent" if sent else "failed" if delivery.tries >= TRIES_MAX else "waiting"
    tx.execute(
        _SETTLE,
        **_of(delivery.notice["id"], delivery.channel, delivery.recipient),
        new_state=state,
        again_at=clock.to_us(now + PAUSE * 2 ** (delivery.tries - 1)),
        at=clock.to_us(now) if sent else None,
        said=answer,
    )


def send(delivery: Delivery, settings: Settings) -> str:
    """Send one delivery; returns what the other side said.  Raises OSError, SMTPException or ValueError."""
    return _mail(delivery, settings) if delivery.channel == MAIL else _post(delivery, settings)


def counts(tx: Transaction) -> dict[str, int]:
    """Number of deliveries by state."""
    return {row["state"]: row["n"] for row in tx.execute(_COUNTS)}


def signature(key: bytes, notice_id: str, timestamp: str, content: bytes) -> str:
    """The Standard Webhooks signature: 'v1,' and base64 of HMAC-SHA256 over id, timestamp and content."""
    signed = f"{notice_id}.{timestamp}.".encode() + content
    return "v1," + base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()


def _mail(delivery: Delivery, settings: Settings) -> str:
    if "@" not in delivery.address:
        raise ValueError("the person's contact is no mail address")
    text = notice.text(delivery.notice["code"], json.loads(delivery.notice["values_json"]), settings.lang)
    message = email.message.EmailMessage()
    message["From"], message["To"] = settings.smtp_sender or "govpool@localhost", delivery.address
    message["Subject"], message["Message-ID"] = text[:150].replace("\n", " "), f"<{delivery.notice['id']}@{delivery.installation}>"
    message.set_content(f"{text}\n\ngovpool inbox\n")
    host, _, port = settings.smtp_server.partition(":")
    with smtplib.SMTP(host, int(port or 25), timeout=TIMEOUT_S) as server:
        if settings.smtp_starttls:
            server.starttls()
        if settings.smtp_account_file:
            account, _, password = pathlib.Path(settings.smtp_account_file).read_text(encoding="utf-8").strip().partition(":")
            server.login(account, password)
        server.send_message(message)
    return "accepted"


def _post(delivery: Delivery, settings: Settings) -> str:
    if not settings.webhook_url.startswith(("https://", "http://")):
        raise ValueError("webhook_url is no http(s) URL")
    content = json.dumps(_event(delivery), ensure_ascii=False).encode()
    headers = {"Content-Type": "application/cloudevents+json", "webhook-id": delivery.notice["id"]}
    headers["webhook-timestamp"] = str(clock.to_us(clock.now()) // 1_000_000)
    if settings.webhook_secret_file:
        key = pathlib.Path(settings.webhook_secret_file).read_bytes().strip()
        headers["webhook-signature"] = signature(key, delivery.notice["id"], headers["webhook-timestamp"], content)
    request = urllib.request.Request(settings.webhook_url, data=content, headers=headers, method="POST")  # noqa: S310 -- checked above
    with urllib.request.urlopen(request, timeout=TIMEOUT_S) as answer:  # noqa: S310 -- checked above
        return f"HTTP {answer.status}"


def _event(delivery: Delivery) -> dict[str, Any]:
    row = delivery.notice
    values = json.loads(row["values_json"])
    texts = {lang: notice.text(row["code"], values, lang) for lang in ("en", "zh")}
    return {
        "specversion": "1.0",
        "id": row["id"],
        "source": f"urn:govpool:{delivery.installation}",
        "type": f"govpool.notice.{row['code']}",
        "time": clock.text(clock.from_us(row["recorded_at"])),
        "subject": row["object_id"],
        "data": {"tenant": delivery.tenant, "values": values, "text": texts},
    }


def _persons(tx: Transaction, address: str) -> set[str]:
    """The persons that an address reaches."""
    if address.startswith("person:"):
        return {address.removeprefix("person:")}
    tenant_id, _, role = address.partition("/")
    path = tenants.path_ids(tx, tenant_id) if role else [tenant_id]
    bound = people.bindings(tx, tenants_model.Scope(tenant_ids=tuple(path), everything=False))
    return {row["person_id"] for row in bound if row["kind"] == "person" and role in ("", row["role"])}


def _has_unplanned(tx: Transaction) -> bool:
    return bool(tx.execute(_UNPLANNED))


def _has_due(tx: Transaction) -> bool:
    return bool(tx.execute(_DUE, now=clock.to_us(tx.now())))


def _of(notice_id: str, channel: str, recipient: str) -> dict[str, str]:
    return {"of_notice": notice_id, "of_channel": channel, "of_recipient": recipient}
