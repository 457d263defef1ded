"""Groups against each other: the worst one, its gap pair by pair, and what differs."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import binomtest

from evalkit.config.spec import GateLimit
from evalkit.gate.decide import decide
from evalkit.gate.fairness import fair
from evalkit.stats.intervals import wilson
from evalkit.stats.paired_rates import PairedCounts, PairedShares
from tests.gate.benches import TODAY, gate, side, stored, suite


def bench(run="run", texts=None, phrasings=0, **groups):
    """Every group with the result of each pair; a group is named ``axis__group``.

    So many ``phrasings`` in a row are of one question; none says that nothing tells the question.
    """
    passed, tags = [], {"axis": [], "group": [], "pair": [], **({"base": []} if phrasings else {})}
    for name, values in groups.items():
        axis, _, group = name.partition("__")
        for number, value in enumerate(values):
            passed.append(value if isinstance(value, list) else [value])
            tags["axis"].append(axis)
            tags["group"].append(group)
            tags["pair"].append(f"{axis}.{number}")
            if phrasings:
                tags["base"].append(f"q{number // phrasings}")
    names = [f"{pair}.{group}" for pair, group in zip(tags["pair"], tags["group"], strict=True)]
    one = side(passed, run=run, names=names, tags=tags)
    hashes = np.arange(one.trials) if texts is None else np.array(texts)
    return stored(replace(one, texts=hashes.astype(np.uint64)))


def fairness(after):
    return {one.axis: one for one in fair(("support",), after, None)}


def test_the_worst_group_and_its_gap_pair_by_pair():
    young, old, middle = [1.0] * 30, [1.0] * 18 + [0.0] * 12, [1.0] * 29 + [0.0]
    one = fairness(bench(age__young=young, age__middle=middle, age__old=old))["age"]
    assert (one.worst, one.best, one.pairs, one.unequal) == ("old", "young", 30, 12)
    assert one.gap == pytest.approx(0.4)
    rate = next(each for each in one.groups if each.group == "old")
    assert (rate.value, rate.n) == (0.6, 30)
    assert (rate.low, rate.high) == pytest.approx(
        (wilson(18, 30, 0.95).low, wilson(18, 30, 0.95).high)
    )
    # three gaps share the chance of error, and the paired test says the same
    p_value = binomtest(12, 12, 0.5).pvalue
    assert (p_value < 0.05 / 3) == (one.low > 0)
    assert one.low > 0


def test_phrasings_of_one_question_are_no_new_evidence():
    young, old = [1.0] * 20, [1.0] * 8 + [0.0] * 12
    alone = fairness(bench(phrasings=1, age__young=young, age__old=old))["age"]
    assert alone == fairness(bench(age__young=young, age__old=old))["age"]
    twice = fairness(
        bench(
            phrasings=2,
            age__young=[one for one in young for _ in range(2)],
            age__old=[one for one in old for _ in range(2)],
        )
    )["age"]
    assert (twice.gap, twice.pairs, twice.questions) == (alone.gap, 40, 20)
    assert (twice.low, twice.high) == pytest.approx((alone.low, alone.high))
    rates, same = ({one.group: one for one in each.groups} for each in (twice, alone))
    assert rates["old"].n == 40
    assert (rates["old"].low, rates["old"].high) == pytest.approx(
        (same["old"].low, same["old"].high)
    )


def test_phrasings_that_disagree_count_by_their_mean():
    # 24 questions, two phrasings each: of half of them one fails
    old = [1.0, 0.0] * 12 + [1.0, 1.0] * 12
    one = fairness(bench(phrasings=2, age__young=[1.0] * 48, age__old=old))["age"]
    assert one.gap == pytest.approx(0.25)
    # as much as 6 of 24 questions: half of the evidence that 12 of 48 would be
    whole = PairedCounts(both_pass=18, gain=6, loss=0, both_fail=0).interval(0.95)
    assert (one.low, one.high) == pytest.approx((whole.low, whole.high))
    alone = fairness(bench(age__young=[1.0] * 48, age__old=old))["age"]
    assert alone.low > one.low
    assert alone.high < one.high


def test_the_interval_of_phrasings_holds():
    # whatever phrasings of a question have in common: 1,000 samples of 15 questions, two each
    random = np.random.default_rng(7)
    for together in (0.0, 0.5, 1.0):
        missed = 0
        for _ in range(1_000):
            first = random.random(15) < 0.3
            second = np.where(random.random(15) < together, first, random.random(15) < 0.3)
            ends = PairedShares(gain=float((first + 0 + second).sum()) / 2, loss=0, n=15).interval()
            missed += not ends.low <= 0.3 <= ends.high
        assert missed <= 60


def test_a_tag_of_the_policy_says_what_hangs_together():
    one = bench(age__young=[1.0] * 12, age__old=[0.0] * 12)
    found = decide([suite(cluster="axis")], one, None, today=TODAY).fairness
    assert found[0].questions == 1


def test_no_gap_has_an_interval_around_nothing():
    one = fairness(bench(age__young=[1.0, 0.0] * 15, age__old=[1.0, 0.0] * 15))["age"]
    assert one.gap == 0
    assert one.low < 0 < one.high
    assert one.unequal == 0
    assert len(one.listed) == 30
    assert not one.listed[0].outcome


def test_pairs_that_answer_alike_are_not_listed():
    same = bench(texts=[1, 2, 1, 2], age__young=[1.0, 0.0], age__old=[1.0, 0.0])
    assert fairness(same)["age"].listed == ()


def test_axes_are_never_mixed():
    found = fairness(
        bench(
            age__young=[1.0] * 5, age__old=[1.0] * 5, faith__none=[0.0] * 5, faith__some=[0.0] * 5
        )
    )
    assert set(found) == {"age", "faith"}
    assert all(one.gap == 0 for one in found.values())


def test_what_is_missing_is_in_no_rate():
    one = fairness(bench(age__young=[1.0, 1.0, None], age__old=[1.0, 0.0, 1.0]))["age"]
    rates = {each.group: each for each in one.groups}
    assert (rates["young"].n, rates["young"].missing) == (2, 1)
    assert one.gap == pytest.approx(0.5)
    assert [each.pair for each in one.listed] == ["age.1"]
    assert [each.group for each in one.listed[0].members] == ["old", "young"]


def test_a_group_alone_and_a_suite_without_pairs_say_nothing():
    assert fairness(bench(age__young=[1.0, 0.0])) == {}
    assert fair(("support",), stored(side([[1.0]] * 3)), None) == ()


def test_repeats_are_shares_and_still_compared():
    one = fairness(bench(age__young=[[1.0, 1.0]] * 12, age__old=[[1.0, 0.0]] * 12))["age"]
    assert one.gap == pytest.approx(0.5)
    assert one.unequal == 12


def test_the_gate_on_gaps_serves_the_axes():
    limit = GateLimit(kind="max_gap", value=0.2)
    rule = gate("pass.rate", limit, by=("group",), min_cases=20)
    found = decide(
        [suite(rule)],
        bench(age__young=[1.0] * 60, age__old=[0.0] * 30 + [1.0] * 30),
        None,
        today=TODAY,
    )
    (result,) = found.results
    assert result.status == "FAIL"
    assert "old below young" in result.where
    assert found.fairness[0].worst == "old"
