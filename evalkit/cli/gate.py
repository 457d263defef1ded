"""``evalkit gate``: compare a run with its baseline and judge the gates of its suites."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Literal

import typer

from evalkit.cli.options import AllowCode, AsJson, ProjectFile, examples, new_app
from evalkit.cli.untrusted import Untrusted
from evalkit.errors import UsageError

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
