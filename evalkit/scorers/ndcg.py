"""How well the ranking puts the most relevant first: normalised discounted cumulative gain."""

from __future__ import annotations

import math
from collections.abc import Sequence

from evalkit.model import Case, Output, Score
from evalkit.registry import scorer
from evalkit.scorers._retrieved import CARD, By, check, ranking


@scorer(prepare=check, usage="ndcg: {by: id, k: 10}", card=CARD)
def ndcg(
    case: Case,
    output: Output,
    *,
    by: By = "text",
    relevant: str = "relevant",
    retrieved: str = "retrieved",
    k: int | None = None,
    share: float = 0.8,
) -> Score:
    """How well the ranking puts the most relevant first: normalised discounted cumulative gain.

    Every grade divided by log2(rank + 1), summed, against the best possible order of all that is
    relevant (Järvelin and Kekäläinen 2002, with linear gains).

    ``by: text`` compares the passages the target retrieved with those of the case's metadata under
    ``relevant``, or else with its context: a passage that holds one, or ``share`` of its words, is
    it. ``by: id`` compares the list in the target's ``extra`` under ``retrieved``. A mapping gives
    grades. Only the first ``k`` count. Unscored where the target or the case tells nothing.
    """
    found = ranking(case, output, by=by, relevant=relevant, retrieved=retrieved, k=k, share=share)
    best = _discounted(found.ideal[:k])
    return Score(value=min(1.0, _discounted(found.gains) / best))


def _discounted(gains: Sequence[float]) -> float:
    return math.fsum(one / math.log2(rank + 1) for rank, one in enumerate(gains, start=1))
