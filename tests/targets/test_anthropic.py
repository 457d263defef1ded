from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from evalkit.errors import ConfigError, ErrorClass
from evalkit.model import Message, ToolCall, Usage
from evalkit.targets.anthropic import Anthropic
from tests.servers import Fault, ModelServer, Raw, Reply, Trouble
from tests.targets.calls import KEY, ask, ask_one, failed, request_of
from tests.targets.test_openai_compatible import STATUS, sse

both = pytest.mark.parametrize("stream", [True, False])


@pytest.fixture
def server() -> Iterator[ModelServer]:
    with ModelServer() as running:
        yield running


def model(server: ModelServer, **options: Any) -> Anthropic:
    return Anthropic(
        **{"model": "claude-x", "base_url": server.anthropic, "api_key": KEY, **options}
    )


@both
def test_an_answer_with_all_that_belongs_to_it(server: ModelServer, stream: bool) -> None:
    server.answer = Reply(
        text="Grüße aus Zürich 🙂", model="claude-x-1", cached_tokens=40, cache_write_tokens=5
    )
    output = ask_one(model(server, stream=stream), request_of("Hi", system="Be brief"))
    assert output.text == "Grüße aus Zürich 🙂"
    assert output.finish_reason == "stop"
    assert output.extra["stop_reason"] == "end_turn"
    assert output.model == "claude-x-1"
    # 11 new tokens, 40 read from the cache and 5 written to it
    assert output.usage == Usage(
        input_tokens=56, output_tokens=7, cached_tokens=40, cache_write_tokens=5
    )
    assert (output.ttft_s is not None) is stream
    assert (output.inter_token is not None) is stream
    seen = server.seen[-1]
    assert seen.path == "/v1/messages"
    assert seen.headers["x-api-key"] == KEY
    assert seen.headers["anthropic-version"] == "2023-06-01"
    assert seen.body == {
        "model": "claude-x",
        "max_tokens": 4096,
        "stream": stream,
        "system": "Be brief",
        "messages": [{"role": "user", "content": "Hi"}],
    }


def test_times_of_a_stream(server: ModelServer) -> None:
    server.answer = Reply(text="a b c", reasoning=("hm", "so"), first_s=0.05, gap_s=0.03)
    output = ask_one(model(server))
    assert output.ttft_s is not None
    assert output.latency_s is not None
    assert 0.105 <= output.ttft_s < output.latency_s
    assert 0.045 <= float(str(output.extra["first_reasoning_s"])) < output.ttft_s
    assert output.inter_token is not None
    assert output.inter_token.count == 2
    assert output.inter_token.mean_s >= 0.02


@both
def test_tool_calls_are_put_together(server: ModelServer, stream: bool) -> None:
    server.answer = Reply(
        text="", tools=(("find", '{"city": "Z\\u00fcrich", "n": 3}'), ("stop", "{}"))
    )
    tools = [{"name": "find", "input_schema": {"type": "object"}}]
    output = ask_one(model(server, stream=stream, tools=tools))
    assert output.finish_reason == "tool_calls"
    assert output.tool_calls[1] == ToolCall(name="stop", arguments="{}", id="toolu_1")
    assert json.loads(output.tool_calls[0].arguments) == {"city": "Zürich", "n": 3}
    assert server.seen[-1].body["tools"] == tools


def test_a_call_without_arguments_in_a_stream(server: ModelServer) -> None:
    server.answer = Reply(text="", tools=(("now", "{}"),))
    assert ask_one(model(server)).tool_calls[0].arguments == "{}"


@both
def test_reasons_to_stop_are_those_of_all_others(server: ModelServer, stream: bool) -> None:
    server.answer = Reply(text="cut", finish="max_tokens")
    assert ask_one(model(server, stream=stream)).finish_reason == "length"
    server.answer = Reply(text="begun", finish="refusal")
    assert ask_one(model(server, stream=stream)).finish_reason == "refusal"


_OWN = {
    Trouble.QUOTA: (ErrorClass.QUOTA, 400, False),
    Trouble.OVERLOADED: (ErrorClass.SERVER, 529, True),
}


@both
@pytest.mark.parametrize("trouble", STATUS)
def test_every_fault_has_its_class(server: ModelServer, stream: bool, trouble: Trouble) -> None:
    server.answer = Fault(trouble=trouble, headers={"Retry-After": "1"})
    error = failed(model(server, stream=stream, idle_timeout_s=0.15, max_answer_bytes=100_000))
    assert (error.error_class, error.http_status, error.retryable) == {**STATUS, **_OWN}[trouble]


