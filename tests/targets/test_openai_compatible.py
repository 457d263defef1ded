from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Iterator
from typing import Any

import pytest

from evalkit.errors import ConfigError, ErrorClass, TargetError
from evalkit.model import ToolCall, Usage
from evalkit.registry import Kind, get
from evalkit.targets.openai_compatible import OpenAICompatible
from tests.servers import Fault, ModelServer, Raw, Reply, Trouble
from tests.targets.calls import KEY, ask, ask_one, failed, request_of

WAYS = [("chat", True), ("chat", False), ("responses", True), ("responses", False)]
every_way = pytest.mark.parametrize(("api", "stream"), WAYS)


@pytest.fixture
def server() -> Iterator[ModelServer]:
    with ModelServer() as running:
        yield running


def model(server: ModelServer, **options: Any) -> OpenAICompatible:
    return OpenAICompatible(
        **{"model": "m-1", "base_url": server.openai, "api_key": KEY, **options}
    )


@every_way
def test_an_answer_with_all_that_belongs_to_it(server: ModelServer, api: Any, stream: bool) -> None:
    server.answer = Reply(
        text="Grüße aus Zürich 🙂", model="m-1-2026", cached_tokens=4, reasoning_tokens=2
    )
    output = ask_one(model(server, api=api, stream=stream), request_of("Hi", system="Be brief"))
    assert output.text == "Grüße aus Zürich 🙂"
    assert output.finish_reason == "stop"
    assert output.model == "m-1-2026"
    assert output.usage == Usage(
        input_tokens=11, output_tokens=7, cached_tokens=4, reasoning_tokens=2
    )
    assert output.latency_s is not None
    assert output.latency_s > 0
    assert (output.ttft_s is not None) is stream
    assert (output.inter_token is not None) is stream
    seen = server.seen[-1]
    assert seen.path == ("/v1/chat/completions" if api == "chat" else "/v1/responses")
    assert seen.headers["Authorization"] == f"Bearer {KEY}"
    assert seen.headers["User-Agent"].startswith("evalkit/")
    assert seen.body["messages" if api == "chat" else "input"] == [
        {"role": "system", "content": "Be brief"},
        {"role": "user", "content": "Hi"},
    ]


@pytest.mark.parametrize("api", ["chat", "responses"])
def test_times_of_a_stream(server: ModelServer, api: Any) -> None:
    server.answer = Reply(text="a b c d e", reasoning=("hm", "so"), first_s=0.05, gap_s=0.03)
    target = model(server, api=api)
    output = ask_one(target)
    # reasoning at 50 and 80 ms, text at 110, 140, 170, 200 and 230 ms
    assert output.ttft_s is not None
    assert output.latency_s is not None
    assert 0.105 <= output.ttft_s < output.latency_s
    assert output.latency_s >= 0.225
    first_reasoning = output.extra["first_reasoning_s"]
    assert isinstance(first_reasoning, float)
    assert 0.045 <= first_reasoning < output.ttft_s
    gaps = output.inter_token
    assert gaps is not None
    assert gaps.count == 4
    assert 0.02 <= gaps.mean_s <= gaps.p95_s <= gaps.max_s
    assert gaps.mean_s * 4 <= output.latency_s - output.ttft_s + 1e-6


def test_making_the_connection_is_not_part_of_the_latency(server: ModelServer) -> None:
    first, second = ask(model(server), request_of(), request_of())
    assert isinstance(first.extra["connect_s"], float)
    assert "connect_s" not in second.extra


@every_way
def test_connections_are_kept(server: ModelServer, api: Any, stream: bool) -> None:
    ask(model(server, api=api, stream=stream), *[request_of()] * 5)
    assert len({one.connection for one in server.seen}) == 1


@every_way
def test_nothing_limits_the_calls_under_way(server: ModelServer, api: Any, stream: bool) -> None:
    server.answer = Reply(first_s=0.2)
    target = model(server, api=api, stream=stream)

    async def work() -> None:
        await asyncio.gather(*(target.send(request_of()) for _ in range(150)))
        await target.aclose()

    asyncio.run(work())
    assert server.most_at_once == 150


