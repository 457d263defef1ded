"""exact_match, contains, regex, levenshtein and token_f1 on answers as models write them."""

from __future__ import annotations

import string
import time
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evalkit.scorers._text import squad_normal, words
from tests.scorers.helpers import score, unscored, value


@pytest.mark.parametrize(
    ("options", "output", "expected", "wanted"),
    [
        ({}, "paris", "Paris", 0.0),
        ({"ignore_case": True}, "PARIS", "paris", 1.0),
        ({"ignore_case": True}, "STRASSE", "straße", 1.0),
        ({"strip": False}, "Paris ", "Paris", 0.0),
        ({}, "\u00a0Paris\u3000", "Paris", 1.0),
        ({"normalise": "squad"}, "The answer!", "answer", 1.0),
        ({"normalise": "squad"}, "an  apple", "Apple.", 1.0),
        ({"normalise": "unicode"}, "ﬁne\n\tday", "fine day", 1.0),
        ({"normalise": "unicode"}, "e\u0301", "é", 1.0),
        ({}, "e\u0301", "é", 0.0),
        ({}, "42", 42, 1.0),
        ({}, '{"a": 1}', {"a": 1}, 1.0),
    ],
)
def test_exact_match(options, output, expected, wanted):
    found = score("exact_match", output, expected, **options)
    assert (found.value, found.passed) == (wanted, bool(wanted))


def squad_reference(text):
    """The normal form of SQuAD's published evaluate-v1.1.py."""
    import re

    text = "".join(one for one in text.lower() if one not in set(string.punctuation))
    return " ".join(re.sub(r"\b(a|an|the)\b", " ", text).split())


@given(st.text() | st.lists(st.sampled_from(["the", "a", "An", "x,", "!", " "])).map(" ".join))
def test_squads_normal_form_is_the_published_one(text):
    assert squad_normal(text) == squad_reference(text)


@pytest.mark.parametrize(
    ("options", "output", "wanted", "reason"),
    [
        ({"any": ["refund", "money"]}, "Your money is back", 1.0, None),
        ({"any": ["refund"]}, "No.", 0.0, "holds none of 'refund'"),
        ({"all": ["14", "days"]}, "14 days", 1.0, None),
        ({"all": ["14", "days"]}, "14 weeks", 0.0, "lacks 'days'"),
        ({"none": ["sorry"]}, "I am sorry", 0.0, "holds 'sorry'"),
        ({"none": ["sorry"]}, "", 1.0, None),
        ({"any": ["REFUND"], "ignore_case": True}, "refund", 1.0, None),
        ({"any": ["a"], "all": ["b"], "none": ["c"]}, "abc", 0.0, "holds 'c'"),
        ({"any": ["x"], "all": ["y"]}, "abc", 0.0, "holds none of 'x'; lacks 'y'"),
    ],
)
def test_contains_with_lists(options, output, wanted, reason):
    found = score("contains", output, None, **options)
    assert (found.value, found.passed, found.reason) == (wanted, bool(wanted), reason)


def test_contains_without_lists_takes_the_expected_answers():
    assert value("contains", "It is Paris, France.", ["Lyon", "Paris"]) == 1.0
    assert "expects no text" in unscored("contains", "x", None)
    assert "expects no text" in unscored("contains", "x", "")


@pytest.mark.parametrize(
    ("options", "output", "wanted"),
    [
        ({"pattern": r"\d+ days"}, "within 14 days", 1.0),
        ({"pattern": r"\d+ days"}, "soon", 0.0),
        ({"pattern": "sorry", "match": "must_not"}, "I am sorry", 0.0),
        ({"pattern": "sorry", "match": "must_not"}, "Fine", 1.0),
        ({"pattern": "yes|no", "where": "whole"}, "yes", 1.0),
        ({"pattern": "yes|no", "where": "whole"}, "yes.", 0.0),
        ({"pattern": "PARIS", "flags": "i"}, "paris", 1.0),
        ({"pattern": "^b$", "flags": "m"}, "a\nb\nc", 1.0),
        ({"pattern": "a.b", "flags": "s"}, "a\nb", 1.0),
        ({"pattern": r"\p{Han}"}, "价格", 1.0),
    ],
)
def test_regex(options, output, wanted):
    found = score("regex", output, None, **options)
    assert (found.value, found.passed) == (wanted, bool(wanted))


