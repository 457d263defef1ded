"""What listings and summaries need, computed where the rows are."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from evalkit.model import CONFIRMING, Run, RunKind, RunStatus
from evalkit.stats.samples import Samples, ScoreSample, TrialSample
from evalkit.store.reads import fetch, table
from evalkit.store.rows import utc
from evalkit.store.worst import worst_cases

if TYPE_CHECKING:
    import pyarrow as pa
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
        count(*) FILTER (status = 'ok' AND cost_usd IS NULL) AS unpriced,
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


def samples(connection: DuckDBPyConnection, run: Run) -> Samples:
    """The columns of a run's scores and trials, its slices and its worst cases."""
    connection.execute(
        "CREATE OR REPLACE TEMP TABLE numbered AS"
        " SELECT suite, case_id, row_number() OVER (PARTITION BY suite ORDER BY case_row, case_id)"
        " ::INTEGER - 1 AS number, tags FROM (SELECT suite, case_id, min(case_row) AS case_row,"
        " arg_max(tags, started_at) AS tags FROM trials WHERE run_id = ? GROUP BY suite, case_id)",
        [run.id],
    )
    try:
        scores, trials = _scores(connection, run), _trials(connection, run)
        return Samples(
            scores=scores,
            trials=trials,
            worst=worst_cases(connection, run, scores, trials),
            tags=_tags(connection, run),
        )
    finally:
        connection.execute("DROP TABLE numbered")


def _order(run: Run) -> dict[str, int]:
    return {one.name: place for place, one in enumerate(run.targets)}


def _scores(connection: DuckDBPyConnection, run: Run) -> tuple[ScoreSample, ...]:
    groups = fetch(
        connection,
        "SELECT suite, target, name, min(position) AS place,"
        " count(*) FILTER (status = 'unscored') AS unscored,"
        " count(*) FILTER (status = 'error') AS errors, sum(cost_usd) AS cost_usd"
        " FROM scores WHERE run_id = ? AND trial < ? GROUP BY suite, target, name",
        [run.id, CONFIRMING],
    )
    reasons: dict[tuple[str, str, str], list[tuple[str, int]]] = {}
    for row in fetch(
        connection,
        "SELECT * FROM (SELECT suite, target, name, left(coalesce(reason, ''), 200) AS why,"
        " count(*) AS n FROM scores WHERE run_id = ? AND status <> 'scored' GROUP BY ALL)"
        " QUALIFY row_number() OVER (PARTITION BY suite, target, name ORDER BY n DESC, why) <= 3"
        " ORDER BY n DESC, why",
        [run.id],
    ):
        key = (row["suite"], row["target"], row["name"])
        reasons.setdefault(key, []).append((row["why"], row["n"]))
    place = _order(run)
    groups.sort(
        key=lambda one: (one["suite"], place.get(one["target"], len(place)), one.pop("place"))
    )
    found: list[ScoreSample] = []
    for group in groups:
        columns = _score_columns(connection, run.id, group)
        if found and _same(found[-1].cases, columns["cases"]):
            # scorers judge the same cases, as a rule: one column of their numbers does
            columns["cases"] = found[-1].cases
        why = tuple(reasons.get((group["suite"], group["target"], group["name"]), ()))
        found.append(ScoreSample(**group, **columns, reasons=why))
    return tuple(found)


def _same(one: Any, other: Any) -> bool:
    import numpy as np

    return bool(np.array_equal(one, other))


def _score_columns(
    connection: DuckDBPyConnection, run_id: str, group: dict[str, Any]
) -> dict[str, Any]:
    # a query a scorer: an order of all rows at once would need them all at once
    columns = table(
        connection,
        "SELECT number AS cases, value AS values, passed, stats"
        " FROM scores JOIN numbered USING (suite, case_id)"
        " WHERE run_id = ? AND suite = ? AND target = ? AND name = ? AND status = 'scored'"
        " AND trial < ? ORDER BY number, trial",
        [run_id, group["suite"], group["target"], group["name"], CONFIRMING],
    )
    found = {name: _numbers(columns.column(name)) for name in ("cases", "values", "passed")}
    return {**found, "stats": _rows_of_numbers(columns.column("stats"))}


