"""Quantiles of latency: against a limit by counting, between two runs by resampling ranks.

Samples are independent and live; higher is worse, seconds or any unit. Both comparisons assume that
the two sides were measured interleaved: a day effect of the provider is not in the data.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from evalkit.stats.evidence import Resampled
from evalkit.stats.intervals import Floats, quantile_rank
from evalkit.stats.single_rates import ExactRate


def exceedance(values: Sequence[float] | Floats, limit: float) -> ExactRate:
    """How many values lie above ``limit``: the q quantile is within it iff their rate is ≤ 1 − q.

    Test the result against 1 − q: ``p_below`` small shows that the limit holds, ``p_above`` that it
    is broken. Exact for any distribution; p95 can be shown from 59 values on.
    """
    data = _samples(values)
    return ExactRate(events=int((data > limit).sum()), n=len(data))


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
