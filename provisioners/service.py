"""The verbs of the room.  Use cases want, change and unwant; workers lease, open and close attempts, store what they learn; sweeps report.

Every verb takes the open transaction.  Calls into clouds are not made here: the reconciler in `control` makes them, between two transactions.
"""

import dataclasses
import datetime
import threading
from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final

from primitives import clock, ids
from provisioners import changes, contract, faults, model, rules
from provisioners.records import attempts as attempt_records
from provisioners.records import resources as records
from provisioners.records import work as work_records
from store import installation, transaction

due_hint: Final = threading.Event()
"""Set when a row of this process became due.  Only a hint on top of polling: it may be lost, and other processes never see it."""

Filter = records.Filter
register_worker = work_records.register
worker_stopped = work_records.stopped
working = work_records.working
workers_since = work_records.workers_since
told = work_records.told
all_told = work_records.all_told
tell = work_records.tell
begin_sweep = work_records.begin_sweep
end_sweep = work_records.end_sweep
sweep_begun_at = work_records.sweep_begun_at
last_sweeps = work_records.last_sweeps
forget_sweeps = work_records.forget_sweeps
items = work_records.items
items_found = work_records.found
items_not_seen = work_records.not_seen
undecided = work_records.undecided
living = records.living
holdings = records.holdings
pool_tenants = records.pool_tenants
counts = records.counts
due = records.due
at_work = records.at_work
listed = records.listed
leases = records.leases
leases_due = records.leases_due
take_in = records.take_in
hand_over = records.hand_over
open_attempt_of = attempt_records.open_of
sender_returned = attempt_records.returned
disputed = records.disputed
get_many = records.get_many
find = records.named
taken = records.taken
attempts_of = attempt_records.of_resource
attempts_open = attempt_records.still_open
open_attempts = attempt_records.open_of_many
write_off = work_records.write_off


# -- what somebody wants -----------------------------------------------------------------------------------------------------------


def want(tx: transaction.Transaction, *wanted: model.WantedResource) -> list[model.Resource]:
    """Resources to be, in state creating.  Their quota and room are held in the same transaction.  Raises resource.name_taken."""
    by_place: dict[tuple[str, str, str], list[str]] = {}
    for one in wanted:
        by_place.setdefault((one.project_id, one.project, one.kind), []).append(one.name)
    for (project_id, project, kind), names in by_place.items():
        doubled = {name for name in names if names.count(name) > 1}
        known = sorted(doubled.union(records.taken(tx, project_id=project_id, kind=kind, names=names)))
        if known:
            raise faults.NAME_TAKEN(project=project, kind=kind, name=known[0])
    born = [changes.born(one, tx.now()) for one in wanted]
    records.insert(tx, born)
    _hint(tx)
    return born


def change_wanted(
    tx: transaction.Transaction,
    *,
    resource_id: str,
    action: str,
    spec: Mapping[str, Any] | None = None,
    amounts: Mapping[str, int] | None = None,
    surge: Mapping[str, int] = MappingProxyType({}),
    order_id: str = "",
) -> model.Resource:
    """A new generation: resize, scale, update, start, stop, restart.  `spec` is laid over what was ordered; `amounts` None leaves the size;

    `surge` is held on top until it ends.  Raises resource.unknown, resource.action_unknown, resource.busy, resource.state.
    """
    before = get(tx, resource_id)
    after = changes.changed(before, action, spec=spec or {}, amounts=amounts, surge=surge, order_id=order_id, now=tx.now())
    return store(tx, before, after, hint=True)


def unwant(tx: transaction.Transaction, *, resource_id: str, bin_days: int = 0, order_id: str = "") -> model.Resource:
    """Delete: into the recycle bin for `bin_days` (stopped; keeps name, quota and room), then, or at once for 0, out of the cloud.

    Raises resource.unknown, resource.protected, resource.state.
    """
    before = get(tx, resource_id)
    bin_until = tx.now() + datetime.timedelta(days=bin_days) if bin_days else None
    return store(tx, before, changes.deleted(before, bin_until=bin_until, order_id=order_id, now=tx.now()), hint=True)


def undelete(tx: transaction.Transaction, *, resource_id: str, order_id: str = "") -> model.Resource:
    """Out of the bin.  Raises resource.unknown, resource.state."""
    before = get(tx, resource_id)
    return store(tx, before, changes.undeleted(before, order_id=order_id, now=tx.now()), hint=True)


