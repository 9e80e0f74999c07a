"""`govpool quota`: what each tenant is granted, what of it is used and left; set, move."""

from collections.abc import Callable
from typing import Annotated, Any

import typer

from apiclient import client as api
from cli import amounts, failure, output, quota_check, quota_recall, quota_trial, session
from cli.texts import say

app = session.app(say("grants over the tenant tree", "配额"))

_Tenant = Annotated[str, typer.Argument(metavar="TENANT", help=say("tenant code", "单位代码"))]
_AllowOver = Annotated[
    bool,
    typer.Option("--allow-over", help=say("also below what is used; then only shrinking passes", "允许低于已用量；此后只能缩减")),
]
_Reason = Annotated[str, typer.Option("--reason", help=say("why; kept in the trail", "事由，记入审计"))]


def _amount(field: str) -> Callable[[Any], str]:
    return lambda row: amounts.outside(row["name"], row[field]) if field in row else ""


def _unless_zero(field: str) -> Callable[[Any], str]:
    return lambda row: _amount(field)(row) if row.get(field) else ""


_COLUMNS: list[output.Column] = [
    (say("TENANT", "单位"), "tenant"),
    (say("NAME", "配额项"), "name"),
    (say("GRANTED", "已授予"), _amount("granted")),
    (say("USED", "已用"), _amount("used")),
    (say("PROMISED", "已下授"), _amount("promised")),
    (say("OVER BY", "超出"), _unless_zero("over_by")),
]
_DETAILS: list[output.Column] = [
    *_COLUMNS[:3],
    (say("USED", "已用"), _amount("used")),
    (say("LEFT", "可用"), lambda row: _amount("granted" if row["granted"] >= amounts.UNLIMITED else "available")(row)),
    (say("KEPT", "自留"), _unless_zero("kept")),
    (say("LENT", "已借出"), _unless_zero("lent")),
    (say("BORROWED", "已借入"), _unless_zero("borrowed")),
    (say("CAN BORROW", "还可借入"), _unless_zero("borrowable")),
    (say("PROMISED", "已下授"), _unless_zero("promised")),
    (say("LENDS", "可借出"), _amount("lending_limit")),
    (say("BORROWS", "可借入"), _unless_zero("borrowing_limit")),
    (say("OVER BY", "超出"), _unless_zero("over_by")),
    (
        say("LENDERS", "借出单位"),
        lambda row: [f"{lender} {amounts.outside(row['name'], units)}" for lender, units in row.get("lenders", {}).items()],
    ),
    (say("GENERATION", "版本"), "generation"),
]
_LIMITS: list[output.Column] = [
    (say("LENDS", "可借出"), lambda row: "" if row.get("lending_limit") is None else _amount("lending_limit")(row)),
    (say("BORROWS", "可借入"), _unless_zero("borrowing_limit")),
]
_SPARE = [
    say("LENDS", "可借出"),
    say("KEPT", "自留"),
    say("LENT", "已借出"),
    say("BORROWED", "已借入"),
    say("CAN BORROW", "还可借入"),
    say("PROMISED", "已下授"),
    say("BORROWS", "可借入"),
    say("OVER BY", "超出"),
    say("LENDERS", "借出单位"),
]


@app.command("list", help=say("Grants of the tenants that you see.", "可见单位的配额。"))
def list_grants(
    ctx: typer.Context,
    tenant: Annotated[str, typer.Option(help=say("this tenant and those below it", "该单位及其下级"))] = "",
    name: Annotated[str, typer.Option(help=say("one name, such as cpu_milli", "单个配额项，如 cpu_milli"))] = "",
) -> None:
    """List."""
    output.show(ctx, session.client(ctx).pages("/v1/grants", tenant=tenant, name=name), columns=_COLUMNS)


@app.command("show", help=say("How a tenant stands, and what it could order right now.", "查看单位配额及当前可用量。"))
def show_grants(
    ctx: typer.Context, tenant: Annotated[str, typer.Argument(metavar="[TENANT]", help=say("tenant code", "单位代码"))] = ""
) -> None:
    """Show."""
    rows = session.client(ctx).get(api.path("/v1/grants/{}", session.tenant(ctx, tenant)))
    output.show(ctx, rows, columns=_DETAILS, spare=_SPARE)


