"""What listings and summaries need, computed where the rows are."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from evalkit.model import CONFIRMING, Run, RunKind, RunStatus
from evalkit.stats.samples import Samples, ScoreSample, TrialSample, WorstCase
from evalkit.store.reads import fetch, table
from evalkit.store.rows import utc

if TYPE_CHECKING:
    import pyarrow as pa
    from duckdb import DuckDBPyConnection

WORST = 5
"""How many of the worst cases of each target are looked at more closely."""

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
        " - 1 AS number, tags FROM (SELECT suite, case_id, min(case_row) AS case_row,"
        " arg_max(tags, started_at) AS tags FROM trials WHERE run_id = ? GROUP BY suite, case_id)",
        [run.id],
    )
    try:
        return Samples(
            scores=_scores(connection, run),
            trials=_trials(connection, run),
            worst=_worst(connection, run),
            tags=_tags(connection, run),
        )
    finally:
        connection.execute("DROP TABLE numbered")


def _order(run: Run) -> dict[str, int]:
    return {one.name: place for place, one in enumerate(run.targets)}


def _scores(connection: DuckDBPyConnection, run: Run) -> tuple[ScoreSample, ...]:
    columns = table(
        connection,
        """
        SELECT suite, target, name, min(position) AS place,
            list(number ORDER BY number, trial) FILTER (status = 'scored') AS cases,
            list(value ORDER BY number, trial) FILTER (status = 'scored') AS values,
            list(passed ORDER BY number, trial) FILTER (status = 'scored') AS passed,
            list(stats ORDER BY number, trial)
                FILTER (status = 'scored' AND len(stats) > 0) AS stats,
            count(*) FILTER (status = 'unscored') AS unscored,
            count(*) FILTER (status = 'error') AS errors, sum(cost_usd) AS cost_usd
        FROM scores JOIN numbered USING (suite, case_id)
        WHERE run_id = ? AND trial < ? GROUP BY suite, target, name
        """,
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
    found = []
    for row in _columnar(columns):
        key = (row["suite"], row["target"], row["name"])
        found.append(
            (
                (row["suite"], place.get(row["target"], len(place)), row["place"]),
                ScoreSample(
                    suite=row["suite"],
                    target=row["target"],
                    name=row["name"],
                    cases=row["cases"],
                    values=row["values"],
                    passed=row["passed"],
                    stats=row["stats"],
                    unscored=row["unscored"],
                    errors=row["errors"],
                    reasons=tuple(reasons.get(key, ())),
                    cost_usd=row["cost_usd"],
                ),
            )
        )
    return tuple(one for _, one in sorted(found, key=lambda pair: pair[0]))


def _columnar(columns: pa.Table) -> list[dict[str, Any]]:
    """Rows whose lists of numbers are NumPy arrays, not a Python object a number."""
    import numpy as np
    import pyarrow as pa

    rows = []
    for index in range(columns.num_rows):
        row: dict[str, Any] = {}
        for name in columns.column_names:
            cell = columns.column(name)[index]
            if not pa.types.is_list(cell.type):
                row[name] = cell.as_py()
            elif cell.values is None:
                row[name] = np.empty(0)
            elif pa.types.is_list(cell.type.value_type):
                inner = cell.values
                width = len(inner[0]) if len(inner) else 0
                first, last = inner.offsets[0].as_py(), inner.offsets[len(inner)].as_py()
                even = bool(width) and last - first == width * len(inner)
                row[name] = (
                    _numbers(inner.values[first:last]).reshape(len(inner), width)
                    if even
                    else inner.to_pylist()
                )
            else:
                row[name] = _numbers(cell.values)
        rows.append(row)
    return rows


def _numbers(values: pa.Array) -> Any:
    """Numbers or booleans as a NumPy array; a list when there is a NULL among them.

    Arrow's own ``to_numpy`` would import pandas, a fifth of a second.
    """
    import numpy as np
    import pyarrow as pa

    if values.null_count:
        return values.to_pylist()
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


def _trials(connection: DuckDBPyConnection, run: Run) -> tuple[TrialSample, ...]:
    # one order for every list; NULL becomes NaN on the way to NumPy
    lists = {
        "cases": "number",
        "ok": "status = 'ok'",
        "live": "coalesce(provenance = 'live', false)",
        "latency_s": "coalesce(latency_s, 'nan'::DOUBLE)",
        "ttft_s": "coalesce(ttft_s, 'nan'::DOUBLE)",
        "input_tokens": "coalesce(input_tokens::DOUBLE, 'nan'::DOUBLE)",
        "output_tokens": "coalesce(output_tokens::DOUBLE, 'nan'::DOUBLE)",
        "cost_usd": "coalesce(cost_usd, 'nan'::DOUBLE)",
    }
    listed = ", ".join(
        f"list({value} ORDER BY number, trial) FILTER (trial < {CONFIRMING}) AS {name}"
        for name, value in lists.items()
    )
    columns = table(
        connection,
        f"SELECT suite, target, {listed},"  # noqa: S608 -- constant expressions
        " sum(coalesce(spent_usd, 0) + coalesce(assumed_usd, 0))"
        " FILTER (spent_usd IS NOT NULL OR assumed_usd > 0) AS spent_usd,"
        " sum(saved_usd) AS saved_usd FROM trials"
        " JOIN numbered USING (suite, case_id)"
        " WHERE run_id = ? GROUP BY suite, target",
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
    found = [
        TrialSample(**row, error_classes=classes.get((row["suite"], row["target"]), {}))
        for row in _columnar(columns)
    ]
    return tuple(sorted(found, key=lambda one: (one.suite, place.get(one.target, len(place)))))


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


_WORST = """
WITH quality AS (
    SELECT suite, name, direction FROM scorers
    WHERE run_id = $run AND direction <> 'neutral' AND unit = ''
),
per_case AS (
    SELECT s.suite, s.target, s.case_id, s.name, any_value(q.direction) AS direction,
        avg(CASE WHEN q.direction = 'higher' THEN s.value ELSE -s.value END) AS goodness,
        min_by(s.trial, CASE WHEN q.direction = 'higher' THEN s.value ELSE -s.value END) AS trial,
        coalesce(bool_and(s.passed), true) AS passed
    FROM scores AS s JOIN quality AS q USING (suite, name)
    WHERE s.run_id = $run AND s.status = 'scored' GROUP BY ALL
),
ranked AS (
    SELECT *, percent_rank() OVER (PARTITION BY suite, target, name ORDER BY goodness DESC)
        AS badness FROM per_case
),
judged AS (
    SELECT suite, target, case_id, avg(badness) AS badness,
        count(*) FILTER (NOT passed) AS not_passed,
        arg_max(name, badness + CASE WHEN passed THEN 0 ELSE 1 END) AS name,
        arg_max(trial, badness + CASE WHEN passed THEN 0 ELSE 1 END) AS trial
    FROM ranked GROUP BY ALL
),
answered AS (
    SELECT suite, target, case_id, count(*) AS trials,
        count(*) FILTER (status = 'error') AS failed_trials,
        any_value(case_name) AS case_name, min(case_row) AS case_row,
        any_value(left(concat_ws(': ', error_class, error), 300)) FILTER (status = 'error') AS error
    FROM trials WHERE run_id = $run GROUP BY ALL
),
chosen AS (
    SELECT a.*, j.name, j.trial, row_number() OVER (
            PARTITION BY a.suite, a.target
            ORDER BY failed_trials = trials DESC, coalesce(not_passed, 0) DESC,
                coalesce(badness, 0) DESC, case_row, a.case_id
        ) AS place
    FROM answered AS a LEFT JOIN judged AS j USING (suite, target, case_id)
    WHERE failed_trials > 0 OR not_passed > 0 OR badness > 0
)
SELECT c.suite, c.target, c.case_id, c.case_name, c.trials, c.failed_trials, c.name AS scorer,
    s.value, s.passed, left(s.reason, 300) AS reason, left(t.output, 300) AS output, c.error
FROM chosen AS c
LEFT JOIN scores AS s ON s.run_id = $run AND s.suite = c.suite AND s.target = c.target
    AND s.case_id = c.case_id AND s.trial = c.trial AND s.name = c.name
LEFT JOIN trials AS t ON t.run_id = $run AND t.suite = c.suite AND t.target = c.target
    AND t.case_id = c.case_id AND t.trial = c.trial
WHERE c.place <= $count ORDER BY c.suite, c.target, c.place
"""


def _worst(connection: DuckDBPyConnection, run: Run) -> tuple[WorstCase, ...]:
    rows = fetch(connection, _WORST, {"run": run.id, "count": WORST})
    return tuple(WorstCase(**row) for row in rows)
