"""A conversation: several calls that make one trial, each with all that was said before it.

Every turn is a call like any other: it waits for its slot and its rate limit, reserves what it may
cost, is retried, and is looked up in the cache by all that was said so far. The first that has no
answer ends the conversation.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import fields, replace

from evalkit.model import NOTHING_SPENT, Message, Output, Provenance, Request, Turn, Usage
from evalkit.runner.budget import Number, added
from evalkit.runner.course import Answer
from evalkit.runner.lane import Lane
from evalkit.runner.rendering import so_far, spoken

_WORST = (Provenance.REPLAY, Provenance.CACHE, Provenance.LIVE)


async def converse(
    lane: Lane,
    request: Request,
    turns: Sequence[Message],
) -> Answer:
    """Drive a conversation to its end; ``request`` is that of its first turn.

    The time a trial has is that of all its turns, from the first call that is made on. Raises
    ``CancelledError`` as ``Lane.ask``, and between two turns when the lane stops: nothing is
    recorded then.
    """
    deadline_s = None if lane.children else lane.limits.deadline_s
    until: float | None = None

    def begins() -> None:
        nonlocal until
        if until is None and deadline_s is not None:
            until = lane.clock() + deadline_s

    asked = _requests(request, turns)
    made: list[Turn] = []
    answers: list[Answer] = []
    said: list[str] = []
    for turn in turns:
        if answers and lane.stopping:
            raise asyncio.CancelledError
        answer = await lane.ask(asked(said), begins=begins, until=until)
        answers.append(answer)
        if answer.output is None:
            if answer.error is not None and len(turns) > 1:
                where = f"turn {len(made) + 1} of {len(turns)}"
                answer.error.message = f"{where}: {answer.error.message}"
            break
        made.append(Turn(user=turn.content, output=replace(answer.output, allowances=())))
        said.append(spoken(answer.output))
    return _whole(answers, tuple(made))


def _requests(request: Request, turns: Sequence[Message]) -> Callable[[Sequence[str]], Request]:
    """The request of the turn after some answers."""
    head = request.messages[:-1]

    def asked(said: Sequence[str]) -> Request:
        if not said:
            return request
        return replace(request, messages=so_far(head, turns, said), answers=tuple(said))

    return asked


def _whole(answers: Sequence[Answer], turns: tuple[Turn, ...]) -> Answer:
    """One answer of all calls."""
    spend = NOTHING_SPENT
    for one in answers:
        spend = added(spend, one.spend)
    last = answers[-1]
    return Answer(
        answers[0].started_at,
        sum(one.attempts for one in answers),
        sum(one.queue_s for one in answers),
        sum(one.total_s for one in answers),
        None if last.output is None else whole_output(turns),
        last.error,
        answers[0].spend if len(answers) == 1 else spend,
        turns if last.output is None else (),
    )


def whole_output(turns: tuple[Turn, ...]) -> Output:
    """The answer of a conversation: its last one, with what all of them took."""
    parts = [one.output for one in turns]
    last = parts[-1]
    provenance = next(one for one in _WORST if any(part.provenance is one for part in parts))
    return replace(
        last,
        usage=Usage(
            **{
                one.name: _sum([getattr(part.usage, one.name) for part in parts])
                for one in fields(Usage)
            }
        ),
        cost_usd=_sum([part.cost_usd for part in parts]),
        latency_s=_sum([part.latency_s for part in parts]),
        ttft_s=_most([part.ttft_s for part in parts]),
        # gaps of several streams have no common 95th percentile: each turn keeps its own
        inter_token=None,
        provenance=provenance,
        legs=tuple(leg for part in parts for leg in part.legs),
        origin=next((part.origin for part in parts if part.origin is not None), None),
        turns=turns,
    )


def _known(parts: Sequence[Number | None]) -> list[Number] | None:
    known = [one for one in parts if one is not None]
    return known if len(known) == len(parts) else None


def _sum(parts: Sequence[Number | None]) -> Number | None:
    known = _known(parts)
    return None if known is None else sum(known)


def _most(parts: Sequence[float | None]) -> float | None:
    known = _known(parts)
    return None if known is None else max(known)
