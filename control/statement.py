"""Statements: close a month, issue, show, list, roll up, export.

A close is longer work: computed on a snapshot, appended in chunks on the lane, in force by the one use case that is audited.  The same key goes on
where a killed close stopped.  What a restore left in dispute is on no statement.
"""

import csv
import io
import json
from collections.abc import Callable, Mapping
from typing import Any, Final

from control import access, case, naming, notice, usage
from control.recovery import acceptance
from metering import model, statements
from primitives import clock, errors, money
from store import idempotency
from store.transaction import Transaction
from tenants import model as tenants_model
from tenants import service as tenants

HEAD: Final = ("tenant", "path", "month", "currency", "state")
LINE: Final = (
    "resource",
    "project",
    "kind",
    "sku",
    "unit",
    "unit_seconds",
    "unit_price",
    "price_version",
    "start_at",
    "end_at",
    "amount",
)
"""Columns of the CSV export: those of the head, then those of the line."""


def close(wiring: case.Wired, context: case.Context, month: str, *, dry_run: bool = False) -> case.Answer:
    """Close a month for all departments.  Raises statement.month_unfinished, statement.issued, price.missing."""
    lane = wiring.database.lane
    try:
        begun = lane.run(lambda tx: _begun(tx, context, month, dry_run=dry_run))
        if begun is None:  # done before: the stored answer is the answer
            return case.perform(wiring, _closing(month, lambda tx: case.Answer()), context)
        computed = wiring.database.read(lambda tx: statements.compute(tx, begun))
        if dry_run:
            return case.perform(wiring, _closing(month, lambda tx: _closed(begun, computed), dry_run=True), context)
        planned = lane.run(lambda tx: statements.plan(tx, begun, computed))
        if planned is None:  # what it was begun with has changed meanwhile: once more from the start
            return close(wiring, context, month)
        done = planned.done
        while done < len(computed.lines):
            done = lane.run(_appending(planned, computed, done))
    except errors.GovpoolError as error:
        return case.perform(wiring, _closing(month, _refusing(error)), context)

    def complete(tx: Transaction) -> case.Answer:
        statements.complete(tx, planned, computed)
        return _closed(planned, computed)

    return case.perform(wiring, _closing(month, complete), context)


def issue(month: str, tenant: str = "") -> case.UseCase:
    """Issue the open statements of a closed month, of all departments or of one; from then on they cannot be changed."""

    def permit(tx: Transaction, who: tenants_model.Principal) -> tenants_model.Permit:
        if tenant:
            return access.tenant(tx, who, tenant, "issue", "statement")[1]
        return access.require(tx, who, "issue", "statement", tenant_id=None)

    def effect(tx: Transaction, who: tenants_model.Principal, _: tenants_model.Permit) -> case.Answer:
        chosen = [tenants.by_code(tx, tenant)] if tenant else tenants.all_tenants(tx)
        issued = statements.issue(tx, month, [each.id for each in chosen], who.person_id)
        total = sum(one.total_micro for one in issued)
        body = {
            "month": month,
            "issued": len(issued),
            "total": money.text(total),
            "statements": [{"id": one.id, "tenant": one.tenant, "total": money.text(one.total_micro)} for one in issued],
        }
        digests = {one.id: one.digest for one in issued}
        for one in issued:
            if one.lines:
                values = {"month": month, "tenant": one.tenant, "total": money.text(one.total_micro)}
                notice.tell(tx, tenant_id=one.tenant_id, code="statement.issued", values=values, object_id=one.id)
        return case.Answer(body=body, kind="statement", object_id=month, tenant_id=chosen[0].id if tenant else "", after=digests)

    return case.UseCase(action="statement.issue", permit=permit, effect=effect)


def show_statement(tx: Transaction, who: tenants_model.Principal, tenant: str, month: str) -> dict[str, Any]:
    """The statement of a department, or its draft up to now; lines by project and resource."""
    found = access.tenant(tx, who, tenant, "show", "statement")[0]
    return _documents(tx, [statements.show(tx, found, month, excluded=_disputed(tx))])[0]


