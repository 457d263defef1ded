"""The section of attacks, the same in every format: rates, bounds, what is new, and inert names."""

import json
import xml.etree.ElementTree as ET
from dataclasses import replace

import pytest
from scipy.stats import beta

from evalkit.gate.result import AttackCase, AttackRate, Attacks, Compared, Status, Verdict
from evalkit.report import gate_words
from evalkit.report.attacks import (
    attack_parts,
    attack_text,
    case_text,
    first_new,
    lines,
    lists,
    named,
    placed,
)
from evalkit.report.screen import Screen
from evalkit.report.verdict import diff_text, verdict_text
from evalkit.report.verdict_comment import verdict_markdown, worth_saying
from evalkit.report.verdict_files import verdict_json, verdict_junit
from evalkit.runner.gating import Differs
from tests.gate import benches

EVIL = "=cmd|' /C calc'!A0 <script>x</script> \x1b[31m ![a](http://e.org) @all"


def case(name, what, **more):
    tags = more.pop("tags", {"severity": "high", "transform": "none"})
    return AttackCase(case_id=f"id{name[:1]}", name=name, what=what, tags=tags, **more)


def found(*cases, **more):
    return Attacks(
        suite="injection",
        target="bot",
        compared=True,
        attacks=AttackRate(hits=3, n=100, undecidable=2, errors=1, rate=0.03, upper=0.0757),
        twins=AttackRate(hits=1, n=20, rate=0.05, upper=0.216),
        slices=(
            AttackRate(tag="category", value="injection", hits=3, n=100, rate=0.03, upper=0.0757),
            AttackRate(tag="transform", value="base64", hits=3, n=40, rate=0.075, upper=0.1825),
            AttackRate(tag="transform", value="none", hits=0, n=60, rate=0.0, upper=0.0487),
            AttackRate(tag="severity", value="low", n=0, undecidable=2),
            AttackRate(tag="severity", value="high", hits=3, n=100, rate=0.03, upper=0.0757),
        ),
        cases=cases,
        **more,
    )


CASES = (
    case("one", "new", before="held"),
    case("two", "known", waived="ana until 2026-12-01"),
    case("three", "refused"),
    case("four", "undecidable", before="held"),
    case("five", "fixed", before="succeeded"),
)


def verdict(*cases):
    return Verdict(status=Status.FAIL, candidate="new", baseline=("old",), attacks=(found(*cases),))


def test_a_slice_is_shown_where_it_tells_cases_apart():
    rows = lines([found()])
    assert [one.name for one in rows] == [
        "injection", "transform=base64", "transform=none", "severity=high", "severity=low",
    ]  # fmt: skip
    first, *_, low = rows
    assert (first.rate, first.upper, first.n) == ("3.00 %", "≤ 7.57 %", "100")
    assert (first.refused, first.twins) == ("5.00 %", "20")
    assert first.aside == "2 undecided, 1 no answer"
    assert (low.rate, low.upper, low.n) == ("–", "–", "0")


@pytest.mark.parametrize("width", [40, 80, 110])
def test_the_terminal_has_rates_and_lists(width):
    text = Screen(width=width).render(attack_parts([found(*CASES)], Screen(width=width)))
    assert max(map(len, text.splitlines())) <= width
    plain = " ".join(text.split())
    assert "3.00 % <= 7.57 % 100" in plain
    assert "new 1: one (high)" in plain
    assert "known 1: two (high, waived by ana until" in plain
    assert "undecided 1: four (high, held before)" in plain
    assert plain.index("new 1") < plain.index("known 1") < plain.index("fixed 1")
    assert attack_parts([], Screen()) == []


def test_the_verdict_says_how_to_see_the_first_new_one():
    text = verdict_text(verdict(*CASES), Screen())
    assert "evalkit why one old new" in text
    assert first_new([found(case("w", "new", waived="ana"), case("v", "new"))]).name == "v"
    assert first_new([found(case("k", "known"))]) is None
    assert named(case("a b", "new")) == "ida"
    assert named(case("a+base64+wrap:email", "new")) == "a+base64+wrap:email"


def test_the_gravest_are_named_first():
    told = {"a": "low", "b": "medium", "c": "critical", "d": "high", "e": "none", "f": "critical"}
    cases = [case(name, "new", tags={"severity": one}) for name, one in told.items()]
    ((_, listed),) = lists([found(*cases[:2]), found(*cases[2:])])
    assert "".join(one.name for _, one in listed) == "cfdbae"
    assert first_new([found(*cases)]).name == "c"


def test_many_are_counted_some_are_named_and_a_command_names_all():
    many = [case(f"case{number}", "new") for number in range(60)]
    text = Screen().render(attack_parts([found(*many)], Screen(), whole="evalkit show x --json"))
    assert "60: case0" in text
    assert "and 54 more" in " ".join(text.split())
    assert "all  evalkit show x --json" in text
    few = Screen().render(attack_parts([found(*CASES)], Screen(), whole="evalkit show x"))
    assert "evalkit show" not in few
    text = verdict_text(verdict(*many), Screen())
    assert "all  evalkit diff old new --limit 60" in text
    assert "all  evalkit diff old new\n" in verdict_text(verdict(*many[:30]), Screen())
    shown = diff_text((), Screen(), attacks=[found(*many)], limit=60)
    assert "case59" in shown
    assert "more" not in shown


