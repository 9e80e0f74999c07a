"""`govpool restore`: put a backup in place at the server's console, then accept the restored state."""

import pathlib
from typing import Annotated

import typer

from cli import output, session
from cli.texts import say

app = session.app(say("restore a backup, then accept it", "恢复与确认恢复"))


@app.command(
    "run",
    help=say(
        "Put a verified backup into a database; prints new codes of the administrators.",
        "将校验过的备份恢复到数据库，并输出管理员新登录码。",
    ),
)
def run(
    ctx: typer.Context,
    file: Annotated[pathlib.Path, typer.Argument(help=say("the backup file", "备份文件"))],
    data: Annotated[str, typer.Option(help=say("folder of the SQLite database", "SQLite 数据目录"))] = "",
    database: Annotated[str, typer.Option(help=say("URL of a database", "数据库 URL"))] = "",
    replace: Annotated[
        bool, typer.Option("--replace", help=say("put it in the place of the present data", "替换现有数据"))
    ] = False,
) -> None:
    """A local command under the lock file."""
    from cli import serve
    from control import backup, schema

    if replace:
        session.confirm(ctx, say("Replace the present data by the backup?", "用备份替换现有数据？"))
    schema.declare_tables()
    report = backup.restore(serve.url_of(data, database), file, replace=replace)
    session.tell(
        say(
            "Restored. All tokens are void. Sweeps only report until two of the three administrators run: govpool restore accept",
            "恢复完成，所有令牌失效。三类管理员中须有两类执行 govpool restore accept 后巡检才会恢复处理。",
        )
    )
    columns = [(say("ACCOUNT", "账号"), "account"), (say("ROLE", "角色"), "role"), (say("CODE", "登录码"), "code")]
    output.show(ctx, report["codes"], columns=columns)


@app.command(
    "accept", help=say("Accept the restored state, as one of two administrators.", "以管理员身份确认恢复结果（须两类管理员）。")
)
def accept(ctx: typer.Context) -> None:
    """Accept the restored state."""
    session.confirm(ctx, say("Accept the restored state?", "确认恢复结果？"))
    columns = [(say("EPOCH", "纪元"), "epoch"), (say("ACCEPTED", "已确认"), "accepted"), (say("BY", "确认人角色"), "by")]
    output.show(ctx, session.client(ctx).post("/v1/restore/acceptances"), columns=columns)
