"""`govpool usage`: import events, list resources with their present state, show intervals, list what came after an issue."""

import pathlib
import sys
from typing import Annotated

import typer

from cli import amounts, failure, output, session
from cli.texts import say

app = session.app(say("usage events and intervals", "用量"))

_Month = Annotated[
    str, typer.Option("--month", help=say("such as 2026-10, as cut in Asia/Shanghai", "月份，如 2026-10（北京时间）"))
]


@app.command(
    "import", help=say("Import a file of JSON lines: all of it or nothing.", "导入用量事件（JSON 行）：全部成功或全部不变。")
)
def import_usage(
    ctx: typer.Context,
    file: Annotated[
        str, typer.Argument(metavar="FILE", help=say("file of JSON lines, - for standard input", "文件，- 表示标准输入"))
    ],
    key: Annotated[str, typer.Option("--key", help=say("go on with a killed import of this key", "以该幂等键续传中断的导入"))] = "",
) -> None:
    """Import events."""
    report = session.client(ctx).post("/v1/usage-imports", raw=_content(file), media="application/x-ndjson", key=key)
    columns: list[output.Column] = [
        (say("IMPORT", "导入号"), "id"),
        (say("LINES", "行数"), "lines"),
        (say("EVENTS", "事件数"), "events"),
        "sha256",
    ]
    output.show(ctx, report, columns=columns)


@app.command("list", help=say("Resources in their present state.", "资源及其当前状态。"))
def list_usage(
    ctx: typer.Context,
    tenant: Annotated[str, typer.Option(help=say("only those of this tenant and below", "仅该单位及下级"))] = "",
) -> None:
    """List resources."""
    columns: list[output.Column] = [
        (say("RESOURCE", "资源"), lambda row: row["name"] or row["resource"]),
        (say("KIND", "类型"), "kind"),
        (say("TENANT", "单位"), "tenant"),
        (say("PROJECT", "项目"), "project"),
        (say("STATE", "状态"), "state"),
        (say("SINCE", "起始"), "since"),
        (say("AMOUNTS", "规格"), lambda row: amounts.several(row["amounts"])),
        (say("ID", "编号"), "resource"),
    ]
    output.show(ctx, session.client(ctx).pages("/v1/usage", tenant=tenant), columns=columns)


@app.command("show", help=say("The intervals of one resource, up to now or in a month.", "资源的用量区间（至今或某月）。"))
def show_usage(
    ctx: typer.Context,
    resource: Annotated[str, typer.Argument(metavar="RESOURCE", help=say("id of the resource", "资源编号"))],
    month: _Month = "",
) -> None:
    """Show intervals."""
    columns: list[output.Column] = [
        (say("START", "开始"), "start_at"),
        (say("END", "结束"), lambda row: say("goes on", "持续中") if row["lasts"] else row["end_at"]),
        (say("SECONDS", "秒数"), "seconds"),
        (say("TENANT", "单位"), "tenant"),
        (say("PROJECT", "项目"), "project"),
        (say("STATE", "状态"), "state"),
        (say("AMOUNTS", "规格"), lambda row: amounts.several(row["amounts"])),
    ]
    output.show(ctx, session.client(ctx).pages("/v1/usage-intervals", resource=resource, month=month), columns=columns)


@app.command("late", help=say("Events for an issued month that came after the issue.", "出账后到达的用量事件。"))
def list_late(
    ctx: typer.Context,
    month: Annotated[str, typer.Option("--month", help=say("the issued month", "已出账月份"))],
) -> None:
    """List late events."""
    columns: list[output.Column] = [
        (say("RECORDED", "入库时间"), "recorded_at"),
        (say("TIME", "事件时间"), "time"),
        (say("RESOURCE", "资源"), "resource"),
        (say("TENANT", "单位"), "tenant"),
        (say("STATE", "状态"), "state"),
        (say("AMOUNTS", "规格"), "amounts"),
        (say("STATEMENT", "结算单"), "statement"),
    ]
    output.show(ctx, session.client(ctx).pages("/v1/late-usage", month=month), columns=columns)


def _content(file: str) -> bytes:
    if file == "-":
        return sys.stdin.buffer.read()
    try:
        return pathlib.Path(file).read_bytes()
    except OSError as error:
        raise failure.UsageError(f"{file}: {error.strerror}", "govpool usage import FILE") from error
