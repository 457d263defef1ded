"""Which parameters an API and a family of models take, checked before the first call.

Sources: the OpenAI API reference and its notes on reasoning models, the Anthropic API reference
and its migration guides, as of November 2026. A family is refused only what it is known to refuse;
a model of no known family is checked for names alone.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, Literal, TypeGuard

from evalkit.errors import ConfigError, suggestion

Api = Literal["chat", "responses"]


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_SHARED = _words(
    """metadata parallel_tool_calls prompt_cache_key prompt_cache_retention safety_identifier
    service_tier store temperature tool_choice top_logprobs top_p user"""
)
CHAT = _SHARED | _words(
    """audio frequency_penalty function_call functions logit_bias logprobs max_completion_tokens
    max_tokens modalities prediction presence_penalty reasoning_effort seed stop verbosity
    web_search_options"""
)
RESPONSES = _SHARED | _words(
    """context_management include instructions max_output_tokens max_tool_calls prompt reasoning
    text truncation"""
)
MESSAGES = _words(
    """cache_control container context_management inference_geo mcp_servers metadata output_config
    service_tier speed stop_sequences temperature thinking tool_choice top_k top_p"""
)

_OF_OTHERS = _words(
    """top_k min_p top_a typical_p repetition_penalty length_penalty chat_template_kwargs
    guided_json guided_regex guided_choice grammar mirostat num_ctx keep_alive think"""
)
"""Parameters of vLLM, llama.cpp, Ollama and others that only look like a slip of the pen."""

_OWN = {
    "model": "set 'model' on the target",
    "messages": "write the messages in the prompt file",
    "input": "write the messages in the prompt file",
    "system": "write a 'system:' part in the prompt file",
    "stream": "set 'stream' on the target",
    "stream_options": "evalkit asks for the usage itself; 'stream_usage: false' turns that off",
    "tools": "set 'tools' on the target",
    "response_format": "set 'response_format' on the target",
    "extra_body": "set 'extra_body' on the target, beside 'params'",
    "extra_headers": "set 'headers' on the target",
    "extra_query": "set 'query' on the target",
    "n": "evalkit reads one answer a call; use 'trials' in the suite",
    "background": "evalkit waits for each answer",
    "conversation": "every case must be answered alone",
    "previous_response_id": "every case must be answered alone",
}
"""Parameters that evalkit sets, or that would make an answer depend on another."""

_RESPONSES_NAMES = {
    "max_tokens": "it is 'max_output_tokens' in the responses API",
    "max_completion_tokens": "it is 'max_output_tokens' in the responses API",
    "max_tokens_to_sample": "it is 'max_output_tokens' in the responses API",
    "reasoning_effort": "it is 'reasoning: {effort: ...}' in the responses API",
    "verbosity": "it is 'text: {verbosity: ...}' in the responses API",
    "logprobs": "it is 'top_logprobs' with 'include: [message.output_text.logprobs]'",
    "seed": "the responses API has no seed; 'api: chat' has",
    "stop": "the responses API has no stop sequences; 'api: chat' has",
    "logit_bias": "the responses API has none; 'api: chat' has",
    "frequency_penalty": "the responses API has none; 'api: chat' has",
    "presence_penalty": "the responses API has none; 'api: chat' has",
}
_CHAT_NAMES = {
    "max_output_tokens": "it is 'max_completion_tokens' in the chat API",
    "max_tokens_to_sample": "it is 'max_completion_tokens' in the chat API",
    "reasoning": "it is 'reasoning_effort' in the chat API",
    "stop_sequences": "it is 'stop' in the chat API",
    "instructions": "write a 'system:' part in the prompt file",
}
_MESSAGES_NAMES = {
    "max_tokens": "set 'max_tokens' on the target",
    "max_completion_tokens": "it is 'max_tokens', set on the target",
    "max_output_tokens": "it is 'max_tokens', set on the target",
    "stop": "it is 'stop_sequences' in the messages API",
    "seed": "the messages API has no seed",
    "logprobs": "the messages API has no log probabilities",
    "frequency_penalty": "the messages API has no penalties",
    "presence_penalty": "the messages API has no penalties",
    "reasoning_effort": "it is 'output_config: {effort: ...}' in the messages API",
    "response_format": "it is 'output_config: {format: ...}' in the messages API",
    "betas": "set the header 'anthropic-beta' under 'headers'",
}


def _number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _whole(value: Any) -> TypeGuard[int]:
    return isinstance(value, int) and not isinstance(value, bool)


def _texts(value: Any) -> bool:
    return isinstance(value, list | tuple) and all(isinstance(one, str) for one in value)


_Check = tuple[Callable[[Any], bool], str]
_SHAPES: dict[str, _Check] = {
    **dict.fromkeys(
        ["temperature", "frequency_penalty", "presence_penalty"], (_number, "a number")
    ),
    "top_p": (lambda value: _number(value) and 0 <= value <= 1, "a number from 0 to 1"),
    **dict.fromkeys(
        ["max_tokens", "max_completion_tokens", "max_output_tokens", "max_tool_calls"],
        (lambda value: _whole(value) and value > 0, "a whole number above 0"),
    ),
    "seed": (_whole, "a whole number"),
    "top_k": (_whole, "a whole number"),
    "top_logprobs": (
        lambda value: _whole(value) and 0 <= value <= 20,
        "a whole number from 0 to 20",
    ),
    **dict.fromkeys(
        ["logprobs", "store", "parallel_tool_calls"], (lambda v: isinstance(v, bool), "yes or no")
    ),
    **dict.fromkeys(
        ["metadata", "logit_bias", "reasoning", "text", "thinking", "output_config"],
        (lambda value: isinstance(value, Mapping), "a mapping"),
    ),
    "stop": (
        lambda value: isinstance(value, str) or _texts(value),
        "a text or a list of texts",
    ),
    "stop_sequences": (_texts, "a list of texts"),
    **dict.fromkeys(
        ["reasoning_effort", "verbosity", "service_tier", "user", "instructions"],
        (lambda value: isinstance(value, str), "a text"),
    ),
}


def _refuse(name: str, why: str, hint: str) -> ConfigError:
    return ConfigError(f"params.{name} {why}", hint=hint)


def _check_names(
    params: Mapping[str, Any], known: frozenset[str], moved: Mapping[str, str], api: str, extra: str
) -> None:
    for name, value in params.items():
        if name not in known:
            hint = moved.get(name) or _OWN.get(name)
            if hint is not None:
                raise _refuse(name, f"is not a parameter of the {api} API here", hint)
            near = suggestion(name, known)
            if extra:
                close = near.startswith("did you mean") and name not in _OF_OTHERS
                near = f"{near} {extra}" if close else extra
            raise _refuse(name, f"is not a parameter of the {api} API", near)
        check = _SHAPES.get(name)
        if check is not None and value is not None and not check[0](value):
            raise _refuse(name, f"must be {check[1]}, not {value!r}"[:200], "")


def check_extra(extra_body: Mapping[str, Any], params: Mapping[str, Any]) -> None:
    """``extra_body`` passes anything on, but not what evalkit or ``params`` set already."""
    for name in extra_body:
        if name in params:
            raise ConfigError(f"extra_body.{name} stands in 'params' too", hint="keep one")
        if name in {"model", "messages", "input", "stream", "stream_options", "n", "system"}:
            raise ConfigError(f"extra_body.{name} is set by evalkit", hint=_OWN[name])


_MODEL = re.compile(
    r"(?:^|/)(?:(?P<o>o[1-9])|(?P<gpt>gpt-(?P<major>[5-9])(?:\.(?P<minor>\d+))?))"
    r"(?P<rest>(?:-[a-z0-9.-]+)?)$"
)
_RESPONSES_ONLY = re.compile(
    r"^(o\d-pro|o\d(-mini)?-deep-research|gpt-\d(\.\d+)?-pro|gpt-5(\.\d+)?-codex|codex-mini"
    r"|computer-use-preview)(-|$)"
)
_NO_REASONING = re.compile(r"^(gpt-4|gpt-3|chatgpt)")
_SAMPLING: dict[str, Any] = {
    "temperature": 1,
    "top_p": 1,
    "presence_penalty": 0,
    "frequency_penalty": 0,
    "logprobs": False,
    "top_logprobs": None,
    "logit_bias": None,
}
"""What reasoning models do not take, with the one value that they let pass."""


def check_openai(
    api: Api, model: str, params: Mapping[str, Any], *, known_host: bool, extra_hint: str
) -> None:
    """Refuse parameters that the API, or the model of that name, does not take.

    ``known_host`` says that the endpoint is OpenAI's or Azure's: only there does a model's name
    tell what it takes. Raises ``ConfigError`` with the nearest valid name or the way out.
    """
    if api == "chat":
        _check_names(params, CHAT, _CHAT_NAMES, api, extra_hint)
    else:
        _check_names(params, RESPONSES, _RESPONSES_NAMES, api, extra_hint)
    if "max_tokens" in params and "max_completion_tokens" in params:
        raise _refuse("max_tokens", "and 'max_completion_tokens' exclude each other", "keep one")
    if not known_host:
        return
    name = model.lower()
    temperature = params.get("temperature")
    if temperature is not None and not 0 <= temperature <= 2:
        raise _refuse("temperature", f"must be from 0 to 2, not {temperature!r}", "")
    if api == "chat" and _RESPONSES_ONLY.match(name):
        raise ConfigError(
            f"model: {model!r} is not served by the chat API", hint="set 'api: responses'"
        )
    found = _MODEL.search(name)
    if found is None or "-chat" in found["rest"]:
        if _NO_REASONING.match(name):
            for one in ("reasoning_effort", "reasoning"):
                if one in params:
                    raise _refuse(one, f"is not taken by {model!r}", "it is no reasoning model")
        return
    _check_reasoning(found, model, params)


def _check_reasoning(found: re.Match[str], model: str, params: Mapping[str, Any]) -> None:
    if "max_tokens" in params:
        raise _refuse(
            "max_tokens",
            f"is not taken by {model!r}",
            "use 'max_completion_tokens'; it counts the reasoning too",
        )
    fixed = found["o"] is not None or (found["major"] == "5" and found["minor"] is None)
    takes_stop = found["o"] == "o1" or (found["o"] == "o3" and found["rest"].startswith("-mini"))
    if fixed and "stop" in params and not takes_stop:
        raise _refuse("stop", f"is not taken by {model!r}", "leave it out: a reasoning model")
    reasoning = params.get("reasoning")
    effort = params.get("reasoning_effort") or (reasoning or {}).get("effort")
    # From gpt-5.1 on sampling is open while reasoning is off, which is what some default to.
    if not fixed and effort in (None, "none"):
        return
    for one, passes in _SAMPLING.items():
        value = params.get(one)
        if value is not None and value != passes:
            raise _refuse(
                one,
                f"is not taken by {model!r}",
                "leave it out: a reasoning model samples in its own way"
                if fixed
                else "leave it out, or set the reasoning effort to 'none'",
            )


_CLAUDE = re.compile(
    r"claude-(?P<family>opus|sonnet|haiku|fable|mythos)-(?P<major>\d{1,2})(?:-(?P<minor>\d{1,2}))?"
    r"(?=$|[-@:.])"
)
_NO_SAMPLING_FROM = {
    "opus": (4, 7),
    "sonnet": (5, 0),
    "haiku": (5, 0),
    "fable": (0, 0),
    "mythos": (0, 0),
}
_NO_SAMPLING_VERSION = "2026-10-21"


def check_anthropic(
    model: str, params: Mapping[str, Any], *, max_tokens: int, version: str, extra_hint: str
) -> None:
    """Refuse parameters that the messages API, or the Claude of that name, does not take.

    Raises ``ConfigError`` with the nearest valid name or the way out.
    """
    _check_names(params, MESSAGES, _MESSAGES_NAMES, "messages", extra_hint)
    if not _whole(max_tokens) or max_tokens < 1:
        raise ConfigError(f"max_tokens: must be a whole number above 0, not {max_tokens!r}")
    temperature = params.get("temperature")
    if temperature is not None and not 0 <= temperature <= 1:
        raise _refuse("temperature", f"must be from 0 to 1, not {temperature!r}", "")
    sampling = [one for one in ("temperature", "top_p", "top_k") if params.get(one) is not None]
    thinking = params.get("thinking") or {}
    manual = thinking.get("type") == "enabled"
    found = _CLAUDE.search(model.lower())
    release = (0, 0) if found is None else (int(found["major"]), int(found["minor"] or 0))
    closed = found is not None and release >= _NO_SAMPLING_FROM[found["family"]]
    dated = version >= _NO_SAMPLING_VERSION
    # Under older API versions the default of a closed model passes, if it stands alone.
    if dated or (closed and (sampling != ["temperature"] or temperature != 1)):
        whom = f"{model!r}" if closed else f"anthropic-version {version}"
        for one in sampling:
            raise _refuse(one, f"is not taken by {whom}", "leave it out")
    if closed and manual:
        raise _refuse(
            "thinking",
            f"of type 'enabled' is not taken by {model!r}",
            "use 'thinking: {type: adaptive}' with 'output_config: {effort: ...}'",
        )
    if release >= (4, 1) and {"temperature", "top_p"} <= set(sampling):
        raise _refuse("top_p", f"and 'temperature' exclude each other for {model!r}", "keep one")
    if manual:
        if "top_k" in sampling or params.get("temperature", 1) != 1:
            bad = "top_k" if "top_k" in sampling else "temperature"
            raise _refuse(bad, "is not taken while the model thinks", "leave it out")
        budget = thinking.get("budget_tokens")
        if not _whole(budget) or budget < 1024 or budget >= max_tokens:
            raise _refuse(
                "thinking",
                "needs 'budget_tokens' of at least 1024 and below 'max_tokens'",
                f"max_tokens is {max_tokens}",
            )
