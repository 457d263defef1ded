"""Faithfulness by judges, the cascade and similarity, against a real local server."""

from __future__ import annotations

import re

import numpy as np
import pytest

from evalkit.config.spec import ScorerSpec
from evalkit.errors import ConfigError
from evalkit.model import Case, Output, ScoreStatus
from evalkit.scorers import bind
from evalkit.scorers.cascade import escalated, usd
from tests.scorers.judging import said, score, vectors
from tests.servers import ModelServer, Raw, Reply, Seen

CASE = Case.of(
    {"question": "When do parcels go back?"},
    expected=["Parcels go back within 14 days.", "Two weeks."],
    context=["The shop opens at nine.", "Parcels may be returned within 14 days."],
)
OUTPUT = Output(text="Parcels go back within 14 days. Refunds take a year.")
STATEMENTS = {
    "statements": [
        {"statement": "Parcels can be returned within 14 days.", "quote": "within 14 days"},
        {"statement": "A refund takes a year.", "quote": "not in the answer"},
    ]
}


def ruling(number: int, verdict: str, quote: str = "") -> dict[str, object]:
    return {"statement": number, "quote": quote, "reason": f"r{number}", "verdict": verdict}


RULINGS = {
    "verdicts": [
        ruling(1, "supported", "returned within 14 days"),
        ruling(2, "unsupported"),
    ]
}


def judge(rulings=RULINGS, statements=STATEMENTS):
    def answer(seen: Seen) -> Reply:
        asked = seen.body["messages"][-1]["content"]
        return said(rulings if '"verdicts"' in asked else statements, model="judge-1")

    return answer


def faithful(*answers, output=OUTPUT, case=CASE):
    servers = {f"j{n}": ModelServer(one) for n, one in enumerate(answers)}
    for one in servers.values():
        one.__enter__()
    try:
        options = {"judges": list(servers)}
        found = score("faithfulness", options, servers, case, output)
    finally:
        for one in servers.values():
            one.__exit__()
    return found, [len(one.seen) for one in servers.values()]


def test_every_statement_has_a_row_with_its_place_and_what_it_rests_on():
    found, calls = faithful(judge())
    assert found.score is not None, found.reason
    assert (found.score.value, found.score.passed) == (0.5, False)
    assert found.score.reason == 'not supported: "A refund takes a year."'
    first, context, second = found.score.evidence
    assert OUTPUT.text[first.start : first.end] == "within 14 days"
    assert (first.value, second.value) == (0.0, 1.0)
    assert (context.source, context.text) == ("context:1", "returned within 14 days")
    assert CASE.context[1][context.start : context.end] == context.text
    assert second.text == "Refunds take a year.", "a false quote falls back on the nearest sentence"
    assert calls == [2]


def test_several_judges_rule_on_the_statements_of_the_first():
    all_fine = {"verdicts": [ruling(1, "supported"), ruling(2, "supported")]}
    found, calls = faithful(judge(), judge(all_fine))
    assert found.score is not None
    assert found.score.value == 0.75
    assert calls == [2, 1]


@pytest.mark.parametrize(
    ("rulings", "said"),
    [
        ({"verdicts": RULINGS["verdicts"][:1]}, "1 of 2 statements have no verdict"),
        ({"verdicts": [*RULINGS["verdicts"], ruling(3, "supported")]}, "no statement from 1 to 2"),
        ({"verdicts": [*RULINGS["verdicts"], ruling(1, "supported")]}, "two verdicts"),
        ({"verdicts": [ruling(1, "yes"), ruling(2, "no")]}, "neither 'supported' nor"),
        ({"verdicts": "all fine"}, "is no list"),
    ],
)
def test_a_judge_that_leaves_something_out_is_unscored(rulings, said):
    found, calls = faithful(judge(rulings))
    assert found.status is ScoreStatus.UNSCORED
    assert said in (found.reason or "")
    assert calls == [3]


def test_an_answer_that_states_nothing_is_unscored():
    found, calls = faithful(judge(statements={"statements": []}))
    assert (found.status, calls) == (ScoreStatus.UNSCORED, [1])
    found, calls = faithful(judge(), output=Output(text=" \n"))
    assert (found.status, calls) == (ScoreStatus.UNSCORED, [0])


