"""Putting trials into the store: what is new is added, what was there is replaced by the better."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

from evalkit.store.access import failures
from evalkit.store.arrays import parameter
from evalkit.store.columns import KEY, TrialColumns
from evalkit.store.memory import frugal
from evalkit.store.reads import single, table

if TYPE_CHECKING:
    import pyarrow as pa
    from duckdb import DuckDBPyConnection

    from evalkit.store.block import Blocks

_USING = ", ".join(KEY)
_SPENT = ("spent_usd", "spent_tokens", "assumed_usd", "assumed_tokens")


def insert(connection: DuckDBPyConnection, name: str, rows: pa.Table | pa.RecordBatchReader) -> int:
    """Add rows to one of our tables, columns by name; returns how many."""
    with _registered(connection, "incoming_rows", rows):
        return int(
            single(connection, f"INSERT INTO {name} BY NAME SELECT * FROM incoming_rows")  # noqa: S608 -- one of our tables
        )


def insert_rows(
    connection: DuckDBPyConnection, name: str, rows: Sequence[Mapping[str, Any]]
) -> None:
    """Add the few rows that describe a run to one of our tables, columns by name.

    They are parameters: as columns they would need Arrow, which takes longer to import than a run
    takes to start.
    """
    if not rows:
        return
    row = f"({', '.join('?' * len(rows[0]))})"
    connection.execute(
        f"INSERT INTO {name} ({', '.join(rows[0])}) VALUES {', '.join([row] * len(rows))}",  # noqa: S608 -- our tables and columns
        [parameter(value) for one in rows for value in one.values()],
    )


def append_blocks(connection: DuckDBPyConnection, blocks: Blocks, *, fresh: bool) -> int:
    """Append the blocks at once, or one by one when a trial is in more than one of them.

    In the blocks of a ``fresh`` run none is: nothing is looked for, and little is held. Returns how
    many trials there are.
    """
    if not blocks:
        return 0
    if fresh:
        _insert_cases(connection, blocks.cases())
        added = insert(connection, "trials", blocks.trials())
        insert(connection, "scores", blocks.scores())
        return added
    together = blocks.together()
    with _registered(connection, "incoming_trials", together.trials):
        distinct = single(
            connection,
            f"SELECT count(*) FROM (SELECT DISTINCT {_USING} FROM incoming_trials)",  # noqa: S608 -- constant names
        )
    rows = int(together.trials.num_rows)
    for one in [together] if distinct == rows else blocks.columns():
        append(connection, one)
    return rows


def append(connection: DuckDBPyConnection, columns: TrialColumns) -> None:
    """Store trials with their cases and scores; what they replace goes."""
    rows = columns.trials
    with _registered(connection, "incoming_trials", rows), frugal(connection, rows):
        if single(
            connection,
            f"SELECT count(*) FROM trials SEMI JOIN incoming_trials USING ({_USING})",  # noqa: S608 -- constant names
        ):
            columns = _replace(connection, columns)
    _insert_cases(connection, columns.cases)
    insert(connection, "trials", columns.trials)
    insert(connection, "scores", columns.scores)


@contextmanager
def _registered(
    connection: DuckDBPyConnection, name: str, rows: pa.Table | pa.RecordBatchReader
) -> Iterator[None]:
    connection.register(name, rows)
    try:
        yield
    finally:
        with suppress(*failures()):  # of a failed transaction: what failed is what matters
            connection.unregister(name)


def _replace(connection: DuckDBPyConnection, columns: TrialColumns) -> TrialColumns:
    """Delete the stored trials that the incoming ones replace; drop the incoming that do not.

    An answer replaces a failure and is never replaced by one, whatever the clocks say: they may
    have been set back since. Of two answers, or two failures, the one that began later stays.
    """
    on = " AND ".join(f"t.{name} = i.{name}" for name in KEY)
    connection.execute(
        "CREATE TEMP TABLE newer_stored AS"  # noqa: S608 -- constant names
        f" SELECT {', '.join('t.' + name for name in KEY)} FROM trials AS t"
        f" JOIN incoming_trials AS i ON {on} WHERE (t.status = 'ok', t.started_at)"
        " > (i.status = 'ok', i.started_at)"
    )
    connection.execute(
        "CREATE TEMP TABLE older_stored AS"  # noqa: S608 -- constant names
        f" SELECT {', '.join('t.' + name for name in (*KEY, *_SPENT))},"
        " t.started_at = i.started_at AS same FROM trials AS t"
        f" JOIN incoming_trials AS i ON {on} WHERE (t.status = 'ok', t.started_at)"
        " <= (i.status = 'ok', i.started_at)"
    )
    for name in ("trials", "scores"):
        connection.execute(
            f"DELETE FROM {name} AS t USING incoming_trials AS i WHERE {on}"  # noqa: S608 -- constant names
            f" AND NOT EXISTS (SELECT 1 FROM newer_stored AS n WHERE"
            f" {' AND '.join(f'n.{key} = t.{key}' for key in KEY)})"
        )
    connection.register("incoming_scores", columns.scores)
    trials = table(
        connection,
        f"SELECT i.* REPLACE ({', '.join(map(_added, _SPENT))}) FROM incoming_trials AS i"  # noqa: S608 -- constant names
        f" LEFT JOIN older_stored AS o USING ({_USING}) ANTI JOIN newer_stored USING ({_USING})",
    )
    scores = table(
        connection,
        f"SELECT * FROM incoming_scores ANTI JOIN newer_stored USING ({_USING})",  # noqa: S608 -- constant names
    )
    connection.unregister("incoming_scores")
    connection.execute("DROP TABLE newer_stored")
    connection.execute("DROP TABLE older_stored")
    return TrialColumns(columns.cases, trials, scores)


def _added(name: str) -> str:
    """What an earlier attempt at the trial spent and what this one did; NULL when neither tells.

    A trial that is stored again is the same attempt: it may hold more, from before.
    """
    return (
        f"CASE WHEN o.{name} IS NULL THEN i.{name} WHEN o.same THEN greatest(o.{name}, i.{name})"
        f" ELSE o.{name} + coalesce(i.{name}, 0) END AS {name}"
    )


def _insert_cases(connection: DuckDBPyConnection, cases: pa.Table) -> None:
    with _registered(connection, "incoming_cases", cases):
        # the few that come are what is looked up, not the many that are stored
        with frugal(connection, cases):
            connection.execute(
                "CREATE TEMP TABLE known_cases AS"
                " SELECT case_id FROM cases SEMI JOIN incoming_cases USING (case_id)"
            )
        if single(connection, "SELECT count(*) FROM known_cases"):
            # labels of a case may change without making it another case
            connection.execute(
                "CREATE TEMP TABLE changed_cases AS"
                " SELECT case_id FROM cases JOIN incoming_cases AS i USING (case_id)"
                " WHERE cases.name IS DISTINCT FROM i.name OR cases.tags IS DISTINCT FROM i.tags"
                " OR cases.metadata::VARCHAR IS DISTINCT FROM i.metadata"
                " OR cases.turns::VARCHAR IS DISTINCT FROM i.turns::VARCHAR"
            )
            for name in ("cases", "known_cases"):
                connection.execute(
                    f"DELETE FROM {name} USING changed_cases AS c WHERE {name}.case_id = c.case_id"  # noqa: S608 -- constant names
                )
            connection.execute("DROP TABLE changed_cases")
        connection.execute(
            "INSERT INTO cases BY NAME"
            " SELECT * FROM incoming_cases ANTI JOIN known_cases USING (case_id)"
        )
        connection.execute("DROP TABLE known_cases")
