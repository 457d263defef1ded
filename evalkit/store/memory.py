"""How much DuckDB keeps of what it reads: by itself every block, in case it is asked for again.

All that is read of a store to look for a few rows grows with the store. A limit is for statements
that read short columns into few groups; what touches texts needs as much as they do, whatever that
is.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from evalkit.store.reads import single

if TYPE_CHECKING:
    import pyarrow as pa
    from duckdb import DuckDBPyConnection

FRUGAL = "12MB"
"""The limit of a connection that is frugal throughout."""
_ROOM = 16_000_000
"""Bytes for the blocks that are read; with a quarter of it a whole segment does not fit."""


@contextmanager
def frugal(connection: DuckDBPyConnection, rows: pa.Table) -> Iterator[None]:
    """Keep little of what is read meanwhile to look for these rows, beside what is held already.

    After an error the connection is closed, and keeps the limit until then.
    """
    held = single(connection, "SELECT sum(memory_usage_bytes) FROM duckdb_memory()")
    limit = int(held or 0) + _ROOM + 2 * rows.nbytes
    connection.execute(f"SET memory_limit = '{limit} bytes'")
    yield
    connection.execute("RESET memory_limit")


@contextmanager
def roomy(connection: DuckDBPyConnection) -> Iterator[None]:
    """Let a frugal connection take what it needs meanwhile; any other can anyway."""
    if single(connection, "SELECT current_setting('lock_configuration')"):
        yield
        return
    connection.execute("RESET memory_limit")
    yield
    connection.execute(f"SET memory_limit = '{FRUGAL}'")
