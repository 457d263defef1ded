"""Confidence intervals that hold at the sizes suites have; pure functions of numbers.

Two-sided at ``level``. ``None`` for an end means the data give no bound there. The choices and
their measured coverage: Wilson for rates, Clopper–Pearson for ceilings on rare events, t for means
with two pseudo-observations where the variance cannot be trusted, ranks for quantiles, the
bootstrap only for corpus metrics, on their sufficient statistics.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import chain

import numpy as np
import numpy.typing as npt

from evalkit.stats.special import binomial_share, normal_quantile, t_quantile

SPARSE = 20
"""Fewer observations than this off the commonest value: the sample variance is not trusted."""

Floats = npt.NDArray[np.float64]

_ROWS = 10_000
"""Rows that are added up at a time where that is exact, whatever the pieces."""
_ROUNDED = 50_000
"""The same where every piece is rounded."""


@dataclass(frozen=True, slots=True)
class Interval:
    """Both ends of an interval; an end of ``None`` is unbounded."""

    low: float | None
    high: float | None


NOTHING = Interval(None, None)


def wilson(successes: int, n: int, level: float = 0.95) -> Interval:
    """The score interval of a rate (Wilson 1927); n = 0 is a ``ValueError``."""
    check_counts(successes, n)
    z = normal_quantile((1 + level) / 2)
    rate = successes / n
    centre = (rate + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * math.sqrt(rate * (1 - rate) / n + z * z / (4 * n * n))
    low = 0.0 if successes == 0 else centre - half
    high = 1.0 if successes == n else centre + half
    return Interval(low, high)


def clopper_pearson(successes: int, n: int, level: float = 0.95) -> Interval:
    """The exact interval of a rate (Clopper and Pearson 1934), never narrower than ``level``."""
    from scipy.special import betaincinv

    check_counts(successes, n)
    tail = (1 - level) / 2
    low = 0.0 if successes == 0 else float(betaincinv(successes, n - successes + 1, tail))
    high = 1.0 if successes == n else float(betaincinv(successes + 1, n - successes, 1 - tail))
    return Interval(low, high)


def jeffreys(successes: int, n: int, level: float = 0.95) -> Interval:
    """The equal-tailed interval of a rate after Jeffreys' prior, Beta(½, ½) (Brown et al. 2001).

    A posterior, not a coverage promise: near 0 and 1 it covers too little; for rates that are parts
    of a corrected rate.
    """
    from scipy.special import betaincinv

    check_counts(successes, n)
    tail = (1 - level) / 2
    a, b = successes + 0.5, n - successes + 0.5
    return Interval(float(betaincinv(a, b, tail)), float(betaincinv(a, b, 1 - tail)))


def check_counts(successes: int, n: int) -> None:
    """Refuse counts that are no rate with a ``ValueError``."""
    if n < 1 or not 0 <= successes <= n:
        raise ValueError(f"{successes} of {n} is not a rate")


def exact_sum(values: Floats, *, around: float | None = None) -> float:
    """The sum, correctly rounded and so the same in any order.

    Of the squared distances ``around`` a value, if one is given. As Python's numbers all values at
    once would take four times their memory, hence a piece at a time.
    """
    pieces = (values[start : start + _ROWS] for start in range(0, len(values), _ROWS))
    if around is not None:
        pieces = ((one - around) ** 2 for one in pieces)
    return math.fsum(chain.from_iterable(one.tolist() for one in pieces))


def mean_t(values: Sequence[float] | Floats, level: float = 0.95) -> Interval:
    """Student's interval of a mean; nothing below two values or without variance.

    Assumes independent values whose mean is near normal: cases, not trials.
    """
    data = np.asarray(values, dtype=float)
    n = len(data)
    if n < 2 or data.min() == data.max():
        return NOTHING
    centre = exact_sum(data) / n
    spread = math.sqrt(exact_sum(data, around=centre) / (n - 1) / n)
    half = t_quantile(n - 1, (1 + level) / 2) * spread
    return Interval(centre - half, centre + half)


def mean_guarded(
    values: Sequence[float] | Floats, bounds: tuple[float, float], level: float = 0.95
) -> tuple[Interval, bool]:
    """Student's interval of the mean of bounded values, and whether it had to be guarded.

    While fewer than 20 values differ from the commonest one, one pseudo-observation at each bound
    is added, so that twenty perfect scores do not claim certainty; then the interval has a width
    even without variance. Values without two finite bounds cannot be guarded: no variance, no
    interval. Clipped to the bounds.
    """
    data = np.asarray(values, dtype=float)
    low, high = bounds
    if not len(data):
        return NOTHING, False
    if not (math.isfinite(low) and math.isfinite(high)):
        return clipped(mean_t(data, level), bounds), False
    if off_commonest(data) >= SPARSE:
        return clipped(mean_t(data, level), bounds), False
    centre = exact_sum(data) / len(data)
    wide = mean_t(np.append(data, (low, high)), level)
    assert wide.low is not None
    assert wide.high is not None
    inside = Interval(min(wide.low, centre), max(wide.high, centre))
    return clipped(inside, bounds), True


def off_commonest(data: Floats) -> int:
    """How many values differ from the commonest one; from 20 on, only that it is 20 or more."""
    # where fewer than 20 differ from it, it is the commonest of any 39 of them too
    values, counts = np.unique(data[: 2 * SPARSE - 1], return_counts=True)
    return len(data) - int(np.count_nonzero(data == values[counts.argmax()]))


def clipped(interval: Interval, bounds: tuple[float, float]) -> Interval:
    """The part of an interval that is possible: what has bounds cannot lie beyond them."""
    return Interval(
        None if interval.low is None else max(interval.low, bounds[0]),
        None if interval.high is None else min(interval.high, bounds[1]),
    )


def quantile_rank(n: int, q: float) -> int:
    """The rank of the sample quantile, ⌈nq⌉ counted from 1: a value that was really measured."""
    return min(max(math.ceil(n * q - 1e-9), 1), n)


def quantile_ranks(n: int, q: float, level: float = 0.95) -> tuple[int, int]:
    """Ranks (from 1) of the order statistics that bound a quantile; 0 and n + 1 are no bound.

    Distribution-free (David and Nagaraja 2003, 7.1): the number of values below the quantile is
    binomial. Above p95 there is an upper bound from 59 (one-sided) or 72 values on.
    """
    tail = (1 - level) / 2
    lower = _last(n, lambda k: binomial_share(k, n, q) <= tail) + 1
    upper = _last(n, lambda k: binomial_share(k, n, q) < 1 - tail) + 2
    return max(lower, 0), min(upper, n + 1)


def _last(n: int, holds: Callable[[int], bool]) -> int:
    """The last k of −1 … n − 1 that holds, when all up to it do; −1 is known to."""
    low, high = -1, n
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if holds(middle) else (low, middle)
    return low


def widened_ranks(
    n: int, q: float, level: float = 0.95, *, effective_n: float = math.inf
) -> tuple[int, int]:
    """Ranks as ``quantile_ranks`` gives, of n values that are worth only ``effective_n``."""
    worth = max(1, math.floor(min(float(n), effective_n) + 1e-9))
    lower, upper = quantile_ranks(worth, q, level)
    if worth < n:
        lower = math.floor(lower * n / worth)
        upper = math.ceil(upper * n / worth) if upper <= worth else n + 1
    return lower, upper


def quantile_interval(
    values: Sequence[float] | Floats,
    q: float,
    level: float = 0.95,
    *,
    effective_n: float = math.inf,
) -> Interval:
    """The interval of a quantile between order statistics.

    ``effective_n`` is the number of independent values these are worth, when repeats of a case
    resemble each other; ranks are widened in proportion.
    """
    data = np.asarray(values, dtype=float)
    data = data if bool((data[1:] >= data[:-1]).all()) else np.sort(data)
    n = len(data)
    lower, upper = widened_ranks(n, q, level, effective_n=effective_n)
    return Interval(
        float(data[lower - 1]) if lower >= 1 else None,
        float(data[upper - 1]) if upper <= n else None,
    )


def effective_size(groups: Sequence[Sequence[float]]) -> float:
    """How many independent values grouped values are worth: N / (1 + (m − 1) · ICC).

    The intraclass correlation is that of ranks (one-way ANOVA), so a heavy tail does not drown it;
    never more than N, never fewer than the groups.
    """
    sizes = np.array([len(one) for one in groups], dtype=float)
    total, count = float(sizes.sum()), len(sizes)
    if count < 2 or total == count:
        return total if total == count else float(count)
    flat = np.concatenate([np.asarray(one, dtype=float) for one in groups])
    _, inverse, counts = np.unique(flat, return_inverse=True, return_counts=True)
    ranks = (np.cumsum(counts) - (counts - 1) / 2)[inverse]
    owner = np.repeat(np.arange(count), sizes.astype(int))
    correlation = intraclass_correlation(ranks, owner)
    mean_size = (total - float((sizes**2).sum()) / total) / (count - 1)
    worth = total / (1 + (mean_size - 1) * min(max(correlation, 0.0), 1.0))
    return min(max(worth, float(count)), total)


def intraclass_correlation(values: Floats, groups: npt.NDArray[np.intp]) -> float:
    """ICC(1) of one-way ANOVA; 1 when nothing varies within the groups, 0 when nothing varies."""
    sizes = np.bincount(groups).astype(float)
    total, count = float(len(values)), len(sizes)
    means = np.bincount(groups, weights=values) / sizes
    within = float(((values - means[groups]) ** 2).sum())
    between = float((sizes * (means - values.mean()) ** 2).sum())
    if not between + within:
        return 0.0
    msb, msw = between / (count - 1), within / (total - count)
    size = (total - float((sizes**2).sum()) / total) / (count - 1)
    return (msb - msw) / (msb + (size - 1) * msw)


NORMAL_FROM = 5_000
"""Cases above which the sums of resamples are drawn from their limit."""


def _moments(data: npt.NDArray[np.generic]) -> tuple[Floats, Floats]:
    """Mean and covariance of rows, a few thousand at a time.

    Of whole numbers they are the same in any order: their sums are exact, up to 2^53.
    """
    size, width = len(data), data.shape[1]
    total, products = np.zeros(width), np.zeros((width, width))
    step = _ROWS if data.dtype.kind == "i" else _ROUNDED
    for start in range(0, size, step):
        rows = data[start : start + step].astype(float)
        total += rows.sum(axis=0)
        products += rows.T @ rows
    mean = total / size
    return mean, products / size - np.outer(mean, mean)


def bootstrap_corpus(
    stats: Sequence[Sequence[float]] | Floats,
    corpus_value: Callable[[Sequence[float]], float],
    level: float = 0.95,
    *,
    resamples: int = 1000,
    seed: int = 0,
) -> Interval:
    """The percentile interval of a corpus metric: cases are drawn again, their statistics summed.

    ``stats`` has a row a case. The same seed gives the same interval whatever the order of the
    cases. Nothing when there is one case or all are the same: resampling then claims certainty.
    Of many cases the sums of a resample are drawn as what they then are, normal with the mean and
    covariance of the cases (Bickel and Freedman 1981): a million cases take what thousands do.
    """
    data = np.asarray(stats)
    n = len(data)
    if n <= NORMAL_FROM or data.dtype.kind != "i":
        data = data.astype(float)
        data = data[np.lexsort(data.T[::-1])]
    if n < 2 or all(
        bool((data[start : start + _ROWS] == data[0]).all()) for start in range(0, n, _ROWS)
    ):
        return NOTHING
    generator = np.random.default_rng(seed)
    if n > NORMAL_FROM:
        mean, covariance = _moments(data)
        sums = generator.multivariate_normal(
            n * mean, n * covariance, size=resamples, method="eigh"
        )
        values = [corpus_value(one) for one in np.maximum(sums, 0.0).tolist()]
    else:
        # one resample at a time stays in the processor's cache: three times as fast as many
        values = [
            corpus_value(
                (np.bincount(generator.integers(0, n, size=n), minlength=n) @ data).tolist()
            )
            for _ in range(resamples)
        ]
    low, high = np.quantile(values, [(1 - level) / 2, (1 + level) / 2])
    return NOTHING if low == high else Interval(float(low), float(high))
