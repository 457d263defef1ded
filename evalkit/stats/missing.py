"""Cases without a result: imputed against the candidate for PASS, for it for FAIL.

So losing data never improves a verdict, in either direction.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from evalkit.stats.intervals import Floats


@dataclass(frozen=True, slots=True, kw_only=True)
class Imputed:
    """The candidate's values twice: as bad and as good as the missing ones can have been."""

    worst: Floats
    best: Floats
    missing: int

    @property
    def share(self) -> float:
        """The share of cases that had to be imputed."""
        return self.missing / len(self.worst)


def impute(
    values: Sequence[float | None] | Floats, bounds: tuple[float, float], *, higher: bool = True
) -> Imputed:
    """Fill what is missing (``None`` or NaN) with the ends of the scale.

    ``bounds`` is the scorer's range, ``higher`` whether its higher end is better: test the worst
    for PASS and the best for FAIL. Where an end is infinite and something is missing no claim can
    be made: ``ValueError``.
    """
    data = np.array([np.nan if one is None else one for one in values], dtype=float)
    gone = np.isnan(data)
    if gone.any() and not np.isfinite(bounds).all():
        raise ValueError("what is missing on an unbounded scale cannot be bounded")
    low, high = np.where(gone, bounds[0], data), np.where(gone, bounds[1], data)
    worst, best = (low, high) if higher else (high, low)
    return Imputed(worst=worst, best=best, missing=int(gone.sum()))
