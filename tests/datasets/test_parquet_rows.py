from __future__ import annotations

import datetime as dt
from decimal import Decimal

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from evalkit.config.spec import DatasetSpec
from evalkit.datasets import open_dataset
from evalkit.datasets.parquet import parquet
from evalkit.errors import DatasetError


def written(tmp_path, columns, **options):
    path = tmp_path / "x.parquet"
    pq.write_table(pa.table(columns), path, **options)
    return str(path)


def dataset(source, **rest):
    return open_dataset(DatasetSpec(source=source, format="parquet", **rest))


def test_typed_columns_keep_their_type_and_instants_become_iso_text(tmp_path):
    moment = dt.datetime.fromisoformat("2026-01-02T03:04:05")
    columns = {
        "text": pa.array(["00123"]),
        "int": pa.array([7], pa.int32()),
        "big": pa.array([2**64 - 1], pa.uint64()),
        "float": pa.array([0.5]),
        "narrow": pa.array([0.1], pa.float32()),
        "flag": pa.array([True]),
        "none": pa.nulls(1),
        "day": pa.array([dt.date(2026, 1, 2)]),
        "time": pa.array([dt.time(3, 4, 5)], pa.time32("s")),
        "naive": pa.array([moment], pa.timestamp("us")),
        "fraction": pa.array([moment.replace(microsecond=120_000)], pa.timestamp("us")),
        "nanos": pa.array([1], pa.timestamp("ns")),
        "utc": pa.array([moment], pa.timestamp("ms", "UTC")),
        "zone": pa.array([moment], pa.timestamp("us", "+05:30")),
        "money": pa.array([Decimal("12.50")]),
        "tiny": pa.array([Decimal("0.0000001")]),
        "wait": pa.array([dt.timedelta(seconds=90)]),
        "bytes": pa.array([b"caf\xc3\xa9"]),
        "category": pa.array(["a"]).dictionary_encode(),
        "list": pa.array([["a", "b"]]),
        "struct": pa.array([{"day": dt.date(2026, 1, 2), "n": [Decimal("1.0")]}]),
    }
    ((number, row),) = parquet(written(tmp_path, columns))
    assert number == 1
    assert row == {
        "text": "00123",
        "int": 7,
        "big": 2**64 - 1,
        "float": 0.5,
        "narrow": 0.1,
        "flag": True,
        "none": None,
        "day": "2026-01-02",
        "time": "03:04:05",
        "naive": "2026-01-02T03:04:05",
        "fraction": "2026-01-02T03:04:05.120000",
        "nanos": "1970-01-01T00:00:00.000000001",
        "utc": "2026-01-02T03:04:05Z",
        "zone": "2026-01-02T08:34:05+05:30",
        "money": "12.50",
        "tiny": "0.0000001",
        "wait": 90.0,
        "bytes": "café",
        "category": "a",
        "list": ["a", "b"],
        "struct": {"day": "2026-01-02", "n": ["1.0"]},
    }
    assert isinstance(row["int"], int)
    assert row["flag"] is True


def test_rows_number_across_batches_and_row_groups(tmp_path):
    source = written(tmp_path, {"q": [str(i) for i in range(2_500)]}, row_group_size=700)
    rows = list(parquet(source))
    assert [number for number, _ in rows] == list(range(1, 2_501))
    assert [row["q"] for _, row in rows] == [str(i) for i in range(2_500)]
    assert [one.row for one in dataset(source).cases()] == list(range(1, 2_501))


def test_values_outside_json_are_errors_of_their_row_where_a_case_uses_them(tmp_path):
    columns = {"q": ["a", "b"], "score": [1.0, float("nan")], "image": [b"ok", b"\xff\xd8"]}
    source = written(tmp_path, columns)
    info = dataset(source).scan(strict=False)
    assert [(one.row, one.line) for one in info.issues] == [(2, 0)]
    with pytest.raises(DatasetError) as caught:
        dataset(source).scan()
    assert caught.value.what == "row 2: the value of 'score' is not JSON: nan"
    assert str(caught.value.where).endswith("x.parquet, row 2")
    assert dataset(source, columns={"inputs.q": "q"}).scan().cases == 2
    noted = dataset(source, columns={"inputs.q": "q", "metadata.m": "image"})
    with pytest.raises(DatasetError, match="row 2: the value of 'm' is not JSON"):
        noted.scan()


def test_text_that_is_not_utf_8_is_an_error_of_its_row(tmp_path):
    bad = pa.array([b"good", b"caf\xe9"]).cast(pa.binary()).view(pa.string())
    info = dataset(written(tmp_path, {"q": bad})).scan(strict=False)
    assert info.cases == 1
    assert info.issues[0].message == "row 2: the value of 'q' is not JSON: b'caf\\xe9'"


@pytest.mark.parametrize("content", [b"", b"PAR1", b"not parquet at all", b"version https://git"])
def test_a_file_that_is_not_parquet_is_explained(make, fails, content):
    what, where, _ = fails(make("x.parquet", content))
    assert "Parquet" in what
    assert where.endswith("x.parquet")


def test_a_cut_file_is_explained(tmp_path, make, fails):
    source = written(tmp_path, {"q": [str(i) for i in range(100)]})
    content = (tmp_path / "x.parquet").read_bytes()
    assert "not a whole Parquet file" in fails(make("cut.parquet", content[:-20]))[0]
    assert dataset(source).scan().cases == 100


def test_two_columns_of_one_name_are_refused(tmp_path):
    path = tmp_path / "x.parquet"
    table = pa.Table.from_arrays([pa.array(["a"]), pa.array(["b"])], names=["q", "q"])
    pq.write_table(table, path)
    with pytest.raises(DatasetError, match="two columns are named 'q'"):
        list(parquet(str(path)))


def test_an_empty_table_has_no_cases(tmp_path):
    with pytest.raises(DatasetError, match="no cases"):
        dataset(written(tmp_path, {"q": pa.array([], pa.string())})).scan()
