"""The promises of each gate's test, simulated with fixed seeds, and what 100,000 pairs cost.

    python benchmarks/bench_stats.py                 the whole table, three minutes
    python benchmarks/bench_stats.py --reps 2000 --only suite
    python benchmarks/bench_stats.py --speed

false block: an unchanged candidate is shown to be worse. false pass: a candidate exactly as much
worse as the margin allows is passed. found: one twice as much worse is blocked. All at 5 % one-
sided; ± is the standard error of the simulation. Models: pass chances Beta(0.86 k, 0.14 k) with
k = 0.156 (two runs disagree on 3 % of cases) or 0.5 (8 %); an unchanged candidate has 15 % of its
cases drawn anew with the mean kept; a drop breaks a random share of the cases.
"""

from __future__ import annotations

import argparse
import math
import time
import zlib
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.special import ndtr, ndtri
from scipy.stats import ttest_ind

from evalkit.stats import (
    agreement,
    betting,
    clusters,
    corpus,
    cost,
    judged,
    levels,
    paired_means,
    quantiles,
    several,
    suite,
    unpaired,
)
from evalkit.stats.evidence import Both, Evidence
from evalkit.stats.paired_rates import PairedCounts, tango_z
from evalkit.stats.repeats import CaseMoments, pass_at_k
from evalkit.stats.sequential import boundaries
from evalkit.stats.single_rates import ExactRate, ScoreRate

ALPHA = 0.05
LOW, HIGH = 0.156, 0.5
Rng = np.random.Generator


@dataclass(frozen=True)
class Shown:
    """Whether harm and whether "within the margin" were shown, and after how many cases."""

    harm: bool
    within: bool
    cases: int


Play = Callable[[Rng, int, float], Shown]


def judge(evidence: Evidence, margin: float, n: int) -> Shown:
    return Shown(evidence.p_below(0.0) <= ALPHA, evidence.p_above(-margin) <= ALPHA, n)


# --- models -----------------------------------------------------------------------------------


def chances(rng: Rng, n: int, noise: float, drop: float) -> tuple[np.ndarray, np.ndarray]:
    before = rng.beta(0.86 * noise, 0.14 * noise, n)
    after = before.copy()
    redrawn = rng.permutation(n)[: int(0.15 * n)]
    after[redrawn] = rng.permutation(before[redrawn])
    return before, np.where(rng.random(n) < drop / 0.86, 0.0, after)


def exact_drop(rng: Rng, after: np.ndarray, drop: float) -> np.ndarray:
    """Break cases in random order until the mean over exactly these has fallen by ``drop``."""
    after, left = after.copy(), drop * len(after)
    for one in rng.permutation(len(after)):
        if left <= 0:
            break
        taken = min(after[one], left)
        after[one] -= taken
        left -= taken
    return after


def moments(trials: np.ndarray) -> CaseMoments:
    values = trials.astype(float)
    several_trials = values.shape[1] > 1
    return CaseMoments(
        means=values.mean(axis=1),
        variances=values.var(axis=1, ddof=1) if several_trials else np.full(len(values), np.nan),
        trials=np.full(len(values), values.shape[1]),
    )


# --- the tests of the table -------------------------------------------------------------------


def pass_fail(noise: float, margin: float) -> Play:
    def play(rng: Rng, n: int, drop: float) -> Shown:
        before, after = chances(rng, n, noise, drop)
        return judge(PairedCounts.of(rng.random(n) < before, rng.random(n) < after), margin, n)

    return play


def pass_fail_looks(noise: float, margin: float, looks: int = 10) -> Play:
    """Tango at −m and mid-p at 0, looked at ten times against alpha·t² boundaries."""

    def play(rng: Rng, n: int, drop: float) -> Shown:
        before, after = chances(rng, n, noise, drop)
        old, new = rng.random(n) < before, rng.random(n) < after
        sizes = [round(n * (k + 1) / looks) for k in range(looks)]
        sizes = [size for size in sizes if size >= 30]
        bounds = boundaries([size / n for size in sizes], ALPHA)
        for size, bound in zip(sizes, bounds, strict=True):
            counts = PairedCounts.of(old[:size], new[:size])
            within = tango_z(counts, -margin) >= bound
            harm = -ndtri(counts.p_below(0.0)) >= bound
            if within or harm:
                return Shown(bool(harm), bool(within), size)
        return Shown(False, False, n)

    return play


