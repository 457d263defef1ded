"""Conversations in every format are the same cases, and their turns are what names them."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from evalkit.config.spec import DatasetSpec
from evalkit.datasets import open_dataset
from evalkit.errors import DatasetError
from evalkit.model import Case, ScriptedTurn

TURNS = [
    {"user": "My order is 4711.", "expected": None},
    {"user": "Its number?", "expected": "4711"},
]


def read(path: Path, **spec: object) -> list[Case]:
    given = {"format": path.suffix[1:], **spec}
    return list(open_dataset(DatasetSpec(source=str(path), **given)).cases())  # type: ignore[arg-type]


def test_every_format_gives_the_same_conversation(tmp_path: Path) -> None:
    row = {"id": "a", "shop": "Bo's", "turns": TURNS}
    (tmp_path / "x.jsonl").write_text(json.dumps(row) + "\n")
    (tmp_path / "x.json").write_text(json.dumps([row]))
    with (tmp_path / "x.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, list(row))
        writer.writeheader()
        writer.writerow({**row, "turns": json.dumps(TURNS)})
    pq.write_table(pa.Table.from_pylist([row]), tmp_path / "x.parquet")
    cases = [read(tmp_path / f"x.{one}")[0] for one in ("jsonl", "json", "csv", "parquet")]
    assert cases[0].turns == (
        ScriptedTurn(user="My order is 4711."),
        ScriptedTurn(user="Its number?", expected="4711"),
    )
    assert all(one == cases[0] for one in cases)
    assert cases[0].expected == "4711"


def test_a_text_and_an_object_of_a_text_are_the_same_turn(tmp_path: Path) -> None:
    path = tmp_path / "x.jsonl"
    path.write_text('{"turns": ["a", "b"]}\n{"turns": [{"user": "a"}, "b"]}\n')
    dataset = open_dataset(DatasetSpec(source=str(path), format="jsonl"))
    assert len(list(dataset.cases())) == 1
    assert "row 2 is the same case as row 1" in dataset.scan().issues[0].message


def test_what_is_said_and_what_is_expected_name_the_case_and_notes_do_not() -> None:
    def case(*turns: ScriptedTurn, **more: object) -> Case:
        return Case.of({}, turns=turns, **more)  # type: ignore[arg-type]

    one, two = ScriptedTurn(user="a"), ScriptedTurn(user="b", expected="x")
    plain = case(one, two)
    assert plain.id == case(one, ScriptedTurn(user="b"), expected="x").id
    assert plain.id == case(one, ScriptedTurn(user="b", expected="x", metadata={"n": 1})).id
    others = [
        case(two, one),
        case(one, ScriptedTurn(user="b")),
        case(ScriptedTurn(user="a", expected="x"), two),
        case(one),
        case(one, two, one),
    ]
    assert len({plain.id, *(one.id for one in others)}) == 6
    assert plain.input_id == others[1].input_id == others[2].input_id
    assert plain.input_id != others[0].input_id
    # a single question is named as it always was
    assert Case.of({"question": "?"}, expected="x").id == "aad2339d1397de374cee"


def test_an_empty_cell_is_a_single_question_and_an_empty_input_is_none(tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    path.write_text('id,question,turns\na,Who?,\nb,,"[""Hello""]"\n')
    single, talk = read(path)
    assert (single.turns, single.inputs) == ((), {"question": "Who?"})
    assert (talk.turns, talk.inputs) == ((ScriptedTurn(user="Hello"),), {})


def test_turns_are_mapped_like_other_columns(tmp_path: Path) -> None:
    path = tmp_path / "x.jsonl"
    path.write_text(
        '{"dialogue": {"said": ["a"]}, "turns": 3, "other": 1}\n'
        '{"ask": "q", "dialogue": null, "turns": 1}\n'
    )
    columns = {"turns": "dialogue.said", "inputs.question": "ask", "inputs.n": "turns"}
    with pytest.raises(DatasetError, match="row 2: there is no column 'other' in the row"):
        read(path, columns={"turns": "dialogue.said", "inputs.n": "other"})
    talk, single = read(path, columns=columns)
    assert (talk.turns, talk.inputs) == ((ScriptedTurn(user="a"),), {"n": 3})
    assert (single.turns, single.inputs) == ((), {"question": "q", "n": 1})
