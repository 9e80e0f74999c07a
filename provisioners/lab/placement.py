"""Hosts of the lab cloud: what they hold, and which of them takes a guest."""

import json
from collections.abc import Iterable, Mapping
from typing import Final

from provisioners.lab import book as books
from provisioners.lab import wire

GUESTS: Final = "SELECT g.*, h.zone, h.service_class, h.hall FROM guests g JOIN hosts h ON h.name = g.host"
"""Guests with the place of their host."""

_PLACED: Final = frozenset({"cpu_milli", "ram_mib", "disk_gib", "gpus"})
_DEFAULT_PHYSICAL: Final = {"cpu_milli": 64_000, "ram_mib": 262_144, "disk_gib": 8_192}
DEFAULT: Final = (
    *(
        wire.HostBody(
            name=f"h{n:02}", zone="az1", hall="hall-1", physical=_DEFAULT_PHYSICAL, overcommit_permille={"cpu_milli": 4000}
        )
        for n in range(1, 5)
    ),
    *(
        wire.HostBody(
            name=f"h{n:02}", zone="az2", hall="hall-2", physical=_DEFAULT_PHYSICAL, overcommit_permille={"cpu_milli": 4000}
        )
        for n in range(5, 9)
    ),
    wire.HostBody(name="g01", service_class="gpu", physical=_DEFAULT_PHYSICAL | {"gpus": 8, "gpus.a100": 8}),
)
"""The hosts of a lab cloud whose script names none: two halls of four general hosts (CPU overcommit 4), and one host with GPUs."""


def placed(amounts: Mapping[str, int]) -> dict[str, int]:
    """The amounts that a host must have; the others (instances, public_ips ...) only count against a tenant's limits."""
    return {name: amount for name, amount in amounts.items() if name.partition(".")[0] in _PLACED}


def choose(
    hosts: Iterable[wire.Host], amounts: Mapping[str, int], zone: str, service_class: str, preferred: str = ""
) -> wire.Host | None:
    """The host that takes `amounts`, or None: the preferred, else with least hardware not asked for (GPUs), then most memory free."""
    needed = placed(amounts)
    fitting = [
        host
        for host in hosts
        if (host.enabled or host.name == preferred)
        and zone in ("", host.zone)
        and service_class in ("", host.service_class)
        and all(amount <= host.usable.get(name, 0) - host.used.get(name, 0) for name, amount in needed.items())
    ]

    def rank(host: wire.Host) -> tuple[bool, int, int, str]:
        free_ram_mib = host.usable.get("ram_mib", 0) - host.used.get("ram_mib", 0)
        return host.name != preferred, len(host.usable.keys() - needed.keys()), -free_ram_mib, host.name

    return min(fitting, key=rank, default=None)


def hosts(book: books.Book) -> list[wire.Host]:
    """All hosts by name with what they hold."""
    used: dict[str, dict[str, int]] = {}
    for row in book.all("SELECT holder, name, amount FROM used WHERE holder LIKE 'host:%'"):
        used.setdefault(row["holder"].removeprefix("host:"), {})[row["name"]] = row["amount"]
    return [
        wire.Host(
            name=row["name"], zone=row["zone"], service_class=row["service_class"], hall=row["hall"], enabled=bool(row["enabled"]),
            physical=json.loads(row["physical"]), usable=json.loads(row["usable"]), used=used.get(row["name"], {}),
        )
        for row in book.all("SELECT * FROM hosts ORDER BY name")
    ]  # fmt: skip


def put(book: books.Book, body: wire.HostBody) -> None:
    """Add a host or change it.  What lies on it stays, also when it becomes too small or is disabled."""
    usable = {name: amount * body.overcommit_permille.get(name, 1000) // 1000 for name, amount in body.physical.items()}
    book.changed(
        "INSERT INTO hosts VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT (name) DO UPDATE SET zone = excluded.zone,"
        " service_class = excluded.service_class, hall = excluded.hall, enabled = excluded.enabled, physical = excluded.physical,"
        " usable = excluded.usable",
        body.name, body.zone, body.service_class, body.hall, int(body.enabled), books.packed(body.physical), books.packed(usable),
    )  # fmt: skip


def enable(book: books.Book, name: str, enabled: bool) -> bool:
    """Let a host take new guests or not; False if there is none of this name."""
    return book.changed("UPDATE hosts SET enabled = ? WHERE name = ?", int(enabled), name) == 1
