"""The tamper-evident trail."""

from typing import Annotated, Any

import msgspec

from apiserver import page, route
from control import audit, strangers
from primitives import clock
from store.transaction import Transaction

_Text = Annotated[str, msgspec.Meta(max_length=128)]
_Moment = Annotated[str, msgspec.Meta(max_length=40, description="ISO 8601 with offset")]


class LineQuery(page.Query, kw_only=True):
    """Filters; all of them must match."""

    tenant: Annotated[str, msgspec.Meta(max_length=63, description="a tenant and all below it")] = ""
    actor: Annotated[_Text, msgspec.Meta(description="login name or account id")] = ""
    object: Annotated[_Text, msgspec.Meta(description="id of the object")] = ""
    action: Annotated[_Text, msgspec.Meta(description="such as grant.set")] = ""
    since: _Moment = ""
    until: _Moment = ""


class ExportQuery(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """Which part."""

    after: Annotated[int, msgspec.Meta(ge=0, le=2**62, description="position of the last line already held")] = 0
    limit: Annotated[int, msgspec.Meta(ge=1, le=audit.EXPORT_MAX)] = audit.EXPORT_MAX


class Line(msgspec.Struct, kw_only=True):
    """One line of the trail; `actor_name`, `object_name` and `tenant` are names of today beside the ids that were hashed."""

    seq: int
    at: str
    actor: str
    actor_name: str
    on_behalf_of: str
    action: str
    outcome: str
    code: str
    role: str
    rule: str
    tenant_id: str
    tenant: str
    kind: str
    object_id: str
    object_name: str
    generation: int
    before_digest: str
    after_digest: str
    request_id: str
    idempotency_key: str
    source: str
    reason: str
    facts: dict[str, str]
    leaf_hash: str
    chain_hash: str


class Strangers(msgspec.Struct, kw_only=True):
    """Requests without a valid principal from one source in one minute."""

    source: str
    minute: str
    requests: int


class Verdict(msgspec.Struct, kw_only=True):
    """How far the trail is sound."""

    records: int
    chain_hash: str
    sound: bool
    flaw: str


def list_lines(tx: Transaction, call: route.Call) -> Any:
    """Who did what, newest first."""
    before = page.after(call, int)
    query: LineQuery = call.query
    rows = audit.list_lines(
        tx,
        call.who,
        tenant=query.tenant,
        actor=query.actor,
        object_id=query.object,
        action=query.action,
        since=query.since,
        until=query.until,
        before=before[0] if before else None,
        limit=query.limit + 1,
    )
    return page.of(rows, call, lambda row: [row["seq"]])


def export(tx: Transaction, call: route.Call) -> route.Raw:
    """The trail as JSON lines with the exact text that was hashed; ask again with `after` until nothing comes."""
    content = audit.export(tx, call.who, after=call.query.after, limit=call.query.limit)
    return route.Raw(content=content, media="application/x-ndjson", filename="audit.jsonl")


def list_strangers(tx: Transaction, call: route.Call) -> Any:
    """Requests without a valid principal, by source and minute, newest first."""
    after = page.after(call, int, str)
    rows = strangers.listed(tx, call.who, after=(after[0], after[1]) if after else None, limit=call.query.limit + 1)
    return page.of(rows, call, lambda row: [row["minute_at"], row["source"]], _minute)


def _minute(row: dict[str, Any]) -> dict[str, Any]:
    return {"source": row["source"], "minute": clock.text(clock.from_us(row["minute_at"])), "requests": row["requests"]}


def verify(tx: Transaction, call: route.Call) -> Any:
    """Hash the whole trail again."""
    return audit.verify(tx, call.who)


ROUTES = [
    route.read("GET", "/v1/audit-lines", "audit.list", list_lines, query=LineQuery, answer=page.Page[Line]),
    route.read("GET", "/v1/audit-export", "audit.export", export, query=ExportQuery, media="application/x-ndjson"),
    route.read("GET", "/v1/stranger-requests", "audit.strangers", list_strangers, query=page.Query, answer=page.Page[Strangers]),
    route.read("GET", "/v1/audit-verification", "audit.verify", verify, answer=Verdict),
]
