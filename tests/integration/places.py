"""What more than one world needs: empty databases, free ports, a price book, a cloud that makes trouble."""

import contextlib
import pathlib
import socket
import uuid
from collections.abc import Iterator
from typing import Any

import pytest

from metering import books

PRICES = [
    books.PriceSpec(sku=f"{kind}-{name}".lower(), kind=kind, name=name, unit=unit, price="0.01")
    for kind in ("VirtualMachine", "Volume", "ContainerApp")
    for name, unit in (("cpu_milli", "vCPU-Hours"), ("ram_mib", "GiB-Hours"), ("disk_gib", "GiB-Hours"))
]
TROUBLE = (
    {"do": "late", "on": ["guest.create", "ticket.create"], "percent": 10, "after_s": [1, 20]},
    {"do": "lose", "on": ["*"], "percent": 10},
    {"do": "fail", "on": ["guest.create"], "percent": 3},
)
"""A tenth of the answers is lost, a tenth of the creates lands 1 to 20 s late, and some guests never come up."""


@contextlib.contextmanager
def empty_database(request: pytest.FixtureRequest, folder: pathlib.Path, kind: str = "") -> Iterator[str]:
    """The URL of a database that holds nothing; `kind` is the fixture's parameter if not given."""
    if (kind or request.param) == "sqlite":
        path = folder / uuid.uuid4().hex / "govpool.db"
        path.parent.mkdir()
        yield f"sqlite://{path}"
        return
    cluster: Any = request.getfixturevalue("cluster")
    name = f"t{uuid.uuid4().hex}"
    with cluster.connect("postgres") as connection:
        connection.execute(f"CREATE DATABASE {name}")
    yield cluster.url(name)
    cluster.drop(cluster.url(name))


def free_port() -> int:
    """A port of the loopback that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
