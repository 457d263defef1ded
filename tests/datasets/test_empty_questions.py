"""A question is empty on purpose or by oversight: only a case that says so asks nothing."""

from __future__ import annotations

import json

import pytest

from evalkit.datasets._written import case_row, line_of
from evalkit.model import ScriptedTurn

MEANT = {"metadata": {"empty_input": True}}


def lines(*rows):
    return "".join(json.dumps(one) + "\n" for one in rows)


@pytest.mark.parametrize("blank", ["", " ", "\n\t \n"])
def test_a_case_that_says_so_asks_nothing_and_reads_back_as_it_was(make, blank):
    text = lines({"id": "a", "question": blank, "context": ["c"], **MEANT})
    (case,) = make("x.jsonl", text).cases()
    assert case.inputs == {"question": blank}
    (again,) = make("y.jsonl", line_of(case_row(case))).cases()
    assert (again.id, again.metadata) == (case.id, case.metadata)
    spoken = lines({"turns": ["Hello", {"user": blank, **MEANT}]})
    (talk,) = make("z.jsonl", spoken).cases()
    assert talk.turns[1] == ScriptedTurn(user=blank, metadata={"empty_input": True})


def test_a_column_of_a_table_says_it_too(make):
    text = "question,metadata.empty_input\n,true\nWho?,\n"
    nothing, who = make("x.csv", text, types={"metadata.empty_input": "boolean"}).cases()
    assert (nothing.inputs["question"], who.inputs["question"]) == ("", "Who?")


@pytest.mark.parametrize(
    ("row", "what", "hint"),
    [
        (
            {"id": "a", "question": ""},
            "the row has no input ('question')",
            "say so: metadata.empty_input",
        ),
        ({"question": "", "metadata": {"empty_input": False}}, "has no input", "say so"),
        ({"question": None, **MEANT}, "is true, and nothing that is asked is", '"question": ""'),
        ({"expected": "x", **MEANT}, "is true, and nothing that is asked is", '"question": ""'),
        ({"question": "Who?", **MEANT}, "nothing that is asked is an empty text", "leave out"),
        (
            {"question": "", "metadata": {"empty_input": "yes"}},
            "metadata.empty_input must be true or false, not 'yes'",
            "types: {metadata.empty_input: boolean}",
        ),
        ({"turns": [""]}, "column 'turns', turn 1 says nothing", '"empty_input": true'),
        (
            {"turns": [{"user": "Hi", **MEANT}]},
            "column 'turns', turn 1: metadata.empty_input is true",
            "leave out",
        ),
        ({"turns": ["Hi"], **MEANT}, "the row is a conversation", 'say it of the turn: {"user"'),
    ],
)
def test_an_oversight_is_an_error(make, fails, row, what, hint):
    shown = fails(make("x.jsonl", lines({"question": "good"}, row)))
    assert shown[0].startswith("row 2: ")
    assert what in shown[0]
    assert shown[1].endswith("x.jsonl:2:1")
    assert hint in shown[2]
