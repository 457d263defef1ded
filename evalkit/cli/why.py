"""``evalkit why``: one case in two runs, side by side."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Annotated

import typer

from evalkit.cli.options import AllowCode, AsJson, ProjectFile, examples, new_app
from evalkit.cli.stored import emit, open_store
from evalkit.errors import ExitCode, UnknownName

if TYPE_CHECKING:
    from evalkit.model import Trial
    from evalkit.store import Store

app = new_app()


@app.command(
    epilog=examples(
        "evalkit why opening-saturday",
        "evalkit why opening-saturday latest~1 latest --json",
    )
)
def why(
    case: Annotated[str, typer.Argument(help="A case's name or id, or a part of it.")],
    baseline: Annotated[str, typer.Argument(help="A run's id or a part of it.")] = "latest~1",
    candidate: Annotated[str, typer.Argument(help="The run that may be worse.")] = "latest",
    *,
    allow_code: AllowCode = False,
    project: ProjectFile = None,
    as_json: AsJson = False,
) -> ExitCode:
    """Show why a case moved between two runs.

    What was changed of prompt and parameters, the answers word by word, every score before and
    after, and all trials.
    """
    from evalkit.model import RunKind
    from evalkit.report.screen import Screen
    from evalkit.report.why import sides, why_json, why_text
    from evalkit.secrets import redact

    store = open_store(project, allow_code=allow_code)
    old, new = (
        store.load_run(store.resolve(one, kind=RunKind.EVALUATION)) for one in (baseline, candidate)
    )
    after = _trials(store, new.id, case)
    before = _trials(store, old.id, after[0].case.id if after else case)
    if not after and not before:
        store.trial(new.id, case)  # says which names there are
    both = sides(before, after)
    if as_json:
        text = json.dumps(why_json(both, old, new), indent=2, ensure_ascii=False) + "\n"
    else:
        text = why_text(both, old, new, Screen.of(sys.stdout))
    emit(redact(text))
    return ExitCode.PASS


def _trials(store: Store, run_id: str, case: str) -> tuple[Trial, ...]:
    try:
        return store.trial(run_id, case)
    except UnknownName:
        return ()
