"""Rates, quantiles, costs, corpus metrics and groups: known values and what always holds."""

from __future__ import annotations

import math

import numpy as np
import pytest
import scipy.optimize
import scipy.stats
from hypothesis import given
from hypothesis import strategies as st

from evalkit.stats import cost, quantiles, several
from evalkit.stats.corpus import corpus_difference
from evalkit.stats.evidence import Pivot, Resampled, Unseen
from evalkit.stats.intervals import Interval, jeffreys
from evalkit.stats.levels import guarded_level
from evalkit.stats.paired_means import paired_t
from evalkit.stats.single_rates import ExactRate, ScoreRate, cases_for_ceiling
from evalkit.stats.unpaired import TwoMeans, TwoRates, gap_z

rates = st.integers(1, 500).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n)))
shares = st.floats(0.01, 0.99)


# --- single rates -----------------------------------------------------------------------------


@given(rates, shares)
def test_exact_rates_equal_the_binomial_test(rate, at):
    k, n = rate
    found = ExactRate(events=k, n=n)
    for mine, side in ((found.p_above, "greater"), (found.p_below, "less")):
        theirs = scipy.stats.binomtest(k, n, at, alternative=side).pvalue
        assert mine(at) == pytest.approx(theirs, abs=1e-9)


@given(rates, st.sampled_from([0.8, 0.9, 0.99]))
def test_tests_of_a_rate_agree_with_its_interval(rate, level):
    k, n = rate
    for found in (ScoreRate(successes=k, n=n), ExactRate(events=k, n=n)):
        interval = found.interval(level)
        if interval.low > 0:
            assert found.p_above(interval.low) == pytest.approx((1 - level) / 2, abs=1e-6)
        if interval.high < 1:
            assert found.p_below(interval.high) == pytest.approx((1 - level) / 2, abs=1e-6)


def test_rates_at_the_ends():
    for none in (ScoreRate(successes=0, n=9), ExactRate(events=0, n=9)):
        assert none.p_above(0.0) == 1
        assert none.p_below(0.5) < 0.01
    for one in (ScoreRate(successes=1, n=9), ExactRate(events=1, n=9)):
        assert one.p_above(0.0) == 0
        assert one.p_below(1.0) == 0
    for wrong in ((1, 0), (3, 2), (-1, 2)):
        with pytest.raises(ValueError, match="not a rate"):
            ExactRate(events=wrong[0], n=wrong[1])
        with pytest.raises(ValueError, match="not a rate"):
            ScoreRate(successes=wrong[0], n=wrong[1])


def test_the_fewest_cases_for_a_ceiling():
    assert [cases_for_ceiling(0.01, events=c) for c in range(4)] == [299, 473, 628, 773]
    assert [cases_for_ceiling(0.05, events=c) for c in range(4)] == [59, 93, 124, 153]
    for ceiling, events in ((0.03, 0), (0.2, 2)):
        n = cases_for_ceiling(ceiling, events=events)
        assert ExactRate(events=events, n=n).p_below(ceiling) <= 0.05
        assert ExactRate(events=events, n=n - 1).p_below(ceiling) > 0.05
    with pytest.raises(ValueError, match="no number"):
        cases_for_ceiling(0.0)


def test_jeffreys_of_a_known_rate():
    interval = jeffreys(45, 50)
    expected = [0.7946451719769524, 0.9608056356058162]
    assert [interval.low, interval.high] == pytest.approx(expected, abs=1e-9)


# --- quantiles --------------------------------------------------------------------------------


def test_exceedances_of_known_counts():
    values = [2.0] * 16 + [1.0] * 184
    found = quantiles.exceedance(values, 1.5)
    assert found.interval(0.90).low == pytest.approx(0.050821717029926744)
    assert found.p_above(0.05) <= 0.05 < found.p_below(0.05)
    assert [quantiles.samples_for_quantile(q) for q in (0.5, 0.9, 0.95, 0.99)] == [5, 29, 59, 299]
    assert [quantiles.samples_for_ratio(q) for q in (0.5, 0.95, 0.99)] == [20, 200, 1000]


