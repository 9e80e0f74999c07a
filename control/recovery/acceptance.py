"""`restore show` and `restore accept`: two of the three administrators look at what a restore lost sight of, and take it over.

An acceptance is written first.  With the second one of another role the clouds are asked, each finding is settled in the lane, and the last use case
lets workers and sweeps act again.  Killed in between, any of the administrators accepts once more and it goes on.
"""

import functools
from collections.abc import Sequence
from typing import Any, Final

import sqlalchemy as sa

from control import access, case, tables
from control.recovery import look, model, settle
from control.wiring import Wiring
from primitives import clock, errors
from provisioners import service as provisioners
from store import installation
from store.transaction import Transaction
from tenants import model as tenants_model

ACCEPTS_NEEDED: Final = 2
"""Different persons, each of another administrator's role."""
CHUNK: Final = 20
"""Findings settled in one transaction of the lane."""

NOTHING_TO_ACCEPT: Final = errors.Fault(
    "restore.nothing",
    errors.Kind.CONFLICT,
    en="there is no restored state that waits to be accepted",
    zh="没有待确认的恢复状态",
    mend_en="govpool status",
    mend_zh="govpool status",
)
ACCEPTED_ALREADY: Final = errors.Fault(
    "restore.accepted_already",
    errors.Kind.CONFLICT,
    en="you, or another holder of the role {role}, accepted already; a second administrator of another role must",
    zh="您或另一位 {role} 已确认，还须由其他类别的管理员确认",
    mend_en="ask one of the other two administrators: govpool restore accept",
    mend_zh="请另外两类管理员之一执行：govpool restore accept",
)

_A: Final = tables.ACCEPTANCES
_ACCEPTANCES: Final = sa.select(_A).where(_A.c.epoch == sa.bindparam("epoch")).order_by(_A.c.accepted_at)
_ACCEPT: Final = sa.insert(_A)


def show(tx: Transaction, who: tenants_model.Principal, wiring: Wiring) -> dict[str, Any]:
    """What the clouds hold and recorded that the restored database does not know.  Raises restore.nothing, restore.cloud_silent."""
    _permit(tx, who)
    here = installation.get(tx)
    if here.accepted:
        raise NOTHING_TO_ACCEPT()
    by = [str(row["role"]) for row in tx.execute(_ACCEPTANCES, epoch=here.epoch)]
    return {"epoch": here.epoch, "accepted": False, "by": by, "findings": [shown(one) for one in look.findings(wiring)]}


def accept(wiring: Wiring, context: case.Context, *, dry_run: bool = False) -> case.Answer:
    """One administrator accepts; with the second of another role everything is taken over.  Raises restore.nothing, .accepted_already."""
    accepting = case.UseCase(action="backup.accept", permit=_permit, effect=_accepted, dry_run=dry_run)
    given = case.perform(wiring, accepting, context)
    if dry_run or len(given.body["by"]) < ACCEPTS_NEEDED:
        return given
    done: list[dict[str, Any]] = []
    if not wiring.database.read(installation.get).accepted:
        done = _settled(wiring, context)
    completing = case.UseCase(action="backup.complete", permit=_permit, effect=functools.partial(_completed, done=done))
    return case.perform(wiring, completing, context.part("complete"))


def shown(finding: model.Finding) -> dict[str, Any]:
    """One finding for people: what happened, when, and what acceptance makes of it."""
    story = finding.story
    en, zh = model.OUTCOMES[finding.happened]
    return {
        "resource": story.resource_id,
        "tenant": story.tenant,
        "project": story.project,
        "kind": story.kind,
        "name": story.name,
        "pool": story.pool,
        "happened": str(finding.happened),
        "state": str(story.facts.state) if story.facts else "absent",
        "amounts": dict(story.facts.amounts) if story.facts else {},
        "news": [{"at": clock.text(moment.at), "verb": moment.verb} for moment in finding.news],
        "outcome": {"en": en, "zh": zh},
    }


def excluded(tx: Transaction) -> frozenset[str]:
    """Resources on no statement: what sweeps found in dispute since a restore; until it is accepted also what was under way at the backup,
    and all of a pool that no sweep has looked at since.
    """
    disputed = {resource.id for resource in provisioners.disputed(tx)}
    here = installation.find(tx)
    if here is None or here.accepted:
        return frozenset(disputed)
    looked_at = {sweep.pool_id for sweep in provisioners.last_sweeps(tx) if sweep.report_only and not sweep.error}
    living = provisioners.listed(tx, provisioners.Filter(tenant_ids=None), limit=10**6)
    return frozenset(disputed | {row.id for row in living if row.pending or row.pool_id not in looked_at})


def _permit(tx: Transaction, who: tenants_model.Principal) -> tenants_model.Permit:
    return access.require(tx, who, "accept", "backup", tenant_id=None)


def _accepted(tx: Transaction, who: tenants_model.Principal, allowed: tenants_model.Permit) -> case.Answer:
    """Write one acceptance.  Where enough were given and the takeover was cut short, nothing is missing but to go on."""
    here = installation.get(tx)
    if here.accepted:
        raise NOTHING_TO_ACCEPT()
    given = tx.execute(_ACCEPTANCES, epoch=here.epoch)
    by = [str(row["role"]) for row in given]
    if len(given) < ACCEPTS_NEEDED:
        if any(row["person_id"] == who.person_id or row["role"] == allowed.role for row in given):
            raise ACCEPTED_ALREADY(role=allowed.role)
        tx.execute(
            _ACCEPT,
            epoch=here.epoch,
            person_id=who.person_id,
            account_id=who.account_id,
            role=allowed.role,
            accepted_at=clock.to_us(tx.now()),
        )
        by.append(str(allowed.role))
    body = {"epoch": here.epoch, "accepted": False, "by": by, "findings": []}
    return case.Answer(body=body, kind="backup", object_id=f"epoch-{here.epoch}", after=body)


def _settled(wiring: Wiring, context: case.Context) -> list[dict[str, Any]]:
    """Ask the clouds and settle what they say, a chunk a transaction; what was done."""
    findings = look.findings(wiring)
    resource_ids = frozenset(one.story.resource_id for one in findings)
    for start in range(0, len(findings), CHUNK):
        wiring.database.lane.run(
            functools.partial(
                _chunk,
                context=context,
                resource_ids=resource_ids,
                bin_days=wiring.settings.recycle_days,
                findings=findings[start : start + CHUNK],
            )
        )
    return [shown(one) for one in findings]


def _chunk(
    tx: Transaction, *, context: case.Context, resource_ids: frozenset[str], bin_days: int, findings: Sequence[model.Finding]
) -> None:
    who = case.who(tx, context)
    hand = settle.Hand(
        account_id=who.account_id,
        person_id=who.person_id,
        role=str(_permit(tx, who).role),
        resource_ids=resource_ids,
        bin_days=bin_days,
    )
    if not installation.get(tx).accepted:  # else somebody else completed it meanwhile
        for finding in findings:
            settle.settle(tx, hand, finding)


def _completed(
    tx: Transaction, who: tenants_model.Principal, allowed: tenants_model.Permit, *, done: list[dict[str, Any]]
) -> case.Answer:
    here = installation.get(tx)
    installation.accept(tx)
    provisioners.accept(tx)
    by = [str(row["role"]) for row in tx.execute(_ACCEPTANCES, epoch=here.epoch)]
    body = {"epoch": here.epoch, "accepted": True, "by": by, "findings": done}
    return case.Answer(body=body, kind="backup", object_id=f"epoch-{here.epoch}", after=body)
