"""What every scorer found must hold, whoever wrote it."""

from __future__ import annotations

import asyncio
import copy
import json
import math
from dataclasses import asdict
from datetime import date

import pytest

from evalkit import registry
from evalkit.config.spec import ScorerSpec
from evalkit.errors import ConfigError
from evalkit.model import Case, Evidence, Output, Score, ScoreRecord, ScoreStatus, Usage
from evalkit.scorers import BoundScorer, bind
from tests.scorers.judging import Rule

# these want a model: tests/scorers/test_local.py asks the same of them, with one
MODELS = {"nli", "hallucination_spans"}
ALL = registry.names(registry.Kind.SCORER)
# those of ragas want ragas: tests/scorers/test_ragas.py asks the same of them, with it
NAMES = [one for one in ALL if one not in MODELS and not one.startswith("ragas_")]

# a scorer whose parameters are required is bound with these
OPTIONS = {
    "regex": {"pattern": r"\bParis\b"},
    "json_schema": {"schema": {"type": "object"}},
    "label": {"labels": ["Paris", "Lyon"], "search": True},
    "tool_forbidden": {"names": ["delete_*"]},
    "format": {"max_words": 100},
    "judge": {"judges": "rule", "criteria": "Is it short?"},
    "preference": {"judges": "rule"},
    "faithfulness": {"judges": "rule"},
    "cascade": {"judges": "rule"},
    "similarity": {"embedder": "rule"},
}

AWKWARD = {
    "empty": "",
    "space": " \n\t ",
    "nul": "a\x00b",
    "surrogate": "broken \ud800 text",
    "chinese": "价格是四十五元。",
    "thai": "ราคาสี่สิบห้าบาท",
    "arabic": "السعر ٤٥ ريالًا",
    "emoji": "👩‍👩‍👧‍👦 ok",
    "json": '{"answer": [1, 2.5, null]}',
    "deep": "[" * 50_000,
    "digits": "9" * 50_000,
    "long": "one two three, four! " * 50_000,
    "one_word": "a" * 1_000_000,
}


def _plugin(name: str) -> registry.ScorerPlugin:
    found = registry.get(registry.Kind.SCORER, name)
    assert isinstance(found, registry.ScorerPlugin)
    return found


def _bound(name: str, tmp_path) -> BoundScorer:
    options = dict(OPTIONS.get(name, {}))
    if name == "python":
        (tmp_path / "mine.py").write_text("def score(case, output):\n    return len(output.text)\n")
        options["function"] = "mine.py:score"
    spec = ScorerSpec(name=name, scorer=name, options=options)
    return bind(spec, root=tmp_path, allow_code=True, judges={"rule": Rule()})


def _records(one: BoundScorer, pairs: list[tuple[Case, Output]]) -> list[ScoreRecord]:
    return asyncio.run(one.score(pairs)) if one.is_async else one.score_sync(pairs)


def _output(text: str) -> Output:
    usage = Usage(input_tokens=10, output_tokens=5, cached_tokens=0, reasoning_tokens=1)
    return Output(text=text, usage=usage, latency_s=0.5, ttft_s=0.1, cost_usd=0.001)


def test_every_scorer_of_the_first_release_is_found():
    assert set(NAMES) >= {
        *("exact_match", "contains", "regex", "numeric", "json_schema", "json_equal"),
        *("levenshtein", "token_f1", "rouge_1", "rouge_2", "rouge_l", "rouge_lsum"),
        *("bleu", "chrf", "ter", "latency", "ttft", "tokens", "cost", "length", "python"),
    }


@pytest.mark.parametrize("name", ALL)
def test_the_docstring_starts_with_one_line_and_says_more(name):
    plugin = _plugin(name)
    first, second, *_ = [*plugin.doc.split("\n"), ""]
    assert first == plugin.summary
    assert first.endswith(".")
    assert len(first) <= 100
    assert second == ""


@pytest.mark.parametrize("name", ALL)
def test_the_plugin_is_declared_soundly(name):
    plugin = _plugin(name)
    assert plugin.name == name
    low, high = plugin.range
    assert low < high
    assert plugin.metrics
    assert all(one.kind != "corpus" or one.corpus_value for one in plugin.metrics)
    for parameter in plugin.parameters.values():
        assert parameter.annotation is not None


