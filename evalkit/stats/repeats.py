"""Several trials of one case: their mean, their noise, and how often they disagree."""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from evalkit.stats.intervals import Floats


@dataclass(frozen=True, slots=True, kw_only=True)
class CaseMoments:
    """Mean, unbiased variance and number of the trials of each case; NaN variance of one trial."""

    means: Floats
    variances: Floats
    trials: npt.NDArray[np.intp]

    @property
    def n(self) -> int:
        """How many cases."""
        return len(self.means)

    def of_cases(self, selected: npt.NDArray[np.intp] | Sequence[int]) -> CaseMoments:
        """The same for some of the cases, in the order asked for."""
        rows = np.asarray(selected, dtype=np.intp)
        return CaseMoments(
            means=self.means[rows], variances=self.variances[rows], trials=self.trials[rows]
        )

    def certain(self, mask: npt.NDArray[np.bool_]) -> CaseMoments:
        """The same with cases that cannot come out otherwise, whatever their trials varied."""
        variances = np.where(mask, 0.0, self.variances)
        return CaseMoments(means=self.means, variances=variances, trials=self.trials)


def case_moments(
    values: Sequence[float] | Floats, cases: Sequence[int] | npt.NDArray[np.intp]
) -> CaseMoments:
    """One entry a case number from 0 on; both arguments have one entry a trial.

    The same in whatever order the trials are listed. Raises ``ValueError`` when a case number
    below the highest has no trial, and for NaN.
    """
    data, owner = np.asarray(values, dtype=float), np.asarray(cases, dtype=np.intp)
    if data.shape != owner.shape or data.ndim != 1 or not len(data):
        raise ValueError("every value needs its case")
    if not np.isfinite(data).all():
        raise ValueError("a value that is not finite cannot be aggregated")
    order = np.lexsort((data, owner))
    data, owner = data[order], owner[order]
    trials = np.bincount(owner)
    if not trials.all():
        raise ValueError("a case has no trial")
    means = np.bincount(owner, weights=data) / trials
    squares = np.bincount(owner, weights=(data - means[owner]) ** 2)
    squares[data[np.cumsum(trials) - 1] == data[np.cumsum(trials) - trials]] = 0.0
    with np.errstate(invalid="ignore", divide="ignore"):
        variances = np.where(trials > 1, squares / (trials - 1), np.nan)
    return CaseMoments(means=means, variances=variances, trials=trials)


def case_numbers(case_ids: Sequence[Hashable]) -> npt.NDArray[np.intp]:
    """Number the cases from 0 on, in the order they appear."""
    codes: dict[Hashable, int] = {}
    return np.array([codes.setdefault(one, len(codes)) for one in case_ids], dtype=np.intp)


def suite_se(moments: CaseMoments) -> float:
    """The standard error of the mean over exactly these cases: only their trials vary.

    √(Σ s²ᵢ/kᵢ) ÷ n; cases with one trial say nothing of it and raise ``ValueError``.
    """
    if (moments.trials < 2).any():
        raise ValueError("the noise within a case needs two trials of it")
    return math.sqrt(math.fsum((moments.variances / moments.trials).tolist())) / moments.n


def population_se(moments: CaseMoments) -> float:
    """The standard error of the mean over cases like these: sd of the case means ÷ √n."""
    from evalkit.stats.paired_means import mean_and_se

    return mean_and_se(moments.means)[1]


def disagreement(moments: CaseMoments) -> float:
    """The chance that two trials of one case differ in pass/fail: twice the mean variance."""
    return 2 * float(np.nanmean(moments.variances))


def pass_at_k(n: int, successes: int, k: int) -> float:
    """The chance that at least one of k trials passes, unbiased from ``successes`` of n.

    1 − C(n − c, k) ÷ C(n, k) (Chen et al. 2021). Then aggregate over cases by t. Raises
    ``ValueError`` unless 1 ≤ k ≤ n and 0 ≤ successes ≤ n.
    """
    _check_k(n, successes, k)
    return 1 - math.comb(n - successes, k) / math.comb(n, k)


def pass_hat_k(n: int, successes: int, k: int) -> float:
    """The chance that all of k trials pass, unbiased from ``successes`` of n.

    C(c, k) ÷ C(n, k) (Yao et al. 2024, tau-bench). Raises as ``pass_at_k``.
    """
    _check_k(n, successes, k)
    return math.comb(successes, k) / math.comb(n, k)


def _check_k(n: int, successes: int, k: int) -> None:
    if not (1 <= k <= n and 0 <= successes <= n):
        raise ValueError(f"{k} of {n} trials with {successes} passed is not possible")


def flakiness(passes: int, trials: int, *, low: float = 0.05, high: float = 0.95) -> float:
    """The posterior chance that a case neither nearly always passes nor nearly always fails.

    P(low < p < high) after Jeffreys' prior, Beta(passes + ½, fails + ½).
    """
    from scipy.special import betainc

    a, b = passes + 0.5, trials - passes + 0.5
    return float(betainc(a, b, high) - betainc(a, b, low))


def expected_disagreement(passes: int, trials: int) -> float:
    """The posterior chance that two more trials of the case disagree: 2·E[p(1 − p)], Jeffreys."""
    a, b = passes + 0.5, trials - passes + 0.5
    return 2 * a * b / ((a + b) * (a + b + 1))


def must_pass_false_block(
    pass_rate: float, cases: int, *, confirm: int, all_must_fail: bool = False
) -> float:
    """How often ``cases`` sound cases, each passing at ``pass_rate``, block an unchanged candidate.

    A failing case is tried ``confirm`` more times and blocks if any of those fails, or only if all
    do. 30 cases at 99.5 %: 14 % without confirmation, 0.15 % with two.
    """
    fails = 1 - pass_rate
    if confirm and all_must_fail:
        fails **= 1 + confirm
    elif confirm:
        fails *= 1 - pass_rate**confirm
    return -math.expm1(cases * math.log1p(-fails)) if fails < 1 else 1.0
