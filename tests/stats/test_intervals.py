"""Intervals against scipy, published values and what every interval must hold."""

from __future__ import annotations

import json
import math
import random
from pathlib import Path

import numpy as np
import pytest
import scipy.stats
from hypothesis import given, settings
from hypothesis import strategies as st

from evalkit.stats.intervals import (
    NOTHING,
    bootstrap_corpus,
    clopper_pearson,
    effective_size,
    exact_sum,
    intraclass_correlation,
    mean_guarded,
    mean_t,
    quantile_interval,
    quantile_rank,
    quantile_ranks,
    wilson,
)

REFERENCE = Path(__file__).parents[2].parent / "shared" / "data" / "stats_reference.json"


def reference(topic: str) -> list[dict]:
    if not REFERENCE.is_file():
        pytest.skip("the file of reference values is not on this machine")
    cases = json.loads(REFERENCE.read_text())["cases"]
    found = [one for one in cases if one["topic"].startswith(topic)]
    assert found
    return found


counts = st.integers(1, 2000).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n)))
levels = st.sampled_from([0.8, 0.9, 0.95, 0.99])


@given(counts, levels)
def test_rate_intervals_equal_scipys(count, level):
    k, n = count
    test = scipy.stats.binomtest(k, n)
    for mine, method in ((wilson, "wilson"), (clopper_pearson, "exact")):
        theirs = test.proportion_ci(level, method=method)
        ours = mine(k, n, level)
        assert ours.low == pytest.approx(theirs.low, abs=1e-9)
        assert ours.high == pytest.approx(theirs.high, abs=1e-9)
        assert 0 <= ours.low <= k / n <= ours.high <= 1
        assert ours.low < ours.high


def test_rate_intervals_equal_the_reference_values():
    for one in reference("proportion two-sided"):
        inputs = one["inputs"]
        for mine, name in ((wilson, "wilson"), (clopper_pearson, "clopper_pearson")):
            ours = mine(inputs["successes"], inputs["n"], 1 - inputs["alpha"])
            assert [ours.low, ours.high] == pytest.approx(one["expected"][name], abs=one["tol"])


def test_one_sided_bounds_are_those_of_twice_the_tail():
    for one in reference("proportion one-sided"):
        k, n, alpha = (one["inputs"][key] for key in ("successes", "n", "alpha"))
        for mine, name in ((wilson, "wilson"), (clopper_pearson, "cp")):
            ours = mine(k, n, 1 - 2 * alpha)
            wanted = [one["expected"][f"{name}_lower"], one["expected"][f"{name}_upper"]]
            assert [ours.low, ours.high] == pytest.approx(wanted, abs=1e-8)


def test_wilson_of_published_example():
    # Newcombe 1998, Table I: 81 of 263, 15 of 148, 0 of 20, 1 of 29
    for k, n, low, high in (
        (81, 263, 0.2553, 0.3662),
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0.0, 0.1611),
        (1, 29, 0.0061, 0.1718),
    ):
        ours = wilson(k, n)
        assert (ours.low, ours.high) == pytest.approx((low, high), abs=5e-5)


def test_clopper_pearson_of_published_example():
    # Newcombe 1998, Table I, method 5
    for k, n, low, high in (
        (81, 263, 0.2527, 0.3676),
        (15, 148, 0.0578, 0.1617),
        (0, 20, 0.0, 0.1684),
        (1, 29, 0.0009, 0.1776),
    ):
        ours = clopper_pearson(k, n)
        assert (ours.low, ours.high) == pytest.approx((low, high), abs=5e-5)


def test_a_one_percent_ceiling_needs_299_clean_cases():
    # one-sided 95 % is the two-sided 90 % end
    assert clopper_pearson(0, 298, 0.90).high > 0.01
    assert clopper_pearson(0, 299, 0.90).high <= 0.01


@pytest.mark.parametrize(("k", "n"), [(0, 0), (3, 2), (-1, 5)])
def test_impossible_counts_are_refused(k, n):
    with pytest.raises(ValueError, match="not a rate"):
        wilson(k, n)
    with pytest.raises(ValueError, match="not a rate"):
        clopper_pearson(k, n)


@given(st.lists(st.floats(-1e3, 1e3), min_size=2, max_size=60).filter(lambda x: np.ptp(x) > 1e-3))
def test_mean_t_equals_scipys(values):
    theirs = scipy.stats.ttest_1samp(values, 0).confidence_interval(0.95)
    ours = mean_t(values)
    assert ours.low == pytest.approx(theirs.low, rel=1e-9, abs=1e-9)
    assert ours.high == pytest.approx(theirs.high, rel=1e-9, abs=1e-9)


