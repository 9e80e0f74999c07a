"""The spec of a price book as it is written, checked: from a bounded struct to `model.PriceBook`.  Pure.

    apiVersion: govpool/v1
    kind: PriceBook
    metadata: {name: "2026-10"}
    spec:
      valid_from: "2026-10-01T00:00:00+08:00"
      currency: CNY
      prices:
        - {sku: vm-vcpu, kind: VirtualMachine, name: cpu_milli, unit: vCPU-Hours, price: "0.0900", states: [running]}
        - {sku: vm-ssd, kind: VirtualMachine, name: disk_gib, class: ssd, unit: GiB-Hours, price: "0.0011",
           states: [running, stopped]}
      free: [instances, pods]          # what costs nothing unless it has a price; this is the default

A price is per hour only: a price a month would need a length of the month, and peers that stored one kind of price charged another.
"""

import datetime
import re
from typing import Annotated, Any, Final, Literal

import msgspec

from metering import model, rating
from primitives import clock, errors, money

_CODE: Final = r"^[a-z0-9]([a-z0-9._-]{0,61}[a-z0-9])?$"
_NAME: Final = r"^[a-z][a-z0-9_]{0,30}(\.[a-z0-9][a-z0-9_-]{0,30})?$"
PRICE_BOUND_MICRO: Final = 10_000 * money.MICRO
"""No priced unit costs more than 10,000 yuan an hour."""

Code = Annotated[str, msgspec.Meta(pattern=_CODE, max_length=63)]
Name = Annotated[str, msgspec.Meta(pattern=_NAME, max_length=63)]


class PriceSpec(msgspec.Struct, forbid_unknown_fields=True, kw_only=True, rename={"service_class": "class"}):
    """One price."""

    sku: Code
    kind: Annotated[str, msgspec.Meta(pattern=r"^[A-Z][A-Za-z0-9]{0,62}$", description="kind of resource, such as VirtualMachine")]
    name: Annotated[Name, msgspec.Meta(description="amount it applies to: cpu_milli, ram_mib, disk_gib, disk_gib.ssd ...")]
    service_class: Annotated[str, msgspec.Meta(pattern=r"^([a-z0-9]([a-z0-9._-]{0,61}[a-z0-9])?)?$", max_length=63)] = ""
    unit: Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z]{1,20}-Hours$", description="vCPU-Hours, GiB-Hours, Gpu-Hours ...")]
    price: (
        Annotated[str, msgspec.Meta(max_length=20, description="yuan per unit, decimal text with at most 6 places")]
        | Annotated[int, msgspec.Meta(ge=0, le=10**9)]
    )
    states: Annotated[list[Literal["running", "stopped"]], msgspec.Meta(min_length=1, max_length=2)] = msgspec.field(
        default_factory=lambda: ["running"]
    )


class BookSpec(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """The prices and when they come into force."""

    valid_from: Annotated[str, msgspec.Meta(max_length=40, description="ISO 8601 with an offset, whole seconds")]
    currency: Literal["CNY"]
    prices: Annotated[list[PriceSpec], msgspec.Meta(min_length=1, max_length=1000)]
    free: Annotated[list[Name], msgspec.Meta(max_length=50)] = msgspec.field(
        default_factory=lambda: sorted(model.FREE_UNLESS_PRICED)
    )


def book(name: str, wanted: BookSpec, *, generation: int, recorded_at: datetime.datetime) -> model.PriceBook:
    """The book of a document's name and spec.  Raises input.invalid naming the place of what is wrong."""
    if not re.fullmatch(_CODE, name):
        raise errors.INVALID(field="metadata.name", reason=f"{name[:63]!r} is not a name such as 2026-10")
    valid_from = clock.parse(wanted.valid_from, "spec.valid_from")
    if valid_from.microsecond:
        raise errors.INVALID(field="spec.valid_from", reason="prices change at whole seconds")
    prices = tuple(_price(number, one) for number, one in enumerate(wanted.prices))
    _unique([price.sku for price in prices], "sku")
    _unique([(price.kind, price.name, price.service_class) for price in prices], "kind, name and class")
    return model.PriceBook(
        name=name,
        generation=generation,
        valid_from=valid_from,
        recorded_at=recorded_at,
        prices=prices,
        free=frozenset(wanted.free),
    )


def spec(made: model.PriceBook) -> dict[str, Any]:
    """The spec of a book in one form, whatever way it was written: what is stored and compared."""
    return {
        "valid_from": clock.text(made.valid_from),
        "currency": money.CURRENCY,
        "prices": [
            {
                "sku": price.sku,
                "kind": price.kind,
                "name": price.name,
                "class": price.service_class,
                "unit": price.unit,
                "price": money.price_text(price.micro),
                "states": sorted(price.states),
            }
            for price in sorted(made.prices, key=lambda one: one.sku)
        ],
        "free": sorted(made.free),
    }


def _price(number: int, wanted: PriceSpec) -> model.Price:
    place = f"spec.prices[{number}]"
    micro = money.parse(str(wanted.price), f"{place}.price")
    if not 0 <= micro <= PRICE_BOUND_MICRO:
        bound = PRICE_BOUND_MICRO // money.MICRO
        raise errors.INVALID(field=f"{place}.price", reason=f"{wanted.price} is not between 0 and {bound} yuan")
    unit, _ = rating.UNITS.get(wanted.name.partition(".")[0], (wanted.unit, 1))
    if wanted.unit != unit:
        raise errors.INVALID(field=f"{place}.unit", reason=f"{wanted.name} is priced in {unit}, not in {wanted.unit}")
    return model.Price(
        sku=wanted.sku,
        kind=wanted.kind,
        name=wanted.name,
        service_class=wanted.service_class,
        unit=wanted.unit,
        micro=micro,
        states=frozenset(model.State(state) for state in wanted.states),
    )


def _unique(keys: list[Any], what: str) -> None:
    seen = set()
    for number, key in enumerate(keys):
        if key in seen:
            raise errors.INVALID(field=f"spec.prices[{number}]", reason=f"a price with the same {what} stands above it")
        seen.add(key)
