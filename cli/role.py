"""`govpool role`: the table of what each role may do, and who holds which where."""

from typing import Annotated

import typer

from apiclient import client as api
from cli import output, session
from cli.texts import say

app = session.app(say("roles, and the table of what each may do", "角色与权限表"))

_COLUMNS: list[output.Column] = [
    (say("TENANT", "单位"), "tenant"),
    (say("ACCOUNT", "账号"), "account"),
    (say("NAME", "姓名"), "name"),
    (say("ROLE", "角色"), "role"),
]
_Account = Annotated[str, typer.Argument(help=say("login name", "登录名"))]
_Role = Annotated[
    str,
    typer.Argument(
        help="requester, approver, operator, finance, viewer, system_admin, security_admin, audit_admin", metavar="ROLE"
    ),
]
_Tenant = Annotated[str, typer.Option(help=say("tenant code; valid there and below", "单位代码；对其下级同样有效"))]


@app.command("table", help=say("Which role may do what: deny by default.", "各角色的权限；未列出的一律禁止。"))
def show_table(
    ctx: typer.Context,
    role: Annotated[str, typer.Option(help=say("only lines of this role", "仅该角色"))] = "",
    kind: Annotated[str, typer.Option(help=say("only lines of this kind", "仅该对象"))] = "",
) -> None:
    """The table."""
    columns: list[output.Column] = [
        (say("KIND", "对象"), "kind"),
        (say("VERB", "操作"), "verb"),
        (say("ROLES", "角色"), "roles"),
        (say("BOUND", "授权位置"), "bound"),
    ]
    output.show(ctx, session.client(ctx).pages("/v1/roles", role=role, kind=kind), columns=columns)


@app.command("list", help=say("Who holds which role.", "角色授予情况。"))
def list_roles(
    ctx: typer.Context,
    tenant: Annotated[str, typer.Option(help=say("bound there and below", "该单位及其下级"))] = "",
    role: Annotated[str, typer.Option(help=say("only this role", "仅该角色"))] = "",
) -> None:
    """Bindings."""
    output.show(ctx, session.client(ctx).pages("/v1/bindings", tenant=tenant, role=role), columns=_COLUMNS)


@app.command("grant", help=say("Grant a role at a tenant, valid there and below.", "在单位授予角色，对其下级同样有效。"))
def grant_role(ctx: typer.Context, account: _Account, role: _Role, tenant: _Tenant = "") -> None:
    """Grant."""
    body = {"account": account, "role": role, "tenant": session.tenant(ctx, tenant)}
    output.show(ctx, session.client(ctx).post("/v1/bindings", body), columns=[_COLUMNS[0], _COLUMNS[1], _COLUMNS[3]])


@app.command("revoke", help=say("End a role at a tenant.", "撤销角色。"))
def revoke_role(ctx: typer.Context, account: _Account, role: _Role, tenant: _Tenant = "") -> None:
    """Revoke."""
    ended = session.client(ctx).delete(api.path("/v1/bindings/{}/{}/{}", session.tenant(ctx, tenant), account, role))
    output.show(ctx, ended, columns=[_COLUMNS[0], _COLUMNS[1], _COLUMNS[3]])
