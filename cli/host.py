"""`govpool host`: hosts of the pools as their clouds report them."""

from typing import Annotated

import typer

from cli import amounts, output, session
from cli.texts import say

app = session.app(say("hosts of the pools", "资源池主机"))


@app.callback(help=say("hosts of the pools", "资源池主机"))
def hosts() -> None:
    """A noun with one verb still has its verb."""


@app.command("list", help=say("Hosts, what they have and the largest block that still fits.", "主机、容量及最大空闲块。"))
def list_hosts(ctx: typer.Context, pool: Annotated[str, typer.Option(help=say("only this pool", "仅该资源池"))] = "") -> None:
    """List."""
    columns: list[output.Column] = [
        (say("POOL", "资源池"), "pool"),
        (say("HOST", "主机"), "name"),
        (say("ZONE", "可用区"), "zone"),
        (say("CLASS", "类别"), "class"),
        (say("HALL", "机房"), "hall"),
        (say("ENABLED", "启用"), "enabled"),
        (say("PHYSICAL", "物理量"), lambda row: amounts.several(row["physical"])),
        (say("FREE", "空闲"), lambda row: amounts.several(row["free"])),
    ]
    output.show(ctx, session.client(ctx).pages("/v1/hosts", pool=pool), columns=columns)
