"""The run store: runs and their trials in one DuckDB file, shared by any number of processes."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from evalkit.errors import ErrorClass, UnknownName, UsageError
from evalkit.labels import Label
from evalkit.model import JSON, NOTHING_SPENT, Run, RunKind, RunStatus, Spend, Trial
from evalkit.store.access import Access
from evalkit.store.append import append, append_blocks, insert, insert_rows
from evalkit.store.arrays import as_json
from evalkit.store.columns import trial_columns
from evalkit.store.events import Event, add_event, events_from
from evalkit.store.events import record as _record
from evalkit.store.finished import finished_groups, finished_trials
from evalkit.store.gates import GateRow, gate_table
from evalkit.store.journal import (
    Segment,
    disown,
    journalled_runs,
    own,
    read_segment,
    segments,
)
from evalkit.store.migrate import stored_version
from evalkit.store.names import case_named, run_named
from evalkit.store.reads import fetch, single
from evalkit.store.rows import case_trials, rows_of, run_from, target_trials, trials_from, utc

Collected = TypeVar("Collected")

if TYPE_CHECKING:
    import pyarrow as pa
    from duckdb import DuckDBPyConnection

    from evalkit.stats.load import LoadStep
    from evalkit.stats.samples import Samples
    from evalkit.stats.sides import Side
    from evalkit.store.labels import Answer, JudgedAnswer, Taken
    from evalkit.store.spending import History, Spending


@dataclass(frozen=True, slots=True, kw_only=True)
class RunRow:
    """One stored run at a glance.

    ``cost_usd`` is what the run spent on its targets as far as it is known, ``None`` when nothing
    is; ``assumed_usd`` of it is the most that calls can have taken whose tokens nobody told;
    ``unpriced`` counts answers without any cost, ``saved_usd`` is what the cache saved.
    ``scores`` has, target by target, the mean of the run's first scorer, named ``scorer``.
    """

    run_id: str
    project: str
    kind: RunKind
    status: RunStatus
    started_at: datetime
    finished_at: datetime | None
    suites: tuple[str, ...]
    targets: tuple[str, ...]
    planned: int
    cases: int
    trials: int
    errors: int
    cost_usd: float | None
    assumed_usd: float
    unpriced: int
    saved_usd: float | None
    scorer: str | None
    scores: tuple[tuple[str, float | None], ...]
    git_commit: str | None
    git_dirty: bool
    user: str | None
    shard: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PromptRow:
    """One version of a prompt file over all runs that used it."""

    path: str
    version: str
    label: str | None
    text: str
    first_used: datetime
    last_used: datetime
    runs: int


@dataclass(frozen=True, slots=True)
class Recovered:
    """What dead runs had left in the journal: trials taken in, torn lines dropped."""

    runs: tuple[str, ...] = ()
    trials: int = 0
    dropped: int = 0


class Store:
    """The run store at ``path``; nothing is created before the first write.

    ``patience_s`` is how long an operation waits for other processes, in seconds; ``note`` is told
    of a long wait. Every method
    raises ``StoreError`` when the file is busy for longer, damaged or on a full disk, and
    ``StoreVersionError`` when a newer evalkit wrote it; what was stored before stays stored.
    """

    def __init__(
        self,
        path: Path,
        *,
        patience_s: float = 60.0,
        note: Callable[[str], object] = lambda _: None,
    ):
        self.path = path
        self._access = Access(path, patience_s=patience_s, keeps=True, note=note)

    @property
    def journal_directory(self) -> Path:
        """Where the journals of runs into this store lie."""
        return self.path.parent / "journal"

    @property
    def exists(self) -> bool:
        """Whether there is anything to read."""
        return self.path.is_file() and self.path.stat().st_size > 0

    def prepare(self) -> None:
        """Create the store or prove that it can be written; raises ``ConfigError`` if not."""
        self._access.prepare()

    # ---- writing -------------------------------------------------------------------------------

    def create_run(self, run: Run) -> None:
        """Store a run that begins; raises ``UsageError`` when its id is taken."""
        with self._access.writing() as connection:
            if single(connection, "SELECT 1 FROM runs WHERE run_id = ?", [run.id]) is not None:
                raise UsageError(f"run {run.id!r} exists already", where=self.path)
            for name, rows in rows_of(run).items():
                insert_rows(connection, name, rows)
            _record(connection, "run.started", run, {"planned": run.planned})

    def append(self, trials: Sequence[Trial]) -> None:
        """Store trials with their cases and scores in one transaction.

        A trial stored before is replaced, unless the stored one began later; what was spent on it
        is added to what replaces it.
        """
        if not trials:
            return
        columns = trial_columns(trials)
        with self._access.writing() as connection:
            append(connection, columns)

    def ingest(self, segment: Path, *, fresh: bool = False) -> int:
        """Move a sealed segment of a journal into the store, exactly once; returns its trials.

        The segment's name is stored in the same transaction, then its file is deleted: killed in
        between, the next attempt only deletes. ``fresh`` says that none of its trials can be in the
        store, as in a run that was not resumed: they are not looked for.
        """
        return self._ingest(read_segment(segment), fresh=fresh)

    def _ingest(self, read: Segment, *, fresh: bool = False) -> int:
        with self._access.writing() as connection:
            known = single(
                connection, "SELECT 1 FROM journal_segments WHERE segment = ?", [read.path.stem]
            )
            trials = 0
            if known is None:
                trials = append_blocks(connection, read.blocks, fresh=fresh)
                connection.execute(
                    "INSERT INTO journal_segments VALUES (?, ?, ?, ?, now())",
                    [read.path.stem, read.run_id, trials, read.dropped],
                )
        # the connection is closed here, so the rows are in the database file itself
        read.path.unlink(missing_ok=True)
        return trials

    def finish_run(
        self,
        run_id: str,
        status: RunStatus,
        finished_at: datetime,
        *,
        unrecorded: Spend = NOTHING_SPENT,
        settings: Mapping[str, JSON] | None = None,
    ) -> None:
        """Write how a run ended; ``unrecorded`` was spent on calls that ended without a trial.

        ``settings`` are added to those of the run.
        """
        with self._access.writing(last=True) as connection:
            run = self._run(connection, run_id)
            if settings:
                connection.execute(
                    "UPDATE runs SET settings = ? WHERE run_id = ?",
                    [as_json({**run.settings, **settings}), run_id],
                )
            connection.execute(
                "UPDATE runs SET status = ?, finished_at = ?, unrecorded_usd = unrecorded_usd + ?,"
                " unrecorded_tokens = unrecorded_tokens + ? WHERE run_id = ?",
                [
                    status,
                    finished_at,
                    (unrecorded.usd or 0.0) + unrecorded.assumed_usd,
                    (unrecorded.tokens or 0) + unrecorded.assumed_tokens,
                    run_id,
                ],
            )
            _record(connection, "run.finished", run, {"status": status})

    def add_load_steps(
        self, run_id: str, suite: str, target: str, steps: Sequence[LoadStep]
    ) -> None:
        """Store the steps of a load test, in place of any stored before."""
        from evalkit.store.load_steps import step_table

        with self._access.writing() as connection:
            connection.execute("DELETE FROM load_steps WHERE run_id = ?", [run_id])
            insert(connection, "load_steps", step_table(run_id, suite, target, steps))

    def reopen_run(self, run_id: str, *, judged_again: int = 0) -> Run:
        """Mark a run as running again, to be resumed; returns it.

        ``judged_again`` is how many stored answers get a verdict that they lacked.
        """
        with self._access.writing() as connection:
            run = self._run(connection, run_id)
            connection.execute(
                "UPDATE runs SET status = ?, finished_at = NULL WHERE run_id = ?",
                [RunStatus.RUNNING, run_id],
            )
            again: dict[str, JSON] = {"judged_again": judged_again} if judged_again else {}
            _record(connection, "run.resumed", run, {"was": run.status, **again})
            return self._run(connection, run_id)

    def left_behind(self) -> list[str]:
        """The runs that have answers in the journal and no living process; changes nothing."""
        directory = self.journal_directory
        found = []
        for run_id in journalled_runs(directory):
            left = segments(directory, run_id)
            marked = (directory / f"{run_id}.lock").exists()
            lock = own(directory, run_id) if left else None
            if lock is not None:
                disown(directory, run_id, lock, ended=not marked)
                found.append(run_id)
        return found

    def recover(self) -> Recovered:
        """Take in what dead runs left in the journal; runs of living processes are left alone.

        A run that died is marked interrupted. Cheap when there is nothing: no database is opened.
        """
        directory = self.journal_directory
        runs, trials, dropped = [], 0, 0
        for run_id in journalled_runs(directory):
            lock = own(directory, run_id)
            if lock is None:
                continue
            ended = False
            try:
                for segment in segments(directory, run_id):
                    read = read_segment(segment)
                    trials += self._ingest(read)
                    dropped += read.dropped
                self._bury(run_id)
                runs.append(run_id)
                ended = True
            finally:
                disown(directory, run_id, lock, ended=ended)
        return Recovered(tuple(runs), trials, dropped)

    def _bury(self, run_id: str) -> None:
        with self._access.writing() as connection:
            run = run_from(connection, run_id)
            if run is None or run.status is not RunStatus.RUNNING:
                return
            connection.execute(
                "UPDATE runs SET status = ?, finished_at ="
                " (SELECT max(started_at) FROM trials WHERE run_id = ?) WHERE run_id = ?",
                [RunStatus.INTERRUPTED, run_id, run_id],
            )
            _record(connection, "run.recovered", run, {})

    def record(self, *events: Event) -> None:
        """Add events to the audit trail, all or none."""
        with self._access.writing() as connection:
            for one in events:
                add_event(connection, one)

    def add_labels(self, labels: Sequence[Label], events: Sequence[Event] = ()) -> Taken:
        """Store people's judgements, with the events that say how they came, in one transaction.

        One with the key of a stored one replaces it, unless it is older or says the same. Durable
        when this returns.
        """
        from evalkit.store.labels import add_labels

        with self._access.writing() as connection:
            taken = add_labels(connection, labels)
            for one in events:
                add_event(connection, one)
            return taken

    def take_back(self, label: Label, before: Label | None = None) -> None:
        """Undo a judgement; ``before`` is what the same person said of it earlier, if at all."""
        from evalkit.store.labels import add_labels, remove_label

        with self._access.writing() as connection:
            remove_label(connection, label)
            add_labels(connection, () if before is None else (before,))

    def record_gates(self, rows: Sequence[GateRow], events: Sequence[Event]) -> None:
        """Store what gates said of a run, with the events that belong to it."""
        with self._access.writing() as connection:
            insert(connection, "gates", gate_table(rows))
            for one in events:
                add_event(connection, one)

    # ---- reading -------------------------------------------------------------------------------

    def labels(self, suite: str | None = None) -> tuple[Label, ...]:
        """People's judgements, oldest first; of one suite, or all."""
        from evalkit.store.labels import labels_from

        if not self.exists:
            return ()
        with self._access.reading() as connection:
            return labels_from(connection, suite)

    def label_table(self, suite: str | None = None) -> pa.Table:
        """People's judgements as rows, with the columns that an import reads."""
        from evalkit.store.labels import label_table

        with self._reading() as connection:
            return label_table(connection, suite)

    def answers(self, run_id: str) -> tuple[Answer, ...]:
        """Every answer of a run with what its scorers said, without texts."""
        from evalkit.store.labels import answers_from

        with self._reading() as connection:
            return answers_from(connection, run_id)

    def judged_answers(self, suite: str, scorer: str, signature: str) -> tuple[JudgedAnswer, ...]:
        """What a scorer of this signature said of answers to labelled cases, in every run."""
        from evalkit.store.labels import judged_answers_from

        with self._reading() as connection:
            return judged_answers_from(connection, suite, scorer, signature)

    def events(self, *kinds: str, run_id: str | None = None) -> tuple[Event, ...]:
        """The audit trail, oldest first; ``kinds`` such as ``run.started``, or ``run.`` for all."""
        if not self.exists:
            return ()
        with self._access.reading() as connection:
            return events_from(connection, kinds=kinds, run_id=run_id)

    def finished(
        self, run_id: str, *, retry: Collection[ErrorClass] | None = None
    ) -> set[tuple[str, str, str, int]]:
        """The keys of the trials that a resumed run need not do again.

        ``retry`` names the failures worth another attempt; ``None`` means all of them.
        """
        with self._access.reading() as connection:
            return {
                (*group, *trial)
                for group in finished_groups(connection, run_id)
                for trial in finished_trials(connection, run_id, group, retry)
            }

    def unscored_for(self, run_id: str, reason: str) -> list[tuple[str, str]]:
        """The suites and targets of a run with a score that is missing for such a reason.

        ``reason`` is a regular expression.
        """
        from evalkit.store.finished import unscored_groups

        with self._reading() as connection:
            return unscored_groups(connection, run_id, reason)

    def answered_requests(self, run_id: str) -> dict[tuple[str, str], dict[str, str]]:
        """What names the request of each answered case of a run, by suite and target."""
        from evalkit.store.finished import answered_requests

        with self._reading() as connection:
            return answered_requests(connection, run_id)

    def finished_by(
        self, run_id: str, collect: Callable[[Iterable[tuple[str, int]]], Collected]
    ) -> dict[tuple[str, str], Collected]:
        """The same by suite and target, each made by ``collect`` from case and index of a trial.

        The trials come one after the other, so that they need not all be held.
        """
        with self._access.reading() as connection:
            return {
                group: collect(finished_trials(connection, run_id, group, None))
                for group in finished_groups(connection, run_id)
            }

    def load_run(self, run_id: str) -> Run:
        """The run with the version of everything it used; raises ``UnknownName``."""
        with self._reading() as connection:
            return self._run(connection, run_id)

    def resolve(self, name: str, *, kind: RunKind | None = None) -> str:
        """The id of the run that ``name`` means.

        ``latest`` is the run started last, ``latest~1`` the one before, of this ``kind``; without
        one they are evaluations, as long as there is any. Any other name is an id or a part of
        exactly one. Raises ``UnknownName``, or ``UsageError`` with the candidates.
        """
        with self._reading() as connection:
            rows = fetch(
                connection, "SELECT run_id, kind FROM runs ORDER BY started_at DESC, run_id DESC"
            )
        return run_named(rows, name, kind=kind, where=self.path)

    def runs(self, *, limit: int | None = None, suite: str | None = None) -> list[RunRow]:
        """The stored runs, the last started first; ``suite`` keeps those that ran it."""
        from evalkit.store.summaries import run_rows

        if not self.exists:
            return []
        with self._access.reading() as connection:
            return [RunRow(**row) for row in run_rows(connection, limit=limit, suite=suite)]

    def prompts(self) -> list[PromptRow]:
        """Every version of every prompt that a run used, by path, oldest first."""
        if not self.exists:
            return []
        with self._access.reading() as connection:
            rows = fetch(
                connection,
                "SELECT path, version, arg_max(label, started_at) AS label,"
                " arg_max(text, started_at) AS text, min(started_at) AS first_used,"
                " max(started_at) AS last_used, count(DISTINCT run_id) AS runs"
                " FROM prompts JOIN runs USING (run_id)"
                " GROUP BY path, version ORDER BY path, first_used, version",
            )
        return [
            PromptRow(
                **{
                    **row,
                    "first_used": utc(row["first_used"]),
                    "last_used": utc(row["last_used"]),
                }
            )
            for row in rows
        ]

    def spending(self, run_id: str) -> Spending:
        """What a run has spent so far, as budgets count it."""
        from evalkit.store.spending import run_spending

        with self._reading() as connection:
            return run_spending(connection, self._run(connection, run_id))

    def spent_since(self, instant: datetime, *, but: str | None = None) -> float:
        """US dollars that all runs spent since then, but for the run of that id."""
        from evalkit.store.spending import spent_since

        if not self.exists:
            return 0.0
        with self._access.reading() as connection:
            return spent_since(connection, instant, but)

    def history(self, target: str, suite: str) -> History | None:
        """What the answers of a target to a suite took in earlier runs, the latest 20,000."""
        from evalkit.store.spending import history

        if not self.exists:
            return None
        with self._access.reading() as connection:
            return history(connection, target, suite)

    @contextmanager
    def samples(self, run_id: str) -> Iterator[tuple[Run, Samples]]:
        """The run and everything a summary of it is computed from, to be read while this is open.

        One sample at a time is read, and not kept.
        """
        from evalkit.store.samples import StoredSamples

        with self._reading(frugal=True) as connection:
            run = self._run(connection, run_id)
            yield run, StoredSamples(connection, run)

    def sides(self, run_id: str, *, confirming: bool = False) -> dict[tuple[str, str], Side]:
        """The columns a comparison of the run needs, by suite and target.

        Of all trials but those that confirm failures, or of those alone.
        """
        from evalkit.store.sides import sides

        with self._reading() as connection:
            return sides(connection, self._run(connection, run_id), confirming=confirming)

    def has_sorts(self, run_id: str) -> bool:
        """Whether any case of a run is an attack or one of a pair, by its tag."""
        sql = "SELECT 1 FROM trials WHERE run_id = ? AND tags['sort'] IN ('attack', 'pair') LIMIT 1"
        with self._reading() as connection:
            return bool(connection.execute(sql, [run_id]).fetchall())

    def offending(self, sql: str, *, run: str, baseline: str | None, limit_s: float = 30.0) -> int:
        """How many rows a gate's query returns; ``$run`` and ``$baseline`` in it are the two runs.

        Raises as ``query``, and when it takes longer than ``limit_s`` seconds.
        """
        from evalkit.store.query import count_rows

        named = {"run": run, "baseline": baseline}
        with self._reading() as connection:
            return count_rows(connection, sql, named, limit_s=limit_s)

    def load_steps(self, run_id: str) -> tuple[LoadStep, ...]:
        """The steps of a load test in order; empty when it died before they were stored."""
        from evalkit.store.load_steps import steps_from

        with self._reading() as connection:
            return steps_from(connection, run_id)

    def trial(self, run_id: str, case: str) -> tuple[Trial, ...]:
        """Every trial of one case in a run, over its suites and targets.

        ``case`` is a name, an id, or a part of exactly one of them; raises ``UnknownName``, or
        ``UsageError`` with the candidates.
        """
        with self._reading() as connection:
            rows = fetch(
                connection,
                "SELECT DISTINCT case_id, case_name FROM trials WHERE run_id = ?"
                " ORDER BY case_name, case_id",
                [run_id],
            )
            return trials_from(connection, run_id, case_named(rows, case))

    def trials(self, run_id: str, suite: str, target: str) -> tuple[Trial, ...]:
        """The trials of one target in one suite of a run, by case and trial, as ``sides`` has."""
        with self._reading() as connection:
            return target_trials(connection, run_id, suite, target)

    def cases(self, run_id: str, case_ids: Sequence[str]) -> dict[str, tuple[Trial, ...]]:
        """Every trial of these cases in a run, by case id; those it has not are left out."""
        with self._reading() as connection:
            return case_trials(connection, run_id, case_ids)

    def query(self, sql: str) -> pa.Table:
        """The result of one statement that only reads.

        Raises ``UsageError`` with DuckDB's words when it is wrong, or when it would write, or reach
        for a file or an extension.
        """
        from evalkit.store.query import query

        with self._reading() as connection:
            return query(connection, sql)

    def texts(self) -> Iterator[tuple[str, list[str]]]:
        """Every text in the store, as ``table.column`` with the texts of some of its rows."""
        from evalkit.store.scan import stored_texts

        return stored_texts(self._access)

    def describe(self) -> tuple[int, int]:
        """The number of the store's schema, and the bytes of its files."""
        with self._reading() as connection:
            version = stored_version(connection, self.path)
        beside = self.path.with_name(self.path.name + ".wal")
        return version, sum(one.stat().st_size for one in (self.path, beside) if one.is_file())

    def together(self, *, frugal: bool = False) -> AbstractContextManager[None]:
        """While the block runs, this thread reads from one connection; see ``Access.reading``."""
        return self._access.together(frugal=frugal) if self.exists else nullcontext()

    def _reading(self, *, frugal: bool = False) -> Any:
        if not self.exists:
            raise UsageError(
                "there is no run store yet", where=self.path, hint="make one with: evalkit run"
            )
        return self._access.reading(frugal=frugal)

    def _run(self, connection: DuckDBPyConnection, run_id: str) -> Run:
        run = run_from(connection, run_id)
        if run is None:
            ids = [row["run_id"] for row in fetch(connection, "SELECT run_id FROM runs")]
            raise UnknownName("run", run_id, ids, where=self.path)
        return run
