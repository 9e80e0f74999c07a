"""`govpool project`: everything that a tenant orders belongs to a project."""

from typing import Annotated

import typer

from apiclient import client as api
from cli import ordering, output, session
from cli.texts import say

app = session.app(say("projects of a tenant", "项目"))

_COLUMNS: list[output.Column] = [
    (say("CODE", "代码"), "metadata.name"),
    (say("NAME", "名称"), "spec.name"),
    (say("TENANT", "单位"), "metadata.tenant"),
    (say("CREATED", "创建时间"), "status.created_at"),
]
_Code = Annotated[str, typer.Argument(metavar="PROJECT", help=say("project code", "项目代码"))]
_Tenant = Annotated[str, typer.Option(help=say("tenant code; else the context's", "单位代码；默认取上下文"))]


@app.command("list", help=say("Projects that you see; of a tenant and below with --tenant.", "可见的项目；可用 --tenant 限定。"))
def list_projects(ctx: typer.Context, tenant: _Tenant = "") -> None:
    """List."""
    output.show(ctx, session.client(ctx).pages("/v1/projects", tenant=tenant), columns=_COLUMNS)


@app.command("show", help=say("One project.", "查看项目。"))
def show_project(ctx: typer.Context, code: _Code, tenant: _Tenant = "") -> None:
    """Show."""
    found = session.client(ctx).get(api.path("/v1/projects/{}/{}", session.tenant(ctx, tenant), code))
    output.show(ctx, found, columns=_COLUMNS)


@app.command("create", help=say("Open a project.", "新建项目。"))
def create_project(
    ctx: typer.Context,
    code: _Code,
    name: Annotated[str, typer.Option(help=say("name, in any script", "名称"))],
    tenant: _Tenant = "",
) -> None:
    """Create."""
    body = {"tenant": session.tenant(ctx, tenant), "code": code, "name": name}
    output.show(ctx, session.client(ctx).post("/v1/projects", body), columns=_COLUMNS)


@app.command("rename", help=say("Another name; the code stays.", "更名；代码不变。"))
def rename_project(
    ctx: typer.Context, code: _Code, name: Annotated[str, typer.Argument(help=say("the new name", "新名称"))], tenant: _Tenant = ""
) -> None:
    """Rename."""
    path = api.path("/v1/projects/{}/{}", session.tenant(ctx, tenant), code)
    output.show(ctx, session.client(ctx).patch(path, {"name": name}), columns=_COLUMNS)


@app.command(
    "move",
    help=say(
        "Order its move to another department, with all that is in it; an approver there decides.",
        "申请将项目连同其全部资源移交给其他部门；由接收单位审批。",
    ),
)
def move_project(
    ctx: typer.Context,
    code: _Code,
    to: ordering.To,
    tenant: _Tenant = "",
    reason: ordering.Reason = "",
    document_no: ordering.DocumentNo = "",
) -> None:
    """Move."""
    line = {"action": "move", "kind": "Project", "resource": code}
    ordering.submit(ctx, [line], tenant=tenant, project=code, reason=reason, document_no=document_no, to=to)
