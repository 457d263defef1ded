"""The announced limits of every provider, in its own words."""

from __future__ import annotations

from datetime import UTC, datetime
from email.utils import format_datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from multidict import CIMultiDict

from evalkit.model import Allowance
from evalkit.targets._allowance import allowances

NOW = datetime(2026, 3, 1, 12, 0, 0, tzinfo=UTC)
DATE = format_datetime(NOW, usegmt=True)


def one(
    unit: str, remaining: float, reset_s: float, most: float | None, refills: bool
) -> Allowance:
    return Allowance(unit=unit, remaining=remaining, reset_s=reset_s, limit=most, refills=refills)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        pytest.param({}, (), id="nothing"),
        pytest.param(
            {
                "x-ratelimit-limit-requests": "60",
                "x-ratelimit-limit-tokens": "150000",
                "x-ratelimit-remaining-requests": "59",
                "x-ratelimit-remaining-tokens": "149984",
                "x-ratelimit-reset-requests": "1s",
                "x-ratelimit-reset-tokens": "6m0s",
            },
            (one("requests", 59, 1, 60, True), one("tokens", 149984, 360, 150000, True)),
            id="openai",
        ),
        pytest.param(
            {
                "x-ratelimit-limit-requests": "14400",
                "x-ratelimit-remaining-requests": "14370",
                "x-ratelimit-reset-requests": "2m59.56s",
            },
            (one("requests", 14370, 179.56, 14400, True),),
            id="groq",
        ),
        pytest.param(
            {"x-ratelimit-remaining-requests": "9", "x-ratelimit-remaining-tokens": "900"},
            (),
            id="azure says no reset",
        ),
        pytest.param(
            {
                "Date": DATE,
                "anthropic-ratelimit-requests-limit": "1000",
                "anthropic-ratelimit-requests-remaining": "0",
                "anthropic-ratelimit-requests-reset": "2026-03-01T12:00:30Z",
                "anthropic-ratelimit-tokens-limit": "80000",
                "anthropic-ratelimit-tokens-remaining": "40000",
                "anthropic-ratelimit-tokens-reset": "2026-03-01T12:00:15+00:00",
            },
            (one("requests", 0, 30, 1000, True), one("tokens", 40000, 15, 80000, True)),
            id="anthropic",
        ),
        pytest.param(
            {"RateLimit-Policy": '"default";q=100;w=10', "RateLimit": '"default";r=50;t=5'},
            (one("requests", 50, 6, 100, False),),
            id="the ietf's draft",
        ),
        pytest.param(
            {
                "RateLimit-Policy": '"burst";q=10;w=1, "day;x";q=9;w=86400;qu="content-bytes"',
                "RateLimit": '"burst";r=3;t=1, "day;x";r=1;t=2',
            },
            (one("requests", 3, 2, 10, False),),
            id="bytes are no requests",
        ),
        pytest.param(
            {"RateLimit": "limit=100, remaining=20, reset=7"},
            (one("requests", 20, 8, 100, False),),
            id="the draft's first form",
        ),
        pytest.param(
            {
                "RateLimit-Limit": "100, 100;w=60",
                "RateLimit-Remaining": "4",
                "RateLimit-Reset": "9",
            },
            (one("requests", 4, 10, 100, False),),
            id="three fields",
        ),
        pytest.param(
            {
                "Date": DATE,
                "X-RateLimit-Limit": "10",
                "X-RateLimit-Remaining": "0",
                "X-RateLimit-Reset": str(int(NOW.timestamp() * 1000) + 4000),
            },
            (one("requests", 0, 5, 10, False),),
            id="milliseconds since 1970",
        ),
        pytest.param(
            {
                "Date": DATE,
                "X-RateLimit-Remaining": "1",
                "X-RateLimit-Reset": str(int(NOW.timestamp()) + 4),
            },
            (one("requests", 1, 5, None, False),),
            id="seconds since 1970",
        ),
        pytest.param(
            {"x-ratelimit-remaining-requests": "many", "RateLimit": '"a";r=x;t=, ;;"'},
            (),
            id="nonsense",
        ),
    ],
)
def test_what_remains_as_providers_say_it(
    headers: dict[str, str], expected: tuple[Allowance, ...]
) -> None:
    assert allowances(CIMultiDict(headers), now=NOW) == expected


@given(
    name=st.sampled_from(["ratelimit", "x-ratelimit-remaining", "ratelimit-remaining"]),
    value=st.text(max_size=60),
    other=st.text(max_size=30),
)
def test_no_header_breaks_a_call(name: str, value: str, other: str) -> None:
    headers = {name: value, "ratelimit-policy": other, "x-ratelimit-reset": other, "date": value}
    for found in allowances(CIMultiDict(headers), now=NOW):
        assert found.remaining >= 0
        assert found.reset_s >= 0