@every_way
def test_tool_calls_are_put_together(server: ModelServer, api: Any, stream: bool) -> None:
    server.answer = Reply(tools=(("find", '{"city": "Zürich", "n": 3}'), ("stop", "{}")))
    tool = {"name": "find", "parameters": {"type": "object"}}
    form = {"type": "function", **({"function": tool} if api == "chat" else tool)}
    output = ask_one(model(server, api=api, stream=stream, tools=[form]))
    assert output.text == ""
    assert output.finish_reason == "tool_calls"
    assert output.tool_calls == (
        ToolCall(name="find", arguments='{"city": "Zürich", "n": 3}', id="call_0"),
        ToolCall(name="stop", arguments="{}", id="call_1"),
    )
    assert (output.ttft_s is not None) is stream
    assert server.seen[-1].body["tools"] == [form]


@every_way
def test_a_refusal_in_words_is_an_answer(server: ModelServer, api: Any, stream: bool) -> None:
    server.answer = Reply(refusal="I can't help with that.")
    output = ask_one(model(server, api=api, stream=stream))
    assert output.text == "I can't help with that."
    assert output.extra["refusal"] == "I can't help with that."


@every_way
def test_an_answer_cut_by_its_length_limit(server: ModelServer, api: Any, stream: bool) -> None:
    server.answer = Reply(text="", finish="length" if api == "chat" else "max_output_tokens")
    output = ask_one(model(server, api=api, stream=stream))
    assert output.text == ""
    assert output.finish_reason == "length"
    assert output.ttft_s is None


@pytest.mark.parametrize("newline", ["\n", "\r\n"])
@pytest.mark.parametrize("api", ["chat", "responses"])
def test_a_stream_in_small_writes_with_comments(
    server: ModelServer, api: Any, newline: str
) -> None:
    server.answer = Reply(
        text="né à Genève 🙂", comments=True, write_bytes=37, newline=newline, reasoning=("x",)
    )
    assert ask_one(model(server, api=api)).text == "né à Genève 🙂"


STATUS = {
    Trouble.UNAUTHORIZED: (ErrorClass.AUTH, 401, False),
    Trouble.FORBIDDEN: (ErrorClass.AUTH, 403, False),
    Trouble.NO_MODEL: (ErrorClass.NOT_FOUND, 404, False),
    Trouble.BAD_REQUEST: (ErrorClass.BAD_REQUEST, 400, False),
    Trouble.CONTEXT_LENGTH: (ErrorClass.BAD_REQUEST, 400, False),
    Trouble.RATE_LIMIT: (ErrorClass.RATE_LIMIT, 429, True),
    Trouble.QUOTA: (ErrorClass.QUOTA, 429, False),
    Trouble.CONTENT_FILTER: (ErrorClass.REFUSED, 400, False),
    Trouble.SERVER_ERROR: (ErrorClass.SERVER, 500, True),
    Trouble.OVERLOADED: (ErrorClass.SERVER, 503, True),
    Trouble.HTML_ERROR: (ErrorClass.SERVER, 502, True),
    Trouble.REDIRECT: (ErrorClass.BAD_REQUEST, 307, False),
    Trouble.ECHO_KEY: (ErrorClass.AUTH, 401, False),
    Trouble.ERROR_IN_200: (ErrorClass.RATE_LIMIT, 200, True),
    Trouble.FILTERED: (ErrorClass.REFUSED, 200, False),
    Trouble.HTML: (ErrorClass.INVALID_RESPONSE, None, False),
    Trouble.EMPTY: (ErrorClass.INVALID_RESPONSE, None, True),
    Trouble.TRUNCATED_JSON: (ErrorClass.INVALID_RESPONSE, None, True),
    Trouble.CUT_STREAM: (ErrorClass.INVALID_RESPONSE, None, True),
    Trouble.HUGE: (ErrorClass.INVALID_RESPONSE, None, False),
    Trouble.RESET: (ErrorClass.CONNECTION, None, True),
    Trouble.DROP: (ErrorClass.CONNECTION, None, True),
    Trouble.STALL: (ErrorClass.TIMEOUT, None, True),
    Trouble.SILENT: (ErrorClass.TIMEOUT, None, True),
}


