"""`govpool tenant`: the tree of authorities and departments, and their members."""

from typing import Annotated, Any

import typer

from apiclient import client as api
from cli import amounts, output, session
from cli.texts import say

app = session.app(say("the tree of authorities and departments", "单位与部门"))
member = session.app(say("the people of a tenant", "单位成员"))
app.add_typer(member, name="member")


def _merged(row: Any) -> bool:
    return bool(row["status"].get("merged_into"))


_COLUMNS: list[output.Column] = [
    (say("CODE", "代码"), "metadata.name"),
    (say("NAME", "名称"), "spec.name"),
    (say("PARENT", "上级"), "spec.parent"),
    (say("PAYER", "付费单位"), "spec.payer"),
    (say("LEVEL", "等保"), "spec.protection_level"),
    (say("STATE", "状态"), "status.state"),
]
_DETAILS: list[output.Column] = [
    *_COLUMNS,
    (say("PATH", "隶属"), lambda row: "/".join(row["status"].get("path", []))),
    (say("BUDGET UNIT", "预算单位"), "spec.budget_unit"),
    (say("CREDIT CODE", "统一社会信用代码"), "spec.credit_code"),
    (
        say("MERGED INTO", "并入"),
        lambda row: f"{row['status']['merged_into']} {row['status']['merged_at']}" if _merged(row) else "",
    ),
    (say("GENERATION", "版本"), "metadata.generation"),
]
_Code = Annotated[str, typer.Argument(metavar="TENANT", help=say("tenant code", "单位代码"))]
_From = Annotated[
    str, typer.Option("--valid-from", help=say("since when (2026-10-01T00:00:00+08:00); now if left out", "生效时间；省略为当前"))
]

_Over = Annotated[
    bool,
    typer.Option(
        "--allow-over",
        help=say("let a limit be less than what is used: then only shrinking passes", "允许上限低于已用量：此后只允许缩减"),
    ),
]
_MERGED: list[output.Column] = [
    (say("TENANT", "单位"), "tenant"),
    (say("INTO", "并入"), "into"),
    (say("STATE", "状态"), "state"),
    (say("PROJECTS", "项目"), lambda row: [_becomes(each) for each in row["projects"]]),
    (say("RESOURCES", "资源"), "resources"),
    (say("TENANTS BELOW", "下级"), lambda row: row.get("tenants", [])),
    (say("GRANTS", "配额"), lambda row: [_grown(each) for each in row.get("grants", [])]),
    (say("BUDGETS", "预算"), lambda row: [f"{each['year']} {each['amount']}" for each in row.get("budgets", [])]),
    (say("WAITING ORDERS", "待审批申请单"), lambda row: row.get("waiting_orders", "")),
    (say("APPROVAL RULES", "审批规则"), lambda row: row.get("approval_rules", [])),
    (say("ROLES ENDED", "终止的角色"), lambda row: [f"{each['account']} {each['role']}" for each in row.get("roles_ended", [])]),
]


@app.command("list", help=say("Tenants that you see.", "可见的单位。"))
def list_tenants(
    ctx: typer.Context,
    parent: Annotated[str, typer.Option(help=say("only those directly below", "仅列出其直接下级"))] = "",
    state: Annotated[str, typer.Option(help=say("active, frozen, closing or closed", "状态"))] = "",
) -> None:
    """List."""
    output.show(ctx, session.client(ctx).pages("/v1/tenants", parent=parent, state=state), columns=_COLUMNS)


@app.command(
    "show", help=say("One tenant; --history shows its dated place, names and payers.", "查看单位；--history 显示历史沿革。")
)
def show_tenant(
    ctx: typer.Context,
    code: _Code,
    history: Annotated[bool, typer.Option("--history", help=say("through time", "历史沿革"))] = False,
) -> None:
    """Show."""
    client = session.client(ctx)
    if history:
        names: list[output.Column] = [
            (say("FACT", "事项"), "fact"),
            (say("VALUE", "值"), "value"),
            (say("FROM", "起"), "valid_from"),
            (say("TO", "止"), "valid_to"),
        ]
        output.show(ctx, client.pages(api.path("/v1/tenants/{}/history", code)), columns=names)
        return
    output.show(ctx, client.get(api.path("/v1/tenants/{}", code)), columns=_DETAILS)


