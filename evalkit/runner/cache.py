"""Answers that are kept between runs, in one SQLite file that many processes share.

An answer is found again by what was asked: the kind of target and its parameters, the rendered
request, the trial's number and the seed. Only whole answers of targets whose configuration says
what they are get kept: no refusal, no error, nothing cut short, nothing with a secret in it or,
where the project masks them, personal data. Reading takes microseconds and happens in the event
loop; writing happens in a thread of its own, a few times a second, and a process that is killed
loses only what was not written yet.

A cache that breaks while a run goes on is left alone and the run continues without it.
"""

from __future__ import annotations

import hashlib
import re
import sqlite3
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path

from evalkit.config.spec import CacheMode
from evalkit.errors import ConfigError, EvalkitError, StoreError, StoreVersionError
from evalkit.hashing import canonical
from evalkit.model import JSON, Origin, Output, Provenance, Request
from evalkit.registry import TargetPlugin
from evalkit.runner.veil import Veil

FORMAT = 1
"""Version of the file, and of what a key is made of."""
_PATIENCE_S = 20.0
_WRITE_EVERY_S = 0.2
_COMPLETE = frozenset({None, "stop", "tool_calls", "function_call"})
_TIMINGS = ("connect_s", "first_reasoning_s")
_SECRET = re.compile(r"key|token|secret|password|authorization|credential", re.IGNORECASE)

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


def identity(plugin: TargetPlugin, options: Mapping[str, JSON]) -> str | None:
    """What a target is, whatever it is called; ``None`` when its configuration does not tell.

    ``options`` are resolved; those named like a secret are left out, so that a new key finds the
    answers of the old one, and no hash of a secret is written. Limits, prices and the prompt's
    version are no part of it: the rendered request is compared instead.
    """
    if not plugin.cacheable:
        return None
    return hashlib.sha256(
        canonical([FORMAT, plugin.name, plugin.version, _without_secrets(dict(options))])
    ).hexdigest()


def _without_secrets(value: JSON) -> JSON:
    if isinstance(value, dict):
        return {
            name: _without_secrets(one)
            for name, one in value.items()
            # max_completion_tokens is no secret: a number never is
            if not (_SECRET.search(name) and isinstance(one, str))
        }
    if isinstance(value, list):
        return [_without_secrets(one) for one in value]
    return value


def is_complete(output: Output) -> bool:
    """Whether an answer is a whole answer: it says something, and nothing stopped it early."""
    if output.provenance is not Provenance.LIVE or "refusal" in output.extra:
        return False
    said = bool(output.text.strip() or output.tool_calls)
    return said and output.finish_reason in _COMPLETE


@dataclass(frozen=True, slots=True)
class _Answer:
    key: bytes
    target: str
    output: Output
    answered_at: float


