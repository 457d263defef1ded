"""The rule on gaps: whether any group is served worse than another by more than is tolerated."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import permutations

import numpy as np

from evalkit.gate.measure import Measured
from evalkit.gate.question import Question, more_cases, settled, too_much_missing
from evalkit.gate.result import GateResult, Status
from evalkit.stats.evidence import Evidence
from evalkit.stats.intervals import Floats, clipped
from evalkit.stats.sides import Bools
from evalkit.stats.unpaired import TwoRates, two_means

NAMED = 6
"""Small groups of one tag that are named."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Group:
    """The case means of one group, with what is missing at either end."""

    low: Floats
    high: Floats
    seen: float


def max_gap(question: Question, groups: Mapping[str, Bools]) -> GateResult:
    """``max_gap`` between any two of the groups, each with the cases of its mask.

    PASS when every gap beyond the limit is ruled out at α: all must be, so nothing is corrected
    (Berger 1982). FAIL when one is shown at α ÷ the number of gaps (Bonferroni). Score test of two
    rates; of two means, their limits put together.
    """
    after, limit = question.after, question.limit.value
    kept = {
        name: mask for name, mask in sorted(groups.items()) if mask.sum() >= question.gate.min_cases
    }
    left = [name for name in sorted(groups) if name not in kept]
    smallest = _listed({name: int(groups[name].sum()) for name in left})
    note = (f"below {question.gate.min_cases:,} cases: {smallest}",) if left else ()
    inside: Bools = np.zeros(after.cases, dtype=np.bool_)
    for mask in kept.values():
        inside |= mask
    n = int(inside.sum())
    if len(kept) < 2:
        return question.error(too_few(len(kept), question.gate.min_cases), n=n, notes=note)
    missing = int((after.incomplete() & inside).sum())
    refused = too_much_missing(question, missing, n)
    if refused is not None:
        return replace(refused, notes=note)
    parts = {name: _group(after, mask) for name, mask in kept.items()}
    pairs = list(permutations(parts, 2))
    p_pass, p_harm, p_lost = 0.0, 1.0, 1.0
    for one, two in pairs:
        wide = _evidence(question, parts[one].high, parts[two].low)
        tight = _evidence(question, parts[one].low, parts[two].high)
        p_pass = max(p_pass, wide.p_below(limit))
        p_harm = min(p_harm, tight.p_above(limit))
        p_lost = min(p_lost, wide.p_above(limit))
    ordered = sorted(parts, key=lambda name: (-parts[name].seen, name))
    best, worst = ordered[0], ordered[-1]
    gap = parts[best].seen - parts[worst].seen
    reach = (-question.info.spread, question.info.spread)
    upper = _evidence(question, parts[best].high, parts[worst].low).interval(question.level)
    lower = _evidence(question, parts[best].low, parts[worst].high).interval(question.level)
    low, high = clipped(lower, reach).low, clipped(upper, reach).high
    half = None if high is None else high - gap
    return settled(
        question.result(
            about="gap",
            where=f"{question.where}: {worst} below {best}",
            baseline=_widest(question, kept),
            candidate=gap,
            difference=gap,
            low=None if low is None else min(low, gap),
            high=None if high is None else max(high, gap),
            bound=limit,
            n=n,
            missing=missing,
            p_pass=p_pass,
            p_harm=min(1.0, p_harm * len(pairs)),
            p_lost=min(1.0, p_lost * len(pairs)) if missing else None,
            needs_more=more_cases(n, half, limit - gap, question.alpha) or None,
            method="score test" if question.info.kind == "rate" else "limits of two means",
            notes=note,
        ),
        question.alpha,
    )


def too_small(question: Question, groups: Mapping[str, int]) -> GateResult:
    """One result for all groups of a tag that have too few cases to be judged, with how many."""
    return question.result(
        status=Status.INCONCLUSIVE,
        n=sum(groups.values()),
        reason=unjudged(groups, question.gate.min_cases),
    )


def unjudged(groups: Mapping[str, int], least: int) -> str:
    """Which groups, with their numbers of cases, have too few to be judged."""
    return f"groups below {least:,} cases are not judged: {_listed(groups)}"


def too_few(groups: int, least: int) -> str:
    """Why no gap is judged between so many groups with at least ``least`` cases."""
    return f"a gap needs two groups of {least:,} cases, there are {groups:,}"


def _listed(groups: Mapping[str, int]) -> str:
    named = [f"{name} ({size:,})" for name, size in sorted(groups.items())]
    more = f" and {len(named) - NAMED:,} more" if len(named) > NAMED else ""
    return ", ".join(named[:NAMED]) + more


def _group(measured: Measured, mask: Bools) -> _Group:
    part = measured.of_cases(mask)
    seen = part.observed()
    return _Group(
        low=part.means(part.low), high=part.means(part.high), seen=0.0 if seen is None else seen
    )


def _widest(question: Question, groups: Mapping[str, Bools]) -> float | None:
    before = question.before
    if before is None or before.cases != question.after.cases:
        return None
    levels = [before.of_cases(mask).observed() for mask in groups.values()]
    known = [one for one in levels if one is not None]
    return max(known) - min(known) if len(known) == len(levels) else None


def _evidence(question: Question, first: Floats, second: Floats) -> Evidence:
    whole = all(bool(((one == 0) | (one == 1)).all()) for one in (first, second))
    if question.info.kind == "rate" and whole:
        return TwoRates(
            first_passed=int(first.sum()),
            first=len(first),
            second_passed=int(second.sum()),
            second=len(second),
        )
    return two_means(first, second, bounds=question.info.bounds)
