"""A conversation in a terminal: what the user said and what was answered, turn by turn."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from evalkit.model import Case, Evidence, Trial, Turn
from evalkit.report import words
from evalkit.report.case import MORE, SHOWN, field, highlighted
from evalkit.report.screen import Screen

if TYPE_CHECKING:
    from rich.console import RenderableType


def script_parts(
    case: Case, screen: Screen, *, limit: int = SHOWN, more: str = MORE
) -> list[RenderableType]:
    """What each answer of a conversation is judged by, but for the last: that is the case's."""
    return [
        field(f"expects {number}", one.expected, screen, limit=limit, more=more)
        for number, one in enumerate(case.turns[:-1], start=1)
        if one.expected is not None
    ]


def turn_parts(
    trial: Trial,
    screen: Screen,
    *,
    cited: bool = True,
    numbers: bool = True,
    limit: int = SHOWN,
    more: str = MORE,
) -> list[RenderableType]:
    """Every turn of a trial, and what was said last when that was not answered.

    ``cited`` underlines what scores rest on, ``numbers`` says what each turn took.
    """
    parts: list[RenderableType] = []

    def add(label: str, value: object) -> None:
        parts.append(field(label, value, screen, limit=limit, more=more))  # type: ignore[arg-type]  # a text

    for number, one in enumerate(trial.turns, start=1):
        pieces = cited_in(trial, number) if cited else ()
        add(f"user {number}", one.user)
        add(f"answer {number}", highlighted(one.output.text, pieces, limit=limit, more=more))
        for call in one.output.tool_calls:
            add(f"calls {number}", f"{call.name}({call.arguments})")
        for passage in one.output.context:
            add(f"found {number}", passage)
        if numbers and (said := turn_took(one)):
            add(f"took {number}", "  ".join(screen.say(fact) for fact in said))
    if trial.output is None and (unanswered := unanswered_turn(trial)) is not None:
        add(f"user {len(trial.turns) + 1}", unanswered)
    return parts


def unanswered_turn(trial: Trial) -> str | None:
    """What the user says in the turn that a conversation ended with, as the script has it."""
    place = len(trial.turns_before)
    return trial.case.turns[place].user if place < len(trial.case.turns) else None


def turn_took(turn: Turn) -> list[str]:
    """What one turn took, a fact a text."""
    output, said = turn.output, []
    if output.latency_s is not None:
        said.append(f"latency {words.quantity(output.latency_s, 's')}")
    if output.ttft_s is not None:
        said.append(f"ttft {words.quantity(output.ttft_s, 's')}")
    sent, answered = output.usage.input_tokens, output.usage.output_tokens
    if sent is not None or answered is not None:
        counts = [words.UNKNOWN if one is None else words.count(one) for one in (sent, answered)]
        said.append(f"tokens {' → '.join(counts)}")
    if output.provenance != "live":
        said.append(f"from {output.provenance}")
    if output.finish_reason:
        said.append(f"finish {words.clean(output.finish_reason, lines=False)}")
    return said


def cited_in(trial: Trial, number: int) -> Sequence[Evidence]:
    """The pieces of the answer to one turn that scores rest on."""
    sources = {f"turn:{number}:output"}
    if number == len(trial.turns) and trial.output is not None:
        sources.add("output")
    return [
        piece
        for one in trial.scores
        if one.score is not None
        for piece in one.score.evidence
        if piece.source in sources
    ]
