"""Scores of many trials into one number with its interval.

Repeats are aggregated within their case first; the case is the unit. Nothing here reads or writes.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from evalkit.model import Metric

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from evalkit.stats.intervals import Floats, Interval

    Places: TypeAlias = npt.NDArray[np.intp]
    Passed: TypeAlias = Sequence[bool | None] | npt.NDArray[np.bool_]
    Cases: TypeAlias = Sequence[str] | npt.NDArray[np.integer]

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
    values: Sequence[float] | Floats,
    passed: Passed,
    case_ids: Cases,
    stats: Sequence[Sequence[float]] | Floats = (),
    *,
    bounds: tuple[float, float] = (-math.inf, math.inf),
    level: float = LEVEL,
    seed: int = 0,
) -> Estimate:
    """One metric of the scored trials of one scorer.

    ``values``, ``passed``, ``case_ids`` (and ``stats``, for corpus metrics) have one entry a scored
    trial; unscored trials and errors are left out by the caller and reported as such. Cases are
    named by texts or numbers; NumPy's arrays are fastest. ``bounds`` is the scorer's declared
    range; without it a mean without variance has no interval. The result does not depend on the
    order. Raises ``ValueError`` for unequal lengths and for NaN.
    """
    import numpy as np

    if not len(values) == len(passed) == len(case_ids):
        raise ValueError("values, passed and case_ids must be equally long")
    data = np.asarray(values, dtype=float)
    if not np.isfinite(data).all():
        raise ValueError("a score that is not finite cannot be aggregated")
    if metric.kind == "rate":
        return _rate(passed, case_ids, level, counts=metric.counts)
    if not len(data):
        return _nothing(level)
    owner, n = _owners(case_ids)
    if metric.kind == "mean":
        return _mean(data, owner, n, bounds, level)
    if metric.kind == "quantile":
        return _quantile(data, owner, n, metric, level)
    if metric.kind == "total":
        value = math.fsum(data.tolist())
        return Estimate(value=value, low=None, high=None, n=n, method="sum", level=level)
    return _corpus(data, owner, n, stats, metric, bounds=bounds, level=level, seed=seed)


def _nothing(level: float) -> Estimate:
    return Estimate(value=None, low=None, high=None, n=0, method="none", level=level)


def _owners(case_ids: Cases) -> tuple[Places, int]:
    """The number of the case of every entry, from 0 in the order of appearance, and how many."""
    import numpy as np

    if isinstance(case_ids, np.ndarray) and bool((case_ids[1:] > case_ids[:-1]).all()):
        return np.arange(len(case_ids)), len(case_ids)
    names = case_ids.tolist() if isinstance(case_ids, np.ndarray) else case_ids
    codes: dict[object, int] = {}
    owner = [codes.setdefault(case, len(codes)) for case in names]
    return np.array(owner, dtype=np.intp), len(codes)


def by_case(values: Sequence[float], case_ids: Sequence[str]) -> dict[str, list[float]]:
    """The values of every case, in the order the cases appear."""
    found: dict[str, list[float]] = {}
    for value, case in zip(values, case_ids, strict=True):
        found.setdefault(case, []).append(value)
    return found


def _grouped(values: Floats, owner: Places, n: int) -> list[list[float]]:
    found: list[list[float]] = [[] for _ in range(n)]
    for value, case in zip(values.tolist(), owner.tolist(), strict=True):
        found[case].append(value)
    return found


def _case_means(values: Floats, owner: Places, n: int) -> Floats:
    import numpy as np

    if n == len(values):
        return values
    cases = _grouped(values, owner, n)
    return np.array([one[0] if len(one) == 1 else math.fsum(one) / len(one) for one in cases])


def _estimate(value: float, interval: Interval, n: int, method: str, level: float) -> Estimate:
    # rounding in the last place must not leave the value outside its own interval
    low = None if interval.low is None else min(interval.low, value)
    high = None if interval.high is None else max(interval.high, value)
    if low is None and high is None:
        method += ", no interval"
    return Estimate(value=value, low=low, high=high, n=n, method=method, level=level)


def _mean(
    values: Floats, owner: Places, n: int, bounds: tuple[float, float], level: float
) -> Estimate:
    from evalkit.stats.intervals import mean_guarded

    means = _case_means(values, owner, n)
    interval, guarded = mean_guarded(means, bounds, level)
    method = "t with two pseudo-cases" if guarded else "t"
    return _estimate(math.fsum(means.tolist()) / n, interval, n, method, level)


def _rate(passed: Passed, case_ids: Cases, level: float, *, counts: bool) -> Estimate:
    import numpy as np

    from evalkit.stats.intervals import mean_guarded, wilson

    # None, for what was not decided, becomes NaN
    marks = np.array(passed, dtype=float)
    known = ~np.isnan(marks)
    decided = marks[known] if counts else 1.0 - marks[known]
    cases = case_ids
    if isinstance(case_ids, np.ndarray):
        cases = case_ids[known]
    elif not known.all():
        cases = [case_ids[place] for place in np.flatnonzero(known).tolist()]
    if not len(decided):
        return _nothing(level)
    owner, n = _owners(cases)
    shares = _case_means(decided, owner, n)
    value = math.fsum(shares.tolist()) / n
    if bool(((shares == 0.0) | (shares == 1.0)).all()):
        return _estimate(value, wilson(int(shares.sum()), n, level), n, "wilson", level)
    interval, guarded = mean_guarded(shares, (0.0, 1.0), level)
    method = "t with two pseudo-cases" if guarded else "t"
    return _estimate(value, interval, n, method, level)


def _quantile(values: Floats, owner: Places, n: int, metric: Metric, level: float) -> Estimate:
    import numpy as np

    from evalkit.stats.intervals import effective_size, quantile_interval, quantile_rank

    if metric.q is None or not 0 < metric.q < 1:
        raise ValueError(f"metric {metric.name!r} needs a quantile between 0 and 1")
    # the tail is in the trials: averaging repeats first would hide the slow ones. That repeats of
    # one case resemble each other is paid for in the interval instead.
    worth = float(n)
    if n < len(values):
        worth = effective_size(sorted(map(sorted, _grouped(values, owner, n))))
    ordered = np.sort(values)
    value = float(ordered[quantile_rank(len(values), metric.q) - 1])
    interval = quantile_interval(ordered, metric.q, level, effective_n=worth)
    return _estimate(value, interval, n, "order statistics", level)


def _corpus(
    values: Floats,
    owner: Places,
    n: int,
    stats: Sequence[Sequence[float]] | Floats,
    metric: Metric,
    *,
    bounds: tuple[float, float],
    level: float,
    seed: int,
) -> Estimate:
    from evalkit.stats.intervals import bootstrap_corpus, mean_guarded

    if metric.corpus_value is None:
        raise ValueError(f"metric {metric.name!r} has no way to compute its value")
    if len(stats) != len(values) or not all(map(len, stats)):
        raise ValueError("a corpus metric needs the statistics of every score")
    data = _case_stats(stats, owner, n)
    # a column at a time: as Python's numbers they take ten times the memory
    value = metric.corpus_value([math.fsum(column.tolist()) for column in data.T])
    interval = bootstrap_corpus(data, metric.corpus_value, level, seed=seed)
    method = "bootstrap"
    if interval.low is None:
        # every resample is the same: as for a mean without variance, the bounds stand in
        interval, guarded = mean_guarded([value] * n, bounds, level)
        method = "t with two pseudo-cases" if guarded else "bootstrap"
    return _estimate(value, interval, n, method, level)


def _case_stats(stats: Sequence[Sequence[float]] | Floats, owner: Places, n: int) -> Floats:
    """A row a case: the mean of its trials' statistics, so that every case weighs the same."""
    import numpy as np

    data = np.asarray(stats)
    if n == len(data):
        # whole numbers stay what they are: a few bytes each
        return data if data.dtype.kind == "i" else data.astype(float)
    sums = np.zeros((n, data.shape[1]))
    np.add.at(sums, owner, data)
    return sums / np.bincount(owner)[:, None]