@every_way
@pytest.mark.parametrize("trouble", STATUS)
def test_every_fault_has_its_class(
    server: ModelServer, api: Any, stream: bool, trouble: Trouble
) -> None:
    server.answer = Fault(trouble=trouble)
    target = model(server, api=api, stream=stream, idle_timeout_s=0.15, max_answer_bytes=100_000)
    error = failed(target)
    assert (error.error_class, error.http_status, error.retryable) == STATUS[trouble]
    assert f"127.0.0.1:{server.port}" in error.message


@pytest.mark.parametrize("api", ["chat", "responses"])
def test_an_error_in_the_middle_of_a_stream(server: ModelServer, api: Any) -> None:
    server.answer = Fault(trouble=Trouble.ERROR_IN_STREAM)
    error = failed(model(server, api=api))
    assert error.error_class is ErrorClass.SERVER
    assert "verloaded" in error.message


@every_way
def test_the_whole_attempt_has_a_time_limit(server: ModelServer, api: Any, stream: bool) -> None:
    server.answer = Fault(trouble=Trouble.ENDLESS_COMMENTS)
    error = failed(model(server, api=api, stream=stream), request_of(timeout_s=0.2))
    assert error.error_class is ErrorClass.TIMEOUT
    assert "0.2 s" in error.message


def test_a_stream_without_its_last_line_is_complete_when_it_says_why_it_stopped(
    server: ModelServer,
) -> None:
    server.answer = Fault(trouble=Trouble.NO_DONE)
    assert ask_one(model(server)).finish_reason == "stop"


def test_a_streamed_response_without_its_last_event_is_cut_off(server: ModelServer) -> None:
    server.answer = Fault(trouble=Trouble.NO_DONE)
    assert failed(model(server, api="responses")).error_class is ErrorClass.INVALID_RESPONSE


@pytest.mark.parametrize(
    ("value", "expected"), [("2", 2.0), ("Wed, 21 Oct 2015 07:28:00 GMT", 0.0)]
)
def test_the_servers_wait_is_passed_on(server: ModelServer, value: str, expected: float) -> None:
    server.answer = Fault(trouble=Trouble.RATE_LIMIT, headers={"Retry-After": value})
    assert failed(model(server)).retry_after_s == expected


def test_a_long_text_of_the_server_is_cut(server: ModelServer) -> None:
    server.answer = Fault(trouble=Trouble.BAD_REQUEST, message="x\r\n" * 4000)
    message = failed(model(server)).message
    assert message.endswith("…")
    assert len(message) < 350


def test_keys_in_headers_of_ones_own_are_secret_too(server: ModelServer) -> None:
    server.answer = Fault(trouble=Trouble.ECHO_KEY)
    target = model(server, api_key=None, headers={"X-Gateway-Token": KEY, "X-Team": "red team"})
    message = failed(target).message
    assert "X-Gateway-Token=[redacted]" in message
    assert "X-Team=red team" in message


class TestUsageOfStreams:
    def test_it_is_asked_for(self, server: ModelServer) -> None:
        assert ask_one(model(server)).usage.input_tokens == 11
        assert server.seen[-1].body["stream_options"] == {"include_usage": True}

    def test_it_is_not_asked_for_when_the_user_says_so(self, server: ModelServer) -> None:
        assert ask_one(model(server, stream_usage=False)).usage == Usage()
        assert "stream_options" not in server.seen[-1].body

    def test_a_server_that_rejects_it_is_asked_no_more_and_the_user_is_told_once(
        self, server: ModelServer, caplog: pytest.LogCaptureFixture
    ) -> None:
        server.answer = Fault(trouble=Trouble.NO_STREAM_OPTIONS)
        with caplog.at_level(logging.WARNING):
            outputs = ask(model(server), *[request_of()] * 3)
        assert ["stream_options" in one.body for one in server.seen] == [True, False, False, False]
        assert all(one.usage == Usage() for one in outputs)
        assert all("stream_options" in str(one.extra["usage_note"]) for one in outputs)
        assert len(caplog.records) == 1

    def test_calls_that_start_together_decide_together(
        self, server: ModelServer, caplog: pytest.LogCaptureFixture
    ) -> None:
        server.answer = Fault(trouble=Trouble.NO_STREAM_OPTIONS)
        target = model(server)

        async def work() -> list[Any]:
            found = await asyncio.gather(*(target.send(request_of()) for _ in range(8)))
            await target.aclose()
            return found

        assert len(asyncio.run(work())) == 8
        assert len(caplog.records) == 1

    def test_once_accepted_a_rejection_is_an_error(self, server: ModelServer) -> None:
        server.answer = [Reply(), Fault(trouble=Trouble.NO_STREAM_OPTIONS)]
        with pytest.raises(TargetError) as caught:
            ask(model(server), request_of(), request_of())
        assert caught.value.error_class is ErrorClass.BAD_REQUEST

    def test_insisting_makes_a_rejection_an_error(self, server: ModelServer) -> None:
        server.answer = Fault(trouble=Trouble.NO_STREAM_OPTIONS)
        error = failed(model(server, stream_usage=True))
        assert error.error_class is ErrorClass.BAD_REQUEST
        assert len(server.seen) == 1

    def test_another_bad_request_is_not_tried_again(self, server: ModelServer) -> None:
        server.answer = Fault(trouble=Trouble.BAD_REQUEST)
        failed(model(server))
        assert len(server.seen) == 1

    def test_usage_that_comes_unasked_counts(self, server: ModelServer) -> None:
        server.answer = Reply(usage_always=True)
        assert ask_one(model(server, stream_usage=False)).usage.output_tokens == 7


