from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from evalkit.errors import ConfigError, ErrorClass
from evalkit.model import Usage
from evalkit.targets.http import Http
from tests.servers import ModelServer, Raw
from tests.targets.calls import KEY, ask_one, failed, request_of


@pytest.fixture
def server() -> Iterator[ModelServer]:
    with ModelServer(Raw(chunks=[b'{"text": "Hi"}'])) as running:
        yield running


def endpoint(server: ModelServer, **options: Any) -> Http:
    return Http(
        **{"url": f"{server.url}/ask", "body": {"q": "{{ prompt }}"}, "answer": "$.text", **options}
    )


def answering(value: Any) -> Raw:
    return Raw(chunks=[json.dumps(value).encode()])


def test_the_request_is_the_template_filled_in(server: ModelServer) -> None:
    target = endpoint(
        server,
        body={
            "question": "Q: {{ inputs.question | upper }}!",
            "items": "{{ inputs['items'] }}",
            "documents": "{{ context }}",
            "joined": "{{ context | join('|') }}",
            "chat": "{{ messages }}",
            "text": "{{ prompt }}",
            "trial": "{{ trial }}",
            "seed": "{{- seed -}}",
            "minus": "{{ -seed }}",
            "which": "{% if trial == 0 %}first{% else %}later{% endif %}",
            "fixed": [1, 2.5, None, True, "no {template}"],
        },
        headers={"Authorization": f"Bearer {KEY}"},
        query={"id": "{{ inputs.question }}", "v": "2"},
    )
    request = request_of(
        "why?",
        system="Be brief",
        seed=7,
        inputs={"question": 'a "b" & ü', "items": [1, {"x": "y"}]},
        context=("one", "two"),
    )
    ask_one(target, request)
    seen = server.seen[-1]
    assert seen.method == "POST"
    assert seen.query == {"id": 'a "b" & ü', "v": "2"}
    assert seen.headers["Authorization"] == f"Bearer {KEY}"
    assert seen.headers["Content-Type"] == "application/json"
    assert seen.body == {
        "question": 'Q: A "B" & Ü!',
        "items": [1, {"x": "y"}],
        "documents": ["one", "two"],
        "joined": "one|two",
        "chat": [
            {"role": "system", "content": "Be brief"},
            {"role": "user", "content": "why?"},
        ],
        "text": "Be brief\n\nwhy?",
        "trial": 0,
        "seed": 7,
        "minus": -7,
        "which": "first",
        "fixed": [1, 2.5, None, True, "no {template}"],
    }


def test_an_inputs_name_that_is_a_method_of_dict_is_a_field(server: ModelServer) -> None:
    target = endpoint(server, body={"a": "{{ inputs.items }}", "b": "{{ inputs.keys }}!"})
    ask_one(target, request_of(inputs={"items": 1, "keys": "k"}))
    assert server.seen[-1].body == {"a": 1, "b": "k!"}


def test_a_value_is_never_read_as_a_template(server: ModelServer) -> None:
    ask_one(endpoint(server), request_of("{{ 7 * 7 }} {% raw %}"))
    assert server.seen[-1].body == {"q": "{{ 7 * 7 }} {% raw %}"}


def test_get_with_a_query(server: ModelServer) -> None:
    target = endpoint(server, method="GET", body=None, query={"q": "{{ prompt }}"})
    ask_one(target, request_of("x y"))
    assert (server.seen[-1].method, server.seen[-1].query) == ("GET", {"q": "x y"})


def test_everything_is_read_by_its_path(server: ModelServer) -> None:
    server.answer = answering(
        {
            "parts": [{"t": "Hel"}, {"t": "lo"}],
            "meta": {"tokens": [11, 7], "name": "m-1", "why": "stop"},
            "sources": [{"text": "one"}, {"text": "two"}],
        }
    )
    target = endpoint(
        server,
        answer="$.parts[*].t",
        usage={"input_tokens": "$.meta.tokens[0]", "output_tokens": "$['meta'].tokens[-1]"},
        context="$.sources[*].text",
        finish_reason="$.meta.why",
        reported_model="$.meta.name",
    )
    output = ask_one(target)
    assert output.text == "Hello"
    assert output.usage == Usage(input_tokens=11, output_tokens=7)
    assert output.context == ("one", "two")
    assert (output.finish_reason, output.model) == ("stop", "m-1")
    assert output.latency_s is not None
    assert output.ttft_s is None


