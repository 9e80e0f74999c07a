"""`govpool init`: makes an installation on this machine, or prints a fresh code for someone who lost his.  Local, under
the lock file.
"""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli import output, session
from cli.texts import say

if TYPE_CHECKING:
    from control import init as control_init

app = session.app(say("make a new installation", "初始化"))

_COLUMNS: list[output.Column] = [
    (say("ROLE", "角色"), "role"),
    (say("ACCOUNT", "账号"), "account"),
    (say("CODE", "登录码"), "code"),
]
_PERSON = say("ACCOUNT or ACCOUNT=NAME of this administrator", "该管理员的 账号 或 账号=姓名")


@app.command(
    help=say("Make a new installation and print the three administrators' one-use codes.", "初始化并显示三员的一次性登录码。")
)
def init(
    ctx: typer.Context,
    data: Annotated[str, typer.Option(help=say("folder of the SQLite database", "SQLite 数据目录"))] = "",
    database: Annotated[str, typer.Option(help=say("URL of a database, such as postgresql://...", "数据库 URL"))] = "",
    code: Annotated[str, typer.Option(help=say("code of the root tenant", "根单位代码"))] = "root",
    name: Annotated[str, typer.Option(help=say("name of the root tenant", "根单位名称"))] = "政务云 Government cloud",
    valid_from: Annotated[
        str,
        typer.Option(
            help=say(
                "since when the root is known; earlier where past months are imported", "根单位生效时间；导入历史月份时填更早的时间"
            )
        ),
    ] = "",
    system_admin: Annotated[str, typer.Option(help=_PERSON)] = "",
    security_admin: Annotated[str, typer.Option(help=_PERSON)] = "",
    audit_admin: Annotated[str, typer.Option(help=_PERSON)] = "",
    enrol: Annotated[str, typer.Option(help=say("print a fresh code for this account instead", "仅为该账号生成新的登录码"))] = "",
) -> None:
    """Make a new installation."""
    from cli import serve
    from control import init as control_init
    from primitives import clock

    url = serve.url_of(data, database)
    named = {"system_admin": system_admin, "security_admin": security_admin, "audit_admin": audit_admin}
    if enrol:
        codes = [_with(url, lambda opened: control_init.enrol(opened, enrol))]
    else:
        three = tuple(_administrator(each, named[each.role]) for each in control_init.PLACEHOLDERS)
        since = clock.parse(valid_from, "--valid-from") if valid_from else None
        codes = _with(
            url,
            lambda opened: control_init.initialise(opened, code=code, name=name, administrators=three, valid_from=since),
        )
    rows = [{"role": each.role, "account": each.account, "code": each.code} for each in codes]
    output.show(ctx, rows, columns=_COLUMNS)
    session.tell(
        say(
            "each code works once, within 24 hours: start govpool serve with the same database, then govpool login --code CODE",
            "每个登录码仅可使用一次，24 小时内有效：先以同一数据库运行 govpool serve，再 govpool login --code 登录码",
        )
    )


def _with(url: str, use: Any) -> Any:
    """Run `use` on the database of `url`, brought to the schema of this release, alone."""
    from control import schema
    from store import database as store_database

    opened = store_database.open_database(url)
    try:
        schema.upgrade(url)
        return use(opened)
    finally:
        opened.close()


def _administrator(placeholder: "control_init.Administrator", given: str) -> "control_init.Administrator":
    import dataclasses

    account, _, name = given.partition("=")
    if not account:
        return placeholder
    return dataclasses.replace(placeholder, account=account, name=name or account)
