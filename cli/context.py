"""`govpool context`: the servers that this computer knows, each with one account's token and default tenant and project."""

from typing import Annotated

import typer

from apiclient import contexts
from cli import failure, output, session
from cli.texts import say

app = session.app(say("servers and default tenants of this computer", "本机保存的服务器与默认单位"))

_COLUMNS: list[output.Column] = [
    (say("NAME", "名称"), "name"),
    (say("IN USE", "当前"), lambda row: "*" if row["current"] else ""),
    (say("SERVER", "服务器"), "server"),
    (say("TENANT", "默认单位"), "tenant"),
    (say("PROJECT", "默认项目"), "project"),
    (say("SIGNED IN", "已登录"), lambda row: say("yes", "是") if row["signed_in"] else ""),
]
_Name = Annotated[str, typer.Argument(help=say("name of the context", "上下文名称"))]


@app.command("list", help=say("All contexts; no token is shown.", "全部上下文；不显示令牌。"))
def list_contexts(ctx: typer.Context) -> None:
    """All contexts."""
    book = contexts.load()
    output.show(ctx, [_row(book, name) for name in sorted(book.contexts)], columns=_COLUMNS)


@app.command("show", help=say("The context in use, or a named one.", "当前或指定的上下文。"))
def show_context(ctx: typer.Context, name: Annotated[str, typer.Argument(help=say("name", "名称"))] = "") -> None:
    """One context."""
    book = contexts.load()
    output.show(ctx, _row(book, _known(book, name or book.current)), columns=_COLUMNS)


@app.command("use", help=say("Use this context from now on.", "切换到该上下文。"))
def use_context(ctx: typer.Context, name: _Name) -> None:
    """Switch."""
    book = contexts.load()
    book.current = _known(book, name)
    contexts.save(book)
    session.tell(say(f"in use: {name}", f"当前上下文：{name}"))


@app.command("set", help=say("Make a context or change it.", "新建或修改上下文。"))
def set_context(
    ctx: typer.Context,
    name: _Name,
    server: Annotated[str | None, typer.Option(help=say("URL of the server", "服务器 URL"))] = None,
    ca_file: Annotated[str | None, typer.Option(help=say("certificate authority (PEM)", "CA 证书（PEM）"))] = None,
    tenant: Annotated[str | None, typer.Option(help=say("default tenant", "默认单位"))] = None,
    project: Annotated[str | None, typer.Option(help=say("default project", "默认项目"))] = None,
) -> None:
    """Make or change."""
    book = contexts.load()
    chosen = book.get(name)
    if server is not None and not server.startswith(("http://", "https://")):
        why = say(f"{server!r} is not the URL of a server", f"{server!r} 不是服务器 URL")
        raise failure.UsageError(why, "--server https://cloud.example:8443")
    if server is not None and server != chosen.server:
        chosen.server, chosen.token = server, ""  # a token belongs to the server that gave it
    chosen.ca_file = chosen.ca_file if ca_file is None else ca_file
    chosen.tenant = chosen.tenant if tenant is None else tenant
    chosen.project = chosen.project if project is None else project
    book.contexts[name] = chosen
    contexts.save(book)
    output.show(ctx, _row(book, name), columns=_COLUMNS)


@app.command(
    "delete", help=say("Forget a context with its token (log out first to revoke it).", "删除上下文及其令牌（请先注销）。")
)
def delete_context(ctx: typer.Context, name: _Name) -> None:
    """Forget."""
    book = contexts.load()
    del book.contexts[_known(book, name)]
    if book.current == name:
        book.current = min(book.contexts, default="default")
    contexts.save(book)


def _known(book: contexts.Book, name: str) -> str:
    if name not in book.contexts:
        raise failure.UsageError(say(f"there is no context {name!r}", f"没有名为 {name!r} 的上下文"), "govpool context list")
    return name


def _row(book: contexts.Book, name: str) -> dict[str, object]:
    entry = book.contexts[name]
    return {
        "name": name,
        "current": name == book.current,
        "server": entry.server,
        "ca_file": entry.ca_file,
        "tenant": entry.tenant,
        "project": entry.project,
        "signed_in": bool(entry.token),
    }
