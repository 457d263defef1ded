"""Working on a project of strangers: nothing of it is run, and nothing of this machine is read."""

from __future__ import annotations

import os
from typing import Annotated, TypeAlias

import typer

from evalkit.errors import UsageError

Untrusted: TypeAlias = Annotated[
    bool,
    typer.Option(
        "--untrusted",
        help="For changes of strangers: run no code of the project, read no environment.",
    ),
]

_HARMLESS = frozenset(
    {
        *("PATH", "HOME", "TMPDIR", "TEMP", "TMP", "SYSTEMROOT", "LANG", "LC_ALL", "LC_CTYPE"),
        *("TERM", "COLUMNS", "LINES", "NO_COLOR", "PYTHONUTF8", "PYTHONIOENCODING"),
    }
)
"""Where programs and temporary files are, and how to write; nothing of it is a secret."""


def enter(*, untrusted: bool, allow_code: bool = False) -> bool:
    """Empty the environment of this process for good, if that is asked; whether code may run.

    What is gone cannot be read by anything that runs later, whatever a configuration says. An
    ``EVALKIT_ALLOW_CODE`` that was set counts no more. Raises ``UsageError`` for both flags.
    """
    if not untrusted:
        return allow_code
    if allow_code and os.environ.get("EVALKIT_ALLOW_CODE", "") in {"", "0"}:
        raise UsageError(
            "--untrusted runs no code of the project, and --allow-code does",
            hint="leave one of them out",
        )
    kept = {name: value for name, value in os.environ.items() if name in _HARMLESS}
    os.environ.clear()
    os.environ.update(kept)
    return False
