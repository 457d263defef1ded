"""From a case to the messages of a call: a single question, or a conversation up to some turn."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Protocol

from evalkit.model import Case, Message, Output, Request


class Render(Protocol):
    """Makes the messages of a case, as a prompt says; raises ``PromptError``."""

    def __call__(self, case: Case) -> tuple[Message, ...]:
        """The messages of a single question."""
        ...

    def turns(self, case: Case) -> tuple[tuple[Message, ...], tuple[Message, ...]]:
        """The messages before a conversation, and the user's message of each of its turns."""
        ...


def turn_messages(
    render: Render | None, case: Case
) -> tuple[tuple[Message, ...], tuple[Message, ...]]:
    """The messages before a conversation and of each turn; without a prompt, the turns alone."""
    if render is not None:
        return render.turns(case)
    return (), tuple(Message(role="user", content=one.user) for one in case.turns)


def first_call(
    render: Render | None, case: Case
) -> tuple[tuple[Message, ...], tuple[Message, ...]]:
    """The messages of a trial's first call, and the user's of every turn of a conversation."""
    if case.turns:
        head, turns = turn_messages(render, case)
        return (*head, turns[0]), turns
    return (() if render is None else render(case)), ()


def so_far(
    head: Sequence[Message], turns: Sequence[Message], answers: Sequence[str]
) -> tuple[Message, ...]:
    """A conversation up to the turn after the ``answers``: what was said, in the order it was."""
    found = list(head)
    for turn, answer in zip(turns, answers, strict=False):
        found += (turn, Message(role="assistant", content=answer))
    return (*found, turns[len(answers)])


def messages_of(render: Render, request: Request) -> tuple[Message, ...]:
    """The messages of a request as another target's prompt makes them."""
    if not request.case.turns:
        return render(request.case)
    return so_far(*render.turns(request.case), request.answers)


def spoken(output: Output) -> str:
    """An answer as the next call of a conversation has it.

    Tool calls without a word stand there as JSON: a script has no tools that could answer them, and
    no provider takes an empty message.
    """
    if output.text or not output.tool_calls:
        return output.text
    calls = [{"name": one.name, "arguments": one.arguments} for one in output.tool_calls]
    return json.dumps({"tool_calls": calls}, ensure_ascii=False)
