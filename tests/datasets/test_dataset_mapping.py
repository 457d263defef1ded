from __future__ import annotations

import json

import pytest

from evalkit.config.spec import DatasetSpec
from evalkit.datasets import open_dataset
from evalkit.errors import DatasetError, UnknownName


def jsonl(make, *rows, **rest):
    return make("x.jsonl", "".join(json.dumps(one) + "\n" for one in rows), **rest)


def only(dataset):
    (case,) = dataset.cases()
    return case


def test_the_golden_row_of_the_documentation(make):
    row = {
        "id": "refund-eu-14",
        "question": "How long?",
        "context": ["One.", "Two."],
        "expected": ["14 days", "fourteen days"],
        "tags": {"lang": "en", "must_not_fail": "yes"},
        "metadata": {"source": ["page", 3]},
    }
    case = only(jsonl(make, row))
    assert case.name == "refund-eu-14"
    assert case.inputs == {"question": "How long?"}
    assert case.context == ("One.", "Two.")
    assert case.references == ("14 days", "fourteen days")
    assert case.tags == {"lang": "en", "must_not_fail": "yes"}
    assert case.metadata == {"source": ["page", 3]}
    assert case.row == 1


def test_a_map_with_dotted_columns_and_lists(make):
    row = {
        "key": 14,
        "q": {"text": "Who?", "lang": "es"},
        "answers": {"text": ["A", "B"], "start": [1, 2]},
        "passages": [{"text": "One."}, {"text": "Two."}],
        "a.b": "literal",
        "x": {"y.z": "dot inside"},
        "unused": 1,
    }
    columns = {
        "id": "key",
        "inputs.question": "q.text",
        "inputs.literal": "a.b",
        "inputs.inside": "x.y.z",
        "expected": "answers.text",
        "context": "passages.text",
        "tags.lang": "q.lang",
        "metadata.starts": "answers.start",
    }
    case = only(jsonl(make, row, columns=columns))
    assert case.name == "14"
    assert case.inputs == {"question": "Who?", "literal": "literal", "inside": "dot inside"}
    assert case.expected == ["A", "B"]
    assert case.context == ("One.", "Two.")
    assert case.tags == {"lang": "es"}
    assert case.metadata == {"starts": [1, 2]}


def test_without_mapped_inputs_the_rest_are_inputs_but_never_the_answer(make):
    row = {"q": "Who?", "answers": {"text": ["A"]}, "expected": "old", "n": 3}
    case = only(jsonl(make, row, columns={"expected": "answers.text"}))
    assert case.inputs == {"q": "Who?", "n": 3}
    assert case.expected == ["A"]


def test_columns_named_after_fields_need_no_map(make):
    text = "id,q,tags.lang,metadata.page,expected,inputs.extra\nk,What?,es,7,That,more\n"
    case = only(make("x.csv", text))
    assert case.inputs == {"q": "What?", "extra": "more"}
    assert case.tags == {"lang": "es"}
    assert case.metadata == {"page": "7"}


def test_an_object_can_be_the_inputs(make):
    row = {"vars": {"a": 1, "b": "x"}, "other": 2}
    assert only(jsonl(make, row, columns={"inputs": "vars"})).inputs == {"a": 1, "b": "x"}


@pytest.mark.parametrize(
    ("tags", "want"),
    [
        ({"lang": "es", "n": 3, "ok": True, "no": False, "gone": None, "": "x"}, None),
        (["urgent", "lang:es", "url:http://x", " "], None),
        ("urgent, lang:es", {"urgent": "yes", "lang": "es"}),
        ("", {}),
        (None, {}),
        ([], {}),
    ],
)
def test_tags(make, tags, want):
    got = only(jsonl(make, {"q": "x", "tags": tags})).tags
    if isinstance(tags, dict):
        want = {"lang": "es", "n": "3", "ok": "yes", "no": "no", "": "x"}
    elif want is None:
        want = {"urgent": "yes", "lang": "es", "url": "http://x"}
    assert got == want


