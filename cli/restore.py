"""`govpool restore`: put a backup in place at the server's console; look at what happened meanwhile; accept the restored state."""

import pathlib
from typing import Annotated, Any

import typer

from cli import output, session
from cli.texts import say

app = session.app(say("restore a backup, then accept it", "恢复与确认恢复"))

_FOUND: list[output.Column] = [
    (say("TENANT", "单位"), "tenant"),
    (say("PROJECT", "项目"), "project"),
    (say("KIND", "类型"), "kind"),
    (say("NAME", "名称"), "name"),
    (say("HAPPENED", "期间变化"), "happened"),
    (say("STATE", "云平台现状"), "state"),
    (say("RECORD", "云平台记录"), "record"),
    (say("OUTCOME", "确认后"), "outcome"),
    (say("RESOURCE", "资源"), "resource"),
]


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

    url = serve.url_of(data, database)
    if replace:
        session.confirm(ctx, say("Replace the present data by the backup?", "用备份替换现有数据？"))
    schema.declare_tables()
    report = backup.restore(url, file, replace=replace)
    session.tell(
        say(
            "Restored. All tokens are void. Start the server, then: govpool restore show. Nothing is changed in a cloud until two of the three "
            "administrators run: govpool restore accept",
            "恢复完成，所有令牌失效。启动服务后先执行 govpool restore show；三类管理员中须有两类执行 govpool restore accept，此前不会改动云平台。",
        )
    )
    columns = [(say("ACCOUNT", "账号"), "account"), (say("ROLE", "角色"), "role"), (say("CODE", "登录码"), "code")]
    output.show(ctx, report["codes"], columns=columns)


@app.command(
    "show",
    help=say(
        "What happened in the clouds since the backup, and what acceptance makes of it.",
        "列出备份之后云平台上的变化及确认后的处理。",
    ),
)
def show(ctx: typer.Context) -> None:
    """What happened in the clouds since the backup."""
    _tell(ctx, session.client(ctx).get("/v1/restore"))


@app.command(
    "accept", help=say("Accept the restored state, as one of two administrators.", "以管理员身份确认恢复结果（须两类管理员）。")
)
def accept(ctx: typer.Context) -> None:
    """Accept the restored state; the second administrator completes it."""
    session.confirm(ctx, say("Accept the restored state?", "确认恢复结果？"))
    _tell(ctx, session.client(ctx).post("/v1/restore/acceptances"))


def _tell(ctx: typer.Context, answer: dict[str, Any]) -> None:
    given, count = " ".join(answer["by"]), len(answer["findings"])
    if answer["accepted"]:
        session.tell(say(f"Accepted by {given}; {count} taken over.", f"已由 {given} 确认，处理 {count} 项。"))
    else:
        nobody = say("nobody", "尚无")
        session.tell(say(f"Accepted by: {given or nobody}; two are needed.", f"已确认：{given or nobody}；须两类管理员。"))
    whole = session.options(ctx).output in ("json", "yaml")
    output.show(ctx, answer if whole else [_row(one) for one in answer["findings"]], columns=_FOUND)


def _row(found: dict[str, Any]) -> dict[str, Any]:
    record = " ".join(f"{one['verb']}@{one['at']}" for one in found["news"])
    return {**found, "record": record, "outcome": say(found["outcome"]["en"], found["outcome"]["zh"])}
