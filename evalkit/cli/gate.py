"""``evalkit gate``: compare a run with its baseline and judge the gates of its suites."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from evalkit.cli.options import AllowCode, AsJson, ProjectFile, examples, new_app

app = new_app()

Baseline = Annotated[
    str | None,
    typer.Option(
        "--baseline",
        "-b",
        metavar="RUN",
        help="merge-base, latest~1, run:ID, tag:NAME or file:PATH; as the suite says without.",
    ),
]


@app.command(
    epilog=examples(
        "evalkit gate --baseline latest~1",
        "evalkit gate latest --baseline latest~1 --suite example --json",
        "evalkit gate -b latest~1 --junit reports/gate.xml --comment reports/gate.md",
    )
)
def gate(
    candidate: Annotated[
        str, typer.Argument(metavar="CANDIDATE", help="A run's id or a part of it; latest.")
    ] = "latest",
    *,
    baseline: Baseline = None,
    suite: Annotated[
        list[str] | None,
        typer.Option("--suite", "-s", help="Only the gates of this suite; repeat."),
    ] = None,
    junit: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Also write JUnit XML there.")
    ] = None,
    comment: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Also write a Markdown comment there.")
    ] = None,
    allow_code: AllowCode = False,
    project: ProjectFile = None,
    as_json: AsJson = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Print only the verdict.")] = False,
) -> int:
    """Compare a stored run with its baseline and judge the gates of its suites.

    PASS rules a violation out, FAIL shows one, INCONCLUSIVE neither, ERROR could not judge. A gate
    in mode prove must pass, a guard blocks on proof of harm, an advisory one never blocks.

    Exit codes: 0 pass, 1 fail, 2 a mistake in files or flags, 3 could not decide.
    """
    from evalkit.cli.judged import show_verdict
    from evalkit.cli.stored import open_store
    from evalkit.config import find_project, load_project
    from evalkit.runner.gating import judge

    found = load_project(find_project(file=project), allow_code=allow_code)
    store = open_store(project, allow_code=allow_code)
    judged = judge(found, store, candidate, baseline=baseline, suites=suite or ())
    show_verdict(judged, as_json=as_json, quiet=quiet, junit=junit, comment=comment)
    return judged.verdict.exit_code
