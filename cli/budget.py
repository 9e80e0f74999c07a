"""`govpool budget`: what a tenant may spend in a year, what of it is encumbered and spent, and where the year is heading."""

from typing import Annotated, Any

import typer

from apiclient import client as api
from cli import output, session
from cli.texts import say

app = session.app(say("money of the fiscal year", "年度预算"))

_Tenant = Annotated[str, typer.Argument(metavar="[TENANT]", help=say("tenant code", "单位代码"))]
_Year = Annotated[str, typer.Option("--year", metavar="YEAR", help=say("the calendar year", "公历年度"))]


def _when_over(field: str) -> Any:
    return lambda row: amount if (amount := _at(row, field)) != "0.00" else ""


def _at(row: dict[str, Any], field: str) -> str:
    return str(row.get(field, row.get("status", {}).get(field, "")))


_COLUMNS: list[output.Column] = [
    (say("TENANT", "单位"), "tenant"),
    (say("YEAR", "年度"), "year"),
    (say("APPROPRIATED", "预算数"), "appropriated"),
    (say("CARRIED OVER", "上年结转"), "carried_over"),
    (say("ENCUMBERED", "已占用"), "encumbered"),
    (say("SPENT", "已支出"), "spent"),
    (say("LEFT", "可用"), "left"),
    (say("UNCOVERED", "无预算占用"), _when_over("uncovered")),
    (say("OVER BY", "超出"), _when_over("over_by")),
]
_SPARE = (say("UNCOVERED", "无预算占用"), say("OVER BY", "超出"))
_DETAILS: list[output.Column] = [
    (say("TENANT", "单位"), "metadata.tenant"),
    (say("YEAR", "年度"), "metadata.name"),
    (
        say("APPROPRIATED", "预算数"),
        lambda row: row["spec"]["appropriated"] if row["metadata"]["generation"] else say("none", "无"),
    ),
    (say("CARRIED OVER", "上年结转"), "spec.carry_over"),
    (say("ENCUMBERED", "已占用"), "status.encumbered"),
    (say("SPENT", "已支出"), "status.spent"),
    (say("LEFT", "可用"), "status.left"),
    (say("FORECAST", "全年预测"), "status.forecast"),
    (say("ERROR OF FORECAST", "预测误差"), lambda row: _error(row["status"]["forecast_error_percent"])),
    (say("RUNS OUT ON", "预计用尽日"), lambda row: row["status"]["runs_out_on"] or say("not this year", "本年度内不会用尽")),
    (say("UNCOVERED", "无预算占用"), _when_over("uncovered")),
    (say("OVER BY", "超出"), _when_over("over_by")),
    (say("REFUSES ORDERS", "超预算拒绝"), lambda row: say("yes", "是") if row["spec"]["hard"] else say("no", "否")),
    (say("THRESHOLDS", "提醒阈值"), lambda row: [_threshold(one) for one in row["spec"]["thresholds"]]),
    (say("REACHED", "已达阈值"), lambda row: [_threshold(one) for one in row["status"]["reached"]]),
    (say("SPENT UP TO", "支出截至"), "status.settled_at"),
    (say("GENERATION", "版本"), "metadata.generation"),
]


@app.command("list", help=say("Budgets of the tenants that you see.", "可见单位的预算。"))
def list_budgets(ctx: typer.Context, year: _Year = "") -> None:
    """List."""
    output.show(ctx, session.client(ctx).pages("/v1/budgets", year=year), columns=_COLUMNS, spare=_SPARE)


