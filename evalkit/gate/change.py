"""Rules on a change, whether the candidate got worse by more than is tolerated.

Non-inferiority in three answers: PASS when a change beyond the margin is ruled out, FAIL when harm
is shown and one beyond the margin is not ruled out, INCONCLUSIVE otherwise.
"""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from evalkit.gate.measure import Measured, level_of
from evalkit.gate.question import Claims, Question, more_cases, never, settled, too_much_missing
from evalkit.gate.result import GateResult, Shows
from evalkit.stats.betting import AnytimeMean, tuned_bet
from evalkit.stats.clusters import clustered_guarded_t
from evalkit.stats.corpus import corpus_difference
from evalkit.stats.evidence import Evidence
from evalkit.stats.intervals import Floats, Interval, clipped
from evalkit.stats.paired_means import guarded_t
from evalkit.stats.paired_rates import PairedCounts
from evalkit.stats.planning import cases_to_pass, structural_cases, structural_p
from evalkit.stats.sides import Bools
from evalkit.stats.suite import suite_difference, suite_look


def max_change(question: Question) -> GateResult:
    """``max_drop`` and ``max_rise`` of a rate, a mean or a corpus metric, in its own unit.

    PASS: p of "worse by the margin or more" ≤ α; else FAIL: p of "not worse" ≤ α (with
    ``block_when: margin_exceeded``: of "worse by the margin at most").
    """
    before, after = question.before, question.after
    if before is None:
        return question.error("there is no baseline")
    n = after.cases
    if not n:
        return question.error(question.nobody)
    gone = before.incomplete() | after.incomplete()
    missing = int(gone.sum())
    refused = too_much_missing(question, gone, "change")
    if refused is not None:
        return refused
    margin = question.limit.value
    sign = -1 if question.limit.kind == "max_rise" else 1
    claims = _claims(question, before, after, sign)
    if claims.information is not None:
        question = replace(question, information=claims.information)
    bar = -margin if question.gate.block_when == "margin_exceeded" else 0.0
    p_pass = 1.0 if claims.worst is None else claims.worst.p_above(-margin)
    p_harm = 1.0 if claims.best is None else claims.best.p_below(bar)
    p_lost = claims.worst.p_below(bar) if missing and claims.worst is not None else None
    reason = claims.too_few
    shows: Shows = "either"
    if n < claims.fewest:
        shows = "nothing" if _most_harm(question, bar) > question.policy.alpha else "harm"
        p_pass, reason = 1.0, never(n, shows, claims.fewest)
    elif claims.too_few:
        p_pass = 1.0
    elif claims.fewest and question.fractions:
        # at a look the level is smaller, and the fewest cases with which it can be reached are more
        p_pass = max(p_pass, structural_p(n, margin / question.info.spread))
    reach = (-question.info.spread, question.info.spread)
    whole = clipped(claims.interval(question.level), reach)
    value, worse, better = _observed(before, after, ~gone, sign)
    old, new = (level_of(question.info, one.of_cases(~gone)) for one in (before, after))
    if question.info.kind == "corpus":
        value = None if old is None or new is None else new - old
    low, high = _facing(whole, sign)
    return settled(
        question.result(
            about="change",
            baseline=old,
            candidate=new,
            difference=value,
            low=None if low is None or value is None else min(low, value),
            high=None if high is None or value is None else max(high, value),
            bound=-margin * sign,
            missing=missing,
            worse=worse,
            better=better,
            p_pass=p_pass,
            p_harm=p_harm,
            p_lost=p_lost,
            needs_more=_needed(question, claims, whole, value, sign),
            claim=claims.claim,
            population=_pair(claims.population, reach, sign),
            method=claims.method,
            reason=reason,
            shows=shows,
        ),
        question.alpha,
    )


def _most_harm(question: Question, bar: float) -> float:
    """The p-value of harm if every case lost all there is to lose."""
    n, spread = question.after.cases, question.info.spread
    if question.info.kind == "rate":
        return PairedCounts(both_pass=0, gain=0, loss=n, both_fail=0).p_below(bar)
    return guarded_t(np.full(n, -spread), spread=spread).p_below(bar)


