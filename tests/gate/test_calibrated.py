"""Gates on metrics that stand in for people's judgement."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from evalkit.errors import UsageError
from evalkit.gate import calibrated
from evalkit.gate.decide import decide
from evalkit.gate.policy import promise
from evalkit.gate.record import Calibration, from_json, to_json
from evalkit.gate.result import Status
from evalkit.registry import Kind, get
from evalkit.report import gate_words
from evalkit.runner.calibrating import _Data, _mean
from evalkit.stats import calibration, judged
from evalkit.stats.calibration import Judged
from evalkit.stats.sides import SideScores
from tests.gate.benches import TODAY, gate, limit, side, stored, suite

SIGNATURE = "hallucination|v:1"


def record(labels=120, *, signature=SIGNATURE, wrong=0.05, name="hallucination"):
    """People agree with a threshold of 0.4 except on a share of answers."""
    generator = np.random.default_rng(0)
    doubt = np.linspace(0, 1, labels)
    bad = (doubt > 0.4) ^ (generator.random(labels) < wrong)
    labelled = Judged(
        doubt=doubt, bad=bad, cases=np.arange(labels), fair=np.ones(labels, dtype=bool)
    )
    return Calibration(
        project="p", suite="support", scorer=name, signature=signature, question=name,
        lower=True, threshold=0.4, goal="given", fit=calibration.fit(labelled, threshold=0.4),
        labels={"used": labels}, people=("Ada",), first="2026-11-01", last="2026-11-02",
        by="Ada", at="2026-11-02T00:00:00+00:00",
    )  # fmt: skip


def with_values(values):
    values = np.asarray(values, dtype=float)
    one = side([[1.0]] * len(values))
    return replace(
        one,
        scores={
            **one.scores,
            "hallucination": SideScores(
                values=values,
                passed=(values <= 0.5).astype(np.int8),
                unscored=np.zeros(len(values), dtype=bool),
            ),
        },
    )


def run(values, one, records=(), *, before=None):
    held = {(each.suite, each.scorer): each for each in records}
    old = None if before is None else stored(with_values(before))
    found = decide([suite(one)], stored(with_values(values)), old, today=TODAY, records=held)
    return found, found.results[0]


CLEAN = [0.1] * 400
CEILING = limit("max", 0.10)
RATE = "hallucination.rate"


def test_without_labels_a_guard_only_warns_and_says_uncalibrated():
    found, result = run([0.9] * 400, gate(RATE, CEILING))
    assert result.status is Status.FAIL
    assert (result.mode, result.standing, result.effect) == ("advisory", "uncalibrated", "none")
    assert promise([result], 0.05) == "", "an interval was shown: it checked no fact"
    assert found.status is Status.INCONCLUSIVE  # nothing was shown
    assert "hallucination is uncalibrated, so it only warns" in gate_words.sentence(result).lower()
    (warning,) = found.warnings
    assert "evalkit review latest --scorer hallucination" in warning
    assert "evalkit calibrate support" in warning


@pytest.mark.parametrize("values", [CLEAN, [0.9] * 400])
def test_without_labels_nothing_is_proved_either_way(values):
    found, result = run(values, gate(RATE, CEILING, mode="prove"))
    assert result.status is Status.INCONCLUSIVE
    assert found.status is Status.INCONCLUSIVE
    assert "uncalibrated" in gate_words.sentence(result)
    assert "by chance" not in found.promise


def test_with_labels_the_corrected_rate_is_judged():
    found, result = run(CLEAN, gate(RATE, CEILING, mode="prove"), [record(400, wrong=0.02)])
    assert found.status is Status.PASS
    assert (result.standing, result.labels) == ("calibrated", 400)
    assert result.uncorrected == 0.0
    misses = record(400, wrong=0.02).fit
    expected = (misses.passed_bad + 0.5) / (misses.passed_bad + misses.passed_good + 1)
    assert result.candidate == pytest.approx(expected, abs=0.01)
    assert result.low < result.candidate < result.high
    sentence = gate_words.sentence(result)
    assert "Corrected by 400 labels of people: the scorer alone says 0 %." in sentence
    assert found.warnings == ()


def scored(generator, cases, *, shift=0.1):
    """People's scores of some cases, and a judge's, which is harsher by ``shift`` and noisy."""
    truth = generator.beta(2, 6, cases)
    return truth, np.clip(truth + shift + generator.normal(0, 0.05, cases), 0, 1)


def test_with_enough_scores_of_people_the_mean_is_corrected():
    generator = np.random.default_rng(4)
    truth, judge = scored(generator, 300)
    _, values = scored(generator, 2_000)
    held = replace(record(400, wrong=0.02), mean=judged.Labelled.of(truth, judge))
    mean = gate("hallucination.mean", limit("max", 0.3), mode="prove")
    _, alone = run(values, mean, [record(400, wrong=0.02)])
    found, result = run(values, mean, [held])
    assert alone.candidate == pytest.approx(values.mean())
    assert alone.status is Status.FAIL
    expected = judged.prediction_powered_mean(truth, judge, values)
    assert result.candidate == pytest.approx(expected.value)
    assert result.uncorrected == pytest.approx(values.mean())
    low, high = expected.interval(0.9).low, expected.interval(0.9).high
    assert (result.low, result.high) == (pytest.approx(low), pytest.approx(high))
    assert result.low < 0.25 < result.high, "the mean of the truth"
    assert found.status is Status.PASS
    # the record keeps what it takes
    assert from_json(to_json(held), where="x").mean == held.mean
    few = replace(held, mean=judged.Labelled.of(truth[:150], judge[:150]))
    assert run(values, mean, [few])[1].uncorrected is None


def test_what_labels_say_of_a_mean_comes_from_ratings_or_from_bad_answers():
    n = 240
    doubt = np.linspace(0, 1, n)
    data = _Data(
        judged=Judged(doubt=doubt, bad=doubt > 0.5, cases=np.arange(n), fair=np.ones(n, bool)),
        doubts=(), ratings=tuple(5.0 - 4 * one for one in doubt), values=tuple(doubt), counts={},
    )  # fmt: skip
    plugin = get(Kind.SCORER, "hallucination")
    rated = _mean(data, plugin)
    assert rated.truth == pytest.approx(doubt.mean())
    assert rated.covariance == pytest.approx(rated.judged_variance)
    unrated = _mean(replace(data, ratings=(None,) * n), plugin)
    assert unrated.truth == pytest.approx((doubt > 0.5).mean())
    hard = replace(data.judged, fair=doubt > 0.4)
    assert _mean(replace(data, judged=hard), plugin) is None


def test_a_ceiling_the_labels_cannot_carry_is_not_passed():
    """No flag among 100,000 answers: what it misses, only labels know."""
    _, result = run([0.1] * 5_000, gate(RATE, limit("max", 0.01), mode="prove"), [record()])
    assert result.status is not Status.PASS


def test_answers_are_decided_by_the_threshold_of_the_record():
    values = [0.45] * 200 + [0.1] * 200  # the scorer's own threshold, 0.5, flags none
    _, alone = run(values, gate(RATE, CEILING))
    _, result = run(values, gate(RATE, CEILING), [record()])
    assert alone.candidate == 0.0
    assert result.uncorrected == 0.5
    assert result.status is Status.FAIL


def test_a_record_of_another_signature_is_named_stale_and_not_used():
    stale = record(signature="hallucination|another|v:1")
    found, result = run(CLEAN, gate(RATE, CEILING), [stale])
    assert (result.standing, result.mode, result.uncorrected) == ("stale", "advisory", None)
    assert "stale" in found.warnings[0]
    assert "stale" in gate_words.sentence(result)


def test_below_a_hundred_labels_the_rate_is_corrected_and_only_warns():
    found, result = run([0.9] * 400, gate(RATE, CEILING), [record(labels=40)])
    assert (result.standing, result.mode, result.labels) == ("few", "advisory", 40)
    assert result.uncorrected == 1.0
    assert "60 more labels let it block" in found.warnings[0]
    _, prove = run(CLEAN, gate(RATE, CEILING, mode="prove"), [record(labels=40)])
    assert prove.status is Status.INCONCLUSIVE


def test_weak_agreement_may_block_and_not_prove():
    weak = record(wrong=0.25)
    assert (weak.may_block, weak.may_prove) == (True, False)
    _, result = run([0.9] * 400, gate(RATE, CEILING), [weak])
    assert (result.status, result.mode, result.standing) == (Status.FAIL, "guard", "weak")
    _, prove = run(CLEAN, gate(RATE, limit("max", 0.5), mode="prove"), [weak])
    assert prove.status is Status.INCONCLUSIVE
    assert "kappa" in prove.reason


def test_agreement_no_better_than_chance_never_blocks():
    _, result = run([0.9] * 400, gate(RATE, CEILING), [record(wrong=0.5)])
    assert (result.standing, result.mode) == ("few", "advisory")


def test_changes_are_decided_by_the_record_and_not_corrected():
    _, result = run(
        [0.45] * 100 + CLEAN[:300], gate(RATE, limit("max_rise", 0.05)), [record()], before=CLEAN
    )
    assert result.status is Status.FAIL
    assert result.difference == pytest.approx(0.25)
    assert "Decided by the threshold that 120 labels of people gave" in gate_words.sentence(result)


@pytest.mark.parametrize(
    ("standing", "mode", "foreseen"),
    [
        ("fact", "prove", ("prove", "")),
        ("calibrated", "prove", ("prove", "")),
        ("uncalibrated", "guard", ("advisory", "hallucination is uncalibrated: it only warns")),
        ("uncalibrated", "prove", ("advisory", "hallucination is uncalibrated: it proves nothing")),
        ("uncalibrated", "advisory", ("advisory", "")),
    ],
)
def test_what_labels_let_a_gate_do_is_said_beforehand(standing, mode, foreseen):
    trusted = calibrated.Trust(scorer="hallucination", standing=standing)
    assert calibrated.foreseen(mode, trusted) == foreseen


def test_facts_need_no_labels():
    for metric in ("exact_match.mean", "error.rate", "pass.rate"):
        found, result = run(CLEAN, gate(metric, limit("max", 0.99)))
        assert result.standing == "fact", metric
        assert found.warnings == ()


def test_a_record_comes_back_as_it_was_and_a_changed_one_is_refused():
    one = record()
    value = json.loads(json.dumps(to_json(one)))
    assert from_json(value, where="x") == one
    for spoil in ({"threshold": 0.9}, {"hash": "0"}, {"format": 9}):
        with pytest.raises(UsageError, match="calibration record"):
            from_json({**value, **spoil}, where="calibration/x.json")
    for junk in ([], {}, {"hash": 1, "format": 1}, "x"):
        with pytest.raises(UsageError):
            from_json(junk, where="x")


def test_a_scorer_of_many_suites_is_told_of_once():
    bare = calibrated.Trust(scorer="refusal", standing="uncalibrated")
    (said,) = calibrated.warnings([("one", bare), ("two", bare), ("two", bare)])
    assert said.startswith("refusal is uncalibrated in 2 suites: evalkit review latest")
    assert said.endswith("then evalkit calibrate one, and so on")
    (said,) = calibrated.warnings([("one", bare)])
    assert said.startswith("refusal is uncalibrated: evalkit review latest")
    assert said.endswith("then evalkit calibrate one")
