"""Routes of roles: the table, and who holds which where."""

from typing import Annotated, Any

import msgspec

from apiserver import page, route
from control import case, role
from tenants import model

Code = Annotated[str, msgspec.Meta(min_length=1, max_length=63)]


class TableQuery(page.Query, kw_only=True):
    """Filters of the table."""

    role: model.Role | None = None
    kind: Annotated[str, msgspec.Meta(max_length=30)] = ""


class BindingQuery(page.Query, kw_only=True):
    """Filters of the list."""

    tenant: Annotated[str, msgspec.Meta(max_length=63, description="only those bound there and below")] = ""
    role: model.Role | None = None


class NewBinding(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """A role to be granted."""

    account: Code
    role: model.Role
    tenant: Code


class Line(msgspec.Struct, kw_only=True):
    """One line of the table: the roles that allow a verb on a kind, and where they must be bound."""

    kind: str
    verb: str
    roles: str
    bound: str


class Binding(msgspec.Struct, kw_only=True):
    """A role of an account at a tenant; `name` and `kind` only in lists."""

    account: str
    role: str
    tenant: str
    name: str = ""
    kind: str = ""


def show_table(_: Any, call: route.Call) -> Any:
    """The role table."""
    rows = role.show_table(role=call.query.role or "", kind=call.query.kind)
    return page.whole(rows, call, lambda row: [row["kind"], row["verb"]])


def list_bindings(tx: Any, call: route.Call) -> Any:
    """Who holds which role, where the caller may list it."""
    rows = role.list_bindings(tx, call.who, tenant=call.query.tenant, role=call.query.role or "")
    return page.whole(rows, call, lambda row: [row["tenant"], row["account"], row["role"]])


def grant_role(call: route.Call) -> case.UseCase:
    """Grant a role at a tenant, valid there and below."""
    return role.grant_role(call.body.account, call.body.role, call.body.tenant)


def revoke_role(call: route.Call) -> case.UseCase:
    """End a role at a tenant."""
    return role.revoke_role(call.path["account"], call.path["role"], call.path["tenant"])


ROUTES = [
    route.read("GET", "/v1/roles", "role.table", show_table, query=TableQuery, answer=page.Page[Line]),
    route.read("GET", "/v1/bindings", "role.list", list_bindings, query=BindingQuery, answer=page.Page[Binding]),
    route.change("POST", "/v1/bindings", "role.grant", grant_role, body=NewBinding, answer=Binding, status=201),
    route.change("DELETE", "/v1/bindings/{tenant}/{account}/{role}", "role.revoke", revoke_role, answer=Binding),
]
