"""The real classes of ragas, asked through our own judges, against a real local server."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from evalkit.model import Case, Output, ScoreStatus
from tests.scorers.judging import said, score, vectors
from tests.servers import ModelServer, Reply, Seen

pytest.importorskip("ragas", reason="ragas is not installed: pip install 'evalkit[ragas]'")
pytestmark = pytest.mark.filterwarnings("ignore")

CASE = Case.of(
    {"question": "When do parcels go back?"},
    expected="Parcels go back within 14 days.",
    context=["Parcels may be returned within 14 days.", "The shop opens at nine."],
    metadata={"relevant": ["a", "b"]},
)
OUTPUT = Output(
    text="Parcels go back within 14 days. Refunds take a year.", extra={"retrieved": ["a", "c"]}
)


def shape(seen: Seen) -> set[str]:
    """The keys of the answer that a prompt of ragas asks for, from the schema in it."""
    text = seen.body["messages"][1]["content"]
    at = text.index('{"', text.index("JSON Schema:"))
    schema = json.JSONDecoder().raw_decode(text, at)[0]
    return set(schema["properties"])


def asked(seen: Seen) -> Any:
    text = seen.body["messages"][1]["content"]
    at = text.rindex("input: ") + len("input: ")
    return json.JSONDecoder().raw_decode(text, at)[0]


def judge(seen: Seen) -> Reply:
    """Statements are sentences; one is true when it holds "14 days"."""
    keys, given = shape(seen), asked(seen)
    if keys == {"statements"} and "statements" not in given:
        text = given.get("answer") or given["text"]
        return said({"statements": [one for one in text.split(". ") if one]})
    if keys == {"statements"}:
        rows = [
            {
                "statement": one,
                "reason": "read",
                "verdict": int("14" in one and "14" in given["context"]),
            }
            for one in given["statements"]
        ]
        return said({"statements": rows})
    if keys == {"claims"}:
        return said({"claims": [one for one in given["response"].split(". ") if one]})
    if keys == {"TP", "FP", "FN"}:
        rows = [{"statement": one, "reason": "r"} for one in given["answer"]]
        return said({"TP": rows[:1], "FP": rows[1:], "FN": []})
    if keys == {"classifications"}:
        return said({"classifications": [{"statement": "s", "reason": "r", "attributed": 1}]})
    if keys == {"question", "noncommittal"}:
        return said({"question": "When do parcels go back?", "noncommittal": 0})
    if keys == {"reason", "verdict"}:
        return said({"reason": "r", "verdict": int("14 days" in given["context"])})
    raise AssertionError(keys)


def record(
    name: str, options: dict[str, Any] | None = None, output: Output = OUTPUT, answer: Any = judge
):
    with ModelServer(answer) as server, ModelServer(vectors) as embedder:
        servers = {"judge": server, "vectors": embedder}
        return score(name, {"judge": "judge", **(options or {})}, servers, CASE, output), server


def value(name: str, **options: Any) -> float:
    found, _ = record(name, options)
    assert found.status is ScoreStatus.SCORED, found.reason
    assert found.score is not None
    assert "lib:ragas " in found.signature
    return found.score.value


def letters(text: str) -> Any:
    return np.array([text.lower().count(one) for one in "etaoinshrdlu"], dtype=float)


def test_faithfulness_keeps_the_statements_and_verdicts_that_ragas_drops():
    found, server = record("ragas_faithfulness")
    assert found.score is not None, found.reason
    assert found.score.value == 0.5
    assert found.score.reason == 'not supported: "Refunds take a year."'
    first, second = found.score.evidence
    assert (first.text, first.value) == ("Parcels go back within 14 days.", 0.0)
    assert (second.text, second.value) == ("Refunds take a year.", 1.0)
    assert OUTPUT.text[second.start : second.end] == second.text
    assert len(server.seen) == 2


def test_answer_correctness_weighs_statements_and_meaning():
    f1 = 2 * (0.5 * 1.0) / 1.5
    a, b = letters(OUTPUT.text), letters(CASE.references[0])
    near = float(a @ b / np.linalg.norm(a) / np.linalg.norm(b))
    got = value("ragas_answer_correctness", embedder="vectors")
    assert got == pytest.approx(0.75 * f1 + 0.25 * near, abs=1e-12)


def test_context_precision_recall_and_the_others_give_the_numbers_of_their_definitions():
    assert value("ragas_context_precision") == pytest.approx(1.0)
    assert value("ragas_context_recall") == 1.0
    assert value("ragas_factual_correctness") == pytest.approx(2 * 0.5 / 1.5, abs=0.005)
    assert value("ragas_factual_correctness", mode="precision") == 0.5
    assert value("ragas_response_relevancy", embedder="vectors") == pytest.approx(1.0)
    assert 0.0 <= value("ragas_noise_sensitivity") <= 1.0


@pytest.mark.parametrize("name", ["ragas_answer_correctness", "ragas_faithfulness"])
def test_no_statement_is_unscored_where_ragas_says_1_or_nan(name):
    options = {"embedder": "vectors"} if name == "ragas_answer_correctness" else {}
    found, _ = record(name, options, answer=lambda _: said({"statements": []}))
    assert found.status is ScoreStatus.UNSCORED
    assert "finds no statements" in (found.reason or "")


def test_what_cannot_be_read_is_asked_once_more_and_then_unscored():
    found, server = record("ragas_context_recall", answer=lambda _: said("I would say all of it."))
    assert found.status is ScoreStatus.UNSCORED
    assert "asked twice" in (found.reason or "")
    assert len(server.seen) == 2
    turns = iter(
        [
            said("Sure!"),
            said({"classifications": [{"statement": "s", "reason": "", "attributed": 0}]}),
        ]
    )
    found, _ = record("ragas_context_recall", answer=lambda _: next(turns))
    assert found.score is not None
    assert found.score.value == 0.0


def test_the_same_prompt_asked_again_is_another_trial_and_empty_answers_are_unscored():
    _, server = record("ragas_response_relevancy", {"embedder": "vectors", "strictness": 3})
    assert len(server.seen) == 3
    found, _ = record("ragas_faithfulness", output=Output(text=" "))
    assert (found.status, found.reason) == (ScoreStatus.UNSCORED, "the answer is empty")


def test_those_without_a_judge_give_the_values_of_their_definitions():
    def of(name: str, **options: Any) -> float:
        found = score(name, options, {}, CASE, OUTPUT)
        assert found.score is not None, found.reason
        return found.score.value

    from rapidfuzz.distance import Levenshtein
    from rouge_score.rouge_scorer import RougeScorer
    from sacrebleu import sentence_bleu, sentence_chrf

    expected, text = CASE.references[0], OUTPUT.text
    assert of("ragas_string_similarity") == pytest.approx(
        1 - Levenshtein.normalized_distance(expected, text)
    )
    rouge = RougeScorer(["rougeL"], use_stemmer=True).score(expected, text)["rougeL"].fmeasure
    assert of("ragas_rouge") == pytest.approx(rouge)
    bleu = sentence_bleu(text, [expected]).score / 100
    assert of("ragas_bleu") == pytest.approx(bleu, abs=0.05)
    assert of("ragas_chrf") == pytest.approx(sentence_chrf(text, [expected]).score / 100, abs=0.05)
    assert of("ragas_id_context_precision") == 0.5
    assert of("ragas_id_context_recall") == 0.5
