"""What listings of runs need, computed where the rows are."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from evalkit.model import RunKind, RunStatus
from evalkit.store.reads import fetch
from evalkit.store.rows import utc

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

_RUNS = """
WITH chosen AS (
    SELECT * FROM runs WHERE $suite IS NULL OR list_contains(suites, $suite)
    ORDER BY started_at DESC, run_id DESC LIMIT $limit
),
done AS (
    SELECT run_id, count(*) AS trials, count(DISTINCT case_id) AS cases,
        count(*) FILTER (status = 'error') AS errors,
        sum(coalesce(spent_usd, 0) + coalesce(assumed_usd, 0))
            FILTER (spent_usd IS NOT NULL OR assumed_usd > 0) AS cost_usd,
        coalesce(sum(assumed_usd), 0) AS assumed_usd,
        count(*) FILTER (
            status = 'ok' AND cost_usd IS NULL AND NOT coalesce(assumed_usd, 0) > 0
        ) AS unpriced,
        sum(saved_usd) AS saved_usd
    FROM trials SEMI JOIN chosen USING (run_id) GROUP BY run_id
),
systems AS (
    SELECT run_id, list(target ORDER BY position) AS targets
    FROM targets SEMI JOIN chosen USING (run_id) GROUP BY run_id
),
first_scorer AS (
    SELECT run_id, arg_min(suite, position) AS suite, arg_min(name, position) AS scorer
    FROM scorers SEMI JOIN chosen USING (run_id) GROUP BY run_id
),
per_case AS (
    SELECT run_id, suite, target, case_id, name AS scorer, avg(value) AS value
    FROM scores SEMI JOIN first_scorer ON scores.run_id = first_scorer.run_id
        AND scores.suite = first_scorer.suite AND scores.name = first_scorer.scorer
    GROUP BY ALL
),
means AS (
    SELECT run_id, map_from_entries(list({'k': target, 'v': value})) AS scores
    FROM (SELECT run_id, target, avg(value) AS value FROM per_case GROUP BY ALL) GROUP BY run_id
)
SELECT chosen.run_id, project, kind, status, started_at, finished_at, suites,
    coalesce(systems.targets, []) AS targets, planned, coalesce(cases, 0) AS cases,
    coalesce(trials, 0) AS trials, coalesce(errors, 0) AS errors, cost_usd,
    coalesce(assumed_usd, 0) AS assumed_usd,
    coalesce(unpriced, 0) AS unpriced, saved_usd,
    first_scorer.scorer AS scorer, means.scores AS scores,
    git_commit, coalesce(git_dirty, false) AS git_dirty, user_name, settings->>'shard' AS shard
FROM chosen LEFT JOIN done USING (run_id) LEFT JOIN systems USING (run_id)
LEFT JOIN first_scorer USING (run_id) LEFT JOIN means USING (run_id)
ORDER BY started_at DESC, chosen.run_id DESC
"""


def run_rows(
    connection: DuckDBPyConnection, *, limit: int | None, suite: str | None
) -> list[dict[str, Any]]:
    """The fields of ``RunRow``, the last started run first."""
    rows = fetch(connection, _RUNS, {"suite": suite, "limit": 1 << 40 if limit is None else limit})
    return [_run_row(row) for row in rows]


def _run_row(row: dict[str, Any]) -> dict[str, Any]:
    scores = dict(row["scores"] or ())
    return {
        **{name: value for name, value in row.items() if name != "user_name"},
        "kind": RunKind(row["kind"]),
        "status": RunStatus(row["status"]),
        "started_at": utc(row["started_at"]),
        "finished_at": None if row["finished_at"] is None else utc(row["finished_at"]),
        "suites": tuple(row["suites"]),
        "targets": tuple(row["targets"]),
        "scores": tuple((name, scores.get(name)) for name in row["targets"] if name in scores),
        "user": row["user_name"],
    }
