"""Whole orders a second: token, permit, idempotency, quota over three levels, pool, price, order, resource row, audit line, durable commit.

In process (what the API does, without HTTP) and through HTTP against a real `govpool serve`, with several callers that each send the next
order when the last one was answered.  Group commit stands beside the same use case with one transaction each, in turns, so that the ratio
holds when the machine's speed drifts.  `python -m benchmarks.orders` prints the figures of this machine.
"""

import argparse
import asyncio
import contextlib
import dataclasses
import itertools
import json
import pathlib
import statistics
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator
from typing import Any, Final

from benchmarks import city, load
from control import case, order, settings, wiring
from store import awaiting, lane
from store import database as store_database

CALLERS: Final = (1, 16, 64)
ONE_EACH: Final = 1
GROUPED: Final = lane.BATCH_MAX
ROUNDS: Final = 5
SECONDS: Final = 2.0
"""How long one round of one kind runs, after a warm-up of a quarter of it."""
ACCUSTOMED: Final = 200
"""Orders placed before the first round: empty tables are no measure."""

_serial = itertools.count()


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Round:
    """What one round of some seconds gave."""

    orders_per_s: float
    p50_ms: float
    p99_ms: float
    cpu_us: float  # user and system, database server included, of an order
    client_us: float = 0.0  # of the load generator, where it is a process of its own


def in_process(url: str, departments: list[city.Department], *, rounds: int, seconds: float) -> dict[str, Any]:
    """Rounds for each number of callers, group commit and one each in turns, over one open database."""
    opened = store_database.open_database(url)
    shared = wiring.Wiring(opened, settings.Settings())
    found: dict[str, list[Round]] = {}
    try:
        for _ in range(rounds):
            for callers, batch_max in itertools.product(CALLERS, (GROUPED, ONE_EACH)):
                lane.BATCH_MAX = batch_max  # type: ignore[misc]  # the one thing that this benchmark changes
                send = through_the_lane(shared, departments)
                cpu = time.process_time() + city.server_cpu_s(url)
                took = asyncio.run(load.callers(callers, lambda _, send=send: contextlib.nullcontext(send), seconds))  # type: ignore[misc]
                cpu = time.process_time() + city.server_cpu_s(url) - cpu
                found.setdefault(_kind(callers, batch_max), []).append(_round(took, cpu))
    finally:
        lane.BATCH_MAX = GROUPED  # type: ignore[misc]
        opened.close()
    return _summed(found)


def through_http(url: str, departments: list[city.Department], *, rounds: int, seconds: float) -> dict[str, Any]:
    """The same through a server process; the load comes from a process of its own, and both share the machine's processors."""
    found: dict[str, list[Round]] = {}
    with tempfile.TemporaryDirectory(prefix="govpool-bench-") as folder:
        for _, batch_max in itertools.product(range(rounds), (GROUPED, ONE_EACH)):
            quiet = ("workers=0", "meters=false", "log_level=warning")
            with city.serving(url, pathlib.Path(folder), *quiet, one_each=batch_max == ONE_EACH) as (address, process):
                for callers in CALLERS:
                    cpu = city.tree_cpu_s(process.pid) + city.server_cpu_s(url)
                    took = load.from_a_process(address, [one.token for one in departments], callers, seconds, f"h{next(_serial)}")
                    cpu = city.tree_cpu_s(process.pid) + city.server_cpu_s(url) - cpu
                    found.setdefault(_kind(callers, batch_max), []).append(_round(took, cpu))
    return _summed(found)


def accustom(url: str, departments: list[city.Department]) -> None:
    """Order 200 machines; PostgreSQL then gathers the statistics that its autovacuum would have within the first minute."""
    opened = store_database.open_database(url)
    try:
        send = through_the_lane(wiring.Wiring(opened, settings.Settings()), departments)

        async def order_all() -> None:
            await asyncio.gather(*(send() for _ in range(ACCUSTOMED)))

        asyncio.run(order_all())
    finally:
        opened.close()
    if url.startswith("postgresql:"):
        connection = store_database.connect(url)
        connection.rows("ANALYZE", None)
        connection.close()


