"""How long the first piece of the answer took to arrive, in seconds."""

from __future__ import annotations

from evalkit.cards import ScorerCard
from evalkit.config.options import Seconds
from evalkit.errors import Unscorable
from evalkit.model import Case, Output, Score, mean, p50, p95, p99
from evalkit.registry import scorer
from evalkit.scorers._limits import check_limits, live, within


@scorer(
    metrics=(mean, p50, p95, p99),
    range=(0.0, float("inf")),
    direction="lower",
    unit="s",
    prepare=check_limits,
    usage="ttft: {max: 200ms}",
    card=ScorerCard(
        family="operations",
        blind=("targets that do not stream are unscored",),
    ),
)
def ttft(case: Case, output: Output, *, max: Seconds | None = None) -> Score:
    """How long the first piece of the answer took to arrive, in seconds.

    Only streamed, live answers have it; others are unscored. With ``max`` (200ms,
    2s, or a number of seconds) it also decides.
    """
    live(output)
    if output.ttft_s is None:
        raise Unscorable("the answer was not streamed, so there is no time to first token")
    return within(output.ttft_s, None, max, "s")
