from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from multidict import CIMultiDict

from evalkit.errors import ErrorClass, TargetError
from evalkit.targets._failure import SHOWN, Redactor, failure, retry_after, seconds


def fail(status: int | None, body: Any, **headers: str) -> TargetError:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    named = CIMultiDict({name.replace("_", "-"): value for name, value in headers.items()})
    return failure(status, named, raw, host="host", redactor=Redactor())


def openai(code: str | int | None, kind: str | None = None, message: str = "no") -> Any:
    return {"error": {"message": message, "type": kind, "param": None, "code": code}}


@pytest.mark.parametrize(
    ("status", "body", "expected"),
    [
        # OpenAI
        (401, openai("invalid_api_key", "invalid_request_error"), ErrorClass.AUTH),
        (403, openai("unsupported_country_region_territory"), ErrorClass.AUTH),
        (403, openai("model_not_found", message="no access to model"), ErrorClass.NOT_FOUND),
        (404, openai("model_not_found"), ErrorClass.NOT_FOUND),
        (429, openai("rate_limit_exceeded", "tokens"), ErrorClass.RATE_LIMIT),
        (429, openai("insufficient_quota", "insufficient_quota"), ErrorClass.QUOTA),
        (429, openai("billing_hard_limit_reached"), ErrorClass.QUOTA),
        (400, openai("context_length_exceeded"), ErrorClass.BAD_REQUEST),
        (400, openai("invalid_prompt", message="flagged"), ErrorClass.REFUSED),
        (500, openai(None, "server_error"), ErrorClass.SERVER),
        (503, openai(None, "server_error"), ErrorClass.SERVER),
        # Azure
        (400, openai("content_filter"), ErrorClass.REFUSED),
        (
            400,
            {
                "error": {
                    "message": "filtered",
                    "code": "BadRequest",
                    "innererror": {"code": "ResponsibleAIPolicyViolation"},
                }
            },
            ErrorClass.REFUSED,
        ),
        (404, openai("DeploymentNotFound"), ErrorClass.NOT_FOUND),
        (
            429,
            openai("429", message="Requests have exceeded the call rate."),
            ErrorClass.RATE_LIMIT,
        ),
        (403, openai("QuotaExceeded"), ErrorClass.QUOTA),
        # Anthropic
        (529, {"type": "error", "error": {"type": "overloaded_error"}}, ErrorClass.SERVER),
        (402, {"type": "error", "error": {"type": "billing_error"}}, ErrorClass.QUOTA),
        (504, {"type": "error", "error": {"type": "timeout_error"}}, ErrorClass.TIMEOUT),
        (413, {"type": "error", "error": {"type": "request_too_large"}}, ErrorClass.BAD_REQUEST),
        # OpenRouter
        (402, openai(402, message="Insufficient credits"), ErrorClass.QUOTA),
        (
            403,
            {"error": {"code": 403, "message": "m", "metadata": {"flagged_input": "x"}}},
            ErrorClass.REFUSED,
        ),
        (None, {"error": {"code": 502, "message": "upstream"}}, ErrorClass.SERVER),
        (None, {"error": {"code": "429", "message": "slow down"}}, ErrorClass.RATE_LIMIT),
        # Google, in a list, once a day's quota and once a minute's
        (
            429,
            [
                {
                    "error": {
                        "code": 429,
                        "message": "You exceeded your current quota.",
                        "status": "x",
                    }
                }
            ],
            ErrorClass.QUOTA,
        ),
        (
            429,
            [
                {
                    "error": {
                        "code": 429,
                        "message": "You exceeded your current quota. Please retry in 34s.",
                        "status": "RESOURCE_EXHAUSTED",
                        "details": [{"@type": "RetryInfo", "retryDelay": "34.5s"}],
                    }
                }
            ],
            ErrorClass.RATE_LIMIT,
        ),
        # vLLM, Ollama, llama.cpp, FastAPI, Mistral, Groq
        (
            400,
            {"object": "error", "message": "extra", "type": "BadRequestError", "code": 400},
            ErrorClass.BAD_REQUEST,
        ),
        (404, {"error": "model 'x' not found, try pulling it first"}, ErrorClass.NOT_FOUND),
        (None, {"error": "model 'x' not found"}, ErrorClass.NOT_FOUND),
        (500, {"error": "model runner not found"}, ErrorClass.SERVER),
        (400, openai(400, "exceed_context_size_error"), ErrorClass.BAD_REQUEST),
        (422, {"detail": [{"loc": ["body", "x"], "msg": "extra"}]}, ErrorClass.BAD_REQUEST),
        (400, openai("json_validate_failed"), ErrorClass.INVALID_RESPONSE),
        (498, openai(None), ErrorClass.RATE_LIMIT),
        # no JSON at all
        (502, b"<html><title>502 Bad Gateway</title></html>", ErrorClass.SERVER),
        (524, b"", ErrorClass.TIMEOUT),
        (408, b"", ErrorClass.TIMEOUT),
        (407, b"", ErrorClass.AUTH),
        (418, b"teapot", ErrorClass.BAD_REQUEST),
        (400, b"[" * 200_000, ErrorClass.BAD_REQUEST),
        (None, {"error": "something broke"}, ErrorClass.SERVER),
    ],
)
def test_every_providers_error_has_its_class(
    status: int | None, body: Any, expected: ErrorClass
) -> None:
    error = fail(status, body)
    assert error.error_class is expected
    assert error.message.startswith("host answered")


