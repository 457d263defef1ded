"""A Claude behind Anthropic's messages API."""

from __future__ import annotations

import json
import time
from typing import Any, Literal

from evalkit.errors import ConfigError, ErrorClass, TargetError
from evalkit.model import AnswerSchema, Message, Output, Request
from evalkit.registry import target
from evalkit.targets._answers import document, encoded, need_messages, only_known_roles
from evalkit.targets._capabilities import check_anthropic, check_extra
from evalkit.targets._http import (
    MAX_ANSWER_BYTES,
    EventDecoder,
    Wire,
    checked_key,
    checked_url,
    load_client,
)
from evalkit.targets._messages import MessagesStream, messages_output
from evalkit.targets._structured import Structured

_NO_SCHEMA = ("output_config", "output format", "json_schema", "structured output")
"""How the API names what it turns away when a model takes no schema."""


@target(network=True, cacheable=True)
class Anthropic:
    """A Claude behind Anthropic's messages API.

    ``base_url`` is the address without ``/v1/messages``. ``max_tokens`` bounds the answer.
    ``params`` are parameters of the API (``stop_sequences``, ``thinking``, ...), checked before the
    first call; ``extra_body`` passes on what lies beyond them. System messages at the start of the
    prompt go where the API wants them. ``stream`` gives the time to the first token.
    ``structured`` is ``auto`` or ``off``: whether the form of a judge's answer is sent
    as a JSON schema (``output_config.format``), until the API turns it away.
    ``idle_timeout_s`` is the longest silence in seconds, ``max_answer_bytes`` the most that is
    read. ``trust_env`` uses the proxies of the environment. The tokens of the answer's ``usage``
    include cached ones, as everywhere in evalkit.
    Raises ``ConfigError`` for a parameter that the API or the model does not take.
    """

    load_ahead = staticmethod(load_client)

    def __init__(
        self,
        *,
        model: str,
        api_key: str | None = None,
        max_tokens: int = 4096,
        base_url: str = "https://api.anthropic.com",
        stream: bool = True,
        params: dict[str, Any] | None = None,
        extra_body: dict[str, Any] | None = None,
        tools: list[dict[str, Any]] | None = None,
        headers: dict[str, str] | None = None,
        anthropic_version: str = "2023-06-01",
        structured: Literal["auto", "off"] = "auto",
        idle_timeout_s: float | None = None,
        max_answer_bytes: int = MAX_ANSWER_BYTES,
        trust_env: bool = False,
    ):
        if not model.strip():
            raise ConfigError("model: it is empty")
        params = dict(params or {})
        extra_body = dict(extra_body or {})
        url = checked_url("base_url", base_url)
        official = url.host == "api.anthropic.com"
        check_anthropic(
            model,
            params,
            max_tokens=max_tokens,
            version=anthropic_version,
            extra_hint="" if official else "if this server takes it, put it under 'extra_body'",
        )
        check_extra(extra_body, params)
        for name in ("max_tokens", "tools"):
            if name in extra_body:
                raise ConfigError(f"extra_body.{name} stands on the target too", hint="keep one")
        path = url.path.rstrip("/")
        if not path.endswith("/messages"):
            path += "/messages" if path.endswith("/v1") else "/v1/messages"
            url = url.with_path(path).with_query(url.query)
        self._stream = stream
        self.takes_seed = False
        body = {"model": model, "max_tokens": max_tokens, "stream": stream, **params}
        if tools:
            body["tools"] = tools
        self._settings = body | extra_body
        self._head = encoded("params", self._settings)[:-1]
        self._wire = Wire(
            url,
            headers=_headers(checked_key(api_key), headers or {}, anthropic_version, official),
            secrets=() if api_key is None else (api_key,),
            max_answer_bytes=max_answer_bytes,
            idle_timeout_s=idle_timeout_s,
            trust_env=trust_env,
        )
        settled = self._settings.get("output_config")
        self._structured = Structured(
            structured,
            host=self._wire.host,
            names=_NO_SCHEMA,
            free=settled is None or (isinstance(settled, dict) and "format" not in settled),
        )
        self.takes_schema = self._structured.asks

    async def send(self, request: Request) -> Output:
        """Answer one request; raises ``TargetError``."""
        conversation = _conversation(request.messages)
        schema = self._structured.of(request)
        if schema is None:
            return await self._once(self._head + conversation, request.timeout_s)
        started, left = time.perf_counter(), request.timeout_s
        try:
            return await self._once(self._head_with(schema) + conversation, left)
        except TargetError as error:
            if not self._structured.turned_away(error):
                raise
        if left is not None:
            left = max(0.001, left - (time.perf_counter() - started))
        return await self._once(self._head + conversation, left)

    async def _once(self, text: str, timeout_s: float | None) -> Output:
        wire, body = self._wire, text.encode()
        if self._stream:
            reader = MessagesStream(wire)
            decoder = EventDecoder(reader.on_event)
            call = await wire.exchange(body, timeout_s=timeout_s, decoder=decoder)
            if call.streamed:
                return reader.output(call)
        else:
            call = await wire.exchange(body, timeout_s=timeout_s)
        return messages_output(wire, call, document(wire, call))

    def _head_with(self, schema: AnswerSchema) -> str:
        form = {"type": "json_schema", "schema": dict(schema)}
        config = {**(self._settings.get("output_config") or {}), "format": form}
        return encoded("params", self._settings | {"output_config": config})[:-1]

    async def aclose(self) -> None:
        """Close the connections."""
        await self._wire.aclose()


def _conversation(messages: tuple[Message, ...]) -> str:
    """The rest of the body: the system text apart, then the turns; closes the JSON object."""
    need_messages(messages, "anthropic")
    only_known_roles(messages, "anthropic")
    start = 0
    while start < len(messages) and messages[start].role == "system":
        start += 1
    if any(one.role == "system" for one in messages[start:]):
        raise TargetError(
            ErrorClass.PROMPT,
            "anthropic: a system message stands after others; the API takes it only at the start",
        )
    turns = [{"role": one.role, "content": one.content} for one in messages[start:]]
    if not turns:
        raise TargetError(
            ErrorClass.PROMPT, "anthropic: the prompt needs a user message beside the system one"
        )
    system = "\n\n".join(one.content for one in messages[:start])
    opening = f',"system":{json.dumps(system)}' if system else ""
    return f'{opening},"messages":{json.dumps(turns)}}}'


def _headers(
    key: str | None, given: dict[str, str], version: str, official: bool
) -> dict[str, str]:
    headers = {
        "Content-Type": "application/json",
        "Accept-Encoding": "identity",
        "anthropic-version": version,
    }
    names = {name.lower() for name in given}
    if key is not None:
        if "x-api-key" in names:
            raise ConfigError("api_key: 'headers' holds 'x-api-key' too", hint="keep one")
        headers["x-api-key"] = key
    elif official and not names & {"x-api-key", "authorization"}:
        raise ConfigError(
            "api_key: this server needs one", hint="write api_key: ${env:ANTHROPIC_API_KEY}"
        )
    if "anthropic-version" in names:
        raise ConfigError("headers: set 'anthropic_version' on the target instead")
    return {name: text for name, text in headers.items() if name.lower() not in names} | given
