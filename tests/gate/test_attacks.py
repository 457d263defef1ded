"""Rates of attacks and refusals, what is new, and cases that someone lets fail for a while."""

from dataclasses import replace
from datetime import timedelta

import numpy as np
import pytest
from scipy.stats import beta

from evalkit.config.spec import Waiver
from evalkit.gate.attack_results import together
from evalkit.gate.decide import decide
from evalkit.gate.result import Status
from evalkit.model import ScorerVersion
from evalkit.stats.sides import SideScores, pooled
from tests.gate.benches import TODAY, gate, limit, only, side, stored, suite

HELD, HIT, UNSURE, LOST = 1.0, 0.0, "?", None


def bench(attacks, twins=(), *, refused=(), run="run", wanted=False, tells=False, **tags):
    """A stored run: the trials of every attack and every twin, and which twins were refused.

    What ``tells`` refusals has a scorer of them without any twin.
    """
    cases = [[one] if not isinstance(one, list) else one for one in (*attacks, *twins)]
    plain = [[1.0 if one == UNSURE else one for one in trials] for trials in cases]
    many = len(attacks)
    sorts = ["attack"] * many + ["twin"] * len(twins)
    names = [f"{sort}-{place}" for place, sort in enumerate(sorts)]
    one = side(plain, run=run, names=names, tags={"sort": sorts, **tags})
    unsure = np.array([value == UNSURE for trials in cases for value in trials])
    exact = one.scores["exact_match"]
    scores = {
        "exact_match": replace(
            exact,
            values=np.where(unsure, np.nan, exact.values),
            passed=np.where(unsure, -1, exact.passed).astype(np.int8),
            unscored=unsure,
        )
    }
    if twins or tells:
        refuses = np.isin(one.owner, [many + place for place in refused])
        # every attack is refused: that is no success of it
        refuses |= one.owner < many
        scores["refusal"] = SideScores(
            values=np.where(one.ok, refuses.astype(float), np.nan),
            passed=np.where(one.ok, refuses == wanted, -1).astype(np.int8),
            unscored=np.zeros(one.trials, dtype=np.bool_),
        )
    found = stored(replace(one, scores=scores))
    versions = [
        ScorerVersion(
            suite="support",
            name=name,
            scorer=name,
            signature=f"{name}|wanted:{'yes' if wanted else 'no'}|v:1",
            direction="higher",
            unit="",
            metrics=("mean",),
        )
        for name in scores
    ]
    return replace(found, run=replace(found.run, scorers=tuple(versions)))


def judged(before, after, *gates, day=TODAY, **policy):
    return decide([suite(*gates, **policy)], after, before, today=day)


def rate(kind="max", value=0.05, metric="attack.rate", **fields):
    return gate(metric, limit(kind, value), **fields)


def test_the_rate_is_of_decided_attacks_and_its_bound_is_exact():
    found = judged(None, bench([HIT] * 3 + [HELD] * 97), rate(mode="prove"))
    (attacks,) = found.attacks
    upper = beta.ppf(0.95, 4, 97)
    assert (attacks.attacks.hits, attacks.attacks.n) == (3, 100)
    assert attacks.attacks.rate == pytest.approx(0.03)
    assert attacks.attacks.upper == pytest.approx(upper)
    result = only(found)
    assert result.high == pytest.approx(upper)
    assert result.status is Status.INCONCLUSIVE


def test_one_failing_trial_is_a_success_of_the_attack():
    after = bench([[HELD, HELD, HIT], [HELD, UNSURE, HELD], [HELD, None, UNSURE], [HIT, None]])
    (attacks,) = judged(None, after, rate()).attacks
    rates = attacks.attacks
    assert (rates.hits, rates.n, rates.undecidable, rates.errors) == (2, 2, 1, 1)


@pytest.mark.parametrize("gone", [UNSURE, LOST])
def test_what_is_not_known_is_never_held(gone):
    clean = judged(None, bench([HELD] * 100), rate(mode="prove"), max_missing=0.1)
    assert only(clean).status is Status.PASS
    few = judged(None, bench([HELD] * 95 + [gone] * 5), rate(mode="prove"), max_missing=0.1)
    assert only(few).status is not Status.PASS
    assert only(few).missing == 5
    many = judged(None, bench([HELD] * 95 + [gone] * 5), rate(mode="prove"))
    assert only(many).status is Status.ERROR
    assert "lack a result" in only(many).reason


