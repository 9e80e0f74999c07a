"""PUE over coincident quarters, its name, its refusal and the gate to reporting.  ISO/IEC 30134-2: energy over energy, never a mean of ratios.

A quarter counts only if EVERY meter in service then has energy in it, on both sides.  Below 1 is an error of boundary or meter and is refused.
Under 12 months it is interim (iPUE), of a part of a data centre it is a pPUE.  `completeness.energy` is the share of quarters whose energy is
backed by registers on both sides (a missing quarter weighs as a mean one); `completeness.profile` the share whose shape was measured, too.
"""

import dataclasses
import datetime
from collections.abc import Iterable
from typing import Any, Final

from primitives import interval, quantity
from pue_monitor import model
from pue_monitor.model import Quality

EDITION: Final = "ISO/IEC 30134-2:2016"
ENERGY_COMPLETE: Final = (99, 100)
QUARANTINE_OPEN: Final = (1, 1000)
ALARM_SHARE: Final = (1, 1000)
HIGHEST: Final = 5
"""A quarter below 1 or above this is a balance alarm."""

_RANK: Final = {quality: rank for rank, quality in enumerate("MRPEQX")}


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Sum:
    """One side of one quarter: what its meters in service have."""

    wh: int
    meters: int  # in service
    known: int  # of them, those with energy
    worst: Quality  # of the entries there are


@dataclasses.dataclass(frozen=True, slots=True)
class Quarter:
    """One quarter of a hall."""

    start_us: int
    facility_wh: int | None
    it_wh: int | None
    quality: Quality

    @property
    def coincident(self) -> bool:
        """Whether both sides are whole."""
        return self.facility_wh is not None and self.it_wh is not None

    @property
    def alarming(self) -> bool:
        """Whether the balance of this quarter is below 1 or above 5."""
        if self.facility_wh is None or self.it_wh is None:
            return False
        return self.facility_wh < self.it_wh or self.facility_wh > HIGHEST * self.it_wh


@dataclasses.dataclass(frozen=True, slots=True)
class Reason:
    """Why a figure is not reportable."""

    code: str
    en: str
    zh: str


def quarter(start_us: int, facility: Sum, it: Sum) -> Quarter:
    """The two sides put together; the worst mark of all meters, X where one has no entry."""
    worst = max(facility.worst, it.worst, key=_RANK.__getitem__)
    sides = [side.wh if side.meters and side.known == side.meters else None for side in (facility, it)]
    if None in sides and worst is not Quality.QUARANTINED:
        worst = Quality.MISSING
    return Quarter(start_us, sides[0], sides[1], worst)


def twelve_months(from_at: datetime.datetime, to_at: datetime.datetime) -> bool:
    """Whether a period has at least 12 months, by the calendar of Asia/Shanghai."""
    start, end = from_at.astimezone(interval.SHANGHAI), to_at.astimezone(interval.SHANGHAI)
    day = 28 if (start.month, start.day) == (2, 29) else start.day
    return start.replace(year=start.year + 1, day=day) <= end


def show(
    hall: model.Hall,
    meters: Iterable[model.Meter],
    from_at: datetime.datetime,
    to_at: datetime.datetime,
    quarters: Iterable[Quarter],
) -> dict[str, Any]:
    """The figure as it is published: format of `pue show`.  `quarters` are those of [from_at, to_at), all of them."""
    marks = dict.fromkeys("MRPEXQ", 0)
    facility_wh = it_wh = coincident = measured = alarms = total = 0
    for one in quarters:
        total += 1
        marks[one.quality] += 1
        if one.facility_wh is not None and one.it_wh is not None:
            coincident += 1
            facility_wh += one.facility_wh
            it_wh += one.it_wh
            measured += one.quality is Quality.MEASURED
            alarms += one.alarming
    interim = not twelve_months(from_at, to_at)
    part = hall.boundary == "part"
    reasons = [
        *_refusals(list(meters), facility_wh, it_wh, coincident, to_at),
        *_gate(interim=interim, part=part, total=total, coincident=coincident, held=marks["Q"], alarms=alarms),
    ]
    value = None
    if 0 < it_wh <= facility_wh:
        thousandths = quantity.half_up(facility_wh * 1000, it_wh)
        value = f"{thousandths // 1000}.{thousandths % 1000:03d}"
    return {
        "name": "pPUE" if part else "PUE",
        "interim": interim,
        "value": value,
        "category": hall.category,
        "facility_wh": facility_wh,
        "it_wh": it_wh,
        "intervals": coincident,
        "completeness": {"energy": _share(coincident, total), "profile": _share(measured, total)},
        "quality": marks,
        "reportable": value is not None and not reasons,
        "reasons": [dataclasses.asdict(reason) for reason in reasons],
    }


def _refusals(
    meters: list[model.Meter], facility_wh: int, it_wh: int, coincident: int, to_at: datetime.datetime
) -> Iterable[Reason]:
    for side, zh in ((model.Side.FACILITY, "设施侧"), (model.Side.IT, "IT 侧")):
        if not any(meter.side is side for meter in meters):
            yield Reason("meters.missing", f"no meter on the {side} side", f"{zh}没有电表")
    if not coincident or not it_wh:
        yield Reason(
            "energy.none",
            "no interval with IT energy in which all meters have readings",
            "没有所有电表同时有读数且含 IT 电量的时段",
        )
    elif facility_wh < it_wh:
        yield Reason(
            "value.below_one",
            f"facility {facility_wh} Wh is below IT {it_wh} Wh: a boundary or meter error, not a result",
            f"设施电量 {facility_wh} Wh 低于 IT 电量 {it_wh} Wh：边界或电表有误，不能作为结果",
        )
    undated = sorted(meter.code for meter in meters if meter.calibrated_until is None)
    expired = sorted(meter.code for meter in meters if meter.calibrated_until is not None and meter.calibrated_until < to_at)
    if undated:
        names = ", ".join(undated[:10])
        yield Reason("calibration.unknown", f"no calibration date: {names}", f"未登记检定有效期：{names}")
    if expired:
        names = ", ".join(expired[:10])
        yield Reason("calibration.expired", f"calibration ended within the period: {names}", f"检定在统计期内已过期：{names}")


def _gate(*, interim: bool, part: bool, total: int, coincident: int, held: int, alarms: int) -> Iterable[Reason]:
    if interim:
        yield Reason("period.short", "under 12 months: an interim iPUE", "不足 12 个月：仅为中期值 iPUE")
    if part:
        yield Reason("boundary.part", "the hall is a part of a data centre: a pPUE", "该模块只是数据中心的一部分：仅为局部值 pPUE")
    if coincident * ENERGY_COMPLETE[1] < total * ENERGY_COMPLETE[0]:
        share = _share(coincident, total)
        yield Reason("completeness.energy", f"energy completeness {share} is below 0.99", f"电量完整率 {share} 低于 0.99")
    if held * QUARANTINE_OPEN[1] > total * QUARANTINE_OPEN[0]:
        yield Reason("quarantine.open", f"{held} intervals are in quarantine", f"{held} 个时段的读数尚在隔离待查")
    if alarms * ALARM_SHARE[1] > coincident * ALARM_SHARE[0]:
        yield Reason("balance.alarm", f"{alarms} intervals are below 1 or above 5", f"{alarms} 个时段的比值低于 1 或高于 5")


def _share(part: int, whole: int) -> str:
    """A share as text with 4 places, rounded down: 1.0000 only when nothing is missing."""
    parts = part * 10_000 // whole if whole else 0
    return f"{parts // 10_000}.{parts % 10_000:04d}"
