"""Routes ask the right target, and add up what all of them took."""

import asyncio
import socket
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evalkit.config.spec import TargetSpec
from evalkit.errors import ConfigError, ErrorClass, TargetError, UnknownName
from evalkit.model import Case, Message, Output, Provenance, Request, Usage
from evalkit.targets import build_target

REQUEST = Request(case=Case.of({"question": "?"}))
QUESTION = Message(role="user", content="?")


def answering(text="yes", **fields):
    asked = []

    async def call(request, *, patient=False):
        asked.append(request)
        call.patient = patient
        return Output(text=text, **fields)

    call.asked = asked
    return call


def failing(error_class):
    async def call(request, *, patient=False):
        await asyncio.sleep(0.01)
        raise TargetError(error_class, "no")

    return call


def ask(kind, children, **options):
    options.setdefault("targets", list(children))
    spec = TargetSpec(name="route", kind=kind, options=options)
    route = build_target(spec, options, root=Path(), allow_code=False, children=children)
    return asyncio.run(route.send(REQUEST))


CHEAP = {
    "usage": Usage(input_tokens=10, output_tokens=2),
    "cost_usd": 0.001,
    "latency_s": 0.5,
    "ttft_s": 0.2,
    "model": "small",
}
STRONG = {
    "usage": Usage(input_tokens=20, output_tokens=5),
    "cost_usd": 0.01,
    "latency_s": 2.0,
    "ttft_s": 1.0,
    "model": "large",
}


def test_a_good_cheap_answer_stands():
    strong = answering("strong", **STRONG)
    out = ask(
        "router",
        {"cheap": answering("cheap", **CHEAP), "strong": strong},
        escalate_when={"empty": True},
    )
    assert (out.text, out.model, out.cost_usd, out.latency_s) == ("cheap", "small", 0.001, 0.5)
    assert [leg.target for leg in out.legs] == ["cheap"]
    assert out.extra["answered_by"] == "cheap"
    assert "escalated" not in out.extra
    assert strong.asked == []


def test_an_escalation_adds_everything_up():
    out = ask(
        "router",
        {"cheap": answering("  ", **CHEAP), "strong": answering("strong", **STRONG)},
        escalate_when={"empty": True},
    )
    assert out.text == "strong"
    assert out.model == "large"
    assert out.usage == Usage(input_tokens=30, output_tokens=7)
    assert out.cost_usd == pytest.approx(0.011)
    assert out.latency_s == pytest.approx(2.5)
    assert out.ttft_s == pytest.approx(1.5)
    assert out.extra["escalated"] == "empty"
    assert [(leg.target, leg.cost_usd) for leg in out.legs] == [("cheap", 0.001), ("strong", 0.01)]


@pytest.mark.parametrize("unknown", ["cost_usd", "latency_s"])
def test_one_unknown_part_makes_the_sum_unknown(unknown):
    out = ask(
        "router",
        {"cheap": answering("", **{**CHEAP, unknown: None}), "strong": answering("s", **STRONG)},
        escalate_when={"empty": True},
    )
    assert getattr(out, unknown) is None
    if unknown == "latency_s":
        assert out.ttft_s is None


@pytest.mark.parametrize(
    ("rule", "fields", "escalates"),
    [
        ({"empty": True}, {"text": "\n"}, True),
        ({"empty": True}, {"text": "a"}, False),
        ({"contains": ["not in the"]}, {"text": "Not in the passages."}, True),
        ({"contains": ["not in the"]}, {"text": "in the"}, False),
        ({"matches": r"^I (can't|cannot)"}, {"text": "I cannot say"}, True),
        ({"matches": r"^I (can't|cannot)"}, {"text": "So I cannot say"}, False),
        ({"finish_reason": ["length"]}, {"finish_reason": "length"}, True),
        ({"finish_reason": ["length"]}, {"finish_reason": "stop"}, False),
        ({"confidence_below": 0.5}, {"extra": {"confidence": 0.4}}, True),
        ({"confidence_below": 0.5}, {"extra": {"confidence": 0.5}}, False),
        ({"confidence_below": 0.5}, {"extra": {}}, True),
        ({"shorter_than": 3}, {"text": " ab "}, True),
        ({"shorter_than": 3}, {"text": "abc"}, False),
        ({"longer_than": 3}, {"text": "abcd"}, True),
        ({"longer_than": 3}, {"text": "abc"}, False),
        ({"empty": True, "longer_than": 3}, {"text": "abcd"}, True),
    ],
)
def test_each_rule(rule, fields, escalates):
    cheap = answering(**{"text": "x", **fields})
    out = ask("router", {"cheap": cheap, "strong": answering("strong")}, escalate_when=rule)
    assert (out.extra["answered_by"] == "strong") == escalates


def test_three_targets_escalate_one_by_one():
    children = {"a": answering(""), "b": answering(""), "c": answering("")}
    out = ask("router", children, escalate_when={"empty": True})
    assert [leg.target for leg in out.legs] == ["a", "b", "c"]


def test_a_failure_escalates_only_when_asked_to():
    children = {"cheap": failing(ErrorClass.SERVER), "strong": answering("s", **STRONG)}
    with pytest.raises(TargetError):
        ask("router", children, escalate_when={"empty": True})
    out = ask("router", children, escalate_when={"error": True})
    assert out.legs[0].error_class is ErrorClass.SERVER
    assert out.cost_usd is None  # nobody knows what the failed call cost
    assert out.latency_s > 2.009


