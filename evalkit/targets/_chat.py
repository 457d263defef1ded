"""Answers of the chat completions API, whole or streamed, of OpenAI and all who speak like it."""

from __future__ import annotations

from typing import Any

from evalkit.errors import ErrorClass
from evalkit.model import JSON, Output, ToolCall, Usage
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


def chat_usage(value: Any) -> Usage:
    """Usage in OpenAI's words, and DeepSeek's for the cache."""
    if not isinstance(value, dict):
        return Usage()
    cached = count(nested(value, "prompt_tokens_details").get("cached_tokens"))
    if cached is None:
        cached = count(value.get("prompt_cache_hit_tokens"))
    return Usage(
        input_tokens=count(value.get("prompt_tokens")),
        output_tokens=count(value.get("completion_tokens")),
        cached_tokens=cached,
        cache_write_tokens=count(nested(value, "prompt_tokens_details").get("cache_write_tokens")),
        reasoning_tokens=count(nested(value, "completion_tokens_details").get("reasoning_tokens")),
    )


def _extra(body: dict[str, Any]) -> dict[str, JSON]:
    return {
        name: text
        for key, name in (
            ("id", "response_id"),
            ("system_fingerprint", "system_fingerprint"),
            ("service_tier", "service_tier"),
        )
        if (text := text_or_none(body.get(key))) is not None
    }


def _text(content: Any) -> str:
    """Content as text; Mistral's and others' lists of parts count their text parts."""
    if isinstance(content, str):
        return content
    if isinstance(content, list):
        return "".join(
            one["text"]
            for one in content
            if isinstance(one, dict) and one.get("type") == "text" and isinstance(one["text"], str)
        )
    return ""


class ChatStream:
    """Puts a streamed chat completion together."""

    __slots__ = (
        "_calls",
        "_done",
        "_extra",
        "_finish",
        "_logprobs",
        "_model",
        "_parts",
        "_pieces",
        "_refusal",
        "_usage",
        "_wire",
    )

    def __init__(self, wire: Wire) -> None:
        self._wire = wire
        self._parts: list[str] = []
        self._refusal: list[str] = []
        self._calls = ToolCalls()
        self._pieces = Pieces()
        self._finish: str | None = None
        self._model: Any = None
        self._usage: Any = None
        self._extra: dict[str, JSON] | None = None
        self._logprobs: LogProbs | None = None
        self._done = False

    def on_event(self, data: bytes, now: float) -> bool:
        """Take one chunk; true at the end of the stream."""
        if data == b"[DONE]":
            self._done = True
            return True
        chunk = event(self._wire, data)
        try:
            self._take(chunk, now)
        except (AttributeError, TypeError, KeyError, IndexError) as error:
            raise self._wire.error(
                f"sent a chunk of an unexpected shape ({type(error).__name__})",
                ErrorClass.INVALID_RESPONSE,
            ) from None
        return False

    def _take(self, chunk: dict[str, Any], now: float) -> None:
        usage = chunk.get("usage")
        if usage:
            self._usage = usage
        choices = chunk.get("choices")
        if not choices:
            if complaint(chunk) is not None:
                raise self._wire.said(chunk)
            return
        if self._extra is None:
            self._model = chunk.get("model")
            self._extra = _extra(chunk)
        choice = choices[0]
        delta = choice.get("delta")
        if delta:
            content = delta.get("content")
            if content:
                text = content if type(content) is str else _text(content)
                if text:
                    self._parts.append(text)
                    self._pieces.content(now)
            if not content or len(delta) > 1:
                self._rare(delta, now)
        chosen = choice.get("logprobs")
        if chosen:
            if self._logprobs is None:
                self._logprobs = LogProbs()
            self._logprobs.add(chosen.get("content"))
        finish = choice.get("finish_reason")
        if finish:
            if finish == "error" and complaint(chunk) is not None:
                raise self._wire.said(chunk)
            self._finish = str(finish)

    def _rare(self, delta: dict[str, Any], now: float) -> None:
        refusal = delta.get("refusal")
        if refusal:
            self._refusal.append(refusal)
            self._pieces.content(now)
        if delta.get("reasoning_content") or delta.get("reasoning"):
            self._pieces.reasoning(now)
        for one in delta.get("tool_calls") or ():
            function = one.get("function") or {}
            self._calls.add(
                one.get("index"), one.get("id"), function.get("name"), function.get("arguments")
            )
            self._pieces.content(now)
        legacy = delta.get("function_call")
        if legacy:
            self._calls.add(0, None, legacy.get("name"), legacy.get("arguments"))
            self._pieces.content(now)

    def output(self, call: Call) -> Output:
        """The whole answer; one that neither finished nor was declared done is cut off."""
        if not self._done and self._finish is None:
            raise cut_off(self._wire, call)
        if self._extra is None and self._usage is None:
            raise self._wire.error(
                "ended the stream without an answer", ErrorClass.INVALID_RESPONSE
            )
        if self._logprobs is not None and self._extra is not None:
            self._logprobs.note(self._extra)
        return shaped(
            self._wire,
            lambda: output(
                self._wire,
                call,
                text="".join(self._parts),
                refusal="".join(self._refusal),
                finish_reason=self._finish,
                tool_calls=self._calls.done(),
                model=self._model,
                usage=chat_usage(self._usage),
                pieces=self._pieces,
                extra=self._extra,
            ),
        )


def chat_output(wire: Wire, call: Call, body: Any) -> Output:
    """The answer that a whole chat completion holds."""
    choices = body.get("choices") if isinstance(body, dict) else None
    if not choices:
        if complaint(body) is not None:
            raise wire.said(body)
        raise wire.error("sent an answer without choices", ErrorClass.INVALID_RESPONSE)
    return shaped(wire, lambda: _chat_output(wire, call, body, choices[0]))


def _chat_output(wire: Wire, call: Call, body: dict[str, Any], choice: Any) -> Output:
    finish = choice.get("finish_reason")
    if finish == "error" and complaint(body) is not None:
        raise wire.said(body)
    message = choice["message"]
    extra = _extra(body)
    logprobs = nested(choice, "logprobs").get("content")
    if logprobs:
        found = LogProbs()
        found.add(logprobs)
        found.note(extra)
    return output(
        wire,
        call,
        text=_text(message.get("content")),
        refusal=message.get("refusal") or "",
        finish_reason=text_or_none(finish),
        tool_calls=_calls(message),
        model=body.get("model"),
        usage=chat_usage(body.get("usage")),
        extra=extra,
    )


def _calls(message: dict[str, Any]) -> tuple[ToolCall, ...]:
    asked, legacy = message.get("tool_calls"), message.get("function_call")
    if not asked and not legacy:
        return ()
    calls = ToolCalls()
    for number, one in enumerate(asked or ()):
        function = one["function"]
        calls.add(number, one.get("id"), function["name"], function.get("arguments"))
    if legacy:
        calls.add(0, None, legacy["name"], legacy.get("arguments"))
    return calls.done()
