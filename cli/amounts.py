"""Amounts as people write and read them: vCPU and GiB outside, the registry's integers inside (cpu_milli, ram_mib).  Exact, never a float."""

import re
from collections.abc import Iterable
from typing import Annotated, Any, Final

import typer

from cli import failure
from cli.texts import say

UNLIMITED: Final = 10**15
_SIZE: Final = re.compile(r"([0-9]{1,12})(?:\.([0-9]{1,6}))?\s*(MiB|GiB|TiB|M|G|T)?", re.IGNORECASE)
_MIB: Final = {"m": 1, "g": 1024, "t": 1024 * 1024}

Cpu = Annotated[str, typer.Option("--cpu", help=say("vCPU, such as 16 or 0.5", "虚拟处理器数，如 16 或 0.5"))]
Ram = Annotated[str, typer.Option("--ram", help=say("memory: 64 or 64GiB, 512MiB, 1TiB", "内存：64 或 64GiB、512MiB、1TiB"))]
Disk = Annotated[str, typer.Option("--disk", help=say("disk: 500 or 500GiB, 2TiB", "磁盘：500 或 500GiB、2TiB"))]
Instances = Annotated[str, typer.Option("--instances", help=say("virtual machines", "虚拟机数量"))]
Pods = Annotated[str, typer.Option("--pods", help=say("replicas of container services", "容器副本数量"))]
PublicIps = Annotated[str, typer.Option("--public-ips", help=say("public addresses", "公网地址数量"))]
Gpus = Annotated[str, typer.Option("--gpus", help=say("graphics processors", "图形处理器数量"))]
More = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="NAME=AMOUNT",
        help=say("any other name in its own unit: gpus.a100=4", "其他配额项（以其自身单位）：gpus.a100=4"),
    ),
]


def inside(name: str, text: str) -> int | str:
    """An amount of a name in registry units; bare numbers of cpu are vCPU, of memory and disk GiB.  Raises a usage error."""
    if text.lower() in ("unlimited", "不限"):
        return "unlimited"
    found = _SIZE.fullmatch(text.strip())
    plain = name.partition(".")[0]
    if found is None or (found[3] and plain not in ("ram_mib", "disk_gib")):
        raise _wrong(name, text)
    if plain == "cpu_milli":
        return _exact(name, text, found, 1000, 1)
    if plain in ("ram_mib", "disk_gib"):
        return _exact(name, text, found, _MIB[(found[3] or "G")[0].lower()], 1024 if plain == "disk_gib" else 1)
    return _exact(name, text, found, 1, 1)


def raw(name: str, text: str) -> int | str:
    """An amount given in the registry's own unit: NAME AMOUNT, NAME=AMOUNT."""
    if text.lower() in ("unlimited", "不限"):
        return "unlimited"
    if not text.isascii() or not text.isdecimal() or len(text) > 16:
        raise _wrong(name, text)
    return int(text)


def named(options: dict[str, str], more: Iterable[str] | None) -> dict[str, int | str]:
    """name -> amount of the options given (name -> text, '' = not given) and of every NAME=AMOUNT."""
    found = {name: inside(name, text) for name, text in options.items() if text}
    for pair in more or ():
        name, equals, text = pair.partition("=")
        if not equals or not name:
            raise failure.UsageError(
                say(f"{pair!r} is not NAME=AMOUNT", f"{pair!r} 不是 NAME=AMOUNT"), say("such as gpus.a100=4", "例如 gpus.a100=4")
            )
        found[name] = raw(name, text)
    return found


def outside(name: str, amount: Any) -> str:
    """An amount for a table: '16 vCPU', '64 GiB', '500 GiB', '10'."""
    if amount is None:
        return say("all", "全部")
    if amount >= UNLIMITED:
        return say("unlimited", "不限")
    plain = name.partition(".")[0]
    if plain == "cpu_milli":
        return f"{_decimal(amount, 1000)} vCPU"
    if plain == "ram_mib":
        return f"{_decimal(amount, 1024)} GiB"
    return f"{amount} GiB" if plain == "disk_gib" else str(amount)


def several(amounts: dict[str, int]) -> list[str]:
    """Amounts by name for one cell of a table."""
    return [f"{name} {outside(name, amount)}" for name, amount in amounts.items()]


def _exact(name: str, text: str, found: re.Match[str], times: int, per: int) -> int:
    whole, part = found[1], found[2] or ""
    scaled, rest = divmod(int(whole + part) * times, int("1" + "0" * len(part)) * per)
    if rest or scaled > UNLIMITED:
        raise _wrong(name, text)
    return scaled


def _decimal(amount: int, per: int) -> str:
    whole, rest = divmod(abs(amount), per)
    digits = f"{rest * 1000 // per:03}".rstrip("0")
    return ("-" if amount < 0 else "") + (f"{whole}.{digits}" if digits else str(whole))


def _wrong(name: str, text: str) -> failure.UsageError:
    return failure.UsageError(
        say(f"{text!r} is not an amount of {name}", f"{text!r} 不是 {name} 的有效数量"),
        say("such as --cpu 16 --ram 64GiB --disk 500", "例如 --cpu 16 --ram 64GiB --disk 500"),
    )
