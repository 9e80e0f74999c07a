"""Merging one department into another, in one transaction, agreed to by two persons who both stand above both.

Everything that lives goes over: departments below it, projects, resources with their use, quota and money, waiting orders, approval rules, accounts.
Roles bound at the merged department end and are listed, so that a merge gives nobody a right over the other's things.  The department is closed with
its code for ever; statements of its past keep its path and name.
"""

import dataclasses
import datetime
from collections.abc import Sequence
from typing import Any, Final

from audit import model as audit_model
from control import access, case, encumbrance, handover, notice
from metering import service as metering
from orders import service as orders
from primitives import canonical, clock, errors, money
from provisioners import model as provisioners_model
from provisioners import service as provisioners
from quotas import model as quotas_model
from quotas import moves as quota_moves
from quotas.budgets import moves as money_moves
from store.transaction import Transaction
from tenants import faults as tenants_faults
from tenants import merging, model
from tenants import service as tenants

RESOURCES_MAX: Final = 10_000
"""Resources that one merge carries; more of them move by project before."""

ABOVE_BOTH: Final = errors.Fault(
    "merge.above_both",
    errors.Kind.FORBIDDEN,
    en="{tenant} and {into} are merged from above: your role must be bound at {common} or higher",
    zh="{tenant} 并入 {into} 须由上级办理：您的角色须在 {common} 或更上级",
    mend_en="ask the system administrator or operator of {common}; govpool whoami shows where you hold a role",
    mend_zh="请联系 {common} 的系统管理员或运维人员；用 govpool whoami 查看您的角色范围",
)
HINDERED: Final = errors.Fault(
    "merge.hindered",
    errors.Kind.CONFLICT,
    en="{tenant} cannot be merged into {into} yet: {count} things stand in the way, such as {first}",
    zh="{tenant} 暂不能并入 {into}：有 {count} 处阻碍，如 {first}",
    mend_en="settle each, or give clashing projects another code: govpool tenant merge {tenant} --into {into} --prefix {tenant}-",
    mend_zh="请逐项处理，或为重名项目加前缀：govpool tenant merge {tenant} --into {into} --prefix {tenant}-",
)
MERGED: Final = notice.declare(
    "tenant.merged",
    en="{tenant} became part of {into}: {resources} resources, {projects} projects; its roles ended, grant those that are needed anew",
    zh="{tenant} 已并入 {into}：资源 {resources} 个、项目 {projects} 个；原角色已终止，请按需重新授权",
)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """What two persons agree to."""

    tenant: str
    into: str
    valid_from: str = ""  # since when those below it, and its projects, are the other's; '' = the moment of the merge
    allow_over: bool = False
    prefix: str = ""  # put before the codes of projects that clash


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class _Plan:
    tenant: model.Tenant
    into: model.Tenant
    rows: Sequence[provisioners_model.Resource]
    codes: dict[str, str]  # project id -> its code after the merge


def merge(terms: Terms, *, dry_run: bool = False) -> case.UseCase:
    """The first person asks (202), another one with the same words agrees, and it is done.

    Raises merge.above_both, merge.hindered with every hindrance, quota.above_parent, quota.below_use, tenant.root, tenant.cycle, tenant.state,
    dated.*.
    """

    def permit(tx: Transaction, who: model.Principal) -> model.Permit:
        return _permit(tx, who, terms)

    def effect(tx: Transaction, who: model.Principal, allowed: model.Permit) -> case.Answer:
        plan = _planned(tx, terms)
        words = canonical.dumps(dataclasses.asdict(terms)).decode()
        done = dry_run or merging.agreed(tx, plan.tenant, plan.into, terms=words, person_id=who.person_id)
        carried = _carried(tx, plan, terms, who) if done else {"resources": len(plan.rows), "projects": _renamed(tx, plan)}
        body = {"tenant": plan.tenant.code, "into": plan.into.code, "state": "merged" if done else "asked", **carried}
        facts = {"into": plan.into.code, "step": body["state"]}
        line = audit_model.Line(
            actor=who.account_id, on_behalf_of=who.person_id, action="tenant.merge", role=allowed.role, rule=allowed.rule,
            tenant_id=plan.into.id, kind="tenant", object_id=plan.into.id, facts={"from": plan.tenant.code, "step": body["state"]},
        )  # fmt: skip
        return case.Answer(
            status=200 if done else 202,
            body=body,
            kind="tenant",
            object_id=plan.tenant.id,
            tenant_id=plan.tenant.id,
            before={"state": str(plan.tenant.state)},
            after=body,
            facts=facts,
            parts=[line],
        )

    return case.UseCase(action="tenant.merge", permit=permit, effect=effect, dry_run=dry_run)


