"""What `vm`, `volume` and `container` share: each change is an order, and the order can be waited for.

`add_verbs(app, kind, ...)` gives a noun its list, show and plain actions; its own file adds create and what changes its size.
"""

import pathlib
from collections.abc import Sequence
from typing import Annotated, Any, Final

import typer

from apiclient import client as api
from apiclient import failure as refused
from cli import amounts, failure, output, session, texts
from cli.texts import say

Tenant = Annotated[str, typer.Option("--tenant", help=say("tenant code (else the context's)", "单位代码（默认取上下文）"))]
Project = Annotated[str, typer.Option("--project", help=say("project code (else the context's)", "项目代码（默认取上下文）"))]
Reason = Annotated[str, typer.Option("--reason", help=say("why", "事由"))]
DocumentNo = Annotated[str, typer.Option("--document-no", help=say("number of the document it rests on", "文号"))]
Labels = Annotated[list[str] | None, typer.Option("--label", help=say("KEY=VALUE, again for more", "标签 KEY=VALUE，可重复"))]
Zone = Annotated[str, typer.Option("--zone", help=say("zone", "可用区"))]
ServiceClass = Annotated[str, typer.Option("--class", help=say("service class", "服务等级"))]
Pool = Annotated[str, typer.Option("--pool", help=say("pool, when it must be a certain one", "指定资源池"))]
Protect = Annotated[bool, typer.Option("--protect", help=say("refuse deletion until taken off", "启用删除保护"))]
To = Annotated[
    str,
    typer.Option(
        "--to",
        metavar="TENANT[/PROJECT]",
        help=say("who takes it; an approver there decides", "接收单位（可带项目）；由其审批人审批"),
    ),
]
Until = Annotated[
    str,
    typer.Option(
        "--until",
        help=say("its end: 2026-12-31 (to the end of that day), a moment, or none", "到期：2026-12-31（当日结束）、时刻或 none"),
    ),
]
Count = Annotated[
    int,
    typer.Option(
        "--count", min=1, max=100, help=say("how many equal ones: name-1, name-2, ...", "数量，名称依次为 name-1、name-2…")
    ),
]

ENDED: Final = ("delivered", "partly_delivered", "failed", "refused", "withdrawn", "ended")


def what(line: Any) -> str:
    """A line of an order in a few words: create VirtualMachine web until ..."""
    said = f"{texts.action(line['action'])} {texts.kind(line['kind'])} {line['name']}"
    end, before = line.get("end_at"), line.get("end_before")
    if line["action"] == "extend":
        none = say("no end", "无期限")
        return f"{said} {say('until', '至')} {end or none} ({say('before', '原为')} {before or none})"
    return f"{said} {say('until', '至')} {end}" if end else said


_ORDER_COLUMNS: Final[list[output.Column]] = [
    (say("ORDER", "申请单"), "metadata.name"),
    (say("STATE", "状态"), "status.state"),
    (say("PROJECT", "项目"), "metadata.project"),
    (
        say("LINES", "内容"),
        lambda row: [what(line) for line in row["spec"]["lines"]],
    ),
    (say("MONTHLY CNY", "月费（元）"), "status.monthly"),
    (say("ENCUMBERS CNY", "占用预算（元）"), lambda row: encumbered(row)),
    (say("APPROVAL BY", "审批规则"), "status.approval"),
]
_DRY_COLUMNS: Final[list[output.Column]] = [
    *_ORDER_COLUMNS,
    (
        say("QUOTA AFTER", "申请后配额"),
        lambda row: [_after(item) for item in row["status"].get("quota_after", [])],
    ),
    (say("BUDGET AFTER", "申请后预算"), lambda row: [_left(item) for item in row["status"].get("budget_after", [])]),
]


def submit(
    ctx: typer.Context,
    lines: Sequence[dict[str, Any]],
    *,
    tenant: str,
    project: str,
    reason: str = "",
    document_no: str = "",
    to: str = "",
) -> None:
    """Order `lines`, print the order, wait if asked.  Exits 9 when it waits for approval, 1 when it was not delivered."""
    body: dict[str, Any] = {
        "tenant": session.tenant(ctx, tenant),
        "project": session.project(ctx, project),
        "lines": list(lines),
        "reason": reason,
        "document_no": document_no,
        **({"to": to} if to else {}),
    }
    order = session.client(ctx).post("/v1/orders", body)
    options = session.options(ctx)
    number = order["metadata"]["name"]
    if options.dry_run:
        output.show(ctx, order, _DRY_COLUMNS)
        return
    if options.wait and order["status"]["state"] == "delivering":
        order = waited(ctx, number)
    output.show(ctx, order, _ORDER_COLUMNS)
    conclude(order)


