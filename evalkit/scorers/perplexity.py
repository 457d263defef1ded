"""How surprised the model was by its own answer, from the log probabilities it reports."""

from __future__ import annotations

import math
from collections.abc import Sequence

from evalkit.cards import ScorerCard
from evalkit.errors import Unscorable
from evalkit.model import Case, Output, Score, corpus, mean
from evalkit.registry import scorer

_LARGEST = 700.0
"""exp of more is no finite number."""


def _perplexity(stats: Sequence[float]) -> float:
    total, tokens = stats[0], stats[1]
    return math.exp(min(_LARGEST, -total / tokens)) if tokens else 1.0


@scorer(
    metrics=(mean, corpus(_perplexity)),
    range=(1.0, float("inf")),
    direction="lower",
    card=ScorerCard(
        family="style",
        blind=(
            "truth: a model can be sure and wrong",
            "other models: tokens differ, so compare a model with itself",
            "sampling: at temperature 0 the surest token is always taken",
        ),
    ),
)
def perplexity(case: Case, output: Output) -> Score:
    """How surprised the model was by its own answer, from the log probabilities it reports.

    The exponential of the mean negative log probability of the answer's tokens; 1 is no surprise.
    The corpus metric is that over all tokens of all answers. Ask for them in the target:
    ``params: {logprobs: true}`` of ``openai_compatible``. Unscored where the target reports none.
    """
    total, tokens = output.extra.get("logprob_sum"), output.extra.get("logprob_tokens")
    if not isinstance(total, (int, float)) or not isinstance(tokens, int) or tokens < 1:
        raise Unscorable("the target reports no log probabilities (params: {logprobs: true})")
    if not math.isfinite(total) or total > 0:
        raise Unscorable(f"the log probabilities sum to {total!r}")
    stats = (float(total), float(tokens))
    return Score(value=_perplexity(stats), stats=stats)