def test_mean_t_without_variance_or_a_second_value_is_nothing():
    assert mean_t([0.4]) == NOTHING
    assert mean_t([0.4] * 50) == NOTHING


bounded = st.lists(st.floats(0, 1), min_size=1, max_size=80)


@given(bounded)
def test_a_bounded_mean_always_has_an_interval_with_a_width_inside_the_bounds(values):
    ours, _ = mean_guarded(values, (0.0, 1.0))
    centre = math.fsum(values) / len(values)
    assert 0 <= ours.low <= centre + 1e-12
    assert centre - 1e-12 <= ours.high <= 1
    assert ours.high - ours.low > 1e-6


def test_the_guard_is_two_pseudo_observations_at_the_bounds():
    ours, guarded = mean_guarded([1.0] * 30, (0.0, 1.0))
    wide = mean_t([1.0] * 30 + [0.0, 1.0])
    assert guarded
    assert ours.low == wide.low
    assert ours.high == 1.0


def test_the_guard_ends_when_twenty_values_vary():
    values = [1.0] * 100 + [i / 40 for i in range(20)]
    assert mean_guarded(values, (0.0, 1.0)) == (mean_t(values), False)
    assert mean_guarded(values[:-1], (0.0, 1.0))[1]


def test_an_unbounded_mean_without_variance_has_no_interval():
    assert mean_guarded([2.0] * 9, (0.0, math.inf)) == (NOTHING, False)


def test_an_interval_is_clipped_to_the_bounds():
    ours, _ = mean_guarded([0.0, 0.0, 0.0, 5.0], (0.0, math.inf))
    assert ours.low == 0.0


def test_coverage_of_the_guarded_interval_on_rare_failures():
    """A judge that is nearly always right: plain t covers far below 95 %, the guard does not."""
    rng = np.random.default_rng(7)
    plain = guarded = 0
    for _ in range(400):
        values = np.where(rng.random(40) < 0.03, rng.random(40), 1.0)
        truth = 1 - 0.03 * 0.5
        one = mean_t(values)
        plain += one.low is not None and one.low <= truth <= one.high
        two, _ = mean_guarded(values, (0.0, 1.0))
        guarded += two.low <= truth <= two.high
    assert plain < 0.8 * 400
    assert guarded >= 0.95 * 400


@given(st.integers(1, 3000), st.floats(0.01, 0.99), levels)
def test_quantile_ranks_cover_and_are_as_narrow_as_they_can_be(n, q, level):
    tail = (1 - level) / 2
    lower, upper = quantile_ranks(n, q, level)
    below = scipy.stats.binom(n, q)
    assert 0 <= lower <= upper <= n + 1
    assert below.cdf(lower - 1) <= tail + 1e-12
    assert below.cdf(lower) > tail - 1e-9
    assert below.sf(upper - 1) <= tail + 1e-9 or upper == n + 1
    if upper > 1:
        assert below.sf(upper - 2) > tail - 1e-9


def test_quantile_ranks_equal_the_reference_values():
    for one in reference("order-statistic CI ranks"):
        n, q, alpha = (one["inputs"][key] for key in ("n", "q", "alpha"))
        wanted = (one["expected"]["rank_lower"], one["expected"]["rank_upper"])
        assert quantile_ranks(n, q, 1 - alpha) == wanted
        _, one_sided = quantile_ranks(n, q, 1 - 2 * alpha)
        assert one_sided == one["expected"]["one_sided_upper_rank"]


def test_p95_has_no_upper_bound_until_the_sample_can_give_one():
    few = quantile_interval(range(71), 0.95)
    assert few.low is not None
    assert few.high is None
    assert quantile_interval(range(72), 0.95).high == 71


@pytest.mark.parametrize(
    ("n", "q", "rank"), [(1, 0.5, 1), (10, 0.9, 9), (20, 0.95, 19), (3, 0.01, 1)]
)
def test_the_quantile_is_a_measured_value(n, q, rank):
    assert quantile_rank(n, q) == rank
    values = sorted(np.random.default_rng(n).random(n))
    theirs = np.quantile(values, q, method="inverted_cdf")
    assert values[rank - 1] == theirs


def test_intraclass_correlation_equals_the_reference_value():
    for one in reference("one-way ANOVA ICC"):
        rows = one["inputs"]["rows_are_clusters"]
        flat = np.array([x for row in rows for x in row])
        owner = np.repeat(np.arange(len(rows)), len(rows[0]))
        ours = intraclass_correlation(flat, owner)
        assert ours == pytest.approx(one["expected"]["icc"], abs=1e-9)


