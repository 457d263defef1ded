"""How much of what was retrieved is relevant."""

from __future__ import annotations

from evalkit.model import Case, Output, Score
from evalkit.registry import scorer
from evalkit.scorers._retrieved import CARD, By, check, ranking


@scorer(prepare=check, usage="context_precision: {k: 5, ranked: true}", card=CARD)
def context_precision(
    case: Case,
    output: Output,
    *,
    by: By = "text",
    relevant: str = "relevant",
    retrieved: str = "retrieved",
    k: int | None = None,
    share: float = 0.8,
    ranked: bool = False,
) -> Score:
    """How much of what was retrieved is relevant.

    The share of retrieved passages that are relevant. With ``ranked``, the mean of that share at
    the rank of every relevant one (average precision over what was found), so that relevant
    passages should come first. Nothing relevant found is 0.

    ``by: text`` compares the passages the target retrieved with those of the case's metadata under
    ``relevant``, or else with its context: a passage that holds one, or ``share`` of its words, is
    it. ``by: id`` compares the list in the target's ``extra`` under ``retrieved``. A mapping gives
    grades. Only the first ``k`` count. Unscored where the target or the case tells nothing.
    """
    found = ranking(case, output, by=by, relevant=relevant, retrieved=retrieved, k=k, share=share)
    hits = [one > 0 for one in found.gains]
    if not any(hits):
        return Score(value=0.0, reason="nothing retrieved is relevant")
    if not ranked:
        return Score(value=sum(hits) / len(hits))
    shares = [sum(hits[: at + 1]) / (at + 1) for at, hit in enumerate(hits) if hit]
    return Score(value=sum(shares) / len(shares))
