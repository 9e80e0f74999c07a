"""Resources as people see them: lists, one as a document, what is stuck; retry, protection, write-off by two persons, quarantine.

Making and changing them is an order (`control/order.py`); carrying them is the reconciler's.
"""

import dataclasses
import datetime
from collections.abc import Mapping, Sequence
from typing import Any, Final

from control import access, case, protection
from control.reconciler import ending
from primitives import clock, errors
from provisioners import contract, faults, model, replicas
from provisioners import service as provisioners
from store.transaction import Transaction
from templates import catalog
from tenants import model as tenants_model
from tenants import service as tenants

API_VERSION: Final = "govpool/v1"
ATTEMPTS_SHOWN: Final = 5
WORKER_SILENT: Final = datetime.timedelta(minutes=2)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    """What a list asks for; '' does not filter."""

    tenant: str = ""
    project: str = ""
    kind: str = ""
    state: str = ""
    name: str = ""
    deleted: bool = False  # only what lies in the recycle bin
    ended: bool = False  # also what has ended
    stuck: bool = False  # only what an operator should look at
    ending_within_days: int | None = None  # only what ends so soon, or has ended


# -- reads -------------------------------------------------------------------------------------------------------------------------


def list_resources(
    tx: Transaction, who: tenants_model.Principal, query: Query, *, after: str = "", limit: int = 100
) -> list[dict[str, Any]]:
    """Resources that the caller may list, by age.  Raises input.invalid for an unknown kind or state."""
    _among("kind", query.kind, model.ID_PREFIX)
    _among("state", query.state, list(model.State))
    tenant_ids, project_id = _place(tx, who, query)
    if query.stuck:
        return [_row(tx, one) for one in provisioners.stuck(tx, tenant_ids=tenant_ids, after=after, limit=limit)]
    wanted = provisioners.Filter(
        tenant_ids=tenant_ids,
        project_id=project_id,
        kind=query.kind,
        state=str(model.State.BIN) if query.deleted else query.state,
        name=query.name,
        living_only=not query.ended and query.state not in model.ENDED,
        end_before=None if query.ending_within_days is None else tx.now() + datetime.timedelta(days=query.ending_within_days),
    )
    return [_row(tx, one) for one in provisioners.listed(tx, wanted, after=after, limit=limit)]


def find(tx: Transaction, who: tenants_model.Principal, text: str) -> list[dict[str, Any]]:
    """Resources whose id, name or address is `text`, over all tenants that the caller operates."""
    scope = access.scope(tx, who, verb="find", kind="resource")
    found = provisioners.find_anywhere(tx, text, tenant_ids=None if scope.everything else scope.tenant_ids)
    return [_row(tx, one) for one in found]


def show(tx: Transaction, who: tenants_model.Principal, resource_id: str) -> dict[str, Any]:
    """One resource; for those who may retry it with its attempts, and with its home in the cloud if that is another tenant's."""
    resource = visible(tx, who, resource_id, "show")[0]
    shown = _row(tx, resource)
    try:
        access.require(tx, who, "retry", "resource", tenant_id=resource.tenant_id)
    except errors.GovpoolError:
        return shown
    if resource.home_tenant is not None:
        shown["status"]["home"] = f"{resource.cloud_tenant}/{resource.cloud_project}"
    shown["status"]["attempts"] = [_attempt(one) for one in provisioners.attempts_of(tx, resource.id, ATTEMPTS_SHOWN)]
    return shown


def visible(
    tx: Transaction, who: tenants_model.Principal, resource_id: str, verb: str
) -> tuple[model.Resource, tenants_model.Permit]:
    """The resource and the permit to do `verb` to it; a stranger gets the same resource.unknown as for an unknown id."""
    resource = provisioners.get(tx, resource_id)
    try:
        return resource, access.require(tx, who, verb, "resource", tenant_id=resource.tenant_id)
    except errors.GovpoolError as error:
        if error.fault.kind is errors.Kind.NOT_FOUND:
            raise faults.UNKNOWN(resource=resource_id) from error
        raise


