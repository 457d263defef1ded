"""The SQLite file of kept answers: opened by many processes, looked at, and made smaller."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from evalkit.errors import ConfigError, DiskFull, EvalkitError, StoreError, StoreVersionError

FORMAT = 1
"""Version of the file, and of what a key is made of."""
_PATIENCE_S = 20.0

_SCHEMA = """
CREATE TABLE IF NOT EXISTS answers (
    key BLOB PRIMARY KEY,
    target TEXT NOT NULL,
    model TEXT,
    run_id TEXT NOT NULL,
    answered_at REAL NOT NULL,
    used_at REAL NOT NULL,
    hits INTEGER NOT NULL DEFAULT 0,
    tokens INTEGER,
    cost_usd REAL,
    bytes INTEGER NOT NULL,
    answer BLOB NOT NULL
);
"""


def connect(path: Path, *, create: bool) -> sqlite3.Connection:
    """An open cache; raises ``ConfigError``, ``StoreVersionError`` or ``StoreError``."""
    try:
        if create:
            path.parent.mkdir(parents=True, exist_ok=True)
        connection = sqlite3.connect(
            path, timeout=_PATIENCE_S, isolation_level=None, check_same_thread=False
        )
        try:
            _prepare(connection, path, create=create)
        except BaseException:
            connection.close()
            raise
    except (sqlite3.Error, OSError) as error:
        raise trouble(error, path) from error
    return connection


def _prepare(connection: sqlite3.Connection, path: Path, *, create: bool) -> None:
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    if version > FORMAT:
        raise StoreVersionError(
            f"the cache was written by a newer evalkit (format {version}, this one knows {FORMAT})",
            where=path,
            hint="upgrade with: pip install --upgrade evalkit",
        )
    if version == 0 and create:
        _create(connection, path)
    if create:
        # a power cut may lose the last answers, never the file
        connection.execute("PRAGMA synchronous = NORMAL")
        # what is taken out is gone from the file too
        connection.execute("PRAGMA secure_delete = ON")


def _create(connection: sqlite3.Connection, path: Path) -> None:
    _refuse_other(connection, path)
    connection.execute("PRAGMA auto_vacuum = INCREMENTAL")
    deadline = time.monotonic() + _PATIENCE_S
    while True:
        try:
            # the one step that SQLite does not wait for by itself
            connection.execute("PRAGMA journal_mode = WAL")
            break
        except sqlite3.OperationalError as error:
            if "locked" not in str(error) or time.monotonic() > deadline:
                raise
            time.sleep(0.01)
    with connection:
        connection.execute("BEGIN IMMEDIATE")
        _refuse_other(connection, path)
        connection.execute(_SCHEMA)
        connection.execute(f"PRAGMA user_version = {FORMAT}")


def _refuse_other(connection: sqlite3.Connection, path: Path) -> None:
    # another process may make it a cache between the two: its tables come with its version
    (tables,) = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    if tables and version == 0:
        raise ConfigError(
            "this SQLite file is not a cache of evalkit",
            where=path,
            hint="name another file under 'cache: {path: ...}' in evalkit.yaml",
        )


@contextmanager
def opened(path: Path, *, create: bool) -> Iterator[sqlite3.Connection]:
    """An open cache that is closed at the end of the block."""
    connection = connect(path, create=create)
    try:
        yield connection
    finally:
        connection.close()


def trouble(error: Exception, path: Path) -> EvalkitError:
    """The error of what SQLite or the system said about the file."""
    said = str(getattr(error, "strerror", None) or error).lower()
    if "not a database" in said or "malformed" in said:
        return ConfigError(
            f"the cache cannot be read: {said}",
            where=path,
            hint="delete the file: it holds nothing but answers that can be asked for again",
        )
    if "full" in said or "no space" in said:
        return DiskFull("the disk is full", where=path, hint="free space, or use --cache off")
    if "locked" in said or "busy" in said:
        return StoreError(
            f"the cache is in use by another program for more than {_PATIENCE_S:g} s",
            where=path,
            hint="close that program, or use --cache off",
        )
    return ConfigError(
        f"the cache cannot be used: {said}",
        where=path,
        hint="make it writable, name another file under 'cache: {path: ...}', or use --cache off",
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """The kept answers of one target; ``saved_usd`` is what using them has saved so far."""

    target: str
    answers: int
    bytes: int
    hits: int
    tokens: int
    cost_usd: float
    saved_usd: float
    oldest: datetime
    newest: datetime
    last_used: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Prune:
    """What to take out: answers of these targets, or of all.

    Those answered more than ``older_than_s`` seconds ago go, then the longest unused until the rest
    takes at most ``max_bytes``; all of them when neither is given.
    """

    targets: tuple[str, ...] = ()
    older_than_s: float | None = None
    max_bytes: int | None = None
    now: float = field(default_factory=time.time)


def parts(path: Path) -> list[Part]:
    """What is kept, target by target; nothing when there is no cache yet."""
    if not path.exists():
        return []
    try:
        with opened(path, create=False) as connection:
            if not _has_table(connection):
                return []
            rows = connection.execute(
                "SELECT target, count(*), sum(bytes), sum(hits), coalesce(sum(tokens), 0),"
                " coalesce(sum(cost_usd), 0), coalesce(sum(hits * cost_usd), 0), min(answered_at),"
                " max(answered_at), max(used_at) FROM answers GROUP BY target ORDER BY target"
            ).fetchall()
    except sqlite3.Error as error:
        raise trouble(error, path) from error
    return [
        Part(
            target=row[0],
            answers=row[1],
            bytes=row[2],
            hits=row[3],
            tokens=row[4],
            cost_usd=row[5],
            saved_usd=row[6],
            oldest=datetime.fromtimestamp(row[7], UTC),
            newest=datetime.fromtimestamp(row[8], UTC),
            last_used=datetime.fromtimestamp(row[9], UTC),
        )
        for row in rows
    ]


def prune(path: Path, wanted: Prune, *, dry_run: bool = False) -> tuple[int, int]:
    """Take answers out and give their room back; returns how many, and their bytes.

    Other processes may use the cache meanwhile: what they are reading they still read.
    """
    if not path.exists():
        return 0, 0
    try:
        with opened(path, create=not dry_run) as connection:
            if not _has_table(connection):
                return 0, 0
            connection.execute("BEGIN" if dry_run else "BEGIN IMMEDIATE")
            chosen = _chosen(connection, wanted)
            if not dry_run:
                connection.executemany(
                    "DELETE FROM answers WHERE key = ?", [(key,) for key, _ in chosen]
                )
            connection.execute("COMMIT")
            if chosen and not dry_run:
                # a page a step: only a script is stepped to its end
                connection.executescript("PRAGMA incremental_vacuum")
                connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    except sqlite3.Error as error:
        raise trouble(error, path) from error
    return len(chosen), sum(size for _, size in chosen)


def _has_table(connection: sqlite3.Connection) -> bool:
    found = connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'answers'").fetchone()
    return found is not None


def _chosen(connection: sqlite3.Connection, wanted: Prune) -> list[tuple[bytes, int]]:
    """The answers to take out: key and size."""
    rows = connection.execute(
        "SELECT key, bytes, target, answered_at FROM answers ORDER BY used_at, key"
    )
    chosen: list[tuple[bytes, int]] = []
    rest: list[tuple[bytes, int]] = []
    for key, size, target, answered_at in rows:
        mine = not wanted.targets or target in wanted.targets
        if wanted.older_than_s is None:
            doomed = wanted.max_bytes is None
        else:
            doomed = answered_at < wanted.now - wanted.older_than_s
        if mine:
            (chosen if doomed else rest).append((key, size))
    if wanted.max_bytes is not None:
        left = sum(size for _, size in rest)
        for key, size in rest:
            if left <= wanted.max_bytes:
                break
            chosen.append((key, size))
            left -= size
    return chosen
