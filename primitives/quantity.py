"""Integer quantities: their bound, exact division, and the one way to share a whole among parts."""

from collections.abc import Mapping
from typing import Final

BOUND: Final = 10**15
"""No stored amount is larger; 'unlimited' is this number.  Guards that add two amounts stay far below 2**63."""


def half_up(numerator: int, denominator: int) -> int:
    """numerator / denominator rounded half up (away from zero at exactly one half).  denominator > 0."""
    sign = -1 if numerator < 0 else 1
    return sign * ((2 * abs(numerator) + denominator) // (2 * denominator))


def shared(total: int, weights: Mapping[str, int]) -> dict[str, int]:
    """`total` in whole units by `weights` (each >= 0, not all 0): largest remainder, ties by key.  The parts sum to `total` exactly."""
    weight_sum = sum(weights.values())
    if weight_sum <= 0 or min(weights.values()) < 0:
        raise ValueError("weights must be >= 0 and not all 0")
    sign, size = (-1, -total) if total < 0 else (1, total)
    parts = {key: size * weight // weight_sum for key, weight in weights.items()}
    rest = size - sum(parts.values())
    by_remainder = sorted(weights, key=lambda key: (-(size * weights[key] % weight_sum), key))
    for key in by_remainder[:rest]:
        parts[key] += 1
    return {key: sign * part for key, part in parts.items()}
