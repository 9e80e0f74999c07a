"""A lender that wants its own back.  Nothing that runs is touched: what is lent can only become less, and what comes back is kept.

A recall of n units is a lending limit on its way from what is lent now to n units less.  When it begins the limit falls at once as far as nobody
is pushed over a limit by it, and with it all new borrowing of that quota ends.  After that `press` stands at the end of every transaction
in which units come free: it lets the limit fall by what came back, in the same transaction, so nobody else can take it in between.  The guard needs
to know nothing of this; it sees a lending limit.

To keep k units more is, for everybody above, the same as to draw k more: so what can be kept is what could be reserved, and a lender that wants
back what other idle quota can cover has it at once.
"""

import dataclasses
import datetime
from collections.abc import Mapping, Sequence
from typing import Any

from primitives import ids
from quotas import borrowing, faults, incoming, lending, model, names, recall_records, records, rules
from store.transaction import Transaction
from tenants import service as tenants

find = recall_records.find
listed = recall_records.listed
going_on = recall_records.going_on
remind = recall_records.remind


def begin(
    tx: Transaction, *, tenant_id: str, name: str, amount: int | None, due_at: datetime.datetime, reason: str = ""
) -> model.Recall:
    """Call back `amount` units (None: all) of what others use of a tenant's quota; what idle quota of others can cover is back at once.

    Raises quota.name, quota.root, quota.recalled, quota.not_lent.
    """
    names.of(name)
    path = tenants.path_ids(tx, tenant_id)
    if len(path) == 1:
        raise faults.ROOT()
    code = tenants.by_id(tx, tenant_id).code
    if any(each.name == name for each in recall_records.at(tx, tenant_id)):
        raise faults.RECALLED(tenant=code, name=name)
    lent = borrowing.lent(lending.pools(tx, path).get(name, []), tenant_id)
    wanted = lent if amount is None else amount
    if not 1 <= wanted <= lent:
        raise faults.NOT_LENT(tenant=code, name=name, amount=names.shown(name, wanted), lent=names.shown(name, lent))
    recall = model.Recall(
        id=ids.new("recall"),
        tenant_id=tenant_id,
        name=name,
        amount=wanted,
        lent_before=lent,
        lending_before=records.by_key(tx, [tenant_id])[tenant_id, name].lending_limit,
        lending_target=lent - wanted,
        reason=reason,
        started_at=tx.now(),
        due_at=due_at,
        reminded_at=None,
        ended_at=None,
        outcome="",
        came_back=0,
    )
    recall_records.insert(tx, recall)
    press(tx, [name])
    return recall


def press(tx: Transaction, names: Sequence[str]) -> None:
    """Let every lender that calls back units of `names` keep what has come free; the oldest recall first.

    What waiting moves will bring counts as used: it was promised before.
    """
    going = recall_records.going_on(tx, names)
    coming = incoming.expected(tx) if going else []
    for recall in going:
        path = tenants.path_ids(tx, recall.tenant_id)
        known = records.lock(tx, path)
        full = incoming.arrived(incoming.standings(tx, path, coming) | known, coming)
        levels, used = ([rules.at(each, node, recall.name) for node in path] for each in (known, full))
        records.put(tx, pressed(recall, levels, used))


def pressed(recall: model.Recall, levels: Sequence[model.Standing], used: Sequence[model.Standing]) -> list[model.Standing]:
    """The levels (leaf first) that change when a recall keeps all that has come free; `used` is with all that is coming.  Pure."""
    limit = max(recall.lending_target, rules.least_lending(used))
    now = levels[0].lending_limit
    return limited(levels, limit) if now is None or limit < now else []


def came_back(tx: Transaction, recall: model.Recall) -> int:
    """Units of the amount that nobody else can use any more."""
    if recall.outcome:
        return recall.came_back
    standing = rules.at(records.by_key(tx, [recall.tenant_id]), recall.tenant_id, recall.name)
    lent = standing.subtree_quota - standing.local_quota
    return min(recall.amount, max(0, recall.lent_before - lent))


def settle(tx: Transaction, recall: model.Recall) -> bool:
    """End a recall of which all is back; what came back stays kept.  False while something is out."""
    return came_back(tx, recall) == recall.amount and recall_records.end(tx, recall.id, "returned", recall.amount)


def end(tx: Transaction, recall: model.Recall) -> bool:
    """Call nothing back any more: the lending limit is again what it was before.  False if the recall had ended."""
    if not recall_records.end(tx, recall.id, "ended", came_back(tx, recall)):
        return False
    path = tenants.path_ids(tx, recall.tenant_id)
    known = records.lock(tx, path)
    records.put(tx, limited([rules.at(known, node, recall.name) for node in path], recall.lending_before))
    press(tx, [recall.name])  # what is lent again may be what another lender waits for
    return True


def end_all(tx: Transaction, tenant_id: str) -> None:
    """End every recall of a tenant; for one that is wound up."""
    for recall in recall_records.at(tx, tenant_id):
        end(tx, recall)


def refuse_limit(tx: Transaction, before: model.Standing, grant: model.Grant) -> None:
    """Raises quota.recalled when somebody sets the lending limit that a recall is moving."""
    if grant.lending_limit != before.lending_limit and any(
        each.name == before.name for each in recall_records.at(tx, before.tenant_id)
    ):
        raise faults.RECALLED(tenant=tenants.by_id(tx, before.tenant_id).code, name=before.name)


def limited(levels: Sequence[model.Standing], lending_limit: int | None) -> list[model.Standing]:
    """The levels that change, leaf first, when its lending limit is another."""
    after = rules.granted(levels[0], dataclasses.replace(levels[0].grant, lending_limit=lending_limit))
    after = dataclasses.replace(after, generation=after.generation + 1)
    return [after, *rules.ascended(levels[1:], after.local_quota - levels[0].local_quota, after.risen - levels[0].risen)]


def holdings(tx: Transaction, tenant_id: str, name: str) -> list[model.Holding]:
    """All that draws on the pools a tenant lends into, longest first.

    Of what a borrower and those below it hold, the youngest holdings are what goes beyond its own: the older ones had room in it.
    """
    above = lending.pools(tx, tenants.path_ids(tx, tenant_id)).get(name, [])
    found: list[model.Holding] = []
    for borrower, units in borrowing.borrowers(above, tenant_id).items():
        below = tenants.subtree_ids(tx, borrower)
        if tenant_id in below:  # a parent that uses more itself than it granted to nobody
            below = [borrower]
        found += _youngest(records.held_by(tx, below, name), units)
    return sorted(found, key=lambda each: _age(each.holder))


def _youngest(held: Sequence[Mapping[str, Any]], units: int) -> list[model.Holding]:
    found = []
    for row in sorted(held, key=lambda row: _age(row["holder"]), reverse=True):
        if units <= 0:
            break
        found.append(model.Holding(**row, borrowed=min(units, row["amount"])))
        units -= row["amount"]
    return found


def _age(holder: str) -> str:
    """Ids sort by the time they were made, behind their prefix."""
    return holder.rpartition("-")[2]
