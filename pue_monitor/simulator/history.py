"""A past month of 15-minute readings of the simulated meters, as a file for `govpool reading import`."""

import pathlib
from collections.abc import Iterator

from primitives import clock
from pue_monitor.model import QUARTER_US
from pue_monitor.simulator import plant


def lines(data: pathlib.Path, from_us: int, to_us: int) -> Iterator[str]:
    """CSV lines of every meter at each quarter of an hour from `from_us` to `to_us`, both included."""
    simulated = plant.Plant(data)
    yield "meter,register,read_at,value\n"
    for at_us in range(from_us, to_us + 1, QUARTER_US):
        read_at = clock.text(clock.from_us(at_us))
        for meter in plant.METERS:
            yield f"{meter.code},energy,{read_at},{simulated.value(meter, at_us)}\n"