def sse(*chunks: Any) -> Raw:
    lines = [f"data: {one if isinstance(one, str) else json.dumps(one)}\n\n" for one in chunks]
    return Raw(
        chunks=[line.encode() for line in lines], headers={"Content-Type": "text/event-stream"}
    )


def delta(finish: str | None = None, **fields: Any) -> dict[str, Any]:
    return {"choices": [{"index": 0, "delta": fields, "finish_reason": finish}]}


class TestLogProbabilities:
    """Their sum and their number are kept, which is what perplexity needs; tokens are not."""

    def test_of_a_streamed_answer(self, server: ModelServer) -> None:
        first = delta(content="He")
        first["choices"][0]["logprobs"] = {"content": [{"token": "He", "logprob": -0.5}]}
        second = delta(content="llo")
        second["choices"][0]["logprobs"] = {
            "content": [
                {"logprob": -0.25},
                {"logprob": -99999},
                {"logprob": "?"},
                {"logprob": 1},
                7,
            ]
        }
        server.answer = sse(first, second, delta("stop"), "[DONE]")
        extra = ask_one(model(server, params={"logprobs": True})).extra
        assert (extra["logprob_sum"], extra["logprob_tokens"]) == (-0.75 - 9999, 3)

    def test_of_a_whole_answer(self, server: ModelServer) -> None:
        choice = {
            "message": {"content": "Hi"},
            "finish_reason": "stop",
            "logprobs": {"content": [{"logprob": -1.5}, {"logprob": -0.5}]},
        }
        server.answer = Raw(chunks=[json.dumps({"choices": [choice]}).encode()])
        output = ask_one(model(server, stream=False))
        assert (output.extra["logprob_sum"], output.extra["logprob_tokens"]) == (-2.0, 2)

    def test_of_a_response(self, server: ModelServer) -> None:
        part = {"type": "output_text", "text": "Hi", "logprobs": [{"logprob": -0.5}]}
        body = {"status": "completed", "output": [{"type": "message", "content": [part]}]}
        server.answer = Raw(chunks=[json.dumps(body).encode()])
        output = ask_one(model(server, api="responses", stream=False))
        assert (output.extra["logprob_sum"], output.extra["logprob_tokens"]) == (-0.5, 1)

    @every_way
    def test_without_them_there_is_nothing(
        self, server: ModelServer, api: Any, stream: bool
    ) -> None:
        server.answer = Reply(text="Hi")
        assert "logprob_sum" not in ask_one(model(server, api=api, stream=stream)).extra


