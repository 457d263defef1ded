"""``evalkit export``: one run as files that others, and other tools, can read."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from evalkit.cli.options import AsJson, ProjectFile, examples, new_app
from evalkit.errors import ExitCode, UsageError

if TYPE_CHECKING:
    from evalkit.store import Store

app = new_app()

_ROWS = "SELECT * FROM results WHERE run_id = '{run}' ORDER BY ALL"


@app.command(
    epilog=examples(
        "evalkit export",
        "evalkit export latest --to shards/",
        "evalkit export latest --to run.zip",
        "evalkit export latest --csv --to results.csv",
    )
)
def export(
    run: Annotated[
        str, typer.Argument(help="A run's id or a part of it; latest, latest~1, ...")
    ] = "latest",
    *,
    to: Annotated[
        str | None,
        typer.Option(
            metavar="PATH",
            help="A name.zip, or a folder to put the run's folder into; here, as RUN.zip, without.",
        ),
    ] = None,
    as_csv: Annotated[
        bool, typer.Option("--csv", help="Only its scores with their trials, as CSV.")
    ] = False,
    as_json_rows: Annotated[bool, typer.Option("--rows", help="The same as JSON rows.")] = False,
    project: ProjectFile = None,
    as_json: AsJson = False,
) -> ExitCode:
    """Write one run as a bundle: its rows of every table in Parquet, with a manifest of hashes.

    A bundle never changes and the same run gives the same bytes. evalkit import takes it into
    another store, evalkit merge joins bundles of shards, and anything that reads Parquet reads it.
    PATH may be an address such as s3://bucket/runs/ where the package that fsspec needs for it is
    installed.

    Exit codes: 0 written, 2 a mistake in names or flags, 4 the store or the place failed.
    """
    from evalkit.cli.stored import emit, open_store
    from evalkit.runner.shards_join import export_run

    if as_csv and as_json_rows:
        raise UsageError("only one of --csv and --rows can be given", hint="choose one of them")
    store = open_store(project)
    run_id = store.resolve(run)
    if as_csv or as_json_rows:
        _write_rows(store, run_id, to, csv=as_csv)
        return ExitCode.PASS
    place = _place(to, run_id)
    sha256 = export_run(store, run_id, place)
    if as_json:
        value = {"run_id": run_id, "bundle": place, "sha256": sha256}
        emit(json.dumps(value, indent=2, ensure_ascii=False) + "\n")
    else:
        emit(f"{place}\n")
    return ExitCode.PASS


def _place(to: str | None, run_id: str) -> str:
    """A bundle's own name: a file as it was given, a folder within the one that was given."""
    if to is None:
        return f"{run_id}.zip"
    return to if to.endswith(".zip") else f"{to.rstrip('/')}/{run_id}"


def _write_rows(store: Store, run_id: str, to: str | None, *, csv: bool) -> None:
    from evalkit.cli.stored import emit
    from evalkit.report import rows

    found = rows.unique_names(store.query(_ROWS.format(run=run_id.replace("'", "''"))))
    parts = rows.csv_text(found) if csv else rows.json_text(found)
    if to is None:
        for part in parts:
            emit(part)
        return
    path = Path(to)
    if path.is_dir() or not path.parent.is_dir():
        what = "is a folder" if path.is_dir() else "has no folder to be in"
        raise UsageError(f"{to!r} {what}", hint="give the name of a file in a folder")
    with path.open("w", encoding="utf-8", newline="") as out:
        out.writelines(parts)
    typer.echo(f"wrote {found.num_rows:,} rows to {to}", err=True)
