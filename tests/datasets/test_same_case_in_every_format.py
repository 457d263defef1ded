"""Writing cases to each format and reading them back gives the same cases, byte for byte."""

from __future__ import annotations

import csv
import json

import pyarrow as pa
import pyarrow.parquet as pq
from hypothesis import given, settings
from hypothesis import strategies as st

from evalkit.config.spec import DatasetSpec
from evalkit.datasets import open_dataset
from evalkit.model import Case

FIELDS = ["id", "question", "hint", "expected", "context", "tags.lang"]
SPECIAL = ["00123", "NA", "null", "None", "true", "1e5", "2026-01-02", "1.0", "-0", "'", '"', "a,b"]

texts = st.sampled_from(SPECIAL) | st.text(
    st.characters(exclude_categories=("Cs",), exclude_characters="\0"), max_size=12
)


@st.composite
def tables(draw):
    count = draw(st.integers(1, 6))
    rows = []
    for index in range(count):
        values = draw(st.lists(texts, min_size=5, max_size=5))
        question = draw(texts.filter(str.strip))
        rows.append(dict(zip(FIELDS, [f"case {index}", question, *values], strict=False)))
    return rows


def write_all(folder, rows):
    (folder / "x.jsonl").write_text("".join(json.dumps(one) + "\n" for one in rows))
    text = json.dumps(rows, ensure_ascii=False, indent=1)
    (folder / "x.json").write_bytes(text.encode())
    with (folder / "x.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, FIELDS)
        writer.writeheader()
        writer.writerows(rows)
    with (folder / "x.tsv").open("w", newline="", encoding="utf-8-sig") as file:
        writer = csv.DictWriter(file, FIELDS, delimiter="\t", quoting=csv.QUOTE_ALL)
        writer.writeheader()
        writer.writerows(rows)
    pq.write_table(pa.Table.from_pylist(rows), folder / "x.parquet", row_group_size=2)
    return [folder / f"x.{one}" for one in ("jsonl", "json", "csv", "tsv", "parquet")]


@settings(max_examples=60, deadline=None)
@given(rows=tables())
def test_text_columns_give_the_same_cases(tmp_path_factory, rows):
    want = {}
    for row in rows:
        expected = row["expected"] if row["expected"].strip() else None
        case = Case.of(
            {"question": row["question"], "hint": row["hint"]},
            expected=expected,
            context=[row["context"]] if row["context"] else [],
        )
        want.setdefault(case.id, row["tags.lang"])
    versions = set()
    for path in write_all(tmp_path_factory.mktemp("formats"), rows):
        dataset = open_dataset(DatasetSpec(source=str(path), format=""))
        info = dataset.scan()
        versions.add(info.version)
        got = {one.id: one.tags.get("lang", "") for one in dataset.cases()}
        assert got == want, path.name
        assert info.cases == len(want)
    assert len(versions) == 1


def test_typed_columns_give_the_same_cases_when_types_are_declared(tmp_path):
    rows = [{"q": "a", "n": 7, "x": 1.5, "ok": True, "doc": {"k": [1, "é"]}, "day": "2026-01-02"}]
    jsonl = tmp_path / "x.jsonl"
    jsonl.write_text("".join(json.dumps(one) + "\n" for one in rows))
    text = tmp_path / "x.csv"
    text.write_text('q,n,x,ok,doc,day\na,7,1.5,true,"{""k"": [1, ""é""]}",2026-01-02\n')
    parquet = tmp_path / "x.parquet"
    table = pa.Table.from_pylist([{**one, "doc": json.dumps(one["doc"])} for one in rows])
    days = pa.array(["2026-01-02"]).cast(pa.date32())
    pq.write_table(table.set_column(table.schema.get_field_index("day"), "day", days), parquet)
    types = {"n": "integer", "x": "number", "ok": "boolean", "doc": "json"}
    ids = set()
    for path in (jsonl, text, parquet):
        dataset = open_dataset(DatasetSpec(source=str(path), format="", types=types))
        ids.update(one.id for one in dataset.cases())
    assert len(ids) == 1
