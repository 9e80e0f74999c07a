"""Intervals x price books to statement lines.  Pure, in Python integers only: they cannot overflow and never round on the way.

amount = unit-seconds x price / (3600 x units per priced unit), summed per (tenant, project, SKU, price version) and rounded there once,
half up to the fen; the rows of the group share that sum by largest remainder, ties by resource id.  So rows sum to groups, groups to
statements, statements to the month, all to the fen.
"""

import collections
import dataclasses
import datetime
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from metering import model
from primitives import interval, money, quantity

HOUR_S: Final = 3600
MONTH_HOURS: Final = 730
"""Hours of the month in a price a month: a year of 8,760 hours / 12, so that a quote does not depend on the calendar."""

UNITS: Final[Mapping[str, tuple[str, int]]] = {
    "cpu_milli": ("vCPU-Hours", 1000),
    "ram_mib": ("GiB-Hours", 1024),
    "disk_gib": ("GiB-Hours", 1),
    "instances": ("Instance-Hours", 1),
    "pods": ("Pod-Hours", 1),
    "public_ips": ("Address-Hours", 1),
    "gpus": ("Gpu-Hours", 1),
}
"""Registry name -> (priced unit, registry units in one of it).  Any other name is priced as it is counted, in '<Word>-Hours'."""

Charge = tuple[model.Price, int]
"""A price and the registry units that it applies to."""
_Group = tuple[str, str, str, str]
"""Tenant, project, SKU, price version: what is rounded once."""


def per_unit(name: str) -> int:
    """Registry units in one priced unit: 1000 milli in a vCPU, 1024 MiB in a GiB, else 1.  `disk_gib.ssd` counts as `disk_gib`."""
    return UNITS.get(name.partition(".")[0], ("", 1))[1]


def fen(unit_seconds: int, price: model.Price) -> int:
    """Money of a sum of unit-seconds, in micro-yuan, whole fen, half up."""
    return quantity.half_up(unit_seconds * price.micro, HOUR_S * per_unit(price.name) * money.FEN) * money.FEN


def epochs(books: Iterable[model.PriceBook], span: interval.Interval) -> list[tuple[interval.Interval, model.PriceBook | None]]:
    """`span` cut where another book comes into force; None before the first.  Of two with one start the later recorded holds."""
    starts: dict[datetime.datetime, model.PriceBook] = {}
    for book in sorted(books, key=lambda one: (one.valid_from, one.recorded_at, one.name)):
        starts[max(book.valid_from, span.start_at)] = book  # ascending: the last to start before the span is in force at its start
    cuts = sorted({span.start_at, *(at for at in starts if at < span.end_at)})
    ends = [*cuts[1:], span.end_at]
    return [(interval.Interval(at, end), starts.get(at)) for at, end in zip(cuts, ends, strict=True)]


def charges(
    book: model.PriceBook | None, kind: str, service_class: str, state: model.State, amounts: Mapping[str, int]
) -> tuple[list[Charge], list[str]]:
    """Which prices apply to `amounts` (none of them 0) in `state`, and the names that have none.

    A price of the class goes before one for every class.  A finer name (`disk_gib.ssd`) is charged by its own price, else by the coarse one
    (`disk_gib`).  Beside its coarse name it is part of that: what has a price of its own is taken off the coarse amount, the rest is in it.
    """
    if book is None:
        return [], sorted(amounts)
    prices = {(p.name, p.service_class): p for p in book.prices if p.kind == kind}
    rest = dict(amounts)
    found: list[Charge] = []
    missing: list[str] = []
    for name in sorted(amounts, key=lambda one: ("." not in one, one)):  # finer names first
        coarse = name.partition(".")[0]
        own = prices.get((name, service_class)) or prices.get((name, ""))
        if own is not None and name != coarse and coarse in rest:
            rest[coarse] = max(0, rest[coarse] - rest[name])
        if own is None and name != coarse and coarse in amounts:
            continue
        price = own or prices.get((coarse, service_class)) or prices.get((coarse, ""))
        if price is not None and state in price.states and rest[name]:
            found.append((price, rest[name]))
        elif price is None and rest[name] and not {name, coarse} & book.free:
            missing.append(name)
    return found, missing


