"""Leases: resources with an end.  Notices before it, the stop, the grace and the recycle bin after it, by our own clock; extension is an order.

The rule is `provisioners.lease`; here each of its deeds is done, with notice and trail, in the one transaction that moves the lease on.  So
two servers, a kill between any two lines and a server that comes back after weeks do each thing once.
"""

import dataclasses
import datetime
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from control import access, encumbrance, notice, reservation, resource, settings
from control.reconciler import ending
from orders import model as orders_model
from primitives import clock, errors
from provisioners import changes, lease, model
from provisioners import service as provisioners
from provisioners.lease import Deed, Policy
from provisioners.model import Resource
from store import installation
from store.transaction import Transaction
from tenants import model as tenants_model
from tenants import service as tenants

TURN: Final = 10
"""Leases looked at in one turn of the lane."""
NEAR: Final = notice.declare(
    "lease.near",
    en="the lease of {name} ends with {end}, in {days} days; to keep it: govpool lease extend {id} --until DATE",
    zh="{name} 的租期将于 {end} 届满，还剩 {days} 天；如需继续使用：govpool lease extend {id} --until 日期",
)
OVER: Final = notice.declare(
    "lease.over",
    en="the lease of {name} has ended: what runs of it is stopped, and from {bin} on it goes into the recycle bin;"
    " to keep it: govpool lease extend {id} --until DATE",
    zh="{name} 的租期已届满：运行中的已停止，{bin} 起移入回收站；如需保留：govpool lease extend {id} --until 日期",
)
BINNED: Final = notice.declare(
    "lease.binned",
    en="{name} is in the recycle bin, its lease ended {end}; until {until} it can be taken back: govpool {noun} undelete {name}",
    zh="{name} 租期已于 {end} 届满，现已移入回收站，{until} 前可恢复：govpool {noun} undelete {name}",
)
DELETED: Final = notice.declare(
    "lease.deleted",
    en="{name} is deleted, its lease ended {end}; this installation keeps no recycle bin",
    zh="{name} 租期已于 {end} 届满，现已删除；本系统未启用回收站",
)
PROTECTED: Final = notice.declare(
    "lease.protected",
    en="the lease of {name} ended {end}; it is protected from deletion, so it stays and is charged:"
    " govpool lease extend {id} --until DATE, or govpool resource protect {id} --off",
    zh="{name} 租期已于 {end} 届满，因启用删除保护仍保留并计费：govpool lease extend {id} --until 日期，"
    "或 govpool resource protect {id} --off",
)
GONE: Final = model.Reason(
    code="lease.gone",
    en="it was deleted before this extension was agreed to",
    zh="续期获批之前资源已被删除",
)
STATES: Final = ("open_ended", "running", "over", "in_bin", "ended")


def policy(of: settings.Settings) -> Policy:
    """How this server ends leases."""
    days = tuple(int(one) for one in of.lease_notice_days.split(","))
    return Policy(notice_days=days, grace=datetime.timedelta(days=of.lease_grace_days))


# -- the clock -------------------------------------------------------------------------------------------------------------------------


def carry_out(tx: Transaction, of: Policy, *, bin_days: int) -> list[str]:
    """A scheduled job's use case: do what is due for a few leases, the longest due first.  Their ids; [] when nothing is due.

    Nothing before a restore is accepted: an extension may be what it lost.
    """
    if not installation.get(tx).accepted:
        return []
    due = provisioners.leases_due(tx, TURN)
    for one in due:
        found = lease.look(one, tx.now(), of)
        after = _DEEDS[found.deed](tx, one, of, bin_days)
        provisioners.store(tx, one, dataclasses.replace(after, end_due_at=found.again_at), hint=after.pending)
    return [one.id for one in due]


def _nothing(_: Transaction, one: Resource, __: Policy, ___: int) -> Resource:
    return one


def _notice(tx: Transaction, one: Resource, _: Policy, __: int) -> Resource:
    _tell(tx, one, NEAR, days=str(_days_left(one, tx.now())))
    return dataclasses.replace(one, end_told_at=tx.now())


def _end(tx: Transaction, one: Resource, of: Policy, _: int) -> Resource:
    after = changes.lease_over(one, tx.now())
    ending.trail(tx, after, "lease.end")
    _tell(tx, one, OVER, bin=lease.said(tx.now() + of.grace))
    return after


def _stop(tx: Transaction, one: Resource, _: Policy, __: int) -> Resource:
    after = changes.changed(one, "stop", spec={}, amounts=None, order_id="", now=tx.now())
    ending.trail(tx, after, "lease.stop")
    return after


def _bin(tx: Transaction, one: Resource, _: Policy, bin_days: int) -> Resource:
    until = tx.now() + datetime.timedelta(days=bin_days)
    after = changes.deleted(one, bin_until=until if bin_days else None, order_id="", now=tx.now())
    ending.trail(tx, after, "lease.bin")
    if bin_days:
        _tell(tx, one, BINNED, until=lease.said(until))
    else:
        _tell(tx, one, DELETED)
    return after


def _remind(tx: Transaction, one: Resource, _: Policy, __: int) -> Resource:
    _tell(tx, one, PROTECTED)
    _tell(tx, one, PROTECTED, role=str(tenants_model.Role.OPERATOR))
    return one


