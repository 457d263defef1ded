"""How near an answer is to the expected text in characters, by ragas."""

from __future__ import annotations

from evalkit.model import Case, Output, Score, mean
from evalkit.registry import scorer
from evalkit.scorers import _ragas


@scorer(
    needs=("expected",),
    metrics=(mean,),
    prepare=_ragas.installed,
    card=_ragas.plain_card("meaning: only characters are compared"),
)
async def ragas_string_similarity(case: Case, output: Output) -> Score:
    """How near an answer is to the expected text in characters, by ragas.

    ragas's ``NonLLMStringSimilarity`` with Levenshtein's distance; without a model. For all
    expected answers and other distances use ``levenshtein``.
    """
    from ragas.metrics.collections import NonLLMStringSimilarity

    return await _ragas.plain(
        NonLLMStringSimilarity(),
        reference=_ragas.reference_of(case),
        response=_ragas.answer_of(output),
    )
