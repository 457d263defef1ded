"""latency, ttft, tokens, cost and length: unknown is unscored, and limits decide."""

from __future__ import annotations

import pytest

from evalkit.model import Output, Provenance, Usage, rate
from tests.scorers.helpers import bound, score, unscored, value

USAGE = Usage(input_tokens=100, output_tokens=20, cached_tokens=60, reasoning_tokens=5)


def test_quantities_are_what_the_output_says():
    output = Output(text="", latency_s=1.25, ttft_s=0.2, cost_usd=0.003, usage=USAGE)
    assert value("latency", output) == 1.25
    assert value("ttft", output) == 0.2
    assert value("cost", output) == 0.003
    kinds = {"total": 120, "input": 100, "output": 20, "cached": 60, "reasoning": 5}
    for kind, count in kinds.items():
        assert value("tokens", output, kind=kind) == count


@pytest.mark.parametrize(
    ("scorer", "reason"),
    [
        ("latency", "measured no latency"),
        ("ttft", "not streamed"),
        ("cost", "no price is known"),
        ("tokens", "reported no total tokens"),
    ],
)
def test_what_is_unknown_is_unscored_and_never_zero(scorer, reason):
    assert reason in unscored(scorer, Output(text="x"))


def test_half_a_count_is_no_total():
    assert "no total" in unscored("tokens", Output(text="", usage=Usage(input_tokens=3)))


def test_an_answer_that_was_free_costs_zero():
    assert value("cost", Output(text="", cost_usd=0.0)) == 0.0


@pytest.mark.parametrize("provenance", [Provenance.CACHE, Provenance.REPLAY])
@pytest.mark.parametrize("scorer", ["latency", "ttft"])
def test_only_live_answers_have_a_time(scorer, provenance):
    output = Output(text="", latency_s=0.1, ttft_s=0.1, provenance=provenance)
    assert str(provenance) in unscored(scorer, output)


@pytest.mark.parametrize(
    ("seconds", "passed", "reason"),
    [(1.9, True, None), (2.0, True, None), (2.5, False, "2.5 s, at most 2 wanted")],
)
def test_a_limit_decides_and_counts_as_inside(seconds, passed, reason):
    one = bound("latency", max=2.0)
    assert rate in one.metrics
    found = score("latency", Output(text="", latency_s=seconds), max=2.0)
    assert (found.value, found.passed, found.reason) == (seconds, passed, reason)


@pytest.mark.parametrize("scorer", ["latency", "ttft"])
def test_a_limit_may_have_its_unit(scorer):
    output = Output(text="", latency_s=0.3, ttft_s=0.3)
    assert score(scorer, output, max="400ms").passed
    assert not score(scorer, output, max="200ms").passed
    assert bound(scorer, max="2s").signature == bound(scorer, max=2.0).signature


def test_without_limits_nothing_is_decided():
    assert score("latency", Output(text="", latency_s=1.0)).passed is None
    assert rate not in bound("latency").metrics


@pytest.mark.parametrize(
    ("text", "unit", "size"),
    [
        ("héllo wörld", "chars", 11),
        ("héllo wörld", "words", 2),
        ("héllo wörld", "bytes", 13),
        ("价格 45", "words", 3),
        ("👩‍👩‍👧‍👦", "chars", 7),
        ("\ud800", "bytes", 3),
        ("", "words", 0),
    ],
)
def test_length(text, unit, size):
    assert value("length", text, unit=unit) == size


def test_length_between_limits():
    assert score("length", "abc", min=3, max=3).passed is True
    assert score("length", "ab", min=3).passed is False
    assert score("length", "abcd", max=3).reason == "4 chars, at most 3 wanted"
