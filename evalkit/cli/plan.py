"""``evalkit plan``: what the gates of the suites can see, before any money is spent."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from evalkit.cli.options import AllowCode, AsJson, ProjectFile, examples, new_app
from evalkit.cli.stored import emit, open_store
from evalkit.errors import ExitCode

if TYPE_CHECKING:
    from evalkit.report.screen import Screen
    from evalkit.runner.planning import Planned

app = new_app()


@app.command(epilog=examples("evalkit plan", "evalkit plan --runs 200 --json"))
def plan(
    run: Annotated[
        str, typer.Argument(help="The stored run whose cases and noise are taken.")
    ] = "latest",
    *,
    runs: Annotated[int, typer.Option(min=1, help="Gated runs a month.")] = 100,
    allow_code: AllowCode = False,
    project: ProjectFile = None,
    as_json: AsJson = False,
) -> ExitCode:
    """Show what every gate can see on the cases there are.

    Below how many cases it can never pass, how often an unchanged candidate passes, the smallest
    drop it catches in 8 of 10 runs; calls, dollars and false alarms of all of them.

    The noise is that of stored repeats of the run; without any it is assumed, and marked with ~.
    """
    from evalkit.config import find_project, load_project
    from evalkit.report.screen import Screen
    from evalkit.runner.planning import planned

    found = load_project(find_project(file=project), allow_code=allow_code)
    told = planned(found, open_store(project, allow_code=allow_code), run, runs=runs)
    if as_json:
        emit(json.dumps(asdict(told), indent=2, ensure_ascii=False) + "\n")
    else:
        emit(_text(told, Screen.of(sys.stdout)))
    return ExitCode.PASS


def _text(told: Planned, screen: Screen) -> str:
    from rich.text import Text

    from evalkit.report import words
    from evalkit.report.screen import Column, grid

    rows = told.forecasts

    def share(value: float | None, mark: str = "") -> str:
        return "" if value is None else f"{mark}{words.number(100 * value, 1)} %"

    def many(value: int | None) -> str:
        return "" if value is None else words.count(value)

    columns = [
        Column(head="gate", cells=[words.clean(one.gate, lines=False) for one in rows]),
        Column(head="target", cells=[words.clean(one.target, lines=False) for one in rows], drop=1),
        Column(head="limit", cells=[one.limit.kind for one in rows]),
        Column(head="cases", cells=[many(one.cases) for one in rows], right=True),
        Column(head="never below", cells=[many(one.never_below) for one in rows], right=True),
        Column(head="8 in 10 from", cells=[many(one.enough) for one in rows], right=True, drop=3),
        Column(head="passes", cells=[share(one.power) for one in rows], right=True),
        Column(head="sees a drop of", cells=[share(one.visible) for one in rows], right=True),
        Column(
            head="noise",
            cells=[share(one.noise, "" if one.measured else "~") for one in rows],
            right=True,
            drop=2,
        ),
    ]
    parts = [grid(columns, screen)] if rows else [Text("no gate in the suites of this run")]
    notes = [f"! {one.gate} on {one.target} {one.note}" for one in rows if one.note]
    cost = words.money(told.cost_usd)
    line = (
        f"a run is {words.counted(told.calls, 'call')} and costs {cost};"
        f" of {words.count(told.runs)} gated runs a month at most"
        f" {words.number(told.false_alarms, 1)} fail by chance"
    )
    return screen.render([*parts, "", *map(Text, map(screen.say, [*notes, line]))])
