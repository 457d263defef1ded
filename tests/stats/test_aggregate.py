"""From scores of trials to one estimate."""

from __future__ import annotations

import math

import numpy as np
import pytest
import scipy.stats
from hypothesis import given
from hypothesis import strategies as st

from evalkit.model import Metric, corpus, flagged, mean, p50, p95, rate, total
from evalkit.stats import Estimate, summarise


def ratio(sums):
    return sums[0] / sums[1] if sums[1] else 0.0


METRICS = [mean, rate, p50, p95, total, corpus(ratio)]

trials = st.lists(
    st.tuples(st.sampled_from("abcdefgh"), st.sampled_from([0.0, 0.25, 0.5, 1.0]), st.booleans()),
    min_size=1,
    max_size=60,
)


def of(metric, rows, **options) -> Estimate:
    return summarise(
        metric,
        [value for _, value, _ in rows],
        [passed for _, _, passed in rows],
        [case for case, _, _ in rows],
        [(value, 1.0) for _, value, _ in rows],
        **{"bounds": (0.0, 1.0), **options},
    )


@pytest.mark.parametrize("metric", METRICS, ids=lambda one: one.name)
def test_no_scores_are_no_estimate(metric):
    none = of(metric, [])
    assert none == Estimate(value=None, low=None, high=None, n=0, method="none")


def test_a_rate_of_scores_that_do_not_decide_is_no_estimate():
    found = summarise(rate, [1.0, 0.0], [None, None], ["a", "b"])
    assert found.value is None
    assert found.n == 0


def test_a_rate_counts_only_scores_that_decide():
    found = summarise(rate, [1.0, 0.0, 1.0], [True, None, False], ["a", "b", "c"])
    assert (found.value, found.n, found.method) == (0.5, 2, "wilson")


@given(trials, st.sampled_from(METRICS), st.randoms())
def test_every_estimate_is_sound_and_ignores_the_order(rows, metric, shuffle):
    first = of(metric, rows)
    assert first.n == len({case for case, _, _ in rows})
    assert first.value is not None
    assert math.isfinite(first.value)
    if first.low is not None:
        assert first.low <= first.value
    if first.high is not None:
        assert first.high >= first.value
    if metric.kind in {"mean", "rate", "corpus"}:
        assert first.low is not None
        assert first.high is not None
        assert first.high - first.low > 1e-9
        assert 0 <= first.low <= first.high <= 1
    mixed = list(rows)
    shuffle.shuffle(mixed)
    again = of(metric, mixed)
    assert again.n == first.n
    for name in ("value", "low", "high"):
        assert getattr(again, name) == pytest.approx(getattr(first, name), abs=1e-12)


@given(trials, st.sampled_from([mean, rate]))
def test_repeating_every_trial_adds_no_certainty(rows, metric):
    once, twice = of(metric, rows), of(metric, rows * 2)
    assert twice.n == once.n
    assert twice.value == pytest.approx(once.value)
    assert twice.low == pytest.approx(once.low)
    assert twice.high == pytest.approx(once.high)


@given(trials, st.integers(0, 59))
def test_turning_a_success_into_a_failure_never_raises_a_rate_or_its_ends(rows, place):
    place %= len(rows)
    case, value, _ = rows[place]
    good = [*rows[:place], (case, value, True), *rows[place + 1 :]]
    bad = [*rows[:place], (case, value, False), *rows[place + 1 :]]
    before, after = of(rate, good), of(rate, bad)
    assert after.value < before.value
    if before.method == after.method == "wilson":
        assert after.low <= before.low
        assert after.high <= before.high


def test_the_case_is_the_unit_of_a_mean():
    rows = [("a", 1.0, True)] * 98 + [("b", 0.0, False), ("c", 0.5, True)]
    found = of(mean, rows)
    assert found.value == 0.5
    assert found.n == 3


def test_a_mean_of_many_varied_cases_is_students():
    values = np.random.default_rng(2).random(200)
    found = summarise(
        mean, list(values), [None] * 200, [str(i) for i in range(200)], bounds=(0.0, 1.0)
    )
    theirs = scipy.stats.ttest_1samp(values, 0).confidence_interval(0.95)
    assert (found.low, found.high) == pytest.approx((theirs.low, theirs.high))
    assert found.method == "t"


