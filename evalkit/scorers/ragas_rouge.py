"""ROUGE of an answer against the expected text, by ragas."""

from __future__ import annotations

from typing import Literal

from evalkit.model import Case, Output, Score, mean
from evalkit.registry import scorer
from evalkit.scorers import _ragas


@scorer(
    needs=("expected",),
    metrics=(mean,),
    prepare=_ragas.installed,
    card=_ragas.plain_card("meaning: only words are compared"),
)
async def ragas_rouge(
    case: Case,
    output: Output,
    *,
    rouge_type: Literal["rouge1", "rougeL"] = "rougeL",
    mode: Literal["fmeasure", "precision", "recall"] = "fmeasure",
) -> Score:
    """ROUGE of an answer against the expected text, by ragas.

    ragas's ``RougeScore`` of kind ``rouge_type`` and ``mode``; without a model. ``rouge_1`` and
    ``rouge_l`` are faster and take all expected answers.
    """
    from ragas.metrics.collections import RougeScore

    return await _ragas.plain(
        RougeScore(rouge_type=rouge_type, mode=mode),
        reference=_ragas.reference_of(case),
        response=_ragas.answer_of(output),
    )
