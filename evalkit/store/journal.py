"""The journal: a finished trial is on the disk before anything else can go wrong.

Trials are appended to a segment, a file of blocks, and reach the database later, a sealed segment
at a time. Killed at any point, what was flushed is still there, and the next command takes it in.
No trial is held once it is written: memory does not depend on when a segment is moved. While its
process lives, a run's segments belong to it alone: it holds ``<run>.lock``, which the system
releases however the process ends; ``<run>.owner`` says which process that is.
"""

from __future__ import annotations

import json
import os
import secrets
import socket
import threading
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from evalkit.errors import StoreVersionError, UsageError
from evalkit.model import Case, Trial
from evalkit.store.access import unwritable
from evalkit.store.block import Blocks, read_blocks, to_block
from evalkit.store.codec import from_line, to_line
from evalkit.store.columns import trial_columns

if TYPE_CHECKING:
    from filelock import FileLock

FORMAT = 2
SEALED = ".segment"
OPEN = ".part"
_OLD = ".jsonl"
FLUSH_TRIALS = 1_000
"""Buffered trials at which ``append`` writes by itself."""


class Journal:
    """The segments that one process writes for one run; safe to use from several threads.

    Raises ``ConfigError`` when the folder cannot be written and ``UsageError`` when another living
    process is executing the run.
    """

    def __init__(self, directory: Path, run_id: str):
        self.directory = directory
        self.run_id = run_id
        self._token = secrets.token_hex(4)
        self._sequence = 0
        self._buffer: list[Trial] = []
        self._buffer_lock = threading.Lock()
        # everything below belongs to whoever holds the file lock
        self._file_lock = threading.Lock()
        self._file: int | None = None
        self._path: Path | None = None
        self._written: Mapping[str, Case] = {}
        try:
            directory.mkdir(parents=True, exist_ok=True)
            owned = own(directory, run_id)
        except OSError as error:
            raise unwritable(error, directory, journal=directory) from error
        if owned is None:
            raise UsageError(
                f"run {run_id!r} is being executed by {_owner(directory, run_id)}",
                where=directory,
                hint="wait for it, or stop it first",
            )
        self._ownership = owned

    def append(self, trials: Iterable[Trial]) -> None:
        """Take finished trials into the buffer; ``flush`` makes them durable.

        Raises ``StoreError`` when a large buffer had to be written and could not be.
        """
        with self._buffer_lock:
            self._buffer.extend(trials)
            full = len(self._buffer) >= FLUSH_TRIALS
        if full:
            self.flush()

    def flush(self) -> None:
        """Write what is buffered and wait until the disk has it.

        Call it at least every half second. Raises ``StoreError`` on a full disk; the buffer is kept
        then and the next call tries again, everything flushed before is safe.
        """
        with self._file_lock:
            self._flush()

    def _flush(self) -> None:
        with self._buffer_lock:
            pending, self._buffer = self._buffer, []
        if not pending:
            return
        try:
            if self._file is None:
                _hold_little()
            block = to_block(trial_columns(pending, known=self._written))
            if self._file is None:
                self._sequence += 1
                name = f"{self.run_id}.{self._token}-{self._sequence:05d}{OPEN}"
                self._path = self.directory / name
                self._file = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
                header = {"format": FORMAT, "run_id": self.run_id}
                _write(self._file, to_line(["segment", header]))
            _write(self._file, block)
        except BaseException as error:
            with self._buffer_lock:
                self._buffer[:0] = pending
            if isinstance(error, OSError):
                where = self._path or self.directory
                raise unwritable(error, where, journal=self.directory) from error
            raise
        # the trials of a case follow each other: the last block's cases are enough to remember
        self._written = {one.case.id: one.case for one in pending}

    def seal(self) -> Path | None:
        """Close the segment, ready for ``Store.ingest``; ``None`` when nothing was written."""
        with self._file_lock:
            self._flush()
            if self._file is None or self._path is None:
                return None
            path, file = self._path, self._file
            self._file = self._path = None
            self._written = {}
            os.close(file)
            try:
                return path.rename(path.with_suffix(SEALED))
            except OSError as error:
                raise unwritable(error, path, journal=self.directory) from error

    def close(self, *, ended: bool = True) -> Path | None:
        """Seal and give the run up; returns the last segment, which is still to be ingested.

        ``ended`` says that the store knows how the run ended. If it does not, the run stays known
        to the journal, and the next command that recovers marks it interrupted.
        """
        try:
            return self.seal()
        finally:
            disown(self.directory, self.run_id, self._ownership, ended=ended)


def _hold_little() -> None:
    """Let Arrow give memory back at once: its own pool keeps tens of megabytes for next time."""
    import pyarrow as pa

    pa.set_memory_pool(pa.system_memory_pool())


_M_ARENA_MAX = -8
"""How glibc calls the number of its heaps."""


