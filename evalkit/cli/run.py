"""``evalkit run``: run suites on targets, score and store every answer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from evalkit.cli.options import AllowCode, AsJson, ProjectFile, dollars, examples, new_app, seconds
from evalkit.cli.untrusted import Untrusted, enter
from evalkit.errors import ExitCode, UsageError

if TYPE_CHECKING:
    from evalkit.config.spec import Project
    from evalkit.runner.estimate import Estimate
    from evalkit.runner.plan import RunOptions
    from evalkit.runner.progress import Display
    from evalkit.store import Store

app = new_app()
_NAMED = {"merge-base", "rolling"}


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
        "evalkit run example --reference",
        "evalkit run --resume latest",
        "evalkit run example --gate --baseline latest",
        "evalkit run example --shard 1/4",
    )
)
def run(
    *,
    suites: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="SUITE",
            help="Suites by name or file, or a folder in suites/ for all of its suites; without,"
            " all golden ones.",
        ),
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
    shard: Annotated[
        str | None,
        typer.Option(metavar="I/N", help="Only part I of N of the cases, by content; see merge."),
    ] = None,
    tags: Annotated[
        list[str] | None,
        typer.Option(help="Cases with these tags: lang:es,lang:en,must_not_fail; or tags.lang:es."),
    ] = None,
    filter: Annotated[
        str,
        typer.Option(metavar="WORDS", help="Cases with these words: 'refund and not name:draft'."),
    ] = "",
    concurrency: Annotated[
        int | None, typer.Option("--concurrency", "-c", min=1, help="Calls at once, per target.")
    ] = None,
    resume: Annotated[
        str | None, typer.Option(metavar="RUN", help="Make what is missing or failed of a run.")
    ] = None,
    max_usd: Annotated[
        float | None,
        typer.Option(parser=dollars, metavar="USD", help="Spend at most so many dollars."),
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
    engine: Annotated[
        Literal["local", "ray"],
        typer.Option(help="Where trials are made: this process, or a Ray cluster (evalkit[ray])."),
    ] = "local",
    ray_address: Annotated[
        str | None,
        typer.Option(metavar="HOST:PORT", help="The cluster; without, one on this machine."),
    ] = None,
    workers: Annotated[
        int | None, typer.Option(min=1, help="Workers of the cluster; one a core without.")
    ] = None,
    gate: Annotated[
        bool, typer.Option("--gate", help="Then judge the gates: pass or fail.")
    ] = False,
    baseline: Annotated[
        str | None,
        typer.Option(metavar="RUN", help="What --gate compares with; as the suite says without."),
    ] = None,
    policy_ref: Annotated[
        str | None,
        typer.Option(metavar="REF", help="Gates as they are at this branch or commit."),
    ] = None,
    interleave: Annotated[
        bool,
        typer.Option(
            "--interleave",
            help="With --gate: also ask the baseline's targets, side by side, so that a rise of"
            " latency may block.",
        ),
    ] = False,
    untrusted: Untrusted = False,
    offline: Annotated[
        bool,
        typer.Option(
            "--offline",
            envvar="EVALKIT_OFFLINE",
            help="Any connection but to the run's targets on this machine is an error.",
        ),
    ] = False,
    reference: Annotated[
        bool,
        typer.Option("--reference", help="Let rouge-score and sacrebleu score: slow, the same."),
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

    Without SUITE every golden suite runs; attack suites run when they, or the folder they lie in,
    are named. A filter is words joined by and, or, not; a word is
    looked for in the case's name, id and inputs, or in one place: name:, id:, expected:,
    inputs.NAME:, tags.NAME:. Ctrl-C keeps every finished answer and says how to continue.

    With --shard, jobs that know nothing of each other each run a part: flags choose from the whole
    suite first (a sample is that of the whole run), then a case falls to a shard by its content.
    evalkit export and evalkit merge make one run of them.

    With --engine ray, workers of a Ray cluster make the trials: one budget and one rate limit hold
    for all of them, a worker that dies is replaced, and the run is the same as without. It pays for
    scoring that takes much CPU, and for many machines.

    A budget holds for the whole run, resumed or not: each call reserves the most it can cost before
    it is made. A kept answer costs nothing and says nothing about latency. --max-time counts from
    the first call, each time the run is started: then nothing new is asked, what is finished is
    stored, and a resumed run goes on.

    With --offline targets must be on this machine, datasets come from files or the cache, and
    whatever else in the process asks for a connection gets an error and ends the run with 4; the
    project's own code cannot start programs then, and targets that are programs are refused.

    With --reference the libraries themselves compute ROUGE, BLEU, chrF and TER, many times slower;
    evalkit diff then shows that nothing differs.

    Exit codes: 0 answered and stored (with --gate: passed), 1 a gate fails, 2 a mistake in files or
    flags, 3 nothing selected or not decided, 4 a target, a scorer or the store failed, 5 stopped by
    the budget or --max-time, 130 interrupted. A scorer that failed on every answer is left to the
    gates with --gate: to them its metrics are missing.
    """
    import sys

    from evalkit.cli.stored import print_run
    from evalkit.config import find_project, load_project
    from evalkit.model import RunKind
    from evalkit.offline import offline_if
    from evalkit.runner.plan import RunOptions
    from evalkit.runner.progress import choose_display
    from evalkit.runner.session import estimate_run, resume_run, start_run
    from evalkit.runner.shards import Shard
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
                "--shard": shard,
                "--tags": tags,
                "--filter": filter,
                "--interleave": interleave,
                "--reference": reference,
            }
        )
    _refuse_flags_apart(
        gate=gate,
        flags_of_gate={
            "--baseline": baseline is not None,
            "--policy-ref": policy_ref is not None,
            "--interleave": interleave,
        },
        shard=shard,
    )
    if engine == "local" and (ray_address is not None or workers is not None):
        flag = "--workers" if ray_address is None else "--ray-address"
        raise UsageError(f"{flag} is about a cluster", hint="add --engine ray")
    allow_code = enter(untrusted=untrusted, allow_code=allow_code)
    time_s = None if max_time is None else seconds("--max-time", max_time)
    if time_s == 0:
        raise UsageError("--max-time must be longer than nothing", hint="as 30m")
    with offline_if(offline):
        found = load_project(find_project(file=project), allow_code=allow_code)
        display = choose_display(sys.stderr, lines=not (quiet or no_progress), notes=not quiet)
        store = Store(found.store, note=display.note)
        if baseline is not None and ":" not in baseline and baseline not in _NAMED:
            # "latest" is the run before this one, not this one
            baseline = f"run:{store.resolve(baseline, kind=RunKind.EVALUATION)}"
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
            reference=reference,
            max_usd=max_usd,
            max_tokens=max_tokens,
            max_time_s=time_s,
            cache=cache,
            shard=None if shard is None else Shard.parse(shard),
            engine=engine,
            ray_address=ray_address,
            workers=workers,
        )
        if gate:
            from evalkit.runner.before_gate import before_gate

            options = before_gate(
                found,
                store,
                options,
                resume=resume,
                baseline=baseline,
                policy_ref=policy_ref or "",
                interleave=interleave,
                note=display.note,
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
        print_run(store, outcome.run_id, as_json=as_json, busy=display.busy)
    for line in outcome.lines():
        typer.echo(redact(line), err=True)
    if not gate or outcome.made_code:
        return outcome.exit_code
    return _gated(
        found,
        store,
        outcome.run_id,
        options,
        baseline=baseline,
        policy_ref=policy_ref or "",
        display=display,
        as_json=as_json,
        quiet=quiet,
    )


def _refuse_flags_apart(
    *, gate: bool, flags_of_gate: Mapping[str, bool], shard: str | None
) -> None:
    """Refuse what says how to judge without --gate, and --gate for a part of a run."""
    for flag, given in flags_of_gate.items():
        if given and not gate:
            raise UsageError(f"{flag} is for --gate", hint="add --gate")
    if gate and shard is not None:
        raise UsageError(
            "a shard has no verdict: --gate cannot be given with --shard",
            hint="join the shards, then judge the whole: evalkit merge --help",
        )


def _gated(
    project: Project,
    store: Store,
    run_id: str,
    options: RunOptions,
    *,
    baseline: str | None,
    policy_ref: str,
    display: Display,
    as_json: bool,
    quiet: bool,
) -> int:
    """Confirm what failed once where a gate asks for it, judge, and ask on while that is wanted."""
    from evalkit.cli.judged import show_verdict
    from evalkit.runner.confirm import confirm
    from evalkit.runner.extend import extend
    from evalkit.runner.gating import judge
    from evalkit.runner.rules import rules_of
    from evalkit.secrets import redact

    rules = rules_of(project, store.load_run(run_id).suites, policy_ref)
    again = confirm(project, store, run_id, rules, options, display=display)
    if again is not None and again.exit_code:
        for line in again.lines():
            typer.echo(redact(line), err=True)
        return again.exit_code
    ended, asked_more = ExitCode.PASS, again is not None
    while True:
        judged = judge(
            project,
            store,
            run_id,
            baseline=baseline,
            policy_ref=policy_ref,
            allow_code=options.allow_code,
        )
        more = None if ended else extend(project, store, judged.verdict, options, display=display)
        if more is None:
            break
        ended, asked_more = more.made_code, True
        for line in more.lines() if ended else ():
            typer.echo(redact(line), err=True)
    root = project.root
    show_verdict(judged, store, root=root, as_json=as_json, quiet=quiet, rates=asked_more)
    return ended or judged.verdict.exit_code


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
