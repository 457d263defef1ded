"""Selecting cases: tags, filter, sample and limit, whatever the order of the file."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evalkit.errors import UsageError
from evalkit.model import Case
from evalkit.runner.select import Selection, Selector

REFUND = Case.of(
    {"question": "How long may I return a LAMP?"},
    name="refund-eu",
    expected=["14 days", "fourteen days"],
    tags={"lang": "en", "must_not_fail": "yes"},
)
DRAFT = Case.of(
    {"question": "¿Cuánto tarda la devolución?", "count": 3},
    name="draft refund",
    tags={"lang": "es", "must_not_fail": "no"},
)
PLAIN = Case.of({"question": "late delivery and refund"}, tags={"lang": "de"})
CASES = [REFUND, DRAFT, PLAIN]

many = st.lists(st.integers(0, 10_000), min_size=1, max_size=60, unique=True).map(
    lambda numbers: [Case.of({"n": number}) for number in numbers]
)


def chosen(cases: list[Case], **flags: object) -> list[Case]:
    selector = Selector(Selection(**flags))  # type: ignore[arg-type]
    selector.survey(cases)
    return list(selector.choose(cases))


@pytest.mark.parametrize(
    ("tags", "expected"),
    [
        (("lang:es",), [DRAFT]),
        (("lang:es,lang:en",), [REFUND, DRAFT]),
        (("lang:es", "lang:en"), [REFUND, DRAFT]),
        (("must_not_fail",), [REFUND]),
        (("lang:es,must_not_fail",), []),
        (("must_not_fail:no",), [DRAFT]),
        (("nothing",), []),
        ((" lang : de ,",), [PLAIN]),
        (("tags.lang:es, tags.must_not_fail:no",), [DRAFT]),
    ],
)
def test_tags(tags: tuple[str, ...], expected: list[Case]) -> None:
    assert chosen(CASES, tags=tags) == expected


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("refund", CASES),
        ("lamp", [REFUND]),
        ("refund and not name:draft", [REFUND, PLAIN]),
        ("late delivery", [PLAIN]),
        ('"delivery and refund"', [PLAIN]),
        ("lamp or (refund and inputs.count:3)", [REFUND, DRAFT]),
        ("NOT lamp AND NOT late", [DRAFT]),
        ("tags.lang:e", [REFUND, DRAFT, PLAIN]),
        ("expected:fourteen", [REFUND]),
        ("devolución", [DRAFT]),
        (f"id:{PLAIN.id[:12]}", [PLAIN]),
        (REFUND.id, [REFUND]),
        ("inputs.missing:x", []),
        ("'a:b'", []),
        ("  ", CASES),
    ],
)
def test_filter(words: str, expected: list[Case]) -> None:
    assert chosen(CASES, filter=words) == expected


@pytest.mark.parametrize(
    ("words", "what"),
    [
        ("refund and", "a word is missing"),
        ("(refund", "parenthesis"),
        ("refund)", "did not expect ')'"),
        ("or refund", "before 'or'"),
        ('"late', "quote"),
        ("nmae:refund", "did you mean 'name'"),
        ("name:", "nothing to look for"),
        ("not", "a word is missing"),
    ],
)
def test_a_filter_that_cannot_be_read_says_where(words: str, what: str) -> None:
    with pytest.raises(UsageError, match="--filter") as caught:
        chosen(CASES, filter=words)
    assert what in caught.value.what


@pytest.mark.parametrize("tags", ["lang:", ":es", "a,:", "lang=es", "tags."])
def test_a_tag_that_cannot_be_read(tags: str) -> None:
    with pytest.raises(UsageError, match="--tags"):
        chosen(CASES, tags=(tags,))


def test_a_filter_says_how_a_tag_is_written() -> None:
    with pytest.raises(UsageError, match=re.escape("a tag is tags.lang:es")):
        chosen(CASES, filter="lang:es")


@pytest.mark.parametrize("flags", [{"limit": 0}, {"sample": 0}, {"limit": -3}])
def test_selecting_less_than_one_case_is_a_mistake(flags: dict[str, int]) -> None:
    with pytest.raises(UsageError, match="at least 1"):
        Selection(**flags)  # type: ignore[arg-type]


@given(cases=many, size=st.integers(1, 70), seed=st.integers(0, 5), data=st.data())
def test_a_sample_does_not_depend_on_the_order_of_the_file(
    cases: list[Case], size: int, seed: int, data: st.DataObject
) -> None:
    first = chosen(cases, sample=size, seed=seed)
    shuffled = data.draw(st.permutations(cases))
    second = chosen(shuffled, sample=size, seed=seed)
    assert {one.id for one in first} == {one.id for one in second}
    assert len(first) == min(size, len(cases))
    assert [one for one in cases if one in first] == first


@given(cases=many, size=st.integers(1, 30))
def test_a_new_row_takes_at_most_one_place_in_the_sample(cases: list[Case], size: int) -> None:
    before = {one.id for one in chosen(cases, sample=size)}
    after = {one.id for one in chosen([Case.of({"new": "row"}), *cases], sample=size)}
    assert len(before - after) <= 1


def test_another_seed_takes_other_cases() -> None:
    cases = [Case.of({"n": number}) for number in range(200)]
    first, second = (chosen(cases, sample=20, seed=seed) for seed in (1, 2))
    assert {one.id for one in first} != {one.id for one in second}


def test_limit_comes_after_sample_and_filter() -> None:
    cases = [
        Case.of({"n": number}, tags={"even": "no" if number % 2 else "yes"}) for number in range(40)
    ]
    taken = chosen(cases, tags=("even",), sample=10, limit=3)
    assert len(taken) == 3
    assert taken == chosen(cases, tags=("even",), sample=10)[:3]