def suite_fixed(noise: float, margin: float, runs: int) -> Play:
    def play(rng: Rng, n: int, drop: float) -> Shown:
        before, after = chances(rng, n, noise, 0.0)
        after = exact_drop(rng, after, drop)
        stored = moments(rng.random((n, runs)) < before[:, None])
        fresh = moments(rng.random((n, 1)) < after[:, None])
        return judge(suite.suite_difference(fresh, stored), margin, n)

    return play


def suite_looks(noise: float, margin: float, runs: int, looks: int = 10) -> Play:
    def play(rng: Rng, n: int, drop: float) -> Shown:
        before, after = chances(rng, n, noise, 0.0)
        after = exact_drop(rng, after, drop)
        stored = moments(rng.random((n, runs)) < before[:, None])
        fresh = moments(rng.random((n, 1)) < after[:, None])
        order = rng.permutation(n)
        fractions: list[float] = []
        for k in range(looks):
            size = round(n * (k + 1) / looks)
            if size < 30:
                continue
            seen = order[:size]
            look = suite.suite_look(fresh.of_cases(seen), stored, seen)
            # rounded down, so that boundaries computed before serve again; never shrinking
            share = math.floor(look.fraction * 50) / 50 if look.fraction < 1 else 1.0
            fractions.append(max(share, 0.02))
            bound = boundaries(fractions, ALPHA)[-1]
            se = look.evidence.se
            within = (look.evidence.centre + margin) / se >= bound
            harm = -look.evidence.centre / se >= bound
            if within or harm:
                return Shown(bool(harm), bool(within), size)
        return Shown(False, False, n)

    return play


def bounded(share: float, margin: float) -> Play:
    """Scores on a grid of 0.1; ``share`` of the cases differ between two unchanged runs."""

    def play(rng: Rng, n: int, drop: float) -> Shown:
        d = np.where(rng.random(n) < share, rng.choice((-1, 1), n) * rng.integers(1, 6, n) / 10, 0)
        d = np.where(rng.random(n) < drop / 0.5, -0.5, d)
        return judge(paired_means.guarded_t(d), margin, n)

    return play


Test = Callable[[np.ndarray], Evidence]


def skewed(share: float, loss: float, margin: float, test: Test) -> Play:
    """``share`` of the cases moves by 0.1 either way; a drop is a few cases that lose much."""

    def play(rng: Rng, n: int, drop: float) -> Shown:
        d = np.where(rng.random(n) < share, rng.choice((-0.1, 0.1), n), 0.0)
        d = np.where(rng.random(n) < drop / loss, -loss, d)
        return judge(test(d), margin, n)

    return play


def few_lose(margin: float, test: Test) -> Play:
    """4 % of the cases lose 0.8 and half of the others make up for it, but for the drop."""

    def play(rng: Rng, n: int, drop: float) -> Shown:
        lost = np.where(rng.random(n) < 0.04, -0.8, 0.0)
        return judge(test(lost + np.where(rng.random(n) < 0.5, 2 * (0.032 - drop), 0.0)), margin, n)

    return play


def crowded(test: Test) -> Play:
    """A floor for scores of 1 and 0.9 of which 2 % are 0: their mean where nothing dropped."""

    def play(rng: Rng, n: int, drop: float) -> Shown:
        values = np.where(rng.random(n) < 0.6, 1.0, 0.9)
        values = np.where(rng.random(n) < 0.02 + drop / 0.96, 0.0, values)
        found = test(values)
        floor = 0.98 * 0.96
        return Shown(found.p_below(floor) <= ALPHA, found.p_above(floor) <= ALPHA, n)

    return play


def scale(values: np.ndarray) -> Both:
    return levels.guarded_level(values, (0.0, 1.0))


def gap_of_means(gap: Callable[[np.ndarray, np.ndarray], Shown]) -> Play:
    """Crowded scores of 500 cases against those of n, who do worse by the drop."""

    def play(rng: Rng, n: int, drop: float) -> Shown:
        def scores(size: int, lost: float) -> np.ndarray:
            kept = np.where(rng.random(size) < 0.6, 1.0, 0.9)
            return np.where(rng.random(size) < lost, 0.0, kept)

        return gap(scores(500, 0.08), scores(n, 0.08 + drop / 0.96))

    return play


