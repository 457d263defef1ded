"""The trials of a run that need no second answer, a batch at a time."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import TYPE_CHECKING

from evalkit.errors import ErrorClass
from evalkit.model import CONFIRMING
from evalkit.store.reads import fetch

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

_BATCH = 50_000


def finished_groups(connection: DuckDBPyConnection, run_id: str) -> list[tuple[str, str]]:
    """The suites and targets that a run has trials of."""
    rows = fetch(connection, "SELECT DISTINCT suite, target FROM trials WHERE run_id = ?", [run_id])
    return [(row["suite"], row["target"]) for row in rows]


def unscored_groups(
    connection: DuckDBPyConnection, run_id: str, reason: str
) -> list[tuple[str, str]]:
    """The suites and targets with an unscored score whose reason matches."""
    rows = fetch(
        connection,
        "SELECT DISTINCT suite, target FROM scores WHERE run_id = ? AND status = 'unscored'"
        " AND regexp_matches(reason, ?) ORDER BY ALL",
        [run_id, reason],
    )
    return [(row["suite"], row["target"]) for row in rows]


def finished_trials(
    connection: DuckDBPyConnection,
    run_id: str,
    group: tuple[str, str],
    retry: Collection[ErrorClass] | None,
) -> Iterator[tuple[str, int]]:
    """Case and index of the trials of a suite on a target, but for failures worth a ``retry``."""
    again = list(ErrorClass) if retry is None else list(retry)
    found = connection.sql(
        "SELECT case_id, trial FROM trials WHERE run_id = ? AND suite = ? AND target = ?"
        " AND trial < ? AND (status = 'ok' OR NOT list_contains(?::VARCHAR[], error_class))",
        params=[run_id, *group, CONFIRMING, [str(one) for one in again]],
    )
    for batch in found.to_arrow_reader(_BATCH):
        yield from zip(*(column.to_pylist() for column in batch.columns), strict=True)


def answered_requests(
    connection: DuckDBPyConnection, run_id: str
) -> dict[tuple[str, str], dict[str, str]]:
    """What names the request of each case, by suite and target; only of cases that had an answer.

    A case is left out when any of its trials failed, or when they did not all ask the same.
    """
    rows = fetch(
        connection,
        "SELECT suite, target, case_id, min(request_hash) AS request FROM trials"
        " WHERE run_id = ? AND trial < ? GROUP BY ALL"
        " HAVING bool_and(status = 'ok') AND min(request_hash) = max(request_hash)",
        [run_id, CONFIRMING],
    )
    found: dict[tuple[str, str], dict[str, str]] = {}
    for row in rows:
        found.setdefault((row["suite"], row["target"]), {})[row["case_id"]] = row["request"]
    return found
