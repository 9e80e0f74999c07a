"""`govpool lease`: resources with an end.  Setting, moving and taking away an end is an order."""

from typing import Annotated, Any, Final

import typer

from apiclient import client as api
from cli import failure, ordering, output, session, texts
from cli.texts import say

app = session.app(say("ends of resources: soon, past, extend", "资源租期：临期、届满与续期"))
Name = Annotated[str, typer.Argument(help=say("name or id of the resource", "资源名称或编号"))]

_LEASES: Final = {"running": "租期内", "over": "已届满", "in_bin": "在回收站", "open_ended": "无期限", "ended": "已终止"}

_COLUMNS: Final[list[output.Column]] = [
    (say("NAME", "名称"), "metadata.name"),
    (say("KIND", "类型"), "spec.kind"),
    (say("END", "到期"), "spec.end_at"),
    (say("DAYS LEFT", "剩余天数"), "status.days_left"),
    (say("LEASE", "租期"), lambda row: _lease(row["status"]["state"])),
    (say("STATE", "资源状态"), "status.resource_state"),
    (say("TENANT", "单位"), "metadata.tenant"),
    (say("PROJECT", "项目"), "metadata.project"),
    (say("ID", "编号"), "metadata.id"),
]
_SHOWN: Final[list[output.Column]] = [
    *_COLUMNS,
    (say("PROTECTED", "删除保护"), "spec.protected"),
    (say("NEXT NOTICE", "下次提醒"), "status.next_notice_at"),
    (say("ENDED", "届满处理时间"), "status.reached_at"),
    (say("INTO BIN", "移入回收站"), "status.bin_at"),
    (say("BIN UNTIL", "回收站截止"), "status.bin_until"),
]


@app.command("list", help=say("what ends, the soonest first", "查看有到期日的资源"))
def list_leases(
    ctx: typer.Context,
    tenant: ordering.Tenant = "",
    project: ordering.Project = "",
    within: Annotated[str, typer.Option(help=say("only what ends so soon, such as 30d", "仅在此期限内到期的，如 30d"))] = "",
    ended: Annotated[bool, typer.Option("--ended", help=say("only what has ended", "仅已届满的"))] = False,
) -> None:
    """List leases."""
    query = {"tenant": tenant, "project": project, "within_days": days(within, "--within"), "ended": ended or None}
    output.show(ctx, session.client(ctx).pages("/v1/leases", **query), _COLUMNS)


@app.command("show", help=say("one lease: its end, next notice, recycle bin", "查看租期：到期、下次提醒、回收站"))
def show(ctx: typer.Context, resource: Name, tenant: ordering.Tenant = "", project: ordering.Project = "") -> None:
    """Show one lease."""
    row = ordering.found(ctx, "", resource, tenant, project)
    output.show(ctx, session.client(ctx).get(api.path("/v1/leases/{}", row["metadata"]["id"])), _SHOWN)


@app.command("extend", help=say("order another end: later, earlier, or none", "申请变更到期日：延后、提前或无期限"))
def extend(
    ctx: typer.Context,
    resource: Name,
    until: ordering.Until,
    tenant: ordering.Tenant = "",
    project: ordering.Project = "",
    reason: ordering.Reason = "",
    document_no: ordering.DocumentNo = "",
) -> None:
    """Order another end."""
    row = ordering.found(ctx, "", resource, tenant, project)
    place = row["metadata"]
    line = {"action": "extend", "kind": row["kind"], "resource": place["id"], "spec": {"end_at": until}}
    ordering.submit(ctx, [line], tenant=place["tenant"], project=place["project"], reason=reason, document_no=document_no)


def _lease(state: str) -> str:
    return _LEASES.get(state, state) if texts.lang() == "zh" else state


def days(given: str, option: str) -> int | None:
    """A number of days: '30d' or '30'; None for ''.  Raises a usage error."""
    number: Any = given.removesuffix("d")
    if given and not (number.isascii() and number.isdecimal() and len(number) <= 4):
        raise failure.UsageError(f"{option} {given}: 30d", f"{option} 30d")
    return int(number) if given else None
