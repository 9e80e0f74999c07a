"""`govpool status`: is the server well."""

from typing import Any, Final

import typer

from cli import output, session
from cli.texts import say

app = session.app(say("is the server well", "服务状态"))
_COLUMNS: Final[list[output.Column]] = [
    (say("SERVER", "版本"), "version"),
    (say("INSTALLATION", "安装编号"), "installation"),
    (say("NOW", "时间"), "now"),
    (say("DATABASE", "数据库"), "database"),
    (say("UNREAD NOTICES", "未读通知"), "unread_notices"),
    (say("EPOCH", "纪元"), "epoch"),
    (say("RESTORE ACCEPTED", "恢复已确认"), "restore_accepted"),
    (say("LANE BACKLOG", "待提交"), "lane_backlog"),
    (say("SERVICES", "后台服务"), lambda row: [f"{one['name']}: {one['state']}" for one in row.get("services") or []]),
    (say("WORKERS", "工作进程"), lambda row: [_worker(one) for one in row.get("workers") or []]),
    (say("RESOURCES", "资源"), "resources"),
    (say("AT WORK", "处理中"), "at_work"),
    (say("BACKLOG", "积压"), lambda row: _since(row, "backlog", "backlog_oldest_at")),
    (say("OPEN ATTEMPTS", "未决调用"), lambda row: _since(row, "attempts_open", "attempt_oldest_at")),
    (say("QUARANTINED", "隔离"), "quarantined"),
    (say("ORDERS", "申请单"), "orders"),
    (say("LAST SWEEPS", "最近巡检"), lambda row: [_sweep(one) for one in row.get("sweeps") or []]),
]


@app.command(help=say("Is the server well: workers, backlog, last sweep.", "服务是否正常：工作线程、积压、最近巡检。"))
def status(ctx: typer.Context) -> None:
    """Show the state of the server."""
    output.show(ctx, session.client(ctx).get("/v1/status"), _COLUMNS)


def _worker(one: dict[str, Any]) -> str:
    return say(f"{one['id']}: pid {one['pid']}, {one['threads']} threads", f"{one['id']}：进程 {one['pid']}，{one['threads']} 线程")


def _since(row: dict[str, Any], count: str, oldest: str) -> str | None:
    if row.get(count) is None:
        return None
    return f"{row[count]}" + (say(f", oldest {row[oldest]}", f"，最早 {row[oldest]}") if row.get(oldest) else "")


def _sweep(one: dict[str, Any]) -> str:
    ended = one["ended_at"] or "-"
    found = say(
        f"ended {ended}, ours {one['ours']}, missing {one['missing']}", f"完成 {ended}，本装置 {one['ours']}，缺失 {one['missing']}"
    )
    return f"{one['pool']}: {found}" + (f" {one['error']}" if one["error"] else "")
