"""What listings and summaries need, computed where the rows are."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from evalkit.model import CONFIRMING, Run, RunKind, RunStatus
from evalkit.stats.samples import Samples, ScoreSample, TrialSample
from evalkit.store.numbering import KEY, Numbering, in_order, numberings
from evalkit.store.reads import batches, fetch, numbers, table
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
        coalesce(sum(assumed_usd), 0) AS assumed_usd,
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


def samples(connection: DuckDBPyConnection, run: Run) -> Samples:
    """The columns of a run's scores and trials, its slices and its worst cases."""
    numbered = numberings(connection, run.id)
    scores, trials = _scores(connection, run, numbered), _trials(connection, run, numbered)
    return Samples(
        scores=scores,
        trials=trials,
        worst=worst_cases(connection, run, scores, trials, numbered),
        tags=_tags(connection, run, numbered),
    )


def _order(run: Run) -> dict[str, int]:
    return {one.name: place for place, one in enumerate(run.targets)}


def _scores(
    connection: DuckDBPyConnection, run: Run, numbered: Mapping[str, Numbering]
) -> tuple[ScoreSample, ...]:
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
        columns = _score_columns(connection, run.id, group, numbered[group["suite"]])
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
    connection: DuckDBPyConnection, run_id: str, group: dict[str, Any], numbered: Numbering
) -> dict[str, Any]:
    # a query a scorer: all rows at once would need them all at once
    cases, order, columns = _columns(
        connection,
        f"SELECT {KEY} AS key, trial, value AS values, passed, stats"  # noqa: S608 -- constant expressions
        " FROM scores WHERE run_id = ? AND suite = ? AND target = ? AND name = ?"
        " AND status = 'scored' AND trial < ?",
        [run_id, group["suite"], group["target"], group["name"], CONFIRMING],
        numbered,
        stats=_rows_of_numbers,
    )
    stats = columns.pop("stats")
    return {
        "cases": cases,
        **{name: _taken(_joined(parts), order) for name, parts in columns.items()},
        "stats": _joined_rows(stats, order),
    }


def _columns(
    connection: DuckDBPyConnection,
    sql: str,
    parameters: Sequence[Any],
    numbered: Numbering,
    **reads: Callable[[pa.Array], Any],
) -> tuple[Any, Any, dict[str, list[Any]]]:
    """Of rows with a key and a trial: their cases in order, that order, and the other columns.

    The columns come in the order of the store, in parts.
    """
    import numpy as np

    cases, trials = [np.empty(0, dtype=np.int32)], [np.empty(0, dtype=np.int32)]
    found = batches(connection, sql, parameters)
    names = found.schema.names[2:]
    parts: dict[str, list[Any]] = {name: [] for name in names}
    for batch in found:
        cases.append(numbered.of(numbers(batch.column("key"))))
        trials.append(_own(numbers(batch.column("trial"))))
        for name in names:
            parts[name].append(_own(reads.get(name, numbers)(batch.column(name))))
    numbers_of_cases = np.concatenate(cases)
    order = in_order(numbers_of_cases, np.concatenate(trials))
    return numbers_of_cases[order], order, parts


def _own(column: Any) -> Any:
    """The column without the batch it came in, all of which it would keep."""
    return column if isinstance(column, list) else column.copy()


def _joined(parts: list[Any]) -> Any:
    """The parts of a column as one; a list when one of them is."""
    import numpy as np

    if not parts:
        return np.empty(0)
    if any(isinstance(one, list) for one in parts):
        return [
            value for one in parts for value in (one if isinstance(one, list) else one.tolist())
        ]
    return np.concatenate(parts)


def _taken(values: Any, order: Any) -> Any:
    """The values in another order."""
    if isinstance(order, slice):
        return values
    return [values[place] for place in order] if isinstance(values, list) else values[order]


