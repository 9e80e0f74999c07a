"""`govpool quota check`, `repair`: prove that nobody holds more or less than he should, and put it right."""

from typing import Any

import typer

from cli import failure, output, session
from cli.texts import say

_SAID = {
    "add_again": ("add up again", "重新汇总"),
    "release": ("release", "释放"),
    "hold": ("hold", "补登"),
    "": ("a person must decide", "须人工处理"),
}
_FINDINGS: list[output.Column] = [
    (say("FINDING", "问题"), "code"),
    (say("TENANT", "单位"), "tenant"),
    (say("OBJECT", "对象"), "object"),
    (say("NAME", "配额项"), "name"),
    (say("FIELD", "字段"), "field"),
    (say("STORED", "记录值"), "stored"),
    (say("DERIVED", "应为"), "derived"),
    (say("REPAIR", "处理"), lambda row: say(*_SAID.get(row["repair"], (row["repair"], row["repair"])))),
]


def add_to(app: typer.Typer) -> None:
    """Register the commands under `govpool quota`."""
    app.command(
        "check",
        help=say(
            "Prove that every sum is right and nobody holds too much or too little; exit 1 if not.",
            "校验全部汇总与占用，发现问题时退出码为 1。",
        ),
    )(check)
    app.command(
        "repair",
        help=say(
            "Show what differs, then add up again from the reservations; no limit is loosened.",
            "先列出差异，确认后按预留重新汇总；不放宽任何限额。",
        ),
    )(repair)


def check(ctx: typer.Context) -> None:
    """Check."""
    report = session.client(ctx).get("/v1/quota-check")
    _show(ctx, report)
    if not report["sound"]:
        session.tell(
            say("see what can be put right: govpool quota repair --dry-run", "查看可修复项：govpool quota repair --dry-run")
        )
        raise typer.Exit(failure.FAILED)


def repair(ctx: typer.Context) -> None:
    """Repair.  The first call shows what differs; what is agreed to is that and nothing else."""
    client = session.client(ctx)
    report = client.get("/v1/quota-check")
    _show(ctx, report)
    if not report["repairable"]:
        session.tell(say("nothing to repair", "没有可修复的内容"))
        raise typer.Exit(0 if report["sound"] else failure.FAILED)
    session.confirm(ctx, say(f"Put {report['repairable']} findings right?", f"修复以上 {report['repairable']} 处问题？"))
    while True:
        done = client.post("/v1/quota-repairs", {"digest": report["digest"]})
        session.tell(say(f"{len(done['repaired'])} differences put right", f"已修复 {len(done['repaired'])} 处"))
        if not done["left"] or session.options(ctx).dry_run:
            return
        report = client.get("/v1/quota-check")


def _show(ctx: typer.Context, report: Any) -> None:
    form = session.options(ctx).output
    output.show(ctx, report if form in ("json", "yaml") else report["listed"], columns=_FINDINGS)
    session.tell(
        say("sound", "校验通过") if report["sound"] else say(f"{report['findings']} findings", f"发现 {report['findings']} 处问题")
    )
