"""`govpool apply` and `govpool diff`: files of documents as one change.  The bytes are sent; the server reads them."""

import pathlib
import sys
from typing import Annotated, Any, Final

import typer

from cli import failure, output, session
from cli.texts import say

CHANGES: Final = 20
"""Exit code of `diff --exit-code` when something would change; 1 is a failure."""

app = session.app(say("make it as the documents say", "按文件内容创建或更新"))
diff = session.app(say("what `apply` would change", "预览 apply 将产生的变更"))

Files = Annotated[
    list[str],
    typer.Option(
        "-f", "--file", help=say("file of documents, - for standard input; again for more", "文件，- 表示标准输入，可重复")
    ),
]
_COLUMNS: Final[list[output.Column]] = [
    (say("OUTCOME", "结果"), "outcome"),
    (say("KIND", "类型"), "kind"),
    (say("NAME", "名称"), "name"),
    (say("TENANT", "单位"), "tenant"),
]
_CHANGES: Final[list[output.Column]] = [*_COLUMNS, (say("CHANGES", "变更"), lambda row: [_change(one) for one in row["changes"]])]


@app.command(help=say("Make everything as the documents say: all of it or nothing.", "按文件内容创建或更新：全部成功或全部不变。"))
def apply(ctx: typer.Context, file: Files) -> None:
    """Apply documents."""
    report = _sent(ctx, file)
    output.show(ctx, report["documents"], _COLUMNS)
    counts = report["counts"]
    session.tell(
        say(
            f"{counts['created']} created, {counts['changed']} changed, {counts['unchanged']} unchanged",
            f"新建 {counts['created']}，变更 {counts['changed']}，未变 {counts['unchanged']}",
        )
    )


@diff.command(help=say("Show what `apply` would change; nothing is changed.", "预览 apply 将产生的变更，不作更改。"))
def show_diff(
    ctx: typer.Context,
    file: Files,
    exit_code: Annotated[
        bool, typer.Option("--exit-code", help=say("exit 20 when something would change", "有变更时退出码为 20"))
    ] = False,
) -> None:
    """Show the changes."""
    session.client(ctx).dry_run = True
    report = _sent(ctx, file)
    changed = [row for row in report["documents"] if row["outcome"] != "unchanged"]
    if session.options(ctx).output == "table":
        sys.stdout.write("".join(f"{line}\n" for row in changed for line in _lines(row)))
    else:
        output.show(ctx, changed, _CHANGES)
    if exit_code and changed:
        raise typer.Exit(CHANGES)


def _sent(ctx: typer.Context, files: list[str]) -> Any:
    content = b"\n---\n".join(_content(name) for name in files)
    return session.client(ctx).post("/v1/apply", raw=content, media="application/yaml")


def _content(name: str) -> bytes:
    if name == "-":
        if sys.stdin.isatty():
            raise failure.UsageError(say("nothing comes in on standard input", "标准输入没有内容"), "govpool apply -f FILE")
        return sys.stdin.buffer.read()
    return pathlib.Path(name).read_bytes()


def _lines(row: dict[str, Any]) -> list[str]:
    """A document and, below it, what becomes of each of its fields."""
    name = "/".join(part for part in (row["tenant"], row["project"], row["name"]) if part)
    return [f"{row['outcome']} {row['kind']} {name}", *(f"  {_change(one)}" for one in row["changes"])]


def _change(one: dict[str, Any]) -> str:
    if one["before"] is None:
        return f"{one['path']}: {output.cell(one['after'])}"
    return f"{one['path']}: {output.cell(one['before'])} -> {output.cell(one['after'])}"
