"""``evalkit review``: people's judgements, given here or elsewhere."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from evalkit.cli.help import PlainGroup
from evalkit.cli.options import AllowCode, AsJson, ProjectFile, examples, new_app
from evalkit.cli.stored import emit, open_store, shown_path
from evalkit.errors import ExitCode, UsageError
from evalkit.labels import Selection

if TYPE_CHECKING:
    from evalkit.config.spec import Project
    from evalkit.runner.labelling import Labelling
    from evalkit.store import Store

_LABEL = "label"


class RunOrCommand(PlainGroup):
    """``evalkit review RUN`` labels a run; ``evalkit review import`` and the like are commands."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Put the command that labels in front of anything that is no command."""
        if not args or (args[0] not in self.commands and args[0] not in {"-h", "--help"}):
            args = [_LABEL, *args]
        return super().parse_args(ctx, args)


app = new_app(
    cls=RunOrCommand,
    help=(
        "Label answers, one at a time, and take in labels and decisions.\n\nWithout a command:"
        " evalkit review [RUN] shows the answers of a run; see evalkit review label --help."
    ),
    epilog=examples("evalkit review latest --plain", "evalkit review agreement"),
)

As = Annotated[
    str | None, typer.Option("--as", metavar="NAME", help="Who judges; git's user.name without.")
]


@app.command(
    _LABEL,
    epilog=examples(
        "evalkit review latest --scorer contains --plain",
        "evalkit review latest --sample 10 --as Ada --plain",
    ),
)
def label(
    run: Annotated[str, typer.Argument(help="A run's id or a part of it.")] = "latest",
    *,
    suite: Annotated[
        str | None, typer.Option("--suite", "-s", help="Which suite, if the run has several.")
    ] = None,
    scorer: Annotated[
        str | None, typer.Option("--scorer", "-c", help="Ask what this scorer estimates.")
    ] = None,
    question: Annotated[
        str | None, typer.Option(help="Store labels under this name instead.")
    ] = None,
    sample: Annotated[
        int | None, typer.Option(metavar="N", help="Only N answers, spread over the scores.")
    ] = None,
    uncertain: Annotated[
        int | None, typer.Option(metavar="N", help="Only the N answers nearest the threshold.")
    ] = None,
    disagree: Annotated[
        bool, typer.Option("--disagree", help="Only answers on which scorers or people differ.")
    ] = False,
    seed: Annotated[int | None, typer.Option(help="Another order; the same for everyone.")] = None,
    as_: As = None,
    show_scores: Annotated[
        bool, typer.Option("--open", help="Show scores and target before the judgement.")
    ] = False,
    reveal: Annotated[
        bool, typer.Option("--reveal/--no-reveal", help="Show scores once it is judged.")
    ] = True,
    again: Annotated[
        bool, typer.Option("--again", help="Also show what you have judged before.")
    ] = False,
    plain: Annotated[
        bool, typer.Option("--plain", help="Answer line by line, for pipes and screen readers.")
    ] = False,
    allow_code: AllowCode = False,
    project: ProjectFile = None,
) -> ExitCode:
    """Judge the answers of a run: one at a time, scores hidden until you have.

    Keys: p pass, f fail, 1-5 rating, r reason, a/d agree or disagree with a scorer, u undo, s skip,
    b back, q quit, ? help. Every judgement is stored when its key is struck: quit or be cut off
    whenever you like, the same command goes on where you stopped.
    """
    from evalkit.config import find_project, load_project
    from evalkit.report.screen import Screen, flow
    from evalkit.report.words import clean
    from evalkit.runner.audit import acting
    from evalkit.runner.labelling import Labelling
    from evalkit.runner.reviewing import agenda

    if not plain and not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise UsageError(
            "a review takes keys from a terminal, and this is none",
            hint="answer line by line with --plain, or take labels in: evalkit review import FILE",
        )
    found = load_project(find_project(file=project), allow_code=allow_code)
    store = open_store(project, allow_code=allow_code)
    person = acting(found.root, as_)
    plan = agenda(
        found,
        store,
        run,
        suite=suite,
        scorer=scorer,
        question=question,
        sample=sample,
        uncertain=uncertain,
        disagree=disagree,
        seed=seed,
    )
    work = Labelling(
        store=store, agenda=plan, author=person, blind=not show_scores, reveal=reveal, again=again
    )
    total = len(plan.answers)
    facts = [
        clean(plan.suite, lines=False),
        f"run {plan.run.id}",
        f"{total:,} of {plan.of:,} answers",
        f"{work.judged:,} judged by {clean(person, lines=False)}",
    ]
    emit(flow(facts, Screen.of(sys.stdout).width) + "\n")
    try:
        _converse(work, plain=plain)
    finally:
        _record(found, store, work, person)
        _farewell(work)
    return ExitCode.PASS


