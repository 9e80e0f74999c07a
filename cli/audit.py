"""`govpool audit`: the trail, and a check of it that needs no server."""

import hashlib
import json
import pathlib
import sys
from typing import Annotated, Any, Final

import typer

from cli import failure, output, session
from cli.texts import say

app = session.app(say("the tamper-evident trail", "防篡改审计记录"))
_PAGE: Final = 10_000
_COLUMNS: Final[list[output.Column]] = [
    (say("SEQ", "序号"), "seq"),
    (say("AT", "时间"), "at"),
    (say("ACTION", "操作"), "action"),
    (say("OUTCOME", "结果"), lambda row: f"{row['outcome']} {row['code']}".rstrip()),
    (say("ACTOR", "账号"), lambda row: row["actor_name"] or row["actor"]),
    (say("TENANT", "单位"), "tenant"),
    (say("OBJECT", "对象"), lambda row: row["object_name"] or row["object_id"]),
    (say("RULE", "依据"), "rule"),
    (say("REASON", "事由"), "reason"),
    (say("REQUEST", "请求"), "request_id"),
]


@app.command("list", help=say("who did what, newest first", "查看审计记录"))
def list_lines(
    ctx: typer.Context,
    tenant: Annotated[str, typer.Option(help=say("tenant code, with all below it", "单位代码（含下级）"))] = "",
    actor: Annotated[str, typer.Option(help=say("login name or account id", "登录名或账号编号"))] = "",
    object_id: Annotated[str, typer.Option("--object", help=say("id of the object", "对象编号"))] = "",
    action: Annotated[str, typer.Option(help=say("such as grant.set", "操作，如 grant.set"))] = "",
    since: Annotated[str, typer.Option(help=say("from this moment (ISO 8601)", "起始时间（ISO 8601）"))] = "",
    until: Annotated[str, typer.Option(help=say("before this moment", "截止时间"))] = "",
    limit: Annotated[int, typer.Option(min=1, max=500, help=say("how many", "条数"))] = 50,
) -> None:
    """List lines of the trail."""
    query = {"tenant": tenant, "actor": actor, "object": object_id, "action": action, "since": since, "until": until}
    output.show(ctx, session.client(ctx).get("/v1/audit-lines", **query, limit=limit)["items"], _COLUMNS)


@app.command("strangers", help=say("requests without a valid token, by source and minute", "无有效令牌的请求（按来源与分钟）"))
def strangers(ctx: typer.Context) -> None:
    """List counts of requests of nobody."""
    columns: list[output.Column] = [
        (say("MINUTE", "分钟"), "minute"),
        (say("SOURCE", "来源"), "source"),
        (say("REQUESTS", "请求数"), "requests"),
    ]
    output.show(ctx, session.client(ctx).pages("/v1/stranger-requests"), columns)


@app.command("export", help=say("all lines, with the exact text that was hashed", "导出审计记录（含被哈希的原文）"))
def export(
    ctx: typer.Context,
    file: Annotated[str, typer.Argument(help=say("file to write, - for standard output", "输出文件，- 为标准输出"))] = "-",
) -> None:
    """Export the trail as JSON lines."""
    client = session.client(ctx)
    after, lines = 0, []
    while content := client.content("/v1/audit-export", after=after, limit=_PAGE):
        lines.append(content)
        after = json.loads(content.rstrip(b"\n").rpartition(b"\n")[2])["seq"]
    if file == "-":
        sys.stdout.buffer.write(b"".join(lines))
        return
    pathlib.Path(file).write_bytes(b"".join(lines))
    session.tell(say(f"{file}: lines up to {after}", f"{file}：至第 {after} 条"))


@app.command("verify", help=say("check the chain: on the server, or of an exported file", "校验链：在线校验或校验导出文件"))
def verify(
    ctx: typer.Context,
    file: Annotated[str, typer.Argument(help=say("exported file; none asks the server", "导出文件；不填则在线校验"))] = "",
) -> None:
    """Verify the trail; exit 1 when it is not sound."""
    verdict = checked(pathlib.Path(file).read_bytes()) if file else session.client(ctx).get("/v1/audit-verification")
    columns: list[output.Column] = [
        (say("LINES", "条数"), "records"),
        (say("SOUND", "完好"), "sound"),
        (say("FLAW", "缺陷"), "flaw"),
        (say("CHAIN", "链值"), "chain_hash"),
    ]
    output.show(ctx, verdict, columns)
    if not verdict["sound"]:
        raise typer.Exit(failure.FAILED)


def checked(content: bytes) -> dict[str, Any]:
    """The verdict over exported lines: every text hashed again, every link of the chain from the first line on."""
    chain, count, flaw = bytes(32), 0, ""
    for line in content.splitlines():
        row = json.loads(line)
        leaf = hashlib.sha256(b"\x00" + row["content"].encode()).digest()
        following = hashlib.sha256(chain + leaf).digest()
        if row["seq"] != count + 1 or json.loads(row["content"])["seq"] != row["seq"]:
            flaw = f"line {count + 1} is missing"
        elif leaf.hex() != row["leaf_hash"] or following.hex() != row["chain_hash"]:
            flaw = f"line {row['seq']} was altered"
        if flaw:
            break
        chain, count = following, count + 1
    return {"records": count, "chain_hash": chain.hex(), "sound": not flaw, "flaw": flaw}
