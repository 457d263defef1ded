"""What is read to look for a few rows is not kept, what is long is read all the same."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import duckdb
import pyarrow as pa
import pytest
from example_runs import START, example_run, example_trials

from evalkit.model import RunStatus
from evalkit.store import Store
from evalkit.store.append import insert
from evalkit.store.memory import frugal, roomy

LONG = "SELECT max(repeat('x', 40_000_000 + i::INTEGER)) FROM range(2) AS r(i)"
"""A statement that needs more than 80 MB at once."""


@pytest.fixture
def connection() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect(config={"threads": 1}) as made:
        yield made


def held(connection: duckdb.DuckDBPyConnection) -> int:
    (row,) = connection.execute("SELECT sum(memory_usage_bytes) FROM duckdb_memory()").fetchall()
    return int(row[0])


def test_of_what_is_read_for_a_few_rows_little_is_kept(
    connection: duckdb.DuckDBPyConnection, tmp_path: Any
) -> None:
    connection.execute(f"ATTACH '{tmp_path / 'large.duckdb'}' AS large")
    connection.execute(
        "CREATE TABLE large.cases AS SELECT sha256(i::VARCHAR) AS id FROM range(1_200_000) AS r(i)"
    )
    connection.execute("DETACH large")
    connection.execute(f"ATTACH '{tmp_path / 'large.duckdb'}' AS large")
    rows = pa.table({"id": ["a", "b"]})
    connection.register("few", rows)
    before = held(connection)
    look = "SELECT count(*) FROM large.cases SEMI JOIN few USING (id)"
    with frugal(connection, rows):
        connection.execute(look).fetchall()
        assert held(connection) - before < 17_000_000
    connection.execute(look).fetchall()
    assert held(connection) - before > 30_000_000


def test_a_long_text_has_room_in_a_frugal_connection(store: Store) -> None:
    store.create_run(example_run())
    with store._access.reading(frugal=True) as connection:
        with roomy(connection):
            connection.execute(LONG).fetchall()
        with pytest.raises(duckdb.OutOfMemoryException):
            connection.execute(LONG).fetchall()
    with store._access.reading() as connection, roomy(connection):
        connection.execute(LONG).fetchall()


def test_duckdb_is_started_anew_now_and_then_and_after_a_run(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    started = []
    connect = duckdb.connect
    monkeypatch.setattr(duckdb, "connect", lambda *a, **k: started.append(a) or connect(*a, **k))
    store.create_run(example_run())
    for _ in range(4):
        store.append(example_trials(cases=1))
    assert len(started) == 1
    store.append(example_trials(cases=1))
    assert len(started) == 2
    store.finish_run(example_run().id, RunStatus.COMPLETE, START)
    store.append(example_trials(cases=1))
    assert len(started) == 3


def test_what_failed_in_a_transaction_is_what_is_said(
    connection: duckdb.DuckDBPyConnection,
) -> None:
    connection.execute("CREATE TABLE trials (run_id INTEGER); BEGIN")
    with pytest.raises(duckdb.ConversionException, match="no number"):
        insert(connection, "trials", pa.table({"run_id": ["no number"]}))