@pytest.mark.parametrize(
    ("row", "what", "hint"),
    [
        ({"q": "x", "tags": 7}, "column 'tags' must be tags, not 7", "lang"),
        ({"q": "x", "tags": [["a"]]}, "a tag must be a text, not ['a']", "lang"),
        ({"q": "x", "tags": {"a": {}}}, "column 'tags.a': a tag must be a text", "metadata"),
        ({"q": "x", "context": [1]}, "must be a text or a list of texts, not [1]", "context.text"),
        ({"q": "x", "context": 1}, "must be a text or a list of texts, not 1", "types"),
        ({"q": "x", "id": 1.5}, "column 'id' names the case and must be a text", "text"),
        ({"q": "x", "id": True}, "column 'id' names the case and must be a text", "text"),
        ({"q": "x", "metadata": "m"}, "must be an object of metadata, not 'm'", "json"),
        ({"expected": "x"}, "the row has no input", "input column"),
        ({"q": " ", "context": "c", "expected": "x"}, "the row has no input ('q')", "fill"),
        ({"q": None, "r": "", "expected": "x"}, "the row has no input ('q', 'r')", "fill"),
    ],
)
def test_a_value_that_fits_no_part(make, fails, row, what, hint):
    got = fails(jsonl(make, {"q": "good"}, row))
    assert got[0].startswith("row 2: ")
    assert what in got[0]
    assert got[1].endswith("x.jsonl:2:1")
    assert hint in got[2]


def test_a_context_alone_is_something_to_ask_about(make):
    case = only(jsonl(make, {"context": "Summarise me.", "expected": "s"}))
    assert (case.inputs, case.context) == ({}, ("Summarise me.",))


def test_zero_and_false_are_inputs(make):
    assert only(jsonl(make, {"n": 0})).inputs == {"n": 0}
    assert only(jsonl(make, {"n": False})).inputs == {"n": False}


def test_a_missing_column_names_the_nearest_once(make, fails):
    text = "question,answer\n" + "".join(f"q{i},a{i}\n" for i in range(50))
    dataset = make("x.csv", text, columns={"inputs.q": "qestion", "expected": "answer"})
    what, _, hint = fails(dataset)
    assert (what, hint) == ("there is no column 'qestion'", "did you mean 'question'?")
    what, _, hint = fails(make("x.csv", text, columns={"expected": "anwser"}))
    assert (what, hint) == ("there is no column 'anwser'", "did you mean 'answer'?")
    rows = [{"q": "x", "answer": {"text": "y"}}]
    what, _, hint = fails(jsonl(make, *rows, columns={"expected": "answer.txt"}))
    assert (what, hint) == ("there is no column 'answer.txt'", "did you mean 'answer.text'?")


def test_an_input_missing_in_some_rows_is_an_error_of_those(make, fails):
    rows = [{"q": "a"}, {"p": "b"}, {"q": "c"}, {"p": "d"}]
    what, where, _ = fails(jsonl(make, *rows, columns={"inputs.question": "q"}))
    assert what == "row 2: there is no column 'q' in the row; 1 more row is wrong (4)"
    assert where.endswith("x.jsonl:2:1")


def test_an_expectation_missing_in_some_rows_is_a_warning_and_a_tag_nothing(make):
    rows = [{"q": "a", "e": "x", "l": "en"}, {"q": "b"}, {"q": "c"}]
    columns = {"inputs.q": "q", "expected": "e", "tags.lang": "l"}
    info = jsonl(make, *rows, columns=columns).scan()
    assert [one.message for one in info.issues] == [
        "row 2 has no column 'e' (2 such rows); nothing is expected there"
    ]
    assert info.tags == {"lang": {"en": 1}}


@pytest.mark.parametrize(
    ("columns", "what", "hint"),
    [
        ({"expcted": "a"}, "unknown field 'expcted'", "did you mean 'expected'?"),
        ({"input.q": "a"}, "unknown field 'input.q'", "did you mean 'inputs'?"),
        ({"question": "a"}, "unknown field 'question'", "inputs.<name>"),
        ({"inputs.": "a"}, "'inputs.' does not exist", "map 'inputs'"),
        ({"expected.x": "a"}, "'expected.x' does not exist, 'expected' is one value", "'expected'"),
    ],
)
def test_an_unknown_field_is_refused_before_reading(make, columns, what, hint):
    with pytest.raises(DatasetError) as caught:
        jsonl(make, {"a": 1}, columns=columns)
    assert what in caught.value.what
    assert hint in caught.value.hint


