"""Answers that came and whose trials are not recorded yet, in files that outlive a killed process.

An answer is copied into a memory map the moment it is there: the system has it then, whatever
becomes of the process, and no call of the system lets other threads go first. A map is used again
once the trials of all its answers are recorded, so the files stay as small as what is under way.
They survive the process, but not the machine.
"""

from __future__ import annotations

import contextlib
import mmap
import os
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import TypeAlias

PIECE = 1 << 18
"""Bytes of a file; a longer answer has one of its own."""
_FRAME = struct.Struct("<BII")
"""State, length and checksum; zeros where there is nothing more."""
_WAITS, _RECORDED = 1, 2


class Piece:
    """One file; ``waiting`` counts the answers in it whose trials are not recorded."""

    __slots__ = ("end", "map", "path", "waiting")

    def __init__(self, path: Path, content: mmap.mmap | None):
        self.path = path
        self.map = content
        self.end = 0
        self.waiting = 0


Place: TypeAlias = tuple[Piece, int]
"""Where an answer stands."""


class Arrivals:
    """The files of one run, which are named after ``base``; what they hold is ``left``.

    Belongs to one event loop. Not being able to write ends nothing: the journal will tell of a full
    disk.
    """

    def __init__(self, base: Path):
        self._base = base
        found = base.parent.glob(f"{base.name}-*")
        # what was left stays where it is until this run ends too
        self._paths = sorted(found)
        self._number = max((_number(one) for one in self._paths), default=0)
        self._now: Piece | None = None
        self._free: list[Piece] = []
        self._mapped: list[mmap.mmap] = []
        self._broken = False

    def left(self) -> Iterator[bytes]:
        """What the process that had the run before had written, in order."""
        for path in self._paths:
            with contextlib.suppress(OSError):
                yield from _records(path.read_bytes())

    def add(self, line: bytes) -> Place | None:
        """Write an answer; returns what to ``release`` once its trial is recorded."""
        if self._broken:
            return None
        record = _FRAME.pack(_WAITS, len(line), zlib.crc32(line)) + line
        try:
            if len(record) > PIECE:
                piece = self._alone(record)
            else:
                piece = self._with_room(len(record))
                assert piece.map is not None
                piece.map[piece.end : piece.end + len(record)] = record
            at = piece.end
            piece.end += len(record)
        except (OSError, ValueError):
            self._broken = True
            return None
        piece.waiting += 1
        return piece, at

    def release(self, place: Place) -> None:
        """The trial of the answer in this place is recorded."""
        piece, at = place
        piece.waiting -= 1
        if self._broken:
            return
        if piece.map is None:
            with contextlib.suppress(OSError):
                piece.path.unlink()
            self._paths.remove(piece.path)
            return
        if piece.waiting:
            piece.map[at] = _RECORDED
            return
        piece.map[: piece.end] = bytes(piece.end)
        piece.end = 0
        if piece is not self._now:
            self._free.append(piece)

    def _with_room(self, size: int) -> Piece:
        now = self._now
        if now is None or now.end + size > PIECE:
            now = self._now = self._free.pop() if self._free else self._new()
        return now

    def _new(self) -> Piece:
        path, file = self._open()
        try:
            # written and not only made longer: a full disk says so here, and not by a signal later
            _write(file, bytes(PIECE))
            content = mmap.mmap(file, PIECE)
        finally:
            os.close(file)
        self._mapped.append(content)
        return Piece(path, content)

    def _alone(self, record: bytes) -> Piece:
        path, file = self._open()
        try:
            _write(file, record)
        finally:
            os.close(file)
        return Piece(path, None)

    def _open(self) -> tuple[Path, int]:
        self._number += 1
        path = self._base.with_name(f"{self._base.name}-{self._number:06d}")
        file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
        self._paths.append(path)
        return path, file

    def close(self, *, ended: bool) -> None:
        """Give them up; a run that ``ended`` in order waits for no trial of these."""
        self._broken = True
        for one in self._mapped:
            one.close()
        if ended:
            for path in self._paths:
                with contextlib.suppress(OSError):
                    path.unlink(missing_ok=True)


def _number(path: Path) -> int:
    digits = path.name.rpartition("-")[2]
    return int(digits) if digits.isdecimal() else 0


def _write(file: int, content: bytes) -> None:
    view = memoryview(content)
    while view:
        view = view[os.write(file, view) :]


def _records(content: bytes) -> Iterator[bytes]:
    at = 0
    while at + _FRAME.size <= len(content):
        state, length, checksum = _FRAME.unpack_from(content, at)
        at += _FRAME.size
        line = content[at : at + length]
        # nothing more, or its writer died over it
        if not state or len(line) < length or zlib.crc32(line) != checksum:
            return
        if state == _WAITS:
            yield line
        at += length
