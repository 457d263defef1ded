"""The cases that went worst: a ranking picks them, and of these few the texts are read."""

from __future__ import annotations

from collections.abc import Collection, Sequence
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
    groups: dict[tuple[str, str], list[Picked]] = {}
    for one in picked:
        groups.setdefault((one.suite, one.target), []).append(one)
    found = {
        (*group, key): case
        for group, its in groups.items()
        for key, case in _details(connection, [run_id, *group], its).items()
    }
    return [found[one.suite, one.target, one.key] for one in picked]


def _details(
    connection: DuckDBPyConnection, group: Sequence[str], picked: Sequence[Picked]
) -> dict[int, WorstCase]:
    """The picked cases of one target by their keys."""
    keys = ", ".join(str(one.key) for one in picked)
    where = f"WHERE run_id = ? AND suite = ? AND target = ? AND {KEY} IN ({keys})"
    trials = fetch(
        connection,
        f"SELECT {KEY} AS key, rowid, trial, status, case_id, case_name FROM trials {where}",  # noqa: S608 -- constant expressions and whole numbers
        group,
    )
    scores = fetch(
        connection,
        f"SELECT {KEY} AS key, rowid, trial, name, value FROM scores {where} AND status = 'scored'",  # noqa: S608 -- constant expressions and whole numbers
        group,
    )
    found: dict[int, dict[str, Any]] = {}
    for one in picked:
        its = [row for row in trials if row["key"] == one.key]
        failed = [row["rowid"] for row in its if row["status"] == "error"]
        values = [row for row in scores if row["key"] == one.key and row["name"] == one.scorer]
        worst = min(values, key=lambda row: row["value"] * one.sign, default=None)
        answer = [row["rowid"] for row in its if worst and row["trial"] == worst["trial"]]
        found[one.key] = {
            "suite": one.suite,
            "target": one.target,
            "case_id": its[0]["case_id"],
            "case_name": next((row["case_name"] for row in its if row["case_name"]), None),
            "trials": len(its),
            "failed_trials": len(failed),
            "scorer": one.scorer,
            "value": worst and worst["value"],
            "passed": worst and worst["rowid"],
            "reason": worst and worst["rowid"],
            "output": answer[0] if answer else None,
            "error": failed[0] if failed else None,
        }
    for table, column, sql in _TEXTS:
        places = {row[column] for row in found.values() if row[column] is not None}
        texts = _texts(connection, table, sql, places)
        for shown in found.values():
            shown[column] = texts.get(shown[column])
    return {key: WorstCase(**shown) for key, shown in found.items()}


_TEXTS = (
    ("trials", "output", "left(output, 300)"),
    ("trials", "error", "left(concat_ws(': ', error_class, error), 300)"),
    ("scores", "passed", "passed"),
    ("scores", "reason", "left(reason, 300)"),
)
"""What is read of the rows that are shown alone: a text may have any length."""


def _texts(
    connection: DuckDBPyConnection, table: str, sql: str, places: Collection[int]
) -> dict[int | None, Any]:
    if not places:
        return {}
    listed = ", ".join(map(str, sorted(places)))
    select = f"SELECT rowid, {sql} AS it FROM {table} WHERE rowid IN ({listed})"  # noqa: S608 -- our names and whole numbers
    with roomy(connection):
        return {row["rowid"]: row["it"] for row in fetch(connection, select)}
