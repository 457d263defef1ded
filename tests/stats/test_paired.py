"""Paired tests against published and independent values, and what they must never do."""

from __future__ import annotations

import math

import numpy as np
import pytest
import scipy.optimize
import scipy.stats
from hypothesis import given
from hypothesis import strategies as st

from evalkit.stats.clusters import (
    can_prove,
    clustered_guarded_t,
    clustered_level,
    clustered_t,
    design_effect,
)
from evalkit.stats.levels import guarded_level
from evalkit.stats.paired_means import careful_t, guarded_t, paired_t
from evalkit.stats.paired_rates import (
    PairedCounts,
    mcnemar_exact,
    mcnemar_midp,
    tango_interval,
    tango_z,
)
from evalkit.stats.sign_flips import sign_flip_p


def pairs(both, gain, loss, neither):
    return PairedCounts(both_pass=both, gain=gain, loss=loss, both_fail=neither)


counts = st.tuples(*[st.integers(0, 300)] * 4).filter(any).map(lambda one: pairs(*one))
margins = st.floats(0.001, 0.999)


@pytest.mark.parametrize(
    ("table", "low", "high", "margin", "z"),
    [
        ((36, 12, 2, 0), 0.06111240618634398, 0.34470874828214343, 0.03, 2.9916734181873355),
        ((160, 8, 20, 12), -0.11539616895311522, -0.008680051338626758, 0.03, -1.1622497337936704),
        ((195, 0, 5, 0), -0.05717834040664206, -0.0056835404632996555, 0.05, 1.6222142113076254),
        ((50, 0, 0, 0), -0.07134759913348826, 0.07134759913348827, 0.02, 1.0101525445522106),
    ],
)
def test_tango_of_known_tables(table, low, high, margin, z):
    found = pairs(*table)
    interval = tango_interval(found)
    assert [interval.low, interval.high] == pytest.approx([low, high], abs=1e-9)
    assert tango_z(found, -margin) == pytest.approx(z, abs=1e-9)


@given(counts, st.floats(-0.9, 0.9))
def test_tango_has_the_variance_of_the_likeliest_rates(found, at):
    # an independent maximum of the restricted likelihood, by search instead of the closed form
    low, high = max(0.0, -at), (1 - at) / 2

    def unlikely(share):
        p = share + at, share, 1 - 2 * share - at
        seen = found.gain, found.loss, found.n - found.gain - found.loss
        return -sum(k * math.log(max(q, 1e-300)) for k, q in zip(seen, p, strict=True) if k)

    share = scipy.optimize.minimize_scalar(
        unlikely, bounds=(low, high), method="bounded", options={"xatol": 1e-12}
    ).x
    variance = found.n * (2 * share + at - at * at)
    if variance < 1e-3:
        return
    expected = (found.gain - found.loss - found.n * at) / math.sqrt(variance)
    assert tango_z(found, at) == pytest.approx(expected, rel=1e-3, abs=1e-3)


@given(counts, st.sampled_from([0.5, 0.9, 0.95, 0.999]))
def test_tango_intervals_hold_the_value_and_are_never_empty(found, level):
    interval = found.interval(level)
    assert -1 <= interval.low <= found.value <= interval.high <= 1
    assert interval.low < interval.high
    alpha = (1 - level) / 2
    if -1 < interval.low < 1 and abs(interval.low) > 1e-9:
        assert found.p_above(interval.low) == pytest.approx(alpha, abs=1e-6)


@given(counts, margins)
def test_swapping_the_sides_mirrors_every_answer(found, margin):
    mirrored = pairs(found.both_pass, found.loss, found.gain, found.both_fail)
    assert mirrored.value == -found.value
    assert mirrored.p_below(margin) == pytest.approx(found.p_above(-margin), abs=1e-12)
    assert mirrored.p_below(0) == found.p_above(0)
    assert mirrored.interval().low == pytest.approx(-found.interval().high, abs=1e-9)


