"""SQL of the tree: tenants, their ancestors of the present, their dated facts, projects."""

from collections.abc import Sequence
from typing import Any, Final

import sqlalchemy as sa

from primitives import clock
from store import columns, transaction
from tenants import model, tables

_T: Final = tables.TENANTS
_INSERT_TENANT: Final = sa.insert(_T)
_INSERT_ANCESTOR: Final = sa.insert(tables.ANCESTORS)
_INSERT_FACT: Final = sa.insert(tables.FACTS)
_INSERT_PROJECT: Final = sa.insert(tables.PROJECTS)
_INSERT_OWNER: Final = sa.insert(tables.PROJECT_OWNERS)
_A: Final = tables.ANCESTORS
_LEAF: Final = _T.alias("leaf")
_UPWARDS: Final = (
    sa.select(_T)
    .select_from(_LEAF.join(_A, _A.c.tenant_id == _LEAF.c.id).join(_T, _T.c.id == _A.c.ancestor_id))
    .order_by(_A.c.distance)
)
_UP_FROM: Final = {name: _UPWARDS.where(_LEAF.c[name] == sa.bindparam("value")) for name in ("id", "code")}
_BY_IDS: Final = sa.select(_T).where(columns.among(_T.c.id, "tenant_ids")).order_by(_T.c.code)
_ALL: Final = sa.select(_T).order_by(_T.c.code)
_BELOW: Final = (
    sa.select(tables.ANCESTORS.c.tenant_id).where(columns.among(tables.ANCESTORS.c.ancestor_id, "tenant_ids")).distinct()
)

_CHILDREN: Final = (
    sa.select(tables.TENANTS).where(columns.among(tables.TENANTS.c.parent_id, "parent_ids")).order_by(tables.TENANTS.c.code)
)
_ADD_ANCESTORS: Final = transaction.sql(
    "INSERT INTO tenant_ancestors (tenant_id, ancestor_id, distance)"
    " SELECT below.tenant_id, above.ancestor_id, below.distance + above.distance + 1"
    " FROM tenant_ancestors below CROSS JOIN tenant_ancestors above"
    " WHERE below.ancestor_id = :tenant_id AND above.tenant_id = :parent_id"
)
_CUT_ANCESTORS: Final = transaction.sql(
    "DELETE FROM tenant_ancestors WHERE tenant_id IN (SELECT tenant_id FROM tenant_ancestors WHERE ancestor_id = :tenant_id)"
    " AND ancestor_id NOT IN (SELECT tenant_id FROM tenant_ancestors WHERE ancestor_id = :tenant_id)"
)
_UPDATE: Final = transaction.sql(
    "UPDATE tenants SET parent_id = :parent_id, name = :name, payer_id = :payer_id,"
    " budget_unit = :budget_unit, credit_code = :credit_code, protection_level = :protection_level, state = :state,"
    " generation = generation + 1 WHERE id = :id"
)
_FACT_ENDS: Final = transaction.sql(
    "SELECT min(valid_from_at) AS first_from_at, max(valid_from_at) AS latest_from_at"
    " FROM tenant_facts WHERE tenant_id = :tenant_id AND fact = :fact"
)
_FACT_REPLACE: Final = transaction.sql(
    "UPDATE tenant_facts SET value = :value WHERE tenant_id = :tenant_id AND fact = :fact AND valid_from_at = :valid_from_at"
)
_FACT_CUT: Final = transaction.sql(
    "UPDATE tenant_facts SET valid_to_at = :valid_from_at WHERE tenant_id = :tenant_id AND fact = :fact AND valid_to_at = :forever"
)
_FACTS_AT: Final = transaction.sql(
    "SELECT tenant_id, fact, value FROM tenant_facts WHERE valid_from_at <= :at AND valid_to_at > :at"
)
_FACTS_UP_AT: Final = transaction.sql(
    "WITH RECURSIVE up(tenant_id, level) AS (SELECT CAST(:tenant_id AS TEXT), 0 UNION ALL SELECT f.value, up.level + 1 FROM up"
    " JOIN tenant_facts f ON f.tenant_id = up.tenant_id AND f.fact = 'parent' AND f.valid_from_at <= :at AND f.valid_to_at > :at"
    " WHERE f.value <> '' AND up.level < 8)"
    " SELECT f.tenant_id, f.fact, f.value, t.code FROM up JOIN tenants t ON t.id = up.tenant_id"
    " JOIN tenant_facts f ON f.tenant_id = up.tenant_id AND f.valid_from_at <= :at AND f.valid_to_at > :at"
)
_HISTORY: Final = transaction.sql(
    "SELECT fact, value, valid_from_at, valid_to_at FROM tenant_facts WHERE tenant_id = :tenant_id ORDER BY fact, valid_from_at"
)


