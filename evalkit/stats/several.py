"""Several tests at once: p-values that keep their promise together."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from evalkit.stats.intervals import Floats


def holm(p_values: Sequence[float] | Floats) -> Floats:
    """Adjusted p-values: rejecting those ≤ α keeps the chance of any false alarm ≤ α.

    Holm 1979: valid under any dependence. In the order given; none is smaller than it was. Raises
    ``ValueError`` for a p-value outside 0 to 1.
    """
    p = _probabilities(p_values)
    if not len(p):
        return p
    order = np.argsort(p, kind="stable")
    factors = np.arange(len(p), 0, -1)
    adjusted = np.empty_like(p)
    adjusted[order] = np.minimum(np.maximum.accumulate(p[order] * factors), 1.0)
    return adjusted


def benjamini_hochberg(p_values: Sequence[float] | Floats) -> Floats:
    """Adjusted p-values that bound the share of false alarms among alarms; for reports, not gates.

    Benjamini and Hochberg 1995, for independent or positively dependent tests.
    """
    from scipy.stats import false_discovery_control

    p = _probabilities(p_values)
    return np.asarray(false_discovery_control(p, method="bh"), dtype=float) if len(p) else p


def e_holm(log_e_values: Sequence[float] | Floats) -> Floats:
    """Adjusted p-values of e-processes: Holm on min(1, 1/e), valid whenever they are looked at."""
    log_e = np.asarray(log_e_values, dtype=float)
    return holm(np.exp(-np.maximum(log_e, 0.0)))


def e_benjamini_hochberg(e_values: Sequence[float] | Floats, alpha: float = 0.05) -> int:
    """How many of the largest e-values are alarms with a false discovery rate ≤ α.

    The largest k with the k-th largest ≥ K ÷ (α·k) (Wang and Ramdas 2022): valid under any
    dependence.
    """
    e = np.sort(np.asarray(e_values, dtype=float))[::-1]
    ranks = np.arange(1, len(e) + 1)
    met = np.flatnonzero(e >= len(e) / (alpha * ranks))
    return int(met[-1]) + 1 if len(met) else 0


def _probabilities(p_values: Sequence[float] | Floats) -> Floats:
    p = np.asarray(p_values, dtype=float)
    if p.ndim != 1 or not ((p >= 0) & (p <= 1)).all():
        raise ValueError("p-values lie between 0 and 1")
    return p
