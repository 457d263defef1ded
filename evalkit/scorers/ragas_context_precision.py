"""Whether the useful passages come first, by ragas."""

from __future__ import annotations

from evalkit.model import Case, Output, Score, mean
from evalkit.registry import scorer
from evalkit.scorers import _ragas
from evalkit.scorers._panel import Panel


@scorer(
    needs=("expected", "context"),
    metrics=(mean,),
    asks=("judge",),
    calls=lambda _: 5.0,
    prepare=_ragas.installed,
    usage="ragas_context_precision: {judge: grader}",
    card=_ragas.card("passages that should have been found and were not"),
)
async def ragas_context_precision(
    case: Case,
    output: Output,
    panel: Panel,
    *,
    judge: str,
    question: str = "question",
) -> Score:
    """Whether the useful passages come first, by ragas.

    ragas's ``ContextPrecision``: the ``judge`` says of each passage whether it helped to arrive at
    the expected answer; the value is the average precision over their ranks. ``question`` names the
    input that holds what was asked.
    """
    from ragas.metrics.collections import ContextPrecision

    client = _ragas.Client(panel, judge)
    metric = ContextPrecision(llm=client.llm)
    value = await _ragas.value_of(
        metric,
        client,
        user_input=_ragas.question_of(case, question),
        reference=_ragas.reference_of(case),
        retrieved_contexts=_ragas.context_of(case, output),
    )
    return Score(value=value, evidence=_ragas.said_of(client, f"judge:{judge}"))
