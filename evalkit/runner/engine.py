"""The pipeline of a run on one machine: feeds, workers, scoring in batches, a durable record.

    feed ──► workers (one task a slot) ──► judging ──► finished ──► score ──► journal ──► store
    reads ahead, in a thread               bounded     bounded      batches, in a thread

Every stage waits for the next, so memory does not grow with the number of cases. The event loop
does nothing but call targets and judges: reading, rendering, scoring and writing happen in threads,
a batch at a time. Asynchronous scorers see an answer as soon as it is there, beside the next calls
to targets, so that a slow judge holds up neither a batch nor another judge.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple, Protocol

from evalkit.errors import ErrorClass, EvalkitError, StoreError, TargetError
from evalkit.model import Case, Output, Request, ScoreRecord, ScoreStatus, Spend, Trial
from evalkit.runner.budget import Ledger
from evalkit.runner.converse import converse
from evalkit.runner.course import Answer
from evalkit.runner.feed import Feed, Job
from evalkit.runner.flight import Flight, Key
from evalkit.runner.lane import Lane
from evalkit.runner.progress import Board, Display, Tally
from evalkit.runner.record import build_trial, veiled
from evalkit.runner.shown import NOTHING_HIDDEN, Shown, unscored, without_tools
from evalkit.runner.unpaid import Unpaid, is_unpaid, paid_up
from evalkit.runner.veil import Veil

ENOUGH = 512
"""Finished trials that are scored and written without waiting for the clock."""
PART = 256
"""Trials that are scored together: what one scorer made of a text is still there for the next."""
FLUSH_SHARE = 8
"""Times what a batch took, that the next one waits for more: writing is a small part of a run."""
FLUSH_MOST_S = 0.25
"""The longest that a finished trial waits all the same; killed then, it is scored on resume."""
FINISHED_MOST = 2_048
"""Finished trials that may wait to be scored; workers stand still above it."""
ASYNC_SCORES = 16
"""Scores by asynchronous scorers that are under way at once; judges are paced by their lanes."""
JUDGED_AHEAD = 2
"""Answers that wait for asynchronous scorers, for every one that can be judged at once."""


class Scorer(Protocol):
    """A scorer bound to its options; nothing it does raises."""

    @property
    def name(self) -> str:
        """What its suite calls it."""
        ...

    @property
    def signature(self) -> str:
        """What names it and its options in every score."""
        ...

    @property
    def is_async(self) -> bool:
        """Whether it must run in the event loop."""
        ...

    @property
    def wants_tools(self) -> bool:
        """Whether it judges calls, which some targets cannot make."""
        ...

    @property
    def asks(self) -> bool:
        """Whether it asks judges, whose lanes pace it and whose cost is measured."""
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
    """How one scorer of a suite fared: records, those that are errors, and what the first said.

    ``unpaid`` are those that a budget of judges did not pay for.
    """

    asked: int = 0
    failed: int = 0
    unpaid: int = 0
    reason: str = ""

    def count(self, record: ScoreRecord) -> None:
        """Add one record."""
        self.asked += 1
        if record.status is ScoreStatus.SCORED:
            return
        self.unpaid += is_unpaid(record)
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


class Finished(NamedTuple):
    """A trial that needs no more calls; ``ready`` are its asynchronous scores by position.

    One that was ``stored`` and only lacked a verdict is ready with all that was said of it.
    """

    target: str
    job: Job
    answer: Answer
    ready: Mapping[int, ScoreRecord]
    stored: Trial | None = None

    def cost(self, position: int, record: ScoreRecord) -> float:
        """What a score cost now, in US dollars."""
        before = 0.0 if self.stored is None else self.stored.scores[position].cost_usd or 0.0
        return (record.cost_usd or 0.0) - before


_NONE_READY: Mapping[int, ScoreRecord] = {}


@dataclass(slots=True, kw_only=True)
class Engine:
    """Makes every trial of every feed; ``stop`` ends it early and loses nothing that is finished.

    ``lanes`` are all targets, those only asked by routes too, ``judges`` those that scorers ask.
    ``grace_s`` is how long answers and verdicts under way may take after ``stop``; ``flush_s`` how
    long a finished trial waits to be written where that is quick. A trial is finished when it is
    judged: one whose verdict is dropped is made again when the run is resumed. ``flight`` remembers
    what is under way for whoever continues the run if it is killed. Trials that are ``unpaid`` are
    stored already: their targets are not asked, only the judges that had no money left. What
    ``shown`` says was never tried is scored by nobody.
    """

    run_id: str
    driven: Sequence[Driven]
    lanes: Sequence[Lane]
    scorers: Mapping[str, Sequence[Scorer]]
    sink: Sink
    board: Board
    display: Display
    veil: Veil
    judges: Sequence[Lane] = ()
    ledger: Ledger = field(default_factory=Ledger)
    flight: Flight | None = None
    unpaid: Unpaid = field(default_factory=dict)
    shown: Shown = NOTHING_HIDDEN
    grace_s: float = 3.0
    flush_s: float = 0.05
    recorded: int = field(init=False, default=0)
    stopped: bool = field(init=False, default=False)
    scored: dict[tuple[str, str], ScorerTally] = field(init=False, default_factory=dict)
    _finished: list[Finished] = field(init=False, default_factory=list)
    _judging: set[asyncio.Task[None]] = field(init=False, default_factory=set)
    _failures: list[BaseException] = field(init=False, default_factory=list)
    _slots: asyncio.Semaphore = field(init=False)
    _ahead: int = field(init=False, default=0)
    _enough: asyncio.Event = field(init=False, default_factory=asyncio.Event)
    _room: asyncio.Event = field(init=False, default_factory=asyncio.Event)
    _no_more: bool = field(init=False, default=False)
    _judged_apart: frozenset[str] = field(init=False, default=frozenset())

    async def run(self) -> None:
        """Make the trials; returns when all are recorded, or those finished when it was stopped.

        Raises what the sink or a dataset raised, after recording all that could be.
        """
        self._room.set()
        self._slots = asyncio.Semaphore(ASYNC_SCORES)
        at_once = sum(one.limits.concurrency for one in self.judges)
        self._ahead = JUDGED_AHEAD * max(ASYNC_SCORES, at_once)
        self._judged_apart = frozenset(
            suite for suite, its in self.scorers.items() if any(one.is_async for one in its)
        )
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
        while self._judging:
            await asyncio.wait(self._judging)
        self._no_more = True
        self._enough.set()
        if not collector.done():
            try:
                await collector
            except Exception as error:  # noqa: BLE001 - handed to the caller of run, as it is
                failure = failure or error
        return failure or next(iter(self._failures), None)

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
        for task in self._judging:
            task.cancel()

    async def _worker(self, driven: Driven) -> None:
        try:
            await self._work(driven)
        finally:
            # however it ends, by the budget or a target given up, nobody waits for this target
            driven.feed.let_go()

    async def _work(self, driven: Driven) -> None:
        lane, feed, flight = driven.lane, driven.feed, self.flight
        name, timeout = lane.name, lane.timeout_s
        while (job := await feed.next()) is not None:
            key = _key(name, job)
            stored = self.unpaid.get(key)
            if flight is not None:
                flight.enter(key)
            if stored is not None:
                answer = _answered(stored)
            elif job.unrendered is None:
                request = Request(
                    case=job.case,
                    messages=job.messages,
                    trial=job.index,
                    seed=job.seed,
                    timeout_s=timeout,
                )
                if job.turns:
                    answer = await converse(lane, request, job.turns)
                else:
                    answer = await lane.ask(request)
            else:
                answer = lane.unasked(TargetError(ErrorClass.PROMPT, str(job.unrendered)))
            output = answer.output
            apart = output is not None and job.suite in self._judged_apart
            if output is not None and apart and self._untried(name, job, output) is None:
                task = asyncio.create_task(self._judge(driven, job, answer, output, stored))
                self._judging.add(task)
                task.add_done_callback(self._judged)
            else:
                self._finish(driven, job, answer, _NONE_READY)
            while self._is_full() and not self.stopped:
                self._room.clear()
                await self._room.wait()
            if lane.health.given_up:
                self._give_up(driven)
                return

    def _is_full(self) -> bool:
        return len(self._finished) >= FINISHED_MOST or len(self._judging) >= self._ahead

    def _finish(
        self,
        driven: Driven,
        job: Job,
        answer: Answer,
        ready: Mapping[int, ScoreRecord],
        stored: Trial | None = None,
    ) -> None:
        tally = driven.tallies[job.suite]
        spent = _spent(answer) if stored is None else 0.0
        tally.count(answered=answer.output is not None, cost_usd=spent)
        if answer.error is not None and not tally.failed:
            tally.failed = self.veil.text(f"{answer.error.error_class}: {answer.error.message}")
        self._finished.append(Finished(driven.lane.name, job, answer, ready, stored))
        if len(self._finished) >= ENOUGH:
            self._enough.set()

    async def _judge(
        self, driven: Driven, job: Job, answer: Answer, output: Output, stored: Trial | None
    ) -> None:
        """Ask all asynchronous scorers of one answer at once, then call it finished.

        Of an answer that was ``stored``, those alone that had no money left.
        """
        before = {} if stored is None else dict(enumerate(stored.scores))
        ready = {place: one for place, one in before.items() if not is_unpaid(one)}
        scorers = enumerate(self.scorers[job.suite])
        places = [place for place, one in scorers if one.is_async and place not in ready]
        work = [self._score(self.scorers[job.suite][place], job.case, output) for place in places]
        records = await asyncio.gather(*work, return_exceptions=True)
        for place, record in zip(places, records, strict=True):
            if isinstance(record, BaseException):
                # nothing a scorer does raises: the run is ending, and the trial is made again
                raise record
            ready[place] = paid_up(before[place], record) if place in before else record
        self._finish(driven, job, answer, ready, stored)

    async def _score(self, scorer: Scorer, case: Case, output: Output) -> ScoreRecord:
        if scorer.asks:
            (record,) = await scorer.score([(case, output)])
            return record
        async with self._slots:
            (record,) = await scorer.score([(case, output)])
        return record

    def _judged(self, task: asyncio.Task[None]) -> None:
        self._judging.discard(task)
        self._room.set()
        if not task.cancelled() and (error := task.exception()) is not None:
            self._failures.append(error)
            self.stop()

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
        loop = asyncio.get_running_loop()
        wait_s = self.flush_s
        while True:
            await self._batch_or_time(wait_s)
            batch = self._finished[:]
            # the workers hold the same list
            self._finished.clear()
            self._room.set()
            if batch:
                begun = loop.time()
                await self._record(batch)
                took = loop.time() - begun
                wait_s = max(self.flush_s, min(FLUSH_SHARE * took, FLUSH_MOST_S))
            elif self._no_more:
                return

    async def _batch_or_time(self, wait_s: float) -> None:
        self._enough.clear()
        if self._no_more or len(self._finished) >= ENOUGH:
            return
        try:
            async with asyncio.timeout(wait_s):
                await self._enough.wait()
        except TimeoutError:
            pass

    async def _record(self, batch: list[Finished]) -> None:
        scored_usd, judged_usd = await asyncio.to_thread(self._score_and_write, batch)
        self.recorded += len(batch)
        if self.flight is not None:
            self.flight.landed(_key(one.target, one.job) for one in batch)
        for one in batch:
            if one.stored is None:
                self.ledger.booked(one.answer.spend)
        if judged_usd:
            self.ledger.booked(Spend(usd=judged_usd))
        if scored_usd:
            self.ledger.scored(scored_usd)

    def _score_and_write(self, batch: list[Finished]) -> tuple[float, float]:
        """Score a batch and write it; runs in a thread.

        Returns, in US dollars, what scorers say that scoring cost, and what judges were measured to
        have taken.
        """
        said_usd = judged_usd = 0.0
        scores: list[list[ScoreRecord]] = []
        for start in range(0, len(batch), PART):
            made, said, judged = self._scores_of(batch[start : start + PART])
            scores += made
            said_usd += said
            judged_usd += judged
        trials = [
            veiled(replace(one.stored, scores=tuple(given)), self.veil)
            if one.stored is not None
            else build_trial(
                one.job,
                one.answer,
                run_id=self.run_id,
                target=one.target,
                scores=tuple(given),
                veil=self.veil,
                after_kill=self.flight is not None
                and self.flight.asked_again(_key(one.target, one.job)),
            )
            for one, given in zip(batch, scores, strict=True)
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
        return said_usd, judged_usd

    def _scores_of(self, batch: list[Finished]) -> tuple[list[list[ScoreRecord]], float, float]:
        """Score suite by suite and scorer by scorer; the records, and what both kinds cost."""
        said_usd = judged_usd = 0.0
        scores: list[list[ScoreRecord]] = [[] for _ in batch]
        for suite, scorers in self.scorers.items():
            rows: list[int] = []
            pairs: dict[int, tuple[Case, Output]] = {}
            untried: dict[int, str] = {}
            for row, one in enumerate(batch):
                if one.job.suite == suite and one.answer.output is not None:
                    rows.append(row)
                    pairs[row] = (one.job.case, one.answer.output)
                    if why := self._untried(one.target, one.job, one.answer.output):
                        untried[row] = why
            for position, scorer in enumerate(scorers if rows else ()):
                unsaid = [
                    row for row in rows if position not in batch[row].ready and row not in untried
                ]
                records = scorer.score_sync([pairs[row] for row in unsaid]) if unsaid else []
                if len(unsaid) < len(rows):
                    made = dict(zip(unsaid, records, strict=True))
                    records = [
                        unscored(scorer.name, scorer.signature, untried[row])
                        if row in untried
                        else made.get(row) or batch[row].ready[position]
                        for row in rows
                    ]
                if scorer.wants_tools:
                    records = [
                        record
                        if self._calls_tools(batch[row].target)
                        else without_tools(record, batch[row].target, pairs[row][1])
                        for row, record in zip(rows, records, strict=True)
                    ]
                cost = 0.0
                tally, named = ScorerTally(), ""
                for row, record in zip(rows, records, strict=True):
                    scores[row].append(record)
                    if record.name != named:
                        named = record.name
                        tally = self.scored.setdefault((suite, named), ScorerTally())
                    tally.count(record)
                    if record.cost_usd is not None or batch[row].stored is not None:
                        cost += batch[row].cost(position, record)
                if scorer.asks:
                    judged_usd += cost
                else:
                    said_usd += cost
        return scores, said_usd, judged_usd

    def _calls_tools(self, target: str) -> bool:
        return any(lane.name == target and lane.calls_tools for lane in self.lanes)

    def _untried(self, target: str, job: Job, output: Output) -> str | None:
        return self.shown.untried(job.suite, target, job.case, output)

    async def _tick(self) -> None:
        while True:
            await asyncio.sleep(self.display.interval_s)
            self.display.refresh()

    async def _close(self) -> None:
        self._cancel()
        under_way = [*self._judging, *(worker for one in self.driven for worker in one.workers)]
        if under_way:
            # a target may refuse to be cancelled; the process does not wait for it for ever
            await asyncio.wait(under_way, timeout=2.0)
        for one in self.driven:
            await one.feed.aclose()
        for lane in (*self.lanes, *self.judges):
            try:
                async with asyncio.timeout(5.0):
                    await lane.aclose()
            except Exception as error:  # noqa: BLE001 - all trials are recorded; say it, end well
                text = self.veil.text(f"{type(error).__name__}: {error}")
                self.display.note(f"target {lane.name!r} did not close: {text}")


def _key(target: str, job: Job) -> Key:
    return (job.suite, target, job.case.id, job.index)


def _answered(stored: Trial) -> Answer:
    """The answer that a trial holds, with all that it took when it was made."""
    return Answer(
        stored.started_at,
        stored.attempts,
        stored.queue_s or 0.0,
        stored.total_s or 0.0,
        stored.output,
        spend=stored.spend,
    )


def _spent(answer: Answer) -> float | None:
    """What the trial took as far as it is known; ``None`` for an answer without a price."""
    spend = answer.spend
    if answer.output is not None and answer.output.cost_usd is None:
        return None
    return (spend.usd or 0.0) + spend.assumed_usd