def test_repeats_that_are_copies_are_worth_one_and_independent_ones_nearly_all():
    copies = [[float(i)] * 5 for i in range(30)]
    assert effective_size(copies) == 30
    rng = np.random.default_rng(3)
    free = rng.random((200, 5)).tolist()
    assert 800 < effective_size(free) <= 1000
    assert effective_size([[1.0], [2.0], [3.0]]) == 3
    assert effective_size([[1.0, 1.0, 1.0]]) == 1


def test_repeats_widen_a_quantile_interval():
    values = list(np.random.default_rng(5).random(400))
    all_free = quantile_interval(values, 0.9)
    dependent = quantile_interval(values, 0.9, effective_n=100)
    assert dependent.low <= all_free.low
    assert dependent.high >= all_free.high
    assert quantile_interval(values, 0.95, effective_n=60).high is None


def ratio(sums):
    return sums[0] / sums[1]


def test_the_bootstrap_of_a_ratio_agrees_with_scipys():
    rng = np.random.default_rng(11)
    stats = np.column_stack([rng.gamma(4, 1, 150), rng.gamma(9, 1, 150)])
    ours = bootstrap_corpus(stats, ratio, resamples=4000)
    theirs = scipy.stats.bootstrap(
        (stats[:, 0], stats[:, 1]),
        lambda x, y, axis: x.sum(axis) / y.sum(axis),
        paired=True,
        vectorized=True,
        method="percentile",
        n_resamples=4000,
        rng=2,
    ).confidence_interval
    assert ours.low == pytest.approx(theirs.low, abs=0.01)
    assert ours.high == pytest.approx(theirs.high, abs=0.01)


@settings(max_examples=25)
@given(
    st.lists(st.tuples(st.integers(0, 9), st.integers(1, 9)), min_size=1, max_size=30), st.randoms()
)
def test_the_bootstrap_ignores_order_and_keeps_its_seed(rows, random):
    mixed = list(rows)
    random.shuffle(mixed)
    first = bootstrap_corpus(rows, ratio, resamples=50, seed=4)
    assert bootstrap_corpus(mixed, ratio, resamples=50, seed=4) == first
    assert first == NOTHING or first.low < first.high


def test_the_bootstrap_of_equal_cases_claims_nothing():
    assert bootstrap_corpus([[1.0, 2.0]] * 20, ratio) == NOTHING
    assert bootstrap_corpus([[1.0, 2.0]], ratio) == NOTHING


def test_the_normal_limit_of_a_corpus_interval_is_that_of_resampling(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Both ways on the same cases: the ends differ by less than resampling itself scatters."""
    from evalkit.scorers._sacre import corpus_bleu

    rng = np.random.default_rng(3)
    n = 5_500
    words = rng.poisson(20, n) + 1
    orders = [np.maximum(words - order, 0) for order in range(4)]
    hits = [rng.binomial(one, p) for one, p in zip(orders, (0.6, 0.35, 0.2, 0.1), strict=True)]
    data = np.stack([words, words + rng.integers(-3, 4, n), *hits, *orders], axis=1).astype(float)
    limit = bootstrap_corpus(data, corpus_bleu, resamples=2000)
    monkeypatch.setattr("evalkit.stats.intervals.NORMAL_FROM", n)
    drawn = bootstrap_corpus(data, corpus_bleu, resamples=2000)
    assert None not in (limit.low, limit.high, drawn.low, drawn.high)
    width = drawn.high - drawn.low
    assert limit.low == pytest.approx(drawn.low, abs=0.08 * width)
    assert limit.high == pytest.approx(drawn.high, abs=0.08 * width)


@given(st.lists(st.sampled_from([0.0, 0.25, 0.5, 1.0]), max_size=25), st.integers(1, 120))
def test_values_are_sparse_when_fewer_than_twenty_are_off_the_commonest(others, times):
    values = [*others, *[0.75] * times]
    most = max(map(values.count, values))
    for turn in range(3):
        random.Random(turn).shuffle(values)
        _, guarded = mean_guarded(values, (0.0, 1.0))
        assert guarded == (len(values) - most < 20)


@given(st.lists(st.floats(-1e9, 1e9), max_size=40))
def test_a_sum_is_rounded_once_however_many_pieces_it_is_made_of(values):
    many = values * 700
    assert exact_sum(np.array(many)) == math.fsum(many)
    assert exact_sum(np.array(many), around=0.5) == math.fsum((one - 0.5) ** 2 for one in many)
