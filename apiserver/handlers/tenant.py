"""Routes of tenants and their members."""

from typing import Annotated, Any, Literal

import msgspec

from apiserver import page, route
from control import case, export, member, merge, tenant

Code = Annotated[str, msgspec.Meta(min_length=1, max_length=63)]
Name = Annotated[str, msgspec.Meta(min_length=1, max_length=100)]
Over = Annotated[bool, msgspec.Meta(description="let a limit be less than what is used; only shrinking passes until it fits")]
Moment = Annotated[str, msgspec.Meta(max_length=40, description="ISO 8601 with offset; empty: now")]


class TenantQuery(page.Query, kw_only=True):
    """Filters of the list."""

    parent: Annotated[str, msgspec.Meta(max_length=63, description="only those directly below")] = ""
    state: Annotated[str, msgspec.Meta(max_length=10, description="active, frozen, closing or closed")] = ""


class NewTenant(tenant.Spec, kw_only=True):
    """A tenant to be founded."""

    code: Code


class Change(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """What changes; a field left out stays."""

    name: Name | msgspec.UnsetType = msgspec.UNSET
    payer: Annotated[str, msgspec.Meta(max_length=63)] | msgspec.UnsetType = msgspec.UNSET
    budget_unit: Annotated[str, msgspec.Meta(max_length=32)] | msgspec.UnsetType = msgspec.UNSET
    credit_code: Annotated[str, msgspec.Meta(max_length=24)] | msgspec.UnsetType = msgspec.UNSET
    protection_level: Annotated[int, msgspec.Meta(ge=1, le=4)] | msgspec.UnsetType = msgspec.UNSET
    valid_from: Moment = ""


class Move(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """Where a tenant goes."""

    parent: Code
    valid_from: Moment = ""
    allow_over: Over = False


class Merge(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """Into which tenant one is merged; a second person says exactly the same."""

    into: Code
    valid_from: Moment = ""
    allow_over: Over = False
    prefix: Annotated[str, msgspec.Meta(max_length=32, description="put before the codes of projects that clash")] = ""


class Merged(msgspec.Struct, kw_only=True):
    """What went over, or (`asked`) what would; `roles_ended` are granted anew where they are needed."""

    tenant: str
    into: str
    state: Literal["asked", "merged"]
    resources: int
    projects: list[dict[str, str]]
    reported: int | msgspec.UnsetType = msgspec.UNSET
    tenants: list[str] | msgspec.UnsetType = msgspec.UNSET
    grants: list[dict[str, Any]] | msgspec.UnsetType = msgspec.UNSET
    budgets: list[dict[str, str]] | msgspec.UnsetType = msgspec.UNSET
    waiting_orders: int | msgspec.UnsetType = msgspec.UNSET
    approval_rules: list[str] | msgspec.UnsetType = msgspec.UNSET
    pays_for: list[str] | msgspec.UnsetType = msgspec.UNSET
    accounts: int | msgspec.UnsetType = msgspec.UNSET
    roles_ended: list[dict[str, str]] | msgspec.UnsetType = msgspec.UNSET


class NewMember(member.Spec, kw_only=True):
    """A person to be added; `account` is the login name."""

    account: Code


class Tenant(msgspec.Struct, kw_only=True):
    """A tenant as a document."""

    apiVersion: str
    kind: str
    metadata: dict[str, Any]
    spec: dict[str, Any]
    status: dict[str, Any]


class Fact(msgspec.Struct, kw_only=True):
    """One dated fact: parent, name or payer; `valid_to` is empty while it holds."""

    fact: str
    value: str
    valid_from: str
    valid_to: str


class Member(msgspec.Struct, kw_only=True):
    """Somebody at home in a tenant, or a guest with a role there."""

    account: str
    name: str
    kind: str
    at: str
    roles: list[str]


class Added(msgspec.Struct, kw_only=True):
    """A new member with the code for `login`, shown once."""

    account: str
    person_id: str
    name: str
    tenant: str
    roles: list[str]
    code: str
    code_expires_at: str


class Removed(msgspec.Struct, kw_only=True):
    """The roles that ended."""

    account: str
    tenant: str
    roles: list[str]


def list_tenants(tx: Any, call: route.Call) -> Any:
    """Tenants that the caller sees, by code."""
    rows = tenant.list_tenants(tx, call.who, parent=call.query.parent, state=call.query.state)
    return page.whole(rows, call, lambda row: [row["metadata"]["name"]])


def show_tenant(tx: Any, call: route.Call) -> Any:
    """One tenant with its path."""
    return tenant.show_tenant(tx, call.who, call.path["tenant"])


def show_history(tx: Any, call: route.Call) -> Any:
    """Where a tenant stood, what it was called and who paid, through time."""
    return page.whole(tenant.show_history(tx, call.who, call.path["tenant"]), call, lambda row: [row["fact"], row["valid_from"]])


def export_tenant(tx: Any, call: route.Call) -> route.Raw:
    """All that belongs to a tenant, as JSON lines."""
    code = call.path["tenant"]
    return route.Raw(content=export.export_tenant(tx, call.who, code), media="application/x-ndjson", filename=f"{code}.jsonl")


def create_tenant(call: route.Call) -> case.UseCase:
    """Found a tenant under a parent."""
    return tenant.create_tenant(call.body.code, call.body)


def update_tenant(call: route.Call) -> case.UseCase:
    """Change name, payer, budget unit, credit code or protection level."""
    values = {name: getattr(call.body, name) for name in ("name", "payer", "budget_unit", "credit_code", "protection_level")}
    given = {name: value for name, value in values.items() if value is not msgspec.UNSET}
    return tenant.update_tenant(call.path["tenant"], given, valid_from=call.body.valid_from, if_match=call.context.if_match)


def move_tenant(call: route.Call) -> case.UseCase:
    """Put a tenant, with all below it, under another parent."""
    return tenant.move_tenant(
        call.path["tenant"],
        call.body.parent,
        valid_from=call.body.valid_from,
        if_match=call.context.if_match,
        allow_over=call.body.allow_over,
    )


def merge_tenant(call: route.Call) -> case.UseCase:
    """Merge a tenant into another for ever: asked for by one person (202), agreed to by a second; `dry_run` shows what would go over."""
    body = call.body
    terms = merge.Terms(
        tenant=call.path["tenant"],
        into=body.into,
        valid_from=body.valid_from,
        allow_over=body.allow_over,
        prefix=body.prefix,
    )
    return merge.merge(terms, dry_run=call.dry_run)


def freeze_tenant(call: route.Call) -> case.UseCase:
    """Stop all changes by a tenant's own people."""
    return tenant.freeze_tenant(call.path["tenant"])


def unfreeze_tenant(call: route.Call) -> case.UseCase:
    """Let a tenant's people work again."""
    return tenant.unfreeze_tenant(call.path["tenant"])


def offboard_tenant(call: route.Call) -> case.UseCase:
    """Wind up a tenant of which nothing lives any more; for ever."""
    return tenant.offboard_tenant(call.path["tenant"])


def list_members(tx: Any, call: route.Call) -> Any:
    """The people of a tenant."""
    return page.whole(member.list_members(tx, call.who, call.path["tenant"]), call, lambda row: [row["account"]])


def add_member(call: route.Call) -> case.UseCase:
    """Add a person with an account; the answer shows the login code once."""
    return member.add_member(call.path["tenant"], call.body.account, call.body)


def remove_member(call: route.Call) -> case.UseCase:
    """End all roles of an account at and below a tenant."""
    return member.remove_member(call.path["tenant"], call.path["account"])


ROUTES = [
    route.read("GET", "/v1/tenants", "tenant.list", list_tenants, query=TenantQuery, answer=page.Page[Tenant]),
    route.change("POST", "/v1/tenants", "tenant.create", create_tenant, body=NewTenant, answer=Tenant, status=201),
    route.read("GET", "/v1/tenants/{tenant}", "tenant.show", show_tenant, answer=Tenant),
    route.change("PATCH", "/v1/tenants/{tenant}", "tenant.update", update_tenant, body=Change, answer=Tenant),
    route.read("GET", "/v1/tenants/{tenant}/history", "tenant.history", show_history, query=page.Query, answer=page.Page[Fact]),
    route.read("GET", "/v1/tenants/{tenant}/export", "tenant.export", export_tenant, media="application/x-ndjson"),
    route.change("POST", "/v1/tenants/{tenant}/move", "tenant.move", move_tenant, body=Move, answer=Tenant),
    route.change("POST", "/v1/tenants/{tenant}/merge", "tenant.merge", merge_tenant, body=Merge, answer=Merged),
    route.change("POST", "/v1/tenants/{tenant}/freeze", "tenant.freeze", freeze_tenant, answer=Tenant),
    route.change("POST", "/v1/tenants/{tenant}/unfreeze", "tenant.unfreeze", unfreeze_tenant, answer=Tenant),
    route.change("POST", "/v1/tenants/{tenant}/offboard", "tenant.offboard", offboard_tenant, answer=Tenant),
    route.read("GET", "/v1/tenants/{tenant}/members", "member.list", list_members, query=page.Query, answer=page.Page[Member]),
    route.change("POST", "/v1/tenants/{tenant}/members", "member.add", add_member, body=NewMember, answer=Added, status=201),
    route.change("DELETE", "/v1/tenants/{tenant}/members/{account}", "member.remove", remove_member, answer=Removed),
]
