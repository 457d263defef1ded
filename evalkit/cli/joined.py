"""How a run made of shards is announced."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import typer

from evalkit.cli.stored import emit

if TYPE_CHECKING:
    from evalkit.runner.shards_join import Joined


def show_joined(joined: Joined, *, as_json: bool) -> None:
    """Print the id of the run on standard output, and on standard error what it is made of."""
    if as_json:
        value = {
            "run_id": joined.run_id,
            "shards": joined.shards,
            "of": joined.count,
            "missing": list(joined.missing),
            "known": joined.known,
        }
        emit(json.dumps(value, indent=2, ensure_ascii=False) + "\n")
        return
    emit(f"{joined.run_id}\n")
    if joined.known:
        typer.echo("the store has this run already; nothing changed", err=True)
    elif joined.missing:
        lacks = ", ".join(joined.missing)
        typer.echo(
            f"joined {joined.shards} of {joined.count} shards; partial: {lacks} missing or"
            " incomplete",
            err=True,
        )
        typer.echo(f"make the rest with: evalkit run --resume {joined.run_id}", err=True)
    else:
        typer.echo(f"joined {joined.shards} shards; see: evalkit show {joined.run_id}", err=True)
