"""Whether anything relevant was retrieved."""

from __future__ import annotations

from evalkit.model import Case, Output, Score, rate
from evalkit.registry import scorer
from evalkit.scorers._retrieved import CARD, By, check, ranking


@scorer(metrics=(rate,), prepare=check, usage="hit_rate: {by: id, k: 3}", card=CARD)
def hit_rate(
    case: Case,
    output: Output,
    *,
    by: By = "text",
    relevant: str = "relevant",
    retrieved: str = "retrieved",
    k: int | None = None,
    share: float = 0.8,
) -> Score:
    """Whether anything relevant was retrieved.

    1 when one of the retrieved passages is relevant, else 0; ``hit_rate.rate`` is the hit rate at
    ``k`` over the suite.

    ``by: text`` compares the passages the target retrieved with those of the case's metadata under
    ``relevant``, or else with its context: a passage that holds one, or ``share`` of its words, is
    it. ``by: id`` compares the list in the target's ``extra`` under ``retrieved``. A mapping gives
    grades. Only the first ``k`` count. Unscored where the target or the case tells nothing.
    """
    found = ranking(case, output, by=by, relevant=relevant, retrieved=retrieved, k=k, share=share)
    hit = any(one > 0 for one in found.gains)
    return Score(value=float(hit), passed=hit, reason=None if hit else "nothing relevant retrieved")
