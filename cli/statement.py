"""`govpool statement`: close a month, issue, list, show, export."""

import pathlib
import sys
from typing import Annotated

import typer

from apiclient import client as api
from cli import failure, output, session
from cli.texts import say

app = session.app(say("monthly statements", "结算单"))

_Month = Annotated[
    str, typer.Option("--month", help=say("such as 2026-10, as cut in Asia/Shanghai", "月份，如 2026-10（北京时间）"))
]
_HEAD: list[output.Column] = [
    (say("TENANT", "单位"), "tenant"),
    (say("PATH", "隶属"), "path"),
    (say("MONTH", "月份"), "month"),
    (say("STATE", "状态"), "state"),
    (say("TOTAL CNY", "合计（元）"), "total"),
]
_LINE: list[output.Column] = [
    (say("RESOURCE", "资源"), "resource"),
    (say("PROJECT", "项目"), "project"),
    (say("KIND", "类型"), "kind"),
    "sku",
    (say("UNIT", "计价单位"), "unit"),
    (say("UNIT-SECONDS", "用量（单位秒）"), "unit_seconds"),
    (say("UNIT PRICE CNY", "单价（元）"), "unit_price"),
    (say("PRICES", "价目表"), "price_version"),
    (say("START", "开始"), "start_at"),
    (say("END", "结束"), "end_at"),
    (say("AMOUNT", "金额（元）"), "amount"),
]


@app.command("close", help=say("Close a month that is over: compute all statements.", "月末结账：计算全部结算单。"))
def close(
    ctx: typer.Context,
    month: _Month,
    key: Annotated[str, typer.Option("--key", help=say("go on with a killed close of this key", "以该幂等键续做中断的结账"))] = "",
) -> None:
    """Close a month."""
    report = session.client(ctx).post("/v1/statement-closes", {"month": month}, key=key)
    columns: list[output.Column] = [
        (say("MONTH", "月份"), "month"),
        (say("STATEMENTS", "结算单数"), "statements"),
        (say("LINES", "行数"), "lines"),
        (say("TOTAL CNY", "合计（元）"), "total"),
        (say("IN DISPUTE", "争议资源"), "excluded"),
        (say("KNOWN AT", "数据截止"), "cut_at"),
        (say("DIGEST", "摘要"), "digest"),
    ]
    output.show(ctx, report, columns=columns)


@app.command(
    "issue", help=say("Issue the open statements of a closed month; nobody can change them then.", "出账：出账后不可更改。")
)
def issue(
    ctx: typer.Context,
    month: _Month,
    tenant: Annotated[str, typer.Option(help=say("only that of this tenant", "仅该单位"))] = "",
) -> None:
    """Issue statements."""
    session.confirm(
        ctx, say(f"Issue the statements of {month}? They cannot be changed then.", f"确认 {month} 出账？出账后不可更改。")
    )
    report = session.client(ctx).post("/v1/statement-issues", {"month": month, "tenant": tenant})
    columns: list[output.Column] = [
        (say("MONTH", "月份"), "month"),
        (say("ISSUED", "出账数"), "issued"),
        (say("TOTAL CNY", "合计（元）"), "total"),
    ]
    output.show(ctx, report, columns=columns)


@app.command("list", help=say("The statements of a month, each also with all below it.", "某月的结算单（含下级合计）。"))
def list_statements(
    ctx: typer.Context,
    month: _Month,
    tenant: Annotated[str, typer.Option(help=say("only this tenant and below", "仅该单位及下级"))] = "",
) -> None:
    """List statements."""
    columns: list[output.Column] = [
        (say("TENANT", "单位"), "tenant"),
        (say("NAME", "名称"), "name"),
        (say("PATH", "隶属"), "path"),
        (say("STATE", "状态"), lambda row: say("draft", "草稿") if row["draft"] else row["state"]),
        (say("LINES", "行数"), "lines"),
        (say("OWN CNY", "本级（元）"), "total"),
        (say("WITH ALL BELOW CNY", "含下级（元）"), "with_children"),
        (say("ISSUED", "出账时间"), "issued_at"),
    ]
    output.show(ctx, session.client(ctx).pages("/v1/statements", month=month, tenant=tenant), columns=columns)


@app.command("show", help=say("The statement of a department, or its draft up to now.", "查看结算单或当月草稿。"))
def show(
    ctx: typer.Context,
    month: _Month,
    tenant: Annotated[str, typer.Argument(metavar="TENANT", help=say("tenant code", "单位代码"))] = "",
) -> None:
    """Show a statement."""
    found = session.client(ctx).get(api.path("/v1/statements/{}/{}", session.tenant(ctx, tenant), month))
    form = session.options(ctx).output
    output.show(ctx, found["lines"] if form == "csv" else found, columns=_LINE if form == "csv" else _HEAD)
    if form == "table":
        named: output.Column = (say("RESOURCE", "资源"), lambda row: found["names"].get(row["resource"], row["resource"]))
        output.show(ctx, found["lines"], columns=[named, *_LINE[1:]])


@app.command("export", help=say("Statements with all lines as CSV or JSON.", "导出结算单明细（CSV 或 JSON）。"))
def export(
    ctx: typer.Context,
    month: _Month,
    tenant: Annotated[
        str, typer.Argument(metavar="TENANT", help=say("tenant code; all that you see if left out", "单位代码；默认全部"))
    ] = "",
    form: Annotated[str, typer.Option("--format", help="csv | json")] = "csv",
    file: Annotated[str, typer.Option("--file", help=say("write to this file", "写入文件"))] = "-",
) -> None:
    """Export statements."""
    content = session.client(ctx).content("/v1/statement-exports", month=month, tenant=tenant, format=form)
    if file == "-":
        sys.stdout.buffer.write(content)
        return
    try:
        pathlib.Path(file).write_bytes(content)
    except OSError as error:
        raise failure.UsageError(f"{file}: {error.strerror}", "--file FILE") from error
    session.tell(f"{file}: {len(content)} bytes")
