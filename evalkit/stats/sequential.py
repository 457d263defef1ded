"""Looking at a run before it ends: boundaries that spend α look by look.

A fixed interval looked at again and again passes 17 to 26 % of regressions. A group-sequential test
decides at a handful of looks, each against its own boundary; ``Pivot.interval_at`` makes of a
boundary the repeated interval.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Literal

import numpy as np

Spending = Literal["rho2", "obrien_fleming", "pocock"]
_GRID = 801
_SPAN = 8.0
_STEP = 1e-3  # a look that adds less information than this is not resolved by the grid


def spent(fraction: float, alpha: float, spending: Spending = "rho2") -> float:
    """The part of a one-sided α that may be used up when ``fraction`` of the information is in.

    rho2: α·t² (Kim and DeMets 1987); O'Brien–Fleming and Pocock type: Lan and DeMets 1983. 0 at 0,
    α from 1 on. Raises ``ValueError`` for an unknown name.
    """
    return _SPENDING[spending](min(max(fraction, 0.0), 1.0), alpha)


def _obrien_fleming(fraction: float, alpha: float) -> float:
    from scipy.special import ndtr, ndtri

    if not fraction:
        return 0.0
    return float(2 * ndtr(ndtri(alpha / 2) / math.sqrt(fraction)))


_SPENDING: dict[str, Callable[[float, float], float]] = {
    "rho2": lambda t, alpha: alpha * t * t,
    "obrien_fleming": _obrien_fleming,
    "pocock": lambda t, alpha: alpha * math.log1p((math.e - 1) * t),
}


def boundaries(
    fractions: Sequence[float], alpha: float, spending: Spending = "rho2"
) -> tuple[float, ...]:
    """The z each look must reach, one-sided, so that all looks together err with at most α.

    ``fractions`` are the information shares of the looks so far, growing, the last planned one 1: a
    look's boundary depends only on it and those before it, so looks need not be planned. The score
    process has independent increments (Armitage, McPherson and Rowe 1969; Lan and DeMets 1983). A
    look that adds less than a thousandth of the information has an infinite boundary and spends
    nothing. Raises ``ValueError`` when fractions shrink, are not above 0 or exceed 1.
    """
    looks = tuple(min(one, 1.0) if one <= 1 + 1e-9 else math.nan for one in fractions)
    if any(not b >= a for a, b in zip((0.0, *looks), looks, strict=False)) or 0.0 in looks:
        raise ValueError("information fractions must grow from above 0 to at most 1")
    if not 0 < alpha < 0.5:
        raise ValueError(f"alpha must lie between 0 and one half, not {alpha!r}")
    if spending not in _SPENDING:
        raise ValueError(f"unknown spending function {spending!r}")
    return _boundaries(looks, alpha, spending)


@lru_cache(maxsize=4096)
def _boundaries(looks: tuple[float, ...], alpha: float, spending: Spending) -> tuple[float, ...]:
    """Carry the density of the score that has not crossed yet from look to look, on a grid.

    The score B(t) = z·√t is a Brownian motion; at each look the tail beyond the boundary is what
    may be spent. The lower end of the grid cuts off less than 1e-14.
    """
    from scipy.special import ndtri

    found: list[float] = []
    points = weights = np.empty(0)
    before, used = 0.0, 0.0
    for t in looks:
        allowed = spent(t, alpha, spending) - used
        step = math.sqrt(max(t - before, 0.0))
        if allowed <= 1e-15 or t - before < _STEP:
            found.append(math.inf)
            continue
        root = math.sqrt(t)
        if not len(points):
            z = -float(ndtri(allowed))
        else:
            z = _crossing(points, weights, step, root, allowed)
        found.append(z)
        used += allowed
        grid = np.linspace(-_SPAN * root, z * root, _GRID)
        width = (grid[1] - grid[0]) * _simpson(_GRID)
        if not len(points):
            density = np.exp(-0.5 * (grid / step) ** 2)
        else:
            density = np.exp(-0.5 * ((grid[:, None] - points) / step) ** 2) @ weights
        points, weights = grid, density * width / (step * math.sqrt(2 * math.pi))
        before = t
    return tuple(found)


def _crossing(
    points: np.ndarray, weights: np.ndarray, step: float, root: float, allowed: float
) -> float:
    from scipy.optimize import brentq
    from scipy.special import ndtr

    def excess(z: float) -> float:
        return float(weights @ ndtr((points - z * root) / step)) - allowed

    if excess(-_SPAN) <= 0:
        return -_SPAN
    return float(brentq(excess, -_SPAN, 40.0, xtol=1e-10))


def _simpson(count: int) -> np.ndarray:
    factors = np.ones(count)
    factors[1:-1:2], factors[2:-1:2] = 4.0, 2.0
    return factors / 3
