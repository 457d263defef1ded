"""Which rule judges a kind of limit on a kind of metric."""

from __future__ import annotations

from collections.abc import Mapping

from evalkit.gate.change import max_change, max_ratio, max_slower
from evalkit.gate.level import bill, floor_or_ceiling, slowest
from evalkit.gate.question import Question
from evalkit.gate.result import GateResult, Status

CHANGES = frozenset({"max_drop", "max_rise"})


def too_small(question: Question, groups: Mapping[str, int]) -> GateResult:
    """One result for all groups of a tag that have too few cases to be judged."""
    named = [f"{name} ({size:,})" for name, size in sorted(groups.items())]
    more = f" and {len(named) - 6} more" if len(named) > 6 else ""
    least = question.gate.min_cases
    return question.result(
        status=Status.INCONCLUSIVE,
        n=sum(groups.values()),
        reason=f"groups below {least:,} cases are not judged: {', '.join(named[:6])}{more}",
    )


def rule(question: Question) -> GateResult:
    """The rule for a kind of limit on a kind of metric."""
    kind, info = question.limit.kind, question.info
    if info.kind == "total":
        return bill(question)
    if kind in CHANGES:
        if info.kind == "quantile":
            return max_slower(question)
        return max_ratio(question) if question.limit.relative else max_change(question)
    return slowest(question) if info.kind == "quantile" else floor_or_ceiling(question)