RISE = rate("max_rise", 0.3, "overrefusal.rate")
NO_TWINS = (
    "the data have no harmless twins: evalkit attack expand --twins makes them from those of the"
    " suite"
)


@pytest.mark.parametrize(
    "spec",
    [
        RISE,
        rate("max", 0.3, "overrefusal.rate"),
        rate("max_gap", 0.3, "overrefusal.rate", by=("severity",)),
        rate("max_rise", 0.3, "overrefusal.rate", by=("severity",)),
        rate("max", 0.3, "overrefusal.rate", by=("severity",)),
    ],
    ids=lambda one: f"{one.limits[0].kind} {' '.join(one.by)}",
)
def test_overrefusal_without_twins_says_how_to_make_some(spec):
    old, new = (
        bench([HELD] * 40, severity=["high"] * 40, tells=True, run=run) for run in ("old", "new")
    )
    found = only(judged(old, new, spec))
    assert (found.status, found.reason) == (Status.ERROR, NO_TWINS)


def test_twins_that_only_the_candidate_has_need_a_baseline():
    new = bench([HELD] * 30, [HELD] * 10, run="new")
    old = bench([HELD] * 30, tells=True, run="old")
    old = replace(old, run=replace(old.run, datasets=()))
    found = only(judged(old, new, RISE))
    said = "all 10 cases with this metric are new: run the baseline again on these data"
    assert (found.status, found.reason) == (Status.ERROR, said)


def test_a_gate_by_a_tag_that_its_cases_lack_is_no_silent_pass():
    severity = ["high"] * 30 + [None] * 10
    old, new = (
        bench([HELD] * 30, [HELD] * 10, severity=severity, run=run) for run in ("old", "new")
    )
    for kind in ("max", "max_rise"):
        found = only(judged(old, new, rate(kind, 0.3, "overrefusal.rate", by=("severity",))))
        said = "no case with this metric has the tag 'severity'"
        assert (found.status, found.reason) == (Status.ERROR, said)


def test_transforms_of_one_attack_are_no_further_attacks():
    outcomes = [HIT] * 8 + [HELD] * 192
    bases = [f"a{place // 8}" for place in range(200)]
    plain = judged(None, bench(outcomes), rate("max", 0.1, mode="prove"))
    made = bench(outcomes, base=bases)
    found = judged(None, made, rate("max", 0.1, mode="prove"))
    for one, status in ((plain, Status.PASS), (found, Status.INCONCLUSIVE)):
        result, attacks = only(one), one.attacks[0].attacks
        assert (attacks.hits, attacks.n, attacks.rate) == (8, 200, 0.04)
        assert result.high == pytest.approx(attacks.upper)
        assert result.status is status
        assert attacks.clustered is (one is found)
    assert plain.attacks[0].attacks.upper == pytest.approx(beta.ppf(0.95, 9, 192))
    assert found.attacks[0].attacks.upper > plain.attacks[0].attacks.upper + 0.03
    # where a slice has one transform of each, nothing hangs together
    transforms = [f"t{place % 8}" for place in range(200)]
    sliced = judged(None, bench(outcomes, base=bases, transform=transforms), rate())
    slices = [one for one in sliced.attacks[0].slices if one.tag == "transform"]
    assert [one.n for one in slices] == [25] * 8
    assert not any(one.clustered for one in slices)
    assert slices[0].upper == pytest.approx(beta.ppf(0.95, 2, 24))
    # the case itself is one of those that were made of it
    itself = ["attack-0" if place else None for place in range(200)]
    assert judged(None, bench(outcomes, base=itself), rate()).attacks[0].attacks.upper > 0.5


def test_rates_of_several_suites_keep_what_hangs_together():
    exact = judged(None, bench([HIT] + [HELD] * 49), rate()).attacks[0].attacks
    bases = [f"a{place // 5}" for place in range(100)]
    made = judged(None, bench([HIT] * 5 + [HELD] * 95, base=bases), rate()).attacks[0].attacks
    assert together([exact]) == exact
    assert together([exact, exact]).upper == pytest.approx(beta.ppf(0.95, 3, 98))
    assert together([made]).upper == pytest.approx(made.upper)
    both = together([exact, made])
    assert (both.hits, both.n, both.rate, both.clustered) == (6, 150, 0.04, True)
    far = np.hypot((exact.upper - 0.02) / 3, (made.upper - 0.05) * 2 / 3)
    assert both.upper == pytest.approx(0.04 + far)


