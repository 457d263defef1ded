"""The ten points a gate is accepted by, each a test with its number.

1. All reference cases: ``tests/stats/test_reference.py``.
2. An unchanged candidate is not failed, and one at the limit not passed, more often than α allows.
3. Looking after every case costs nothing where bets are placed.
4. Order is of no account, swapped sides turn the change around, a new failure never helps.
5. Losing results never helps. 6. Never a PASS below the structural n. 7. No interval without width.
8. 100,000 pairs and ten gates within a second: ``benchmarks/bench_gates.py --speed``.
9. The same again is the same. 10. A trial is never answered from the cache of another.

``benchmarks/bench_gates.py`` has the rates of point 2 for whole runs, with more repetitions.
"""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evalkit.gate.result import Status
from evalkit.stats.betting import AnytimeMean, tuned_bet
from evalkit.stats.clusters import clustered_guarded_t
from evalkit.stats.cost import guarded_log_ratio
from evalkit.stats.levels import SharedRate, guarded_level
from evalkit.stats.paired_means import guarded_t
from evalkit.stats.paired_rates import PairedCounts
from evalkit.stats.planning import structural_cases
from evalkit.stats.quantiles import quantile_log_ratio
from evalkit.stats.repeats import case_moments
from evalkit.stats.sequential import nominal
from evalkit.stats.suite import suite_difference, suite_look
from evalkit.stats.unpaired import TwoRates
from tests.gate.benches import gate, limit, only, pairs, side, stored, verdict
from tests.runner.projects import SmallProject, rows, wire
from tests.servers import ModelServer, Reply

ALPHA, MARGIN = 0.05, 0.05
ORDER = {Status.FAIL: 0, Status.ERROR: 0, Status.INCONCLUSIVE: 1, Status.PASS: 2}
FAST = settings(max_examples=60, deadline=None)


def allowed(reps, alpha=ALPHA):
    """α and three standard errors of its estimate."""
    return alpha + 3 * math.sqrt(alpha * (1 - alpha) / reps)


class PassFail:
    """One run against another: a share of the cases disagrees by chance."""

    reps, looks = 300, 10

    def draw(self, rng, n, *, worse):
        drop = MARGIN if worse else 0.0
        return rng.choice([1, -1, 0], n, p=[0.03, 0.03 + drop, 0.94 - drop])

    def judged(self, seen, of):
        gain, loss = int((seen == 1).sum()), int((seen == -1).sum())
        found = PairedCounts(both_pass=len(seen) - gain - loss, gain=gain, loss=loss, both_fail=0)
        return found.p_below(0), found.p_above(-MARGIN), len(seen) / of


class Scores(PassFail):
    """Bounded scores, most of which do not move; a drop is a few cases that lose much."""

    reps = 400

    def draw(self, rng, n, *, worse):
        noise = np.where(rng.random(n) < 0.1, rng.choice([-0.3, 0.3], n), 0.0)
        return np.where(rng.random(n) < MARGIN / 0.5, -0.5, noise) if worse else noise

    def judged(self, seen, of):
        found = guarded_t(seen)
        return found.p_below(0), found.p_above(-MARGIN), len(seen) / of


class Suite(PassFail):
    """Five stored runs: the claim is about exactly these cases, a few of which were broken."""

    reps, looks, alpha = (
        80,
        4,
        0.055,
    )  # the normal is that much optimistic, as its evidence measured

    def draw(self, rng, n, *, worse):
        chances = rng.beta(0.43, 0.07, n)
        old = (rng.random((n, 5)) < chances[:, None]).astype(float)
        after, left = chances.copy(), MARGIN * n if worse else 0.0
        for one in rng.permutation(n):
            taken = min(after[one], left)
            after[one] -= taken
            left -= taken
        return np.column_stack([old, rng.random(n) < after])

    def judged(self, seen, of):
        n = len(seen)
        old = case_moments(seen[:, :5].ravel(), np.repeat(np.arange(n), 5))
        new = case_moments(seen[:, 5], np.arange(n))
        if n == of:
            found = suite_difference(new, old)
            return found.p_below(0), found.p_above(-MARGIN), 1.0
        look = suite_look(new, old, range(n), of=of)
        return look.evidence.p_below(0), look.evidence.p_above(-MARGIN), look.fraction


class Floor(PassFail):
    """A rate and its floor of 80 %: at the floor neither answer may be given often."""

    def draw(self, rng, n, *, worse):
        return (rng.random(n) < 0.8).astype(float)

    def judged(self, seen, of):
        found = SharedRate.of(seen)
        return found.p_below(0.8), found.p_above(0.8), len(seen) / of


