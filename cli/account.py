"""`govpool account`: accounts of people and of their programs."""

from typing import Annotated

import typer

from apiclient import client as api
from cli import output, session
from cli.texts import say

app = session.app(say("accounts and service accounts", "账号与服务账号"))

_COLUMNS: list[output.Column] = [
    (say("ACCOUNT", "账号"), "account"),
    (say("KIND", "类型"), "kind"),
    (say("NAME", "姓名"), "name"),
    (say("TENANT", "单位"), "tenant"),
    (say("STATE", "状态"), "state"),
]
_Account = Annotated[str, typer.Argument(help=say("login name", "登录名"))]


@app.command("list", help=say("Your accounts, and those that you may list.", "您的账号及您可查看的账号。"))
def list_accounts(
    ctx: typer.Context, tenant: Annotated[str, typer.Option(help=say("at home there and below", "所属单位及其下级"))] = ""
) -> None:
    """List."""
    output.show(ctx, session.client(ctx).pages("/v1/accounts", tenant=tenant), columns=_COLUMNS)


@app.command("show", help=say("One account with its roles.", "查看账号及其角色。"))
def show_account(ctx: typer.Context, account: _Account) -> None:
    """Show."""
    found = session.client(ctx).get(api.path("/v1/accounts/{}", account))
    roles: output.Column = (say("ROLES", "角色"), lambda row: [f"{held['role']} @ {held['tenant']}" for held in row["roles"]])
    output.show(ctx, found, columns=[*_COLUMNS, roles])


@app.command("enrol", help=say("Print a fresh one-use code; its tokens so far end.", "生成新的一次性登录码；原有令牌失效。"))
def enrol_account(ctx: typer.Context, account: _Account) -> None:
    """Enrol."""
    session.confirm(ctx, say(f"End all sessions of {account} and print a new code?", f"结束 {account} 的全部会话并生成新登录码？"))
    made = session.client(ctx).post(api.path("/v1/accounts/{}/enrol", account))
    columns: list[output.Column] = [
        (say("ACCOUNT", "账号"), "account"),
        (say("CODE", "登录码"), "code"),
        (say("VALID UNTIL", "有效至"), "code_expires_at"),
    ]
    output.show(ctx, made, columns=columns)


@app.command(
    "create-service",
    help=say("An account for a program of yours; prints its token once.", "为您的程序创建服务账号；令牌仅显示一次。"),
)
def create_service(
    ctx: typer.Context,
    account: _Account,
    tenant: Annotated[str, typer.Option(help=say("tenant code; else the context's", "单位代码；默认取上下文"))] = "",
    role: Annotated[list[str] | None, typer.Option(help=say("one of your own roles there", "您在该单位已有的角色"))] = None,
) -> None:
    """Create a service account."""
    body = {"account": account, "tenant": session.tenant(ctx, tenant), "roles": role or []}
    made = session.client(ctx).post("/v1/service-accounts", body)
    columns: list[output.Column] = [
        (say("ACCOUNT", "账号"), "account"),
        (say("TENANT", "单位"), "tenant"),
        (say("ROLES", "角色"), "roles"),
        (say("TOKEN", "令牌"), "token"),
    ]
    output.show(ctx, made, columns=columns)


@app.command("disable", help=say("End an account for good, with its roles and tokens.", "永久停用账号，其角色与令牌同时失效。"))
def disable_account(ctx: typer.Context, account: _Account) -> None:
    """Disable."""
    session.confirm(ctx, say(f"Disable {account} for good?", f"永久停用 {account}？"), name=account)
    ended = session.client(ctx).post(api.path("/v1/accounts/{}/disable", account))
    output.show(ctx, ended, columns=[(say("ACCOUNT", "账号"), "account"), (say("DISABLED", "已停用"), "disabled")])
