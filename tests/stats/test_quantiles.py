"""Quantiles of answers that hang together."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evalkit.stats import quantiles


def times(rng, count, alike):
    owner = np.repeat(np.arange(count), rng.integers(1, 9, count))
    noise = rng.normal(size=len(owner))
    return np.exp(alike * rng.normal(size=count)[owner] + (1 - alike) * noise), owner


@pytest.mark.parametrize("q", [0.5, 0.9])
def test_a_clustered_ratio_varies_as_resampled_clusters_do(q):
    """Against the bootstrap that draws clusters, the same for both sides."""
    rng = np.random.default_rng(3)
    old, owner = times(rng, 400, 0.6)
    new = old * np.exp(0.3 * rng.normal(size=len(old)))
    found = quantiles.clustered_log_ratio(new, old, (owner, owner), q)
    members = [np.flatnonzero(owner == one) for one in range(400)]
    drawn = []
    for _ in range(2_000):
        rows = np.concatenate([members[one] for one in rng.integers(0, 400, 400)])
        ends = (np.quantile(one[rows], q, method="inverted_cdf") for one in (new, old))
        drawn.append(np.log(next(ends)) - np.log(next(ends)))
    assert np.std(found.draws) == pytest.approx(np.std(drawn), rel=0.12)
    apart = quantiles.quantile_log_ratio(new, old, q)
    assert np.std(found.draws) < 0.9 * np.std(apart.draws), "the sides ask the same"


def test_clusters_of_one_vary_as_ranks_do():
    rng = np.random.default_rng(4)
    new, old = np.exp(rng.normal(size=(2, 2_000)))
    alone = np.arange(2_000)
    found = quantiles.clustered_log_ratio(new, old, (alone, alone + 2_000), 0.95)
    known = quantiles.quantile_log_ratio(new, old, 0.95)
    assert found.value == known.value
    assert np.std(found.draws) == pytest.approx(np.std(known.draws), rel=0.06)


@given(st.integers(0, 10_000), st.integers(2, 12))
@settings(max_examples=30, deadline=None)
def test_swapped_sides_negate_and_the_order_of_the_cases_is_nothing(seed, count):
    rng = np.random.default_rng(seed)
    new, owner = times(rng, count, 0.5)
    old, others = times(rng, count, 0.5)
    found = quantiles.clustered_log_ratio(new, old, (owner, others), 0.9, resamples=200)
    back = quantiles.clustered_log_ratio(old, new, (others, owner), 0.9, resamples=200)
    assert back.value == -found.value
    assert np.array_equal(back.draws, np.sort(-found.draws))
    mixed = rng.permutation(len(new))
    again = quantiles.clustered_log_ratio(
        new[mixed], old, (owner[mixed], others), 0.9, resamples=200
    )
    assert np.array_equal(again.draws, found.draws)


def test_the_fewest_clusters_are_those_that_can_pass():
    for q, count in ((0.5, 5), (0.95, 52), (0.99, 264)):
        assert quantiles.clusters_for_quantile(q) == count
        for have in (count - 1, count):
            level = quantiles.clustered_exceedance(
                np.zeros(3 * have), np.arange(3 * have) // 3, 1.0
            )
            assert (level.p_below(1 - q) <= 0.05) is (have == count)


def test_one_cluster_is_no_evidence():
    one = np.zeros(300, dtype=int)
    found = quantiles.clustered_log_ratio(
        np.linspace(1, 2, 300), np.linspace(2, 3, 300), (one, one), 0.95
    )
    assert (found.p_above(-5), found.p_below(5)) == (1.0, 1.0)
