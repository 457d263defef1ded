"""Which rule judges which kind of limit on which kind of metric."""

from __future__ import annotations

from evalkit.config.gate_metrics import MetricInfo
from evalkit.gate.change import max_change
from evalkit.gate.level import bill, floor_or_ceiling
from evalkit.gate.question import Question
from evalkit.gate.ratio import max_ratio
from evalkit.gate.result import GateResult
from evalkit.gate.slower import max_slower, slowest

CHANGES = frozenset({"max_drop", "max_rise"})
FACT = MetricInfo(name="pass.rate", source="pass", kind="rate", direction="higher", unit="%")


def rule_of(question: Question) -> GateResult:
    """The rule for a kind of limit on a kind of metric."""
    kind, info = question.limit.kind, question.info
    if info.kind == "total":
        return bill(question)
    if kind in CHANGES:
        if info.kind == "quantile":
            return max_slower(question)
        return max_ratio(question) if question.limit.relative else max_change(question)
    return slowest(question) if info.kind == "quantile" else floor_or_ceiling(question)
