"""How a verdict leaves a command: on standard output, in the store, and as the files CI reads."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import typer

from evalkit.cli.stored import emit
from evalkit.errors import InfrastructureError
from evalkit.secrets import redact

if TYPE_CHECKING:
    from evalkit.runner.gating import Judged
    from evalkit.store import Store


@dataclass(frozen=True, slots=True, kw_only=True)
class Files:
    """Where a verdict is also written; ``comment`` is when a pull request gets one.

    ``page`` is the address of the report, if it is kept somewhere.
    """

    junit: Path | None = None
    markdown: Path | None = None
    summary: Path | None = None
    annotations: Path | None = None
    verdict: Path | None = None
    comment: Literal["always", "changes"] | None = None
    page: str = ""


def show_verdict(
    judged: Judged,
    store: Store,
    files: Files = Files(),
    *,
    root: Path,
    as_json: bool = False,
    quiet: bool = False,
    rates: bool = True,
) -> None:
    """Store a verdict, write the files that were asked for, and print it as text or JSON.

    Without ``rates`` the run was printed just before, with the rates of its attacks.
    """
    from evalkit.report.gate_words import name, rule, sentence
    from evalkit.report.screen import Screen
    from evalkit.report.verdict import verdict_text
    from evalkit.report.verdict_comment import verdict_markdown
    from evalkit.report.verdict_files import verdict_annotations, verdict_json, verdict_junit
    from evalkit.runner.remember import remember

    verdict = judged.verdict
    runs = {"candidate": judged.candidate, "baseline": judged.baseline}
    words = [(f"{name(one)} {rule(one)}", sentence(one)) for one in verdict.results]
    unstored = remember(store, verdict, judged.candidate, words)
    if unstored:
        typer.echo(f"warning: {redact(unstored)}", err=True)
    if files.junit is not None:
        _write(files.junit, verdict_junit(verdict))
    if files.verdict is not None:
        _write(files.verdict, verdict_json(verdict))
    if files.annotations is not None:
        places = {
            (spec.name, gate.id): _place(spec.path, root, gate.position)
            for spec in judged.specs
            for gate in spec.gates
        }
        _write(files.annotations, verdict_annotations(verdict, places))
    text = verdict_markdown(verdict, **runs, page=files.page)
    if files.markdown is not None:
        _write(files.markdown, text)
    if files.summary is not None:
        _write(files.summary, text, more=True)
    if as_json:
        emit(redact(verdict_json(verdict)))
    else:
        screen = Screen.of(sys.stdout)
        emit(redact(verdict_text(verdict, screen, quiet=quiet, rates=rates, **runs)))
    if files.comment is not None:
        _comment(judged, redact(text), files.comment)


def _comment(judged: Judged, text: str, when: Literal["always", "changes"]) -> None:
    from evalkit.report.verdict_comment import MARKER, worth_saying
    from evalkit.runner.pull_request import comment

    silent = when == "changes" and not worth_saying(judged.verdict)
    try:
        typer.echo(comment(text, marker=MARKER, only_edit=silent), err=True)
    except InfrastructureError as error:
        # the verdict stands, and its exit code says it
        for place, line in enumerate(error.lines()):
            typer.echo(redact(f"{'  ' if place else 'warning: '}{line}"), err=True)


def _place(path: Path, root: Path, position: object) -> tuple[str, int]:
    """The suite's file as the repository calls it, and the gate's line where that is known."""
    from evalkit.errors import Position
    from evalkit.runner.ancestry import from_top

    shown = from_top(root, path)
    if isinstance(position, Position) and ":" not in str(position.path):
        return shown, position.line
    return shown, 0


def _write(path: Path, text: str, *, more: bool = False) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a" if more else "w", encoding="utf-8", newline="\n") as file:
        file.write(redact(text))
