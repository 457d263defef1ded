"""How far raters agree beyond chance: a judge against people, people among themselves.

1 is perfect, 0 chance. Intervals draw cases again, so a judge is only trusted as far as its labels
reach.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence
from typing import Literal

import numpy as np

from evalkit.stats.evidence import Resampled
from evalkit.stats.intervals import Floats

Weights = Literal["none", "linear", "quadratic"]
Scale = Literal["nominal", "ordinal", "interval"]

JUDGE_KAPPA = 0.6
JUDGE_LABELS = 100
"""A judge may prove only with the lower bound of its kappa at 0.6 or more on 100 labels or more."""


def kappa(
    first: Sequence[Hashable],
    second: Sequence[Hashable],
    *,
    weights: Weights = "none",
    categories: Sequence[Hashable] | None = None,
    resamples: int = 2_000,
    seed: int = 0,
) -> Resampled:
    """Cohen's kappa of two raters on the same cases, with a bootstrap over cases.

    Cohen 1960; weighted by the distance of categories, 1968. ``categories`` are all that could have
    been used, in their order, which only weighted kappa needs; without it those that were, sorted.
    Raters who agreed on every case are not known to agree always: cases are drawn from those seen
    and one more disagreement, spread evenly. A resample in which both always use one category has
    no kappa and counts as 0: no agreement beyond chance was shown. So does a sample without
    variety. Raises ``ValueError`` for unequal or no ratings and for a rating not in ``categories``.
    """
    table = confusion(first, second, categories)
    n, size = int(table.sum()), len(table)
    wider = table + (1 - np.eye(size)) / max(size * (size - 1), 1)
    generator = np.random.default_rng(seed)
    flat = wider.ravel() / wider.sum()
    drawn = generator.multinomial(n, flat, size=resamples).reshape(resamples, size, size)
    penalty = _penalty(size, weights)
    return Resampled.of(
        float(_kappas(table[None], penalty)[0]), _kappas(drawn.astype(float), penalty)
    )


def confusion(
    first: Sequence[Hashable],
    second: Sequence[Hashable],
    categories: Sequence[Hashable] | None = None,
) -> Floats:
    """How often the first rater (rows) and the second (columns) used each pair of categories."""
    if len(first) != len(second) or not len(first):
        raise ValueError("both raters must have rated the same cases, and there must be some")
    if categories is None:
        used = set(first) | set(second)
        categories = sorted(used)  # type: ignore[type-var]  # mixed kinds raise TypeError here
    codes = {one: position for position, one in enumerate(categories)}
    missing = [one for one in (*first, *second) if one not in codes]
    if missing:
        raise ValueError(f"{missing[0]!r} is not one of the categories")
    table = np.zeros((len(codes), len(codes)))
    np.add.at(table, ([codes[one] for one in first], [codes[one] for one in second]), 1)
    return table


def _penalty(count: int, weights: Weights) -> Floats:
    steps = np.abs(np.subtract.outer(np.arange(count), np.arange(count))).astype(float)
    if weights == "none":
        return (steps > 0).astype(float)
    return steps if weights == "linear" else steps**2


def _kappas(tables: Floats, penalty: Floats) -> Floats:
    n = tables.sum(axis=(1, 2))
    expected = np.einsum("ki,kj->kij", tables.sum(axis=2), tables.sum(axis=1)) / n[:, None, None]
    seen = (tables * penalty).sum(axis=(1, 2))
    chance = (expected * penalty).sum(axis=(1, 2))
    return np.asarray(1 - np.where(chance > 0, seen, 1.0) / np.where(chance > 0, chance, 1.0))


def fleiss_kappa(counts: Sequence[Sequence[int]]) -> float:
    """Fleiss' kappa (1971) of a table cases × categories; every case has as many ratings."""
    table = np.asarray(counts, dtype=float)
    raters = table.sum(axis=1)
    if table.ndim != 2 or not table.size or raters[0] < 2 or (raters != raters[0]).any():
        raise ValueError("every case needs the same number of ratings, two or more")
    m = raters[0]
    seen = float(((table**2).sum(axis=1) - m).mean() / (m * (m - 1)))
    chance = float(((table.sum(axis=0) / table.sum()) ** 2).sum())
    return (seen - chance) / (1 - chance) if chance < 1 else 0.0


