"""Answers of Anthropic's messages API, whole or streamed."""

from __future__ import annotations

import json
from typing import Any

from evalkit.errors import ErrorClass
from evalkit.model import JSON, Output, Usage
from evalkit.targets._answers import ToolCalls, count, cut_off, event, output, shaped, text_or_none
from evalkit.targets._failure import complaint
from evalkit.targets._http import Call, Wire
from evalkit.targets._pieces import Pieces

_REASONS = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "tool_use": "tool_calls",
}
"""Anthropic's reasons in the words of all others; the rest stay as they are."""


def messages_usage(value: Any) -> Usage:
    """Usage with the cached tokens inside the input, as everywhere else.

    Anthropic counts input, cache reads and cache writes apart: they are added up.
    """
    if not isinstance(value, dict):
        return Usage()
    fresh = count(value.get("input_tokens"))
    read = count(value.get("cache_read_input_tokens"))
    written = count(value.get("cache_creation_input_tokens"))
    return Usage(
        input_tokens=None if fresh is None else fresh + (read or 0) + (written or 0),
        output_tokens=count(value.get("output_tokens")),
        cached_tokens=read,
        cache_write_tokens=written,
    )


class MessagesStream:
    """Puts a streamed message together."""

    __slots__ = (
        "_calls",
        "_done",
        "_message",
        "_parts",
        "_pieces",
        "_reason",
        "_usage",
        "_wire",
    )

    def __init__(self, wire: Wire) -> None:
        self._wire = wire
        self._parts: list[str] = []
        self._calls = ToolCalls()
        self._pieces = Pieces()
        self._message: dict[str, Any] | None = None
        self._usage: dict[str, Any] = {}
        self._reason: Any = None
        self._done = False

    def on_event(self, data: bytes, now: float) -> bool:
        """Take one event; true at the last one."""
        found = event(self._wire, data)
        try:
            return self._take(found, now)
        except (AttributeError, TypeError, KeyError, IndexError, ValueError) as error:
            raise self._wire.error(
                f"sent an event of an unexpected shape ({type(error).__name__})",
                ErrorClass.INVALID_RESPONSE,
            ) from None

    def _take(self, found: dict[str, Any], now: float) -> bool:
        kind = found.get("type")
        if kind == "content_block_delta":
            delta = found["delta"]
            form = delta["type"]
            if form == "text_delta":
                if delta["text"]:
                    self._parts.append(delta["text"])
                    self._pieces.content(now)
            elif form == "input_json_delta":
                self._calls.add(found.get("index"), None, None, delta["partial_json"])
                self._pieces.content(now)
            elif form == "thinking_delta":
                self._pieces.reasoning(now)
        elif kind == "content_block_start":
            block = found["content_block"]
            if block["type"] == "tool_use":
                self._calls.add(found.get("index"), block["id"], block["name"], None)
                self._pieces.content(now)
            elif block["type"] == "text" and block.get("text"):
                self._parts.append(block["text"])
                self._pieces.content(now)
        elif kind == "message_delta":
            self._reason = found["delta"].get("stop_reason") or self._reason
            self._count(found.get("usage"))
        elif kind == "message_start":
            self._message = found["message"]
            self._count(found["message"].get("usage"))
        elif kind == "message_stop":
            self._done = True
            return True
        elif kind == "error" or "error" in found:
            raise self._wire.said(found)
        return False

    def _count(self, usage: Any) -> None:
        # Later counts are running totals and replace earlier ones; a null says nothing.
        if isinstance(usage, dict):
            self._usage.update((key, value) for key, value in usage.items() if value is not None)

    def output(self, call: Call) -> Output:
        """The whole answer; one without its last event or a reason to stop is cut off."""
        message = self._message
        if message is None or not (self._done or self._reason):
            raise cut_off(self._wire, call)
        return shaped(
            self._wire,
            lambda: _output(
                self._wire,
                call,
                message,
                text="".join(self._parts),
                calls=self._calls,
                reason=self._reason,
                usage=self._usage,
                pieces=self._pieces,
            ),
        )


def messages_output(wire: Wire, call: Call, body: Any) -> Output:
    """The answer that a whole message holds."""
    if not isinstance(body, dict) or not isinstance(body.get("content"), list):
        if complaint(body) is not None:
            raise wire.said(body)
        raise wire.error("sent an answer without content", ErrorClass.INVALID_RESPONSE)
    return shaped(wire, lambda: _whole(wire, call, body))


def _whole(wire: Wire, call: Call, body: dict[str, Any]) -> Output:
    texts = []
    calls = ToolCalls()
    for number, block in enumerate(body["content"]):
        if block["type"] == "text":
            texts.append(block["text"])
        elif block["type"] == "tool_use":
            calls.add(number, block["id"], block["name"], json.dumps(block["input"]))
    return _output(
        wire,
        call,
        body,
        text="".join(texts),
        calls=calls,
        reason=body.get("stop_reason"),
        usage=body.get("usage"),
    )


def _output(
    wire: Wire,
    call: Call,
    message: dict[str, Any],
    *,
    text: str,
    calls: ToolCalls,
    reason: Any,
    usage: Any,
    pieces: Pieces | None = None,
) -> Output:
    extra: dict[str, JSON] = {}
    response_id = text_or_none(message.get("id"))
    if response_id is not None:
        extra["response_id"] = response_id
    tier = text_or_none(usage.get("service_tier")) if isinstance(usage, dict) else None
    if tier is not None:
        extra["service_tier"] = tier
    reason = text_or_none(reason)
    if reason in _REASONS:
        extra["stop_reason"] = reason
    return output(
        wire,
        call,
        text=text,
        finish_reason=None if reason is None else _REASONS.get(reason, reason),
        tool_calls=calls.done(),
        model=message.get("model"),
        usage=messages_usage(usage),
        pieces=pieces,
        extra=extra,
    )
