"""Agreement, judges corrected by people, and what a plan promises."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from evalkit.stats import agreement, judged, planning
from evalkit.stats.paired_rates import PairedCounts

HUMAN = [1, 1, 0, 1, 0, 1, 1, 1, 0, 0, 1, 1, 0, 1, 1, 1, 0, 1, 1, 0]
JUDGE = [1, 1, 0, 1, 1, 1, 1, 0, 0, 0, 1, 1, 0, 1, 1, 1, 1, 1, 1, 0]
NONE = None
RATERS = [  # Krippendorff 2011, the example with missing values
    [1, 2, 3, 3, 2, 1, 4, 1, 2, NONE, NONE, NONE],
    [1, 2, 3, 3, 2, 2, 4, 1, 2, 5, NONE, 3],
    [NONE, 3, 3, 3, 2, 3, 4, 2, 2, 5, 1, NONE],
    [1, 2, 3, 3, 2, 4, 4, 1, 2, 5, 1, NONE],
]


def test_kappas_of_known_raters():
    assert agreement.kappa(HUMAN, JUDGE).value == pytest.approx(0.6590909090909092)
    one = [1, 2, 3, 4, 5, 3, 2, 4, 5, 1, 3, 4, 2, 5, 4]
    two = [1, 2, 3, 3, 5, 3, 1, 4, 4, 2, 3, 5, 2, 5, 4]
    for weights, value in (("none", 0.5810055865921788), ("quadratic", 0.9042145593869731)):
        assert agreement.kappa(one, two, weights=weights).value == pytest.approx(value)
    table = [[5, 0], [4, 1], [2, 3], [0, 5], [5, 0], [3, 2]]
    assert agreement.fleiss_kappa(table) == pytest.approx(0.4258373205741628)


@pytest.mark.parametrize(
    ("scale", "value"), [("nominal", 0.743), ("ordinal", 0.815), ("interval", 0.849)]
)
def test_krippendorffs_alpha_of_his_example(scale, value):
    found = agreement.krippendorff_alpha(RATERS, scale)
    assert found.value == pytest.approx(value, abs=0.0006)
    assert found.interval().low < found.value < found.interval().high
    shuffled = np.array(RATERS, dtype=float)[::-1, np.random.default_rng(0).permutation(12)]
    again = agreement.krippendorff_alpha(shuffled.tolist(), scale)
    assert again.value == pytest.approx(found.value)


def test_many_distinct_values_need_no_table():
    rng = np.random.default_rng(2)
    truth = rng.random(5000)
    close = agreement.krippendorff_alpha(
        [truth, truth + rng.normal(0, 0.05, 5000)], "interval", resamples=200
    )
    assert close.value == pytest.approx(1 - 0.05**2 / (1 / 12 + 0.05**2 / 2) / 2, abs=0.01)


def test_perfect_agreement_is_no_certainty():
    labels = [1, 0] * 50
    for found in (
        agreement.kappa(labels, labels),
        agreement.krippendorff_alpha([labels, labels]),
        agreement.krippendorff_alpha([labels, labels], "interval"),
    ):
        assert found.value == pytest.approx(1)
        assert agreement.JUDGE_KAPPA < found.interval().low < 0.98


def test_raters_without_variety_show_nothing():
    assert agreement.kappa([1] * 30, [1] * 30).value == 0
    assert agreement.kappa([1] * 30, [1] * 30).interval().low is None
    assert agreement.krippendorff_alpha([[2.0] * 9, [2.0] * 9], "interval").value == 0
    assert agreement.fleiss_kappa([[3, 0], [3, 0]]) == 0


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), min_size=2, max_size=50))
def test_kappa_is_the_same_whoever_comes_first(ratings):
    one, two = zip(*ratings, strict=True)
    for weights in ("none", "linear", "quadratic"):
        forward = agreement.kappa(one, two, weights=weights, resamples=5)
        backward = agreement.kappa(two, one, weights=weights, resamples=5)
        assert forward.value == pytest.approx(backward.value, abs=1e-12)
        assert forward.value <= 1 + 1e-12
        again = agreement.kappa(one[::-1], two[::-1], weights=weights, resamples=5)
        assert np.array_equal(again.draws, forward.draws)


def test_raters_refuse_what_cannot_be_compared():
    with pytest.raises(ValueError, match="same cases"):
        agreement.kappa([1], [1, 2])
    with pytest.raises(ValueError, match="categories"):
        agreement.kappa(["a"], ["b"], categories=["a"])
    with pytest.raises(ValueError, match="two ratings"):
        agreement.krippendorff_alpha([[1, None], [None, 2]])
    with pytest.raises(ValueError, match="same number"):
        agreement.fleiss_kappa([[1, 1], [2, 1]])


# --- judges -----------------------------------------------------------------------------------


def labels(**changed):
    known = {
        "n": 1000, "judge_passed": 930, "labelled_passed": 70,
        "true_of_passed": 68, "labelled_failed": 30, "true_of_failed": 8,
    }  # fmt: skip
    return judged.JudgeLabels(**(known | changed))


def test_a_judge_corrected_by_known_labels():
    found = judged.corrected_rate(labels())
    assert found.value == pytest.approx(0.9161504102440041, abs=1e-9)
    interval = found.interval(0.95)
    assert interval.low == pytest.approx(0.8647004770583715, abs=7e-4)
    assert interval.high == pytest.approx(0.9489449233041193, abs=7e-4)
    assert judged.corrected_rate(labels()).interval() == judged.corrected_rate(labels()).interval()
    assert found.p_above(0.95) > 0.9


def test_a_judge_without_labels_knows_nothing():
    interval = judged.corrected_rate(
        labels(labelled_passed=0, true_of_passed=0, labelled_failed=0, true_of_failed=0)
    ).interval()
    assert interval.low < 0.05
    assert interval.high > 0.95
    for wrong in ({"true_of_passed": 71}, {"judge_passed": 1001}, {"labelled_failed": 71}):
        with pytest.raises(ValueError, match="do not fit"):
            labels(**wrong)


def test_predictions_power_a_known_mean():
    y = [1.0, 1, 0, 1, 1, 0, 1, 1, 1, 1, 0, 1, 1, 1, 1, 1, 0, 1, 1, 1]
    judge = [1.0, 1, 1, 1, 1, 0, 1, 1, 0, 1, 1, 1, 1, 1, 1, 1, 0, 1, 1, 1]
    rest = [1.0] * 150 + [0.0] * 30
    tuned = judged.prediction_powered_mean(y, judge, rest)
    assert tuned.value == pytest.approx(0.7924169842133912, abs=1e-9)
    assert tuned.interval().low == pytest.approx(0.6369171502981699, abs=1e-9)
    plain = judged.prediction_powered_mean(y, judge, rest, tune=False)
    assert plain.value == pytest.approx(0.7833333333333333, abs=1e-9)
    # a judge that says the same of every case is no help and does no harm
    deaf = judged.prediction_powered_mean(y, [1.0] * 20, [1.0] * 180)
    assert deaf.value == pytest.approx(float(np.mean(y)))
    with pytest.raises(ValueError, match="two labelled"):
        judged.prediction_powered_mean([1.0], [1.0], rest)


# --- plans ------------------------------------------------------------------------------------


def test_plans_of_the_published_table():
    assert [planning.structural_cases(m) for m in (0.01, 0.02, 0.03, 0.05, 0.1)] == [
        268, 133, 88, 52, 25,
    ]  # fmt: skip
    assert planning.cases_to_pass(0.03, 0.05) == 127
    assert planning.cases_to_pass(0.06, 0.03, power=0.9) == 629
    assert planning.smallest_drop(200, 0.0636) == pytest.approx(0.06198111908666746, abs=1e-12)
    assert planning.smallest_drop(500, 0.0636) == pytest.approx(0.034810571615157555, abs=1e-12)
    assert planning.smallest_suite_drop(200, 0.016, baseline_runs=5) == pytest.approx(
        0.0263, abs=0.0002
    )
    assert planning.false_alarms(200) == pytest.approx(20)


@given(st.floats(0.001, 0.9), st.sampled_from([0.01, 0.05, 0.1]))
def test_nothing_passes_below_the_structural_number(margin, alpha):
    n = planning.structural_cases(margin, alpha=alpha)
    enough = PairedCounts(both_pass=n, gain=0, loss=0, both_fail=0)
    assert enough.p_above(-margin) <= alpha + 1e-9
    if n > 1:
        short = PairedCounts(both_pass=n - 1, gain=0, loss=0, both_fail=0)
        assert short.p_above(-margin) > alpha - 1e-9
    assert planning.pass_power(n - 1, 0.05, margin, alpha=alpha) == 0


@given(st.integers(30, 5000), st.floats(0.0, 0.3), st.sampled_from([0.7, 0.8, 0.9]))
def test_the_smallest_drop_is_seen_with_the_power_asked_for(n, discordance, power):
    drop = planning.smallest_drop(n, discordance, power=power)
    assert drop is not None
    assert planning.block_power(n, discordance, drop) == pytest.approx(power, abs=1e-6)
    assert planning.smallest_drop(2 * n, discordance, power=power) < drop
    assert planning.smallest_drop(n, discordance + 0.05, power=power) > drop


@given(st.floats(0.01, 0.3), st.floats(0.01, 0.2), st.sampled_from([0.6, 0.8, 0.9]))
def test_planned_cases_pass_with_the_power_asked_for(discordance, margin, power):
    n = planning.cases_to_pass(discordance, margin, power=power)
    assert planning.pass_power(n, discordance, margin) >= power - 1e-9
    if n > planning.structural_cases(margin):
        assert planning.pass_power(n - 1, discordance, margin) < power


def test_planned_power_is_what_simulated_gates_have():
    n = planning.cases_to_pass(0.06, 0.05)
    rng = np.random.default_rng(1)
    unchanged = rng.multinomial(n, [0.03, 0.03, 0.94], 1500)
    passed = np.mean([_counts(row).p_above(-0.05) <= 0.05 for row in unchanged])
    assert 0.79 < passed < 0.88
    drop = planning.smallest_drop(n, 0.06)
    worse = rng.multinomial(n, [0.03, 0.03 + drop, 0.94 - drop], 1500)
    blocked = np.mean([_counts(row).p_below(0) <= 0.05 for row in worse])
    assert 0.77 < blocked < 0.87


def _counts(row):
    gain, loss, same = (int(one) for one in row)
    return PairedCounts(both_pass=same, gain=gain, loss=loss, both_fail=0)


def test_plans_refuse_the_impossible():
    assert planning.smallest_drop(1, 0.5) is None
    for call in (
        lambda: planning.structural_cases(0.0),
        lambda: planning.smallest_drop(0, 0.1),
        lambda: planning.smallest_suite_drop(10, 0.1, baseline_runs=1),
        lambda: planning.block_power(10, 0.1, 1.0),
    ):
        with pytest.raises(ValueError, match=r"needs|between"):
            call()
    assert planning.pass_power(100, 0.0, 0.05) == 1
    assert math.isclose(planning.false_alarms(10, families=100), 10)