@pytest.mark.parametrize("name", ALL)
def test_every_scorer_of_ours_has_a_card(name):
    """A new scorer says under card= what family it is of and what it cannot see."""
    card = _plugin(name).card
    assert card.family != "own" or name == "python"
    assert card.cost
    assert card.blind
    for one in (*card.blind, *(each.what for each in card.measurements())):
        assert not one.endswith(".")
    for each in card.measurements():
        date.fromisoformat(each.date)
        assert each.data
        assert each.figures
        assert all(
            isinstance(value, str) or math.isfinite(value) for value in each.figures.values()
        )


@pytest.mark.parametrize("name", NAMES)
def test_the_examples_hold(name, tmp_path):
    one = _bound(name, tmp_path) if _plugin(name).examples else None
    for text, expected, wanted in _plugin(name).examples:
        assert one is not None
        case = Case.of({"question": "?"}, expected=expected)
        (record,) = _records(one, [(case, _output(text))])
        assert record.status is ScoreStatus.SCORED, record.reason
        assert record.score is not None
        assert record.score.value == pytest.approx(wanted, abs=1e-9)


@pytest.mark.parametrize("kind", AWKWARD)
@pytest.mark.parametrize("name", NAMES)
def test_awkward_texts_never_break_a_scorer(name, kind, tmp_path):
    one = _bound(name, tmp_path)
    text = AWKWARD[kind]
    expected = ["the cat sat", text[:30_000]] if name != "numeric" else "45"
    case = Case.of({"question": "?"}, expected=expected)
    output = _output(text)
    before = copy.deepcopy((case, output))
    (first,) = _records(one, [(case, output)])
    (second,) = _records(one, [(case, output)])
    assert first.status in {ScoreStatus.SCORED, ScoreStatus.UNSCORED}, first.reason
    assert (first.status, first.score, first.reason) == (
        second.status,
        second.score,
        second.reason,
    )
    assert first.elapsed_s is not None
    assert first.elapsed_s < 10  # a hang, not a benchmark
    assert (case, output) == before
    if first.score is None:
        assert first.reason
        return
    low, high = one.plugin.range
    assert math.isfinite(first.score.value)
    assert low - 1e-6 <= first.score.value <= high + 1e-6
    assert _round_trip(first.score) == first.score


@pytest.mark.parametrize("name", NAMES)
def test_an_expectation_that_is_empty_is_judged_or_refused(name, tmp_path):
    one = _bound(name, tmp_path)
    for expected in ("", None, []):
        for text in ("", "Paris"):
            case = Case.of({"question": "?"}, expected=expected)
            (record,) = _records(one, [(case, _output(text))])
            assert record.status in {ScoreStatus.SCORED, ScoreStatus.UNSCORED}, record.reason
            if expected in (None, []) and "expected" in one.plugin.needs:
                assert record.status is ScoreStatus.UNSCORED


@pytest.mark.parametrize("name", NAMES)
def test_the_signature_names_scorer_options_and_version(name, tmp_path):
    one = _bound(name, tmp_path)
    parts = one.signature.split("|")
    assert parts[0] == name
    for parameter in one.plugin.parameters:
        assert any(part.startswith(f"{parameter}:") for part in parts)
    assert f"v:{one.plugin.version}" in parts
    assert str(tmp_path) not in one.signature
    assert _bound(name, tmp_path).signature == one.signature


@pytest.mark.parametrize("name", NAMES)
def test_an_unknown_option_is_refused(name, tmp_path):
    spec = ScorerSpec(name=name, scorer=name, options={"no_such_option": 1})
    with pytest.raises(ConfigError, match="no_such_option"):
        bind(spec, root=tmp_path, allow_code=True)


def _round_trip(score: Score) -> Score:
    fields = json.loads(json.dumps(asdict(score)))
    fields["stats"] = tuple(fields["stats"])
    fields["evidence"] = tuple(Evidence(**one) for one in fields["evidence"])
    return Score(**fields)
