"""Quantiles and shares of distributions against SciPy's."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import brentq
from scipy.special import betainc, betaincinv, ndtri

from evalkit.stats.special import (
    beta_share,
    binomial_share,
    normal_quantile,
    t_quantile,
    zero_of,
)

LEVELS = st.floats(0.0005, 0.9995)


@given(LEVELS)
def test_normal_quantiles(p):
    assert normal_quantile(p) == pytest.approx(ndtri(p), rel=1e-12, abs=1e-14)


@given(st.integers(1, 200_000), st.floats(0.5005, 0.9995))
def test_quantiles_of_t_give_their_level_back(df, p):
    t = t_quantile(df, p)
    above = (1 - betainc(0.5, df / 2, t * t / (df + t * t))) / 2
    assert above == pytest.approx(1 - p, rel=1e-9)
    assert t_quantile(df, 1 - p) == pytest.approx(-t, rel=1e-9)


@pytest.mark.parametrize("df", [1, 2, 3, 4, 7, 19, 20, 99, 1000, 9999])
@pytest.mark.parametrize("level", [0.8, 0.9, 0.95, 0.99, 0.999])
def test_quantiles_of_t_are_scipys(df, level):
    share = betaincinv(df / 2, 0.5, 1 - level)
    expected = math.sqrt(df * (1 - share) / share)
    assert t_quantile(df, (1 + level) / 2) == pytest.approx(expected, rel=1e-11)


def test_the_middle_of_t_is_zero():
    assert t_quantile(5, 0.5) == 0.0


@given(st.integers(0, 300_000), st.floats(0, 1), st.floats(0.001, 0.999))
def test_binomial_shares_are_scipys(n, place, q):
    k = round(place * n)
    expected = 1.0 if k >= n else betainc(n - k, k + 1, 1 - q)
    assert binomial_share(k, n, q) == pytest.approx(expected, rel=1e-9, abs=1e-280)


def test_shares_at_the_ends():
    assert binomial_share(-1, 10, 0.5) == 0.0
    assert binomial_share(10, 10, 0.5) == 1.0
    assert beta_share(2.0, 3.0, 0.0, 1.0) == 0.0
    assert beta_share(2.0, 3.0, 1.0, 0.0) == 1.0


@given(st.floats(-3, 3), st.sampled_from([0.3, 1.0, 5.0, 40.0]), st.booleans())
def test_zeros_are_those_of_scipy(centre, slope, falls):
    sign = -1 if falls else 1
    calls = []

    def excess(x):
        calls.append(x)
        return sign * (math.tanh(slope * (x - centre)) + 0.1 * (x - centre) ** 3)

    found = zero_of(excess, -8.0, 7.0, near=1e-12)
    made = len(calls)
    assert found == pytest.approx(brentq(excess, -8.0, 7.0, xtol=1e-12), abs=3e-12)
    assert made < 60


def test_a_zero_beside_a_step_is_found_and_none_is_refused():
    assert zero_of(lambda x: 1.0 if x > 0.3 else -1.0, 0.0, 1.0, near=1e-9) == pytest.approx(0.3)
    assert zero_of(lambda x: math.inf if x > 0.3 else x - 0.3, -1.0, 1.0, near=1e-9) == (
        pytest.approx(0.3)
    )
    with pytest.raises(ValueError, match="sign"):
        zero_of(lambda x: 1.0 + x, 0.0, 1.0, near=1e-9)
