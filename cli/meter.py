"""`govpool meter`: meters and their registers, and the declaration of a swap."""

from typing import Annotated, Any

import typer

from cli import output, session
from cli.texts import say

app = session.app(say("meters and registers", "电表与寄存器"))

Meter = Annotated[str, typer.Argument(help=say("code of the meter", "电表代码"))]


def _energy(row: Any, field: str) -> Any:
    return next((one[field] for one in row["spec"]["registers"] if one["quantity"] == "energy"), None)


_COLUMNS: list[output.Column] = [
    (say("METER", "电表"), "metadata.name"),
    (say("HALL", "模块"), "spec.hall"),
    (say("SIDE", "侧"), "spec.side"),
    (say("NAME", "名称"), "spec.name"),
    (say("SCALE WH", "倍率 WH"), lambda row: _energy(row, "scale")),
    (say("MODULUS", "满度"), lambda row: _energy(row, "modulus")),
    (say("RATING W", "额定 W"), "spec.rating_w"),
    (say("GATEWAY", "网关"), "spec.gateway"),
    (say("UNIT", "单元"), "spec.unit"),
]
_STATUS: list[output.Column] = [
    (say("CALIBRATED UNTIL", "检定有效期"), "spec.calibrated_until"),
    (say("LAST VALUE", "最近读数"), "status.last_value"),
    (say("LAST READ AT", "最近抄表"), "status.last_read_at"),
    (say("HELD SINCE", "隔离待查起"), "status.held_since"),
    (say("LEDGER UNTIL", "台账截至"), "status.ledger_until"),
    (say("SWAPS", "换表"), "status.swaps"),
]
_SWAP: list[output.Column] = [
    (say("METER", "电表"), "meter"),
    (say("REGISTER", "寄存器"), "register"),
    (say("SWAPPED AT", "换表时间"), "swapped_at"),
    (say("FINAL", "止码"), "final_value"),
    (say("FIRST", "起码"), "first_value"),
    (say("WORK ORDER", "工单"), "work_order"),
    (say("WITHDRAWN AT", "撤销时间"), "withdrawn_at"),
]


@app.command("list", help=say("Meters by code.", "列出电表。"))
def list_meters(ctx: typer.Context, hall: Annotated[str, typer.Option(help=say("of one hall", "所属模块"))] = "") -> None:
    """Meters by code."""
    output.show(ctx, session.client(ctx).pages("/v1/meters", hall=hall), columns=_COLUMNS)


@app.command("show", help=say("One meter: registers, last reading, swaps.", "查看电表：寄存器、最近读数、换表。"))
def show(ctx: typer.Context, meter: Meter) -> None:
    """One meter."""
    output.show(ctx, session.client(ctx).get(f"/v1/meters/{meter}"), columns=[*_COLUMNS, *_STATUS])


