"""How much of what is relevant was retrieved."""

from __future__ import annotations

from evalkit.model import Case, Output, Score
from evalkit.registry import scorer
from evalkit.scorers._retrieved import CARD, By, check, ranking


@scorer(prepare=check, usage="context_recall: {by: id, k: 10}", card=CARD)
def context_recall(
    case: Case,
    output: Output,
    *,
    by: By = "text",
    relevant: str = "relevant",
    retrieved: str = "retrieved",
    k: int | None = None,
    share: float = 0.8,
) -> Score:
    """How much of what is relevant was retrieved.

    The share of the relevant passages that were retrieved.

    ``by: text`` compares the passages the target retrieved with those of the case's metadata under
    ``relevant``, or else with its context: a passage that holds one, or ``share`` of its words, is
    it. ``by: id`` compares the list in the target's ``extra`` under ``retrieved``. A mapping gives
    grades. Only the first ``k`` count. Unscored where the target or the case tells nothing.
    """
    found = ranking(case, output, by=by, relevant=relevant, retrieved=retrieved, k=k, share=share)
    hits = sum(one > 0 for one in found.gains)
    missing = len(found.ideal) - hits
    reason = f"{missing} of {len(found.ideal)} relevant not retrieved" if missing else None
    return Score(value=hits / len(found.ideal), reason=reason)
