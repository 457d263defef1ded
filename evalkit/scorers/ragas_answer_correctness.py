"""How right an answer is against the expected one, by ragas."""

from __future__ import annotations

from evalkit.model import Case, Output, Score, mean
from evalkit.registry import scorer
from evalkit.scorers import _ragas
from evalkit.scorers._panel import Panel


@scorer(
    needs=("expected",),
    metrics=(mean,),
    asks=("judge", "embedder"),
    calls=lambda _: 3.0,
    prepare=_ragas.installed,
    usage="ragas_answer_correctness: {judge: grader, embedder: vectors}",
    card=_ragas.card("statements the judge does not find"),
)
async def ragas_answer_correctness(
    case: Case,
    output: Output,
    panel: Panel,
    *,
    judge: str,
    embedder: str,
    weights: tuple[float, float] = (0.75, 0.25),
    question: str = "question",
) -> Score:
    """How right an answer is against the expected one, by ragas.

    ragas's ``AnswerCorrectness``: statements of both are compared by the ``judge`` (F1), and their
    meaning by the ``embedder``; ``weights`` are those of the two. Where the judge finds no
    statement ragas says 1.0: that is Unscored here. ``question`` names the input that holds what
    was asked.
    """
    from ragas.metrics.collections import AnswerCorrectness

    client = _ragas.Client(panel, judge, embedder)
    metric = AnswerCorrectness(llm=client.llm, embeddings=client.embeddings, weights=list(weights))
    value = await _ragas.value_of(
        metric,
        client,
        user_input=_ragas.question_of(case, question),
        response=_ragas.answer_of(output),
        reference=_ragas.reference_of(case),
    )
    return Score(value=value, evidence=_ragas.said_of(client, f"judge:{judge}"))
