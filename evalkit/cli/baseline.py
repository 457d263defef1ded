"""``evalkit baseline``: promote a run to what others are measured against."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from evalkit.cli.options import AsJson, ProjectFile, examples, new_app
from evalkit.cli.stored import emit, open_store, print_difference, shown_path
from evalkit.errors import EvalkitError, ExitCode

app = new_app(
    no_args_is_help=True,
    help="Promote, list, show and compare baselines: small hashed files, reviewed in git.",
    epilog=examples("evalkit baseline list"),
)


@app.command(
    epilog=examples("evalkit baseline promote latest --name example --force --reason 'first one'")
)
def promote(
    run: Annotated[str, typer.Argument(help="A run's id or a part of it.")] = "latest",
    *,
    name: Annotated[str, typer.Option(help="Written to baselines/NAME.json.")] = "main",
    reason: Annotated[str, typer.Option(metavar="WORDS", help="Why; needed with --force.")] = "",
    by: Annotated[
        str | None, typer.Option(metavar="NAME", help="Who promotes; git's user.name without.")
    ] = None,
    force: Annotated[
        bool, typer.Option("--force", help="Take a run with failed answers or changed files.")
    ] = False,
    project: ProjectFile = None,
) -> ExitCode:
    """Write a run to baselines/NAME.json, to be reviewed and committed.

    A run that is not complete, has failed or cached answers, or was made from changed files is
    refused, unless it is forced with a reason.
    """
    from evalkit.config import find_project, load_project
    from evalkit.errors import UsageError
    from evalkit.runner.baselines import promote as write

    if not name.replace("-", "").replace("_", "").replace(".", "").isalnum() or name[0] == ".":
        raise UsageError(f"{name!r} cannot be a file's name", hint="letters, digits, '-', '_', '.'")
    found = load_project(find_project(file=project))
    path = found.root / "baselines" / f"{name}.json"
    store = open_store(project)
    replaced = path.exists()
    stored = write(found, store, run, path, by=by, reason=reason, force=force)
    emit(f"{stored.run.id} is the baseline {shown_path(path)}\n")
    if replaced:
        typer.echo(f"it replaces another; see: git diff {shown_path(path)}", err=True)
    typer.echo(
        f"compare the next run with it: evalkit gate --baseline file:baselines/{name}.json",
        err=True,
    )
    return ExitCode.PASS


@app.command("list", epilog=examples("evalkit baseline list"))
def list_(*, project: ProjectFile = None, as_json: AsJson = False) -> ExitCode:
    """List the project's baselines, damaged ones too; exit code 2 says that one is damaged."""
    from evalkit.config import find_project, load_project
    from evalkit.report import words
    from evalkit.report.screen import Column, Screen, grid
    from evalkit.runner.baselines import baseline_files

    found = baseline_files(load_project(find_project(file=project)))
    rows = [_row(path, held) for path, held in found]
    code = ExitCode.USAGE if any(one["problem"] for one in rows) else ExitCode.PASS
    if as_json:
        emit(json.dumps(rows, indent=2, ensure_ascii=False) + "\n")
        return code
    if not rows:
        typer.echo("no baseline yet: evalkit baseline promote", err=True)
        return ExitCode.PASS
    screen = Screen.of(sys.stdout)
    columns = [
        Column(
            head=key,
            cells=[words.clean(str(one[key]), lines=False) for one in rows],
            fold=key == "problem",
        )
        for key in ("name", "run", "started", "commit", "cases", "problem")
    ]
    emit(screen.render([grid(columns, screen)]))
    return code


@app.command("diff", epilog=examples("evalkit baseline diff example latest"))
def diff_(
    name: Annotated[str, typer.Argument(help="The baseline's name, or its file.")] = "main",
    other: Annotated[
        str, typer.Argument(metavar="OTHER", help="A run, or the name of another baseline.")
    ] = "latest",
    *,
    limit: Annotated[int, typer.Option(min=1, help="Cases shown at most.")] = 40,
    project: ProjectFile = None,
    as_json: AsJson = False,
) -> ExitCode:
    """Show what differs between a baseline and a run, or between two baselines, worst first."""
    from evalkit.config import find_project, load_project
    from evalkit.runner.gating import difference

    found, store = load_project(find_project(file=project)), open_store(project)
    if (found.root / "baselines" / f"{other}.json").is_file() or other.endswith(".json"):
        other = f"file:{_file(other)}"
    differs = difference(found, store, f"file:{_file(name)}", other)
    print_difference(store, differs, as_json=as_json, limit=limit)
    return ExitCode.PASS


def _file(name: str) -> Path:
    """The file of a baseline, from the project's root, or as it was typed."""
    return Path(name).absolute() if name.endswith(".json") else Path("baselines") / f"{name}.json"


def _row(path: Path, held: Any) -> dict[str, Any]:
    from evalkit.report import words

    if isinstance(held, EvalkitError):
        empty = dict.fromkeys(("run", "started", "commit"), "")
        return {"name": path.stem, **empty, "cases": 0, "problem": held.what}
    run = held.run
    return {
        "name": path.stem,
        "run": run.id,
        "started": words.instant(run.started_at),
        "commit": "" if run.git is None else words.commit(run.git.commit, run.git.branch),
        "cases": sum(len(one.cases) for one in held.sides.values()),
        "problem": "",
    }


@app.command(epilog=examples("evalkit baseline show example"))
def show(
    name: Annotated[str, typer.Argument(help="Its name, or the path of its file.")] = "main",
    *,
    project: ProjectFile = None,
) -> ExitCode:
    """Print what a baseline holds, without its packed columns, after checking its hash."""
    from evalkit.config import find_project, load_project
    from evalkit.runner.baselines import read_baseline

    root = load_project(find_project(file=project)).root
    path = Path(name) if name.endswith(".json") else root / "baselines" / f"{name}.json"
    read_baseline(path)
    value = json.loads(path.read_text(encoding="utf-8"))
    packed = sum(map(len, value.pop("columns")))
    emit(json.dumps({**value, "columns": f"{packed:,} bytes"}, indent=2, ensure_ascii=False) + "\n")
    return ExitCode.PASS