def test_perfect_scores_do_not_claim_certainty():
    found = of(mean, [(str(i), 1.0, True) for i in range(50)])
    assert found.value == found.high == 1.0
    assert 0.9 < found.low < 0.97
    assert found.method == "t with two pseudo-cases"
    assert of(rate, [(str(i), 1.0, True) for i in range(50)]).low == pytest.approx(0.9287, abs=1e-4)


def test_a_rate_with_repeats_uses_the_share_of_each_case():
    rows = [("a", 1.0, True), ("a", 1.0, False), ("b", 1.0, True), ("b", 1.0, True)]
    found = of(rate, rows)
    assert (found.value, found.n, found.method) == (0.75, 2, "t with two pseudo-cases")


def test_one_latency_has_no_interval():
    found = summarise(mean, [0.3], [None], ["a"], bounds=(0.0, math.inf))
    assert found == Estimate(value=0.3, low=None, high=None, n=1, method="t, no interval")


def test_a_quantile_is_over_trials_and_keeps_the_slow_ones():
    # averaging repeats first would give 1.9
    values = [1.0] * 9 + [10.0]
    found = summarise(Metric("p95", "quantile", 0.95), values, [None] * 10, list("abcdefghij"))
    assert found.value == 10.0
    assert found.high is None


def test_copied_trials_do_not_make_a_quantile_certain():
    values = [float(i) for i in range(50)]
    cases = [str(i) for i in range(50)]
    once = summarise(p95, values, [None] * 50, cases)
    copied = summarise(p95, values * 5, [None] * 250, cases * 5)
    assert once.high is copied.high is None
    assert copied.low <= once.low + 1
    assert copied.n == 50


def test_a_total_is_a_sum_and_estimates_nothing():
    found = summarise(total, [0.1] * 10, [None] * 10, ["a"] * 5 + ["b"] * 5)
    assert found == Estimate(value=1.0, low=None, high=None, n=2, method="sum")


def test_a_corpus_metric_sums_statistics_and_does_not_average_scores():
    stats = [(1.0, 1.0), (0.0, 9.0)]
    found = summarise(corpus(ratio), [1.0, 0.0], [None] * 2, ["a", "b"], stats, bounds=(0, 1))
    assert found.value == 0.1
    assert found.method == "bootstrap"


def test_corpus_bleu_equals_sacrebleus_and_has_an_interval():
    import sacrebleu

    from evalkit.scorers._sacre import bleu_stats, bleu_value, corpus_bleu

    refs = [
        "the cat sat on the mat",
        "there is a dog in the garden",
        "he bought three apples yesterday",
        "the meeting starts at noon",
    ]
    outputs = [
        "the cat sat on the mat",
        "there is a dog in the yard",
        "he bought three apples",
        "the meeting begins at noon",
    ]
    texts = [(out, [ref]) for out, ref in zip(outputs, refs, strict=True)]
    stats = bleu_stats(texts, "13a", lowercase=False)
    values = [bleu_value(one, effective_order=True) for one in stats]
    found = summarise(corpus(corpus_bleu), values, [None] * 4, list("abcd"), stats, bounds=(0, 100))
    assert found.value == pytest.approx(sacrebleu.corpus_bleu(outputs, [refs]).score, abs=1e-9)
    assert found.value == pytest.approx(74.96496801222565, abs=1e-9)
    assert found.low < found.value < found.high


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_scores_that_are_not_finite_are_refused(bad):
    with pytest.raises(ValueError, match="not finite"):
        summarise(mean, [1.0, bad], [None, None], ["a", "b"])


def test_lists_of_different_length_are_refused():
    with pytest.raises(ValueError, match="equally long"):
        summarise(mean, [1.0], [None, None], ["a"])
    with pytest.raises(ValueError, match="statistics"):
        summarise(corpus(ratio), [1.0], [None], ["a"])


@given(trials)
def test_the_share_flagged_is_what_the_share_passed_leaves(rows):
    passed, doubted = of(rate, rows), of(flagged, rows)
    assert passed.value is not None
    assert doubted.value == pytest.approx(1 - passed.value, abs=1e-12)
    assert doubted.low == pytest.approx(1 - passed.high, abs=1e-9)
    assert doubted.high == pytest.approx(1 - passed.low, abs=1e-9)
