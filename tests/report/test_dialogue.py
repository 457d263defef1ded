"""A conversation as people see it: in the terminal turn by turn, and in the page."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from evalkit.model import Case, Evidence, Output, ScriptedTurn, Trial, Turn, Usage
from evalkit.report.case import case_json, case_text
from evalkit.report.html import page_html
from evalkit.report.page_json import read_report, report_json
from evalkit.report.review import page_text
from evalkit.report.screen import Screen
from evalkit.report.why import sides, verdict_on, why_json, why_text
from tests.report.page.pages import AFTER, BEFORE, HOSTILE, run_of, stored, trial_of, view_of
from tests.report.page.test_page import Page

CASE = Case.of(
    {"question": "at the desk"},
    turns=[
        ScriptedTurn(user="My order is 4711."),
        ScriptedTurn(user="What was its number?", expected="4711"),
        ScriptedTurn(user="Twice that?", expected="9422"),
    ],
    name="talk",
    row=1,
)


def talk(run: str, *answers: str, case: Case = CASE, failed: bool = False) -> Trial:
    turns = tuple(
        Turn(
            user=f"<{one.user}>",
            output=Output(text=text, latency_s=0.1, usage=Usage(input_tokens=4, output_tokens=2)),
        )
        for one, text in zip(case.turns, answers, strict=False)
    )
    if failed:
        return replace(trial_of(run, case, None), turns_before=turns)
    rows = tuple(
        Evidence(source=f"turn:{n}", start=0, end=0, text="passed", value=1.0)
        for n in range(1, len(turns) + 1)
    )
    cited = Evidence(source="turn:2:output", start=0, end=2, text=answers[1][:2], reason="cited")
    trial = trial_of(run, case, answers[-1], evidence=(*rows, cited))
    assert trial.output is not None
    return replace(trial, output=replace(trial.output, turns=turns))


def test_show_prints_every_turn_with_what_it_took() -> None:
    text = case_text([talk(AFTER, "Noted.", "4711", "9422")], Screen(width=80))
    lines = [one.rstrip() for one in text.splitlines()]
    for line in (
        "expected  9422",
        "expects 2 4711",
        "user 1    <My order is 4711.>",
        "answer 1  Noted.",
        "took 1    latency 100 ms  tokens 4 -> 2",
        "answer 3  9422",
        "evidence  exact_match, turn 1: passed 1.00",
        'evidence  turn:2:output 0-2: "47" (cited)',
    ):
        assert line in lines, text
    assert text.count("9422") == 2


def test_show_prints_the_turns_before_a_failure_and_what_was_not_answered() -> None:
    text = case_text([talk(AFTER, "Noted.", failed=True)], Screen(width=80))
    assert "answer 1  Noted." in text
    assert "user 2    What was its number?" in text
    assert "answer 2" not in text
    assert "error     timeout: no answer" in text


def test_why_compares_each_answer_word_by_word() -> None:
    before = [talk(BEFORE, "Noted, all of it.", "4711", "It is 9422.")]
    after = [talk(AFTER, "Noted, none of it.", "4711", "It is 9422.")]
    old, new = (run_of(one, planned=1) for one in (BEFORE, AFTER))
    both = sides(before, after)
    text = why_text(both, old, new, Screen(width=80))
    assert "answer 1  Noted, [-all-]{+none+} of it." in text
    assert "answer 2  4711\n" in text
    # the last answer is the same, the conversation is not
    assert verdict_on(both[0], []) != "the same"
    found = why_json(both, old, new)["targets"][0]["candidate"][0]
    assert [one["output"] for one in found["turns"]] == [
        "Noted, none of it.",
        "4711",
        "It is 9422.",
    ]


def test_why_shows_where_the_candidate_broke_off() -> None:
    old, new = (run_of(one, planned=1) for one in (BEFORE, AFTER))
    both = sides(
        [talk(BEFORE, "Noted.", "4711", "9422")], [talk(AFTER, "Noted.", "4711", failed=True)]
    )
    text = why_text(both, old, new, Screen(width=60))
    assert "base 3    9422" in text
    assert "cand      timeout: no answer" in text
    assert max(map(len, text.splitlines())) <= 60


def test_a_reviewer_reads_the_whole_conversation() -> None:
    text = page_text(
        talk(AFTER, "Noted.", "4711", "9422"),
        Screen(width=80),
        question="Good?",
        place=(1, 1),
        judged=0,
        shown=False,
    )
    assert "answer 1  Noted." in text
    assert "user 3    <Twice that?>" in text
    assert "latency" not in text


def test_json_has_every_turn() -> None:
    found = case_json([talk(AFTER, "Noted.", "4711", "9422")])
    assert [one["user"] for one in found["case"]["turns"]] == [one.user for one in CASE.turns]
    turns = found["trials"][0]["output"]["turns"]
    assert [one["output"]["text"] for one in turns] == ["Noted.", "4711", "9422"]


@pytest.mark.parametrize("evil", HOSTILE.values(), ids=HOSTILE)
def test_the_page_holds_the_turns_as_inert_data(tmp_path: Path, evil: str) -> None:
    case = Case.of({"question": "q"}, turns=[ScriptedTurn(user=evil), ScriptedTurn(user=evil)])
    store = stored(
        tmp_path,
        {
            BEFORE: [talk(BEFORE, evil, "x", case=case)],
            AFTER: [talk(AFTER, f"{evil}!", "x", case=case)],
        },
    )
    view = view_of(store)
    page = Page(page_html(view))
    (text,) = page.data("b0")
    assert [len(one) for one in text["turns"]] == [2, 2]
    assert text["messages"] == []
    assert [one["text"] for one in text["after"][0]["turns"]][1] == "x"
    assert text["before"][0]["turns"][0]["text"] != text["after"][0]["turns"][0]["text"]
    # only the page's own elements: nothing that a text wrote became one
    assert {tag for tag, _ in page.tags}.isdisjoint({"img", "base", "iframe", "b"})
    assert not [one for _, given in page.tags for one in given if one.startswith("on")]
    # another first answer is another text, though the last is the same
    assert view.rows.outcomes[view.rows.outcome[0]] == "reworded"
    path = tmp_path / "r.json"
    path.write_text(report_json(view), encoding="utf-8")
    assert page_html(read_report(path)) == page_html(view)


def test_a_conversation_is_read_without_scripts_too(tmp_path: Path) -> None:
    store = stored(
        tmp_path,
        {
            BEFORE: [talk(BEFORE, "Noted.", "4711", "9422")],
            AFTER: [talk(AFTER, "Noted.", "no idea", "1")],
        },
    )
    page = page_html(view_of(store))
    assert "2. What was its number?" in page
    assert "2. no idea" in page
