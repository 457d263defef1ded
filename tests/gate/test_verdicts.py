"""What a gate must never do, and what it must always see."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from evalkit.config.gate_metrics import MetricInfo
from evalkit.config.spec import Waiver
from evalkit.errors import ExitCode
from evalkit.gate.decide import decide
from evalkit.gate.measure import Measured
from evalkit.gate.question import Question
from evalkit.gate.result import Status
from evalkit.gate.rules import rule_of
from evalkit.model import Metric
from evalkit.report.gate_words import sentence
from evalkit.stats.sides import of_cases
from tests.gate.benches import TODAY, gate, limit, only, pairs, side, stored, suite, verdict


def ruled(spec, info, before, after, **more):
    """What one gate with one limit says of two measured sides."""
    return rule_of(
        Question(
            gate=spec,
            limit=spec.limits[0],
            info=info,
            policy=suite(spec).policy,
            suite="support",
            target="bot",
            before=before,
            after=after,
            **more,
        )
    )


def test_unchanged_on_enough_cases_passes():
    result = only(verdict(*pairs(180, 0, 0, 20), gate(mode="prove")))
    assert result.status is Status.PASS
    assert result.n == 200
    assert result.difference == 0
    assert result.low is not None
    assert result.low < 0 < result.high


def test_a_real_drop_fails_and_names_its_numbers():
    found = verdict(*pairs(150, 2, 40, 8), gate(mode="prove"))
    result = only(found)
    assert found.status is Status.FAIL
    assert found.exit_code is ExitCode.FAIL
    assert result.difference == pytest.approx(-0.19)
    assert (result.worse, result.better) == (40, 2)
    assert result.high < 0
    assert result.bound == -0.05


def test_a_drop_inside_the_tolerance_passes_and_says_so():
    result = only(verdict(*pairs(4_800, 0, 50, 150), gate(mode="prove")))
    assert result.status is Status.PASS
    assert result.high < 0


def test_too_little_is_inconclusive_and_says_how_much_more():
    found = verdict(*pairs(40, 3, 3, 4), gate(mode="prove"))
    result = only(found)
    assert found.status is result.status is Status.INCONCLUSIVE
    assert found.exit_code is ExitCode.UNDECIDED
    assert result.needs_more > 0


def test_a_row_inserted_at_the_top_shows_no_regression():
    old, _ = pairs(150, 0, 0, 50)
    values = old.scores["exact_match"].values.tolist()
    new = side([[0.0], *([one] for one in values)], cases=["0-first", *old.cases], run="new")
    found = verdict(stored(old), stored(new, version="e5e5"), gate(mode="prove"))
    assert only(found).status is Status.PASS
    assert only(found).worse == 0
    compared = found.compared[0]
    assert compared.new == ("0-first",)
    assert (compared.regressed, compared.improved, compared.removed) == (0, 0, ())
    assert [one.kind for one in compared.differences] == ["dataset"]


def test_a_changed_expectation_is_neither_new_nor_removed():
    old = side([[1.0]] * 60, run="old")
    new = side(
        [[0.0]] + [[1.0]] * 59,
        cases=["case-x", *old.cases[1:]],
        inputs=[old.inputs[0], *old.inputs[1:]],
        run="new",
    )
    compared = verdict(stored(old), stored(new, version="e5"), gate()).compared[0]
    assert (compared.changed, compared.new, compared.removed) == (("case-x",), (), ())


def tagged(one):
    return replace(one, tags={"lang": ["de"] * len(one.cases)})


def test_cases_that_a_limited_run_was_not_asked_are_not_removed():
    old = side([[1.0]] * 60, run="old")
    new = side([[1.0]] * 20, cases=old.cases[:20], inputs=old.inputs[:20], run="new")
    whole, part = stored(old), stored(new)
    data = replace(whole.run.datasets[0], cases=60, selected=60)
    whole = replace(whole, run=replace(whole.run, datasets=(data,)))
    some = replace(data, selected=20)
    part = replace(part, run=replace(part.run, datasets=(some,), settings={"limit": 20}))
    compared = verdict(whole, part, gate()).compared[0]
    assert (len(compared.not_run), compared.removed, compared.paired) == (40, (), 20)
    assert [one.text for one in compared.differences] == [
        "cases selected differ: 60 → 20 (limit 20)"
    ]
    split = replace(part, sides={key: tagged(one) for key, one in part.sides.items()})
    whole_split = replace(whole, sides={key: tagged(one) for key, one in whole.sides.items()})
    by = gate("pass.rate", limit("max_drop", 0.1), by=("lang",), min_cases=30)
    reasons = [one.reason for one in verdict(whole_split, split, by).results]
    assert reasons[0].endswith("this run was asked a part of its cases: run them all")
    # the data themselves are smaller: those cases are gone
    fewer = replace(data, version="e5", cases=20, selected=20)
    part = replace(part, run=replace(part.run, datasets=(fewer,), settings={}))
    compared = verdict(whole, part, gate()).compared[0]
    assert (compared.not_run, len(compared.removed)) == ((), 40)


def test_one_language_hurt_blocks_with_that_slice_named():
    dice = np.random.default_rng(11)
    langs = [("en", "es", "de", "fr")[one % 4] for one in range(800)]
    base = [float(one < 0.9) for one in dice.random(800)]
    hurt = [
        0.0 if lang == "es" and dice.random() < 0.25 else one
        for lang, one in zip(langs, base, strict=True)
    ]
    tags = {"lang": langs}
    old = side([[one] for one in base], tags=tags, run="old")
    new = side([[one] for one in hurt], tags=tags, run="new")
    found = verdict(old, new, gate("pass.rate", limit("max_drop", 0.1), by=("lang",)))
    assert found.status is Status.FAIL
    failed = [one for one in found.results if one.status is Status.FAIL]
    assert [one.where for one in failed] == ["lang=es"]


def noisy(seed: int, kappa: float, n: int, names: tuple[str, ...], trials: int = 1):
    dice = np.random.default_rng(seed)
    truth = dice.beta(0.86 * kappa, 0.14 * kappa, n)
    return [side(np.repeat(truth, 1)[:, None] > dice.random((n, trials)), run=one) for one in names]


def test_the_same_configuration_again_is_seldom_blocked():
    blocked = 0
    for seed in range(200):
        old, new = noisy(seed, 0.5, 200, ("old", "new"))
        tags = {"lang": [("en", "es", "de", "fr")[one % 4] for one in range(200)]}
        found = verdict(
            replace(old, tags=tags),
            replace(new, tags=tags),
            gate("pass.rate", limit("max_drop", 0.05)),
            gate("pass.rate", limit("max_drop", 0.1), by=("lang",), id="groups"),
            gate("exact_match.rate", limit("max_drop", 0.05), id="rate"),
        )
        blocked += found.status in {Status.FAIL, Status.ERROR}
    # 5 % promised; 3 standard errors of 200 runs are 4.6 points
    assert blocked / 200 <= 0.05 + 0.046


def test_three_stored_runs_test_the_suite_and_say_so():
    from evalkit.stats.sides import pooled

    found = []
    for seed in range(80):
        *old, new = noisy(seed, 0.156, 200, ("a", "b", "c", "d", "e", "new"))
        primary = gate("pass.rate", limit("max_drop", 0.03), mode="prove")
        found.append(verdict(pooled(old), new, primary))
        result = only(found[-1])
        assert result.claim == "these cases"
        assert result.population is not None
        assert found[-1].baseline == ("a", "b", "c", "d", "e")
    # one run of 200 cases settles an unchanged low-noise suite nearly always
    statuses = [one.status for one in found]
    assert statuses.count(Status.FAIL) / 80 <= 0.05 + 0.073
    assert statuses.count(Status.PASS) / 80 >= 0.8


def test_nothing_is_never_a_pass():
    old, new = pairs(100, 0, 0, 0)
    assert verdict(old, new).status is Status.ERROR
    empty = side([], run="new")
    assert verdict(old, empty, gate()).status is Status.ERROR
    assert verdict(None, new, gate()).status is Status.ERROR
    assert only(verdict(None, new, gate())).reason == "there is no baseline"
    silent = side([[None]] * 100, run="new")
    for one in (gate(), gate("pass.rate", limit("min", 0.5)), gate("cost.mean", limit("max", 1))):
        assert verdict(old, silent, one).status is Status.ERROR
    unknown = gate("rouge_q.mean", limit("min", 0.5))
    assert verdict(old, new, unknown).status is Status.ERROR
    advisory = verdict(old, new, gate(mode="advisory"))
    assert only(advisory).status is Status.PASS
    assert advisory.status is Status.INCONCLUSIVE


def test_runs_that_are_not_complete_are_not_compared():
    old, new = pairs(100, 0, 0, 0)
    partial = stored(new, status="interrupted")
    result = only(verdict(old, partial, gate()))
    assert (result.status, result.reason) == (
        Status.ERROR,
        "the candidate new is not complete: interrupted",
    )


def test_another_scorer_is_not_a_regression():
    old, new = stored(pairs(100, 0, 0, 0)[0]), stored(pairs(100, 0, 0, 0)[1])
    (scorer,) = new.run.scorers
    other = replace(new.run, scorers=(replace(scorer, signature="exact_match|v:2"),))
    found = verdict(
        old,
        replace(new, run=other),
        gate(),
        gate("error.rate", limit("max", 0.2), id="errors"),
    )
    quality, errors = found.results
    assert quality.status is Status.ERROR
    assert quality.reason == "scorer 'exact_match' differs: v:1 → v:2"
    assert errors.status is Status.PASS


def test_floors_and_ceilings():
    _, new = pairs(299, 0, 0, 0)
    assert only(verdict(None, new, gate("error.rate", limit("max", 0.01)))).status is Status.PASS
    _, less = pairs(298, 0, 0, 0)
    result = only(verdict(None, less, gate("error.rate", limit("max", 0.01), mode="prove")))
    assert (result.status, result.needs_more) == (Status.INCONCLUSIVE, 1)
    _, poor = pairs(60, 0, 0, 40)
    assert only(verdict(None, poor, gate("pass.rate", limit("min", 0.8)))).status is Status.FAIL
    assert only(verdict(None, poor, gate("pass.rate", limit("min", 0.5)))).status is Status.PASS


def test_slow_answers():
    fast = side([[1.0]] * 59, latency=[0.1] * 59)
    one = gate("latency.p95", limit("max", 0.2), mode="prove")
    assert only(verdict(None, fast, one)).status is Status.PASS
    few = side([[1.0]] * 58, latency=[0.1] * 58)
    assert only(verdict(None, few, one)).status is Status.INCONCLUSIVE
    assert only(verdict(None, few, one)).needs_more == 1
    slow = side([[1.0]] * 100, latency=[0.1] * 80 + [0.5] * 20)
    assert only(verdict(None, slow, one)).status is Status.FAIL
    cached = side([[1.0]] * 100, latency=[0.1] * 100, live=False)
    assert only(verdict(None, cached, one)).status is Status.ERROR
    assert only(verdict(None, cached, one)).reason == "no live answer was timed"


def test_below_the_structural_n_a_sentence_says_how_many_can():
    """Whatever they say: all good, some bad; of single cases, of clusters and of answers' times."""
    tags = {"doc": [f"d{one // 4}" for one in range(24)]}
    good = side([[1.0]] * 24, tags=tags, latency=[0.1] * 24)
    mixed = side([[1.0]] * 22 + [[0.0]] * 2, tags=tags, latency=[0.1] * 24)
    floor = gate("pass.rate", limit("min", 0.9))
    for seen in (good, mixed):
        found = only(verdict(None, seen, floor))
        assert (found.status, found.shows) == (Status.INCONCLUSIVE, "harm")
        assert found.reason == "24 cases can never rule it out, 29 can"
        assert "more cases" not in sentence(found)
        together = only(verdict(None, seen, floor, cluster="doc"))
        assert (together.status, together.shows) == (Status.INCONCLUSIVE, "harm")
        assert together.reason == "6 clusters can never rule it out"
        slow = only(verdict(None, seen, gate("latency.p95", limit("max", 0.5))))
        assert (slow.status, slow.shows) == (Status.INCONCLUSIVE, "harm")
        assert slow.reason == "59 live answers are needed"
        assert "more cases" not in sentence(slow)
    one = side([[1.0]] * 8, tags={"doc": ["a"] * 8})
    half = gate("pass.rate", limit("min", 0.5))
    nothing = only(verdict(None, one, half, cluster="doc"))
    assert nothing.reason == "1 cluster can never rule it out, nor show harm"
    assert (nothing.shows, nothing.effect) == ("nothing", "undecided")
    # a failure that is shown is not explained away by how few cases there are
    bad = side([[0.0]] * 24, tags=tags, latency=[0.9] * 24)
    failed = verdict(None, bad, floor, gate("latency.p95", limit("max", 0.5)))
    for one in failed.results:
        assert (one.status, one.reason) == (Status.FAIL, "")
        assert sentence(one).endswith("is shown.")