def test_an_error_in_the_middle_of_a_stream(server: ModelServer) -> None:
    server.answer = Fault(trouble=Trouble.ERROR_IN_STREAM)
    error = failed(model(server))
    assert error.error_class is ErrorClass.SERVER
    assert "Overloaded" in error.message


def test_a_stream_without_its_last_event_is_complete_when_it_says_why_it_stopped(
    server: ModelServer,
) -> None:
    server.answer = Fault(trouble=Trouble.NO_DONE)
    assert ask_one(model(server)).finish_reason == "stop"


def test_a_stream_in_small_writes(server: ModelServer) -> None:
    server.answer = Reply(text="né à Genève 🙂", write_bytes=29, comments=True, newline="\r\n")
    assert ask_one(model(server)).text == "né à Genève 🙂"


def test_connections_are_kept(server: ModelServer) -> None:
    ask(model(server), *[request_of()] * 4)
    assert len({one.connection for one in server.seen}) == 1


START = {"type": "message_start", "message": {"usage": {"input_tokens": 3, "output_tokens": 1}}}
STOP = {
    "type": "message_delta",
    "delta": {"stop_reason": "end_turn"},
    "usage": {"output_tokens": 9},
}


def test_counts_are_running_totals_and_null_says_nothing(server: ModelServer) -> None:
    later = {**STOP, "usage": {"output_tokens": 9, "input_tokens": None}}
    server.answer = sse(START, later, {"type": "message_stop"})
    assert ask_one(model(server)).usage == Usage(input_tokens=3, output_tokens=9)


@pytest.mark.parametrize(
    "event",
    [
        "{",
        {"type": "content_block_delta"},
        {"type": "content_block_delta", "delta": 3},
        {"type": "content_block_delta", "delta": {"type": "text_delta", "text": 3}},
        {"type": "content_block_start", "content_block": []},
        {"type": "message_delta", "delta": None},
    ],
)
def test_events_of_any_shape_are_invalid_and_nothing_worse(server: ModelServer, event: Any) -> None:
    server.answer = sse(START, event, STOP, {"type": "message_stop"})
    assert failed(model(server)).error_class is ErrorClass.INVALID_RESPONSE


@pytest.mark.parametrize("body", [b"{}", b"[]", b'{"content": [3]}', b'{"content": 3}', b"nul"])
def test_documents_of_any_shape_are_invalid_and_nothing_worse(
    server: ModelServer, body: bytes
) -> None:
    server.answer = Raw(chunks=[body])
    assert failed(model(server, stream=False)).error_class is ErrorClass.INVALID_RESPONSE


@pytest.mark.parametrize(
    "roles",
    [(), ("system",), ("user", "system"), ("user", "tool")],
    ids=lambda roles: "-".join(roles),
)
def test_a_conversation_the_api_does_not_take_is_the_prompts_fault(
    server: ModelServer, roles: tuple[Any, ...]
) -> None:
    messages = tuple(Message(role=role, content="x") for role in roles)
    error = failed(model(server), replace(request_of(), messages=messages))
    assert error.error_class is ErrorClass.PROMPT
    assert not server.seen


def test_the_address_may_end_in_v1_or_in_full(server: ModelServer) -> None:
    ask_one(model(server, base_url=f"{server.url}/v1"))
    ask_one(model(server, base_url=f"{server.url}/v1/messages?beta=true"))
    assert [one.path for one in server.seen] == ["/v1/messages"] * 2
    assert server.seen[-1].query == {"beta": "true"}


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"api_key": None}, "ANTHROPIC_API_KEY"),
        ({"max_tokens": 0}, "max_tokens: must be"),
        ({"params": {"max_tokens": 3}}, "set 'max_tokens' on the target"),
        ({"params": {"system": "x"}}, "'system:' part"),
        ({"extra_body": {"tools": []}}, "extra_body.tools"),
        ({"headers": {"Anthropic-Version": "x"}}, "anthropic_version"),
        ({"headers": {"X-API-Key": "x"}}, "'headers' holds 'x-api-key' too"),
    ],
)
def test_what_cannot_work_is_told_before_the_first_call(
    options: dict[str, Any], words: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        Anthropic(**{"model": "claude-x", "api_key": KEY, **options})
    assert words in str(caught.value)
