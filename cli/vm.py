"""`govpool vm`: virtual machines.  Every change is an order."""

from typing import Annotated, Any

import typer

from cli import ordering, session
from cli.texts import say

KIND = "VirtualMachine"
app = session.app(say("virtual machines", "虚拟机"))
ordering.add_verbs(app, KIND, ("start", "stop", "restart", "delete", "undelete"))


@app.command("create", help=say("order one or several equal ones", "申请虚拟机"))
def create(
    ctx: typer.Context,
    name: Annotated[str, typer.Argument(help=say("name", "名称"))],
    size: Annotated[str, typer.Option(help=say("size of the catalogue: govpool template sizes", "规格：govpool template sizes"))],
    image: Annotated[str, typer.Option(help=say("image of the catalogue", "镜像"))],
    tenant: ordering.Tenant = "",
    project: ordering.Project = "",
    zone: ordering.Zone = "",
    service_class: ordering.ServiceClass = "",
    pool: ordering.Pool = "",
    key: Annotated[str, typer.Option(help=say("public key, or the file that holds it", "公钥或公钥文件"))] = "",
    disk_class: Annotated[str, typer.Option(help=say("class of the system disk", "系统盘类型"))] = "",
    count: ordering.Count = 1,
    label: ordering.Labels = None,
    protect: ordering.Protect = False,
    until: ordering.Until = "",
    reason: ordering.Reason = "",
    document_no: ordering.DocumentNo = "",
) -> None:
    """Order virtual machines."""
    wish: dict[str, Any] = {"name": name, "size": size, "image": image, "key": ordering.key_text(key), "disk_class": disk_class}
    place = {
        "zone": zone,
        "service_class": service_class,
        "pool": pool,
        "labels": ordering.labels(label),
        "protected": protect,
        "end_at": until,
    }
    line = {"action": "create", "kind": KIND, "spec": ordering.spec(**wish, **place, count=count)}
    ordering.submit(ctx, [line], tenant=tenant, project=project, reason=reason, document_no=document_no)


@app.command("resize", help=say("give it another size", "调整规格"))
def resize(
    ctx: typer.Context,
    name: Annotated[str, typer.Argument(help=say("name or id", "名称或编号"))],
    size: Annotated[str, typer.Option(help=say("new size", "新规格"))],
    tenant: ordering.Tenant = "",
    project: ordering.Project = "",
    reason: ordering.Reason = "",
) -> None:
    """Order another size."""
    line = {"action": "resize", "kind": KIND, "resource": name, "spec": {"size": size}}
    ordering.submit(ctx, [line], tenant=tenant, project=project, reason=reason)