def test_what_is_missing_beside_the_answer_is_unknown(server: ModelServer) -> None:
    target = endpoint(
        server,
        usage={"input_tokens": "$.n"},
        context="$.c",
        finish_reason="$.f",
        reported_model="$.m",
    )
    output = ask_one(target)
    assert output.usage == Usage()
    assert (output.context, output.finish_reason, output.model) == ((), None, None)


@pytest.mark.parametrize(
    ("value", "text"),
    [({"a": "ü"}, '{"a": "ü"}'), (3, "3"), (False, "false"), ("", ""), ([], "[]")],
)
def test_an_answer_that_is_no_text_is_shown_as_json(
    server: ModelServer, value: Any, text: str
) -> None:
    server.answer = answering({"text": value})
    assert ask_one(endpoint(server)).text == text


@pytest.mark.parametrize("body", [{"txt": 1, "id": 2}, [1], "x", {"text": None}, 3])
def test_an_answer_without_the_answer(server: ModelServer, body: Any) -> None:
    server.answer = answering(body)
    error = failed(endpoint(server))
    assert error.error_class is ErrorClass.INVALID_RESPONSE
    assert "$.text" in error.message


def test_an_error_body_with_status_200(server: ModelServer) -> None:
    server.answer = answering({"error": {"code": "rate_limit_exceeded", "message": "slow"}})
    assert failed(endpoint(server)).error_class is ErrorClass.RATE_LIMIT


def test_a_path_to_an_error(server: ModelServer) -> None:
    server.answer = answering({"text": "", "problem": "backend down"})
    error = failed(endpoint(server, error="$.problem"))
    assert error.error_class is ErrorClass.SERVER
    assert "backend down" in error.message
    server.answer = answering({"text": "Hi", "problem": None})
    assert ask_one(endpoint(server, error="$.problem")).text == "Hi"


@pytest.mark.parametrize(
    ("status", "expected"),
    [(400, ErrorClass.BAD_REQUEST), (401, ErrorClass.AUTH), (429, ErrorClass.RATE_LIMIT)],
)
def test_a_bad_status(server: ModelServer, status: int, expected: ErrorClass) -> None:
    server.answer = Raw(chunks=[b"no"], status=status)
    assert failed(endpoint(server)).error_class is expected


def test_a_key_in_the_address_is_a_secret(server: ModelServer) -> None:
    server.answer = Raw(chunks=[f"GET /ask?key={KEY}".encode()], status=400)
    target = endpoint(server, url=f"{server.url}/ask?key={KEY}")
    assert "[redacted]" in failed(target).message


@pytest.mark.parametrize(
    ("stream", "chunks"),
    [
        ("text", [b"Gr\xc3", b"\xbc\xc3\x9fe", b" dich"]),
        ("lines", [b'{"text": "Gr\\u00fc', b'\xc3\x9fe"}\r\n\n', b'{"n": 4}\n{"text": " dich"}']),
        (
            "sse",
            [
                b'data: {"text": "Gr\xc3\xbc\xc3\x9fe"}\n\n',
                b": x\n\n",
                b'data: {"text": " dich"}\n\n',
            ],
        ),
    ],
)
def test_streams_give_the_time_to_the_first_piece(
    server: ModelServer, stream: str, chunks: list[bytes]
) -> None:
    server.answer = Raw(chunks=chunks, gap_s=0.03)
    options = {"answer": None} if stream == "text" else {"usage": {"output_tokens": "$.n"}}
    output = ask_one(endpoint(server, stream=stream, **options))
    assert output.text == "Grüße dich"
    assert output.ttft_s is not None
    assert output.latency_s is not None
    assert 0.025 <= output.ttft_s < output.latency_s
    assert output.inter_token is not None
    assert output.usage.output_tokens == (4 if stream == "lines" else None)