def test_declared_types(make):
    text = 'i,n,f,b,j,t,e\n007, 2 ,-1.5e3,TRUE,"{""a"": [1]}",007,\n'
    types = {
        "i": "integer",
        "n": "number",
        "f": "number",
        "b": "boolean",
        "j": "json",
        "t": "text",
        "e": "integer",
    }
    case = only(make("x.csv", text, types=types))
    assert case.inputs == {
        "i": 7,
        "n": 2,
        "f": -1500.0,
        "b": True,
        "j": {"a": [1]},
        "t": "007",
        "e": None,
    }


def test_declared_types_of_json_values(make):
    row = {"i": 3.0, "t": 14, "d": {"count": "5"}, "l": {"a": True}}
    types = {"i": "integer", "t": "text", "d.count": "integer", "l": "text"}
    columns = {"inputs.i": "i", "inputs.t": "t", "inputs.c": "d.count", "inputs.l": "l"}
    case = only(jsonl(make, row, columns=columns, types=types))
    assert case.inputs == {"i": 3, "t": "14", "c": 5, "l": '{"a": true}'}


def test_lists_in_csv_cells_by_type_json(make):
    text = 'q,context,expected,tags\nWho?,"[""a"", ""b""]","[""x"", ""y""]","{""lang"": ""es""}"\n'
    types = {"context": "json", "expected": "json", "tags": "json"}
    case = only(make("x.csv", text, types=types))
    assert case.context == ("a", "b")
    assert case.expected == ["x", "y"]
    assert case.tags == {"lang": "es"}


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        ("integer", "12a"),
        ("integer", "1.5"),
        ("integer", "１２"),
        ("integer", "1_000"),
        ("number", "nan"),
        ("number", "1e999"),
        ("number", "1,5"),
        ("boolean", "yes"),
        ("boolean", "1"),
        ("json", "{'a': 1}"),
        ("json", '{"a": 1, "a": 2}'),
        ("json", '"\\ud800"'),
        ("json", "NaN"),
    ],
)
def test_a_value_of_the_wrong_type_names_row_line_column_and_value(make, fails, kind, value):
    quoted = value.replace('"', '""')
    text = f'q,v\n"two\nlines",\n"x","{quoted}"\n'
    what, where, hint = fails(make("x.csv", text, types={"v": kind}))
    assert what.startswith("row 2: column 'v' must be ")
    assert what.endswith(f", not {value!r}")
    assert where.endswith("x.csv:4:1")
    assert "types: {v: text}" in hint


def test_a_type_of_no_column_and_an_unknown_type_are_errors(make, fails):
    what, _, hint = fails(make("x.csv", "count,q\n1,x\n", types={"cuont": "integer"}))
    assert (what, hint) == ("types: there is no column 'cuont'", "did you mean 'count'?")
    with pytest.raises(DatasetError, match="unknown type 'int' of column 'q'"):
        make("x.csv", "q\n1\n", types={"q": "int"})


def test_formats_are_found_by_name_ending_or_suffix(make):
    row = '{"q": "x"}\n'
    assert make("x.data", row, format="jsonl").scan().cases == 1
    assert make("x.data", row, format="ndjson").scan().cases == 1
    assert make("x.data", row, format="builtin:jsonl").scan().cases == 1
    assert make("X.JSONL", row).scan().cases == 1
    with pytest.raises(UnknownName) as caught:
        make("x.data", row, format="jsnl")
    assert caught.value.hint == "did you mean 'jsonl'?"
    with pytest.raises(DatasetError, match=r"no reader for files that end in '\.data'"):
        make("x.data", row)


def test_a_missing_file_names_the_nearest_and_a_folder_is_explained(tmp_path):
    (tmp_path / "golden.jsonl").write_text("{}")

    def opened(name):
        with pytest.raises(DatasetError) as caught:
            open_dataset(DatasetSpec(source=str(tmp_path / name), format="jsonl"))
        return caught.value

    assert opened("goldn.jsonl").hint == "did you mean 'golden.jsonl'?"
    assert opened("golden.csv").hint == "did you mean 'golden.jsonl'?"
    assert opened("other.txt").hint == "in that folder: golden.jsonl"
    assert "does not exist" in opened("no/such/x.jsonl").hint
    folder = opened("")
    assert folder.what == "the dataset is a folder, not a file"
    assert "golden.jsonl" in folder.hint