@app.command(
    "create",
    help=say(
        "Create a meter with one energy register; more registers: govpool apply.",
        "新建带一个电能寄存器的电表；更多寄存器请用 govpool apply。",
    ),
)
def create(
    ctx: typer.Context,
    meter: Meter,
    hall: Annotated[str, typer.Option(help=say("code of its hall", "所属模块"))],
    side: Annotated[str, typer.Option(help=say("facility or it", "facility（设施侧）或 it（IT 侧）"))],
    rating_w: Annotated[int, typer.Option(help=say("rating of its breaker or transformer, W", "断路器或变压器额定功率，W"))],
    scale: Annotated[
        str, typer.Option(help=say("Wh per raw unit: 1, 100, 0.1, 1/800", "每个原始单位的 Wh：1、100、0.1、1/800"))
    ] = "1",
    width: Annotated[int, typer.Option(help=say("bits: 16, 32 or 64", "位数：16、32 或 64"))] = 32,
    word_order: Annotated[str, typer.Option(help=say("big or little", "字序：big 或 little"))] = "big",
    modulus: Annotated[
        str, typer.Option(help=say("raw units after which it starts at 0 (by width)", "归零前的满度（默认按位数）"))
    ] = "",
    gateway: Annotated[str, typer.Option(help=say("host:port; empty: not polled", "网关 host:port；空则不轮询"))] = "",
    unit: Annotated[int, typer.Option(help=say("Modbus unit id", "Modbus 单元号"))] = 1,
    address: Annotated[int | None, typer.Option(help=say("address of the energy register", "电能寄存器地址"))] = None,
    power_address: Annotated[
        int | None, typer.Option(help=say("address of a 32-bit power register, W", "32 位功率寄存器地址，W"))
    ] = None,
    calibrated_until: Annotated[str, typer.Option(help=say("end of calibration", "检定有效期"))] = "",
    name: Annotated[str, typer.Option(help=say("name for people", "名称"))] = "",
) -> None:
    """Create a meter; one that exists is not touched."""
    common: dict[str, Any] = {"word_order": word_order}
    energy = common | {"code": "energy", "scale": scale, "width": width, "modulus": modulus, "address": address}
    registers = [energy]
    if power_address is not None:
        registers.append(common | {"code": "power", "quantity": "power", "width": 32, "address": power_address})
    body = {
        "hall": hall,
        "side": side,
        "name": name,
        "rating_w": rating_w,
        "registers": registers,
        "gateway": gateway,
        "unit": unit,
        "calibrated_until": calibrated_until,
    }
    output.show(ctx, session.client(ctx).put(f"/v1/meters/{meter}", body, if_match=0), columns=_COLUMNS)


@app.command("swap", help=say("Declare that a meter was exchanged; its energy goes on without a gap.", "登记换表，电量连续计量。"))
def swap(
    ctx: typer.Context,
    meter: Meter,
    at: Annotated[str, typer.Option(help=say("when, such as 2026-10-08T10:30:00+08:00", "换表时间，如 2026-10-08T10:30:00+08:00"))],
    final: Annotated[str, typer.Option(help=say("last value of the old meter, raw", "旧表止码"))],
    first: Annotated[str, typer.Option(help=say("first value of the new meter, raw", "新表起码"))],
    work_order: Annotated[str, typer.Option(help=say("work order or photo that proves it", "工单或照片编号"))],
    register: Annotated[str, typer.Option(help=say("register, if not the energy register", "寄存器"))] = "",
    scale: Annotated[
        str, typer.Option(help=say("Wh per raw unit of the new meter, if it differs", "新表每原始单位 Wh（如不同）"))
    ] = "",
    modulus: Annotated[str, typer.Option(help=say("modulus of the new meter, if it differs", "新表满度（如不同）"))] = "",
) -> None:
    """Declare a swap."""
    body: dict[str, Any] = {
        "register": register,
        "swapped_at": at,
        "final_value": final,
        "first_value": first,
        "work_order": work_order,
    }
    body |= {name: value for name, value in (("scale", scale), ("modulus", modulus)) if value}
    output.show(ctx, session.client(ctx).post(f"/v1/meters/{meter}/swaps", body), columns=_SWAP)


@app.command("withdraw-swap", help=say("Take back a swap that was declared wrongly.", "撤销登记有误的换表。"))
def withdraw_swap(
    ctx: typer.Context,
    meter: Meter,
    at: Annotated[str, typer.Option(help=say("the declared time of the swap", "所登记的换表时间"))],
    reason: Annotated[str, typer.Option(help=say("why it was wrong", "撤销原因"))],
    register: Annotated[str, typer.Option(help=say("register, if not the energy register", "寄存器"))] = "",
) -> None:
    """Take back a swap; it stays on record and counts no more."""
    body = {"register": register, "swapped_at": at, "reason": reason}
    output.show(ctx, session.client(ctx).post(f"/v1/meters/{meter}/swap-withdrawals", body), columns=_SWAP)