def clustered_times(seed, count=100, size=5, slow=0.0):
    """Times of clusters that are alike, a share of them slow as a whole; a case a row."""
    rng = np.random.default_rng(seed)
    owner = np.arange(count * size) // size
    times = 0.1 + 0.05 * rng.random(len(owner)) + 0.05 * rng.random(count)[owner]
    return np.where((rng.random(count) < slow)[owner], times + 1.0, times), owner


def test_slow_answers_of_few_clusters_prove_nothing_of_the_others():
    """All of 100 answers are fast, of 20 documents: one of 20 others may be slow in a tenth."""
    one = gate("latency.p95", limit("max", 0.5))
    times, owner = clustered_times(1, count=20)
    tags = {"doc": [f"d{name}" for name in owner]}
    fast = side([[1.0]] * 100, latency=times, tags=tags)
    assert only(verdict(None, fast, one)).status is Status.PASS
    few = only(verdict(None, fast, one, cluster="doc"))
    assert few.status is Status.INCONCLUSIVE
    assert few.reason == "live answers of about 52 clusters are needed"
    assert few.method == "exceedance count of clusters"
    # repeats of a case are no further cases
    again = side([[1.0] * 5] * 20, latency=times)
    repeated = only(verdict(None, again, one))
    assert (repeated.status, repeated.needs_more) == (Status.INCONCLUSIVE, 32)
    assert repeated.reason == "live answers of about 52 cases are needed"
    proved = only(verdict(None, fast, replace(one, mode="prove"), cluster="doc"))
    assert proved.status is Status.INCONCLUSIVE


