"""`govpool approval`: rules that say which orders wait for an approver."""

from typing import Annotated

import typer

from cli import output, session
from cli.texts import say

app = session.app(say("rules that say which orders need approval", "审批规则"))

_COLUMNS = [
    (say("NAME", "名称"), "metadata.name"),
    (say("TENANT", "单位"), "metadata.tenant"),
    (say("KINDS", "种类"), "spec.kinds"),
    (say("ACTIONS", "操作"), "spec.actions"),
    (say("MONTHLY OVER", "月费超过"), "spec.monthly_over"),
    (say("AMOUNTS OVER", "数量超过"), "spec.amounts_over"),
    (say("DEADLINE H", "期限（小时）"), "spec.deadline_h"),
]


@app.command("list", help=say("The rules that hold for a tenant.", "查看适用于某单位的审批规则。"))
def list_rules(ctx: typer.Context, tenant: Annotated[str, typer.Option(help=say("tenant code", "单位代码"))] = "") -> None:
    """The rules that hold for a tenant."""
    rows = session.client(ctx).get("/v1/approval-rules", tenant=session.tenant(ctx, tenant))
    output.show(ctx, rows, columns=_COLUMNS)


@app.command("set", help=say("Make or replace a rule.", "新建或修改审批规则。"))
def set_rule(
    ctx: typer.Context,
    name: Annotated[str, typer.Argument(help=say("name of the rule", "规则名称"))],
    tenant: Annotated[str, typer.Option(help=say("tenant at which it stands", "所属单位"))] = "",
    monthly_over: Annotated[str, typer.Option(help=say("more than this price a month, yuan", "月费超过（元）"))] = "",
    amount_over: Annotated[
        list[str] | None, typer.Option(help=say("more than NAME=AMOUNT, such as cpu_milli=16000", "数量超过 NAME=AMOUNT"))
    ] = None,
    kind: Annotated[list[str] | None, typer.Option(help=say("only orders of this kind", "仅限该种类"))] = None,
    action: Annotated[list[str] | None, typer.Option(help=say("only this action", "仅限该操作"))] = None,
    service_class: Annotated[list[str] | None, typer.Option("--class", help=say("this service class", "服务等级"))] = None,
    deadline_h: Annotated[int, typer.Option(help=say("hours until an undecided order ends", "审批期限（小时）"))] = 168,
) -> None:
    """Make or replace a rule."""
    amounts = {}
    for pair in amount_over or []:
        found, _, amount = pair.partition("=")
        if not amount.isdecimal():
            raise typer.BadParameter(f"{pair}: NAME=AMOUNT")
        amounts[found] = int(amount)
    body = {
        "tenant": session.tenant(ctx, tenant),
        "kinds": kind or [],
        "actions": action or [],
        "service_classes": service_class or [],
        "monthly_over": monthly_over or None,
        "amounts_over": amounts,
        "deadline_h": deadline_h,
    }
    output.show(ctx, session.client(ctx).put(f"/v1/approval-rules/{name}", body), columns=_COLUMNS)


@app.command("retire", help=say("A rule asks no more.", "停用审批规则。"))
def retire(ctx: typer.Context, name: Annotated[str, typer.Argument(help=say("name of the rule", "规则名称"))]) -> None:
    """A rule asks no more."""
    session.confirm(ctx, say(f"Retire the approval rule {name}?", f"停用审批规则 {name}？"))
    output.show(ctx, session.client(ctx).delete(f"/v1/approval-rules/{name}"), columns=_COLUMNS)
