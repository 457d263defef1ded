from __future__ import annotations

from typing import Any

import pytest

from evalkit.errors import ConfigError
from evalkit.targets.anthropic import Anthropic
from evalkit.targets.openai_compatible import OpenAICompatible

SCHEMA: dict[str, Any] = {"api_key": "sk-test-0123456789"}


def openai(model: str, params: dict[str, Any], **options: Any) -> OpenAICompatible:
    return OpenAICompatible(**{**SCHEMA, "model": model, "params": params, **options})


def local(model: str, params: dict[str, Any], **options: Any) -> OpenAICompatible:
    return openai(model, params, base_url="http://127.0.0.1:11434/v1", **options)


@pytest.mark.parametrize(
    ("model", "params", "api"),
    [
        ("gpt-4o-mini", {"temperature": 0, "max_tokens": 9, "seed": 1, "stop": "x"}, "chat"),
        ("gpt-4.1", {"temperature": 0, "max_output_tokens": 9, "top_p": 0.5}, "responses"),
        ("gpt-5-mini", {"max_completion_tokens": 300, "reasoning_effort": "low"}, "chat"),
        ("gpt-5-mini", {"temperature": 1, "top_p": 1}, "chat"),
        ("gpt-5", {"reasoning": {"effort": "high"}, "text": {"verbosity": "low"}}, "responses"),
        ("gpt-5-chat-latest", {"temperature": 0.3}, "chat"),
        ("gpt-5.2", {"temperature": 0.3}, "chat"),
        ("gpt-5.2", {"temperature": 0.3, "reasoning_effort": "none"}, "chat"),
        ("o3-mini", {"stop": ["x"], "seed": 1}, "chat"),
        ("o1-pro", {"max_output_tokens": 9}, "responses"),
        ("ft:gpt-4o-mini:org::id", {"temperature": 0}, "chat"),
        ("some-new-model", {"temperature": 0, "max_tokens": 9}, "chat"),
    ],
)
def test_openai_takes(model: str, params: dict[str, Any], api: str) -> None:
    openai(model, params, api=api)