@pytest.mark.parametrize("seed", range(5))
def test_the_interval_of_a_clustered_quantile_agrees_with_its_verdict(seed):
    times, owner = clustered_times(seed, slow=0.06)
    tags = {"doc": [f"d{name}" for name in owner]}
    asked = side([[1.0]] * 500, latency=times, tags=tags)
    found = only(verdict(None, asked, gate("latency.p95", limit("max", 1.0)), cluster="doc"))
    alone = only(verdict(None, asked, gate("latency.p95", limit("max", 1.0))))
    assert found.low <= alone.low <= found.candidate <= alone.high <= found.high

    def status(at):
        spec = gate("latency.p95", limit("max", at))
        return only(verdict(None, asked, spec, cluster="doc")).status

    assert status(found.high) is Status.PASS
    assert status(found.high - 1e-9) is not Status.PASS
    assert status(found.low) is Status.INCONCLUSIVE
    assert status(found.low - 1e-9) is Status.FAIL


def test_a_rise_of_clustered_times_draws_whole_clusters():
    rise = gate("latency.p95", limit("max_rise", 0.1, relative=True))
    old, owner = clustered_times(1, slow=0.1)
    new, _ = clustered_times(2, slow=0.15)
    tags = {"doc": [f"d{name}" for name in owner]}
    sides = [
        side([[1.0]] * 500, latency=times, tags=tags, run=run)
        for times, run in ((old, "old"), (new, "new"))
    ]
    together = only(verdict(*sides, rise, cluster="doc"))
    assert together.method == "bootstrap of order statistics of clusters"
    assert together.p_pass > 0.05
    few = [of_cases(one, set(one.cases[:300])) for one in sides]
    result = only(verdict(*few, rise, cluster="doc"))
    assert result.status is Status.INCONCLUSIVE
    assert result.reason == "the tail is of 4 clusters, 10 a side tell how much it varies"


