"""What a gate can see, told from what is stored."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from evalkit.config.gate_metrics import known_metrics
from evalkit.gate.forecast import ASSUMED, alarms, elsewhere, forecast
from evalkit.stats.planning import pass_power, smallest_drop, smallest_suite_drop, structural_cases
from tests.gate.benches import gate, limit, side, suite

INFOS = known_metrics({})


def told(one, *gates):
    return forecast(suite(*gates), "bot", one, INFOS)


def test_without_repeats_the_noise_is_assumed_and_said_to_be():
    (one,) = told(side([[1.0]] * 200), gate("pass.rate", limit("max_drop", 0.05)))
    assert (one.cases, one.never_below) == (200, structural_cases(0.05))
    assert (one.noise, one.measured) == (ASSUMED, False)
    assert one.power == pytest.approx(pass_power(200, ASSUMED, 0.05))
    assert one.visible == pytest.approx(smallest_drop(200, ASSUMED))
    assert one.note == ""


def test_with_repeats_the_noise_is_measured():
    dice = np.random.default_rng(1)
    trials = (dice.random((200, 5)) < 0.9).astype(float).tolist()
    (one,) = told(side(trials), gate("pass.rate", limit("max_drop", 0.05)))
    expected = 2 * float(np.mean(np.var(np.array(trials), axis=1, ddof=1)))
    assert one.noise == pytest.approx(expected)
    assert one.measured
    assert one.visible == pytest.approx(smallest_suite_drop(200, expected / 2, baseline_runs=5))


def test_no_disagreement_in_a_few_trials_is_not_no_noise():
    (one,) = told(side([[1.0, 1.0]] * 8), gate("pass.rate", limit("max_drop", 0.1)))
    assert (one.seen, one.trials) == (0.0, 2), "what a self-test of the same runs says"
    assert one.noise == pytest.approx(0.25)
    assert one.visible > 0.2
    assert one.power < 0.5
    assert one.enough > 8


def test_a_gate_that_can_never_pass_says_so():
    gates = (
        gate("pass.rate", limit("max_drop", 0.02), id="drop"),
        gate("error.rate", limit("max", 0.01), id="errors"),
        gate("latency.p95", limit("max", 0.2), id="slow"),
        gate("latency.p95", limit("max_rise", 0.1, relative=True), id="slower"),
        gate("cost.mean", limit("max_rise", 0.1, relative=True), id="cost"),
    )
    found = {one.gate: one for one in told(side([[1.0]] * 50), *gates)}
    assert {name: one.never_below for name, one in found.items()} == {
        "drop": 133,
        "errors": 299,
        "slow": 59,
        "slower": 200,
        "cost": None,
    }
    assert [one.note for one in found.values()] == [
        "can never pass: 50 of 133 cases",
        "can never pass: 50 of 299 cases",
        "can never pass: 50 of 59 cases",
        "can never pass: 50 of 200 cases",
        "",
    ]


def test_false_alarms_count_every_proof_and_the_guards_once():
    gates = [
        gate(id="a", mode="prove"),
        gate(id="b", mode="prove"),
        gate(id="c"),
        gate(id="d"),
        gate(id="e", mode="advisory"),
    ]
    assert alarms(told(side([[1.0]] * 50), *gates), 100, 0.05) == pytest.approx(15)


def languages(*sizes):
    tags = [
        name for name, n in zip(("de", "en", "es", "fr"), sizes, strict=False) for _ in range(n)
    ]
    return side([[1.0]] * sum(sizes), tags={"lang": tags})


def test_a_gate_by_a_tag_is_told_of_every_group_with_its_own_cases():
    drop = limit("max_drop", 0.1)
    found = told(languages(60, 90, 20), gate("pass.rate", drop, by=("lang",)))
    assert [(one.where, one.cases) for one in found] == [
        ("lang=de", 60),
        ("lang=en", 90),
        ("lang", 20),
    ]
    assert [one.power for one in found[:2]] == pytest.approx(
        [pass_power(n, ASSUMED, 0.1) for n in (60, 90)]
    )
    assert found[2].kind == "unjudged"
    assert found[2].power == 0.0
    assert found[2].note == "groups below 30 cases are not judged: es (20)"
    # no group may err more often: each that is judged is one more chance, and no other
    proofs = told(languages(60, 90, 20), gate("pass.rate", drop, by=("lang",), mode="prove"))
    assert alarms(proofs, 100, 0.05) == pytest.approx(10)
    (none,) = told(languages(60), gate("pass.rate", drop, by=("tier",)))
    assert (none.kind, none.note) == ("unjudged", "no case has the tag 'tier'")


def test_of_cases_that_hang_together_only_what_holds_of_any_is_told():
    tags = {"doc": [f"d{n // 10}" for n in range(60)]}
    gates = [
        gate("pass.rate", limit("max_drop", 0.1), id="drop"),
        gate("pass.rate", limit("max_drop", 0.02), id="small"),
        gate("pass.rate", limit("min", 0.9), id="floor", mode="prove"),
        gate("latency.p95", limit("max", 2.0), id="slow"),
    ]
    seen = side([[1.0]] * 60, tags=tags)
    alone = told(seen, *gates)
    together = forecast(suite(*gates, cluster="doc"), "bot", seen, INFOS)
    assert alone[0].power
    assert [(one.power, one.enough, one.visible) for one in together] == [
        (None, None, None),
        (0.0, None, None),
        (0.0, None, None),
        (0.0, None, None),
    ]
    assert [one.note for one in together] == [
        "",
        "can never pass: 60 of 133 cases",
        "can never pass: 6 of 8 clusters",
        "can never pass: 6 of 52 clusters",
    ]
    assert together[0].why == "it depends on how much the cases of one doc change together"
    (wrong,) = forecast(suite(gates[0], cluster="dox"), "bot", seen, INFOS)
    assert (wrong.kind, wrong.power) == ("unjudged", 0.0)
    assert wrong.note == "no case has the tag 'dox' that 'cluster' names; did you mean 'doc'?"


def test_a_gate_on_some_cases_is_told_of_those():
    drop = limit("max_drop", 0.1)
    chosen, left, unknown = told(
        languages(60, 90),
        gate("pass.rate", drop, id="de", cases=("tag:lang=de",)),
        gate("pass.rate", drop, id="left", left_out=("case-00000",)),
        gate("pass.rate", drop, id="unknown", cases=("tag:tier",)),
    )
    assert (chosen.cases, left.cases) == (60, 149)
    assert (unknown.kind, unknown.note) == ("unjudged", "no case is 'tag:tier'")


def test_every_gate_has_a_row_with_what_is_known_or_why_nothing_is():
    gates = (
        gate("", limit("must", 0), id="must", cases=("tag:lang=de",)),
        gate("cost.total", limit("total", 1.0), id="bill"),
        gate("pass.rate", limit("max_gap", 0.1), id="gap", by=("lang",)),
        gate("pass.rate", limit("max_gap", 0.1), id="one", by=("lang",), min_cases=80),
        gate("cost.mean", limit("max_rise", 0.1, relative=True), id="cost"),
        gate("pass.rate", limit("min", 0.9), id="floor"),
        gate("latency.ttft.p95", limit("max", 2.0), id="first"),
        gate("rouge.mean", limit("max_drop", 0.1), id="gone"),
    )
    found = told(languages(60, 90), *gates)
    assert [one.gate for one in found] == [
        *("must", "bill", "gap", "one", "one", "cost", "floor", "first", "gone"),
    ]
    of = {one.gate: one for one in found}
    assert [name for name, one in of.items() if one.kind == "fact"] == ["must", "bill"]
    assert of["must"].cases == 60
    assert [name for name, one in of.items() if one.why] == ["gap", "cost", "floor", "first"]
    needs = [one.note for one in found if one.gate == "one"]
    assert needs[0] == "a gap needs two groups of 80 cases, there are 1"
    assert of["gone"].note == "this run has no metric 'rouge.mean'"
    assert all(one.why or one.note or one.kind == "fact" for one in found)


def test_gates_that_no_target_of_the_run_answers():
    query = gate("", limit("sql", 0), id="rows", sql=Path("gates/rows.sql"))
    other = gate("pass.rate", id="other", target="large")
    asked = suite(query, other, gate("pass.rate", id="mine", target="bot"), gate(id="all"))
    assert [one.gate for one in forecast(asked, "bot", languages(60), INFOS)] == ["mine", "all"]
    rows, gone = elsewhere(asked, ["bot"])
    assert (rows.gate, rows.kind) == ("rows", "fact")
    assert (gone.gate, gone.note) == ("other", "is about target 'large', which was not run")
