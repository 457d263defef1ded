"""``Store.query`` reads this one store and can do nothing else."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest
from example_runs import example_run

from evalkit.errors import EvalkitError, UsageError
from evalkit.store import Store


@pytest.fixture
def filled(store: Store) -> Store:
    store.create_run(example_run())
    return store


@pytest.mark.parametrize(
    "sql",
    [
        "COPY runs TO '{folder}/out.csv'",
        "COPY (SELECT 1) TO '{folder}/out.parquet'",
        "EXPORT DATABASE '{folder}/out'",
        "ATTACH '{folder}/out.duckdb'",
        "ATTACH '{folder}/secret.csv' AS other",
        "INSTALL httpfs",
        "LOAD httpfs",
        "SELECT * FROM read_csv('{folder}/secret.csv')",
        "SELECT * FROM '{folder}/secret.csv'",
        "SELECT * FROM read_text('{folder}/secret.csv')",
        "SELECT * FROM glob('{folder}/*')",
        "INSERT INTO runs SELECT * FROM runs",
        "DELETE FROM runs",
        "UPDATE runs SET project = 'x'",
        "DROP TABLE runs",
        "CREATE TABLE mine AS SELECT 1",
        "SET enable_external_access = true",
        "SET lock_configuration = false",
        "SELECT 1; SELECT 2",
        "",
        "-- only a comment",
        "SELECT * FROM secret_of_this_process",
    ],
)
def test_only_reading_is_possible(filled: Store, tmp_path: Path, sql: str) -> None:
    (tmp_path / "secret.csv").write_text("password\nhunter2\n")
    secret_of_this_process = __import__("pyarrow").table({"a": [1]})
    assert secret_of_this_process.num_rows
    before = filled.path.read_bytes()
    files = sorted(tmp_path.rglob("*"))
    with pytest.raises(UsageError) as error:
        filled.query(sql.format(folder=tmp_path))
    assert "hunter2" not in str(error.value)
    assert error.value.hint
    assert sorted(tmp_path.rglob("*")) == files
    assert filled.path.read_bytes() == before


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT project FROM runs",
        "WITH a AS (SELECT 1 AS b) SELECT * FROM a",
        "FROM runs",
        "SUMMARIZE runs",
        "SHOW TABLES",
        "EXPLAIN SELECT 1",
        "DESCRIBE SELECT 1 AS a",
        "describe runs;",
        "SELECT table_name, comment FROM duckdb_tables()",
    ],
)
def test_reading_works(filled: Store, sql: str) -> None:
    assert filled.query(sql).num_rows > 0


def test_a_mistake_shows_where_it_is(filled: Store) -> None:
    with pytest.raises(UsageError) as error:
        filled.query("SELECT projekt FROM runs")
    assert "projekt" in error.value.what
    assert error.value.what.rstrip().endswith("^")


def test_instants_are_utc(filled: Store) -> None:
    (row,) = filled.query("SELECT started_at, started_at::VARCHAR AS text FROM runs").to_pylist()
    assert row["started_at"].utcoffset().total_seconds() == 0
    assert row["text"] == "2026-11-21 09:30:00+00"


def test_reading_and_writing_threads_of_one_process_wait_for_each_other(filled: Store) -> None:
    failures: list[EvalkitError] = []

    def work(number: int) -> None:
        try:
            for step in range(5):
                if number % 2:
                    filled.create_run(example_run(f"t{number}-{step}"))
                else:
                    filled.query("SELECT count(*) FROM runs")
        except EvalkitError as error:
            failures.append(error)

    threads = [threading.Thread(target=work, args=[number]) for number in range(4)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    assert failures == []
    assert len(filled.runs()) == 11