def _converse(work: Labelling, *, plain: bool) -> None:
    from evalkit.cli.keys import Lines, terminal_keys
    from evalkit.cli.labelled import Conversation

    if plain:
        Conversation(work, Lines()).run()
        return
    with terminal_keys() as keys:
        Conversation(work, keys).run()


def _record(project: Project, store: Store, work: Labelling, person: str) -> None:
    """One event a sitting; the judgements themselves were stored one by one."""
    from evalkit.runner.audit import note

    if work.given:
        note(
            project,
            store,
            "answers.reviewed",
            by=person,
            run_id=work.agenda.run.id,
            suite=work.agenda.suite,
            question=work.agenda.asked.name,
            judgements=work.given,
            selection=str(work.agenda.selection),
        )


def _farewell(work: Labelling) -> None:
    from evalkit.stats.calibration import MIN_LABELS

    left = len(work.agenda.answers) - work.judged
    emit(f"{work.judged:,} judged, {left:,} left\n")
    if left:
        typer.echo("go on where you stopped: the same command", err=True)
    scorer = work.agenda.asked.scorer
    if scorer is not None and (work.judged >= MIN_LABELS or not left):
        typer.echo(f"next: evalkit calibrate {work.agenda.suite} --scorer {scorer}", err=True)


@app.command("import", epilog=examples("evalkit review import labels.csv --question contains"))
def import_(
    file: Annotated[Path, typer.Argument(help="CSV or JSON Lines: case, passed or rating, ...")],
    *,
    run: Annotated[str, typer.Option(help="The run whose answers were judged.")] = "latest",
    suite: Annotated[str | None, typer.Option("--suite", "-s", help="Only of this suite.")] = None,
    question: Annotated[
        str, typer.Option("--question", "-c", help="What was asked: a scorer's name, or any.")
    ] = "answer",
    column: Annotated[
        list[str] | None,
        typer.Option("--column", metavar="FIELD=NAME", help="Which column is what; repeat."),
    ] = None,
    chosen: Annotated[
        Selection, typer.Option(help="How the answers were chosen.")
    ] = Selection.UNKNOWN,
    as_: As = None,
    project: ProjectFile = None,
    as_json: AsJson = False,
) -> ExitCode:
    """Take in labels that were given elsewhere.

    A row names its case by id or name and says passed or rating. It may have reason, author,
    question, suite, target, trial, labelled_at, blind, selection, output and output_hash. A wrong
    row stops the import with its place; the same file twice changes nothing.
    """
    from evalkit.config import find_project, load_project
    from evalkit.report.words import clean
    from evalkit.runner.audit import acting, event
    from evalkit.runner.label_files import Defaults, read_labels

    found = load_project(find_project(file=project))
    store = open_store(project)
    person = acting(found.root, as_)
    columns = dict(map(_pair, column or ()))
    defaults = Defaults(author=person, question=question, suite=suite, selection=chosen)
    read = read_labels(file, store, run, defaults, columns)
    taken = store.add_labels(read.labels)
    if taken.added or taken.changed:
        store.record(
            event(
                found,
                "labels.imported",
                by=person,
                run_id=read.labels[0].run_id,
                file=str(file),
                added=taken.added,
                changed=taken.changed,
            )
        )
    if as_json:
        value = {
            "added": taken.added,
            "changed": taken.changed,
            "known": taken.known,
            "unknown_cases": [{"line": line, "case": case} for line, case in read.unknown],
        }
        emit(json.dumps(value, indent=2, ensure_ascii=False) + "\n")
    else:
        emit(f"{taken.added:,} labels added, {taken.changed:,} changed, {taken.known:,} known\n")
    for line, case in read.unknown[:10]:
        typer.echo(f"warning: {file}:{line}: the run has no case {clean(case)!r}", err=True)
    if len(read.unknown) > 10:
        typer.echo(f"warning: and {len(read.unknown) - 10:,} more unknown cases", err=True)
    return ExitCode.PASS