def _rows_of_numbers(column: pa.ChunkedArray) -> Any:
    """Lists of numbers as the rows of an array; those that are there when some are empty."""
    import numpy as np

    lists = column.combine_chunks()
    if lists.null_count == len(lists):
        return np.empty(0)
    ends = lists.offsets
    # flatten() would import all of Arrow's functions, a tenth of a second
    flat = _numbers(
        lists.flatten()
        if lists.null_count
        else lists.values.slice(ends[0].as_py(), ends[-1].as_py() - ends[0].as_py())
    )
    width, rest = divmod(len(flat), len(lists)) if len(lists) else (0, 0)
    if not len(flat):
        return np.empty(0)
    lengths = np.diff(np.frombuffer(lists.offsets.buffers()[1], dtype=np.int32)[: len(lists) + 1])
    if rest or (lengths != width).any():
        return [one for one in lists.to_pylist() if one]
    return flat.reshape(len(lists), width)


def _numbers(column: pa.Array | pa.ChunkedArray) -> Any:
    """Numbers or booleans as a NumPy array; a list when there is a NULL among them.

    Arrow's own ``to_numpy`` would import pandas, a fifth of a second.
    """
    import numpy as np
    import pyarrow as pa

    if column.null_count:
        return column.to_pylist()
    values = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
    content = values.buffers()[1]
    if content is None:
        return np.empty(0)
    until = values.offset + len(values)
    if pa.types.is_boolean(values.type):
        bits = np.unpackbits(np.frombuffer(content, dtype=np.uint8), bitorder="little")
        return bits[values.offset : until].astype(bool)
    kind = "f" if pa.types.is_floating(values.type) else "i"
    data = np.frombuffer(content, dtype=f"{kind}{values.type.bit_width // 8}")
    return data[values.offset : until]


def _thin(column: Any) -> Any:
    """The column; one value for all rows of it when nothing in it is known."""
    import numpy as np

    if column.dtype.kind == "f" and len(column) and bool(np.isnan(column).all()):
        return np.broadcast_to(np.nan, len(column))
    return column


_TRIAL_COLUMNS = {
    # NULL becomes NaN on the way to NumPy
    "cases": "number",
    "ok": "status = 'ok'",
    "live": "coalesce(provenance = 'live', false)",
    "latency_s": "coalesce(latency_s, 'nan'::DOUBLE)",
    "ttft_s": "coalesce(ttft_s, 'nan'::DOUBLE)",
    "input_tokens": "coalesce(input_tokens::DOUBLE, 'nan'::DOUBLE)",
    "output_tokens": "coalesce(output_tokens::DOUBLE, 'nan'::DOUBLE)",
    "cost_usd": "coalesce(cost_usd, 'nan'::DOUBLE)",
}


def _trials(connection: DuckDBPyConnection, run: Run) -> tuple[TrialSample, ...]:
    groups = fetch(
        connection,
        "SELECT suite, target, sum(coalesce(spent_usd, 0) + coalesce(assumed_usd, 0))"
        " FILTER (spent_usd IS NOT NULL OR assumed_usd > 0) AS spent_usd,"
        " sum(saved_usd) AS saved_usd FROM trials WHERE run_id = ? GROUP BY suite, target",
        [run.id],
    )
    classes: dict[tuple[str, str], dict[str, int]] = {}
    for row in fetch(
        connection,
        "SELECT suite, target, coalesce(error_class, 'unknown') AS class, count(*) AS n"
        " FROM trials WHERE run_id = ? AND status = 'error' GROUP BY ALL ORDER BY n DESC, class",
        [run.id],
    ):
        classes.setdefault((row["suite"], row["target"]), {})[row["class"]] = row["n"]
    place = _order(run)
    groups.sort(key=lambda one: (one["suite"], place.get(one["target"], len(place))))
    listed = ", ".join(f"{value} AS {name}" for name, value in _TRIAL_COLUMNS.items())
    found = []
    for group in groups:
        key = (group["suite"], group["target"])
        columns = table(
            connection,
            f"SELECT {listed} FROM trials JOIN numbered USING (suite, case_id)"  # noqa: S608 -- constant expressions
            " WHERE run_id = ? AND suite = ? AND target = ? AND trial < ? ORDER BY number, trial",
            [run.id, *key, CONFIRMING],
        )
        numbers = {name: _thin(_numbers(columns.column(name))) for name in _TRIAL_COLUMNS}
        found.append(TrialSample(**group, **numbers, error_classes=classes.get(key, {})))
    return tuple(found)


def _tags(connection: DuckDBPyConnection, run: Run) -> dict[str, dict[str, Sequence[str | None]]]:
    found: dict[str, dict[str, Sequence[str | None]]] = {}
    for tag in run.slices:
        for row in fetch(
            connection,
            "SELECT suite, list(tags[?] ORDER BY number) AS values FROM numbered GROUP BY suite",
            [tag],
        ):
            found.setdefault(row["suite"], {})[tag] = row["values"]
    return found
