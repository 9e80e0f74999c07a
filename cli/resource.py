"""`govpool resource`: all resources of any kind; what is stuck, lost or in quarantine."""

from typing import Annotated, Any, Final

import typer

from apiclient import client as api
from cli import amounts, lease, ordering, output, session, texts
from cli.texts import say

app = session.app(say("all resources, stuck ones, quarantine", "全部资源、滞留与隔离资源"))
Id = Annotated[str, typer.Argument(help=say("id of the resource", "资源编号"))]
Item = Annotated[str, typer.Argument(help=say("cloud id of the item", "云平台编号"))]

_COLUMNS: Final[list[output.Column]] = [
    (say("NAME", "名称"), "metadata.name"),
    (say("KIND", "类型"), "kind"),
    (say("STATE", "状态"), "status.state"),
    (say("SINCE", "起始时间"), "status.since"),
    (say("ADDRESSES", "地址"), "status.addresses"),
    (say("POOL", "资源池"), "spec.pool"),
    (say("TENANT", "单位"), "metadata.tenant"),
    (say("PROJECT", "项目"), "metadata.project"),
    (say("ID", "编号"), "metadata.id"),
]
_END: Final[output.Column] = (say("END", "到期"), "spec.end_at")
_STUCK: Final[list[output.Column]] = [*_COLUMNS, (say("WHY", "原因"), ordering.conditions)]
_SHOWN: Final[list[output.Column]] = [
    *_COLUMNS,
    (say("LOGIN", "登录"), "status.login"),
    (say("AMOUNTS", "用量"), lambda row: amounts.several(row["spec"]["amounts"])),
    (say("ZONE", "可用区"), "spec.zone"),
    (say("CLASS", "服务等级"), "spec.service_class"),
    (say("HALL", "机房"), "status.hall"),
    (say("HOST", "主机"), "status.host"),
    (say("CLOUD ID", "云平台编号"), "status.cloud_id"),
    (say("HOME", "云内归属"), lambda row: row["status"].get("home", "")),
    (say("LABELS", "标签"), "metadata.labels"),
    (say("PROTECTED", "删除保护"), "spec.protected"),
    _END,
    (say("BIN UNTIL", "回收站截止"), "status.bin_until"),
    (say("CONDITIONS", "情况"), ordering.conditions),
    (say("ATTEMPTS", "调用记录"), lambda row: [_attempt(one) for one in row["status"].get("attempts", [])]),
]
_ITEMS: Final[list[output.Column]] = [
    (say("CLOUD ID", "云平台编号"), "id"),
    (say("POOL", "资源池"), "pool"),
    (say("KIND", "类型"), "kind"),
    (say("NAME", "名称"), "name"),
    (say("TENANT", "单位"), "tenant"),
    (say("STATE", "状态"), "state"),
    (say("WHY", "原因"), "why"),
    (say("DECISION", "处理"), "decision"),
    (say("FOUND", "发现时间"), "found_at"),
]


@app.command("list", help=say("resources of any kind", "查看全部资源"))
def list_resources(
    ctx: typer.Context,
    tenant: ordering.Tenant = "",
    project: ordering.Project = "",
    kind: Annotated[str, typer.Option(help=say("VirtualMachine, Volume or ContainerApp", "类型"))] = "",
    state: Annotated[str, typer.Option(help=say("such as running, creating, lost", "状态，如 running、lost"))] = "",
    stuck: Annotated[bool, typer.Option("--stuck", help=say("only what an operator should look at", "仅滞留资源"))] = False,
    deleted: Annotated[bool, typer.Option("--deleted", help=say("only the recycle bin", "仅回收站"))] = False,
    ended: Annotated[bool, typer.Option("--ended", help=say("also what is gone", "包括已结束的"))] = False,
    ending_within: Annotated[
        str, typer.Option("--ending-within", help=say("only what ends so soon, such as 30d", "仅在此期限内到期的，如 30d"))
    ] = "",
) -> None:
    """List resources."""
    flags = {"stuck": stuck or None, "deleted": deleted or None, "ended": ended or None}
    query: dict[str, Any] = {"tenant": tenant, "project": project, "kind": kind, "state": texts.code_of(state)}
    query["ending_within_days"] = lease.days(ending_within, "--ending-within")
    shown = _STUCK if stuck else [*_COLUMNS, _END] if ending_within else _COLUMNS
    output.show(ctx, session.client(ctx).pages("/v1/resources", **query, **flags), shown)


@app.command("show", help=say("one resource in full", "查看资源详情"))
def show(
    ctx: typer.Context,
    resource: Annotated[str, typer.Argument(help=say("id or name of the resource", "资源编号或名称"))],
    tenant: ordering.Tenant = "",
    project: ordering.Project = "",
) -> None:
    """Show one resource."""
    output.show(ctx, ordering.found(ctx, "", resource, tenant, project), _SHOWN)


