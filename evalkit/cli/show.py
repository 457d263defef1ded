"""``evalkit show``: one run, or one case of it."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Annotated

import typer

from evalkit.cli.options import AllowCode, AsJson, ProjectFile, examples, new_app
from evalkit.cli.stored import emit, open_store, print_run
from evalkit.errors import ExitCode, UnknownName, UsageError

if TYPE_CHECKING:
    from evalkit.store import Store

app = new_app()


@app.command(
    epilog=examples(
        "evalkit show",
        "evalkit show latest opening-saturday",
        "evalkit show latest --suite example",
        "evalkit show latest --json",
    )
)
def show(
    run: Annotated[
        str, typer.Argument(help="A run's id or a part of it; latest, latest~1, ...")
    ] = "latest",
    case: Annotated[
        str | None, typer.Argument(help="A case's name or id, or a part of it.")
    ] = None,
    *,
    suite: Annotated[str | None, typer.Option("--suite", "-s", help="Only this suite.")] = None,
    allow_code: AllowCode = False,
    project: ProjectFile = None,
    as_json: AsJson = False,
) -> ExitCode:
    """Show one run, or one case of it.

    A run is shown as it was after it ended: scores with their intervals, latency, cost, slices, the
    worst cases. A case is shown with everything: what was asked, expected and answered, why it was
    scored so, what it took and cost, for every target and trial.
    """
    store = open_store(project, allow_code=allow_code)
    try:
        run_id = store.resolve(run)
    except UnknownName as error:
        if case is None and _is_case(store, run):
            error.hint = f"for the case of that name: evalkit show latest {run}"
        raise
    if case is not None and suite is not None:
        raise UsageError("--suite is for a whole run, not for one case", hint="leave it out")
    if case is None:
        print_run(store, run_id, suite=suite, as_json=as_json)
        return ExitCode.PASS
    from evalkit.report.case import case_json, case_text
    from evalkit.report.screen import Screen

    trials = store.trial(run_id, case)
    if as_json:
        emit(json.dumps(case_json(trials), indent=2, ensure_ascii=False, default=str) + "\n")
    else:
        emit(case_text(trials, Screen.of(sys.stdout)))
    return ExitCode.PASS


def _is_case(store: Store, name: str) -> bool:
    """Whether the latest run has a case of this name, or with it in its name."""
    try:
        store.trial(store.resolve("latest"), name)
    except UsageError:
        return False
    return True