def welch_gap(limit: float) -> Callable[[np.ndarray, np.ndarray], Shown]:
    def gap(one: np.ndarray, two: np.ndarray) -> Shown:
        test = ttest_ind(one, two, equal_var=False).confidence_interval(1 - 2 * ALPHA)
        return Shown(test.low > limit, test.high < limit, len(two))

    return gap


def gap_of_limits(limit: float) -> Callable[[np.ndarray, np.ndarray], Shown]:
    def gap(one: np.ndarray, two: np.ndarray) -> Shown:
        found = unpaired.TwoMeans(first=scale(one), second=scale(two))
        return Shown(found.p_above(limit) <= ALPHA, found.p_below(limit) <= ALPHA, len(two))

    return gap


def shares_of_trials(noise: float, margin: float, k: int | None) -> Play:
    """Four trials a side: the share that passes, or pass@k of them, by t over cases."""

    def play(rng: Rng, n: int, drop: float) -> Shown:
        before, after = chances(rng, n, noise, drop if k is None else 0.0)
        if k is not None:
            # the drop is of pass@k: broken cases lose all of theirs
            reach = 1 - (1 - before) ** k
            after = np.where(rng.random(n) < drop / max(reach.mean(), 0.01), 0.0, after)
        old = rng.binomial(4, before)
        new = rng.binomial(4, after)
        value = np.arange(5) / 4 if k is None else np.array([pass_at_k(4, c, k) for c in range(5)])
        return judge(paired_means.guarded_t(value[new] - value[old]), margin, n)

    return play


def clustered(size: int, margin: float) -> Play:
    """Clusters of ``size`` cases; the change acts on whole clusters."""

    def play(rng: Rng, n: int, drop: float) -> Shown:
        owner = np.arange(n) // size
        shift = rng.normal(0, 0.1, owner[-1] + 1)[owner]
        d = np.clip(rng.normal(shift - drop, 0.2), -1, 1)
        return judge(clusters.clustered_guarded_t(d, owner), margin, n)

    return play


Clustered = Callable[[np.ndarray, np.ndarray], Evidence]


def outcomes(rng: Rng, n: int, rate: float) -> tuple[np.ndarray, np.ndarray]:
    """n clusters of 1 to 9 cases, and which of them fail: half as alike within as they can be."""
    owner = np.repeat(np.arange(n), rng.integers(1, 10, n))
    return (rng.random(len(owner)) < rng.beta(rate, 1 - rate, n)[owner]).astype(float), owner


def changes_in_clusters(rng: Rng, n: int, drop: float) -> tuple[np.ndarray, np.ndarray]:
    """What fails and did not, against what gains: 3 % of the cases where nothing changed."""
    lost, owner = outcomes(rng, n, 0.03 + drop)
    gained = rng.random(len(owner)) < 0.03 / (0.97 - drop)
    return np.where(lost > 0, -1.0, gained.astype(float)), owner


def losses_in_clusters(margin: float, test: Clustered) -> Play:
    def play(rng: Rng, n: int, drop: float) -> Shown:
        return judge(test(*changes_in_clusters(rng, n, drop)), margin, n)

    return play


def floor_of_clusters(floor: float, test: Clustered) -> Play:
    def play(rng: Rng, n: int, drop: float) -> Shown:
        lost, owner = outcomes(rng, n, 1 - floor + drop)
        found = test(1 - lost, owner)
        return Shown(found.p_below(floor) <= ALPHA, found.p_above(floor) <= ALPHA, n)

    return play


def looks_at_changes(margin: float, test: Clustered) -> Play:
    def play(rng: Rng, n: int, drop: float) -> Shown:
        d, owner = changes_in_clusters(rng, n, drop)
        return at_looks(rng, d, owner, test, passes=-margin, harms=0.0)

    return play


def looks_at_a_floor(floor: float, test: Clustered) -> Play:
    def play(rng: Rng, n: int, drop: float) -> Shown:
        lost, owner = outcomes(rng, n, 1 - floor + drop)
        return at_looks(rng, 1 - lost, owner, test, passes=floor, harms=floor)

    return play


def at_looks(
    rng: Rng,
    values: np.ndarray,
    owner: np.ndarray,
    test: Clustered,
    *,
    passes: float,
    harms: float,
) -> Shown:
    """Ten looks at cases in random order, whatever cluster each is of."""
    n, order = len(values), rng.permutation(len(values))
    sizes = [size for k in range(10) if (size := math.ceil(n * (k + 1) / 10)) >= 30]
    for size, bound in zip(sizes, boundaries([one / n for one in sizes], ALPHA), strict=True):
        found, level = test(values[order[:size]], owner[order[:size]]), float(ndtr(-bound))
        within, harm = found.p_above(passes) <= level, found.p_below(harms) <= level
        if within or harm:
            return Shown(bool(harm), bool(within), size)
    return Shown(False, False, n)


