"""`govpool container`: container services.  Every change is an order."""

from typing import Annotated, Any

import typer

from cli import ordering, session
from cli.texts import say

KIND = "ContainerApp"
app = session.app(say("container services", "容器服务"))
ordering.add_verbs(app, KIND, ("start", "stop", "delete", "undelete"))

Name = Annotated[str, typer.Argument(help=say("name or id", "名称或编号"))]
Replicas = Annotated[int | None, typer.Option(min=1, max=1000, help=say("how many replicas", "副本数"))]
MinReplicas = Annotated[
    int | None,
    typer.Option(min=1, max=1000, help=say("fewest, where the cloud chooses how many (1)", "自动伸缩的最小副本数（默认 1）")),
]
MaxReplicas = Annotated[
    int | None,
    typer.Option(
        min=1, max=1000, help=say("most, where the cloud chooses how many: this is counted", "自动伸缩的最大副本数（按此占用配额）")
    ),
]
TargetCpu = Annotated[
    int | None,
    typer.Option("--target-cpu-percent", min=1, max=100, help=say("CPU use that it keeps to (80)", "目标 CPU 使用率（默认 80）")),
]
Port = Annotated[int | None, typer.Option(min=1, max=65535, help=say("port that it serves", "服务端口"))]
MaxSurge = Annotated[
    str,
    typer.Option(
        help=say("replicas more while they are replaced: 1 or 25% (25%)", "滚动更新时最多增加的副本：1 或 25%（默认 25%）")
    ),
]
MaxUnavailable = Annotated[
    str, typer.Option(help=say("replicas fewer meanwhile: 1 or 25% (25%)", "滚动更新时最多不可用的副本：1 或 25%（默认 25%）"))
]


@app.command("create", help=say("order a service", "申请容器服务"))
def create(
    ctx: typer.Context,
    name: Annotated[str, typer.Argument(help=say("name", "名称"))],
    size: Annotated[
        str, typer.Option(help=say("size of one replica: govpool template sizes", "单副本规格：govpool template sizes"))
    ],
    image: Annotated[str, typer.Option(help=say("image of the catalogue", "镜像"))],
    replicas: Replicas = None,
    min_replicas: MinReplicas = None,
    max_replicas: MaxReplicas = None,
    target_cpu_percent: TargetCpu = None,
    port: Port = None,
    max_surge: MaxSurge = "",
    max_unavailable: MaxUnavailable = "",
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
    wish: dict[str, Any] = {"name": name, "size": size, "image": image, "port": port, "count": count, "replicas": replicas}
    wish |= {"min_replicas": min_replicas, "max_replicas": max_replicas, "target_cpu_percent": target_cpu_percent}
    wish |= {"max_surge": max_surge, "max_unavailable": max_unavailable}
    place = {"zone": zone, "service_class": service_class, "pool": pool, "labels": ordering.labels(label), "protected": protect}
    line = {"action": "create", "kind": KIND, "spec": ordering.spec(**wish, **place, end_at=until)}
    ordering.submit(ctx, [line], tenant=tenant, project=project, reason=reason, document_no=document_no)


@app.command("scale", help=say("change replicas, bounds or size", "调整副本数、伸缩范围或规格"))
def scale(
    ctx: typer.Context,
    name: Name,
    replicas: Replicas = None,
    size: Annotated[str, typer.Option(help=say("new size of one replica", "新规格"))] = "",
    min_replicas: MinReplicas = None,
    max_replicas: MaxReplicas = None,
    target_cpu_percent: TargetCpu = None,
    tenant: ordering.Tenant = "",
    project: ordering.Project = "",
    reason: ordering.Reason = "",
    document_no: ordering.DocumentNo = "",
) -> None:
    """Order another number of replicas, or other bounds; a number alone ends the bounds."""
    spec = ordering.spec(
        replicas=replicas, size=size, min_replicas=min_replicas, max_replicas=max_replicas, target_cpu_percent=target_cpu_percent
    )
    line = {"action": "scale", "kind": KIND, "resource": name, "spec": spec}
    ordering.submit(ctx, [line], tenant=tenant, project=project, reason=reason, document_no=document_no)


@app.command("update", help=say("another image or port, replica by replica", "滚动更新镜像或端口"))
def update(
    ctx: typer.Context,
    name: Name,
    image: Annotated[str, typer.Option(help=say("new image of the catalogue", "新镜像"))] = "",
    port: Port = None,
    max_surge: MaxSurge = "",
    max_unavailable: MaxUnavailable = "",
    tenant: ordering.Tenant = "",
    project: ordering.Project = "",
    reason: ordering.Reason = "",
    document_no: ordering.DocumentNo = "",
) -> None:
    """Order a rolling update."""
    spec = ordering.spec(image=image, port=port, max_surge=max_surge, max_unavailable=max_unavailable)
    line = {"action": "update", "kind": KIND, "resource": name, "spec": spec}
    ordering.submit(ctx, [line], tenant=tenant, project=project, reason=reason, document_no=document_no)


@app.command("restart", help=say("restart it, replica by replica", "滚动重启"))
def restart(
    ctx: typer.Context,
    names: Annotated[list[str], typer.Argument(help=say("names or ids", "名称或编号"))],
    max_surge: MaxSurge = "",
    max_unavailable: MaxUnavailable = "",
    tenant: ordering.Tenant = "",
    project: ordering.Project = "",
    reason: ordering.Reason = "",
    document_no: ordering.DocumentNo = "",
) -> None:
    """Order a rolling restart."""
    spec = ordering.spec(max_surge=max_surge, max_unavailable=max_unavailable)
    lines = [{"action": "restart", "kind": KIND, "resource": name, "spec": spec} for name in names]
    ordering.submit(ctx, lines, tenant=tenant, project=project, reason=reason, document_no=document_no)
