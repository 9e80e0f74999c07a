"""Routes of meters, their swaps, and their live power."""

from typing import Annotated, Any

import msgspec

from apiserver import page, route
from control import case, meter


class MeterQuery(page.Query, kw_only=True):
    """Filters of the list."""

    hall: Annotated[str, msgspec.Meta(max_length=63, description="code of a hall")] = ""


class Meter(msgspec.Struct, kw_only=True):
    """A meter as a document."""

    apiVersion: str
    kind: str
    metadata: dict[str, Any]
    spec: dict[str, Any]
    status: dict[str, Any]


class Swap(msgspec.Struct, kw_only=True):
    """A declared exchange of a meter; values in raw units of the register, scale in Wh."""

    meter: str
    register: str
    swapped_at: str
    final_value: str
    first_value: str
    scale: str
    modulus: str
    rating_w: int
    work_order: str
    withdrawn_at: str | None
    withdrawal: str


class Power(msgspec.Struct, kw_only=True):
    """What a meter shows now; `problem` says why the last look gave nothing, `held` that a reading is in quarantine."""

    meter: str
    hall: str
    side: str
    name: str
    power_w: int | None
    seen_at: str | None
    problem: str
    register: str
    value: str | None
    read_at: str | None
    held: bool


def list_meters(tx: Any, call: route.Call) -> Any:
    """Meters by code."""
    rows = meter.list_meters(tx, call.who, hall=call.query.hall)
    return page.whole(rows, call, lambda row: [row["metadata"]["name"]])


def show_meter(tx: Any, call: route.Call) -> Any:
    """One meter with its last reading and its swaps."""
    return meter.show_meter(tx, call.who, call.path["meter"])


def set_meter(call: route.Call) -> case.UseCase:
    """Make a meter be as the body says."""
    return meter.set_meter(call.path["meter"], call.body, if_match=call.context.if_match)


def swap_meter(call: route.Call) -> case.UseCase:
    """Declare that a meter was exchanged, so that its energy goes on without a gap."""
    return meter.swap_meter(call.path["meter"], call.body)


def withdraw_swap(call: route.Call) -> case.UseCase:
    """Take back a swap that was declared wrongly; it stays on record and counts no more."""
    return meter.withdraw_swap(call.path["meter"], call.body)


def list_power(tx: Any, call: route.Call) -> Any:
    """Live power and last reading of every meter."""
    return page.whole(meter.list_power(tx, call.who), call, lambda row: [row["meter"]])


ROUTES = [
    route.read("GET", "/v1/meters", "meter.list", list_meters, query=MeterQuery, answer=page.Page[Meter]),
    route.read("GET", "/v1/meters/{meter}", "meter.show", show_meter, answer=Meter),
    route.change("PUT", "/v1/meters/{meter}", "meter.set", set_meter, body=meter.Spec, answer=Meter),
    route.change("POST", "/v1/meters/{meter}/swaps", "meter.swap", swap_meter, body=meter.Swap, answer=Swap, status=201),
    route.change(
        "POST", "/v1/meters/{meter}/swap-withdrawals", "meter.swap_withdraw", withdraw_swap, body=meter.Withdrawal, answer=Swap
    ),
    route.read("GET", "/v1/meter-powers", "meter.power", list_power, query=page.Query, answer=page.Page[Power]),
]
