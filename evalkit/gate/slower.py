"""The rules on a quantile of latency: against a limit, and its rise from the baseline's."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from evalkit.gate.measure import Measured, level_of
from evalkit.gate.question import Question, settled, too_much_missing
from evalkit.gate.result import GateResult, Shows
from evalkit.stats.evidence import Evidence, Resampled
from evalkit.stats.intervals import Floats, Interval, quantile_interval
from evalkit.stats.quantiles import (
    TAIL,
    clustered_ends,
    clustered_exceedance,
    clustered_log_ratio,
    clusters_for_quantile,
    quantile_log_ratio,
    samples_for_quantile,
    samples_for_ratio,
    tail_clusters,
)
from evalkit.stats.sides import Bools, Numbers
from evalkit.stats.single_rates import ExactRate


def slowest(question: Question) -> GateResult:
    """``max`` of a quantile of latency, by counting the live answers that took longer.

    The q quantile is within the limit iff at most 1 − q of the answers exceed it: judged exactly
    against 1 − q, whatever the distribution; where answers hang together, repeats of one case among
    them, as a level of clusters. An answer that never came exceeds it for PASS.
    """
    after, limit, q = question.after, question.limit.value, question.info.q
    assert q is not None
    known = ~np.isnan(after.values)
    if not known.any():
        return question.error("no live answer was timed", missing=after.cases)
    gone = after.incomplete()
    before = question.before
    value = level_of(question.info, after)
    assert value is not None
    baseline = None if before is None else level_of(question.info, before)
    refused = too_much_missing(question, gone, "level")
    if refused is not None:
        return refused
    missing = int(gone.sum())
    slow = np.where(known, after.values, np.inf)
    fast = np.where(known, after.values, 0.0)
    over = _against(question, slow, fast)
    ends = over.ends
    if ends.low == ends.high:
        ends = Interval(None, None)  # times that are all equal claim no certainty
    return settled(
        question.result(
            about="level",
            baseline=baseline,
            candidate=value,
            low=None if ends.low is None else min(ends.low, value),
            high=None if ends.high is None or math.isinf(ends.high) else max(ends.high, value),
            bound=limit,
            missing=missing,
            worse=int((after.values[known] > limit).sum()),
            p_pass=1.0 if question.few_clusters else over.worst.p_below(1 - q),
            p_harm=over.best.p_above(1 - q),
            p_lost=over.worst.p_above(1 - q) if missing else None,
            needs_more=over.more,
            method=over.method,
            reason=over.few or question.few_clusters,
            shows=over.shows,
        ),
        question.alpha,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Over:
    """The share of answers beyond the limit, with what is missing there (``worst``) and not.

    ``few`` says why so few answers can never show that the limit holds, ``more`` how many are
    missing, ``shows`` what they can; ``ends`` are those of the quantile itself.
    """

    worst: Evidence
    best: Evidence
    ends: Interval
    method: str
    few: str = ""
    more: int | None = None
    shows: Shows = "either"


def _against(question: Question, slow: Floats, fast: Floats) -> _Over:
    limit, q, alpha, level = (
        question.limit.value, question.info.q, question.alpha, question.level
    )  # fmt: skip
    assert q is not None
    together = _together(question, question.after)
    if together is None:
        least = samples_for_quantile(q, alpha=alpha)
        more = max(least - len(slow), 0)
        return _Over(
            worst=ExactRate(events=int((slow > limit).sum()), n=len(slow)),
            best=ExactRate(events=int((fast > limit).sum()), n=len(fast)),
            ends=Interval(
                quantile_interval(fast, q, level).low, quantile_interval(slow, q, level).high
            ),
            method="exceedance count",
            few=f"{least:,} live answers are needed" if more else "",
            more=more or None,
            shows=_shows(ExactRate(events=len(slow), n=len(slow)), q, alpha) if more else "either",
        )
    least, have = clusters_for_quantile(q, alpha=alpha), len(np.unique(together))
    all_fast = clustered_exceedance(np.zeros(len(slow)), together, 0.0)
    few = all_fast.p_below(1 - q) > alpha
    what = "cases" if question.clusters is None else "clusters"
    return _Over(
        worst=clustered_exceedance(slow, together, limit),
        best=clustered_exceedance(fast, together, limit),
        ends=clustered_ends(slow, fast, together, q, level),
        method=f"exceedance count of {what}",
        few=f"live answers of about {least:,} {what} are needed" if few else "",
        more=max(least - have, 1) if few and question.clusters is None else None,
        shows=_shows(clustered_exceedance(np.ones(len(slow)), together, 0.0), q, alpha)
        if few
        else "either",
    )


def _shows(all_slow: Evidence, q: float, alpha: float) -> Shows:
    """What answers that are too few to pass can show: whether harm, were all of them too slow."""
    return "harm" if all_slow.p_above(1 - q) <= alpha else "nothing"


def _together(question: Question, measured: Measured) -> Numbers | None:
    """The cluster of every answer, or its case where it was repeated; ``None``: each alone."""
    owner = measured.owner
    found = owner if question.clusters is None else question.clusters[owner]
    return found if len(np.unique(found)) < len(found) else None


def max_slower(question: Question) -> GateResult:
    """``max_rise`` of a quantile of latency, as a share of the baseline's; live answers only.

    PASS: p of "the ratio is 1 + r or more" ≤ α; else FAIL: p of "not slower" ≤ α. An answer that
    never came counts as slower than all others for PASS. Both sides are drawn apart, which is
    careful where they ask the same, unless clusters are drawn.
    """
    before, after = question.before, question.after
    q = question.info.q
    assert q is not None
    if before is None:
        return question.error("there is no baseline")
    lost = before.incomplete() | after.incomplete()
    gone = int(lost.sum())
    refused = too_much_missing(question, lost, "change")
    if refused is not None:
        return refused
    timed = [~np.isnan(one.values) for one in (after, before)]
    new, old = after.values[timed[0]], before.values[timed[1]]
    if not len(old) or not len(new):
        return question.error("no live answer was timed on both sides")
    if min(old.min(), new.min()) <= 0:
        return question.error("a time of 0 has no ratio")
    top = math.log1p(question.limit.value)
    few, more = _few(question, new, old, timed)
    evidence = worst = _ratio(question, new, old, timed)
    if gone:
        slow, fast = max(old.max(), new.max()) * 10, min(old.min(), new.min()) / 10
        worst = _ratio(
            question,
            np.where(np.isnan(after.values), slow, after.values),
            np.where(np.isnan(before.values), fast, before.values),
            [np.ones_like(one) for one in timed],
        )
    ends = evidence.interval(question.level)
    low, high = (None if one is None else math.expm1(one) for one in (ends.low, ends.high))
    return settled(
        question.result(
            about="change",
            difference=math.expm1(evidence.value),
            relative=True,
            low=low,
            high=high,
            bound=question.limit.value,
            missing=gone,
            p_pass=1.0 if few else worst.p_below(top),
            p_harm=1.0 if few else evidence.p_above(0.0),
            p_lost=worst.p_above(0.0) if gone and not few else None,
            needs_more=more,
            method=question.by_units("bootstrap of order statistics"),
            reason=few,
            baseline=level_of(question.info, before),
            candidate=level_of(question.info, after),
        ),
        question.alpha,
    )


def _clusters_of(question: Question, kept: list[Bools]) -> tuple[Numbers, Numbers]:
    """The clusters of the candidate's and of the baseline's answers that are kept."""
    assert question.clusters is not None
    assert question.before is not None
    new, old = question.after.owner[kept[0]], question.before.owner[kept[1]]
    return question.clusters[new], question.clusters[old]


def _ratio(question: Question, new: Floats, old: Floats, kept: list[Bools]) -> Resampled:
    q = question.info.q
    assert q is not None
    if question.clusters is None:
        return quantile_log_ratio(new, old, q, seed=question.seed)
    clusters = _clusters_of(question, kept)
    return clustered_log_ratio(new, old, clusters, q, seed=question.seed)


def _few(question: Question, new: Floats, old: Floats, kept: list[Bools]) -> tuple[str, int | None]:
    """Why so few answers tell nothing of the tail, and how many more would; empty where they do."""
    q = question.info.q
    assert q is not None
    least, have = samples_for_ratio(q), min(len(old), len(new))
    if have < least:
        return f"{least:,} live answers a side are needed", least - have
    if question.clusters is None:
        return "", None
    sides = zip((new, old), _clusters_of(question, kept), strict=True)
    tail = min(tail_clusters(values, clusters, q) for values, clusters in sides)
    if tail >= TAIL:
        return "", None
    return f"the tail is of {tail:,} clusters, {TAIL:,} a side tell how much it varies", None
