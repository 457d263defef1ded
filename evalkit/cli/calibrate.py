"""``evalkit calibrate``: hold scorers against people's labels."""

from __future__ import annotations

import json
import sys
from typing import Annotated, Literal

import typer

from evalkit.cli.options import AllowCode, AsJson, ProjectFile, examples, new_app
from evalkit.cli.stored import emit, open_store, shown_path
from evalkit.errors import ExitCode

app = new_app()


@app.command(
    epilog=examples(
        "evalkit calibrate example --scorer contains",
        "evalkit calibrate example --scorer token_f1 --question contains --optimise f1",
        "evalkit calibrate example --scorer contains --threshold 0.5 --dry-run --json",
    )
)
def calibrate(
    suite: Annotated[str, typer.Argument(help="The suite whose labels to use.")],
    *,
    scorer: Annotated[
        list[str] | None,
        typer.Option("--scorer", "-c", help="Only this scorer; repeat. All that estimate without."),
    ] = None,
    question: Annotated[
        str | None,
        typer.Option(help="Use labels that answer this; the scorer's own name without."),
    ] = None,
    optimise: Annotated[
        Literal["balanced", "f1"], typer.Option(help="What the threshold makes largest.")
    ] = "balanced",
    threshold: Annotated[
        float | None, typer.Option(help="Keep this threshold instead of fitting one.")
    ] = None,
    as_: Annotated[str | None, typer.Option("--as", metavar="NAME", help="Who does it.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Write no record.")] = False,
    allow_code: AllowCode = False,
    project: ProjectFile = None,
    as_json: AsJson = False,
) -> ExitCode:
    """Fit a scorer's threshold on people's labels and say how far to trust it.

    Quality is told from labels the threshold was not fitted on. The record in calibration/ belongs
    to the scorer's signature; commit it, and gates decide by its threshold and correct their rates
    by it. Below 20 labels, or 3 of either kind, nothing is said; below 100 gates only warn.

    Exit codes: 0 done, 2 a mistake in files or flags, 3 too few labels.
    """
    from evalkit.config import find_project, load_project
    from evalkit.config.suite import load_suite
    from evalkit.gate.record import to_json
    from evalkit.report.calibration import calibration_text
    from evalkit.report.screen import Screen
    from evalkit.runner import calibrating

    found = load_project(find_project(file=project), allow_code=allow_code)
    name = load_suite(found, suite).name
    store = open_store(project, allow_code=allow_code)
    done = [
        calibrating.calibrate(
            found,
            store,
            name,
            one,
            plugin,
            question=question,
            goal=optimise,
            threshold=threshold,
            by=as_,
            write=not dry_run,
        )
        for one, plugin in calibrating.choose_scorers(store, name, scorer or ())
    ]
    if as_json:
        rows = [{**to_json(one.record), "warnings": one.warnings} for one in done]
        emit(json.dumps(rows, indent=2, ensure_ascii=False) + "\n")
        return ExitCode.PASS
    screen = Screen.of(sys.stdout)
    texts = [
        calibration_text(
            one.record,
            screen,
            path="" if dry_run else shown_path(one.path),
            warnings=one.warnings,
        )
        for one in done
    ]
    emit("\n".join(texts))
    return ExitCode.PASS
