"""Sentence BLEU of an answer against the expected text, by ragas."""

from __future__ import annotations

from evalkit.model import Case, Output, Score, mean
from evalkit.registry import scorer
from evalkit.scorers import _ragas


@scorer(
    needs=("expected",),
    metrics=(mean,),
    prepare=_ragas.installed,
    card=_ragas.plain_card(
        "meaning: only words in order are compared", "short texts: it is made for whole sets"
    ),
)
async def ragas_bleu(case: Case, output: Output) -> Score:
    """Sentence BLEU of an answer against the expected text, by ragas.

    ragas's ``BleuScore``, from 0 to 1; without a model. ``bleu`` is faster, takes all expected
    answers and has the corpus value.
    """
    from ragas.metrics.collections import BleuScore

    return await _ragas.plain(
        BleuScore(),
        reference=_ragas.reference_of(case),
        response=_ragas.answer_of(output),
    )
