"""How far the claims of an answer and the expected one agree, by ragas."""

from __future__ import annotations

from typing import Literal

from evalkit.model import Case, Output, Score, mean
from evalkit.registry import scorer
from evalkit.scorers import _ragas
from evalkit.scorers._panel import Panel


@scorer(
    needs=("expected",),
    metrics=(mean,),
    asks=("judge",),
    calls=lambda _: 4.0,
    prepare=_ragas.installed,
    usage="ragas_factual_correctness: {judge: grader}",
    card=_ragas.card("claims the judge does not find"),
)
async def ragas_factual_correctness(
    case: Case,
    output: Output,
    panel: Panel,
    *,
    judge: str,
    mode: Literal["precision", "recall", "f1"] = "f1",
) -> Score:
    """How far the claims of an answer and the expected one agree, by ragas.

    ragas's ``FactualCorrectness``: claims of both are checked against the other by the ``judge``;
    ``mode`` is ``precision``, ``recall`` or ``f1``. ragas rounds it to two digits. Unscored where
    the judge finds no claim.
    """
    from ragas.metrics.collections import FactualCorrectness

    client = _ragas.Client(panel, judge)
    metric = FactualCorrectness(llm=client.llm, mode=mode)
    value = await _ragas.value_of(
        metric,
        client,
        response=_ragas.answer_of(output),
        reference=_ragas.reference_of(case),
    )
    return Score(value=value, evidence=_ragas.said_of(client, f"judge:{judge}"))
