"""Reads what storing a run will touch, so that damage is found before anything is paid for.

DuckDB checks a block when it reads it, and has no way to check a file as a whole. New rows meet the
cases that are there already, the short tables and the last row group of the long ones, which is
written again with them; reading all of a large store would take as long as the run.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from evalkit.store.reads import single

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

ROW_GROUP = 122_880
"""Rows that DuckDB keeps, and writes again, together."""

_KNOWN_CASES = ("case_id", "name", "tags", "metadata")
"""What new cases are compared with."""


def read_through(connection: DuckDBPyConnection) -> None:
    """Read it; what is damaged raises DuckDB's own error."""
    tables = connection.execute(
        "SELECT table_name, estimated_size FROM duckdb_tables()"
        " WHERE NOT internal AND NOT temporary"
    ).fetchall()
    for name, rows in tables:
        last = max(0, rows - 1) // ROW_GROUP * ROW_GROUP
        single(connection, f'SELECT bit_xor(hash(t)) FROM "{name}" AS t WHERE rowid >= {last}')  # noqa: S608 - names and counts of the database's own
    columns = ", ".join(_KNOWN_CASES)
    single(connection, f"SELECT bit_xor(hash({columns})) FROM cases")  # noqa: S608 - constants
