"""``evalkit init``: a small working project to start from."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from evalkit.cli.options import AsJson, examples, new_app
from evalkit.errors import ExitCode

app = new_app()


@app.command(epilog=examples("evalkit init my-evals", "evalkit init --force"))
def init(
    folder: Annotated[
        Path, typer.Argument(metavar="DIR", help="The folder to write into.", show_default="here")
    ] = Path(),
    *,
    force: Annotated[bool, typer.Option("--force", help="Overwrite files that exist.")] = False,
    as_json: AsJson = False,
) -> ExitCode:
    """Write a small working project.

    It holds two configurations of the embedded reader, a prompt, eight golden cases with their
    card, a suite and a workflow for continuous integration. No key and no network are needed.
    """
    from evalkit.config.scaffold import write_project

    written = [one.relative_to(folder).as_posix() for one in write_project(folder, force=force)]
    inside = folder.absolute() == Path.cwd()
    following = "evalkit run" if inside else f"cd {_quoted(folder)} && evalkit run"
    if as_json:
        typer.echo(json.dumps({"folder": str(folder), "written": written, "next": following}))
        return ExitCode.PASS
    for one in written:
        typer.echo(f"wrote {(folder / one).as_posix()}")
    typer.echo(f"\nnext: {following}")
    return ExitCode.PASS


def _quoted(path: Path) -> str:
    import shlex

    return shlex.quote(str(path))