@pytest.mark.parametrize(
    ("failure", "free"),
    [
        (ErrorClass.RATE_LIMIT, True),
        (ErrorClass.AUTH, True),
        (ErrorClass.TIMEOUT, False),
        (ErrorClass.SERVER, False),
        (ErrorClass.CONNECTION, False),
    ],
)
def test_a_target_that_turned_the_call_away_cost_nothing(failure, free):
    out = ask("fallback", {"first": failing(failure), "spare": answering("s", **STRONG)})
    assert out.cost_usd == (STRONG["cost_usd"] if free else None)
    assert (out.usage.input_tokens == STRONG["usage"].input_tokens) is free


def test_a_target_that_was_not_reached_cost_nothing():
    """The commonest use of a fallback must keep its cost and its tokens known."""
    with socket.socket() as unheard:
        unheard.bind(("127.0.0.1", 0))  # bound and not listening: connections are refused
        url = f"http://127.0.0.1:{unheard.getsockname()[1]}/v1"
        options = {"model": "gpt-5-mini", "base_url": url, "api_key": "k"}
        spec = TargetSpec(name="dead", kind="openai_compatible", options=options)

        async def unreached(request, *, patient=False):
            dead = build_target(spec, options, root=Path(), allow_code=False)
            try:
                return await dead.send(replace(request, messages=(QUESTION,)))
            finally:
                await dead.aclose()

        out = ask("fallback", {"dead": unreached, "spare": answering("s", **STRONG)})
    assert out.legs[0].error_class is ErrorClass.CONNECTION
    assert out.cost_usd == STRONG["cost_usd"]
    assert (out.usage.input_tokens, out.usage.output_tokens) == (20, 5)


@pytest.mark.parametrize(
    ("rules", "message"),
    [
        ({}, "no rule"),
        ({"error": False}, "no rule"),
        ({"empty": "yes"}, "true or false"),
        ({"matches": "("}, "no regular expression"),
        ({"contains": []}, "list of texts"),
        ({"shorter_than": "3"}, "must be a number"),
    ],
)
def test_rules_that_cannot_work_are_refused(rules, message):
    children = {"a": answering(), "b": answering()}
    with pytest.raises(ConfigError, match=message):
        ask("router", children, escalate_when=rules)


def test_unknown_rules_say_the_nearest():
    with pytest.raises(UnknownName, match="did you mean 'contains'"):
        ask("router", {"a": answering(), "b": answering()}, escalate_when={"contain": ["x"]})


@pytest.mark.parametrize("targets", [["a"], ["a", "a"]])
def test_a_route_needs_two_different_targets(targets):
    with pytest.raises(ConfigError):
        ask("fallback", {"a": answering(), "b": answering()}, targets=targets)


def test_fallback_asks_the_next_one():
    out = ask("fallback", {"a": failing(ErrorClass.CONNECTION), "b": answering("b", **STRONG)})
    assert out.text == "b"
    assert out.extra == {"answered_by": "b", "escalated": "error: connection"}
    assert out.legs[0].latency_s >= 0.009
    assert out.ttft_s == pytest.approx(out.legs[0].latency_s + 1.0)


def test_fallback_without_a_failure_is_the_first_target():
    second = answering("b")
    out = ask("fallback", {"a": answering("a", **CHEAP), "b": second})
    assert (out.text, out.cost_usd, second.asked) == ("a", 0.001, [])


def test_what_is_wrong_with_the_request_is_wrong_everywhere():
    with pytest.raises(TargetError) as caught:
        ask("fallback", {"a": failing(ErrorClass.BAD_REQUEST), "b": answering()})
    assert caught.value.error_class is ErrorClass.BAD_REQUEST


def test_on_chooses_the_failures():
    children = {"a": failing(ErrorClass.REFUSED), "b": answering("b")}
    assert ask("fallback", children, on=["refused"]).text == "b"
    with pytest.raises(TargetError):
        ask("fallback", children, on=["timeout"])
    with pytest.raises(UnknownName, match="did you mean 'timeout'"):
        ask("fallback", children, on=["timeuot"])
    with pytest.raises(ConfigError, match="empty"):
        ask("fallback", children, on=[])


@pytest.mark.parametrize(("goes_on", "waits"), [(False, True), (True, False)])
def test_only_the_last_that_can_be_asked_is_waited_for_once_an_answer_is_paid(goes_on, waits):
    children = {"one": answering(""), "two": answering(""), "three": answering()}
    ask("router", children, escalate_when={"empty": True, "error": goes_on})
    assert [one.patient for one in children.values()] == [False, waits, True]


def test_the_last_failure_is_the_routes_own():
    with pytest.raises(TargetError) as caught:
        ask("fallback", {"a": failing(ErrorClass.SERVER), "b": failing(ErrorClass.QUOTA)})
    assert caught.value.error_class is ErrorClass.QUOTA


@given(st.lists(st.sampled_from(list(Provenance)), min_size=2, max_size=4))
def test_one_answer_that_is_not_live_makes_the_route_not_live(kinds):
    children = {str(n): answering("", provenance=one) for n, one in enumerate(kinds)}
    out = ask("router", children, escalate_when={"empty": True})
    assert (out.provenance is Provenance.LIVE) == all(k is Provenance.LIVE for k in kinds)