def test_regex_shows_where_it_was_found():
    (evidence,) = score("regex", "within 14 days", None, pattern=r"\d+").evidence
    assert (evidence.source, evidence.start, evidence.end, evidence.text) == ("output", 7, 9, "14")


@pytest.mark.parametrize("pattern", [r"(a|aa)+$", r"(x+x+)+y", r"(a|a?)+$"])
def test_a_catastrophic_pattern_is_unscored_in_a_second(pattern):
    text = "x" * 5000 + "a" * 5000 + "!"
    started = time.perf_counter()
    reason = unscored("regex", text, None, pattern=pattern)
    assert "took longer than 1 s on 10,001 characters" in reason
    assert time.perf_counter() - started < 20


@given(st.text(max_size=30), st.text(max_size=30))
def test_levenshtein_is_one_minus_edits_by_length(one, two):
    def edits(a, b):
        row = list(range(len(b) + 1))
        for i, x in enumerate(a, 1):
            row, above = [i], row
            for j, y in enumerate(b, 1):
                row.append(min(above[j] + 1, row[-1] + 1, above[j - 1] + (x != y)))
        return row[-1]

    longest = max(len(one), len(two))
    wanted = 1 - edits(one, two) / longest if longest else 1.0
    assert value("levenshtein", one, two, strip=False) == pytest.approx(wanted, abs=1e-12)


def test_levenshtein_refuses_what_would_take_minutes():
    assert "too long" in unscored("levenshtein", "ab" * 500_000, "ba" * 500_000)
    assert value("levenshtein", "ab" * 500_000, "ab" * 500_000) == 1.0


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("Hello, World!", ["hello", "world"]),
        ("naïve café", ["naïve", "café"]),
        ("नमस्ते दुनिया", ["नमस्ते", "दुनिया"]),
        ("价格45元", ["价", "格", "45", "元"]),
        ("ราคา", ["รา"[0], "า", "ค", "า"]),
        ("ที่นี่", ["ที่", "นี่"]),
        ("カタカナ ひら", ["カ", "タ", "カ", "ナ", "ひ", "ら"]),
        ("السعر ٤٥", ["السعر", "٤٥"]),
        ("한국어 단어", ["한국어", "단어"]),
        ("don't", ["don", "t"]),
        ("ＡＢＣ ①", ["abc", "1"]),
        ("\ud800 a\x00b", ["a", "b"]),
        ("…!?", []),
    ],
)
def test_words_of_any_language(text, wanted):
    assert words(text) == wanted


def squad_f1(answer, expected):
    """F1 as in SQuAD's published evaluate-v2.0.py, on ASCII words without articles."""
    given_words, wanted = answer.split(), expected.split()
    if not given_words or not wanted:
        return float(given_words == wanted)
    common = (Counter(given_words) & Counter(wanted)).total()
    if not common:
        return 0.0
    precision, recall = common / len(given_words), common / len(wanted)
    return 2 * precision * recall / (precision + recall)


plain = st.lists(st.sampled_from(["cat", "dog", "14", "days", "paris"]), max_size=8).map(" ".join)


@given(plain, plain)
def test_token_f1_equals_squads(answer, expected):
    assert value("token_f1", answer, expected) == pytest.approx(squad_f1(answer, expected))


def test_token_f1_drops_english_articles_only_when_asked():
    assert value("token_f1", "the cat", "cat") == pytest.approx(2 / 3)
    assert value("token_f1", "the cat", "cat", drop_articles=True) == 1.0
    assert value("token_f1", "x", ["a b", "x y"]) == pytest.approx(2 / 3)
