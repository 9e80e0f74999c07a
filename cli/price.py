"""`govpool price`: price books, and what a month or a size would cost under another one.  Books are made with `govpool apply -f`."""

import pathlib
from typing import Annotated, Any

import typer

from apiclient import client as api
from cli import output, session
from cli.texts import say

app = session.app(say("price books", "价目表"))


@app.command("list", help=say("Price books by the moment they come into force.", "价目表（按生效时间）。"))
def list_books(ctx: typer.Context) -> None:
    """List books."""
    columns: list[output.Column] = [
        (say("NAME", "名称"), "metadata.name"),
        (say("VALID FROM", "生效时间"), "spec.valid_from"),
        (say("IN FORCE", "现行"), "status.in_force"),
        (say("PRICES", "价格数"), lambda row: len(row["spec"]["prices"])),
        (say("RECORDED", "录入时间"), "status.recorded_at"),
    ]
    output.show(ctx, session.client(ctx).pages("/v1/price-books"), columns=columns)


@app.command("show", help=say("The prices of one book.", "查看价目表的价格。"))
def show_book(
    ctx: typer.Context, name: Annotated[str, typer.Argument(metavar="NAME", help=say("name of the book", "价目表名称"))]
) -> None:
    """Show a book."""
    book = session.client(ctx).get(api.path("/v1/price-books/{}", name))
    columns: list[output.Column] = [
        "sku",
        (say("KIND", "类型"), "kind"),
        (say("AMOUNT", "计量项"), "name"),
        (say("CLASS", "类别"), "class"),
        (say("UNIT", "计价单位"), "unit"),
        (say("YUAN", "单价（元）"), "price"),
        (say("WHILE", "计费状态"), "states"),
    ]
    whole = session.options(ctx).output in ("json", "yaml", "name")
    output.show(ctx, book if whole else book["spec"]["prices"], columns=columns)


@app.command("try", help=say("What a month or a size would cost under another book.", "按另一价目表测算某月用量或某规格的费用。"))
def try_book(
    ctx: typer.Context,
    book: Annotated[str, typer.Argument(metavar="BOOK", help=say("name of a book, or a YAML file", "价目表名称或 YAML 文件"))],
    month: Annotated[str, typer.Option(help=say("price the use of this month", "测算该月用量"))] = "",
    tenant: Annotated[str, typer.Option(help=say("only of this tenant and below", "仅该单位及下级"))] = "",
    size: Annotated[str, typer.Option(help=say("price a size of the catalogue", "测算目录规格"))] = "",
    amounts: Annotated[str, typer.Option(help=say("price amounts: cpu_milli=4000,ram_mib=8192", "测算数量"))] = "",
    kind: Annotated[str, typer.Option(help=say("kind of resource", "资源类型"))] = "VirtualMachine",
    service_class: Annotated[str, typer.Option("--class", help=say("service class", "服务类别"))] = "",
) -> None:
    """Try a book."""
    what: dict[str, Any] = {"month": month, "tenant": tenant}
    if size or amounts:
        what |= {"size": size, "amounts": amounts, "kind": kind, "service_class": service_class}
    client = session.client(ctx)
    if pathlib.Path(book).is_file():
        asked = {name: value for name, value in what.items() if value}
        answer = client.post("/v1/price-tries", raw=pathlib.Path(book).read_bytes(), media="application/yaml", query=asked)
    else:
        answer = client.get(api.path("/v1/price-books/{}/try", book), **what)
    _show(ctx, answer)


def _show(ctx: typer.Context, answer: dict[str, Any]) -> None:
    compared: list[output.Column] = [
        (say("NOW", "现行"), "now"),
        (say("THEN", "测算"), "then"),
        (say("DIFFERENCE", "差额"), "difference"),
    ]
    head: list[output.Column] = [(say("BOOK", "价目表"), "book"), (say("MONTH", "月份"), "month"), *compared]
    by_tenant: list[output.Column] = [(say("TENANT", "单位"), "tenant"), *compared]
    by_sku: list[output.Column] = [
        "sku",
        (say("UNIT", "计价单位"), "unit"),
        (say("UNITS", "数量"), "units"),
        (say("YUAN", "单价（元）"), "unit_price"),
        (say("A MONTH", "月费（元）"), "amount"),
    ]
    output.show(ctx, answer, columns=head)
    if session.options(ctx).output == "table":
        output.show(ctx, answer["tenants"] if answer["month"] else answer["lines"], by_tenant if answer["month"] else by_sku)
