"""What the first line of a verdict says, and that it never reads better than the verdict is."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

from evalkit.config.spec import Waiver
from evalkit.gate.decide import decide
from evalkit.gate.result import Status
from evalkit.report import gate_words
from evalkit.report.screen import Screen
from evalkit.report.verdict import verdict_text
from evalkit.report.verdict_comment import verdict_markdown
from evalkit.report.verdict_files import verdict_json
from tests.gate.benches import TODAY, gate, limit, pairs, stored, suite, verdict


def few(*gates, cases=8, **policy):
    """A verdict over so few cases in which nothing changed, and a gate that passes beside it."""
    bill = gate("cost.mean", limit("total", 1.0), id="bill")
    return verdict(*pairs(cases, 0, 0, 0), bill, *gates, **policy)


def test_a_pass_says_that_some_gates_could_not_have_passed():
    drop = gate("pass.rate", limit("max_drop", 0.1), id="quality")
    floor = gate("pass.rate", limit("min", 0.8), id="floor")
    found = few(drop)
    assert (found.status, found.exit_code) == (Status.PASS, 0)
    said = "1 of 2 gates passes, 1 has too few cases to rule harm out"
    assert gate_words.headline(found) == said
    for shown in (
        verdict_text(found, Screen(width=100), quiet=True),
        verdict_markdown(found),
        verdict_json(found),
    ):
        assert said in shown
    both = few(drop, floor)
    assert gate_words.headline(both) == "1 of 3 gates passes, 2 have too few cases to rule harm out"
    # 0.8 ** 14 is the first power below 5 %, and no number of other cases would settle it
    said = "8 cases can never rule it out, 14 can"
    assert both.results[2].reason == said
    for shown in (verdict_text(both, Screen(width=200)), verdict_markdown(both)):
        assert said in shown
        assert "would settle it" not in shown
    assert few(floor, cases=13).results[1].shows == "harm"
    assert few(floor, cases=14).results[1].status is Status.PASS
    enough = few(gate("pass.rate", limit("max_drop", 0.03), id="q"), cases=88)
    assert gate_words.headline(enough) == "2 of 2 gates pass"
    old, new = pairs(170, 5, 7, 18)
    open_ = verdict(old, new, gate("cost.mean", limit("total", 1.0)), gate(id="q"))
    assert open_.results[1].shows == "either"


def test_a_guard_that_could_show_nothing_is_no_pass_unless_the_policy_says_so():
    drop = gate("pass.rate", limit("max_drop", 0.1), id="quality")
    # mid-p of n losses is 0.5 ** (n + 1): four can show harm, three cannot
    assert few(drop, cases=4).status is Status.PASS
    found = few(drop, cases=3)
    assert (found.status, found.exit_code) == (Status.INCONCLUSIVE, 3)
    assert gate_words.headline(found) == "1 of 2 gates passes, 1 inconclusive"
    assert "3 cases can never rule it out, nor show harm, 25 can" in found.results[1].reason
    for lenient in ("warn", "pass"):
        assert few(drop, cases=3, on_inconclusive=lenient).status is Status.PASS
    aside = gate("pass.rate", limit("max_drop", 0.1), id="quality", mode="advisory")
    assert few(aside, cases=3).status is Status.PASS


def test_the_headline_of_a_waived_failure_says_by_whom():
    mine = Waiver(owner="Ada", reason="the new region", until=date(2030, 1, 31))
    one = gate(id="quality", waiver=mine)
    old, new = pairs(400, 0, 60, 40)
    found = verdict(old, new, one)
    assert found.status is Status.PASS
    said = "1 of 1 gates fails, waived by Ada until 2030-01-31"
    assert gate_words.headline(found) == said
    also = verdict(old, new, one, gate(id="other"))
    assert also.status is Status.FAIL
    assert gate_words.headline(also) == (
        "2 of 2 gates fail, 1 of them waived by Ada until 2030-01-31"
    )
    late = verdict(old, new, replace(one, waiver=replace(mine, until=date(2026, 1, 1))))
    assert gate_words.headline(late) == "1 of 1 gates fails"


def test_why_nothing_could_be_judged_is_said_once():
    gates = [gate(id=name) for name in ("quality", "floor", "critical")]
    found = decide([suite(*gates)], stored(pairs(90, 0, 0, 0)[1]), None, today=TODAY,
                   no_baseline="there is none: promote one")  # fmt: skip
    text = " ".join(verdict_text(found, Screen(width=100)).split())
    assert text.count("there is none") == 1
    assert "ERROR quality, floor, critical on bot: there is none: promote one." in text
    assert verdict_markdown(found).count("there is none") == 1
