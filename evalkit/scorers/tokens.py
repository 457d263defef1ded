"""How many tokens the answer took, as the provider counted them."""

from __future__ import annotations

from typing import Literal

from evalkit.cards import ScorerCard
from evalkit.errors import Unscorable
from evalkit.model import Case, Output, Score, mean, p95, total
from evalkit.registry import scorer
from evalkit.scorers._limits import check_limits, within


@scorer(
    metrics=(mean, p95, total),
    range=(0.0, float("inf")),
    direction="lower",
    unit="tokens",
    prepare=check_limits,
    usage="tokens: {kind: output, max: 300}",
    card=ScorerCard(
        family="operations",
        blind=("providers count in different tokens: compare targets by cost",),
    ),
)
def tokens(
    case: Case,
    output: Output,
    *,
    kind: Literal["total", "input", "output", "cached", "reasoning"] = "total",
    min: float | None = None,
    max: float | None = None,
) -> Score:
    """How many tokens the answer took, as the provider counted them.

    Cached tokens are part of the input, reasoning tokens of the output. A count the provider did
    not give is unscored, never 0. With ``min`` or ``max`` it also decides.
    """
    usage = output.usage
    count = {
        "total": usage.total_tokens,
        "input": usage.input_tokens,
        "output": usage.output_tokens,
        "cached": usage.cached_tokens,
        "reasoning": usage.reasoning_tokens,
    }[kind]
    if count is None:
        raise Unscorable(f"the target reported no {kind} tokens")
    return within(float(count), min, max, "tokens")
