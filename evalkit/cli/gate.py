"""``evalkit gate``: compare a run with its baseline and judge the gates of its suites."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from evalkit.cli.options import AllowCode, AsJson, ProjectFile, examples, new_app
from evalkit.cli.untrusted import Untrusted
from evalkit.errors import ExitCode, UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from evalkit.config.spec import Project
    from evalkit.model import Run
    from evalkit.store import Store

app = new_app()

Baseline = Annotated[
    str | None,
    typer.Option(
        "--baseline",
        "-b",
        metavar="RUN",
        help="merge-base, rolling, latest~1, run:ID, tag:NAME or file:PATH; as the suite says"
        " without.",
    ),
]
PolicyRef = Annotated[
    str | None,
    typer.Option(
        "--policy-ref",
        metavar="REF",
        help="Gates, queries and baseline files as they are at this branch or commit.",
    ),
]


def _file(what: str) -> typer.models.OptionInfo:
    option: typer.models.OptionInfo = typer.Option(metavar="FILE", help=what)
    return option


@app.command(
    epilog=examples(
        "evalkit gate --baseline latest~1",
        "evalkit gate latest --baseline latest~1 --suite example --json",
        "evalkit gate -b latest~1 --policy-ref HEAD --untrusted",
        "evalkit gate latest~1 --self-test",
        "evalkit gate -b latest~1 --junit reports/gate.xml --markdown reports/gate.md",
    )
)
def gate(
    candidate: Annotated[
        str, typer.Argument(metavar="CANDIDATE", help="A run's id or a part of it; latest.")
    ] = "latest",
    *,
    baseline: Baseline = None,
    policy_ref: PolicyRef = None,
    suite: Annotated[
        list[str] | None,
        typer.Option("--suite", "-s", help="Only the gates of this suite; repeat."),
    ] = None,
    junit: Annotated[Path | None, _file("Also write JUnit XML there.")] = None,
    markdown: Annotated[Path | None, _file("Also write a Markdown comment there.")] = None,
    summary: Annotated[Path | None, _file("Also add the Markdown to that file.")] = None,
    annotations: Annotated[
        Path | None, _file("Also write what GitHub shows beside the suite's lines.")
    ] = None,
    verdict: Annotated[Path | None, _file("Also write the verdict as JSON there.")] = None,
    comment: Annotated[
        Literal["always", "changes"] | None,
        typer.Option(
            help="Write or edit the comment of this pull request; with changes not when all passes"
            " and nothing moved."
        ),
    ] = None,
    page: Annotated[
        str, typer.Option(metavar="URL", help="Where the report is kept: the Markdown links to it.")
    ] = "",
    rescore: Annotated[
        Literal["auto", "judges", "off"],
        typer.Option(
            help="Score the baseline's stored answers again where a scorer changed; judges: also"
            " with those that ask a model, which costs money."
        ),
    ] = "auto",
    self_test: Annotated[
        bool,
        typer.Option(
            "--self-test",
            help="Judge the stored runs of the candidate's very configuration against each other:"
            " how often do the gates fail what did not change?",
        ),
    ] = False,
    untrusted: Untrusted = False,
    allow_code: AllowCode = False,
    project: ProjectFile = None,
    as_json: AsJson = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Print only the verdict.")] = False,
) -> int:
    """Compare a stored run with its baseline and judge the gates of its suites.

    PASS rules a violation out, FAIL shows one, INCONCLUSIVE neither, ERROR could not judge. A gate
    in mode prove must pass, a guard blocks on proof of harm, an advisory one never blocks.

    With --policy-ref a change cannot loosen the gates it is judged by: those of the branch it is
    merged into count, and what it changes of them is said. Waivers are read from there, too.

    With --self-test every FAIL is a false alarm. Their share is shown with its interval beside what
    the gates promise; exit code 1 says that it is shown to be more, 3 that no two runs are stored.

    A load test that is named is judged by the objectives it was made with (evalkit load --slo).

    Exit codes: 0 pass, 1 fail, 2 a mistake in files or flags, 3 could not decide.
    """
    from evalkit.cli.judged import Files, show_verdict
    from evalkit.cli.stored import open_store
    from evalkit.cli.untrusted import enter
    from evalkit.config import find_project, load_project
    from evalkit.runner.gating import judge

    if untrusted and comment is not None:
        raise UsageError(
            "--comment needs a token from the environment, and --untrusted reads none",
            hint="use --summary or --markdown",
        )
    if self_test and (baseline is not None or comment is not None):
        flag = "--baseline" if baseline is not None else "--comment"
        raise UsageError(
            f"{flag} cannot be given with --self-test: runs are judged against each other",
            hint="leave it out",
        )
    if page and not re.fullmatch(r"https?://[\w.~:/?#@!$&'*+,;=%-]+", page, re.ASCII):
        raise UsageError(
            f"--page {page!r} is no address of a page",
            hint="give it whole: --page https://ci.example.org/report.html",
        )
    if comment is not None:
        from evalkit.runner.pull_request import check

        check()
    allow_code = enter(untrusted=untrusted, allow_code=allow_code)
    found = load_project(find_project(file=project), allow_code=allow_code)
    store = open_store(project, allow_code=allow_code)
    if self_test:
        return _self_test(
            found, store, candidate, suite or (), policy_ref=policy_ref or "", as_json=as_json
        )
    load = _load_test(store, candidate)
    if load is not None:
        return _objectives(store, load, as_json=as_json, quiet=quiet)
    judged = judge(
        found,
        store,
        candidate,
        baseline=baseline,
        suites=suite or (),
        policy_ref=policy_ref or "",
        rescore=rescore,
        allow_code=allow_code,
    )
    if (
        baseline is not None
        and judged.baseline is not None
        and judged.baseline.id == judged.candidate.id
    ):
        raise UsageError(
            f"{baseline!r} is the candidate itself",
            hint="make another run first: evalkit run; or name another baseline: evalkit runs",
        )
    files = Files(
        junit=junit,
        markdown=markdown,
        summary=summary,
        annotations=annotations,
        verdict=verdict,
        comment=comment,
        page=page,
    )
    show_verdict(judged, store, files, root=found.root, as_json=as_json, quiet=quiet)
    return judged.verdict.exit_code


def _self_test(
    project: Project,
    store: Store,
    name: str,
    suites: Sequence[str],
    *,
    policy_ref: str,
    as_json: bool,
) -> int:
    import json
    import sys

    from evalkit.cli.stored import emit
    from evalkit.report.screen import Screen
    from evalkit.report.self_test import self_test_json, self_test_text
    from evalkit.runner.self_testing import self_test

    found = self_test(project, store, name, suites=suites, policy_ref=policy_ref)
    emit(
        json.dumps(self_test_json(found), indent=2) + "\n"
        if as_json
        else self_test_text(found, Screen.of(sys.stdout))
    )
    return ExitCode.FAIL if found.meaning == "broken" else ExitCode.PASS


def _load_test(store: Store, name: str) -> Run | None:
    """The load test of this name that has objectives; ``None`` for any other run."""
    from evalkit.model import RunKind

    run = store.load_run(store.resolve(name, kind=RunKind.EVALUATION))
    return run if run.kind is RunKind.LOAD and run.settings.get("objectives") else None


def _objectives(store: Store, run: Run, *, as_json: bool, quiet: bool) -> int:
    """Print a load test with its objectives; what they say is the exit code."""
    from evalkit.cli.stored import print_run
    from evalkit.runner.load import stored_outcome

    code = stored_outcome(store, run).exit_code
    if quiet:
        words = {0: "PASS", 1: "FAIL", 3: "INCONCLUSIVE"}
        typer.echo(f"{words.get(int(code), 'ERROR')}  objectives of {run.id}   exit {int(code)}")
    else:
        print_run(store, run.id, as_json=as_json)
    return code