SURE = Output(text="Parcels may be returned within 14 days.")


def cascade(output, answer=None, **options):
    with ModelServer(answer or judge()) as server:
        given = {"judges": "g", **options}
        return score("cascade", given, {"g": server}, CASE, output), len(server.seen)


def test_a_cascade_asks_only_about_what_the_cheap_scorer_doubts():
    cheap, _ = cascade(SURE, clear_below=1.0, flag_above=1.0)
    assert cheap.score is not None, cheap.reason
    value = cheap.score.value
    assert (cheap.score.label, cheap.score.stats) == ("grounding_model", (0.0, 0.0, 1.0))
    asked, calls = cascade(SURE, clear_below=0.0, flag_above=1.0)
    assert asked.score is not None, asked.reason
    assert (asked.score.value, asked.score.passed, calls) == (0.5, False, 2)
    assert asked.score.label == "faithfulness"
    assert asked.score.stats[0] == 1.0
    assert f"grounding_model doubts it at {value:.2f}" in (asked.score.reason or "")
    flagged, calls = cascade(SURE, clear_below=0.0, flag_above=0.0)
    assert flagged.score is not None
    assert (flagged.score.value, calls) == (value, 0)
    assert flagged.score.passed is False


def test_a_cascade_reports_the_share_it_escalated_and_what_an_answer_took():
    sums = [2.0, 0.5, 8.0]
    assert escalated.corpus_value is not None
    assert usd.corpus_value is not None
    assert (escalated.corpus_value(sums), usd.corpus_value(sums)) == (0.25, 0.0625)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"judges": []}, "asks a model; name one"),
        ({"clear_below": 0.9, "flag_above": 0.1}, "clear_below"),
        ({"first": "latency"}, "does not go from 0 to 1"),
        ({"first": "grounding_modle"}, "did you mean 'grounding_model'"),
        ({"first": "judge"}, "what 'then' is for"),
        ({"then": "cascade"}, "cannot stand in a cascade"),
        ({"then": "grounding"}, "asks nobody"),
        ({"then_options": {"wrong": 1}}, "then_options"),
        ({"then": "judge"}, "exactly one of 'rubric'"),
    ],
)
def test_a_cascade_that_cannot_work_is_refused(options, said):
    class Nobody:
        name, identity = "g", "g#0"

    spec = ScorerSpec(name="cascade", scorer="cascade", options={"judges": "g", **options})
    with pytest.raises(ConfigError, match=re.escape(said)):
        bind(spec, judges={"g": Nobody()})


def similar(answer=vectors, output=OUTPUT):
    with ModelServer(answer) as server:
        found = score("similarity", {"embedder": "vectors"}, {"vectors": server}, CASE, output)
        return found, server.seen


def test_similarity_is_the_cosine_to_the_nearest_expected_text():
    found, seen = similar()
    assert found.score is not None, found.reason
    texts = [OUTPUT.text, *CASE.references]
    rows = np.array([[one.lower().count(c) for c in "etaoinshrdlu"] for one in texts], dtype=float)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    assert found.score.value == pytest.approx(float((rows[1:] @ rows[0]).max()), abs=1e-12)
    assert found.score.reason == "nearest to expected 1 of 2"
    assert seen[0].path == "/v1/embeddings"
    assert seen[0].body == {"model": "m", "encoding_format": "float", "input": texts}
    assert found.models == ("letters-1",)


@pytest.mark.parametrize(
    "body",
    [b'{"data": []}', b'{"data": [{"index": 0, "embedding": []}]}', b"[]", b'{"data": 5}', b""],
)
def test_vectors_that_are_none_are_an_error_with_the_reason(body):
    found, _ = similar(lambda _: Raw(chunks=[body]))
    assert found.status is ScoreStatus.ERROR
    assert "judge 'vectors': invalid_response" in (found.reason or "")


def test_a_text_without_a_direction_is_unscored():
    found, _ = similar(output=Output(text="???"))
    assert found.status is ScoreStatus.UNSCORED
    found, seen = similar(output=Output(text=" "))
    assert (found.status, seen) == (ScoreStatus.UNSCORED, [])
