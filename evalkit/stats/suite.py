"""Did the expected score on exactly these cases fall? The claim that needs the fewest calls.

Most cases nearly always pass or nearly always fail, so the noise between two runs of one suite is
far below the textbook error bar. Three or more stored baseline runs measure it: a drop of 3 points
on 200 low-noise cases is then seen in 91 % of runs, by the paired t in 42 %. Nothing is claimed of
cases not in the suite: print the population interval too.

Assumptions: trials of a case are independent; a candidate with one trial a case is as noisy within
a case as the baseline; no shock shared by a whole run (``shock_ratio`` checks that).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from evalkit.stats.evidence import Pivot
from evalkit.stats.intervals import SPARSE, Floats
from evalkit.stats.paired_means import checked, mean_and_se
from evalkit.stats.repeats import CaseMoments

SHOCK = 1.3
"""Stored runs that vary this many times more than their cases explain share a shock."""


def suite_difference(
    candidate: CaseMoments, baseline: CaseMoments, *, spread: float = 1.0
) -> Pivot:
    """Candidate − baseline of the mean over these cases; z with the variance within cases.

    Both sides list the same cases in the same order; the baseline has two trials a case or more,
    else ``ValueError``. A case without variance in its few trials is not known to have none: while
    fewer than 20 cases vary, two pseudo-cases are added whose trials dissented once, by ``spread``.
    """
    value = _difference(candidate, baseline)
    noise = _within(candidate, baseline, spread) / candidate.n
    return Pivot(value=value, centre=value, se=math.sqrt(noise))


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """The evidence at a look and the share of the final information in it."""

    evidence: Pivot
    fraction: float


def suite_look(
    candidate: CaseMoments,
    baseline: CaseMoments,
    seen: Sequence[int],
    *,
    spread: float = 1.0,
    of: int | None = None,
) -> Look:
    """The evidence on the whole suite after some of its cases, drawn in random order.

    ``baseline`` has every case of the suite, or only some of them and ``of`` says how many there
    are; ``seen`` are the numbers of those the candidate's are. The
    variance is that within cases plus, as long as cases are missing, that of the change between
    them: W/n + (1 − n/N)·S²/n (sampling without replacement from a finite population, Cochran 1977,
    2.6). The information is the final variance W/N over it: feed it to ``boundaries``.
    """
    part = baseline.of_cases(np.asarray(seen, dtype=np.intp))
    value = _difference(candidate, part)
    total, n = of or baseline.n, candidate.n
    within = _within(candidate, baseline, spread)
    between = 0.0
    if n > 1:
        changes = np.sort(candidate.means - part.means)
        between = max(float(np.var(changes, ddof=1)) - within, 0.0)
    variance = within / n + (1 - n / total) * between / n
    evidence = Pivot(value=value, centre=value, se=math.sqrt(variance))
    fraction = min(within / total / variance, 1.0) if variance else 0.0
    return Look(evidence=evidence, fraction=fraction)


def _difference(candidate: CaseMoments, baseline: CaseMoments) -> float:
    if candidate.n != baseline.n or not candidate.n:
        raise ValueError("both sides must list the same cases, and there must be some")
    return math.fsum((candidate.means - baseline.means).tolist()) / candidate.n


def _within(candidate: CaseMoments, baseline: CaseMoments, spread: float) -> float:
    """The mean variance of a case's difference over all the trials that might have been.

    The baseline's over the whole suite, which is known before the candidate starts; the
    candidate's own where it has two trials, else taken to be the baseline's.
    """
    if (baseline.trials < 2).any():
        raise ValueError("the noise within a case needs two stored trials of it")
    runs, own = float(np.mean(baseline.trials)), float(np.min(candidate.trials))
    known = baseline.variances
    if (candidate.trials > 1).all():
        fresh = _mean(candidate.variances / candidate.trials)
    else:
        # the baseline may list cases that the candidate was not asked yet
        fresh = _mean(known / candidate.trials) if candidate.n == baseline.n else _mean(known) / own
    within = _mean(known / baseline.trials) + fresh
    if np.count_nonzero(known) >= SPARSE or math.isinf(spread):
        return within
    # one dissent of size `spread` among R trials has the variance spread² ÷ R
    return within + 2 * spread**2 / runs * (1 / runs + 1 / own) / baseline.n


def _mean(values: Floats) -> float:
    return math.fsum(values.tolist()) / len(values)


def shock_ratio(run_means: Sequence[float] | Floats, baseline: CaseMoments) -> float:
    """How many times more the stored runs' means vary than their cases explain; about 1 is sound.

    Above ``SHOCK`` something moved whole runs: use ``run_level_difference``. ``run_means`` has the
    suite's mean in each stored run. Infinite when the cases explain nothing but the runs differ.
    """
    means = checked(run_means)
    if len(means) < 2:
        raise ValueError("one run says nothing about the differences between runs")
    explained = math.sqrt(math.fsum(baseline.variances.tolist())) / baseline.n
    actual = mean_and_se(means)[1] * math.sqrt(len(means))
    if not explained:
        return math.inf if actual else 1.0
    return actual / explained


def run_level_difference(candidate_mean: float, run_means: Sequence[float] | Floats) -> Pivot:
    """Candidate − baseline where whole runs shift: the run is the unit, t with R − 1.

    The standard error is sd(stored run means)·√(1 + 1/R), that of one more run (a prediction).
    """
    means = checked(run_means)
    centre, se = mean_and_se(means)
    runs = len(means)
    value = candidate_mean - centre
    return Pivot(value=value, centre=value, se=se * math.sqrt(runs + 1), df=max(runs - 1, 1))