@pytest.mark.parametrize(
    ("stream", "chunk", "expected"),
    [
        ("lines", b'{"error": {"code": "insufficient_quota"}}\n', ErrorClass.QUOTA),
        ("lines", b'{"text": "a"}\n{"te', ErrorClass.INVALID_RESPONSE),
        ("lines", b"<!doctype html><title>Sign in</title>", ErrorClass.INVALID_RESPONSE),
        ("sse", b"data: {\n\n", ErrorClass.INVALID_RESPONSE),
        ("sse", b'data: {"other": 1}\n\n', ErrorClass.INVALID_RESPONSE),
        ("text", b"", ErrorClass.INVALID_RESPONSE),
    ],
)
def test_streams_that_fail(
    server: ModelServer, stream: str, chunk: bytes, expected: ErrorClass
) -> None:
    server.answer = Raw(chunks=[chunk] if chunk else [])
    options = {"answer": None} if stream == "text" else {}
    assert failed(endpoint(server, stream=stream, **options)).error_class is expected


def test_a_web_page_is_no_streamed_text(server: ModelServer) -> None:
    server.answer = Raw(chunks=[b"<html>Sign in</html>"], headers={"Content-Type": "text/html"})
    error = failed(endpoint(server, stream="text", answer=None))
    assert error.error_class is ErrorClass.INVALID_RESPONSE
    assert not error.retryable


def test_a_case_without_the_input_is_the_prompts_fault(server: ModelServer) -> None:
    for body in ({"q": "{{ inputs.city }}"}, {"q": "in {{ inputs.city }}"}):
        error = failed(endpoint(server, body=body))
        assert error.error_class is ErrorClass.PROMPT
        assert "'city'" in error.message
        assert "question" in error.message
    assert not server.seen


@pytest.mark.parametrize(
    ("template", "words"),
    [
        ("{{ expected }}", "never sent"),
        ("{{ input.q }}", "did you mean 'inputs'"),
        ("{{ prompt", "unexpected end"),
        ("{% for one in context %}{{ one }}{% endfor %}", "'for' is not allowed"),
        ("{{ inputs.q.upper() }}", "'call' is not allowed"),
        ("{{ 'x' * 1000000000 }}", "'mul' is not allowed"),
        ("{{ 10 ** 1000000 }}", "'pow' is not allowed"),
        ("{{ '%1000000000d' % 1 }}", "'mod' is not allowed"),
        ("{% set x = prompt %}", "'assign' is not allowed"),
        ("{% include 'x' %}", "'include' is not allowed"),
        ("{{ prompt | center(1000000000) }}", "'center' is not allowed"),
        ("{{ prompt | low }}", "did you mean 'lower'"),
    ],
)
def test_templates_that_are_refused(template: str, words: str) -> None:
    with pytest.raises(ConfigError) as caught:
        Http(url="http://h/x", body={"q": "{{ prompt }}", "t": [template]}, answer="$")
    assert words in str(caught.value)
    assert "body.t[0]" in str(caught.value)


@pytest.mark.parametrize("attribute", ["__class__", "mro", "format", "__globals__"])
def test_pythons_own_attributes_are_out_of_reach(server: ModelServer, attribute: str) -> None:
    error = failed(endpoint(server, body={"q": f"{{{{ prompt.{attribute} }}}}"}))
    assert error.error_class is ErrorClass.PROMPT


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"answer": None}, "answer: the JSONPath"),
        ({"stream": "text"}, "answer: with 'stream: text'"),
        ({"answer": "text"}, "answer: 'text' is not a JSONPath"),
        ({"answer": "$.a..b"}, "at character 4"),
        ({"answer": "$.a[?(@.x)]"}, "at character 4"),
        ({"usage": {"input_token": "$.a"}}, "did you mean 'input_tokens'"),
        ({"usage": {"input_tokens": 3}}, "usage.input_tokens: 3 is not a JSONPath"),
        ({"method": "DELETE"}, "method: 'DELETE'"),
        ({"method": "GET"}, "body: a GET request"),
        ({"body": {"q": "same"}}, "every case would get the same request"),
        ({"body": {"q": "{{ seed }}"}}, "every case would get the same request"),
        ({"body": {"q": float("inf"), "p": "{{ prompt }}"}}, "body: cannot be sent"),
        ({"stream": "words"}, "stream: 'words'"),
        ({"url": "/ask"}, "url: '/ask'"),
    ],
)
def test_what_cannot_work_is_told_before_the_first_call(
    options: dict[str, Any], words: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        Http(**{"url": "http://h/x", "body": {"q": "{{ prompt }}"}, "answer": "$.a", **options})
    assert words in str(caught.value)
