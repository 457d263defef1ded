"""``evalkit runs``: which runs are stored."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Annotated

import typer

from evalkit.cli.options import AsJson, ProjectFile, examples, new_app
from evalkit.cli.stored import emit, open_store, shown_path
from evalkit.errors import ExitCode

if TYPE_CHECKING:
    from evalkit.report.screen import Screen
    from evalkit.store import RunRow

app = new_app()


@app.command(
    epilog=examples(
        "evalkit runs",
        "evalkit runs --limit 5 --json",
    )
)
def runs(
    *,
    limit: Annotated[
        int, typer.Option("--limit", "-n", min=1, help="At most so many, the latest first.")
    ] = 20,
    suite: Annotated[
        str | None, typer.Option("--suite", "-s", help="Only runs of this suite.")
    ] = None,
    project: ProjectFile = None,
    as_json: AsJson = False,
) -> ExitCode:
    """List stored runs, the latest first.

    The score is the mean of the run's first scorer, target by target in the order of the run.
    """
    from evalkit.report.screen import Screen

    store = open_store(project)
    rows = store.runs(limit=limit, suite=suite)
    if as_json:
        emit(json.dumps([_as_json(one) for one in rows], indent=2, ensure_ascii=False) + "\n")
    elif rows:
        emit(_table(rows, Screen.of(sys.stdout)))
    else:
        of = f" of suite {suite!r}" if suite else ""
        typer.echo(f"no runs{of} in {shown_path(store.path)} yet", err=True)
        typer.echo("  make one with: evalkit run", err=True)
    return ExitCode.PASS


def _as_json(row: RunRow) -> dict[str, object]:
    import dataclasses

    value = dataclasses.asdict(row)
    value["started_at"] = row.started_at.isoformat()
    value["finished_at"] = row.finished_at.isoformat() if row.finished_at else None
    value["scores"] = [{"target": name, "mean": mean} for name, mean in row.scores]
    return value


def _table(rows: list[RunRow], screen: Screen) -> str:
    from evalkit.report import words
    from evalkit.report.screen import Column, grid

    def line(text: str) -> str:
        return words.clean(text, lines=False)

    scorers = {one.scorer for one in rows if one.scores}
    same = len(scorers) == 1
    columns = [
        Column(head="run", cells=[one.run_id for one in rows]),
        # the default ids begin with the date, so this goes first
        Column(head="when (UTC)", cells=[words.instant(one.started_at) for one in rows], drop=6),
        Column(head="status", cells=[_status(one) for one in rows]),
        Column(head="suites", cells=[line(", ".join(one.suites)) for one in rows], drop=3),
        Column(head="targets", cells=[line(", ".join(one.targets)) for one in rows], drop=4),
        Column(head="cases", cells=[words.count(one.cases) for one in rows], right=True, drop=2),
        Column(head="trials", cells=[words.count(one.trials) for one in rows], right=True),
        Column(head="errors", cells=[words.count(one.errors) for one in rows], right=True),
        Column(
            head=line(str(scorers.pop())) if same else "score",
            cells=[line(_score(one, named=not same)) for one in rows],
            drop=1,
        ),
        Column(head="cost", cells=[_cost(one) for one in rows], right=True),
        Column(
            head="commit",
            cells=[words.commit(one.git_commit, dirty=one.git_dirty) for one in rows],
            drop=5,
        ),
    ]
    shown = [
        Column(
            head=one.head,
            cells=[screen.say(cell) for cell in one.cells],
            right=one.right,
            drop=one.drop,
        )
        for one in columns
    ]
    return screen.render([grid(shown, screen)])


def _status(row: RunRow) -> str:
    if row.shard:
        return f"{row.status} {row.shard}"
    return str(row.status) if row.kind == "evaluation" else f"{row.status} {row.kind}"


def _score(row: RunRow, *, named: bool) -> str:
    from evalkit.report import words

    if not row.scores:
        return ""
    values = " · ".join(words.quantity(mean) for _, mean in row.scores)
    return f"{row.scorer} {values}" if named else values


def _cost(row: RunRow) -> str:
    from evalkit.report import words

    if row.trials == row.errors and not row.cost_usd:
        return words.NONE
    text = words.money(row.cost_usd)
    if row.cost_usd is not None and row.unpriced:
        return f"≥ {text}"
    # the most that calls can have taken whose tokens nobody told is in it
    return f"≤ {text}" if row.assumed_usd else text
