"""`quota repair`: adds up again from the reservations and puts holders right, through the lane like any change; the trail says each difference.

It takes two steps: `quota check` says what differs, and a repair is agreed to for exactly that.  What changed meanwhile is found out: each holder is
looked at once more inside the transaction, and what is right by then is left alone.  No limit is loosened; what does not fit is an excess.
"""

import dataclasses
from collections.abc import Sequence
from typing import Any, Final

from control import access, case, holdings, quota_check
from pools import repair as pools_repair
from primitives import errors
from quotas import model
from quotas import repair as quotas_repair
from quotas.budgets import proof
from store.transaction import Transaction
from tenants import model as tenants_model
from tenants import service as tenants

HOLDERS_MAX: Final = 200
"""Holders that one repair puts right; what is left is found by the next, so that others have their turn in the lane."""
CHANGED: Final = errors.Fault(
    "quota.repair_changed",
    errors.Kind.STALE,
    en="what differs is not what you were shown: {count} findings now",
    zh="差异与此前展示的不一致：当前 {count} 处",
    mend_en="look again: govpool quota repair",
    mend_zh="请重新查看：govpool quota repair",
)


def repair(found: Sequence[quota_check.Finding], agreed: str) -> case.UseCase:
    """Put right what can be, as the findings of a check name it; `agreed` is the digest of what somebody looked at."""

    def effect(tx: Transaction, who: tenants_model.Principal, permit: tenants_model.Permit) -> case.Answer:
        if agreed != quota_check.digest(found):
            raise CHANGED(count=len(found))
        tx.forget()
        done = [*_sums(tx, found), *_holders(tx, found)]
        body = {"repaired": [dataclasses.asdict(each) for each in done], "left": max(0, len(_named(found)) - HOLDERS_MAX)}
        facts = {
            f"{number}": f"{each.code} {each.tenant or '-'} {each.object or '-'} {each.name or '-'} {each.stored} {each.derived}"
            for number, each in enumerate(done[:50], 1)
        }
        return case.Answer(
            body=body,
            kind="quota",
            object_id="repair",
            before=[],
            after=body["repaired"],
            facts={"repaired": str(len(done))} | facts,
        )

    return case.UseCase(action="quota.repair", permit=_permit, effect=effect)


def _sums(tx: Transaction, found: Sequence[quota_check.Finding]) -> list[quota_check.Finding]:
    """Add up again what somebody found wrong; always before holders, whose changes rest on right sums."""
    done: list[quota_check.Finding] = []
    for name in sorted({each.name for each in found if each.code == "grant.derived" and each.repair}):
        done += [_finding(tx, "grant.derived", each) for each in quotas_repair.add_again(tx, name)]
    if any(each.code == "room.derived" for each in found):
        done += [
            quota_check.Finding(
                code="room.derived", object=each.zone, name=each.name, stored=each.stored, derived=each.derived, repair="add_again"
            )
            for each in pools_repair.add_again(tx)
        ]
    return done


def _holders(tx: Transaction, found: Sequence[quota_check.Finding]) -> list[quota_check.Finding]:
    """Let each holder hold what it should by now; what is right meanwhile stays."""
    done: list[quota_check.Finding] = []
    holders = _named(found)[:HOLDERS_MAX]
    expected = holdings.of(tx, holders)
    for holder in holders:
        wanted = expected.get(holder)
        done += _put_right(tx, holder, wanted) if wanted is not None else _released(tx, holder)
    if done or any(each.code == "money.derived" for each in found):  # after the units, which money stands behind
        done += [_finding(tx, "money.derived", each) for each in proof.repair(tx)]
    return done


def _put_right(tx: Transaction, holder: str, wanted: holdings.Holding) -> list[quota_check.Finding]:
    done = []
    code = tenants.by_id(tx, wanted.tenant_id).code
    units, room = quotas_repair.find(tx, holder), pools_repair.find(tx, holder)
    if wanted.units and (units is None or (units.tenant_id, dict(units.amounts)) != (wanted.tenant_id, dict(wanted.units))):
        quotas_repair.put_right(tx, holder=holder, tenant_id=wanted.tenant_id, amounts=wanted.units, confirmed=wanted.confirmed)
        done.append(
            quota_check.Finding(code="quota.hole" if units is None else "quota.amount", tenant=code, object=holder, repair="hold")
        )
    place = None if room is None else (room.pool_id, room.zone, room.service_class)
    if wanted.room and (room is None or (place, dict(room.amounts)) != (wanted.place, dict(wanted.room))):
        pools_repair.put_right(tx, holder=holder, place=wanted.place, amounts=wanted.room, confirmed=wanted.confirmed)
        done.append(
            quota_check.Finding(code="room.hole" if room is None else "room.amount", tenant=code, object=holder, repair="hold")
        )
    return done


def _released(tx: Transaction, holder: str) -> list[quota_check.Finding]:
    """Nothing lives under this id and no order waits for it: what it holds is nobody's."""
    done = []
    units = quotas_repair.find(tx, holder)
    if units is not None and quotas_repair.release(tx, holder=holder):
        code = tenants.by_id(tx, units.tenant_id).code
        done.append(quota_check.Finding(code="quota.leak", tenant=code, object=holder, repair="release"))
    if quotas_repair.forget(tx, order_id=holder):
        done.append(quota_check.Finding(code="move.leak", object=holder, repair="release"))
    if pools_repair.release(tx, holder=holder):
        done.append(quota_check.Finding(code="room.leak", object=holder, repair="release"))
    return done


def _named(found: Sequence[quota_check.Finding]) -> list[str]:
    """The holders that findings name, in order."""
    return sorted({each.object for each in found if each.repair in ("hold", "release")})


def _finding(tx: Transaction, code: str, each: model.Difference) -> quota_check.Finding:
    return quota_check.Finding(
        code=code,
        tenant=tenants.by_id(tx, each.tenant_id).code,
        object="" if code == "grant.derived" else each.name,
        name=each.name if code == "grant.derived" else "",
        field=each.column,
        stored=each.stored,
        derived=each.derived,
        repair="add_again",
    )


def _permit(tx: Transaction, who: tenants_model.Principal) -> tenants_model.Permit:
    return access.require(tx, who, "repair", "grant", tenant_id=None)


def seen(tx: Transaction, who: tenants_model.Principal) -> list[Any]:
    """The findings that a repair would go by; for whoever may repair."""
    _permit(tx, who)
    return list(quota_check.findings(tx))
