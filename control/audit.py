"""Reading the trail: list, export, verify.  It is written by `control.case` and by nobody else."""

import json
from typing import Any

from audit import service as audit
from control import access, naming
from primitives import clock
from store.transaction import Transaction
from tenants import model as tenants_model
from tenants import people
from tenants import service as tenants

EXPORT_MAX = 10_000
"""Lines of one export call."""


def list_lines(
    tx: Transaction,
    who: tenants_model.Principal,
    *,
    tenant: str = "",
    actor: str = "",
    object_id: str = "",
    action: str = "",
    since: str = "",
    until: str = "",
    before: int | None = None,
    limit: int = 100,
) -> list[dict[str, Any]]:
    """Lines of the trail that `who` may read, newest first; `actor` is a login name or an account id, times are ISO 8601.

    Beside what was hashed each line has the names that go with its ids today: `actor_name`, `object_name`, `tenant`.
    """
    lines = audit.find(
        tx,
        tenant_ids=_tenant_ids(tx, who, "list", tenant),
        actor=_actor(tx, actor),
        object_id=object_id,
        action=action,
        since=clock.parse(since, "since") if since else None,
        until=clock.parse(until, "until") if until else None,
        before_seq=before,
        limit=limit,
    )
    names = naming.named(tx, (line[field] for line in lines for field in ("actor", "object_id", "tenant_id")))
    shown = {"actor_name": "actor", "object_name": "object_id", "tenant": "tenant_id"}
    return [line | {name: names.get(line[field], "") for name, field in shown.items()} for line in lines]


def export(tx: Transaction, who: tenants_model.Principal, *, after: int, limit: int) -> bytes:
    """Lines after position `after` as JSON lines {seq, content, leaf_hash, chain_hash}; `content` is the exact text hashed.

    Whoever may read all of the trail can check the whole chain from it; others get the lines of their tenants, each with its hash.
    """
    ids = _tenant_ids(tx, who, "export", "")
    wanted = None if ids is None else set(ids)
    lines: list[str] = []
    for record in audit.records(tx, after_seq=after):
        if len(lines) == limit:
            break
        content = record.content.decode()
        if wanted is None or json.loads(content)["tenant_id"] in wanted:
            row = {"seq": record.seq, "content": content, "leaf_hash": record.leaf_hash, "chain_hash": record.chain_hash}
            lines.append(json.dumps(row, ensure_ascii=False) + "\n")
    return "".join(lines).encode()


def verify(tx: Transaction, who: tenants_model.Principal) -> dict[str, Any]:
    """Hash the whole trail again from its bytes; the answer says how far it is sound."""
    access.require(tx, who, "verify", "audit", tenant_id=None)
    verdict = audit.verify(tx)
    return {"records": verdict.records, "chain_hash": verdict.chain_hash, "sound": not verdict.flaw, "flaw": verdict.flaw}


def _tenant_ids(tx: Transaction, who: tenants_model.Principal, verb: str, tenant: str) -> list[str] | None:
    """The tenants whose lines are asked for and may be read; None for the whole trail.  Raises role.forbidden, object.unknown."""
    if tenant:
        return tenants.subtree_ids(tx, access.tenant(tx, who, tenant, verb, "audit")[0].id)
    scope = access.scope(tx, who, verb=verb, kind="audit")
    if scope.everything:
        return None
    if not scope.tenant_ids:
        access.require(tx, who, verb, "audit", tenant_id=None)
    return list(scope.tenant_ids)


def _actor(tx: Transaction, name: str) -> str:
    found = people.find_account(tx, name) if name else None
    return found.id if found else name