def list_statements(tx: Transaction, who: tenants_model.Principal, month: str, *, tenant: str = "") -> list[dict[str, Any]]:
    """The statements of a month that the caller may see, parents before children, each also with all below it."""
    codes = usage.visible(tx, who, "list", "statement", tenant)
    listed = statements.listed(tx, month, codes=codes, excluded=_disputed(tx))
    rolled = statements.rolled_up(listed)
    names = tenants.person_names(tx, sorted({one.issued_by for one in listed if one.issued_by}))
    closed = statements.closed_at(tx, month)
    return [
        {
            "id": one.id,
            "tenant": one.tenant,
            "name": one.name,
            "path": "/".join(one.path),
            "month": month,
            "currency": money.CURRENCY,
            "state": one.state.value,
            "draft": closed is None,
            "total": money.text(one.total_micro),
            "with_children": money.text(rolled[one.tenant_id]),
            "lines": one.lines,
            "closed_at": clock.text(closed) if closed else "",
            "issued_at": clock.text(one.issued_at) if one.issued_at else "",
            "issued_by": names.get(one.issued_by, ""),
            "digest": one.digest,
        }
        for one in listed
    ]


def export_statements(tx: Transaction, who: tenants_model.Principal, month: str, *, tenant: str, form: str) -> bytes:
    """The statements of a month with all lines as CSV (one row a line) or JSON (a list of statements)."""
    codes = usage.visible(tx, who, "export", "statement", "")
    if tenant:
        codes = frozenset({access.tenant(tx, who, tenant, "export", "statement")[0].code})
    shown = _documents(tx, statements.show_many(tx, month, codes=codes, excluded=_disputed(tx)))
    if form == "json":
        return json.dumps(shown[0] if tenant and shown else shown, ensure_ascii=False, indent=1).encode() + b"\n"
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\r\n")  # RFC 4180
    writer.writerow([*HEAD, *LINE])
    writer.writerows([*(one[name] for name in HEAD), *(line[name] for name in LINE)] for one in shown for line in one["lines"])
    return stream.getvalue().encode()


def _documents(tx: Transaction, found: list[statements.Shown]) -> list[dict[str, Any]]:
    names = naming.resources(tx, (line.resource for each in found for line in each.lines))
    return [_document(each, names) for each in found]


def _document(shown: statements.Shown, names: Mapping[str, str]) -> dict[str, Any]:
    one = shown.statement
    return {
        "tenant": one.tenant,
        "path": "/".join(one.path),
        "month": one.month,
        "currency": money.CURRENCY,
        "state": one.state.value,
        "total": money.text(one.total_micro),
        "lines": [line.as_json() for line in shown.lines],
        "names": {each: names[each] for each in sorted({line.resource for line in shown.lines}) if each in names},
    }


def _begun(tx: Transaction, context: case.Context, month: str, *, dry_run: bool) -> model.Close | None:
    who = case.who(tx, context)
    _permit(tx, who)
    request = idempotency.Request(who.account_id, context.method, context.path, context.idempotency_key, context.request_hash)
    if not dry_run and idempotency.recall(tx, request) is not None:
        return None
    return statements.begin(
        tx,
        month,
        account_id=who.account_id,
        key=context.idempotency_key,
        person_id=who.person_id,
        excluded=_disputed(tx),
        keep=not dry_run,
    )


def _closing(month: str, effect: Callable[[Transaction], case.Answer], *, dry_run: bool = False) -> case.UseCase:
    return case.UseCase(action="statement.close", permit=_permit, effect=lambda tx, who, permit: effect(tx), dry_run=dry_run)


def _permit(tx: Transaction, who: tenants_model.Principal) -> tenants_model.Permit:
    return access.require(tx, who, "close", "statement", tenant_id=None)


def _appending(planned: model.Close, computed: statements.Computed, first: int) -> Callable[[Transaction], int]:
    return lambda tx: statements.append(tx, planned, computed, first)


def _refusing(error: errors.GovpoolError) -> Callable[[Transaction], case.Answer]:
    """An effect that refuses, so that the refusal stands in the trail like any other."""

    def refuse(tx: Transaction) -> case.Answer:
        raise error

    return refuse


def _closed(close: model.Close, computed: statements.Computed) -> case.Answer:
    body = {
        "month": close.month,
        "close": close.id,
        "cut_at": clock.text(close.cut_at),
        "statements": len(computed.statements),
        "lines": len(computed.lines),
        "total": money.text(sum(one.total_micro for one in computed.statements)),
        "excluded": sorted(close.excluded),
        "digest": computed.digest,
    }
    facts = {"digest": computed.digest, "lines": str(len(computed.lines))}
    return case.Answer(status=201, body=body, kind="statement", object_id=close.month, after=body, facts=facts)


def _disputed(tx: Transaction) -> frozenset[str]:
    return acceptance.excluded(tx)
