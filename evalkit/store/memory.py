"""How much DuckDB keeps of what it reads: by itself every block, in case it is asked for again.

All that is read of a store to look for a few rows grows with the store. A limit is for statements
that read short columns; what touches a text needs as much as the longest text, whatever that is.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from evalkit.store.reads import single

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

FRUGAL = "24MB"
"""The limit of a connection that is frugal throughout."""
_ROOM = 16_000_000


@contextmanager
def frugal(connection: DuckDBPyConnection) -> Iterator[None]:
    """Keep at most 16 MB of what is read meanwhile, beside what is held already."""
    held = single(connection, "SELECT sum(memory_usage_bytes) FROM duckdb_memory()")
    connection.execute(f"SET memory_limit = '{int(held or 0) + _ROOM} bytes'")
    try:
        yield
    finally:
        connection.execute("RESET memory_limit")


@contextmanager
def roomy(connection: DuckDBPyConnection) -> Iterator[None]:
    """Let a frugal connection take what it needs meanwhile; any other can anyway."""
    if single(connection, "SELECT current_setting('lock_configuration')"):
        yield
        return
    connection.execute("RESET memory_limit")
    try:
        yield
    finally:
        connection.execute(f"SET memory_limit = '{FRUGAL}'")