def list_quarantine(tx: Transaction, who: tenants_model.Principal, *, origin: str = "ours") -> list[dict[str, Any]]:
    """What sweeps found that no resource accounts for: 'ours' waits for a person, 'foreign' is only reported, '' is both."""
    access.require(tx, who, "list", "quarantine", tenant_id=None)
    return [_item(one) for one in provisioners.items(tx, origin=origin)]


def work(tx: Transaction) -> dict[str, Any]:
    """How the work goes: worker processes, backlog, open attempts, last sweeps, quarantine.  For `status` and metrics."""
    now = tx.now()
    waiting, oldest = provisioners.due(tx)
    attempts, opened_at = provisioners.attempts_open(tx)
    alive = provisioners.workers_since(tx, now - WORKER_SILENT)
    return {
        "workers": [{"id": one.id, "pid": one.pid, "threads": one.threads, "seen_at": clock.text(one.seen_at)} for one in alive],
        "at_work": provisioners.at_work(tx),
        "backlog": waiting,
        "backlog_oldest_at": None if oldest is None else clock.text(oldest),
        "attempts_open": attempts,
        "attempt_oldest_at": None if opened_at is None else clock.text(opened_at),
        "quarantined": provisioners.undecided(tx),
        "resources": provisioners.counts(tx),
        "sweeps": [_sweep(one) for one in provisioners.last_sweeps(tx)],
    }


# -- changes -----------------------------------------------------------------------------------------------------------------------


def update(
    resource_id: str, *, protected: bool | None, labels: Mapping[str, str] | None, if_match: int | None = None
) -> case.UseCase:
    """Deletion protection and labels: nothing in a cloud changes, so it is no order."""

    def effect(tx: Transaction, _: tenants_model.Principal, __: tenants_model.Permit) -> case.Answer:
        before = provisioners.get(tx, resource_id)
        access.matches(if_match, before.generation, kind="resource", name=before.name)
        after = provisioners.relabel(tx, resource_id=resource_id, protected=protected, labels=labels)
        return _answer(tx, before, after)

    return _case("update", resource_id, effect)


def retry(resource_id: str) -> case.UseCase:
    """Try now what would be tried later; look for a lost one once more."""

    def effect(tx: Transaction, _: tenants_model.Principal, __: tenants_model.Permit) -> case.Answer:
        before = provisioners.get(tx, resource_id)
        return _answer(tx, before, provisioners.retry(tx, resource_id=resource_id))

    return _case("retry", resource_id, effect)


def write_off(resource_id: str, reason: str) -> case.UseCase:
    """Give up a resource whose cloud is gone for good: one person asks, another agrees; then its quota and room go back."""

    def effect(tx: Transaction, who: tenants_model.Principal, _: tenants_model.Permit) -> case.Answer:
        before = provisioners.get(tx, resource_id)
        agreed = provisioners.ask_write_off(
            tx, resource_id=resource_id, person_id=who.person_id, person=who.person_name, reason=reason
        )
        after = ending.written_off(tx, before) if agreed else before
        return dataclasses.replace(_answer(tx, before, after), status=200 if agreed else 202)

    return _case("write_off", resource_id, effect)


def decide_item(cloud_id: str, decision: str) -> case.UseCase:
    """A person's decision on an item in quarantine: `release` leaves it alone, `delete` has it removed by a worker."""

    def effect(tx: Transaction, who: tenants_model.Principal, _: tenants_model.Permit) -> case.Answer:
        before = provisioners.item(tx, cloud_id)
        after = provisioners.decide_item(tx, cloud_id, decision, who.account_id)
        if decision == "delete":
            _remove_item(tx, after)
        shown = _item(after)
        return case.Answer(body=shown, kind="quarantine", object_id=cloud_id, before=_item(before), after=shown)

    def permit(tx: Transaction, who: tenants_model.Principal) -> tenants_model.Permit:
        return access.require(tx, who, decision, "quarantine", tenant_id=None)

    return case.UseCase(action=f"quarantine.{decision}", permit=permit, effect=effect)


