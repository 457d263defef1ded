"""Quantiles of latency: against a limit by counting, between two runs by resampling ranks.

Samples are live, and independent unless they are said to hang together; higher is worse, seconds or
any unit. Both comparisons assume that the two sides were measured interleaved: a day effect of the
provider is not in the data.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np

from evalkit.stats.clusters import Numbers, clustered_level
from evalkit.stats.evidence import Both, Resampled
from evalkit.stats.intervals import Floats, Interval, quantile_rank
from evalkit.stats.single_rates import ExactRate

TAIL = 10
"""The fewest clusters in the tail of a quantile that tell how much it varies between them."""


def exceedance(values: Sequence[float] | Floats, limit: float) -> ExactRate:
    """How many values lie above ``limit``: the q quantile is within it iff their rate is ≤ 1 − q.

    Test the result against 1 − q: ``p_below`` small shows that the limit holds, ``p_above`` that it
    is broken. Exact for any distribution; p95 can be shown from 59 values on.
    """
    data = _samples(values)
    return ExactRate(events=int((data > limit).sum()), n=len(data))


def clustered_exceedance(values: Floats, clusters: Numbers, limit: float) -> Both:
    """As ``exceedance`` of values that hang together: a level of clusters, see ``clustered_level``.

    Slow answers come in clusters even where most answers of one differ: what they are worth as a
    whole (``effective_size``) passed up to 26 % of limits that were broken.
    """
    return clustered_level((values > limit).astype(float), clusters, (0.0, 1.0))


def clustered_ends(
    slow: Floats, fast: Floats, clusters: Numbers, q: float, level: float
) -> Interval:
    """The limits that are neither shown to be broken nor to hold, by ``clustered_exceedance``.

    ``slow`` and ``fast`` are the values with what is missing at either end, infinity or 0.
    """
    alpha = (1 - level) / 2

    def first(values: Floats, holds: Callable[[float], bool]) -> float | None:
        """The smallest value from which on all hold, as one that is exceeded less does."""
        ordered = np.unique(values)
        low, high = -1, len(ordered)
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (low, middle) if holds(float(ordered[middle])) else (middle, high)
        return float(ordered[high]) if high < len(ordered) else None

    high = first(
        slow, lambda one: clustered_exceedance(slow, clusters, one).p_below(1 - q) <= alpha
    )
    low = first(fast, lambda one: clustered_exceedance(fast, clusters, one).p_above(1 - q) > alpha)
    none_below = clustered_exceedance(fast, clusters, -math.inf).p_above(1 - q) > alpha
    return Interval(None if none_below else low, high)


def clusters_for_quantile(q: float, *, alpha: float = 0.05) -> int:
    """The fewest clusters of one size with which the q quantile can be shown to be within a limit.

    p95 52; fewer show nothing even where no value exceeds it.
    """
    _check_quantile(q)
    count = samples_for_quantile(q, alpha=alpha) // 2
    while clustered_exceedance(np.zeros(count), np.arange(count), 0.0).p_below(1 - q) > alpha:
        count += 1
    return count


def samples_for_quantile(q: float, *, alpha: float = 0.05) -> int:
    """The fewest samples with which the q quantile can be shown to be within a limit: p95 59."""
    _check_quantile(q)
    return math.ceil(math.log(alpha) / math.log(q) - 1e-9)


def samples_for_ratio(q: float) -> int:
    """The fewest samples a side for ``quantile_log_ratio``: ten in the tail, 200 for p95."""
    _check_quantile(q)
    return math.ceil(10 / (1 - q) - 1e-9)


def quantile_log_ratio(
    candidate: Sequence[float] | Floats,
    baseline: Sequence[float] | Floats,
    q: float,
    *,
    resamples: int = 10_000,
    seed: int = 0,
) -> Resampled:
    """log(candidate quantile ÷ baseline quantile), bootstrapped; above 0 the candidate is slower.

    The bootstrap of an order statistic needs no resampling of the data: its rank is ⌈n·Beta(r, n −
    r + 1)⌉ with r = ⌈nq⌉ (Efron 1982, 10.2, the quantile transform of ``order_statistic_pmf``), so
    100,000 samples cost what 100 do. Swapping the sides negates every draw. Raises ``ValueError``
    for values that are not positive.
    """
    new, old = _samples(candidate), _samples(baseline)
    if min(new.min(), old.min()) <= 0:
        raise ValueError("a ratio of quantiles needs positive values")
    seeds = (np.random.SeedSequence(entropy=seed, spawn_key=(side,)) for side in (0, 1))
    if _swapped(new, old):
        flipped = quantile_log_ratio(old, new, q, resamples=resamples, seed=seed)
        return Resampled.of(-flipped.value, -flipped.draws)
    draws, points = [], []
    for data, sequence in zip((new, old), seeds, strict=True):
        draws.append(np.log(_resampled_quantile(data, q, resamples, sequence)))
        points.append(math.log(data[quantile_rank(len(data), q) - 1]))
    return Resampled.of(points[0] - points[1], draws[0] - draws[1])


def clustered_log_ratio(
    candidate: Floats,
    baseline: Floats,
    clusters: tuple[Numbers, Numbers],
    q: float,
    *,
    resamples: int = 10_000,
    seed: int = 0,
) -> Resampled:
    """As ``quantile_log_ratio`` of values that hang together; the clusters are those of both sides.

    The shares below both quantiles vary as clusters do (CR1), and together where the sides ask the
    same; each draw is a pair of such shares, from Student's t with G − 1 degrees of freedom, read
    off the ordered values (Woodruff 1952). With fewer than ``TAIL`` clusters in a tail, see
    ``tail_clusters``, it is not known how much they vary.
    """
    sides, shares, centres = [], [], []
    names, owner = np.unique(np.concatenate(clusters), return_inverse=True)
    count = len(names)
    for data, own in (
        (candidate, owner[: len(candidate)]),
        (baseline, owner[len(candidate) :]),
    ):
        ordered = _samples(data)
        rank = quantile_rank(len(ordered), q)
        below = np.asarray(data) <= ordered[rank - 1]
        sizes = np.bincount(own, minlength=count)
        inside = np.bincount(own[below], minlength=count)
        share = int(below.sum()) / len(ordered)
        sides.append(ordered)
        shares.append((inside - share * sizes) / len(ordered))
        centres.append(rank / len(ordered))
    if min(one[0] for one in sides) <= 0:
        raise ValueError("a ratio of quantiles needs positive values")
    points = [math.log(ordered[quantile_rank(len(ordered), q) - 1]) for ordered in sides]
    if count < 2:
        return Resampled.of(points[0] - points[1], [points[0] - points[1]])
    moved = np.array(shares)
    first = 1 if _swapped(sides[0], sides[1]) else 0
    noise = np.random.default_rng(seed).standard_normal((2, resamples))
    wide = np.random.default_rng([seed, 1]).chisquare(count - 1, resamples)
    covariance = moved @ moved.T * count / (count - 1)
    a, b, c = covariance[first, first], covariance[1 - first, 1 - first], covariance[0, 1]
    slope = c / a if a > 0 else 0.0
    rest = math.sqrt(max(b - slope * c, 0.0))
    draws = np.empty((2, resamples))
    draws[first] = math.sqrt(a) * noise[0]
    draws[1 - first] = slope * draws[first] + rest * noise[1]
    draws *= np.sqrt((count - 1) / wide)
    found = []
    for ordered, centre, drawn in zip(sides, centres, draws, strict=True):
        n = len(ordered)
        places = np.ceil(n * (centre + drawn) - 0.5).astype(np.intp)
        found.append(np.log(ordered[np.clip(places, 1, n) - 1]))
    return Resampled.of(points[0] - points[1], found[0] - found[1])


def tail_clusters(values: Floats, clusters: Numbers, q: float) -> int:
    """How many clusters have a value at or above the q quantile, or at or below it if fewer do."""
    limit = _samples(values)[quantile_rank(len(values), q) - 1]
    return min(len(np.unique(clusters[side])) for side in (values >= limit, values <= limit))


def _swapped(new: Floats, old: Floats) -> bool:
    """Whether the sides stand in the order that is not drawn for: so swapping them is exact."""
    if len(new) != len(old):
        return len(new) > len(old)
    different = np.flatnonzero(new != old)
    return bool(len(different)) and bool(new[different[0]] > old[different[0]])


def _resampled_quantile(
    data: Floats, q: float, resamples: int, seed: np.random.SeedSequence
) -> Floats:
    n = len(data)
    rank = quantile_rank(n, q)
    share = np.random.default_rng(seed).beta(rank, n - rank + 1, size=resamples)
    drawn: Floats = data[np.clip(np.ceil(n * share).astype(np.intp), 1, n) - 1]
    return drawn


def order_statistic_pmf(n: int, rank: int) -> Floats:
    """The exact bootstrap distribution of the ``rank``-th of n ordered values over those values.

    P(x₍ᵢ₎) = I(i/n; r, n − r + 1) − I((i − 1)/n; r, n − r + 1), I the regularised incomplete beta
    function (Hutson and Ernst 2000).
    """
    from scipy.special import betainc

    below: Floats = betainc(rank, n - rank + 1, np.arange(n + 1) / n)
    return np.diff(below)


def tail_share_p(
    candidate: Sequence[float] | Floats, baseline: Sequence[float] | Floats, q: float
) -> float:
    """The p-value of "the candidate has its fair share of the pooled slowest"; small is slower.

    Exact (hypergeometric) for any distribution without ties at the pooled quantile, if a little
    less powerful than the bootstrap: for samples too few for ``quantile_log_ratio``.
    """
    new, old = _samples(candidate), _samples(baseline)
    pooled = np.sort(np.concatenate([new, old]))
    limit = pooled[quantile_rank(len(pooled), q) - 1]
    above = int((new > limit).sum())
    return tail_share(above, int((pooled > limit).sum()), len(new), len(old))


def tail_share(candidate_above: int, pooled_above: int, candidates: int, baselines: int) -> float:
    """P(at least ``candidate_above`` of the pooled slowest are the candidate's) by chance."""
    from scipy.stats import hypergeom

    total = candidates + baselines
    return float(hypergeom.sf(candidate_above - 1, total, pooled_above, candidates))


def _check_quantile(q: float) -> None:
    if not 0 < q < 1:
        raise ValueError(f"a quantile lies between 0 and 1, not at {q!r}")


def _samples(values: Sequence[float] | Floats) -> Floats:
    data = np.sort(np.asarray(values, dtype=float))
    if data.ndim != 1 or not len(data) or not np.isfinite(data).all():
        raise ValueError("samples must be finite numbers, and there must be some")
    return data
