"""Whether an answer is about what was asked, by ragas."""

from __future__ import annotations

from evalkit.model import Case, Output, Score, mean
from evalkit.registry import scorer
from evalkit.scorers import _ragas
from evalkit.scorers._panel import Panel


@scorer(
    needs=(),
    metrics=(mean,),
    range=(-1.0, 1.0),
    asks=("judge", "embedder"),
    calls=lambda _: 3.0,
    prepare=_ragas.installed,
    usage="ragas_response_relevancy: {judge: grader, embedder: vectors}",
    card=_ragas.card("whether the answer is right"),
)
async def ragas_response_relevancy(
    case: Case,
    output: Output,
    panel: Panel,
    *,
    judge: str,
    embedder: str,
    strictness: int = 3,
    question: str = "question",
) -> Score:
    """Whether an answer is about what was asked, by ragas.

    ragas's ``AnswerRelevancy``: the ``judge`` guesses ``strictness`` questions that the answer
    would answer, and the ``embedder`` says how near they are to the one that was asked. An answer
    that commits to nothing is 0. ``question`` names the input that holds what was asked.
    """
    from ragas.metrics.collections import AnswerRelevancy

    client = _ragas.Client(panel, judge, embedder)
    metric = AnswerRelevancy(llm=client.llm, embeddings=client.embeddings, strictness=strictness)
    value = await _ragas.value_of(
        metric,
        client,
        user_input=_ragas.question_of(case, question),
        response=_ragas.answer_of(output),
    )
    return Score(value=value, evidence=_ragas.said_of(client, f"judge:{judge}"))
