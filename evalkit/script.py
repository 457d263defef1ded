"""What a case asks and expects: JSON values, the turns of a script, and how both are hashed."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

JSON: TypeAlias = "str | int | float | bool | list[JSON] | dict[str, JSON] | None"


@dataclass(frozen=True, slots=True, kw_only=True)
class ScriptedTurn:
    """What a user says in a conversation, and what its answer is judged by.

    ``expected`` and ``metadata`` are those of a case, for the answer to this turn alone.
    """

    user: str
    expected: JSON = None
    metadata: Mapping[str, JSON] = field(default_factory=dict)


def references_of(expected: JSON) -> tuple[str, ...]:
    """Every acceptable answer of an expectation as text, best first."""
    if expected is None:
        return ()
    if isinstance(expected, list):
        return tuple(_as_text(one) for one in expected)
    return (_as_text(expected),)


def asked_of(
    inputs: Mapping[str, JSON], context: Sequence[str], turns: Sequence[ScriptedTurn]
) -> dict[str, JSON]:
    """What a case asks, as it is hashed; a case without turns is named as it always was."""
    asked: dict[str, JSON] = {"inputs": dict(inputs), "context": list(context)}
    if turns:
        asked["turns"] = [one.user for one in turns]
    return asked


def identity_of(
    inputs: Mapping[str, JSON],
    context: Sequence[str],
    turns: Sequence[ScriptedTurn],
    expected: JSON,
) -> dict[str, JSON]:
    """What a case asks and expects, as it is hashed."""
    found = {**asked_of(inputs, context, turns), "expected": expected}
    if turns:
        # the last turn expects what the case does
        found["checks"] = [one.expected for one in turns[:-1]]
    return found


def _as_text(value: JSON) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
