"""Judges that ask a real local server: votes, scales, repair, and answers of every bad kind."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evalkit import registry
from evalkit.config.spec import Limits, ScorerSpec
from evalkit.errors import ConfigError
from evalkit.model import Case, Message, Output, ScoreStatus
from evalkit.scorers import bind
from evalkit.scorers._fence import Fenced, visible
from evalkit.scorers._verdict import InvalidVerdict, Scale, read_object
from tests.scorers.judging import said, score, verdict
from tests.servers import Fault, ModelServer, Reply, Seen, Trouble

CASE = Case.of(
    {"question": "When do parcels go back?", "draft": "Within a year."},
    expected="Within 14 days.",
    context=["Parcels may be returned within 14 days."],
)
OUTPUT = Output(text="Parcels go back within 14 days.")
BASE = {"judges": "g", "criteria": "Is it right?"}


def judged(answer, options=None, *, output=OUTPUT, case=CASE, **more):
    with ModelServer(answer) as server:
        found = score("judge", {**BASE, **(options or {})}, {"g": server}, case, output, **more)
        return found, server.seen


def test_a_verdict_has_its_reason_its_quotes_with_their_places_and_who_gave_it():
    found, seen = judged(verdict("pass", quotes=["within 14 days", "not there"]))
    assert found.score is not None, found.reason
    assert (found.score.value, found.score.passed, found.score.label) == (1.0, True, "pass")
    quote, vote = found.score.evidence
    assert (quote.source, OUTPUT.text[quote.start : quote.end]) == ("output", "within 14 days")
    assert (vote.source, vote.text, vote.reason, vote.value) == ("judge:g", "pass", "because", 1.0)
    assert found.models == ("judge-1",)
    assert "judges:g#0" in found.signature
    assert len(seen) == 1
    form = seen[0].body["messages"][-1]["content"]
    assert form.index('"reason"') < form.index('"verdict"')


@pytest.mark.parametrize(
    ("scale", "label", "value", "passed"),
    [
        ("1-5", 5, 1.0, True),
        ("1-5", "4", 0.75, True),
        ("1-5", 2.0, 0.25, False),
        ("0-10", "10", 1.0, True),
        (["good", "fair", "poor"], "Fair.", 0.5, False),
        ({"yes": 1.0, "partly": 0.8, "no": 0.0}, "partly", 0.8, True),
    ],
)
def test_scales_run_from_0_to_1_and_keep_the_judges_word(scale, label, value, passed):
    found, _ = judged(verdict(label), {"scale": scale})
    assert found.score is not None, found.reason
    assert (found.score.value, found.score.passed) == (pytest.approx(value), passed)


def test_pass_at_says_where_passing_begins_and_a_threshold_wins():
    found, _ = judged(verdict("3"), {"scale": "1-5", "pass_at": 3})
    assert found.score is not None
    assert found.score.passed is True
    found, _ = judged(verdict("3"), {"scale": "1-5", "pass_at": 3}, threshold=0.9)
    assert found.score is not None
    assert found.score.passed is False


BAD = {
    "prose": said("I think this is a fine answer, really."),
    "empty": said(""),
    "truncated": said('{"reason": "it is ri', finish="length"),
    "spanish": said({"razon": "bien", "veredicto": "aprobado"}),
    "other_label": verdict("excellent"),
    "no_label": verdict(None),
    "boolean": verdict(True),
    "list": said('["pass"]'),
    "two_that_differ": said('{"verdict": "pass"} {"verdict": "fail"}'),
    "key_twice": said('{"verdict": "fail", "verdict": "pass"}'),
    "nan": said('{"verdict": NaN}'),
    "nested": said('{"verdict":' + "[" * 5_000),
    "echo_of_the_form": said('{"reason": "...", "verdict": VERDICT}'),
    "both_words": said("Verdict: pass\nVerdict: fail"),
    "reason_no_text": said({"reason": {"a": 1}, "verdict": "pass"}),
    "long": said("pass " * 100_000),
    "many_braces": said("{" * 30 + " {" * 40_000),
    "blank_lines": said("\n" * 90_000 + "verdict"),
}


@pytest.mark.parametrize("kind", BAD)
def test_what_cannot_be_read_is_asked_again_once_and_then_unscored(kind):
    begun = time.perf_counter()
    found, seen = judged(BAD[kind])
    assert found.status is ScoreStatus.UNSCORED
    assert "judge 'g' gave no verdict, asked twice" in (found.reason or "")
    assert len(found.reason or "") < 400
    assert len(seen) == 2
    roles = [one["role"] for one in seen[1].body["messages"]]
    assert roles == ["system", "user", "assistant", "user"]
    assert len(json.dumps(seen[1].body)) < 20_000, "a judge's own flood is not sent back to it"
    assert time.perf_counter() - begun < 20


def test_a_judge_that_writes_20_megabytes_is_cut_short_with_a_reason():
    found, seen = judged(said("pass " * 4_000_000))
    assert found.status is not ScoreStatus.SCORED
    assert "judge 'g'" in (found.reason or "")
    assert len(found.reason or "") < 400
    assert len(seen) <= 2


GOOD = {
    "fenced": said('Here it is:\n```json\n{"reason": "r", "verdict": "pass"}\n```'),
    "thinking": said('<think>{"verdict": "fail"}</think>{"reason": "r", "verdict": "pass"}'),
    "twice_the_same": said(
        '{"reason": "r", "verdict": "pass"}\n{"reason": "r", "verdict": "pass"}'
    ),
    "case_and_stop": verdict(" PASS. "),
    "plain_model": said("The answer agrees with the passage.\n\n**Verdict: pass**"),
    "line_breaks_in_text": said('{"reason": "one\ntwo", "verdict": "pass"}'),
}


@pytest.mark.parametrize("kind", GOOD)
def test_verdicts_are_found_however_a_model_wraps_them(kind):
    found, seen = judged(GOOD[kind])
    assert found.score is not None, found.reason
    assert found.score.passed is True
    assert len(seen) == 1


def test_an_answer_is_repaired():
    turns = iter([said("It is fine."), verdict("fail", "no: a year")])
    found, seen = judged(lambda _: next(turns))
    assert found.score is not None
    assert (found.score.passed, found.score.reason) == (False, "no: a year")
    assert "That cannot be used" in seen[1].body["messages"][-1]["content"]


def test_a_judge_that_is_silent_or_breaks_is_an_error_with_its_name():
    limits = Limits(max_retries=0, timeout_s=0.2)
    found, _ = judged(Fault(trouble=Trouble.SILENT), limits=limits)
    assert found.status is ScoreStatus.ERROR
    assert (found.reason or "").startswith("judge 'g': timeout: ")
    found, _ = judged(Fault(trouble=Trouble.UNAUTHORIZED))
    assert found.status is ScoreStatus.ERROR
    assert "judge 'g': auth: " in (found.reason or "")


def panel(answers, **options):
    servers = {name: ModelServer(one) for name, one in answers.items()}
    for one in servers.values():
        one.__enter__()
    try:
        return score("judge", {**BASE, "judges": list(answers), **options}, servers, CASE, OUTPUT)
    finally:
        for one in servers.values():
            one.__exit__()


def test_a_panel_has_a_majority_and_says_who_was_against_it():
    found = panel({"a": verdict("pass", "yes"), "b": verdict("fail", "no"), "c": verdict("pass")})
    assert found.score is not None
    assert (found.score.value, found.score.label) == (1.0, "pass")
    assert found.score.reason == ("2 say 'pass', 1 say 'fail' of 3; yes; against it (b, fail): no")
    assert [one.source for one in found.score.evidence] == ["judge:a", "judge:b", "judge:c"]
    assert found.score.stats == (1.0, 3.0), "of three pairs of votes one is the same"
    same = panel({"a": verdict("pass"), "b": verdict("pass")})
    assert same.score is not None
    plugin = registry.get(registry.Kind.SCORER, "judge")
    (agreement,) = [one for one in plugin.metrics if one.name == "agreement"]
    both = [sum(pair) for pair in zip(found.score.stats, same.score.stats, strict=True)]
    assert agreement.corpus_value(both) == 2 / 4
    split = panel({"a": verdict("pass"), "b": verdict("fail")})
    assert split.status is ScoreStatus.UNSCORED
    assert "split" in (split.reason or "")
    mean = panel({"a": verdict(5), "b": verdict(2)}, scale="1-5")
    assert mean.score is not None
    assert mean.score.value == pytest.approx((1.0 + 0.25) / 2)
    broken = panel({"a": verdict("pass"), "b": Fault(trouble=Trouble.BAD_REQUEST)})
    assert broken.status is ScoreStatus.ERROR
    assert "judge 'b'" in (broken.reason or "")


def test_trials_ask_the_same_question_again():
    turns = iter([verdict("pass"), verdict("fail"), verdict("pass")])
    found, seen = judged(lambda _: next(turns), {"trials": 3})
    assert found.score is not None
    assert found.score.label == "pass"
    assert len(seen) == 3
    assert seen[0].body["messages"] == seen[1].body["messages"]


def test_a_rubric_file_is_filled_in_and_its_version_signs(tmp_path: Path):
    file = tmp_path / "r.j2"
    file.write_text("---\nlabel: v1\n---\nuser:\nQ {{ inputs.question }}\nA {{ output }}\n")
    options = {"rubric": "r.j2", "criteria": None}
    found, seen = judged(verdict("pass"), options, root=tmp_path)
    assert found.score is not None, found.reason
    system, user = seen[0].body["messages"]
    assert system["role"] == "system"
    assert "Q [[" in user["content"]
    assert "When do parcels go back?" in user["content"]
    file.write_text("---\nlabel: v2\n---\nuser:\nQ {{ inputs.question }}\nA {{ output }}\n")
    same, _ = judged(verdict("pass"), options, root=tmp_path)
    assert same.signature == found.signature
    file.write_text("user:\nQ {{ inputs.question }} A {{ output }} exactly\n")
    other, _ = judged(verdict("pass"), options, root=tmp_path)
    assert other.signature != found.signature
    file.write_text("user:\n{{ inputs.nothing }} {{ output }}\n")
    missing, _ = judged(verdict("pass"), options, root=tmp_path)
    assert missing.status is ScoreStatus.UNSCORED
    assert "the value has no key 'nothing'" in (missing.reason or "")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({}, "exactly one of 'rubric'"),
        ({"criteria": " "}, "criteria: it is empty"),
        ({"criteria": "c", "scale": "5-1"}, "does not go up"),
        ({"criteria": "c", "scale": "good"}, "neither 'pass_fail' nor a range"),
        ({"criteria": "c", "scale": ["a"]}, "at least two labels"),
        ({"criteria": "c", "scale": ["a", "A"]}, "all different"),
        ({"criteria": "c", "scale": {"a": 2.0, "b": 0.0}}, "from 0 to 1"),
        ({"criteria": "c", "pass_at": "good"}, "none of pass, fail"),
        ({"criteria": "c", "trials": 0}, "from 1 to 100"),
        ({"rubric": "none.j2"}, "No such file"),
        ({"rubric": "blind.j2"}, "never shows {{ output }}"),
        ({"rubric": "wrong.j2"}, "needs the variable 'answer'"),
    ],
)
def test_options_that_cannot_work_are_refused_before_any_call(options, said, tmp_path):
    (tmp_path / "blind.j2").write_text("user:\n{{ expected }}\n")
    (tmp_path / "wrong.j2").write_text("user:\n{{ output }} {{ answer }}\n")
    spec = ScorerSpec(name="judge", scorer="judge", options={"judges": "g", **options})
    with pytest.raises(ConfigError, match=said.replace("{", r"\{")):
        bind(spec, root=tmp_path, judges={"g": _Nobody()})


class _Nobody:
    name, identity = "g", "g#0"


def test_a_judge_that_no_target_is_is_refused_with_the_nearest_name():
    spec = ScorerSpec(name="judge", scorer="judge", options={**BASE, "judges": ["gg"]})
    with pytest.raises(ConfigError, match="unknown target 'gg'") as caught:
        bind(spec, judges={"g": _Nobody()})
    assert caught.value.hint


@settings(max_examples=150, deadline=None)
@given(st.text(max_size=200), st.text(max_size=50))
def test_no_text_can_close_its_fence_or_hide_what_it_says(text, other):
    fenced = Fenced({"output": text, "expected": other})
    shown = str(fenced.shown["output"])
    first, *inside, last = shown.split("\n")
    assert first == f"[[{fenced.fence} begin output]]"
    assert last == f"[[{fenced.fence} end output]]"
    assert fenced.fence not in "\n".join(inside)
    assert all(one.isprintable() or one in "\n\t\u200c\u200d" or one.isspace() for one in shown)
    again = Fenced({"expected": other, "output": text})
    assert again.fence == fenced.fence
    (system, user) = fenced.guarded([Message(role="user", content=shown)], "FORM")
    assert system.role == "system"
    assert fenced.fence in system.content
    assert user.content.endswith("FORM")


def test_marks_of_models_and_invisible_characters_are_written_out():
    assert visible("a<|im_start|>system") == "a⟨|im_start|⟩system"
    assert visible("[INST] x [/INST]") == "⟨INST⟩ x ⟨/INST⟩"
    assert visible("a\u202eb\U000e0041") == "a⟨U+202E⟩b⟨U+E0041⟩"
    assert visible("می\u200cخواهم 👩\u200d🚀") == "می\u200cخواهم 👩\u200d🚀"
    assert visible("ราคา 价格 السعر naïve") == "ราคา 价格 السعر naïve"


@settings(max_examples=200, deadline=None)
@given(st.text(max_size=300))
def test_reading_a_verdict_never_breaks(text):
    scale = Scale.of("pass_fail", None)
    try:
        found = read_object(Output(text=text), "verdict")
        scale.read(found["verdict"])
    except InvalidVerdict:
        pass


def test_too_long_texts_are_unscored_without_a_call():
    found, seen = judged(verdict("pass"), output=Output(text="word " * 60_000))
    assert found.status is ScoreStatus.UNSCORED
    assert not seen


def prefer(answer, **options):
    with ModelServer(answer) as server:
        found = score("preference", {"judges": "g", **options}, {"g": server}, CASE, OUTPUT)
        return found, server.seen


def first_text(seen: Seen) -> str:
    user = seen.body["messages"][-1]["content"]
    return user.partition("The first answer:")[2].split("\n")[2]


def test_a_preference_is_asked_in_both_orders_and_follows_the_text():
    def better(seen: Seen) -> Reply:
        return verdict("first" if first_text(seen) == OUTPUT.text else "second")

    found, seen = prefer(better)
    assert found.score is not None, found.reason
    assert (found.score.value, found.score.label, found.score.stats) == (1.0, "better", (0.0, 1.0))
    assert {first_text(one) for one in seen} == {OUTPUT.text, "Within 14 days."}
    worse, _ = prefer(lambda one: verdict("second" if first_text(one) == OUTPUT.text else "first"))
    assert worse.score is not None
    assert (worse.score.value, worse.score.passed) == (0.0, False)


def test_a_preference_that_follows_the_place_is_a_tie_and_counted_as_a_flip():
    found, _ = prefer(verdict("first"))
    assert found.score is not None
    assert (found.score.value, found.score.passed, found.score.stats) == (0.5, True, (1.0, 1.0))
    assert "place was preferred in both orders" in (found.score.evidence[0].reason)
    once, seen = prefer(verdict("first"), swap=False)
    assert once.score is not None
    assert (once.score.value, once.score.stats) == (1.0, (0.0, 0.0))
    assert len(seen) == 1


def test_a_preference_against_a_text_of_the_case_does_not_show_it_as_the_question():
    found, seen = prefer(verdict("tie"), against="inputs.draft")
    assert found.score is not None
    assert found.score.value == 0.5
    assert seen[0].body["messages"][-1]["content"].count("Within a year.") == 1
    none, _ = prefer(verdict("tie"), against="metadata.other")
    assert none.status is ScoreStatus.UNSCORED
