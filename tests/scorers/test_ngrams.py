"""Counting packed windows against counting tuples."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from evalkit.scorers import _ngrams
from evalkit.scorers._ngrams import clipped_matches, matches_of_pairs
from evalkit.scorers._rouge import rouge_n
from evalkit.scorers._symbols import WordSymbols, symbols_of_characters


def naive(given_symbols, references, order):
    found = []
    for n in range(1, order + 1):

        def grams(one, n=n):
            return Counter(tuple(one[i : i + n]) for i in range(len(one) - n + 1))

        most = Counter()
        for one in references:
            most |= grams(one)
        found.append((grams(given_symbols) & most).total())
    return found


def ids(*sequences):
    return [np.array(one, dtype=np.int64) for one in sequences]


symbols = st.lists(st.integers(1, 4), max_size=30)


@given(symbols, st.lists(symbols, min_size=1, max_size=4), st.integers(1, 6))
def test_clipped_matches(one, references, order):
    first, *rest = ids(one, *references)
    assert clipped_matches(first, rest, order) == naive(one, references, order)


@given(symbols, symbols, st.integers(1, 3), st.integers(1, 4))
def test_n_grams_of_short_and_of_long_texts(one, wanted, n, times):
    # the same words again and again: beyond a length they are counted in another way
    one, wanted = [[str(each) for each in many * times] for many in (one, wanted)]
    found = rouge_n(wanted, one, n)
    hits = naive(one, [wanted], n)[-1]

    assert found.precision * max(len(one) - n + 1, 0) == pytest.approx(hits)
    assert found.recall * max(len(wanted) - n + 1, 0) == pytest.approx(
        hits if found.precision else 0
    )


@given(symbols, symbols)
def test_orders_one_after_the_other_count_the_same(one, two):
    first, second = ids(one, two)
    together = clipped_matches(first, [second], 4)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_ngrams, "_WIDE", 0)
        assert clipped_matches(first, [second], 4) == together


def test_more_symbols_than_fit_are_counted_with_dictionaries():
    rng = np.random.default_rng(1)
    many = rng.integers(1, 40_000, 3000)
    other = np.concatenate([many[500:1500], rng.integers(1, 40_000, 800), many[:300]])
    wanted = naive(many.tolist(), [other.tolist()], 4)
    assert wanted[3] > 1000
    assert clipped_matches(many, [other], 4) == wanted


anything = st.text(alphabet=st.characters(codec=None), max_size=20)
repeating = st.text(alphabet="ab\x00\ud800価\U0001f600", max_size=12)


@given(
    st.lists(st.tuples(anything | repeating, anything | repeating), max_size=9),
    st.integers(1, 6),
    st.sampled_from([1, 7, 200_000]),
)
def test_pairs_counted_together_are_counted_as_each_alone(pairs, order, part):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_ngrams, "_PART", part)
        texts = [tuple(map(symbols_of_characters, pair)) for pair in pairs]
        assert matches_of_pairs(texts, order) == [naive(one, [two], order) for one, two in pairs]


def test_a_pair_with_more_symbols_than_fit_does_not_spoil_the_others():
    rng = np.random.default_rng(1)
    many = [str(one) for one in rng.integers(1, 40_000, 30_000)]
    words = WordSymbols()
    texts = [
        (words.of(one), words.of(two)) for one, two in ((many, many[::2]), ("ab", "ab"), ("", "a"))
    ]
    assert matches_of_pairs(texts, 4) == [
        naive(many, [many[::2]], 4),
        [2, 1, 0, 0],
        [0, 0, 0, 0],
    ]


def test_the_same_words_get_the_same_symbols():
    words = WordSymbols()
    assert words.of(["a", "b", "a"]) == words.of(["a"]) + words.of(["b"]) + words.of(["a"])
    assert words.of([]) == b""
    assert len({words.of([one]) for one in "abc"}) == 3