@app.command("show", help=say("How the budget of a year stands, and where it is heading.", "查看年度预算执行情况与预测。"))
def show_budget(
    ctx: typer.Context,
    tenant: _Tenant = "",
    year: _Year = "",
    holds: Annotated[bool, typer.Option("--holds", help=say("what holds its money", "列出占用预算的资源"))] = False,
) -> None:
    """Show."""
    client, code = session.client(ctx), session.tenant(ctx, tenant)
    if holds:
        columns: list[output.Column] = [
            (say("RESOURCE", "资源"), "resource"),
            (say("NAME", "名称"), "name"),
            (say("TENANT", "单位"), "tenant"),
            (say("A MONTH", "月费用"), "monthly"),
            (say("FROM", "自"), "start_at"),
            (say("TO", "至"), "end_at"),
            (say("ENCUMBERED", "占用"), "encumbered"),
        ]
        path = api.path("/v1/tenants/{}/budgets/{}/holds", code, year or "present")
        output.show(ctx, client.get(path), columns=columns)
        return
    output.show(ctx, client.get(api.path("/v1/tenants/{}/budgets/{}", code, year or "present")), columns=_DETAILS)


@app.command(
    "set",
    help=say(
        "Give a tenant and all below it the money of a year: budget set tax 2026 120000.",
        "安排单位（含下级）的年度预算：budget set tax 2026 120000。",
    ),
)
def set_budget(
    ctx: typer.Context,
    tenant: Annotated[str, typer.Argument(metavar="TENANT", help=say("tenant code", "单位代码"))],
    year: Annotated[str, typer.Argument(metavar="YEAR", help=say("the calendar year", "公历年度"))],
    amount: Annotated[str, typer.Argument(metavar="AMOUNT", help=say("yuan", "金额（元）"))],
    carry_over: Annotated[
        str,
        typer.Option(
            "--carry-over",
            metavar="AMOUNT|rest",
            help=say("from the year before; 'rest': all that is left", "上年结转；rest 为全部剩余"),
        ),
    ] = "",
    hard: Annotated[
        bool | None, typer.Option("--hard/--soft", help=say("refuse what does not fit, or only tell", "超预算时拒绝或仅提醒"))
    ] = None,
    thresholds: Annotated[
        str,
        typer.Option(
            metavar="80,100,forecast:100",
            help=say(
                "percentages at which finance is told: 80 of what is encumbered and spent, actual:80 of what is spent, forecast:100",
                "提醒阈值（百分比）：80 按占用与支出合计，actual:80 按支出，forecast:100 按全年预测",
            ),
        ),
    ] = "",
    allow_over: Annotated[
        bool,
        typer.Option(
            "--allow-over", help=say("also below what is committed; then nothing new can be ordered", "允许低于已支出与占用")
        ),
    ] = False,
    if_match: Annotated[
        int | None, typer.Option("--if-match", min=0, help=say("only if the budget is at this generation", "仅当版本为该值时"))
    ] = None,
    reason: Annotated[str, typer.Option("--reason", help=say("why; kept in the trail", "事由，记入审计"))] = "",
) -> None:
    """Set."""
    client = session.client(ctx)
    path = api.path("/v1/tenants/{}/budgets/{}", tenant, year)
    present = client.get(path)
    spec = present["spec"] if present["metadata"]["generation"] else {"carry_over": "0", "hard": True}
    body = {
        "appropriated": amount,
        "carry_over": carry_over or spec["carry_over"],
        "hard": spec["hard"] if hard is None else hard,
    }
    if thresholds:
        body["thresholds"] = [one.strip() for one in thresholds.split(",") if one.strip()]
    generation = present["metadata"]["generation"] if if_match is None else if_match
    made = client.put(path, body, if_match=generation, reason=reason, query={"allow_over": "true"} if allow_over else None)
    output.show(ctx, made, columns=_DETAILS)


def _threshold(text: str) -> str:
    """'committed:80' as people say it: 80 % encumbered and spent."""
    basis, _, percent = text.partition(":")
    names = {
        "committed": say("encumbered and spent", "占用与支出"),
        "actual": say("spent", "支出"),
        "forecast": say("forecast", "全年预测"),
    }
    return say(f"{percent} % {names[basis]}", f"{names[basis]} {percent}%")


def _error(percent: int | None) -> str:
    return say("not known yet", "尚无法评估") if percent is None else f"± {percent} %"
