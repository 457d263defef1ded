"""The pages of a review in a terminal: an answer to be judged, and what scorers said of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from evalkit.labels import Label
from evalkit.model import Evidence, ScoreRecord, Trial
from evalkit.report import words
from evalkit.report.case import LABEL, SHOWN, field, highlighted
from evalkit.report.dialogue import script_parts, turn_parts
from evalkit.report.screen import Column, Screen, flow, grid, labelled

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.text import Text

DOUBTFUL = 5
"""Pieces of evidence that are listed, the most doubtful first."""

HELP = (
    ("p  f", "the answer passes, fails"),
    ("1 … 5", "rating, 1 is worst"),
    ("r", "a reason, in your words"),
    ("a  d", "agree or disagree with the scorer named below, once it is shown"),
    ("Enter", "next answer"),
    ("s  b", "skip, back"),
    ("u", "undo your last judgement"),
    ("v  m", "view the answer again, view all of a long text"),
    ("q", "quit; everything is stored already"),
)


def page_text(
    trial: Trial,
    screen: Screen,
    *,
    question: str,
    place: tuple[int, int],
    judged: int,
    shown: bool,
    mine: Label | None = None,
    whole: bool = False,
) -> str:
    """An answer with everything it was asked and must rest on; ``shown`` adds target and evidence.

    Texts of others are cleaned: they can neither steer the terminal nor hide. Long ones are cut
    and say so; ``whole`` shows ten times as much.
    """
    from rich.text import Text

    limit = 10 * SHOWN if whole else SHOWN
    more = f"evalkit show {trial.run_id} {trial.case.id} --json" if whole else "m"

    case = trial.case
    number, total = place
    head = Text(screen.say(f"── {number} of {total} "), style="bold")
    head.append(f"  {judged} judged", "not bold dim")
    facts = [f"{_clean(name)}={_clean(value)}" for name, value in case.tags.items()]
    facts.insert(0, _clean(case.name or case.id))
    if shown:
        facts.append(f"target {_clean(trial.target)}")
    parts: list[RenderableType] = ["", head, Text(flow(facts, screen.width), style="dim"), ""]
    for name, value in case.inputs.items():
        parts.append(field(_clean(name), value, screen, limit=limit, more=more))
    parts += script_parts(case, screen, limit=limit, more=more)
    output = trial.output
    assert output is not None
    passages = output.context or case.context
    word = "found" if output.context else "context"
    parts += [
        field(f"{word} {place}", passage, screen, limit=limit, more=more)
        for place, passage in enumerate(passages)
    ]
    if case.expected is not None:
        parts.append(field("expected", case.expected, screen, limit=limit, more=more))
    pieces = _pieces(trial) if shown else []
    parts.append("")
    if output.turns:
        parts += turn_parts(trial, screen, cited=shown, numbers=False, limit=limit, more=more)
    else:
        text: Text | str = highlighted(output.text, pieces, limit=limit, more=more)
        parts.append(field("output", text, screen, limit=limit, more=more))
        parts += [
            field("tool call", f"{one.name}({one.arguments})", screen, limit=limit, more=more)
            for one in output.tool_calls
        ]
    if mine is not None:
        parts += ["", labelled("you said", said(mine), LABEL)]
    parts += ["", Text(screen.say(question), style="bold")]
    return screen.render(parts)


def said(label: Label) -> str:
    """A person's judgement in a few words."""
    parts = []
    if label.passed is not None:
        parts.append("pass" if label.passed else "fail")
    if label.rating is not None:
        parts.append(f"{label.rating} of 5")
    if label.reason:
        parts.append(f'"{_clean(words.cut(label.reason, 200))}"')
    return ", ".join(parts) or "nothing yet"


def verdicts_text(trial: Trial, screen: Screen, mine: Label | None) -> str:
    """What scorers said of the answer, and on which words, after it was judged."""
    records = [
        one for one in trial.scores if one.score is not None and one.score.passed is not None
    ]
    if not records:
        return ""
    parts: list[RenderableType] = [
        grid(
            [
                Column(head="scorer", cells=[_clean(one.name) for one in records], fold=True),
                Column(head="says", cells=[screen.say(_verdict(one)) for one in records]),
                Column(head="score", cells=[_value(one) for one in records], right=True),
                Column(head="", cells=[_same(one, mine) for one in records], drop=1),
            ],
            screen,
        )
    ]
    for one in _pieces(trial)[:DOUBTFUL]:
        quote = f'"{words.seen(words.cut(one.text, 300), lines=False)}"'
        if one.reason:
            quote += f" ({_clean(one.reason)})"
        parts.append(labelled("evidence", screen.say(quote), LABEL))
    return screen.render(parts)


def _verdict(record: ScoreRecord) -> str:
    assert record.score is not None
    return "✓ pass" if record.score.passed else "✕ fail"


def _value(record: ScoreRecord) -> str:
    assert record.score is not None
    return words.number(record.score.value)


def _same(record: ScoreRecord, mine: Label | None) -> str:
    if mine is None or mine.passed is None or mine.name != record.name or record.score is None:
        return ""
    return "as you" if record.score.passed is mine.passed else "not as you"


def _pieces(trial: Trial) -> list[Evidence]:
    """What scorers doubt in the output: evidence with a reason, or more doubted than not."""
    found = [
        piece
        for one in trial.scores
        if one.score is not None
        for piece in one.score.evidence
        if (piece.source == "output" or piece.source.endswith(":output"))
        and (piece.value is None or piece.value >= 0.5 or piece.reason)
    ]
    return sorted(found, key=lambda one: -(one.value or 0.0))


def keys_text(screen: Screen, *, unheard: str | None, shown: bool, decided: bool) -> str:
    """The keys that do something now; on a narrow screen in two lines."""
    if unheard is not None and shown:
        keys = [f"{_clean(unheard)}: a agree, d disagree", "Enter next", "u undo", "? help"]
    elif decided:
        keys = ["Enter next", "r reason", "1-5 rate", "u undo", "b back", "q quit", "? help"]
    else:
        keys = ["p pass", "f fail", "1-5 rate", "r reason", "s skip", "b back", "u undo",
                "q quit", "? help"]  # fmt: skip
    return flow(keys, screen.width) + "\n"


def help_text(screen: Screen) -> str:
    """What every key does."""
    return screen.render(labelled(screen.say(keys), what, LABEL) for keys, what in HELP)


def _clean(text: str) -> str:
    return words.clean(text, lines=False)