class MeanLevel(PassFail):
    """A mean score and its floor, with a crowd at the top of the scale."""

    def draw(self, rng, n, *, worse):
        return np.where(rng.random(n) < 0.5, 1.0, rng.random(n))

    def judged(self, seen, of):
        found = guarded_level(seen, (0.0, 1.0))
        return found.p_below(0.75), found.p_above(0.75), len(seen) / of


class Crowded(PassFail):
    """A mean score and its floor, where a few zeros make all the difference."""

    def draw(self, rng, n, *, worse):
        values = np.where(rng.random(n) < 0.6, 1.0, 0.9)
        return np.where(rng.random(n) < 0.02, 0.0, values)

    def judged(self, seen, of):
        found = guarded_level(seen, (0.0, 1.0))
        floor = 0.98 * 0.96
        return found.p_below(floor), found.p_above(floor), len(seen) / of


class Clusters(Scores):
    """Scores of four turns a conversation, which hang together."""

    def draw(self, rng, n, *, worse):
        owner = np.arange(n) // 4
        shared = rng.normal(-MARGIN if worse else 0.0, 0.1, owner[-1] + 1)[owner]
        return np.column_stack([np.clip(rng.normal(shared, 0.15), -1, 1), owner])

    def judged(self, seen, of):
        found = clustered_guarded_t(seen[:, 0], seen[:, 1].astype(np.intp))
        return found.p_below(0), found.p_above(-MARGIN), len(seen) / of


class Gap(PassFail):
    """The pass rates of two groups, as far apart as they may be."""

    def draw(self, rng, n, *, worse):
        group = np.arange(n) % 2 == 1
        return np.column_stack([group, rng.random(n) < np.where(group, 0.8, 0.85)])

    def judged(self, seen, of):
        one, two = (seen[seen[:, 0] == group, 1] for group in (False, True))
        found = TwoRates(
            first_passed=int(one.sum()),
            first=len(one),
            second_passed=int(two.sum()),
            second=len(two),
        )
        return found.p_above(MARGIN), found.p_below(MARGIN), len(seen) / of


class Bill(PassFail):
    """Costs of the same cases, and a rise of 10 % where a PASS would be false."""

    reps, alpha = 200, 0.08  # as its evidence measured at 50 cases

    def draw(self, rng, n, *, worse):
        shared, one, two = rng.normal(size=(3, n))
        old, new = np.exp(shared + 0.3 * one), np.exp(shared + 0.3 * two)
        return np.column_stack([old, new * (1.1 if worse else 1.0)])

    def judged(self, seen, of):
        found = guarded_log_ratio(seen[:, 1], seen[:, 0])
        return found.p_above(math.log(1.02)), found.p_below(math.log(1.1)), len(seen) / of


class Slower(PassFail):
    """The p95 of latency, side by side."""

    reps, looks, least = 60, 3, 200  # of p95 the gate refuses fewer

    def draw(self, rng, n, *, worse):
        old, new = rng.lognormal(0, 0.5, (2, n))
        return np.column_stack([old, new * (1.2 if worse else 1.0)])

    def judged(self, seen, of):
        found = quantile_log_ratio(seen[:, 1], seen[:, 0], 0.95, resamples=400)
        return found.p_above(0.0), found.p_below(math.log(1.2)), len(seen) / of


KINDS = [
    PassFail, Scores, Suite, Floor, MeanLevel, Crowded, Clusters, Gap, Bill, Slower,
]  # fmt: skip


@pytest.mark.parametrize("early", [False, True], ids=["at the end", "at looks"])
@pytest.mark.parametrize("n", [50, 200, 1000])
@pytest.mark.parametrize("kind", KINDS)
def test_2_errors_are_no_more_often_than_promised(kind, n, early):
    model = kind()
    if n < getattr(model, "least", 0):
        pytest.skip("the gate itself refuses to judge so few")
    reps = model.reps // (3 if n == 1000 else 1)
    rng = np.random.default_rng([n, early, len(kind.__name__)])
    steps = range(1, model.looks + 1) if early else (model.looks,)
    ends = [one for one in (math.ceil(n * step / model.looks) for step in steps) if one >= 30]
    errors = Counter()
    for _ in range(reps):
        for worse in (False, True):
            sample = model.draw(rng, n, worse=worse)
            known = []
            for end in ends:
                harm, good, fraction = model.judged(sample[:end], n)
                known.append(min(max(fraction, 1e-9), 1.0))
                p = good if worse else harm
                if p <= (nominal(known, ALPHA) if early else ALPHA):
                    errors[worse] += 1
                    break
    most = allowed(reps, getattr(model, "alpha", ALPHA))
    assert errors[False] / reps <= most, "an unchanged candidate was failed"
    assert errors[True] / reps <= most, "a candidate at the limit was passed"


