"""The append-only audit trail."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from evalkit.model import Run
from evalkit.store.arrays import as_json

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection


def record(connection: DuckDBPyConnection, kind: str, run: Run, details: dict[str, Any]) -> None:
    """Write down that something happened to a run, now and by this evalkit."""
    from evalkit import __version__

    connection.execute(
        "INSERT INTO events VALUES (?, ?, ?, ?, ?, ?, ?)",
        [
            datetime.now(UTC),
            kind,
            run.user,
            run.id,
            run.git.commit if run.git else None,
            __version__,
            as_json(details),
        ],
    )
