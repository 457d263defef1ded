"""Query results, through Arrow where they are more than one value."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pyarrow as pa
    from duckdb import DuckDBPyConnection

BATCH = 50_000
"""Rows that are read at a time where all would take much memory."""


def table(
    connection: DuckDBPyConnection, sql: str, parameters: Sequence[Any] | Mapping[str, Any] = ()
) -> pa.Table:
    """The result of a statement that reads, as columns."""
    return connection.sql(sql, params=parameters or None).to_arrow_table()


def batches(
    connection: DuckDBPyConnection, sql: str, parameters: Sequence[Any] = ()
) -> pa.RecordBatchReader:
    """The same a batch of rows at a time, so that they need not all be held."""
    return connection.sql(sql, params=parameters or None).to_arrow_reader(BATCH)


def fetch(
    connection: DuckDBPyConnection, sql: str, parameters: Sequence[Any] | Mapping[str, Any] = ()
) -> list[dict[str, Any]]:
    """The result of a statement that reads, as rows."""
    return list(each(connection, sql, parameters))


def each(
    connection: DuckDBPyConnection, sql: str, parameters: Sequence[Any] | Mapping[str, Any] = ()
) -> Iterator[dict[str, Any]]:
    """The same a row at a time: many wide rows held at once cost several times as much."""
    found = table(connection, sql, parameters)
    columns = [_values(one) for one in found.columns]
    for row in zip(*columns, strict=True):
        yield dict(zip(found.column_names, row, strict=True))


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
    # not through Arrow, which takes longer to import than a run takes to start
    rows = connection.execute(sql, parameters or None).fetchall()
    return rows[0][0] if rows else None


def numbers(column: pa.Array | pa.ChunkedArray) -> Any:
    """Numbers or booleans as a NumPy array; a list when there is a NULL among them.

    Arrow's own ``to_numpy`` would import pandas, a fifth of a second.
    """
    import numpy as np
    import pyarrow as pa

    if column.null_count:
        return column.to_pylist()
    values = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
    content = values.buffers()[1]
    if pa.types.is_boolean(values.type):
        if content is None:
            return np.empty(0, dtype=bool)
        bits = np.unpackbits(np.frombuffer(content, dtype=np.uint8), bitorder="little")
        return bits[values.offset : values.offset + len(values)].astype(bool)
    kind = "f" if pa.types.is_floating(values.type) else "u" if _unsigned(values.type) else "i"
    dtype = f"{kind}{values.type.bit_width // 8}"
    if content is None:
        return np.empty(0, dtype=dtype)
    return np.frombuffer(content, dtype=dtype)[values.offset : values.offset + len(values)]


def _unsigned(kind: pa.DataType) -> bool:
    import pyarrow as pa

    return bool(pa.types.is_unsigned_integer(kind))
