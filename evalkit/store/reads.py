"""Query results through Arrow: DuckDB's own rows need pytz for instants."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
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
    found = table(connection, sql, parameters)
    columns = [_values(one) for one in found.columns]
    return [dict(zip(found.column_names, row, strict=True)) for row in zip(*columns, strict=True)]


_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def _values(column: pa.ChunkedArray) -> list[Any]:
    import pyarrow as pa

    if not (pa.types.is_timestamp(column.type) and column.type.tz):
        plain: list[Any] = column.to_pylist()
        return plain
    # as Arrow's own Python values they would import pandas, a fifth of a second
    since = [one for chunk in column.chunks for one in chunk.view(pa.int64()).to_pylist()]
    return [None if one is None else _EPOCH + timedelta(microseconds=one) for one in since]


def single(connection: DuckDBPyConnection, sql: str, parameters: Sequence[Any] = ()) -> Any:
    """The one value of a statement that gives one row, or ``None`` without a row."""
    column = table(connection, sql, parameters).column(0)
    return column[0].as_py() if len(column) else None
