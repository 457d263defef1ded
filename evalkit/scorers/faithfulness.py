"""The share of an answer's statements that its context supports, as judges see it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from evalkit.cards import ScorerCard
from evalkit.errors import Unscorable
from evalkit.model import JSON, Case, Evidence, Output, Score, mean, rate
from evalkit.registry import scorer
from evalkit.scorers._fence import conversation_of
from evalkit.scorers._grounding_result import GROUNDED
from evalkit.scorers._panel import Judges, Panel, together
from evalkit.scorers._rubric import DATA, question, rubric_at
from evalkit.scorers._statements import Ruling, Statement, read_rulings, read_statements, rows
from evalkit.scorers._verdict import ask_for, strict

_STATEMENTS = DATA / "faithfulness_statements.j2"
_VERDICTS = DATA / "faithfulness_verdicts.j2"
_TAKE_APART = (
    "Answer with one JSON object and nothing else:\n"
    '{"statements": [{"statement": "a statement", "quote": "the exact words of the answer that say'
    ' it"}]}\n'
    "The list is empty when the answer states nothing."
)
_RULE = (
    "Answer with one JSON object and nothing else, with one entry for every statement, each with"
    " its keys in this order:\n"
    '{"verdicts": [{"statement": 1, "quote": "the exact words of a passage that decide it, or'
    ' nothing", "reason": "one sentence", "verdict": "supported" or "unsupported"}]}'
)

_PARTS = strict(
    statements={
        "type": "array",
        "items": strict(statement={"type": "string"}, quote={"type": "string"}),
    }
)
_RULINGS = strict(
    verdicts={
        "type": "array",
        "items": strict(
            statement={"type": "integer"},
            quote={"type": "string"},
            reason={"type": "string"},
            verdict={"type": "string", "enum": ["supported", "unsupported"]},
        ),
    }
)


def _prepared(_: Mapping[str, Any]) -> str:
    return f"prompts:{rubric_at(_STATEMENTS).version},{rubric_at(_VERDICTS).version}"


def _calls(_: Mapping[str, Any]) -> float:
    return 2.0


@scorer(
    needs=("context",),
    metrics=(mean, rate),
    asks=("judges",),
    rubrics=(_STATEMENTS, _VERDICTS),
    question=GROUNDED,
    calls=_calls,
    prepare=_prepared,
    usage="faithfulness: {judges: [grader]}",
    card=ScorerCard(
        family="hallucination",
        cost="two calls: statements, then verdicts; one more for each further judge",
        blind=(
            "statements that the judge does not take out of the answer",
            "small judges: below a strong one, the free grounding_model is often more accurate",
            "your data: measure the judge on labels of your own before a gate rests on it",
        ),
    ),
)
async def faithfulness(case: Case, output: Output, panel: Panel, *, judges: Judges) -> Score:
    """The share of an answer's statements that its context supports, as judges see it.

    The first judge takes the answer apart into statements, then every judge says of each whether
    the context supports it, with its reason and the words it rests on. The value is the share of
    supported statements, the mean of several judges; ``passed`` means all of them, unless the suite
    sets a threshold. Evidence has a row for every statement, in the same form as ``grounding``.

    The context the target retrieved is preferred to the case's own. Unscored when the answer states
    nothing, when a judge cannot be read after one attempt to repair its answer, or when it leaves a
    statement out.
    """
    parts = output.context or case.context
    if not output.text.strip():
        raise Unscorable("the answer is empty: nothing is claimed")
    names = panel.named(judges)
    statements = await _taken_apart(case, output, panel, names[0])
    if not statements:
        raise Unscorable(f"judge {names[0]!r} finds no statement in the answer")
    shown: dict[str, JSON] = {
        "context": list(parts),
        "statements": [one.text for one in statements],
    }
    messages = question(rubric_at(_VERDICTS), shown, form=_RULE)

    async def rule(name: str) -> list[Ruling]:
        return await ask_for(
            panel,
            name,
            messages,
            lambda answer: read_rulings(answer, len(statements)),
            form=_RULE,
            schema=_RULINGS,
        )

    panels = await together(rule(name) for name in names)
    evidence: list[Evidence] = []
    doubts: list[float] = []
    for place, statement in enumerate(statements):
        rulings = [one[place] for one in panels]
        doubts.append(sum(not one.supported for one in rulings) / len(rulings))
        evidence += rows(statement, rulings, doubts[-1], output.text, parts)
    value = 1.0 - sum(doubts) / len(doubts)
    wrong = [one.text for one, doubt in zip(statements, doubts, strict=True) if doubt > 0]
    said = "; ".join(f'not supported: "{one}"' for one in wrong[:3])
    more = f"; and {len(wrong) - 3} more" if len(wrong) > 3 else ""
    return Score(
        value=value,
        passed=not wrong,
        reason=f"{said}{more}" or f"all {len(statements)} statements are supported",
        evidence=tuple(evidence),
    )


async def _taken_apart(case: Case, output: Output, panel: Panel, name: str) -> list[Statement]:
    shown: dict[str, JSON] = {
        "inputs": dict(case.inputs),
        "output": output.text,
        **conversation_of(output),
    }
    return await ask_for(
        panel,
        name,
        question(rubric_at(_STATEMENTS), shown, form=_TAKE_APART),
        lambda answer: read_statements(answer, output.text),
        form=_TAKE_APART,
        schema=_PARTS,
    )
