"""Every error evalkit raises on purpose, and the exit code each one ends with.

    EvalkitError                     exit  what it means
    ├── UsageError                    2    a flag, a file or a name the user can correct
    │   ├── ConfigError               2    evalkit.yaml, a suite, a card
    │   ├── PromptError               2    a prompt file, or a variable it lacks
    │   ├── DatasetError              2    a golden file or one of its rows
    │   ├── UnknownName               2    a name that does not exist, with the nearest that does
    │   └── StoreVersionError         2    a store written by a newer evalkit
    ├── Undecided                     3    nothing selected, nothing to judge
    ├── InfrastructureError           4    a provider, the disk or the network failed
    │   └── StoreError                4    the run store cannot be read or written
    │       └── DiskFull              2    no space is left, and the user can make some
    └── BudgetStop                    5    the money or the tokens allowed are spent

    TargetError    one call failed; recorded on its trial, never ends a run by itself
    Unscorable     a scorer cannot judge this output; recorded as unscored, never as 0

An ``EvalkitError`` is shown as three lines: what, where (file:line:column), what to do.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from dataclasses import dataclass
from enum import IntEnum, StrEnum
from pathlib import Path
from typing import Protocol


class ExitCode(IntEnum):
    """What the process tells the shell; the only place these numbers are written."""

    PASS = 0
    FAIL = 1
    USAGE = 2
    UNDECIDED = 3
    INFRASTRUCTURE = 4
    BUDGET = 5
    INTERRUPTED = 130


@dataclass(frozen=True, slots=True)
class Position:
    """A place in a file the user wrote; line and column count from 1, 0 means the whole file."""

    path: Path
    line: int = 0
    column: int = 0

    def __str__(self) -> str:
        if not self.line:
            return str(self.path)
        return f"{self.path}:{self.line}:{self.column or 1}"


class EvalkitError(Exception):
    """A failure with a message for a person: what happened, where, and what to do."""

    exit_code = ExitCode.INFRASTRUCTURE

    def __init__(self, what: str, *, where: Position | Path | str | None = None, hint: str = ""):
        super().__init__(what)
        self.what = what
        self.where = where
        self.hint = hint

    def lines(self) -> tuple[str, ...]:
        """The one to three lines shown to the user, plain text without markup."""
        where = () if self.where is None else (f"at {self.where}",)
        hint = () if not self.hint else (self.hint,)
        return (self.what, *where, *hint)

    def __str__(self) -> str:
        return "\n".join(self.lines())


class UsageError(EvalkitError):
    """Something the user typed or wrote must be corrected."""

    exit_code = ExitCode.USAGE


class ConfigError(UsageError):
    """A configuration file says something evalkit does not understand."""


class PromptError(UsageError):
    """A prompt file is malformed, or needs a variable that a case does not give."""


class DatasetError(UsageError):
    """A dataset cannot be read as the cases it should hold."""


class StoreVersionError(UsageError):
    """The run store was written by a newer evalkit."""


class UnknownName(UsageError):
    """A name that does not exist; carries the nearest one that does."""

    def __init__(
        self,
        what: str,
        name: str,
        known: Iterable[str],
        *,
        where: Position | Path | str | None = None,
    ):
        self.name = name
        self.known = tuple(sorted(known))
        super().__init__(f"unknown {what} {name!r}", where=where, hint=suggestion(name, self.known))


class Undecided(EvalkitError):
    """There is nothing to judge, and nothing is never a pass."""

    exit_code = ExitCode.UNDECIDED


class InfrastructureError(EvalkitError):
    """Something outside the user's files failed: provider, network, disk."""


class StoreError(InfrastructureError):
    """The run store cannot be read or written."""


class DiskFull(StoreError):
    """No space is left for the store; trying again without making some would not help."""

    exit_code = ExitCode.USAGE


class BudgetStop(EvalkitError):
    """The run stopped because the next call could exceed the budget."""

    exit_code = ExitCode.BUDGET


