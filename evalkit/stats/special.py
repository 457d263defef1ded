"""Distributions that every summary needs and zeros, without SciPy's fifth of a second of imports.

The incomplete beta function by its continued
fraction, its leading factor by Loader's saddle-point expansion, which keeps all digits at any size.
"""

from __future__ import annotations

import math
from collections.abc import Callable

_HALF_LOG_TWO_PI = math.log(2 * math.pi) / 2
_TINY = 1e-300
_EPSILON = 1e-16


def normal_quantile(p: float) -> float:
    """The quantile of the standard normal distribution, 0 < p < 1."""
    from statistics import NormalDist

    return NormalDist().inv_cdf(p)


def t_quantile(df: float, p: float) -> float:
    """The quantile of Student's t with ``df`` degrees of freedom, 0 < p < 1."""
    if p < 0.5:
        return -t_quantile(df, 1 - p)
    if p == 0.5:
        return 0.0
    if df == 1:
        return math.tan(math.pi * (p - 0.5))
    if df == 2:
        return (2 * p - 1) * math.sqrt(2 / (4 * p * (1 - p)))
    z = normal_quantile(p)
    t = z + (z**3 + z) / (4 * df)  # Cornish and Fisher's first term
    scale = math.exp(math.lgamma((df + 1) / 2) - math.lgamma(df / 2) - math.log(df * math.pi) / 2)
    for _ in range(50):
        whole = df + t * t
        above = beta_share(df / 2, 0.5, df / whole, t * t / whole) / 2
        density = scale * (whole / df) ** (-(df + 1) / 2)
        step = (above - (1 - p)) / density
        # Halley's step: the density's slope is known
        step /= 1 + step * t * (df + 1) / (2 * whole)
        t += step
        if abs(step) <= 1e-15 * t:
            break
    return t


def binomial_share(k: int, n: int, q: float) -> float:
    """P(B ≤ k) of a binomial count of ``n`` with rate ``q``."""
    if k < 0:
        return 0.0
    return 1.0 if k >= n else beta_share(n - k, k + 1, 1 - q, q)


def beta_share(a: float, b: float, x: float, y: float) -> float:
    """The regularised incomplete beta function I_x(a, b); ``y`` is 1 − x, exactly as known."""
    if x <= 0:
        return 0.0
    if y <= 0:
        return 1.0
    if x > (a + 1) / (a + b + 2):
        return 1.0 - _front(b, a, y, x) * _fraction(b, a, y)
    return _front(a, b, x, y) * _fraction(a, b, x)


def _front(a: float, b: float, x: float, y: float) -> float:
    """x^a y^b / (a B(a, b)) (Loader 2000)."""
    n = a + b
    log = _stirling_error(n) - _stirling_error(a) - _stirling_error(b)
    log -= _deviance(a, n * x) + _deviance(b, n * y)
    return math.sqrt(a * b / (2 * math.pi * n)) * math.exp(log) / a


def _stirling_error(z: float) -> float:
    """Log Γ(z) less Stirling's approximation of it."""
    if z < 15:
        return math.lgamma(z) - (z - 0.5) * math.log(z) + z - _HALF_LOG_TWO_PI
    square = z * z
    terms = 1 / 1680 - 1 / (1188 * square)
    return (1 / 12 - (1 / 360 - (1 / 1260 - terms / square) / square) / square) / z


def _deviance(x: float, mean: float) -> float:
    """Loader's deviance, x log(x / mean) + mean − x, without cancellation near x = mean."""
    if abs(x - mean) >= 0.1 * (x + mean):
        return x * math.log(x / mean) + mean - x
    ratio = (x - mean) / (x + mean)
    total, term = (x - mean) * ratio, 2 * x * ratio
    for order in range(1, 100):
        term *= ratio * ratio
        grown = total + term / (2 * order + 1)
        if grown == total:
            break
        total = grown
    return total


def _fraction(a: float, b: float, x: float) -> float:
    """The continued fraction of the incomplete beta function (Lentz's method)."""
    c, d = 1.0, 1 / _away(1 - (a + b) * x / (a + 1))
    found = d
    for m in range(1, 100_000):
        even = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m))
        d = 1 / _away(1 + even * d)
        c = _away(1 + even / c)
        found *= d * c
        odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1))
        d = 1 / _away(1 + odd * d)
        c = _away(1 + odd / c)
        found *= d * c
        if abs(d * c - 1) <= _EPSILON:
            break
    return found


def _away(value: float) -> float:
    return value if abs(value) > _TINY else _TINY


def zero_of(excess: Callable[[float], float], low: float, high: float, *, near: float) -> float:
    """Where a function that changes its sign between two places is 0, to within ``near``.

    Chandrupatla's method (1997): the inverse parabola through three places while they are in line,
    halving where they are not. Raises ``ValueError`` when both ends have the same sign.
    """
    b, a = low, high
    fb, fa = excess(b), excess(a)
    if fa * fb > 0:
        raise ValueError("the function does not change its sign")
    c, fc, step = a, fa, 0.5
    while True:
        new = a + step * (b - a)
        value = excess(new)
        if (value > 0) == (fa > 0):
            c, fc = a, fa
        else:
            c, b, fc, fb = b, a, fb, fa
        a, fa = new, value
        best = a if abs(fa) < abs(fb) else b
        least = (near / 2 + 2 * abs(best) * _EPSILON) / abs(b - a) if b != a else 1.0
        if least > 0.5 or not min(abs(fa), abs(fb)):
            return best
        across, along = (a - b) / (c - b), (fa - fb) / (fc - fb) if fc != fb else math.inf
        if along * along < across and (1 - along) * (1 - along) < 1 - across:
            step = fa / (fb - fa) * fc / (fb - fc)
            step += (c - a) / (b - a) * fa / (fc - fa) * fb / (fc - fb)
        else:
            step = 0.5
        step = min(max(step, least), 1 - least)
