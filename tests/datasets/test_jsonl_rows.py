from __future__ import annotations

import gzip
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evalkit.datasets.jsonl import jsonl
from evalkit.errors import DatasetError

GOOD = '{"id": "a", "question": "What?", "expected": "That"}\n'


def test_values_stay_as_written(make):
    text = '{"zip": "00123", "na": "NA", "null": "null", "day": "2026-01-02", "n": 1, "f": 1.50}\n'
    (case,) = make("x.jsonl", text).cases()
    assert case.inputs == {
        "zip": "00123",
        "na": "NA",
        "null": "null",
        "day": "2026-01-02",
        "n": 1,
        "f": 1.5,
    }
    assert isinstance(case.inputs["n"], int)


def test_broken_line_57_names_file_line_column_and_what_to_do(make, fails):
    rows = [json.dumps({"q": f"question {i}"}) for i in range(80)]
    rows[56] = '{"q": "fine", "expected": \'single\'}'
    what, where, hint = fails(make("x.jsonl", "\n".join(rows)))
    assert what == "line 57 is not valid JSON: expecting value"
    assert where.endswith("x.jsonl:57:27")
    assert hint == "JSON texts stand in double quotes"


def test_every_broken_line_is_counted(make, fails):
    rows = [json.dumps({"q": f"question {i}"}) for i in range(80)]
    for index in (56, 60, 70):
        rows[index] = "{broken"
    dataset = make("x.jsonl", "\n".join(rows))
    what, where, _ = fails(dataset)
    assert what.endswith("; 2 more rows are wrong (61, 71)")
    assert where.endswith(":57:2")
    info = dataset.scan(strict=False)
    assert (info.errors, info.rows, info.cases) == (3, 80, 77)
    assert [one.row for one in info.issues] == [57, 61, 71]
    assert {one.severity for one in info.issues} == {"error"}


@pytest.mark.parametrize(
    ("line", "what", "hint"),
    [
        ('{"q": "a",}', "is not valid JSON", "remove the ','"),
        ('{"q": "a', "invalid control character", "ends inside a text"),
        ('{"q": "a"', "expecting ',' delimiter", "ends too early"),
        ('{"q": True}', "expecting value", "true, false and null"),
        ('{"q": NaN}', "NaN is not JSON", "missing numbers are null"),
        ('{"q": -Infinity}', "-Infinity is not JSON", ""),
        ('{"q": 1, "q": 2}', "the key 'q' stands twice in one object", ""),
        ('{"q": {"a": 1, "a": 2}}', "the key 'a' stands twice in one object", ""),
        ('{"q": "a\0b"}', "control character", "remove the NUL"),
        ('["q"]', "is not an object but ['q']", '{"column": value'),
        ("null", "is not an object but None", ""),
        ("7", "is not an object but 7", ""),
        (r'{"q": "\ud83d oh"}', r"\ud83d is half of a surrogate pair", "both halves"),
        (r'{"tags": {"a": "\uDC00"}, "q": "x"}', r"\udc00 is half", ""),
        ('{"q": ' + "[" * 100_000 + "]" * 100_000 + "}", "nested too deeply", ""),
        ('{"q": ' + "9" * 5_000 + "}", "is not valid JSON: Exceeds the limit", ""),
        ('{"q": 1e999}', "the value of 'q' is not JSON: inf", ""),
    ],
)
def test_a_wrong_line_says_what_is_wrong(make, fails, line, what, hint):
    got = fails(make("x.jsonl", GOOD + line + "\n"))
    assert what in got[0]
    assert "2" in got[0]
    assert got[1].rpartition("x.jsonl:")[2].startswith("2:")
    assert hint in got[2]


def test_surrogate_pairs_and_escapes_of_nul_are_text(make):
    dataset = make("x.jsonl", '{"q": "\\ud83d\\ude00 \\u0000"}\n')
    info = dataset.scan()
    assert [one.message for one in info.issues] == [
        "row 1 holds a NUL character, where some programs cut text"
    ]
    assert [one.inputs for one in dataset.cases()] == [{"q": "😀 \0"}]


def test_a_bad_byte_is_named_with_its_offset(make, fails):
    first = GOOD.encode()
    bad = b'{"q": "caf' + b'\xe9"}\n'
    what, where, hint = fails(make("x.jsonl", first + bad))
    assert what == f"line 2 is not UTF-8: byte 0xE9 at byte offset {len(first) + 10}"
    assert where.endswith("x.jsonl:2:11")
    assert hint == "save the file as UTF-8"


def test_a_byte_order_mark_is_accepted_and_its_offset_counted(make, fails):
    (case,) = make("x.jsonl", b"\xef\xbb\xbf" + GOOD.encode()).cases()
    assert case.name == "a"
    what, where, _ = fails(make("y.jsonl", b'\xef\xbb\xbf{"q": "\xff"}'))
    assert "byte offset 10" in what
    assert where.endswith(":1:8")


@pytest.mark.parametrize("name", ["x.jsonl", "x.json", "x.csv"])
def test_utf_16_is_recognised(make, fails, name):
    assert fails(make(name, GOOD.encode("utf-16")))[0] == "the file is UTF-16"


