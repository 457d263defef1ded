"""How a verdict leaves a command: on standard output, and as the files CI reads."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from evalkit.cli.stored import emit

if TYPE_CHECKING:
    from evalkit.runner.gating import Judged


def show_verdict(
    judged: Judged,
    *,
    as_json: bool = False,
    quiet: bool = False,
    junit: Path | None = None,
    comment: Path | None = None,
) -> None:
    """Print a verdict as text or JSON, and write the files that were asked for."""
    from evalkit.report.screen import Screen
    from evalkit.report.verdict import verdict_text
    from evalkit.report.verdict_files import verdict_json, verdict_junit, verdict_markdown

    runs = {"candidate": judged.candidate, "baseline": judged.baseline}
    if junit is not None:
        _write(junit, verdict_junit(judged.verdict))
    if comment is not None:
        _write(comment, verdict_markdown(judged.verdict, **runs))
    if as_json:
        emit(verdict_json(judged.verdict))
    else:
        emit(verdict_text(judged.verdict, Screen.of(sys.stdout), quiet=quiet, **runs))


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8", newline="\n")
