"""Two groups of different cases: gaps between languages, dialects, routes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from evalkit.stats.evidence import Pivot
from evalkit.stats.intervals import SPARSE, Floats, Interval
from evalkit.stats.paired_means import checked, mean_and_se
from evalkit.stats.special import zero_of


@dataclass(frozen=True, slots=True, kw_only=True)
class TwoRates:
    """First − second of the pass rates of two groups of independent cases, by the score test.

    Raises ``ValueError`` for counts that are no rate.
    """

    first_passed: int
    first: int
    second_passed: int
    second: int

    def __post_init__(self) -> None:
        if not (0 <= self.first_passed <= self.first and 0 <= self.second_passed <= self.second):
            raise ValueError("passed cases are a part of the cases")
        if not min(self.first, self.second):
            raise ValueError("a group without cases has no rate")

    @property
    def value(self) -> float:
        """The difference of the observed rates."""
        return self.first_passed / self.first - self.second_passed / self.second

    def p_above(self, at: float) -> float:
        """Against "the gap is ``at`` or less"."""
        from scipy.special import ndtr

        return float(ndtr(-gap_z(self, at)))

    def p_below(self, at: float) -> float:
        """Against "the gap is ``at`` or more"."""
        from scipy.special import ndtr

        return float(ndtr(gap_z(self, at)))

    def interval(self, level: float = 0.95) -> Interval:
        """The gaps that ``gap_z`` does not reject; within −1 and 1."""
        from scipy.special import ndtri

        z = float(ndtri((1 + level) / 2))
        edge = 1 - 1e-9
        value = min(max(self.value, -edge), edge)

        def excess(at: float, side: int) -> float:
            return side * gap_z(self, at) - z

        low, high = -1.0, 1.0
        if excess(-edge, 1) > 0:
            low = zero_of(lambda at: excess(at, 1), -edge, value, near=1e-12)
        if excess(edge, -1) > 0:
            high = zero_of(lambda at: excess(at, -1), value, edge, near=1e-12)
        return Interval(low, high)


def gap_z(rates: TwoRates, at: float) -> float:
    """The score statistic of "the gap is ``at``" (Farrington and Manning 1990).

    At 0 it is the pooled z of two proportions. Positive when the data lie above ``at``. The
    variance takes the rates most likely under the hypothesis, the closed form of Miettinen and
    Nurminen 1985. ``at`` lies between −1 and 1, both excluded; else ``ValueError``.
    """
    if not -1 < at < 1:
        raise ValueError(f"a gap of rates lies between -1 and 1, not at {at!r}")
    n1, n0 = rates.first, rates.second
    total, passed = n1 + n0, rates.first_passed + rates.second_passed
    c2 = ((n1 + 2 * n0) * at - total - passed) / total
    c1 = ((n0 * at - total - 2 * rates.second_passed) * at + passed) / total
    c0 = rates.second_passed * at * (1 - at) / total
    q = (c2 / 3) ** 3 - c1 * c2 / 6 + c0 / 2
    p = math.copysign(math.sqrt(max((c2 / 3) ** 2 - c1 / 3, 0.0)), q)
    cosine = q / p**3 if p else 1.0
    second = 2 * p * math.cos((math.pi + math.acos(min(max(cosine, -1.0), 1.0))) / 3) - c2 / 3
    second = min(max(second, 0.0, -at), 1.0, 1.0 - at)
    first = second + at
    variance = first * (1 - first) / n1 + second * (1 - second) / n0
    surplus = rates.value - at
    if abs(surplus) < 1e-15:
        return 0.0
    return surplus / math.sqrt(variance) if variance > 0 else math.copysign(math.inf, surplus)


def two_means(
    first: Sequence[float] | Floats, second: Sequence[float] | Floats, *, spread: float = 1.0
) -> Pivot:
    """First − second of the means of two groups, Welch's t (1947) with Satterthwaite's df.

    A group in which fewer than 20 values differ from its commonest one gets two pseudo-values, half
    the ``spread`` of the scale above and below that one. Raises ``ValueError`` for an empty group.
    """
    one, two = _group(first, spread), _group(second, spread)
    squares = one[1] ** 2 + two[1] ** 2
    parts = one[1] ** 4 / max(one[2] - 1, 1) + two[1] ** 4 / max(two[2] - 1, 1)
    certain = min(one[2], two[2]) < 2 or not (one[1] and two[1])
    return Pivot(
        value=one[0] - two[0],
        centre=one[0] - two[0],
        se=0.0 if certain else math.sqrt(squares),
        df=squares**2 / parts if parts else 1.0,
    )


def _group(values: Sequence[float] | Floats, spread: float) -> tuple[float, float, int]:
    data = checked(values)
    mean, se = mean_and_se(data)
    levels, counts = np.unique(data, return_counts=True)
    if len(data) - int(counts.max()) < SPARSE and math.isfinite(spread):
        anchor = float(levels[counts.argmax()])
        wider = np.append(data, (anchor - spread / 2, anchor + spread / 2))
        return mean, mean_and_se(wider)[1], len(wider)
    return mean, se, len(data)
