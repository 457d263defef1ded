"""Opening the store's file: one writer, many readers, from any number of processes.

DuckDB lets one process write or several read, never both, and refuses instead of waiting. A lock
file beside the store makes them wait: a writer holds it from open to close, a reader only while it
opens, so a writer in line is not overtaken by an endless row of readers. Whoever opens the file
without asking, such as the ``duckdb`` program, is met with retries.
"""

from __future__ import annotations

import os
import random
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from evalkit.errors import ConfigError, DiskFull, EvalkitError, StoreError, StoreVersionError
from evalkit.store.memory import FRUGAL
from evalkit.store.migrate import known_version, migrate, stored_version
from evalkit.store.sound import ROW_GROUP, read_through

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

STORAGE_VERSION = "v1.4.0"
"""The file format of new stores: what DuckDB 1.4, the oldest release still supported, can read."""

READER: dict[str, Any] = {
    "autoinstall_known_extensions": False,
    "autoload_known_extensions": False,
    "python_enable_replacements": False,
}
"""How every connection is opened; see ``lock``."""

_WRITER: dict[str, Any] = {**READER, "threads": 1, "write_buffer_row_group_count": 1}
"""A few thousand rows are written faster, and in less memory, by one thread than by several.

A row group that is full is written and not held, by itself DuckDB waits for five.
"""

_COSTLY = "zstd,alp,alprd,chimp,patas"
"""Compressions that are not tried: they take time and save next to nothing of what is stored."""

_FRUGAL: dict[str, Any] = {**READER, "threads": 1, "memory_limit": FRUGAL}

_KEPT_FOR = 5
"""Writes after which DuckDB is started anew: it comes to hold tens of megabytes for nothing."""

_process_locks: dict[Path, threading.RLock] = {}
_process_locks_guard = threading.Lock()


def lock(connection: DuckDBPyConnection, *, settings: bool = True) -> None:
    """Let a connection reach for nothing else on the machine, for good.

    Nor change its ``settings``, unless they are left open.
    """
    connection.execute("SET TimeZone = 'UTC'")
    connection.execute("SET enable_external_access = false")
    if settings:
        connection.execute("SET lock_configuration = true")


def _process_lock(path: Path) -> threading.RLock:
    # DuckDB refuses a reading and a writing connection to one file within one process
    with _process_locks_guard:
        return _process_locks.setdefault(path.resolve(), threading.RLock())


NOTED_S = 2.0
"""How long others are waited for without a word, in seconds."""


