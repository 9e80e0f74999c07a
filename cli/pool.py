"""`govpool pool`: pooled hardware, its room in each zone and class."""

import json
from collections.abc import Callable
from typing import Annotated, Any

import typer

from apiclient import client as api
from cli import amounts, failure, output, session
from cli.texts import say

app = session.app(say("pooled hardware", "资源池"))

_Code = Annotated[str, typer.Argument(metavar="POOL", help=say("pool code", "资源池代码"))]
_COLUMNS: list[output.Column] = [
    (say("POOL", "资源池"), "metadata.name"),
    (say("NAME", "名称"), "spec.name"),
    (say("DRIVER", "驱动"), "spec.driver"),
    (say("KINDS", "可承载"), "status.kinds"),
    (say("LEVEL", "等保"), "spec.protection_level"),
    (say("HALLS", "机房"), "spec.halls"),
    (say("PAUSED", "已暂停"), "status.paused"),
]


def _amount(field: str) -> Callable[[Any], str]:
    return lambda row: amounts.outside(row["name"], row[field]) if field in row else ""


_ROOMS: list[output.Column] = [
    (say("ZONE", "可用区"), "zone"),
    (say("CLASS", "类别"), "class"),
    (say("NAME", "配额项"), "name"),
    (say("PHYSICAL", "物理量"), _amount("physical")),
    (say("CAPACITY", "可分配"), _amount("capacity")),
    (say("GRANTED", "已授予"), _amount("granted")),
    (say("RESERVED", "预留中"), _amount("reserved")),
    (say("HELD", "已占用"), _amount("held")),
    (say("FREE", "空闲"), _amount("free")),
    (say("USED", "云平台已用"), _amount("used")),
]


@app.command("list", help=say("All pools.", "全部资源池。"))
def list_pools(ctx: typer.Context) -> None:
    """List."""
    output.show(ctx, session.client(ctx).pages("/v1/pools"), columns=_COLUMNS)


@app.command(
    "show",
    help=say(
        "Granted, reserved, physical and used of a pool, per zone and class; -o yaml shows the document.",
        "按可用区与类别查看授予、预留、物理与已用；-o yaml 显示文档。",
    ),
)
def show_pool(ctx: typer.Context, code: _Code) -> None:
    """Show."""
    found = session.client(ctx).get(api.path("/v1/pools/{}", code))
    if session.options(ctx).output in ("json", "yaml", "name"):
        output.show(ctx, found, columns=_COLUMNS)
    else:
        output.show(ctx, found["status"]["rooms"], columns=_ROOMS)


@app.command("create", help=say("Make a pool over a cloud.", "以一个云平台建立资源池。"))
def create_pool(
    ctx: typer.Context,
    code: _Code,
    driver: Annotated[str, typer.Option(help=say("driver of the cloud, such as lab", "云平台驱动，如 lab"))],
    name: Annotated[str, typer.Option(help=say("name, in any script", "名称"))] = "",
    setting: Annotated[list[str] | None, typer.Option(metavar="KEY=VALUE", help=say("setting of the driver", "驱动设置项"))] = None,
    zone: Annotated[list[str] | None, typer.Option(help=say("only hosts of this zone", "仅该可用区的主机"))] = None,
    service_class: Annotated[
        list[str] | None, typer.Option("--class", help=say("only hosts of this class", "仅该类别的主机"))
    ] = None,
    hall: Annotated[list[str] | None, typer.Option(help=say("hall of the data centre", "机房模块"))] = None,
    protection_level: Annotated[
        int, typer.Option(min=1, max=4, help=say("graded protection: for tenants up to this level", "等保级别上限"))
    ] = 2,
    overcommit: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME=PERMILLE", help=say("most overcommit: cpu_milli=4000 is 4 times", "超配上限：cpu_milli=4000 为 4 倍")
        ),
    ] = None,
) -> None:
    """Create."""
    body = {
        "code": code,
        "name": name or code,
        "driver": driver,
        "driver_settings": {key: _value(text) for key, text in _pairs(setting).items()},
        "zones": zone or [],
        "service_classes": service_class or [],
        "halls": hall or [],
        "protection_level": protection_level,
        "overcommit_permille": {key: amounts.raw(key, text) for key, text in _pairs(overcommit).items()},
    }
    output.show(ctx, session.client(ctx).post("/v1/pools", body), columns=_COLUMNS)


@app.command(
    "pause", help=say("Place nothing new into a pool; what is in it goes on.", "暂停向资源池放置新资源；已有资源不受影响。")
)
def pause_pool(ctx: typer.Context, code: _Code) -> None:
    """Pause."""
    output.show(ctx, session.client(ctx).post(api.path("/v1/pools/{}/pause", code)), columns=_COLUMNS)


@app.command("resume", help=say("Place into a pool again.", "恢复向资源池放置资源。"))
def resume_pool(ctx: typer.Context, code: _Code) -> None:
    """Resume."""
    output.show(ctx, session.client(ctx).post(api.path("/v1/pools/{}/resume", code)), columns=_COLUMNS)


def _pairs(given: list[str] | None) -> dict[str, str]:
    pairs = {}
    for pair in given or ():
        key, equals, text = pair.partition("=")
        if not equals or not key:
            raise failure.UsageError(
                say(f"{pair!r} is not KEY=VALUE", f"{pair!r} 不是 KEY=VALUE"), "--setting url=http://127.0.0.1:8774"
            )
        pairs[key] = text
    return pairs


def _value(text: str) -> Any:
    """A setting as JSON reads it if that is a number or a truth value, else as text."""
    try:
        value = json.loads(text)
    except ValueError:
        return text
    return value if isinstance(value, int) else text
