"""``evalkit policy``: gates that were written for other tools."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from evalkit.cli.options import AsJson, examples, new_app
from evalkit.cli.stored import emit
from evalkit.errors import ExitCode

app = new_app(
    no_args_is_help=True,
    help="Take over gates that were written for other tools.",
    epilog=examples("evalkit policy import nemo-policy.yaml"),
)


@app.callback()
def _family() -> None:
    """Take over gates that were written for other tools."""


@app.command("import", epilog=examples("evalkit policy import nemo-policy.yaml"))
def import_(
    file: Annotated[Path, typer.Argument(help="A gate policy of NVIDIA NeMo Evaluator (YAML).")],
    *,
    as_json: AsJson = False,
) -> ExitCode:
    """Print the gates of a NeMo Evaluator policy as they are written in a suite.

    A benchmark is a suite here: critical becomes prove, supporting guard, advisory stays. What a
    gate cannot say is named on standard error.
    """
    from evalkit.config.nemo import read_nemo

    found = read_nemo(file)
    if as_json:
        value: dict[str, Any] = {"gates": found.gates, "unsaid": list(found.unsaid)}
        emit(json.dumps(value, indent=2, ensure_ascii=False) + "\n")
        return ExitCode.PASS
    lines = [f"# from {file.name}, policy {found.content_hash[:12]}"]
    for name, gates in found.gates.items():
        lines += ["", f"# suites/{_one_line(name)}.yaml", "gates:"]
        lines += [f"  - {_flow(gate)}" for gate in gates]
    emit("\n".join(lines) + "\n")
    for one in found.unsaid:
        typer.echo(f"not taken over: {_one_line(one)}", err=True)
    return ExitCode.PASS


def _flow(gate: dict[str, Any]) -> str:
    """A gate as a YAML mapping on one line; JSON texts are YAML texts."""
    pairs = (f"{key}: {json.dumps(value, ensure_ascii=False)}" for key, value in gate.items())
    return "{" + ", ".join(pairs) + "}"


def _one_line(text: str) -> str:
    from evalkit.report import words

    return words.clean(text, lines=False)
