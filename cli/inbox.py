"""`govpool inbox`: notices for me."""

from typing import Annotated, Final

import typer

from apiclient import client as api
from cli import output, session
from cli.texts import say

app = session.app(say("notices for me; without a verb it lists them", "我的通知；不写动词即为查看"))
app.info.no_args_is_help = False
_COLUMNS: Final[list[output.Column]] = [
    (say("AT", "时间"), "at"),
    (say("NOTICE", "通知"), "text"),
    (say("READ", "已读"), lambda row: say("yes", "是") if row["read_at"] else ""),
    (say("ID", "编号"), "id"),
]


@app.callback(invoke_without_command=True)
def inbox(ctx: typer.Context) -> None:
    """Without a verb: list."""
    if ctx.invoked_subcommand is None:
        list_notices(ctx)


@app.command("list", help=say("notices, newest first", "查看通知"))
def list_notices(
    ctx: typer.Context,
    unread: Annotated[bool, typer.Option("--unread", help=say("only those not read yet", "仅未读"))] = False,
    limit: Annotated[int, typer.Option(min=1, max=500, help=say("how many", "条数"))] = 50,
) -> None:
    """List notices."""
    page = session.client(ctx).get("/v1/notices", unread=unread or None, limit=limit)
    output.show(ctx, page["items"], _COLUMNS)


@app.command("read", help=say("note that I have read them", "标记为已读"))
def read(ctx: typer.Context, notices: Annotated[list[str], typer.Argument(help=say("ids", "编号"))]) -> None:
    """Mark notices as read."""
    output.show(ctx, [session.client(ctx).post(api.path("/v1/notices/{}/read", one)) for one in notices], _COLUMNS)