def few_heaps() -> None:
    """Let threads share two heaps of the C library, where it has one each; before there are any.

    Each heap keeps what it once held: over a long run tens of megabytes in threads that only take
    turns.
    """
    import ctypes

    with suppress(AttributeError, OSError, TypeError):
        ctypes.CDLL(None).mallopt(_M_ARENA_MAX, 2)


def give_back() -> None:
    """Return to the system what is free between what is held, where the C library can.

    Batches that go through several threads leave tens of megabytes behind over a million trials,
    and a moment in which the disk is slow leaves as much for good.
    """
    import ctypes

    # of glibc alone; others keep less
    with suppress(AttributeError, OSError, TypeError):
        ctypes.CDLL(None).malloc_trim(0)


def _write(file: int, content: bytes) -> None:
    start = os.lseek(file, 0, os.SEEK_CUR)
    try:
        view = memoryview(content)
        while view:
            view = view[os.write(file, view) :]
        getattr(os, "fdatasync", os.fsync)(file)
    except OSError:
        # half a line must not stay in front of the next attempt
        os.ftruncate(file, start)
        os.lseek(file, start, os.SEEK_SET)
        raise


@dataclass(frozen=True, slots=True)
class Segment:
    """What a segment holds; ``dropped`` is 1 when its end was torn as a process or machine died."""

    path: Path
    run_id: str
    blocks: Blocks
    dropped: int


def read_segment(path: Path) -> Segment:
    """Read a segment; an end that is not whole is dropped and counted.

    Raises ``StoreVersionError`` for a segment of another format, such as a newer evalkit's.
    """
    with path.open("rb") as file:
        head = file.readline()
    try:
        _, header = from_line(head)
        _check_format(header["format"], path)
    except (ValueError, KeyError, TypeError):
        return Segment(path, run_of(path), Blocks(path), 1)
    blocks, whole = read_blocks(path, len(head))
    return Segment(path, run_of(path), blocks, 0 if whole else 1)


def _check_format(number: int, path: Path) -> None:
    if number != FORMAT:
        newer = number > FORMAT
        raise StoreVersionError(
            f"the journal was written by {'a newer' if newer else 'an older'} evalkit"
            f" (format {number}, this one knows {FORMAT})",
            where=path,
            hint="upgrade evalkit the way you installed it"
            if newer
            else "take it in with that evalkit: evalkit runs",
        )


def run_of(path: Path) -> str:
    """The run a file of the journal belongs to."""
    return path.name.rpartition(".")[0].rpartition(".")[0] or path.stem


def segments(directory: Path, run_id: str | None = None) -> list[Path]:
    """The segments in the folder, oldest first; of one run or of all."""
    found = [one for one in directory.glob("*") if one.suffix in {SEALED, OPEN, _OLD}]
    mine = [one for one in found if run_id is None or run_of(one) == run_id]
    return sorted(mine, key=lambda one: (one.stat().st_mtime_ns, one.name))


def journalled_runs(directory: Path) -> list[str]:
    """The runs that left anything in the folder, living ones included."""
    if not directory.is_dir():
        return []
    locks = {one.stem for one in directory.glob("*.lock") if one.name != _GATE}
    return sorted(locks | {run_of(one) for one in segments(directory)})


# ---- which process a run belongs to ----------------------------------------------------------

_GATE = ".lock"


@contextmanager
def _gate(directory: Path) -> Iterator[None]:
    # taking and giving up a run happen one at a time: a lock file must not vanish under a taker
    from filelock import FileLock

    with FileLock(directory / _GATE, poll_interval=0.005):
        yield


def own(directory: Path, run_id: str) -> FileLock | None:
    """Make the run this process's own; ``None`` when a living process has it."""
    from filelock import FileLock, Timeout

    with _gate(directory):
        lock = FileLock(directory / f"{run_id}.lock", thread_local=False)
        try:
            lock.acquire(timeout=0)
        except Timeout:
            return None
        owner = {"pid": os.getpid(), "host": socket.gethostname(), "since": time.time()}
        (directory / f"{run_id}.owner").write_text(json.dumps(owner), "utf-8")
        return lock


def disown(directory: Path, run_id: str, lock: FileLock, *, ended: bool = True) -> None:
    """Give a run up that ``own`` returned; one that has not ended keeps its lock file."""
    with _gate(directory):
        (directory / f"{run_id}.owner").unlink(missing_ok=True)
        if ended:
            (directory / f"{run_id}.lock").unlink(missing_ok=True)
        lock.release()


def _owner(directory: Path, run_id: str) -> str:
    try:
        owner = json.loads((directory / f"{run_id}.owner").read_text("utf-8"))
        return f"process {owner['pid']} on {owner['host']}"
    except (OSError, ValueError, KeyError, TypeError):
        return "another process"