def test_latency_of_another_day_cannot_block():
    old = side([[1.0]] * 400, latency=[0.1 + 0.0001 * one for one in range(400)], run="old")
    new = side([[1.0]] * 400, latency=[0.2 + 0.0001 * one for one in range(400)], run="new")
    found = verdict(
        old, new, gate("latency.p95", limit("max_rise", 0.1, relative=True)), gate(mode="prove")
    )
    assert [one.status for one in found.results] == [Status.FAIL, Status.PASS]
    assert found.results[0].mode == "advisory"
    assert found.status is Status.PASS


def test_bills():
    old = side([[1.0]] * 50, cost=[0.01] * 50, run="old")
    new = side([[1.0]] * 50, cost=[0.02] * 50, run="new")
    rise, total = verdict(
        old,
        new,
        gate("cost.mean", limit("max_rise", 0.05, relative=True), limit("total", 0.9)),
    ).results
    assert rise.status is total.status is Status.FAIL
    assert rise.difference == pytest.approx(1.0)
    assert total.candidate == pytest.approx(1.0)
    assert total.low is None


def test_gaps_between_groups():
    tags = {"dialect": ["a"] * 200 + ["b"] * 200 + ["c"] * 2}
    values = [[1.0]] * 195 + [[0.0]] * 5 + [[1.0]] * 150 + [[0.0]] * 50 + [[0.0]] * 2
    one = gate("pass.rate", limit("max_gap", 0.03), by=("dialect",))
    result = only(verdict(None, side(values, tags=tags), one))
    assert result.status is Status.FAIL
    assert result.where == "dialect: b below a"
    assert result.candidate == pytest.approx(0.225)
    assert result.notes == ("below 30 cases: c (2)",)
    fair = [[1.0]] * 190 + [[0.0]] * 10
    even = side([*fair, *fair], tags={"dialect": ["a"] * 200 + ["b"] * 200})
    assert only(verdict(None, even, one)).status is Status.INCONCLUSIVE
    wide = gate("pass.rate", limit("max_gap", 0.2), by=("dialect",))
    assert only(verdict(None, even, wide)).status is Status.PASS
    small = side([[1.0]] * 4, tags={"dialect": ["a", "a", "b", "b"]})
    assert only(verdict(None, small, one)).status is Status.ERROR
    assert "two groups of 30 cases" in only(verdict(None, small, one)).reason