def test_quota_is_final_and_a_rate_limit_is_not() -> None:
    assert not fail(429, openai("insufficient_quota")).retryable
    limited = fail(429, openai("rate_limit_exceeded"), Retry_After="3")
    assert limited.retryable
    assert limited.retry_after_s == 3.0


def test_the_wait_in_googles_details_counts() -> None:
    details = [{"@type": "RetryInfo", "retryDelay": "34.5s"}]
    error = fail(429, [{"error": {"code": 429, "message": "quota", "details": details}}])
    assert error.retry_after_s == 34.5


def test_the_name_of_the_parameter_is_part_of_the_message() -> None:
    body = {"error": {"message": "not supported", "param": "stream_options", "code": None}}
    assert "stream_options: not supported" in fail(400, body).message


NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)


def http_date(moment: datetime) -> str:
    return format_datetime(moment, usegmt=True)


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({}, None),
        ({"Retry-After": "2"}, 2.0),
        ({"Retry-After": "0.5"}, 0.5),
        ({"Retry-After": "-3"}, 0.0),
        ({"Retry-After": "nan"}, None),
        ({"Retry-After": "soon"}, None),
        ({"Retry-After": "2", "retry-after-ms": "1500"}, 1.5),
        ({"Retry-After": http_date(NOW + timedelta(seconds=90))}, 90.0),
        ({"Retry-After": http_date(NOW - timedelta(seconds=90))}, 0.0),
        # The server's clock is an hour off: its own date is what its wait refers to.
        (
            {
                "Retry-After": http_date(NOW + timedelta(seconds=3610)),
                "Date": http_date(NOW + timedelta(seconds=3600)),
            },
            10.0,
        ),
        ({"x-ratelimit-remaining-requests": "0", "x-ratelimit-reset-requests": "6m0s"}, 360.0),
        ({"x-ratelimit-remaining-requests": "5", "x-ratelimit-reset-requests": "6m0s"}, None),
        (
            {
                "x-ratelimit-remaining-requests": "0",
                "x-ratelimit-reset-requests": "1s",
                "x-ratelimit-remaining-tokens": "0",
                "x-ratelimit-reset-tokens": "20ms",
            },
            1.0,
        ),
    ],
)
def test_the_wait_that_a_server_asks_for(headers: dict[str, str], expected: float | None) -> None:
    assert retry_after(CIMultiDict(headers), now=NOW) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [("1s", 1.0), ("20ms", 0.02), ("1h2m3.5s", 3723.5), ("7", 7.0), ("soon", None), ("1s x", None)],
)
def test_durations_as_providers_write_them(text: str, expected: float | None) -> None:
    assert seconds(text) == expected


@given(
    secret=st.text(st.characters(codec="ascii", categories=["L", "N"]), min_size=8, max_size=40),
    before=st.text(max_size=400),
    after=st.text(max_size=400),
)
def test_no_secret_survives_in_a_shown_text(secret: str, before: str, after: str) -> None:
    shown = Redactor([secret]).safe(before + secret + after)
    assert secret not in shown
    assert len(shown) <= SHOWN
    assert shown.isprintable()
    shown.encode()


def test_a_secret_at_the_cut_leaves_no_head_behind() -> None:
    secret = "Zq9" * 30
    shown = Redactor([secret]).safe("a" * (SHOWN - 10) + secret)
    assert "Zq9" not in shown


def test_secrets_are_found_quoted_too() -> None:
    shown = Redactor(['pa"ss/word+1']).safe('x?k=pa%22ss%2Fword%2B1 {"k": "pa\\"ss/word+1"}')
    assert "ss/word" not in shown
    assert "pa%22" not in shown


def test_other_peoples_keys_and_terminal_codes_are_not_shown() -> None:
    shown = Redactor().safe("\x1b[31mkey sk-proj-abc***xyz and Bearer abcdefghijkl\x07\u202e!")
    assert shown == "key [redacted] and [redacted] !"
