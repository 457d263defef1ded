"""Scores of many trials into one number with its interval.

Repeats are aggregated within their case first; the case is the unit. Nothing here reads or writes.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, TypeAlias

from evalkit.model import Metric

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from evalkit.stats.intervals import Floats, Interval

    Places: TypeAlias = npt.NDArray[np.intp]
    Passed: TypeAlias = Sequence[bool | None] | npt.NDArray[np.bool_ | np.int8]
    Cases: TypeAlias = Sequence[str] | range | npt.NDArray[np.integer]
    Stats: TypeAlias = Sequence[Sequence[float]] | npt.NDArray[np.integer | np.floating]

LEVEL = 0.95
_CASES = 10_000
"""Cases whose trials are averaged at a time."""


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
    values: Sequence[float] | Floats,
    passed: Passed,
    case_ids: Cases,
    stats: Stats = (),
    *,
    bounds: tuple[float, float] = (-math.inf, math.inf),
    level: float = LEVEL,
    seed: int = 0,
) -> Estimate:
    """One metric of the scored trials of one scorer.

    ``values``, ``passed``, ``case_ids`` (and ``stats``, for corpus metrics) have one entry a scored
    trial; unscored trials and errors are left out by the caller and reported as such. Cases are
    named by texts or numbers; NumPy's arrays are fastest, and a ``range`` where every case has one
    entry. ``passed`` is ``None``, or a number below 0, where nothing was decided. ``bounds`` is the
    scorer's declared range; without it a mean without variance has no interval. The result does not
    depend on the order. Raises ``ValueError`` for unequal lengths and for NaN.
    """
    import numpy as np

    if not len(values) == len(passed) == len(case_ids):
        raise ValueError("values, passed and case_ids must be equally long")
    data = np.asarray(values, dtype=float)
    if not np.isfinite(data).all():
        raise ValueError("a score that is not finite cannot be aggregated")
    if metric.kind == "rate":
        return _rate(passed, case_ids, level, counts=metric.counts)
    if metric.kind == "corpus":
        return summarise_sums(metric, case_ids, stats, bounds=bounds, level=level, seed=seed)
    if not len(data):
        return _nothing(level)
    owner, n = _owners(case_ids)
    if metric.kind == "mean":
        return _mean(data, owner, n, bounds, level)
    if metric.kind == "quantile":
        return _quantile(data, owner, n, metric, level)
    return Estimate(value=_sum(data), low=None, high=None, n=n, method="sum", level=level)


def summarise_sums(
    metric: Metric,
    case_ids: Cases,
    stats: Stats,
    *,
    bounds: tuple[float, float] = (-math.inf, math.inf),
    level: float = LEVEL,
    seed: int = 0,
) -> Estimate:
    """A corpus metric of the scored trials of one scorer: the rest of ``summarise`` without scores.

    Raises ``ValueError`` unless every trial has statistics, and all equally many.
    """
    from evalkit.stats.intervals import bootstrap_corpus, mean_guarded

    if not len(case_ids):
        return _nothing(level)
    if metric.corpus_value is None:
        raise ValueError(f"metric {metric.name!r} has no way to compute its value")
    owner, n = _owners(case_ids)
    data = _case_stats(stats, owner, n, len(case_ids))
    value = metric.corpus_value([_sum(column) for column in data.T])
    interval = bootstrap_corpus(data, metric.corpus_value, level, seed=seed)
    method = "bootstrap"
    if interval.low is None:
        # every resample is the same: as for a mean without variance, the bounds stand in
        interval, guarded = mean_guarded([value] * n, bounds, level)
        method = "t with two pseudo-cases" if guarded else "bootstrap"
    return _estimate(value, interval, n, method, level)


def _nothing(level: float) -> Estimate:
    return Estimate(value=None, low=None, high=None, n=0, method="none", level=level)


def _owners(case_ids: Cases) -> tuple[Places | None, int]:
    """The number of the case of every entry, and how many; no numbers when each has one entry."""
    import numpy as np

    size = len(case_ids)
    if isinstance(case_ids, range):
        return None, size
    if isinstance(case_ids, np.ndarray):
        if bool((case_ids[1:] > case_ids[:-1]).all()):
            return None, size
        known, owner = np.unique(case_ids, return_inverse=True)
        return (None if len(known) == size else owner), len(known)
    codes: dict[object, int] = {}
    numbers = [codes.setdefault(case, len(codes)) for case in case_ids]
    return (None if len(codes) == size else np.array(numbers, dtype=np.intp)), len(codes)


def _sum(values: Floats) -> float:
    from evalkit.stats.intervals import exact_sum

    return exact_sum(values)


def _grouped(values: Floats, owner: Places, n: int) -> list[list[float]]:
    found: list[list[float]] = [[] for _ in range(n)]
    for value, case in zip(values.tolist(), owner.tolist(), strict=True):
        found[case].append(value)
    return found


def _case_means(values: Floats, owner: Places | None, n: int) -> Floats:
    import numpy as np

    if owner is None:
        return values
    trials = np.bincount(owner)
    if trials.max() <= 2:
        # a sum of two is rounded once, as it should be
        return np.bincount(owner, weights=values) / trials
    ordered = values[np.argsort(owner, kind="stable")]
    ends = np.cumsum(trials)
    means = np.empty(n)
    for first in range(0, n, _CASES):
        its = trials[first : first + _CASES].tolist()
        at = int(ends[first]) - its[0]
        numbers = iter(ordered[at : at + sum(its)].tolist())
        means[first : first + len(its)] = [math.fsum(islice(numbers, size)) / size for size in its]
    return means


def _estimate(value: float, interval: Interval, n: int, method: str, level: float) -> Estimate:
    # rounding in the last place must not leave the value outside its own interval
    low = None if interval.low is None else min(interval.low, value)
    high = None if interval.high is None else max(interval.high, value)
    if low is None and high is None:
        method += ", no interval"
    return Estimate(value=value, low=low, high=high, n=n, method=method, level=level)


def _mean(
    values: Floats, owner: Places | None, n: int, bounds: tuple[float, float], level: float
) -> Estimate:
    from evalkit.stats.intervals import mean_guarded

    means = _case_means(values, owner, n)
    interval, guarded = mean_guarded(means, bounds, level)
    method = "t with two pseudo-cases" if guarded else "t"
    return _estimate(_sum(means) / n, interval, n, method, level)


def _rate(passed: Passed, case_ids: Cases, level: float, *, counts: bool) -> Estimate:
    import numpy as np

    from evalkit.stats.intervals import mean_guarded, wilson

    marks = _marks(passed)
    known = marks >= 0
    if not known.any():
        return _nothing(level)
    cases = case_ids
    if not known.all():
        marks = marks[known]
        places = np.flatnonzero(known)
        cases = (
            np.asarray(case_ids)[places]
            if isinstance(case_ids, np.ndarray | range)
            else [case_ids[place] for place in places.tolist()]
        )
    decided = marks == (1 if counts else 0)
    owner, n = _owners(cases)
    if owner is None:
        successes = int(np.count_nonzero(decided))
        return _estimate(successes / n, wilson(successes, n, level), n, "wilson", level)
    shares = _case_means(decided.astype(float), owner, n)
    value = _sum(shares) / n
    if bool(((shares == 0.0) | (shares == 1.0)).all()):
        return _estimate(value, wilson(int(shares.sum()), n, level), n, "wilson", level)
    interval, guarded = mean_guarded(shares, (0.0, 1.0), level)
    method = "t with two pseudo-cases" if guarded else "t"
    return _estimate(value, interval, n, method, level)


def _marks(passed: Passed) -> npt.NDArray[np.int8]:
    """1 for passed, 0 for not, below 0 for what was not decided."""
    import numpy as np

    if isinstance(passed, np.ndarray):
        return passed.astype(np.int8, copy=False)
    return np.array([-1 if one is None else one for one in passed], dtype=np.int8)


def _quantile(
    values: Floats, owner: Places | None, n: int, metric: Metric, level: float
) -> Estimate:
    import numpy as np

    from evalkit.stats.intervals import effective_size, quantile_interval, quantile_rank

    if metric.q is None or not 0 < metric.q < 1:
        raise ValueError(f"metric {metric.name!r} needs a quantile between 0 and 1")
    # the tail is in the trials: averaging repeats first would hide the slow ones. That repeats of
    # one case resemble each other is paid for in the interval instead.
    worth = float(n)
    if owner is not None:
        worth = effective_size(sorted(map(sorted, _grouped(values, owner, n))))
    ordered = values if bool((values[1:] >= values[:-1]).all()) else np.sort(values)
    value = float(ordered[quantile_rank(len(values), metric.q) - 1])
    interval = quantile_interval(ordered, metric.q, level, effective_n=worth)
    return _estimate(value, interval, n, "order statistics", level)


def _case_stats(stats: Stats, owner: Places | None, n: int, rows: int) -> Floats:
    """A row a case: the mean of its trials' statistics, so that every case weighs the same."""
    import numpy as np

    if len(stats) != rows or not (isinstance(stats, np.ndarray) or all(map(len, stats))):
        raise ValueError("a corpus metric needs the statistics of every score")
    data = np.asarray(stats)
    if owner is None:
        # whole numbers stay what they are: a few bytes each
        return data if data.dtype.kind == "i" else data.astype(float)
    sums = np.zeros((n, data.shape[1]))
    np.add.at(sums, owner, data)
    return sums / np.bincount(owner)[:, None]
