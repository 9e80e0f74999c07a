"""Small worlds of usage for the tests of metering: events, price books, and generators of both."""

import datetime
from collections.abc import Mapping

from hypothesis import strategies as st

from metering import model
from primitives import clock, interval

OCTOBER = interval.month("2026-10")
RUNNING, STOPPED, DELETED = model.State.RUNNING, model.State.STOPPED, model.State.DELETED
VM = {"cpu_milli": 4000, "ram_mib": 8192, "disk_gib": 100}
TENANTS = ("税务局", "公安局", "教育局")


def at(text: str) -> datetime.datetime:
    """A moment of Beijing: '10-01 08:00:00' in 2026, or a whole ISO date and time."""
    full = text if len(text) > 14 else f"2026-{text}"
    return datetime.datetime.fromisoformat(full).replace(tzinfo=interval.SHANGHAI).astimezone(clock.UTC)


def event(
    time: datetime.datetime,
    state: model.State = RUNNING,
    amounts: Mapping[str, int] = VM,
    **other: object,
) -> model.UsageEvent:
    """An event of vm-1 of the tax office unless told otherwise; its id follows from its time."""
    values: dict[str, object] = {
        "id": f"e-{clock.to_us(time)}",
        "source": "urn:test",
        "subject": "vm-1",
        "at": time,
        "tenant": "税务局",
        "project": "一窗通办",
        "kind": "VirtualMachine",
        "state": state,
        "amounts": amounts,
    }
    return model.UsageEvent(**values | other)  # type: ignore[arg-type]


def price(
    name: str, yuan: str, *states: model.State, sku: str = "", kind: str = "VirtualMachine", service_class: str = ""
) -> model.Price:
    """A price in yuan per priced unit and hour."""
    whole, _, places = yuan.partition(".")
    return model.Price(
        sku=sku or f"{kind.lower()}-{name}{service_class}",
        kind=kind,
        name=name,
        service_class=service_class,
        unit="Hours",
        micro=int(whole) * 10**6 + int(places.ljust(6, "0") or 0),
        states=frozenset(states or (RUNNING,)),
    )


def book(name: str, valid_from: datetime.datetime, *prices: model.Price, recorded: int = 0) -> model.PriceBook:
    """A price book; `recorded` orders the moments at which books became known."""
    return model.PriceBook(name=name, generation=1, valid_from=valid_from, recorded_at=clock.from_us(recorded), prices=prices)


STANDARD = (
    price("cpu_milli", "0.09"),
    price("ram_mib", "0.0437"),
    price("disk_gib", "0.000813", RUNNING, STOPPED),
    price("public_ips", "0.02", RUNNING, STOPPED),
)

seconds = st.integers(min_value=-40, max_value=120)
amounts = st.fixed_dictionaries(
    {"cpu_milli": st.integers(0, 64_000), "disk_gib": st.integers(0, 5_000)}, optional={"ram_mib": st.integers(1, 10**6)}
)


@st.composite
def events(draw: st.DrawFn, start: datetime.datetime = OCTOBER.start_at, most: int = 12) -> list[model.UsageEvent]:
    """Events around `start`, many of them at equal times, no two with the same source and id."""
    made = []
    for number in range(draw(st.integers(0, most))):
        made.append(
            event(
                start + datetime.timedelta(seconds=draw(seconds), milliseconds=draw(st.sampled_from((0, 0, 250)))),
                draw(st.sampled_from(tuple(model.State))),
                draw(amounts),
                id=f"e{number // 2}",
                source=("urn:a", "urn:b")[number % 2],
                subject=draw(st.sampled_from(("vm-1", "vm-2", "vm-3"))),
                sequence=draw(st.integers(0, 2)),
                tenant=draw(st.sampled_from(TENANTS)),
                project=draw(st.sampled_from(("一窗通办", "数据交换"))),
            )
        )
    return made


@st.composite
def books(draw: st.DrawFn, start: datetime.datetime = OCTOBER.start_at) -> list[model.PriceBook]:
    """One to three books, the first in force before everything."""
    made = []
    for number in range(draw(st.integers(1, 3))):
        offset = -3600 if number == 0 else draw(seconds)
        prices = [
            model.Price(
                sku=f"sku-{name}",
                kind="VirtualMachine",
                name=name,
                unit="Hours",
                micro=draw(st.integers(0, 10**9)),
                states=frozenset(draw(st.sampled_from(((RUNNING,), (RUNNING, STOPPED), (STOPPED,))))),
            )
            for name in ("cpu_milli", "ram_mib", "disk_gib")
        ]
        made.append(book(f"book-{number}", start + datetime.timedelta(seconds=offset), *prices, recorded=number))
    return made
