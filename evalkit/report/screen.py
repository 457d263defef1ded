"""What a report is shown on: how wide, in colour or not, in Unicode or ASCII."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from io import StringIO
from typing import TYPE_CHECKING, TextIO

from evalkit.report.words import plain

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.text import Text

PIPE_WIDTH = 100
"""Columns where nobody is looking at a terminal."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Screen:
    """Width in columns, and whether colour and characters beyond ASCII may be used."""

    width: int = PIPE_WIDTH
    colour: bool = False
    unicode: bool = False

    @classmethod
    def of(cls, stream: TextIO, environ: Mapping[str, str] | None = None) -> Screen:
        """The screen behind a stream: ASCII without colour and 100 columns off a terminal.

        ``NO_COLOR`` and ``TERM=dumb`` switch colour off.
        """
        environ = os.environ if environ is None else environ
        if not stream.isatty():
            return cls()
        encoding = (getattr(stream, "encoding", None) or "ascii").lower()
        return cls(
            width=max(20, shutil.get_terminal_size((PIPE_WIDTH, 24)).columns),
            colour=not environ.get("NO_COLOR") and environ.get("TERM") != "dumb",
            unicode=encoding.replace("-", "").startswith("utf"),
        )

    def say(self, words: str) -> str:
        """Our own words, in ASCII where the screen has no more."""
        return words if self.unicode else plain(words)

    def render(self, parts: Iterable[RenderableType]) -> str:
        """The text of the parts, line by line, without trailing blanks."""
        from rich.console import Console

        console = Console(
            file=StringIO(),
            width=self.width,
            force_terminal=self.colour,
            color_system="standard" if self.colour else None,
            no_color=not self.colour,
            legacy_windows=False,
            markup=False,
            highlight=False,
            emoji=False,
            _environ={},
        )
        with console.capture() as captured:
            for one in parts:
                console.print(one, soft_wrap=False)
        return "".join(f"{line.rstrip()}\n" for line in captured.get().splitlines())


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """A column of a table; the one with the highest ``drop`` goes first when space is short.

    ``drop`` 0 is never dropped. A ``fold`` column wraps its text where that is still easy to read,
    and further when all else is not enough, before the last numbers go. A column without any text
    is left out.
    """

    head: str
    cells: Sequence[str]
    right: bool = False
    drop: int = 0
    fold: bool = False
    style: str = ""

    @property
    def width(self) -> int:
        """The columns of the screen it needs."""
        from rich.cells import cell_len

        return max(cell_len(line) for one in (self.head, *self.cells) for line in one.split("\n"))


GAP = 2
EASY, FOLDED = 28, 8
"""Columns of the screen that a folded column keeps: while others stay, and at the least."""


def fitted(columns: Sequence[Column], width: int) -> list[Column]:
    """The columns that fit, dropped whole and in their order: a number is never cut.

    Columns that share a ``drop`` go together.
    """
    kept = [one for one in columns if any(one.cells)] or list(columns)
    while _needed(kept) - sum(_slack(one, EASY) for one in kept) > width:
        last = max(one.drop for one in kept)
        going = [one for one in kept if one.drop == last]
        numbers = last == 1 and any(one.right for one in going)
        if last == 0 or (numbers and _needed(kept) - sum(map(_slack, kept)) <= width):
            break
        kept = [one for one in kept if one.drop != last]
    return kept


def _slack(column: Column, least: int = FOLDED) -> int:
    """How much narrower a column may become."""
    return max(0, column.width - least) if column.fold else 0


def _widths(columns: Sequence[Column], width: int) -> list[int]:
    """How wide each column becomes; those that fold give what is missing, the widest first."""
    found = [one.width for one in columns]
    for _ in range(_needed(columns) - width):
        slack = [
            each if one.fold and each > FOLDED else 0
            for one, each in zip(columns, found, strict=True)
        ]
        if any(slack):
            found[slack.index(max(slack))] -= 1
    return found


def _needed(columns: Sequence[Column]) -> int:
    return sum(one.width for one in columns) + GAP * (len(columns) - 1)


def fits(columns: Sequence[Column], width: int) -> bool:
    """Whether the columns stand side by side without any being dropped."""
    return _needed(columns) <= width


def grid(columns: Sequence[Column], screen: Screen, *, heads: bool = True) -> RenderableType:
    """The columns as a table without lines, after dropping what does not fit."""
    from rich.table import Table
    from rich.text import Text

    kept = fitted(columns, screen.width)
    table = Table(box=None, show_header=heads, pad_edge=False, padding=(0, GAP, 0, 0))
    for one, narrowed in zip(kept, _widths(kept, screen.width), strict=True):
        table.add_column(
            Text(one.head),
            justify="right" if one.right else "left",
            style=one.style or None,
            header_style="dim",
            no_wrap=not one.fold,
            overflow="fold" if one.fold else "crop",
            min_width=narrowed,
            max_width=narrowed,
        )
    for row in zip(*(one.cells for one in kept), strict=True):
        table.add_row(*(Text(cell) for cell in row))
    return table


def flow(parts: Sequence[str], width: int) -> str:
    """Parts side by side, two blanks between them; lines break only between parts."""
    from rich.cells import cell_len

    lines: list[str] = []
    for one in parts:
        if lines and cell_len(lines[-1]) + GAP + cell_len(one) <= width:
            lines[-1] += " " * GAP + one
        else:
            lines.append(one)
    return "\n".join(lines)


def labelled(label: str, text: Text | str, indent: int) -> RenderableType:
    """A label, and beside it text that wraps within its own column."""
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, show_header=False, pad_edge=False, padding=(0, 0, 0, 0))
    table.add_column(width=indent, no_wrap=True, style="dim")
    table.add_column(overflow="fold")
    table.add_row(Text(label), Text(text) if isinstance(text, str) else text)
    return table