@app.command("create", help=say("Found a tenant under a parent.", "在上级之下新建单位。"))
def create_tenant(
    ctx: typer.Context,
    code: _Code,
    name: Annotated[str, typer.Option(help=say("name, in any script", "名称"))],
    parent: Annotated[str, typer.Option(help=say("code of the tenant above", "上级单位代码"))],
    payer: Annotated[str, typer.Option(help=say("who pays; itself if left out", "付费单位；默认自身"))] = "",
    budget_unit: Annotated[str, typer.Option(help=say("code of the budget unit", "预算单位代码"))] = "",
    credit_code: Annotated[str, typer.Option(help=say("unified social credit code", "统一社会信用代码"))] = "",
    protection_level: Annotated[int, typer.Option(help=say("graded protection, 1 to 4", "等级保护级别 1 至 4"))] = 2,
    valid_from: _From = "",
) -> None:
    """Create."""
    body = {
        "code": code,
        "name": name,
        "parent": parent,
        "payer": payer,
        "budget_unit": budget_unit,
        "credit_code": credit_code,
        "protection_level": protection_level,
        "valid_from": valid_from,
    }
    output.show(ctx, session.client(ctx).post("/v1/tenants", body), columns=_DETAILS)


@app.command("rename", help=say("Another name from a moment on; the code stays.", "自某时起更名；代码不变。"))
def rename_tenant(
    ctx: typer.Context,
    code: _Code,
    name: Annotated[str, typer.Argument(help=say("the new name", "新名称"))],
    valid_from: _From = "",
) -> None:
    """Rename."""
    body = {"name": name, "valid_from": valid_from}
    output.show(ctx, session.client(ctx).patch(api.path("/v1/tenants/{}", code), body), columns=_DETAILS)


@app.command(
    "update",
    help=say("Change payer, budget unit, credit code or protection level.", "修改付费单位、预算单位、信用代码或等保级别。"),
)
def update_tenant(
    ctx: typer.Context,
    code: _Code,
    payer: Annotated[str | None, typer.Option(help=say("who pays from a moment on; its own code: itself", "付费单位"))] = None,
    budget_unit: Annotated[str | None, typer.Option(help=say("code of the budget unit", "预算单位代码"))] = None,
    credit_code: Annotated[str | None, typer.Option(help=say("unified social credit code", "统一社会信用代码"))] = None,
    protection_level: Annotated[int | None, typer.Option(help=say("graded protection, 1 to 4", "等级保护级别 1 至 4"))] = None,
    valid_from: _From = "",
) -> None:
    """Update."""
    given: dict[str, Any] = {
        "payer": payer,
        "budget_unit": budget_unit,
        "credit_code": credit_code,
        "protection_level": protection_level,
    }
    body = {name: value for name, value in given.items() if value is not None} | {"valid_from": valid_from}
    output.show(ctx, session.client(ctx).patch(api.path("/v1/tenants/{}", code), body), columns=_DETAILS)


@app.command("move", help=say("Put a tenant, with all below it, under another parent.", "将单位及其下级划归另一上级。"))
def move_tenant(
    ctx: typer.Context,
    code: _Code,
    parent: Annotated[str, typer.Option(help=say("the new parent", "新上级"))],
    valid_from: _From = "",
    allow_over: _Over = False,
) -> None:
    """Move."""
    body = {"parent": parent, "valid_from": valid_from, "allow_over": allow_over}
    output.show(ctx, session.client(ctx).post(api.path("/v1/tenants/{}/move", code), body), columns=_DETAILS)


@app.command(
    "merge",
    help=say(
        "Merge a tenant into another for ever; a second person gives the same command. --dry-run shows what goes over.",
        "将单位并入另一单位（不可撤销）；须由第二人执行同一命令。--dry-run 仅预览。",
    ),
)
def merge_tenant(
    ctx: typer.Context,
    code: _Code,
    into: Annotated[str, typer.Option("--into", help=say("code of the tenant that takes everything", "接收单位代码"))],
    valid_from: _From = "",
    allow_over: _Over = False,
    prefix: Annotated[str, typer.Option(help=say("put before the codes of projects that clash", "重名项目的代码前缀"))] = "",
) -> None:
    """Merge."""
    question = say(f"Merge {code} into {into} for ever? Its roles end.", f"将 {code} 永久并入 {into}？其角色将终止。")
    session.confirm(ctx, question, name=code)
    body = {"into": into, "valid_from": valid_from, "allow_over": allow_over, "prefix": prefix}
    done = session.client(ctx).post(api.path("/v1/tenants/{}/merge", code), body)
    output.show(ctx, done, columns=_MERGED)
    if done["state"] == "asked":
        session.tell(say("another person must give the same command within 7 days", "须由第二人在 7 天内执行同一命令方可生效"))


@app.command(
    "freeze", help=say("Stop all changes by its own people; what runs goes on.", "冻结：本单位人员不能作更改，已运行的不受影响。")
)
def freeze_tenant(ctx: typer.Context, code: _Code) -> None:
    """Freeze."""
    output.show(ctx, session.client(ctx).post(api.path("/v1/tenants/{}/freeze", code)), columns=_DETAILS)


@app.command("unfreeze", help=say("Let its people work again.", "解除冻结。"))
def unfreeze_tenant(ctx: typer.Context, code: _Code) -> None:
    """Unfreeze."""
    output.show(ctx, session.client(ctx).post(api.path("/v1/tenants/{}/unfreeze", code)), columns=_DETAILS)


