"""Whether the mean of scores changed, both sides scored case by case.

Differences are candidate − baseline, higher is better, one a case: repeats are averaged within
their case first, and cases are independent (else ``clusters``).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from evalkit.stats.evidence import Both, Pivot
from evalkit.stats.intervals import SPARSE, Floats


def paired_t(differences: Sequence[float] | Floats) -> Pivot:
    """Student's t of the mean difference; n − 1 degrees of freedom.

    Assumes that the mean of n differences is near normal: many of them are not 0. Fewer than two,
    or no variance: no evidence. Raises ``ValueError`` for none and for NaN.
    """
    data = checked(differences)
    centre, se = mean_and_se(data)
    return Pivot(value=centre, centre=centre, se=se, df=max(len(data) - 1, 1))


def guarded_t(differences: Sequence[float] | Floats, *, spread: float = 1.0) -> Both:
    """Student's t that does not trust the variance of sparse differences.

    While fewer than 20 differences are not 0, two pseudo-pairs, one at +``spread`` and one at
    −``spread``, are added (the idea of Agresti and Min 2005, for bounded scores). ``spread`` is the
    largest difference the scale allows: 1 for scores from 0 to 1; infinite means unbounded, then
    nothing can be added and no variance stays no evidence.

    A guard that ends at the 20th difference would let one more loss narrow the interval. So from
    there on the guarded test must agree on the same differences with the smallest losses forgiven
    until 19 differences are left: making a case worse never helps; and so must the t that is freed
    of skewness, see ``careful_t``. Raises ``ValueError`` for no differences, for NaN and for a
    difference beyond ``spread``.
    """
    data = checked(differences)
    if np.abs(data).max() > spread * (1 + 1e-9):
        raise ValueError(f"a difference of {data[np.abs(data).argmax()]!r} is beyond {spread!r}")
    if math.isfinite(spread) and np.count_nonzero(data) < SPARSE:
        value = mean_and_se(data)[0]
        guarded = _with_pseudo_pairs(data, value, spread)
        return Both(value=value, above=(guarded,), below=(guarded,))
    careful = careful_t(data)
    if math.isinf(spread):
        return careful
    return Both(
        value=careful.value,
        above=(*careful.above, *_forgiving(data, careful.value, spread, sign=1)),
        below=(*careful.below, *_forgiving(data, careful.value, spread, sign=-1)),
    )


def careful_t(values: Sequence[float] | Floats) -> Both:
    """Student's t, and the same freed of the values' skewness: the less favourable on either side.

    Of 200 scores of which a few lost much, t alone passes 6 to 9 % of drops that it should pass 5 %
    of, the two together 4 to 6 %. Freed of skewness alone it errs as much the other way where a
    symmetric tail is long: hence both.
    """
    data = checked(values)
    plain = paired_t(data)
    both = (plain, replace(plain, skew=_skew(data, plain)))
    return Both(value=plain.value, above=both, below=both)


def _skew(data: Floats, plain: Pivot) -> float:
    """The skewness of the mean: that of the data ÷ √n; 0 without variance."""
    if not plain.se > 0:
        return 0.0
    # se³ · n^1.5 is the cubed standard deviation
    return math.fsum(((data - plain.centre) ** 3).tolist()) / (plain.se * len(data)) ** 3


def _with_pseudo_pairs(data: Floats, value: float, spread: float) -> Pivot:
    centre, se = mean_and_se(np.append(data, (spread, -spread)))
    return Pivot(value=value, centre=centre, se=se, df=len(data) + 1)


def _forgiving(data: Floats, value: float, spread: float, *, sign: int) -> tuple[Pivot, ...]:
    """The guarded test of what is ``forgiven``."""
    kept = forgiven(data, sign=sign)
    return () if kept is None else (_with_pseudo_pairs(kept, value, spread),)


def forgiven(differences: Floats, *, sign: int) -> Floats | None:
    """The differences with the smallest losses (of ``sign`` × them) set to 0 until 19 are left.

    ``None`` where as many gain.
    """
    facing = sign * differences
    kept = SPARSE - 1 - int((facing > 0).sum())
    if kept < 0:
        return None
    better = np.maximum(facing, 0.0)
    worst = np.argsort(facing, kind="stable")[:kept]
    better[worst] = facing[worst]
    return sign * better


def checked(differences: Sequence[float] | Floats) -> Floats:
    """The values as an array; ``ValueError`` when there are none or one is not finite."""
    data = np.asarray(differences, dtype=float)
    if data.ndim != 1 or not len(data):
        raise ValueError("there must be at least one difference")
    if not np.isfinite(data).all():
        raise ValueError("a difference that is not finite cannot be tested")
    return data


def mean_and_se(data: Floats) -> tuple[float, float]:
    """The mean and its standard error, exactly summed: the same in any order; 0 below two."""
    n = len(data)
    centre = math.fsum(data.tolist()) / n
    if n < 2 or bool((data == data[0]).all()):
        return centre, 0.0
    return centre, math.sqrt(math.fsum(((data - centre) ** 2).tolist()) / (n - 1) / n)
