"""What a gate can see, told from what is stored."""

from __future__ import annotations

import numpy as np
import pytest

from evalkit.config.gate_metrics import known_metrics
from evalkit.gate.forecast import ASSUMED, alarms, forecast
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
