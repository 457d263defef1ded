"""chrF of an answer against the expected text, by ragas."""

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
async def ragas_chrf(case: Case, output: Output) -> Score:
    """ChrF of an answer against the expected text, by ragas.

    ragas's ``CHRFScore``, from 0 to 1; without a model. ``chrf`` is faster, takes all expected
    answers and has the corpus value.
    """
    from ragas.metrics.collections import CHRFScore

    return await _ragas.plain(
        CHRFScore(),
        reference=_ragas.reference_of(case),
        response=_ragas.answer_of(output),
    )
