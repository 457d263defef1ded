"""``evalkit doctor``: what is wrong before anything is run."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Annotated

import typer

from evalkit.cli.options import AllowCode, AsJson, ProjectFile, examples, new_app
from evalkit.cli.stored import emit
from evalkit.errors import ExitCode, UsageError

if TYPE_CHECKING:
    from evalkit.doctor import Check

app = new_app()


@app.command(
    epilog=examples(
        "evalkit doctor",
        "evalkit doctor --secrets",
        "evalkit doctor --reach --json",
    )
)
def doctor(
    *,
    secrets: Annotated[
        bool, typer.Option("--secrets", help="Search the store and its files for secrets.")
    ] = False,
    env: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME", help="With --secrets: a further variable; repeat."),
    ] = None,
    reach: Annotated[
        bool, typer.Option("--reach", help="Connect to every target, without asking it anything.")
    ] = False,
    allow_code: AllowCode = False,
    project: ProjectFile = None,
    as_json: AsJson = False,
) -> ExitCode:
    """Check the environment, the project, its store, and on request its targets and secrets.

    Nothing is changed and nothing connected to unless --reach asks for it. With --secrets every
    text in the store, and every file beside it and in reports/ and baselines/, is searched for the
    values of the environment variables that the targets refer to as ${env:NAME}: as written, in
    base64, URL-encoded, in hexadecimal, escaped, or cut off.

    Exit codes: 0 all well, or warnings only, 1 a secret was found, 2 a mistake in files or flags, 3
    a variable that must be looked for is not set, 4 the store, the disk or a target failed.
    """
    from evalkit.doctor import examine, exit_code

    if env and not secrets:
        raise UsageError("--env is of use with --secrets only", hint="add --secrets")
    checks = []
    for one in examine(
        project, allow_code=allow_code, look_for_secrets=secrets, names=env or (), connect=reach
    ):
        checks.append(one)
        if not as_json:
            _show(one)
    code = exit_code(checks)
    if as_json:
        emit(_as_json(checks, code))
    return code


def _show(check: Check) -> None:
    from evalkit.report.screen import Screen
    from evalkit.report.words import clean
    from evalkit.secrets import redact

    colours = {"ok": "green", "warning": "yellow", "unknown": "yellow", "failed": "red"}
    state = f"{check.state:<8}"
    if Screen.of(sys.stdout).colour:
        state = typer.style(state, fg=colours[check.state])
    emit(f"{state} {check.name:<12} {clean(redact(check.said), lines=False)}\n")
    for line in check.hint.splitlines():
        emit(f"{'':<8} {'':<12} {clean(redact(line), lines=False)}\n")


def _as_json(checks: list[Check], code: ExitCode) -> str:
    from evalkit.secrets import process_redactor

    value = {
        "exit_code": int(code),
        "checks": [
            {"name": one.name, "state": one.state.value, "said": one.said, "hint": one.hint}
            for one in checks
        ],
    }
    return json.dumps(process_redactor().value(value), indent=2, ensure_ascii=False) + "\n"
