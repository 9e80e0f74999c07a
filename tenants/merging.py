"""One tenant becomes part of another: asked for by one person, agreed to by another, then wound up for ever.

Children, projects, payers and people go over; roles bound at the merged tenant end, for nobody is to gain a right over the other's things by a merge.
What the tenant holds and runs is control's to carry (`control.merge`).
"""

import dataclasses
import datetime
from collections.abc import Sequence
from typing import Any, Final

from primitives import clock
from store import transaction
from tenants import faults, model, role_table, rules, tree
from tenants.records import merge as records
from tenants.records import people as people_records
from tenants.records import tree as tree_records

ASKED_FOR: Final = datetime.timedelta(days=7)
"""How long somebody may agree to what was asked."""

find = records.find


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Passed:
    """What went over."""

    children: Sequence[str]  # codes
    projects: Sequence[tuple[model.Project, model.Project]]  # before and after
    payers: Sequence[str]  # codes of those for which the other pays now
    accounts: int
    roles: Sequence[dict[str, Any]]  # that ended: account, role, tenant, person_name ...


def refuse_senseless(tx: transaction.Transaction, tenant: model.Tenant, into: model.Tenant) -> None:
    """Raises tenant.root, tenant.cycle, tenant.state for two that cannot be merged."""
    for each in (tenant, into):
        if not each.parent_id:
            raise faults.ROOT(tenant=each.code)
    if tenant.id in [node for node, _, _ in tree_records.path(tx, into.id)]:
        raise faults.CYCLE(tenant=tenant.code, parent=into.code)
    for each, wanted in ((tenant, "merged"), (into, "merged into")):
        if each.state is not model.State.ACTIVE:
            raise faults.STATE(tenant=each.code, state=str(each.state), wanted=wanted)


def refuse_dated(
    tx: transaction.Transaction, into: model.Tenant, valid_from: datetime.datetime, not_before: datetime.datetime | None
) -> None:
    """Raises input.invalid for the future, dated.issued behind a statement, dated.early before the other tenant was there."""
    asked_us = clock.to_us(valid_from)
    bound_us = None if not_before is None else clock.to_us(not_before)
    rules.valid_from(asked_us, now_us=clock.to_us(tx.now()), not_before_us=bound_us)
    first_us, _ = tree_records.fact_ends(tx, into.id, "parent")
    if asked_us < first_us:
        known, asked = (clock.text(clock.from_us(each)) for each in (first_us, asked_us))
        raise faults.EARLY(subject=into.code, known_from=known, valid_from=asked)


def agreed(tx: transaction.Transaction, tenant: model.Tenant, into: model.Tenant, *, terms: str, person_id: str) -> bool:
    """Whether somebody else, who still may, asked for exactly this within the last days; if not, this person asks for it now."""
    asked = records.find(tx, tenant.id)
    fresh = asked is not None and asked.merged_at is None and tx.now() < asked.asked_at + ASKED_FOR
    same = asked is not None and fresh and (asked.into_id, asked.terms) == (into.id, terms) and asked.asked_by != person_id
    if asked is not None and same and _may(tx, tenant, into, asked.asked_by):
        return True
    records.ask(
        tx,
        model.Merge(tenant_id=tenant.id, into_id=into.id, terms=terms, asked_by=person_id, asked_at=tx.now(), merged_at=None),
    )
    return False


def _may(tx: transaction.Transaction, tenant: model.Tenant, into: model.Tenant, person_id: str) -> bool:
    """Whether a person has by now a role above both that allows to merge."""
    above = {node for node, _, _ in tree_records.path(tx, into.id)[1:]}
    shared = [node for node, _, _ in tree_records.path(tx, tenant.id)[1:] if node in above]
    roles = rules.held_at(people_records.person_bindings(tx, person_id), shared)
    return any(("tenant", "merge") in role_table.TABLE[role] for role in roles)


def codes_at(
    tx: transaction.Transaction, tenant: model.Tenant, into: model.Tenant, prefix: str
) -> tuple[dict[str, str], list[str]]:
    """Project id -> its code after a merge, and the codes that are taken there all the same; `prefix` is put before a code that clashes."""
    theirs = {project.code for project in tree_records.projects(tx, [into.id])}
    codes: dict[str, str] = {}
    clashes: list[str] = []
    for project in tree_records.projects(tx, [tenant.id]):
        code = f"{prefix}{project.code}" if project.code in theirs and prefix else project.code
        rules.code(code, "prefix")
        if code in theirs or code in codes.values():
            clashes.append(code)
        codes[project.id] = code
    return codes, clashes


def carry(
    tx: transaction.Transaction,
    tenant: model.Tenant,
    into: model.Tenant,
    *,
    codes: dict[str, str],
    person_id: str,
    valid_from: datetime.datetime | None,
    not_before: datetime.datetime | None,
) -> Passed:
    """Everything of the room goes over and the tenant is closed.  `valid_from` dates the places of those below it and the owner of its projects:
    from then on, or since they stood there if that is later.  Raises dated.*, tenant.too_deep.
    """
    since = valid_from or tx.now()
    children = [child for child in tree_records.tenants(tx, tree_records.below(tx, [tenant.id])) if child.parent_id == tenant.id]
    for child in children:
        stood_us = tree_records.fact_ends(tx, child.id, "parent")[1]
        dated = None if valid_from is None else max(valid_from, clock.from_us(stood_us))
        if child.state is not model.State.CLOSED:
            tree.move(tx, child, into, valid_from=dated, not_before=not_before)
    projects = [
        (project, tree.move_project(tx, project, into, codes[project.id], valid_from=valid_from))
        for project in tree_records.projects(tx, [tenant.id])
    ]
    payers = records.paid_for(tx, tenant.id)
    for code in payers:
        paid_for = tree_records.by_code(tx, code)
        if paid_for is not None and paid_for.state in (model.State.ACTIVE, model.State.FROZEN):
            tree.pay(tx, paid_for, into)
    roles = people_records.bindings(tx, [tenant.id])
    people_records.revoke_at(tx, tenant.id)
    accounts = records.rehome(tx, tenant.id, into.id)
    present = tree_records.by_id(tx, tenant.id)
    if present is None:
        raise faults.UNKNOWN(kind="tenant")
    closing = tree.set_state(tx, present, model.State.CLOSING)
    tree.set_state(tx, closing, model.State.CLOSED)
    records.agree(tx, tenant.id, person_id, clock.to_us(since))
    return Passed(children=[child.code for child in children], projects=projects, payers=payers, accounts=accounts, roles=roles)
