"""Prices equal genai-prices' own, and what is unknown costs unknown."""

import json
import math
from datetime import UTC, datetime

import genai_prices
import pytest
from hypothesis import given
from hypothesis import strategies as st

from evalkit.config.spec import Price
from evalkit.model import Usage
from evalkit.targets._prices import PriceRow, Rate, price_for

AT = datetime(2026, 6, 1, 12, tzinfo=UTC)
MODELS = [
    ("gpt-4o", "openai"),
    ("gpt-4o-mini", "openai"),
    ("gpt-5-mini", "openai"),
    ("claude-sonnet-4-5", "anthropic"),
    ("claude-opus-4-1", "anthropic"),
    ("gemini-2.5-pro", "google"),
    ("deepseek-chat", "deepseek"),
    ("sonar", "perplexity"),
    ("mistral-large-latest", "mistral"),
]


@st.composite
def usages(draw):
    cached = draw(st.integers(0, 300_000))
    written = draw(st.integers(0, 300_000))
    fresh = draw(st.integers(0, 300_000))
    reasoning = draw(st.integers(0, 5_000))
    said = draw(st.integers(0, 5_000))
    return Usage(
        input_tokens=fresh + cached + written,
        output_tokens=said + reasoning,
        cached_tokens=cached,
        cache_write_tokens=written,
        reasoning_tokens=reasoning,
    )


@pytest.mark.parametrize(("model", "provider"), MODELS)
def test_equal_to_the_library(model, provider):
    row = price_for(model, provider=provider, at=AT)
    assert row is not None
    stored = PriceRow.from_json(json.loads(json.dumps(row.to_json())))
    assert stored == row

    @given(usages())
    def check(usage):
        expected = genai_prices.calc_price(
            genai_prices.Usage(
                input_tokens=usage.input_tokens,
                output_tokens=usage.output_tokens,
                cache_read_tokens=usage.cached_tokens,
                cache_write_tokens=usage.cache_write_tokens,
                output_reasoning_tokens=usage.reasoning_tokens,
            ),
            model,
            provider_id=provider,
            genai_request_timestamp=AT,
        ).total_price
        for one in (row, stored):
            cost = one.cost(usage)
            assert cost is not None
            assert math.isclose(cost, float(expected), rel_tol=1e-9, abs_tol=1e-15)

    check()


def test_tiered_prices_are_among_those_compared():
    rows = [price_for(model, provider=provider, at=AT) for model, provider in MODELS]
    assert any(row.input.tiers for row in rows)
    assert any(not row.input.tiers for row in rows)


def test_prices_of_their_day():
    early = price_for("o3", provider="openai", at=datetime(2025, 5, 1, tzinfo=UTC))
    late = price_for("o3", provider="openai", at=datetime(2026, 5, 1, tzinfo=UTC))
    usage = Usage(input_tokens=1_000_000, output_tokens=0)
    assert early.cost(usage) == pytest.approx(10.0)
    assert late.cost(usage) == pytest.approx(2.0)


def test_the_base_url_tells_the_provider():
    row = price_for("gpt-4o", base_url="https://api.openai.com/v1", at=AT)
    assert row.provider == "openai"
    assert row.source.startswith("genai-prices ")


@pytest.mark.parametrize(
    "asked",
    [
        {"model": "no-such-model-anywhere"},
        {"model": "no-such-model-anywhere", "provider": "openai"},
        {"model": "gpt-4o", "provider": "no-such-provider"},
        {"model": "gpt-4o", "base_url": "http://127.0.0.1:8000/v1"},
        {"model": "gpt-4o", "base_url": "https://gateway.example.com/v1"},
        {"model": "whisper-1", "provider": "openai"},
    ],
)
def test_unknown_stays_unknown(asked):
    assert price_for(**asked, at=AT) is None


@pytest.mark.parametrize(
    "usage",
    [
        Usage(),
        Usage(input_tokens=10),
        Usage(output_tokens=10),
        Usage(input_tokens=10, output_tokens=1, cached_tokens=11),
        Usage(input_tokens=10, output_tokens=1, reasoning_tokens=2),
        Usage(input_tokens=-1, output_tokens=1),
    ],
)
def test_usage_that_says_too_little_or_contradicts_itself_has_no_cost(usage):
    assert price_for("gpt-4o", provider="openai", at=AT).cost(usage) is None
    assert price_for("gemini-2.5-pro", provider="google", at=AT).cost(usage) is None


def test_the_projects_own_price_wins():
    own = Price(input=1.0, output=2.0, cached_input=0.5, cache_write=1.5, request=0.01)
    row = price_for("gpt-4o", provider="openai", override=own, at=AT)
    assert row.source == "project"
    usage = Usage(
        input_tokens=3_000_000,
        output_tokens=1_000_000,
        cached_tokens=1_000_000,
        cache_write_tokens=1_000_000,
    )
    assert row.cost(usage) == pytest.approx(1.0 + 0.5 + 1.5 + 2.0 + 0.01)
    assert PriceRow.from_json(row.to_json()).cost(usage) == row.cost(usage)


def test_without_a_price_of_their_own_cached_tokens_are_input():
    row = price_for("mine", override=Price(input=1.0, output=2.0))
    usage = Usage(input_tokens=1_000_000, output_tokens=0, cached_tokens=600_000)
    assert row.cost(usage) == pytest.approx(1.0)


def test_embedded_targets_cost_nothing_and_say_so():
    row = price_for("extractive-1", provider="embedded")
    assert row.source == "embedded, no price"
    assert row.cost(Usage(input_tokens=100, output_tokens=5)) == 0.0
    assert row.cost(Usage()) is None


def test_tokens_without_a_rate_make_the_cost_unknown():
    row = PriceRow(model="embed", provider="x", source="test", input=Rate(1.0), output=None)
    assert row.cost(Usage(input_tokens=1_000_000, output_tokens=0)) == pytest.approx(1.0)
    assert row.cost(Usage(input_tokens=1_000_000, output_tokens=1)) is None


def test_a_tier_begins_above_its_threshold():
    rate = Rate(1.0, ((200_000, 2.0), (500_000, 3.0)))
    assert [rate.at(n) for n in (0, 200_000, 200_001, 500_000, 500_001)] == [1, 1, 2, 2, 3]
