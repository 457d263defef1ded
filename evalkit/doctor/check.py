"""The result of one check, and what all of them mean for the shell."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from evalkit.errors import EvalkitError, ExitCode


class State(StrEnum):
    """How a check ended; ``unknown`` means that it could not be decided, which is no pass."""

    OK = "ok"
    WARNING = "warning"
    UNKNOWN = "unknown"
    FAILED = "failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One thing that was looked at: what was found, and what to do about it.

    ``code`` is what a failed or undecided check ends the process with.
    """

    name: str
    state: State
    said: str
    hint: str = ""
    code: ExitCode = ExitCode.PASS


def ok(name: str, said: str) -> Check:
    """All is well."""
    return Check(name=name, state=State.OK, said=said)


def warning(name: str, said: str, hint: str = "") -> Check:
    """Something will get in the way of some runs, not of all."""
    return Check(name=name, state=State.WARNING, said=said, hint=hint)


def failed(name: str, error: EvalkitError) -> Check:
    """What an error of evalkit says, with its place."""
    where = "" if error.where is None else f" ({error.where})"
    return Check(
        name=name,
        state=State.FAILED,
        said=f"{error.what}{where}",
        hint=error.hint,
        code=error.exit_code,
    )


_WORST = (ExitCode.FAIL, ExitCode.INFRASTRUCTURE, ExitCode.USAGE, ExitCode.UNDECIDED)


def exit_code(checks: Iterable[Check]) -> ExitCode:
    """A leak before a broken store, before a mistake, before what could not be decided."""
    codes = {one.code for one in checks if one.state in {State.FAILED, State.UNKNOWN}}
    return next((one for one in _WORST if one in codes), ExitCode.PASS)
