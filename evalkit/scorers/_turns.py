"""Scores of a conversation: every turn judged as a case of its own, and one score made of them.

``each`` is the mean of the turns, ``worst`` the turn that did worst; with either, the conversation
passes only when every turn does. A turn without what the scorer needs, such as an expectation, is
not asked about; a turn that could not be judged leaves the conversation unjudged, unless another
turn failed: then it failed, whatever that one would have got.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal, TypeAlias

from evalkit.model import (
    Case,
    Direction,
    Evidence,
    Output,
    Score,
    ScoreRecord,
    ScoreStatus,
    Turn,
)

TurnsJudged: TypeAlias = Literal["last", "each", "worst"]
"""Which answers of a conversation a scorer judges: the last, or all of them."""

_ORDER = (ScoreStatus.ERROR, ScoreStatus.UNSCORED)


def parts_of(case: Case, output: Output) -> Iterator[tuple[Case, Output]]:
    """A conversation as one pair a turn, each with all that was said until then."""
    for number, turn in enumerate(output.turns):
        yield (
            turn_case(case, number),
            replace(turn.output, turns=output.turns[: number + 1]),
        )


def turn_case(case: Case, number: int) -> Case:
    """The case of one turn: what is expected of its answer, and what is noted of it."""
    if number >= len(case.turns):
        # stored turns of a script that is not there: nothing is expected
        return replace(case, expected=None)
    turn = case.turns[number]
    is_last = number == len(case.turns) - 1
    return replace(
        case,
        expected=case.expected if is_last else turn.expected,
        metadata={**case.metadata, **turn.metadata} if turn.metadata else case.metadata,
        turns=case.turns[: number + 1],
    )


@dataclass(frozen=True, slots=True)
class Judged:
    """What a scorer said of one turn; ``asked`` is false where the turn lacks what it needs."""

    turn: Turn
    record: ScoreRecord
    asked: bool


def of_conversation(
    judged: Sequence[Judged], how: TurnsJudged, direction: Direction
) -> ScoreRecord:
    """One record of a conversation from those of its turns."""
    first = judged[0].record
    asked = [(number, one.record) for number, one in enumerate(judged, 1) if one.asked]
    scored = [(number, one, one.score) for number, one in asked if one.score is not None]
    failing = [number for number, _, score in scored if score.passed is False]
    open_ones = [(number, one) for number, one in asked if one.score is None]
    whole = replace(
        first,
        elapsed_s=_sum([one.record.elapsed_s for one in judged]),
        spent_usd=_sum([one.record.spent_usd for one in judged]),
        models=tuple(dict.fromkeys(name for one in judged for name in one.record.models)),
    )
    if not asked:
        return replace(whole, status=ScoreStatus.UNSCORED, reason=f"in every turn {first.reason}")
    if open_ones and not failing:
        number, worst = min(open_ones, key=lambda one: _ORDER.index(one[1].status))
        return replace(
            whole,
            status=worst.status,
            score=None,
            reason=f"{_named(number, judged)}: {worst.reason}",
        )
    score = _score(scored, judged, how, direction)
    return replace(
        whole,
        status=ScoreStatus.SCORED,
        reason=score.reason,
        score=replace(score, evidence=tuple(_evidence(judged))),
    )


def _score(
    scored: Sequence[tuple[int, ScoreRecord, Score]],
    judged: Sequence[Judged],
    how: TurnsJudged,
    direction: Direction,
) -> Score:
    scores = [one for _, _, one in scored]
    decided = [one.passed for one in scores if one.passed is not None]
    number, _, worst = min(scored, key=lambda one: _goodness(one[2], direction))
    passed = all(decided) if decided else None
    which = _named(number, judged)
    if passed:
        reason = None
    elif worst.reason:
        reason = f"{which}: {worst.reason}"
    else:
        reason = f"{which} did not pass" if passed is False else f"{which} is the worst"
    if how == "worst":
        return replace(worst, passed=passed, reason=reason, cost_usd=_cost(judged))
    widths = {len(one.stats) for one in scores}
    return Score(
        value=math.fsum(one.value for one in scores) / len(scores),
        passed=passed,
        label=worst.label if passed is False else None,
        reason=reason,
        # statistics of a corpus metric add up, over turns as over cases
        stats=tuple(map(math.fsum, zip(*(one.stats for one in scores), strict=True)))
        if len(widths) == 1
        else (),
        cost_usd=_cost(judged),
    )


def _goodness(score: Score, direction: Direction) -> tuple[bool, float]:
    """How good a turn's score is: the first that failed is the worst of those with its value."""
    value = -score.value if direction == "lower" else score.value
    return (score.passed is not False, value)


def _named(number: int, judged: Sequence[Judged]) -> str:
    return f"turn {number} of {len(judged)}"


def _evidence(judged: Sequence[Judged]) -> Iterator[Evidence]:
    for number, one in enumerate(judged, start=1):
        if not one.asked:
            continue
        score = one.record.score
        word = one.record.status.value
        if score is not None and score.passed is not None:
            word = "passed" if score.passed else "failed"
        yield Evidence(
            source=f"turn:{number}",
            start=0,
            end=0,
            text=word,
            reason=one.record.reason or (score.reason if score is not None else None) or "",
            value=None if score is None else score.value,
        )
        for found in () if score is None else score.evidence:
            yield replace(found, source=f"turn:{number}:{found.source}")


def _sum(parts: Sequence[float | None]) -> float | None:
    known = [one for one in parts if one is not None]
    return math.fsum(known) if known else None


def _cost(judged: Sequence[Judged]) -> float | None:
    return _sum([one.record.score.cost_usd for one in judged if one.record.score is not None])
