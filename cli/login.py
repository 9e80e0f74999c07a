"""`govpool login`, `logout`, `whoami`: a one-use code becomes a token in the context's file; the token never stands on a
command line.
"""

import contextlib
import os
from typing import Annotated, Any

import typer

from apiclient import client as api
from apiclient import contexts
from cli import output, session, texts
from cli.texts import say

app = session.app(say("sign in with a one-use code and store the token", "用一次性登录码登录并保存令牌"))
logout = session.app(say("end this session on the server and forget the token", "注销当前会话并删除令牌"))
whoami = session.app(say("who I am, and which roles I hold where", "查看当前身份及角色"))

_COLUMNS: list[output.Column] = [
    (say("ACCOUNT", "账号"), "account"),
    (say("NAME", "姓名"), "name"),
    (say("TENANT", "单位"), "tenant"),
    (say("ROLES", "角色"), lambda who: [f"{held['role']} @ {held['tenant']} {held['tenant_name']}" for held in who["roles"]]),
    (say("TOKEN ENDS", "令牌到期"), "token_expires_at"),
]


@app.command("login", help=say("Exchange a one-use code for a token and store it.", "用一次性登录码换取令牌并保存。"))
def login(
    ctx: typer.Context,
    code: Annotated[str, typer.Option(help=say("the code; asked for if left out", "登录码；省略时提示输入"))] = "",
    server: Annotated[str, typer.Option(help=say("URL of the server", "服务器 URL"))] = "",
    ca_file: Annotated[str, typer.Option(help=say("certificate that the server's is checked with (PEM)", "CA 证书（PEM）"))] = "",
) -> None:
    """Sign in."""
    wanted = session.options(ctx).context or os.environ.get("GOVPOOL_CONTEXT", "")
    book = contexts.load()
    chosen = book.get(wanted)
    chosen.server = server or os.environ.get("GOVPOOL_SERVER", "") or chosen.server
    chosen.ca_file = ca_file or os.environ.get("GOVPOOL_CA_FILE", "") or chosen.ca_file
    given = code or session.secret(say("one-use code", "一次性登录码"), "GOVPOOL_CODE")
    with contextlib.closing(api.Client(chosen.server, lang=texts.lang(), ca_file=chosen.ca_file)) as client:
        found = client.post("/v1/login", {"code": given.strip()})
    chosen.token = found.pop("token")
    chosen.tenant = chosen.tenant or found["tenant"]
    book.contexts[chosen.name] = chosen
    book.current = book.current if wanted and book.current in book.contexts else chosen.name
    contexts.save(book)
    output.show(ctx, found, columns=_COLUMNS)
    session.tell(say(f"signed in to {chosen.server} as {found['account']}", f"已登录 {chosen.server}，账号 {found['account']}"))


@logout.command("logout", help=say("Revoke the token on the server and forget it here.", "在服务器吊销令牌并在本机删除。"))
def end(ctx: typer.Context) -> None:
    """Sign out."""
    from apiclient import failure as refused

    try:
        session.client(ctx).post("/v1/logout")
    except refused.ProblemError as error:
        if error.status != 401:  # a dead token needs no revoking
            raise
    book = contexts.load()
    chosen = book.get(session.options(ctx).context or os.environ.get("GOVPOOL_CONTEXT", ""))
    if chosen.name in book.contexts:
        chosen.token = ""
        contexts.save(book)
    session.tell(say("signed out", "已注销"))


@whoami.command("whoami", help=say("Account, person, home and roles.", "账号、人员、所属单位与角色。"))
def who(ctx: typer.Context) -> None:
    """Who is signed in."""
    found: dict[str, Any] = session.client(ctx).get("/v1/whoami")
    output.show(ctx, found, columns=_COLUMNS)
