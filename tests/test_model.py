"""The values that travel between rooms."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evalkit import Case, Score, Usage


def test_a_case_is_named_by_what_it_asks_and_expects():
    one = Case.of({"question": "Where?"}, expected="Here", context=["Here it is."], row=3)
    moved = Case.of(
        {"question": "Where?"},
        expected="Here",
        context=["Here it is."],
        row=9,
        tags={"lang": "en"},
        name="where",
    )
    assert one.id == moved.id
    assert Case.of({"question": "Where?"}, expected="There", context=["Here it is."]).id != one.id
    assert Case.of({"question": "Where?"}, expected="Here").id != one.id


def test_a_changed_expectation_keeps_the_identity_of_its_question():
    one = Case.of({"question": "Where?"}, expected="Here")
    other = Case.of({"question": "Where?"}, expected="There")
    assert one.id != other.id
    assert one.input_id == other.input_id


@given(st.text(), st.text())
def test_case_identity_never_mixes_fields_up(question, context):
    as_context = Case.of({"q": question}, context=[context])
    as_input = Case.of({"q": question, "context": context})
    assert as_context.id != as_input.id


@pytest.mark.parametrize(
    ("expected", "references"),
    [
        (None, ()),
        ("a", ("a",)),
        (["a", "b"], ("a", "b")),
        (7, ("7",)),
        ({"k": "é"}, ('{"k": "é"}',)),
        ([1, "x"], ("1", "x")),
    ],
)
def test_every_expectation_has_a_text_form(expected, references):
    assert Case.of({}, expected=expected).references == references


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_a_score_is_a_finite_number(value):
    with pytest.raises(ValueError, match="finite"):
        Score(value=value)


def test_unknown_tokens_are_never_zero():
    assert Usage(input_tokens=5).total_tokens is None
    assert Usage(input_tokens=5, output_tokens=0).total_tokens == 5