@app.command("find", help=say("by id, name or address, over all tenants", "按编号、名称或地址查找（跨单位）"))
def find(ctx: typer.Context, text: Annotated[str, typer.Argument(help=say("id, name or address", "编号、名称或地址"))]) -> None:
    """Find resources."""
    output.show(ctx, session.client(ctx).get("/v1/resource-finds", text=text)["items"], _COLUMNS)


@app.command("retry", help=say("try now; look for a lost one once more", "立即重试；再次查找丢失的资源"))
def retry(ctx: typer.Context, resource: Id) -> None:
    """Retry a stuck resource."""
    output.show(ctx, session.client(ctx).post(api.path("/v1/resources/{}/retry", resource), {}), _COLUMNS)


@app.command("protect", help=say("refuse deletion; --off takes it away", "启用删除保护；--off 取消"))
def protect(
    ctx: typer.Context,
    resource: Id,
    off: Annotated[bool, typer.Option("--off", help=say("take the protection away", "取消删除保护"))] = False,
) -> None:
    """Switch deletion protection."""
    _patch(ctx, resource, {"protected": not off})


@app.command("label", help=say("replace the labels", "设置标签"))
def label(ctx: typer.Context, resource: Id, labels: ordering.Labels = None) -> None:
    """Replace the labels."""
    _patch(ctx, resource, {"labels": ordering.labels(labels)})


@app.command("move", help=say("order the move of some to another department, by id", "按编号申请移交给其他部门"))
def move(
    ctx: typer.Context,
    resources: Annotated[list[str], typer.Argument(help=say("ids of one project's resources", "同一项目的资源编号"))],
    to: ordering.To,
    reason: ordering.Reason = "",
    document_no: ordering.DocumentNo = "",
) -> None:
    """Order a move."""
    client = session.client(ctx)
    rows = [client.get(api.path("/v1/resources/{}", each)) for each in resources]
    lines = [{"action": "move", "kind": row["kind"], "resource": row["metadata"]["id"]} for row in rows]
    place = rows[0]["metadata"]
    ordering.submit(ctx, lines, tenant=place["tenant"], project=place["project"], reason=reason, document_no=document_no, to=to)


@app.command("write-off", help=say("give it up; a second person must agree", "核销资源（须两人）"))
def write_off(ctx: typer.Context, resource: Id, reason: Annotated[str, typer.Option(help=say("why", "理由"))]) -> None:
    """Write a resource off."""
    session.confirm(
        ctx,
        say(
            f"Write off {resource}? Its quota goes back although its cloud never confirmed that it is gone.",
            f"核销 {resource}？云平台未确认其已删除，但配额将被释放。",
        ),
    )
    row = session.client(ctx).post(api.path("/v1/resources/{}/write-off", resource), {"reason": reason})
    output.show(ctx, row, _COLUMNS)
    if row["status"]["state"] != "written_off":
        session.tell(say("another person must agree: govpool resource write-off", "还须另一人执行：govpool resource write-off"))


@app.command("quarantine", help=say("what carries our tag and belongs to no resource", "隔离区：带本系统标签而无归属的对象"))
def quarantine(
    ctx: typer.Context,
    foreign: Annotated[bool, typer.Option("--foreign", help=say("what does not carry our tag", "不带本系统标签的对象"))] = False,
) -> None:
    """List the quarantine."""
    output.show(ctx, session.client(ctx).pages("/v1/quarantine", origin="foreign" if foreign else "ours"), _ITEMS)


@app.command("quarantine-release", help=say("leave an item alone", "保留隔离对象，不再提示"))
def quarantine_release(ctx: typer.Context, item: Item) -> None:
    """Leave an item alone."""
    output.show(ctx, session.client(ctx).post(api.path("/v1/quarantine/{}/release", item), {}), _ITEMS)


@app.command("quarantine-delete", help=say("remove an item from its cloud", "从云平台删除隔离对象"))
def quarantine_delete(ctx: typer.Context, item: Item) -> None:
    """Remove an item."""
    session.confirm(ctx, say(f"Remove {item} from its cloud for good?", f"从云平台彻底删除 {item}？"))
    output.show(ctx, session.client(ctx).post(api.path("/v1/quarantine/{}/delete", item), {}), _ITEMS)


def _patch(ctx: typer.Context, resource: str, body: dict[str, Any]) -> None:
    output.show(ctx, session.client(ctx).patch(api.path("/v1/resources/{}", resource), body), _SHOWN)


def _attempt(one: Any) -> str:
    ended = one["outcome"] or say("open", "未完结")
    return f"{one['number']} {one['verb']} {one['action']} {one['opened_at']} {ended} {one['detail']}".rstrip()
