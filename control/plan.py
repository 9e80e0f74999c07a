"""What one wish of an order comes to: amounts, and the spec that a driver will get.  Pure, but for the catalogue it is handed.

An order's line says what somebody wants in the words of the catalogue (a size, an image, a number of replicas); the plan is the same in registry
units.  Amounts are what quota, pool, price and driver all count: the sum over the replicas of an app.
"""

import dataclasses
import re
from collections.abc import Mapping
from typing import Any, Final, Protocol

from control import app_plan
from primitives import errors, quantity
from provisioners import replicas

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
    CONTAINER_APP: ("create", "scale", "update", "start", "stop", "restart", "delete", "undelete", "extend", "move"),
}

ROLLING: Final = frozenset({"update", "restart"})
"""Actions that replace the replicas of an app a few at a time."""

_BOUNDS: Final = ("replicas", "min_replicas", "max_replicas", "target_cpu_percent")
_STRATEGY: Final = ("max_surge", "max_unavailable")
_USED: Final[dict[tuple[str, str], tuple[str, ...]]] = {
    (VIRTUAL_MACHINE, "create"): ("size", "image", "key", "disk_class"),
    (VIRTUAL_MACHINE, "resize"): ("size",),
    (VOLUME, "create"): ("size_gib", "disk_class"),
    (VOLUME, "resize"): ("size_gib",),
    (CONTAINER_APP, "create"): ("size", "image", "port", *_BOUNDS, *_STRATEGY),
    (CONTAINER_APP, "scale"): ("size", *_BOUNDS),
    (CONTAINER_APP, "update"): ("image", "port", *_STRATEGY),
    (CONTAINER_APP, "restart"): _STRATEGY,
}
"""What a wish may say, by kind and action, beside the name."""

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
    min_replicas: int | None = None
    max_replicas: int | None = None
    target_cpu_percent: int | None = None
    max_surge: str = ""
    max_unavailable: str = ""


def created(kind: str, wish: Wish, catalogue: Catalogue) -> tuple[dict[str, int], dict[str, Any]]:
    """Amounts and driver spec of a new resource.  Raises input.invalid, size.unknown, image.unknown."""
    _only(kind, "create", wish)
    if kind == VOLUME:
        size_gib = _needed("size_gib", wish.size_gib)
        return _disk(size_gib, wish.disk_class), {"disk_class": wish.disk_class}
    _started_from(kind, _needed("image", wish.image or None), catalogue)
    each = catalogue.size(_needed("size", wish.size or None))
    if kind == CONTAINER_APP:
        spec = {"size": wish.size, "image": wish.image, **app_plan.numbers(wish, {}), "port": wish.port or 0}
        return _of_replicas(each, replicas.most(spec)), spec | app_plan.strategy(wish, spec)
    if wish.key and not _KEY.fullmatch(wish.key):
        raise errors.INVALID(field="key", reason="not an OpenSSH public key such as 'ssh-ed25519 AAAA... name'")
    return _machine(each, wish.disk_class), {
        "size": wish.size, "image": wish.image, "key": wish.key, "disk_class": wish.disk_class,
    }  # fmt: skip


def changed(kind: str, wish: Wish, present: Mapping[str, Any], catalogue: Catalogue) -> tuple[dict[str, int], dict[str, Any]]:
    """Amounts and driver spec of a resource after a resize or scale; `present` is its driver spec now."""
    _only(kind, CHANGING[kind], wish)
    if kind == VOLUME:
        return _disk(_needed("size_gib", wish.size_gib), str(present.get("disk_class", ""))), dict(present)
    if kind == CONTAINER_APP:
        size = wish.size or str(present["size"])
        spec = {**present, "size": size, **app_plan.numbers(wish, present)}
        return _of_replicas(catalogue.size(size), replicas.most(spec)), spec
    size = _needed("size", wish.size or None)
    return _machine(catalogue.size(size), str(present.get("disk_class", ""))), {**present, "size": size}


def replaced(action: str, wish: Wish, present: Mapping[str, Any], catalogue: Catalogue) -> dict[str, Any]:
    """Driver spec of an app after an update or a rolling restart: its size stays."""
    _only(CONTAINER_APP, action, wish)
    if wish.image:
        _started_from(CONTAINER_APP, wish.image, catalogue)
    told = {name: value for name, value in (("image", wish.image), ("port", wish.port)) if value}
    if action == "update" and not told:
        raise errors.INVALID(
            field="image", reason="an update names another image or port; to only replace the replicas, restart it"
        )
    return {**present, **told, **app_plan.strategy(wish, present)}


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


def _of_replicas(each: Mapping[str, int], number: int) -> dict[str, int]:
    amounts = {name: amount * number for name, amount in each.items()}
    if max(amounts.values()) > quantity.BOUND:
        raise errors.INVALID(field="replicas", reason="the app would be larger than any amount that is counted")
    return {**amounts, "pods": number}


def _machine(each: Mapping[str, int], disk_class: str) -> dict[str, int]:
    amounts = {**each, "instances": 1}
    return amounts | _disk(amounts.get("disk_gib", 0), disk_class) if disk_class else amounts


def _started_from(kind: str, image: str, catalogue: Catalogue) -> None:
    if kind not in catalogue.image(image).kinds:
        raise errors.INVALID(field="image", reason=f"no {kind} starts from {image}")


def _needed(field: str, value: Any) -> Any:
    if value is None:
        raise errors.INVALID(field=field, reason="is needed here")
    return value


def _only(kind: str, action: str, wish: Wish) -> None:
    """Refuse what a wish says beyond what the action of the kind has a use for."""
    used = _USED[kind, action]
    for field in dataclasses.fields(wish):
        if field.name != "name" and field.name not in used and getattr(wish, field.name) not in (None, ""):
            had = (
                f"a {kind} has no such setting" if action == "create" else f"{action} of a {kind} changes {' and '.join(used)} only"
            )
            raise errors.INVALID(field=field.name, reason=had)