def _permit(tx: Transaction, who: model.Principal, terms: Terms) -> model.Permit:
    """The permit of a role bound above both."""
    tenant = access.tenant(tx, who, terms.tenant, "show", "tenant")[0]
    into = access.tenant(tx, who, terms.into, "show", "tenant")[0]
    above = set(tenants.path_ids(tx, into.id)[1:])
    common = next((node for node in tenants.path_ids(tx, tenant.id)[1:] if node in above), None)
    if common is None:
        raise tenants_faults.ROOT(tenant=into.code if tenant.parent_id else tenant.code)
    try:
        return access.require(tx, who, "merge", "tenant", tenant_id=common)
    except errors.GovpoolError as error:
        if error.fault is not tenants_faults.UNKNOWN:
            raise
        raise ABOVE_BOTH(tenant=tenant.code, into=into.code, common=tenants.by_id(tx, common).code) from error


def _planned(tx: Transaction, terms: Terms) -> _Plan:
    """What would go over; raises with everything that stands in the way."""
    tenant, into = tenants.by_code(tx, terms.tenant), tenants.by_code(tx, terms.into)
    merging.refuse_senseless(tx, tenant, into)
    if terms.valid_from:
        merging.refuse_dated(tx, into, clock.parse(terms.valid_from, "valid_from"), metering.issued_until(tx))
    rows = provisioners.listed(tx, provisioners.Filter(tenant_ids=[tenant.id]), limit=RESOURCES_MAX + 1)
    codes, clashes = merging.codes_at(tx, tenant, into, terms.prefix)
    found = [
        errors.Finding(f"project {code}", tenants_faults.CODE_TAKEN.code, f"{into.code} has a project {code}") for code in clashes
    ]
    found += [
        errors.Finding(f"order {number}", "order.waits", f"order {number} moves something from or to {tenant.code} and waits")
        for number in orders.waiting_moves(tx, tenant.id)
    ]
    found += [
        errors.Finding(f"resource {error.values['name']}", error.code, error.text("en"))
        for error in handover.hindrances(tx, rows, into)
    ]
    if len(rows) > RESOURCES_MAX:
        found.append(errors.Finding("resources", "merge.too_many", f"more than {RESOURCES_MAX}: move projects of it first"))
    if found:
        raise HINDERED(tenant=tenant.code, into=into.code, count=len(found), first=found[0].detail, findings=tuple(found[:1000]))
    return _Plan(tenant=tenant, into=into, rows=rows, codes=codes)


def _carried(tx: Transaction, plan: _Plan, terms: Terms, who: model.Principal) -> dict[str, Any]:
    """Everything goes over; what went."""
    tenant, into = plan.tenant, plan.into
    grown = quota_moves.merge(tx, from_id=tenant.id, into_id=into.id, allow_over=terms.allow_over)  # while the tree still stands
    went = money_moves.pass_on(tx, from_id=tenant.id, into_id=into.id)
    encumbrance.merge(tx, tenant.id, into.id, allow_over=terms.allow_over)
    renamed = _renamed(tx, plan)
    passed = merging.carry(
        tx,
        tenant,
        into,
        codes=plan.codes,
        person_id=who.person_id,
        valid_from=_moment(terms.valid_from),
        not_before=metering.issued_until(tx),
    )
    handover.pass_on(tx, plan.rows, into, lambda row: (row.project_id, plan.codes[row.project_id]))
    reported = handover.pass_on_reported(
        tx, tenant.id, tenant, into, {before.code: after.code for before, after in passed.projects}
    )
    waiting, rules = orders.pass_on(tx, tenant.id, into.id), orders.pass_on_rules(tx, tenant.id, into.id)
    told = {"tenant": tenant.code, "into": into.code, "resources": len(plan.rows), "projects": len(passed.projects)}
    notice.tell(tx, tenant_id=into.id, code=MERGED, values=told, object_id=tenant.id)
    return {
        "resources": len(plan.rows),
        "reported": reported,
        "projects": renamed,
        "tenants": list(passed.children),
        "grants": [_grown(before, after) for before, after in grown],
        "budgets": [{"year": str(year), "amount": money.text(amount)} for year, amount in went.items()],
        "waiting_orders": waiting,
        "approval_rules": rules,
        "pays_for": list(passed.payers),
        "accounts": passed.accounts,
        "roles_ended": [{"account": role["account"], "role": role["role"]} for role in passed.roles],
    }


def _renamed(tx: Transaction, plan: _Plan) -> list[dict[str, str]]:
    """The projects that go over, with the code that each will have."""
    return [{"project": tenants.project_by_id(tx, each).code, "becomes": code} for each, code in plan.codes.items()]


def _grown(before: quotas_model.Standing, after: quotas_model.Standing) -> dict[str, Any]:
    return {
        "name": after.name,
        "granted_before": before.granted,
        "granted": after.granted,
        "used": after.drawn,
        "over_by": after.over_by,
    }


def _moment(text: str) -> datetime.datetime | None:
    return clock.parse(text, "valid_from") if text else None
