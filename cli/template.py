"""`govpool template`: the catalogue of sizes and images."""

from typing import Any

import typer

from cli import output, session, texts
from cli.texts import say

app = session.app(say("the catalogue: sizes and images", "目录：规格与镜像"))


def _title(row: Any) -> str:
    return str(row[f"title_{texts.lang()}"])


def _amounts(row: Any) -> list[str]:
    return [f"{name} {amount}" for name, amount in row["amounts"].items()]


@app.command("sizes", help=say("The sizes that can be ordered.", "可申请的规格。"))
def sizes(ctx: typer.Context) -> None:
    """The sizes that can be ordered."""
    columns: list[output.Column] = [
        (say("SIZE", "规格"), "name"),
        (say("TITLE", "说明"), _title),
        (say("AMOUNTS", "数量"), _amounts),
    ]
    output.show(ctx, session.client(ctx).get("/v1/sizes"), columns=columns)


@app.command("images", help=say("The images that resources start from.", "可用镜像。"))
def images(ctx: typer.Context) -> None:
    """The images that resources start from."""
    columns: list[output.Column] = [
        (say("IMAGE", "镜像"), "name"),
        (say("TITLE", "说明"), _title),
        (say("KINDS", "种类"), "kinds"),
        (say("LOGIN", "登录账号"), "login"),
    ]
    output.show(ctx, session.client(ctx).get("/v1/images"), columns=columns)
