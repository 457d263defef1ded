"""What a run shows while it goes: one line for each suite and target, on standard error.

A terminal gets lines that move; anything else gets a plain line now and then. Counting is a few
additions a trial; drawing happens a few times a second, whatever the speed of the run.
"""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field
from typing import Any, Protocol, TextIO

LONG_S = 10.0
"""Seconds from which on it is worth saying how long a call has been under way."""
STILL = 2
"""Looks at which nothing has moved, after which that is said too."""


@dataclass(slots=True, kw_only=True)
class Tally:
    """The trials of one suite on one target so far; ``kept`` were stored by an earlier start.

    ``failed`` says why the first did that failed.
    """

    suite: str
    target: str
    planned: int
    kept: int = 0
    answered: int = 0
    errors: int = 0
    cost_usd: float = 0.0
    unknown_cost: int = 0
    failed: str = ""
    given_up: str = ""

    @property
    def done(self) -> int:
        """Trials that need no more work."""
        return self.kept + self.answered + self.errors

    def count(self, *, answered: bool, cost_usd: float | None) -> None:
        """Add one finished trial; a failed one may have cost something too."""
        if not answered:
            self.errors += 1
            self.cost_usd += cost_usd or 0.0
            return
        self.answered += 1
        if cost_usd is None:
            self.unknown_cost += 1
        else:
            self.cost_usd += cost_usd


@dataclass(slots=True, kw_only=True)
class Board:
    """Every tally of a run, and what a display needs beside them.

    By target: how many calls are under way, for how long the longest of them, how long the server
    asked to be left alone, and whether it is in an outage.
    """

    tallies: Sequence[Tally]
    in_flight: Callable[[str], int] = field(default=lambda _: 0)
    longest_s: Callable[[str], float] = field(default=lambda _: 0.0)
    held_s: Callable[[str], float] = field(default=lambda _: 0.0)
    in_outage: Callable[[str], bool] = field(default=lambda _: False)
    clock: Callable[[], float] = time.monotonic
    started: float = 0.0

    def line(self, tally: Tally) -> tuple[str, ...]:
        """Name, done, errors, cost, in flight and remaining time of one tally, as texts."""
        errors = f"{tally.errors:,} error{'s' if tally.errors != 1 else ''}" if tally.errors else ""
        return (
            f"{tally.suite} \N{MULTIPLICATION SIGN} {tally.target}",
            f"{tally.done:,}/{tally.planned:,}",
            errors,
            _money(tally),
            "" if tally.done >= tally.planned else self._flying(tally.target),
            "given up" if tally.given_up else self._remaining(tally),
        )

    def _flying(self, target: str) -> str:
        longest_s = self.longest_s(target)
        long = f", the longest for {longest_s:.0f} s" if longest_s >= LONG_S else ""
        held_s = self.held_s(target)
        held = f", told to wait for {held_s:.0f} s" if held_s >= 1 else ""
        return f"{self.in_flight(target)} in flight{long}{held}"

    def _remaining(self, tally: Tally) -> str:
        made = tally.done - tally.kept
        left = tally.planned - tally.done
        elapsed = self.clock() - self.started
        if left <= 0:
            return "done"
        if self.in_outage(tally.target):
            return "does not answer"
        if not tally.answered or elapsed < 1:
            return ""
        return f"{_duration(left * elapsed / made)} left"


class Display(Protocol):
    """Shows a board; ``interval_s`` is the time between two looks at it."""

    interval_s: float

    def start(self, board: Board) -> None:
        """Begin to show."""
        ...

    def refresh(self) -> None:
        """Show the present state."""
        ...

    def note(self, text: str) -> None:
        """Say something beside the lines."""
        ...

    def stop(self) -> None:
        """Show the last state and leave the terminal as it was; safe to call twice."""
        ...

    def busy(self, doing: str) -> AbstractContextManager[None]:
        """Show what is done before the first or after the last answer, while the block runs."""
        ...


class Silent:
    """Shows no lines, and notes only when wanted."""

    interval_s = 60.0

    def __init__(self, stream: TextIO | None = None, *, notes: bool = True):
        self._stream = stream or sys.stderr
        self._notes = notes

    def start(self, board: Board) -> None:
        """Nothing to begin."""

    def refresh(self) -> None:
        """Nothing to show."""

    def note(self, text: str) -> None:
        """Print the text on its own line."""
        if self._notes:
            print(text, file=self._stream, flush=True)

    def stop(self) -> None:
        """Nothing to end."""

    def busy(self, doing: str) -> AbstractContextManager[None]:
        """Nothing to show."""
        del doing
        return nullcontext()