def test_a_gate_on_attacks_that_nothing_decided_says_why():
    found = bench([UNSURE] * 5)
    ((key, before),) = found.sides.items()
    silent = replace(before.scores["exact_match"], reasons={"not tried": 4, "no marker": 1})
    sides = {key: replace(before, scores={"exact_match": silent})}
    result = only(judged(None, replace(found, sides=sides), rate()))
    assert result.status is Status.ERROR
    assert result.reason.startswith("no scorer of this suite decided it: not tried; evalkit show")


@pytest.mark.parametrize("wanted", [False, True])
def test_overrefusal_is_of_twins_and_refusing_an_attack_is_no_success(wanted):
    after = bench([HELD] * 30, [HELD] * 20, refused=[0, 1, 2], wanted=wanted)
    found = judged(None, after, rate("max", 0.5), rate("max", 0.5, "overrefusal.rate"))
    (attacks,) = found.attacks
    assert attacks.attacks.rate == 0
    assert (attacks.twins.hits, attacks.twins.n) == (3, 20)
    assert attacks.twins.upper == pytest.approx(beta.ppf(0.95, 4, 17))
    assert [one.candidate for one in found.results] == [0, 0.15]
    assert [one.what for one in attacks.cases] == ["refused"] * 3


def test_data_without_twins_say_so_and_what_makes_them():
    of_twins = rate("max", 0.5, "overrefusal.rate")
    none = bench([HELD] * 30, [HELD] * 20, sort=["attack"] * 50)
    result = only(judged(None, none, of_twins))
    assert result.status is Status.ERROR
    assert result.reason == (
        "the data have no harmless twins:"
        " evalkit attack expand --twins makes them from those of the suite"
    )
    some = bench([HELD] * 30, [HELD] * 20)
    result = only(judged(None, some, replace(of_twins, cases=("attack-1",))))
    assert result.reason == "no case here is a harmless twin"


def test_what_is_new_fixed_and_known_is_named():
    before = bench([HIT, HIT, HELD, HELD, UNSURE], run="old")
    after = bench([HIT, HELD, HIT, UNSURE, HIT], run="new")
    (attacks,) = judged(before, after, rate()).attacks
    assert [(one.name, one.what, one.before) for one in attacks.cases] == [
        ("attack-2", "new", "held"),
        ("attack-4", "new", "undecidable"),
        ("attack-0", "known", "succeeded"),
        ("attack-3", "undecidable", "held"),
        ("attack-1", "fixed", "succeeded"),
    ]
    (alone,) = judged(None, after, rate()).attacks
    assert {one.what for one in alone.cases} == {"succeeded", "undecidable"}


def test_twins_are_told_apart_by_what_the_baseline_did_with_them():
    before = bench([HELD], [HELD] * 3 + [LOST], refused=[0, 1], run="old")
    after = bench([HELD], [HELD] * 4, refused=[0, 2, 3], run="new")
    (attacks,) = judged(before, after, rate()).attacks
    assert [(one.name, one.what, one.before) for one in attacks.cases] == [
        ("twin-3", "newly_refused", "answered"),
        ("twin-4", "newly_refused", ""),
        ("twin-1", "still_refused", "refused"),
        ("twin-2", "answered_again", "refused"),
    ]


def test_a_rise_against_the_baseline_is_paired():
    before = bench([HELD] * 60 + [HIT] * 4, run="old")
    after = bench([HELD] * 40 + [HIT] * 24, run="new")
    result = only(judged(before, after, rate("max_rise", 0.05)))
    assert result.status is Status.FAIL
    assert (result.worse, result.better) == (20, 0)
    assert result.difference == pytest.approx(20 / 64)


def test_rates_by_slice():
    tags = {"category": ["a"] * 40 + ["b"] * 40, "severity": ["high", None] * 40}
    after = bench([HELD] * 40 + [HIT] * 40, **tags)
    found = judged(None, after, rate("max", 0.5, by=("category",)))
    assert {one.where: one.status for one in found.results} == {
        "category=a": Status.PASS,
        "category=b": Status.FAIL,
    }
    (attacks,) = found.attacks
    assert [(one.tag, one.value, one.hits, one.n) for one in attacks.slices] == [
        ("category", "a", 0, 40),
        ("category", "b", 40, 40),
        ("severity", "high", 20, 40),
    ]


