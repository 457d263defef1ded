"""Answers that are kept between runs, in one SQLite file that many processes share.

An answer is found again by what was asked: the kind of target and its parameters, the rendered
request, the trial's number and the seed. Only whole answers of targets whose configuration says
what they are get kept: no refusal, no error, nothing cut short, nothing with a secret in it or,
where the project masks them, personal data. Reading takes microseconds and happens in the event
loop; writing happens in a thread of its own, a few times a second, and a process that is killed
loses only what was not written yet. Answers with personal data that were kept before the project
masked it are not used any more, and taken out.

A cache that breaks while a run goes on is left alone and the run continues without it.
"""

from __future__ import annotations

import hashlib
import re
import sqlite3
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from evalkit.config.spec import CacheMode
from evalkit.errors import EvalkitError
from evalkit.hashing import canonical
from evalkit.model import JSON, Origin, Output, Provenance, Request
from evalkit.registry import TargetPlugin
from evalkit.runner.cache_file import FORMAT, connect, opened
from evalkit.runner.veil import Veil

_WRITE_EVERY_S = 0.2
_COMPLETE = frozenset({None, "stop", "tool_calls", "function_call"})
_TIMINGS = ("connect_s", "first_reasoning_s")
_SECRET = re.compile(r"key|token|secret|password|authorization|credential", re.IGNORECASE)


def identity(
    plugin: TargetPlugin, options: Mapping[str, JSON], written: Mapping[str, JSON]
) -> str | None:
    """What a target is, whatever it is called; ``None`` when its configuration does not tell.

    ``options`` are resolved, ``written`` are not: what comes from the environment under the name of
    a secret is left out, so that a new key finds the answers of the old one, and no hash of a
    secret is kept. Limits, prices and the prompt's version are no part of it: the rendered request
    is compared instead.
    """
    if not plugin.cacheable:
        return None
    told = _told(dict(options), dict(written))
    return hashlib.sha256(canonical([FORMAT, plugin.name, plugin.version, told])).hexdigest()


def _told(value: JSON, written: JSON) -> JSON:
    if isinstance(value, dict) and isinstance(written, dict):
        return {
            name: _told(one, written.get(name))
            for name, one in value.items()
            if not (_SECRET.search(name) and "${env:" in str(written.get(name)))
        }
    if isinstance(value, list) and isinstance(written, list):
        return [_told(one, other) for one, other in zip(value, written, strict=True)]
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
        self._unmasked: list[bytes] = []
        self._said_unmasked = False
        self._end = threading.Event()
        self._thread: threading.Thread | None = None
        self._reader: sqlite3.Connection | None = None
        if self._writes:
            with opened(path, create=True):
                pass
        if self._reads and path.exists():
            self._reader = connect(path, create=False)

    def of(
        self, target: str, target_identity: str, *, takes_seed: bool, takes_schema: bool = False
    ) -> LaneCache:
        """The answers of one target."""
        return LaneCache(self, target, target_identity, takes_seed, takes_schema)

    def key(
        self,
        target_identity: str,
        request: Request,
        *,
        takes_seed: bool,
        takes_schema: bool = False,
    ) -> bytes:
        """What names an answer: the target, what it is asked, which trial, and the seed.

        A target that is not sent the trial's own seed is told apart by the run's, so that a case
        whose expectation was corrected is still the same question.
        """
        asked: JSON
        if request.case.turns:
            # a target without a prompt is sent the conversation and the case
            case = request.case
            said: JSON = [[one.role, one.content] for one in request.messages]
            asked = {"said": said, "inputs": dict(case.inputs), "context": list(case.context)}
        elif request.messages:
            asked = [[one.role, one.content] for one in request.messages]
        else:
            asked = {"inputs": dict(request.case.inputs), "context": list(request.case.context)}
        seed = request.seed if takes_seed else self._seed
        named: list[JSON] = [target_identity, asked, request.trial, takes_seed, seed]
        if takes_schema and request.schema is not None:
            named.append(dict(request.schema))
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
            readable = from_line(found[0])
            if self._veil.masks and self._veil.value(readable) != readable:
                self._take_out(key)
                return None
            output = output_from(readable)
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
        """Whether there is a kept answer to use; looking does not count as using it."""
        if self._veil.masks:
            return self.find(key) is not None
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
                        unmasked, self._unmasked = self._unmasked, []
                    if answers or used or unmasked:
                        self._write(connection, answers, used, unmasked)
                    if ending:
                        return
        except (sqlite3.Error, OSError, EvalkitError) as error:
            self._give_up(error)

    def _write(
        self,
        connection: sqlite3.Connection,
        answers: Iterable[_Answer],
        used: Iterable[tuple[float, bytes]],
        unmasked: Iterable[bytes],
    ) -> None:
        # the answer that was kept first stands, unless it was asked to be replaced
        verb = "REPLACE" if self.mode == "refresh" else "IGNORE"
        rows = [row for one in answers if (row := self._row(one)) is not None]
        with connection:
            connection.execute("BEGIN IMMEDIATE")
            connection.executemany(
                "DELETE FROM answers WHERE key = ?", [(key,) for key in unmasked]
            )
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

    def _take_out(self, key: bytes) -> None:
        """Use an answer with personal data in it no more; it was kept before that was masked."""
        if self._writes:
            with self._lock:
                self._unmasked.append(key)
            self._start()
        if not self._said_unmasked:
            self._said_unmasked = True
            after = (
                "they are taken out of the cache"
                if self._writes
                else "take them out with: evalkit run --cache write, or evalkit cache prune"
            )
            self.note(
                f"warning: answers with personal data were kept before it was masked; they are"
                f" asked for again, and {after}"
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
    takes_schema: bool = False

    def key(self, request: Request) -> bytes:
        """What names the answer to a request."""
        return self.cache.key(
            self.identity,
            request,
            takes_seed=self.takes_seed,
            takes_schema=self.takes_schema,
        )

    def find(self, key: bytes) -> Output | None:
        """The kept answer to that request, if there is one."""
        return self.cache.find(key)

    def has(self, key: bytes) -> bool:
        """Whether there is one, without using it."""
        return self.cache.has(key)

    def keep(self, key: bytes, output: Output) -> None:
        """Remember an answer to that request."""
        self.cache.keep(key, self.target, output)
