"""``evalkit merge``: make one run of the shards that independent jobs ran."""

from __future__ import annotations

from typing import Annotated

import typer

from evalkit.cli.options import AsJson, ProjectFile, examples, new_app
from evalkit.errors import ExitCode

app = new_app()


@app.command(
    epilog=examples(
        "evalkit merge shards/*",
        "evalkit merge shards/* --partial --json",
    )
)
def merge(
    parts: Annotated[
        list[str],
        typer.Argument(metavar="PART", help="Bundles of shards, or shards in the store."),
    ],
    *,
    partial: Annotated[
        bool, typer.Option("--partial", help="Join what there is; the run is marked as partial.")
    ] = False,
    project: ProjectFile = None,
    as_json: AsJson = False,
) -> ExitCode:
    """Join the shards of a run into one: scores, metrics and verdict are as of a single process.

    The shards, each made by evalkit run --shard I/N, must be of the same suites, data, prompts,
    targets, scorers, flags and seed, all there and each once. Shards of the store are moved into
    the run, so nothing is counted twice; merging again changes nothing. A partial run has no
    verdict; evalkit run --resume makes what it lacks.

    Exit codes: 0 stored, or there already, 2 refused, 4 the store failed.
    """
    from evalkit.cli.joined import show_joined
    from evalkit.cli.stored import open_store
    from evalkit.runner.shards_join import merge as join

    store = open_store(project)
    show_joined(join(store, parts, partial=partial), as_json=as_json)
    return ExitCode.PASS
