"""`make bench-quota`: how fast quota is decided, ours beside three ordinary ways to hold it in PostgreSQL, in turns within one run.

A decision is the check and the durable reservation of six resources on three levels (city, bureau, department); nothing is refused.  Ours goes
through the lane as it does in the product; the peers (`benchmarks.quota_peers`) through pgbench.  Then whole orders, and a tree of 100,000
nodes beside one of 100.  Every aim is printed with what was reached.  `--quick` only shows that it runs.
"""

import argparse
import asyncio
import contextlib
import dataclasses
import itertools
import json
import os
import statistics
import sys
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from typing import Final

from benchmarks import city, load, orders, quota_peers, quota_tree, run
from control import settings, wiring
from primitives import ids
from quotas import service as quotas
from store import awaiting
from store import database as store_database

CALLERS: Final = (8, 32, 256)
SPANS: Final = (1, 100)
"""Departments that ask: one hot one, or 100."""
ROUNDS: Final = 3
SECONDS: Final = 2.0
ORDER_CALLERS: Final = (8, 32)
SMALL, LARGE = 100, 100_000
AMOUNTS: Final = {"cpu_milli": 4000, "ram_mib": 8192, "disk_gib": 100, "instances": 1, "public_ips": 1, "gpus": 1}
OURS: Final = {"sqlite": "govpool, SQLite", "postgresql": "govpool, PostgreSQL"}
PEER: Final = "conditional update"
SWAP: Final = "compare and swap"


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Round:
    """One round of one shape under one load."""

    per_s: float
    mean_ms: float
    p50_ms: float
    p99_ms: float
    cpu_us: float  # of a decision, database and callers included
    retries: float = 0.0  # of a decision


