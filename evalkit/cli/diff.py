"""``evalkit diff``: two runs case by case."""

from __future__ import annotations

from typing import Annotated, Literal

import typer

from evalkit.cli.options import AllowCode, AsJson, ProjectFile, examples, new_app
from evalkit.cli.stored import open_store, print_difference
from evalkit.errors import ExitCode, UsageError

app = new_app()


@app.command(
    epilog=examples(
        "evalkit diff",
        "evalkit diff latest~1 latest --only regressed",
    )
)
def diff(
    baseline: Annotated[
        str, typer.Argument(help="A run's id or a part of it, or file:PATH of a baseline.")
    ] = "latest~1",
    candidate: Annotated[str, typer.Argument(help="The run that may be worse.")] = "latest",
    *,
    only: Annotated[
        Literal["regressed", "improved"] | None, typer.Option(help="Only cases that went so.")
    ] = None,
    limit: Annotated[int, typer.Option(min=1, help="Cases shown at most.")] = 40,
    allow_code: AllowCode = False,
    project: ProjectFile = None,
    as_json: AsJson = False,
) -> ExitCode:
    """Show what differs between two runs, and every case that moved, the worst first.

    Cases are paired by what they ask and expect, never by their row. Of attacks the new, known and
    fixed ones are listed.
    """
    from evalkit.config import find_project, load_project
    from evalkit.runner.gating import difference

    store = open_store(project, allow_code=allow_code)
    found = load_project(find_project(file=project), allow_code=allow_code)
    differs = difference(found, store, baseline, candidate)
    old, new = differs.runs
    if old.id == new.id:
        raise UsageError(
            f"both are the run {new.id}, and nothing of a run differs from itself",
            hint="name two, the older one first: evalkit diff latest~1 latest",
        )
    print_difference(store, differs, as_json=as_json, limit=limit, outcome=only or "")
    return ExitCode.PASS
