"""`govpool pue`: power usage effectiveness of a hall, and the ledger behind it."""

from typing import Annotated, Any

import typer

from cli import output, session, texts
from cli.texts import say

app = session.app(say("power usage effectiveness", "电能利用效率"))

_LEDGER: list[output.Column] = [
    (say("START AT", "开始"), "start_at"),
    (say("FACILITY WH", "设施电量 WH"), "facility_wh"),
    (say("IT WH", "IT 电量 WH"), "it_wh"),
    (say("QUALITY", "质量"), "quality"),
    (say("RATIO", "比值"), "ratio"),
    (say("ALARM", "告警"), "alarm"),
]
Hall = Annotated[str, typer.Option(help=say("code of the hall", "模块代码"))]
From = Annotated[
    str,
    typer.Option(
        "--from",
        help=say("first day, such as 2026-10-01 (Asia/Shanghai), or a time with offset", "起始日期（北京时间）或带时区的时间"),
    ),
]
To = Annotated[str, typer.Option("--to", help=say("end, not included", "截止（不含）"))]


@app.command(
    "show",
    help=say(
        "PUE over a period, with completeness and the reasons why it is not reportable.", "统计期 PUE、完整率及不可上报的原因。"
    ),
)
def show(ctx: typer.Context, hall: Hall, from_: From, to: To) -> None:
    """The figure of a hall."""
    figure = session.client(ctx).get(f"/v1/halls/{hall}/pue", **{"from": from_, "to": to})
    columns: list[output.Column] = [
        (say("HALL", "模块"), "hall"),
        (say("FROM", "起"), "from"),
        (say("TO", "止"), "to"),
        (say("FIGURE", "指标"), lambda row: ("i" if row["interim"] else "") + row["name"] + f"{row['category']}"),
        (say("VALUE", "数值"), lambda row: row["value"] or say("refused", "拒绝给出")),
        (say("FACILITY WH", "设施电量 WH"), "facility_wh"),
        (say("IT WH", "IT 电量 WH"), "it_wh"),
        (say("INTERVALS", "时段数"), "intervals"),
        (say("COMPLETENESS", "完整率"), "completeness"),
        (say("QUALITY", "质量"), "quality"),
        (say("REPORTABLE", "可上报"), "reportable"),
        (say("REASONS", "原因"), _reasons),
    ]
    output.show(ctx, figure, columns=columns)


@app.command("ledger", help=say("The 15-minute energy ledger of a hall.", "模块的 15 分钟电量台账。"))
def ledger(ctx: typer.Context, hall: Hall, from_: From, to: To) -> None:
    """The ledger of a hall."""
    rows = session.client(ctx).pages(f"/v1/halls/{hall}/ledger", **{"from": from_, "to": to, "limit": 500})
    output.show(ctx, rows, columns=_LEDGER)


def _reasons(row: Any) -> list[str]:
    return [f"{reason['code']}: {reason[texts.lang()]}" for reason in row["reasons"]]
