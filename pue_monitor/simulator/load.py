"""What a simulated hall draws: real hourly IT load, and a plant computed from it hour by hour.  Never a constant ratio.

IT power comes from the hourly files under demo/data (MIT licence).  On top: UPS loss with an idle, a linear and a quadratic part; cooling by
outside temperature (free cooling below 8 degrees, a coefficient of performance of 3.5 at 35 degrees); a base load of lights and fans.  Power is
linear between full hours and everything is integers, so energy is an exact function of time: live registers and past months agree.
"""

import dataclasses
import datetime
import functools
import gzip
import pathlib
from typing import Final

from primitives import clock

ORIGIN_US: Final = clock.to_us(datetime.datetime(2025, 1, 1, tzinfo=clock.UTC))
HOUR_US: Final = 3_600_000_000
HOURS: Final = 8760
"""The load repeats after a year of 365 days."""
DATA: Final = pathlib.Path(__file__).parents[2] / "demo" / "data" / "cambridge"


@dataclasses.dataclass(frozen=True, slots=True)
class Curve:
    """Power in W at each full hour of a year, and the energy up to it in W x us."""

    power_w: tuple[int, ...]
    energy_wus: tuple[int, ...]

    def power(self, at_us: int) -> int:
        """W at a moment."""
        hour, within = divmod(at_us - ORIGIN_US, HOUR_US)
        low, high = self.power_w[hour % HOURS], self.power_w[(hour + 1) % HOURS]
        return low + (high - low) * within // HOUR_US

    def energy(self, at_us: int) -> int:
        """W x us since the origin."""
        hour, within = divmod(at_us - ORIGIN_US, HOUR_US)
        years, hour = divmod(hour, HOURS)
        low, high = self.power_w[hour], self.power_w[(hour + 1) % HOURS]
        return (
            years * self.energy_wus[HOURS] + self.energy_wus[hour] + low * within + (high - low) * within * within // (2 * HOUR_US)
        )


def it_curve(path: pathlib.Path, share_permille: int) -> Curve:
    """The IT load of a file of hourly kWh, scaled.  An hour without load takes the one before: machines do not all stop."""
    with gzip.open(path, "rt", encoding="utf-8") as file:
        kwh = [line.rstrip().rpartition(",")[2] for line in file][1 : HOURS + 2]
    power: list[int] = []
    for text in kwh[1:]:  # the first hour of a file is half an hour
        whole, _, tenth = text.partition(".")
        watts = (int(whole) * 1000 + int((tenth + "0")[0]) * 100) * share_permille // 1000
        power.append(watts or (power[-1] if power else 0))
    power += power[-1:] * (HOURS - len(power))
    return _curve(power[:HOURS])


def facility_curve(it: Curve, rated_w: int) -> Curve:
    """All that crosses the boundary of a hall whose UPS is rated `rated_w`."""
    return _curve([_facility_w(power, rated_w, temperature(hour)) for hour, power in enumerate(it.power_w)])


def temperature(hour: int) -> int:
    """Outside temperature in tenths of a degree: 16.5 in the mean, a cold January, a warm afternoon.  Made up, and the same every year."""
    year = _sine(hour - 105 * 24, HOURS)
    day = _sine(hour % 24 - 9, 24)
    return 165 + 125 * year // 1000 + 45 * day // 1000


def _facility_w(it_w: int, rated_w: int, tenths: int) -> int:
    ups = rated_w * 12 // 1000 + it_w * 35 // 1000 + it_w * it_w * 20 // (1000 * rated_w)
    performance = 120 - 85 * min(max(tenths - 80, 0), 270) // 270  # tenths: 12 with free cooling, 3.5 at 35 degrees
    cooling = (it_w + ups) * 10 // performance + rated_w * 15 // 1000
    return it_w + ups + cooling + rated_w * 10 // 1000


def _sine(position: int, period: int) -> int:
    """Thousandths of the sine of position / period of a turn, by Bhaskara's rational formula."""
    degrees = position % period * 360 // period
    half = degrees % 180
    size = 4000 * half * (180 - half) // (40500 - half * (180 - half))
    return size if degrees < 180 else -size


def _curve(power: list[int]) -> Curve:
    energy = [0]
    for hour, low in enumerate(power):
        energy.append(energy[-1] + (low + power[(hour + 1) % len(power)]) * HOUR_US // 2)
    return Curve(tuple(power), tuple(energy))


@functools.cache
def hall_curves(data: pathlib.Path, file: str, share_permille: int, rated_w: int) -> tuple[Curve, Curve]:
    """(facility, IT) of a hall."""
    it = it_curve(data / file, share_permille)
    return facility_curve(it, rated_w), it