def insert(tx: transaction.Transaction, tenant: model.Tenant, valid_from_us: int) -> None:
    """A tenant with its first facts and its ancestors of the present."""
    tx.execute(_INSERT_TENANT, **_row(tenant), created_at=clock.to_us(tenant.created_at))
    facts = {"parent": tenant.parent_id, "name": tenant.name, "payer": tenant.payer_id}
    ends = {"tenant_id": tenant.id, "valid_from_at": valid_from_us, "valid_to_at": tables.FOREVER_US}
    tx.many(_INSERT_FACT, [{**ends, "fact": fact, "value": value} for fact, value in facts.items()])
    tx.execute(_INSERT_ANCESTOR, tenant_id=tenant.id, ancestor_id=tenant.id, distance=0)
    if tenant.parent_id:
        tx.execute(_ADD_ANCESTORS, tenant_id=tenant.id, parent_id=tenant.parent_id)


def update(tx: transaction.Transaction, tenant: model.Tenant) -> None:
    """Write the present of a tenant; its generation grows by one."""
    row = _row(tenant)
    del row["code"], row["generation"]
    tx.execute(_UPDATE, **row)


def replant(tx: transaction.Transaction, tenant_id: str, parent_id: str) -> None:
    """Hang the subtree of a tenant under another parent, in the tree of the present."""
    tx.execute(_CUT_ANCESTORS, tenant_id=tenant_id)
    tx.execute(_ADD_ANCESTORS, tenant_id=tenant_id, parent_id=parent_id)


def fact_ends(tx: transaction.Transaction, tenant_id: str, fact: str) -> tuple[int, int]:
    """When a fact of a tenant first and last began, microseconds."""
    row = tx.one(_FACT_ENDS, tenant_id=tenant_id, fact=fact)
    if row is None or row["first_from_at"] is None:
        raise LookupError(f"tenant {tenant_id} has no {fact}")
    return row["first_from_at"], row["latest_from_at"]


def put_fact(tx: transaction.Transaction, tenant_id: str, fact: str, value: str, valid_from_us: int) -> None:
    """The fact has `value` from `valid_from_us` on; the caller has proved that no later row exists."""
    at = {"tenant_id": tenant_id, "fact": fact, "valid_from_at": valid_from_us}
    if tx.changed(_FACT_REPLACE, **at, value=value):
        return
    tx.execute(_FACT_CUT, **at, forever=tables.FOREVER_US)
    tx.execute(_INSERT_FACT, **at, value=value, valid_to_at=tables.FOREVER_US)


def upwards(tx: transaction.Transaction, *, column: str, value: str) -> tuple[model.Tenant, ...]:
    """The tenant whose `column` ('id' or 'code') is `value` and its ancestors of the present, leaf first; () if there is none.

    One statement for whoever asks for the tenant, for one above it or for the path, until somebody changes the tree.
    """
    found: tuple[model.Tenant, ...] | None = tx.recall(("upwards", column, value))
    if found is None:
        found = tuple(_tenant(row) for row in tx.execute(_UP_FROM[column], value=value))
        for level, tenant in enumerate(found):
            for key in ("id", tenant.id), ("code", tenant.code):
                tx.keep(("upwards", *key), found[level:], _T, _A)
    return found


def by_code(tx: transaction.Transaction, code: str) -> model.Tenant | None:
    """The tenant of a code."""
    return next(iter(upwards(tx, column="code", value=code)), None)


def by_id(tx: transaction.Transaction, tenant_id: str) -> model.Tenant | None:
    """The tenant of an id."""
    return next(iter(upwards(tx, column="id", value=tenant_id)), None)


def root(tx: transaction.Transaction) -> model.Tenant | None:
    """The one tenant without a parent; None before init."""
    row = tx.one(transaction.sql("SELECT * FROM tenants WHERE parent_id = ''"))
    return None if row is None else _tenant(row)


def tenants(tx: transaction.Transaction, tenant_ids: Sequence[str] | None) -> list[model.Tenant]:
    """Tenants by code: those of `tenant_ids`, or all."""
    rows = tx.execute(_ALL) if tenant_ids is None else tx.execute(_BY_IDS, tenant_ids=list(tenant_ids))
    return [_tenant(row) for row in rows]