class TestOddServers:
    """Chunks as they were seen from servers that are almost OpenAI."""

    def test_azures_first_chunk_has_no_choice(self, server: ModelServer) -> None:
        server.answer = sse(
            {"choices": [], "prompt_filter_results": [{"index": 0}]},
            delta(content="Hi"),
            delta("stop"),
            "[DONE]",
        )
        assert ask_one(model(server)).text == "Hi"

    def test_halves_of_an_emoji_in_two_pieces(self, server: ModelServer) -> None:
        first, second = '"\\ud83d"', '"\\ude42"'
        chunk = '{"choices":[{"delta":{"content":%s}}]}'
        server.answer = sse(chunk % first, chunk % second, chunk % first, delta("stop"), "[DONE]")
        text = ask_one(model(server)).text
        assert text == "🙂\ufffd"
        text.encode()

    def test_parallel_calls_that_all_have_the_index_0(self, server: ModelServer) -> None:
        def call(call_id: str, name: str) -> dict[str, Any]:
            return {"index": 0, "id": call_id, "function": {"name": name, "arguments": "{}"}}

        server.answer = sse(
            delta(tool_calls=[call("a", "f"), call("b", "g")]), delta("tool_calls"), "[DONE]"
        )
        assert [one.name for one in ask_one(model(server)).tool_calls] == ["f", "g"]

    def test_calls_without_an_index(self, server: ModelServer) -> None:
        server.answer = sse(
            delta(tool_calls=[{"id": "a", "function": {"name": "f", "arguments": '{"x"'}}]),
            delta(tool_calls=[{"function": {"arguments": ": 1}"}}]),
            delta("tool_calls"),
            "[DONE]",
        )
        assert ask_one(model(server)).tool_calls == (
            ToolCall(name="f", arguments='{"x": 1}', id="a"),
        )

    def test_content_in_parts(self, server: ModelServer) -> None:
        parts = [{"type": "thinking", "thinking": []}, {"type": "text", "text": "Hi"}]
        server.answer = sse(delta(content=parts), delta("stop"), "[DONE]")
        assert ask_one(model(server)).text == "Hi"

    def test_text_and_a_call_in_one_chunk(self, server: ModelServer) -> None:
        call = {"index": 0, "id": "a", "function": {"name": "f", "arguments": "{}"}}
        server.answer = sse(
            delta("tool_calls", content="Hi", reasoning="hm", tool_calls=[call]), "[DONE]"
        )
        output = ask_one(model(server))
        assert output.text == "Hi"
        assert output.tool_calls[0].name == "f"
        assert "first_reasoning_s" in output.extra

    def test_the_old_form_of_a_call(self, server: ModelServer) -> None:
        server.answer = sse(
            delta(function_call={"name": "f", "arguments": "{"}),
            delta(function_call={"arguments": "}"}),
            delta("function_call"),
            "[DONE]",
        )
        assert ask_one(model(server)).tool_calls == (ToolCall(name="f", arguments="{}"),)

    def test_an_error_beside_a_choice(self, server: ModelServer) -> None:
        chunk = {**delta("error", content=""), "error": {"code": 502, "message": "upstream died"}}
        server.answer = sse(delta(content="Hi"), chunk, "[DONE]")
        assert failed(model(server)).error_class is ErrorClass.SERVER

    def test_done_without_a_reason(self, server: ModelServer) -> None:
        server.answer = sse(delta(content="Hi"), "[DONE]")
        output = ask_one(model(server))
        assert (output.text, output.finish_reason) == ("Hi", None)

    def test_done_and_nothing_else(self, server: ModelServer) -> None:
        server.answer = sse("[DONE]")
        assert failed(model(server)).error_class is ErrorClass.INVALID_RESPONSE

    def test_a_stream_with_no_type(self, server: ModelServer) -> None:
        chunks = sse(delta(content="Hi"), delta("stop"), "[DONE]").chunks
        server.answer = Raw(chunks=chunks, headers={"Content-Type": "text/plain"})
        assert ask_one(model(server)).text == "Hi"

    def test_a_whole_answer_where_a_stream_was_asked_for(self, server: ModelServer) -> None:
        body = {"choices": [{"message": {"content": "Hi"}, "finish_reason": "stop"}]}
        server.answer = Raw(chunks=[json.dumps(body).encode()])
        output = ask_one(model(server))
        assert (output.text, output.ttft_s) == ("Hi", None)

    @pytest.mark.parametrize(
        "chunk",
        [
            "{",
            "[1]",
            '"x"',
            "[" * 100_000,
            {"choices": "x"},
            {"choices": [3]},
            {"choices": [{"delta": "x"}]},
            {"choices": [{"delta": {"tool_calls": [3]}}]},
            {"choices": [{"delta": {"tool_calls": [{"function": {"arguments": 3}}]}}]},
            {"choices": [{"delta": {"refusal": 3}}]},
        ],
    )
    def test_chunks_of_any_shape_are_invalid_and_nothing_worse(
        self, server: ModelServer, chunk: Any
    ) -> None:
        server.answer = sse(chunk, delta("stop"), "[DONE]")
        assert failed(model(server)).error_class is ErrorClass.INVALID_RESPONSE

    @pytest.mark.parametrize("api", ["chat", "responses"])
    @pytest.mark.parametrize(
        "body",
        [
            b"null",
            b"3",
            b"{}",
            b"[]",
            b'{"choices": [{}]}',
            b'{"choices": [{"message": 3}]}',
            b'{"choices": {"a": 1}}',
            b'{"output": [3]}',
            b'{"output": [{"type": "message", "content": 3}]}',
            b'{"output": [], "status": "failed"}',
            b"[" * 100_000,
            b"9" * 10_000,
        ],
    )
    def test_documents_of_any_shape_are_invalid_and_nothing_worse(
        self, server: ModelServer, api: Any, body: bytes
    ) -> None:
        server.answer = Raw(chunks=[body])
        error = failed(model(server, api=api, stream=False))
        assert error.error_class is ErrorClass.INVALID_RESPONSE

    @pytest.mark.parametrize("count", [True, -1, 1.5, "7", None, float("nan"), [1]])
    def test_counts_that_are_none_are_unknown(self, server: ModelServer, count: Any) -> None:
        usage = {"prompt_tokens": count, "completion_tokens": 3, "prompt_tokens_details": count}
        body = {"choices": [{"message": {"content": "Hi"}}], "usage": usage}
        server.answer = Raw(chunks=[json.dumps(body).encode()])
        assert ask_one(model(server)).usage == Usage(output_tokens=3)

    def test_deepseeks_count_of_cached_tokens(self, server: ModelServer) -> None:
        usage = {"prompt_tokens": 9, "completion_tokens": 3, "prompt_cache_hit_tokens": 5}
        body = {"choices": [{"message": {"content": "Hi"}}], "usage": usage}
        server.answer = Raw(chunks=[json.dumps(body).encode()])
        assert ask_one(model(server)).usage.cached_tokens == 5

    def test_a_failed_response_says_why(self, server: ModelServer) -> None:
        failed_body = {"status": "failed", "error": {"code": "rate_limit_exceeded", "message": "m"}}
        server.answer = sse({"type": "response.failed", "response": failed_body})
        assert failed(model(server, api="responses")).error_class is ErrorClass.RATE_LIMIT

    def test_a_missing_v1_is_guessed(self, server: ModelServer) -> None:
        server.answer = Raw(chunks=[b'{"detail": "Not Found"}'], status=404)
        assert "/v1" in failed(model(server, base_url=server.url)).message


