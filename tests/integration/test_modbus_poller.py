"""The poller against real Modbus sockets of the simulator: values and wraps, a dead unit beside living ones, a gateway that comes late."""

import asyncio
import contextlib
import dataclasses
import fractions
import threading
import time
from collections.abc import Callable, Iterator, Sequence

import pytest

from pue_monitor import model
from pue_monitor.modbus import poller
from pue_monitor.rules import raw, register
from pue_monitor.simulator import load, plant, process, script


class Book:
    """Keeps what the poller hands over."""

    def __init__(self) -> None:
        self.readings: list[model.Reading] = []
        self.signs: list[model.Live] = []

    def keep(self, readings: Sequence[model.Reading], signs: Sequence[model.Live]) -> None:
        self.readings += readings
        self.signs += signs

    def of(self, code: str) -> list[model.Reading]:
        return [reading for reading in self.readings if reading.meter_id == code]


@contextlib.contextmanager
def simulator(*faults: str) -> Iterator[dict[str, int]]:
    """A running simulator; yields the ports by hall."""
    lines = script.read("\n".join(["at_s,fault,meter,for_s", *faults]), [meter.code for meter in plant.METERS])
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    try:
        servers, ports = asyncio.run_coroutine_threadsafe(process.start(load.DATA, lines, "127.0.0.1", {}), loop).result(30)
        yield ports

        async def end() -> None:
            for server in servers:
                server.close()
            others = asyncio.all_tasks() - {asyncio.current_task()}
            for task in others:
                task.cancel()
            await asyncio.gather(*others, return_exceptions=True)

        asyncio.run_coroutine_threadsafe(end(), loop).result(30)
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


def metered(meter: plant.Meter, port: int, **changed: object) -> model.Meter:
    """How govpool knows a simulated meter."""
    energy = model.Register(
        code="energy", quantity="energy", scale=meter.scale, width=meter.width, kind="uint", word_order=meter.word_order,
        modulus=meter.modulus, sentinels=(), address=plant.ENERGY_AT, table="holding",
    )  # fmt: skip
    power = dataclasses.replace(
        energy, code="power", quantity="power", scale=fractions.Fraction(1), width=32, address=plant.POWER_AT
    )
    made = model.Meter(
        id=meter.code, code=meter.code, hall_id=meter.hall.code, hall=meter.hall.code, side=model.Side(meter.side), name=meter.name,
        rating_w=meter.rating_w, host="127.0.0.1", port=port, unit=meter.unit, poll_s=1, installed_at=None, removed_at=None,
        calibrated_until=None, registers=(energy, power), generation=1,
    )  # fmt: skip
    return dataclasses.replace(made, **changed)  # type: ignore[arg-type]


def until(true: Callable[[], bool], limit_s: int = 30) -> None:
    """Wait for something to become true."""
    deadline = time.monotonic() + limit_s
    while not true():
        assert time.monotonic() < deadline, "it did not come true in time"
        time.sleep(0.05)


@contextlib.contextmanager
def polling(meters: list[model.Meter]) -> Iterator[Book]:
    book = Book()
    running = poller.Poller(lambda: meters, book.keep, poll_s=1)
    running.start()
    try:
        yield book
        assert running.wrong() == ""
    finally:
        running.stop()


def test_every_meter_is_read_as_it_stands_whatever_its_word_order_and_width() -> None:
    with simulator() as ports, polling([metered(meter, ports[meter.hall.code]) for meter in plant.METERS]) as book:
        until(lambda: all(book.of(meter.code) for meter in plant.METERS))
    simulated = plant.Plant(load.DATA)
    for meter in plant.METERS:
        reading = book.of(meter.code)[0]
        low, high = (simulated.value(meter, reading.read_us + shift) for shift in (-5_000_000, 0))
        assert low <= int(raw.show(reading.value_micro)) <= high
        sign = next(sign for sign in book.signs if sign.meter_id == meter.code)
        assert sign.power_w == pytest.approx(simulated.power_w(meter, sign.at_us), abs=50)


def test_a_register_that_wraps_while_it_is_polled_loses_nothing() -> None:
    meter = next(one for one in plant.METERS if one.code == "hall-a-pdu-1")  # 1 Wh a step: moves many times a second
    with simulator(f"3,wrap,{meter.code},0") as ports, polling([metered(meter, ports["hall-a"])]) as book:
        until(lambda: any(r.value_micro < 1000 * model.MICRO for r in book.of(meter.code)) and len(book.of(meter.code)) >= 6)
    fit = model.Fit(scale=meter.scale, modulus=meter.modulus, rating_w=meter.rating_w)
    derived = register.derive(fit, [], [(reading.read_us, reading.value_micro) for reading in book.of(meter.code)])
    assert [event.happening for event in derived.events] in (
        [model.Happening.ROLLOVER],
        [model.Happening.QUARANTINE, model.Happening.DROPPED, model.Happening.ROLLOVER],
    )
    assert derived.state is not None
    first, last = book.of(meter.code)[0], book.of(meter.code)[-1]
    moved = (last.value_micro - first.value_micro) % (meter.modulus * model.MICRO)
    assert derived.state.base.wh - first.value_micro * meter.scale / model.MICRO == moved * meter.scale / model.MICRO


def test_a_dead_unit_does_not_stall_its_neighbours() -> None:
    """Mutant: with retries, or without back-off, each sweep waits for the dead one and the living fall behind."""
    hall = [meter for meter in plant.METERS if meter.hall.code == "hall-a"]
    with simulator("0,dead,hall-a-main-1,0") as ports, polling([metered(meter, ports["hall-a"]) for meter in hall]) as book:
        until(lambda: len(book.of("hall-a-pdu-2")) >= 8)
    assert book.of("hall-a-main-1") == []
    silent = [sign for sign in book.signs if sign.meter_id == "hall-a-main-1"]
    assert silent
    assert all(sign.problem for sign in silent)
    assert len(silent) <= len(book.of("hall-a-pdu-2")) // 2
    assert len(book.of("hall-a-main-2")) >= 8


def test_a_meter_that_answers_with_an_exception_or_late_gives_no_reading() -> None:
    faults = ("0,exception,hall-a-main-1,0", "0,late,hall-a-main-2,0")
    hall = [meter for meter in plant.METERS if meter.hall.code == "hall-a"]
    with simulator(*faults) as ports, polling([metered(meter, ports["hall-a"]) for meter in hall]) as book:
        until(lambda: len(book.of("hall-a-pdu-1")) >= 4)
    assert book.of("hall-a-main-1") == []
    assert book.of("hall-a-main-2") == []
    problems = {sign.meter_id: sign.problem for sign in book.signs if sign.problem}
    assert "exception 11" in problems["hall-a-main-1"]


def test_a_gateway_that_comes_late_is_found() -> None:
    with simulator() as ports:
        port = ports["hall-b"]
    meter = next(one for one in plant.METERS if one.hall.code == "hall-b")
    with polling([metered(meter, port)]) as book:
        until(lambda: bool(book.signs))
        assert "connection" in book.signs[0].problem
        loop = asyncio.new_event_loop()
        thread = threading.Thread(target=loop.run_forever)
        thread.start()
        servers, _ = asyncio.run_coroutine_threadsafe(process.start(load.DATA, [], "127.0.0.1", {"hall-b": port}), loop).result(30)
        until(lambda: bool(book.readings))
        for server in servers:
            loop.call_soon_threadsafe(server.close)
    time.sleep(0.1)
    loop.call_soon_threadsafe(loop.stop)
    thread.join()
    loop.close()