@pytest.mark.parametrize(
    ("model", "params", "api", "what", "hint"),
    [
        (
            "gpt-5-mini",
            {"temperature": 0},
            "chat",
            "params.temperature is not taken",
            "leave it out",
        ),
        ("gpt-5", {"top_p": 0.9}, "responses", "params.top_p is not taken", "leave it out"),
        (
            "o3",
            {"temperature": 0.2},
            "chat",
            "params.temperature is not taken by 'o3'",
            "leave it out",
        ),
        ("o4-mini-2025-04-16", {"logprobs": True}, "chat", "params.logprobs", "leave it out"),
        ("o1", {"presence_penalty": 0.5}, "chat", "params.presence_penalty", "leave it out"),
        ("gpt-5-mini", {"max_tokens": 9}, "chat", "params.max_tokens", "'max_completion_tokens'"),
        ("gpt-5.2", {"max_tokens": 9}, "chat", "params.max_tokens", "'max_completion_tokens'"),
        ("gpt-5-nano", {"stop": ["x"]}, "chat", "params.stop", "leave it out"),
        (
            "gpt-5.2",
            {"temperature": 0, "reasoning_effort": "high"},
            "chat",
            "params.temperature",
            "to 'none'",
        ),
        (
            "gpt-5.4",
            {"top_p": 0.1, "reasoning": {"effort": "low"}},
            "responses",
            "params.top_p",
            "to 'none'",
        ),
        (
            "gpt-4o",
            {"reasoning_effort": "low"},
            "chat",
            "params.reasoning_effort",
            "no reasoning model",
        ),
        ("gpt-4o", {"reasoning": {}}, "responses", "params.reasoning", "no reasoning model"),
        ("gpt-4o", {"seed": 1}, "responses", "params.seed", "has no seed"),
        ("gpt-4o", {"stop": "x"}, "responses", "params.stop", "api: chat"),
        ("gpt-4o", {"max_tokens": 1}, "responses", "params.max_tokens", "max_output_tokens"),
        (
            "gpt-4o",
            {"max_output_tokens": 1},
            "chat",
            "params.max_output_tokens",
            "max_completion_tokens",
        ),
        ("gpt-4o", {"temprature": 1}, "chat", "params.temprature", "did you mean 'temperature'?"),
        ("gpt-4o", {"max_completion_token": 1}, "chat", "params.max_completion_token", "_tokens'?"),
        ("gpt-4o", {"temperature": 3}, "chat", "params.temperature must be from 0 to 2", ""),
        ("gpt-4o", {"temperature": True}, "chat", "params.temperature must be a number", ""),
        ("gpt-4o", {"temperature": "0"}, "chat", "params.temperature must be a number", ""),
        ("gpt-4o", {"max_tokens": 0}, "chat", "params.max_tokens must be a whole number", ""),
        ("gpt-4o", {"max_tokens": 1, "max_completion_tokens": 1}, "chat", "exclude", "keep one"),
        ("o1-pro", {}, "chat", "'o1-pro' is not served", "api: responses"),
        ("gpt-5-codex", {}, "chat", "'gpt-5-codex' is not served", "api: responses"),
        ("gpt-4o", {"background": True}, "responses", "params.background", "waits"),
    ],
)
def test_openai_does_not_take(
    model: str, params: dict[str, Any], api: str, what: str, hint: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        openai(model, params, api=api)
    assert what in caught.value.what
    assert hint in caught.value.hint


def test_azure_is_checked_as_openai_is() -> None:
    with pytest.raises(ConfigError, match=r"params\.temperature"):
        openai("o3-mini", {"temperature": 0}, base_url="https://x.openai.azure.com/openai/v1")


def test_elsewhere_a_models_name_means_nothing() -> None:
    local("gpt-5-mini", {"temperature": 0, "max_tokens": 9})
    local("o3", {"temperature": 7})


def test_elsewhere_a_parameter_unknown_to_openai_goes_into_extra_body() -> None:
    with pytest.raises(ConfigError) as caught:
        local("llama", {"top_k": 5})
    assert "extra_body" in caught.value.hint
    with pytest.raises(ConfigError) as caught:
        local("llama", {"temperatur": 5})
    assert caught.value.hint.startswith("did you mean 'temperature'?")
    assert "extra_body" in caught.value.hint
    local("llama", {}, extra_body={"top_k": 5})


def claude(model: str, params: dict[str, Any], **options: Any) -> Anthropic:
    return Anthropic(**{**SCHEMA, "model": model, "params": params, **options})


@pytest.mark.parametrize(
    ("model", "params"),
    [
        ("claude-3-5-haiku-latest", {"temperature": 0, "top_p": 0.5, "top_k": 3}),
        ("claude-sonnet-4-20250514", {"temperature": 0, "top_p": 0.5}),
        ("claude-haiku-4-5", {"temperature": 0}),
        ("claude-opus-4-6", {"temperature": 0.5}),
        ("claude-opus-4-7", {"temperature": 1}),
        ("claude-opus-5", {"thinking": {"type": "adaptive"}, "stop_sequences": ["x"]}),
        ("claude-sonnet-4-5", {"thinking": {"type": "enabled", "budget_tokens": 2000}}),
        ("us.anthropic.claude-sonnet-4-5-v1:0", {"temperature": 0}),
    ],
)
def test_claude_takes(model: str, params: dict[str, Any]) -> None:
    claude(model, params)


@pytest.mark.parametrize(
    ("model", "params", "what", "hint"),
    [
        ("claude-opus-4-7", {"temperature": 0}, "params.temperature is not taken", "leave it out"),
        ("claude-opus-4-8-20260601", {"top_k": 3}, "params.top_k is not taken", "leave it out"),
        ("claude-sonnet-5", {"temperature": 1, "top_p": 0.99}, "not taken", "leave it out"),
        ("claude-fable-5-1", {"top_p": 0.5}, "params.top_p is not taken", "leave it out"),
        ("anthropic/claude-opus-5", {"temperature": 0.1}, "params.temperature", "leave it out"),
        (
            "claude-opus-5",
            {"thinking": {"type": "enabled", "budget_tokens": 2000}},
            "params.thinking of type 'enabled'",
            "adaptive",
        ),
        ("claude-opus-4-1", {"temperature": 0, "top_p": 0.5}, "exclude each other", "keep one"),
        (
            "claude-sonnet-4-5",
            {"thinking": {"type": "enabled", "budget_tokens": 2000}, "temperature": 0},
            "params.temperature is not taken while",
            "leave it out",
        ),
        (
            "claude-sonnet-4-5",
            {"thinking": {"type": "enabled", "budget_tokens": 5000}},
            "budget_tokens",
            "4096",
        ),
        ("claude-haiku-4-5", {"temperature": 1.5}, "must be from 0 to 1", ""),
        ("claude-haiku-4-5", {"seed": 1}, "params.seed", "no seed"),
        ("claude-haiku-4-5", {"stop": ["x"]}, "params.stop", "stop_sequences"),
        ("claude-haiku-4-5", {"stop_sequence": ["x"]}, "params.stop_sequence", "did you mean"),
        ("claude-haiku-4-5", {"max_completion_tokens": 5}, "params.max_comp", "'max_tokens'"),
        ("claude-haiku-4-5", {"stop_sequences": "x"}, "must be a list", ""),
    ],
)
def test_claude_does_not_take(model: str, params: dict[str, Any], what: str, hint: str) -> None:
    with pytest.raises(ConfigError) as caught:
        claude(model, params)
    assert what in caught.value.what
    assert hint in caught.value.hint


def test_a_new_api_version_takes_no_sampling_at_all() -> None:
    with pytest.raises(ConfigError, match="anthropic-version 2026-10-21"):
        claude("claude-haiku-4-5", {"temperature": 1}, anthropic_version="2026-10-21")
