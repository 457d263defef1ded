"""Taking runs of others into the store, exactly once: whole ones, and shards joined into one."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from evalkit.errors import UsageError
from evalkit.model import Run
from evalkit.store.access import Access
from evalkit.store.append import insert_rows
from evalkit.store.bundle import run_tables as tables_of
from evalkit.store.bundle_read import Staged
from evalkit.store.events import record
from evalkit.store.reads import single, table
from evalkit.store.rows import rows_of, run_from

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

_COMPARED = ("trials", "scores", "targets", "prompts", "datasets", "scorers")
_OF_THE_RUN = frozenset({"runs", "targets", "prompts", "datasets", "scorers"})
_HISTORY = frozenset({"cases", "events"})


@dataclass(frozen=True, slots=True)
class Part:
    """A run to be joined with others; ``file`` is the store that holds it."""

    run: Run
    file: Path


def take(access: Access, bundle: Staged) -> str:
    """Store the run of a bundle, once; returns the id of the run it is in now.

    That is another one when the run is a shard that was joined with others already. Raises
    ``UsageError`` when the store has a run of that id with other content.
    """
    run_id = bundle.manifest.run_id
    with access.writing() as connection:
        (other,) = _attach(connection, [bundle.file])
        joined = joined_into(connection, run_id)
        if joined is not None:
            return joined
        if single(connection, "SELECT 1 FROM runs WHERE run_id = ?", [run_id]):
            _refuse_different(connection, other, run_id, bundle.shown)
            return run_id
        for name in _copied(connection):
            connection.execute(f'INSERT INTO "{name}" BY NAME SELECT * FROM {other}."{name}"')  # noqa: S608 - our tables
        _add_cases(connection, other)
        run = run_from(connection, run_id)
        assert run is not None
        record(connection, "run.imported", run, {"sha256": bundle.manifest.sha256})
    return run_id


def holds(access: Access, run_id: str) -> bool:
    """Whether the store has a run of that id; a store that is not there yet has none."""
    if not access.path.is_file() or not access.path.stat().st_size:
        return False
    with access.reading() as connection:
        return bool(single(connection, "SELECT 1 FROM runs WHERE run_id = ?", [run_id]))


def joined_run(access: Access, run_id: str) -> str | None:
    """The run that a shard was joined into, if it was."""
    if not access.path.is_file() or not access.path.stat().st_size:
        return None
    with access.reading() as connection:
        return joined_into(connection, run_id)


def joined_into(connection: DuckDBPyConnection, run_id: str) -> str | None:
    """The same on an open store."""
    found = single(
        connection,
        "SELECT run_id FROM runs WHERE json_contains(settings, ?) ORDER BY started_at DESC LIMIT 1",
        [f'{{"joined": ["{run_id}"]}}'],
    )
    return None if found is None else str(found)


def join(
    access: Access, run: Run, parts: Sequence[Part], *, instead_of: Iterable[str] = ()
) -> None:
    """Store ``run`` with the trials of all ``parts``, in one transaction.

    Parts that are in this store are moved: what was spent on a trial is counted once.
    ``instead_of`` are runs that hold some of the same trials and are deleted. Raises ``UsageError``
    when two parts have a trial in common.
    """
    files = sorted({one.file for one in parts} - {access.path})
    with access.writing() as connection:
        source = dict(zip(files, _attach(connection, files), strict=True))
        for old in instead_of:
            _delete(connection, old)
        for name, rows in rows_of(run).items():
            insert_rows(connection, name, rows)
        for one in parts:
            _move(connection, run.id, one.run.id, source.get(one.file))
        again = table(
            connection,
            "SELECT case_id FROM trials WHERE run_id = ? GROUP BY suite, target, case_id, trial"
            " HAVING count(*) > 1",
            [run.id],
        )
        if again.num_rows:
            raise UsageError(
                f"{again.num_rows:,} trials are in more than one shard, such as of case"
                f" {again.column(0)[0].as_py()}",
                hint="name each shard once, all of one run",
            )
        record(connection, "run.joined", run, {"shards": [one.run.id for one in parts]})


def _move(connection: DuckDBPyConnection, new: str, old: str, other: str | None) -> None:
    """Take the trials of a run, and what was noted of them, over into another."""
    at = "" if other is None else f"{other}."
    for name in _copied(connection):
        if name in _OF_THE_RUN or name in _HISTORY:
            continue
        connection.execute(
            f'INSERT INTO "{name}" BY NAME SELECT * REPLACE (? AS run_id) FROM {at}"{name}"'  # noqa: S608 - our tables
            " WHERE run_id = ?",
            [new, old],
        )
    connection.execute(
        "UPDATE runs SET unrecorded_usd = unrecorded_usd + old.usd,"  # noqa: S608 - our tables
        " unrecorded_tokens = unrecorded_tokens + old.tokens FROM (SELECT"
        " coalesce(unrecorded_usd, 0) AS usd, coalesce(unrecorded_tokens, 0) AS tokens"
        f" FROM {at}runs WHERE run_id = ?) AS old WHERE runs.run_id = ?",
        [old, new],
    )
    if other is None:
        _delete(connection, old)
    else:
        _add_cases(connection, other)
        connection.execute(f"INSERT INTO events BY NAME SELECT * FROM {other}.events")  # noqa: S608 - our tables


def _delete(connection: DuckDBPyConnection, run_id: str) -> None:
    """Take a run out, but for what happened to it."""
    for name in _copied(connection):
        if name not in _HISTORY:
            connection.execute(f'DELETE FROM "{name}" WHERE run_id = ?', [run_id])  # noqa: S608 - our tables


def _copied(connection: DuckDBPyConnection) -> list[str]:
    own = single(connection, "SELECT current_database()")
    return [one for one in tables_of(connection, database=own) if one != "cases"]


def _add_cases(connection: DuckDBPyConnection, other: str) -> None:
    """Add cases that are not there; the labels of others stay as the last run here wrote them."""
    connection.execute(
        f"INSERT INTO cases BY NAME FROM {other}.cases AS i ANTI JOIN cases USING (case_id)"
    )


def _refuse_different(connection: DuckDBPyConnection, other: str, run_id: str, shown: str) -> None:
    for name in _COMPARED:
        here = f"SELECT * FROM {name} WHERE run_id = $run"  # noqa: S608 - our tables
        there = f"SELECT * FROM {other}.{name} WHERE run_id = $run"  # noqa: S608 - our tables
        for one, two in ((here, there), (there, here)):
            if table(connection, f"({one}) EXCEPT ({two}) LIMIT 1", {"run": run_id}).num_rows:
                raise UsageError(
                    f"run {run_id} is in the store with other {name}",
                    where=shown,
                    hint="it went on after one of the two was exported; keep the store's, or import"
                    " into another",
                )


def _attach(connection: DuckDBPyConnection, files: Sequence[Path]) -> list[str]:
    """Open other stores beside the own one until the connection is closed; returns their names."""
    names = [f"bundle_{place}" for place in range(len(files))]
    for name, file in zip(names, files, strict=True):
        path = str(file).replace("'", "''")
        connection.execute(f"ATTACH '{path}' AS {name} (READ_ONLY)")
    return names