def each_alone(d: np.ndarray, owner: np.ndarray) -> Evidence:
    """The test of pairs that do not hang together."""
    del owner
    return PairedCounts.of(d <= 0, d >= 0)


def level_alone(values: np.ndarray, owner: np.ndarray) -> Evidence:
    del owner
    return levels.SharedRate.of(values)


def gap_of_clusters(limit: float, *, alone: bool) -> Play:
    """Two groups of n clusters; ``alone`` takes every case for one of its own."""

    def play(rng: Rng, n: int, drop: float) -> Shown:
        one, owner = outcomes(rng, n, 0.06)
        two, others = outcomes(rng, n, 0.06 + drop)
        found: Evidence = unpaired.TwoMeans(
            first=clustered_scale(1 - one, owner), second=clustered_scale(1 - two, others)
        )
        if alone:
            found = unpaired.TwoRates(
                first_passed=int(len(one) - one.sum()),
                first=len(one),
                second_passed=int(len(two) - two.sum()),
                second=len(two),
            )
        return Shown(found.p_above(limit) <= ALPHA, found.p_below(limit) <= ALPHA, n)

    return play


def clustered_scale(values: np.ndarray, owner: np.ndarray) -> Both:
    return clusters.clustered_level(values, owner, (0.0, 1.0))


def corpus_metric(margin: float) -> Play:
    """A ratio of sums over cases of very different length, as BLEU's precisions are."""

    def value(sums: list[float] | tuple[float, ...]) -> float:
        return sums[0] / sums[1]

    def play(rng: Rng, n: int, drop: float) -> Shown:
        length = np.ceil(rng.lognormal(3, 0.7, n))
        base = rng.beta(6, 4, n)
        old = np.column_stack([rng.binomial(length.astype(int), base), length])
        moved = np.clip(base + rng.normal(0, 0.05, n) - drop, 0, 1)
        new = np.column_stack([rng.binomial(length.astype(int), moved), length])
        seed = int(rng.integers(1 << 31))
        return judge(corpus.corpus_difference(new, old, value, resamples=400, seed=seed), margin, n)

    return play


def floor_rate(floor: float) -> Play:
    """Both errors at the floor itself: Wilson's score test."""

    def play(rng: Rng, n: int, drop: float) -> Shown:
        rate = ScoreRate(successes=int(rng.binomial(n, floor - drop)), n=n)
        return Shown(rate.p_below(floor) <= ALPHA, rate.p_above(floor) <= ALPHA, n)

    return play


def floor_exact(floor: float) -> Play:
    def play(rng: Rng, n: int, drop: float) -> Shown:
        rate = ExactRate(events=int(rng.binomial(n, floor - drop)), n=n)
        return Shown(rate.p_below(floor) <= ALPHA, rate.p_above(floor) <= ALPHA, n)

    return play


def ceiling_rate(ceiling: float) -> Play:
    """Both errors at the ceiling itself: exact."""

    def play(rng: Rng, n: int, rise: float) -> Shown:
        rate = ExactRate(events=int(rng.binomial(n, ceiling + rise)), n=n)
        return Shown(rate.p_above(ceiling) <= ALPHA, rate.p_below(ceiling) <= ALPHA, n)

    return play


def latencies(rng: Rng, n: int) -> np.ndarray:
    return rng.lognormal(0, 0.5, n) * np.where(rng.random(n) < 0.02, 4.0, 1.0)


def quantile_ratio(limit: float) -> Play:
    """p95 by the bootstrap of its rank from 200 samples on, by the shared tail below."""

    def play(rng: Rng, n: int, rise: float) -> Shown:
        new, old = latencies(rng, n) * (1 + rise), latencies(rng, n)
        if n < quantiles.samples_for_ratio(0.95):
            harm = quantiles.tail_share_p(new, old, 0.95)
            within = quantiles.tail_share_p(old * limit, new, 0.95)
            return Shown(harm <= ALPHA, within <= ALPHA, n)
        found = quantiles.quantile_log_ratio(
            new, old, 0.95, resamples=1000, seed=int(rng.integers(1 << 31))
        )
        return Shown(found.p_above(0.0) <= ALPHA, found.p_below(math.log(limit)) <= ALPHA, n)

    return play