def _facing(interval: Interval, sign: int) -> tuple[float | None, float | None]:
    """An interval of goodness in the metric's own direction."""
    if sign > 0:
        return interval.low, interval.high
    low, high = interval.low, interval.high
    return None if high is None else -high, None if low is None else -low


def _pair(
    interval: Interval | None, reach: tuple[float, float], sign: int
) -> tuple[float | None, float | None] | None:
    return None if interval is None else _facing(clipped(interval, reach), sign)


def _claims(question: Question, before: Measured, after: Measured, sign: int) -> Claims:
    """The test that the kind of metric, the repeats and the clusters call for."""
    margin = question.limit.value
    if question.info.kind == "corpus":
        return _corpus(question, before, after, sign)
    spread = question.info.spread
    worst, best = _goodness(before, after, sign)
    bounded = math.isfinite(spread) and 0 < margin / spread < 1
    fewest = structural_cases(margin / spread, alpha=question.policy.alpha) if bounded else 0
    if question.clusters is not None:
        return _clustered(question, worst, best, fewest)
    if question.bets:
        return _bets(question, before, worst, best, fewest)
    if _suite_estimand(question, before):
        return _suite(question, before, after, sign, guarded_t(worst, spread=spread))
    counts = _counts(before, after, sign) if question.info.kind == "rate" else None
    if counts is not None:
        return Claims(
            worst=counts[0], best=counts[1], method="Tango score, McNemar mid-p", fewest=fewest
        )
    whole = bool(np.isfinite(worst).all())
    return Claims(
        worst=guarded_t(worst, spread=spread) if whole else None,
        best=guarded_t(best, spread=spread) if whole else None,
        method="paired t",
        fewest=fewest,
        too_few="" if whole else "what is missing on an open scale cannot be bounded",
    )


def _bets(question: Question, before: Measured, worst: Floats, best: Floats, fewest: int) -> Claims:
    """Bets on the cases in the order of their turns: what they won holds whenever it is looked at.

    Half of the money goes on the stake that fits the margin and the noise of stored repeats.
    """
    assert question.order is not None
    spread, margin = question.info.spread, question.limit.value
    noise = _noise(before, round(len(question.after.owner) / max(question.after.cases, 1)))
    tuned = None if noise is None else tuned_bet(margin / spread, noise / spread**2) / spread

    def evidence(ends: Floats) -> AnytimeMean:
        assert question.order is not None
        values = ends[question.order]
        return AnytimeMean(values=values, low=-spread, high=spread, tuned=tuned, even=True)

    return Claims(worst=evidence(worst), best=evidence(best), method="bets", fewest=fewest)


def _noise(before: Measured, own: int) -> float | None:
    """The variance of a case's difference between unchanged runs; ``None`` without repeats."""
    moments = before.moments(before.low)
    if not before.cases or (moments.trials < 2).any():
        return None
    within = moments.variances
    noise = float(np.mean(within / moments.trials) + np.mean(within) / max(own, 1))
    return noise or None


def _goodness(before: Measured, after: Measured, sign: int) -> tuple[Floats, Floats]:
    """Every case's change, positive is good, as bad and as good as it can have been."""
    first, second = (before.high, after.low), (before.low, after.high)
    if sign < 0:
        first, second = second, first
    return (
        sign * (after.means(first[1]) - before.means(first[0])),
        sign * (after.means(second[1]) - before.means(second[0])),
    )


def _counts(
    before: Measured, after: Measured, sign: int
) -> tuple[PairedCounts, PairedCounts] | None:
    """Pairs by what passed, if every case passed or failed as a whole on both sides."""
    columns = [one.means(end) for one in (before, after) for end in (one.low, one.high)]
    if any(bool(((one != 0) & (one != 1)).any()) for one in columns):
        return None
    base_low, base_high, cand_low, cand_high = (one == 1 for one in columns)
    if sign < 0:
        base_low, base_high, cand_low, cand_high = ~base_high, ~base_low, ~cand_high, ~cand_low
    return PairedCounts.of(base_high, cand_low), PairedCounts.of(base_low, cand_high)