def test_a_gap_counts_the_phrasings_of_a_question_together():
    tags = {
        "dialect": ["a"] * 200 + ["b"] * 200,
        "base": [f"q{n // 5}" for n in range(200)] * 2,
    }
    values = [[1.0]] * 190 + [[0.0]] * 10 + [[1.0]] * 170 + [[0.0]] * 30
    one = gate("pass.rate", limit("max_gap", 0.02), by=("dialect",))
    apart = only(verdict(None, side(values, tags=tags), one))
    assert (apart.status, apart.method) == (Status.FAIL, "score test")
    pairs = side(values, tags={**tags, "sort": ["pair"] * 400})
    together = only(verdict(None, pairs, one))
    assert (together.status, together.method) == (
        Status.INCONCLUSIVE,
        "limits of two clustered means",
    )
    assert together.difference == apart.difference
    assert together.high - together.low > 1.5 * (apart.high - apart.low)
    named = only(verdict(None, side(values, tags=tags), one, cluster="base"))
    assert (named.low, named.high) == (together.low, together.high)


def test_cases_that_must_pass():
    tags = {"must_not_fail": ["yes", "yes", "no"]}
    one = gate("", limit("must", 2), cases=("tag:must_not_fail",), id="critical")

    def judged(*trials):
        return only(verdict(None, side(trials, tags=tags), one))

    assert judged([1.0], [1.0], [0.0]).status is Status.PASS
    assert judged([1.0], [0.0], [1.0]).status is Status.INCONCLUSIVE
    assert judged([1.0] * 3, [0.0, 1.0, 0.0], [1.0] * 3).status is Status.FAIL
    assert judged([1.0] * 3, [0.0, 1.0, 0.0], [1.0] * 3).where == "case-00001"
    flaky = judged([1.0] * 3, [0.0, 1.0, 1.0], [1.0] * 3)
    assert flaky.status is Status.PASS
    assert flaky.notes == ("flaky: case-00001",)
    assert judged([1.0], [None], [1.0]).status is Status.ERROR
    unknown = gate("", limit("must", 0), cases=("case-0000",), id="critical")
    result = only(verdict(None, side([[1.0]] * 3), unknown))
    assert result.status is Status.ERROR
    assert "did you mean 'case-0000" in result.reason


def test_waivers():
    def judged(until):
        waiver = Waiver(owner="ana", reason="the provider is changing", until=until)
        old, new = pairs(100, 0, 40, 0)
        return verdict(old, new, gate(mode="prove", waiver=waiver))

    held = judged(TODAY)
    assert held.status is Status.PASS
    assert only(held).status is Status.FAIL
    assert "waived by ana until 2026-11-21" in only(held).notes[0]
    ended = judged(TODAY.replace(day=20))
    assert ended.status is Status.FAIL
    assert only(ended).reason == "the waiver of ana ended on 2026-11-20: renew or mend it"