def quantile_limit(q: float) -> Play:
    """Both errors at the limit itself: exceedance counts."""

    def play(rng: Rng, n: int, rise: float) -> Shown:
        found = quantiles.exceedance(rng.random(n) * (1 + rise), q)
        return Shown(found.p_above(1 - q) <= ALPHA, found.p_below(1 - q) <= ALPHA, n)

    return play


def times_in_clusters(rng: Rng, owner: np.ndarray, n: int) -> np.ndarray:
    """Latencies of n clusters, log-normal and 0.7 as alike within as they can be."""
    return np.exp(
        0.6 * (0.7**0.5 * rng.normal(size=n)[owner] + 0.3**0.5 * rng.normal(size=len(owner)))
    )


def limit_of_clusters(*, alone: bool) -> Play:
    """p95 at the limit itself, of clusters slow as a whole: one in twenty."""

    def play(rng: Rng, n: int, more: float) -> Shown:
        owner = np.repeat(np.arange(n), rng.integers(1, 10, n))
        times = np.where((rng.random(n) < 0.05 + more)[owner], 2.0, 1.0)
        found: Evidence = quantiles.clustered_exceedance(times, owner, 1.5)
        if alone:
            found = quantiles.exceedance(times, 1.5)
        return Shown(found.p_above(0.05) <= ALPHA, found.p_below(0.05) <= ALPHA, n)

    return play


def ratio_of_clusters(limit: float, *, alone: bool) -> Play:
    """p95 of two sides whose clusters are slow by chance, as in another hour."""

    def play(rng: Rng, n: int, rise: float) -> Shown:
        owner = np.repeat(np.arange(n), rng.integers(1, 10, n))
        new, old = (times_in_clusters(rng, owner, n) for _ in range(2))
        new *= 1 + rise
        tails = [quantiles.tail_clusters(one, owner, 0.95) for one in (new, old)]
        if min(tails) < quantiles.TAIL and not alone:
            return Shown(False, False, n)
        seed = int(rng.integers(1 << 31))
        found = quantiles.clustered_log_ratio(
            new, old, (owner, owner), 0.95, resamples=1000, seed=seed
        )
        if alone:
            found = quantiles.quantile_log_ratio(new, old, 0.95, resamples=1000, seed=seed)
        return Shown(found.p_above(0.0) <= ALPHA, found.p_below(math.log(limit)) <= ALPHA, n)

    return play


def cost_ratio(limit: float) -> Play:
    def play(rng: Rng, n: int, rise: float) -> Shown:
        shared, one, two = rng.normal(size=(3, n))
        old = np.exp(1.2 * (math.sqrt(0.8) * shared + math.sqrt(0.2) * one))
        new = np.exp(1.2 * (math.sqrt(0.8) * shared + math.sqrt(0.2) * two)) * (1 + rise)
        found = cost.guarded_log_ratio(new, old)
        return Shown(
            found.p_above(cost.INDIFFERENCE) <= ALPHA,
            found.p_below(math.log(limit)) <= ALPHA,
            n,
        )

    return play


def anytime(noise: float, margin: float) -> Play:
    """Betting, looked at after every single case."""

    def play(rng: Rng, n: int, drop: float) -> Shown:
        before, after = chances(rng, n, noise, drop)
        d = (rng.random(n) < after).astype(float) - (rng.random(n) < before)
        known = 2 * float((before * (1 - before)).mean())
        within = betting.bet_on_pass(margin, noise=known).path(d)
        harm = betting.bet_on_harm(margin=margin, noise=known).path(d)
        line = -math.log(ALPHA)
        first = [
            int(np.argmax(one >= line)) if (one >= line).any() else n for one in (harm, within)
        ]
        return Shown(
            first[0] < n and first[0] <= first[1], first[1] < first[0], min(*first, n - 1) + 1
        )

    return play


def two_slices(_: float) -> Play:
    """Ten guards on independent slices under Holm; "harm" is any of them."""

    def play(rng: Rng, n: int, drop: float) -> Shown:
        p = []
        for index in range(10):
            before, after = chances(rng, n, LOW, drop if index == 0 else 0.0)
            p.append(PairedCounts.of(rng.random(n) < before, rng.random(n) < after).p_below(0.0))
        return Shown(bool((several.holm(p) <= ALPHA).any()), False, n)

    return play


