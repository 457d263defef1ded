"""Slices by their lift: which are named, and which would only say the same again."""

import numpy as np

from evalkit.gate.places import places


def test_two_tags_that_mean_the_same_cases_are_named_once():
    fell = np.arange(100) < 10
    tags = {
        "suite": ["a"] * 20 + ["b"] * 80,
        "category": ["a"] * 20 + ["c"] * 80,
        "lang": ["de"] * 20 + ["en"] * 30 + ["de"] * 50,
    }
    one, other = places(tags, np.ones(100, dtype=bool), fell)
    assert other.slice == "lang=de"
    assert (one.slice, one.regressed, one.cases, one.lift) == ("category=a", 10, 20, 5.0)


def test_slices_of_as_many_cases_that_are_others_are_both_named():
    fell = np.array([True, True] * 2 + [False] * 96)
    tags = {"doc": ["a"] * 2 + ["b"] * 2 + ["a"] * 3 + ["b"] * 3 + [None] * 90}
    found = places(tags, np.ones(100, dtype=bool), fell)
    assert [one.slice for one in found] == ["doc=a", "doc=b"]


def test_a_slice_that_regressed_about_as_often_as_all_is_no_place():
    fell = np.arange(100) % 10 == 0
    tags = {"lang": ["de"] * 91 + ["en"] * 9, "doc": ["a"] * 71 + ["b"] * 29}
    assert places(tags, np.ones(100, dtype=bool), fell) == ()
