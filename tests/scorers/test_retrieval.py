"""Rank metrics against hand-computed values and a plain second implementation."""

from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evalkit.errors import ConfigError
from evalkit.model import Case, Output, ScoreStatus
from tests.scorers.helpers import bound

METRICS = ("context_precision", "context_recall", "hit_rate", "mrr", "ndcg")


def run(scorer, retrieved, relevant, *, by="id", context=(), **options):
    metadata = {} if relevant is None else {"relevant": relevant}
    case = Case.of({"question": "?"}, metadata=metadata, context=context)
    output = (
        Output(text="x", extra={"retrieved": list(retrieved)})
        if by == "id"
        else Output(text="x", context=tuple(retrieved))
    )
    (found,) = bound(scorer, by=by, **options).score_sync([(case, output)])
    return found


def val(*args, **options):
    found = run(*args, **options)
    assert found.status is ScoreStatus.SCORED, found.reason
    return found.score.value


def test_values_computed_by_hand():
    got, want = ["d", "a", "x", "b"], ["a", "b", "c"]
    assert val("context_precision", got, want) == 2 / 4
    assert val("context_precision", got, want, ranked=True) == (1 / 2 + 2 / 4) / 2
    assert val("context_precision", got, want, k=2) == 1 / 2
    assert val("context_recall", got, want) == 2 / 3
    assert val("context_recall", got, want, k=2) == 1 / 3
    assert val("hit_rate", got, want) == 1.0
    assert val("hit_rate", got, want, k=1) == 0.0
    assert val("mrr", got, want) == 1 / 2
    ideal = 1 + 1 / math.log2(3) + 1 / 2
    assert val("ndcg", got, want) == pytest.approx((1 / math.log2(3) + 1 / math.log2(5)) / ideal)


def test_ndcg_with_grades_as_published():
    # the worked example of the encyclopedia: DCG 6.861, ideal 8.740 with the two documents missed
    grades = {f"d{n}": grade for n, grade in enumerate([3, 2, 3, 0, 1, 2, 3, 2], start=1)}
    found = val("ndcg", [f"d{n}" for n in range(1, 7)], grades, k=6)
    assert found == pytest.approx(6.861 / 8.740, abs=2e-4)


ids = st.lists(st.sampled_from("abcdefghij"), max_size=12)


@settings(deadline=None, max_examples=60)
@given(got=ids, want=st.sets(st.sampled_from("abcdefghij"), min_size=1), k=st.integers(1, 12))
def test_values_equal_a_plain_second_implementation(got, want, k):
    top = got[:k]
    hits = [one in want and one not in top[:at] for at, one in enumerate(top)]
    assert val("context_recall", got, sorted(want), k=k) == len({*top} & want) / len(want)
    assert val("hit_rate", got, sorted(want), k=k) == float(any(hits))
    assert val("mrr", got, sorted(want), k=k) == max(
        [h / (i + 1) for i, h in enumerate(hits)] or [0]
    )
    assert val("context_precision", got, sorted(want), k=k) == (sum(hits) / len(top) if top else 0)
    dcg = sum(hit / math.log2(at + 2) for at, hit in enumerate(hits))
    best = sum(1 / math.log2(at + 2) for at in range(min(k, len(want))))
    assert val("ndcg", got, sorted(want), k=k) == pytest.approx(dcg / best)


def test_texts_are_matched_by_what_they_hold():
    passage = "Parcels may be returned within 14 days of delivery."
    context = [passage, "Gift cards are not refunded."]
    longer = f"Returns. {passage.upper()} Ask us."
    assert val("context_recall", [longer], None, by="text", context=context) == 1 / 2
    cut = "parcels may be returned within 14 days"  # 7 of 9 words
    assert val("hit_rate", [cut], None, by="text", context=context) == 0.0
    assert val("hit_rate", [cut], None, by="text", context=context, share=0.7) == 1.0
    assert val("mrr", ["别的", "价格是四十五元。"], ["价格是四十五元"], by="text") == 1 / 2
    twice = val("context_precision", [passage, passage], None, by="text", context=context)
    assert twice == 1 / 2


@pytest.mark.parametrize("scorer", METRICS)
def test_what_cannot_be_judged_is_unscored(scorer):
    for found, reason in (
        (run(scorer, ["a"], None), "names nothing relevant"),
        (run(scorer, ["a"], []), "names nothing relevant"),
        (run(scorer, ["a"], {"a": "high"}), "no number"),
        (run(scorer, ["a"], True), "no list"),
        (run(scorer, [], ["a"], by="text"), "tells no passages"),
        (run(scorer, ["a"] * 2000, ["a"]), "more than"),
    ):
        assert found.status is ScoreStatus.UNSCORED
        assert reason in found.reason
    (silent,) = bound(scorer, by="id").score_sync(
        [(Case.of({"q": "?"}, metadata={"relevant": ["a"]}), Output(text="x"))]
    )
    assert "extra.retrieved" in silent.reason
    with pytest.raises(ConfigError, match="k is at least 1"):
        bound(scorer, k=0)