def through_the_lane(shared: wiring.Wiring, departments: list[city.Department]) -> Callable[[], Awaitable[None]]:
    """Sends one order as a handler of the API does, and waits for its commit."""
    turn = itertools.cycle(departments)

    async def send() -> None:
        number, department = next(_serial), next(turn)
        use_case = order.submit(city.machine(department.tenant, f"m{number}"), bin_days=7)
        context = case.Context(
            request_id=f"bench-{number}",
            method="POST",
            path="/v1/orders",
            token=department.token,
            idempotency_key=f"bench-{number}",
            source="127.0.0.1",
        )
        answer = await awaiting.on_loop(case.submit(shared, use_case, case.with_body(context, b"{}")))
        if answer.status != 202:
            raise SystemExit(f"benchmarks: an order was answered {answer.status}")

    return send


def _kind(callers: int, batch_max: int) -> str:
    return f"{callers} {'one each' if batch_max == ONE_EACH else 'group commit'}"


def _round(took: load.Took, cpu_s: float) -> Round:
    ordered = sorted(took.latencies_s)
    cpu_us = cpu_s / took.sent * 1e6  # the warm-up's orders are in `sent` as their CPU is in `cpu_s`
    return Round(
        orders_per_s=len(ordered) / took.seconds,
        p50_ms=ordered[len(ordered) // 2] * 1e3,
        p99_ms=ordered[len(ordered) * 99 // 100] * 1e3,
        cpu_us=cpu_us,
        client_us=took.cpu_s / took.sent * 1e6,
    )


def _summed(found: dict[str, list[Round]]) -> dict[str, Any]:
    """Medians of the rounds, and all of them."""
    names = [field.name for field in dataclasses.fields(Round)]
    return {
        kind: {name: statistics.median(getattr(one, name) for one in rounds) for name in names}
        | {"rounds": [dataclasses.asdict(one) for one in rounds]}
        for kind, rounds in found.items()
    }


def measured(
    *, rounds: int = ROUNDS, seconds: float = SECONDS, databases: tuple[str, ...] = ("sqlite", "postgresql")
) -> dict[str, Any]:
    """All figures: database -> way -> '<callers> <kind>' -> medians."""
    found: dict[str, Any] = {}
    for database in databases:
        found[database] = {}
        for way, measure in (("in process", in_process), ("HTTP", through_http)):
            with city.DATABASES[database]() as url:
                departments = city.found(url)
                accustom(url, departments)
                found[database][way] = measure(url, departments, rounds=rounds, seconds=seconds)
    return found


def table(found: dict[str, Any]) -> Iterator[list[str]]:
    """Rows to print: orders a second, latencies, CPU, and the two ratios, each of medians of the same rounds."""
    yield [
        "orders",
        "callers",
        "orders/s",
        "p50 ms",
        "p99 ms",
        "CPU us",
        "one each /s",
        "its CPU us",
        "group : one each",
        "HTTP : in process",
    ]
    for database, ways in found.items():
        for way, callers in itertools.product(ways, CALLERS):
            grouped, single = (ways[way][f"{callers} {kind}"] for kind in ("group commit", "one each"))
            inside = ways.get("in process", {}).get(f"{callers} group commit")
            beside = "" if way != "HTTP" or inside is None else f"{grouped['orders_per_s'] / inside['orders_per_s']:.2f}"
            yield [
                f"{database}, {way}",
                str(callers),
                f"{grouped['orders_per_s']:.0f}",
                f"{grouped['p50_ms']:.1f}",
                f"{grouped['p99_ms']:.1f}",
                f"{grouped['cpu_us']:.0f}",
                f"{single['orders_per_s']:.0f}",
                f"{single['cpu_us']:.0f}",
                f"{grouped['orders_per_s'] / single['orders_per_s']:.2f}",
                beside,
            ]


def main() -> None:
    """Print the figures as JSON lines, one kind each."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.orders", description=__doc__)
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--seconds", type=float, default=SECONDS)
    parser.add_argument("--database", choices=["sqlite", "postgresql"], action="append")
    options = parser.parse_args()
    databases = tuple(options.database or ("sqlite", "postgresql"))
    found = measured(rounds=options.rounds, seconds=options.seconds, databases=databases)
    for row in table(found):
        print(json.dumps(row))


if __name__ == "__main__":
    main()
