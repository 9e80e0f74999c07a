"""How many replicas an app may have, and how many a rolling replacement adds to them.  Pure: arithmetic on the spec of an app.

The words and the rounding are those of Kubernetes.  HorizontalPodAutoscaler (autoscaling/v2): `min_replicas`, `max_replicas`; the cloud moves
the number within them by itself, so whoever counts an app counts its maximum.  Deployment (apps/v1, RollingUpdate): `max_surge` replicas more
than the app has, a percentage rounded up; `max_unavailable` fewer, a percentage rounded down; at least one of them must let it go on.
"""

from collections.abc import Mapping
from typing import Any, Final

BOUNDS: Final = ("min_replicas", "max_replicas", "target_cpu_percent")
"""Fields of an app whose number of replicas the cloud chooses; absent or 0 in any other."""
DEFAULT_SHARE: Final = "25%"
"""Kubernetes' own for both bounds of a rolling replacement."""


def autoscaled(spec: Mapping[str, Any]) -> bool:
    """Whether the cloud chooses the number of replicas by itself, within bounds."""
    return bool(spec.get("max_replicas"))


def most(spec: Mapping[str, Any]) -> int:
    """The greatest number of replicas that the app may have without another order: what quota, room and price count."""
    return int(spec.get("max_replicas") or spec.get("replicas") or 1)


def fewest(spec: Mapping[str, Any]) -> int:
    """The smallest number that the cloud may choose."""
    return int(spec.get("min_replicas") or spec.get("replicas") or 1)


def surge(spec: Mapping[str, Any], number: int) -> int:
    """Replicas that a rolling replacement of `number` adds at most; never more than it replaces."""
    return min(number, resolved(str(spec.get("max_surge", DEFAULT_SHARE)), number, up=True))


def unavailable(spec: Mapping[str, Any], number: int) -> int:
    """Replicas that may be missing meanwhile; 1 where nothing could be replaced otherwise."""
    missing = min(number, resolved(str(spec.get("max_unavailable", DEFAULT_SHARE)), number, up=False))
    return missing if missing or surge(spec, number) else 1


def resolved(share: str, number: int, *, up: bool) -> int:
    """A share of `number` replicas: '3' is three, '25%' a quarter, rounded up or down.  Raises ValueError for other texts."""
    if not share.endswith("%"):
        return int(share)
    hundredths = int(share[:-1]) * number
    return -(-hundredths // 100) if up else hundredths // 100


def part(amounts: Mapping[str, int], whole: int, number: int) -> dict[str, int]:
    """Amounts of `number` replicas, where `whole` equal ones have `amounts`; without zeros."""
    return {name: amount // whole * number for name, amount in amounts.items() if amount // whole * number}