def test_ranks_drawn_are_those_of_a_bootstrap():
    data = np.random.default_rng(1).lognormal(0, 0.5, 200)
    rng = np.random.default_rng(2)
    brute = np.sort(rng.choice(data, (10_000, 200)), axis=1)[:, 189]
    mine = quantiles.quantile_log_ratio(data, np.ones(200), 0.95)
    assert scipy.stats.ks_2samp(np.log(brute), mine.draws).pvalue > 0.01
    pmf = quantiles.order_statistic_pmf(200, 190)
    assert pmf.sum() == pytest.approx(1)
    assert np.log(np.sort(data)) @ pmf == pytest.approx(float(mine.draws.mean()), abs=0.005)


def test_swapped_runs_mirror_and_order_is_nothing():
    rng = np.random.default_rng(3)
    one, two = rng.lognormal(0, 0.5, 300), rng.lognormal(0.1, 0.5, 250)
    found = quantiles.quantile_log_ratio(one, two, 0.95, resamples=500)
    swapped = quantiles.quantile_log_ratio(two, one, 0.95, resamples=500)
    assert swapped.value == -found.value
    assert np.array_equal(np.sort(-found.draws), swapped.draws)
    again = quantiles.quantile_log_ratio(one[::-1], rng.permutation(two), 0.95, resamples=500)
    assert np.array_equal(again.draws, found.draws)
    other = quantiles.quantile_log_ratio(one, two, 0.95, resamples=500, seed=1)
    assert not np.array_equal(other.draws, found.draws)


def test_times_that_never_vary_prove_nothing():
    found = quantiles.quantile_log_ratio([1.0] * 300, [1.0] * 300, 0.95)
    assert found.p_below(1.0) == found.p_above(-1.0) == 1
    assert found.interval().low is None


def test_the_shared_tail_of_known_counts():
    assert quantiles.tail_share(15, 20, 200, 200) == pytest.approx(0.018236160885898082)
    slow, fast = np.arange(100.0) + 50, np.arange(100.0)
    assert quantiles.tail_share_p(slow, fast, 0.95) < 0.001
    assert quantiles.tail_share_p(fast, slow, 0.95) == 1


def test_quantiles_refuse_what_is_not_a_time():
    with pytest.raises(ValueError, match="positive"):
        quantiles.quantile_log_ratio([0.0, 1.0], [1.0], 0.5)
    with pytest.raises(ValueError, match="finite"):
        quantiles.exceedance([], 1.0)
    with pytest.raises(ValueError, match="between 0 and 1"):
        quantiles.samples_for_ratio(1.0)


# --- cost -------------------------------------------------------------------------------------

BEFORE = [0.8, 1.2, 0.5, 3.0, 0.9, 1.1, 7.5, 0.6, 2.0, 1.4, 0.7, 0.95]
AFTER = [0.9, 1.2, 0.6, 3.3, 1.0, 1.0, 9.0, 0.7, 2.2, 1.5, 0.7, 1.0]


def test_the_ratio_of_two_known_bills():
    found = cost.paired_log_ratio(AFTER, BEFORE)
    assert math.exp(found.value) == pytest.approx(1.11864406779661)
    assert found.se == pytest.approx(0.03093134670650515)
    interval = found.interval(0.90)
    assert math.exp(interval.low) == pytest.approx(1.0581987414417189)
    assert cost.geometric_ratio(AFTER, BEFORE) == pytest.approx(1.0830644471124038)
    guarded = cost.guarded_log_ratio(AFTER, BEFORE)
    assert (guarded.value, guarded.se) == (found.value, found.se)
    assert guarded.df < found.df


@given(st.lists(st.tuples(st.floats(0.01, 9), st.floats(0.01, 9)), min_size=2, max_size=40))
def test_bills_mirror_under_swapping_and_have_no_unit(costs):
    new, old = zip(*costs, strict=True)
    found = cost.guarded_log_ratio(new, old)
    mirrored = cost.guarded_log_ratio(old, new)
    assert mirrored.value == pytest.approx(-found.value)
    assert mirrored.p_below(-0.05) == pytest.approx(found.p_above(0.05), abs=1e-9)
    cents = cost.guarded_log_ratio([100 * one for one in new], [100 * one for one in old])
    assert cents.p_above(0.05) == pytest.approx(found.p_above(0.05), abs=1e-6)
    assert found.interval().low < found.interval().high


