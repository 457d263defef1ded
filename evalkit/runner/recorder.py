"""Where finished trials go: the run's journal at once, the store a few thousand at a time."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from evalkit.errors import EvalkitError, StoreError
from evalkit.model import JSON, NOTHING_SPENT, RunStatus, Spend, Trial

if TYPE_CHECKING:
    from evalkit.store import Journal, Store

SEAL_AFTER = 8_192
"""Trials of a journal segment, which is moved into the store in the background.

As many as the store keeps together: rows that fill what is there are not written twice.
"""
SEAL_TEXT = 8_000_000
"""The same in characters answered and asked: a segment is in memory while it is moved."""


class Recorder:
    """Makes the trials of one run durable.

    ``append`` returns when the disk has the trials, and never waits for the store, which another
    process may be using. ``finish`` moves the rest into the store: then it has ``ended``.
    While a recorder is open no other process can execute the run. ``fresh`` says that the store has
    no trial of the run yet.
    """

    def __init__(
        self, store: Store, run_id: str, *, fresh: bool = False, seal_after: int = SEAL_AFTER
    ):
        from evalkit.store import Journal

        self._store = store
        self._run_id = run_id
        self._fresh = fresh
        self._seal_after = seal_after
        self._journal: Journal = Journal(store.journal_directory, run_id)
        self._sealed: deque[Path] = deque()
        self._unsealed = 0
        self._text = 0
        self._guard = threading.Lock()
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="evalkit-ingest")
        self._ingesting: Future[None] | None = None
        self.ended = False

    def append(self, trials: Sequence[Trial]) -> None:
        """Write trials to the journal and wait for the disk; raises ``StoreError`` when full."""
        while trials:
            room = max(1, self._seal_after - self._unsealed)
            now, trials = trials[:room], trials[room:]
            self._journal.append(now)
            self._journal.flush()
            self._unsealed += len(now)
            self._text += sum(map(_text, now))
            if self._unsealed >= self._seal_after or self._text >= SEAL_TEXT:
                self._seal()
                if self._ingesting is None or self._ingesting.done():
                    self._ingesting = self._pool.submit(self._ingest_quietly)

    def _seal(self) -> None:
        segment = self._journal.seal()
        self._unsealed = self._text = 0
        if segment is not None:
            self._sealed.append(segment)

    def _ingest_quietly(self) -> None:
        try:
            self._ingest()
        except StoreError:
            # the journal has everything; the next segment, or the end of the run, tries again
            return

    def _ingest(self) -> None:
        from evalkit.store.journal import give_back

        with self._guard:
            while self._sealed:
                self._store.ingest(self._sealed[0], fresh=self._fresh)
                self._sealed.popleft()
                give_back()

    def settle(self) -> None:
        """Move everything recorded so far into the store, where it can be read."""
        if self._ingesting is not None:
            self._ingesting.result()
        self._seal()
        self._ingest()

    def finish(
        self,
        status: RunStatus,
        *,
        unrecorded: Spend = NOTHING_SPENT,
        settings: Mapping[str, JSON] | None = None,
    ) -> None:
        """Move everything into the store and write how the run ended.

        ``unrecorded`` was spent on calls that ended without a trial; ``settings`` are added to
        those of the run.

        Raises ``StoreError`` when that fails: the journal then keeps what the store lacks, and the
        next command that opens the store takes it in.
        """
        self.settle()
        self._store.finish_run(
            self._run_id, status, datetime.now(UTC), unrecorded=unrecorded, settings=settings
        )
        self.ended = True

    def close(self) -> None:
        """Give the run up; what was not ingested stays in the journal."""
        self._pool.shutdown()
        try:
            self._journal.close(ended=self.ended)
        except EvalkitError:
            # only what could not be written before is still unwritten, and that was said then
            return


def _text(trial: Trial) -> int:
    asked = sum(len(one.content) for one in trial.messages)
    output = trial.output
    if output is None or not output.turns:
        return asked if output is None else asked + len(output.text)
    return asked + sum(len(one.user) + len(one.output.text) for one in output.turns)
