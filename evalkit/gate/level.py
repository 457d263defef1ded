"""Rules on a level: a floor or a ceiling of the candidate alone."""

from __future__ import annotations

import math

import numpy as np

from evalkit.gate.measure import Measured, level_of
from evalkit.gate.question import Claims, Question, more_cases, never, settled, too_much_missing
from evalkit.gate.result import GateResult, Shows, Status
from evalkit.stats.betting import AnytimeMean
from evalkit.stats.clusters import clustered_level
from evalkit.stats.evidence import Evidence, Resampled
from evalkit.stats.intervals import (
    Floats,
    Interval,
    clipped,
)
from evalkit.stats.levels import SharedRate, corpus_level, guarded_level
from evalkit.stats.single_rates import cases_for_ceiling

CLUSTERED = "clustered t"
"""How a level of cases that hang together is judged."""


def floor_or_ceiling(question: Question) -> GateResult:
    """``min`` and ``max`` of a rate, a mean or a corpus metric.

    PASS when the bound at α is inside the limit, FAIL when the opposite bound is outside. Rates are
    judged exactly, and drawn with the interval they are judged by.
    """
    after, limit = question.after, question.limit.value
    n = after.cases
    if not n:
        return question.error(question.nobody)
    gone = after.incomplete()
    missing = int(gone.sum())
    value = level_of(question.info, after)
    if value is None:
        return question.error(f"{question.info.name} is unknown", missing=missing)
    before = question.before
    baseline = None if before is None else level_of(question.info, before)
    refused = too_much_missing(question, gone, "level")
    if refused is not None:
        return refused
    floor = question.limit.kind == "min"
    claims = _claims(question, floor=floor)
    shows = _shows(question, claims, floor=floor)
    p_pass, p_harm = _both(claims.worst, claims.best, limit, floor=floor)
    p_lost = _both(claims.worst, claims.worst, limit, floor=floor)[1] if missing else None
    if claims.too_few:
        p_pass = 1.0
    ends = clipped(_drawn(claims, question.level, floor=floor), question.info.bounds)
    uncorrected = None
    corrected = _corrected(question, _known(after))
    if corrected is not None:
        uncorrected, value = value, corrected.value
        if before is not None and baseline is not None:
            old = _corrected(question, _known(before))
            baseline = baseline if old is None else old.value
    shown = [
        None if one is None else pick(one, value)
        for one, pick in ((ends.low, min), (ends.high, max))
    ]
    return settled(
        question.result(
            about="level",
            baseline=baseline,
            candidate=value,
            uncorrected=uncorrected,
            low=shown[0],
            high=shown[1],
            bound=limit,
            missing=missing,
            p_pass=p_pass,
            p_harm=p_harm,
            p_lost=p_lost,
            # more labels, not more cases, narrow what labels say
            needs_more=None if corrected else _needed(question, value, ends, floor=floor),
            method=claims.method,
            reason=claims.too_few or _never(question, shows, floor=floor),
            shows=shows,
        ),
        question.alpha,
    )


def _shows(question: Question, claims: Claims, *, floor: bool) -> Shows:
    """What so many cases or clusters could show of a rate, were they all alike."""
    n, limit, alpha = question.after.cases, question.limit.value, question.policy.alpha
    alike = (np.full(n, float(one)) for one in (floor, not floor))
    all_good: Evidence | None
    all_bad: Evidence | None
    if isinstance(claims.best, SharedRate):
        all_good, all_bad = map(SharedRate.of, alike)
    elif question.info.kind == "rate" and claims.method == CLUSTERED:
        all_good, all_bad = (_clustered(one, question) for one in alike)
    else:
        return "either"
    if _both(all_good, all_good, limit, floor=floor)[0] <= alpha:
        return "either"
    return "harm" if _both(all_bad, all_bad, limit, floor=floor)[1] <= alpha else "nothing"


def _never(question: Question, shows: Shows, *, floor: bool) -> str:
    if question.clusters is not None:
        return never(len(np.unique(question.clusters)), shows, what="cluster")
    limit = question.limit.value
    share = 1 - limit if floor else limit
    fewest = cases_for_ceiling(share, alpha=question.policy.alpha) if 0 < share < 1 else 0
    return never(question.after.cases, shows, fewest)


def _both(
    worst: Evidence | None, best: Evidence | None, limit: float, *, floor: bool
) -> tuple[float, float]:
    """The p-values of "the limit does not hold" on the worst, and "it holds" on the best."""
    if floor:
        return (
            1.0 if worst is None else worst.p_above(limit),
            1.0 if best is None else best.p_below(limit),
        )
    return (
        1.0 if worst is None else worst.p_below(limit),
        1.0 if best is None else best.p_above(limit),
    )


def _drawn(claims: Claims, level: float, *, floor: bool) -> Interval:
    whole = claims.interval(level)
    if floor:
        return whole
    low = claims.best.interval(level).low if claims.best is not None else None
    high = claims.worst.interval(level).high if claims.worst is not None else None
    return Interval(low, high)