class Plain(Silent):
    """One plain line per unfinished suite and target now and then, for logs and pipes.

    Also while nothing moves: who reads it is to see what is waited for.
    """

    def __init__(self, stream: TextIO | None = None, *, interval_s: float = 10.0):
        super().__init__(stream)
        self.interval_s = interval_s
        self._board: Board | None = None
        self._said: dict[int, int] = {}
        self._looks: dict[int, int] = {}

    def start(self, board: Board) -> None:
        """Remember what to show."""
        self._board = board

    def refresh(self) -> None:
        """Print a line for every tally that moved since the last look, or not for some looks."""
        self._look(STILL)

    def _look(self, still: float) -> None:
        board = self._board
        if board is None or board.clock() - board.started < self.interval_s / 2:
            return
        for number, tally in enumerate(board.tallies):
            looks = self._looks[number] = self._looks.get(number, 0) + 1
            waits = looks >= still and tally.done < tally.planned and not tally.given_up
            if waits or self._said.get(number, tally.kept) != tally.done:
                self._said[number] = tally.done
                self._looks[number] = 0
                self.note("  ".join(part for part in board.line(tally) if part))

    def stop(self) -> None:
        """Print the last state of what moved."""
        self._look(math.inf)
        self._board = None


class Moving(Silent):
    """Lines on a terminal that are drawn again in place."""

    interval_s = 0.2

    def __init__(self, stream: TextIO | None = None):
        super().__init__(stream)
        self._board: Board | None = None
        self._live: Any = None

    def start(self, board: Board) -> None:
        """Draw the lines for the first time."""
        from rich.console import Console
        from rich.live import Live

        self._board = board
        console = Console(file=self._stream, highlight=False)
        self._live = Live(self._draw(), console=console, auto_refresh=False, transient=True)
        self._live.start()

    def _draw(self) -> Any:
        from rich.table import Table
        from rich.text import Text

        assert self._board is not None
        table = Table.grid(padding=(0, 2))
        for column in range(6):
            wide = column == 0
            table.add_column(no_wrap=True, overflow="ellipsis", justify="left" if wide else "right")
        for tally in self._board.tallies:
            name, done, errors, cost, flying, left = self._board.line(tally)
            table.add_row(
                Text(name),
                Text(done, style="bold"),
                Text(errors, style="red"),
                Text(cost),
                Text(flying, style="dim"),
                Text(left, style="dim"),
            )
        return table

    def refresh(self) -> None:
        """Draw the lines again."""
        if self._live is not None:
            self._live.update(self._draw(), refresh=True)

    def note(self, text: str) -> None:
        """Print the text above the lines."""
        if self._live is None:
            super().note(text)
            return
        from rich.text import Text

        self._live.console.print(Text(text))

    def stop(self) -> None:
        """Take the lines away and give the cursor back."""
        if self._live is not None:
            live, self._live = self._live, None
            live.stop()

    @contextmanager
    def busy(self, doing: str) -> Iterator[None]:
        """Write it on a line that goes away."""
        self._stream.write(f"{doing} ...")
        self._stream.flush()
        try:
            yield
        finally:
            self._stream.write("\r\x1b[2K")
            self._stream.flush()


def choose_display(stream: TextIO, *, lines: bool, notes: bool) -> Display:
    """Moving lines on a terminal, plain lines elsewhere; neither, or not even notes, on request."""
    if not lines:
        return Silent(stream, notes=notes)
    return Moving(stream) if stream.isatty() else Plain(stream)


def _money(tally: Tally) -> str:
    if not tally.answered:
        return ""
    if tally.unknown_cost == tally.answered:
        return "cost unknown"
    some = "≥ " if tally.unknown_cost else ""
    if not tally.cost_usd:
        return f"{some}$0"
    return f"{some}${tally.cost_usd:.2f}" if tally.cost_usd >= 1 else f"{some}${tally.cost_usd:.4f}"


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes:02} min"
    return f"{minutes}:{rest:02}"
