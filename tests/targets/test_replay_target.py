"""Recorded answers come back as recorded, and only those."""

import asyncio
import json
from pathlib import Path

import pytest

from evalkit.config.spec import TargetSpec
from evalkit.errors import ConfigError, ErrorClass, TargetError
from evalkit.model import Case, Provenance, Request, Usage
from evalkit.targets import build_target

CASE = Case.of({"question": "When?"}, expected="now", name="when")


def build(tmp_path, *lines, records=None, **options):
    if lines:
        text = "\n".join(one if isinstance(one, str) else json.dumps(one) for one in lines)
        (tmp_path / "recorded.jsonl").write_text(text, encoding="utf-8")
        options["file"] = "recorded.jsonl"
    spec = TargetSpec(name="old", kind="replay", options=options)
    return build_target(spec, options, root=Path(tmp_path), allow_code=False, records=records)


def send(target, trial=0, case=CASE):
    return asyncio.run(target.send(Request(case=case, trial=trial)))


@pytest.mark.parametrize("key", [CASE.id, CASE.name, CASE.input_id])
def test_a_case_is_found_by_id_name_or_input_id(tmp_path, key):
    target = build(
        tmp_path,
        {
            "case": key,
            "text": "at noon",
            "usage": {"input_tokens": 7, "output_tokens": 2},
            "latency_s": 0.25,
            "model": "old-1",
            "cost_usd": 0.5,
            "extra": {"confidence": 0.9},
        },
    )
    out = send(target)
    assert (out.text, out.model, out.latency_s, out.cost_usd) == ("at noon", "old-1", 0.25, 0.5)
    assert out.usage == Usage(input_tokens=7, output_tokens=2)
    assert out.provenance is Provenance.REPLAY
    assert out.extra == {"confidence": 0.9}


def test_trials_are_kept_apart(tmp_path):
    target = build(
        tmp_path,
        {"case": "when", "text": "first"},
        "",
        {"case": "when", "trial": 1, "text": "second"},
    )
    assert [send(target, trial).text for trial in (0, 1)] == ["first", "second"]
    with pytest.raises(TargetError) as caught:
        send(target, 2)
    assert caught.value.error_class is ErrorClass.NOT_FOUND
    assert "trial 2 of case 'when'" in caught.value.message


def test_reuse_goes_round_the_recorded_trials(tmp_path):
    lines = [{"case": "when", "trial": n, "text": str(n)} for n in range(2)]
    target = build(tmp_path, *lines, reuse=True)
    assert [send(target, trial).text for trial in range(5)] == ["0", "1", "0", "1", "0"]


def test_what_was_never_recorded_is_not_found(tmp_path):
    target = build(tmp_path, {"case": "other", "text": "x"}, reuse=True)
    with pytest.raises(TargetError) as caught:
        send(target)
    assert caught.value.error_class is ErrorClass.NOT_FOUND
    assert not caught.value.retryable


def test_failures_are_replayed_and_not_retried(tmp_path):
    target = build(tmp_path, {"case": "when", "error_class": "rate_limit", "error": "slow down"})
    with pytest.raises(TargetError) as caught:
        send(target)
    assert (caught.value.error_class, caught.value.message) == (ErrorClass.RATE_LIMIT, "slow down")
    assert not caught.value.retryable


def test_an_earlier_run_is_handed_over(tmp_path):
    records = [{"case": CASE.id, "trial": 0, "text": "from a run", "error_class": None}]
    target = build(tmp_path, records=records, run="20260101-abc")
    assert send(target).text == "from a run"


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("{nope", "not JSON"),
        ("[1]", "not a JSON object"),
        ({"text": "x"}, "needs a 'case'"),
        ({"case": "a"}, "'text' must be a string, not missing"),
        ({"case": "a", "txt": "x"}, "unknown key 'txt'"),
        ({"case": "a", "text": "x", "trial": "1"}, "'trial' must be"),
        ({"case": "a", "text": "x", "latency_s": -1}, "at least 0"),
        ({"case": "a", "text": "x", "usage": {"tokens": 1}}, "unknown key 'tokens'"),
        ({"case": "a", "error_class": "timeot"}, "did you mean 'timeout'"),
        ({"case": "a", "text": "x", "context": "one"}, "list of strings"),
    ],
)
def test_a_broken_line_is_named_with_its_number(tmp_path, line, message):
    with pytest.raises(ConfigError, match=message) as caught:
        build(tmp_path, {"case": "fine", "text": "x"}, line)
    assert "recorded.jsonl:2" in str(caught.value)


def test_a_case_recorded_twice_is_refused(tmp_path):
    with pytest.raises(ConfigError, match="recorded twice"):
        build(tmp_path, {"case": "a", "text": "x"}, {"case": "a", "text": "y"})


def test_a_missing_file_and_a_missing_source(tmp_path):
    with pytest.raises(ConfigError, match="cannot be read"):
        build(tmp_path, file="nowhere.jsonl")
    with pytest.raises(ConfigError, match="exactly one of"):
        build(tmp_path)
    with pytest.raises(ConfigError, match="were not found"):
        build(tmp_path, run="20260101-abc")
