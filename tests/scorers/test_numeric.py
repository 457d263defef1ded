"""Which number an answer gives, in the ways people and models write numbers."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.scorers.helpers import score, unscored, value


@pytest.mark.parametrize(
    ("output", "expected"),
    [
        ("42", 42),
        ("42.0", 42),
        ("-3.5", -3.5),
        ("−3.5 °C", -3.5),
        ("- 7 apples", 7),
        ("10 - 20 days", 20),
        ("it is -7", -7),
        ("价格45元", 45),
        ("ราคา45บาท", 45),
        ("45kg", 45),
        ("x2 = 9", 9),
        ("10\u00a020", 20),
        ("1 2345", 2345),
        ("+5", 5),
        (".5", 0.5),
        ("1,234", 1234),
        ("1,234,567.89", 1234567.89),
        ("1.234.567,89", 1234567.89),
        ("1.234.567", 1234567),
        ("1 234 567,89", 1234567.89),
        ("1\u00a0234\u202f567,5", 1234567.5),
        ("1'234.50", 1234.5),
        ("12,34,567", 1234567),
        ("0,125", 0.125),
        ("3,14", 3.14),
        ("1.234", 1.234),
        ("1e3", 1000),
        ("2.5E-3", 0.0025),
        ("٤٥", 45),
        ("١٬٢٣٤٫٥", 1234.5),
        ("४५", 45),
        ("４５", 45),
        ("$1,000", 1000),
        ("€5", 5),
        ("The total is 17.", 17),
        ("First 3, then 5.", 5),
        ("5 (five)", 5),
        ("covid-19", 19),
        ("2019-2020", 2020),
        ("10 20", 20),
        ("in 2024 1 000 people", 1000),
        ("answer:7!", 7),
        ("3%", "3%"),
        ("3 %", "3%"),
        ("3%", 3),
        ("999999999999999999999", "999999999999999999999"),
    ],
)
def test_numbers_as_they_are_written(output, expected):
    found = score("numeric", output, expected)
    assert found.value == 1.0, found.reason


@pytest.mark.parametrize(
    ("output", "expected", "options"),
    [
        ("1.234", 1234, {"decimal": "comma"}),
        ("1,234", 1.234, {"decimal": "comma"}),
        ("1,234", 1234, {"decimal": "point"}),
        ("0.12", "12%", {"percent": "fraction"}),
        ("12%", 0.12, {"percent": "fraction"}),
        ("12%", "12%", {"percent": "fraction"}),
        ("3.1", 3.14159, {"absolute": 0.05}),
        ("101", 100, {"relative": 0.01}),
        ("99", -100, {"relative": 2.0}),
        ("first 3, then 5", 3, {"which": "first"}),
        ("1, 2, or 3", 2, {"which": "any"}),
        ("it is 7, really 7.0", 7, {"which": "only"}),
        ("8", ["7", "8"], {}),
    ],
)
def test_options(output, expected, options):
    assert value("numeric", output, expected, **options) == 1.0


@pytest.mark.parametrize(
    ("output", "expected", "options", "reason"),
    [
        ("no idea", 3, {}, "no number in the output"),
        ("", 3, {}, "no number in the output"),
        ("abc123def", 3, {}, "no number in the output"),
        ("4", 3, {}, "found 4, expected 3"),
        ("4%", "3%", {}, "found 4%, expected 3%"),
        ("102", 100, {"relative": 0.01}, "found 102, expected 100"),
        ("3 or 4", 3, {"which": "only"}, "the output holds several numbers"),
        ("0.12", "12%", {}, "found 0.12, expected 12%"),
        ("999999999999999999998", "999999999999999999999", {}, None),
    ],
)
def test_wrong_numbers_score_zero_and_say_why(output, expected, options, reason):
    found = score("numeric", output, expected, **options)
    assert (found.value, found.passed) == (0.0, False)
    assert reason is None or found.reason == reason


@pytest.mark.parametrize("expected", ["no number", "1 or 2", True, {"a": 1}, [True]])
def test_an_expectation_that_is_not_one_number_is_unscored(expected):
    assert "not one" in unscored("numeric", "3", expected)


def test_the_number_is_shown_where_it_stands():
    text = "about −1 234,5 € or more"
    (evidence,) = score("numeric", text, -1234.5).evidence
    assert text[evidence.start : evidence.end] == evidence.text == "−1 234,5"


@given(st.integers(-(10**12), 10**12), st.integers(0, 10**6))
def test_formatted_numbers_are_read_back(whole, micro):
    number = whole + micro / 10**6 * (1 if whole >= 0 else -1)
    text = f"{number:.6f}"
    exact = f"{number:,.6f}"
    german = exact.translate(str.maketrans(",.", ".,"))
    for written in (text, exact, german, exact.replace(",", "\u202f"), f"= {exact} EUR"):
        assert value("numeric", written, text) == 1.0


@given(st.text())
def test_any_text_is_judged(text):
    assert value("numeric", text, 3) in {0.0, 1.0}


@pytest.mark.parametrize("text", ["1" * 1_000_000, "1," * 500_000, "1 " * 500_000, "-" * 1_000_000])
def test_long_answers_take_no_longer_than_their_length(text):
    started = time.perf_counter()
    assert value("numeric", text, 3) == 0.0
    assert time.perf_counter() - started < 5
