"""Repeats, the suite estimand, and what may be missing."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from evalkit.stats import repeats, suite
from evalkit.stats.missing import impute
from evalkit.stats.paired_rates import PairedCounts


def moments(rows):
    values = [float(value) for row in rows for value in row]
    owners = [case for case, row in enumerate(rows) for _ in row]
    return repeats.case_moments(values, owners)


def test_moments_of_a_known_suite():
    found = moments([[1, 1, 1], [1, 0, 1], [0, 0, 0], [1, 1, 0], [1, 1, 1]])
    assert repeats.suite_se(found) == pytest.approx(0.09428090415820634, abs=1e-12)
    assert repeats.population_se(found) == pytest.approx(0.18257418583505536, abs=1e-12)
    assert repeats.disagreement(found) == pytest.approx(0.2666666666666667, abs=1e-12)
    assert found.of_cases([3, 0]).means.tolist() == pytest.approx([2 / 3, 1])


@given(st.lists(st.lists(st.floats(0, 1), min_size=1, max_size=5), min_size=1, max_size=20))
def test_moments_equal_numpys_in_any_order(rows):
    found = moments(rows)
    values = [(value, case) for case, row in enumerate(rows) for value in row][::-1]
    again = repeats.case_moments([one for one, _ in values], [case for _, case in values])
    assert np.array_equal(found.means, again.means)
    assert np.array_equal(found.variances, again.variances, equal_nan=True)
    for case, row in enumerate(rows):
        assert found.means[case] == pytest.approx(np.mean(row))
        if len(row) > 1:
            assert found.variances[case] == pytest.approx(np.var(row, ddof=1), abs=1e-12)
        else:
            assert math.isnan(found.variances[case])


def test_moments_refuse_gaps():
    with pytest.raises(ValueError, match="no trial"):
        repeats.case_moments([1.0], [1])
    with pytest.raises(ValueError, match="finite"):
        repeats.case_moments([math.nan], [0])
    with pytest.raises(ValueError, match="its case"):
        repeats.case_moments([1.0, 2.0], [0])
    with pytest.raises(ValueError, match="two trials"):
        repeats.suite_se(moments([[1], [0]]))
    assert repeats.case_numbers(["b", "a", "b"]).tolist() == [0, 1, 0]


def test_pass_at_k_and_pass_hat_k_are_unbiased():
    assert repeats.pass_at_k(10, 3, 5) == pytest.approx(0.9166666666666666)
    assert repeats.pass_hat_k(5, 4, 3) == pytest.approx(0.4)
    n, k, p = 6, 3, 0.35
    weights = [math.comb(n, c) * p**c * (1 - p) ** (n - c) for c in range(n + 1)]
    at = sum(w * repeats.pass_at_k(n, c, k) for c, w in enumerate(weights))
    hat = sum(w * repeats.pass_hat_k(n, c, k) for c, w in enumerate(weights))
    assert at == pytest.approx(1 - (1 - p) ** k)
    assert hat == pytest.approx(p**k)
    for wrong in ((3, 4, 1), (3, 1, 4), (3, 1, 0)):
        with pytest.raises(ValueError, match="not possible"):
            repeats.pass_at_k(*wrong)


def test_confirmation_spares_sound_cases():
    assert repeats.must_pass_false_block(0.995, 30, confirm=0) == pytest.approx(0.13961580808530394)
    assert repeats.must_pass_false_block(0.995, 30, confirm=2) == pytest.approx(
        0.0014951684342361382
    )
    assert repeats.must_pass_false_block(0.0, 1, confirm=2) == 1
    assert repeats.flakiness(3, 5) == pytest.approx(0.994248484818097)
    assert repeats.expected_disagreement(5, 5) == pytest.approx(0.13095238095238096)


# --- the suite --------------------------------------------------------------------------------


def stored(rng, n=120, runs=5):
    chances = rng.beta(0.13, 0.02, n)
    before = moments((rng.random((n, runs)) < chances[:, None]).tolist())
    after = moments((rng.random((n, 1)) < chances[:, None]).tolist())
    return before, after, chances


def test_the_suite_difference_is_that_of_the_formula():
    rng = np.random.default_rng(2)
    before = moments(rng.random((40, 5)).tolist())
    after = moments(rng.random((40, 1)).tolist())
    found = suite.suite_difference(after, before)
    expected = math.sqrt(float((before.variances * (1 / 5 + 1)).sum())) / 40
    assert found.se == pytest.approx(expected)
    assert found.df == math.inf
    twice = moments(rng.random((40, 2)).tolist())
    found = suite.suite_difference(twice, before)
    expected = math.sqrt(float((before.variances / 5 + twice.variances / 2).sum())) / 40
    assert found.se == pytest.approx(expected)


def test_no_noise_seen_is_not_no_noise():
    found = suite.suite_difference(moments([[1]] * 30), moments([[1, 1, 1]] * 30))
    assert found.interval(0.90).low < 0 < found.interval(0.90).high
    unbounded = suite.suite_difference(
        moments([[1]] * 30), moments([[1, 1, 1]] * 30), spread=math.inf
    )
    assert unbounded.p_above(-1) == 1


def test_order_is_nothing_and_a_failure_never_helps():
    before, after, _ = stored(np.random.default_rng(3))
    order = np.random.default_rng(4).permutation(before.n)
    found = suite.suite_difference(after, before)
    assert suite.suite_difference(after.of_cases(order), before.of_cases(order)) == found
    for case in np.flatnonzero(after.means == 1)[:20]:
        worse = moments([[float(one) if i != case else 0.0] for i, one in enumerate(after.means)])
        now = suite.suite_difference(worse, before)
        assert now.p_above(-0.03) > found.p_above(-0.03)
        assert now.p_below(0) < found.p_below(0)


def test_the_last_look_is_the_whole_suite():
    before, after, _ = stored(np.random.default_rng(5))
    order = np.random.default_rng(6).permutation(before.n)
    look = suite.suite_look(after.of_cases(order), before, order)
    whole = suite.suite_difference(after, before)
    assert look.fraction == pytest.approx(1)
    assert look.evidence.se == pytest.approx(whole.se)
    assert look.evidence.value == pytest.approx(whole.value)
    early = suite.suite_look(after.of_cases(order[:30]), before, order[:30])
    assert 0 < early.fraction < 1
    assert early.evidence.se > whole.se
    with pytest.raises(ValueError, match="same cases"):
        suite.suite_look(after.of_cases(order[:30]), before, order[:31])


def test_one_stored_run_is_not_enough():
    one = moments([[1], [0], [1]])
    with pytest.raises(ValueError, match="two stored trials"):
        suite.suite_difference(one, one)


def test_a_shock_of_whole_runs_shows():
    rng = np.random.default_rng(8)
    chances = rng.beta(2, 1, 400)
    calm = (rng.random((400, 6)) < chances[:, None]).astype(float)
    shocked = calm * (rng.random(6) < 0.5) * 0.3 + calm * 0.7
    for runs, lowest, highest in ((calm, 0.3, suite.SHOCK), (shocked, suite.SHOCK, math.inf)):
        ratio = suite.shock_ratio(runs.mean(axis=0), moments(runs.tolist()))
        assert lowest < ratio < highest
    level = suite.run_level_difference(0.5, [0.5, 0.6, 0.55])
    assert level.df == 2
    assert level.value == pytest.approx(-0.05)
    assert level.se == pytest.approx(0.05 * math.sqrt(1 + 1 / 3))
    assert suite.shock_ratio([0.5, 0.5], moments([[1, 1]])) == 1
    assert suite.shock_ratio([0.5, 0.6], moments([[1, 1]])) == math.inf
    with pytest.raises(ValueError, match="one run"):
        suite.shock_ratio([0.5], moments([[1, 1]]))


# --- missing ----------------------------------------------------------------------------------


@given(
    st.lists(st.sampled_from([0.0, 1.0]), min_size=5, max_size=60),
    st.lists(st.booleans(), min_size=60, max_size=60),
    st.sampled_from([0.03, 0.1, 0.3]),
)
def test_losing_results_never_improves_a_verdict(after, lost, margin):
    before = [1.0] * len(after)
    seen = [None if gone else one for one, gone in zip(after, lost, strict=False)]
    filled = impute(seen, (0.0, 1.0))
    whole = PairedCounts.of(before, after)
    worst = PairedCounts.of(before, filled.worst > 0.5)
    best = PairedCounts.of(before, filled.best > 0.5)
    assert worst.p_above(-margin) >= whole.p_above(-margin)
    assert best.p_below(0) >= whole.p_below(0)
    assert filled.missing == sum(lost[: len(after)])


def test_missing_times_are_as_long_as_can_be():
    filled = impute([1.0, None, math.nan], (0.0, 9.0), higher=False)
    assert filled.worst.tolist() == [1, 9, 9]
    assert filled.best.tolist() == [1, 0, 0]
    assert filled.share == pytest.approx(2 / 3)
    with pytest.raises(ValueError, match="unbounded"):
        impute([1.0, None], (0.0, math.inf))
    assert impute([1.0], (0.0, math.inf)).missing == 0
