"""What a sample says about one number: p-values on both sides of any value, and intervals.

Every test of this room returns something with the same four members (``Evidence``), so a gate asks
the same questions of a rate, a mean, a quantile ratio and corpus BLEU: "is it above −margin?",
"is it below 0?". Nothing here has zero width because the data had no variance: without variance
there is no evidence, p is 1 and the interval has no ends.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from evalkit.stats.intervals import NOTHING, Floats, Interval


class Evidence(Protocol):
    """An estimate that can be tested against any value; all p-values are one-sided."""

    @property
    def value(self) -> float:
        """The estimate, in the unit of the data."""
        ...

    def p_above(self, at: float) -> float:
        """The p-value against "the truth is ``at`` or less": small means shown to be above."""
        ...

    def p_below(self, at: float) -> float:
        """The p-value against "the truth is ``at`` or more": small means shown to be below."""
        ...

    def interval(self, level: float = 0.95) -> Interval:
        """Two-sided; ``level = 1 − 2α`` agrees with one-sided tests at α."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Pivot:
    """(centre − truth) ÷ se follows Student's t with ``df`` degrees of freedom, or the normal.

    ``value`` is what is reported, ``centre`` what is tested: they differ where pseudo-observations
    guard the test. A standard error of 0 is no evidence. ``skew`` is the skewness of the estimate
    that the ratio is to be freed of, see ``unskewed``.
    """

    value: float
    centre: float
    se: float
    df: float = math.inf
    skew: float = 0.0

    def p_above(self, at: float) -> float:
        """See ``Evidence``."""
        return self._tail(at, -1)

    def p_below(self, at: float) -> float:
        """See ``Evidence``."""
        return self._tail(at, 1)

    def _tail(self, at: float, sign: int) -> float:
        from scipy.special import ndtr, stdtr

        if not self.se > 0:
            return 1.0
        ratio = sign * unskewed((self.centre - at) / self.se, self.skew)
        return float(ndtr(ratio) if math.isinf(self.df) else stdtr(self.df, ratio))

    def interval(self, level: float = 0.95) -> Interval:
        """See ``Evidence``; always contains the value."""
        from scipy.special import ndtri

        return self.interval_at(float(ndtri((1 + level) / 2)))

    def interval_at(self, z: float) -> Interval:
        """The interval whose ends are as improbable as ``z`` standard normal deviations.

        With the boundary of a look of a group-sequential test this is the repeated interval
        (Jennison and Turnbull 1989), which stays valid however often one looks.
        """
        from scipy.special import ndtr, stdtrit

        if not self.se > 0 or math.isinf(z):
            return NOTHING
        factor = z if math.isinf(self.df) else float(-stdtrit(self.df, float(ndtr(-z))))
        low = self.centre - skewed(factor, self.skew) * self.se
        high = self.centre - skewed(-factor, self.skew) * self.se
        return Interval(min(low, self.value), max(high, self.value))


def unskewed(t: float, skew: float) -> float:
    """A studentized mean without the skewness of its data, which tilts Student's t (Hall 1992).

    ``skew`` is the sample's skewness ÷ √n. A mean of data with a long tail of losses is high where
    its standard error is small, so t passes too often. Johnson (1978) takes that away with a
    parabola; the cubic term makes it rise everywhere, so that it has an inverse, ``skewed``.
    """
    return t + skew * (1 / 6 + t * t / 3 + skew * t**3 / 27)


def skewed(t: float, skew: float) -> float:
    """The studentized mean that ``unskewed`` makes ``t`` of."""
    # (c − 1) ÷ skew with c the cube root, written so that nothing cancels where skew is near 0
    root = float(np.cbrt(1 + skew * (t - skew / 6)))
    return (t - skew / 6) * (3 / (root * root + root + 1))