class Access:
    """Short connections to one store file.

    ``patience_s`` is how long to wait for others before giving up, in seconds. ``keeps`` holds
    DuckDB itself, without the file, from one write to the next: to start it takes as long as to
    write a few hundred trials. ``note`` is told, once, who is waited for.
    """

    def __init__(
        self,
        path: Path,
        *,
        patience_s: float,
        keeps: bool = False,
        note: Callable[[str], object] = lambda _: None,
    ):
        self.path = path
        self._note = note
        self._noted = False
        self._keeps = keeps
        self._kept: DuckDBPyConnection | None = None
        self._writes = 0
        self._held: tuple[int, DuckDBPyConnection] | None = None
        self.lock_path = path.with_name(path.name + ".lock")
        self.patience_s = patience_s

    def prepare(self) -> None:
        """Create the folder and the file if need be and prove that both can be written.

        Raises ``ConfigError`` when they cannot, and ``StoreError`` when what new rows will touch is
        damaged, before anything was paid for.
        """
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with self.lock_path.open("ab"):
                pass
            if self.path.exists():
                with self.path.open("r+b"):
                    pass
        except OSError as error:
            raise unwritable(error, self.path) from error
        with self.writing() as connection:
            read_through(connection)

    @contextmanager
    def writing(self, *, last: bool = False) -> Iterator[DuckDBPyConnection]:
        """One transaction of the only writer: committed at the end, undone by an exception.

        After the ``last`` one for a while nothing is kept for the next.

        Raises ``StoreError`` when others keep the store busy, when the disk is full or the file is
        damaged; nothing of the transaction is stored then.
        """
        deadline = time.monotonic() + self.patience_s
        with _process_lock(self.path), self._file_lock(deadline):
            self._give_back()
            try:
                if self.path.is_file() and self.path.stat().st_size == 0:
                    self.path.unlink()  # a placeholder; DuckDB refuses a file of no bytes
                connection = self._retry(self._writer, deadline)
                try:
                    migrate(connection, self.path)
                    connection.begin()
                    try:
                        yield connection
                    except BaseException:
                        self._undo(connection)
                        raise
                    connection.commit()
                except BaseException:
                    connection.close()
                    raise
                self._let_go(connection, last=last)
            except EvalkitError:
                raise
            except failures() as error:
                raise store_failure(error, self.path) from error

    @contextmanager
    def reading(self, *, frugal: bool = False) -> Iterator[DuckDBPyConnection]:
        """A connection that can only read this one file, and nothing else on the machine.

        A ``frugal`` one takes little memory and one thread: what does not fit waits beside the
        store.
        """
        if self._held is not None and self._held[0] == threading.get_ident():
            yield self._held[1]
            return
        config = _FRUGAL if frugal and os.access(self.path.parent, os.W_OK) else READER
        deadline = time.monotonic() + self.patience_s
        with _process_lock(self.path):
            connection = self._open_reader(deadline, config)
            try:
                version = stored_version(connection, self.path)
                if version < known_version():
                    connection.close()
                    with self.writing():
                        pass
                    connection = self._open_reader(deadline, config)
                yield connection
            except EvalkitError:
                raise
            except failures() as error:
                raise store_failure(error, self.path) from error
            finally:
                connection.close()

    @contextmanager
    def together(self, *, frugal: bool = False) -> Iterator[None]:
        """Whatever this thread reads meanwhile is read from one connection: opening takes longest.

        A write gives it back, and what is read after it is opened anew; ``frugal`` as in
        ``reading``.
        """
        if self._held is not None:
            yield
            return
        with self.reading(frugal=frugal) as connection:
            self._held = threading.get_ident(), connection
            try:
                yield
            finally:
                self._held = None

    def _give_back(self) -> None:
        """Close what this thread reads from: DuckDB opens no file for reading and writing."""
        if self._held is not None:
            self._held[1].close()
            self._held = None

    def _open_reader(self, deadline: float, config: dict[str, Any]) -> DuckDBPyConnection:
        try:
            with self._file_lock(deadline, reading=True):
                return self._retry(lambda: self._reader(config), deadline)
        except EvalkitError:
            raise
        except failures() as error:
            raise store_failure(error, self.path) from error

    def _reader(self, config: dict[str, Any]) -> DuckDBPyConnection:
        import duckdb

        connection = duckdb.connect(str(self.path), read_only=True, config=config)
        # whoever is frugal runs no statement of a user, and needs more for a long text
        lock(connection, settings=config is not _FRUGAL)
        return connection

    def _writer(self) -> DuckDBPyConnection:
        import duckdb

        connection, self._kept = self._kept or duckdb.connect(config=_WRITER), None
        try:
            # the size of row groups is an option of ATTACH alone
            options = [f"ROW_GROUP_SIZE {ROW_GROUP}"]
            if not self.path.exists():
                options.append(f"STORAGE_VERSION '{STORAGE_VERSION}'")
            path = str(self.path).replace("'", "''")
            connection.execute(f"ATTACH '{path}' AS store ({', '.join(options)})")
            connection.execute("USE store")
            connection.execute("SET TimeZone = 'UTC'")
            connection.execute(f"SET disabled_compression_methods = '{_COSTLY}'")
        except BaseException:
            connection.close()
            raise
        return connection

    def _let_go(self, connection: DuckDBPyConnection, *, last: bool) -> None:
        """Close the file: what was committed is in it, and others may open it."""
        self._writes += 1
        if self._keeps and not last and self._writes % _KEPT_FOR:
            try:
                connection.execute("USE memory")
                connection.execute("DETACH store")
            except failures():
                # the log beside the file keeps what could not be moved into it
                connection.close()
            else:
                self._kept = connection
        else:
            connection.close()

    def _retry(
        self, attempt: Callable[[], DuckDBPyConnection], deadline: float
    ) -> DuckDBPyConnection:
        import duckdb

        ceiling = 0.01
        while True:
            try:
                return attempt()
            except (duckdb.IOException, duckdb.ConnectionException) as error:
                if not _is_busy(str(error)):
                    raise
                left = deadline - time.monotonic()
                if left <= 0:
                    raise self._busy(str(error)) from error
                if left < self.patience_s - NOTED_S:
                    self._waits(str(error))
            # full jitter: everyone who was turned away comes back at a different moment
            time.sleep(min(random.uniform(0, ceiling), left))  # noqa: S311 -- not for secrecy
            ceiling = min(ceiling * 2, 0.5)

    def _waits(self, detail: str) -> None:
        if not self._noted:
            self._noted = True
            self._note(
                f"the run store is in use{_holder(detail)}; waiting for up to {self.patience_s:g} s"
            )

    def _busy(self, detail: str) -> StoreError:
        return StoreError(
            f"the run store is in use{_holder(detail)} and stayed so for {self.patience_s:g} s",
            where=self.path,
            hint="close the program that has it open, then try again",
        )

    @contextmanager
    def _file_lock(self, deadline: float, *, reading: bool = False) -> Iterator[None]:
        from filelock import FileLock, Timeout

        lock = FileLock(self.lock_path, poll_interval=0.01)
        try:
            if not reading:
                self.path.parent.mkdir(parents=True, exist_ok=True)
            try:
                lock.acquire(timeout=max(0.0, min(NOTED_S, deadline - time.monotonic())))
            except Timeout:
                self._waits("")
                lock.acquire(timeout=max(0.0, deadline - time.monotonic()))
        except Timeout as error:
            raise self._busy("") from error
        except OSError as error:
            # whoever may only read the folder reads without standing in line
            if not reading:
                raise unwritable(error, self.path) from error
        try:
            yield
        finally:
            lock.release()

    def _undo(self, connection: DuckDBPyConnection) -> None:
        try:
            connection.rollback()
        except failures():
            # DuckDB has already undone and shut the database, as it does on a full disk
            return