def waited(ctx: typer.Context, number: str) -> Any:
    """Look at an order until it has ended or waits for a person."""
    path = api.path("/v1/orders/{}", number)
    return session.wait(
        ctx,
        lambda: session.client(ctx).get(path),
        lambda order: str(order["status"]["state"]),
        (*ENDED, "waiting_for_approval"),
        resume=f"govpool order show {number} --wait",
    )


def conclude(order: Any) -> None:
    """The exit code of an order's state, with a word about why."""
    state, number = order["status"]["state"], order["metadata"]["name"]
    if state == "waiting_for_approval":
        rules = ", ".join(order["status"]["approval"])
        session.tell(say(f"order {number} waits for approval ({rules})", f"申请单 {number} 等待审批（{rules}）"))
        raise typer.Exit(failure.WAITING_FOR_APPROVAL)
    if state in ("failed", "partly_delivered"):
        for line in order["spec"]["lines"]:
            if line["outcome"] == "failed":
                session.tell(f"{line['name']}: {line['reason']}")
        raise typer.Exit(failure.FAILED)


def _after(item: dict[str, Any]) -> str:
    name = item["name"]
    used, granted = amounts.outside(name, item["used"]), amounts.outside(name, item["granted"])
    return say(f"{name} {used} of {granted}", f"{name} {used} / {granted}")


def _left(item: dict[str, Any]) -> str:
    given, tenant, year = item["appropriated"], item["tenant"], item["year"]
    if item["carried_over"] != "0.00":
        given = f"{given} + {item['carried_over']}"
    return say(
        f"{tenant} {year}: {item['left']} left of {given} ({item['encumbered']} encumbered, {item['spent']} spent)",
        f"{tenant} {year} 年：可用 {item['left']} / {given}（已占用 {item['encumbered']}，已支出 {item['spent']}）",
    )


def encumbered(order: Any) -> str:
    """The money that an order held when it was submitted, all its lines and years together."""
    fen = sum(int(line["encumbers"].replace(".", "")) for line in order["spec"]["lines"])
    return f"{fen // 100}.{fen % 100:02}"


def conditions(row: Any) -> list[str]:
    """What holds a resource up, a line each."""
    return [f"{one['code']}: {say(one['en'], one['zh'])}" for one in row["status"]["conditions"]]


def labels(given: list[str] | None) -> dict[str, str]:
    """KEY=VALUE pairs as a mapping.  Raises a usage error."""
    found: dict[str, str] = {}
    for pair in given or []:
        key, equals, value = pair.partition("=")
        if not equals or not key:
            raise failure.UsageError(f"--label {pair}: KEY=VALUE", "--label system=tax")
        found[key] = value
    return found


def key_text(given: str) -> str:
    """A public key: its text, or the file that holds it."""
    if not given or given.startswith(("ssh-", "ecdsa-", "sk-")):
        return given
    return pathlib.Path(given).expanduser().read_text(encoding="utf-8").strip()


def spec(**values: Any) -> dict[str, Any]:
    """The spec of a line, without what was not said."""
    return {name: value for name, value in values.items() if value not in (None, "", {}, False)}


def add_verbs(app: typer.Typer, kind: str, actions: Sequence[str]) -> None:
    """Add list, show and the plain `actions` of a kind to the app of its noun."""

    @app.command("list", help=say("those of a project or tenant", "查看列表"))
    def list_resources(ctx: typer.Context, tenant: Tenant = "", project: Project = "", deleted: _Deleted = False) -> None:
        chosen = session.context(ctx)
        query = {"kind": kind, "tenant": tenant or chosen.tenant, "project": project or chosen.project, "deleted": deleted or None}
        output.show(ctx, _placed(ctx, query, tenant), RESOURCE_COLUMNS)

    @app.command("show", help=say("one, with addresses and how to log in", "查看详情、地址与登录方式"))
    def show_resource(ctx: typer.Context, name: _Name, tenant: Tenant = "", project: Project = "") -> None:
        output.show(ctx, found(ctx, kind, name, tenant, project), SHOW_COLUMNS)

    for action in actions:
        _add_action(app, kind, action)

    @app.command("move", help=say("order its move to another department", "申请移交给其他部门"))
    def move(
        ctx: typer.Context,
        names: _Names,
        to: To,
        tenant: Tenant = "",
        project: Project = "",
        reason: Reason = "",
        document_no: DocumentNo = "",
    ) -> None:
        lines = [{"action": "move", "kind": kind, "resource": name} for name in names]
        submit(ctx, lines, tenant=tenant, project=project, reason=reason, document_no=document_no, to=to)