def _rows_of_numbers(lists: pa.ListArray) -> Any:
    """Lists of numbers as the rows of an array, or as lists when they differ in length.

    Counts take two or four bytes each: most of what is kept of a score that has any.
    """
    import numpy as np

    if lists.null_count == len(lists) or not len(lists.values):
        return [None] * len(lists)
    ends = np.frombuffer(lists.offsets.buffers()[1], dtype=np.int32)
    ends = ends[lists.offset : lists.offset + len(lists) + 1]
    lengths = np.diff(ends)
    if lists.null_count or (lengths != lengths[0]).any():
        return lists.to_pylist()
    # flatten() would import all of Arrow's functions, a tenth of a second
    flat = numbers(lists.values.slice(int(ends[0]), int(ends[-1] - ends[0])))
    if isinstance(flat, list):
        return lists.to_pylist()
    for small in (np.int16, np.int32):
        if np.abs(flat).max(initial=0.0) <= np.iinfo(small).max:
            counts = flat.astype(small)
            flat = counts if (counts == flat).all() else flat
            break
    return flat.reshape(len(lists), lengths[0])


def _joined_rows(parts: list[Any], order: Any) -> Any:
    """The rows in their order; those that are there when some are empty."""
    import numpy as np

    if all(isinstance(one, list) and not any(one) for one in parts):
        return np.empty(0)
    widths = {None if isinstance(one, list) else one.shape[1] for one in parts}
    if len(widths) == 1 and None not in widths:
        return np.concatenate(parts)[order]
    rows = [row for one in parts for row in (one if isinstance(one, list) else one.tolist())]
    return [one for one in _taken(rows, order) if one]


def _thin(column: Any) -> Any:
    """The column; one value for all rows of it when nothing in it is known."""
    import numpy as np

    if column.dtype.kind == "f" and len(column) and bool(np.isnan(column).all()):
        return np.broadcast_to(np.nan, len(column))
    return column


_TRIAL_COLUMNS = {
    # NULL becomes NaN on the way to NumPy
    "ok": "status = 'ok'",
    "live": "coalesce(provenance = 'live', false)",
    "latency_s": "coalesce(latency_s, 'nan'::DOUBLE)",
    "ttft_s": "coalesce(ttft_s, 'nan'::DOUBLE)",
    "input_tokens": "coalesce(input_tokens::DOUBLE, 'nan'::DOUBLE)",
    "output_tokens": "coalesce(output_tokens::DOUBLE, 'nan'::DOUBLE)",
    "cost_usd": "coalesce(cost_usd, 'nan'::DOUBLE)",
}


def _trials(
    connection: DuckDBPyConnection, run: Run, numbered: Mapping[str, Numbering]
) -> tuple[TrialSample, ...]:
    groups = fetch(
        connection,
        "SELECT suite, target, sum(coalesce(spent_usd, 0) + coalesce(assumed_usd, 0))"
        " FILTER (spent_usd IS NOT NULL OR assumed_usd > 0) AS spent_usd,"
        " coalesce(sum(assumed_usd), 0) AS assumed_usd,"
        " count(*) FILTER (assumed_usd > 0) AS assumed,"
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
        cases, order, columns = _columns(
            connection,
            f"SELECT {KEY} AS key, trial, {listed} FROM trials"  # noqa: S608 -- constant expressions
            " WHERE run_id = ? AND suite = ? AND target = ? AND trial < ?",
            [run.id, *key, CONFIRMING],
            numbered[group["suite"]],
        )
        values = {name: _thin(_taken(_joined(one), order)) for name, one in columns.items()}
        found.append(
            TrialSample(**group, cases=cases, **values, error_classes=classes.get(key, {}))
        )
    return tuple(found)


def _tags(
    connection: DuckDBPyConnection, run: Run, numbered: Mapping[str, Numbering]
) -> dict[str, dict[str, Sequence[str | None]]]:
    found: dict[str, dict[str, Sequence[str | None]]] = {}
    for tag in run.slices:
        for suite, its in numbered.items():
            columns = table(
                connection,
                f"SELECT {KEY} AS key, arg_max({{'it': tags[?]}}, started_at).it FROM trials"  # noqa: S608 -- constant expressions
                " WHERE run_id = ? AND suite = ? GROUP BY key",
                [tag, run.id, suite],
            )
            values: list[str | None] = [None] * len(its)
            cases = its.of(numbers(columns.column("key"))).tolist()
            for case, value in zip(cases, columns.column(1).to_pylist(), strict=True):
                values[case] = value
            found.setdefault(suite, {})[tag] = values
    return found