def expire(tx: transaction.Transaction, *, older_than: datetime.timedelta, reason: model.Reason) -> list[str]:
    """Reservations that nothing confirmed in time: those resources are unwanted from here on, unless an attempt is open.  Their ids.

    Quota and room go back once the cloud confirms absence.  None before a restore is accepted: they may have been delivered since.
    """
    if not installation.get(tx).accepted:
        return []
    overdue = records.creating_since(tx, tx.now() - older_than)
    opened = attempt_records.open_of_many(tx, [one.id for one in overdue])
    expired = [one for one in overdue if one.id not in opened]
    for one in expired:
        store(tx, one, changes.refused(one, reason, tx.now()), hint=True)
    return [one.id for one in expired]


def relabel(
    tx: transaction.Transaction, *, resource_id: str, protected: bool | None = None, labels: Mapping[str, str] | None = None
) -> model.Resource:
    """Switch deletion protection, replace the labels; None leaves either.  Raises resource.unknown."""
    before = get(tx, resource_id)
    after = changes.relabelled(
        before,
        protected=before.protected if protected is None else protected,
        labels=before.labels if labels is None else labels,
    )  # a protection taken away may be what the end of a lease waits for
    return store(tx, before, dataclasses.replace(after, end_due_at=before.end_due_at and tx.now()))


# -- reads -------------------------------------------------------------------------------------------------------------------------


def get(tx: transaction.Transaction, resource_id: str) -> model.Resource:
    """The resource of an id, ended ones too.  Raises resource.unknown."""
    found = records.get(tx, resource_id)
    if found is None:
        raise faults.UNKNOWN(resource=resource_id)
    return found


def find_anywhere(
    tx: transaction.Transaction, text: str, *, tenant_ids: Sequence[str] | None, limit: int = 100
) -> list[model.Resource]:
    """Resources whose id, name or address is `text`; ended ones by id and name too."""
    if ids.kind_of(text):
        one = records.get(tx, text)
        return [one] if one is not None and (tenant_ids is None or one.tenant_id in tenant_ids) else []
    by_name = records.listed(tx, Filter(tenant_ids=tenant_ids, name=text, living_only=False), limit=limit)
    return by_name or records.listed(tx, Filter(tenant_ids=tenant_ids, address=text), limit=limit)


def stuck(
    tx: transaction.Transaction, *, tenant_ids: Sequence[str] | None, after: str = "", limit: int = 100
) -> list[model.Resource]:
    """What an operator should look at, by age."""
    candidates = records.listed(tx, Filter(tenant_ids=tenant_ids, attention=True), after=after, limit=10_000)
    opened = attempt_records.open_of_many(tx, [one.id for one in candidates])
    now = tx.now()
    chosen = [
        one
        for one in candidates
        if one.disputed or rules.is_stuck(one, opened[one.id].opened_at if one.id in opened else None, now)
    ]
    return chosen[:limit]


# -- the work ----------------------------------------------------------------------------------------------------------------------


def lease(tx: transaction.Transaction, worker_id: str, n: int, lease_s: int) -> list[model.Resource]:
    """Up to `n` due rows under new fences, which are written into their open attempts.  None between a restore and its acceptance."""
    present = installation.get(tx)
    if not present.accepted:
        return []
    until = tx.now() + datetime.timedelta(seconds=lease_s)
    leased = records.lease(tx, worker_id=worker_id, epoch=present.epoch, n=n, until=until)
    opened = attempt_records.open_of_many(tx, [one.id for one in leased])
    for one in leased:
        if one.id in opened:
            attempt_records.take_over(tx, one.id, one.fence)
    return leased


def renew(tx: transaction.Transaction, worker_id: str, resource_ids: Sequence[str], lease_s: int) -> int:
    """The heartbeat of a worker process: it is alive, and its leases of these resources hold for `lease_s` from now."""
    work_records.seen(tx, worker_id)
    return records.renew(tx, worker_id, resource_ids, tx.now() + datetime.timedelta(seconds=lease_s))


def abandon(tx: transaction.Transaction, worker_id: str) -> None:
    """A worker process stops in good order: its leases are free at once."""
    records.abandon(tx, worker_id)
    work_records.stopped(tx, worker_id)


