"""Good answers and errors in the words of each provider."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, Protocol

from tests.servers._wire import Reply, Seen, Trouble

Event = tuple[str | None, str, bool]
"""Name and data of an event, and whether it carries a piece (and so waits for its time)."""


class Form(Protocol):
    def whole(self, reply: Reply, seen: Seen) -> Any: ...

    def events(self, reply: Reply, seen: Seen) -> Iterator[Event]: ...

    def error(self, trouble: Trouble, message: str | None) -> tuple[int, Any]: ...

    def error_event(self) -> Event: ...


_OPENAI_ERRORS = {
    Trouble.UNAUTHORIZED: (401, "invalid_request_error", "invalid_api_key", "Incorrect API key."),
    Trouble.FORBIDDEN: (403, "permission_error", None, "Your country is not supported."),
    Trouble.NO_MODEL: (
        404,
        "invalid_request_error",
        "model_not_found",
        "The model `nope` does not exist or you do not have access to it.",
    ),
    Trouble.BAD_REQUEST: (400, "invalid_request_error", None, "messages: too few"),
    Trouble.CONTEXT_LENGTH: (
        400,
        "invalid_request_error",
        "context_length_exceeded",
        "This model's maximum context length is 8192 tokens.",
    ),
    Trouble.RATE_LIMIT: (429, "requests", "rate_limit_exceeded", "Rate limit reached."),
    Trouble.QUOTA: (
        429,
        "insufficient_quota",
        "insufficient_quota",
        "You exceeded your current quota, please check your plan and billing details.",
    ),
    Trouble.CONTENT_FILTER: (
        400,
        None,
        "content_filter",
        "The response was filtered due to the prompt triggering Azure's content management policy.",
    ),
    Trouble.SERVER_ERROR: (500, "server_error", None, "The server had an error."),
    Trouble.OVERLOADED: (503, "server_error", None, "The engine is currently overloaded."),
    Trouble.NO_STREAM_OPTIONS: (
        400,
        "invalid_request_error",
        None,
        "Unrecognized request argument supplied: stream_options",
    ),
    Trouble.ERROR_IN_200: (200, "requests", "rate_limit_exceeded", "Rate limit reached."),
}


class _OpenAI:
    def error(self, trouble: Trouble, message: str | None) -> tuple[int, Any]:
        status, kind, code, text = _OPENAI_ERRORS[trouble]
        error = {"message": message or text, "type": kind, "param": None, "code": code}
        return status, {"error": error}


class Chat(_OpenAI):
    """OpenAI's chat completions."""

    def _usage(self, reply: Reply) -> Any:
        if reply.input_tokens is None or reply.output_tokens is None:
            return None
        return {
            "prompt_tokens": reply.input_tokens,
            "completion_tokens": reply.output_tokens,
            "total_tokens": reply.input_tokens + reply.output_tokens,
            "prompt_tokens_details": {"cached_tokens": reply.cached_tokens, "audio_tokens": 0},
            "completion_tokens_details": {"reasoning_tokens": reply.reasoning_tokens},
        }

    def _finish(self, reply: Reply) -> str:
        return reply.finish or ("tool_calls" if reply.tools else "stop")

    def whole(self, reply: Reply, seen: Seen) -> Any:
        message: dict[str, Any] = {
            "role": "assistant",
            "content": None if reply.tools or reply.refusal else reply.whole,
            "refusal": reply.refusal or None,
        }
        if reply.reasoning:
            message["reasoning_content"] = "".join(reply.reasoning)
        if reply.tools:
            message["tool_calls"] = [
                {"id": f"call_{n}", "type": "function", "function": {"name": name, "arguments": a}}
                for n, (name, a) in enumerate(reply.tools)
            ]
        choice = {"index": 0, "message": message, "finish_reason": self._finish(reply)}
        return {
            "id": "chatcmpl-1",
            "object": "chat.completion",
            "created": 1,
            "model": reply.model or seen.body["model"],
            "system_fingerprint": "fp_1",
            "choices": [choice],
            "usage": self._usage(reply),
        }

    def events(self, reply: Reply, seen: Seen) -> Iterator[Event]:
        asked = (seen.body.get("stream_options") or {}).get("include_usage", False)
        head = {
            "id": "chatcmpl-1",
            "object": "chat.completion.chunk",
            "created": 1,
            "model": reply.model or seen.body["model"],
            "system_fingerprint": "fp_1",
        }

        def chunk(delta: Any, finish: str | None = None) -> str:
            choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}
            body = {**head, "choices": [choice]}
            return json.dumps({**body, "usage": None} if asked else body)

        yield None, chunk({"role": "assistant", "content": "", "refusal": None}), False
        for piece in reply.reasoning:
            yield None, chunk({"reasoning_content": piece}), True
        if reply.refusal:
            yield None, chunk({"refusal": reply.refusal}), True
        elif reply.tools:
            for n, (name, arguments) in enumerate(reply.tools):
                first = {"index": n, "id": f"call_{n}", "type": "function"}
                function = {"name": name, "arguments": ""}
                yield None, chunk({"tool_calls": [{**first, "function": function}]}), True
                for at in range(0, len(arguments), 5):
                    part = {"index": n, "function": {"arguments": arguments[at : at + 5]}}
                    yield None, chunk({"tool_calls": [part]}), True
        else:
            for piece in reply.parts:
                yield None, chunk({"content": piece}), True
        yield None, chunk({}, self._finish(reply)), False
        usage = self._usage(reply)
        if usage and (asked or reply.usage_always):
            yield None, json.dumps({**head, "choices": [], "usage": usage}), False
        if reply.done:
            yield None, "[DONE]", False

    def error_event(self) -> Event:
        error = {"message": "The engine is currently overloaded.", "type": "server_error"}
        return None, json.dumps({"error": error}), False