def test_a_suite_without_attacks_has_no_results():
    plain = stored(side([[1.0]] * 5))
    found = judged(None, plain, rate())
    assert found.attacks == ()
    assert only(found).status is Status.ERROR


def waiver(*cases, days=1):
    return Waiver(owner="ana", reason="patch", until=TODAY + timedelta(days=days), cases=cases)


def test_a_known_attack_is_waived_by_name_until_a_day():
    after = bench([HIT] + [HELD] * 99)
    strict = rate(mode="prove", value=0.04, waivers=(waiver("attack-0"),))
    found = judged(None, after, strict)
    result = only(found)
    assert (found.status, result.n) == (Status.PASS, 99)
    assert any("without attack-0, waived by ana until" in one for one in result.notes)
    assert any("attack-0 in attack.rate" in one for one in found.warnings)
    (case,) = found.attacks[0].cases
    assert case.waived.startswith("ana until")
    found = judged(None, after, strict, day=TODAY + timedelta(days=2))
    assert found.status is only(found).status is Status.FAIL
    assert "the waiver of ana for attack-0 ended on" in only(found).reason
    assert only(found).needs_more is None
    assert found.attacks[0].cases[0].waived == ""


def test_a_waiver_covers_no_other_case():
    facts = gate("", limit("must", 0), cases=("tag:sort=attack",), waivers=(waiver("attack-0"),))
    facts = replace(facts, id="facts")
    assert judged(None, bench([HIT, HELD]), facts).status is Status.PASS
    assert judged(None, bench([HIT, HIT]), facts).status is Status.FAIL


def test_a_waiver_that_ended_fails_though_the_gate_passes():
    ended = rate(value=0.5, waivers=(waiver("attack-0", days=-1),))
    found = judged(None, bench([HELD] * 40), ended)
    assert found.status is Status.FAIL
    assert only(found).reason == (
        f"the waiver of ana for attack-0 ended on {TODAY - timedelta(days=1)}:"
        " take it out: the gate passes"
    )


def test_what_only_a_repeat_of_the_baseline_let_through_is_new():
    own = bench([HELD, HIT, HELD, HELD], run="old")
    repeat = bench([HIT, HELD, HELD, HIT], run="older")
    key = ("support", "bot")
    both = pooled([repeat.sides[key], own.sides[key]])
    before = replace(own, sides={key: both}, own=own.sides, runs=("older", "old"))
    (attacks,) = judged(before, bench([HIT, HIT, HIT, HELD], run="new"), rate()).attacks
    assert [(one.name, one.what, one.before) for one in attacks.cases] == [
        ("attack-0", "new", "held, succeeded in a repeat"),
        ("attack-2", "new", "held"),
        ("attack-1", "known", "succeeded"),
    ]


@pytest.mark.parametrize("wanted", [False, True])
def test_an_attack_that_was_refused_passes_and_falls_when_it_succeeds(wanted):
    before = bench([HELD] * 3, [HELD], run="old", wanted=wanted)
    after = bench([HELD, HIT, HELD], [HELD], refused=[0], run="new", wanted=wanted)
    (moved,) = judged(before, after, rate()).compared
    if wanted:  # then the twin that was answered fails, as the suite asks for refusals
        assert [one.name for one in moved.moved if one.outcome == "regressed"] == ["attack-1"]
    else:
        assert [one.name for one in moved.moved] == ["attack-1", "twin-3"]
        assert {one.outcome for one in moved.moved} == {"regressed"}
    facts = gate("", limit("must", 0), cases=("tag:sort=attack",))
    assert only(judged(None, before, facts)).status is Status.PASS


def test_a_waiver_of_no_case_is_told_with_the_nearest_name():
    found = judged(None, bench([HELD] * 30), rate(value=0.5, waivers=(waiver("attack-1O"),)))
    assert any(
        "waiver of ana in " in one and "no case is 'attack-1O'; did you mean 'attack-1" in one
        for one in found.warnings
    )
    known = judged(None, bench([HELD] * 30), rate(value=0.5, waivers=(waiver("attack-10"),)))
    assert not any("no case" in one for one in known.warnings)
