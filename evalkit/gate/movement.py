"""Which way every pair of cases went, by the metric a reader looks at first."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from evalkit.config.gate_metrics import MetricInfo
from evalkit.gate.measure import Measured, measure
from evalkit.gate.selection import Cases
from evalkit.stats.intervals import Floats
from evalkit.stats.sides import Bools, Numbers, Side

LEAST = 1e-12
"""A smaller difference of two means is rounding."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Movement:
    """Every pair's case mean on both sides, NaN where it is missing; a row a pair.

    ``fell`` and ``rose`` are in the metric's own direction, ``known`` has a value on both sides.
    ``flaky`` marks cases whose candidate trials disagree. Without a baseline nothing moved.
    """

    info: MetricInfo
    was: Floats
    now: Floats
    known: Bools
    fell: Bools
    rose: Bools
    flaky: Bools


def movement(
    cases: Cases, metrics: Mapping[str, MetricInfo], deciders: Sequence[str]
) -> Movement | None:
    """By whether cases pass, or by the suite's first score if nothing decides; or ``None``."""
    info = primary(metrics, deciders)
    if info is None:
        return None
    pairing = cases.pairing
    new = measure(info, cases.after, pairing.candidate, deciders=deciders)
    now = np.where(new.concerned, new.means(new.values), np.nan)
    was = np.full(cases.n, np.nan)
    if cases.before is not None:
        old = measure(info, cases.before, pairing.baseline, deciders=deciders)
        was = np.where(old.concerned, old.means(old.values), np.nan)
    known = ~np.isnan(was) & ~np.isnan(now)
    gain = np.where(known, now - was, 0.0) * (-1 if info.direction == "lower" else 1)
    return Movement(
        info=info,
        was=was,
        now=now,
        known=known,
        fell=gain < -LEAST,
        rose=gain > LEAST,
        flaky=_disagree(new),
    )


def primary(metrics: Mapping[str, MetricInfo], deciders: Sequence[str]) -> MetricInfo | None:
    """The metric a reader looks at first: the pass rate, or the first plain score."""
    if deciders:
        return metrics.get("pass.rate")
    scored = (one for one in metrics.values() if one.metric is not None and one.kind == "mean")
    return next((one for one in scored if one.direction != "neutral" and not one.unit), None)


def failed(side: Side, places: Numbers) -> Bools:
    """Which of these cases have a trial without an answer; never where there is no case."""
    bad = np.bincount(side.owner[~side.ok], minlength=len(side.cases)) > 0
    found: Bools = np.zeros(len(places), dtype=np.bool_)
    here = places >= 0
    found[here] = bad[places[here]]
    return found


def _disagree(measured: Measured) -> Bools:
    known = ~np.isnan(measured.values)
    low, high = np.full(measured.cases, np.inf), np.full(measured.cases, -np.inf)
    np.minimum.at(low, measured.owner[known], measured.values[known])
    np.maximum.at(high, measured.owner[known], measured.values[known])
    disagree: Bools = high > low
    return disagree


def reworded(cases: Cases) -> Bools | None:
    """Which pairs have an answer that the baseline never gave; ``None``: unknown."""
    before, after, pairing = cases.before, cases.after, cases.pairing
    if before is None or before.texts is None or after.texts is None:
        return None
    keys = []
    for side, chosen in ((before, pairing.baseline), (after, pairing.candidate)):
        assert side.texts is not None
        place = np.full(len(side.cases), -1, dtype=np.int64)
        here = np.flatnonzero(chosen >= 0)
        place[chosen[here]] = here
        of = place[side.owner]
        # the number of the pair and the text as one key: multiplied by an odd number it is spread
        keys.append((of, side.texts ^ (of.astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15))))
    (_, old), (of, new) = keys
    other = ~np.isin(new, old) & (of >= 0) & after.ok
    found: Bools = np.zeros(cases.n, dtype=np.bool_)
    found[of[other]] = True
    return found
