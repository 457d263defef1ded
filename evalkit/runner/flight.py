"""Which trials are under way, in a small file that outlives a process that is killed.

A trial is written down when its first call begins, in a slot that is used again once the trial is
recorded: the file stays as small as what is under way. Written to the system and not to the disk,
it survives the process, but not the machine. A run that ends in order leaves none behind; what is
found in it by the run that continues was asked, and may be paid, already.
"""

from __future__ import annotations

import contextlib
import mmap
import os
from collections.abc import Iterable
from hashlib import blake2b
from pathlib import Path
from typing import TypeAlias

Key: TypeAlias = tuple[str, str, str, int]
"""Suite, target, case and index of a trial."""

_BYTES = 16
_PIECE = 4_096
"""Bytes by which the file grows; a slot without a trial is zeros."""


class Flight:
    """The trials under way of one run; ``path`` is read first, and what it holds is kept.

    Not being able to write it ends nothing: the journal will tell of a full disk.
    """

    def __init__(self, path: Path):
        self._path = path
        self._left = _read(path)
        self._slots: dict[Key, int] = {}
        self._free: list[int] = []
        # what was left stays where it is until this run ends too
        self._end = len(self._left)
        self._file: int | None = None
        self._map: mmap.mmap | None = None
        with contextlib.suppress(OSError, ValueError):
            self._file = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
            os.pwrite(self._file, b"".join(sorted(self._left)), 0)
            os.ftruncate(self._file, self._end * _BYTES)
            self._grow()

    def begins(self, key: Key) -> None:
        """A trial is about to be asked."""
        if self._file is None:
            return
        if self._free:
            slot = self._free.pop()
        else:
            slot, self._end = self._end, self._end + 1
        self._slots[key] = slot
        at = slot * _BYTES
        try:
            if self._map is None or at >= len(self._map):
                self._grow()
            assert self._map is not None
            # no call of the system, which would let other threads go first
            self._map[at : at + _BYTES] = _digest(key)
        except (OSError, ValueError):  # ValueError: it could not be written to its whole length
            self._close()

    def _grow(self) -> None:
        assert self._file is not None
        size = os.fstat(self._file).st_size
        # written and not only made longer: a full disk says so here, and not by a signal later
        os.pwrite(self._file, bytes(_PIECE), size)
        if self._map is not None:
            self._map.close()
        self._map = mmap.mmap(self._file, size + _PIECE)

    def landed(self, keys: Iterable[Key]) -> None:
        """Trials are recorded; those that were never asked count for nothing."""
        for key in keys:
            slot = self._slots.pop(key, None)
            if slot is not None:
                self._free.append(slot)

    def was_left(self, key: Key) -> bool:
        """Whether the trial was under way when an earlier start of the run was killed."""
        return bool(self._left) and _digest(key) in self._left

    def close(self, *, ended: bool) -> None:
        """Give it up; a run that ``ended`` in order has nothing under way."""
        self._close()
        if ended:
            with contextlib.suppress(OSError):
                self._path.unlink(missing_ok=True)

    def _close(self) -> None:
        file, self._file = self._file, None
        mapped, self._map = self._map, None
        if mapped is not None:
            mapped.close()
        if file is not None:
            os.close(file)


def _digest(key: Key) -> bytes:
    return blake2b(
        "\0".join(map(str, key)).encode("utf-8", "surrogatepass"), digest_size=_BYTES
    ).digest()


def _read(path: Path) -> frozenset[bytes]:
    try:
        content = path.read_bytes()
    except OSError:
        return frozenset()
    whole = len(content) - len(content) % _BYTES
    return frozenset(content[at : at + _BYTES] for at in range(0, whole, _BYTES)) - {bytes(_BYTES)}
