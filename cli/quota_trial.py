"""`govpool quota simulate`: who of a file of requests would be refused, and where."""

import pathlib
from typing import Annotated, Any

import typer

from cli import amounts, failure, output, session
from cli.texts import say

_VERDICTS: list[output.Column] = [
    (say("LINES", "行"), "lines"),
    (say("ORDER", "申请"), "order"),
    (say("TENANT", "单位"), "tenant"),
    (say("VERDICT", "结论"), lambda row: say(row["verdict"], {"admitted": "可满足", "refused": "被拒绝"}[row["verdict"]])),
    (say("CODE", "代码"), "code"),
    (say("WHY", "原因"), "why"),
]
_WHERE: list[output.Column] = [
    (say("REFUSED AT", "受限单位"), "tenant"),
    (say("NAME", "配额项"), "name"),
    (say("REQUESTS", "拒绝数"), "refused"),
    (say("SHORT BY AT MOST", "最大缺口"), lambda row: amounts.outside(row["name"], row["short_by_most"])),
]


def add_to(app: typer.Typer) -> None:
    """Register the command under `govpool quota`."""
    app.command(
        "simulate",
        help=say(
            "Play a CSV file of requests against a copy of today's state; nothing is changed or held.",
            "用当前状态的副本试算申请文件（CSV）：谁会在哪一级被拒绝；不作任何更改或占用。",
        ),
    )(simulate)


def simulate(
    ctx: typer.Context,
    file: Annotated[
        pathlib.Path, typer.Option("-f", "--file", exists=True, dir_okay=False, help=say("the file of requests", "申请文件"))
    ],
    everything: Annotated[bool, typer.Option("--all", help=say("list the admitted requests too", "同时列出可满足的申请"))] = False,
    fail_on_refusal: Annotated[
        bool, typer.Option("--fail-on-refusal", help=say("exit 6 if anything would be refused", "有申请被拒绝时退出码为 6"))
    ] = False,
) -> None:
    """Simulate."""
    report: Any = session.client(ctx).post(
        "/v1/quota-simulations", raw=file.read_bytes(), media="text/csv", query={"all": everything or None}
    )
    form = session.options(ctx).output
    output.show(ctx, report if form in ("json", "yaml") else report["verdicts"], columns=_VERDICTS)
    if form == "table" and report["where"]:
        typer.echo()
        output.show(ctx, report["where"], columns=_WHERE)
    session.tell(
        say(
            f"{report['admitted']} of {report['requests']} requests would be admitted, {report['refused']} refused",
            f"共 {report['requests']} 项申请，可满足 {report['admitted']} 项，被拒绝 {report['refused']} 项",
        )
    )
    if fail_on_refusal and report["refused"]:
        raise typer.Exit(failure.QUOTA)
