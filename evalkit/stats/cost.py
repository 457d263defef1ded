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
    """As ``paired_log_ratio``, with two pseudo-cases while nearly all cases share one ratio.

    One came out twice as dear as that ratio says and one half as dear. Equal answers at a new price
    have one ratio in every case: without the guard their variance is 0 and a doubled price could
    not be shown. Added when some cases share the ratio and fewer than 20 do not.
    """
    value, residuals = _residuals(candidate, baseline)
    off = int((np.abs(residuals) > 1e-9).sum())
    if off >= min(SPARSE, len(residuals)):
        return paired_log_ratio(candidate, baseline)
    _, se = mean_and_se(np.append(residuals, (math.log(2), -math.log(2))))
    return Pivot(value=value, centre=value, se=se, df=len(residuals) + 1)


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