def test_a_success_turned_into_a_failure_never_moves_toward_pass():
    for n in (5, 12, 30, 60):
        for gain in range(min(n, 9) + 1):
            for loss in range(min(n - gain, 14) + 1):
                found = pairs(n - gain - loss, gain, loss, 0)
                worse = [pairs(n - gain - loss - 1, gain, loss + 1, 0)] if n > gain + loss else []
                worse += [pairs(n - gain - loss, gain - 1, loss, 1)] if gain else []
                for one in worse:
                    for margin in (0.02, 0.1, 0.3):
                        assert one.p_above(-margin) >= found.p_above(-margin) - 1e-12
                    # without any disagreement p is 1 by convention: no change of a verdict
                    if found.p_below(0) < 0.5:
                        assert one.p_below(0) <= found.p_below(0) + 1e-12


@given(st.integers(0, 400), st.integers(0, 400))
def test_mcnemar_equals_the_binomial_test(losses, gains):
    exact = mcnemar_exact(losses=losses, gains=gains)
    midp = mcnemar_midp(losses=losses, gains=gains)
    if not losses + gains:
        assert exact == midp == 1
        return
    theirs = scipy.stats.binomtest(gains, losses + gains, alternative="greater").pvalue
    half = scipy.stats.binom.pmf(gains, losses + gains, 0.5) / 2
    assert exact == pytest.approx(theirs, abs=1e-12)
    assert midp == pytest.approx(theirs - half, abs=1e-12)
    assert midp + mcnemar_midp(losses=gains, gains=losses) == pytest.approx(1, abs=1e-9)


def test_pairs_are_counted_by_side():
    before = [True, True, False, False, True]
    after = [True, False, True, False, False]
    assert PairedCounts.of(before, after) == pairs(1, 1, 2, 1)
    with pytest.raises(ValueError, match="every pair"):
        PairedCounts.of(before, after[1:])
    with pytest.raises(ValueError, match="not counts"):
        pairs(0, 0, 0, 0)
    with pytest.raises(ValueError, match="between -1 and 1"):
        tango_z(pairs(1, 0, 0, 0), -1.0)


# --- means ------------------------------------------------------------------------------------

DIFFERENCES = [0, -0.1, 0, -0.1, 0, -0.4, 0, -0.1, 0, 0.05, -0.25, 0, 0, 0, -0.15, 0, -0.2, 0]
DIFFERENCES += [-0.1, -0.1]
OWNERS = [0, 0, 0, 1, 1, 2, 2, 2, 2, 3, 3, 4, 4, 4, 5, 5, 6, 6, 7, 7]


def test_paired_t_equals_scipys():
    found = paired_t(DIFFERENCES)
    for at in (0.0, -0.15, 0.1):
        below = scipy.stats.ttest_1samp(DIFFERENCES, at, alternative="less").pvalue
        assert found.p_below(at) == pytest.approx(below, abs=1e-12)
        assert found.p_above(at) == pytest.approx(1 - below, abs=1e-12)
    theirs = scipy.stats.ttest_1samp(DIFFERENCES, 0).confidence_interval(0.95)
    interval = found.interval(0.95)
    assert [interval.low, interval.high] == pytest.approx(list(theirs), abs=1e-12)


def test_guarded_t_of_a_known_sample():
    interval = guarded_t(DIFFERENCES).interval(0.90)
    expected = [-0.18577790246994758, 0.05395972065176577]
    assert [interval.low, interval.high] == pytest.approx(expected, abs=1e-9)


grid = st.sampled_from([-1.0, -0.5, -0.1, 0.0, 0.0, 0.0, 0.1, 0.5, 1.0])
samples = st.lists(grid, min_size=1, max_size=70)


@given(samples, st.randoms())
def test_means_do_not_depend_on_order_and_mirror_under_swapping(data, random):
    shuffled = data.copy()
    random.shuffle(shuffled)
    found, again = guarded_t(data), guarded_t(shuffled)
    mirrored = guarded_t([-one for one in data])
    for at in (-0.1, 0.0, 0.05):
        assert found.p_above(at) == again.p_above(at)
        assert found.p_below(at) == mirrored.p_above(-at)
    assert found.interval() == again.interval()