def path(tx: transaction.Transaction, tenant_id: str) -> list[tuple[str, str, str]]:
    """(id, code, state) of the tenant and its ancestors of the present, leaf first; [] for an unknown id."""
    found: list[tuple[str, str, str]] | None = tx.recall(("path", tenant_id))
    if found is None:
        found = [(tenant.id, tenant.code, str(tenant.state)) for tenant in upwards(tx, column="id", value=tenant_id)]
        if found:
            tx.keep(("path", tenant_id), found, _T, _A)
    return found


def children(tx: transaction.Transaction, parent_ids: Sequence[str]) -> list[model.Tenant]:
    """Tenants right below some tenants now, by code."""
    return [_tenant(row) for row in tx.execute(_CHILDREN, parent_ids=list(parent_ids))]


def below(tx: transaction.Transaction, tenant_ids: Sequence[str]) -> list[str]:
    """Ids of these tenants and all that stand below them now."""
    return [row["tenant_id"] for row in tx.execute(_BELOW, tenant_ids=list(tenant_ids))]


def facts_up_at(tx: transaction.Transaction, tenant_id: str, at_us: int) -> list[dict[str, Any]]:
    """tenant_id, code, fact and value, at a moment, of a tenant and of all above it then."""
    return tx.execute(_FACTS_UP_AT, tenant_id=tenant_id, at=at_us)


def facts_at(tx: transaction.Transaction, at_us: int) -> list[dict[str, Any]]:
    """tenant_id, fact and value of all tenants at a moment."""
    return tx.execute(_FACTS_AT, at=at_us)


def history(tx: transaction.Transaction, tenant_id: str) -> list[dict[str, Any]]:
    """All dated facts of a tenant: fact, value, valid_from_at, valid_to_at (tables.FOREVER_US: until further notice)."""
    return tx.execute(_HISTORY, tenant_id=tenant_id)


def spans_above(tx: transaction.Transaction, tenant_id: str, from_us: int) -> list[model.Span]:
    """The tenant and everyone above it at some moment from `from_us` on, each with the time during which it was so."""
    return _walk(tx, tenant_id, from_us, join="f.tenant_id = walk.tenant_id", step="f.value", also="AND f.value <> ''")


def spans_below(tx: transaction.Transaction, tenant_id: str, from_us: int) -> list[model.Span]:
    """The tenant and everyone below it at some moment from `from_us` on."""
    return _walk(tx, tenant_id, from_us, join="f.value = walk.tenant_id", step="f.tenant_id", also="")


def _walk(tx: transaction.Transaction, tenant_id: str, from_us: int, *, join: str, step: str, also: str) -> list[model.Span]:
    later, earlier = ("greatest", "least") if tx.dialect == "postgresql" else ("max", "min")
    statement = transaction.sql(
        "WITH RECURSIVE walk(tenant_id, level, start_us, end_us) AS ("
        f"SELECT CAST(:tenant_id AS TEXT), 0, CAST(:from_us AS BIGINT), CAST({tables.FOREVER_US} AS BIGINT) UNION ALL"
        f" SELECT {step}, walk.level + 1, {later}(walk.start_us, f.valid_from_at), {earlier}(walk.end_us, f.valid_to_at) FROM walk"
        f" JOIN tenant_facts f ON {join} AND f.fact = 'parent' AND f.valid_from_at < walk.end_us AND f.valid_to_at >"
        f" walk.start_us {also}"
        " WHERE walk.level < 9) SELECT tenant_id, level, start_us, end_us FROM walk"
    )
    return [model.Span(**row) for row in tx.execute(statement, tenant_id=tenant_id, from_us=from_us)]


def insert_project(tx: transaction.Transaction, project: model.Project, valid_from_us: int) -> None:
    """A project with its first owner."""
    row = {"id": project.id, "tenant_id": project.tenant_id, "code": project.code, "name": project.name}
    tx.execute(_INSERT_PROJECT, **row, generation=project.generation, created_at=clock.to_us(project.created_at))
    tx.execute(
        _INSERT_OWNER,
        project_id=project.id,
        tenant_id=project.tenant_id,
        valid_from_at=valid_from_us,
        valid_to_at=tables.FOREVER_US,
    )


def project(tx: transaction.Transaction, tenant_id: str, code: str) -> model.Project | None:
    """The project of a code in a tenant."""
    kept: model.Project | None = tx.recall(("project", tenant_id, code))
    if kept is not None:
        return kept
    row = tx.one(
        transaction.sql("SELECT * FROM projects WHERE tenant_id = :tenant_id AND code = :code"), tenant_id=tenant_id, code=code
    )
    return None if row is None else _kept(tx, row)