SIZES = (50, 200, 1000)
# name, test, sizes, the boundary that may just not pass, the change to be found
TESTS: list[tuple[str, Play, tuple[int, ...], float, float]] = [
    ("pass/fail 1 baseline, margin 5 pt, low noise", pass_fail(LOW, 0.05), SIZES, 0.05, 0.10),
    ("pass/fail 1 baseline, margin 5 pt, high noise", pass_fail(HIGH, 0.05), SIZES, 0.05, 0.10),
    ("  same, 10 looks, low noise", pass_fail_looks(LOW, 0.05), SIZES, 0.05, 0.10),
    ("  same, 10 looks, high noise", pass_fail_looks(HIGH, 0.05), SIZES, 0.05, 0.10),
    ("  same, anytime, every case, low noise", anytime(LOW, 0.05), SIZES, 0.05, 0.10),
    ("  same, anytime, every case, high noise", anytime(HIGH, 0.05), SIZES, 0.05, 0.10),
    ("suite 3 runs, margin 3 pt, low noise", suite_fixed(LOW, 0.03, 3), SIZES, 0.03, 0.06),
    ("suite 5 runs, margin 3 pt, low noise", suite_fixed(LOW, 0.03, 5), SIZES, 0.03, 0.06),
    ("suite 5 runs, margin 3 pt, high noise", suite_fixed(HIGH, 0.03, 5), SIZES, 0.03, 0.06),
    ("suite 5 runs, 10 looks, low noise", suite_looks(LOW, 0.03, 5), SIZES, 0.03, 0.06),
    ("suite 5 runs, 10 looks, high noise", suite_looks(HIGH, 0.03, 5), SIZES, 0.03, 0.06),
    ("bounded, half of cases differ, margin 5 pt", bounded(0.5, 0.05), SIZES, 0.05, 0.10),
    ("bounded, 4 % of cases differ, margin 5 pt", bounded(0.04, 0.05), SIZES, 0.05, 0.10),
    *(
        (f"skewed: {name}, {said}", play(test), (200, 1000), 0.05, 0.10)
        for name, play in (
            ("a tenth moves, few lose 0.8", lambda test: skewed(0.1, 0.8, 0.05, test)),
            ("half moves, few lose 0.8", lambda test: skewed(0.5, 0.8, 0.05, test)),
            ("half moves, few lose 0.5", lambda test: skewed(0.5, 0.5, 0.05, test)),
            ("many gain, few lose 0.8", lambda test: few_lose(0.05, test)),
        )
        for said, test in (("t", paired_means.paired_t), ("guarded", paired_means.guarded_t))
    ),
    ("skewed: floor of a mean, t", crowded(paired_means.paired_t), (200, 1000), 0.0, 0.05),
    ("skewed: floor of a mean, guarded", crowded(scale), (200, 1000), 0.0, 0.05),
    ("skewed: gap of 5 pt, Welch", gap_of_means(welch_gap(0.05)), (50, 200), 0.05, 0.15),
    ("skewed: gap of 5 pt, limits", gap_of_means(gap_of_limits(0.05)), (50, 200), 0.05, 0.15),
    ("share of 4 trials, margin 5 pt", shares_of_trials(LOW, 0.05, None), SIZES, 0.05, 0.10),
    ("pass@2 of 4 trials, margin 5 pt", shares_of_trials(HIGH, 0.05, 2), SIZES, 0.05, 0.10),
    ("clusters of 5 cases, margin 5 pt", clustered(5, 0.05), SIZES, 0.05, 0.10),
    *(
        (f"clusters: {name}, {said}", play, (30, 100, 300), edge, worse)
        for said, change, level, alone in (
            ("t", clusters.clustered_t, clusters.clustered_t, True),
            ("guarded", clusters.clustered_guarded_t, clustered_scale, False),
        )
        for name, play, edge, worse in (
            ("margin 5 pt", losses_in_clusters(0.05, change), 0.05, 0.15),
            ("floor 94 %", floor_of_clusters(0.94, level), 0.0, 0.10),
            ("gap of 10 pt", gap_of_clusters(0.10, alone=alone), 0.10, 0.25),
        )
    ),
    *(
        (f"looks at clusters: {name}, {said}", play, (30, 100, 300), edge, worse)
        for said, change, level in (
            ("each alone", each_alone, level_alone),
            ("clustered", clusters.clustered_guarded_t, clustered_scale),
        )
        for name, play, edge, worse in (
            ("margin 5 pt", looks_at_changes(0.05, change), 0.05, 0.15),
            ("floor 94 %", looks_at_a_floor(0.94, level), 0.0, 0.10),
        )
    ),
    ("floor 80 %, Wilson", floor_rate(0.80), SIZES, 0.0, 0.10),
    ("floor 80 %, exact", floor_exact(0.80), SIZES, 0.0, 0.10),
    ("floor 98 %, exact", floor_exact(0.98), SIZES, 0.0, 0.02),
    ("floor 98 %, Wilson", floor_rate(0.98), SIZES, 0.0, 0.02),
    ("ceiling 5 %, exact", ceiling_rate(0.05), SIZES, 0.0, 0.05),
    ("ceiling 1 %, exact", ceiling_rate(0.01), SIZES, 0.0, 0.03),
    ("p95 ratio, limit +10 % (n=50: shared tail)", quantile_ratio(1.1), SIZES, 0.10, 0.20),
    ("p95 limit, exceedance", quantile_limit(0.95), SIZES, 0.0, 0.05),
    *(
        (f"latency of clusters: {name}, {said}", play, (30, 100, 300), edge, worse)
        for said, alone in (("each alone", True), ("clustered", False))
        for name, play, edge, worse in (
            ("p95 limit", limit_of_clusters(alone=alone), 0.0, 0.10),
            ("p95 ratio, +20 %", ratio_of_clusters(1.2, alone=alone), 0.20, 0.60),
        )
    ),
    ("cost ratio, limit +5 %", cost_ratio(1.05), SIZES, 0.05, 0.10),
    ("corpus metric, margin 2 pt", corpus_metric(0.02), SIZES, 0.02, 0.04),
    ("ten slices under Holm (n each)", two_slices(0), SIZES, 0.05, 0.20),
]