def bury(tx: transaction.Transaction, here: rules.Here) -> list[str]:
    """Free the leases of worker processes that are known dead, so that nobody waits for them to run out.  Their ids.

    Only a lease goes: an attempt that they left open is settled by whoever leases the resource next.
    """
    running = work_records.working(tx)
    dead = [worker.id for worker in running if rules.known_dead(worker, here, running)]
    for worker_id in dead:
        abandon(tx, worker_id)
    return dead


def held(tx: transaction.Transaction, resource_id: str, fence: model.Fence) -> model.Resource:
    """The row as it stands, for the holder of `fence`.  Raises FencedOutError."""
    found = get(tx, resource_id)
    if found.fence != fence:
        raise model.FencedOutError(f"{resource_id}: fence {fence} is no longer {found.fence}")
    return found


def open_attempt(
    tx: transaction.Transaction,
    resource: model.Resource,
    *,
    worker_id: str,
    verb: contract.Verb,
    action: str,
    known: contract.Facts,
) -> tuple[model.Resource, model.Attempt]:
    """Write the attempt under which one call may be made.  Only while this transaction sees the row wanted so, under its fence.

    An ADVANCE needs desired up, a REMOVE down; the caller has decided by `rules.next_step` on the same row.  Raises FencedOutError.
    """
    current = held(tx, resource.id, resource.fence)
    if verb is contract.Verb.ADVANCE and action != model.CLEAN and current.desired is not model.Desired.UP:
        raise model.FencedOutError(f"{resource.id} is no longer wanted")
    attempt = model.Attempt(
        id=ids.new("att"), resource_id=resource.id, number=resource.attempts_made + 1, verb=verb, action=action, fence=resource.fence,
        epoch=resource.fence.epoch, worker_id=worker_id, known=known, opened_at=tx.now(), returned_at=None, closed_at=None, outcome="",
        detail="",
    )  # fmt: skip
    attempt_records.insert(tx, attempt)
    return store(tx, current, dataclasses.replace(resource, attempts_made=attempt.number)), attempt


def close_attempt(
    tx: transaction.Transaction,
    attempt: model.Attempt,
    fence: model.Fence,
    *,
    outcome: model.Outcome,
    cloud_id: str = "",
    detail: str = "",
) -> None:
    """Close it under the holder's fence.  Raises FencedOutError when another holder has it, or closed it."""
    named = "" if attempt.action == model.CLEAN else cloud_id
    if not attempt_records.close(tx, attempt.id, fence, outcome=outcome, cloud_id=named, detail=detail):
        raise model.FencedOutError(f"attempt {attempt.id} of {attempt.resource_id} is no longer ours")


def sender_known_dead(tx: transaction.Transaction, attempt: model.Attempt, here: rules.Here) -> bool:
    """Whether the process that opened the attempt is known dead (`rules.known_dead`); a sender without a row is from another database."""
    sender = work_records.worker(tx, attempt.worker_id)
    return sender is not None and rules.known_dead(sender, here, work_records.workers_of_host(tx, sender.host))


def sender(tx: transaction.Transaction, attempt: model.Attempt) -> model.Worker | None:
    """The process that opened the attempt."""
    return work_records.worker(tx, attempt.worker_id)


def store(tx: transaction.Transaction, before: model.Resource, after: model.Resource, *, hint: bool = False) -> model.Resource:
    """Write the row as `changes` made it from `before`, read in this transaction; `hint` when a worker is to look at it at once."""
    records.put(tx, before, after)
    if hint:
        _hint(tx)
    return after


def store_facts(tx: transaction.Transaction, resource: model.Resource, facts: contract.Facts) -> model.Resource:
    """Store what the cloud said.  `resource` was read in this transaction."""
    return store(tx, resource, changes.learnt(resource, facts, tx.now()))


def trails(tx: transaction.Transaction, resource_ids: Sequence[str]) -> dict[str, rules.Trail]:
    """What our attempts say of these resources; one that has none gets an empty trail."""
    rows = attempt_records.trails(tx, resource_ids)
    return {
        resource_id: rules.Trail(
            any_open=any(row["open"] for row in rows.get(resource_id, ())),
            cloud_ids=frozenset(row["cloud_id"] for row in rows.get(resource_id, ()) if row["cloud_id"]),
            epochs=frozenset(row["epoch"] for row in rows.get(resource_id, ()) if row["creates"]),
            creates_ended_at=max(
                (clock.from_us(row["creates_ended_at"]) for row in rows.get(resource_id, ()) if row["creates_ended_at"]),
                default=None,
            ),
        )
        for resource_id in resource_ids
    }


