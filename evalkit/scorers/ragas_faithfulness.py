"""The share of an answer's statements that its context supports, by ragas."""

from __future__ import annotations

from evalkit.errors import Unscorable
from evalkit.model import Case, Evidence, Output, Score, mean
from evalkit.registry import scorer
from evalkit.scorers import _ragas
from evalkit.scorers._grounding_result import GROUNDED
from evalkit.scorers._grounding_text import sentences
from evalkit.scorers._panel import Panel
from evalkit.scorers._statements import Ruling, Statement, place, rows


@scorer(
    needs=("context",),
    metrics=(mean,),
    asks=("judge",),
    question=GROUNDED,
    calls=lambda _: 2.0,
    prepare=_ragas.installed,
    usage="ragas_faithfulness: {judge: grader}",
    card=_ragas.card("statements the judge does not find", "which words of a passage it rests on"),
)
async def ragas_faithfulness(
    case: Case, output: Output, panel: Panel, *, judge: str, question: str = "question"
) -> Score:
    """The share of an answer's statements that its context supports, by ragas.

    ragas's ``Faithfulness``, and the statements and verdicts that it drops: evidence has a row for
    each, in the same form as ``faithfulness`` and ``grounding``. Where the judge finds no statement
    ragas says NaN: that is Unscored here. ``question`` names the input that holds what was asked.
    """
    from ragas.metrics.collections import Faithfulness

    client = _ragas.Client(panel, judge)
    answer, context = _ragas.answer_of(output), _ragas.context_of(case, output)
    value = await _ragas.value_of(
        Faithfulness(llm=client.llm),
        client,
        user_input=_ragas.question_of(case, question),
        response=answer,
        retrieved_contexts=context,
    )
    taken, judged = client.said
    if len(judged.statements) != len(taken.statements):
        raise Unscorable(
            f"the judge ruled on {len(judged.statements)} of {len(taken.statements)} statements"
        )
    spans = sentences(answer)
    evidence: list[Evidence] = []
    wrong = []
    for one in judged.statements:
        ruling = Ruling(bool(one.verdict), " ".join(str(one.reason).split())[:400], "")
        at = Statement(one.statement, *place(answer, None, one.statement, spans))
        evidence += rows(at, [ruling], 0.0 if ruling.supported else 1.0, answer, context)
        if not ruling.supported:
            wrong.append(one.statement)
    said = "; ".join(f'not supported: "{one}"' for one in wrong[:3])
    return Score(value=value, reason=said or None, evidence=tuple(evidence))