def table(reps: int, only: str) -> None:
    print(
        f"{reps} simulated gates a cell, alpha 5 % one-sided,"
        f" ±{percent(math.sqrt(0.05 * 0.95 / reps))} at 5 %\n"
    )
    print(f"{'test':<46}{'n':>6}{'false block':>13}{'false pass':>12}{'found':>8}{'cases':>7}")
    for name, play, sizes, boundary, worse in TESTS:
        if only not in name:
            continue
        for n in sizes:
            rng = np.random.default_rng([zlib.crc32(name.encode()), n])
            same = [play(rng, n, 0.0) for _ in range(reps)]
            edge = [play(rng, n, boundary) for _ in range(reps)]
            bad = [play(rng, n, worse) for _ in range(reps)]
            print(
                f"{name:<46}{n:>6}"
                f"{percent(sum(one.harm for one in same) / reps):>13}"
                f"{percent(sum(one.within for one in edge) / reps):>12}"
                f"{percent(sum(one.harm for one in bad) / reps):>8}"
                f"{sum(one.cases for one in same) / reps:>7.0f}",
                flush=True,
            )


# --- intervals --------------------------------------------------------------------------------


def covered_judge(rng: Rng, labels: int) -> bool:
    n, truth = 1000, rng.random(1000) < 0.9
    said = np.where(truth, rng.random(n) < 0.95, rng.random(n) < 0.4)
    chosen = rng.permutation(n)[:labels]
    yes = said[chosen]
    found = judged.corrected_rate(
        judged.JudgeLabels(
            n=n,
            judge_passed=int(said.sum()),
            labelled_passed=int(yes.sum()),
            true_of_passed=int((truth[chosen] & yes).sum()),
            labelled_failed=int((~yes).sum()),
            true_of_failed=int((truth[chosen] & ~yes).sum()),
        ),
        draws=4000,
        seed=int(rng.integers(1 << 31)),
    ).interval(0.95)
    return found.low <= 0.9 <= found.high


def covered_powered(rng: Rng, labels: int) -> bool:
    n = 1000
    truth = rng.beta(4, 2, n)
    said = np.clip(truth + rng.normal(0.1, 0.1, n), 0, 1)
    found = judged.prediction_powered_mean(truth[:labels], said[:labels], said[labels:])
    interval = found.interval(0.95)
    return interval.low <= 4 / 6 <= interval.high


