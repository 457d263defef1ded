"""The rule on a rise of a bill or of tokens, case by case, as a share of the baseline's."""

from __future__ import annotations

import math
from dataclasses import replace

from evalkit.gate.question import Question, more_cases, settled, too_much_missing
from evalkit.gate.result import GateResult, Status
from evalkit.stats.cost import INDIFFERENCE, guarded_log_ratio


def max_ratio(question: Question) -> GateResult:
    """``max_rise`` of a bill or a number of tokens, as a share of the baseline's; paired.

    PASS: p of "the ratio of the means is 1 + r or more" ≤ α; else FAIL: p of "it is at most 1.02" ≤
    α, since rises up to 2 % are not called one.
    """
    before, after = question.before, question.after
    if before is None:
        return question.error("there is no baseline")
    n = after.cases
    gone = before.incomplete() | after.incomplete()
    missing = int(gone.sum())
    if n and missing == n:
        return question.error(f"{question.info.name} is unknown", missing=missing)
    refused = too_much_missing(question, gone, "change")
    if refused is not None or not n:
        return refused or question.error("no case was asked on both sides")
    kept = ~gone
    old, new = before.means(before.values)[kept], after.means(after.values)[kept]
    bills = math.fsum(old.tolist()), math.fsum(new.tolist())
    levels = {"baseline": bills[0] / len(old), "candidate": bills[1] / len(new)}
    if not bills[0]:
        free = question.result(about="fact", missing=missing, reason="free on both sides", **levels)
        if not bills[1] and not missing:
            return replace(free, status=Status.PASS)
        return question.error("the baseline cost nothing: a rise has no share", **levels)
    if not bills[1] and not missing:
        return question.result(status=Status.PASS, reason="the candidate costs nothing", **levels)
    if not bills[1]:
        return question.error("nothing but unknown costs", missing=missing, **levels)
    evidence = guarded_log_ratio(question.units(new, kept), question.units(old, kept))
    top = math.log1p(question.limit.value)
    ends = evidence.interval(question.level)
    rise = math.expm1(evidence.value)
    low, high = (None if one is None else math.expm1(one) for one in (ends.low, ends.high))
    half = None if ends.high is None else ends.high - evidence.value
    distance = top - max(evidence.value, 0.0)
    return settled(
        question.result(
            about="change",
            difference=rise,
            relative=True,
            low=low,
            high=None if missing else high,
            bound=question.limit.value,
            missing=missing,
            worse=int((new > old).sum()),
            better=int((new < old).sum()),
            p_pass=1.0 if missing or question.few_clusters else evidence.p_below(top),
            p_harm=evidence.p_above(min(top, INDIFFERENCE)),
            needs_more=more_cases(n, half, distance, question.alpha),
            method=question.by_units("paired log-ratio"),
            reason="what is missing of a bill cannot be bounded"
            if missing
            else question.few_clusters,
            **levels,
        ),
        question.alpha,
    )
