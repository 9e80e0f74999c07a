"""Recalls: a lender takes back what others use of its quota; who borrowed it, longest first; what came back.

Nothing that runs is touched.  Borrowers are asked by a notice with a date; operations may order the shrink, as an order like any other.
"""

import datetime
from collections.abc import Sequence
from typing import Any, Final

from audit import model as audit_model
from audit import service as audit
from control import access, case, notice, plan
from primitives import clock, errors, ids, interval
from provisioners import model as provisioners_model
from provisioners import service as provisioners
from quotas import faults, model, names, recalls
from store import installation
from store.transaction import Transaction
from tenants import faults as tenants_faults
from tenants import model as tenants_model
from tenants import service as tenants

LOOKED_AT_MAX: Final = 1000
"""Recalls of one look of the job, the oldest first."""
LISTED_MAX: Final = 500
"""Holdings that a list of borrowers names; the sums are of all."""

ASKED: Final = notice.declare(
    "quota.recalled",
    en="{amount} of {name} that you use beyond your own quota is wanted back by {due}: govpool quota show {tenant}",
    zh="您单位超出自身配额使用的 {name} {amount} 须在 {due} 前归还：govpool quota show {tenant}",
)
OVERDUE: Final = notice.declare(
    "quota.recall_overdue",
    en="{amount} of {name} that {tenant} called back by {due} is still out: govpool quota borrowers {tenant} {name}",
    zh="{tenant} 要求 {due} 前收回的 {name} 仍有 {amount} 未归还：govpool quota borrowers {tenant} {name}",
)
RETURNED: Final = notice.declare(
    "quota.recall_returned",
    en="{amount} of {name} that {tenant} called back is back; it is kept until you lend it again: govpool quota set {tenant} --lending {name}=all",
    zh="{tenant} 收回的 {name} {amount} 已全部归还并自留；如需再次借出：govpool quota set {tenant} --lending {name}=all",
)


def begin(tenant: str, name: str, *, amount: int | None, notice_days: int, reason: str = "") -> case.UseCase:
    """Call back `amount` units (None: all that others use); who borrowed them has `notice_days` to give them back."""

    def effect(tx: Transaction, who: tenants_model.Principal, permit: tenants_model.Permit) -> case.Answer:
        owner = tenants.by_code(tx, tenant)
        due_at = tx.now() + datetime.timedelta(days=notice_days)
        recall = recalls.begin(tx, tenant_id=owner.id, name=name, amount=amount, due_at=due_at, reason=reason)
        if recalls.settle(tx, recall):
            recall = _again(tx, recall.id)
        else:
            _ask_borrowers(tx, recall)
        body = _shown(tx, recall, owner.code) | borrowers(tx, who, tenant, name)
        return _answer(recall, body, status=201)

    return case.UseCase(
        action="recall.begin", permit=lambda tx, who: access.tenant(tx, who, tenant, "recall", "grant")[1], effect=effect
    )


def end(recall_id: str) -> case.UseCase:
    """Call nothing back any more: the lending limit is again what it was before."""

    def permit(tx: Transaction, who: tenants_model.Principal) -> tenants_model.Permit:
        return _visible(tx, who, recall_id, "recall")[1]

    def effect(tx: Transaction, who: tenants_model.Principal, allowed: tenants_model.Permit) -> case.Answer:
        recall = _again(tx, recall_id)
        if not recalls.end(tx, recall):
            raise faults.RECALL_ENDED(recall=recall_id)
        return _answer(recall, _shown(tx, _again(tx, recall_id), tenants.by_id(tx, recall.tenant_id).code))

    return case.UseCase(action="recall.end", permit=permit, effect=effect)


def list_recalls(
    tx: Transaction, who: tenants_model.Principal, *, tenant: str = "", before: str = "", limit: int = 100
) -> list[dict[str, Any]]:
    """Recalls of the tenants that the caller may list, newest first, with what came back."""
    scope = access.scope(tx, who, verb="list", kind="grant")
    seen = None if scope.everything else list(scope.tenant_ids)
    if tenant:
        below = tenants.subtree_ids(tx, access.tenant(tx, who, tenant, "list", "grant")[0].id)
        seen = below if seen is None else [each for each in below if each in set(seen)]
    found = recalls.listed(tx, seen, before, limit)
    owners = tenants.by_ids(tx, sorted({recall.tenant_id for recall in found}))
    return [_shown(tx, recall, owners[recall.tenant_id].code) for recall in found]


def show_recall(tx: Transaction, who: tenants_model.Principal, recall_id: str) -> dict[str, Any]:
    """One recall with who has not given back yet."""
    recall = _visible(tx, who, recall_id, "list")[0]
    owner = tenants.by_id(tx, recall.tenant_id)
    return _shown(tx, recall, owner.code) | borrowers(tx, who, owner.code, recall.name)


def borrowers(tx: Transaction, who: tenants_model.Principal, tenant: str, name: str) -> dict[str, Any]:
    """Who uses more than its own where the tenant lends: what each resource takes beyond it, longest first.

    Of tenants that the caller may not list there are only sums.
    """
    owner = access.tenant(tx, who, tenant, "show", "grant")[0]
    names.of(name)
    scope = access.scope(tx, who, verb="list", kind="grant")
    seen = set(scope.tenant_ids)
    held = recalls.holdings(tx, owner.id, name)
    mine = [each for each in held if scope.everything or each.tenant_id in seen]
    others = [each for each in held if not (scope.everything or each.tenant_id in seen)]
    return {
        "borrowers": _rows(tx, mine[:LISTED_MAX]),
        "borrowed": sum(each.borrowed for each in held),
        "others": {"resources": len(others), "borrowed": sum(each.borrowed for each in others)},
    }


