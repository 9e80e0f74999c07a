"""`govpool facility`: live power of the meters; and a simulator of two halls of Modbus meters, which says that it is one."""

import pathlib
from typing import Annotated

import typer

from cli import failure, output, session
from cli.texts import say

app = session.app(say("live power; simulated Modbus meters", "实时功率；模拟 Modbus 电表"))

_POWER: list[output.Column] = [
    (say("METER", "电表"), "meter"),
    (say("HALL", "模块"), "hall"),
    (say("SIDE", "侧"), "side"),
    (say("POWER W", "功率 W"), "power_w"),
    (say("SEEN AT", "轮询时间"), "seen_at"),
    (say("VALUE", "读数"), "value"),
    (say("READ AT", "抄表时间"), "read_at"),
    (say("PROBLEM", "故障"), "problem"),
]
Data = Annotated[str, typer.Option(help=say("folder of the hourly load files", "逐时负荷文件目录"))]


@app.command("power", help=say("Live power and last reading of every meter.", "各电表实时功率与最近读数。"))
def power(ctx: typer.Context) -> None:
    """Live power and last readings."""
    rows = session.client(ctx).pages("/v1/meter-powers")
    output.show(ctx, rows, columns=_POWER)


@app.command(
    "simulate",
    help=say("Run two simulated halls of Modbus meters until stopped.", "运行两个模拟机房模块的 Modbus 电表，直至停止。"),
)
def simulate(
    host: Annotated[str, typer.Option(help=say("address to listen on", "监听地址"))] = "127.0.0.1",
    port: Annotated[
        int,
        typer.Option(
            min=0,
            max=65534,
            help=say(
                "port of the first hall, the second takes the next; 0: free ones", "首个模块端口，次个模块用下一端口；0 自动选择"
            ),
        ),
    ] = 0,
    script: Annotated[
        str, typer.Option(help=say("CSV of faults: at_s,fault,meter,for_s", "故障脚本 CSV：at_s,fault,meter,for_s"))
    ] = "",
    documents: Annotated[
        str,
        typer.Option(
            help=say(
                "write the halls and meters for `govpool apply -f` to this file",
                "将模块与电表文档写入此文件，供 govpool apply -f 使用",
            )
        ),
    ] = "",
    poll_s: Annotated[
        int,
        typer.Option(
            min=0, max=3600, help=say("poll interval in the documents; 0: the server's", "文档中的轮询间隔；0 用服务器设置")
        ),
    ] = 0,
    data: Data = "",
) -> None:
    """Run the simulator."""
    import asyncio

    from pue_monitor.simulator import plant, process
    from pue_monitor.simulator import script as faults

    folder = _data(data)
    codes = [meter.code for meter in plant.METERS]
    lines = faults.read(pathlib.Path(script).read_text(encoding="utf-8"), codes) if script else []
    ports = {hall.code: port + number if port else 0 for number, hall in enumerate(plant.HALLS)}
    asyncio.run(process.run(folder, lines, host, ports, lambda taken: _started(host, taken, documents, poll_s)))


@app.command(
    "history", help=say("Write a past month of 15-minute readings of the simulated meters.", "生成模拟电表某月的 15 分钟读数文件。")
)
def history(
    month: Annotated[str, typer.Option(help=say("month, such as 2026-10", "月份，如 2026-10"))],
    out: Annotated[str, typer.Option(help=say("CSV file for `govpool reading import`", "输出 CSV 文件"))],
    until_now: Annotated[
        bool,
        typer.Option("--until-now", help=say("go on to the present, so that live readings join", "续写至当前，与实时读数衔接")),
    ] = False,
    data: Data = "",
) -> None:
    """Write a month of readings."""
    from primitives import clock, interval
    from pue_monitor.simulator import history as past

    span = interval.month(month)
    if span.start_at > clock.now():
        raise failure.UsageError(say(f"{month} lies in the future", f"{month} 尚未开始"), "--month 2026-10")
    end = clock.now() if until_now else min(span.end_at, clock.now())
    draft = pathlib.Path(f"{out}.part")
    with draft.open("w", encoding="utf-8", newline="") as file:
        count = sum(file.write(line) > 0 for line in past.lines(_data(data), clock.to_us(span.start_at), clock.to_us(end))) - 1
    draft.replace(out)
    session.tell(say(f"{count} simulated readings in {out}", f"已写入 {count} 条模拟读数：{out}"))


def _started(host: str, ports: dict[str, int], documents: str, poll_s: int) -> None:
    import json

    from pue_monitor.simulator import documents as written

    session.tell(say("THIS IS A SIMULATOR: no real meter stands behind these numbers.", "这是模拟器：以下数据并非来自真实电表。"))
    if documents:
        whole = written.documents(host, ports, poll_s)
        draft = pathlib.Path(f"{documents}.part")
        draft.write_text("".join(f"---\n{json.dumps(one, ensure_ascii=False, indent=2)}\n" for one in whole), encoding="utf-8")
        draft.replace(documents)
    for hall, port in ports.items():
        typer.echo(f"{hall} {host}:{port}")


def _data(given: str) -> pathlib.Path:
    from pue_monitor.simulator import load

    folder = pathlib.Path(given) if given else load.DATA
    if not (folder / "LICENSE").exists():
        raise failure.UsageError(
            say(f"there are no load files in {folder}", f"{folder} 中没有负荷文件"), "--data demo/data/cambridge"
        )
    return folder
