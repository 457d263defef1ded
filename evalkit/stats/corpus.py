"""Corpus metrics before and after: corpus BLEU is no mean of scores, so cases are drawn again."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np

from evalkit.stats.evidence import Resampled
from evalkit.stats.intervals import Floats

BLOCKS = 2_000
"""More cases than this are summed into so many random blocks first, and blocks are drawn again."""

CorpusValue = Callable[[Sequence[float]], float]


def corpus_difference(
    candidate: Sequence[Sequence[float]] | Floats,
    baseline: Sequence[Sequence[float]] | Floats,
    corpus_value: CorpusValue,
    *,
    resamples: int = 1_000,
    seed: int = 0,
) -> Resampled:
    """Candidate − baseline of a corpus metric, with a paired bootstrap (Koehn 2004).

    A row a case on both sides, the same case in the same row: its sufficient statistics, which are
    summed over the drawn cases and only then made into the metric, as sacrebleu does. Higher is
    better if it is for the metric. The result depends neither on the order of the cases nor, but
    for the sign, on which side is which. Above 2,000 cases random blocks of cases are drawn, whose
    sums have the same variance. Raises ``ValueError`` for unequal shapes, none and NaN.
    """
    new, old = np.asarray(candidate, dtype=float), np.asarray(baseline, dtype=float)
    if new.shape != old.shape or new.ndim != 2 or not new.size:
        raise ValueError("both sides must have the statistics of every case")
    if not (np.isfinite(new).all() and np.isfinite(old).all()):
        raise ValueError("statistics must be finite")
    sides = [_canonical(new), _canonical(old)]
    if sides[0].tobytes() > sides[1].tobytes():
        flipped = corpus_difference(old, new, corpus_value, resamples=resamples, seed=seed)
        return Resampled.of(-flipped.value, -flipped.draws)
    both = _canonical(np.hstack([new, old]))
    width = new.shape[1]

    def difference(sums: list[float]) -> float:
        return corpus_value(sums[:width]) - corpus_value(sums[width:])

    value = difference([math.fsum(column) for column in both.T.tolist()])
    if bool((both[0] == both[-1]).all()):
        return Resampled.of(value, np.full(resamples, value))
    generator = np.random.default_rng(seed)
    units = _blocks(both, generator)
    return Resampled.of(value, [difference(sums) for sums in _sums(units, resamples, generator)])


def _canonical(rows: Floats) -> Floats:
    return np.ascontiguousarray(rows[np.lexsort(rows.T[::-1])])


def _blocks(rows: Floats, generator: np.random.Generator) -> Floats:
    if len(rows) <= BLOCKS:
        return rows
    order = generator.permutation(len(rows))
    starts = np.linspace(0, len(rows), BLOCKS, endpoint=False).astype(np.intp)
    sums: Floats = np.add.reduceat(rows[order], starts, axis=0)
    return sums


def _sums(units: Floats, resamples: int, generator: np.random.Generator) -> list[list[float]]:
    n = len(units)
    drawn = generator.integers(0, n, size=(resamples, n)) + np.arange(resamples)[:, None] * n
    weights = np.bincount(drawn.ravel(), minlength=resamples * n).reshape(resamples, n)
    sums: list[list[float]] = (weights @ units).tolist()
    return sums
