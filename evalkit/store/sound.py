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

ROW_GROUP = 8_192
"""Rows that DuckDB keeps together, and writes again together when some are added.

Its own default, fifteen times as many, would write a hundred thousand trials again for every few
thousand that come.
"""

_KNOWN_CASES = ("case_id", "name", "tags", "metadata")
"""What new cases are compared with."""


def read_through(connection: DuckDBPyConnection) -> None:
    """Read it; what is damaged raises DuckDB's own error."""
    tables = connection.execute(
        "SELECT table_name, estimated_size FROM duckdb_tables()"
        " WHERE NOT internal AND NOT temporary"
    ).fetchall()
    last = ((name, max(0, rows - 1) // ROW_GROUP * ROW_GROUP) for name, rows in tables)
    reads = [f'SELECT hash(t) AS h FROM "{name}" AS t WHERE rowid >= {at}' for name, at in last]  # noqa: S608 - names and counts of the database's own
    reads.append(f"SELECT hash({', '.join(_KNOWN_CASES)}) FROM cases")  # noqa: S608 - constants
    # to plan a statement for every table takes longer than to read them
    single(connection, f"SELECT bit_xor(h) FROM ({' UNION ALL '.join(reads)})")  # noqa: S608 - as above
