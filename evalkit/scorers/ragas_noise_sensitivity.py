"""How often wrong claims come from the passages, by ragas."""

from __future__ import annotations

from typing import Literal

from evalkit.model import Case, Output, Score, mean
from evalkit.registry import scorer
from evalkit.scorers import _ragas
from evalkit.scorers._panel import Panel


@scorer(
    needs=("expected", "context"),
    metrics=(mean,),
    direction="lower",
    asks=("judge",),
    calls=lambda _: 9.0,
    prepare=_ragas.installed,
    usage="ragas_noise_sensitivity: {judge: grader}",
    card=_ragas.card("claims the judge does not find"),
)
async def ragas_noise_sensitivity(
    case: Case,
    output: Output,
    panel: Panel,
    *,
    judge: str,
    mode: Literal["relevant", "irrelevant"] = "relevant",
    question: str = "question",
) -> Score:
    """How often wrong claims come from the passages, by ragas.

    ragas's ``NoiseSensitivity``: the share of an answer's claims that are wrong and rest on
    relevant (``mode: relevant``) or on irrelevant passages. Lower is better. It asks the ``judge``
    twice for every passage. ``question`` names the input that holds what was asked.
    """
    from ragas.metrics.collections import NoiseSensitivity

    client = _ragas.Client(panel, judge)
    metric = NoiseSensitivity(llm=client.llm, mode=mode)
    value = await _ragas.value_of(
        metric,
        client,
        user_input=_ragas.question_of(case, question),
        response=_ragas.answer_of(output),
        reference=_ragas.reference_of(case),
        retrieved_contexts=_ragas.context_of(case, output),
    )
    return Score(value=value, evidence=_ragas.said_of(client, f"judge:{judge}"))