@pytest.mark.parametrize("noise", [0.02, 0.1, 0.4])
def test_3_looking_after_every_case_costs_nothing(noise):
    reps, n = 400, 300
    rng = np.random.default_rng(7)
    errors = Counter()
    for _ in range(reps):
        half = noise / 2
        same = rng.choice([1.0, -1.0, 0.0], n, p=[half, half, 1 - noise])
        worse = rng.choice([1.0, -1.0, 0.0], n, p=[half, half + MARGIN, 1 - noise - MARGIN])
        scores = rng.beta(3, 1, n)
        tuned = tuned_bet(MARGIN, noise)
        # the p-value after all is that of the best moment: it is small if any look's would be
        kept, lost = (
            AnytimeMean(values=one, low=-1, high=1, tuned=tuned, even=True) for one in (same, worse)
        )
        errors["block"] += kept.p_below(0) <= ALPHA
        errors["pass"] += lost.p_above(-MARGIN) <= ALPHA
        level = AnytimeMean(values=scores, low=0, high=1)
        errors["floor"] += level.p_above(0.75) <= ALPHA
        errors["ceiling"] += level.p_below(0.75) <= ALPHA
    assert max(errors.values()) / reps <= allowed(reps)


def test_3_what_bets_say_after_all_is_the_best_of_every_moment():
    values = np.random.default_rng(2).choice([1.0, -1.0, 0.0], 80, p=[0.05, 0.3, 0.65])
    moments = [AnytimeMean(values=values[: n + 1], low=-1, high=1, even=True) for n in range(80)]
    for at in (0.0, -0.1):
        assert moments[-1].p_below(at) == pytest.approx(min(one.p_below(at) for one in moments))
    whole = moments[-1].interval(0.9)
    assert whole.low is None or moments[-1].p_above(whole.low + 1e-4) > ALPHA
    assert moments[-1].p_below(whole.high + 1e-4) <= ALPHA < moments[-1].p_below(whole.high - 1e-3)


counts = st.tuples(st.integers(0, 120), st.integers(0, 12), st.integers(0, 12), st.integers(0, 30))


@FAST
@given(counts.filter(lambda one: sum(one) > 0), st.randoms())
def test_4_the_order_of_cases_is_of_no_account(four, dice):
    old, new = pairs(*four)
    first = verdict(old, new, gate(mode="prove"), gate("pass.rate", limit("min", 0.7), id="floor"))
    order = list(range(sum(four)))
    dice.shuffle(order)
    shuffled = []
    for one in (old, new):
        values = [[float(one.scores["exact_match"].values[place])] for place in order]
        shuffled.append(side(values, cases=[one.cases[p] for p in order], run=one.runs[0]))
    second = verdict(
        *shuffled, gate(mode="prove"), gate("pass.rate", limit("min", 0.7), id="floor")
    )
    assert first.results == second.results
    assert first.compared == second.compared


@FAST
@given(counts.filter(lambda one: sum(one) > 0))
def test_4_swapping_the_sides_turns_the_change_around(four):
    old, new = pairs(*four)
    there = only(verdict(old, new, gate()))
    back = only(verdict(new, old, gate()))
    assert there.difference == pytest.approx(-back.difference)
    assert there.low == pytest.approx(-back.high, abs=1e-9)
    assert there.high == pytest.approx(-back.low, abs=1e-9)


@FAST
@given(counts.filter(lambda one: one[0] + one[1] > 0), st.data())
def test_4_a_success_that_becomes_a_failure_never_helps(four, data):
    old, new = pairs(*four)
    gates = (
        gate(mode="prove"),
        gate("pass.rate", limit("min", 0.6), id="floor"),
        gate("pass.rate", limit("max_drop", 0.1), id="guard"),
    )
    before = verdict(old, new, *gates)
    values = new.scores["exact_match"].values
    place = data.draw(st.sampled_from(np.flatnonzero(values == 1).tolist()))
    worse = [[0.0 if at == place else float(one)] for at, one in enumerate(values)]
    after = verdict(old, side(worse, run="new"), *gates)
    for one, two in zip(before.results, after.results, strict=True):
        assert ORDER[two.status] <= ORDER[one.status]
    assert ORDER[after.status] <= ORDER[before.status]


