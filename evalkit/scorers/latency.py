"""How long the answer took, in seconds, from the first byte sent to the last received."""

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
    usage="latency: {max: 2s}",
    card=ScorerCard(
        family="operations",
        blind=("answers from the cache and replays are unscored",),
    ),
)
def latency(case: Case, output: Output, *, max: Seconds | None = None) -> Score:
    """How long the answer took, in seconds, from the first byte sent to the last received.

    The attempt that answered, without waiting for rate limits or earlier attempts. An answer from
    the cache or a replay is unscored: it says nothing about latency. With ``max``
    (2s, 200ms, or a number of seconds) it also decides.
    """
    live(output)
    if output.latency_s is None:
        raise Unscorable("the target measured no latency")
    return within(output.latency_s, None, max, "s")