@pytest.mark.parametrize(
    ("one", "mode"),
    [
        (gate("pass.rate", limit("max_drop", 0.9), id="change"), "guard"),
        (gate("pass.rate", limit("max_drop", 0.9), id="proof"), "prove"),
        (gate("pass.rate", limit("max_drop", 0.9), id="aside"), "advisory"),
        (gate("pass.rate", limit("min", 0.1), id="floor"), "guard"),
        (gate("error.rate", limit("max", 0.9), id="ceiling"), "guard"),
        (gate("latency.p95", limit("max", 9.0), id="slow"), "guard"),
        (gate("cost.mean", limit("max_rise", 0.5, relative=True), id="dear"), "guard"),
        (gate("cost.mean", limit("total", 9.0), id="bill"), "guard"),
        (gate("", limit("must", 0), cases=("case-00000",), id="must"), "guard"),
        (gate("", limit("max", 0), sql=Path("q.sql"), id="query"), "guard"),
        (gate("pass.rate", limit("max_drop", 0.9), id="groups", by=("lang",)), "guard"),
        (gate("pass.rate", limit("max_gap", 0.9), id="gap", by=("lang",)), "guard"),
    ],
    ids=lambda one: getattr(one, "id", ""),
)
@pytest.mark.parametrize("cases", [(), ("case-00001",)], ids=["whole", "cases"])
def test_a_waiver_that_ended_fails_every_kind_of_gate_that_passes(one, mode, cases):
    waiver = Waiver(owner="ana", reason="a patch", until=TODAY.replace(day=20), cases=cases)
    tags = {"lang": ["en", "es"] * 100}
    old, new = (side([[1.0]] * 200, tags=tags, run=name) for name in ("old", "new"))
    plain = replace(one, mode=mode)

    def judged(spec):
        rows = {("support", "query"): 0}
        return decide([suite(spec)], stored(new), stored(old), today=TODAY, rows=rows)

    assert {each.status for each in judged(plain).results} == {Status.PASS}
    left = {"waivers": (waiver,)} if cases else {"waiver": waiver}
    found = judged(replace(plain, **left))
    for each in found.results:
        assert each.status is Status.FAIL
        assert each.reason.startswith("the waiver of ana ")
        assert each.reason.endswith("ended on 2026-11-20: take it out: the gate passes")
    assert found.status is (Status.INCONCLUSIVE if mode == "advisory" else Status.FAIL)


def test_intervals_of_rates_stay_where_rates_can_be():
    both = [
        side([[1.0, 0.0]] * 2 + [[one, one]] * 2, run=name)
        for one, name in ((1.0, "old"), (0.0, "new"))
    ]
    drop = gate("pass.rate", limit("max_drop", 0.05))
    floor = gate("rouge_l.mean", limit("min", 0.5), id="floor")
    for estimand in ("suite", "population"):
        found = only(verdict(*both, drop, estimand=estimand))
        assert -1 <= found.low <= found.high <= 1
        if found.population is not None:
            assert -1 <= found.population[0] <= found.population[1] <= 1
    scored = [
        side([[1.0]] * 4, scores=[[0.1], [0.9], [0.95], [1.0]], run=name) for name in ("old", "new")
    ]
    level = only(verdict(*scored, floor))
    assert 0 <= level.low <= level.high <= 1


def test_a_lost_failure_cannot_hide():
    """Ten lost answers of a bad candidate make neither a pass nor a silent guard."""
    old, new = pairs(460, 0, 12, 28)
    bad = only(verdict(old, new, gate("pass.rate", limit("max_drop", 0.02))))
    assert bad.status is Status.FAIL
    values = new.scores["exact_match"].values.tolist()
    hidden = side([[None if 460 <= at < 470 else one] for at, one in enumerate(values)], run="new")
    found = verdict(old, hidden, gate("pass.rate", limit("max_drop", 0.02)))
    assert found.status is Status.ERROR
    assert only(found).reason == "the 10 missing results would decide"


def test_many_guards_share_one_error_rate():
    old, new = pairs(185, 1, 8, 6)
    alone = verdict(old, new, gate("pass.rate", limit("max_drop", 0.05)))
    assert alone.status is Status.FAIL
    many = verdict(
        old,
        new,
        gate("pass.rate", limit("max_drop", 0.05)),
        *(gate("latency.p95", limit("max", 0.6), id=f"guard-{one}") for one in range(9)),
    )
    assert many.results[0].status is Status.INCONCLUSIVE
    assert "not among this many guards" in many.results[0].reason
    assert "at most 5 %" in many.promise


