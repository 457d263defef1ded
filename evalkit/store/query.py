"""One statement of a user's own, on a connection that can only read."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from evalkit.errors import UsageError
from evalkit.store.access import READER, lock
from evalkit.store.migrate import migrate
from evalkit.store.reads import single, table

if TYPE_CHECKING:
    import duckdb
    import pyarrow as pa
    from duckdb import DuckDBPyConnection

_DESCRIBE = re.compile(r"\s*desc(?:ribe)?\s+(?:table\s+)?\"?(\w+)\"?\s*;?\s*", re.IGNORECASE)
_TABLES = 'see: evalkit sql "SHOW TABLES", evalkit sql "DESCRIBE trials"'
_READ_ONLY = "the store is open for reading only: SELECT, WITH, DESCRIBE, SUMMARIZE, SHOW, EXPLAIN"
_REFUSED = (
    "read-only mode",
    "disabled by configuration",
    "disabled through configuration",
    "configuration has been locked",
)


def query(
    connection: DuckDBPyConnection,
    sql: str,
    parameters: Mapping[str, Any] | None = None,
    *,
    limit_s: float | None = None,
) -> pa.Table:
    """Run one reading statement; see ``Store.query``. Parameters it does not name are left out.

    Raises ``UsageError`` also when it takes longer than ``limit_s`` seconds.
    """
    import duckdb

    try:
        statements = duckdb.extract_statements(sql)
        if len(statements) != 1:
            raise UsageError(
                "there is no SQL to run" if not statements else "only one statement can be run",
                hint='for example: evalkit sql "SELECT * FROM runs"',
            )
        described = _DESCRIBE.fullmatch(sql)
        if described and _has_table(connection, described[1]):
            # DuckDB's own DESCRIBE leaves the comments out
            return table(
                connection,
                "SELECT column_name, data_type AS column_type, comment"
                " FROM duckdb_columns() WHERE table_name = ? AND NOT internal"
                " ORDER BY column_index",
                [described[1].lower()],
            )
        given = parameters or {}
        named = {key: given[key] for key in statements[0].named_parameters if key in given}
        return _interruptible(connection, sql, named, limit_s)
    except duckdb.Error as error:
        message = _with_place(connection, sql, error)
        refused = any(words in message for words in _REFUSED)
        hint = f"{_READ_ONLY}; write results with --csv, --json or --parquet" if refused else ""
        raise UsageError(message, hint=hint or _TABLES) from error


def count_rows(
    connection: DuckDBPyConnection, sql: str, parameters: Mapping[str, Any], *, limit_s: float
) -> int:
    """How many rows a statement returns, none of which are kept; else as ``query``."""
    import duckdb

    try:
        statements = duckdb.extract_statements(sql)
    except duckdb.Error as error:
        raise UsageError(str(error).rstrip(), hint=_TABLES) from error
    if len(statements) != 1 or statements[0].type != duckdb.StatementType.SELECT:
        raise UsageError(
            "a gate's query must be one SELECT that returns the offending rows",
            hint="for example: SELECT case_id FROM trials WHERE run_id = $run AND status = 'error'",
        )
    inner = statements[0].query.strip().rstrip(";")
    # on a line of its own the closing bracket survives a comment at the end
    counted = f"SELECT count(*) AS n FROM (\n{inner}\n)"  # noqa: S608 - the user's own query
    try:
        (row,) = query(connection, counted, parameters, limit_s=limit_s).to_pylist()
    except UsageError as error:
        # the first line is ours
        error.what = re.sub(r"LINE (\d+)", lambda one: f"LINE {int(one[1]) - 1}", error.what)
        raise
    return int(row["n"])


def check_query(sql: str, *, limit_s: float = 30.0) -> None:
    """Raise ``UsageError`` for a gate's query that cannot be run, found on a store without rows."""
    import duckdb

    with duckdb.connect(config=dict(READER)) as connection:
        migrate(connection, Path(":memory:"))
        lock(connection)
        count_rows(connection, sql, {"run": "", "baseline": ""}, limit_s=limit_s)


def _interruptible(
    connection: DuckDBPyConnection,
    sql: str,
    parameters: Mapping[str, Any],
    limit_s: float | None,
) -> pa.Table:
    """The result of a statement that Ctrl-C can end: DuckDB looks at no signal while it works."""
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(1) as pool:
        result = pool.submit(_marked, connection, sql, parameters)
        try:
            return result.result(timeout=limit_s)
        except KeyboardInterrupt:
            connection.interrupt()
            raise
        except TimeoutError:
            connection.interrupt()
            raise UsageError(
                f"the query took longer than {limit_s:g} s and was stopped",
                hint="select less, or fewer runs: WHERE run_id = $run",
            ) from None


def _marked(connection: DuckDBPyConnection, sql: str, parameters: Mapping[str, Any]) -> pa.Table:
    """The result with ``duckdb_type`` noted at its JSON columns, which Arrow has as text."""
    relation = connection.sql(sql, params=parameters or None)
    found = relation.to_arrow_table()
    schema = found.schema
    for place, kind in enumerate(relation.types):
        if str(kind) == "JSON":
            field = schema.field(place).with_metadata({"duckdb_type": "JSON"})
            schema = schema.set(place, field)
    return found.cast(schema)


def _with_place(connection: DuckDBPyConnection, sql: str, error: duckdb.Error) -> str:
    """DuckDB's words with the line and the caret, which only ``execute`` puts under some."""
    message = str(error).rstrip()
    if "\nLINE " not in message:
        try:
            connection.execute(sql)
        except type(error) as again:
            return str(again).rstrip()
    return message


def _has_table(connection: DuckDBPyConnection, name: str) -> bool:
    count = single(
        connection,
        "SELECT count(*) FROM duckdb_columns() WHERE table_name = ? AND NOT internal",
        [name.lower()],
    )
    return bool(count)
