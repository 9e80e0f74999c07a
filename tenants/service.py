"""What other rooms ask of this one: which tenant, where it stood, who asks and whether he may.  Verbs take the open transaction.

Changes of the tree are in `tenants.tree`, of people and roles in `tenants.people`, of tokens in `tenants.signin`.
"""

import datetime
from collections.abc import Mapping, Sequence

from primitives import clock, errors
from store import transaction
from tenants import faults, model, role_table, rules, signin
from tenants.records import people as people_records
from tenants.records import tree as records

authenticate = signin.authenticate
renew = signin.renew


def by_code(tx: transaction.Transaction, code: str) -> model.Tenant:
    """The tenant of a code.  Raises object.unknown; whether the caller may know of it is `require`'s business."""
    tenant = records.by_code(tx, code)
    if tenant is None:
        raise faults.UNKNOWN(kind="tenant")
    return tenant


def by_id(tx: transaction.Transaction, tenant_id: str) -> model.Tenant:
    """The tenant of an id.  Raises object.unknown."""
    tenant = records.by_id(tx, tenant_id)
    if tenant is None:
        raise faults.UNKNOWN(kind="tenant")
    return tenant


def by_ids(tx: transaction.Transaction, tenant_ids: list[str]) -> dict[str, model.Tenant]:
    """Tenants by id, in one statement; unknown ids are left out."""
    return {tenant.id: tenant for tenant in records.tenants(tx, tenant_ids)}


def root(tx: transaction.Transaction) -> model.Tenant:
    """The root of the installation: pools, prices and meters belong to it.  Raises object.unknown before `init`."""
    tenant = records.root(tx)
    if tenant is None:
        raise faults.UNKNOWN(kind="tenant")
    return tenant


def path_ids(tx: transaction.Transaction, tenant_id: str) -> list[str]:
    """Ids from the tenant up to the root, [leaf .. root], of the present.  Raises object.unknown."""
    return [node for node, _, _ in _path(tx, tenant_id, "tenant")]


def path_codes(tx: transaction.Transaction, tenant_id: str) -> list[str]:
    """Codes from the tenant up to the root, of the present.  Raises object.unknown."""
    return [code for _, code, _ in _path(tx, tenant_id, "tenant")]


def subtree_ids(tx: transaction.Transaction, tenant_id: str) -> list[str]:
    """Ids of the tenant and all that stand below it now."""
    return records.below(tx, [tenant_id])


def children(tx: transaction.Transaction, tenant_id: str) -> list[model.Tenant]:
    """The tenants directly below a tenant now, by code."""
    return records.children(tx, [tenant_id])


def children_of(tx: transaction.Transaction, tenant_ids: Sequence[str]) -> dict[str, list[str]]:
    """tenant -> ids of those right below it now, in one statement."""
    found: dict[str, list[str]] = {tenant_id: [] for tenant_id in tenant_ids}
    for child in records.children(tx, tenant_ids):
        found[child.parent_id].append(child.id)
    return found


def all_tenants(tx: transaction.Transaction) -> list[model.Tenant]:
    """Every tenant there ever was, by code; for jobs of the installation, never for an answer to a caller."""
    return records.tenants(tx, None)


def place_at(tx: transaction.Transaction, tenant_id: str, at: datetime.datetime) -> model.Place:
    """Path, names and payer of a tenant at a moment.  Raises object.unknown if it did not stand in the tree then."""
    facts: dict[str, dict[str, str]] = {}
    codes: dict[str, str] = {}
    for row in records.facts_up_at(tx, tenant_id, clock.to_us(at)):
        facts.setdefault(row["tenant_id"], {})[row["fact"]] = row["value"]
        codes[row["tenant_id"]] = row["code"]
    return _place(tenant_id, facts, codes)


def places_at(tx: transaction.Transaction, at: datetime.datetime) -> dict[str, model.Place]:
    """Path, names and payer of every tenant that stood in the tree at a moment, in two statements."""
    facts: dict[str, dict[str, str]] = {}
    for row in records.facts_at(tx, clock.to_us(at)):
        facts.setdefault(row["tenant_id"], {})[row["fact"]] = row["value"]
    codes = {tenant.id: tenant.code for tenant in records.tenants(tx, None)}
    return {tenant_id: _place(tenant_id, facts, codes) for tenant_id in facts}


