"""A scorer held against people: the threshold that suits their labels, and how far to trust it.

A fitted threshold looks better on the labels it was fitted on than it is. Whatever is said of its
quality here comes from labels it was not fitted on: ten-fold cross-validation, twenty times with
other folds, the decision on an answer being that of most rounds. Answers of one case stay in one
fold. Intervals are the wider of Jeffreys' and of what the bootstrap says of the whole procedure,
the fitting included: at 120 labels Jeffreys' alone covered 90 to 94 % where 95 were promised.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

import numpy as np

from evalkit.stats.agreement import kappa
from evalkit.stats.intervals import Floats, jeffreys, wilson
from evalkit.stats.sides import Bools, Numbers

Goal = Literal["balanced", "f1"]

MIN_LABELS = 20
MIN_EACH = 3
"""Fewest labels, and fewest of either kind, from which anything is fitted."""
FOLDS = 10
ROUNDS = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """Answers that a scorer and people judged: ``doubt`` is larger the worse the scorer thinks.

    ``bad`` is what people said. ``cases`` numbers the case of each answer. ``fair`` marks answers
    that stand for the rest; the others were chosen for being hard.
    """

    doubt: Floats
    bad: Bools
    cases: Numbers
    fair: Bools


@dataclass(frozen=True, slots=True, kw_only=True)
class Share:
    """A share with its 95 % interval; ``None`` where nothing was there to share."""

    value: float | None
    low: float | None
    high: float | None
    n: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Bin:
    """Answers of similar score: their mean score, how many, and the share people found bad."""

    low: float
    high: float
    mean: float
    n: int
    bad: Share


@dataclass(frozen=True, slots=True, kw_only=True)
class Fit:
    """A threshold on ``doubt`` (above it is flagged) with the quality to expect of it.

    Counts are of fair answers, out of fold, scorer by people: ``flagged_bad`` were flagged and are
    bad. ``fixed`` says that the threshold was given, not fitted.
    """

    threshold: float
    threshold_low: float | None
    threshold_high: float | None
    fixed: bool
    n: int
    cases: int
    flagged_bad: int
    flagged_good: int
    passed_bad: int
    passed_good: int
    precision: Share
    recall: Share
    balanced_accuracy: Share
    kappa: Share
    bins: tuple[Bin, ...]


def best_threshold(doubt: Floats, bad: Bools, goal: Goal = "balanced") -> float:
    """The threshold of highest balanced accuracy, or F1, over what lies above it.

    Candidates lie half-way between neighbouring scores; of equally good ones the middle is taken.
    Raises ``ValueError`` unless both kinds are there.
    """
    wrong, right = int(bad.sum()), int((~bad).sum())
    if not wrong or not right:
        raise ValueError("a threshold needs answers of both kinds")
    order = np.argsort(doubt, kind="stable")
    ordered = doubt[order]
    below_bad = np.concatenate([[0], np.cumsum(bad[order])])
    below_good = np.arange(len(doubt) + 1) - below_bad
    caught, spared = wrong - below_bad, below_good
    if goal == "f1":
        flagged = len(doubt) - np.arange(len(doubt) + 1)
        quality = 2 * caught / (flagged + wrong)
    else:
        quality = caught / wrong + spared / right
    # between equal scores there is no threshold
    real = np.concatenate([[True], ordered[1:] > ordered[:-1], [True]])
    quality = np.where(real, quality, -1.0)
    places = np.flatnonzero(quality >= quality.max() - 1e-12)
    place = int(places[(len(places) - 1) // 2])
    if place == 0:
        return float(np.nextafter(ordered[0], -np.inf))
    if place == len(doubt):
        return float(ordered[-1])
    low, high = float(ordered[place - 1]), float(ordered[place])
    middle = low + (high - low) / 2
    return middle if low <= middle < high else low


def fit(
    judged: Judged,
    *,
    goal: Goal = "balanced",
    threshold: float | None = None,
    resamples: int = 200,
    seed: int = 0,
) -> Fit:
    """Fit a threshold, or take the one given, and measure it on the fair answers out of fold.

    Raises ``ValueError`` without answers of both kinds among the fair ones.
    """
    fair = judged.fair
    if not (judged.bad[fair].any() and (~judged.bad[fair]).any()):
        raise ValueError("a threshold needs answers of both kinds")
    generator = np.random.default_rng(seed)
    fixed = threshold is not None
    spread = dict.fromkeys(_QUALITIES, 0.0)
    if threshold is None:
        threshold = best_threshold(judged.doubt, judged.bad, goal)
        flagged = _out_of_fold(judged, goal, generator, ROUNDS)[fair]
        ends = _threshold_ends(judged, goal, generator, 2 * resamples)
        spread = _spread(judged, goal, generator, resamples)
    else:
        flagged, ends = (judged.doubt > threshold)[fair], (None, None)
    bad = judged.bad[fair]
    cases = len(np.unique(judged.cases[fair]))
    hit, alarm, miss, clear = _table(flagged, bad)
    worth = cases / len(bad)
    agreed = kappa(flagged.tolist(), bad.tolist(), categories=(False, True), seed=seed)
    inside = agreed.interval(0.95)
    qualities = {
        "precision": share(hit, hit + alarm, worth),
        "recall": share(hit, hit + miss, worth),
        "balanced_accuracy": _balanced((hit, miss), (clear, alarm), worth, generator),
        "kappa": Share(value=agreed.value, low=inside.low, high=inside.high, n=len(bad)),
    }
    return Fit(
        threshold=threshold,
        threshold_low=ends[0],
        threshold_high=ends[1],
        fixed=fixed,
        n=len(bad),
        cases=cases,
        flagged_bad=hit,
        flagged_good=alarm,
        passed_bad=miss,
        passed_good=clear,
        bins=bins(judged.doubt[fair], bad),
        **{
            name: _wider(one, spread[name], -1.0 if name == "kappa" else 0.0)
            for name, one in qualities.items()
        },
    )


def _table(flagged: Bools, bad: Bools) -> tuple[int, int, int, int]:
    """How many were flagged and bad, flagged and good, passed and bad, passed and good."""
    hit, alarm, miss = (int(one.sum()) for one in (flagged & bad, flagged & ~bad, ~flagged & bad))
    return hit, alarm, miss, len(bad) - hit - alarm - miss


def _wider(one: Share, spread: float, least: float) -> Share:
    """The interval, or 1.96 standard errors of the whole procedure where those reach further."""
    if one.value is None:
        return one
    reach = 1.96 * spread
    return Share(
        value=one.value,
        low=one.low if one.low is None else max(least, min(one.low, one.value - reach)),
        high=one.high if one.high is None else min(1.0, max(one.high, one.value + reach)),
        n=one.n,
    )


_QUALITIES = ("precision", "recall", "balanced_accuracy", "kappa")


def _qualities(table: tuple[int, int, int, int]) -> tuple[float, ...]:
    hit, alarm, miss, clear = table
    n, wrong, right, flagged = sum(table), hit + miss, alarm + clear, hit + alarm
    chance = (flagged * wrong + (n - flagged) * right) / n**2
    return (
        hit / flagged if flagged else float("nan"),
        hit / wrong,
        (hit / wrong + clear / right) / 2,
        ((hit + clear) / n - chance) / (1 - chance) if chance < 1 else 0.0,
    )


def _spread(
    judged: Judged, goal: Goal, generator: np.random.Generator, resamples: int
) -> dict[str, float]:
    """How far the quality found out of fold lies from the true one, as standard deviations.

    A bootstrap over cases, each time fitting and cross-validating anew: the fair answers at hand
    stand in for the truth.
    """
    _, index = np.unique(judged.cases, return_inverse=True)
    rows = [np.flatnonzero(index == one) for one in range(int(index.max()) + 1)]
    fair, errors = judged.fair, []
    for _ in range(resamples):
        chosen = generator.integers(len(rows), size=len(rows))
        drawn = np.concatenate([rows[one] for one in chosen])
        again = Judged(
            doubt=judged.doubt[drawn],
            bad=judged.bad[drawn],
            cases=judged.cases[drawn],
            fair=fair[drawn],
        )
        bad = again.bad[again.fair]
        if not (bad.any() and (~bad).any()):
            continue
        try:
            flagged = _out_of_fold(again, goal, generator, 1)[again.fair]
        except ValueError:
            continue
        cut = best_threshold(again.doubt, again.bad, goal)
        seen = _qualities(_table(flagged, bad))
        true = _qualities(_table((judged.doubt > cut)[fair], judged.bad[fair]))
        errors.append([one - other for one, other in zip(seen, true, strict=True)])
    if not errors:
        return dict.fromkeys(_QUALITIES, 1.0)
    found = np.asarray(errors)
    return {
        name: float(np.nanstd(found[:, place])) if np.isfinite(found[:, place]).any() else 1.0
        for place, name in enumerate(_QUALITIES)
    }


def share(hits: int, total: int, worth: float = 1.0) -> Share:
    """A share with Jeffreys' interval; answers of one case count ``worth`` of an answer each."""
    if not total:
        return Share(value=None, low=None, high=None, n=0)
    value, n = hits / total, max(1, round(total * worth))
    ends = jeffreys(min(n, round(value * n)), n, 0.95)
    low, high = ends.low, ends.high
    return Share(
        value=value,
        low=None if low is None else min(low, value),
        high=None if high is None else max(high, value),
        n=total,
    )


