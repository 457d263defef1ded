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
    guard the test. A standard error of 0 is no evidence.
    """

    value: float
    centre: float
    se: float
    df: float = math.inf

    def p_above(self, at: float) -> float:
        """See ``Evidence``."""
        return self._tail(at - self.centre)

    def p_below(self, at: float) -> float:
        """See ``Evidence``."""
        return self._tail(self.centre - at)

    def _tail(self, distance: float) -> float:
        from scipy.special import ndtr, stdtr

        if not self.se > 0:
            return 1.0
        ratio = distance / self.se
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
        low, high = self.centre - factor * self.se, self.centre + factor * self.se
        return Interval(min(low, self.value), max(high, self.value))


@dataclass(frozen=True, slots=True, kw_only=True)
class Both:
    """The less favourable of several tests, chosen for each side by itself.

    "Above" is shown only if every pivot of ``above`` shows it, "below" only if every one of
    ``below`` does.
    """

    value: float
    above: tuple[Pivot, ...]
    below: tuple[Pivot, ...]

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
