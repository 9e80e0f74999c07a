"""`govpool container`: container services.  Every change is an order."""

from typing import Annotated

import typer

from cli import ordering, session
from cli.texts import say

KIND = "ContainerApp"
app = session.app(say("container services", "容器服务"))
ordering.add_verbs(app, KIND, ("start", "stop", "restart", "delete", "undelete"))

Replicas = Annotated[int | None, typer.Option(min=1, max=1000, help=say("how many replicas", "副本数"))]


@app.command("create", help=say("order a service", "申请容器服务"))
def create(
    ctx: typer.Context,
    name: Annotated[str, typer.Argument(help=say("name", "名称"))],
    size: Annotated[
        str, typer.Option(help=say("size of one replica: govpool template sizes", "单副本规格：govpool template sizes"))
    ],
    image: Annotated[str, typer.Option(help=say("image of the catalogue", "镜像"))],
    replicas: Replicas = None,
    port: Annotated[int | None, typer.Option(min=1, max=65535, help=say("port that it serves", "服务端口"))] = None,
    tenant: ordering.Tenant = "",
    project: ordering.Project = "",
    zone: ordering.Zone = "",
    service_class: ordering.ServiceClass = "",
    pool: ordering.Pool = "",
    count: ordering.Count = 1,
    label: ordering.Labels = None,
    protect: ordering.Protect = False,
    until: ordering.Until = "",
    reason: ordering.Reason = "",
    document_no: ordering.DocumentNo = "",
) -> None:
    """Order container services."""
    wish = {"name": name, "size": size, "image": image, "replicas": replicas, "port": port, "count": count}
    place = {"zone": zone, "service_class": service_class, "pool": pool, "labels": ordering.labels(label), "protected": protect, "end_at": until}
    line = {"action": "create", "kind": KIND, "spec": ordering.spec(**wish, **place)}
    ordering.submit(ctx, [line], tenant=tenant, project=project, reason=reason, document_no=document_no)


@app.command("scale", help=say("change replicas or size", "调整副本数或规格"))
def scale(
    ctx: typer.Context,
    name: Annotated[str, typer.Argument(help=say("name or id", "名称或编号"))],
    replicas: Replicas = None,
    size: Annotated[str, typer.Option(help=say("new size of one replica", "新规格"))] = "",
    tenant: ordering.Tenant = "",
    project: ordering.Project = "",
    reason: ordering.Reason = "",
) -> None:
    """Order another number of replicas."""
    line = {"action": "scale", "kind": KIND, "resource": name, "spec": ordering.spec(replicas=replicas, size=size)}
    ordering.submit(ctx, [line], tenant=tenant, project=project, reason=reason)