class AnswerCache:
    """The cache of one run; ``of`` gives each lane its own view.

    Belongs to one event loop. Raises ``ConfigError`` or ``StoreError`` when the file cannot be
    used; ``note`` is told of troubles that come later, once.
    """

    def __init__(
        self,
        path: Path,
        mode: CacheMode,
        *,
        run_id: str,
        seed: int,
        veil: Veil,
        note: Callable[[str], object] = lambda _: None,
    ):
        self.mode = mode
        self.note = note
        self._path = path
        self._run_id = run_id
        self._seed = seed
        self._veil = veil
        self._reads = mode in {"read", "write"}
        self._writes = mode in {"write", "refresh"}
        self._broken = False
        self._lock = threading.Lock()
        self._answers: list[_Answer] = []
        self._used: list[tuple[float, bytes]] = []
        self._end = threading.Event()
        self._thread: threading.Thread | None = None
        self._reader: sqlite3.Connection | None = None
        if self._writes:
            with opened(path, create=True):
                pass
        if self._reads and path.exists():
            self._reader = connect(path, create=False)

    def of(self, target: str, target_identity: str, *, takes_seed: bool) -> LaneCache:
        """The answers of one target."""
        return LaneCache(self, target, target_identity, takes_seed)

    def key(self, target_identity: str, request: Request, *, takes_seed: bool) -> bytes:
        """What names an answer: the target, what it is asked, which trial, and the seed.

        A target that is not sent the trial's own seed is told apart by the run's, so that a case
        whose expectation was corrected is still the same question.
        """
        asked: JSON
        if request.messages:
            asked = [[one.role, one.content] for one in request.messages]
        else:
            asked = {"inputs": dict(request.case.inputs), "context": list(request.case.context)}
        seed = request.seed if takes_seed else self._seed
        named: JSON = [target_identity, asked, request.trial, takes_seed, seed]
        return hashlib.sha256(canonical(named)).digest()

    def find(self, key: bytes) -> Output | None:
        """The kept answer, without any time in it; ``None`` when there is none."""
        reader = self._reader
        if reader is None or self._broken:
            return None
        from evalkit.store.codec import from_line, output_from

        try:
            found = reader.execute(
                "SELECT answer, run_id, answered_at FROM answers WHERE key = ?", [key]
            ).fetchone()
            if found is None:
                return None
            output = output_from(from_line(found[0]))
        except (sqlite3.Error, OSError) as error:
            self._give_up(error)
            return None
        except (ValueError, KeyError, TypeError):
            # written by somebody else: not an answer of ours
            return None
        if self._writes:
            with self._lock:
                self._used.append((time.time(), key))
            self._start()
        origin = Origin(run_id=found[1], answered_at=datetime.fromtimestamp(found[2], UTC))
        return replace(
            output,
            provenance=Provenance.CACHE,
            latency_s=None,
            ttft_s=None,
            inter_token=None,
            origin=origin,
        )

    def has(self, key: bytes) -> bool:
        """Whether there is a kept answer; looking does not count as using it."""
        if self._reader is None or self._broken:
            return False
        try:
            found = self._reader.execute("SELECT 1 FROM answers WHERE key = ?", [key]).fetchone()
        except (sqlite3.Error, OSError) as error:
            self._give_up(error)
            return False
        return found is not None

    def keep(self, key: bytes, target: str, output: Output) -> None:
        """Remember an answer, if it is whole and clean; it is written a moment later."""
        if not self._writes or self._broken or not is_complete(output):
            return
        extra = {name: one for name, one in output.extra.items() if name not in _TIMINGS}
        output = replace(output, latency_s=None, ttft_s=None, inter_token=None, extra=extra)
        with self._lock:
            self._answers.append(_Answer(key, target, output, time.time()))
        self._start()

    def close(self) -> None:
        """Write what is not written yet and close the file; safe to call twice."""
        self._end.set()
        if self._thread is not None:
            self._thread.join()
            self._thread = None
        if self._reader is not None:
            self._reader.close()
            self._reader = None

    def _start(self) -> None:
        if self._thread is None and not self._end.is_set():
            self._thread = threading.Thread(
                target=self._write_on, name="evalkit-cache", daemon=True
            )
            self._thread.start()

    def _write_on(self) -> None:
        try:
            with opened(self._path, create=True) as connection:
                while not self._broken:
                    ending = self._end.wait(_WRITE_EVERY_S)
                    with self._lock:
                        answers, self._answers = self._answers, []
                        used, self._used = self._used, []
                    if answers or used:
                        self._write(connection, answers, used)
                    if ending:
                        return
        except (sqlite3.Error, OSError, EvalkitError) as error:
            self._give_up(error)

    def _write(
        self,
        connection: sqlite3.Connection,
        answers: Iterable[_Answer],
        used: Iterable[tuple[float, bytes]],
    ) -> None:
        # the answer that was kept first stands, unless it was asked to be replaced
        verb = "REPLACE" if self.mode == "refresh" else "IGNORE"
        rows = [row for one in answers if (row := self._row(one)) is not None]
        with connection:
            connection.execute("BEGIN IMMEDIATE")
            connection.executemany(
                f"INSERT OR {verb} INTO answers (key, target, model, run_id, answered_at, used_at,"  # noqa: S608 - one of two words
                " tokens, cost_usd, bytes, answer) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                rows,
            )
            connection.executemany(
                "UPDATE answers SET hits = hits + 1, used_at = max(used_at, ?) WHERE key = ?", used
            )

    def _row(self, one: _Answer) -> tuple[object, ...] | None:
        from evalkit.store.codec import from_line
        from evalkit.store.lines import output_line

        output = one.output
        answer = output_line(output)
        if self._veil:
            # scores of a changed answer would not be those of the answer: it is asked again
            readable = from_line(answer)
            if self._veil.value(readable) != readable:
                return None
        return (
            one.key,
            one.target,
            output.model,
            self._run_id,
            one.answered_at,
            one.answered_at,
            output.usage.total_tokens,
            output.cost_usd,
            len(answer),
            answer,
        )

    def _give_up(self, error: Exception) -> None:
        if not self._broken:
            self._broken = True
            self.note(f"warning: the cache is not used any further: {error}")


@dataclass(frozen=True, slots=True)
class LaneCache:
    """The kept answers of one target."""

    cache: AnswerCache
    target: str
    identity: str
    takes_seed: bool

    def key(self, request: Request) -> bytes:
        """What names the answer to a request."""
        return self.cache.key(self.identity, request, takes_seed=self.takes_seed)

    def find(self, key: bytes) -> Output | None:
        """The kept answer to that request, if there is one."""
        return self.cache.find(key)

    def has(self, key: bytes) -> bool:
        """Whether there is one, without using it."""
        return self.cache.has(key)

    def keep(self, key: bytes, output: Output) -> None:
        """Remember an answer to that request."""
        self.cache.keep(key, self.target, output)


# ---- the file ------------------------------------------------------------------------------------


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
        return StoreError("the disk is full", where=path, hint="free space, or use --cache off")
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


# ---- looking at it and making it smaller ---------------------------------------------------------


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
