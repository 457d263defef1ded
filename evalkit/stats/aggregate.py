"""Scores of many trials into one number with its interval.

Repeats are aggregated within their case first; the case is the unit. Nothing here reads or writes.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from evalkit.model import Metric

if TYPE_CHECKING:
    from evalkit.stats.intervals import Floats, Interval

LEVEL = 0.95


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """One aggregate with its interval.

    ``n`` counts cases. With n = 0 there is no estimate: value and both ends are ``None``. An end is
    ``None`` also where the data give no bound: too few samples for a high quantile, one case, no
    variance on an unbounded scale; a total has no interval because nothing is estimated.
    """

    value: float | None
    low: float | None
    high: float | None
    n: int
    method: str
    level: float = LEVEL


def summarise(
    metric: Metric,
    values: Sequence[float],
    passed: Sequence[bool | None],
    case_ids: Sequence[str],
    stats: Sequence[Sequence[float]] = (),
    *,
    bounds: tuple[float, float] = (-math.inf, math.inf),
    level: float = LEVEL,
    seed: int = 0,
) -> Estimate:
    """One metric of the scored trials of one scorer.

    ``values``, ``passed``, ``case_ids`` (and ``stats``, for corpus metrics) have one entry a scored
    trial; unscored trials and errors are left out by the caller and reported as such. ``bounds`` is
    the scorer's declared range; without it a mean without variance has no interval. The result does
    not depend on the order. Raises ``ValueError`` for unequal lengths and for NaN.
    """
    if not len(values) == len(passed) == len(case_ids):
        raise ValueError("values, passed and case_ids must be equally long")
    if not all(map(math.isfinite, values)):
        raise ValueError("a score that is not finite cannot be aggregated")
    if metric.kind == "rate":
        counted = [None if one is None else bool(one) is metric.counts for one in passed]
        return _rate(counted, case_ids, level)
    if not values:
        return _nothing(level)
    if metric.kind == "mean":
        return _mean(values, case_ids, bounds, level)
    if metric.kind == "quantile":
        return _quantile(values, case_ids, metric, level)
    if metric.kind == "total":
        n = len(set(case_ids))
        return Estimate(
            value=math.fsum(values), low=None, high=None, n=n, method="sum", level=level
        )
    return _corpus(values, case_ids, stats, metric, bounds=bounds, level=level, seed=seed)


def _nothing(level: float) -> Estimate:
    return Estimate(value=None, low=None, high=None, n=0, method="none", level=level)


def by_case(values: Sequence[float], case_ids: Sequence[str]) -> dict[str, list[float]]:
    """The values of every case, in the order the cases appear."""
    found: dict[str, list[float]] = {}
    for value, case in zip(values, case_ids, strict=True):
        found.setdefault(case, []).append(value)
    return found


def _case_means(values: Sequence[float], case_ids: Sequence[str]) -> list[float]:
    cases = by_case(values, case_ids).values()
    return [one[0] if len(one) == 1 else math.fsum(one) / len(one) for one in cases]


def _estimate(value: float, interval: Interval, n: int, method: str, level: float) -> Estimate:
    # rounding in the last place must not leave the value outside its own interval
    low = None if interval.low is None else min(interval.low, value)
    high = None if interval.high is None else max(interval.high, value)
    if low is None and high is None:
        method += ", no interval"
    return Estimate(value=value, low=low, high=high, n=n, method=method, level=level)


def _mean(
    values: Sequence[float], case_ids: Sequence[str], bounds: tuple[float, float], level: float
) -> Estimate:
    from evalkit.stats.intervals import mean_guarded

    means = _case_means(values, case_ids)
    interval, guarded = mean_guarded(means, bounds, level)
    method = "t with two pseudo-cases" if guarded else "t"
    return _estimate(math.fsum(means) / len(means), interval, len(means), method, level)


def _rate(passed: Sequence[bool | None], case_ids: Sequence[str], level: float) -> Estimate:
    from evalkit.stats.intervals import mean_guarded, wilson

    decided = [
        (float(one), case) for one, case in zip(passed, case_ids, strict=True) if one is not None
    ]
    if not decided:
        return _nothing(level)
    shares = _case_means([one for one, _ in decided], [case for _, case in decided])
    n = len(shares)
    value = math.fsum(shares) / n
    if all(one in {0.0, 1.0} for one in shares):
        return _estimate(value, wilson(int(sum(shares)), n, level), n, "wilson", level)
    interval, guarded = mean_guarded(shares, (0.0, 1.0), level)
    method = "t with two pseudo-cases" if guarded else "t"
    return _estimate(value, interval, n, method, level)


def _quantile(
    values: Sequence[float], case_ids: Sequence[str], metric: Metric, level: float
) -> Estimate:
    from evalkit.stats.intervals import effective_size, quantile_interval, quantile_rank

    if metric.q is None or not 0 < metric.q < 1:
        raise ValueError(f"metric {metric.name!r} needs a quantile between 0 and 1")
    cases = by_case(values, case_ids)
    # the tail is in the trials: averaging repeats first would hide the slow ones. That repeats of
    # one case resemble each other is paid for in the interval instead.
    worth = effective_size(sorted(map(sorted, cases.values())))
    value = sorted(values)[quantile_rank(len(values), metric.q) - 1]
    interval = quantile_interval(values, metric.q, level, effective_n=worth)
    return _estimate(value, interval, len(cases), "order statistics", level)


def _corpus(
    values: Sequence[float],
    case_ids: Sequence[str],
    stats: Sequence[Sequence[float]],
    metric: Metric,
    *,
    bounds: tuple[float, float],
    level: float,
    seed: int,
) -> Estimate:
    from evalkit.stats.intervals import bootstrap_corpus, mean_guarded

    if metric.corpus_value is None:
        raise ValueError(f"metric {metric.name!r} has no way to compute its value")
    if len(stats) != len(values) or not all(stats):
        raise ValueError("a corpus metric needs the statistics of every score")
    data = _case_stats(stats, case_ids)
    n = len(data)
    value = metric.corpus_value([math.fsum(column) for column in zip(*data.tolist(), strict=True)])
    interval = bootstrap_corpus(data, metric.corpus_value, level, seed=seed)
    method = "bootstrap"
    if interval.low is None:
        # every resample is the same: as for a mean without variance, the bounds stand in
        interval, guarded = mean_guarded([value] * n, bounds, level)
        method = "t with two pseudo-cases" if guarded else "bootstrap"
    return _estimate(value, interval, n, method, level)


def _case_stats(stats: Sequence[Sequence[float]], case_ids: Sequence[str]) -> Floats:
    """A row a case: the mean of its trials' statistics, so that every case weighs the same."""
    import numpy as np

    codes: dict[str, int] = {}
    owner = np.array([codes.setdefault(case, len(codes)) for case in case_ids])
    data = np.asarray(stats, dtype=float)
    if len(codes) == len(data):
        return data
    sums = np.zeros((len(codes), data.shape[1]))
    np.add.at(sums, owner, data)
    return sums / np.bincount(owner)[:, None]