def test_queries_count_rows():
    old, new = pairs(100, 0, 0, 0)
    one = gate("", limit("sql", 0), id="pii", sql=Path("gates/no_pii.sql"))
    suites = [suite(one)]

    def judged(**rows):
        found = {("support", name): count for name, count in rows.items()}
        return decide(suites, stored(new), stored(old), today=TODAY, rows=found)

    assert judged(pii=0).status is Status.PASS
    assert judged(pii=3).status is Status.FAIL
    assert judged().status is Status.ERROR


def test_clusters():
    owners = [f"doc-{one // 10}" for one in range(60)]
    tags = {"document": owners}
    old = side([[1.0]] * 60, tags=tags, run="old")
    new = side([[1.0]] * 60, tags=tags, run="new")
    result = only(verdict(old, new, gate(mode="prove"), cluster="document"))
    assert result.status is Status.INCONCLUSIVE
    assert result.reason == "fewer than 8 clusters prove nothing"
    assert result.method == "clustered t"


def test_a_cluster_that_no_case_has_is_no_verdict():
    tags = {"document": [f"doc-{one // 10}" for one in range(400)], "lang": ["de"] * 400}
    old, new = (side([[1.0]] * 400, tags=tags, run=run) for run in ("old", "new"))
    gates = [gate(), gate("pass.rate", limit("min", 0.5)), gate("latency.p95", limit("max", 9.0))]
    found = verdict(old, new, *gates, cluster="documnt")
    said = "no case has the tag 'documnt' that 'cluster' names; did you mean 'document'?"
    assert [(one.status, one.reason) for one in found.results] == [(Status.ERROR, said)] * 3
    assert only(verdict(old, new, gate(), cluster="document")).notes == ()


def test_cases_without_the_tag_of_a_cluster_are_counted():
    tags = {"document": ["a"] * 30 + [None] * 70}
    old, new = (side([[1.0]] * 100, tags=tags, run=run) for run in ("old", "new"))
    (note,) = only(verdict(old, new, gate(), cluster="document")).notes
    assert note == "70 of 100 cases have no 'document' and count alone"


def test_the_bills_of_a_cluster_are_one_bill():
    rng = np.random.default_rng(3)
    before = rng.uniform(0.5, 1.5, 30)
    after = before * rng.uniform(0.7, 1.5, 30)
    rise = gate("cost.mean", limit("max_rise", 0.05, relative=True))

    def judged(times, **policy):
        tags = {"doc": [f"d{one}" for one in range(30) for _ in range(times)]}
        many = [[1.0]] * (30 * times)
        old = side(many, cost=np.repeat(before / times, times), tags=tags, run="old")
        new = side(many, cost=np.repeat(after / times, times), tags=tags, run="new")
        return only(verdict(old, new, rise, **policy))

    single, together, apart = judged(1), judged(6, cluster="doc"), judged(6)
    assert together.method == "paired log-ratio of clusters"
    assert (together.low, together.high) == pytest.approx((single.low, single.high))
    assert (together.p_pass, together.p_harm) == pytest.approx((single.p_pass, single.p_harm))
    assert apart.high - apart.low < 0.5 * (together.high - together.low)


