"""`govpool volume`: volumes.  Every change is an order."""

from typing import Annotated

import typer

from cli import ordering, session
from cli.texts import say

KIND = "Volume"
app = session.app(say("volumes", "云硬盘"))
ordering.add_verbs(app, KIND, ("delete", "undelete"))

Size = Annotated[int, typer.Option("--size-gib", min=1, max=1_000_000, help=say("size in GiB", "容量（GiB）"))]


@app.command("create", help=say("order one or several equal ones", "申请云硬盘"))
def create(
    ctx: typer.Context,
    name: Annotated[str, typer.Argument(help=say("name", "名称"))],
    size_gib: Size,
    tenant: ordering.Tenant = "",
    project: ordering.Project = "",
    zone: ordering.Zone = "",
    service_class: ordering.ServiceClass = "",
    pool: ordering.Pool = "",
    disk_class: Annotated[str, typer.Option(help=say("class of disk, such as ssd", "硬盘类型，如 ssd"))] = "",
    count: ordering.Count = 1,
    label: ordering.Labels = None,
    protect: ordering.Protect = False,
    until: ordering.Until = "",
    reason: ordering.Reason = "",
    document_no: ordering.DocumentNo = "",
) -> None:
    """Order volumes."""
    wish = {"name": name, "size_gib": size_gib, "disk_class": disk_class, "count": count}
    place = {
        "zone": zone,
        "service_class": service_class,
        "pool": pool,
        "labels": ordering.labels(label),
        "protected": protect,
        "end_at": until,
    }
    line = {"action": "create", "kind": KIND, "spec": ordering.spec(**wish, **place)}
    ordering.submit(ctx, [line], tenant=tenant, project=project, reason=reason, document_no=document_no)


@app.command("resize", help=say("make it larger or smaller", "调整容量"))
def resize(
    ctx: typer.Context,
    name: Annotated[str, typer.Argument(help=say("name or id", "名称或编号"))],
    size_gib: Size,
    tenant: ordering.Tenant = "",
    project: ordering.Project = "",
    reason: ordering.Reason = "",
) -> None:
    """Order another size."""
    line = {"action": "resize", "kind": KIND, "resource": name, "spec": {"size_gib": size_gib}}
    ordering.submit(ctx, [line], tenant=tenant, project=project, reason=reason)