@given(samples)
def test_guarded_intervals_have_width_and_hold_the_mean(data):
    interval = guarded_t(data).interval(0.90)
    assert interval.low < interval.high
    assert interval.low <= float(np.mean(data)) + 1e-12
    assert interval.high >= float(np.mean(data)) - 1e-12


@given(samples, st.data(), st.sampled_from([0.02, 0.05, 0.1]))
def test_a_worse_score_never_turns_a_guarded_t_to_pass(data, draw, margin):
    position = draw.draw(st.integers(0, len(data) - 1))
    worse = data.copy()
    worse[position] = draw.draw(
        st.sampled_from([-1.0, -0.5, -0.1, 0.0]).map(lambda one: min(one, data[position]))
    )
    before, after = guarded_t(data), guarded_t(worse)
    assert not after.p_above(-margin) <= 0.05 < before.p_above(-margin)


def test_the_twentieth_loss_does_not_end_the_guard_with_a_pass():
    losses = [-0.1] * 19 + [0.0] * 181
    one_more = [-0.1] * 20 + [0.0] * 180
    assert paired_t(one_more).p_above(-0.015) < 0.05 < guarded_t(losses).p_above(-0.015)
    assert guarded_t(one_more).p_above(-0.015) >= guarded_t(losses).p_above(-0.015)


@given(st.lists(grid, min_size=2, max_size=70), st.floats(-0.4, 0.4))
def test_the_t_freed_of_skewness_is_that_of_hall_1992(data, at):
    plain, freed = careful_t(data).above
    if not plain.se > 0:
        return
    n, t = len(data), (plain.value - at) / plain.se
    # scipy's skewness divides by n throughout, Hall's standard deviation by n - 1
    g = scipy.stats.skew(data) * ((n - 1) / n) ** 1.5
    expected = t + g * t**2 / (3 * n**0.5) + g**2 * t**3 / (27 * n) + g / (6 * n**0.5)
    assert freed.p_above(at) == pytest.approx(scipy.stats.t.sf(expected, n - 1), abs=1e-9)
    assert freed.p_below(at) == pytest.approx(scipy.stats.t.cdf(expected, n - 1), abs=1e-9)


@given(st.lists(grid, min_size=2, max_size=70), st.sampled_from([0.8, 0.9, 0.98]))
def test_the_interval_freed_of_skewness_is_what_its_test_does_not_reject(data, level):
    freed = careful_t(data).above[1]
    interval = freed.interval(level)
    if interval.low is None:
        return
    for end, p_value in ((interval.low, freed.p_above), (interval.high, freed.p_below)):
        if end != freed.value:
            assert p_value(end) == pytest.approx((1 - level) / 2, abs=1e-6)
    assert freed.p_above(-3.0) <= freed.p_above(-2.0) <= freed.p_above(0.0) <= freed.p_above(2.0)


def test_a_long_tail_of_losses_does_not_pass_more_often_than_promised():
    reps, n = 2000, 200
    rng = np.random.default_rng(9)
    passed = {"t": 0, "guarded": 0}
    for _ in range(reps):
        noise = np.where(rng.random(n) < 0.5, rng.choice([-0.1, 0.1], n), 0.0)
        found = np.where(rng.random(n) < 0.05 / 0.8, -0.8, noise)
        passed["t"] += paired_t(found).p_above(-0.05) <= 0.05
        passed["guarded"] += guarded_t(found).p_above(-0.05) <= 0.05
    assert passed["t"] / reps > 0.065 > passed["guarded"] / reps


def test_means_refuse_what_they_cannot_test():
    for bad in ([], [math.nan], [math.inf]):
        with pytest.raises(ValueError, match="difference"):
            paired_t(bad)
    with pytest.raises(ValueError, match="beyond"):
        guarded_t([2.0])
    assert guarded_t([2.0, 3.0], spread=math.inf).p_above(0) < 0.2
    assert paired_t([0.0] * 9).p_above(-0.5) == 1
    assert paired_t([0.0] * 9).interval().low is None


