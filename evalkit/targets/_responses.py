"""Answers of OpenAI's responses API, whole or streamed."""

from __future__ import annotations

from typing import Any

from evalkit.errors import ErrorClass
from evalkit.model import JSON, Output, Usage
from evalkit.targets._answers import (
    LogProbs,
    ToolCalls,
    count,
    cut_off,
    event,
    nested,
    output,
    shaped,
    text_or_none,
)
from evalkit.targets._failure import complaint
from evalkit.targets._http import Call, Wire
from evalkit.targets._pieces import Pieces

_REASONS = {"max_output_tokens": "length", "content_filter": "content_filter"}
_LAST = frozenset({"response.completed", "response.incomplete", "response.failed"})
_REASONING = frozenset({"response.reasoning_text.delta", "response.reasoning_summary_text.delta"})


def responses_usage(value: Any) -> Usage:
    """Usage in the words of the responses API."""
    if not isinstance(value, dict):
        return Usage()
    return Usage(
        input_tokens=count(value.get("input_tokens")),
        output_tokens=count(value.get("output_tokens")),
        cached_tokens=count(nested(value, "input_tokens_details").get("cached_tokens")),
        reasoning_tokens=count(nested(value, "output_tokens_details").get("reasoning_tokens")),
    )


class ResponsesStream:
    """Reads the events of a streamed response; its last event holds the whole answer."""

    __slots__ = ("_last", "_parts", "_pieces", "_refusal", "_wire")

    def __init__(self, wire: Wire) -> None:
        self._wire = wire
        self._pieces = Pieces()
        self._parts: list[str] = []
        self._refusal: list[str] = []
        self._last: dict[str, Any] | None = None

    def on_event(self, data: bytes, now: float) -> bool:
        """Take one event; true at the last one."""
        if data == b"[DONE]":
            return True
        found = event(self._wire, data)
        kind = found.get("type")
        delta = found.get("delta")
        if kind == "response.output_text.delta":
            if delta and isinstance(delta, str):
                self._parts.append(delta)
                self._pieces.content(now)
        elif kind == "response.refusal.delta":
            if delta and isinstance(delta, str):
                self._refusal.append(delta)
                self._pieces.content(now)
        elif kind == "response.function_call_arguments.delta":
            self._pieces.content(now)
        elif kind in _REASONING:
            self._pieces.reasoning(now)
        elif kind in _LAST:
            last = found.get("response")
            if not isinstance(last, dict):
                raise self._wire.error(
                    "sent a last event without the response", ErrorClass.INVALID_RESPONSE
                )
            self._last = last
            return True
        elif kind == "error" or "error" in found:
            # The fields of an error stand in the event itself, or in an object of their own.
            raise self._wire.said(found if found.get("error") else {"error": _bare(found)})
        return False

    def output(self, call: Call) -> Output:
        """The whole answer; a stream without its last event is cut off."""
        if self._last is None:
            raise cut_off(self._wire, call)
        last = self._last
        return responses_output(
            self._wire,
            call,
            last,
            pieces=self._pieces,
            text="".join(self._parts),
            refusal="".join(self._refusal),
        )


def _bare(found: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in found.items() if key in {"code", "message", "param"}}


def responses_output(
    wire: Wire,
    call: Call,
    body: Any,
    *,
    pieces: Pieces | None = None,
    text: str = "",
    refusal: str = "",
) -> Output:
    """The answer that a whole response holds; streamed text stands in where it has none."""
    if not isinstance(body, dict):
        raise wire.error("sent an answer that is no object", ErrorClass.INVALID_RESPONSE)
    if body.get("error") or (complaint(body) is not None and "output" not in body):
        raise wire.said(body)
    if body.get("status") in {"failed", "cancelled", "queued", "in_progress"}:
        raise wire.error(f"sent a response that is {body['status']}", ErrorClass.INVALID_RESPONSE)
    if not isinstance(body.get("output"), list):
        raise wire.error("sent an answer without output", ErrorClass.INVALID_RESPONSE)
    return shaped(
        wire,
        lambda: _responses_output(wire, call, body, pieces=pieces, streamed=(text, refusal)),
    )


def _responses_output(
    wire: Wire,
    call: Call,
    body: dict[str, Any],
    *,
    pieces: Pieces | None,
    streamed: tuple[str, str],
) -> Output:
    texts: list[str] = []
    refusals: list[str] = []
    calls = ToolCalls()
    chosen = LogProbs()
    for number, item in enumerate(body["output"]):
        kind = item.get("type")
        if kind == "message":
            for part in item.get("content") or ():
                if part.get("type") == "output_text":
                    texts.append(part["text"])
                    chosen.add(part.get("logprobs"))
                elif part.get("type") == "refusal":
                    refusals.append(part["refusal"])
        elif kind in {"function_call", "custom_tool_call"}:
            calls.add(
                number, item.get("call_id"), item["name"], item.get("arguments", item.get("input"))
            )
    tools = calls.done()
    reason = nested(body, "incomplete_details").get("reason")
    finish = _REASONS.get(reason, reason) if reason else "tool_calls" if tools else "stop"
    extra: dict[str, JSON] = {}
    for key, name in (("id", "response_id"), ("service_tier", "service_tier")):
        value = text_or_none(body.get(key))
        if value is not None:
            extra[name] = value
    chosen.note(extra)
    return output(
        wire,
        call,
        text="".join(texts) or streamed[0],
        refusal="".join(refusals) or streamed[1],
        finish_reason=text_or_none(finish),
        tool_calls=tools,
        model=body.get("model"),
        usage=responses_usage(body.get("usage")),
        pieces=pieces,
        extra=extra,
    )
