"""The cases that went worst: a ranking picks them, and of these few the texts are read."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from evalkit.stats.samples import Picked, WorstCase
from evalkit.store.memory import roomy
from evalkit.store.numbering import KEY, Numbering
from evalkit.store.reads import batches, fetch, numbers

if TYPE_CHECKING:
    import numpy.typing as npt
    from duckdb import DuckDBPyConnection

    from evalkit.stats.ranking import Ranking

WORST = 5
"""How many of the worst cases of each target are looked at more closely."""

_DETAILS = """
WITH asked AS (
    SELECT unnest($suites) AS suite, unnest($targets) AS target, unnest($keys) AS key,
        unnest($names) AS name, unnest($signs) AS sign, unnest($places) AS place
),
known AS (
    SELECT DISTINCT suite, case_id, hash(case_id) AS key FROM trials
    WHERE run_id = $run AND hash(case_id) IN (SELECT key FROM asked)
),
chosen AS (SELECT asked.*, case_id FROM asked JOIN known USING (suite, key)),
answered AS (
    SELECT suite, target, case_id, count(*) AS trials,
        count(*) FILTER (status = 'error') AS failed_trials,
        any_value(case_name) AS case_name,
        any_value(left(concat_ws(': ', error_class, error), 300)) FILTER (status = 'error') AS error
    FROM trials SEMI JOIN chosen USING (suite, target, case_id)
    WHERE run_id = $run GROUP BY ALL
),
judged AS (
    SELECT s.suite, s.target, s.case_id, min_by(s.trial, s.value * c.sign) AS trial
    FROM scores AS s JOIN chosen AS c USING (suite, target, case_id, name)
    WHERE s.run_id = $run AND s.status = 'scored' GROUP BY ALL
)
SELECT c.suite, c.target, c.case_id, a.case_name, a.trials, a.failed_trials, c.name AS scorer,
    s.value, s.passed, left(s.reason, 300) AS reason, t.rowid AS output, a.error
FROM chosen AS c JOIN answered AS a USING (suite, target, case_id)
LEFT JOIN judged AS j USING (suite, target, case_id)
LEFT JOIN scores AS s ON s.run_id = $run AND s.suite = c.suite AND s.target = c.target
    AND s.case_id = c.case_id AND s.trial = j.trial AND s.name = c.name
LEFT JOIN trials AS t ON t.run_id = $run AND t.suite = c.suite AND t.target = c.target
    AND t.case_id = c.case_id AND t.trial = j.trial
ORDER BY c.place
"""


_CASES = (
    # ids are hexadecimal; rows of several datasets may have the same place
    f"SELECT {KEY} AS key, coalesce(case_row, 9223372036854775807) AS place,"
    " coalesce(try_cast('0x' || left(case_id, 16) AS UBIGINT), 0) AS tie "
)


def pick(
    connection: DuckDBPyConnection,
    rows: str,
    parameters: Sequence[Any],
    numbering: Numbering,
    ranking: Ranking,
) -> list[tuple[int, str | None, float]]:
    """Of the first few cases of a ranking, the worst first: key, scorer it did worst at, its sign.

    ``rows`` selects the trials of the target; of cases that went equally those come first that do
    in the datasets.
    """
    import numpy as np

    among = ranking.first(WORST)
    if not among.any():
        return []
    best: list[npt.NDArray[Any]] = []
    start = 0
    for batch in batches(connection, _CASES + rows, parameters):
        keys = numbers(batch.column("key"))
        cases = np.asarray(numbering.of(keys, start))
        start += len(keys)
        chosen = np.flatnonzero(among[cases])
        ties = [numbers(batch.column(name))[chosen] for name in ("place", "tie")]
        found = [cases[chosen].astype(np.int64), *ties, keys[chosen]]
        if best:
            found = [np.concatenate(both) for both in zip(best, found, strict=True)]
        order = ranking.order(*found)
        # of several trials of a case the first row is enough
        first = np.sort(np.unique(found[0][order], return_index=True)[1])[:WORST]
        best = [one[order[first]] for one in found]
    return [
        (int(key), *ranking.worst_at(int(case)))
        for case, key in zip(best[0], best[-1], strict=True)
    ]


def worst_cases(
    connection: DuckDBPyConnection, run_id: str, picked: Sequence[Picked]
) -> list[WorstCase]:
    """What is shown of picked cases, in their order."""
    if not picked:
        return []
    rows = fetch(
        connection,
        _DETAILS,
        {
            "run": run_id,
            "suites": [one.suite for one in picked],
            "targets": [one.target for one in picked],
            "keys": [one.key for one in picked],
            "names": [one.scorer for one in picked],
            "signs": [one.sign for one in picked],
            "places": list(range(len(picked))),
        },
    )
    # texts may have any length: only those that are shown are read
    places = ", ".join(str(row["output"]) for row in rows if row["output"] is not None)
    sql = (
        f"SELECT rowid, left(output, 300) AS output FROM trials WHERE rowid IN ({places or 'NULL'})"  # noqa: S608 -- whole numbers
    )
    with roomy(connection):
        texts = {row["rowid"]: row["output"] for row in fetch(connection, sql)}
    return [WorstCase(**{**row, "output": texts.get(row["output"])}) for row in rows]
