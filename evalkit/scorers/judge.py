"""What a model thinks of an answer, by a rubric: one judge or a panel, once or several times."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from evalkit.cards import ScorerCard
from evalkit.model import JSON, Case, Output, Score, mean, rate
from evalkit.registry import scorer
from evalkit.scorers._bind import PromptFile
from evalkit.scorers._fence import CONVERSATION, texts_of
from evalkit.scorers._panel import Judges, Panel, together
from evalkit.scorers._rubric import DATA, checked, question, rubric_at
from evalkit.scorers._verdict import Scale, ask_for, schema_of
from evalkit.scorers._votes import Vote, agreement, combined, read_vote

_SHOWN = ("output", "expected", "context", "inputs", CONVERSATION)
_CRITERIA = DATA / "judge_criteria.j2"


def _prepared(options: Mapping[str, Any]) -> str:
    rubric, criteria = options["rubric"], options["criteria"]
    if (rubric is None) == (criteria is None):
        raise ValueError("give exactly one of 'rubric' (a prompt file) and 'criteria' (a text)")
    if criteria is not None and not criteria.strip():
        raise ValueError("criteria: it is empty")
    Scale.of(options["scale"], options["pass_at"])
    if not 1 <= options["trials"] <= 100:
        raise ValueError("trials: from 1 to 100")
    if rubric is not None:
        checked(rubric, _SHOWN, ("output",))
        return ""
    return f"prompt:{rubric_at(_CRITERIA).version}"


def votes_asked(options: Mapping[str, Any]) -> float:
    """How often each judge is asked about one output."""
    return float(options.get("trials", 1))


def form_of(scale: Scale) -> str:
    """What a judge is told to answer with: the reason before the verdict."""
    labels = " or ".join(f'"{one}"' for one in scale.labels)
    return (
        "Answer with one JSON object and nothing else, its keys in this order:\n"
        '{"reason": "what decides it, in one to three sentences", '
        '"quotes": ["exact words of the answer that decide it, if any"], "verdict": VERDICT}\n'
        f"where VERDICT is {labels}."
    )


@scorer(
    metrics=(mean, rate, agreement),
    asks=("judges",),
    rubrics=(_CRITERIA,),
    question="Does the answer meet the rubric?",
    calls=votes_asked,
    prepare=_prepared,
    usage="judge: {judges: [grader], rubric: prompts/judge.j2}",
    card=ScorerCard(
        family="judge",
        cost="a call to each judge for each of its trials, a second where an answer is repaired",
        blind=(
            "what the rubric does not say; two readings of a vague rubric are two instruments",
            "its own errors: calibrate it on labels of people before a gate rests on it",
            "facts it does not know: give it the context or the expected answer",
            "a better-sounding wrong answer, and one that talks it over in a way nobody tried yet",
        ),
    ),
)
async def judge(
    case: Case,
    output: Output,
    panel: Panel,
    *,
    judges: Judges,
    rubric: PromptFile | None = None,
    criteria: str | None = None,
    scale: str | list[str] | dict[str, float] = "pass_fail",
    pass_at: str | int | None = None,
    combine: Literal["majority", "mean"] | None = None,
    trials: int = 1,
) -> Score:
    """What a model thinks of an answer, by a rubric: one judge or a panel, once or several times.

    ``judges`` are targets of the project. ``rubric`` is a prompt file with ``output`` and, where
    wanted, ``expected``, ``context``, ``inputs.NAME`` and ``conversation`` (what was said before
    the answer, which is shown anyway); ``criteria`` is a rubric in a sentence.
    What the judge is shown is fenced off as data, and it answers reason first, then verdict.
    ``scale`` is ``pass_fail``, a range such as ``1-5``, labels with the best first, or labels with
    their values; the value runs from 0 to 1, the label is the judge's word. An answer passes from
    ``pass_at`` on (from .75 on without). Each judge is asked ``trials`` times; ``combine`` makes
    one score of all votes: ``majority`` (for words) or ``mean`` (for ranges and values). Of a panel
    ``agreement`` is the share of pairs of votes on one answer that are the same; an answer on which
    it was split has no score, and is not among them.

    Unscored when a judge cannot be read after one attempt to repair its answer, when a majority is
    split, and when the budget of judges is spent; an error when a judge does not answer.
    """
    steps = Scale.of(scale, pass_at)
    prompt = rubric_at(rubric or _CRITERIA)
    texts: dict[str, JSON] = texts_of(case, output)
    form = form_of(steps)
    if criteria is not None:
        form = f"Criteria, by which alone you judge:\n{criteria.strip()}\n\n{form}"
    messages = question(prompt, texts, form=form)
    schema = schema_of(steps)

    async def vote(name: str, trial: int) -> Vote:
        return await ask_for(
            panel,
            name,
            messages,
            lambda answer: read_vote(answer, name, steps),
            form=form,
            schema=schema,
            trial=trial,
        )

    names = panel.named(judges)
    votes = await together(vote(name, trial) for name in names for trial in range(trials))
    if combine is None:
        words = isinstance(scale, list) or scale == "pass_fail"
        combine = "majority" if words else "mean"
    return combined(votes, steps, combine, output)