def project(tx: transaction.Transaction, tenant_id: str, code: str) -> model.Project:
    """The project of a code in a tenant.  Raises object.unknown."""
    found = records.project(tx, tenant_id, code)
    if found is None:
        raise faults.UNKNOWN(kind="project")
    return found


def project_by_id(tx: transaction.Transaction, project_id: str) -> model.Project:
    """The project of an id.  Raises object.unknown."""
    found = records.project_by_id(tx, project_id)
    if found is None:
        raise faults.UNKNOWN(kind="project")
    return found


def require(tx: transaction.Transaction, who: model.Principal, verb: str, kind: str, *, tenant_id: str | None) -> model.Permit:
    """The permit of `who` to do `verb` to a `kind` of a tenant; None means the installation itself (its root).

    Raises object.unknown (404) to whoever holds no role at the tenant or above it, with the same text as an unknown id;
    role.forbidden (403) to whoever sees it but may not; tenant.frozen.
    """
    asked = tenant_id if tenant_id is not None else root(tx).id
    anywhere = tenant_id is None and (kind, verb) in role_table.EVERYWHERE
    try:
        return rules.decide(who.bindings, _path(tx, asked, kind), verb, kind, anywhere=anywhere)
    except errors.GovpoolError as error:
        if tenant_id is None and error.fault is faults.UNKNOWN:  # the installation is no secret: a plain no
            held = ", ".join(sorted({binding.role for binding in who.bindings})) or "none at the root"
            needed = ", ".join(role_table.roles_for(kind, verb))
            raise faults.FORBIDDEN(roles=held, verb=verb, kind=kind, needed=needed or "nobody") from error
        raise


def own(who: model.Principal, verb: str, kind: str) -> model.Permit:
    """The permit of everyone for what is his own: rule 'self.token.rotate'.  Raises role.forbidden."""
    if (kind, verb) not in role_table.SELF:
        raise faults.FORBIDDEN(roles="self", verb=verb, kind=kind, needed=", ".join(role_table.roles_for(kind, verb)) or "nobody")
    return model.Permit(role="self", rule=f"self.{kind}.{verb}", tenant_id=who.tenant_id)


def scope(tx: transaction.Transaction, who: model.Principal, *, verb: str = "", kind: str = "") -> model.Scope:
    """The tenants whose things `who` may list: those at and below his roles.

    With `verb` and `kind` only roles that allow it count: an audit administrator at the root has no scope over VMs.  Every
    tenant query is built from this: `everything` needs no filter, else `columns.among(column, "ids")` with `tenant_ids`.
    """
    pair = (kind, verb)
    nodes = sorted({binding.tenant_id for binding in who.bindings if not verb or pair in role_table.TABLE[binding.role]})
    if not nodes:
        return model.Scope(tenant_ids=(), everything=False)
    top = records.root(tx)
    if top is not None and top.id in nodes:
        return model.Scope(tenant_ids=(), everything=True)
    return model.Scope(tenant_ids=tuple(sorted(records.below(tx, nodes))), everything=False)


def sees(tx: transaction.Transaction, who: model.Principal, tenant_id: str) -> bool:
    """Whether `who` holds any role at the tenant or above it."""
    return bool(rules.held_at(who.bindings, path_ids(tx, tenant_id)))


def person_names(tx: transaction.Transaction, person_ids: list[str]) -> Mapping[str, str]:
    """Names of persons by id, for lists that show who asked and who agreed."""
    return people_records.names(tx, person_ids)


def _path(tx: transaction.Transaction, tenant_id: str, kind: str) -> list[tuple[str, str, str]]:
    path = records.path(tx, tenant_id)
    if not path:
        raise faults.UNKNOWN(kind=kind)
    return path


def _place(tenant_id: str, facts: Mapping[str, Mapping[str, str]], codes: Mapping[str, str]) -> model.Place:
    path: list[str] = []
    node = tenant_id
    while node:
        if node not in facts or len(path) >= rules.LEVELS_MAX:
            raise faults.UNKNOWN(kind="tenant")
        path.append(node)
        node = facts[node]["parent"]
    path.reverse()
    return model.Place(
        tenant_id=tenant_id,
        path_ids=tuple(path),
        path=tuple(codes[node] for node in path),
        names=tuple(facts[node]["name"] for node in path),
        payer_id=facts[tenant_id]["payer"],
    )