def found(ctx: typer.Context, kind: str, name: str, tenant: str, project: str) -> Any:
    """The one resource of a name or id.  Exits 3 when there is none that the caller may see."""
    chosen = session.context(ctx)
    client = session.client(ctx)
    if "-" in name and len(name.rpartition("-")[2]) == 26:
        return client.get(api.path("/v1/resources/{}", name))
    query = {"kind": kind, "name": name, "tenant": tenant or chosen.tenant, "project": project or chosen.project}
    rows = _placed(ctx, query, tenant)
    if len(rows) == 1:
        return rows[0]
    if rows:
        raise failure.UsageError(
            say(f"{len(rows)} have the name {name}", f"有 {len(rows)} 个名为 {name}"),
            say("add --tenant and --project", "请加 --tenant 与 --project"),
        )
    raise failure.NotFoundError(
        say(f"there is no {kind or 'resource'} {name} that you may see", f"没有您可查看的{texts.kind(kind) or '资源'} {name}"),
        f"govpool {ctx.command_path.split()[1]} list",
    )


def _placed(ctx: typer.Context, query: dict[str, Any], tenant: str) -> list[Any]:
    """The resources of a query.  A project that the context's own tenant does not have: exit 3, and --tenant as the way out."""
    try:
        return list(session.client(ctx).pages("/v1/resources", **query))
    except refused.ProblemError as error:
        if error.code != "object.unknown" or not query["project"] or tenant:
            raise
        raise failure.NotFoundError(
            say(
                f"{query['tenant']} has no project {query['project']} that you may see",
                f"{query['tenant']} 没有您可查看的项目 {query['project']}",
            ),
            say("add --tenant TENANT; govpool project list shows whose it is", "请加 --tenant；所属单位见 govpool project list"),
        ) from error


def _add_action(app: typer.Typer, kind: str, action: str) -> None:
    en, zh = _TEXTS[action]

    @app.command(action, help=say(en, zh))
    def act(
        ctx: typer.Context,
        names: _Names,
        tenant: Tenant = "",
        project: Project = "",
        reason: Reason = "",
        document_no: DocumentNo = "",
    ) -> None:
        if action == "delete":
            shown = ", ".join(names)
            session.confirm(
                ctx, say(f"Delete {shown}? It can be taken back from the recycle bin.", f"删除 {shown}？可从回收站恢复。")
            )
        lines = [{"action": action, "kind": kind, "resource": name} for name in names]
        submit(ctx, lines, tenant=tenant, project=project, reason=reason, document_no=document_no)


_Name = Annotated[str, typer.Argument(help=say("name or id", "名称或编号"))]
_Names = Annotated[list[str], typer.Argument(help=say("names or ids", "名称或编号"))]
_Deleted = Annotated[bool, typer.Option("--deleted", help=say("what lies in the recycle bin", "回收站"))]
_TEXTS: Final = {
    "start": ("start it", "启动"),
    "stop": ("stop it; quota and room stay", "停止（配额与容量保留）"),
    "restart": ("restart it", "重启"),
    "delete": ("delete it; the recycle bin keeps it for some days", "删除（进入回收站）"),
    "undelete": ("take it back from the recycle bin", "从回收站恢复"),
}
RESOURCE_COLUMNS: Final[list[output.Column]] = [
    (say("NAME", "名称"), "metadata.name"),
    (say("STATE", "状态"), "status.state"),
    (say("SIZE", "规格"), "spec.size"),
    (say("ADDRESSES", "地址"), "status.addresses"),
    (say("POOL", "资源池"), "spec.pool"),
    (say("ZONE", "可用区"), "spec.zone"),
    (say("TENANT", "单位"), "metadata.tenant"),
    (say("PROJECT", "项目"), "metadata.project"),
    (say("ID", "编号"), "metadata.id"),
]
SHOW_COLUMNS: Final[list[output.Column]] = [
    *RESOURCE_COLUMNS,
    (say("END", "到期"), "spec.end_at"),
    (say("LOGIN", "登录"), "status.login"),
    (say("AMOUNTS", "用量"), lambda row: amounts.several(row["spec"]["amounts"])),
    (say("CLASS", "服务等级"), "spec.service_class"),
    (say("LABELS", "标签"), "metadata.labels"),
    (say("PROTECTED", "删除保护"), "spec.protected"),
    (say("CONDITIONS", "情况"), lambda row: conditions(row)),
]
