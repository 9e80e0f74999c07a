"""What the order of an app says of its replicas: a fixed number or bounds, and how they are replaced.  Pure; a part of `control.plan`.

Words, defaults and checks are those of Kubernetes: HorizontalPodAutoscaler (autoscaling/v2) and the strategy RollingUpdate of a Deployment.
"""

import re
from collections.abc import Mapping
from typing import Any, Final, Protocol

from primitives import errors
from provisioners import replicas

REPLICAS_MAX: Final = 1000
TARGET_CPU_PERCENT: Final = 80
"""Kubernetes' own, where bounds are given without a target."""
_SHARE: Final = re.compile(r"[0-9]{1,4}|[0-9]{1,3}%")


class Asked(Protocol):
    """The part of a wish that speaks of replicas; None and '' where it says nothing."""

    @property
    def replicas(self) -> int | None: ...
    @property
    def min_replicas(self) -> int | None: ...
    @property
    def max_replicas(self) -> int | None: ...
    @property
    def target_cpu_percent(self) -> int | None: ...
    @property
    def max_surge(self) -> str: ...
    @property
    def max_unavailable(self) -> str: ...


def numbers(asked: Asked, present: Mapping[str, Any]) -> dict[str, int]:
    """The number of replicas, or the bounds with the number to begin with, as they are to be; `present` is the app's spec now.

    A number alone is fixed, and ends the bounds that there were.  Raises input.invalid.
    """
    bounds = (asked.min_replicas, asked.max_replicas, asked.target_cpu_percent)
    if bounds == (None, None, None):
        number = _between("replicas", present.get("replicas", 1) if asked.replicas is None else asked.replicas)
        if asked.replicas is None and replicas.autoscaled(present):
            return {name: present[name] for name in ("replicas", *replicas.BOUNDS)}
        ended = dict.fromkeys(replicas.BOUNDS, 0) if replicas.autoscaled(present) else {}
        return {"replicas": number, **ended}
    if asked.max_replicas is None and not replicas.autoscaled(present):
        raise errors.INVALID(field="max_replicas", reason="is needed for bounds; min_replicas is 1 unless it is given")
    most = _between("max_replicas", present.get("max_replicas") if asked.max_replicas is None else asked.max_replicas)
    fewest = _between("min_replicas", (present.get("min_replicas") or 1) if asked.min_replicas is None else asked.min_replicas)
    if fewest > most:
        raise errors.INVALID(field="min_replicas", reason=f"{fewest} is more than max_replicas, which is {most}")
    if asked.replicas is not None and not fewest <= asked.replicas <= most:
        raise errors.INVALID(field="replicas", reason=f"{asked.replicas} to begin with is not between {fewest} and {most}")
    target = asked.target_cpu_percent or present.get("target_cpu_percent") or TARGET_CPU_PERCENT
    if not 1 <= target <= 100:
        raise errors.INVALID(field="target_cpu_percent", reason=f"{target} is not between 1 and 100")
    start = min(max(asked.replicas or int(present.get("replicas", fewest)), fewest), most)
    return {"replicas": start, "min_replicas": fewest, "max_replicas": most, "target_cpu_percent": target}


def strategy(asked: Asked, spec: Mapping[str, Any]) -> dict[str, str]:
    """How replicas are replaced, as far as the wish says it; it stays with the app.  `spec` is that of the app.  Raises input.invalid."""
    given = {"max_surge": asked.max_surge, "max_unavailable": asked.max_unavailable}
    said = {field: _share(field, share, replicas.most(spec)) for field, share in given.items() if share}
    both = {field: said.get(field) or str(spec.get(field, replicas.DEFAULT_SHARE)) for field in given}
    if said and all(share.strip("0") in ("", "%") for share in both.values()):
        raise errors.INVALID(
            field="max_unavailable", reason="max_surge and max_unavailable cannot both be 0: then no replica could be replaced"
        )
    return said


def surge(spec: Mapping[str, Any], amounts: Mapping[str, int]) -> dict[str, int]:
    """What a rolling replacement adds for a while to an app of `amounts`, which are those of all the replicas that it may have."""
    most = replicas.most(spec)
    return replicas.part(amounts, most, replicas.surge(spec, most))


def _between(field: str, number: Any) -> int:
    if not isinstance(number, int) or not 1 <= number <= REPLICAS_MAX:
        raise errors.INVALID(field=field, reason=f"{number} is not between 1 and {REPLICAS_MAX:,}")
    return number


def _share(field: str, share: str, most: int) -> str:
    if not _SHARE.fullmatch(share):
        raise errors.INVALID(
            field=field, reason=f"{share[:20]!r} is neither a number of replicas, such as 1, nor a share, such as 25%"
        )
    if share.endswith("%") and int(share[:-1]) > 100:
        raise errors.INVALID(field=field, reason=f"{share} is more than 100%")
    if not share.endswith("%") and int(share) > most:
        raise errors.INVALID(field=field, reason=f"{share} is more than the {most} replicas that there are at most")
    return share
