"""`govpool quota recall`, `recalls`, `borrowers`: a lender takes back what others use of its quota."""

from typing import Annotated, Any

import typer

from apiclient import client as api
from cli import amounts, failure, output, session
from cli.texts import say

_Tenant = Annotated[str, typer.Argument(metavar="TENANT", help=say("code of the lender", "借出单位代码"))]
_Name = Annotated[str, typer.Argument(metavar="NAME", help=say("a name, such as cpu_milli", "配额项，如 cpu_milli"))]

_RECALL: list[output.Column] = [
    (say("ID", "编号"), "id"),
    (say("TENANT", "单位"), "tenant"),
    (say("NAME", "配额项"), "name"),
    (say("STATE", "状态"), "state"),
    (say("AMOUNT", "收回量"), lambda row: amounts.outside(row["name"], row["amount"])),
    (say("CAME BACK", "已归还"), lambda row: amounts.outside(row["name"], row["came_back"])),
    (say("STARTED", "开始时间"), "started_at"),
    (say("DUE", "归还期限"), "due_at"),
    (say("ENDED", "结束时间"), "ended_at"),
    (say("REASON", "事由"), "reason"),
]


def add_to(app: typer.Typer) -> None:
    """Register the commands under `govpool quota`."""
    app.command(
        "recall",
        help=say(
            "Take back what others use: nobody borrows it anew, what comes back is kept, nothing is stopped.",
            "收回被借用的配额：立即停止新的借用，归还部分自留，不停止任何运行中的资源。",
        ),
    )(recall)
    app.command("recalls", help=say("What is being taken back, and what came back.", "查看收回情况及已归还量。"))(recalls)
    app.command(
        "borrowers", help=say("Who uses more than its own where a tenant lends, longest first.", "查看借用方，借用最久的在前。")
    )(borrowers)


def recall(
    ctx: typer.Context,
    tenant: _Tenant,
    name: _Name,
    amount: Annotated[
        str, typer.Argument(metavar="[AMOUNT]", help=say("in its own unit; else all that is lent", "自身单位；默认全部已借出量"))
    ] = "",
    *,
    notice: Annotated[
        str, typer.Option("--notice", metavar="14d", help=say("time to give back, in days", "归还期限，以天计"))
    ] = "",
    end: Annotated[bool, typer.Option("--end", help=say("call nothing back any more", "结束收回"))] = False,
    reason: Annotated[str, typer.Option("--reason", help=say("why; kept in the trail", "事由，记入审计"))] = "",
) -> None:
    """Begin or end a recall."""
    client = session.client(ctx)
    if end:
        found = client.post(api.path("/v1/recalls/{}/end", _going_on(client, tenant, name)), {}, reason=reason)
        output.show(ctx, found, columns=_RECALL)
        return
    body: dict[str, Any] = {"tenant": tenant, "name": name, "reason": reason}
    if amount:
        body["amount"] = amounts.raw(name, amount)
    if notice:
        body["notice_days"] = _days(notice)
    begun = client.post("/v1/recalls", body, reason=reason)
    output.show(ctx, begun, columns=_RECALL)
    if session.options(ctx).output == "table":
        _show_borrowers(ctx, name, begun)


def recalls(
    ctx: typer.Context,
    tenant: Annotated[str, typer.Option(help=say("this tenant and those below it", "该单位及其下级"))] = "",
) -> None:
    """List recalls."""
    output.show(ctx, session.client(ctx).pages("/v1/recalls", tenant=tenant), columns=_RECALL)


def borrowers(ctx: typer.Context, tenant: _Tenant, name: _Name) -> None:
    """List borrowers."""
    _show_borrowers(ctx, name, session.client(ctx).get(api.path("/v1/grants/{}/{}/borrowers", tenant, name)))


def _show_borrowers(ctx: typer.Context, name: str, found: Any) -> None:
    columns: list[output.Column] = [
        (say("TENANT", "单位"), "tenant"),
        (say("PROJECT", "项目"), "project"),
        (say("RESOURCE", "资源"), "resource"),
        (say("SINCE", "起始时间"), "since"),
        (say("BORROWED", "借用"), lambda row: amounts.outside(name, row["borrowed"])),
        (say("HELD", "占用"), lambda row: amounts.outside(name, row["held"])),
        (say("TO GIVE IT BACK", "归还命令"), "command"),
    ]
    output.show(ctx, found["borrowers"], columns=columns)
    others = found["others"]
    if others["resources"]:
        units = amounts.outside(name, others["borrowed"])
        session.tell(
            say(
                f"and {others['resources']} resources of tenants that you do not see: {units}",
                f"另有不可见单位的 {others['resources']} 个资源，共 {units}",
            )
        )


def _going_on(client: api.Client, tenant: str, name: str) -> str:
    """The id of the recall that goes on for a tenant and name."""
    for row in client.pages("/v1/recalls", tenant=tenant):
        if (row["tenant"], row["name"]) == (tenant, name) and row["ended_at"] is None:
            return str(row["id"])
    raise failure.UsageError(
        say(f"{tenant} is not calling {name} back", f"{tenant} 没有正在收回的 {name}"), f"govpool quota recalls --tenant {tenant}"
    )


def _days(text: str) -> int:
    number = text.removesuffix("d").removesuffix("天")
    if not number.isascii() or not number.isdecimal() or int(number[:6]) > 365:
        raise failure.UsageError(say(f"{text!r} is not a number of days", f"{text!r} 不是有效天数"), "--notice 14d")
    return int(number)
