"""Corpus metrics before and after: corpus BLEU is no mean of scores, so cases are drawn again."""

from __future__ import annotations

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
    if _first(old, new):
        flipped = corpus_difference(old, new, corpus_value, resamples=resamples, seed=seed)
        return Resampled.of(-flipped.value, -flipped.draws)
    both = _canonical(np.hstack([new, old]))
    width = new.shape[1]

    def difference(sums: list[float]) -> float:
        return corpus_value(sums[:width]) - corpus_value(sums[width:])

    value = difference(both.sum(axis=0).tolist())
    if bool((both[0] == both[-1]).all()):
        return Resampled.of(value, np.full(resamples, value))
    generator = np.random.default_rng(seed)
    units = _blocks(both, generator)
    return Resampled.of(value, [difference(sums) for sums in _sums(units, resamples, generator)])


def _first(one: Floats, two: Floats) -> bool:
    """Whether one side is drawn for before the other, whichever of them is the candidate."""
    for column in range(one.shape[1]):
        mine, other = np.sort(one[:, column]), np.sort(two[:, column])
        different = np.flatnonzero(mine != other)
        if len(different):
            return bool(mine[different[0]] < other[different[0]])
    return _canonical(one).tobytes() < _canonical(two).tobytes()


def _canonical(rows: Floats) -> Floats:
    """The rows in an order that depends on what they are, not on where they stood."""
    rows = np.ascontiguousarray(rows + 0.0)  # -0.0 and 0.0 have different bytes
    whole = rows.view(f"V{rows.shape[1] * rows.itemsize}").ravel()
    ordered: Floats = rows[np.argsort(whole, kind="stable")]
    return ordered


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
    sums: list[list[float]] = (weights.astype(float) @ units).tolist()
    return sums