def test_a_new_price_for_equal_answers_shows():
    doubled = cost.guarded_log_ratio([2 * one for one in BEFORE * 4], BEFORE * 4)
    assert doubled.p_above(math.log(1.05)) < 1e-6
    assert cost.guarded_log_ratio(BEFORE * 4, BEFORE * 4).p_above(0) > 0.4
    for wrong in (([1.0], [1.0, 2.0]), ([-1.0], [1.0]), ([0.0], [1.0])):
        with pytest.raises(ValueError, match=r"cost|bill"):
            cost.paired_log_ratio(*wrong)
    with pytest.raises(ValueError, match="geometric"):
        cost.geometric_ratio([0.0], [1.0])


# --- corpus metrics ---------------------------------------------------------------------------


def ratio(sums):
    return sums[0] / sums[1] if sums[1] else 0.0


def statistics(seed, n, rate):
    rng = np.random.default_rng(seed)
    length = rng.integers(5, 60, n)
    return np.column_stack([rng.binomial(length, rate), length]).astype(float)


def test_corpus_bootstrap_has_the_error_of_the_delta_method():
    for n in (300, 9000):
        one, two = statistics(1, n, 0.6), statistics(2, n, 0.58)
        found = corpus_difference(one, two, ratio, resamples=1500)
        rows = [
            (data[:, 0] - data[:, 0].sum() / data[:, 1].sum() * data[:, 1]) / data[:, 1].mean()
            for data in (one, two)
        ]
        se = float(np.std(rows[0] - rows[1], ddof=1)) / math.sqrt(n)
        assert float(np.std(found.draws)) == pytest.approx(se, rel=0.08)
        expected = ratio(one.sum(axis=0)) - ratio(two.sum(axis=0))
        assert found.value == pytest.approx(expected)


def test_corpus_differences_mirror_and_order_is_nothing():
    one, two = statistics(1, 200, 0.6), statistics(2, 200, 0.58)
    found = corpus_difference(one, two, ratio, resamples=200)
    assert np.array_equal(
        np.sort(-corpus_difference(two, one, ratio, resamples=200).draws), found.draws
    )
    order = np.random.default_rng(3).permutation(200)
    again = corpus_difference(one[order], two[order], ratio, resamples=200)
    assert np.array_equal(again.draws, found.draws)


def test_corpora_that_never_vary_prove_nothing():
    same = np.tile([3.0, 5.0], (40, 1))
    assert corpus_difference(same, same, ratio).p_above(-0.5) == 1
    assert corpus_difference(same, same, ratio).interval().low is None
    with pytest.raises(ValueError, match="every case"):
        corpus_difference(same, same[1:], ratio)
    with pytest.raises(ValueError, match="finite"):
        corpus_difference(same * math.nan, same, ratio)


# --- evidence, several tests, groups ----------------------------------------------------------


def test_draws_count_themselves_in():
    found = Resampled.of(0.5, [3.0, 1.0, 2.0, 2.0])
    assert found.p_above(0.0) == 1 / 5
    assert found.p_above(2.0) == 4 / 5
    assert found.p_below(2.0) == 4 / 5
    assert found.p_below(9.0) == 1 / 5
    assert found.interval(0.5).low == 0.5
    for wrong in ([], [math.nan]):
        with pytest.raises(ValueError, match="draws"):
            Resampled.of(0.0, wrong)


@given(st.floats(-1, 1), st.floats(0.001, 1), st.floats(1, 200), st.floats(-1, 1))
def test_a_pivot_is_students_t(centre, se, df, at):
    found = Pivot(value=centre, centre=centre, se=se, df=df)
    assert found.p_above(at) == pytest.approx(scipy.stats.t.sf((centre - at) / se, df), abs=1e-9)
    assert found.p_above(at) + found.p_below(at) == pytest.approx(1)
    low, high = scipy.stats.t.interval(0.9, df, centre, se)
    interval = found.interval(0.9)
    assert [interval.low, interval.high] == pytest.approx([low, high], rel=1e-6, abs=1e-9)


