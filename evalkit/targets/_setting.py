"""What a target is given beside its own options: where it stands and whom it may ask.

A kind that needs any of it takes one positional parameter in front of its keyword-only ones::

    @target()
    class Mine:
        def __init__(self, setting: Setting, /, *, model: str): ...
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from evalkit.model import JSON, Output, Request


class ChildCall(Protocol):
    """Asks another target of the project, already limited, retried and costed by the runner.

    In an outage it raises at once, so that another one can be asked; a ``patient`` call waits.
    """

    async def __call__(self, request: Request, *, patient: bool = False) -> Output:
        """The answer; raises ``TargetError`` when there is none."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """The place of one target: its name, the project's folder, and what the runner hands over.

    ``children`` are the targets a route may ask, by name. ``records`` are the answers of an earlier
    run in the form of a replay file's lines, ``None`` when no run was asked for. ``concurrency`` is
    how many requests may be under way at once.
    """

    name: str
    root: Path
    concurrency: int = 16
    children: Mapping[str, ChildCall] = field(default_factory=dict)
    records: Sequence[Mapping[str, JSON]] | None = None


class OptionError(ValueError):
    """An option has a value its target cannot work with; ``option`` names it."""

    def __init__(self, option: str, message: str, *, hint: str = ""):
        super().__init__(message)
        self.option = option
        self.hint = hint