def rate(intervals: Iterable[model.UsageInterval], books: Iterable[model.PriceBook], span: interval.Interval) -> model.Rating:
    """The lines of all tenants for the part of `intervals` in `span`, ordered by tenant, project, resource, SKU, start."""
    epochs_of_span = epochs(books, span)
    sums: dict[_Group, dict[str, _Sum]] = collections.defaultdict(dict)
    gaps: dict[tuple[str, str, str], model.Unpriced] = {}
    for used in intervals:
        for epoch, book in epochs_of_span:
            common = used.span.meets(epoch)
            if common is None:
                continue
            found, missing = charges(book, used.kind, used.dimensions.get("class", ""), used.state, used.amounts)
            for price, units in found:
                group = sums[used.tenant, used.project, price.sku, book.name if book else ""]
                group.setdefault(used.resource, _Sum(price, common.start_at, common.end_at)).add(units, common)
            for name in missing:
                gap = _gap(used, name, common.start_at)
                key = (gap.resource, gap.kind, gap.name)
                gaps[key] = min(gap, gaps.get(key, gap))
    lines = [line for key, group in sums.items() for line in _shared(key, group)]
    lines.sort(key=lambda one: (one.tenant, one.project, one.resource, one.sku, one.start_at, one.price_version))
    return model.Rating(lines=tuple(lines), unpriced=tuple(sorted(gaps.values())))


def monthly(
    book: model.PriceBook, kind: str, amounts: Mapping[str, int], dimensions: Mapping[str, str]
) -> tuple[model.MonthlyPrice, list[str]]:
    """The price of running `amounts` for 730 hours, each SKU rounded once as on a statement, and the names without a price."""
    found, missing = charges(book, kind, dimensions.get("class", ""), model.State.RUNNING, amounts)
    lines = tuple(
        model.MonthlyLine(
            sku=price.sku,
            unit=price.unit,
            units=units,
            unit_price_micro=price.micro,
            amount_micro=fen(units * MONTH_HOURS * HOUR_S, price),
        )
        for price, units in sorted(found, key=lambda charge: charge[0].sku)
    )
    total = sum(line.amount_micro for line in lines)
    return model.MonthlyPrice(monthly_micro=total, price_version=book.name, lines=lines), missing


def rolled_up(own: Mapping[str, int], paths: Mapping[str, Sequence[str]]) -> dict[str, int]:
    """Totals of whole subtrees: own plus all below.  `paths`: each node of `own` -> the nodes from the root down to itself."""
    totals = dict.fromkeys(own, 0)
    for node, amount in own.items():
        for above in paths[node]:
            if above in totals:
                totals[above] += amount
    return totals


@dataclasses.dataclass(slots=True)
class _Sum:
    """What one resource used under one price so far."""

    price: model.Price
    start_at: datetime.datetime
    end_at: datetime.datetime
    unit_seconds: int = 0

    def add(self, units: int, span: interval.Interval) -> None:
        self.unit_seconds += units * span.seconds
        self.start_at, self.end_at = min(self.start_at, span.start_at), max(self.end_at, span.end_at)


def _gap(used: model.UsageInterval, name: str, at: datetime.datetime) -> model.Unpriced:
    service_class = used.dimensions.get("class", "")
    return model.Unpriced(resource=used.resource, kind=used.kind, name=name, service_class=service_class, at=at)


def _shared(key: _Group, group: Mapping[str, _Sum]) -> Sequence[model.Line]:
    tenant, project, sku, version = key
    price = next(iter(group.values())).price
    total_fen = fen(sum(one.unit_seconds for one in group.values()), price) // money.FEN
    parts = quantity.shared(total_fen, {resource: one.unit_seconds for resource, one in group.items()})
    return [
        model.Line(
            tenant=tenant,
            project=project,
            resource=resource,
            kind=price.kind,
            sku=sku,
            unit=price.unit,
            unit_seconds=one.unit_seconds,
            unit_price_micro=price.micro,
            price_version=version,
            start_at=one.start_at,
            end_at=one.end_at,
            amount_micro=parts[resource] * money.FEN,
        )
        for resource, one in group.items()
    ]