def test_holm_of_known_p_values():
    p = [0.001, 0.008, 0.039, 0.041, 0.042, 0.06, 0.074, 0.205, 0.212, 0.216]
    expected = [0.01, 0.072, 0.312, 0.312, 0.312, 0.312, 0.312, 0.615, 0.615, 0.615]
    assert several.holm(p).tolist() == pytest.approx(expected)
    assert several.benjamini_hochberg([0.04, 0.01, 0.03]).tolist() == pytest.approx(
        [0.04, 0.03, 0.04]
    )
    assert several.e_benjamini_hochberg([55.0, 2.0, 38.0, 0.3, 120.0]) == 3
    assert several.e_benjamini_hochberg([1.0]) == 0
    assert several.e_holm([math.log(100), -5.0]).tolist() == pytest.approx([0.02, 1.0])


@given(st.lists(st.floats(0, 1), max_size=20), st.randoms())
def test_holm_never_helps_a_p_value_and_keeps_their_order(p, random):
    adjusted = several.holm(p)
    assert (adjusted >= np.array(p)).all()
    assert (adjusted <= 1).all()
    order = list(range(len(p)))
    random.shuffle(order)
    assert several.holm([p[i] for i in order]).tolist() == [adjusted[i] for i in order]
    if p:
        assert adjusted.min() == pytest.approx(min(1.0, len(p) * min(p)))
        with pytest.raises(ValueError, match="between 0 and 1"):
            several.holm([*p, math.nan])


@given(rates, rates, st.floats(-0.9, 0.9))
def test_gaps_have_the_variance_of_the_likeliest_rates(one, two, at):
    found = TwoRates(first_passed=one[0], first=one[1], second_passed=two[0], second=two[1])

    def unlikely(second):
        terms = ((one, second + at), (two, second))
        return -sum(
            k * math.log(max(p, 1e-300)) + (n - k) * math.log(max(1 - p, 1e-300))
            for (k, n), p in terms
        )

    low, high = max(0.0, -at), min(1.0, 1 - at)
    second = scipy.optimize.minimize_scalar(
        unlikely, bounds=(low, high), method="bounded", options={"xatol": 1e-12}
    ).x
    first = second + at
    variance = first * (1 - first) / one[1] + second * (1 - second) / two[1]
    if variance < 1e-6 or abs(found.value - at) < 1e-9:
        return
    assert gap_z(found, at) == pytest.approx(
        (found.value - at) / math.sqrt(variance), rel=1e-3, abs=1e-3
    )


@given(rates, rates)
def test_gaps_mirror_and_their_intervals_hold_them(one, two):
    found = TwoRates(first_passed=one[0], first=one[1], second_passed=two[0], second=two[1])
    other = TwoRates(first_passed=two[0], first=two[1], second_passed=one[0], second=one[1])
    assert found.p_above(0.05) == pytest.approx(other.p_below(-0.05), abs=1e-6)
    interval = found.interval(0.9)
    assert -1 <= interval.low <= found.value <= interval.high <= 1
    assert interval.low < interval.high


def test_gaps_of_known_groups():
    found = TwoRates(first_passed=171, first=200, second_passed=180, second=200)
    assert gap_z(found, 0.0) == pytest.approx(-1.3725270326150338)
    assert found.p_below(0.0) == pytest.approx(0.08494971471745438)
    for wrong in ((3, 2, 1, 1), (0, 0, 1, 1)):
        names = ("first_passed", "first", "second_passed", "second")
        with pytest.raises(ValueError, match="cases"):
            TwoRates(**dict(zip(names, wrong, strict=True)))
    with pytest.raises(ValueError, match="between -1 and 1"):
        gap_z(found, 1.0)


def two_means(one, two, *, bounds=(0.0, 1.0)):
    return TwoMeans(first=guarded_level(one, bounds), second=guarded_level(two, bounds))


