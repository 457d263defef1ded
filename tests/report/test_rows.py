"""Query results for people and for programs."""

from __future__ import annotations

import csv
import io
import json

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from evalkit.report.rows import csv_text, json_text, table_text, unique_names
from evalkit.report.screen import Screen
from evalkit.spreadsheets import as_written, disarmed


def test_null_is_shown_and_is_not_the_empty_text() -> None:
    table = pa.table({"a": ["", None], "b": pa.array([1.5, None])})
    assert table_text(table, Screen()).splitlines() == ["a        b", "       1.5", "NULL  NULL"]
    assert "".join(csv_text(table)) == 'a,b\r\n"",1.5\r\n,\r\n'
    assert json.loads("".join(json_text(table))) == [{"a": "", "b": 1.5}, {"a": None, "b": None}]
    assert json.loads("".join(json_text(table.slice(2)))) == []


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_csv_is_read_back_and_never_a_formula(text: str) -> None:
    (head, row) = csv.reader(
        io.StringIO("".join(csv_text(pa.table({"x": [text], "y": [-1]}))), newline="")
    )
    assert head == ["x", "y"]
    assert row[0] in {text, f"'{text}"}
    assert as_written(row[0]) == text
    assert row[1] == "-1"
    assert not row[0].lstrip(" ").startswith(("=", "+", "-", "@", "\t", "\r"))


def test_formulas_in_csv_are_disarmed() -> None:
    table = pa.table({"x": ["=1+1", "-2+3|cmd", "@SUM(A1)", "\t=1", "＝1", " =1", "a=1"]})
    lines = [row[0] for row in csv.reader(io.StringIO("".join(csv_text(table)), newline=""))]
    assert lines[1:] == ["'=1+1", "'-2+3|cmd", "'@SUM(A1)", "'\t=1", "'＝1", "' =1", "a=1"]


@pytest.mark.parametrize("text", ["'=1", "''-2", "'a", "'", "", "'' @x", "-"])
def test_what_looks_disarmed_comes_back_as_it_was(text: str) -> None:
    assert as_written(disarmed(text)) == text


def test_names_that_repeat_stay_apart() -> None:
    table = pa.Table.from_arrays([pa.array([1]), pa.array([2]), pa.array([3])], ["a", "a", "a_1"])
    assert unique_names(table).column_names == ["a", "a_1", "a_1_1"]


def test_a_wide_row_is_shown_field_by_field_with_nothing_lost() -> None:
    table = pa.table({f"column_{number}": [number * 1234567.25] for number in range(30)})
    text = table_text(table, Screen(width=80))
    assert text.startswith("row 1\n")
    for number in range(30):
        assert repr(number * 1234567.25) in text
    assert max(map(cell_len, text.splitlines())) <= 80


def test_nested_values_and_numbers_json_lacks() -> None:
    table = pa.table(
        {
            "m": pa.array([[("k", 1)]], type=pa.map_(pa.string(), pa.int64())),
            "s": [{"x": float("nan"), "y": [float("inf")]}],
            "b": [b"\x00\xff"],
        }
    )
    assert json.loads("".join(json_text(table))) == [
        {"m": {"k": 1}, "s": {"x": "nan", "y": ["inf"]}, "b": "00ff"}
    ]


def test_a_long_last_text_wraps_beside_the_other_columns() -> None:
    comment = (
        "what the column holds, in so many words that no line of seventy takes them all at once"
    )
    table = pa.table({"name": ["run_id", "x"], "type": ["VARCHAR", "INTEGER"], "c": [comment, ""]})
    lines = table_text(table, Screen(width=70)).splitlines()
    assert lines[0].split() == ["name", "type", "c"]
    assert " ".join(" ".join(line[16:] for line in lines[1:3]).split()) == comment
    assert max(map(cell_len, lines)) <= 70


def test_columns_that_the_store_marked_are_json_in_json() -> None:
    field = pa.field("extra", pa.string(), metadata={"duckdb_type": "JSON"})
    schema = pa.schema([field, pa.field("text", pa.string())])
    table = pa.table({"extra": ['{"a": [1]}', None], "text": ['{"a": 1}', ""]}, schema=schema)
    assert json.loads("".join(json_text(unique_names(table)))) == [
        {"extra": {"a": [1]}, "text": '{"a": 1}'},
        {"extra": None, "text": ""},
    ]
