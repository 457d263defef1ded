"""``evalkit run``: run suites on targets, score and store every answer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from evalkit.cli.options import AllowCode, AsJson, ProjectFile, examples, new_app, seconds
from evalkit.errors import ExitCode, UsageError

if TYPE_CHECKING:
    from evalkit.runner.estimate import Estimate

app = new_app()


@app.command(
    epilog=examples(
        "evalkit run",
        "evalkit run example --target span --limit 5",
        "evalkit run example --tags topic:fees,topic:hours --trials 3",
        "evalkit run example --filter 'library and not name:founder' --json",
        "evalkit run example --max-usd 0.50 --cache write",
        "evalkit run --max-time 30m",
        "evalkit run --dry-run --json",
        "evalkit run --offline",
        "evalkit run --resume latest",
        "evalkit run example --gate --baseline latest",
    )
)
def run(
    *,
    suites: Annotated[
        list[str] | None,
        typer.Argument(metavar="SUITE", help="Names or files of suites; all golden ones without."),
    ] = None,
    target: Annotated[
        list[str] | None,
        typer.Option("--target", "-t", help="Run on this target instead of the suite's; repeat."),
    ] = None,
    trials: Annotated[
        int | None, typer.Option(min=1, max=1000, help="Ask each case so often.")
    ] = None,
    seed: Annotated[int | None, typer.Option(min=0, help="Seed of trials and sample.")] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="At most N cases a suite.")] = None,
    sample: Annotated[
        int | None, typer.Option(min=1, help="N cases a suite, drawn by seed and content.")
    ] = None,
    tags: Annotated[
        list[str] | None,
        typer.Option(help="Cases with these tags: lang:es,lang:en,must_not_fail."),
    ] = None,
    filter: Annotated[
        str, typer.Option(help="Cases with these words: 'refund and not name:draft'.")
    ] = "",
    concurrency: Annotated[
        int | None, typer.Option("--concurrency", "-c", min=1, help="Calls at once, per target.")
    ] = None,
    resume: Annotated[
        str | None, typer.Option(metavar="RUN", help="Make what is missing or failed of a run.")
    ] = None,
    max_usd: Annotated[
        float | None,
        typer.Option("--max-usd", min=0, metavar="USD", help="Spend at most so many dollars."),
    ] = None,
    max_tokens: Annotated[
        int | None, typer.Option("--max-tokens", min=0, help="Spend at most so many tokens.")
    ] = None,
    max_time: Annotated[
        str | None, typer.Option(metavar="TIME", help="Ask for at most so long: 90s, 30m, 2h.")
    ] = None,
    cache: Annotated[
        Literal["off", "read", "write", "refresh"] | None,
        typer.Option(help="Kept answers: read uses them, write also adds, refresh only adds."),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only estimate calls, tokens and dollars.")
    ] = False,
    gate: Annotated[
        bool, typer.Option("--gate", help="Then judge the gates: pass or fail.")
    ] = False,
    baseline: Annotated[
        str | None,
        typer.Option(metavar="RUN", help="What --gate compares with; as the suite says without."),
    ] = None,
    offline: Annotated[
        bool,
        typer.Option(
            "--offline",
            envvar="EVALKIT_OFFLINE",
            help="Any connection but to the run's targets on this machine is an error.",
        ),
    ] = False,
    allow_code: AllowCode = False,
    project: ProjectFile = None,
    as_json: AsJson = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Print only the run's id.")] = False,
    no_progress: Annotated[
        bool, typer.Option("--no-progress", help="No lines while it runs.")
    ] = False,
) -> int:
    """Run suites on targets, score every answer and store it.

    Without SUITE every golden suite runs. A filter is words joined by and, or, not; a word is
    looked for in the case's name, id and inputs, or in one place: name:, id:, expected:,
    inputs.NAME:, tags.NAME:. Ctrl-C keeps every finished answer and says how to continue.

    A budget holds for the whole run, resumed or not: each call reserves the most it can cost before
    it is made. A kept answer costs nothing and says nothing about latency. --max-time counts from
    the first call, each time the run is started: then nothing new is asked, what is finished is
    stored, and a resumed run goes on.

    With --offline targets must be on this machine, datasets come from files or the cache, and
    whatever else in the process asks for a connection gets an error and ends the run with 4; the
    project's own code cannot start programs then, and targets that are programs are refused.

    Exit codes: 0 answered and stored (with --gate: passed), 1 a gate fails, 2 a mistake in files or
    flags, 3 nothing selected or not decided, 4 a target or the store failed, 5 stopped by the
    budget or --max-time, 130 interrupted.
    """
    import sys

    from evalkit.cli.stored import print_run
    from evalkit.config import find_project, load_project
    from evalkit.offline import offline_if
    from evalkit.runner.plan import RunOptions
    from evalkit.runner.progress import choose_display
    from evalkit.runner.session import estimate_run, resume_run, start_run
    from evalkit.secrets import redact
    from evalkit.store import Store

    if resume is not None:
        _refuse_with_resume(
            {
                "SUITE": suites,
                "--target": target,
                "--trials": trials,
                "--seed": seed,
                "--limit": limit,
                "--sample": sample,
                "--tags": tags,
                "--filter": filter,
            }
        )
    if baseline is not None and not gate:
        raise UsageError("--baseline is what --gate compares with", hint="add --gate")
    time_s = None if max_time is None else seconds("--max-time", max_time)
    if time_s == 0:
        raise UsageError("--max-time must be longer than nothing", hint="as 30m")
    with offline_if(offline):
        found = load_project(find_project(file=project), allow_code=allow_code)
        store = Store(found.store)
        if baseline is not None and ":" not in baseline and baseline != "merge-base":
            # "latest" is the run before this one, not this one
            baseline = f"run:{store.resolve(baseline)}"
        display = choose_display(sys.stderr, lines=not (quiet or no_progress), notes=not quiet)
        options = RunOptions(
            suites=tuple(suites or ()),
            targets=tuple(target or ()),
            trials=trials,
            seed=seed,
            tags=tuple(tags or ()),
            filter=filter,
            sample=sample,
            limit=limit,
            concurrency=concurrency,
            allow_code=allow_code,
            offline=offline,
            max_usd=max_usd,
            max_tokens=max_tokens,
            max_time_s=time_s,
            cache=cache,
        )
        if dry_run:
            _print_estimate(estimate_run(found, options, store, resume=resume), as_json=as_json)
            return ExitCode.PASS
        if resume is None:
            outcome = start_run(found, options, store, display=display)
        else:
            outcome = resume_run(found, resume, store, display=display, options=options)
    if quiet:
        typer.echo(outcome.run_id)
    elif not (gate and as_json):
        print_run(store, outcome.run_id, as_json=as_json)
    for line in outcome.lines():
        typer.echo(redact(line), err=True)
    if not gate or outcome.exit_code:
        return outcome.exit_code
    from evalkit.cli.judged import show_verdict
    from evalkit.runner.gating import judge

    judged = judge(found, store, outcome.run_id, baseline=baseline)
    show_verdict(judged, as_json=as_json, quiet=quiet)
    return judged.verdict.exit_code


def _print_estimate(estimate: Estimate, *, as_json: bool) -> None:
    import json

    from evalkit.cli.stored import emit
    from evalkit.secrets import redact

    for text in estimate.warnings:
        typer.echo(redact(f"warning: {text}"), err=True)
    if as_json:
        emit(json.dumps(estimate.to_json(), indent=2, ensure_ascii=False) + "\n")
    else:
        emit(redact("\n".join(estimate.lines())) + "\n")


def _refuse_with_resume(given: Mapping[str, object]) -> None:
    names = [name for name, value in given.items() if value]
    if names:
        raise UsageError(
            f"{names[0]} cannot be given with --resume: a run is continued as it was started",
            hint="leave it out, or start a new run without --resume",
        )
