"""`govpool hall`: halls of the data centre."""

from typing import Annotated

import typer

from cli import output, session
from cli.texts import say

app = session.app(say("halls of the data centre", "机房模块"))

_COLUMNS = [
    (say("HALL", "模块"), "metadata.name"),
    (say("NAME", "名称"), "spec.name"),
    (say("SITE", "所在地"), "spec.site"),
    (say("BOUNDARY", "边界"), "spec.boundary"),
    (say("CATEGORY", "类别"), "spec.category"),
]
Hall = Annotated[str, typer.Argument(help=say("code of the hall", "模块代码"))]


@app.command("list", help=say("Halls by code.", "列出机房模块。"))
def list_halls(ctx: typer.Context) -> None:
    """Halls by code."""
    output.show(ctx, session.client(ctx).pages("/v1/halls"), columns=_COLUMNS)


@app.command("show", help=say("One hall.", "查看机房模块。"))
def show(ctx: typer.Context, hall: Hall) -> None:
    """One hall."""
    output.show(ctx, session.client(ctx).get(f"/v1/halls/{hall}"), columns=_COLUMNS)


@app.command("set", help=say("Create or change a hall.", "新建或修改机房模块。"))
def set_hall(
    ctx: typer.Context,
    hall: Hall,
    name: Annotated[str, typer.Option(help=say("name for people", "名称"))],
    site: Annotated[str, typer.Option(help=say("name of the site", "所在地"))],
    boundary: Annotated[str, typer.Option(help=say("whole (PUE) or part (pPUE)", "whole（PUE）或 part（pPUE）"))] = "whole",
    category: Annotated[
        int,
        typer.Option(
            help=say("IT energy at: 1 UPS output, 2 PDU output, 3 IT input", "IT 电量取自：1 UPS 输出，2 PDU 输出，3 IT 输入")
        ),
    ] = 1,
) -> None:
    """Create or change a hall."""
    body = {"name": name, "site": site, "boundary": boundary, "category": category}
    output.show(ctx, session.client(ctx).put(f"/v1/halls/{hall}", body), columns=_COLUMNS)
