"""Counting packed windows against counting tuples."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from evalkit.scorers import _ngrams
from evalkit.scorers._few import clipped_word_matches
from evalkit.scorers._ngrams import (
    character_ids,
    clipped_matches,
    word_ids,
)


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
    assert clipped_word_matches(one, references, order) == naive(one, references, order)
    first, *rest = ids(one, *references)
    assert clipped_matches(first, rest, order) == naive(one, references, order)


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


@given(st.lists(st.text(alphabet=st.characters(codec=None), max_size=20), min_size=1, max_size=4))
def test_the_same_characters_get_the_same_numbers(texts):
    arrays = character_ids(texts)
    assert [len(one) for one in arrays] == [len(one) for one in texts]
    numbers = {}
    for text, array in zip(texts, arrays, strict=True):
        for character, number in zip(text, array.tolist(), strict=True):
            assert number >= 1
            assert numbers.setdefault(character, number) == number
    assert len(set(numbers.values())) == len(numbers)


def test_the_same_words_get_the_same_numbers():
    one, two, none = word_ids([["a", "b", "a"], ["b", "c"], []])
    assert one.tolist() == [1, 2, 1]
    assert two.tolist() == [2, 3]
    assert none.tolist() == []
