"""What a run is said to take before its first call, against what it then took."""

from __future__ import annotations

import pytest

from evalkit.errors import ConfigError
from evalkit.runner.cache_file import parts
from evalkit.runner.estimate import Interval, between, dollars
from tests.runner.projects import PROMPT, SmallProject, rows, wire
from tests.servers import ModelServer, Reply, Seen

PRICE = {"input": 1_000.0, "output": 1_000.0}


def test_without_any_run_the_length_of_answers_is_said_to_be_guessed(small: SmallProject) -> None:
    with ModelServer() as server:
        target = wire(server.openai, price=PRICE, params={"max_completion_tokens": 50})
        small.write({"t": target}, rows(40))
        found = small.estimate(trials=3)
        assert not server.seen
    assert not small.store.exists, "nothing is stored, not even a store"
    (row,) = found.rows
    assert (found.calls, row.calls, row.kept) == (120, 120, 0)
    assert row.basis == "40 prompts rendered, length of answers guessed"
    assert row.output_tokens.high == 120 * 50, "what the configuration allows"
    assert row.usd is not None
    assert row.usd.low < row.usd.likely < row.usd.high
    text = len(PROMPT.replace("{{ question }}", "What is 10 and nothing else?"))
    assert row.input_tokens.low < 120 * text / 4 < row.input_tokens.high
    assert found.lines()[0].startswith("estimate: 120 calls, ")


def test_stored_answers_make_it_narrow_and_right(small: SmallProject) -> None:
    def answer(seen: Seen) -> Reply:
        return Reply(output_tokens=5 + len(seen.text) % 7)

    with ModelServer(answer) as server:
        small.write({"t": wire(server.openai, price=PRICE)}, rows(60))
        small.run()
        found = small.estimate(trials=4)
        outcome = small.run(trials=4)
    (row,) = found.rows
    assert row.basis == "as 60 stored answers"
    assert row.usd is not None
    (took,) = small.sql(
        "SELECT sum(cost_usd) AS usd, sum(input_tokens) AS i, sum(output_tokens) AS o FROM trials"
        f" WHERE run_id = '{outcome.run_id}'"
    )
    assert row.input_tokens.low == row.input_tokens.high == pytest.approx(took["i"])
    assert row.output_tokens.low <= took["o"] <= row.output_tokens.high
    assert row.usd.low <= took["usd"] <= row.usd.high
    assert row.usd.high < 1.5 * row.usd.low


def test_another_prompt_is_rendered_and_answers_stay_as_long(small: SmallProject) -> None:
    with ModelServer() as server:
        small.write({"t": wire(server.openai, price=PRICE)}, rows(20))
        small.run()
        small.write_prompt("Think about it. " * 200 + "{{ question }}")
        (row,) = small.estimate().rows
    assert row.basis == "20 prompts rendered, answers as long as 20 stored ones"
    assert row.output_tokens.likely == 20 * 7
    assert row.input_tokens.low > 20 * 500


def test_what_is_missing_and_what_is_kept_is_not_counted(small: SmallProject) -> None:
    with ModelServer() as server:
        small.write({"t": wire(server.openai, price=PRICE)}, rows(20), cache="write")
        small.run(limit=5)
        found = small.estimate()
        assert (found.calls, found.kept) == (15, 5)
        assert small.estimate(cache="refresh").calls == 20
        run = small.run(max_usd=10)
        rest = small.estimate(resume=run.run_id)
    assert (rest.calls, rest.kept, rest.run_id) == (0, 0, run.run_id)
    hits = small.estimate()
    assert (hits.calls, hits.kept) == (0, 20)
    (part,) = parts(small.folder / ".evalkit" / "cache.sqlite")
    assert part.hits == 5, "looking is not using"


def test_a_budget_that_will_not_do_is_said(small: SmallProject) -> None:
    target = wire("http://127.0.0.1:9/v1", price=PRICE, params={"max_completion_tokens": 50})
    small.write({"t": target}, rows(100))
    assert [one.fits for one in small.estimate(max_usd=0.001).limits] == ["no"]
    assert [one.fits for one in small.estimate(max_usd=5).limits] == ["maybe"]
    assert [one.fits for one in small.estimate(max_usd=1_000).limits] == ["yes"]
    said = small.estimate(max_usd=0.001).notes()
    assert said[1] == "warning: --max-usd will stop this run before its end"
    assert "--max-usd: $5.00: may stop the run" in small.estimate(max_usd=5).lines()[-1]


def test_a_dry_run_refuses_what_a_run_refuses(small: SmallProject) -> None:
    small.write({"t": wire("http://127.0.0.1:9/v1")}, rows(3))
    with pytest.raises(ConfigError, match="has no price"):
        small.estimate(max_usd=1)


def test_a_route_costs_between_its_first_choice_and_all_of_them(small: SmallProject) -> None:
    url, limit = "http://127.0.0.1:9/v1", {"max_completion_tokens": 10}
    small.write(
        {
            "route": {"kind": "fallback", "targets": ["one", "two"]},
            "one": wire(url, price=PRICE, params=limit),
            "two": wire(url, price={"input": 5_000.0, "output": 5_000.0}, params=limit),
        },
        rows(10),
    )
    (routed,) = small.estimate().rows
    (one,) = small.estimate(targets=("one",)).rows
    (two,) = small.estimate(targets=("two",)).rows
    assert routed.usd is not None
    assert one.usd is not None
    assert two.usd is not None
    assert routed.usd.likely == pytest.approx(one.usd.likely)
    assert routed.usd.high == pytest.approx(one.usd.high + two.usd.high)


def test_an_unknown_price_is_said_and_never_free(small: SmallProject) -> None:
    targets = {
        "known": wire("http://127.0.0.1:9/v1", price=PRICE),
        "unknown": wire("http://127.0.0.1:9/v1"),
    }
    small.write(targets, rows(3), suite={"targets": ["known", "unknown"]})
    found = small.estimate()
    assert found.unpriced == ("unknown",)
    assert "what unknown costs, which is unknown" in found.lines()[0]
    assert [one.usd is None for one in found.rows] == [False, True]


def test_free_targets_say_nothing_before_a_run(small: SmallProject) -> None:
    target = {"kind": "extractive", "prompt": "prompts/ask.j2"}
    small.write({"t": target}, rows(3, context=["The answer is 42."]))
    small.write_prompt("Context:\n{{ context | join('\\n') }}\n\nQuestion: {{ question }}\n")
    small.run()
    assert "estimate" not in small.said.getvalue()
    assert small.estimate().usd == Interval(0.0, 0.0, 0.0)


@pytest.mark.parametrize(
    ("usd", "shown"),
    [(0.0, "$0.00"), (1_234.5, "$1,234.50"), (0.25, "$0.25"), (0.0123, "$0.012")],
)
def test_amounts_have_the_digits_they_need(usd: float, shown: str) -> None:
    assert dollars(usd) == shown
    assert between(Interval(usd, usd, usd)) == shown