# -- persons ------------------------------------------------------------------------------------------------------------------------


def retry(tx: transaction.Transaction, *, resource_id: str) -> model.Resource:
    """Try now what would be tried later; a lost one is looked for once more.  Raises resource.unknown, resource.not_stuck."""
    before = get(tx, resource_id)
    if before.ended or (before.next_at is None and before.state is not model.State.LOST):
        raise faults.NOT_STUCK(name=before.name, state=str(before.state))
    return store(
        tx, before, dataclasses.replace(before, next_at=tx.now(), failures=0, look=before.state is model.State.LOST), hint=True
    )


def ask_write_off(tx: transaction.Transaction, *, resource_id: str, person_id: str, person: str, reason: str) -> bool:
    """The first person asks, another agrees; True with the second.  Raises write_off.second_person, resource.state for an ended one."""
    resource = get(tx, resource_id)
    if resource.ended:
        raise faults.STATE(name=resource.name, state=str(resource.state), action="write-off", needed="releasing, lost, creating")
    asked = work_records.write_off(tx, resource_id)
    if asked is None:
        work_records.ask_write_off(tx, resource_id, person_id, reason)
        return False
    if asked["asked_by"] == person_id:
        raise faults.SECOND_PERSON(person=person, name=resource.name)
    work_records.agree_write_off(tx, resource_id, person_id)
    return True


def written_off(tx: transaction.Transaction, resource: model.Resource) -> model.Resource:
    """Give it up.  Its attempts stay as they are: an open one is never said to be closed."""
    return store(tx, resource, changes.released(changes.ended(resource, model.State.WRITTEN_OFF, tx.now()), None))


def item(tx: transaction.Transaction, cloud_id: str) -> model.Item:
    """The item in quarantine of a cloud id.  Raises quarantine.unknown."""
    found = work_records.item(tx, cloud_id)
    if found is None:
        raise faults.ITEM_UNKNOWN(item=cloud_id)
    return found


def decide_item(tx: transaction.Transaction, cloud_id: str, decision: str, decided_by: str) -> model.Item:
    """A person's decision on an item: 'release' leaves it alone, 'delete' lets it be removed.  Raises quarantine.unknown, .foreign."""
    found = item(tx, cloud_id)
    if decision == "delete" and found.origin != "ours":
        raise faults.ITEM_FOREIGN(item=cloud_id)
    work_records.decide(tx, found, decision, decided_by)
    return dataclasses.replace(found, decision=decision, decided_by=decided_by)


def clean(tx: transaction.Transaction, resource: model.Resource, facts: contract.Facts) -> model.Resource:
    """Let a worker remove something beside a resource's own guest: proven to be nobody's, or condemned by a person."""
    if any((one.cloud_id, one.ticket_id) == (facts.cloud_id, facts.ticket_id) for one in resource.strays):
        return resource
    strays = (*resource.strays, facts)
    return store(tx, resource, dataclasses.replace(resource, strays=strays, next_at=tx.now()), hint=True)


def condemn(tx: transaction.Transaction, item: model.Item, *, tenant_id: str, tenant: str) -> model.Resource:
    """A person wants an item removed that no row is known for: it gets a row that is on its way out and holds nothing."""
    row = changes.condemned(item, tenant_id=tenant_id, tenant=tenant, now=tx.now())
    records.insert(tx, [row])
    _hint(tx)
    return row


def items_leave(tx: transaction.Transaction, pool_id: str, cloud_ids: Iterable[str]) -> None:
    """Resources account for these items now."""
    work_records.leave(tx, pool_id, list(cloud_ids))


def accept(tx: transaction.Transaction) -> int:
    """After `restore accept`: nothing is in dispute any more.  How many were."""
    found = records.disputed(tx)
    for one in found:
        records.put(tx, one, dataclasses.replace(one, disputed=False))
    return len(found)


def _hint(tx: transaction.Transaction) -> None:
    tx.after_commit.append(due_hint.set)
