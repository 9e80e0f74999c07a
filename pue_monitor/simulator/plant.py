"""The simulated halls, their meters and what their registers show at a moment, faults included."""

import dataclasses
import fractions
import pathlib
from collections.abc import Iterator, Sequence
from typing import Any, Final

from pue_monitor.rules import raw
from pue_monitor.simulator import load, script

SERIAL_AT: Final = 0
ENERGY_AT: Final = 100
POWER_AT: Final = 110


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Hall:
    """A simulated hall; one Modbus gateway."""

    code: str
    name: str
    category: int
    file: str
    share_permille: int
    rated_w: int


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Meter:
    """A simulated meter: its share of the hall's curve, and the register that counts it."""

    code: str
    hall: Hall
    side: str
    name: str
    unit: int
    share_permille: int
    scale: fractions.Fraction  # Wh per raw unit
    modulus: int
    width: int
    word_order: str
    rating_w: int
    offset: int  # raw units on the register at the origin


HALLS: Final = (
    Hall(code="hall-a", name="一号机房模块", category=2, file="b33-2013.csv.gz", share_permille=1000, rated_w=300_000),
    Hall(code="hall-b", name="二号机房模块", category=1, file="b2-2012.csv.gz", share_permille=300, rated_w=500_000),
)


def _meter(hall: Hall, code: str, side: str, name: str, **more: Any) -> Meter:
    return Meter(code=f"{hall.code}-{code}", hall=hall, side=side, name=name, **more)


_WH, _10WH, _100WH = fractions.Fraction(1), fractions.Fraction(10), fractions.Fraction(100)
_A, _B = HALLS
METERS: Final = (
    _meter(_A, "main-1", "facility", "1号进线", unit=1, share_permille=600, scale=_100WH, modulus=1_000_000, width=32,
           word_order="big", rating_w=400_000, offset=417_220),
    _meter(_A, "main-2", "facility", "2号进线", unit=2, share_permille=400, scale=_10WH, modulus=100_000_000, width=32,
           word_order="big", rating_w=400_000, offset=98_100_777),
    _meter(_A, "pdu-1", "it", "列头柜1", unit=3, share_permille=550, scale=_WH, modulus=2**32, width=32,
           word_order="little", rating_w=250_000, offset=3_211_045_000),
    _meter(_A, "pdu-2", "it", "列头柜2", unit=4, share_permille=450, scale=_100WH, modulus=1_000_000, width=32,
           word_order="big", rating_w=250_000, offset=10_500),
    _meter(_B, "main-1", "facility", "总进线", unit=1, share_permille=1000, scale=_100WH, modulus=1_000_000, width=32,
           word_order="big", rating_w=800_000, offset=650_000),
    _meter(_B, "ups-1", "it", "UPS 1 输出", unit=2, share_permille=500, scale=_WH, modulus=2**48, width=64,
           word_order="big", rating_w=400_000, offset=0),
    _meter(_B, "ups-2", "it", "UPS 2 输出", unit=3, share_permille=500, scale=_10WH, modulus=100_000_000, width=32,
           word_order="little", rating_w=400_000, offset=55_000_000),
)  # fmt: skip


class Plant:
    """All meters as they would be read now.  `started_us` is when the script began."""

    def __init__(self, data: pathlib.Path, faults: Sequence[script.Fault] = (), started_us: int = 0) -> None:
        self._curves = {hall.code: load.hall_curves(data, hall.file, hall.share_permille, hall.rated_w) for hall in HALLS}
        self._faults = tuple(faults)
        self._started_us = started_us
        self._offsets = {meter.code: meter.offset for meter in METERS}
        for fault in self._of("wrap"):
            meter = next(one for one in METERS if one.code == fault.meter)
            counted = self._counted(meter, started_us + fault.at_us)
            self._offsets[meter.code] = -counted  # it shows 0 at that very moment

    def power_w(self, meter: Meter, at_us: int) -> int:
        """W at a moment."""
        return self._curve(meter).power(at_us) * meter.share_permille // 1000

    def energy_wh(self, meter: Meter, at_us: int) -> fractions.Fraction:
        """What has truly flowed since the origin."""
        return fractions.Fraction(self._curve(meter).energy(at_us) * meter.share_permille, 1000 * load.HOUR_US)

    def value(self, meter: Meter, at_us: int) -> int:
        """What the energy register shows at a moment, in raw units."""
        if any(self._now("zero", meter, at_us)):
            return 0
        for fault in self._now("stuck", meter, at_us):
            at_us = self._started_us + fault.at_us
        swapped = [fault for fault in self._of("swap") if fault.meter == meter.code and at_us >= self._started_us + fault.at_us]
        if swapped:
            return (self._counted(meter, at_us) - self._counted(meter, self._started_us + swapped[-1].at_us)) % meter.modulus
        return (self._offsets[meter.code] + self._counted(meter, at_us)) % meter.modulus

    def words(self, meter: Meter, at_us: int) -> dict[int, int]:
        """The Modbus registers at a moment, by address."""
        order = meter.word_order
        if any(self._now("word_swap", meter, at_us)):
            order = "little" if order == "big" else "big"
        found: dict[int, int] = {}
        for address, value, width in (
            (SERIAL_AT, 20_250_000 + meter.unit, 32),
            (ENERGY_AT, self.value(meter, at_us), meter.width),
            (POWER_AT, self.power_w(meter, at_us), 32),
        ):
            found |= {address + number: word for number, word in enumerate(raw.encode(value, width, order))}
        return found

    def answer(self, meter: Meter, at_us: int) -> str:
        """How the meter answers: '', 'dead', 'exception' or 'late'."""
        return next((kind for kind in ("dead", "exception", "late") if any(self._now(kind, meter, at_us))), "")

    def _counted(self, meter: Meter, at_us: int) -> int:
        return (self.energy_wh(meter, at_us) / meter.scale).__floor__()

    def _curve(self, meter: Meter) -> load.Curve:
        facility, it = self._curves[meter.hall.code]
        return facility if meter.side == "facility" else it

    def _of(self, kind: str) -> Iterator[script.Fault]:
        return (fault for fault in self._faults if fault.kind == kind)

    def _now(self, kind: str, meter: Meter, at_us: int) -> Iterator[script.Fault]:
        since = at_us - self._started_us
        return (
            fault
            for fault in self._of(kind)
            if fault.meter == meter.code and fault.at_us <= since and (not fault.for_us or since < fault.at_us + fault.for_us)
        )