class ErrorClass(StrEnum):
    """Why a call to a target failed; stored on the trial."""

    TIMEOUT = "timeout"
    RATE_LIMIT = "rate_limit"
    QUOTA = "quota"
    REFUSED = "refused"
    AUTH = "auth"
    NOT_FOUND = "not_found"
    BAD_REQUEST = "bad_request"
    SERVER = "server"
    CONNECTION = "connection"
    INVALID_RESPONSE = "invalid_response"
    PROMPT = "prompt"
    CRASH = "crash"
    CANCELLED = "cancelled"


RETRYABLE = frozenset(
    {
        ErrorClass.TIMEOUT,
        ErrorClass.RATE_LIMIT,
        ErrorClass.SERVER,
        ErrorClass.CONNECTION,
        ErrorClass.INVALID_RESPONSE,
    }
)


UNBILLED = frozenset(
    {
        ErrorClass.RATE_LIMIT,
        ErrorClass.QUOTA,
        ErrorClass.AUTH,
        ErrorClass.NOT_FOUND,
        ErrorClass.BAD_REQUEST,
        ErrorClass.PROMPT,
    }
)
"""Failures before a model read anything: no provider counts tokens of a request it turned away."""


class Counted(Protocol):
    """Tokens of one call as the provider counted them; ``evalkit.Usage`` is one."""

    @property
    def input_tokens(self) -> int | None:
        """Tokens sent, ``None`` when unknown."""
        ...

    @property
    def output_tokens(self) -> int | None:
        """Tokens answered, ``None`` when unknown."""
        ...


class Made(Protocol):
    """A call that a route made before it failed; ``evalkit.Leg`` is one."""

    @property
    def target(self) -> str:
        """Name of the target that was asked."""
        ...

    @property
    def error_class(self) -> ErrorClass | None:
        """Why there was no answer, ``None`` when there was one."""
        ...

    @property
    def cost_usd(self) -> float | None:
        """What the call cost, ``None`` when unknown."""
        ...


class TargetError(Exception):
    """One call failed.

    ``retry_after_s`` is the wait the server asked for, in seconds. ``retryable`` and ``unbilled``
    (the call certainly cost nothing) follow the class unless the target knows better: a refusal for
    its content and a timeout may be billed, for providers charge for work and not for delivery; a
    server that says by its status that it broke does not charge. ``usage`` is what the provider
    counted although there is no answer. ``cost_usd`` is written by the runner, ``legs`` by routes:
    the calls they made before they failed. ``unasked`` says that nobody was called, because all who
    could be are in an outage or given up.
    """

    def __init__(
        self,
        error_class: ErrorClass,
        message: str,
        *,
        retry_after_s: float | None = None,
        retryable: bool | None = None,
        http_status: int | None = None,
        usage: Counted | None = None,
        unbilled: bool | None = None,
    ):
        super().__init__(message)
        self.error_class = error_class
        self.message = message
        self.retry_after_s = retry_after_s
        self.retryable = error_class in RETRYABLE if retryable is None else retryable
        self.http_status = http_status
        self.usage = usage
        if unbilled is None:
            broke = error_class is ErrorClass.SERVER and (http_status or 0) >= 500
            unbilled = broke or error_class in UNBILLED
        self.unbilled = unbilled
        self.unasked = False
        self.cost_usd: float | None = None
        self.legs: tuple[Made, ...] = ()


class Unscorable(Exception):
    """A scorer cannot judge this output; the reason is stored and no number is made up."""


def suggestion(name: str, known: Iterable[str]) -> str:
    """The line that helps after a wrong name: the nearest valid one, or the list if it is short."""
    names = sorted(known)
    near = difflib.get_close_matches(name, names, n=1, cutoff=0.6)
    if near:
        return f"did you mean {near[0]!r}?"
    if not names:
        return "none are defined"
    shown = ", ".join(names[:12])
    more = f" and {len(names) - 12} more" if len(names) > 12 else ""
    return f"known: {shown}{more}"
