"""Which things are counted: names with unit and description, and how an amount is written for people.  Pure.

A finer class is written behind a dot (`disk_gib.ssd`, `gpus.a100`) and counted on both names.  An installation adds names of its own by
configuration: `declare` is called once, when a process starts.
"""

import dataclasses
import re
from collections.abc import Iterable
from typing import Final

from primitives import errors


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Name:
    """One thing that is counted.  An amount is an integer in the registry's `unit`; people read `per_shown` of them as one `shown`."""

    name: str
    unit: str
    shown: str
    per_shown: int
    en: str
    zh: str


_BUILT_IN: Final = (
    Name(name="cpu_milli", unit="milli-vCPU", shown="vCPU", per_shown=1000, en="virtual processors", zh="虚拟处理器"),
    Name(name="ram_mib", unit="MiB", shown="GiB", per_shown=1024, en="memory", zh="内存"),
    Name(name="disk_gib", unit="GiB", shown="GiB", per_shown=1, en="disk space", zh="磁盘空间"),
    Name(name="instances", unit="1", shown="", per_shown=1, en="virtual machines", zh="虚拟机数量"),
    Name(name="pods", unit="1", shown="", per_shown=1, en="replicas of container services", zh="容器副本数量"),
    Name(name="public_ips", unit="1", shown="", per_shown=1, en="public addresses", zh="公网地址数量"),
    Name(name="gpus", unit="1", shown="", per_shown=1, en="graphics processors", zh="图形处理器数量"),
)
_NAME: Final = re.compile(r"[a-z][a-z0-9_]{0,30}")
_CLASS: Final = re.compile(r"[a-z0-9]([a-z0-9-]{0,30}[a-z0-9])?")
_known: dict[str, Name] = {each.name: each for each in _BUILT_IN}

UNKNOWN: Final = errors.Fault(
    "quota.name",
    errors.Kind.INVALID,
    en="{name} is not counted here; known names: {known}",
    zh="配额项 {name} 不存在，可用的配额项：{known}",
    mend_en="govpool quota names",
    mend_zh="govpool quota names",
)


def declare(more: Iterable[Name]) -> None:
    """Add the names of this installation's configuration.  Declaring the same again changes nothing; another meaning raises ValueError."""
    for each in more:
        if not _NAME.fullmatch(each.name) or each.per_shown < 1:
            raise ValueError(f"{each.name!r} cannot be a name of something counted")
        if _known.setdefault(each.name, each) != each:
            raise ValueError(f"{each.name} is declared already with another meaning")


def all_names() -> list[Name]:
    """Every name without its classes, built-in ones first."""
    return list(_known.values())


def of(name: str) -> Name:
    """The entry of a name; a class has that of the name before the dot.  Raises quota.name."""
    plain, dot, kind = name.partition(".")
    if plain not in _known or (dot and not _CLASS.fullmatch(kind)):
        raise UNKNOWN(name=repr(name[:40]), known=", ".join(_known))
    return _known[plain]


def shown(name: str, amount: int) -> str:
    """An amount for people, exact: '16.5 vCPU', '64 GiB', '3'."""
    entry = of(name)
    sign, size = ("-", -amount) if amount < 0 else ("", amount)
    whole, rest = divmod(size, entry.per_shown)
    digits = f"{rest * 10**6 // entry.per_shown:06}".rstrip("0")
    number = f"{sign}{whole}.{digits}" if digits else f"{sign}{whole}"
    return f"{number} {entry.shown}".rstrip()