# --- clusters, sign flips ---------------------------------------------------------------------


def test_clustered_t_of_a_known_sample():
    found = clustered_t(DIFFERENCES, OWNERS)
    assert found.se == pytest.approx(0.018231644389436107, abs=1e-12)
    interval = found.interval(0.90)
    expected = [-0.10704128339583488, -0.03795871660416508]
    assert [interval.low, interval.high] == pytest.approx(expected, abs=1e-9)
    assert design_effect(0.7292576419213975, 3) == pytest.approx(2.458515283842795)


@given(samples, st.randoms(), st.integers(1, 7))
def test_clusters_of_one_are_no_clusters_and_order_is_nothing(data, random, size):
    ones = clustered_t(data, list(range(len(data))))
    plain = paired_t(data)
    assert ones.se == pytest.approx(plain.se, abs=1e-9)
    owners = [index // size for index in range(len(data))]
    order = list(range(len(data)))
    random.shuffle(order)
    one = clustered_guarded_t(data, owners)
    two = clustered_guarded_t([data[i] for i in order], [f"c{owners[i]}" for i in order])
    assert one.p_above(-0.05) == pytest.approx(two.p_above(-0.05), abs=1e-9)
    assert one.value == two.value


def test_seven_clusters_prove_nothing():
    assert can_prove(np.arange(24) // 3)
    assert not can_prove([f"document {index % 7}" for index in range(100)])


def test_equal_clusters_are_no_certainty():
    alike, owners = [0.0] * 40, [index // 4 for index in range(40)]
    assert clustered_t(alike, owners).p_above(-0.5) == 1
    guarded = clustered_guarded_t(alike, owners)
    assert guarded.interval().low < 0 < guarded.interval().high
    assert clustered_t([0.1, -0.1, 0.2], ["a", "a", "a"]).interval().low is None
    with pytest.raises(ValueError, match="its cluster"):
        clustered_t([0.1], [])


@given(samples)
def test_clusters_of_one_are_judged_as_single_cases(data):
    ones = list(range(len(data)))
    for at in (-0.05, 0.1):
        assert clustered_guarded_t(data, ones).p_above(at) == pytest.approx(
            guarded_t(data).p_above(at), abs=1e-9
        )
    shares = [(one + 1) / 2 for one in data]
    alone, level = guarded_level(shares, (0, 1)), clustered_level(shares, ones, (0, 1))
    for at in (0.3, 0.6):
        assert level.p_above(at) == pytest.approx(alone.p_above(at), abs=1e-9)
        assert level.p_below(at) == pytest.approx(alone.p_below(at), abs=1e-9)
    assert level.interval(0.9).low == pytest.approx(alone.interval(0.9).low, abs=1e-6)


@given(samples, st.integers(1, 4), st.integers(0, 1000))
def test_a_case_made_worse_never_helps_its_clusters(data, size, place):
    owners = [index // size for index in range(len(data))]
    worse = list(data)
    worse[place % len(data)] = -1.0
    if clustered_guarded_t(worse, owners).p_above(-0.2) <= 0.05:
        assert clustered_guarded_t(data, owners).p_above(-0.2) <= 0.05


def test_sign_flips_of_a_known_sample():
    data = [-0.1, -0.4, -0.1, 0.05, -0.25, -0.15, -0.2, -0.1, -0.1, 0.3, 0.0]
    assert sign_flip_p(data) == 65 / 1024
    assert sign_flip_p([0.0, 0.0]) == 1


def test_drawn_sign_flips_agree_with_scipys():
    data = np.random.default_rng(5).normal(-0.05, 0.2, 60).round(2)
    theirs = scipy.stats.permutation_test(
        (data,), np.sum, permutation_type="samples", alternative="less", n_resamples=20_000, rng=1
    ).pvalue
    assert sign_flip_p(data, resamples=20_000) == pytest.approx(theirs, abs=0.01)
    assert sign_flip_p(data, seed=3) == sign_flip_p(data[::-1], seed=3)