@app.command(
    "set",
    help=say(
        "Set grants of a tenant, all or none: quota set tax --cpu 64 --ram 256GiB, or quota set tax cpu_milli 64000.",
        "设置单位配额（全部生效或全部不生效）：quota set tax --cpu 64 --ram 256GiB，或 quota set tax cpu_milli 64000。",
    ),
)
def set_grants(
    ctx: typer.Context,
    tenant: _Tenant,
    name: Annotated[str, typer.Argument(metavar="[NAME]", help=say("a name, in its own unit", "配额项（自身单位）"))] = "",
    amount: Annotated[str, typer.Argument(metavar="[AMOUNT]", help=say("or 'unlimited' at the root", "根单位可用 unlimited"))] = "",
    cpu: amounts.Cpu = "",
    ram: amounts.Ram = "",
    disk: amounts.Disk = "",
    instances: amounts.Instances = "",
    pods: amounts.Pods = "",
    public_ips: amounts.PublicIps = "",
    gpus: amounts.Gpus = "",
    more: amounts.More = None,
    lending: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME=AMOUNT", help=say("most that others may borrow; 'all'", "可借出上限；all 为全部")),
    ] = None,
    borrowing: Annotated[
        list[str] | None, typer.Option(metavar="NAME=AMOUNT", help=say("most that it may borrow", "可借入上限"))
    ] = None,
    if_match: Annotated[
        int | None, typer.Option("--if-match", min=0, help=say("only if the grant is at this generation", "仅当版本为该值时"))
    ] = None,
    allow_over: _AllowOver = False,
    reason: _Reason = "",
) -> None:
    """Set."""
    options = _options(cpu, ram, disk) | _counts(instances, pods, public_ips, gpus)
    granted = amounts.named(options, more)
    if name:
        granted[name] = amounts.raw(name, amount)
    changes: dict[str, dict[str, Any]] = {each: {"name": each, "granted": value} for each, value in granted.items()}
    for field, pairs in (("lending_limit", lending), ("borrowing_limit", borrowing)):
        for each, value in _limits(pairs).items():
            changes.setdefault(each, {"name": each})[field] = value
    if not changes:
        raise failure.UsageError(say("nothing to set", "没有要设置的内容"), f"govpool quota set {tenant} --cpu 16")
    client = session.client(ctx)
    generations = {row["name"]: row["generation"] for row in client.get(api.path("/v1/grants/{}", tenant))}
    body = {
        "grants": [
            change | {"generation": generations.get(each, 0) if if_match is None else if_match} for each, change in changes.items()
        ],
        "allow_over": allow_over,
    }
    made = client.patch(api.path("/v1/grants/{}", tenant), body, reason=reason)
    output.show(ctx, made, columns=[*_COLUMNS, *_LIMITS], spare=_SPARE)


@app.command(
    "move",
    help=say(
        "Move granted units between tenants in one step: quota move --from tax --to finance --cpu 16 gpus.a100=2.",
        "在单位之间一次性划转配额：quota move --from tax --to finance --cpu 16 gpus.a100=2。",
    ),
)
def move_grants(
    ctx: typer.Context,
    pairs: Annotated[
        list[str] | None, typer.Argument(metavar="[NAME=AMOUNT]...", help=say("a name, in its own unit", "配额项（自身单位）"))
    ] = None,
    *,
    giver: Annotated[str, typer.Option("--from", help=say("who gives", "划出单位"))],
    taker: Annotated[str, typer.Option("--to", help=say("who takes", "划入单位"))],
    cpu: amounts.Cpu = "",
    ram: amounts.Ram = "",
    disk: amounts.Disk = "",
    instances: amounts.Instances = "",
    pods: amounts.Pods = "",
    public_ips: amounts.PublicIps = "",
    gpus: amounts.Gpus = "",
    more: amounts.More = None,
    allow_over: _AllowOver = False,
    reason: _Reason = "",
) -> None:
    """Move."""
    moved = amounts.named(_options(cpu, ram, disk) | _counts(instances, pods, public_ips, gpus), [*(pairs or ()), *(more or ())])
    if not moved:
        raise failure.UsageError(
            say("nothing to move", "没有要划转的内容"), f"govpool quota move --from {giver} --to {taker} --cpu 16"
        )
    body = {"giver": giver, "taker": taker, "amounts": moved, "allow_over": allow_over}
    output.show(ctx, session.client(ctx).post("/v1/grant-moves", body, reason=reason), columns=_COLUMNS)


@app.command("defaults", help=say("What new tenants are granted; with amounts: set it.", "新建单位的默认配额；给出数量则为设置。"))
def defaults(
    ctx: typer.Context,
    cpu: amounts.Cpu = "",
    ram: amounts.Ram = "",
    disk: amounts.Disk = "",
    instances: amounts.Instances = "",
    pods: amounts.Pods = "",
    more: amounts.More = None,
) -> None:
    """Defaults."""
    client = session.client(ctx)
    for name, granted in amounts.named(_options(cpu, ram, disk) | _counts(instances, pods, "", ""), more).items():
        client.put(api.path("/v1/grant-defaults/{}", name), {"granted": granted})
    columns: list[output.Column] = [(say("NAME", "配额项"), "name"), (say("GRANTED", "默认授予"), _amount("granted"))]
    output.show(ctx, client.get("/v1/grant-defaults"), columns=columns)


@app.command("names", help=say("Everything that is counted, with its unit.", "全部配额项及单位。"))
def names(ctx: typer.Context) -> None:
    """Names."""
    columns: list[output.Column] = [
        (say("NAME", "配额项"), "name"),
        (say("UNIT", "计量单位"), "unit"),
        (say("WHAT", "说明"), say("en", "zh")),
    ]
    output.show(ctx, session.client(ctx).get("/v1/quota-names"), columns=columns)


quota_recall.add_to(app)
quota_trial.add_to(app)
quota_check.add_to(app)


def _options(cpu: str, ram: str, disk: str) -> dict[str, str]:
    return {"cpu_milli": cpu, "ram_mib": ram, "disk_gib": disk}


def _counts(instances: str, pods: str, public_ips: str, gpus: str) -> dict[str, str]:
    return {"instances": instances, "pods": pods, "public_ips": public_ips, "gpus": gpus}


def _limits(pairs: list[str] | None) -> dict[str, Any]:
    """NAME=AMOUNT of a limit, 'all' is null."""
    found: dict[str, Any] = {}
    for pair in pairs or ():
        name, _, text = pair.partition("=")
        found |= {name: None} if text in ("all", "全部") else amounts.named({}, [pair])
    return found
