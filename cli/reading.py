"""`govpool reading`: import readings, list them, the newest, what the register rule did."""

import pathlib
from typing import Annotated

import typer

from cli import output, session
from cli.texts import say

app = session.app(say("readings of the meters", "抄表读数"))

Meter = Annotated[str, typer.Option(help=say("code of the meter", "电表代码"))]
From = Annotated[str, typer.Option("--from", help=say("since when (included)", "起（含）"))]
To = Annotated[str, typer.Option("--to", help=say("until when (excluded)", "止（不含）"))]
_MEDIA = "text/csv"
_REPORT: list[output.Column] = [
    (say("IMPORT", "导入"), "id"),
    (say("READINGS", "读数"), "readings"),
    (say("METERS", "电表"), "meters"),
    (say("FROM", "起"), "from"),
    (say("TO", "止"), "to"),
    ("SHA-256", "sha256"),
]
_READING: list[output.Column] = [
    (say("METER", "电表"), "meter"),
    (say("REGISTER", "寄存器"), "register"),
    (say("READ AT", "抄表时间"), "read_at"),
    (say("VALUE", "读数"), "value"),
]
_EVENT: list[output.Column] = [(say("HAPPENING", "处理"), "happening"), (say("ABOUT", "涉及"), "about_at")]


@app.command(
    "import", help=say("Import a CSV file meter,register,read_at,value, all or nothing.", "导入 CSV 文件，全部成功或全部不导入。")
)
def import_readings(
    ctx: typer.Context,
    file: Annotated[pathlib.Path, typer.Argument(exists=True, dir_okay=False, help=say("the file", "文件"))],
    key: Annotated[str, typer.Option(help=say("key of a killed import that is to go on", "续传时使用原幂等键"))] = "",
) -> None:
    """Import a file.  The key is made from its content, so that a repeated call goes on instead of starting anew."""
    import hashlib

    content = file.read_bytes()
    chosen = key or f"readings-{hashlib.sha256(content).hexdigest()}"
    report = session.client(ctx).post("/v1/reading-imports", raw=content, media=_MEDIA, key=chosen)
    output.show(ctx, report, columns=_REPORT)


@app.command("list", help=say("Raw readings of a meter, oldest first.", "列出电表的原始读数。"))
def list_readings(
    ctx: typer.Context,
    meter: Meter,
    register: Annotated[str, typer.Option(help=say("register; the energy register if none", "寄存器；默认电能"))] = "",
    from_: From = "",
    to: To = "",
) -> None:
    """Raw readings."""
    query = {"meter": meter, "register": register, "from": from_, "to": to}
    rows = session.client(ctx).pages("/v1/readings", **query)
    output.show(ctx, rows, columns=[*_READING, (say("SOURCE", "来源"), "source")])


@app.command("last", help=say("The newest reading of each meter.", "各电表最近读数。"))
def last(ctx: typer.Context) -> None:
    """The newest reading of each meter."""
    rows = session.client(ctx).pages("/v1/last-readings")
    output.show(ctx, rows, columns=[*_READING, (say("HALL", "模块"), "hall"), (say("HELD", "隔离待查"), "held")])


@app.command(
    "events",
    help=say("What the register rule did: rollovers, quarantine, resets, swaps.", "寄存器规则的处理记录：翻转、隔离、复位、换表。"),
)
def events(ctx: typer.Context, meter: Meter, from_: From = "", to: To = "") -> None:
    """What the register rule did with a meter's readings."""
    rows = session.client(ctx).pages("/v1/register-events", **{"meter": meter, "from": from_, "to": to})
    output.show(ctx, rows, columns=[*_READING, *_EVENT])