def _balanced(
    bad: tuple[int, int], good: tuple[int, int], worth: float, generator: np.random.Generator
) -> Share:
    """The mean of recall on bad and on good answers, each drawn from its Jeffreys posterior.

    ``bad`` and ``good`` count those judged rightly and wrongly.
    """
    value = (bad[0] / sum(bad) + good[0] / sum(good)) / 2
    draws = [
        generator.beta(right * worth + 0.5, wrong * worth + 0.5, size=20_000)
        for right, wrong in (bad, good)
    ]
    low, high = np.quantile((draws[0] + draws[1]) / 2, [0.025, 0.975])
    return Share(
        value=value,
        low=min(float(low), value),
        high=max(float(high), value),
        n=sum(bad) + sum(good),
    )


def _out_of_fold(judged: Judged, goal: Goal, generator: np.random.Generator, turns: int) -> Bools:
    """What each answer would be by thresholds fitted on other cases: most rounds decide."""
    votes = np.zeros(len(judged.bad))
    rounds = 0
    for _ in range(turns):
        folds = _folds(judged, generator)
        found = np.zeros(len(votes))
        whole = True
        for fold in range(int(folds.max()) + 1):
            out = folds == fold
            rest = judged.bad[~out]
            if not (rest.any() and (~rest).any()):
                whole = False
                break
            cut = best_threshold(judged.doubt[~out], rest, goal)
            found[out] = judged.doubt[out] > cut
        if whole:
            votes += found
            rounds += 1
    if not rounds:
        raise ValueError("a threshold needs answers of both kinds from several cases")
    return np.asarray(votes * 2 > rounds)


