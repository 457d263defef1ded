"""Query results through Arrow: DuckDB's own rows need pytz for instants."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pyarrow as pa
    from duckdb import DuckDBPyConnection


def table(
    connection: DuckDBPyConnection, sql: str, parameters: Sequence[Any] | Mapping[str, Any] = ()
) -> pa.Table:
    """The result of a statement that reads, as columns."""
    return connection.sql(sql, params=parameters or None).to_arrow_table()


def fetch(
    connection: DuckDBPyConnection, sql: str, parameters: Sequence[Any] | Mapping[str, Any] = ()
) -> list[dict[str, Any]]:
    """The result of a statement that reads, as rows."""
    rows: list[dict[str, Any]] = table(connection, sql, parameters).to_pylist()
    return rows


def single(connection: DuckDBPyConnection, sql: str, parameters: Sequence[Any] = ()) -> Any:
    """The one value of a statement that gives one row, or ``None`` without a row."""
    column = table(connection, sql, parameters).column(0)
    return column[0].as_py() if len(column) else None
