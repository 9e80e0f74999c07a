"""`govpool person`: personal data, for the administrators who need it and for the person himself."""

from typing import Annotated

import typer

from apiclient import client as api
from cli import output, session
from cli.texts import say

app = session.app(say("persons", "人员"))

_COLUMNS: list[output.Column] = [
    (say("ID", "编号"), "id"),
    (say("NAME", "姓名"), "name"),
    (say("CONTACT", "联系方式"), "contact"),
]
_DETAILS: list[output.Column] = [*_COLUMNS, (say("ACCOUNTS", "账号"), "accounts")]
_Person = Annotated[str, typer.Argument(metavar="ID", help=say("id of the person", "人员编号"))]


@app.command("list", help=say("Persons that you may see.", "可查看的人员。"))
def list_persons(ctx: typer.Context) -> None:
    """List."""
    output.show(ctx, session.client(ctx).pages("/v1/persons"), columns=_COLUMNS)


@app.command("show", help=say("One person with the accounts.", "查看人员及其账号。"))
def show_person(ctx: typer.Context, person: _Person) -> None:
    """Show."""
    output.show(ctx, session.client(ctx).get(api.path("/v1/persons/{}", person)), columns=_DETAILS)


@app.command("update", help=say("Correct name or contact.", "更正姓名或联系方式。"))
def update_person(
    ctx: typer.Context,
    person: _Person,
    name: Annotated[str | None, typer.Option(help=say("name", "姓名"))] = None,
    contact: Annotated[str | None, typer.Option(help=say("telephone or mail", "联系方式"))] = None,
) -> None:
    """Update."""
    body = {key: value for key, value in (("name", name), ("contact", contact)) if value is not None}
    output.show(ctx, session.client(ctx).patch(api.path("/v1/persons/{}", person), body), columns=_DETAILS)