def test_a_corpus_metric_draws_whole_clusters():
    rng = np.random.default_rng(4)
    hits = rng.integers(5, 15, (2, 25)).astype(float)
    ratio = Metric("corpus", "corpus", corpus_value=lambda sums: sums[0] / sums[1])
    info = MetricInfo(
        name="bleu.corpus", source="bleu", kind="corpus", direction="higher", metric=ratio
    )

    def judged(times, kind, mode="guard", docs=25):
        n = docs * times
        sides = [
            Measured(
                values=np.zeros(n),
                low=np.zeros(n),
                high=np.zeros(n),
                owner=np.arange(n),
                concerned=np.ones(n, dtype=bool),
                stats=np.repeat(np.column_stack([one[:docs], np.full(docs, 20.0)]), times, axis=0),
            )
            for one in hits
        ]
        spec = gate("bleu.corpus", limit(kind, 0.3), mode=mode)
        return ruled(spec, info, *sides, clusters=np.arange(n) // times if times > 1 else None)

    for kind, method in (("max_drop", "paired bootstrap"), ("min", "bootstrap")):
        single, together = judged(1, kind), judged(4, kind)
        assert (single.method, together.method) == (method, f"{method} of clusters")
        assert (together.low, together.high) == pytest.approx((single.low, single.high))
        few = judged(4, kind, "prove", docs=7)
        assert few.status is Status.INCONCLUSIVE
        assert few.reason == "fewer than 8 clusters prove nothing"


@pytest.mark.parametrize(
    ("metric", "bound", "levels"),
    [
        ("exact_match.rate", limit("max_drop", 0.3), (1.0, 0.75)),
        ("rouge_l.mean", limit("max_drop", 0.3), (0.9, 0.7)),
        ("exact_match.rate", limit("min", 0.5), (1.0, 0.75)),
        ("cost.mean", limit("max_rise", 0.1, relative=True), (0.02, 0.03)),
        ("latency.p95", limit("max_rise", 0.1, relative=True), (1.0, 2.0)),
        ("latency.p95", limit("max", 5.0), (1.0, 2.0)),
    ],
)
def test_one_failed_call_takes_no_level_from_the_eyes(metric, bound, levels):
    """Both levels are of the same answered cases: the one that failed has other numbers."""
    old = side(
        [[0.0], *[[1.0]] * 20],
        scores=[[0.1], *[[0.9]] * 20],
        latency=[9.0] + [1.0] * 20,
        cost=[9.0] + [0.02] * 20,
        run="old",
    )
    new = side(
        [[None], *[[0.0]] * 5, *[[1.0]] * 15],
        scores=[[None], *[[0.7]] * 20],
        latency=[9.0] + [2.0] * 20,
        cost=[9.0] + [0.03] * 20,
        run="new",
    )
    result = only(verdict(old, new, gate(metric, bound)))
    assert result.status is Status.ERROR
    assert (result.baseline, result.candidate) == pytest.approx(levels)
    said = "1 of 21 cases lack a result, 2 % may; the levels are of the other 20"
    assert (result.reason, result.n, result.missing) == (said, 21, 1)
    assert (result.difference, result.low, result.p_pass) == (None, None, None)
    assert f"on bot: {said}." in sentence(result)
    nothing = side([[None]] * 21, run="new")
    assert only(verdict(old, nothing, gate(metric, bound))).candidate is None


def test_both_levels_of_a_change_are_of_the_same_cases():
    """One of 100 answers is missing, which is allowed: the change is that of the levels shown."""
    old = side([[0.0], *[[1.0]] * 99], run="old")
    new = side([[None], *[[1.0]] * 99], run="new")
    result = only(verdict(old, new, gate()))
    assert (result.baseline, result.candidate, result.difference) == (1.0, 1.0, 0.0)


@pytest.mark.parametrize("kind", ["max_drop", "min"])
@pytest.mark.parametrize("missing", [1, 10])
def test_the_level_of_a_corpus_metric_is_no_mean_of_sentences(kind, missing):
    """Sums over the answered cases, 90 of 100 matches; each sentence alone scores 0.5."""
    ratio = Metric("corpus", "corpus", corpus_value=lambda sums: sums[0] / sums[1])
    info = MetricInfo(
        name="bleu.corpus", source="bleu", kind="corpus", direction="higher", metric=ratio
    )
    stats = np.tile([9.0, 10.0], (100, 1))
    whole = Measured(
        values=np.full(100, 0.5),
        low=np.full(100, 0.5),
        high=np.full(100, 0.5),
        owner=np.arange(100),
        concerned=np.ones(100, dtype=bool),
        stats=stats,
    )
    gone = np.arange(100) < missing
    less = replace(
        whole,
        values=np.where(gone, np.nan, 0.5),
        low=np.where(gone, 0.0, 0.5),
        high=np.where(gone, 1.0, 0.5),
        stats=np.where(gone[:, None], np.nan, stats),
    )
    spec = gate("bleu.corpus", limit(kind, 0.3))
    result = ruled(spec, info, whole, less)
    assert (result.baseline, result.candidate) == pytest.approx((0.9, 0.9))
    assert result.status is (Status.INCONCLUSIVE if missing == 1 else Status.ERROR)


def test_other_words_with_the_same_score_are_counted_as_reworded():
    old, new = side([[1.0, 1.0], [1.0], [0.0]], run="old"), side([[1.0], [1.0], [1.0]], run="new")
    old = replace(old, texts=np.array([7, 8, 9, 9], dtype=np.uint64))
    # an answer the baseline gave in one of its trials, one it never gave, one of another score
    new = replace(new, texts=np.array([8, 7, 5], dtype=np.uint64))
    (compared,) = verdict(old, new, gate()).compared
    assert (compared.same, compared.reworded, compared.improved) == (2, 1, 1)
    (compared,) = verdict(replace(old, texts=None), new, gate()).compared
    assert compared.reworded is None
