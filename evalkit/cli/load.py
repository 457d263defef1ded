"""``evalkit load``: how a target holds up under load."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated

import typer

from evalkit.cli.options import AllowCode, AsJson, ProjectFile, dollars, examples, new_app, seconds
from evalkit.errors import UsageError

if TYPE_CHECKING:
    from evalkit.stats.slo import Objective

app = new_app()


@app.command(
    epilog=examples(
        "evalkit load example --target span --rate 20 --duration 2s",
        "evalkit load example --target span --steps 10,20,40 --step-duration 1s --json",
        "evalkit load example --target span --rate 20 --duration 2s --arrivals poisson --seed 7",
        "evalkit load example --target span --ramp 5 --over 1s",
    )
)
def load(
    *,
    suite: Annotated[str, typer.Argument(metavar="SUITE", help="Its cases are what is asked.")],
    target: Annotated[
        str | None, typer.Option("--target", "-t", help="Which target, if the suite has several.")
    ] = None,
    rate: Annotated[float | None, typer.Option(metavar="N", help="Requests a second.")] = None,
    duration: Annotated[
        str | None, typer.Option(metavar="TIME", help="How long at --rate; 30s without.")
    ] = None,
    steps: Annotated[
        str | None, typer.Option(metavar="R1,R2,..", help="Rates one after the other.")
    ] = None,
    step_duration: Annotated[
        str | None, typer.Option(metavar="TIME", help="How long at each of --steps; 10s without.")
    ] = None,
    ramp: Annotated[
        int | None, typer.Option(metavar="N", help="Up to N requests at once, one user each.")
    ] = None,
    over: Annotated[
        str | None,
        typer.Option(metavar="TIME", help="How long --ramp takes to its N; 60s without."),
    ] = None,
    hold: Annotated[
        str | None,
        typer.Option(metavar="TIME", help="How long all users of --ramp stay after that."),
    ] = None,
    arrivals: Annotated[
        str, typer.Option(metavar="constant|poisson", help="Evenly spaced, or at random.")
    ] = "constant",
    slo: Annotated[
        list[str] | None,
        typer.Option(metavar="METRIC=MAX", help="What every step must keep to; repeat."),
    ] = None,
    timeout: Annotated[
        str | None, typer.Option(metavar="TIME", help="Of one request; the target's own without.")
    ] = None,
    seed: Annotated[int | None, typer.Option(min=0, help="Of the order and of arrivals.")] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="Ask only the first N cases.")] = None,
    tags: Annotated[list[str] | None, typer.Option(help="Ask only cases with these tags.")] = None,
    max_requests: Annotated[int, typer.Option(min=1, help="Send no more than N.")] = 50_000,
    max_usd: Annotated[
        float | None,
        typer.Option(
            parser=dollars, metavar="USD", help="Spend no more; 1 where a price is known."
        ),
    ] = None,
    max_in_flight: Annotated[
        int, typer.Option(min=1, help="Stop when N requests wait for an answer.")
    ] = 10_000,
    max_errors: Annotated[
        str,
        typer.Option(
            metavar="SHARE", help="Stop when more than this share of the last 100 failed."
        ),
    ] = "50%",
    yes: Annotated[
        bool, typer.Option("--yes", "-y", help="Yes, load a target that is not on this machine.")
    ] = False,
    offline: Annotated[
        bool,
        typer.Option(
            "--offline",
            envvar="EVALKIT_OFFLINE",
            help="Any connection but to a target on this machine is an error.",
        ),
    ] = False,
    allow_code: AllowCode = False,
    project: ProjectFile = None,
    as_json: AsJson = False,
    no_progress: Annotated[
        bool, typer.Option("--no-progress", help="No lines while it runs.")
    ] = False,
) -> int:
    """Measure how a target holds up under load.

    With --rate and --steps requests are sent when they are due, whatever became of those before,
    and latency counts from that instant: a server that stalls cannot hide it. With --ramp users
    join one after the other and each asks again when it was answered. Every request is sent once,
    without retries and beyond the target's own limits, and stored; nothing is scored.

    Objectives: --slo ttft.p95=500ms, latency.p99=2s, itl.p95=80ms, error.rate=1%. A request that is
    not answered is slower than any that is. Steps in which this process itself was the bottleneck
    are marked and decide nothing.

    Exit codes: 0 done and objectives kept, 1 an objective broken, 2 a mistake in files or flags, 3
    an objective undecided, 4 the target failed, 5 a cap was reached, 130 interrupted.
    """
    import sys

    from evalkit.cli.stored import print_run
    from evalkit.config import find_project, load_project
    from evalkit.offline import offline_if
    from evalkit.runner.load import start_load
    from evalkit.runner.load_options import LoadOptions
    from evalkit.runner.progress import choose_display
    from evalkit.store import Store

    if arrivals not in {"constant", "poisson"}:
        raise UsageError(f"unknown --arrivals {arrivals!r}", hint="write constant or poisson")
    _refuse_apart("--rate", rate, {"--duration": duration})
    _refuse_apart("--steps", steps, {"--step-duration": step_duration})
    _refuse_apart("--ramp", ramp, {"--over": over, "--hold": hold})
    options = LoadOptions(
        suite=suite,
        target=target,
        rate=rate,
        duration_s=seconds("--duration", duration or "30s"),
        steps=_rates(steps),
        step_s=seconds("--step-duration", step_duration or "10s"),
        ramp=ramp,
        over_s=seconds("--over", over or "60s"),
        hold_s=0.0 if hold is None else seconds("--hold", hold),
        arrivals="poisson" if arrivals == "poisson" else "constant",
        seed=seed,
        tags=tuple(tags or ()),
        limit=limit,
        timeout_s=None if timeout is None else seconds("--timeout", timeout),
        objectives=tuple(_objective(one) for one in slo or ()),
        max_requests=max_requests,
        max_usd=max_usd,
        max_in_flight=max_in_flight,
        max_errors=_share("--max-errors", max_errors),
        yes=yes,
        offline=offline,
        allow_code=allow_code,
    )
    with offline_if(offline):
        found = load_project(find_project(file=project), allow_code=allow_code)
        display = choose_display(sys.stderr, lines=not no_progress, notes=True)
        store = Store(found.store, note=display.note)
        outcome = start_load(found, options, store, display=display)
    print_run(store, outcome.run.id, as_json=as_json)
    if outcome.not_live:
        typer.echo(
            f"warning: {outcome.not_live:,} answers were recorded ones: they say nothing about how"
            " fast the target is",
            err=True,
        )
    return outcome.exit_code


def _refuse_apart(flag: str, given: object, its: Mapping[str, str | None]) -> None:
    """Refuse what is about a flag that was not given: it would be left unused without a word."""
    for name, value in its.items():
        if given is None and value is not None:
            raise UsageError(f"{name} is about {flag}", hint=f"add {flag}, or leave {name} out")


def _rates(text: str | None) -> tuple[float, ...]:
    if text is None:
        return ()
    try:
        return tuple(float(one) for one in text.split(","))
    except ValueError:
        raise UsageError(
            f"--steps {text!r}: not a list of numbers", hint="example: --steps 10,50,100"
        ) from None


def _share(flag: str, text: str) -> float:
    number, percent, _ = text.partition("%")
    try:
        value = float(number) / (100 if percent else 1)
    except ValueError:
        value = -1.0
    if not 0 <= value <= 1:
        raise UsageError(f"{flag} {text!r}: not a share", hint="write it as 5% or 0.05")
    return value


def _objective(text: str) -> Objective:
    from evalkit.stats.slo import Objective

    metric, _, limit = text.partition("=")
    try:
        if metric == "error.rate":
            return Objective(metric, _share("--slo error.rate", limit))
        Objective(metric, 0.0)
    except ValueError as error:
        raise UsageError(f"--slo {text!r}: {error}") from None
    return Objective(metric, seconds(f"--slo {metric}", limit))