def covered_kappa(rng: Rng, labels: int) -> bool:
    human = rng.random(labels) < 0.7
    machine = np.where(rng.random(labels) < 0.9, human, ~human)
    chance = 0.7 * 0.66 + 0.3 * 0.34
    truth = (0.9 - chance) / (1 - chance)
    found = agreement.kappa(
        human.tolist(), machine.tolist(), resamples=500, seed=int(rng.integers(1 << 31))
    ).interval(0.95)
    return found.low <= truth <= found.high


def coverage(reps: int) -> None:
    print(f"\n{'95 % two-sided interval of':<46}{'labels':>6}{'covers':>13}")
    rows = (
        ("judge-corrected pass rate", covered_judge),
        ("prediction-powered mean", covered_powered),
        ("Cohen's kappa", covered_kappa),
    )
    for name, covers in rows:
        for labels in SIZES[:2]:
            rng = np.random.default_rng([zlib.crc32(name.encode()), labels])
            share = sum(covers(rng, labels) for _ in range(reps)) / reps
            print(f"{name:<46}{labels:>6}{percent(share):>13}", flush=True)


# --- speed ------------------------------------------------------------------------------------


def speed(pairs: int = 100_000) -> None:
    rng = np.random.default_rng(0)
    before, after = chances(rng, pairs, LOW, 0.01)
    old, new = rng.random(pairs) < before, rng.random(pairs) < after
    d = np.round(rng.normal(-0.01, 0.1, pairs).clip(-1, 1), 1)
    runs = moments(rng.random((pairs, 5)) < before[:, None])
    once = moments(new[:, None])
    slow, fast = latencies(rng, pairs) * 1.05, latencies(rng, pairs)
    dear, cheap = rng.lognormal(0, 1.2, pairs), rng.lognormal(0, 1.2, pairs)
    words = np.ceil(rng.lognormal(3, 0.7, pairs))
    segments = [
        np.column_stack([words, words, *([rng.binomial(words.astype(int), 0.5)] * 8)])
        for _ in range(2)
    ]
    owner = np.arange(pairs) // 5
    work: list[tuple[str, Callable[[], Evidence]]] = [
        ("pass/fail: Tango and mid-p McNemar", lambda: PairedCounts.of(old, new)),
        ("suite estimand", lambda: suite.suite_difference(once, runs)),
        ("bounded: guarded t", lambda: paired_means.guarded_t(d)),
        ("clustered t, 20,000 clusters", lambda: clusters.clustered_guarded_t(d, owner)),
        ("floor: Wilson", lambda: ScoreRate(successes=int(new.sum()), n=pairs)),
        ("ceiling: Clopper–Pearson", lambda: ExactRate(events=int((~new).sum()), n=pairs)),
        ("p95 ratio, 10,000 resamples", lambda: quantiles.quantile_log_ratio(slow, fast, 0.95)),
        ("p95 limit: exceedance", lambda: quantiles.exceedance(slow, 2.0)),
        ("cost ratio", lambda: cost.guarded_log_ratio(dear, cheap)),
        (
            "corpus metric, 1,000 resamples",
            lambda: corpus.corpus_difference(*segments, lambda sums: sums[2] / sums[1]),
        ),
    ]
    for _, test in work:  # imports are not what is measured
        asked(test())
    print(f"\n{'one gate: evidence, both p-values, interval':<46}{'ms':>8}   ({pairs:,} pairs)")
    total = 0.0
    for name, test in work:
        times = []
        for _ in range(5):
            started = time.perf_counter()
            asked(test())
            times.append(time.perf_counter() - started)
        total += sorted(times)[2]
        print(f"{name:<46}{1000 * sorted(times)[2]:>8.1f}")
    print(f"{'all ten':<46}{1000 * total:>8.1f}   (bar: 1,000)")


def asked(evidence: Evidence) -> None:
    evidence.p_above(-0.03 if evidence.value < 0.5 else 0.5)
    evidence.p_below(0.0 if evidence.value < 0.5 else 0.5)
    evidence.interval(0.90)


def percent(share: float) -> str:
    return f"{100 * share:.1f} %"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--reps", type=int, default=500)
    parser.add_argument("--only", default="", help="part of a test's name")
    parser.add_argument("--speed", action="store_true", help="only the speed")
    options = parser.parse_args()
    if not options.speed:
        table(options.reps, options.only)
        if not options.only:
            coverage(options.reps)
    if not options.only:
        speed()


if __name__ == "__main__":
    main()
