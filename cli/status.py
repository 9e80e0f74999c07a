"""`govpool status`: is the server well."""

from typing import Final

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
]


@app.command(help=say("Is the server well: workers, backlog, last sweep.", "服务是否正常：工作线程、积压、最近巡检。"))
def status(ctx: typer.Context) -> None:
    """Show the state of the server."""
    output.show(ctx, session.client(ctx).get("/v1/status"), _COLUMNS)