def _pair(text: str) -> tuple[str, str]:
    name, equals, column = text.partition("=")
    if not equals or not name or not column:
        raise UsageError(f"--column {text!r} maps nothing", hint="as --column case=ticket_id")
    return name.strip(), column


@app.command(
    epilog=examples("evalkit review export", "evalkit review export --out reports/labels.jsonl")
)
def export(
    *,
    suite: Annotated[str | None, typer.Option("--suite", "-s", help="Only of this suite.")] = None,
    out: Annotated[
        Path | None, typer.Option(metavar="FILE", help="To a file, .csv or .jsonl.")
    ] = None,
    project: ProjectFile = None,
    as_json: AsJson = False,
) -> ExitCode:
    """Write people's labels, as evalkit review import reads them; CSV, or JSON Lines by name."""
    from evalkit.report.rows import csv_text, plain_rows

    if out is not None and not out.name.endswith((".csv", ".jsonl")):
        raise UsageError("labels are written as CSV or JSON Lines", hint="name it .csv or .jsonl")
    table = open_store(project).label_table(suite)
    if as_json or (out is not None and out.name.endswith(".jsonl")):
        lines = (json.dumps(row, ensure_ascii=False) + "\n" for row in plain_rows(table))
        text = "".join(lines)
    else:
        text = "".join(csv_text(table))
    if out is None:
        emit(text)
    else:
        out.parent.mkdir(parents=True, exist_ok=True)
        out.write_text(text, encoding="utf-8", newline="")
        typer.echo(f"{table.num_rows:,} labels in {shown_path(out)}", err=True)
    return ExitCode.PASS


@app.command(epilog=examples("evalkit review apply decisions.json --as Ada"))
def apply(
    file: Annotated[Path, typer.Argument(help="The decisions copied out of a report.")],
    *,
    as_: As = None,
    project: ProjectFile = None,
    as_json: AsJson = False,
) -> ExitCode:
    """Record the decisions of a report, and propose flagged cases as golden data.

    Who accepted or flagged what, when and why goes into the audit trail. Flagged cases are appended
    to golden/SUITE.flagged.jsonl, never twice and never over anything: review and commit it.
    """
    from evalkit.config import find_project, load_project
    from evalkit.report.words import counted
    from evalkit.runner.decisions import apply as apply_decisions
    from evalkit.runner.decisions import read_decisions

    found = load_project(find_project(file=project))
    store = open_store(project)
    decisions = read_decisions(file)
    done = apply_decisions(found, store, decisions, by=as_)
    if as_json:
        value = {
            "recorded": done.recorded,
            "known": done.known,
            "proposed": {str(path): count for path, count in done.proposed.items()},
        }
        emit(json.dumps(value, indent=2, ensure_ascii=False) + "\n")
    else:
        emit(f"{counted(done.recorded, 'decision')} recorded, {done.known:,} known already\n")
        for path, count in done.proposed.items():
            emit(f"{shown_path(path)}: {counted(count, 'case')} proposed\n")
    if any(done.proposed.values()):
        typer.echo("review the proposed cases, then commit them", err=True)
    return ExitCode.PASS


@app.command(epilog=examples("evalkit review agreement", "evalkit review agreement example --json"))
def agreement(
    suite: Annotated[str | None, typer.Argument(help="Only of this suite.")] = None,
    *,
    project: ProjectFile = None,
    as_json: AsJson = False,
) -> ExitCode:
    """Show how far people agree with each other and with scorers, beyond chance.

    1 is perfect, 0 chance; intervals are 95 % over answers. Kappa is between two, alpha
    (Krippendorff) between all; ratings are weighted by their distance.
    """
    from dataclasses import asdict

    from evalkit.config import find_project, load_project
    from evalkit.report.calibration import agreement_text
    from evalkit.report.screen import Screen
    from evalkit.runner.calibrating import suite_agreements

    found = load_project(find_project(file=project))
    store = open_store(project)
    rows = suite_agreements(found, store, suite)
    if as_json:
        value = [{"suite": name, **asdict(one)} for name, one in rows]
        emit(json.dumps(value, indent=2, ensure_ascii=False) + "\n")
    elif rows:
        emit(agreement_text(rows, Screen.of(sys.stdout)))
    else:
        typer.echo("no answer was judged by two: evalkit review --as NAME", err=True)
    return ExitCode.PASS