def settle(tx: Transaction) -> list[str]:
    """A scheduled job's use case: recalls of which all is back end, operators hear of those that are overdue.  Returns what changed.

    Nothing before a restore is accepted: what seems to be back may be held by what the restore lost.
    """
    changed: list[str] = []
    if not installation.get(tx).accepted:
        return changed
    for recall in recalls.going_on(tx, None)[:LOOKED_AT_MAX]:
        code = tenants.by_id(tx, recall.tenant_id).code
        if recalls.settle(tx, recall):
            _tell_returned(tx, recall, code)
        elif recall.due_at > tx.now() or not recalls.remind(tx, recall.id):
            continue
        else:
            _tell(tx, OVERDUE, recall, code, recall.amount - recalls.came_back(tx, recall), role="operator")
            _audit(tx, recall, code, "recall.remind")
        changed.append(recall.id)
    return changed


def _tell_returned(tx: Transaction, recall: model.Recall, code: str) -> None:
    _tell(tx, RETURNED, recall, code, recall.amount, role="operator")
    _audit(tx, recall, code, "recall.return")


def _ask_borrowers(tx: Transaction, recall: model.Recall) -> None:
    """One notice to each tenant that draws beyond its own; it does not say who lends."""
    asked: dict[str, int] = {}
    for each in recalls.holdings(tx, recall.tenant_id, recall.name):
        asked[each.tenant_id] = asked.get(each.tenant_id, 0) + each.borrowed
    owners = tenants.by_ids(tx, sorted(asked))
    for tenant_id, amount in asked.items():
        notice.tell(
            tx,
            tenant_id=tenant_id,
            code=ASKED,
            values=_values(recall, owners[tenant_id].code, min(amount, recall.amount)),
            object_id=recall.id,
        )


def _tell(tx: Transaction, code: str, recall: model.Recall, tenant: str, amount: int, *, role: str) -> None:
    notice.tell(tx, tenant_id=recall.tenant_id, code=code, values=_values(recall, tenant, amount), object_id=recall.id, role=role)


def _values(recall: model.Recall, tenant: str, amount: int) -> dict[str, Any]:
    due = recall.due_at.astimezone(interval.SHANGHAI).date().isoformat()
    return {"tenant": tenant, "name": recall.name, "amount": names.shown(recall.name, amount), "due": due}


def _audit(tx: Transaction, recall: model.Recall, code: str, action: str) -> None:
    facts = {"tenant": code, "name": recall.name, "amount": str(recall.amount)}
    line = audit_model.Line(
        actor="system", action=action, tenant_id=recall.tenant_id, kind="recall", object_id=recall.id, facts=facts
    )
    audit.append(tx, line)


def _visible(tx: Transaction, who: tenants_model.Principal, recall_id: str, verb: str) -> tuple[model.Recall, tenants_model.Permit]:
    """A recall and the permit there; what a stranger may not know of is unknown, in the same words."""
    recall = _again(tx, recall_id)
    try:
        return recall, access.require(tx, who, verb, "grant", tenant_id=recall.tenant_id)
    except errors.GovpoolError as error:
        if error.fault is tenants_faults.UNKNOWN:
            raise tenants_faults.UNKNOWN(kind="recall") from error
        raise


def _again(tx: Transaction, recall_id: str) -> model.Recall:
    recall = recalls.find(tx, recall_id)
    if recall is None:
        raise tenants_faults.UNKNOWN(kind="recall")
    return recall


def _answer(recall: model.Recall, body: dict[str, Any], status: int = 200) -> case.Answer:
    facts = {"name": recall.name, "amount": str(recall.amount), "lending_target": str(recall.lending_target)}
    return case.Answer(
        status=status, body=body, kind="recall", object_id=recall.id, tenant_id=recall.tenant_id, after=facts, facts=facts
    )


def _shown(tx: Transaction, recall: model.Recall, code: str) -> dict[str, Any]:
    overdue = recall.ended_at is None and recall.due_at <= tx.now()
    return {
        "id": recall.id,
        "tenant": code,
        "name": recall.name,
        "state": recall.outcome or ("overdue" if overdue else "going_on"),
        "amount": recall.amount,
        "came_back": recalls.came_back(tx, recall),
        "started_at": clock.text(recall.started_at),
        "due_at": clock.text(recall.due_at),
        "ended_at": None if recall.ended_at is None else clock.text(recall.ended_at),
        "reason": recall.reason,
    }


def _rows(tx: Transaction, held: Sequence[model.Holding]) -> list[dict[str, Any]]:
    owners = tenants.by_ids(tx, sorted({each.tenant_id for each in held}))
    resources = provisioners.get_many(tx, [each.holder for each in held])
    return [_row(owners[each.tenant_id].code, each, resources.get(each.holder)) for each in held]


def _row(tenant: str, held: model.Holding, resource: provisioners_model.Resource | None) -> dict[str, Any]:
    """One resource; what a waiting order holds has none yet."""
    since = resource.created_at if resource else ids.made_at(held.holder) if ids.kind_of(held.holder) else None
    return {
        "tenant": tenant,
        "project": resource.project if resource else "",
        "kind": resource.kind if resource else "",
        "resource": resource.name if resource else held.holder,
        "id": held.holder,
        "since": None if since is None else clock.text(since),
        "borrowed": held.borrowed,
        "held": held.amount,
        "command": "" if resource is None else _command(tenant, resource),
    }


def _command(tenant: str, resource: provisioners_model.Resource) -> str:
    """The order that would give the units back."""
    at = f"{resource.name} --tenant {tenant} --project {resource.project}"
    if resource.kind == plan.CONTAINER_APP:
        return f"govpool container scale {at} --replicas N"
    return f"govpool volume delete {at}" if resource.kind == plan.VOLUME else f"govpool vm resize {at} --size SIZE"