def _claims(question: Question, *, floor: bool) -> Claims:
    after, info = question.after, question.info
    if info.kind == "corpus":
        return _corpus(question)
    low, high = after.means(after.low), after.means(after.high)
    worst, best = (low, high) if floor else (high, low)
    corrected = [_corrected(question, one) for one in (worst, best)]
    if corrected[0] is not None:
        method = (
            "exact counts corrected by people's labels"
            if info.kind == "rate"
            else "mean corrected by people's scores"
        )
        return Claims(worst=corrected[0], best=corrected[1], method=method)
    if question.clusters is not None:
        return Claims(
            worst=_clustered(worst, question),
            best=_clustered(best, question),
            method=CLUSTERED,
            too_few=question.few_clusters,
        )
    if question.bets:
        ends = (_bets(worst, question), _bets(best, question))
        return Claims(worst=ends[0], best=ends[1], method="bets")
    if info.kind == "rate":
        return Claims(worst=SharedRate.of(worst), best=SharedRate.of(best), method="exact binomial")
    bounds = info.bounds
    if not math.isfinite(info.spread):
        # a bill has no upper end: twice its mean stands in for one while hardly a case differs
        bounds = (bounds[0], 2 * (after.observed() or 0.0))
    return Claims(
        worst=_mean(worst, bounds),
        best=_mean(best, bounds),
        method="t",
        too_few=""
        if np.isfinite(worst).all()
        else "what is missing on an open scale cannot be bounded",
    )


def _corrected(question: Question, values: Floats) -> Evidence | None:
    """The truth behind a scorer's case means, where labels say what its scores are worth.

    A rate by the labels of either kind, cases of one cluster counting as one; a mean by what people
    scored on its scale (prediction-powered), where no cases hang together.
    """
    if not len(values) or not np.isfinite(values).all():
        return None
    plain = question.info.name == f"{question.info.source}.mean"
    if question.info.kind == "mean" and plain and question.clusters is None:
        return question.trust.corrected_mean(values)
    if question.info.kind != "rate":
        return None
    n = len(values) if question.clusters is None else len(np.unique(question.clusters))
    share = float(values.mean())
    return question.trust.corrected(share * n, n, passing=question.info.passing, seed=question.seed)


def _known(measured: Measured) -> Floats:
    """The means of the cases that miss nothing."""
    means = measured.means(np.where(np.isnan(measured.values), 0.0, measured.values))
    return np.asarray(means[~measured.incomplete()], dtype=float)


def _bets(values: Floats, question: Question) -> AnytimeMean:
    """Bets on the cases in the order of their turns; see ``AnytimeMean``."""
    assert question.order is not None
    low, high = question.info.bounds
    return AnytimeMean(values=values[question.order], low=low, high=high)


def _clustered(values: Floats, question: Question) -> Evidence | None:
    if not np.isfinite(values).all() or question.clusters is None:
        return None
    return clustered_level(values, question.clusters, question.info.bounds)


def _mean(values: Floats, bounds: tuple[float, float]) -> Evidence | None:
    return guarded_level(values, bounds) if np.isfinite(values).all() else None


def _corpus(question: Question) -> Claims:
    metric, rows = question.info.metric, question.after.corpus_rows()
    if metric is None or metric.corpus_value is None or rows is None:
        said = "a case without statistics leaves a corpus metric without an end"
        return Claims(worst=None, best=None, method="none", too_few=said)
    rows = question.units(rows)
    evidence = Resampled.of(*corpus_level(rows, metric.corpus_value, seed=question.seed))
    return Claims(
        worst=evidence,
        best=evidence,
        method=question.by_units("bootstrap"),
        too_few=question.few_clusters,
    )


def _needed(question: Question, value: float, ends: Interval, *, floor: bool) -> int | None:
    limit, n = question.limit.value, question.after.cases
    distance = value - limit if floor else limit - value
    if question.info.kind == "rate" and distance > 0 and question.clusters is None:
        bad = 1 - value if floor else value
        ceiling = 1 - limit if floor else limit
        clean = cases_for_ceiling(ceiling, alpha=question.alpha)
        if not bad:
            return max(0, clean - n) or None
    half = None
    if floor and ends.low is not None:
        half = value - ends.low
    elif not floor and ends.high is not None:
        half = ends.high - value
    return more_cases(n, half, distance, question.alpha) or None


def bill(question: Question) -> GateResult:
    """``total`` of what the answers cost, and ``max`` of any total: a fact, without an interval.

    A cost that is not known can only add: it never lets the gate pass.
    """
    after, limit = question.after, question.limit.value
    if not len(after.values):
        return question.error("no case was asked")
    known = ~np.isnan(after.values)
    missing = int(after.incomplete().sum())
    if not known.any():
        return question.error(f"{question.info.name} is unknown", missing=missing)
    spent = math.fsum(after.values[known].tolist())
    before = question.before
    was = None
    if before is not None and len(before.values) and not np.isnan(before.values).any():
        was = math.fsum(before.values.tolist())
    result = question.result(
        about="fact", baseline=was, candidate=spent, bound=limit, missing=missing, method="sum"
    )
    from dataclasses import replace

    if spent > limit:
        return replace(result, status=Status.FAIL)
    if missing:
        return replace(result, reason=f"what {missing:,} of {after.cases:,} cases cost is unknown")
    return replace(result, status=Status.PASS)
