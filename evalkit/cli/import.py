"""``evalkit import``: take the bundles of other machines into the store."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from evalkit.cli.options import AsJson, ProjectFile, examples, new_app
from evalkit.errors import ExitCode

app = new_app()


@app.command(
    epilog=examples(
        "evalkit import nightly.zip",
        "evalkit import shards/* --shard",
    )
)
def import_(
    paths: Annotated[
        list[str], typer.Argument(metavar="PATH", help="Bundles that evalkit export wrote.")
    ],
    *,
    shard: Annotated[
        bool, typer.Option("--shard", help="They are shards of one run: join them, as merge does.")
    ] = False,
    partial: Annotated[
        bool, typer.Option("--partial", help="With --shard: join what there is, marked as partial.")
    ] = False,
    project: ProjectFile = None,
    as_json: AsJson = False,
) -> ExitCode:
    """Take bundles into the store, each exactly once: importing again changes nothing.

    A bundle that is damaged, cut, changed, or written by a newer evalkit is refused, and nothing of
    it is stored. Hashes tell damage, not who wrote a bundle: take in what you would trust a report
    of.

    Exit codes: 0 stored, or there already, 2 refused, 4 the store or the place failed.
    """
    from evalkit.cli.joined import show_joined
    from evalkit.cli.stored import emit, open_store
    from evalkit.errors import UsageError
    from evalkit.runner.shards_join import import_bundle, merge

    if partial and not shard:
        raise UsageError("--partial is about shards", hint="add --shard")
    store = open_store(project)
    if shard:
        show_joined(merge(store, paths, partial=partial), as_json=as_json)
        return ExitCode.PASS
    found = []
    for one in paths:
        run_id, now, known = import_bundle(store, one)
        found.append({"bundle": one, "run_id": run_id, "in": now, "known": known})
        if not as_json:
            part = f" as part of run {now}" if now != run_id else ""
            said = f"is in the store already{part}; nothing changed" if known else "is stored"
            typer.echo(f"run {run_id} {said}", err=True)
            emit(f"{now}\n")
    if as_json:
        emit(json.dumps(found, indent=2, ensure_ascii=False) + "\n")
    return ExitCode.PASS
