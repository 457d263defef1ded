"""``evalkit sql``: ask the run store anything."""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from evalkit.cli.options import ProjectFile, examples, new_app
from evalkit.cli.stored import emit, open_store
from evalkit.errors import ExitCode, UsageError

if TYPE_CHECKING:
    import pyarrow as pa

app = new_app()


@app.command(
    epilog=examples(
        'evalkit sql "describe trials"',
        'evalkit sql "SELECT target, scorer, avg(value) FROM results GROUP BY ALL"',
        'evalkit sql "SELECT * FROM runs" --json',
    )
)
def sql(
    query: Annotated[str, typer.Argument(help="One statement that reads; - reads it from stdin.")],
    *,
    as_csv: Annotated[bool, typer.Option("--csv", help="Print CSV.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    parquet: Annotated[
        Path | None, typer.Option("--parquet", metavar="FILE", help="Write a Parquet file.")
    ] = None,
    project: ProjectFile = None,
) -> ExitCode:
    """Query the run store with DuckDB's SQL, for reading only.

    Tables: runs, targets, prompts, datasets, scorers, cases, trials, scores, gates, labels, events,
    load_steps; the view results joins scores with trials, load_trials has the requests of load
    tests. 'describe trials' explains columns. Times are seconds, money is US dollars, NULL is
    unknown. In CSV, text that a spreadsheet would run as a formula has an apostrophe in front.
    """
    if as_csv + as_json + (parquet is not None) > 1:
        raise UsageError(
            "only one of --csv, --json and --parquet can be given", hint="choose one of them"
        )
    from evalkit.report import rows, words

    statement = sys.stdin.read() if query == "-" else query
    found = rows.unique_names(open_store(project).query(statement))
    if parquet is not None:
        _write_parquet(found, parquet)
        typer.echo(f"wrote {found.num_rows:,} rows to {parquet}", err=True)
    elif as_csv or as_json:
        for part in rows.csv_text(found) if as_csv else rows.json_text(found):
            emit(words.clean(part) if sys.stdout.isatty() else part)
    else:
        from evalkit.report.screen import Screen

        emit(rows.table_text(found, Screen.of(sys.stdout)))
        if found.num_rows > rows.SHOWN:
            typer.echo(
                f"{rows.SHOWN:,} of {found.num_rows:,} rows shown; --csv, --json and --parquet"
                " have all",
                err=True,
            )
        elif not found.num_rows:
            typer.echo("no rows", err=True)
    return ExitCode.PASS


def _write_parquet(table: pa.Table, path: Path) -> None:
    """Write beside the file and put it in its place whole, or not at all."""
    import pyarrow.parquet as pq

    if path.is_dir() or not path.parent.is_dir():
        what = "is a folder" if path.is_dir() else "has no folder to be in"
        raise UsageError(f"{str(path)!r} {what}", hint="give the name of a file in a folder")
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    os.close(handle)
    try:
        pq.write_table(table, name)
        Path(name).chmod(0o644)
        Path(name).replace(path)
    finally:
        Path(name).unlink(missing_ok=True)
