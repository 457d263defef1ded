"""Options that several commands share, and how an error is shown."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated, Any, TypeAlias

import typer

from evalkit.cli.help import PlainCommand, PlainGroup
from evalkit.errors import ConfigError, EvalkitError, UsageError
from evalkit.secrets import redact

ProjectFile: TypeAlias = Annotated[
    Path | None,
    typer.Option(
        "--project",
        "-p",
        metavar="FILE",
        help="The evalkit.yaml to use; found upwards when not given.",
    ),
]
AsJson: TypeAlias = Annotated[bool, typer.Option("--json", help="Print JSON on standard output.")]
AllowCode: TypeAlias = Annotated[
    bool,
    typer.Option(
        "--allow-code",
        envvar="EVALKIT_ALLOW_CODE",
        help="Let the project's own code and programs run.",
    ),
]


class _App(typer.Typer):
    def command(self, name: str | None = None, **attrs: Any) -> Any:
        return super().command(name, cls=PlainCommand, **attrs)


def new_app(**attrs: Any) -> typer.Typer:
    """An app for one command or one family of commands, all alike."""
    return _App(
        rich_markup_mode=None,
        add_completion=False,
        pretty_exceptions_enable=False,
        **{"cls": PlainGroup, **attrs},
    )


def examples(*lines: str) -> str:
    """The end of a command's help; a test runs every line after ``evalkit init``."""
    # the first character keeps the lines of the paragraph as they are
    return "\b\nExamples:\n" + "\n".join(f"  $ {line}" for line in lines)


def load_plugins(project: Path | None) -> None:
    """Run the Python files a project names, so that what they declare is known.

    Nothing happens outside of any project. Raises ``ConfigError`` for a project that is broken, or
    that was named and is not there.
    """
    from evalkit.config import find_project, load_project

    try:
        path = find_project(file=project)
    except ConfigError:
        if project is not None:
            raise
        return
    load_project(path, allow_code=True)


def dollars(text: str) -> float:
    """An amount given to a flag, with or without the sign that files have, in US dollars."""
    try:
        value = float(text.removeprefix("$"))
    except ValueError:
        value = -1.0
    if not 0 <= value < float("inf"):
        raise typer.BadParameter("must be an amount of US dollars, as 5 or 0.50")
    return value


def seconds(flag: str, text: str) -> float:
    """A duration given to a flag, in seconds."""
    from evalkit.config.target import seconds as read

    try:
        return read(text)
    except ValueError as error:
        raise UsageError(f"{flag} {text!r}: {error}") from None


def show_error(error: EvalkitError) -> None:
    """Print what, where and what to do on standard error; red on a terminal that wants colour."""
    # a message may quote what a server or a file said
    what, *rest = map(redact, error.lines())
    colour = sys.stderr.isatty() and "NO_COLOR" not in os.environ
    typer.echo(
        typer.style("error: ", fg="red", bold=True) + what if colour else f"error: {what}", err=True
    )
    for line in rest:
        typer.echo(f"  {line}", err=True)