class TestRequests:
    def test_params_and_extra_body_are_passed_on(self, server: ModelServer) -> None:
        target = model(
            server,
            params={"temperature": 0.2, "max_tokens": 5, "stop": ["x"]},
            extra_body={"top_k": 3, "chat_template_kwargs": {"thinking": False}},
            response_format={"type": "json_object"},
            organization="org-1",
            project="proj-1",
        )
        ask_one(target)
        body = server.seen[-1].body
        assert body["temperature"] == 0.2
        assert body["max_tokens"] == 5
        assert body["top_k"] == 3
        assert body["chat_template_kwargs"] == {"thinking": False}
        assert body["response_format"] == {"type": "json_object"}
        assert server.seen[-1].headers["OpenAI-Organization"] == "org-1"
        assert server.seen[-1].headers["OpenAI-Project"] == "proj-1"

    def test_a_schema_goes_where_the_responses_api_wants_it(self, server: ModelServer) -> None:
        form = {"type": "json_schema", "json_schema": {"name": "n", "schema": {}, "strict": True}}
        target = model(
            server,
            api="responses",
            response_format=form,
            params={"text": {"verbosity": "low"}, "max_output_tokens": 9},
        )
        ask_one(target)
        assert server.seen[-1].body["text"] == {
            "verbosity": "low",
            "format": {"type": "json_schema", "name": "n", "schema": {}, "strict": True},
        }

    def test_the_trials_seed(self, server: ModelServer) -> None:
        ask(model(server, send_seed=True), request_of(seed=2**40 + 7), request_of(seed=None))
        assert server.seen[0].body["seed"] == 7
        assert "seed" not in server.seen[1].body

    def test_azure_by_query_and_key_header(self, server: ModelServer) -> None:
        target = model(
            server,
            base_url=f"{server.url}/openai/deployments/dep?x=1",
            api_key=None,
            headers={"api-key": KEY},
            query={"api-version": "2024-10-21"},
        )
        ask_one(target)
        seen = server.seen[-1]
        assert seen.path == "/openai/deployments/dep/chat/completions"
        assert seen.query == {"x": "1", "api-version": "2024-10-21"}
        assert seen.headers["api-key"] == KEY
        assert "Authorization" not in seen.headers

    def test_a_full_address_is_taken_as_it_is(self, server: ModelServer) -> None:
        ask_one(model(server, base_url=f"{server.openai}/chat/completions"))
        assert server.seen[-1].path == "/v1/chat/completions"

    def test_lone_surrogates_of_a_dataset_can_be_sent(self, server: ModelServer) -> None:
        ask_one(model(server), request_of("half \ud83d"))
        assert server.seen[-1].text == "half \ud83d"

    def test_a_request_without_messages_is_the_prompts_fault(self, server: ModelServer) -> None:
        from dataclasses import replace

        error = failed(model(server), replace(request_of(), messages=()))
        assert error.error_class is ErrorClass.PROMPT
        assert not server.seen


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"api_key": "  "}, "api_key: it is empty"),
        ({"api_key": KEY + "\n"}, "api_key: it holds"),
        ({"base_url": "localhost:1/v1"}, "base_url: 'localhost:1/v1'"),
        ({"base_url": "ftp://x/v1"}, "base_url: 'ftp://x/v1'"),
        ({"base_url": f"http://u:{KEY}@x/v1"}, "base_url: a URL must not hold"),
        ({"headers": {"X-Key": "a\nb"}}, "headers.X-Key holds"),
        ({"headers": {"a b": "x"}}, "headers: 'a b'"),
        ({"headers": {"authorization": "x"}}, "api_key: 'headers' holds"),
        ({"model": " "}, "model: it is empty"),
        ({"api": "chats"}, "api: 'chats'"),
        ({"max_answer_bytes": 0}, "max_answer_bytes: must be above 0"),
        ({"idle_timeout_s": -1}, "idle_timeout_s: must be above 0"),
        ({"params": {"temperature": float("nan")}}, "params: cannot be sent as JSON"),
        ({"params": {"stream": True}}, "params.stream is"),
        ({"params": {"n": 3}}, "params.n is"),
        ({"extra_body": {"messages": []}}, "extra_body.messages"),
        ({"extra_body": {"top_p": 1}, "params": {"top_p": 1}}, "extra_body.top_p"),
        ({"send_seed": True, "params": {"seed": 1}}, "send_seed"),
        ({"send_seed": True, "api": "responses"}, "send_seed"),
        ({"tools": [{"type": "function", "name": "f"}]}, "tools: a function"),
        (
            {"api": "responses", "tools": [{"type": "function", "function": {"name": "f"}}]},
            "tools: a function",
        ),
    ],
)
def test_what_cannot_work_is_told_before_the_first_call(
    options: dict[str, Any], words: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        OpenAICompatible(**{"model": "m", "base_url": "http://h/v1", "api_key": KEY, **options})
    assert words in str(caught.value)
    assert KEY not in str(caught.value)


def test_openai_without_a_key_is_told_before_the_first_call() -> None:
    with pytest.raises(ConfigError, match="OPENAI_API_KEY"):
        OpenAICompatible(model="gpt-4o")


def test_azure_gets_its_own_key_header() -> None:
    # The address is never called: what would be sent is looked at.
    target = OpenAICompatible(
        model="dep", base_url="https://x.openai.azure.com/openai/v1", api_key=KEY
    )
    assert target._wire._headers["api-key"] == KEY


def test_it_is_found_by_name_and_its_parameters_are_documented() -> None:
    plugin = get(Kind.TARGET, "openai_compatible")
    assert plugin.summary.startswith("A model behind")
    assert list(plugin.parameters)[:4] == ["model", "base_url", "api_key", "api"]
