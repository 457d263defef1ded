"""An interval against its limit as places on a line: one function for every renderer."""

from __future__ import annotations

import math
from dataclasses import dataclass

from evalkit.gate.result import GateResult

PAD = 0.06
"""Free space at each end, as a share of what is drawn."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bar:
    """Places from 0 (left) to 1 (right); an end is ``None`` where the interval has no bound."""

    value: float
    limit: float
    low: float | None
    high: float | None
    zero: float | None


def bar_of(result: GateResult) -> Bar | None:
    """The bar of a result, ``None`` where there is nothing to draw."""
    value = result.difference if result.about == "change" else result.candidate
    if result.about == "fact" or value is None or result.bound is None:
        return None
    zero = 0.0 if result.about == "change" else None
    points = [
        one for one in (value, result.bound, zero, result.low, result.high) if one is not None
    ]
    low, high = min(points), max(points)
    if not math.isfinite(high - low) or high == low:
        return None
    pad = PAD * (high - low)

    def at(point: float | None) -> float | None:
        return None if point is None else (point - low + pad) / (high - low + 2 * pad)

    place, limit = at(value), at(result.bound)
    assert place is not None
    assert limit is not None
    return Bar(value=place, limit=limit, low=at(result.low), high=at(result.high), zero=at(zero))