@FAST
@given(counts.filter(lambda one: sum(one) > 0), st.data(), st.booleans(), st.booleans())
def test_5_losing_a_result_never_helps(four, data, from_candidate, whole):
    old, new = pairs(*four)
    gates = (
        gate(mode="prove"),
        gate("pass.rate", limit("min", 0.6), id="floor"),
        gate("error.rate", limit("max", 0.2), id="errors"),
        gate("latency.p95", limit("max", 0.6), id="slow"),
        gate("cost.mean", limit("max_rise", 0.1, relative=True), id="dear"),
    )
    before = verdict(old, new, *gates, max_missing=0.5)
    n = sum(four)
    gone = set(data.draw(st.lists(st.integers(0, n - 1), min_size=1, max_size=4)))
    loser = new if from_candidate else old
    values = loser.scores["exact_match"].values.tolist()
    if whole:
        kept = [one for one in range(n) if one not in gone]
        if not kept:
            return
        lost = side([[values[one]] for one in kept], cases=[loser.cases[one] for one in kept])
    else:
        lost = side([[None if at in gone else one] for at, one in enumerate(values)])
    lost = replace(lost, runs=loser.runs)
    run = stored(loser).run
    both = [replace(stored(lost), run=run), stored(old if from_candidate else new)]
    after = verdict(*(both[::-1] if from_candidate else both), *gates, max_missing=0.5)
    for one, two in zip(before.results, after.results, strict=True):
        if one.gate == "errors" and not from_candidate:
            continue
        assert ORDER[two.status] <= ORDER[one.status], (one.gate, one.status, two.status)


@FAST
@given(counts.filter(lambda one: sum(one) > 1))
def test_7_no_interval_without_a_width(four):
    found = verdict(
        *pairs(*four),
        gate(),
        gate("pass.rate", limit("min", 0.6), id="floor"),
        gate("latency.p95", limit("max", 0.6), id="slow"),
        gate("cost.mean", limit("max", 0.6), id="dear"),
        gate("cost.mean", limit("max_rise", 0.1, relative=True), id="dearer"),
    )
    for one in found.results:
        assert one.low is None or one.high is None or one.high > one.low


def test_9_the_same_again_is_the_same_to_the_last_digit():
    dice = np.random.default_rng(3)
    times = dice.lognormal(0, 0.5, 300)
    old, new = (
        side([[1.0]] * 300, latency=times * one, cost=times / 100, run=name)
        for one, name in ((1.0, "old"), (1.2, "new"))
    )
    gates = (
        gate("latency.p95", limit("max_rise", 0.1, relative=True)),
        gate("cost.mean", limit("max_rise", 0.1, relative=True)),
    )
    assert repr(verdict(old, new, *gates)) == repr(verdict(old, new, *gates))


@FAST
@given(st.integers(1, 60), st.sampled_from([0.02, 0.03, 0.05, 0.1]), st.booleans())
def test_6_never_a_pass_below_the_structural_n(n, margin, repeats):
    trials = [[1.0, 1.0]] if repeats else [[1.0]]
    old, new = side(trials * n, run="old"), side(trials * n, run="new")
    result = only(
        verdict(
            old,
            new,
            gate("pass.rate", limit("max_drop", margin), mode="prove"),
            estimand="population",
        )
    )
    if n < structural_cases(margin):
        assert result.status is not Status.PASS


@pytest.mark.parametrize("mode", ["off", "write", "read"])
def test_10_a_trial_is_never_answered_from_the_cache_of_another(tmp_path, mode):
    """Every answer differs, so a trial that has another's is seen at once."""
    small = SmallProject(tmp_path)
    with ModelServer() as server:
        asked = iter(range(10_000))
        server.answer = lambda _: Reply(text=f"answer {next(asked)}")
        small.write({"t": wire(server.openai, api_key="none")}, rows(5))
        first = small.run(trials=3, cache="write")
        assert len({one["output"] for one in _answers(small, first)}) == 15
        second = small.run(trials=5, cache=mode)
    before = {(one["case_id"], one["trial"]): one["output"] for one in _answers(small, first)}
    after = {(one["case_id"], one["trial"]): one["output"] for one in _answers(small, second)}
    assert len(set(after.values())) == 25
    for trial, output in after.items():
        own = before.get(trial)
        assert output == own if own is not None and mode != "off" else output not in before.values()


def _answers(small, outcome):
    return small.sql(f"SELECT case_id, trial, output FROM trials WHERE run_id = '{outcome.run_id}'")