class Responses(_OpenAI):
    """OpenAI's responses API."""

    def whole(self, reply: Reply, seen: Seen) -> Any:
        output: list[Any] = []
        if reply.reasoning:
            summary = [{"type": "summary_text", "text": "".join(reply.reasoning)}]
            output.append({"id": "rs_1", "type": "reasoning", "summary": summary})
        for n, (name, arguments) in enumerate(reply.tools):
            call = {"type": "function_call", "id": f"fc_{n}", "call_id": f"call_{n}"}
            output.append({**call, "name": name, "arguments": arguments, "status": "completed"})
        if not reply.tools:
            part = (
                {"type": "refusal", "refusal": reply.refusal}
                if reply.refusal
                else {"type": "output_text", "text": reply.whole, "annotations": []}
            )
            content = [part] if reply.whole or reply.refusal else []
            output.append({"id": "msg_1", "type": "message", "content": content})
        usage = None
        if reply.input_tokens is not None and reply.output_tokens is not None:
            usage = {
                "input_tokens": reply.input_tokens,
                "input_tokens_details": {"cached_tokens": reply.cached_tokens},
                "output_tokens": reply.output_tokens,
                "output_tokens_details": {"reasoning_tokens": reply.reasoning_tokens},
                "total_tokens": reply.input_tokens + reply.output_tokens,
            }
        whole = reply.finish in (None, "stop")
        return {
            "id": "resp_1",
            "object": "response",
            "status": "completed" if whole else "incomplete",
            "error": None,
            "incomplete_details": None if whole else {"reason": reply.finish},
            "model": reply.model or seen.body["model"],
            "output": output,
            "usage": usage,
        }

    def events(self, reply: Reply, seen: Seen) -> Iterator[Event]:
        number = -1

        def one(kind: str, *, piece: bool = False, **fields: Any) -> Event:
            nonlocal number
            number += 1
            return kind, json.dumps({"type": kind, "sequence_number": number, **fields}), piece

        last = self.whole(reply, seen)
        begun = {**last, "status": "in_progress", "output": [], "usage": None}
        yield one("response.created", response=begun)
        yield one("response.in_progress", response=begun)
        for piece in reply.reasoning:
            yield one("response.reasoning_summary_text.delta", piece=True, delta=piece)
        if reply.refusal:
            yield one("response.refusal.delta", piece=True, delta=reply.refusal)
        elif reply.tools:
            for n, (_, arguments) in enumerate(reply.tools):
                for at in range(0, len(arguments), 5):
                    yield one(
                        "response.function_call_arguments.delta",
                        piece=True,
                        output_index=n,
                        delta=arguments[at : at + 5],
                    )
        else:
            for piece in reply.parts:
                yield one("response.output_text.delta", piece=True, output_index=0, delta=piece)
            yield one("response.output_text.done", text=reply.whole)
        if reply.done:
            yield one(f"response.{last['status']}", response=last)

    def error_event(self) -> Event:
        body = {"type": "error", "code": "server_error", "message": "Overloaded.", "param": None}
        return "error", json.dumps(body), False


