"""Tool calls: names, arguments, order, what is too much, what is forbidden."""

from __future__ import annotations

import pytest

from evalkit.errors import ConfigError
from evalkit.model import Case, Output, ToolCall
from tests.scorers.helpers import bound, score, unscored, value

MADE = Output(
    text="",
    tool_calls=(
        ToolCall(name="search", arguments='{"q": "shoes", "n": 1.0}'),
        ToolCall(name="search", arguments='{"q": "boots"}'),
        ToolCall(name="buy", arguments='{"id": 7, "gift": false}'),
    ),
)


def call(name, **arguments):
    return {"name": name, "arguments": arguments}


def test_all_expected_calls_are_looked_for_each_with_one_of_its_own():
    assert value("tool_calls", MADE, [call("search", q="shoes", n=1), "buy"]) == 1.0
    assert value("tool_calls", MADE, ["search", "search", "search"]) == pytest.approx(2 / 3)
    # the loose one must not take the only call that the exact one can have
    assert value("tool_calls", MADE, ["search", call("search", q="shoes", n=1)]) == 1.0
    assert value("tool_calls", MADE, call("buy", id=7, gift=False)) == 1.0


def test_arguments_are_exact_a_subset_or_ignored():
    wanted = [call("buy", id=7)]
    assert score("tool_calls", MADE, wanted).reason == "buy: at the top: 1 keys too many"
    assert value("tool_calls", MADE, wanted, arguments="subset") == 1.0
    assert value("tool_calls", MADE, [call("buy", id=8)], arguments="ignore") == 1.0
    assert (
        "at /id: another number"
        in score("tool_calls", MADE, [call("buy", id=8, gift=False)]).reason
    )
    broken = Output(text="", tool_calls=(ToolCall(name="buy", arguments="{id: 7"),))
    assert "not JSON" in score("tool_calls", broken, [call("buy", id=7)]).reason
    nothing = Output(text="", tool_calls=(ToolCall(name="stop", arguments=""),))
    assert value("tool_calls", nothing, [call("stop")]) == 1.0


def test_order_and_extra_calls_count_where_they_should():
    swapped = score("tool_calls", MADE, ["buy", "search"], ordered=True)
    assert (swapped.value, swapped.passed) == (0.5, False)
    assert "another order" in swapped.reason
    assert value("tool_calls", MADE, ["search", "buy"], ordered=True) == 1.0
    extra = score("tool_calls", MADE, ["search", "buy"], extra=False)
    assert (extra.value, extra.passed) == (1.0, False)
    assert "1 calls too many: search" in extra.reason


def test_no_call_may_be_what_is_expected():
    assert score("tool_calls", Output(text="hi"), []).passed is True
    assert score("tool_calls", MADE, []).value == 0.0


def test_expected_calls_may_stand_in_the_metadata():
    one = Case.of({"q": "?"}, expected="a text", metadata={"tool_calls": ["buy"]})
    (found,) = bound("tool_calls").score_sync([(one, MADE)])
    assert found.score.passed is True


@pytest.mark.parametrize(
    "expected", ["a text", 7, [7], [{"arguments": {}}], [{"name": "x", "arguments": 1}]]
)
def test_expected_calls_that_are_none_are_unscored(expected):
    assert "expected call" in unscored("tool_calls", MADE, expected)


def test_forbidden_tools_may_be_named_with_a_star():
    assert score("tool_forbidden", MADE, names=["b*"]).reason == "calls buy"
    assert score("tool_forbidden", MADE, names=["BUY"]).passed is True
    with pytest.raises(ConfigError):
        bound("tool_forbidden", names=[])


def test_steps_are_counted_all_or_of_one_tool():
    assert value("tool_steps", MADE) == 3.0
    assert score("tool_steps", MADE, tool="search", max=1).reason == "2 calls, at most 1 wanted"
