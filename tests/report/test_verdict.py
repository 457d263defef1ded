"""A verdict in words, drawn, and as the files CI reads."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ET
from dataclasses import replace

import pytest
from example_runs import example_case, example_trial, scored
from rich.cells import cell_len

from evalkit.gate.result import Difference, Fairness, GroupRate, Place
from evalkit.report import gate_words
from evalkit.report.screen import Screen
from evalkit.report.verdict import BAR, bar, diff_text, verdict_text
from evalkit.report.verdict_comment import COMMENT_LIMIT, MARKER, verdict_markdown
from evalkit.report.verdict_files import verdict_json, verdict_junit
from tests.gate.benches import gate, limit, only, pairs, side, verdict


@pytest.fixture(scope="module")
def failed():
    old, new = pairs(420, 9, 40, 31)
    return verdict(
        old,
        new,
        gate("pass.rate", limit("max_drop", 0.03), id="quality", mode="prove"),
        gate("error.rate", limit("max", 0.01), id="errors"),
        gate("latency.p95", limit("max", 0.2), id="slow"),
        gate("latency.p95", limit("max_rise", 0.1, relative=True), id="slower"),
        gate("cost.mean", limit("max_rise", 0.05, relative=True), limit("total", 5.0), id="cost"),
    )


def test_the_sentence_of_a_pass():
    old, new = pairs(440, 19, 22, 19)
    found = only(verdict(old, new, gate("pass.rate", limit("max_drop", 0.03), id="quality")))
    assert gate_words.sentence(found) == (
        "PASS quality on bot −0.6 pt (90 % interval −2.8 pt … +1.5 pt): a drop larger than 3.0 pt"
        " on 500 cases is ruled out. 22 worse, 19 better."
    )


def test_the_sentence_of_a_failure(failed):
    assert gate_words.sentence(failed.results[0]).startswith(
        "FAIL quality on bot −6.2 pt (90 % interval −8.6 pt … −4.0 pt): a drop larger than 3.0 pt"
        " on 500 cases is shown. 40 worse, 9 better."
    )


def test_a_failure_that_is_shown_is_not_excused_by_few_cases():
    quality = gate("pass.rate", limit("max_drop", 0.1), id="quality")
    said = gate_words.sentence(only(verdict(*pairs(1, 0, 6, 1), quality)))
    assert said.startswith("FAIL quality on bot −75.0 pt")
    assert "a drop larger than 10.0 pt on 8 cases is shown. 6 worse, 0 better." in said


@pytest.mark.parametrize("width", [80, 100, 110, 140])
@pytest.mark.parametrize("unicode", [True, False])
def test_the_screen_keeps_every_number_whole(failed, width, unicode, snapshot):
    text = verdict_text(failed, Screen(width=width, unicode=unicode))
    assert max(map(len, text.splitlines())) <= width
    assert text.splitlines()[0].split("  ")[0] in {"✕ FAIL", "x FAIL"}
    assert "−6.2 pt" in text or "-6.2 pt" in text
    assert unicode or text.isascii()
    if width in {80, 110} and unicode:
        assert text == snapshot


@pytest.mark.parametrize("width", [80, 104])
def test_names_of_gates_wrap_before_a_level_goes(failed, width):
    (old_name,) = {one.suite for one in failed.results}
    results = [
        replace(one, gate=f"{one.gate}.of.the.whole.help.desk", suite=suite, about="level")
        for one in failed.results[:2]
        for suite in (old_name, "another_suite")
    ]
    text = verdict_text(replace(failed, results=tuple(results)), Screen(width=width))
    assert max(map(len, text.splitlines())) <= width
    head = next(one for one in text.splitlines() if one.split()[:2] == ["gate", "suite"])
    # nothing changed anywhere: that column goes first
    assert head.split()[-3:] == ["base", "cand", "n"] or head.split()[-2:] == ["base", "cand"]
    for one in results:
        assert gate_words.level(one, one.candidate) in text


def test_the_sentence_of_a_smaller_drop_and_of_one_not_settled():
    quality = gate("pass.rate", limit("max_drop", 0.03), id="quality")
    smaller = gate_words.sentence(only(verdict(*pairs(440, 5, 19, 36), quality)))
    assert smaller.startswith("FAIL quality on bot −2.8 pt (90 % interval −4.")
    assert "a real drop is shown, and a drop larger than 3.0 pt" in smaller
    assert smaller.endswith("on 500 cases is not ruled out. 19 worse, 5 better.")
    open_ = gate_words.sentence(only(verdict(*pairs(170, 5, 7, 18), quality)))
    assert "a drop larger than 3.0 pt on 200 cases is neither shown nor ruled out" in open_
    assert "more cases would settle it." in open_
    assert gate_words.sentence(only(verdict(None, pairs(9, 0, 0, 0)[1], quality))) == (
        "ERROR quality on bot: there is no baseline."
    )


def test_quiet_is_the_first_line(failed):
    text = verdict_text(failed, Screen(), quiet=True)
    assert text == "x FAIL  2 of 5 gates fail, 1 advisory   exit 1\n"


def test_the_bar_shows_zero_limit_and_estimate(failed):
    drawn = bar(failed.results[0])
    assert len(drawn) == BAR
    assert drawn.count("●") == drawn.count("├") == drawn.count("┤") == drawn.count("│") == 1
    assert drawn.index("├") < drawn.index("●") < drawn.index("┤")
    assert drawn.index("┤") < drawn.index("┊") or "╪" in drawn
    assert drawn.rstrip().endswith("│")
    assert bar(replace(failed.results[0], about="fact")) == ""


def test_json_has_every_number_and_the_sentence(failed):
    value = json.loads(verdict_json(failed))
    assert (value["status"], value["exit_code"]) == ("FAIL", 1)
    assert value["results"][0]["difference"] == pytest.approx(-0.062)
    assert value["results"][0]["sentence"] == gate_words.sentence(failed.results[0])


def test_junit(failed):
    suites = ET.fromstring(verdict_junit(failed))
    assert (suites.get("tests"), suites.get("failures"), suites.get("errors")) == ("6", "2", "0")
    names = {one.get("name"): one for one in suites.iter("testcase")}
    assert names["quality Δ≥−3.0 pt"].find("failure") is not None
    assert names["slower Δ≤+10.0 %"].find("skipped") is not None
    old, new = pairs(40, 0, 1, 4)
    unsure = ET.fromstring(verdict_junit(verdict(old, new, gate(mode="prove"))))
    assert unsure.get("errors") == "1"
    nothing = ET.fromstring(verdict_junit(verdict(old, new)))
    assert nothing.get("errors") == "1"


def test_markdown(failed):
    text = verdict_markdown(failed)
    assert text.startswith(f"{MARKER}\n### ✕ FAIL · 2 of 5 gates fail, 1 advisory\n")
    assert "| ✕ FAIL | quality bot | Δ≥−3.0 pt |" in text
    assert "40 cases regressed" in text


def test_the_comment_says_how_many_more_regressed_and_how_to_see_them(failed):
    text = verdict_markdown(failed)
    assert "40 cases regressed" in text
    assert "- and 37 more: `evalkit diff old new --only regressed --limit 40`" in text


def test_the_comment_says_of_every_target_where_cases_regressed(failed):
    (one,) = failed.compared
    places = (Place(slice="lang=es", regressed=9, cases=20, lift=2.5),)
    alone = verdict_markdown(replace(failed, compared=(replace(one, places=places),)))
    assert "- where: lang=es 9 of 20 \\(×2.5\\)\n" in alone
    targets = [f"bot-{number}" for number in range(9)]
    several = tuple(replace(one, places=places, target=name) for name in targets)
    text = verdict_markdown(replace(failed, compared=several))
    assert "- where on support/bot-0: lang=es 9 of 20" in text
    assert text.count("- where on ") == 6
    assert "- and on 3 more\n" in text


HOSTILE = "</script><img src=x onerror=alert(1)> @team #1 [x](http://e) `x` \x1b[31m \u202e | \x00"


def test_hostile_names_stay_text():
    old = side([[1.0]] * 60, names=[HOSTILE] * 60, run="old")
    new = side([[0.0]] * 60, names=[HOSTILE] * 60, run="new")
    found = verdict(old, new, gate("pass.rate", limit("max_drop", 0.05), id="quality"))
    text = verdict_markdown(found)
    assert "<img" not in text
    assert "@team" not in text
    assert "#1" not in text
    assert "](http" not in text
    assert "\x1b" not in text
    assert "\u202e" not in text
    ET.fromstring(verdict_junit(found))
    shown = verdict_text(found, Screen(unicode=True))
    assert "\x1b" not in shown
    assert "\u202e" not in shown
    assert "\x1b" not in diff_text(found.compared, Screen(unicode=True))


def test_a_comment_never_grows_too_long():
    old, new = pairs(60, 0, 30, 0)
    gates = [
        gate("pass.rate", limit("max_drop", 0.05), id=f"gate-{one}-{'x' * 60}")
        for one in range(900)
    ]
    text = verdict_markdown(verdict(old, new, *gates))
    assert len(text) < COMMENT_LIMIT
    assert "more | | |" in text


def test_targets_in_which_nothing_moved_have_one_line_in_a_difference(failed):
    (moved,) = failed.compared
    still = replace(
        moved, target="calm", regressed=0, improved=0, flaky=0, same=500, moved=(), places=()
    )
    refused = Difference(kind="scorers", weight="refused", text="the judge is another")
    text = diff_text(
        (still, moved, replace(still, target="other", differences=(refused,))), Screen(width=100)
    )
    lines = text.splitlines()
    assert "support calm: nothing moved in 500 cases" in lines
    assert [one for one in lines if one.startswith("support other")] == [
        "support other: nothing moved in 500 cases, ! the judge is another"
    ]
    assert sum("regressed" in one for one in lines) == 1
    alone = diff_text((still,), Screen(width=100))
    assert "nothing moved" not in alone
    assert "=500 same" in alone


@pytest.mark.parametrize("unicode", [True, False])
def test_where_there_is_room_a_difference_shows_what_the_candidate_said(failed, unicode):
    (compared,) = failed.compared
    asked = []

    def answer(case_id, text, index, value):
        base = example_trial("new", example_case(1), compared.target, quality=value)
        return replace(
            base,
            case=replace(base.case, id=case_id),
            suite=compared.suite,
            index=index,
            output=replace(base.output, text=text),
            scores=(scored("exact_match", value, passed=value > 0),),
        )

    def texts(case_ids):
        asked.append(list(case_ids))
        first, second, third, *_ = case_ids
        return {
            first: (answer(first, "right", 0, 1.0), answer(first, "wrong\u202e\n" * 90, 1, 0.0)),
            second: (replace(answer(second, "", 0, 0.0), suite="another"),),
            third: (answer(third, "", 0, 0.0),),
        }

    def shown(width):
        screen = Screen(width=width, unicode=unicode)
        text = diff_text((compared,), screen, limit=4, texts=texts)
        assert max(map(cell_len, text.splitlines())) <= width
        return text.splitlines()

    end = "…" if unicode else "..."
    for width in (80, 140):
        lines = shown(width)
        (head,) = [place for place, one in enumerate(lines) if "the candidate's answer" in one]
        at = lines[head].index("the candidate's answer")
        first, second, third, fourth = (one[at:] for one in lines[head + 1 : head + 5])
        assert first.startswith("wrong\\u{202e} wrong\\u{202e}")
        assert first.endswith(end)
        assert (second, third, fourth) == ("", '""', "")
    assert asked == [[one.case_id for one in compared.moved[:4]]] * 2
    assert not [one for one in shown(50) if "the candidate's answer" in one]
    assert len(asked) == 2


def test_an_answer_beside_its_case_is_cut_to_columns_of_the_screen(failed):
    (compared,) = failed.compared
    base = example_trial("new", example_case(1), compared.target, quality=0.0)
    wide = replace(base, suite=compared.suite, output=replace(base.output, text="三十天内" * 90))
    text = diff_text(
        (compared,), Screen(width=80, unicode=True), limit=3, texts=lambda ids: {ids[0]: (wide,)}
    )
    assert "三十天内三十天内…" in text
    assert max(map(cell_len, text.splitlines())) <= 80


def test_fairness_is_in_the_junit_file_gates_on_gaps_and_axes_alike(failed):
    lang = {"lang": ["en"] * 100 + ["es"] * 100}
    both = [
        side([[1.0]] * 100 + [[one]] * 100, tags=lang, run=name)
        for one, name in ((1.0, "old"), (0.0, "new"))
    ]
    gap = gate("pass.rate", limit("max_gap", 0.05), id="gap", by=("lang",))
    axis = Fairness(
        suite="support", target="bot", axis="age", metric="pass.rate", unit="%",
        groups=(GroupRate(group="old", value=0.5), GroupRate(group="young", value=0.9)),
        worst="old", best="young", gap=0.4, low=0.2, high=0.6, pairs=50, unequal=21,
    )  # fmt: skip
    root = ET.fromstring(verdict_junit(replace(verdict(*both, gap), fairness=(axis,))))
    cases = {one.get("name"): one for one in root.iter("testcase")}
    (of_gate,) = [one for name, one in cases.items() if name.startswith("gap")]
    assert of_gate.find("failure") is not None
    assert cases["fairness age"].find("system-out").text == (
        "old 50.0 %, young 90.0 %: gap 40.0 pt (95 % interval [20.0, 60.0]); pairs differ: 21 of 50"
    )
    assert cases["fairness age"].get("classname") == "evalkit.support.bot"
    assert root.get("tests") == str(len(cases))
