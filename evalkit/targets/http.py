"""Any HTTP endpoint that takes JSON: a template makes the request, JSONPath reads the answer."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import fields
from typing import Any, Literal

from evalkit.errors import ConfigError, ErrorClass, TargetError, suggestion
from evalkit.model import JSON, Output, Request, Usage
from evalkit.registry import target
from evalkit.targets._answers import document, encoded
from evalkit.targets._extract import Paths, Reader, as_text, decoder_of
from evalkit.targets._http import (
    MAX_ANSWER_BYTES,
    Call,
    Wire,
    checked_url,
    load_client,
)
from evalkit.targets._jsonpath import Path
from evalkit.targets._template import Template

_COUNTS = tuple(one.name for one in fields(Usage))


@target(network=True, needs_prompt=False)
class Http:
    """Any HTTP endpoint that takes JSON: a template makes the request, JSONPath reads the answer.

    ``body`` is JSON whose texts are Jinja2 templates with ``inputs``, ``messages``, ``context``,
    ``prompt`` (the messages' text), ``trial`` and ``seed``; in a conversation the messages are all
    of it so far. A text that is one ``{{ expression }}`` keeps its type. ``query`` is templated
    too; ``headers`` are sent as they are. ``answer`` points at the text (``$.choices[0].text``; the
    matches of ``[*]`` are joined), ``usage`` maps ``input_tokens`` and so on to paths, ``context``
    points at the passages that were retrieved, ``reported_model`` and ``finish_reason`` at theirs,
    ``error`` at what makes an answer with status 200 an error. ``stream`` reads ``text`` (the body
    is the answer), ``lines`` (JSON, one a line) or ``sse`` (events of JSON), and gives the time to
    the first piece. ``idle_timeout_s`` is the longest silence in seconds.
    """

    load_ahead = staticmethod(load_client)

    def __init__(
        self,
        *,
        url: str,
        answer: str | None = None,
        method: Literal["POST", "PUT", "PATCH", "GET"] = "POST",
        body: Any = None,
        query: dict[str, str] | None = None,
        headers: dict[str, str] | None = None,
        usage: dict[str, str] | None = None,
        context: str | None = None,
        finish_reason: str | None = None,
        reported_model: str | None = None,
        error: str | None = None,
        stream: Literal["text", "lines", "sse"] | None = None,
        idle_timeout_s: float | None = None,
        max_answer_bytes: int = MAX_ANSWER_BYTES,
        trust_env: bool = False,
    ):
        if method not in {"POST", "PUT", "PATCH", "GET"}:
            raise ConfigError(f"method: {method!r} is not POST, PUT, PATCH or GET")
        if stream not in {None, "text", "lines", "sse"}:
            raise ConfigError(f"stream: {stream!r} is not text, lines or sse")
        if (answer is None) is not (stream == "text"):
            raise ConfigError(
                "answer: with 'stream: text' the body is the answer"
                if answer is not None
                else "answer: the JSONPath of the answer is missing",
                hint="leave 'answer' out" if answer is not None else "as answer: $.text",
            )
        if body is not None and method == "GET":
            raise ConfigError("body: a GET request has none", hint="use 'query'")
        for name in usage or ():
            if name not in _COUNTS:
                raise ConfigError(
                    f"usage.{name} is no count of tokens", hint=suggestion(name, _COUNTS)
                )
        encoded("body", body)
        self._body, self._query = _templates(body, query)
        templates = [one for one in (self._body, self._query) if one is not None]
        uses = {name for one in templates for name in one.uses}
        if not uses - {"trial", "seed"}:
            raise ConfigError(
                "body: every case would get the same request",
                hint="use {{ inputs.NAME }}, {{ messages }} or {{ prompt }} in 'body' or 'query'",
            )
        self._needs_prompt = bool(uses & {"messages", "prompt"})
        self._paths = Paths(
            answer=_path("answer", answer),
            error=_path("error", error),
            model=_path("reported_model", reported_model),
            context=_path("context", context),
            finish=_path("finish_reason", finish_reason),
            usage={name: Path(f"usage.{name}", path) for name, path in (usage or {}).items()},
        )
        self._stream = stream
        given = headers or {}
        own = {"Accept-Encoding": "identity"}
        if body is not None:
            own["Content-Type"] = "application/json"
        names = {name.lower() for name in given}
        self._wire = Wire(
            checked_url("url", url),
            method=method,
            headers={name: text for name, text in own.items() if name.lower() not in names} | given,
            idle_timeout_s=idle_timeout_s,
            max_answer_bytes=max_answer_bytes,
            trust_env=trust_env,
        )

    @staticmethod
    def sent(options: Mapping[str, JSON]) -> tuple[bool, frozenset[str]] | None:
        """Whether the prompt is sent, and the inputs beside it; ``None`` for all of a case."""
        templates = _templates(options.get("body"), options.get("query"))
        found = [one for one in templates if one is not None]
        uses = {name for one in found for name in one.uses}
        fields = [one.fields for one in found]
        if None in fields:
            return None
        beside = frozenset(uses & {"context"}).union(*filter(None, fields))
        return bool(uses & {"messages", "prompt"}), beside

    async def send(self, request: Request) -> Output:
        """Answer one request; raises ``TargetError``."""
        if self._needs_prompt and not request.messages:
            raise TargetError(
                ErrorClass.PROMPT, "http: 'body' uses the prompt, and the request has none"
            )
        if request.case.turns and not self._needs_prompt:
            raise TargetError(
                ErrorClass.PROMPT,
                "http: 'body' has no place for a conversation; use {{ messages }} or {{ prompt }}",
            )
        known = _variables(request)
        body = None if self._body is None else json.dumps(self._body.render(known)).encode()
        query = None
        if self._query is not None:
            query = {name: as_text(value) for name, value in self._query.render(known).items()}
        wire = self._wire
        if self._stream is None:
            call = await wire.exchange(body, timeout_s=request.timeout_s, query=query)
            return self._whole(call)
        reader = Reader(wire, self._paths)
        call = await wire.exchange(
            body,
            timeout_s=request.timeout_s,
            query=query,
            decoder=decoder_of(self._stream, reader),
            always_stream=True,
        )
        return reader.output(call)

    async def aclose(self) -> None:
        """Close the connections."""
        await self._wire.aclose()

    def _whole(self, call: Call) -> Output:
        found = document(self._wire, call)
        reader = Reader(self._wire, self._paths)
        reader.take(found)
        if not reader.parts:
            keys = (
                ", ".join(map(str, found)) if isinstance(found, Mapping) else type(found).__name__
            )
            assert self._paths.answer is not None
            raise self._wire.error(
                f"sent nothing at {self._paths.answer.text}; it sent: {keys}",
                ErrorClass.INVALID_RESPONSE,
            )
        return reader.output(call, streamed=False)


def _templates(body: Any, query: Any) -> tuple[Template | None, Template | None]:
    """Those of the body and of the query, where there are any."""
    return (
        None if body is None else Template("body", body),
        Template("query", query) if query else None,
    )


def _path(option: str, text: str | None) -> Path | None:
    return None if text is None else Path(option, text)


def _variables(request: Request) -> dict[str, Any]:
    return {
        "inputs": request.case.inputs,
        "messages": [{"role": one.role, "content": one.content} for one in request.messages],
        "context": list(request.case.context),
        "prompt": "\n\n".join(one.content for one in request.messages),
        "trial": request.trial,
        "seed": request.seed,
    }
