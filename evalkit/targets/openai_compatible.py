"""A model behind OpenAI's chat completions or responses API, wherever it runs."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from functools import partial
from json.encoder import encode_basestring_ascii as _text
from typing import Any, Literal

from evalkit.errors import ConfigError, ErrorClass, TargetError
from evalkit.model import AnswerSchema, Output, Request
from evalkit.registry import target
from evalkit.targets._answers import document, encoded, need_messages, only_known_roles
from evalkit.targets._capabilities import check_extra, check_openai
from evalkit.targets._chat import ChatStream, chat_output
from evalkit.targets._http import (
    MAX_ANSWER_BYTES,
    EventDecoder,
    Wire,
    checked_key,
    checked_url,
    load_client,
)
from evalkit.targets._responses import ResponsesStream, responses_output
from evalkit.targets._structured import Structured

_log = logging.getLogger(__name__)

_OPENAI = ("api.openai.com",)
_AZURE = (".openai.azure.com", ".services.ai.azure.com", ".cognitiveservices.azure.com")
_NO_SCHEMA = ("response_format", "json_schema", "json schema", "text.format", "structured output")
"""How servers name what they turn away when they take no schema, or not this one."""
_PATHS = {"chat": "/chat/completions", "responses": "/responses"}


@target(network=True, cacheable=True)
class OpenAICompatible:
    """A model behind OpenAI's chat completions or responses API: OpenAI, Azure, vLLM, Ollama, ...

    ``base_url`` is the address without ``/chat/completions`` or ``/responses``; for Azure it ends
    in ``/openai/v1``, or in ``/openai/deployments/NAME`` with ``query: {api-version: ...}``.
    ``params`` are parameters of the API (``temperature``, ``max_completion_tokens``, ...), checked
    before the first call; ``extra_body`` passes on what other servers take beyond them.
    ``stream`` gives the time to the first token. ``stream_usage`` asks a streamed chat for its
    tokens; left open, it is asked until the server rejects it once. ``send_seed`` sends the
    trial's own seed. ``structured`` is ``auto`` or ``off``: whether the form of a judge's
    answer is sent as a JSON schema, until the server turns it away. ``idle_timeout_s`` is the
    longest silence in seconds, ``max_answer_bytes`` the most that is read. ``trust_env`` uses the
    proxies of the environment.
    Raises ``ConfigError`` for a parameter that the API or the model does not take.
    """

    load_ahead = staticmethod(load_client)

    def __init__(
        self,
        *,
        model: str,
        base_url: str = "https://api.openai.com/v1",
        api_key: str | None = None,
        api: Literal["chat", "responses"] = "chat",
        stream: bool = True,
        params: dict[str, Any] | None = None,
        extra_body: dict[str, Any] | None = None,
        tools: list[dict[str, Any]] | None = None,
        response_format: dict[str, Any] | None = None,
        headers: dict[str, str] | None = None,
        query: dict[str, str] | None = None,
        organization: str | None = None,
        project: str | None = None,
        send_seed: bool = False,
        stream_usage: bool | None = None,
        structured: Literal["auto", "off"] = "auto",
        idle_timeout_s: float | None = None,
        max_answer_bytes: int = MAX_ANSWER_BYTES,
        trust_env: bool = False,
    ):
        if api not in _PATHS:
            raise ConfigError(f"api: {api!r} is neither 'chat' nor 'responses'")
        if not model.strip():
            raise ConfigError("model: it is empty")
        params = dict(params or {})
        extra_body = dict(extra_body or {})
        url = checked_url("base_url", base_url)
        host = (url.host or "").lower()
        azure = host.endswith(_AZURE)
        known = azure or host in _OPENAI or host.endswith(".api.openai.com")
        check_openai(
            api,
            model,
            params,
            known_host=known,
            extra_hint="" if known else "if this server takes it, put it under 'extra_body'",
        )
        check_extra(extra_body, params)
        _check_tools(tools, api)
        if send_seed and (api == "responses" or "seed" in params or "seed" in extra_body):
            why = "the responses API has no seed" if api == "responses" else "'seed' is set already"
            raise ConfigError(f"send_seed: {why}", hint="leave 'send_seed' out")
        path = _PATHS[api]
        if not url.path.rstrip("/").endswith(path):
            url = url.with_path(url.path.rstrip("/") + path).with_query(url.query)
        if query:
            url = url.update_query({name: str(value) for name, value in query.items()})
        self._api = api
        self._stream = stream
        self._send_seed = send_seed
        self.takes_seed = send_seed
        self._asks_usage = stream and api == "chat" and stream_usage is not False
        self._usage_settled = stream_usage is not None
        self._usage_rejected = False
        self._head_with = partial(
            _head, model, api, stream, params=params, tools=tools, extra_body=extra_body
        )
        self._head = self._head_with(response_format=response_format)
        self._wire = Wire(
            url,
            headers=_headers(
                checked_key(api_key),
                headers or {},
                organization=organization,
                project=project,
                azure=azure,
                openai=known and not azure,
            ),
            secrets=() if api_key is None else (api_key,),
            max_answer_bytes=max_answer_bytes,
            idle_timeout_s=idle_timeout_s,
            trust_env=trust_env,
        )
        self._structured = Structured(
            structured,
            host=self._wire.host,
            names=_NO_SCHEMA,
            free=response_format is None
            and not {"response_format", "text"} & extra_body.keys()
            and "format" not in dict(params.get("text") or {}),
        )
        self.takes_schema = self._structured.asks
        self._hint = "" if known or "/v" in url.path else "; most servers want /v1 in base_url"

    async def send(self, request: Request) -> Output:
        """Answer one request; raises ``TargetError``."""
        need_messages(request.messages, "openai_compatible")
        only_known_roles(request.messages, "openai_compatible")
        started = time.perf_counter()
        left = request.timeout_s
        while True:
            asks, schema = self._asks_usage, self._structured.of(request)
            try:
                answer = await self._once(request, asks=asks, schema=schema, timeout_s=left)
            except TargetError as error:
                if asks and not self._usage_settled and _rejects_usage(error):
                    self._stop_asking()
                elif schema is None or not self._structured.turned_away(error):
                    raise
            else:
                self._usage_settled |= asks
                return answer
            if request.timeout_s is not None:
                left = max(0.001, request.timeout_s - (time.perf_counter() - started))

    async def aclose(self) -> None:
        """Close the connections."""
        await self._wire.aclose()

    def _stop_asking(self) -> None:
        # Calls that were under way come here too: the decision is taken and told once.
        if self._usage_rejected:
            return
        self._asks_usage = False
        self._usage_rejected = True
        _log.warning(
            "%s rejects stream_options.include_usage: tokens and cost of its streamed answers "
            "are unknown unless it counts them anyway",
            self._wire.host,
        )

    async def _once(
        self,
        request: Request,
        *,
        asks: bool,
        schema: AnswerSchema | None,
        timeout_s: float | None,
    ) -> Output:
        wire = self._wire
        body = self._body(request, asks=asks, schema=schema)
        if not self._stream:
            call = await self._exchange(body, timeout_s)
            return self._whole(wire, call)
        reader = ChatStream(wire) if self._api == "chat" else ResponsesStream(wire)
        call = await self._exchange(body, timeout_s, EventDecoder(reader.on_event))
        if not call.streamed:
            return self._whole(wire, call)
        answer = reader.output(call)
        if self._usage_rejected and isinstance(answer.extra, dict):
            answer.extra["usage_note"] = "the server rejects stream_options.include_usage"
        return answer

    async def _exchange(
        self, body: bytes, timeout_s: float | None, decoder: EventDecoder | None = None
    ) -> Any:
        try:
            return await self._wire.exchange(body, timeout_s=timeout_s, decoder=decoder)
        except TargetError as error:
            if error.http_status == 404 and self._hint and "model" not in error.message.lower():
                error.message += self._hint
                error.args = (error.message,)
            raise

    def _whole(self, wire: Wire, call: Any) -> Output:
        read = chat_output if self._api == "chat" else responses_output
        return read(wire, call, document(wire, call))

    def _body(self, request: Request, *, asks: bool, schema: AnswerSchema | None) -> bytes:
        head = self._head if schema is None else self._head_with(response_format=_format_of(schema))
        parts = [head]
        if asks:
            parts.append(',"stream_options":{"include_usage":true}')
        if self._send_seed and request.seed is not None:
            # Providers take a signed 32-bit number at the least.
            parts.append(f',"seed":{request.seed & 0x7FFFFFFF}')
        messages = ",".join(
            [f'{{"role":"{one.role}","content":{_text(one.content)}}}' for one in request.messages]
        )
        key = "messages" if self._api == "chat" else "input"
        parts.append(f',"{key}":[{messages}]}}')
        return "".join(parts).encode()


def _head(
    model: str,
    api: str,
    stream: bool,
    *,
    params: dict[str, Any],
    tools: list[dict[str, Any]] | None,
    response_format: dict[str, Any] | None,
    extra_body: dict[str, Any],
) -> str:
    """The part of the body that no call changes, as JSON without its closing brace."""
    body: dict[str, Any] = {"model": model, "stream": stream, **params}
    if tools:
        body["tools"] = tools
    if response_format is not None:
        if api == "chat":
            body["response_format"] = response_format
        else:
            text = dict(params.get("text") or {})
            if "format" in text:
                raise ConfigError("response_format: 'params' holds 'text.format' too")
            body["text"] = {**text, "format": _flat_format(response_format)}
    for name in ("tools", "response_format", "seed"):
        if name in extra_body and name in body:
            raise ConfigError(f"extra_body.{name} stands on the target too", hint="keep one")
    body.update(extra_body)
    return encoded("params", body)[:-1]


def _format_of(schema: AnswerSchema) -> dict[str, Any]:
    held = {"name": "answer", "strict": True, "schema": dict(schema)}
    return {"type": "json_schema", "json_schema": held}


def _flat_format(form: dict[str, Any]) -> dict[str, Any]:
    """The responses API wants name, schema and strict beside the type, chat one level deeper."""
    inner = form.get("json_schema")
    return {"type": "json_schema", **inner} if isinstance(inner, Mapping) else form


def _check_tools(tools: list[dict[str, Any]] | None, api: str) -> None:
    for one in tools or ():
        if one.get("type") != "function":
            continue
        deep = isinstance(one.get("function"), Mapping)
        if deep != (api == "chat"):
            raise ConfigError(
                f"tools: a function has another form in the {api} API",
                hint="write {type: function, function: {name: ..., parameters: ...}}"
                if api == "chat"
                else "write {type: function, name: ..., parameters: ...}",
            )


def _headers(
    key: str | None,
    given: dict[str, str],
    *,
    organization: str | None,
    project: str | None,
    azure: bool,
    openai: bool,
) -> dict[str, str]:
    headers = {"Content-Type": "application/json", "Accept-Encoding": "identity"}
    names = {name.lower() for name in given}
    if key is not None:
        name = "api-key" if azure else "Authorization"
        if name.lower() in names:
            raise ConfigError(f"api_key: 'headers' holds {name!r} too", hint="keep one")
        headers[name] = key if azure else f"Bearer {key}"
    elif (openai or azure) and not names & {"authorization", "api-key"}:
        raise ConfigError(
            "api_key: this server needs one", hint="write api_key: ${env:OPENAI_API_KEY}"
        )
    if organization:
        headers["OpenAI-Organization"] = organization
    if project:
        headers["OpenAI-Project"] = project
    return {name: text for name, text in headers.items() if name.lower() not in names} | given


def _rejects_usage(error: TargetError) -> bool:
    return error.error_class is ErrorClass.BAD_REQUEST and (
        "stream_options" in error.message or "include_usage" in error.message
    )
