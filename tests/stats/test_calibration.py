"""Thresholds fitted on labels, and whether what is said of them is true."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evalkit.stats import calibration, judged
from evalkit.stats.calibration import Judged


def make(generator, n, *, base=0.3, apart=1.2):
    bad = generator.random(n) < base
    doubt = generator.normal(np.where(bad, apart, 0.0), 1.0)
    return doubt, bad


def given_judged(doubt, bad, *, cases=None, fair=None):
    n = len(bad)
    return Judged(
        doubt=np.asarray(doubt, dtype=float),
        bad=np.asarray(bad, dtype=bool),
        cases=np.arange(n) if cases is None else np.asarray(cases),
        fair=np.ones(n, dtype=bool) if fair is None else np.asarray(fair, dtype=bool),
    )


def brute(doubt, bad, goal):
    """The highest quality over every threshold, counted one by one."""
    best = -1.0
    for cut in [-np.inf, *sorted(set(doubt))]:
        flagged = doubt > cut
        hit, miss = (flagged & bad).sum(), (~flagged & bad).sum()
        alarm, clear = (flagged & ~bad).sum(), (~flagged & ~bad).sum()
        if goal == "f1":
            quality = 2 * hit / (2 * hit + miss + alarm)
        else:
            quality = hit / (hit + miss) + clear / (clear + alarm)
        best = max(best, quality)
    return best


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 9), st.booleans()), min_size=2, max_size=40),
    st.sampled_from(["balanced", "f1"]),
)
def test_the_best_threshold_is_the_best_there_is(rows, goal):
    doubt = np.array([one / 10 for one, _ in rows])
    bad = np.array([one for _, one in rows])
    if bad.all() or not bad.any():
        with pytest.raises(ValueError, match="both kinds"):
            calibration.best_threshold(doubt, bad, goal)
        return
    cut = calibration.best_threshold(doubt, bad, goal)
    flagged = doubt > cut
    hit, alarm = (flagged & bad).sum(), (flagged & ~bad).sum()
    if goal == "f1":
        quality = 2 * hit / (flagged.sum() + bad.sum())
    else:
        quality = hit / bad.sum() + (~flagged & ~bad).sum() / (~bad).sum()
    assert quality == pytest.approx(brute(doubt, bad, goal))
    del alarm


def test_quality_is_measured_on_labels_the_threshold_was_not_fitted_on():
    """A scorer that knows nothing is not shown to know something, though its fit looks good."""
    generator = np.random.default_rng(0)
    apparent, honest = [], []
    for turn in range(25):
        doubt, bad = generator.random(40), generator.random(40) < 0.5
        found = calibration.fit(given_judged(doubt, bad), resamples=2, seed=turn)
        flagged = doubt > found.threshold
        apparent.append((flagged[bad].mean() + (~flagged)[~bad].mean()) / 2)
        honest.append(found.balanced_accuracy.value)
    assert np.mean(apparent) > 0.58
    assert np.mean(honest) < 0.55  # 0.5 and three standard errors


def test_intervals_hold_the_quality_on_fresh_answers():
    """95 % intervals of precision, recall and kappa cover what fresh answers give."""
    generator = np.random.default_rng(1)
    big = make(generator, 200_000)
    covered = {"precision": 0, "recall": 0, "kappa": 0}
    turns = 50
    for turn in range(turns):
        found = calibration.fit(given_judged(*make(generator, 60)), resamples=50, seed=turn)
        flagged = big[0] > found.threshold
        hit = (flagged & big[1]).mean()
        chance = flagged.mean() * big[1].mean() + (~flagged).mean() * (~big[1]).mean()
        truth = {
            "precision": hit / flagged.mean(),
            "recall": hit / big[1].mean(),
            "kappa": ((flagged == big[1]).mean() - chance) / (1 - chance),
        }
        for name, value in truth.items():
            one = getattr(found, name)
            covered[name] += one.low <= value <= one.high
    # 50 turns of 95 %: fewer than 43 happens once in 500
    assert all(hits >= 43 for hits in covered.values()), covered


def test_counts_add_up_and_a_given_threshold_is_taken_as_it_is():
    doubt, bad = make(np.random.default_rng(2), 60)
    found = calibration.fit(given_judged(doubt, bad), threshold=0.5)
    flagged = doubt > 0.5
    assert (found.threshold, found.fixed, found.threshold_low) == (0.5, True, None)
    assert found.flagged_bad == (flagged & bad).sum()
    assert found.flagged_bad + found.flagged_good + found.passed_bad + found.passed_good == 60
    assert found.precision.value == pytest.approx(bad[flagged].mean())
    assert found.recall.value == pytest.approx(flagged[bad].mean())
    again = calibration.fit(given_judged(doubt, bad), threshold=0.5)
    assert found == again


def test_hard_answers_teach_the_threshold_and_no_rate():
    generator = np.random.default_rng(3)
    doubt, bad = make(generator, 90)
    fair = np.arange(90) < 60
    found = calibration.fit(given_judged(doubt, bad, fair=fair))
    assert found.n == 60
    assert found.threshold == calibration.best_threshold(doubt, bad)
    with pytest.raises(ValueError, match="both kinds"):
        calibration.fit(given_judged(doubt, bad, fair=fair & bad))


def test_answers_of_one_case_count_less():
    doubt, bad = make(np.random.default_rng(4), 100)
    apart = calibration.fit(given_judged(doubt, bad), threshold=0.5)
    together = calibration.fit(given_judged(doubt, bad, cases=np.arange(100) // 4), threshold=0.5)
    assert together.cases == 25
    assert together.precision.low < apart.precision.low
    assert together.precision.high > apart.precision.high


def test_bins_and_the_calibration_error():
    doubt = np.array([0.1] * 10 + [0.9] * 10)
    bad = np.array([True] + [False] * 9 + [True] * 9 + [False])
    found = calibration.bins(doubt, bad)
    assert [(one.mean, one.n, one.bad.value) for one in found] == [
        (pytest.approx(0.1), 10, 0.1),
        (pytest.approx(0.9), 10, 0.9),
    ]
    assert calibration.calibration_error(found) == pytest.approx(0.0)
    assert calibration.calibration_error(calibration.bins(doubt, ~bad)) == pytest.approx(0.8)


def test_flips_are_counted_over_pairs():
    assert calibration.flips([(0.1, 0.9, 0.2), (0.3,), (0.7, 0.8)], 0.5) == (2, 4)


def test_a_rate_corrected_by_labels_of_earlier_answers_covers_the_truth():
    """The scorer flags too much; what people said of 120 earlier answers puts it right."""
    generator = np.random.default_rng(5)
    truth, hits, alone = 0.3, 0, 0
    turns = 120
    for turn in range(turns):
        old, bad = make(generator, 120)
        flagged = old > 0.3
        new, _ = make(generator, 400)
        share = (new > 0.3).sum()
        found = judged.post_stratified(
            (share, 400), (bad[flagged].sum(), flagged.sum()),
            (bad[~flagged].sum(), (~flagged).sum()), draws=4_000, seed=turn,
        ).interval(0.9)  # fmt: skip
        hits += found.low <= truth <= found.high
        alone += abs(share / 400 - truth) < 1.645 * np.sqrt(truth * (1 - truth) / 400)
    assert hits / turns >= 0.9 - 3 * np.sqrt(0.09 / turns)
    assert alone / turns < 0.05


def test_the_correction_of_labelled_cases_is_the_same():
    counts = judged.JudgeLabels(
        n=200, judge_passed=150, labelled_passed=60, true_of_passed=55, labelled_failed=40,
        true_of_failed=6,
    )  # fmt: skip
    one = judged.corrected_rate(counts)
    other = judged.post_stratified((150, 200), (55, 60), (6, 40))
    assert one.value == other.value
    assert (one.draws == other.draws).all()
