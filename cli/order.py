"""`govpool order`: what was asked for, and who agreed."""

from typing import Annotated, Any, Final

import typer

from apiclient import client as api
from cli import amounts, ordering, output, session, texts
from cli.texts import say

app = session.app(say("orders", "申请单"))
Number = Annotated[str, typer.Argument(help=say("number or id of the order", "申请单号或编号"))]

_COLUMNS: Final[list[output.Column]] = [
    (say("ORDER", "申请单"), "metadata.name"),
    (say("STATE", "状态"), "status.state"),
    (say("TENANT", "单位"), "metadata.tenant"),
    (say("PROJECT", "项目"), "metadata.project"),
    (say("REQUESTER", "申请人"), "status.requester"),
    (say("LINES", "内容"), lambda row: _summary(row["spec"]["lines"])),
    (say("MONTHLY CNY", "月费（元）"), "status.monthly"),
    (say("DECIDE BY", "审批期限"), "status.decide_by"),
    (say("OVERDUE", "超期"), lambda row: say("yes", "是") if row["status"]["overdue"] else ""),
]
_SHOWN: Final[list[output.Column]] = [
    *_COLUMNS[:5],
    (say("LINES", "内容"), lambda row: [_line(line) for line in row["spec"]["lines"]]),
    (say("MONTHLY CNY", "月费（元）"), "status.monthly"),
    (say("ENCUMBERS CNY", "占用预算（元）"), lambda row: ordering.encumbered(row)),
    (say("REASON", "事由"), "spec.reason"),
    (say("DOCUMENT NO", "文号"), "spec.document_no"),
    (say("APPROVAL BY", "审批规则"), "status.approval"),
    (say("SUBMITTED", "提交时间"), "status.submitted_at"),
    (say("DECIDE BY", "审批期限"), "status.decide_by"),
    (say("DECISIONS", "审批记录"), lambda row: [_decision(one) for one in row["status"]["decisions"]]),
    (say("ENDED", "结束时间"), "status.ended_at"),
    (say("ID", "编号"), "metadata.id"),
]


@app.command("list", help=say("orders, newest first", "查看申请单"))
def list_orders(
    ctx: typer.Context,
    tenant: Annotated[str, typer.Option(help=say("tenant code, with all below it", "单位代码（含下级）"))] = "",
    state: Annotated[str, typer.Option(help=say("such as waiting_for_approval", "状态，如 waiting_for_approval"))] = "",
) -> None:
    """List orders."""
    output.show(ctx, session.client(ctx).pages("/v1/orders", tenant=tenant, state=texts.code_of(state)), _COLUMNS)


@app.command("show", help=say("one order; with --wait until it has ended", "查看申请单；加 --wait 等待完成"))
def show(ctx: typer.Context, number: Number) -> None:
    """Show one order."""
    order = (
        ordering.waited(ctx, number) if session.options(ctx).wait else session.client(ctx).get(api.path("/v1/orders/{}", number))
    )
    output.show(ctx, order, _SHOWN)
    if session.options(ctx).wait:
        ordering.conclude(order)


@app.command("approve", help=say("say yes; nobody approves his own", "批准（不得审批本人申请）"))
def approve(ctx: typer.Context, number: Number, reason: ordering.Reason = "", document_no: ordering.DocumentNo = "") -> None:
    """Approve an order."""
    _decide(ctx, number, "approve", reason, document_no)


@app.command("refuse", help=say("say no, with a reason", "驳回（须说明理由）"))
def refuse(
    ctx: typer.Context,
    number: Number,
    reason: Annotated[str, typer.Option(help=say("why", "理由"))],
    document_no: ordering.DocumentNo = "",
) -> None:
    """Refuse an order."""
    _decide(ctx, number, "refuse", reason, document_no)


@app.command("withdraw", help=say("take a waiting order back", "撤回待审批的申请"))
def withdraw(ctx: typer.Context, number: Number, reason: ordering.Reason = "") -> None:
    """Withdraw an order."""
    _decide(ctx, number, "withdraw", reason, "")


def _decide(ctx: typer.Context, number: str, verb: str, reason: str, document_no: str) -> None:
    body = {"reason": reason, "document_no": document_no}
    order = session.client(ctx).post(api.path(f"/v1/orders/{{}}/{verb}", number), body)
    if session.options(ctx).wait and order["status"]["state"] == "delivering":
        order = ordering.waited(ctx, number)
    output.show(ctx, order, _COLUMNS)


def _summary(lines: list[dict[str, Any]]) -> str:
    first = ordering.what(lines[0])
    return first if len(lines) == 1 else say(f"{first} and {len(lines) - 1} more", f"{first} 等 {len(lines)} 项")


def _line(line: dict[str, Any]) -> str:
    reason = f" ({line['reason']})" if line["reason"] else ""
    held = ", ".join(amounts.several(line["amounts"]))
    told = (f"{texts.state(line['outcome'])}{reason}", held, f"{line['monthly']} CNY")
    return f"{ordering.what(line)}: {'; '.join(part for part in told if part)}"


def _decision(one: dict[str, Any]) -> str:
    rest = " ".join(part for part in (one["document_no"], one["reason"]) if part)
    return f"{one['decided_at']} {one['verdict']} {one['person']} {rest}".rstrip()
