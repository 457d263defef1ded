"""What the same cases cost before and after: the ratio of the two bills."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from evalkit.stats.evidence import Pivot
from evalkit.stats.intervals import SPARSE, Floats
from evalkit.stats.paired_means import checked, mean_and_se

INDIFFERENCE = math.log(1.02)
"""Rises up to 2 % are not called a rise: the delta method is 1 to 3 points optimistic."""


def paired_log_ratio(
    candidate: Sequence[float] | Floats, baseline: Sequence[float] | Floats
) -> Pivot:
    """log(mean candidate cost ÷ mean baseline cost), paired; above 0 the candidate is dearer.

    Delta method on the log scale: the standard error is that of c/mean(c) − b/mean(b), case by case
    (Fieller's problem; Deng, Knoblich and Lu 2018), t with n − 1. The ratio of the bills, not the
    geometric mean of the ratios, which says nothing of the bill. Same cases in the same order;
    dollars, tokens or any unit. Raises ``ValueError`` for negative costs and for a bill of 0.
    """
    value, residuals = _residuals(candidate, baseline)
    _, se = mean_and_se(residuals)
    return Pivot(value=value, centre=value, se=se, df=max(len(residuals) - 1, 1))


def guarded_log_ratio(
    candidate: Sequence[float] | Floats, baseline: Sequence[float] | Floats
) -> Pivot:
    """As ``paired_log_ratio``, for costs of which a few cases make most, or none differs.

    Bills have heavy tails: the variance of a sample without its dearest cases is too small, and the
    t covers too little. So the degrees of freedom are those that the kurtosis k of the residuals
    leaves the variance, 2n ÷ (k − 1) (the variance of a variance, matched as by Satterthwaite
    1946), n − 1 at most.

    Equal answers at a new price share one ratio in every case: their variance is 0 and a doubled
    price could not be shown. While some cases share the ratio and fewer than 20 do not, two pseudo-
    cases are added, one twice as dear as that ratio says and one half as dear.
    """
    value, residuals = _residuals(candidate, baseline)
    off = int((np.abs(residuals) > 1e-9).sum())
    n = len(residuals)
    if off < min(SPARSE, n):
        _, se = mean_and_se(np.append(residuals, (math.log(2), -math.log(2))))
        return Pivot(value=value, centre=value, se=se, df=n + 1)
    _, se = mean_and_se(residuals)
    return Pivot(value=value, centre=value, se=se, df=max(min(n - 1, _tail_df(residuals)), 1))


def _tail_df(residuals: Floats) -> float:
    squares = (residuals - residuals.mean()) ** 2
    second = math.fsum(squares.tolist()) / len(squares)
    if not second:
        return math.inf
    kurtosis = math.fsum((squares**2).tolist()) / len(squares) / second**2
    return 2 * len(squares) / (kurtosis - 1) if kurtosis > 1 else math.inf


def geometric_ratio(
    candidate: Sequence[float] | Floats, baseline: Sequence[float] | Floats
) -> float:
    """The typical case's ratio: reported beside the bill, never gated; costs must be positive."""
    new, old = checked(candidate), checked(baseline)
    if min(new.min(), old.min()) <= 0:
        raise ValueError("a geometric mean needs positive costs")
    return math.exp(math.fsum((np.log(new) - np.log(old)).tolist()) / len(new))


def _residuals(
    candidate: Sequence[float] | Floats, baseline: Sequence[float] | Floats
) -> tuple[float, Floats]:
    new, old = checked(candidate), checked(baseline)
    if new.shape != old.shape:
        raise ValueError("both sides must have a cost for every case")
    if min(new.min(), old.min()) < 0:
        raise ValueError("a cost cannot be negative")
    bills = math.fsum(new.tolist()), math.fsum(old.tolist())
    if min(bills) <= 0:
        raise ValueError("a ratio of bills needs both to be more than 0")
    n = len(new)
    return math.log(bills[0]) - math.log(bills[1]), new / (bills[0] / n) - old / (bills[1] / n)
