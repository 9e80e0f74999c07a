"""Changes of the tree: found, rename, move, let another pay, freeze, wind up; and projects.

Place, name and payer are dated: a change is valid from a moment that may lie in the past, as long as no issued statement covers it
(`not_before`, which control brings along), nothing later is known, and parent and payer stood in the tree by then.
"""

import dataclasses
import datetime
from typing import Any, Final

from primitives import clock, ids
from store import transaction
from tenants import faults, model, rules, tables
from tenants.records import tree as records

_NEXT: Final = {
    "frozen": {model.State.ACTIVE},
    "active": {model.State.FROZEN},
    "closing": {model.State.ACTIVE, model.State.FROZEN},
    "closed": {model.State.CLOSING},
}
"""wanted state -> states that lead there."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class NewTenant:
    """What a new tenant is to be; `payer` '' means it pays for itself, `valid_from` None means now."""

    code: str
    name: str
    parent: model.Tenant | None  # None only for the root
    payer: model.Tenant | None = None
    budget_unit: str = ""
    credit_code: str = ""
    protection_level: int = 2
    valid_from: datetime.datetime | None = None
    not_before: datetime.datetime | None = None


def create(tx: transaction.Transaction, new: NewTenant) -> model.Tenant:
    """Found a tenant.  Raises input.invalid, code.taken, dated.*, tenant.too_deep, tenant.state."""
    code = rules.code(new.code)
    if records.by_code(tx, code) is not None:
        raise faults.CODE_TAKEN(code=code, kind="tenant")
    from_us = _from(tx, new.valid_from, new.not_before)
    tenant_id = ids.new("tenant")
    tenant = model.Tenant(
        id=tenant_id,
        code=code,
        parent_id=new.parent.id if new.parent else "",
        name=rules.label(new.name, "name"),
        payer_id=new.payer.id if new.payer else tenant_id,
        budget_unit=rules.budget_unit(new.budget_unit),
        credit_code=rules.credit_code(new.credit_code),
        protection_level=rules.protection_level(new.protection_level),
        state=model.State.ACTIVE,
        generation=1,
        created_at=tx.now(),
    )
    if new.parent is not None:
        _alive(new.parent, "given a new tenant below it")
        _known(tx, new.parent, from_us)
        above = records.spans_above(tx, new.parent.id, from_us)
        rules.placed(code, new.parent.code, tenant_id, above, [_here(tenant_id, from_us)])
    if new.payer is not None:
        _known(tx, new.payer, from_us)
    records.insert(tx, tenant, from_us)
    return tenant


def rename(
    tx: transaction.Transaction,
    tenant: model.Tenant,
    name: str,
    *,
    valid_from: datetime.datetime | None = None,
    not_before: datetime.datetime | None = None,
) -> model.Tenant:
    """Another name from a moment on; the code stays.  Raises input.invalid, dated.*, tenant.state."""
    _alive(tenant, "renamed")
    from_us = _change(tx, tenant, "name", valid_from, not_before)
    return _put(tx, tenant, "name", rules.label(name, "name"), from_us)


def pay(
    tx: transaction.Transaction,
    tenant: model.Tenant,
    payer: model.Tenant,
    *,
    valid_from: datetime.datetime | None = None,
    not_before: datetime.datetime | None = None,
) -> model.Tenant:
    """Another payer (or the tenant itself) from a moment on.  Raises dated.*, tenant.state."""
    _alive(tenant, "given another payer")
    _alive(payer, "made a payer")
    from_us = _change(tx, tenant, "payer", valid_from, not_before)
    _known(tx, payer, from_us)
    return _put(tx, tenant, "payer_id", payer.id, from_us)


def move(
    tx: transaction.Transaction,
    tenant: model.Tenant,
    parent: model.Tenant,
    *,
    valid_from: datetime.datetime | None = None,
    not_before: datetime.datetime | None = None,
) -> model.Tenant:
    """Another parent from a moment on, with everything below.  The caller re-derives the quotas along both paths.

    Raises tenant.root, tenant.cycle, tenant.too_deep, tenant.state, dated.*.
    """
    if not tenant.parent_id:
        raise faults.ROOT(tenant=tenant.code)
    _alive(tenant, "moved")
    _alive(parent, "given a new tenant below it")
    from_us = _change(tx, tenant, "parent", valid_from, not_before)
    _known(tx, parent, from_us)
    above = records.spans_above(tx, parent.id, from_us)
    rules.placed(tenant.code, parent.code, tenant.id, above, records.spans_below(tx, tenant.id, from_us))
    moved = _put(tx, tenant, "parent_id", parent.id, from_us)
    records.replant(tx, tenant.id, parent.id)
    return moved


def update(tx: transaction.Transaction, tenant: model.Tenant, **values: Any) -> model.Tenant:
    """Change what is not dated: budget_unit, credit_code, protection_level.  Raises input.invalid, tenant.state."""
    _alive(tenant, "changed")
    checks: dict[str, Any] = {
        "budget_unit": rules.budget_unit,
        "credit_code": rules.credit_code,
        "protection_level": rules.protection_level,
    }
    changed = dataclasses.replace(tenant, **{field: checks[field](value) for field, value in values.items()})
    return _store(tx, changed)


def set_state(tx: transaction.Transaction, tenant: model.Tenant, wanted: model.State) -> model.Tenant:
    """active <-> frozen, then closing, then closed for ever.  Raises tenant.root, tenant.state, tenant.not_empty.

    A tenant with living tenants below it cannot be wound up; that nothing else of it lives is control's to prove.
    """
    if not tenant.parent_id:
        raise faults.ROOT(tenant=tenant.code)
    if tenant.state not in _NEXT[wanted]:
        raise faults.STATE(tenant=tenant.code, state=str(tenant.state), wanted=str(wanted))
    if wanted in (model.State.CLOSING, model.State.CLOSED):
        below = records.tenants(tx, [node for node in records.below(tx, [tenant.id]) if node != tenant.id])
        living = [each for each in below if each.state != model.State.CLOSED]
        if living:
            raise faults.NOT_EMPTY(tenant=tenant.code, count=len(living), what="tenants")
    return _store(tx, dataclasses.replace(tenant, state=wanted))


def find(tx: transaction.Transaction, code: str) -> model.Tenant | None:
    """The tenant of a code, or None."""
    return records.by_code(tx, code)


def create_project(tx: transaction.Transaction, tenant: model.Tenant, code: str, name: str) -> model.Project:
    """Open a project of a tenant.  Raises input.invalid, code.taken, tenant.state."""
    _alive(tenant, "given a project")
    if records.project(tx, tenant.id, rules.code(code)) is not None:
        raise faults.CODE_TAKEN(code=code, kind="project")
    project = model.Project(
        id=ids.new("project"), tenant_id=tenant.id, code=code, name=rules.label(name, "name"), generation=1, created_at=tx.now()
    )
    records.insert_project(tx, project, clock.to_us(tx.now()))
    return project


def find_project(tx: transaction.Transaction, tenant_id: str, code: str) -> model.Project | None:
    """The project of a code in a tenant, or None."""
    return records.project(tx, tenant_id, code)


def rename_project(tx: transaction.Transaction, project: model.Project, name: str) -> model.Project:
    """Another name for a project.  Raises input.invalid."""
    changed = dataclasses.replace(project, name=rules.label(name, "name"), generation=project.generation + 1)
    records.rename_project(tx, project.id, changed.name)
    return changed


def move_project(
    tx: transaction.Transaction,
    project: model.Project,
    owner: model.Tenant,
    code: str,
    *,
    valid_from: datetime.datetime | None = None,
) -> model.Project:
    """Another tenant's project, under `code` there, from a moment on, or since it has its present owner if that is later.

    Raises input.invalid, code.taken, tenant.state.
    """
    _alive(owner, "given a project")
    taken = records.project(tx, owner.id, rules.code(code))
    if taken is not None and taken.id != project.id:
        raise faults.CODE_TAKEN(code=code, kind="project")
    from_us = clock.to_us(valid_from or tx.now())
    records.move_project(tx, project.id, owner.id, code, max(from_us, records.project_owned_since(tx, project.id)))
    return dataclasses.replace(project, tenant_id=owner.id, code=code, generation=project.generation + 1)


def projects(tx: transaction.Transaction, scope: model.Scope) -> list[model.Project]:
    """The projects that a scope may see, by code."""
    return records.projects(tx, None if scope.everything else scope.tenant_ids)


def tenants(tx: transaction.Transaction, scope: model.Scope) -> list[model.Tenant]:
    """The tenants that a scope may see, by code."""
    return records.tenants(tx, None if scope.everything else scope.tenant_ids)


def history(tx: transaction.Transaction, tenant_id: str) -> list[dict[str, Any]]:
    """Dated facts of a tenant, oldest first per fact: {fact, value, valid_from, valid_to}; ids become codes, valid_to ''
    is open.
    """
    rows = records.history(tx, tenant_id)
    referred = [row["value"] for row in rows if row["fact"] != "name" and row["value"]]
    codes = {tenant.id: tenant.code for tenant in records.tenants(tx, referred)}
    return [
        {
            "fact": row["fact"],
            "value": row["value"] if row["fact"] == "name" else codes.get(row["value"], ""),
            "valid_from": clock.text(clock.from_us(row["valid_from_at"])),
            "valid_to": "" if row["valid_to_at"] == tables.FOREVER_US else clock.text(clock.from_us(row["valid_to_at"])),
        }
        for row in rows
    ]


def _change(
    tx: transaction.Transaction,
    tenant: model.Tenant,
    fact: str,
    valid_from: datetime.datetime | None,
    not_before: datetime.datetime | None,
) -> int:
    from_us = _from(tx, valid_from, not_before)
    first_us, latest_us = records.fact_ends(tx, tenant.id, fact)
    rules.appended(tenant.code, fact, latest_us, first_us, from_us)
    return from_us


def _from(tx: transaction.Transaction, valid_from: datetime.datetime | None, not_before: datetime.datetime | None) -> int:
    now_us = clock.to_us(tx.now())
    if valid_from is None:
        return now_us
    bound_us = None if not_before is None else clock.to_us(not_before)
    return rules.valid_from(clock.to_us(valid_from), now_us=now_us, not_before_us=bound_us)


def _known(tx: transaction.Transaction, tenant: model.Tenant, from_us: int) -> None:
    first_us, _ = records.fact_ends(tx, tenant.id, "parent")
    if from_us < first_us:
        raise faults.EARLY(subject=tenant.code, known_from=_time(first_us), valid_from=_time(from_us))


def _put(tx: transaction.Transaction, tenant: model.Tenant, field: str, value: str, from_us: int) -> model.Tenant:
    records.put_fact(tx, tenant.id, field.removesuffix("_id"), value, from_us)
    changes: dict[str, Any] = {field: value}
    return _store(tx, dataclasses.replace(tenant, **changes))


def _store(tx: transaction.Transaction, tenant: model.Tenant) -> model.Tenant:
    records.update(tx, tenant)
    return dataclasses.replace(tenant, generation=tenant.generation + 1)


def _alive(tenant: model.Tenant, wanted: str) -> None:
    if tenant.state in (model.State.CLOSING, model.State.CLOSED):
        raise faults.STATE(tenant=tenant.code, state=str(tenant.state), wanted=wanted)


def _here(tenant_id: str, from_us: int) -> model.Span:
    return model.Span(tenant_id=tenant_id, level=0, start_us=from_us, end_us=tables.FOREVER_US)


def _time(us: int) -> str:
    return clock.text(clock.from_us(us))
