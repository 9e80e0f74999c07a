"""What one wish of an order comes to: amounts, and the spec that a driver will get.  Pure, but for the catalogue it is handed.

An order's line says what somebody wants in the words of the catalogue (a size, an image, a number of replicas); the plan is the same in registry
units.  Amounts are what quota, pool, price and driver all count: the sum over the replicas of an app.
"""

import dataclasses
import re
from collections.abc import Mapping
from typing import Any, Final, Protocol

from primitives import errors, quantity

VIRTUAL_MACHINE: Final = "VirtualMachine"
VOLUME: Final = "Volume"
CONTAINER_APP: Final = "ContainerApp"

PREFIX: Final = {VIRTUAL_MACHINE: "vm", VOLUME: "vol", CONTAINER_APP: "app"}
"""Prefix of the ids of a kind."""

CHANGING: Final = {VIRTUAL_MACHINE: "resize", VOLUME: "resize", CONTAINER_APP: "scale"}
"""The action that alters the amounts of a kind."""

ACTIONS: Final[dict[str, tuple[str, ...]]] = {
    VIRTUAL_MACHINE: ("create", "resize", "start", "stop", "restart", "delete", "undelete", "extend", "move"),
    VOLUME: ("create", "resize", "delete", "undelete", "extend", "move"),
    CONTAINER_APP: ("create", "scale", "start", "stop", "restart", "delete", "undelete", "extend", "move"),
}

COUNTED: Final = frozenset({"instances", "pods"})
"""Names that count things; they have no price and are no physical room."""

_KEY: Final = re.compile(r"(ssh-(rsa|ed25519)|ecdsa-sha2-nistp(256|384|521)) [A-Za-z0-9+/=]{16,2000}( [\x20-\x7e]{0,100})?")


class Catalogue(Protocol):
    """What the plan asks of `templates.catalog`."""

    def size(self, name: str) -> dict[str, int]:
        """Amounts of a size.  Raises size.unknown."""

    def image(self, name: str) -> Any:
        """An image, with the `kinds` that start from it.  Raises image.unknown."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """One thing to be made or changed, as the order's line says it; '' and None where it says nothing."""

    name: str = ""
    size: str = ""
    image: str = ""
    key: str = ""
    size_gib: int | None = None
    disk_class: str = ""
    replicas: int | None = None
    port: int | None = None


def created(kind: str, wish: Wish, catalogue: Catalogue) -> tuple[dict[str, int], dict[str, Any]]:
    """Amounts and driver spec of a new resource.  Raises input.invalid, size.unknown, image.unknown."""
    if kind == VOLUME:
        _none_of(kind, size=wish.size, image=wish.image, key=wish.key, replicas=wish.replicas, port=wish.port)
        size_gib = _needed("size_gib", wish.size_gib)
        return _disk(size_gib, wish.disk_class), {"disk_class": wish.disk_class}
    _none_of(kind, size_gib=wish.size_gib)
    if kind not in catalogue.image(_needed("image", wish.image or None)).kinds:
        raise errors.INVALID(field="image", reason=f"no {kind} starts from {wish.image}")
    each = catalogue.size(_needed("size", wish.size or None))
    if kind == CONTAINER_APP:
        _none_of(kind, key=wish.key, disk_class=wish.disk_class)
        replicas = 1 if wish.replicas is None else wish.replicas
        return _of_replicas(each, replicas), {"size": wish.size, "image": wish.image, "replicas": replicas, "port": wish.port or 0}
    _none_of(kind, replicas=wish.replicas, port=wish.port)
    if wish.key and not _KEY.fullmatch(wish.key):
        raise errors.INVALID(field="key", reason="not an OpenSSH public key such as 'ssh-ed25519 AAAA... name'")
    amounts = {**each, "instances": 1}
    if wish.disk_class:
        amounts |= _disk(amounts.get("disk_gib", 0), wish.disk_class)
    return amounts, {"size": wish.size, "image": wish.image, "key": wish.key, "disk_class": wish.disk_class}


def changed(kind: str, wish: Wish, present: Mapping[str, Any], catalogue: Catalogue) -> tuple[dict[str, int], dict[str, Any]]:
    """Amounts and driver spec of a resource after a resize or scale; `present` is its driver spec now."""
    if kind == VOLUME:
        _none_of(kind, size=wish.size, replicas=wish.replicas)
        return _disk(_needed("size_gib", wish.size_gib), str(present.get("disk_class", ""))), dict(present)
    if kind == CONTAINER_APP:
        _none_of(kind, size_gib=wish.size_gib)
        replicas = int(present["replicas"]) if wish.replicas is None else wish.replicas
        size = wish.size or str(present["size"])
        return _of_replicas(catalogue.size(size), replicas), {**present, "size": size, "replicas": replicas}
    _none_of(kind, size_gib=wish.size_gib, replicas=wish.replicas)
    size = _needed("size", wish.size or None)
    amounts = {**catalogue.size(size), "instances": 1}
    disk_class = str(present.get("disk_class", ""))
    if disk_class:
        amounts |= _disk(amounts.get("disk_gib", 0), disk_class)
    return amounts, {**present, "size": size}


def numbered(name: str, count: int) -> list[str]:
    """Names of `count` equal things: 'web' alone, or 'web-1' .. 'web-3'."""
    return [name] if count == 1 else [f"{name}-{number}" for number in range(1, count + 1)]


def physical(amounts: Mapping[str, int]) -> dict[str, int]:
    """The part that takes room in a pool and has a price: no counts of things, no finer classes counted beside their sum."""
    return {name: amount for name, amount in amounts.items() if name not in COUNTED and "." not in name}


def total(amounts: list[dict[str, int]]) -> dict[str, int]:
    """Sums by name."""
    names = sorted({name for one in amounts for name in one})
    return {name: sum(one.get(name, 0) for one in amounts) for name in names}


def _disk(size_gib: int, disk_class: str) -> dict[str, int]:
    if not 1 <= size_gib <= 1_000_000:
        raise errors.INVALID(field="size_gib", reason=f"{size_gib} is not between 1 and 1,000,000 GiB")
    return {"disk_gib": size_gib} | ({f"disk_gib.{disk_class}": size_gib} if disk_class else {})


def _of_replicas(each: Mapping[str, int], replicas: int) -> dict[str, int]:
    if not 1 <= replicas <= 1000:
        raise errors.INVALID(field="replicas", reason=f"{replicas} is not between 1 and 1,000")
    amounts = {name: amount * replicas for name, amount in each.items()}
    if max(amounts.values()) > quantity.BOUND:
        raise errors.INVALID(field="replicas", reason="the app would be larger than any amount that is counted")
    return {**amounts, "pods": replicas}


def _needed(field: str, value: Any) -> Any:
    if value is None:
        raise errors.INVALID(field=field, reason="is needed here")
    return value


def _none_of(kind: str, **values: Any) -> None:
    for field, value in values.items():
        if value not in (None, ""):
            raise errors.INVALID(field=field, reason=f"a {kind} has no such setting")