def _folds(judged: Judged, generator: np.random.Generator) -> Numbers:
    """A fold for every answer: cases are kept whole, and bad ones dealt out evenly."""
    names, index = np.unique(judged.cases, return_inverse=True)
    badness = np.bincount(index, weights=judged.bad, minlength=len(names))
    order = np.lexsort((generator.random(len(names)), -badness))
    folds = np.empty(len(names), dtype=np.intp)
    folds[order] = np.arange(len(names)) % min(FOLDS, len(names))
    return np.asarray(folds[index], dtype=np.intp)


def _threshold_ends(
    judged: Judged, goal: Goal, generator: np.random.Generator, resamples: int
) -> tuple[float | None, float | None]:
    """How far the fitted threshold moves when cases are drawn again (95 %, percentiles)."""
    names, index = np.unique(judged.cases, return_inverse=True)
    rows = [np.flatnonzero(index == one) for one in range(len(names))]
    found = []
    for _ in range(resamples):
        drawn = np.concatenate(
            [rows[one] for one in generator.integers(len(names), size=len(names))]
        )
        bad = judged.bad[drawn]
        if bad.any() and not bad.all():
            found.append(best_threshold(judged.doubt[drawn], bad, goal))
    if len(found) < resamples // 2:
        return None, None
    low, high = np.quantile(found, [0.025, 0.975], method="inverted_cdf")
    return float(low), float(high)


def bins(doubt: Floats, bad: Bools, most: int = 5) -> tuple[Bin, ...]:
    """Answers in groups of equal size by their score; equal scores stay together."""
    order = np.argsort(doubt, kind="stable")
    values, truth = doubt[order], bad[order]
    count = max(1, min(most, len(values) // 5))
    edges = [0]
    for one in range(1, count + 1):
        end = round(one * len(values) / count)
        while end < len(values) and values[end] == values[end - 1]:
            end += 1
        if end > edges[-1]:
            edges.append(end)
    found = []
    for start, end in pairwise(edges):
        hits = int(truth[start:end].sum())
        inside = wilson(hits, end - start)
        found.append(
            Bin(
                low=float(values[start]),
                high=float(values[end - 1]),
                mean=float(values[start:end].mean()),
                n=end - start,
                bad=Share(
                    value=hits / (end - start), low=inside.low, high=inside.high, n=end - start
                ),
            )
        )
    return tuple(found)


def calibration_error(found: Sequence[Bin]) -> float:
    """How far scores that are probabilities lie from what people found, averaged over answers."""
    total = sum(one.n for one in found)
    return sum(one.n * abs(one.mean - (one.bad.value or 0.0)) for one in found) / total


def flips(doubts: Sequence[Sequence[float]], threshold: float) -> tuple[int, int]:
    """Of answers scored several times how often two scorings decide otherwise: flipped, pairs."""
    pairs = flipped = 0
    for one in doubts:
        above = sum(value > threshold for value in one)
        pairs += len(one) * (len(one) - 1) // 2
        flipped += above * (len(one) - above)
    return flipped, pairs
