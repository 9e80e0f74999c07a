"""Projects: everything that a tenant orders belongs to one."""

from typing import Annotated, Any, Final

import msgspec

from control import access, case, document, move
from orders import faults as orders_faults
from orders import service as orders
from primitives import clock
from store.transaction import Transaction
from tenants import model, service, tree

API_VERSION: Final = "govpool/v1"


class Spec(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """What a project is to be."""

    name: Annotated[str, msgspec.Meta(min_length=1, max_length=100, description="for people, in any script")]


def create_project(tenant: str, code: str, name: str) -> case.UseCase:
    """Open a project of a tenant."""

    def effect(tx: Transaction, _: model.Principal, __: model.Permit) -> case.Answer:
        owner = service.by_code(tx, tenant)
        if orders.held(tx, [orders.held_name(owner.id, move.PROJECT, code)]):
            raise orders_faults.NAME_HELD(kind=move.PROJECT, name=code)
        return _answer(owner, None, tree.create_project(tx, owner, code, name), status=201)

    return case.UseCase(action="project.create", permit=_asked(tenant, "create"), effect=effect)


def update_project(tenant: str, code: str, name: str, *, if_match: int | None = None) -> case.UseCase:
    """Another name for a project."""

    def effect(tx: Transaction, _: model.Principal, __: model.Permit) -> case.Answer:
        owner = service.by_code(tx, tenant)
        before = service.project(tx, owner.id, code)
        access.matches(if_match, before.generation, kind="project", name=code)
        after = before if before.name == name else tree.rename_project(tx, before, name)
        return _answer(owner, before, after)

    return case.UseCase(action="project.update", permit=_asked(tenant, "update"), effect=effect)


def put_project(tenant: str, code: str, name: str, *, if_match: int | None = None) -> case.UseCase:
    """Make a project be as a document says: open it, or rename it if its name differs."""

    def chosen(tx: Transaction, who: model.Principal) -> case.UseCase:
        owner = access.tenant(tx, who, tenant, "list", "project")[0]
        if tree.find_project(tx, owner.id, code) is None:
            return create_project(tenant, code, name)
        return update_project(tenant, code, name, if_match=if_match)

    return case.UseCase(
        action="project.put",
        permit=lambda tx, who: chosen(tx, who).permit(tx, who),
        effect=lambda tx, who, permit: chosen(tx, who).effect(tx, who, permit),
    )


def list_projects(tx: Transaction, who: model.Principal, *, tenant: str = "") -> list[dict[str, Any]]:
    """Projects that the caller may list, by code; those of a tenant and below it if given."""
    scope = access.scope(tx, who, verb="list", kind="project")
    if tenant:
        owner = access.tenant(tx, who, tenant, "list", "project")[0]
        scope = model.Scope(tenant_ids=tuple(service.subtree_ids(tx, owner.id)), everything=False)
    found = tree.projects(tx, scope)
    owners = service.by_ids(tx, sorted({project.tenant_id for project in found}))
    return [_document(owners[project.tenant_id], project) for project in found]


def show_project(tx: Transaction, who: model.Principal, tenant: str, code: str) -> dict[str, Any]:
    """One project."""
    owner = access.tenant(tx, who, tenant, "show", "project")[0]
    return _document(owner, service.project(tx, owner.id, code))


def _asked(tenant: str, verb: str) -> case.Permit:
    return lambda tx, who: access.tenant(tx, who, tenant, verb, "project")[1]


def _answer(owner: model.Tenant, before: model.Project | None, after: model.Project, *, status: int = 200) -> case.Answer:
    return case.Answer(
        status=status,
        body=_document(owner, after),
        kind="project",
        object_id=after.id,
        generation=after.generation,
        tenant_id=owner.id,
        before=None if before is None else {"spec": _document(owner, before)["spec"]},
        after={"spec": _document(owner, after)["spec"]},
    )


def _document(owner: model.Tenant, project: model.Project) -> dict[str, Any]:
    return {
        "apiVersion": API_VERSION,
        "kind": "Project",
        "metadata": {"name": project.code, "tenant": owner.code, "id": project.id, "generation": project.generation},
        "spec": {"name": project.name},
        "status": {"created_at": clock.text(project.created_at)},
    }


document.register(
    "Project",
    Spec,
    lambda declared: put_project(
        declared.metadata.tenant, declared.metadata.name, declared.spec.name, if_match=declared.metadata.generation
    ),
    after_kinds={"Tenant"},
)
