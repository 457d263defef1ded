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
    from collections.abc import Sequence

    from evalkit.gate.forecast import Forecast
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
    """Show what every gate can see on the cases there are, in each of its groups.

    Below how many cases it can never pass, how often an unchanged candidate passes, the smallest
    drop it catches in 8 of 10 runs; calls, dollars and false alarms of all of them.

    Noise is how often two runs of a case disagree. What stored repeats show is "noise seen", as in
    evalkit gate --self-test; "counted" adds what so few cases cannot show. Without repeats it is
    assumed, and marked with ~.
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


def _noise(rows: Sequence[Forecast]) -> list[str]:
    """Where the noise of the rows is from, and how little that may be."""
    from evalkit.report import words

    found = []
    measured = [one for one in rows if one.measured]
    if measured:
        trials = min(one.trials for one in measured)
        found.append(f"noise is seen in stored repeats, {words.count(trials)} trials of each case")
    if any(one.noise != one.seen for one in measured):
        found.append(
            "where fewer than 20 cases vary, more is counted than is seen: too few to show it all"
        )
    if any(one.noise is not None and not one.measured for one in rows):
        found.append("~ is assumed: no repeat of this run is stored; make one with evalkit run")
    return found


def _text(told: Planned, screen: Screen) -> str:
    from rich.text import Text

    from evalkit.report import words
    from evalkit.report.screen import Column, grid

    rows = told.forecasts

    def line(text: str) -> str:
        return words.clean(text, lines=False)

    def share(value: float | None, mark: str = "") -> str:
        return "" if value is None else f"{mark}{words.number(100 * value, 1)} %"

    def many(value: int | None) -> str:
        return "" if value is None else words.count(value)

    def passes(one: Forecast) -> str:
        return "a fact" if one.kind == "fact" else share(one.power) or words.NONE

    columns = [
        Column(head="suite", cells=[line(one.suite) for one in rows], drop=4),
        Column(head="gate", cells=[line(one.gate) for one in rows]),
        Column(head="group", cells=[line(one.where) for one in rows]),
        Column(head="target", cells=[line(one.target) for one in rows], drop=1),
        Column(head="limit", cells=[one.limit.kind for one in rows]),
        Column(head="cases", cells=[many(one.cases) for one in rows], right=True),
        Column(head="never below", cells=[many(one.never_below) for one in rows], right=True),
        Column(head="8 in 10 from", cells=[many(one.enough) for one in rows], right=True, drop=3),
        Column(head="passes", cells=[passes(one) for one in rows], right=True),
        Column(head="sees a drop of", cells=[share(one.visible) for one in rows], right=True),
        Column(head="noise seen", cells=[share(one.seen) for one in rows], right=True, drop=2),
        Column(
            head="counted",
            cells=[share(one.noise, "" if one.measured else "~") for one in rows],
            right=True,
            drop=2,
        ),
    ]
    if len({one.suite for one in rows}) == 1:
        columns = columns[1:]
    columns = [one for one in columns if any(one.cells) or one.head != "group"]
    parts = [grid(columns, screen)] if rows else [Text("no gate in the suites of this run")]
    notes = [
        line(f"! {one.gate}{f' on {one.target}' if one.target else ''}: {one.note}")
        for one in rows
        if one.note
    ]
    unknown: dict[str, dict[str, None]] = {}
    for one in rows:
        if one.why:
            unknown.setdefault(one.why, {})[line(one.gate)] = None
    notes += [f"{', '.join(gates)}: not forecast, {why}" for why, gates in unknown.items()]
    notes += _noise(rows)
    if any(one.kind == "fact" for one in rows):
        notes.append("a fact is what the run itself shows: chance plays no part")
    cost = words.money(told.cost_usd)
    whole = (
        f"a run such as {told.run} is {words.counted(told.calls, 'call')} and costs {cost};"
        f" of {words.count(told.runs)} gated runs a month at most"
        f" {words.number(told.false_alarms, 1)} fail by chance"
    )
    return screen.render([*parts, "", *map(Text, map(screen.say, [*notes, whole]))])
