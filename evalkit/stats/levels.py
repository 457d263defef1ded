"""A mean or a corpus metric against a floor or a ceiling, on one side alone."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from evalkit.stats.evidence import Both, Pivot, Unseen
from evalkit.stats.intervals import SPARSE, Floats, Interval, off_commonest
from evalkit.stats.paired_means import careful_t, checked, mean_and_se
from evalkit.stats.single_rates import ExactRate


def guarded_level(values: Sequence[float] | Floats, bounds: tuple[float, float]) -> Both:
    """Student's t of a mean of cases, with one pseudo-case at each bound while they are sparse.

    Sparse: fewer than 20 values differ from the commonest one, as in ``mean_guarded``. Where they
    are not, the t freed of their skewness and what they can hide (``Unseen``) must agree: scores
    crowd at one end of their scale. Without two finite bounds nothing can be added, and no variance
    is no evidence. Raises ``ValueError`` for no values and for NaN.
    """
    data = checked(values)
    careful = careful_t(data)
    if not (math.isfinite(bounds[0]) and math.isfinite(bounds[1])):
        return careful
    if off_commonest(data) < SPARSE:
        centre, wider = mean_and_se(np.append(data, bounds))
        guarded = Pivot(value=careful.value, centre=centre, se=wider, df=len(data) + 1)
        return Both(value=careful.value, above=(guarded,), below=(guarded,))
    unseen = Unseen(value=careful.value, n=len(data), low=bounds[0], high=bounds[1])
    return Both(value=careful.value, above=(*careful.above, unseen), below=(*careful.below, unseen))


@dataclass(frozen=True, slots=True, kw_only=True)
class SharedRate:
    """The mean of shares, one a case, judged as if every case passed or failed as a whole.

    ``value`` is the mean share. Each side rounds the sum of shares against the claim and judges it
    exactly: a sum of independent variables between 0 and 1 is never wilder in its tails than the
    binomial of the same mean (Hoeffding 1956, 1963), so repeats within a case can only make this
    more careful than promised. Making one share smaller never makes "above" easier.
    """

    value: float
    total: float
    n: int

    @classmethod
    def of(cls, shares: Sequence[float] | Floats) -> SharedRate:
        """From a share a case; ``ValueError`` for none, NaN, and what is no share."""
        data = checked(shares)
        if data.min() < 0 or data.max() > 1:
            raise ValueError("a share lies between 0 and 1")
        total = math.fsum(data.tolist())
        return cls(value=total / len(data), total=total, n=len(data))

    def p_above(self, at: float) -> float:
        """Against "the rate is ``at`` or less"; see ``Evidence``."""
        return ExactRate(events=math.floor(self.total + 1e-9), n=self.n).p_above(at)

    def p_below(self, at: float) -> float:
        """Against "the rate is ``at`` or more"; see ``Evidence``."""
        return ExactRate(events=math.ceil(self.total - 1e-9), n=self.n).p_below(at)

    def interval(self, level: float = 0.95) -> Interval:
        """The exact interval, its ends those of the two tests."""
        low = ExactRate(events=math.floor(self.total + 1e-9), n=self.n).interval(level).low
        high = ExactRate(events=math.ceil(self.total - 1e-9), n=self.n).interval(level).high
        return Interval(low, high)


def corpus_level(
    stats: Sequence[Sequence[float]] | Floats,
    corpus_value: Callable[[Sequence[float]], float],
    *,
    resamples: int = 1_000,
    seed: int = 0,
) -> tuple[float, Floats]:
    """A corpus metric and its bootstrap draws, for ``Resampled``; a row of statistics a case.

    The same in whatever order the cases stand.
    """
    data = np.asarray(stats, dtype=float)
    data = data[np.lexsort(data.T[::-1])]
    n = len(data)
    value = corpus_value(data.sum(axis=0).tolist())
    if n < 2 or bool((data[0] == data[-1]).all()):
        return value, np.full(resamples, value)
    generator = np.random.default_rng(seed)
    draws: list[float] = []
    chunk = max(1, 2_000_000 // n)
    for start in range(0, resamples, chunk):
        rows = min(chunk, resamples - start)
        drawn = generator.integers(0, n, size=(rows, n)) + np.arange(rows)[:, None] * n
        weights = np.bincount(drawn.ravel(), minlength=rows * n).reshape(rows, n)
        draws += [corpus_value(one) for one in (weights @ data).tolist()]
    return value, np.asarray(draws)
