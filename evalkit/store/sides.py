"""The columns a comparison needs, for every suite and target of a run."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

from evalkit.model import CONFIRMING, Run
from evalkit.stats.sides import Side, SideScores
from evalkit.store.arrays import numbers as whole_numbers
from evalkit.store.reads import numbers, table

if TYPE_CHECKING:
    import pyarrow as pa
    from duckdb import DuckDBPyConnection

_NUMBERS = ("latency_s", "ttft_s", "cost_usd", "input_tokens", "output_tokens")

# of tool calls what was called, not the id that each has for itself
_TRIALS = """
SELECT t.suite, t.target, t.case_id, c.input_id, t.case_name, t.status = 'ok' AS ok,
    coalesce(t.provenance = 'live', false) AS live, t.model,
    coalesce(t.latency_s, 'nan') AS latency_s, coalesce(t.ttft_s, 'nan') AS ttft_s,
    coalesce(t.cost_usd, 'nan') AS cost_usd,
    coalesce(t.input_tokens::DOUBLE, 'nan') AS input_tokens,
    coalesce(t.output_tokens::DOUBLE, 'nan') AS output_tokens, t.tags,
    CASE WHEN t.output IS NULL THEN 0
        WHEN t.turns IS NOT NULL THEN md5_number_lower(list_transform(t.turns, lambda one:
            {'said': one.output, 'called':
            list_transform(one.tool_calls, lambda call: [call.name, call.arguments])})::VARCHAR)
        WHEN len(t.tool_calls) > 0 THEN md5_number_lower(t.output ||
            list_transform(t.tool_calls, lambda call: [call.name, call.arguments])::VARCHAR)
        ELSE md5_number_lower(t.output)
    END::UBIGINT AS text
FROM trials AS t LEFT JOIN cases AS c USING (case_id)
WHERE t.run_id = $run AND (t.trial >= $from) = $confirming
ORDER BY t.suite, t.target, t.case_id, t.trial
"""

_SCORES = """
WITH numbered AS (
    SELECT suite, target, case_id, trial,
        row_number() OVER (PARTITION BY suite, target ORDER BY case_id, trial) - 1 AS row
    FROM trials WHERE run_id = $run AND (trial >= $from) = $confirming
)
SELECT s.suite, s.target, s.name, n.row, s.status = 'unscored' AS unscored,
    coalesce(CASE WHEN s.status = 'scored' THEN s.value END, 'nan') AS value,
    CASE WHEN s.status <> 'scored' OR s.passed IS NULL THEN -1
        WHEN s.passed THEN 1 ELSE 0 END::TINYINT AS passed,
    s.stats, coalesce(len(s.stats), 0) AS width, s.models,
    CASE WHEN s.status = 'unscored' THEN left(s.reason, 200) END AS why