def _remove_item(tx: Transaction, item: model.Item) -> None:
    """Whom it belonged to decides how it is removed: as a stray of a resource that is known, else as a resource on its way out."""
    known = provisioners.get_many(tx, [item.resource_id]).get(item.resource_id)
    if known is not None:
        provisioners.clean(tx, known, item.facts)
        return
    owner = tenants.root(tx)
    provisioners.condemn(tx, item, tenant_id=owner.id, tenant=item.tenant or owner.code)


def _case(verb: str, resource_id: str, effect: case.Effect) -> case.UseCase:
    return case.UseCase(action=f"resource.{verb}", permit=lambda tx, who: visible(tx, who, resource_id, verb)[1], effect=effect)


def _answer(tx: Transaction, before: model.Resource, after: model.Resource) -> case.Answer:
    shown = _row(tx, after)
    return case.Answer(
        body=shown,
        kind="resource",
        object_id=after.id,
        generation=after.generation,
        tenant_id=after.tenant_id,
        before=_row(tx, before),
        after=shown,
    )


def _place(tx: Transaction, who: tenants_model.Principal, query: Query) -> tuple[Sequence[str] | None, str]:
    """The tenants (None: all) and the project ('' = any) that a list speaks of."""
    scope = access.scope(tx, who, verb="list", kind="resource")
    if not query.tenant:
        if query.project:
            raise errors.INVALID(field="project", reason="a project is named together with its tenant")
        return (None if scope.everything else scope.tenant_ids), ""
    tenant = access.tenant(tx, who, query.tenant, "list", "resource")[0]
    if query.project:
        return [tenant.id], tenants.project(tx, tenant.id, query.project).id
    return tenants.subtree_ids(tx, tenant.id), ""


def _among(field: str, value: str, known: Mapping[str, Any] | Sequence[str]) -> None:
    if value and value not in known:
        raise errors.INVALID(field=field, reason=f"{value[:40]!r} is none of {', '.join(known)}")


# -- documents ---------------------------------------------------------------------------------------------------------------------


def _row(tx: Transaction, resource: model.Resource) -> dict[str, Any]:
    facts = resource.facts
    return {
        "apiVersion": API_VERSION,
        "kind": resource.kind,
        "metadata": {
            "id": resource.id,
            "name": resource.name,
            "tenant": resource.tenant,
            "project": resource.project,
            "labels": dict(resource.labels),
            "generation": resource.generation,
        },
        "spec": {
            **{name: value for name, value in resource.spec.items() if name != "key" and value not in _unsaid(name)},
            "amounts": dict(resource.amounts),
            "pool": resource.pool,
            "zone": facts.zone or resource.zone,
            "service_class": facts.service_class or resource.service_class,
            "protected": resource.protected,
            "end_at": None if resource.end_at is None else clock.text(resource.end_at),
        },
        "status": {
            "state": str(resource.state),
            "since": clock.text(resource.state_since_at),
            "observed_generation": resource.observed_generation,
            "addresses": list(facts.addresses),
            "login": _login(resource),
            "host": facts.host,
            "hall": facts.hall,
            "cloud_id": facts.cloud_id,
            **_replicas(resource),
            "observed_at": None if resource.facts_at is None else clock.text(resource.facts_at),
            "bin_until": None if resource.bin_until_at is None else clock.text(resource.bin_until_at),
            "created_at": clock.text(resource.created_at),
            "ended_at": None if resource.ended_at is None else clock.text(resource.ended_at),
            "conditions": _conditions(tx, resource),
        },
    }


def _unsaid(name: str) -> tuple[object, ...]:
    """Values of a spec that say nothing."""
    return ("", 0) if name in replicas.BOUNDS else ("",)


