"""Notices: written in the transaction of their cause, read in the inbox, sent on by `control.notice_delivery`.

    notice.declare("order.waiting", en="order {order} waits for your decision", zh="申请单 {order} 等待您审批")
    notice.tell(tx, tenant_id=..., code="order.waiting", values={"order": 12}, object_id=order.id, role="approver")

A notice is addressed to one person, to whoever holds a role at the tenant or above it, or to everyone bound right at the tenant.
"""

import json
from typing import Any, Final

import sqlalchemy as sa

from control import access, case, notice_texts, tables
from primitives import canonical, clock, ids
from store import columns
from store.transaction import Transaction
from tenants import faults as tenant_faults
from tenants import model as tenants_model
from tenants import service as tenants

TEXTS: Final[dict[str, tuple[str, str]]] = dict(notice_texts.TEXTS)
AUDIENCES: Final = notice_texts.AUDIENCES

_N: Final = tables.NOTICES
_R: Final = tables.READS
_TELL: Final = sa.insert(_N)
_READ: Final = sa.insert(_R)
_FIND: Final = sa.select(_N).where(_N.c.id == sa.bindparam("id"))
_SEEN: Final = sa.select(_R.c.read_at).where(_R.c.notice_id == sa.bindparam("id"), _R.c.account_id == sa.bindparam("account_id"))
_mine = sa.and_(_R.c.notice_id == _N.c.id, _R.c.account_id == sa.bindparam("account_id"))
_INBOX: Final = (
    sa.select(_N, _R.c.read_at)
    .select_from(_N.outerjoin(_R, _mine))
    .where(columns.among(_N.c.address, "addresses"), _N.c.id < sa.bindparam("before"))
    .order_by(_N.c.id.desc())
    .limit(sa.bindparam("count"))
)
_UNREAD: Final = _INBOX.where(_R.c.read_at.is_(None))
_UNREAD_COUNT: Final = (
    sa.select(sa.func.count().label("unread"))
    .select_from(_N.outerjoin(_R, _mine))
    .where(columns.among(_N.c.address, "addresses"), _R.c.read_at.is_(None))
)


def declare(code: str, *, en: str, zh: str) -> str:
    """Give a notice code its texts, which `values` fill; returns the code."""
    if code in TEXTS:
        raise ValueError(f"notice {code} is declared twice")
    TEXTS[code] = (en, zh)
    return code


def tell(
    tx: Transaction, *, tenant_id: str, code: str, values: dict[str, Any], object_id: str = "", role: str = "", person_id: str = ""
) -> str:
    """Write a notice into the outbox; returns its id.  `values` are JSON-able and hold no secret."""
    notice_id = ids.new("ntc")
    tx.execute(
        _TELL,
        id=notice_id,
        address=f"person:{person_id}" if person_id else f"{tenant_id}/{role or AUDIENCES.get(code, '')}",
        tenant_id=tenant_id,
        code=code,
        values_json=canonical.dumps(values).decode(),
        object_id=object_id,
        planned=0,
        recorded_at=clock.to_us(tx.now()),
    )
    return notice_id


def text(code: str, values: dict[str, Any], lang: str) -> str:
    """A notice as a sentence in 'zh' or 'en'; an undeclared code shows its values."""
    en, zh = TEXTS.get(code, ("", ""))
    template = zh if lang == "zh" else en
    if not template:
        return f"{code}: " + ", ".join(f"{name} {value}" for name, value in values.items())
    return template.format_map({name: values.get(name, "?") for name in _names(template)})


def inbox(
    tx: Transaction, who: tenants_model.Principal, *, lang: str, unread: bool = False, before: str = "", limit: int = 100
) -> list[dict[str, Any]]:
    """Notices for `who`, newest first, those with ids below `before`."""
    rows = tx.execute(
        _UNREAD if unread else _INBOX,
        account_id=who.account_id,
        addresses=addresses(tx, who),
        before=before or "~",
        count=limit,
    )
    return [_shown(row, lang) for row in rows]


def unread(tx: Transaction, who: tenants_model.Principal) -> int:
    """How many notices `who` has not read."""
    row = tx.one(_UNREAD_COUNT, account_id=who.account_id, addresses=addresses(tx, who))
    return int(row["unread"]) if row else 0


def mark_read(notice_id: str, *, lang: str) -> case.UseCase:
    """Note that the caller has read a notice; a second time changes nothing."""

    def found(tx: Transaction, who: tenants_model.Principal) -> dict[str, Any]:
        row = tx.one(_FIND, id=notice_id)
        if row is None or row["address"] not in addresses(tx, who):
            raise tenant_faults.UNKNOWN(kind="notice")
        return row

    def permit(tx: Transaction, who: tenants_model.Principal) -> tenants_model.Permit:
        row = found(tx, who)
        if row["address"] == f"person:{who.person_id}":
            return tenants_model.Permit(role="self", rule="self.notice.read", tenant_id=row["tenant_id"])
        return access.require(tx, who, "read", "notice", tenant_id=row["tenant_id"])

    def effect(tx: Transaction, who: tenants_model.Principal, _: tenants_model.Permit) -> case.Answer:
        row = found(tx, who)
        seen = tx.one(_SEEN, id=notice_id, account_id=who.account_id)
        if seen is None:
            seen = {"read_at": clock.to_us(tx.now())}
            tx.execute(_READ, notice_id=notice_id, account_id=who.account_id, **seen)
        return case.Answer(body=_shown(row | seen, lang), kind="notice", object_id=notice_id, tenant_id=row["tenant_id"])

    return case.UseCase(action="notice.read", permit=permit, effect=effect)


def addresses(tx: Transaction, who: tenants_model.Principal) -> list[str]:
    """Every address under which a notice reaches `who`."""
    found = {f"person:{who.person_id}"}
    for binding in who.bindings:
        found.add(f"{binding.tenant_id}/")
        found.update(f"{below}/{binding.role}" for below in tenants.subtree_ids(tx, binding.tenant_id))
    return sorted(found)


def _shown(row: dict[str, Any], lang: str) -> dict[str, Any]:
    values = json.loads(row["values_json"])
    return {
        "id": row["id"],
        "at": clock.text(clock.from_us(row["recorded_at"])),
        "code": row["code"],
        "text": text(row["code"], values, lang),
        "values": values,
        "object_id": row["object_id"],
        "read_at": None if row["read_at"] is None else clock.text(clock.from_us(row["read_at"])),
    }


def _names(template: str) -> list[str]:
    return [piece.partition("}")[0] for piece in template.split("{")[1:]]