FROM scores AS s JOIN numbered AS n USING (suite, target, case_id, trial)
WHERE s.run_id = $run ORDER BY s.suite, s.target, s.name, n.row
"""


def sides(
    connection: DuckDBPyConnection, run: Run, *, confirming: bool = False
) -> dict[tuple[str, str], Side]:
    """The sides of a run by suite and target; of the trials that confirm failures, or without."""
    given = {"run": run.id, "from": CONFIRMING, "confirming": confirming}
    scores = _scores(table(connection, _SCORES, given))
    return {
        (key[0], key[1]): _side(key, run.id, rows, scores.get(key, {}))
        for key, rows in _groups(table(connection, _TRIALS, given), 2)
    }


def _groups(rows: pa.Table, width: int) -> list[tuple[tuple[str, ...], pa.Table]]:
    """Runs of equal values in the first columns, as slices: the rows are sorted by them."""
    import numpy as np

    if not rows.num_rows:
        return []
    codes = np.zeros(rows.num_rows, dtype=np.bool_)
    for place in range(width):
        column = numbers(rows.column(place).combine_chunks().dictionary_encode().indices)
        codes[1:] |= column[1:] != column[:-1]
    starts = [0, *np.flatnonzero(codes).tolist(), rows.num_rows]
    return [
        (
            tuple(str(rows.column(place)[start].as_py()) for place in range(width)),
            rows.slice(start, end - start),
        )
        for start, end in pairwise(starts)
    ]


def _side(key: tuple[str, ...], run_id: str, rows: pa.Table, scores: dict[str, pa.Table]) -> Side:
    import numpy as np

    ids = rows.column("case_id").combine_chunks().dictionary_encode()
    owner = numbers(ids.indices).astype(np.intp)
    first = np.flatnonzero(np.diff(owner, prepend=-1))
    head = rows.select(["input_id", "case_name", "tags"]).take(whole_numbers(first))
    return Side(
        suite=key[0],
        target=key[1],
        runs=(run_id,),
        cases=ids.dictionary.to_pylist(),
        inputs=head.column("input_id").to_pylist(),
        names=head.column("case_name").to_pylist(),
        tags=_tags(head.column("tags").combine_chunks()),
        owner=owner,
        ok=numbers(rows.column("ok")),
        live=numbers(rows.column("live")),
        **{name: numbers(rows.column(name)) for name in _NUMBERS},
        texts=numbers(rows.column("text")),
        models=_counted(rows.column("model")),
        scores={name: _side_scores(one, len(owner)) for name, one in scores.items()},
    )


def _tags(maps: pa.MapArray) -> dict[str, list[str | None]]:
    """The value of every tag in every row of a column of maps, ``None`` where a row has it not."""
    import numpy as np
    import pyarrow as pa
    import pyarrow.compute as pc

    # what Arrow computes with lists it does not with maps
    pairs = maps.cast(pa.list_(pa.struct([("key", pa.string()), ("value", pa.string())])))
    row = numbers(pc.list_parent_indices(pairs))
    entries = pc.list_flatten(pairs)
    names = pc.struct_field(entries, "key").dictionary_encode()
    values = np.array(pc.struct_field(entries, "value").to_pylist(), dtype=object)
    codes = numbers(names.indices)
    found: dict[str, list[str | None]] = {}
    for code, tag in sorted(enumerate(names.dictionary.to_pylist()), key=lambda one: one[1]):
        mine = codes == code
        column = np.full(len(maps), None, dtype=object)
        column[row[mine]] = values[mine]
        found[tag] = column.tolist()
    return found


def _scores(rows: pa.Table) -> dict[tuple[str, ...], dict[str, pa.Table]]:
    found: dict[tuple[str, ...], dict[str, pa.Table]] = {}
    for (suite, target, name), part in _groups(rows, 3):
        found.setdefault((suite, target), {})[name] = part
    return found


def _side_scores(rows: pa.Table, trials: int) -> SideScores:
    import numpy as np
    import pyarrow as pa
    import pyarrow.compute as pc

    at = numbers(rows.column("row")).astype(np.intp)
    values = np.full(trials, np.nan)
    values[at] = numbers(rows.column("value"))
    passed = np.full(trials, -1, dtype=np.int8)
    passed[at] = numbers(rows.column("passed"))
    unscored = np.zeros(trials, dtype=np.bool_)
    unscored[at] = numbers(rows.column("unscored"))
    lengths = numbers(rows.column("width"))
    stats = None
    width = int(lengths.max(initial=0))
    if width and bool(np.isin(lengths, (0, width)).all()):
        stats = np.full((trials, width), np.nan)
        flat = pc.list_flatten(rows.column("stats")).cast(pa.float64())
        stats[at[lengths == width]] = numbers(flat).reshape(-1, width)
    return SideScores(
        values=values,
        passed=passed,
        unscored=unscored,
        stats=stats,
        models=_counted(pc.list_flatten(rows.column("models"))),
        reasons=_counted(rows.column("why")),
    )


def _counted(texts: pa.ChunkedArray) -> dict[str, int]:
    import pyarrow.compute as pc

    found = pc.value_counts(texts.drop_null()).to_pylist()
    return {str(one["values"]): int(one["counts"]) for one in found}