def failures() -> tuple[type[Exception], ...]:
    """What DuckDB and the system raise."""
    import duckdb

    return (duckdb.Error, OSError)


def _holder(detail: str) -> str:
    """Who has the file open, as DuckDB says it."""
    if "held in" not in detail:
        return ""
    return " by " + detail.partition("held in ")[2].split(". See")[0].strip()


def _is_busy(message: str) -> bool:
    return "Could not set lock" in message or "different configuration" in message


def unwritable(error: OSError, path: Path, *, journal: Path | None = None) -> EvalkitError:
    """The error of a place that cannot be written: the user's when rights or the path are wrong."""
    import errno

    reason = (error.strerror or str(error)).lower()
    if error.errno in {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO}:
        return store_failure(error, path, journal=journal)
    return ConfigError(
        f"the run store cannot be written: {reason}",
        where=path,
        hint="make the folder writable, or name another place under 'store:' in evalkit.yaml",
    )


_DAMAGED = ("corrupt", "checksum", "could not read enough", "replaying wal")
_FULL = ("no space left", "file too large", "disk quota", "not enough space", "disk full")


def store_failure(error: Exception, path: Path, *, journal: Path | None = None) -> EvalkitError:
    """The ``EvalkitError`` of what DuckDB or the system said about a file of the store."""
    message = str(error).strip()
    first = message.partition("\n")[0]
    lowered = message.lower()
    if "not a valid duckdb database file" in lowered:
        return ConfigError(
            "the file is not a DuckDB database",
            where=path,
            hint="name another file under 'store:' in evalkit.yaml, or move this one away",
        )
    if "we can only read versions" in lowered or "newer version of duckdb" in lowered:
        return StoreVersionError(
            "the run store was written by a newer DuckDB",
            where=path,
            hint="upgrade evalkit the way you installed it, and duckdb with it",
        )
    if any(word in lowered for word in _FULL):
        return DiskFull(
            "the disk is full: this write was undone, everything stored before it is safe",
            where=path,
            hint="free space, then run the command again; answers still in"
            f" {journal or path.parent / 'journal'} are taken in by it",
        )
    if any(word in lowered for word in _DAMAGED):
        return StoreError(
            f"the run store is damaged: {first}",
            where=path,
            hint="restore the file from a backup, or move it away to begin a new store",
        )
    if "permission denied" in lowered or "read-only file system" in lowered:
        return ConfigError(
            f"the run store cannot be opened: {first}", where=path, hint="check the file's rights"
        )
    return StoreError(
        f"the run store failed: {first}", where=path, hint="what was stored before is untouched"
    )