def test_twins_that_are_refused_now_are_told_from_those_that_were():
    twins = (
        case("t1", "newly_refused", before="answered"),
        case("t2", "still_refused", before="refused"),
        case("t3", "answered_again", before="refused"),
    )
    plain = " ".join(verdict_text(verdict(*twins), Screen()).split())
    assert "newly refused 1: t1" in plain
    assert "still refused 1: t2" in plain
    assert "answered again 1: t3" in plain
    assert "evalkit why t1 old new" in plain
    text = verdict_markdown(verdict(*twins))
    assert "- **1 newly refused**: t1" in text
    assert "- 1 still refused: t2" in text
    (attacks,) = json.loads(verdict_json(verdict(*twins)))["attacks"]
    assert [one["what"] for one in attacks["cases"]] == [one.what for one in twins]
    assert "newly refused: t1" in verdict_junit(verdict(*twins))


def test_json_and_junit_have_it_all():
    value = json.loads(verdict_json(verdict(*CASES)))
    (attacks,) = value["attacks"]
    assert attacks["attacks"]["upper"] == 0.0757
    assert [one["what"] for one in attacks["cases"]][:2] == ["new", "known"]
    suite = ET.fromstring(verdict_junit(verdict(*CASES)))
    (one,) = [each for each in suite.iter("testcase") if each.get("name") == "attacks"]
    said = one.findtext("system-out")
    assert "3 of 100 attacks succeeded (3.00 %, at most 7.57 %)" in said
    assert "new: one (high)" in said
    assert one.find("failure") is None


def test_the_comment_says_what_is_new_first():
    text = verdict_markdown(verdict(*CASES))
    assert "#### Attacks" in text
    assert "- **1 new**: one \\(high\\)" in text
    assert "`evalkit why ido old new`" in text
    assert "| injection | 3.00 % | ≤ 7.57 % | 100 |" in text


def test_a_name_is_inert_everywhere():
    one = case(EVIL, "new", tags={"transform": EVIL})
    assert "\x1b" not in case_text(one)
    text = verdict_text(verdict(one), Screen())
    assert "\x1b" not in text
    assert "evalkit why id= old new" in text
    assert "<script>" not in verdict_markdown(verdict(one))
    assert "![a]" not in verdict_markdown(verdict(one))
    ET.fromstring(verdict_junit(verdict(one)))


def test_one_sentence_says_it():
    assert attack_text(found()) == (
        "3 of 100 attacks succeeded (3.00 %, at most 7.57 %), 1 of 20 twins refused"
        " (5.00 %, at most 21.6 %); 2 undecided, 1 no answer"
    )


def test_of_several_suites_the_slices_are_joined():
    one = found()
    rows = {each.name: each for each in lines([one, replace(one, suite="leaks")])}
    assert list(rows)[:3] == ["injection", "leaks", "all suites"]
    upper = beta.ppf(0.95, 7, 194)
    every = rows["all suites"]
    assert (every.rate, every.n, every.twins) == ("3.00 %", "200", "40")
    assert every.upper == f"≤ {100 * upper:.3g} %"
    assert every.aside == "4 undecided, 2 no answer"
    assert rows["transform=base64"].n == "80"
    assert "category=injection" not in rows
    assert next(each.name for each in lines([one, replace(one, target="other")])) == (
        "injection on bot"
    )


def test_a_difference_of_two_runs_lists_the_attacks_and_repeats_no_rate():
    shown = " ".join(diff_text((), Screen(), attacks=[found(*CASES)]).split())
    assert "new 1: one (high)" in shown
    assert "known 1: two" in shown
    assert "fixed 1: five" in shown
    assert "3.00 %" not in shown
    sides = tuple(Compared(suite=one, target="bot") for one in ("injection", "golden"))
    injection, golden = Differs(sides, (found(*CASES),), (None, None)).to_json()
    assert injection["attacks"]["cases"][0]["what"] == "new"
    assert golden["attacks"] is None


def test_after_the_run_a_verdict_names_attacks_without_their_rates():
    brief = verdict_text(verdict(*CASES), Screen(), rates=False)
    assert "3.00 %" in verdict_text(verdict(*CASES), Screen())
    assert "3.00 %" not in brief
    assert "one (high)" in brief


def test_a_case_says_its_suite_unless_its_name_does():
    one = found()
    assert placed(one, case("injection.a", "new"), suites=True, targets=False) == (
        "injection.a (high)"
    )
    assert placed(one, case("a", "new"), suites=True, targets=True) == "injection/bot/a (high)"


def test_the_headline_of_a_pass_names_new_attacks_everywhere():
    calm = benches.verdict(
        *benches.pairs(95, 2, 2, 1), benches.gate("pass.rate", benches.limit("max_drop", 0.5))
    )
    assert calm.status is Status.PASS
    assert not worth_saying(replace(calm, compared=()))
    told = replace(calm, compared=(), attacks=(found(*CASES, case("six", "new")),))
    said = "1 of 1 gates passes, 2 new attacks succeed"
    assert gate_words.headline(told) == said
    assert said in verdict_text(told, Screen(width=100), quiet=True)
    assert said in verdict_markdown(told)
    assert json.loads(verdict_json(told))["headline"] == said
    assert worth_saying(told)
    (new,) = (case for case in CASES if case.what == "new")
    assert gate_words.headline(replace(calm, attacks=(found(new),))).endswith(
        "1 new attack succeeds"
    )
