"""Running the simulator: one Modbus TCP server a hall, until it is told to stop."""

import asyncio
import functools
import pathlib
import signal
from collections.abc import Callable, Mapping, Sequence

from primitives import clock
from pue_monitor.simulator import modbus_server, plant, script


async def start(
    data: pathlib.Path, faults: Sequence[script.Fault], host: str, ports: Mapping[str, int]
) -> tuple[list[asyncio.Server], dict[str, int]]:
    """The running servers and the port of each hall; a hall without a port takes a free one."""
    simulated = plant.Plant(data, faults, clock.to_us(clock.now()))
    servers, taken = [], {}
    for hall in plant.HALLS:
        units = {meter.unit: functools.partial(_now, simulated, meter) for meter in plant.METERS if meter.hall is hall}
        server = await modbus_server.serve(host, ports.get(hall.code, 0), units)
        servers.append(server)
        taken[hall.code] = int(server.sockets[0].getsockname()[1])
    return servers, taken


async def run(
    data: pathlib.Path,
    faults: Sequence[script.Fault],
    host: str,
    ports: Mapping[str, int],
    started: Callable[[dict[str, int]], None],
) -> None:
    """Serve until SIGINT or SIGTERM; `started` is called with the ports once all listen."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    servers, taken = await start(data, faults, host, ports)
    started(taken)
    await stop.wait()
    for server in servers:
        server.close()


def _now(simulated: plant.Plant, meter: plant.Meter) -> tuple[str, Mapping[int, int]]:
    at_us = clock.to_us(clock.now())
    return simulated.answer(meter, at_us), simulated.words(meter, at_us)