_DEEDS: Final[Mapping[Deed, Callable[[Transaction, Resource, Policy, int], Resource]]] = {
    Deed.NOTHING: _nothing,
    Deed.NOTICE: _notice,
    Deed.END: _end,
    Deed.STOP: _stop,
    Deed.BIN: _bin,
    Deed.REMIND: _remind,
}


def _tell(tx: Transaction, one: Resource, code: str, *, role: str = "", **more: str) -> None:
    end = "" if one.end_at is None else lease.said(one.end_at)
    values = {"name": one.name, "id": one.id, "noun": model.NOUNS[one.kind], "end": end, **more}
    notice.tell(tx, tenant_id=one.tenant_id, code=code, values=values, object_id=one.id, role=role)


def _days_left(one: Resource, now: datetime.datetime) -> int:
    """Days until the end, begun ones counted; 0 when it is past."""
    left = (one.end_at or now) - now
    return max(0, -(-left // datetime.timedelta(days=1)))


# -- extension, from an order ----------------------------------------------------------------------------------------------------------


def extend(tx: Transaction, order_id: str, line: orders_model.Line) -> None:
    """Deliver the extension that an order's line asks for.

    It is done here and now, unless its end had stopped the resource: then it is delivered once that runs again.  One that was deleted
    meanwhile fails the line, and what was held for the longer time is given back.  Raises resource.busy.
    """
    before = provisioners.get(tx, line.resource_id)
    if before.ended or before.desired is not model.Desired.UP:
        reservation.give_back(tx, [line])
        ending.settle(tx, before, order_id, orders_model.Outcome.FAILED, GONE)
        return
    end_at = clock.parse(line.spec["end_at"]) if line.spec["end_at"] else None
    after = changes.extended(before, end_at, order_id=order_id, now=tx.now())
    provisioners.store(tx, before, after, hint=after.pending)
    encumbrance.as_it_is(tx, after)
    if after.order_id != order_id:
        ending.settle(tx, after, order_id, orders_model.Outcome.DELIVERED, None)


# -- reads -----------------------------------------------------------------------------------------------------------------------------


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    """What a list of leases asks for; '' and None do not filter."""

    tenant: str = ""
    project: str = ""
    within_days: int | None = None  # only what ends so soon, or has ended
    ended: bool = False  # only what has ended


def list_leases(
    tx: Transaction,
    who: tenants_model.Principal,
    query: Query,
    of: Policy,
    *,
    after: tuple[int, str] | None = None,
    limit: int = 100,
) -> list[dict[str, Any]]:
    """Living resources with an end that the caller may list, the soonest first; `after` is the sort key of the last one before."""
    tenant_ids, project_id = _place(tx, who, query)
    now = tx.now()
    before = now if query.ended else None if query.within_days is None else now + datetime.timedelta(days=query.within_days)
    found = provisioners.leases(tx, tenant_ids=tenant_ids, project_id=project_id, before=before, after=after, limit=limit)
    return [document(one, now, of) for one in found]


def show(tx: Transaction, who: tenants_model.Principal, resource_id: str, of: Policy) -> dict[str, Any]:
    """The lease of one resource, also of one without an end.  Raises resource.unknown."""
    found, _ = resource.visible(tx, who, resource_id, "show")
    return document(found, tx.now(), of)


def document(one: Resource, now: datetime.datetime, of: Policy) -> dict[str, Any]:
    """A lease as a document; its id is the resource's."""
    reached = one.end_reached_at
    living = not one.ended and one.desired is model.Desired.UP
    coming = [] if one.end_at is None or not living else [at for at in lease.notices(one.end_at, of) if at > now]
    return {
        "apiVersion": resource.API_VERSION,
        "kind": "Lease",
        "metadata": {
            "id": one.id,
            "name": one.name,
            "tenant": one.tenant,
            "project": one.project,
            "generation": one.generation,
        },
        "spec": {"kind": one.kind, "end_at": _text(one.end_at), "protected": one.protected},
        "status": {
            "state": _state(one),
            "resource_state": str(one.state),
            "days_left": None if one.end_at is None else _days_left(one, now),
            "next_notice_at": _text(min(coming, default=None)),
            "reached_at": _text(reached),
            "bin_at": _text(reached + of.grace if reached and living and not one.protected else None),
            "bin_until": _text(one.bin_until_at),
        },
    }


def _state(one: Resource) -> str:
    if one.ended or one.desired is model.Desired.DOWN:
        return "ended"
    if one.desired is model.Desired.BIN:
        return "in_bin"
    if one.end_at is None:
        return "open_ended"
    return "running" if one.end_reached_at is None else "over"


def _place(tx: Transaction, who: tenants_model.Principal, query: Query) -> tuple[Sequence[str] | None, str]:
    """The tenants (None: all) and the project ('' = any) that a list speaks of."""
    scope = access.scope(tx, who, verb="list", kind="lease")
    if not query.tenant:
        if query.project:
            raise errors.INVALID(field="project", reason="a project is named together with its tenant")
        return (None if scope.everything else scope.tenant_ids), ""
    tenant = access.tenant(tx, who, query.tenant, "list", "lease")[0]
    if query.project:
        return [tenant.id], tenants.project(tx, tenant.id, query.project).id
    return tenants.subtree_ids(tx, tenant.id), ""


def _text(at: datetime.datetime | None) -> str | None:
    return None if at is None else clock.text(at)