def project_by_id(tx: transaction.Transaction, project_id: str) -> model.Project | None:
    """The project of an id."""
    kept: model.Project | None = tx.recall(("project", project_id))
    if kept is not None:
        return kept
    row = tx.one(transaction.sql("SELECT * FROM projects WHERE id = :project_id"), project_id=project_id)
    return None if row is None else _kept(tx, row)


_PROJECTS_ALL: Final = sa.select(tables.PROJECTS).order_by(tables.PROJECTS.c.code, tables.PROJECTS.c.id)
_PROJECTS_OF: Final = _PROJECTS_ALL.where(columns.among(tables.PROJECTS.c.tenant_id, "tenant_ids"))


def projects(tx: transaction.Transaction, tenant_ids: Sequence[str] | None) -> list[model.Project]:
    """Projects by code: those of `tenant_ids`, or all."""
    rows = tx.execute(_PROJECTS_ALL) if tenant_ids is None else tx.execute(_PROJECTS_OF, tenant_ids=list(tenant_ids))
    return [_project(row) for row in rows]


def rename_project(tx: transaction.Transaction, project_id: str, name: str) -> None:
    """A new name; the generation grows by one."""
    tx.execute(
        transaction.sql("UPDATE projects SET name = :name, generation = generation + 1 WHERE id = :project_id"),
        project_id=project_id,
        name=name,
    )


def move_project(tx: transaction.Transaction, project_id: str, tenant_id: str, code: str, valid_from_us: int) -> None:
    """Another owner, and a code there, from a moment on that no later owner is known for; the generation grows by one."""
    at = {"project_id": project_id, "valid_from_at": valid_from_us}
    tx.execute(
        transaction.sql(
            "UPDATE projects SET tenant_id = :tenant_id, code = :code, generation = generation + 1 WHERE id = :project_id"
        ),
        project_id=project_id,
        tenant_id=tenant_id,
        code=code,
    )
    same = "UPDATE project_owners SET tenant_id = :tenant_id WHERE project_id = :project_id AND valid_from_at = :valid_from_at"
    if not tx.changed(transaction.sql(same), **at, tenant_id=tenant_id):
        cut = "UPDATE project_owners SET valid_to_at = :valid_from_at WHERE project_id = :project_id AND valid_to_at = :forever"
        tx.execute(transaction.sql(cut), **at, forever=tables.FOREVER_US)
        tx.execute(_INSERT_OWNER, **at, tenant_id=tenant_id, valid_to_at=tables.FOREVER_US)


def project_owned_since(tx: transaction.Transaction, project_id: str) -> int:
    """Since when a project has its present owner, microseconds."""
    row = tx.one(
        transaction.sql("SELECT max(valid_from_at) AS since_at FROM project_owners WHERE project_id = :project_id"),
        project_id=project_id,
    )
    return 0 if row is None else int(row["since_at"] or 0)


def project_owner_at(tx: transaction.Transaction, project_id: str, at_us: int) -> str | None:
    """Id of the tenant that owned a project at a moment."""
    row = tx.one(
        transaction.sql(
            "SELECT tenant_id FROM project_owners WHERE project_id = :project_id AND valid_from_at <= :at AND valid_to_at > :at"
        ),
        project_id=project_id,
        at=at_us,
    )
    return None if row is None else row["tenant_id"]


def _row(tenant: model.Tenant) -> dict[str, Any]:
    return {
        "id": tenant.id,
        "code": tenant.code,
        "parent_id": tenant.parent_id,
        "name": tenant.name,
        "payer_id": tenant.payer_id,
        "budget_unit": tenant.budget_unit,
        "credit_code": tenant.credit_code,
        "protection_level": tenant.protection_level,
        "state": str(tenant.state),
        "generation": tenant.generation,
    }


def _tenant(row: dict[str, Any]) -> model.Tenant:
    return model.Tenant(**{**row, "state": model.State(row["state"]), "created_at": clock.from_us(row["created_at"])})


def _kept(tx: transaction.Transaction, row: dict[str, Any]) -> model.Project:
    found = _project(row)
    for key in ("project", found.id), ("project", found.tenant_id, found.code):
        tx.keep(key, found, tables.PROJECTS)
    return found


def _project(row: dict[str, Any]) -> model.Project:
    return model.Project(**{**row, "created_at": clock.from_us(row["created_at"])})
