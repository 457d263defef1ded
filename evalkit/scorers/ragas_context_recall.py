"""How much of the expected answer the passages hold, by ragas."""

from __future__ import annotations

from evalkit.model import Case, Output, Score, mean
from evalkit.registry import scorer
from evalkit.scorers import _ragas
from evalkit.scorers._panel import Panel


@scorer(
    needs=("expected", "context"),
    metrics=(mean,),
    asks=("judge",),
    calls=lambda _: 1.0,
    prepare=_ragas.installed,
    usage="ragas_context_recall: {judge: grader}",
    card=_ragas.card("passages that are there and useless"),
)
async def ragas_context_recall(
    case: Case,
    output: Output,
    panel: Panel,
    *,
    judge: str,
    question: str = "question",
) -> Score:
    """How much of the expected answer the passages hold, by ragas.

    ragas's ``ContextRecall``: the ``judge`` says of each sentence of the expected answer whether
    the passages hold it. ``question`` names the input that holds what was asked.
    """
    from ragas.metrics.collections import ContextRecall

    client = _ragas.Client(panel, judge)
    metric = ContextRecall(llm=client.llm)
    value = await _ragas.value_of(
        metric,
        client,
        user_input=_ragas.question_of(case, question),
        retrieved_contexts=_ragas.context_of(case, output),
        reference=_ragas.reference_of(case),
    )
    return Score(value=value, evidence=_ragas.said_of(client, f"judge:{judge}"))
