"""Readings: import a file, list them, the newest of each meter, what the register rule did.

An import is longer work: the file is checked whole on a snapshot, appended in chunks on the lane, and made to count by the one use case that is
audited with the file's hash.  The same key goes on where a killed import stopped.
"""

from collections.abc import Callable, Sequence
from typing import Any, Final

from control import access, case, energy
from control import meter as control_meter
from primitives import clock, errors
from pue_monitor import imports, observations, service
from pue_monitor.rules import reading_file
from store import idempotency
from store.transaction import Transaction
from tenants import model as tenants_model

ACTION: Final = "reading.import"
_END_US: Final = 1 << 62


def import_readings(wiring: case.Wired, context: case.Context, content: bytes, *, dry_run: bool = False) -> case.Answer:
    """Import a CSV file, all or nothing.  Raises reading.import_findings with every line that is wrong."""
    run = wiring.database.lane.run
    try:
        rows, account_id = wiring.database.read(lambda tx: _checked(tx, context, content))
        if rows is None:  # done before: the stored answer is the answer
            return case.perform(wiring, _use_case(lambda tx: case.Answer()), context)
        if dry_run:
            body = _report("", content, rows)
            return case.perform(wiring, _use_case(lambda tx: case.Answer(body=body, kind="reading_import"), dry_run=True), context)
        begun = run(lambda tx: imports.begin(tx, account_id, context.idempotency_key, content, len(rows)))
        for start in range(begun.done, len(rows), imports.CHUNK):
            run(_appending(begun.id, rows[start : start + imports.CHUNK], min(start + imports.CHUNK, len(rows))))
    except errors.GovpoolError as error:
        return case.perform(wiring, _use_case(_refusing(error)), context)
    answer = case.perform(wiring, _use_case(lambda tx: _completed(tx, begun.id, content, rows)), context)
    settle(wiring)
    return answer


def settle(wiring: case.Wired) -> None:
    """Bring the ledger up to date with all readings that count, a bounded piece at a time."""
    while wiring.database.lane.run(energy.catch_up):
        continue


def list_readings(
    tx: Transaction,
    who: tenants_model.Principal,
    code: str,
    *,
    register: str,
    span: tuple[str, str],
    after: list[Any] | None,
    limit: int,
) -> list[dict[str, Any]]:
    """Raw readings of a meter, oldest first."""
    access.require(tx, who, "list", "reading", tenant_id=None)
    key = (clock.to_us(clock.parse(after[0], "cursor")), after[1]) if after else (-1, "")
    return observations.readings(tx, service.meter(tx, code), register, _span(span), after=key, many=limit)


def last_readings(tx: Transaction, who: tenants_model.Principal) -> list[dict[str, Any]]:
    """The newest reading of each meter that has one."""
    access.require(tx, who, "list", "reading", tenant_id=None)
    names = ("meter", "hall", "register", "read_at", "value", "held")
    return [{name: row[name] for name in names} for row in observations.live(tx) if row["read_at"] is not None]


def list_events(
    tx: Transaction, who: tenants_model.Principal, code: str, *, span: tuple[str, str], after: list[Any] | None, limit: int
) -> list[dict[str, Any]]:
    """What the register rule did with the readings of a meter: rollovers, quarantine, resets, swaps."""
    access.require(tx, who, "list", "reading", tenant_id=None)
    key = (clock.to_us(clock.parse(after[0], "cursor")), after[1]) if after else (-1, "")
    return observations.events(tx, service.meter(tx, code), _span(span), key, limit)


def _span(texts: tuple[str, str]) -> tuple[int, int]:
    low, high = control_meter.moment(texts[0], "from"), control_meter.moment(texts[1], "to")
    return (-1 if low is None else clock.to_us(low)), (_END_US if high is None else clock.to_us(high))


def _checked(tx: Transaction, context: case.Context, content: bytes) -> tuple[Sequence[reading_file.Row] | None, str]:
    """The checked rows and the account; no rows where the key already has its answer."""
    who = case.who(tx, context)
    _permit(tx, who)
    request = idempotency.Request(who.account_id, context.method, context.path, context.idempotency_key, context.request_hash)
    if idempotency.recall(tx, request) is not None:
        return None, who.account_id
    begun = imports.find(tx, who.account_id, context.idempotency_key, content)
    return imports.check(tx, content, begun.id if begun else ""), who.account_id


def _appending(import_id: str, rows: Sequence[reading_file.Row], done: int) -> Callable[[Transaction], None]:
    return lambda tx: imports.append(tx, import_id, rows, done)


def _completed(tx: Transaction, import_id: str, content: bytes, rows: Sequence[reading_file.Row]) -> case.Answer:
    imports.complete(tx, import_id, imports.first_moments(rows))
    facts = {"sha256": imports.file_hash(content), "readings": str(len(rows))}
    return case.Answer(status=201, body=_report(import_id, content, rows), kind="reading_import", object_id=import_id, facts=facts)


def _report(import_id: str, content: bytes, rows: Sequence[reading_file.Row]) -> dict[str, Any]:
    moments = [row.read_us for row in rows]
    return {
        "id": import_id,
        "readings": len(rows),
        "meters": len({row.meter_id for row in rows}),
        "from": clock.text(clock.from_us(min(moments))),
        "to": clock.text(clock.from_us(max(moments))),
        "sha256": imports.file_hash(content),
    }


def _use_case(effect: Callable[[Transaction], case.Answer], *, dry_run: bool = False) -> case.UseCase:
    return case.UseCase(action=ACTION, permit=_permit, effect=lambda tx, who, permit: effect(tx), dry_run=dry_run)


def _permit(tx: Transaction, who: tenants_model.Principal) -> tenants_model.Permit:
    return access.require(tx, who, "import", "reading", tenant_id=None)


def _refusing(error: errors.GovpoolError) -> Callable[[Transaction], case.Answer]:
    """An effect that refuses, so that the refusal stands in the trail like any other."""

    def refuse(tx: Transaction) -> case.Answer:
        raise error

    return refuse
