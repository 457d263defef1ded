"""From JSON that a program, a function or a recording gave to an ``Output``, strictly."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from evalkit.errors import ErrorClass, TargetError, suggestion
from evalkit.model import JSON, Output, Request, ToolCall, Usage

ANSWER_KEYS = frozenset(
    {
        "text",
        "usage",
        "model",
        "context",
        "extra",
        "finish_reason",
        "tool_calls",
        "ttft_s",
        "cost_usd",
    }
)
_USAGE_KEYS = tuple(one.name for one in fields(Usage))


def request_json(request: Request) -> dict[str, JSON]:
    """A request as a program or a recording sees it; what is expected is never in it."""
    case = request.case
    return {
        "messages": [{"role": one.role, "content": one.content} for one in request.messages],
        "inputs": dict(case.inputs),
        "context": list(case.context),
        "trial": request.trial,
        "seed": request.seed,
        "case": {"id": case.id, "name": case.name},
    }


def invalid(message: str) -> TargetError:
    """The error of an answer that cannot be understood."""
    return TargetError(ErrorClass.INVALID_RESPONSE, message)


def output_of(answer: Mapping[str, Any], *, who: str) -> Output:
    """The output an answer object describes; ``who`` begins every message.

    Takes ``text`` (required) and optionally ``usage``, ``model``, ``context``, ``extra``,
    ``finish_reason``, ``tool_calls``, ``ttft_s`` (seconds) and ``cost_usd``. Anything else or of
    another type is a ``TargetError`` of class ``invalid_response``.
    """
    for key in answer:
        if key not in ANSWER_KEYS:
            hint = suggestion(str(key), ANSWER_KEYS)
            raise invalid(f"{who}: the answer has an unknown key {key!r} ({hint})")
    text = answer.get("text")
    if not isinstance(text, str):
        raise invalid(f"{who}: 'text' must be a string, not {_kind(text)}")
    context = answer.get("context") or []
    if not isinstance(context, list | tuple) or not all(isinstance(one, str) for one in context):
        raise invalid(f"{who}: 'context' must be a list of strings")
    extra = answer.get("extra") or {}
    if not isinstance(extra, Mapping):
        raise invalid(f"{who}: 'extra' must be an object, not {_kind(extra)}")
    return Output(
        text=text,
        usage=_usage(answer.get("usage"), who),
        model=_text_or_none(answer, "model", who),
        finish_reason=_text_or_none(answer, "finish_reason", who),
        context=tuple(context),
        extra=dict(extra),
        tool_calls=_tool_calls(answer.get("tool_calls"), who),
        ttft_s=number_or_none(answer, "ttft_s", who),
        cost_usd=number_or_none(answer, "cost_usd", who),
    )


def number_or_none(answer: Mapping[str, Any], key: str, who: str) -> float | None:
    """A finite number of at least 0 under that key, or ``None`` when there is none."""
    value = answer.get(key)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise invalid(f"{who}: {key!r} must be a number, not {_kind(value)}")
    if not math.isfinite(value) or value < 0:
        raise invalid(f"{who}: {key!r} must be a finite number of at least 0, not {value!r}")
    return float(value)


def _usage(value: Any, who: str) -> Usage:
    if value is None:
        return Usage()
    if isinstance(value, Usage):
        return value
    if not isinstance(value, Mapping):
        raise invalid(f"{who}: 'usage' must be an object, not {_kind(value)}")
    counts: dict[str, int | None] = {}
    for key, count in value.items():
        if key not in _USAGE_KEYS:
            hint = suggestion(str(key), _USAGE_KEYS)
            raise invalid(f"{who}: 'usage' has an unknown key {key!r} ({hint})")
        if count is not None and (
            isinstance(count, bool) or not isinstance(count, int) or count < 0
        ):
            raise invalid(f"{who}: usage {key!r} must be a whole number of at least 0")
        counts[key] = count
    return Usage(**counts)


def _tool_calls(value: Any, who: str) -> tuple[ToolCall, ...]:
    if value is not None and not isinstance(value, list | tuple):
        raise invalid(f"{who}: 'tool_calls' must be a list, not {_kind(value)}")
    calls = []
    for one in value or ():
        if not (
            isinstance(one, Mapping)
            and isinstance(one.get("name"), str)
            and isinstance(one.get("arguments"), str)
        ):
            raise invalid(f"{who}: every tool call needs a 'name' and 'arguments', both strings")
        calls.append(ToolCall(name=one["name"], arguments=one["arguments"], id=one.get("id")))
    return tuple(calls)


def _text_or_none(answer: Mapping[str, Any], key: str, who: str) -> str | None:
    value = answer.get(key)
    if value is not None and not isinstance(value, str):
        raise invalid(f"{who}: {key!r} must be a string, not {_kind(value)}")
    return value


def _kind(value: object) -> str:
    if value is None:
        return "missing"
    if isinstance(value, Mapping):
        return "an object"
    return type(value).__name__
