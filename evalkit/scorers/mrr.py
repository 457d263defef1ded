"""How early the first relevant passage was retrieved: the reciprocal of its rank."""

from __future__ import annotations

from evalkit.model import Case, Output, Score
from evalkit.registry import scorer
from evalkit.scorers._retrieved import CARD, By, check, ranking


@scorer(prepare=check, usage="mrr: {by: id}", card=CARD)
def mrr(
    case: Case,
    output: Output,
    *,
    by: By = "text",
    relevant: str = "relevant",
    retrieved: str = "retrieved",
    k: int | None = None,
    share: float = 0.8,
) -> Score:
    """How early the first relevant passage was retrieved: the reciprocal of its rank.

    1 for the first rank, 1/2 for the second, 0 when none is found; ``mrr.mean`` is the mean
    reciprocal rank over the suite.

    ``by: text`` compares the passages the target retrieved with those of the case's metadata under
    ``relevant``, or else with its context: a passage that holds one, or ``share`` of its words, is
    it. ``by: id`` compares the list in the target's ``extra`` under ``retrieved``. A mapping gives
    grades. Only the first ``k`` count. Unscored where the target or the case tells nothing.
    """
    found = ranking(case, output, by=by, relevant=relevant, retrieved=retrieved, k=k, share=share)
    rank = next((at for at, one in enumerate(found.gains, start=1) if one > 0), None)
    return Score(value=0.0 if rank is None else 1.0 / rank)
