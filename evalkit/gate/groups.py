"""The rule on gaps: whether any group is served worse than another by more than is tolerated."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import permutations

import numpy as np

from evalkit.gate.question import Question, more_cases, settled, too_much_missing
from evalkit.gate.result import GateResult, Status
from evalkit.stats.clusters import clustered_level
from evalkit.stats.evidence import Both, Evidence
from evalkit.stats.intervals import Floats, clipped
from evalkit.stats.levels import guarded_level
from evalkit.stats.sides import Bools, Numbers
from evalkit.stats.unpaired import TwoMeans, TwoRates

NAMED = 6
"""Small groups of one tag that are named."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Group:
    """The case means of one group, with what is missing at either end, and their clusters."""

    low: Floats
    high: Floats
    seen: float
    clusters: Numbers | None

    def at(self, means: Floats, question: Question) -> Both:
        """What these means say of the group's level."""
        bounds = question.info.bounds
        if self.clusters is not None:
            return clustered_level(means, self.clusters, bounds)
        return guarded_level(means, bounds)


def max_gap(question: Question, groups: Mapping[str, Bools]) -> GateResult:
    """``max_gap`` between any two of the groups, each with the cases of its mask.

    PASS when every gap beyond the limit is ruled out at α: all must be, so nothing is corrected
    (Berger 1982). FAIL when one is shown at α ÷ the number of gaps (Bonferroni). Score test of two
    rates; of two means, and wherever cases hang together, their limits put together.
    """
    after, limit = question.after, question.limit.value
    if not after.cases:
        return question.error(question.nobody)
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
    gone = after.incomplete() & inside
    missing = int(gone.sum())
    refused = too_much_missing(question, gone, among=n)
    if refused is not None:
        return replace(refused, notes=note)
    parts = {name: _group(question, mask) for name, mask in kept.items()}
    pairs = list(permutations(parts, 2))
    p_pass, p_harm, p_lost = 0.0, 1.0, 1.0
    for one, two in pairs:
        wide = _widest(question, parts[one], parts[two])
        tight = _narrowest(question, parts[one], parts[two])
        p_pass = max(p_pass, wide.p_below(limit))
        p_harm = min(p_harm, tight.p_above(limit))
        p_lost = min(p_lost, wide.p_above(limit))
    ordered = sorted(parts, key=lambda name: (-parts[name].seen, name))
    best, worst = ordered[0], ordered[-1]
    gap = parts[best].seen - parts[worst].seen
    reach = (-question.info.spread, question.info.spread)
    upper = _widest(question, parts[best], parts[worst]).interval(question.level)
    lower = _narrowest(question, parts[best], parts[worst]).interval(question.level)
    low, high = clipped(lower, reach).low, clipped(upper, reach).high
    half = None if high is None else high - gap
    return settled(
        question.result(
            about="gap",
            where=f"{question.where}: {worst} below {best}",
            baseline=_before(question, kept),
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
            method=_method(question),
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


def _method(question: Question) -> str:
    if question.clusters is not None:
        return "limits of two clustered means"
    return "score test" if question.info.kind == "rate" else "limits of two means"


def _group(question: Question, mask: Bools) -> _Group:
    part = question.after.of_cases(mask)
    seen = part.observed()
    return _Group(
        low=part.means(part.low),
        high=part.means(part.high),
        seen=0.0 if seen is None else seen,
        clusters=None if question.clusters is None else question.clusters[mask],
    )


def _before(question: Question, groups: Mapping[str, Bools]) -> float | None:
    before = question.before
    if before is None or before.cases != question.after.cases:
        return None
    levels = [before.of_cases(mask).observed() for mask in groups.values()]
    known = [one for one in levels if one is not None]
    return max(known) - min(known) if len(known) == len(levels) else None


def _widest(question: Question, first: _Group, second: _Group) -> Evidence:
    """The gap when all that is missing went well in the first group, and badly in the second."""
    return _evidence(question, (first, first.high), (second, second.low))


def _narrowest(question: Question, first: _Group, second: _Group) -> Evidence:
    return _evidence(question, (first, first.low), (second, second.high))


def _evidence(
    question: Question, first: tuple[_Group, Floats], second: tuple[_Group, Floats]
) -> Evidence:
    (one, ones), (two, twos) = first, second
    whole = all(bool(((means == 0) | (means == 1)).all()) for means in (ones, twos))
    if question.info.kind == "rate" and whole and question.clusters is None:
        return TwoRates(
            first_passed=int(ones.sum()),
            first=len(ones),
            second_passed=int(twos.sum()),
            second=len(twos),
        )
    return TwoMeans(first=one.at(ones, question), second=two.at(twos, question))
