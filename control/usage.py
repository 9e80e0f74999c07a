"""Usage: import a file of events, list resources with their present state, show intervals, list what came after an issue.

An import is longer work: the file is checked on a snapshot, appended in chunks on the lane, and made to count by the one use case that is audited
with the file's hash.  The same key goes on where a killed import stopped.
"""

from collections.abc import Callable
from typing import Any, Final

from control import access, case, naming
from metering import importing, model, rules
from metering import service as metering
from metering import statements as metering_statements
from primitives import clock, errors, interval
from store import idempotency
from store.transaction import Transaction
from tenants import model as tenants_model
from tenants import service as tenants
from tenants import tree

ACTION: Final = "usage.import"


def import_usage(wiring: case.Wired, context: case.Context, content: bytes, *, dry_run: bool = False) -> case.Answer:
    """Import a file of JSON lines, all or nothing.  Raises usage.findings with every line that is wrong."""
    try:
        file, account_id = wiring.database.read(lambda tx: _checked(tx, context, content))
        if file is None:  # done before: the stored answer is the answer
            return case.perform(wiring, _use_case(lambda tx: case.Answer()), context)
        if dry_run:
            body = _report(file, "")
            return case.perform(wiring, _use_case(lambda tx: case.Answer(body=body, kind="usage_import"), dry_run=True), context)
        begun = wiring.database.lane.run(lambda tx: importing.begin(tx, file, account_id=account_id, key=context.idempotency_key))
        done = begun.done
        while done < len(file.events):
            done = wiring.database.lane.run(_appending(file, begun.id, done))
    except errors.GovpoolError as error:
        return case.perform(wiring, _use_case(_refusing(error)), context)
    return case.perform(wiring, _use_case(lambda tx: _completed(tx, file, begun.id)), context)


def list_usage(tx: Transaction, who: tenants_model.Principal, *, tenant: str, after: str, limit: int) -> list[dict[str, Any]]:
    """Resources of the caller's tenants with their present state, by id."""
    codes = visible(tx, who, "list", "usage", tenant)
    found: list[model.UsageEvent] = []
    while len(found) < limit:
        batch = metering.latest(tx, after=after, limit=limit, tenants=None if codes is None else sorted(codes))
        if not batch:
            break
        after = batch[-1].subject
        found.extend(event for event in batch if codes is None or event.tenant in codes)
    names = naming.resources(tx, (event.subject for event in found[:limit]))
    return [_present(event) | {"name": names.get(event.subject, "")} for event in found[:limit]]


def show_usage(tx: Transaction, who: tenants_model.Principal, resource: str, *, month: str = "") -> list[dict[str, Any]]:
    """The intervals of a resource up to now, or in a month, as far as they are the caller's.  Raises usage.unknown."""
    codes = visible(tx, who, "show", "usage", "")
    until = rules.whole_second(tx.now())
    span = interval.month(month) if month else None
    made = [one for one in metering.intervals(tx, resource, until=until) if codes is None or one.tenant in codes]
    if not made:
        raise metering.unknown_usage(resource)
    return [row for one in made if (row := _interval(one, span, until)) is not None]


def list_late(tx: Transaction, who: tenants_model.Principal, month: str) -> list[dict[str, Any]]:
    """Events that became known after the statement of their month was issued, by the moment they did."""
    codes = visible(tx, who, "list", "usage", "")
    return [
        {
            "recorded_at": clock.text(one.counted_at),
            "resource": one.event.subject,
            "tenant": one.event.tenant,
            "project": one.event.project,
            "kind": one.event.kind,
            "state": one.event.state.value,
            "time": clock.text(one.event.at),
            "amounts": dict(one.event.amounts),
            "source": one.event.source,
            "id": one.event.id,
            "statement": one.statement_id,
        }
        for one in metering_statements.late(tx, month)
        if codes is None or one.event.tenant in codes
    ]


def visible(tx: Transaction, who: tenants_model.Principal, verb: str, kind: str, tenant: str) -> frozenset[str] | None:
    """Codes of the tenants whose use and money the caller may see, those of `tenant` and below if given; None = all."""
    scope = access.scope(tx, who, verb=verb, kind=kind)
    ids = None if scope.everything else list(scope.tenant_ids)
    if tenant:
        ids = tenants.subtree_ids(tx, access.tenant(tx, who, tenant, verb, kind)[0].id)
    return None if ids is None else frozenset(each.code for each in tenants.by_ids(tx, ids).values())


def _use_case(effect: Callable[[Transaction], case.Answer], *, dry_run: bool = False) -> case.UseCase:
    return case.UseCase(action=ACTION, permit=_permit, effect=lambda tx, who, permit: effect(tx), dry_run=dry_run)


def _permit(tx: Transaction, who: tenants_model.Principal) -> tenants_model.Permit:
    return access.require(tx, who, "import", "usage", tenant_id=None)


def _refusing(error: errors.GovpoolError) -> Callable[[Transaction], case.Answer]:
    """An effect that refuses, so that the refusal stands in the trail like any other."""

    def refuse(tx: Transaction) -> case.Answer:
        raise error

    return refuse


def _checked(tx: Transaction, context: case.Context, content: bytes) -> tuple[importing.File | None, str]:
    """The checked file and the account; no file where the key already has its answer."""
    who = case.who(tx, context)
    _permit(tx, who)
    request = idempotency.Request(who.account_id, context.method, context.path, context.idempotency_key, context.request_hash)
    if idempotency.recall(tx, request) is not None:
        return None, who.account_id
    return importing.check(tx, content, _places(tx), tx.now()), who.account_id


def _places(tx: Transaction) -> dict[str, frozenset[str]]:
    projects: dict[str, set[str]] = {}
    for project in tree.projects(tx, tenants_model.Scope(tenant_ids=(), everything=True)):
        projects.setdefault(project.tenant_id, set()).add(project.code)
    return {each.code: frozenset(projects.get(each.id, ())) for each in tenants.all_tenants(tx)}


def _appending(file: importing.File, import_id: str, first: int) -> Callable[[Transaction], int]:
    return lambda tx: importing.append(tx, file, import_id, first)


def _completed(tx: Transaction, file: importing.File, import_id: str) -> case.Answer:
    importing.complete(tx, import_id)
    facts = {"sha256": file.sha256, "lines": str(file.lines)}
    return case.Answer(status=201, body=_report(file, import_id), kind="usage_import", object_id=import_id, facts=facts)


def _report(file: importing.File, import_id: str) -> dict[str, Any]:
    return {"id": import_id, "lines": file.lines, "events": len(file.events), "sha256": file.sha256}


def _present(event: model.UsageEvent) -> dict[str, Any]:
    return {
        "resource": event.subject,
        "kind": event.kind,
        "tenant": event.tenant,
        "project": event.project,
        "state": event.state.value,
        "since": clock.text(event.at),
        "amounts": dict(event.amounts),
        "dimensions": dict(event.dimensions),
        "labels": dict(event.labels),
    }


def _interval(one: model.UsageInterval, span: interval.Interval | None, until: Any) -> dict[str, Any] | None:
    shown = one.span if span is None else one.span.meets(span)
    if shown is None:
        return None
    return {
        "resource": one.resource,
        "kind": one.kind,
        "tenant": one.tenant,
        "project": one.project,
        "state": one.state.value,
        "amounts": dict(one.amounts),
        "dimensions": dict(one.dimensions),
        "start_at": clock.text(shown.start_at),
        "end_at": clock.text(shown.end_at),
        "seconds": shown.seconds,
        "lasts": shown.end_at == until,
    }