def test_a_gap_of_means_is_as_far_as_both_limits_reach():
    # symmetric, so that no skewness is taken away, and without bounds, so that nothing is hidden
    one, two = np.arange(60.0) / 10, np.arange(35.0) / 7 - 1
    sides = [scipy.stats.t.ppf(0.975, len(each) - 1) * scipy.stats.sem(each) for each in (one, two)]
    gap = one.mean() - two.mean()
    found = two_means(one, two, bounds=(-math.inf, math.inf))
    interval = found.interval()
    assert found.value == pytest.approx(gap)
    assert interval.low == pytest.approx(gap - math.hypot(*sides))
    assert interval.high == pytest.approx(gap + math.hypot(*sides))
    # the p-value is that of the level at which the limit is met
    assert found.p_above(interval.low) == pytest.approx(0.025)
    assert found.p_below(interval.high) == pytest.approx(0.025)
    assert found.p_above(gap + 1e-9) == found.p_below(gap - 1e-9) == 1
    # close to Welch's where both groups are large and even
    rng = np.random.default_rng(1)
    one, two = rng.random(600), rng.random(450) * 0.8
    theirs = scipy.stats.ttest_ind(one, two, equal_var=False).confidence_interval(0.9)
    ours = two_means(one, two).interval(0.9)
    assert (ours.low, ours.high) == pytest.approx((theirs.low, theirs.high), abs=2e-4)


def test_a_gap_of_means_without_evidence():
    alike = two_means([1.0] * 30, [1.0] * 30)
    assert alike.interval().low < 0 < alike.interval().high
    unbounded = two_means([1.0] * 3, [2.0] * 3, bounds=(-math.inf, math.inf))
    assert unbounded.p_above(-5) == unbounded.p_below(5) == 1
    assert unbounded.interval() == Interval(None, None)
    far = two_means(np.linspace(0, 0.1, 400), np.linspace(0.9, 1, 400))
    assert far.p_below(0.5) < 1e-12
    assert far.p_above(0.5) == 1


def test_a_small_group_of_crowded_scores_seldom_passes_a_gap_at_the_limit():
    rng = np.random.default_rng(11)
    reps, limit = 1500, 0.05

    def scores(n, lost):
        return np.where(rng.random(n) < lost, 0.0, np.where(rng.random(n) < 0.6, 1.0, 0.9))

    passed = {"Welch": 0, "limits": 0}
    for _ in range(reps):
        one, two = scores(500, 0.08), scores(50, 0.08 + limit / 0.96)
        welch = scipy.stats.ttest_ind(one, two, equal_var=False).confidence_interval(0.9)
        passed["Welch"] += welch.high < limit
        passed["limits"] += two_means(one, two).p_below(limit) <= 0.05
    assert passed["Welch"] / reps > 0.08
    assert passed["limits"] / reps < 0.06


def test_a_mean_near_the_end_of_its_scale_hides_what_was_not_drawn():
    rng = np.random.default_rng(6)
    reps, n = 1500, 100
    passed = {"t": 0, "guarded": 0}
    for _ in range(reps):
        values = np.where(rng.random(n) < 0.02, 0.0, np.where(rng.random(n) < 0.6, 1.0, 0.9))
        truth = 0.98 * 0.96
        passed["t"] += paired_t(values).p_above(truth) <= 0.05
        passed["guarded"] += guarded_level(values, (0.0, 1.0)).p_above(truth) <= 0.05
    assert passed["t"] / reps > 0.1
    assert passed["guarded"] / reps <= 0.05


@given(st.floats(0.02, 0.98), st.integers(1, 300), st.floats(0.01, 0.99))
def test_what_is_unseen_is_a_binomial_of_nothing_drawn(value, n, at):
    found = Unseen(value=value, n=n, low=0.0, high=1.0)
    share = max(0.0, 1 - at / value)
    assert found.p_above(at) == pytest.approx(scipy.stats.binom.pmf(0, n, share), abs=1e-12)
    interval = found.interval_at(scipy.stats.norm.isf(0.05))
    assert found.p_above(interval.low) == pytest.approx(0.05)
    assert found.p_below(interval.high) == pytest.approx(0.05)
