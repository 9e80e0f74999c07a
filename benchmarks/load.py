"""The load: callers in a closed loop, each sending its next order when the last one was answered; over HTTP from a process of its own.

The HTTP/1.1 client is a bare asyncio protocol (about a tenth of the server's CPU an order), so that it is not what is measured.
"""

import argparse
import asyncio
import contextlib
import dataclasses
import json
import subprocess
import sys
import time
import urllib.parse
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from typing import Any, Final

WARM_UP: Final = 0.25
"""Share of the measured time that runs before it and counts for nothing."""

Send = Callable[[], Awaitable[None]]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Took:
    """What the callers saw."""

    latencies_s: list[float]  # of the orders answered within `seconds`
    seconds: float
    sent: int  # warm-up included
    cpu_s: float = 0.0  # of the process that sent them, if it did nothing else


async def callers(number: int, caller: Callable[[int], AbstractAsyncContextManager[Send]], seconds: float) -> Took:
    """Run `number` callers for `seconds` after the warm-up; `caller` opens what one of them sends with."""
    latencies: list[float] = []
    sent = 0
    start = time.perf_counter() + seconds * WARM_UP
    end = start + seconds

    async def work(which: int) -> None:
        nonlocal sent
        async with caller(which) as send:
            while (began := time.perf_counter()) < end:
                await send()
                sent += 1
                done = time.perf_counter()
                if start <= done < end:
                    latencies.append(done - began)

    await asyncio.gather(*(work(which) for which in range(number)))
    return Took(latencies_s=latencies, seconds=seconds, sent=sent)


def from_a_process(address: str, tokens: list[str], number: int, seconds: float, prefix: str) -> Took:
    """The same over HTTP, sent by `python -m benchmarks.load`; names of what is ordered begin with `prefix`."""
    wanted = json.dumps({"address": address, "tokens": tokens, "number": number, "seconds": seconds, "prefix": prefix})
    done = subprocess.run([sys.executable, "-m", "benchmarks.load"], input=wanted, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"benchmarks: the load generator failed\n{done.stderr[-2000:]}")
    return Took(**json.loads(done.stdout))


class _Connection(asyncio.Protocol):
    """One keep-alive connection; one request at a time."""

    def __init__(self) -> None:
        self.transport: Any = None
        self._received = bytearray()
        self._answered: asyncio.Future[int] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport

    def connection_lost(self, reason: Exception | None) -> None:
        if self._answered is not None and not self._answered.done():
            self._answered.set_exception(reason or ConnectionError("the server closed the connection"))

    def data_received(self, data: bytes) -> None:
        self._received += data
        head, blank, body = bytes(self._received).partition(b"\r\n\r\n")
        if blank and self._answered is not None:
            length = int(head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0])
            if len(body) >= length:
                self._received.clear()
                self._answered.set_result(int(head[9:12]))

    def ask(self, request: bytes) -> "asyncio.Future[int]":
        """Send a request; the future gives the status."""
        self._answered = asyncio.get_running_loop().create_future()
        self.transport.write(request)
        return self._answered


@contextlib.asynccontextmanager
async def _caller(address: urllib.parse.SplitResult, tokens: list[str], prefix: str, which: int) -> AsyncIterator[Send]:
    loop = asyncio.get_running_loop()
    transport, connection = await loop.create_connection(_Connection, str(address.hostname), address.port or 80)
    department = which % len(tokens)
    head = (
        f"POST /v1/orders HTTP/1.1\r\nHost: {address.netloc}\r\nContent-Type: application/json\r\n"
        f"Authorization: Bearer {tokens[department]}\r\nIdempotency-Key: "
    )
    spec = {"size": "medium", "image": "debian-12", "disk_class": "ssd"}
    count = 0

    async def send() -> None:
        nonlocal count
        count += 1
        name = f"{prefix}-{which}-{count}"
        line = {"action": "create", "kind": "VirtualMachine", "spec": spec | {"name": name}}
        body = json.dumps({"tenant": f"d{department:02}", "project": "main", "lines": [line]})
        status = await connection.ask(f"{head}{name}\r\nContent-Length: {len(body)}\r\n\r\n{body}".encode())
        if status != 202:
            raise SystemExit(f"benchmarks: an order was answered {status}")

    try:
        yield send
    finally:
        transport.close()


def main() -> None:
    """Read what to send from standard input, send it, write what was seen to standard output."""
    argparse.ArgumentParser(prog="python -m benchmarks.load", description=__doc__).parse_args()
    wanted = json.load(sys.stdin)
    address = urllib.parse.urlsplit(wanted["address"])
    took = asyncio.run(
        callers(wanted["number"], lambda which: _caller(address, wanted["tokens"], wanted["prefix"], which), wanted["seconds"])
    )
    json.dump(dataclasses.asdict(took) | {"cpu_s": time.process_time()}, sys.stdout)


if __name__ == "__main__":
    main()