Key = tuple[str, int, int]
"""Shape, callers, departments."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Aim:
    """What was to be reached, and whether it was."""

    text: str
    wanted: str
    found: float
    reached: bool


# -- ours ---------------------------------------------------------------------------------------------------------------------------


def ours(opened: store_database.Database, leaves: Sequence[str], *, callers: int, seconds: float) -> Round:
    """Callers that reserve through the lane, each the next when the last is durable."""
    turn = itertools.cycle(leaves)

    async def reserve() -> None:
        leaf, holder = next(turn), ids.new("vm")
        future = opened.lane.submit(lambda tx: quotas.reserve(tx, tenant_id=leaf, amounts=AMOUNTS, holder=holder, expires_at=None))
        await awaiting.on_loop(future)

    return _measured(opened, reserve, callers, seconds)


def _measured(opened: store_database.Database, send: Callable[[], Awaitable[None]], callers: int, seconds: float) -> Round:
    cpu = time.process_time() + city.server_cpu_s(opened.url)
    took = asyncio.run(load.callers(callers, lambda _: contextlib.nullcontext(send), seconds))
    cpu = time.process_time() + city.server_cpu_s(opened.url) - cpu
    return _round(len(took.latencies_s) / took.seconds, took.latencies_s, cpu / took.sent)


def _round(per_s: float, latencies_s: Sequence[float], cpu_s: float, retries: float = 0.0) -> Round:
    ordered = sorted(latencies_s)
    return Round(
        per_s=per_s,
        mean_ms=statistics.fmean(ordered) * 1e3,
        p50_ms=ordered[len(ordered) // 2] * 1e3,
        p99_ms=ordered[len(ordered) * 99 // 100] * 1e3,
        cpu_us=cpu_s * 1e6,
        retries=retries,
    )


def _sound(opened: store_database.Database) -> None:
    """Every number follows from the reservations, or the figures are worth nothing."""
    wrong = opened.read(quotas.check)
    if wrong:
        raise SystemExit(f"benchmarks: {len(wrong)} numbers of quota do not add up, the first: {wrong[0]}")


# -- decisions ----------------------------------------------------------------------------------------------------------------------


def decisions(urls: Mapping[str, str], *, rounds: int, seconds: float) -> dict[Key, list[Round]]:
    """Rounds of every shape under every load; shapes in turns, so that a ratio is of neighbours in time."""
    leaves = {database: quota_tree.plant(url, max(SPANS)) for database, url in urls.items()}
    opened = {database: store_database.open_database(url) for database, url in urls.items()}
    quota_peers.prepare(urls["postgresql"])
    found: dict[Key, list[Round]] = {}
    try:
        for _, callers, span in itertools.product(range(rounds), CALLERS, SPANS):
            for database, name in OURS.items():
                asked = leaves[database][5:6] if span == 1 else leaves[database]
                found.setdefault((name, callers, span), []).append(ours(opened[database], asked, callers=callers, seconds=seconds))
            for shape in quota_peers.SCRIPTS:
                took = quota_peers.run(urls["postgresql"], shape, callers=callers, departments=span, seconds=seconds)
                made = len(took.latencies_s)
                one = _round(took.per_s, took.latencies_s, took.cpu_s / made, took.retries / made)
                found.setdefault((shape, callers, span), []).append(one)
        for each in opened.values():
            _sound(each)
    finally:
        for each in opened.values():
            each.close()
    return found


def whole_orders(urls: Mapping[str, str], *, rounds: int, seconds: float) -> dict[Key, list[Round]]:
    """Whole orders in process: token, permit, quota, pool, price, order, resource, audit, idempotency."""
    found: dict[Key, list[Round]] = {}
    for database, url in urls.items():
        departments = city.found(url)
        orders.accustom(url, departments)
        opened = store_database.open_database(url)
        try:
            send = orders.through_the_lane(wiring.Wiring(opened, settings.Settings()), departments)
            for _, callers in itertools.product(range(rounds), ORDER_CALLERS):
                one = _measured(opened, send, callers, seconds)
                found.setdefault((OURS[database], callers, len(departments)), []).append(one)
            _sound(opened)
        finally:
            opened.close()
    return found


def trees(urls: Mapping[str, Mapping[int, str]], *, rounds: int, seconds: float) -> dict[Key, list[Round]]:
    """The same decisions at all departments of a small and of a large tree, in turns."""
    found: dict[Key, list[Round]] = {}
    for database, sizes in urls.items():
        leaves = {size: quota_tree.plant(url, size, bureaus=max(10, size // 300)) for size, url in sizes.items()}
        opened = {size: store_database.open_database(url) for size, url in sizes.items()}
        try:
            for _, size in itertools.product(range(rounds), sizes):
                one = ours(opened[size], leaves[size], callers=32, seconds=seconds)
                found.setdefault((OURS[database], 32, size), []).append(one)
        finally:
            for each in opened.values():
                each.close()
    return found


def measured(*, rounds: int = ROUNDS, seconds: float = SECONDS, large: int = LARGE) -> dict[str, dict[Key, list[Round]]]:
    """All figures by subject."""
    found: dict[str, dict[Key, list[Round]]] = {}
    with contextlib.ExitStack() as stack:
        urls = {database: stack.enter_context(opened()) for database, opened in city.DATABASES.items()}
        found["decisions"] = decisions(urls, rounds=rounds, seconds=seconds)
    with contextlib.ExitStack() as stack:
        urls = {database: stack.enter_context(opened()) for database, opened in city.DATABASES.items()}
        found["orders"] = whole_orders(urls, rounds=rounds, seconds=seconds)
    with contextlib.ExitStack() as stack:
        sizes = {
            database: {size: stack.enter_context(opened()) for size in (SMALL, large)}
            for database, opened in city.DATABASES.items()
        }
        found["trees"] = trees(sizes, rounds=rounds, seconds=seconds)
    return found


# -- what it comes to ---------------------------------------------------------------------------------------------------------------


def _median(rounds: Sequence[Round], field: str) -> float:
    return float(statistics.median(getattr(one, field) for one in rounds))


def _ratio(found: Mapping[Key, Sequence[Round]], one: Key, other: Key, field: str = "per_s") -> float:
    """Median of the ratios of neighbours in time."""
    pairs = zip(found[one], found[other], strict=True)
    return float(statistics.median(getattr(mine, field) / getattr(theirs, field) for mine, theirs in pairs))


def aims(found: Mapping[str, Mapping[Key, Sequence[Round]]]) -> list[Aim]:
    """The aims of the product, each with what this run reached; of several loads the worst counts."""
    made, ordered, trees_found = found["decisions"], found["orders"], found["trees"]
    sqlite, postgresql = OURS["sqlite"], OURS["postgresql"]
    judged = []

    def at_least(text: str, wanted: float, values: Sequence[float]) -> None:
        judged.append(Aim(text=text, wanted=f">= {wanted:g}", found=min(values), reached=min(values) >= wanted))

    def at_most(text: str, wanted: float, values: Sequence[float]) -> None:
        judged.append(Aim(text=text, wanted=f"<= {wanted:g}", found=max(values), reached=max(values) <= wanted))

    at_least(f"SQLite : {PEER}, 32 callers", 5, [_ratio(made, (sqlite, 32, n), (PEER, 32, n)) for n in SPANS])
    at_least(f"SQLite : {SWAP}, 32 callers", 30, [_ratio(made, (sqlite, 32, n), (SWAP, 32, n)) for n in SPANS])
    at_most("SQLite, p99 ms, 8 callers", 5, [_median(made[sqlite, 8, n], "p99_ms") for n in SPANS])
    at_most(
        "SQLite, p99 : mean, 32 callers",
        2,
        [statistics.median(one.p99_ms / one.mean_ms for one in made[sqlite, 32, n]) for n in SPANS],
    )
    at_least(f"PostgreSQL : {PEER}, 32 callers", 1, [_ratio(made, (postgresql, 32, n), (PEER, 32, n)) for n in SPANS])
    for name, wanted in ((sqlite, 2000), (postgresql, 600)):
        rates = [_median(rounds, "per_s") for key, rounds in ordered.items() if key[0] == name]
        judged.append(
            Aim(
                text=f"{name}: whole orders/s in process",
                wanted=f">= {wanted}",
                found=max(rates),
                reached=max(rates) >= wanted,
            )
        )
    for name in OURS.values():
        small, large = sorted(key for key in trees_found if key[0] == name)
        at_most(f"{name}: p99 of {large[2]:,} departments : {small[2]}", 2, [_ratio(trees_found, large, small, "p99_ms")])
    return judged


def table(subject: str, found: Mapping[Key, Sequence[Round]]) -> Iterator[list[str]]:
    """Rows to print: medians, and the ratio to the conditional update under the same load."""
    peers = any(key[0] == PEER for key in found)
    head = [subject, "callers", "departments", "a second", "mean ms", "p50 ms", "p99 ms", "CPU us"]
    yield [*head, "retries", f": {PEER}"] if peers else head
    for key in sorted(found, key=lambda each: each[1:]):
        rounds = found[key]
        row = [key[0], str(key[1]), f"{key[2]:,}", f"{_median(rounds, 'per_s'):,.0f}"]
        row += [f"{_median(rounds, field):.2f}" for field in ("mean_ms", "p50_ms", "p99_ms")]
        row.append(f"{_median(rounds, 'cpu_us'):,.0f}")
        if peers:
            row += [f"{_median(rounds, 'retries'):.1f}", f"{_ratio(found, key, (PEER, *key[1:])):.2f}"]
        yield row


def aim_table(judged: Sequence[Aim]) -> Iterator[list[str]]:
    """Rows to print: the aims."""
    yield ["aim", "wanted", "found", ""]
    for aim in judged:
        yield [aim.text, aim.wanted, f"{aim.found:,.2f}", "reached" if aim.reached else "MISSED"]


def main() -> None:
    """Run, print, save."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.quota", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="one short round; its figures mean nothing")
    options = parser.parse_args()
    machine = run.this_machine()
    print(json.dumps(machine, ensure_ascii=False))
    found = measured(rounds=1, seconds=0.3, large=1000) if options.quick else measured()
    for subject, rounds in found.items():
        run.printed(table(subject, rounds))
    judged = aims(found)
    run.printed(aim_table(judged))
    run.OUT.mkdir(exist_ok=True)
    report = {
        "machine": machine,
        "quick": options.quick,
        "load_after": os.getloadavg(),
        "found": {
            subject: [{"key": key, "rounds": [dataclasses.asdict(one) for one in rounds]} for key, rounds in by_key.items()]
            for subject, by_key in found.items()
        },
        "aims": [dataclasses.asdict(aim) for aim in judged],
    }
    (run.OUT / "quota.json").write_text(json.dumps(report, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    if not all(aim.reached for aim in judged):
        sys.stderr.write("benchmarks: not every aim was reached in this run\n")


if __name__ == "__main__":
    main()
