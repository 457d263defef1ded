"""The pipeline of a run on one machine: feeds, workers, scoring in batches, a durable record.

    feed ──► workers (one task a slot) ──► finished ──► score ──► journal ──► store
    reads ahead, in a thread               bounded      batches, in a thread

Every stage waits for the next, so memory does not grow with the number of cases. The event loop
does nothing but call targets: reading, rendering, scoring and writing happen in threads, a batch at
a time.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Protocol

from evalkit.errors import ErrorClass, EvalkitError, StoreError, TargetError
from evalkit.model import Case, Output, Request, ScoreRecord, ScoreStatus, Trial
from evalkit.runner.budget import NO_HOLD, Ledger, added
from evalkit.runner.feed import Feed, Job
from evalkit.runner.flight import Flight, Key
from evalkit.runner.lane import Answer, Lane
from evalkit.runner.progress import Board, Display, Tally
from evalkit.runner.record import build_trial
from evalkit.runner.veil import Veil

BATCH = 256
"""Finished trials that are scored and written without waiting for the clock."""
FINISHED_MOST = 2_048
"""Finished trials that may wait to be scored; workers stand still above it."""
ASYNC_SCORES = 16
"""Scores by asynchronous scorers that are under way at once."""


class Scorer(Protocol):
    """A scorer bound to its options; nothing it does raises."""

    @property
    def is_async(self) -> bool:
        """Whether it must run in the event loop."""
        ...

    def score_sync(self, pairs: Sequence[tuple[Case, Output]]) -> list[ScoreRecord]:
        """One record a pair, in order."""
        ...

    async def score(self, pairs: Sequence[tuple[Case, Output]]) -> list[ScoreRecord]:
        """One record a pair, in order."""
        ...


class Sink(Protocol):
    """Where finished trials go. Called from one thread at a time, never from the event loop."""

    def append(self, trials: Sequence[Trial]) -> None:
        """Make trials durable: when this returns, killing the process loses none of them."""
        ...


@dataclass(slots=True)
class ScorerTally:
    """How one scorer of a suite fared: records, those that are errors, and what the first said."""

    asked: int = 0
    failed: int = 0
    reason: str = ""

    def count(self, record: ScoreRecord) -> None:
        """Add one record."""
        self.asked += 1
        if record.status is ScoreStatus.ERROR:
            self.failed += 1
            self.reason = self.reason or record.reason or ""


@dataclass(slots=True, kw_only=True)
class Driven:
    """A target with the trials it is to make and the count of each of its suites."""

    lane: Lane
    feed: Feed
    tallies: Mapping[str, Tally]
    workers: list[asyncio.Task[None]] = field(default_factory=list)


@dataclass(slots=True, kw_only=True)
class Engine:
    """Makes every trial of every feed; ``stop`` ends it early and loses nothing that is finished.

    ``lanes`` are all targets, those only asked by routes too. ``grace_s`` is how long answers under
    way may take after ``stop``; ``flush_s`` how long a finished trial may wait to be written.
    ``flight`` remembers what is under way for whoever continues the run if it is killed.
    """

    run_id: str
    driven: Sequence[Driven]
    lanes: Sequence[Lane]
    scorers: Mapping[str, Sequence[Scorer]]
    sink: Sink
    board: Board
    display: Display
    veil: Veil
    ledger: Ledger = field(default_factory=Ledger)
    flight: Flight | None = None
    grace_s: float = 3.0
    flush_s: float = 0.05
    recorded: int = field(init=False, default=0)
    stopped: bool = field(init=False, default=False)
    scored: dict[tuple[str, str], ScorerTally] = field(init=False, default_factory=dict)
    _finished: list[tuple[str, Job, Answer]] = field(init=False, default_factory=list)
    _enough: asyncio.Event = field(init=False, default_factory=asyncio.Event)
    _room: asyncio.Event = field(init=False, default_factory=asyncio.Event)
    _no_more: bool = field(init=False, default=False)

    async def run(self) -> None:
        """Make the trials; returns when all are recorded, or those finished when it was stopped.

        Raises what the sink or a dataset raised, after recording all that could be.
        """
        self._room.set()
        self.board.started = self.board.clock()
        self.display.start(self.board)
        ticker = asyncio.create_task(self._tick())
        collector = asyncio.create_task(self._collect())
        for one in self.driven:
            one.workers = [
                asyncio.create_task(self._worker(one)) for _ in range(one.lane.limits.concurrency)
            ]
        try:
            failure = await self._until_ended(collector)
        finally:
            ticker.cancel()
            await asyncio.gather(ticker, return_exceptions=True)
            await self._close()
            self.display.stop()
        if failure is not None:
            raise failure

    async def _until_ended(self, collector: asyncio.Task[None]) -> BaseException | None:
        """Wait for the workers, then for the last batch; the first failure of either."""
        failure: BaseException | None = None
        pending: set[asyncio.Task[None]] = {one for each in self.driven for one in each.workers}
        watched = {collector, *pending}
        while pending:
            ended, watched = await asyncio.wait(watched, return_when=asyncio.FIRST_COMPLETED)
            pending -= ended
            for one in ended:
                error = None if one.cancelled() else one.exception()
                if error is not None and failure is None:
                    failure = error
                    self.stop(grace_s=0.0 if one is collector else self.grace_s)
        self._no_more = True
        self._enough.set()
        if not collector.done():
            try:
                await collector
            except Exception as error:  # noqa: BLE001 - handed to the caller of run, as it is
                failure = failure or error
        return failure

    def stop(self, *, grace_s: float | None = None) -> None:
        """Start nothing new; answers under way have ``grace_s`` to arrive, then are dropped."""
        if self.stopped:
            return
        self.stopped = True
        for one in self.driven:
            one.feed.stop()
        for lane in self.lanes:
            lane.stop()
        self._room.set()
        loop = asyncio.get_running_loop()
        loop.call_later(self.grace_s if grace_s is None else grace_s, self._cancel)

    def _cancel(self) -> None:
        for one in self.driven:
            for worker in one.workers:
                worker.cancel()

    async def _worker(self, driven: Driven) -> None:
        try:
            await self._work(driven)
        finally:
            # however it ends, by the budget or a target given up, nobody waits for this target
            driven.feed.let_go()

    async def _work(self, driven: Driven) -> None:
        lane, feed, finished = driven.lane, driven.feed, self._finished
        flight = self.flight
        name, timeout = lane.name, lane.timeout_s
        while (job := await feed.next()) is not None:
            if job.unrendered is None:
                request = Request(
                    case=job.case,
                    messages=job.messages,
                    trial=job.index,
                    seed=job.seed,
                    timeout_s=timeout,
                )
                if flight is None:
                    answer = await lane.ask(request)
                else:
                    key = _key(name, job)
                    answer = await lane.ask(request, begins=partial(flight.begins, key))
                    if flight.was_left(key) and lane.account is not None:
                        asked_before = lane.account.cut_off(NO_HOLD, request)
                        answer = replace(answer, spend=added(answer.spend, asked_before))
            else:
                answer = lane.unasked(TargetError(ErrorClass.PROMPT, str(job.unrendered)))
            output = answer.output
            driven.tallies[job.suite].count(answered=output is not None, cost_usd=_spent(answer))
            finished.append((name, job, answer))
            if len(finished) >= BATCH:
                self._enough.set()
                if len(finished) >= FINISHED_MOST and not self.stopped:
                    self._room.clear()
                    await self._room.wait()
            if lane.health.given_up:
                self._give_up(driven)
                return

    def _give_up(self, driven: Driven) -> None:
        if any(one.given_up for one in driven.tallies.values()):
            return
        reason = self.veil.text(driven.lane.health.reason)
        for one in driven.tallies.values():
            one.given_up = reason
        self.display.note(f"target {driven.lane.name!r} does not answer; it is asked no more")
        driven.feed.stop()
        this = asyncio.current_task()
        for worker in driven.workers:
            if worker is not this:
                worker.cancel()

    async def _collect(self) -> None:
        while True:
            await self._batch_or_time()
            batch = self._finished[:]
            # the workers hold the same list
            self._finished.clear()
            self._room.set()
            if batch:
                await self._record(batch)
            elif self._no_more:
                return

    async def _batch_or_time(self) -> None:
        self._enough.clear()
        if self._no_more or len(self._finished) >= BATCH:
            return
        try:
            async with asyncio.timeout(self.flush_s):
                await self._enough.wait()
        except TimeoutError:
            pass

    async def _record(self, batch: list[tuple[str, Job, Answer]]) -> None:
        waiting = await self._score_async(batch)
        scored_usd = await asyncio.to_thread(self._score_and_write, batch, waiting)
        self.recorded += len(batch)
        if self.flight is not None:
            self.flight.landed(_key(target, job) for target, job, _ in batch)
        for _, _, answer in batch:
            self.ledger.booked(answer.spend)
        if scored_usd:
            self.ledger.scored(scored_usd)

    async def _score_async(
        self, batch: list[tuple[str, Job, Answer]]
    ) -> dict[tuple[int, int], ScoreRecord]:
        """What asynchronous scorers say, by place in the batch and place of the scorer."""
        if not any(one.is_async for scorers in self.scorers.values() for one in scorers):
            return {}
        slots = asyncio.Semaphore(ASYNC_SCORES)
        records: dict[tuple[int, int], ScoreRecord] = {}

        async def score(place: tuple[int, int], scorer: Scorer, case: Case, out: Output) -> None:
            async with slots:
                (records[place],) = await scorer.score([(case, out)])

        async with asyncio.TaskGroup() as group:
            for row, (_, job, answer) in enumerate(batch):
                if answer.output is None:
                    continue
                for position, scorer in enumerate(self.scorers[job.suite]):
                    if scorer.is_async:
                        group.create_task(score((row, position), scorer, job.case, answer.output))
        return records

    def _score_and_write(
        self,
        batch: list[tuple[str, Job, Answer]],
        ready: Mapping[tuple[int, int], ScoreRecord],
    ) -> float:
        """Score a batch suite by suite and scorer by scorer, then write it; runs in a thread.

        Returns what the scorers say that scoring cost, in US dollars.
        """
        scores: list[list[ScoreRecord]] = [[] for _ in batch]
        for suite, scorers in self.scorers.items():
            rows: list[int] = []
            pairs: list[tuple[Case, Output]] = []
            for row, (_, job, answer) in enumerate(batch):
                if job.suite == suite and answer.output is not None:
                    rows.append(row)
                    pairs.append((job.case, answer.output))
            for position, scorer in enumerate(scorers if rows else ()):
                records = (
                    [ready[row, position] for row in rows]
                    if scorer.is_async
                    else scorer.score_sync(pairs)
                )
                for row, record in zip(rows, records, strict=True):
                    scores[row].append(record)
                    self.scored.setdefault((suite, record.name), ScorerTally()).count(record)
        trials = [
            build_trial(
                job,
                answer,
                run_id=self.run_id,
                target=target,
                scores=tuple(given),
                veil=self.veil,
                after_kill=self.flight is not None and self.flight.was_left(_key(target, job)),
            )
            for (target, job, answer), given in zip(batch, scores, strict=True)
        ]
        try:
            self.sink.append(trials)
        except EvalkitError:
            raise
        except OSError as error:
            raise StoreError(
                f"the run cannot be recorded: {(error.strerror or str(error)).lower()}",
                where=error.filename,
                hint="free space or fix permissions",
            ) from error
        return sum(
            one.score.cost_usd or 0.0 for given in scores for one in given if one.score is not None
        )

    async def _tick(self) -> None:
        while True:
            await asyncio.sleep(self.display.interval_s)
            self.display.refresh()

    async def _close(self) -> None:
        self._cancel()
        workers = [worker for one in self.driven for worker in one.workers]
        if workers:
            # a target may refuse to be cancelled; the process does not wait for it for ever
            await asyncio.wait(workers, timeout=2.0)
        for one in self.driven:
            await one.feed.aclose()
        for lane in self.lanes:
            try:
                async with asyncio.timeout(5.0):
                    await lane.aclose()
            except Exception as error:  # noqa: BLE001 - all trials are recorded; say it, end well
                text = self.veil.text(f"{type(error).__name__}: {error}")
                self.display.note(f"target {lane.name!r} did not close: {text}")


def _key(target: str, job: Job) -> Key:
    return (job.suite, target, job.case.id, job.index)


def _spent(answer: Answer) -> float | None:
    """What the trial took as far as it is known; ``None`` for an answer without a price."""
    spend = answer.spend
    if answer.output is not None and answer.output.cost_usd is None:
        return None
    return (spend.usd or 0.0) + spend.assumed_usd
