"""The sign-flip test: exact where a sum is skewed and cases are few."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from evalkit.stats.intervals import Floats
from evalkit.stats.paired_means import checked

EXACT = 20
"""Up to this many differences that are not 0, all assignments of signs are counted."""


def sign_flip_p(
    differences: Sequence[float] | Floats, *, resamples: int = 10_000, seed: int = 0
) -> float:
    """The one-sided p of "the sum is not below 0"; small means the candidate is worse.

    Under no change each difference is as likely to be its opposite (Fisher 1935): assumes symmetry.
    Differences of 0 change nothing and are left out. Exact up to 20 others, drawn above, then with
    the observed one counted in. Cluster sums make it a test of clusters. Negate for the other side.
    """
    data = checked(differences)
    sizes = np.sort(np.abs(data[data != 0]))
    if not len(sizes):
        return 1.0
    seen = math.fsum(data.tolist())
    slack = 1e-9 * float(sizes.sum())
    if len(sizes) <= EXACT:
        sums = np.zeros(1)
        for one in sizes:
            sums = np.concatenate([sums - one, sums + one])
        return float((sums <= seen + slack).mean())
    levels, counts = np.unique(sizes, return_counts=True)
    generator = np.random.default_rng(seed)
    # of k equal differences the number that turn positive is binomial: no sign is drawn by itself
    positive = generator.binomial(counts, 0.5, size=(resamples, len(levels)))
    drawn = (2 * positive - counts) @ levels
    return float((int((drawn <= seen + slack).sum()) + 1) / (resamples + 1))
