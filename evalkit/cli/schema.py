"""``evalkit schema``: JSON Schemas of the files a user writes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from evalkit.cli.options import AllowCode, ProjectFile, examples, load_plugins, new_app
from evalkit.errors import ExitCode, UnknownName, UsageError

app = new_app()


@app.command(epilog=examples("evalkit schema suite", "evalkit schema --out schemas"))
def schema(
    kind: Annotated[
        str | None,
        typer.Argument(
            metavar="KIND", help="One of project, suite, card, prompt, pairs.", show_default=False
        ),
    ] = None,
    *,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", metavar="DIR", help="Write files here instead.")
    ] = None,
    project: ProjectFile = None,
    allow_code: AllowCode = False,
) -> ExitCode:
    """Write JSON Schemas for editors.

    They know every scorer and kind of target with its parameters. With --allow-code those of the
    project's own Python files are in them too. Put this on the first line of a file, and editors
    complete and check it: # yaml-language-server: $schema=schemas/suite.json
    """
    from evalkit.config.schema import SCHEMA_KINDS, json_schema

    if kind is not None and kind not in SCHEMA_KINDS:
        raise UnknownName("schema", kind, SCHEMA_KINDS)
    if kind is None and out is None:
        raise UsageError(
            "which schema?",
            hint=f"name one of {', '.join(SCHEMA_KINDS)}, or write all: evalkit schema --out DIR",
        )
    if allow_code:
        load_plugins(project)
    kinds = [one for one in SCHEMA_KINDS if kind in {None, one}]
    if out is None:
        typer.echo(json.dumps(json_schema(kinds[0]), indent=2, ensure_ascii=False))
        return ExitCode.PASS
    out.mkdir(parents=True, exist_ok=True)
    for one in kinds:
        path = out / f"{one}.json"
        text = json.dumps(json_schema(one), indent=2, ensure_ascii=False) + "\n"
        path.write_text(text, encoding="utf-8", newline="\n")
        typer.echo(f"wrote {path.as_posix()}")
    return ExitCode.PASS
