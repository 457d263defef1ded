"""The audit trail: who did what, when, from which commit. Rows are only ever added."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from evalkit.model import JSON, Run
from evalkit.store import arrays
from evalkit.store.reads import fetch

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One thing that somebody did.

    ``kind`` is a noun and a past participle with a dot between, such as ``run.started``,
    ``baseline.promoted``, ``gate.waived``, ``labels.imported``; ``run_id`` is the run it is about,
    where there is one; ``details`` is anything else worth knowing, as JSON.
    """

    kind: str
    actor: str | None = None
    run_id: str | None = None
    git_commit: str | None = None
    details: Mapping[str, JSON] = field(default_factory=dict)
    happened_at: datetime = field(default_factory=lambda: datetime.now(UTC))
    evalkit_version: str = ""


def add_event(connection: DuckDBPyConnection, event: Event) -> None:
    """Add a row within the caller's transaction, so that it is there exactly if the deed is."""
    from evalkit import __version__

    connection.execute(
        "INSERT INTO events VALUES (?, ?, ?, ?, ?, ?, ?)",
        [
            event.happened_at,
            event.kind,
            None if event.actor is None else arrays.storable(event.actor),
            event.run_id,
            event.git_commit,
            event.evalkit_version or __version__,
            arrays.storable(arrays.as_json(event.details)),
        ],
    )


def events_from(
    connection: DuckDBPyConnection, *, kinds: Sequence[str] = (), run_id: str | None = None
) -> tuple[Event, ...]:
    """The trail in the order it was written; a kind that ends in a dot means all that begin so."""
    where, given = ["true"], []
    if kinds:
        where.append(
            "(" + " OR ".join("starts_with(kind, ?)" if one.endswith(".") else "kind = ?"
                              for one in kinds) + ")"
        )  # fmt: skip
        given += list(kinds)
    if run_id is not None:
        where.append("run_id = ?")
        given.append(run_id)
    rows = fetch(
        connection,
        f"SELECT * FROM events WHERE {' AND '.join(where)} ORDER BY happened_at, rowid",  # noqa: S608 -- constant text, values are parameters
        given,
    )
    return tuple(_event(one) for one in rows)


def _event(row: Mapping[str, Any]) -> Event:
    return Event(**{**row, "details": json.loads(row["details"])})


def record(connection: DuckDBPyConnection, kind: str, run: Run, details: dict[str, Any]) -> None:
    """Write down that something happened to a run, by who made it, within the transaction."""
    add_event(
        connection,
        Event(
            kind=kind,
            actor=run.user,
            run_id=run.id,
            git_commit=run.git.commit if run.git else None,
            details=details,
        ),
    )