def _suite_estimand(question: Question, before: Measured) -> bool:
    """Whether the claim is about exactly these cases: their noise must have been measured."""
    if question.policy.estimand == "population" or not math.isfinite(question.info.spread):
        return False
    trials = np.bincount(before.owner, minlength=before.cases)
    return bool((trials >= 2).all())


def _suite(
    question: Question, before: Measured, after: Measured, sign: int, population: Evidence
) -> Claims:
    spread = question.info.spread
    first, second = (before.high, after.low), (before.low, after.high)
    if sign < 0:
        first, second = second, first

    look = question.look
    known: list[float] = []

    def evidence(ends: tuple[Floats, Floats]) -> Evidence:
        new, old = after.moments(sign * ends[1]), before.moments(sign * ends[0])
        if question.same is not None:
            # the same trials on both sides do not differ, however much they vary
            new, old = new.certain(question.same), old.certain(question.same)
        if look is None:
            return suite_difference(new, old, spread=spread)
        total = max(round(new.n / look.seen), new.n)
        found = suite_look(new, old, range(new.n), spread=spread, of=total)
        known.append(found.fraction)
        return found.evidence

    worst, best = evidence(first), evidence(second)
    return Claims(
        worst=worst,
        best=best,
        information=min(known) if known else None,
        method="z with the noise within cases",
        claim="these cases",
        population=population.interval(question.level),
    )


def _clustered(question: Question, worst: Floats, best: Floats, fewest: int) -> Claims:
    assert question.clusters is not None
    whole = bool(np.isfinite(worst).all())
    said = question.few_clusters if whole else "what is missing on an open scale cannot be bounded"
    spread = question.info.spread
    return Claims(
        worst=clustered_guarded_t(worst, question.clusters, spread=spread) if whole else None,
        best=clustered_guarded_t(best, question.clusters, spread=spread) if whole else None,
        method="clustered t",
        fewest=fewest,
        too_few=said,
    )


def _corpus(question: Question, before: Measured, after: Measured, sign: int) -> Claims:
    metric = question.info.metric
    old, new = before.corpus_rows(), after.corpus_rows()
    if metric is None or metric.corpus_value is None or old is None or new is None:
        said = "a case without statistics leaves a corpus metric without an end"
        return Claims(worst=None, best=None, method="none", too_few=said)
    value = metric.corpus_value
    old, new = question.units(old), question.units(new)
    evidence = corpus_difference(
        new if sign > 0 else old, old if sign > 0 else new, value, seed=question.seed
    )
    return Claims(
        worst=evidence,
        best=evidence,
        method=question.by_units("paired bootstrap"),
        too_few=question.few_clusters,
    )


def _observed(
    before: Measured, after: Measured, kept: Bools, sign: int
) -> tuple[float | None, int, int]:
    """The change over the cases that miss nothing, and how many of them moved either way."""
    if not kept.any():
        return None, 0, 0
    moved = after.means(after.values)[kept] - before.means(before.values)[kept]
    worse, better = int((sign * moved < -1e-12).sum()), int((sign * moved > 1e-12).sum())
    return math.fsum(moved.tolist()) / len(moved), worse, better


def _needed(
    question: Question, claims: Claims, whole: Interval, value: float | None, sign: int
) -> int | None:
    """How many more cases would rule the margin out if the truth is what was seen, or no change."""
    if value is None:
        return None
    n, margin = question.after.cases, question.limit.value
    good = sign * value
    least = max(0, claims.fewest - n)
    if isinstance(claims.worst, PairedCounts):
        discordance = (claims.worst.gain + claims.worst.loss) / n
        enough = cases_to_pass(discordance, margin, alpha=question.alpha)
        return max(enough - n, least) or None if good > -margin else None
    half = None if whole.low is None else good - whole.low
    more = more_cases(n, half, margin + min(good, 0.0), question.alpha)
    return None if more is None else max(more, least) or None
