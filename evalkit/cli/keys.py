"""One key at a time from a terminal, or one line at a time from anything else."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

QUIT = "q"
_INTERRUPT = b"\x03"
_ARROWS = {"[C": "\n", "[B": "\n", "[D": "b", "[A": "b", "OC": "\n", "OD": "b"}


class Keys(Protocol):
    """Where a person's answers come from."""

    def key(self) -> str:
        """The next key; ``q`` at the end of the input."""
        ...

    def line(self, prompt: str) -> str:
        """A line of text that the person can correct while typing."""
        ...


class Lines:
    """Answers as lines, for screen readers and programs: ``p``, ``4``, ``r because ...``.

    A line may hold a key with the text that belongs to it; an empty one means next.
    """

    def __init__(self) -> None:
        self._rest = ""

    def key(self) -> str:
        """The first character of the next line."""
        text = sys.stdin.readline()
        if not text:
            return QUIT
        text = text.strip()
        self._rest = text[1:].strip()
        return text[:1] or "\n"

    def line(self, prompt: str) -> str:
        """What stood behind the key, or else the next line."""
        if self._rest:
            rest, self._rest = self._rest, ""
            return rest
        sys.stdout.write(prompt)
        sys.stdout.flush()
        return sys.stdin.readline().strip()


class Terminal:
    """Keys of a POSIX terminal as they are struck; whole lines as the terminal edits them."""

    def __init__(self, file: int):
        self._file = file

    def key(self) -> str:
        """The next key struck; arrows are next and back, other special keys nothing."""
        first = os.read(self._file, 1)
        if not first or first == b"\x04":
            return QUIT
        if first == _INTERRUPT:
            raise KeyboardInterrupt
        if first == b"\x1b":
            return _ARROWS.get(self._rest(), "")
        # a character of several bytes is none of our keys, but must be read as one
        size = sum((first[0] & mask) == mask for mask in (0xC0, 0xE0, 0xF0))
        text = first + b"".join(os.read(self._file, 1) for _ in range(size))
        return text.decode("utf-8", "replace").replace("\r", "\n")

    def _rest(self) -> str:
        import select

        found = b""
        while len(found) < 16 and select.select([self._file], [], [], 0.03)[0]:
            found += os.read(self._file, 1)
            if len(found) > 1 and 0x40 <= found[-1] <= 0x7E:
                break
        return found.decode("ascii", "replace")

    def line(self, prompt: str) -> str:
        """A line, edited by the terminal itself."""
        import termios

        before = termios.tcgetattr(self._file)
        cooked = termios.tcgetattr(self._file)
        cooked[3] |= termios.ICANON | termios.ECHO
        cooked[6][termios.VINTR] = _INTERRUPT
        termios.tcsetattr(self._file, termios.TCSADRAIN, cooked)
        try:
            sys.stdout.write(prompt)
            sys.stdout.flush()
            found = b""
            while not found.endswith(b"\n"):
                piece = os.read(self._file, 4096)
                if not piece:
                    break
                found += piece
        finally:
            termios.tcsetattr(self._file, termios.TCSADRAIN, before)
        return found.decode("utf-8", "replace").strip()


class Console:
    """Keys of a Windows console."""

    def key(self) -> str:
        """The next key struck."""
        import msvcrt  # type: ignore[import-not-found,unused-ignore]  # only on Windows

        text: str = msvcrt.getwch()  # type: ignore[attr-defined,unused-ignore]  # as above
        if text in {"\x00", "\xe0"}:
            msvcrt.getwch()  # type: ignore[attr-defined,unused-ignore]  # as above
            return ""
        if text == "\x03":
            raise KeyboardInterrupt
        return text.replace("\r", "\n")

    def line(self, prompt: str) -> str:
        """A line, edited by the console."""
        return input(prompt).strip()


@contextmanager
def terminal_keys() -> Iterator[Keys]:
    """Keys as they are struck; the terminal is as it was afterwards, whatever happens."""
    if sys.platform == "win32":
        yield Console()
        return
    import termios
    import tty

    file = sys.stdin.fileno()
    before = termios.tcgetattr(file)
    try:
        tty.setcbreak(file)
        # Ctrl-C comes as a key: as a signal it could strike where an exception is swallowed
        keys = termios.tcgetattr(file)
        keys[6][termios.VINTR] = os.fpathconf(file, "PC_VDISABLE").to_bytes(1, "little")
        termios.tcsetattr(file, termios.TCSADRAIN, keys)
        yield Terminal(file)
    finally:
        termios.tcsetattr(file, termios.TCSADRAIN, before)