def _replicas(resource: model.Resource) -> dict[str, Any]:
    """Of an app: how many replicas the cloud has now, and what is held on top while they are replaced."""
    if resource.kind != contract.CONTAINER_APP:
        return {}
    surge = resource.before.surge if resource.pending and resource.before else {}
    return {"replicas": resource.facts.replicas, "surge": dict(surge)}


def _login(resource: model.Resource) -> str:
    """How to log in, when there is something to log into."""
    if resource.kind != contract.VIRTUAL_MACHINE or resource.state is not model.State.RUNNING or not resource.facts.addresses:
        return ""
    if not resource.spec.get("key"):
        return f"console of {resource.facts.cloud_id} (ordered without a key)"
    image = catalog.images().get(str(resource.spec.get("image", "")))
    return f"ssh {image.login if image and image.login else 'root'}@{resource.facts.addresses[0]}"


def _conditions(tx: Transaction, resource: model.Resource) -> list[dict[str, Any]]:
    """What somebody should know beside the state, worst first."""
    found: list[dict[str, Any]] = []
    if resource.disputed:
        found.append(_condition("disputed", "a restore lost what happened to it", "恢复丢失了其变更记录"))
    below = protection.condition(tx, resource)
    if below is not None:
        found.append(below)
    if resource.reason is not None:
        found.append(_condition(resource.reason.code, resource.reason.en, resource.reason.zh))
    if resource.end_reached_at is not None and not resource.ended:
        ended = clock.text(resource.end_reached_at)
        found.append(
            _condition(
                "lease.over",
                f"its lease ended {ended}: govpool lease show {resource.id}",
                f"租期已于 {ended} 届满：govpool lease show {resource.id}",
            )
        )
    if resource.facts.state is contract.State.ERROR:
        found.append(_condition("cloud.error", resource.facts.detail or "the cloud shows an error", "云平台显示错误状态"))
    if resource.state is model.State.RELEASING and provisioners.open_attempt_of(tx, resource.id) is not None:
        found.append(
            _condition(
                "attempt.open", "quota is held until an open call into the cloud is settled", "存在未完结的云平台调用，配额暂不释放"
            )
        )
    if resource.failures:
        found.append(
            _condition("retrying", f"{resource.failures} tries failed in a row", f"已连续失败 {resource.failures} 次，系统将重试")
        )
    return found


def _condition(code: str, en: str, zh: str) -> dict[str, Any]:
    return {"code": code, "en": en, "zh": zh}


def _attempt(attempt: model.Attempt) -> dict[str, Any]:
    return {
        "number": attempt.number,
        "verb": str(attempt.verb),
        "action": attempt.action,
        "worker": attempt.worker_id,
        "opened_at": clock.text(attempt.opened_at),
        "closed_at": None if attempt.closed_at is None else clock.text(attempt.closed_at),
        "outcome": attempt.outcome,
        "detail": attempt.detail,
    }


def _item(item: model.Item) -> dict[str, Any]:
    return {
        "id": item.cloud_id,
        "origin": item.origin,
        "pool": item.pool,
        "kind": item.kind,
        "name": item.name,
        "tenant": item.tenant,
        "resource": item.resource_id,
        "epoch": item.epoch,
        "amounts": dict(item.facts.amounts),
        "state": str(item.facts.state),
        "why": item.why,
        "decision": item.decision,
        "found_at": clock.text(item.found_at),
        "seen_at": clock.text(item.seen_at),
    }


def _sweep(sweep: model.Sweep) -> dict[str, Any]:
    counted = ("observed", "ours", "foreign", "drifted", "missing", "strays", "quarantined")
    return {
        "pool": sweep.pool,
        "started_at": clock.text(sweep.started_at),
        "ended_at": None if sweep.ended_at is None else clock.text(sweep.ended_at),
        **{name: getattr(sweep, name) for name in counted},
        "report_only": sweep.report_only,
        "error": sweep.error,
    }