_ANTHROPIC_ERRORS = {
    Trouble.UNAUTHORIZED: (401, "authentication_error", "invalid x-api-key"),
    Trouble.FORBIDDEN: (403, "permission_error", "Your API key lacks permission."),
    Trouble.NO_MODEL: (404, "not_found_error", "model: nope"),
    Trouble.BAD_REQUEST: (400, "invalid_request_error", "messages: at least one is required"),
    Trouble.CONTEXT_LENGTH: (400, "invalid_request_error", "prompt is too long: 210000 tokens"),
    Trouble.RATE_LIMIT: (429, "rate_limit_error", "This request would exceed your rate limit."),
    Trouble.QUOTA: (
        400,
        "invalid_request_error",
        "Your credit balance is too low to access the Anthropic API.",
    ),
    Trouble.CONTENT_FILTER: (
        400,
        "invalid_request_error",
        "Output blocked by content filtering policy",
    ),
    Trouble.SERVER_ERROR: (500, "api_error", "Internal server error"),
    Trouble.OVERLOADED: (529, "overloaded_error", "Overloaded"),
    Trouble.ERROR_IN_200: (200, "rate_limit_error", "This request would exceed your rate limit."),
}


class Messages:
    """Anthropic's messages API."""

    def _usage(self, reply: Reply, output: int) -> dict[str, Any]:
        return {
            "input_tokens": reply.input_tokens,
            "cache_creation_input_tokens": reply.cache_write_tokens,
            "cache_read_input_tokens": reply.cached_tokens,
            "output_tokens": output,
            "service_tier": "standard",
        }

    def _finish(self, reply: Reply) -> str:
        return reply.finish or ("tool_use" if reply.tools else "end_turn")

    def whole(self, reply: Reply, seen: Seen) -> Any:
        content: list[Any] = []
        if reply.reasoning:
            content.append({"type": "thinking", "thinking": "".join(reply.reasoning)})
        if reply.whole:
            content.append({"type": "text", "text": reply.whole})
        for n, (name, arguments) in enumerate(reply.tools):
            block = {"type": "tool_use", "id": f"toolu_{n}", "name": name}
            content.append({**block, "input": json.loads(arguments)})
        return {
            "id": "msg_1",
            "type": "message",
            "role": "assistant",
            "model": reply.model or seen.body["model"],
            "content": content,
            "stop_reason": self._finish(reply),
            "stop_sequence": None,
            "usage": self._usage(reply, reply.output_tokens or 0),
        }

    def events(self, reply: Reply, seen: Seen) -> Iterator[Event]:
        def one(kind: str, *, piece: bool = False, **fields: Any) -> Event:
            return kind, json.dumps({"type": kind, **fields}), piece

        start = {**self.whole(reply, seen), "content": [], "stop_reason": None}
        start["usage"] = self._usage(reply, 1)
        yield one("message_start", message=start)
        yield one("ping")
        index = 0

        def block(first: Any, deltas: list[Any]) -> Iterator[Event]:
            nonlocal index
            yield one("content_block_start", index=index, content_block=first)
            for delta in deltas:
                yield one("content_block_delta", piece=True, index=index, delta=delta)
            yield one("content_block_stop", index=index)
            index += 1

        if reply.reasoning:
            thoughts = [{"type": "thinking_delta", "thinking": one} for one in reply.reasoning]
            yield from block({"type": "thinking", "thinking": "", "signature": ""}, thoughts)
        if reply.parts:
            texts = [{"type": "text_delta", "text": piece} for piece in reply.parts]
            yield from block({"type": "text", "text": ""}, texts)
        for n, (name, arguments) in enumerate(reply.tools):
            cuts = ["", *(arguments[at : at + 5] for at in range(0, len(arguments), 5))]
            parts = [{"type": "input_json_delta", "partial_json": cut} for cut in cuts]
            use = {"type": "tool_use", "id": f"toolu_{n}", "name": name, "input": {}}
            yield from block(use, parts)
        delta = {"stop_reason": self._finish(reply), "stop_sequence": None}
        yield one("message_delta", delta=delta, usage={"output_tokens": reply.output_tokens})
        if reply.done:
            yield one("message_stop")

    def error(self, trouble: Trouble, message: str | None) -> tuple[int, Any]:
        status, kind, text = _ANTHROPIC_ERRORS[trouble]
        error = {"type": kind, "message": message or text}
        return status, {"type": "error", "error": error, "request_id": "req_1"}

    def error_event(self) -> Event:
        error = {"type": "overloaded_error", "message": "Overloaded"}
        return "error", json.dumps({"type": "error", "error": error}), False