@app.command(
    "export", help=say("All that belongs to it, as JSON lines, to a file or standard output.", "以 JSON 行导出其全部数据。")
)
def export_tenant(
    ctx: typer.Context, code: _Code, file: Annotated[str, typer.Option(help=say("file; standard output if left out", "文件"))] = ""
) -> None:
    """Export."""
    _export(session.client(ctx), code, file)


@app.command(
    "offboard",
    help=say("Export it, then close it for ever; refused while anything of it lives.", "导出后永久注销；有存续资源时拒绝。"),
)
def offboard_tenant(
    ctx: typer.Context, code: _Code, file: Annotated[str, typer.Option(help=say("file of the export", "导出文件"))] = ""
) -> None:
    """Offboard."""
    client = session.client(ctx)
    question = say(f"Close {code} for ever? Its people can then no longer sign in.", f"永久注销 {code}？其人员将无法再登录。")
    session.confirm(ctx, question, name=code)
    target = file or f"{code}.jsonl"
    _export(client, code, target)
    session.tell(say(f"exported to {target}", f"已导出到 {target}"))
    output.show(ctx, client.post(api.path("/v1/tenants/{}/offboard", code)), columns=_DETAILS)


_MEMBERS: list[output.Column] = [
    (say("ACCOUNT", "账号"), "account"),
    (say("NAME", "姓名"), "name"),
    (say("KIND", "类型"), "kind"),
    (say("AT", "归属"), "at"),
    (say("ROLES", "角色"), "roles"),
]


@member.command("list", help=say("The people of a tenant.", "单位成员。"))
def list_members(ctx: typer.Context, code: _Code) -> None:
    """List."""
    output.show(ctx, session.client(ctx).pages(api.path("/v1/tenants/{}/members", code)), columns=_MEMBERS)


@member.command(
    "add",
    help=say(
        "Add a person with an account; prints a one-use code, valid 24 h.", "新增人员与账号；显示一次性登录码（24 小时有效）。"
    ),
)
def add_member(
    ctx: typer.Context,
    code: _Code,
    account: Annotated[str, typer.Argument(help=say("login name, such as zhang.wei", "登录名，如 zhang.wei"))],
    name: Annotated[str, typer.Option(help=say("name of the person", "姓名"))],
    contact: Annotated[str, typer.Option(help=say("telephone or mail", "联系方式"))] = "",
    role: Annotated[
        list[str] | None,
        typer.Option(help=say("requester or viewer; others: role grant", "requester 或 viewer；其他见 role grant")),
    ] = None,
) -> None:
    """Add."""
    body = {"account": account, "name": name, "contact": contact, "roles": role or []}
    made = session.client(ctx).post(api.path("/v1/tenants/{}/members", code), body)
    columns: list[output.Column] = [
        (say("ACCOUNT", "账号"), "account"),
        (say("NAME", "姓名"), "name"),
        (say("TENANT", "单位"), "tenant"),
        (say("ROLES", "角色"), "roles"),
        (say("CODE", "登录码"), "code"),
        (say("VALID UNTIL", "有效至"), "code_expires_at"),
    ]
    output.show(ctx, made, columns=columns)


@member.command("remove", help=say("End all roles of an account at and below a tenant.", "取消账号在该单位及其下级的全部角色。"))
def remove_member(
    ctx: typer.Context, code: _Code, account: Annotated[str, typer.Argument(help=say("login name", "登录名"))]
) -> None:
    """Remove."""
    session.confirm(ctx, say(f"End all roles of {account} in {code}?", f"取消 {account} 在 {code} 的全部角色？"))
    ended = session.client(ctx).delete(api.path("/v1/tenants/{}/members/{}", code, account))
    output.show(
        ctx,
        ended,
        columns=[(say("ACCOUNT", "账号"), "account"), (say("TENANT", "单位"), "tenant"), (say("ROLES", "角色"), "roles")],
    )


def _export(client: api.Client, code: str, file: str) -> None:
    import os
    import sys

    content = client.content(api.path("/v1/tenants/{}/export", code))
    if not file:
        sys.stdout.write(content.decode())
        return
    with open(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as stream:  # it holds personal data
        stream.write(content)


def _becomes(project: dict[str, str]) -> str:
    """A project that goes over, with its new code if it gets one."""
    old, new = project["project"], project["becomes"]
    return old if old == new else f"{old} -> {new}"


def _grown(grant: dict[str, Any]) -> str:
    """What becomes of a grant of the tenant that takes."""
    name = grant["name"]
    before, after = amounts.outside(name, grant["granted_before"]), amounts.outside(name, grant["granted"])
    over = say(", over by {}", "，超出 {}").format(amounts.outside(name, grant["over_by"])) if grant["over_by"] else ""
    return f"{name} {before} -> {after}{over}"
