"""How many tool calls the output makes."""

from __future__ import annotations

from evalkit.model import Case, Output, Score, mean, p95
from evalkit.registry import scorer
from evalkit.scorers._limits import check_limits, within
from evalkit.scorers._tools import tools_card


@scorer(
    metrics=(mean, p95),
    range=(0.0, float("inf")),
    direction="lower",
    unit="calls",
    prepare=check_limits,
    usage="tool_steps: {max: 5}",
    card=tools_card("whether the steps were needed"),
)
def tool_steps(
    case: Case,
    output: Output,
    *,
    tool: str | None = None,
    min: float | None = None,
    max: float | None = None,
) -> Score:
    """How many tool calls the output makes.

    All of them, or those of one ``tool``. With ``min`` or ``max`` it also decides; both count as
    inside.
    """
    calls = [one for one in output.tool_calls if tool is None or one.name == tool]
    return within(float(len(calls)), min, max, "calls")