def krippendorff_alpha(
    ratings: Sequence[Sequence[float | None]],
    scale: Scale = "nominal",
    *,
    resamples: int = 1_000,
    seed: int = 0,
) -> Resampled:
    """Krippendorff's alpha of any number of raters, ``None`` or NaN where one did not rate.

    1 − D(observed) ÷ D(expected) (Krippendorff 2019, chapter 12). A row a rater, a column a case;
    cases with fewer than two ratings say nothing. The bootstrap draws cases again, from those seen
    and one more on which two raters differed as the middle half of all ratings does. Without
    variety in the ratings alpha is 0: nothing was shown. Raises ``ValueError`` when no case has two
    ratings.
    """
    table = np.array([[np.nan if one is None else one for one in row] for row in ratings], float)
    if table.ndim != 2:
        raise ValueError("every rater needs an entry for every case")
    rated = ~np.isnan(table)
    table = table[:, rated.sum(axis=0) >= 2]
    if not table.size:
        raise ValueError("no case has two ratings")
    units = table.shape[1]
    table = np.column_stack([table, _dissent(table)])
    generator = np.random.default_rng(seed)
    drawn = generator.multinomial(units, np.full(units + 1, 1 / (units + 1)), size=resamples)
    weights = np.vstack([np.append(np.ones(units), 0.0), drawn.astype(float)])
    alphas = (
        _interval_alphas(table, weights) if scale == "interval" else _alphas(table, weights, scale)
    )
    return Resampled.of(float(alphas[0]), alphas[1:])


def _dissent(table: Floats) -> Floats:
    """A case on which two raters differed, by values that were used."""
    ordered = np.sort(table[~np.isnan(table)])
    low, high = ordered[len(ordered) // 4], ordered[(3 * len(ordered)) // 4]
    if low == high:
        low, high = ordered[0], ordered[-1]
    return np.array([low, high, *([np.nan] * (len(table) - 2))])


def _alphas(table: Floats, weights: Floats, scale: Scale) -> Floats:
    values = np.unique(table[~np.isnan(table)])
    counts = (table[:, :, None] == values).sum(axis=0).astype(float)
    per_unit = counts.sum(axis=1)
    found = np.empty(len(weights))
    for index, weight in enumerate(weights):
        scaled = counts * (weight / (per_unit - 1))[:, None]
        coincidences = scaled.T @ counts - np.diag(scaled.sum(axis=0))
        totals = coincidences.sum(axis=0)
        distance = _distances(totals, scale)
        found[index] = _one_minus(
            float((coincidences * distance).sum()),
            float((np.outer(totals, totals) * distance).sum()) / max(totals.sum() - 1, 1),
        )
    return found


def _distances(totals: Floats, scale: Scale) -> Floats:
    if scale == "nominal":
        return 1 - np.eye(len(totals))
    # ordinal: how many ratings lie between the two, half of each end
    middle = np.cumsum(totals) - totals / 2
    return np.asarray(np.subtract.outer(middle, middle) ** 2)


def _interval_alphas(table: Floats, weights: Floats) -> Floats:
    """With squared distances the coincidences need not be tabulated: any number of values."""
    table = table - np.nanmean(table)
    per_unit = (~np.isnan(table)).sum(axis=0)
    sums, squares = np.nansum(table, axis=0), np.nansum(table**2, axis=0)
    # Σ over ordered pairs (a − b)² of a unit = 2·(m·Σa² − (Σa)²)
    seen = weights @ (2 * (per_unit * squares - sums**2) / (per_unit - 1))
    n, first, second = weights @ per_unit, weights @ sums, weights @ squares
    chance = 2 * (n * second - first**2) / (n - 1)
    return np.array([_one_minus(float(a), float(b)) for a, b in zip(seen, chance, strict=True)])


def _one_minus(seen: float, chance: float) -> float:
    return 1 - seen / chance if chance > 1e-12 * max(1.0, math.fabs(seen)) else 0.0
