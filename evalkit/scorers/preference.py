"""Whether a judge prefers the answer to another one, asked in both orders."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from evalkit.cards import ScorerCard
from evalkit.errors import Unscorable
from evalkit.model import JSON, Case, Metric, Output, Score, mean, rate
from evalkit.registry import scorer
from evalkit.scorers._bind import PromptFile
from evalkit.scorers._fence import CONVERSATION, conversation_of, texts_of
from evalkit.scorers._panel import Judges, Panel, together
from evalkit.scorers._rubric import DATA, checked, question, rubric_at
from evalkit.scorers._verdict import Scale, ask_for, strict
from evalkit.scorers._votes import Vote, combined, read_vote

_SHOWN = ("first", "second", "context", "inputs", CONVERSATION)
_RUBRIC = DATA / "preference.j2"
_ORDER = Scale(("first", "tie", "second"), (1.0, 0.5, 0.0), 0.5)
_RESULT = Scale(("better", "tie", "worse"), (1.0, 0.5, 0.0), 0.5)
_FORM = (
    "Answer with one JSON object and nothing else, its keys in this order:\n"
    '{"reason": "what decides it, in one to three sentences", "verdict": VERDICT}\n'
    'where VERDICT is "first", "second" or "tie".'
)
_SCHEMA = strict(reason={"type": "string"}, verdict={"type": "string", "enum": list(_ORDER.labels)})


def _share(sums: Sequence[float]) -> float:
    return sums[0] / sums[1] if sums[1] else 0.0


flips = Metric("flips", "corpus", corpus_value=_share)


def _prepared(options: Mapping[str, Any]) -> str:
    against = options["against"]
    field, _, name = against.partition(".")
    if against != "expected" and not (field in {"inputs", "metadata"} and name):
        raise ValueError(
            f"against: {against!r} is neither 'expected' nor 'metadata.NAME' nor 'inputs.NAME'"
        )
    if not 1 <= options["trials"] <= 100:
        raise ValueError("trials: from 1 to 100")
    if options["rubric"] is not None:
        checked(options["rubric"], _SHOWN, ("first", "second"))
        return ""
    return f"prompt:{rubric_at(_RUBRIC).version}"


def _calls(options: Mapping[str, Any]) -> float:
    return float(options.get("trials", 1)) * (2 if options.get("swap", True) else 1)


def _other(case: Case, against: str) -> str:
    field, _, name = against.partition(".")
    if field == "expected":
        found: object = case.references[0] if case.references else None
    else:
        found = getattr(case, field).get(name)
    if not isinstance(found, str) or not found.strip():
        raise Unscorable(f"the case has no {against} to compare with")
    return found


@scorer(
    metrics=(mean, rate, flips),
    asks=("judges",),
    rubrics=(_RUBRIC,),
    question="Is the answer better than the one it is compared with?",
    calls=_calls,
    prepare=_prepared,
    usage="preference: {judges: [grader], against: expected}",
    card=ScorerCard(
        family="judge",
        cost="two calls to each judge for each of its trials, one without swap",
        blind=(
            "how good either answer is: two bad ones can be told apart, two good ones may tie",
            "taste the judge shares with its own family of models: it tends to prefer its like",
            "its own errors: compare it with preferences of people",
        ),
    ),
)
async def preference(
    case: Case,
    output: Output,
    panel: Panel,
    *,
    judges: Judges,
    against: str = "expected",
    rubric: PromptFile | None = None,
    swap: bool = True,
    trials: int = 1,
) -> Score:
    """Whether a judge prefers the answer to another one, asked in both orders.

    ``against`` is the other answer: ``expected``, or a text of the case as ``metadata.NAME`` or
    ``inputs.NAME``. A judge is shown both without being told which is which; with ``swap`` it is
    asked again with their places exchanged, and a preference that follows the place and not the
    text is a tie. The value is 1 where the answer is better, 0.5 for a tie, 0 where it is worse,
    the mean of all judges and ``trials``; ``passed`` means not worse, and ``flips`` is the share of
    swapped questions in which the place decided. ``rubric`` is a prompt file with ``first`` and
    ``second`` and, where wanted, ``context`` and ``inputs.NAME``.
    """
    other = _other(case, against)
    prompt = rubric_at(rubric or _RUBRIC)
    texts = texts_of(case, output)
    if against.startswith("inputs."):
        # the other answer must not stand beside itself as a part of the question
        asked = {name: one for name, one in case.inputs.items() if name != against[7:]}
        texts["inputs"] = asked

    async def ask(name: str, trial: int, first: str, second: str) -> Vote:
        shown: dict[str, JSON] = {
            "first": first,
            "second": second,
            "inputs": texts["inputs"],
            "context": texts["context"],
            **conversation_of(output),
        }
        messages = question(prompt, shown, form=_FORM)
        return await ask_for(
            panel,
            name,
            messages,
            lambda answer: read_vote(answer, name, _ORDER),
            form=_FORM,
            schema=_SCHEMA,
            trial=trial,
        )

    async def compare(name: str, trial: int) -> tuple[Vote, bool]:
        if not swap:
            return _result(await ask(name, trial, output.text, other), flipped=False), False
        ahead, behind = await together(
            [ask(name, trial, output.text, other), ask(name, trial, other, output.text)]
        )
        flipped = ahead.label == behind.label != "tie"
        if flipped:
            return Vote(
                judge=name,
                label="tie",
                value=0.5,
                reason=f"the {ahead.label} place was preferred in both orders: {ahead.reason}",
            ), True
        value = (ahead.value + 1 - behind.value) / 2
        label = "better" if value > 0.5 else "worse" if value < 0.5 else "tie"
        return Vote(judge=name, label=label, value=value, reason=ahead.reason), False

    names = panel.named(judges)
    results = await together(compare(name, trial) for name in names for trial in range(trials))
    score = combined([vote for vote, _ in results], _RESULT, "mean", output)
    turned = sum(flipped for _, flipped in results)
    return Score(
        value=score.value,
        passed=score.passed,
        label=score.label,
        reason=score.reason,
        evidence=score.evidence,
        stats=(float(turned), float(len(results)) if swap else 0.0),
    )


def _result(vote: Vote, *, flipped: bool) -> Vote:
    label = {"first": "better", "second": "worse"}.get(vote.label, "tie")
    return Vote(judge=vote.judge, label=label, value=vote.value, reason=vote.reason)