@dataclass(frozen=True, slots=True, kw_only=True)
class Unseen:
    """What the mean of bounded values can hide: cases at the far end, none of which was drawn.

    Were the truth ``at`` below the mean seen, a share (value − at) ÷ (value − low) of cases at
    ``low`` would do, and n draws miss all of them with the chance (1 − share)^n: no smaller p-value
    is honest. Above it, the same with ``high``.
    """

    value: float
    n: int
    low: float
    high: float

    def p_above(self, at: float) -> float:
        """See ``Evidence``."""
        return self._missed(at - self.low, self.value - self.low)

    def p_below(self, at: float) -> float:
        """See ``Evidence``."""
        return self._missed(self.high - at, self.high - self.value)

    def _missed(self, left: float, room: float) -> float:
        return min(1.0, max(left, 0.0) / room) ** self.n if room > 0 else 1.0

    def interval_at(self, z: float) -> Interval:
        """As ``Pivot.interval_at``."""
        from scipy.special import ndtr

        kept = float(ndtr(-z)) ** (1 / self.n)
        return Interval(
            self.low + (self.value - self.low) * kept, self.high - (self.high - self.value) * kept
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Both:
    """The less favourable of several tests, chosen for each side by itself.

    "Above" is shown only if every one of ``above`` shows it, "below" only if every one of ``below``
    does.
    """

    value: float
    above: tuple[Pivot | Unseen, ...]
    below: tuple[Pivot | Unseen, ...]

    def p_above(self, at: float) -> float:
        """See ``Evidence``."""
        return max(one.p_above(at) for one in self.above)

    def p_below(self, at: float) -> float:
        """See ``Evidence``."""
        return max(one.p_below(at) for one in self.below)

    def interval(self, level: float = 0.95) -> Interval:
        """See ``Evidence``; always contains the value."""
        from scipy.special import ndtri

        return self.interval_at(float(ndtri((1 + level) / 2)))

    def interval_at(self, z: float) -> Interval:
        """As ``Pivot.interval_at``."""
        lows = [one.interval_at(z).low for one in self.above]
        highs = [one.interval_at(z).high for one in self.below]
        low = None if None in lows else min(self.value, *(one for one in lows if one is not None))
        high = (
            None if None in highs else max(self.value, *(one for one in highs if one is not None))
        )
        return Interval(low, high)


@dataclass(frozen=True, slots=True, kw_only=True)
class Resampled:
    """An estimate with its bootstrap draws, sorted; percentile intervals (Efron 1979).

    p-values count the draws on the wrong side and one more (Davison and Hinkley 1997, 4.2.3), so
    they are never 0. Draws that are all the same are no evidence.
    """

    value: float
    draws: Floats

    @classmethod
    def of(cls, value: float, draws: Floats | Sequence[float]) -> Resampled:
        """Sort the draws; raises ``ValueError`` when there are none or one is NaN."""
        ordered = np.sort(np.asarray(draws, dtype=float))
        if not len(ordered) or math.isnan(ordered[-1]):
            raise ValueError("bootstrap draws must be numbers, and there must be some")
        return cls(value=value, draws=ordered)

    @property
    def degenerate(self) -> bool:
        """Whether resampling never changed the result."""
        return bool(self.draws[0] == self.draws[-1])

    def p_above(self, at: float) -> float:
        """See ``Evidence``."""
        return self._share(int(np.searchsorted(self.draws, at, side="right")))

    def p_below(self, at: float) -> float:
        """See ``Evidence``."""
        return self._share(len(self.draws) - int(np.searchsorted(self.draws, at, side="left")))

    def _share(self, wrong: int) -> float:
        return 1.0 if self.degenerate else (wrong + 1) / (len(self.draws) + 1)

    def interval(self, level: float = 0.95) -> Interval:
        """See ``Evidence``: the smallest draw with at least the wanted share at or below it."""
        if self.degenerate:
            return NOTHING
        low, high = np.quantile(
            self.draws, [(1 - level) / 2, (1 + level) / 2], method="inverted_cdf"
        )
        return Interval(min(float(low), self.value), max(float(high), self.value))
