"""`govpool token`: the tokens of an account; rotate one's own, revoke any that one may."""

import os
from typing import Annotated

import typer

from apiclient import client as api
from apiclient import contexts
from cli import output, session
from cli.texts import say

app = session.app(say("tokens of my account", "访问令牌"))

_COLUMNS: list[output.Column] = [
    (say("ID", "编号"), "id"),
    (say("ACCOUNT", "账号"), "account"),
    (say("STATE", "状态"), "state"),
    (say("THIS", "当前"), lambda row: "*" if row["current"] else ""),
    (say("CREATED", "创建时间"), "created_at"),
    (say("LAST USED", "最近使用"), "used_at"),
    (say("ENDS", "到期"), "expires_at"),
]


@app.command(
    "list",
    help=say(
        "Your tokens, without their secrets; of another account with --account.", "您的令牌（不含密钥）；可用 --account 指定账号。"
    ),
)
def list_tokens(ctx: typer.Context, account: Annotated[str, typer.Option(help=say("login name", "登录名"))] = "") -> None:
    """List."""
    output.show(ctx, session.client(ctx).pages("/v1/tokens", account=account), columns=_COLUMNS)


@app.command("rotate", help=say("A new token in place of this one, which ends in ten minutes.", "更换令牌；旧令牌十分钟后失效。"))
def rotate_token(
    ctx: typer.Context,
    show: Annotated[bool, typer.Option("--show", help=say("print it instead of storing it", "显示而不保存"))] = False,
) -> None:
    """Rotate."""
    made = session.client(ctx).post("/v1/tokens/rotate")
    stored = not show and not os.environ.get("GOVPOOL_TOKEN")
    if stored:
        book = contexts.load()
        chosen = book.get(session.options(ctx).context or os.environ.get("GOVPOOL_CONTEXT", ""))
        chosen.token = made.pop("token")
        book.contexts[chosen.name] = chosen
        contexts.save(book)
    columns: list[output.Column] = [(say("ACCOUNT", "账号"), "account"), (say("OLD ONE ENDS", "旧令牌失效"), "old_token_ends_at")]
    output.show(ctx, made, columns=columns if stored else [*columns, (say("TOKEN", "令牌"), "token")])


@app.command("revoke", help=say("Revoke a token at once.", "立即吊销令牌。"))
def revoke_token(
    ctx: typer.Context,
    token: Annotated[str, typer.Argument(metavar="ID", help=say("id of the token (token list)", "令牌编号（token list）"))],
) -> None:
    """Revoke."""
    ended = session.client(ctx).delete(api.path("/v1/tokens/{}", token))
    output.show(
        ctx, ended, columns=[(say("ID", "编号"), "id"), (say("ACCOUNT", "账号"), "account"), (say("STATE", "状态"), "state")]
    )
