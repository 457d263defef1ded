"""Histograms of one relative precision, against the values themselves."""

import json
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from evalkit.stats.histogram import Histogram
from evalkit.stats.intervals import quantile_interval, quantile_rank

values = st.lists(
    st.one_of(st.just(0.0), st.floats(min_value=1e-9, max_value=1e9)), min_size=1, max_size=200
)
shares = st.floats(min_value=0.001, max_value=0.999)


def near(found, value, bits=10):
    return abs(found - value) <= value * 2.0 ** -(bits + 1) * 1.0001


@given(values, shares)
def test_a_quantile_is_the_ranked_value_to_half_a_thousandth(data, q):
    found = Histogram(data).quantile(q).value
    assert near(found, sorted(data)[quantile_rank(len(data), q) - 1])


@given(values, values)
def test_merged_is_all_added(left, right):
    merged = Histogram(left)
    merged.merge(Histogram(right))
    whole = Histogram([*left, *right])
    assert math.isclose(merged.total, whole.total)
    merged.total = whole.total
    assert merged == whole


@given(values)
def test_it_comes_back_from_json_as_it_was(data):
    histogram = Histogram(data, bits=7)
    assert Histogram.from_json(json.loads(json.dumps(histogram.to_json()))) == histogram


@given(values, shares, st.floats(min_value=1, max_value=300))
def test_its_intervals_hold_those_of_the_values(data, q, worth):
    found = Histogram(data).quantile(q, worth=worth)
    exact = quantile_interval(data, q, effective_n=worth)
    assert (found.low is None) == (exact.low is None)
    assert (found.high is None) == (exact.high is None)
    if exact.low is not None:
        assert found.low <= exact.low
        assert near(found.low, exact.low, bits=9)
    if exact.high is not None:
        assert found.high >= exact.high
        assert near(found.high, exact.high, bits=9)


@given(values, st.integers(min_value=1, max_value=50), shares)
def test_what_never_came_is_slower_than_what_did(data, missing, q):
    found = Histogram(data).quantile(q, missing=missing).value
    exact = sorted([*data, *[math.inf] * missing])[quantile_rank(len(data) + missing, q) - 1]
    assert found == exact or near(found, exact)


def test_size_follows_the_spread_and_not_the_amount():
    dice = np.random.default_rng(1)
    histogram = Histogram(dice.lognormal(-3, 0.5, 100_000).tolist())
    assert histogram.n == 100_000
    assert len(json.dumps(histogram.to_json())) < 40_000
    assert len(histogram.buckets()) < 7_000


def test_the_empty_histogram_says_nothing():
    empty = Histogram()
    assert empty.quantile(0.5).value is None
    assert empty.mean is None
    assert empty.share_above(1) == 0
    assert Histogram.from_json(empty.to_json()) == empty
    assert empty.quantile(0.5, missing=3).value == math.inf


def test_shares_above_a_limit():
    histogram = Histogram([0.1, 0.2, 0.4, 0.8])
    assert histogram.share_above(0.3) == 0.5
    assert histogram.mean == pytest.approx(0.375)


@pytest.mark.parametrize("value", [-1.0, math.nan, math.inf])
def test_only_what_can_be_counted(value):
    with pytest.raises(ValueError, match="finite"):
        Histogram([value])


def test_other_precisions_and_torn_json_are_refused():
    with pytest.raises(ValueError, match="bits"):
        Histogram().merge(Histogram(bits=5))
    with pytest.raises(ValueError, match="precision"):
        Histogram(bits=0)
    torn = Histogram([1.0, 2.0]).to_json() | {"n": 3}
    with pytest.raises(ValueError, match="add up"):
        Histogram.from_json(torn)
    with pytest.raises(ValueError, match="between 0 and 1"):
        Histogram([1.0]).quantile(1.0)
