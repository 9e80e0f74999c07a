"""The poller: a thread with one asyncio task per gateway inside the server process.

A gateway is a shared bus, so its units are read one after the other, never at once.  A unit that does not answer costs one timeout, then it is
left alone for longer and longer, so that its neighbours keep their pace.  The meters are read again from the database every few seconds.
"""

import asyncio
import dataclasses
import threading
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Final

import structlog
from pymodbus.client import AsyncModbusTcpClient

from primitives import clock
from pue_monitor import model
from pue_monitor.modbus import unit

TIMEOUT_S: Final = 1
PAUSE_MAX_S: Final = 300
PLAN_S: Final = 3

Plan = Callable[[], Iterable[model.Meter]]
Keep = Callable[[Sequence[model.Reading], Sequence[model.Live]], None]
HandOver = Callable[[Sequence[model.Reading], Sequence[model.Live]], Awaitable[None]]

_log = structlog.get_logger("meters")


@dataclasses.dataclass(slots=True)
class _Due:
    """When a meter is read next, in seconds of the monotonic clock, and how often it failed in a row."""

    at_s: int = 0
    failures: int = 0


class Poller:
    """Polls every meter of `plan` that has a gateway and hands what it read to `keep`, once per sweep of a gateway."""

    name = "meters"

    def __init__(self, plan: Plan, keep: Keep, poll_s: int) -> None:
        self._plan = plan
        self._keep = keep
        self._poll_s = poll_s
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._main: asyncio.Task[None] | None = None
        self._reason = ""
        self._stopping = threading.Event()

    def start(self) -> None:
        """Begin on a thread of its own."""
        self._thread = threading.Thread(target=self._run, name=self.name, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End; what was read is kept or given up as a whole sweep."""
        self._stopping.set()
        if self._loop is not None and self._main is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._main.cancel)
        if self._thread is not None:
            self._thread.join()

    def wrong(self) -> str:
        """Why nothing can be kept or planned; dead meters are no fault of the poller."""
        if self._thread is None or not self._thread.is_alive():
            return "it does not run"
        return self._reason

    def _run(self) -> None:
        with asyncio.Runner() as runner:
            self._loop = runner.get_loop()
            try:
                runner.run(self._supervise())
            except asyncio.CancelledError:
                _log.info("meters.stopped")

    async def _supervise(self) -> None:
        self._main = asyncio.current_task()
        gateways: dict[tuple[str, int], _Gateway] = {}
        tasks: dict[tuple[str, int], asyncio.Task[None]] = {}
        try:
            while not self._stopping.is_set():
                wanted = await self._planned()
                if wanted is not None:
                    for place in set(tasks) - set(wanted):
                        tasks.pop(place).cancel()
                        gateways.pop(place)
                    for place, meters in wanted.items():
                        if place in gateways:
                            gateways[place].meters = meters
                        else:
                            gateways[place] = _Gateway(place, meters, self._poll_s, self._hand_over)
                            tasks[place] = asyncio.create_task(gateways[place].run())
                await asyncio.sleep(PLAN_S)
        finally:
            for task in tasks.values():
                task.cancel()
            await asyncio.gather(*tasks.values(), return_exceptions=True)

    async def _planned(self) -> dict[tuple[str, int], list[model.Meter]] | None:
        """Meters by gateway; None when the plan could not be read, and the old one goes on."""
        try:
            meters = await asyncio.to_thread(lambda: list(self._plan()))
        except Exception as error:
            self._failed("meters.plan_failed", error)
            return None
        wanted: dict[tuple[str, int], list[model.Meter]] = {}
        for meter in meters:
            if meter.host and (meter.removed_at is None or meter.removed_at > clock.now()):
                wanted.setdefault((meter.host, meter.port), []).append(meter)
        return wanted

    async def _hand_over(self, readings: Sequence[model.Reading], signs: Sequence[model.Live]) -> None:
        try:
            await asyncio.to_thread(self._keep, readings, signs)
            self._reason = ""
        except Exception as error:
            self._failed("meters.keep_failed", error)

    def _failed(self, event: str, error: Exception) -> None:
        self._reason = f"{event}: {type(error).__name__}: {error}"
        _log.warning(event, reason=self._reason)


class _Gateway:
    """One gateway and the meters behind it."""

    def __init__(self, place: tuple[str, int], meters: list[model.Meter], poll_s: int, hand_over: HandOver) -> None:
        self.meters = meters
        self._host, self._port = place
        self._poll_s = poll_s
        self._hand_over = hand_over
        self._due: dict[str, _Due] = {}

    async def run(self) -> None:
        """Sweep for ever."""
        client = self._client()
        try:
            while True:
                now_s = int(clock.monotonic_s())
                due = [meter for meter in self.meters if self._due.setdefault(meter.id, _Due()).at_s <= now_s]
                if due:
                    if not client.connected:
                        client.close()
                        client = self._client()
                    await self._sweep(client, due)
                next_s = min((self._due.setdefault(meter.id, _Due()).at_s for meter in self.meters), default=now_s + 1)
                await asyncio.sleep(min(max(next_s - int(clock.monotonic_s()), 1), self._poll_s))
        finally:
            client.close()

    async def _sweep(self, client: AsyncModbusTcpClient, due: list[model.Meter]) -> None:
        readings: list[model.Reading] = []
        signs: list[model.Live] = []
        for meter in due:
            if not client.connected and not await client.connect():
                signs += [self._silent(each, "the gateway does not accept a connection") for each in due[due.index(meter) :]]
                break
            try:
                read, sign = await unit.look(client, meter)
                readings += read
                signs.append(sign)
                self._due[meter.id] = _Due(at_s=int(clock.monotonic_s()) + (meter.poll_s or self._poll_s))
            except unit.SilentError as error:
                client.close()  # a late answer must not meet the next question
                signs.append(self._silent(meter, str(error)))
        await self._hand_over(readings, signs)

    def _silent(self, meter: model.Meter, problem: str) -> model.Live:
        due = self._due[meter.id]
        due.failures += 1
        due.at_s = int(clock.monotonic_s()) + min((meter.poll_s or self._poll_s) << min(due.failures, 8), PAUSE_MAX_S)
        return model.Live(meter_id=meter.id, at_us=clock.to_us(clock.now()), power_w=None, problem=problem[:200])

    def _client(self) -> AsyncModbusTcpClient:
        return AsyncModbusTcpClient(self._host, port=self._port, timeout=TIMEOUT_S, retries=0, reconnect_delay=0)
