from __future__ import annotations

import csv
import io

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evalkit.datasets.csv import read_csv
from evalkit.errors import DatasetError


def test_values_stay_as_written(make):
    text = "zip,na,null,day,n,pad\n00123,NA,null,2026-01-02,1.0,  x \n"
    (case,) = make("x.csv", text).cases()
    assert case.inputs == {
        "zip": "00123",
        "na": "NA",
        "null": "null",
        "day": "2026-01-02",
        "n": "1.0",
        "pad": "  x ",
    }


def test_embedded_newlines_keep_line_numbers(make):
    text = 'id,q\r\na,"one\r\ntwo\r\n\r\nthree"\r\nb,"x ""y"""\r\n,\r\nc,z\r\nc,other\r\n'
    dataset = make("x.csv", text)
    info = dataset.scan(strict=False)
    assert [(one.row, one.line, one.severity) for one in info.issues] == [
        (3, 7, "warning"),
        (5, 9, "error"),
    ]
    assert "row 5 has the id 'c' of row 4" in info.issues[1].message
    rows = [row for _, row in read_csv(dataset.spec.source)]
    assert rows[0]["q"] == "one\r\ntwo\r\n\r\nthree"
    assert rows[1]["q"] == 'x "y"'


@pytest.mark.parametrize(
    ("text", "what", "place", "hint"),
    [
        ("a,b\n1,2\n1\n", "row on line 3 has 1 field, the header has 2", ":3:1", "'b' is missing"),
        ("a,b\n1,2,3\n", "row on line 2 has 3 fields, the header has 2", ":2:1", "put quotes"),
        ('a,b\n1,"2\n3,4\n', "line 2 opens a quote that is never closed", ":2:1", "close it"),
        ('a,b\n1,"2"x\n', "line 2 is not valid CSV", ":2:1", '""'),
        ("a,,b\n1,2,3\n", "column 2 of the header has no name", ":1:1", "first line"),
        ("a,b,a\n1,2,3\n", "the header names 'a' twice, as columns 1 and 3", ":1:1", "rename"),
        ("a;b\n1;2\n", "one column 'a;b' with the delimiter ','", ":1:1", "delimiter: ';'"),
        ("a\tb\n1\t2\n", "one column", ":1:1", r"delimiter: '\t'"),
        ("a,b\r1,2\r", "carriage return", ":1:1", "LF or CRLF"),
        ("a,b\n1,x\0y\n", "line 2 holds a NUL character", ":2:4", "UTF-8"),
        (b"a,b\n1,caf\xe9\n", "line 2 is not UTF-8: byte 0xE9 at byte offset 9", ":2:6", "UTF-8"),
        ("a,b\n", "the dataset has no cases", "x.csv", "no rows"),
        ("", "the dataset has no cases", "x.csv", "no rows"),
        ("a,b\n,\n\n,\n", "the dataset has no cases", "x.csv", "3 rows are empty"),
    ],
)
def test_a_wrong_file_says_what_is_wrong(make, fails, text, what, place, hint):
    got = fails(make("x.csv", text))
    assert what in got[0]
    assert got[1].endswith(place)
    assert hint in got[2]


def test_a_byte_order_mark_is_no_part_of_the_first_name(make):
    text = b'\xef\xbb\xbf"question",expected\nWhat?,That\n'
    (case,) = make("x.csv", text).cases()
    assert case.inputs == {"question": "What?"}


def test_delimiters(make, fails):
    (case,) = make("x.csv", "q;expected\na,b;c\n", options={"delimiter": ";"}).cases()
    assert (case.inputs, case.expected) == ({"q": "a,b"}, "c")
    (case,) = make("x.tsv", "q\texpected\na,b\tc\n").cases()
    assert (case.inputs, case.expected) == ({"q": "a,b"}, "c")
    wrong = make("y.csv", "q\na\n", options={"delimiter": ";;"})
    assert "must be one character, not ';;'" in fails(wrong)[0]


def test_an_unknown_option_names_the_nearest(make):
    with pytest.raises(DatasetError) as caught:
        make("x.csv", "q\na\n", options={"delimeter": ";"})
    assert caught.value.what == "the csv reader has no option 'delimeter'"
    assert caught.value.hint == "did you mean 'delimiter'?"


def test_a_cell_longer_than_the_limit_of_the_csv_module_is_read(make):
    long = "x" * 1_000_000
    (case,) = make("x.csv", f'q\n"{long}"\n').cases()
    assert case.inputs["q"] == long


texts = st.text(st.characters(exclude_categories=("Cs",), exclude_characters="\0"))


@settings(deadline=None)
@given(
    header=st.lists(texts.filter(str.strip), min_size=2, max_size=4, unique=True),
    data=st.data(),
    # With "\n" Python's writer leaves a carriage return unquoted, which no reader can undo.
    style=st.sampled_from(
        [(csv.QUOTE_MINIMAL, "\r\n"), (csv.QUOTE_ALL, "\r\n"), (csv.QUOTE_ALL, "\n")]
    ),
)
def test_any_text_comes_back_through_any_quoting(tmp_path_factory, header, data, style):
    quoting, ending = style
    rows = data.draw(st.lists(st.lists(texts, min_size=len(header), max_size=len(header))))
    out = io.StringIO(newline="")
    writer = csv.writer(out, quoting=quoting, lineterminator=ending)
    writer.writerow(header)
    writer.writerows(rows)
    path = tmp_path_factory.mktemp("any") / "x.csv"
    # A first name that begins with U+FEFF is a byte order mark to every reader of the file.
    path.write_bytes(b"\xef\xbb\xbf" + out.getvalue().encode())
    got = list(read_csv(str(path)))
    assert [list(row.values()) for _, row in got] == rows
    assert all(list(row) == header for _, row in got)
    text = out.getvalue()
    lines = text.split("\n")
    for (number, _), row in zip(got, rows, strict=True):
        # The number is where the row starts: its first field begins on that line.
        first = row[0].split("\n")[0].replace('"', '""').rstrip("\r")
        assert lines[number - 1].lstrip('"').startswith(first.lstrip('"'))
