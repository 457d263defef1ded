"""The rule on a rise of a quantile of latency, as a share of the baseline's."""

from __future__ import annotations

import math

import numpy as np

from evalkit.gate.measure import level_of
from evalkit.gate.question import Question, settled, too_much_missing
from evalkit.gate.result import GateResult
from evalkit.stats.quantiles import quantile_log_ratio, samples_for_ratio


def max_slower(question: Question) -> GateResult:
    """``max_rise`` of a quantile of latency, as a share of the baseline's; live answers only.

    PASS: p of "the ratio is 1 + r or more" ≤ α; else FAIL: p of "not slower" ≤ α. An answer that
    never came counts as slower than all others for PASS.
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
    old, new = before.values[~np.isnan(before.values)], after.values[~np.isnan(after.values)]
    least = samples_for_ratio(q)
    if not len(old) or not len(new):
        return question.error("no live answer was timed on both sides")
    if min(old.min(), new.min()) <= 0:
        return question.error("a time of 0 has no ratio")
    top = math.log1p(question.limit.value)
    evidence = quantile_log_ratio(new, old, q, seed=question.seed)
    worst = evidence
    if gone:
        slow, fast = max(old.max(), new.max()) * 10, min(old.min(), new.min()) / 10
        worst = quantile_log_ratio(
            np.where(np.isnan(after.values), slow, after.values),
            np.where(np.isnan(before.values), fast, before.values),
            q,
            seed=question.seed,
        )
    ends = evidence.interval(question.level)
    low, high = (None if one is None else math.expm1(one) for one in (ends.low, ends.high))
    few = min(len(old), len(new)) < least
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
            needs_more=least - min(len(old), len(new)) if few else None,
            method="bootstrap of order statistics",
            reason=f"{least:,} live answers a side are needed" if few else "",
            baseline=level_of(question.info, before),
            candidate=level_of(question.info, after),
        ),
        question.alpha,
    )