def test_pretty_printed_objects_get_the_right_advice(make, fails):
    hint = fails(make("x.jsonl", '{\n  "q": 1\n}\n'))[2]
    assert hint == "write one object a line, or name a file that holds one JSON array .json"


def test_a_git_lfs_pointer_is_recognised(make, fails):
    text = "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n"
    assert fails(make("x.jsonl", text))[2] == "run 'git lfs pull'"


def test_blank_lines_keep_line_numbers_and_trailing_ones_are_no_rows(make):
    dataset = make("x.jsonl", GOOD + "\n  \r\n" + '{"q": "b"}\r\n' + "\n\n")
    info = dataset.scan()
    assert (info.rows, info.cases, info.warnings) == (4, 2, 2)
    assert [(one.row, one.line, one.message) for one in info.issues] == [
        (2, 2, "row 2 is empty; skipped"),
        (3, 3, "row 3 is empty; skipped"),
    ]
    assert [one.row for one in dataset.cases()] == [1, 4]


def test_a_line_separator_inside_a_text_ends_no_line(make):
    text = json.dumps({"q": "a\u2028b\x85c"}, ensure_ascii=False) + "\n"
    assert [one.inputs["q"] for one in make("x.ndjson", text).cases()] == ["a\u2028b\x85c"]


def test_gzip_is_read_and_a_cut_file_is_an_error(make, fails):
    packed = gzip.compress(GOOD.encode() * 3)
    assert [one.name for one in make("x.jsonl.gz", packed).cases()] == ["a"]
    assert "not a whole gzip file" in fails(make("y.jsonl.gz", packed[:-9]))[0]
    assert "not a whole gzip file" in fails(make("z.jsonl.gz", b"plain text"))[0]


def array_rows(tmp_path, text: str | bytes):
    path = tmp_path / "rows.json"
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return list(jsonl(str(path)))


def test_an_array_of_objects_streams_with_lines(tmp_path):
    text = '\ufeff [\n  {"a": 1},\n  {\n    "a": 2\n  }, {"a": 3}\n]\n'
    assert array_rows(tmp_path, text) == [(2, {"a": 1}), (3, {"a": 2}), (5, {"a": 3})]
    assert array_rows(tmp_path, "[]") == []


@pytest.mark.parametrize(
    ("text", "what", "place"),
    [
        ('{"a": 1}', "does not hold a JSON array", ":1:1"),
        ("", "does not hold a JSON array", ""),
        ('[\n{"a": 1}\n{"a": 2}]', "goes on without ','", ":3:1"),
        ('[\n {"a": 1},\n {"a": tru}]', "expecting value", ":3:8"),
        ('[{"a": 1},\n {"a": "x', "unterminated string", ":2:8"),
        ('[{"a": 1},]', "expecting value", ":1:11"),
        ('[{"a": 1}] x', "text after the end", ":1:12"),
        ('[{"a": 1, "a": 2}]', "stands twice", ":1:2"),
        ("[" * 100_000, "nested too deeply", ":1:1"),
        (b'[{"a": 1},\n {"a": "\xff"}]', "byte 0xFF at byte offset 19", ":2:9"),
    ],
)
def test_a_wrong_array_says_where(tmp_path, text, what, place):
    with pytest.raises(DatasetError) as caught:
        array_rows(tmp_path, text)
    assert what in caught.value.what
    assert str(caught.value.where).endswith(place)
    assert caught.value.hint


def test_an_element_that_is_no_object_is_an_error_of_its_row(tmp_path):
    rows = array_rows(tmp_path, '[{"a": 1}, 7, {"a": "\\ud800"}, {"a": 2}]')
    assert [isinstance(row, DatasetError) for _, row in rows] == [False, True, True, False]


def test_values_longer_than_the_chunk_are_parsed_whole(tmp_path):
    rows = [{"a": "é" * n, "b": [n] * (n // 7)} for n in (0, 65_535, 65_536, 300_000, 5)]
    text = json.dumps(rows, ensure_ascii=False)
    assert [row for _, row in array_rows(tmp_path, text)] == rows


json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
objects = st.dictionaries(st.text(min_size=1), json_values, min_size=1, max_size=4)


@settings(deadline=None)
@given(rows=st.lists(objects, max_size=5), ascii_only=st.booleans(), indent=st.none() | st.just(2))
def test_any_json_comes_back_from_lines_and_from_an_array(
    tmp_path_factory, rows, ascii_only, indent
):
    folder = tmp_path_factory.mktemp("any")
    lines = folder / "x.jsonl"
    text = "".join(json.dumps(one, ensure_ascii=ascii_only) + "\n" for one in rows)
    lines.write_bytes(text.encode())
    array = folder / "x.json"
    array.write_bytes(json.dumps(rows, ensure_ascii=ascii_only, indent=indent).encode())
    assert [row for _, row in jsonl(str(lines))] == rows
    assert [row for _, row in jsonl(str(array))] == rows
