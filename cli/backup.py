"""`govpool backup`: write a backup on the server, list them, verify a file at the server's console."""

import pathlib
from typing import Annotated

import typer

from cli import failure, output, session
from cli.texts import say

app = session.app(say("back up and verify", "备份与校验"))

_COLUMNS = [
    (say("FILE", "文件"), "file"),
    (say("CREATED AT", "创建时间"), "created_at"),
    (say("ROWS", "行数"), "rows"),
    (say("BYTES", "字节"), "size_bytes"),
    ("SHA-256", "sha256"),
]


@app.command("create", help=say("Write a backup of the present state into the server's folder.", "在服务器备份目录生成备份。"))
def create(ctx: typer.Context) -> None:
    """Write a backup."""
    output.show(ctx, session.client(ctx).post("/v1/backups"), columns=_COLUMNS)


@app.command("list", help=say("The backups in the server's folder.", "列出服务器上的备份。"))
def list_backups(ctx: typer.Context) -> None:
    """The backups in the server's folder."""
    output.show(ctx, session.client(ctx).get("/v1/backups"), columns=[_COLUMNS[0], _COLUMNS[3]])


@app.command("verify", help=say("Read a whole backup file: tables, audit trail, totals.", "完整校验备份文件：数据表与审计链。"))
def verify(ctx: typer.Context, file: Annotated[pathlib.Path, typer.Argument(help=say("the backup file", "备份文件"))]) -> None:
    """Read a whole backup file; a local command that needs no server."""
    from control import backup, schema

    if not file.is_file():
        why = say(f"there is no file {file} on this computer", f"本机没有文件 {file}")
        mend = say(
            "give its path; the server keeps backups in its backup_folder, by default backups beside the SQLite file",
            "请给出路径；备份位于服务器的 backup_folder，默认为 SQLite 文件旁的 backups 目录",
        )
        raise failure.NotFoundError(why, mend)
    schema.declare_tables()
    output.show(
        ctx,
        backup.verify(file),
        columns=[
            _COLUMNS[0],
            _COLUMNS[1],
            (say("TABLES", "数据表"), "tables"),
            _COLUMNS[2],
            (say("AUDIT LINES", "审计条数"), "audit_lines"),
            (say("EPOCH", "纪元"), "epoch"),
        ],
    )
