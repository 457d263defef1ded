"""What the answer cost, in US dollars."""

from __future__ import annotations

from evalkit.cards import ScorerCard
from evalkit.errors import Unscorable
from evalkit.model import Case, Output, Score, mean, p95, total
from evalkit.registry import scorer
from evalkit.scorers._limits import check_limits, within


@scorer(
    metrics=(mean, p95, total),
    range=(0.0, float("inf")),
    direction="lower",
    unit="USD",
    prepare=check_limits,
    usage="cost: {max: 0.01}",
    card=ScorerCard(
        family="operations",
        blind=("a model without a price is unscored, never free",),
    ),
)
def cost(case: Case, output: Output, *, max: float | None = None) -> Score:
    """What the answer cost, in US dollars.

    The price table or the project's own prices; unscored when no price is known, never 0. With
    ``max`` it also decides.
    """
    if output.cost_usd is None:
        raise Unscorable("no price is known for this model")
    return within(output.cost_usd, None, max, "USD")
