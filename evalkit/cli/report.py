"""``evalkit report``: two runs, or one alone, as one HTML file."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from evalkit.cli.options import AllowCode, AsJson, ProjectFile, examples, new_app
from evalkit.errors import ExitCode, UsageError

app = new_app()


@app.command(
    epilog=examples(
        "evalkit report latest",
        "evalkit report latest~1 latest --out reports/change.html",
        "evalkit report latest --json",
    )
)
def report(
    runs: Annotated[
        list[str] | None,
        typer.Argument(metavar="[BASELINE] CANDIDATE", help="Ids or parts of them; latest~1."),
    ] = None,
    *,
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", metavar="FILE", help="Where; reports/CANDIDATE.html without."),
    ] = None,
    split: Annotated[
        bool, typer.Option("--split", help="Style, script and data as files of their own.")
    ] = False,
    size: Annotated[
        float, typer.Option(min=0.2, metavar="MB", help="Size of the page at the most.")
    ] = 5.0,
    source: Annotated[
        Path | None,
        typer.Option("--from", metavar="FILE", help="Render what --json wrote; needs no store."),
    ] = None,
    allow_code: AllowCode = False,
    project: ProjectFile = None,
    as_json: AsJson = False,
) -> ExitCode:
    """Write what changed between two runs as one HTML file that opens anywhere.

    With one run it shows that run alone; without any, the latest run beside the baseline its suite
    names. The page needs no network, and nothing a model wrote can run in it. --split is for
    servers that forbid scripts inside a page.
    """
    from evalkit.cli.reported import load_view, summary, written

    if source is not None and runs:
        raise UsageError("--from renders a file: it takes no runs", hint="leave one of them out")
    if len(runs or ()) > 2:
        raise UsageError(
            f"a report has two runs at the most, not {len(runs or ())}",
            hint="evalkit report BASELINE CANDIDATE",
        )
    view = load_view(runs or [], source, project, allow_code=allow_code)
    if as_json:
        from evalkit.report.page_json import report_json

        sys.stdout.write(report_json(view))
        return ExitCode.PASS
    path = out or Path("reports") / f"{view.candidate.run_id}.html"
    files = written(view, path, split=split, budget=int(size * 1_000_000))
    typer.echo(summary(view, files))
    return ExitCode.PASS
