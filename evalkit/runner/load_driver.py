"""Sends the requests of a load test when they are due, and watches itself while it does.

One task waits for the next instants and starts a task for every request, so nothing that a target
does holds the next request back. Finished requests are written to the journal by a thread, a few
times a second; nothing is scored.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import sys
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from itertools import count
from pathlib import Path

from evalkit.errors import ErrorClass, TargetError
from evalkit.model import NOTHING_SPENT, Case, Message, Output, Provenance, Request, Trial
from evalkit.runner.budget import spent_on
from evalkit.runner.course import Answer
from evalkit.runner.engine import Sink
from evalkit.runner.feed import Job, request_hash, trial_seed
from evalkit.runner.lane import Lane
from evalkit.runner.load_profile import Profile
from evalkit.runner.load_tally import StepTally
from evalkit.runner.progress import Display, Tally
from evalkit.runner.record import build_trial
from evalkit.runner.veil import Veil
from evalkit.stats.load import Moment

WATCH_S = 0.01
"""Seconds between two looks at the lag of the event loop and the requests in flight."""
MOMENTS = 200
"""Points of requests in flight over time that are kept."""
WRITE_S = 0.5
"""Seconds after which finished requests are written."""
BURST = 32
"""Requests started before the event loop gets a turn, when the client is behind."""
_SCHEDULED = Path("/proc/thread-self/schedstat")
COLLECT = (10_000, 20, 1_000_000)
"""Garbage is looked for among young objects only: a full collection takes half a second at 10,000
requests under way, and every one of them would seem slow for it. Refcounts free most at once."""
SWITCH_S = 0.0005
"""How long a writing thread may keep the interpreter from the event loop."""
WARM_UPS = 3
"""Attempts at the request before the test."""
GRACE_S = 1.0
"""Seconds that answers have to come when a test is ended early."""
STORM = 100
"""Requests over which the share of errors is taken; from a fifth of them on it counts."""


def starved_s() -> float | None:
    """Seconds this thread could have run and had no core; ``None`` where nothing tells (Linux)."""
    try:
        return int(_SCHEDULED.read_bytes().split()[1]) / 1e9
    except (OSError, ValueError, IndexError):
        return None


@dataclass(frozen=True, slots=True, kw_only=True)
class Caps:
    """What a test may use: requests, US dollars, requests at once, and errors as a share."""

    requests: int
    usd: float | None
    in_flight: int
    errors: float


@dataclass(frozen=True, slots=True)
class Asked:
    """One case ready to be asked."""

    case: Case
    messages: tuple[Message, ...]
    request_hash: str


@dataclass(slots=True, kw_only=True)
class Asking:
    """What a test asks: the cases in their order, round after round."""

    suite: str
    seed: int
    asked: Sequence[Asked]
    _number: Iterator[int] = field(default_factory=count)

    @classmethod
    def of(
        cls,
        suite: str,
        cases: Sequence[Case],
        lane: Lane,
        *,
        target_hash: str,
        seed: int,
    ) -> Asking:
        """Render every case once; raises ``PromptError`` for one that cannot be."""
        asked = []
        for case in cases:
            messages = () if lane.render is None else lane.render(case)
            asked.append(Asked(case, messages, request_hash(target_hash, case, messages)))
        return cls(suite=suite, seed=seed, asked=asked)

    @property
    def lengths(self) -> list[int]:
        """Characters of every prompt; of the inputs for a target that takes none."""
        return [
            sum(len(part.content) for part in one.messages)
            or sum(len(str(value)) for value in one.case.inputs.values())
            for one in self.asked
        ]

    def next(self, timeout_s: float | None) -> tuple[Job, Request]:
        """The next request; the same case comes again as its next trial."""
        turn, place = divmod(next(self._number), len(self.asked))
        one = self.asked[place]
        seed = trial_seed(self.seed, one.case.id, turn)
        # the messages are stored once a prompt and case, not with each of thousands of requests
        job = Job(self.suite, one.case, turn, seed, (), one.request_hash)
        return job, Request(
            case=one.case, messages=one.messages, trial=turn, seed=seed, timeout_s=timeout_s
        )


@dataclass(slots=True)
class _Shot:
    """One request: instants in seconds of ``perf_counter``."""

    job: Job
    step: int | None
    due: float
    started: float = 0.0
    ended: float = 0.0
    output: Output | None = None
    error: TargetError | None = None


@dataclass(slots=True, kw_only=True)
class Driver:
    """Runs one profile against one target.

    ``stopped`` says why a test ended before its profile did: ``interrupted``, ``errors``,
    ``money``, ``requests`` or ``in flight``. ``reserve_usd`` is what one request may cost before
    any has come back.
    """

    run_id: str
    lane: Lane
    asking: Asking
    profile: Profile
    caps: Caps
    seed: int
    timeout_s: float | None
    sink: Sink
    tally: Tally
    display: Display
    veil: Veil
    reserve_usd: float = 0.0
    in_flight: int = 0
    sent: int = 0
    spent_usd: float = 0.0
    not_live: int = 0
    stopped: str = ""
    ended_s: float = 0.0
    steps: list[StepTally] = field(init=False)
    _clock: Callable[[], float] = time.perf_counter
    _zero: float = 0.0
    _epoch: datetime = field(init=False)
    _shots: set[asyncio.Task[None]] = field(default_factory=set)
    _finished: list[_Shot] = field(default_factory=list)
    _writing: asyncio.Future[None] | None = None
    _recent: deque[bool] = field(default_factory=lambda: deque(maxlen=STORM))
    _halt: asyncio.Event = field(default_factory=asyncio.Event)
    _idle: asyncio.Event = field(default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        self.steps = [StepTally(plan=one) for one in self.profile.steps]

    # ---- the whole test ------------------------------------------------------------------------

    async def warm_up(self, epoch: datetime) -> TargetError | None:
        """Make one request before the clock starts, so that no first connection is measured.

        Returns why it failed, after three attempts where that may pass. It is stored, without a
        step.
        """
        self._epoch, self._zero = epoch, self._clock()
        for _ in range(WARM_UPS):
            await self._shoot(self._next(None, self._now() + self._zero))
            error = self._finished[-1].error
            await self._write()
            if error is None or not error.retryable or self.stopped:
                break
        self._recent.clear()
        self.sent = 0
        return error

    async def run(self, epoch: datetime) -> None:
        """Send everything and wait for the answers; returns when all are written."""
        loop_side = [asyncio.create_task(self._watch()), asyncio.create_task(self._record())]
        self._epoch, self._zero = epoch, self._clock()
        switch, thresholds = sys.getswitchinterval(), gc.get_threshold()
        sys.setswitchinterval(SWITCH_S)
        gc.set_threshold(*COLLECT)
        try:
            pace = self._users() if self.profile.arrivals == "closed" else self._pace()
            sending = asyncio.create_task(pace)
            halted = asyncio.create_task(self._halt.wait())
            watched = {sending, halted, *loop_side}
            ended, _ = await asyncio.wait(watched, return_when=asyncio.FIRST_COMPLETED)
            if not ended.isdisjoint(loop_side):
                self.stop("interrupted")
            self.ended_s = min(self._now(), self.profile.length_s)
            halted.cancel()
            sending.cancel()
            await asyncio.gather(sending, halted, return_exceptions=True)
            await self._drain()
            for one in ended - {halted}:
                one.result()
            for one in loop_side:
                if one.done():
                    one.result()
        finally:
            for one in loop_side:
                one.cancel()
            await asyncio.gather(*loop_side, return_exceptions=True)
            sys.setswitchinterval(switch)
            gc.set_threshold(*thresholds)
            await self._write()

    def stop(self, why: str) -> None:
        """Send no more; the first reason is the one that is kept."""
        self.stopped = self.stopped or why
        self._halt.set()

    async def _drain(self) -> None:
        """Wait for what is under way: each request has its own time limit."""
        hurried = {"interrupted", "errors"}
        grace = GRACE_S if self.stopped in hurried else None
        deadline = self._clock() + grace if grace is not None else None
        while self._shots:
            self._idle.clear()
            if deadline is None and self.stopped == "interrupted":
                deadline = self._clock() + GRACE_S
            if deadline is not None and self._clock() >= deadline:
                for one in self._shots:
                    one.cancel()
                # a target may refuse to be cancelled; nobody waits for it for ever
                await asyncio.wait(self._shots, timeout=2.0)
                return
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(0.05):
                    await self._idle.wait()

    # ---- sending -------------------------------------------------------------------------------

    def _now(self) -> float:
        return self._clock() - self._zero

    async def _pace(self) -> None:
        """Start every request of an open profile at its instant."""
        behind = 0
        for at, step in self.profile.due(self.seed):
            wait = at - self._now()
            if wait > 0:
                await asyncio.sleep(wait)
                behind = 0
            else:
                behind += 1
                if behind % BURST == 0:
                    await asyncio.sleep(0)
            if not self._may_send():
                return
            self._launch(step, self._zero + at)
        # a step lasts to its end, also after its last request
        await asyncio.sleep(max(0.0, self.profile.length_s - self._now()))

    def _launch(self, step: int, due: float) -> None:
        self._keep(asyncio.create_task(self._shoot(self._next(step, due))))

    def _keep(self, task: asyncio.Task[None]) -> None:
        self._shots.add(task)
        task.add_done_callback(self._gone)

    def _gone(self, task: asyncio.Task[None]) -> None:
        self._shots.discard(task)
        if not self._shots:
            self._idle.set()

    async def _users(self) -> None:
        """Let the users of a closed profile join, each at its instant."""
        for at in self.profile.joins():
            wait = at - self._now()
            if wait > 0:
                await asyncio.sleep(wait)
            self._keep(asyncio.create_task(self._user(self._zero + at)))
        await asyncio.sleep(max(0.0, self.profile.length_s - self._now()))

    async def _user(self, due: float) -> None:
        """One user: the next request is due the moment the last one ended."""
        end = self._zero + self.profile.length_s
        while due < end and not self._halt.is_set() and self._may_send():
            await self._shoot(self._next(self.profile.step_at(due - self._zero), due))
            due = self._clock()
            # a target that never waits must not keep the loop to itself
            await asyncio.sleep(0)

    def _may_send(self) -> bool:
        caps = self.caps
        if self._halt.is_set():
            return False
        if self.sent >= caps.requests:
            self.stop("requests")
        elif self.in_flight >= caps.in_flight:
            self.stop("in flight")
        elif (
            caps.usd is not None
            and self.spent_usd + (self.in_flight + 1) * self.reserve_usd > caps.usd
        ):
            self.stop("money")
        return not self._halt.is_set()

    def _next(self, step: int | None, due: float) -> tuple[_Shot, Request]:
        job, request = self.asking.next(self.timeout_s)
        self.sent += 1
        self.in_flight += 1
        return _Shot(job, step, due), request

    async def _shoot(self, asked: tuple[_Shot, Request]) -> None:
        shot, request = asked
        shot.started = self._clock()
        tally = None if shot.step is None else self.steps[shot.step]
        if tally is not None:
            tally.started(shot.due - self._zero, shot.started - self._zero)
        try:
            async with asyncio.timeout(request.timeout_s):
                shot.output = await self.lane.target.send(request)
        except TargetError as error:
            shot.error = error
        except TimeoutError:
            shot.error = TargetError(
                ErrorClass.TIMEOUT, f"no answer within {request.timeout_s:g} s"
            )
        except asyncio.CancelledError:
            shot.error = TargetError(
                ErrorClass.CANCELLED, "given up: the load test ended before the answer came"
            )
        except Exception as crash:  # noqa: BLE001 - the trial boundary: a crash is data
            shot.error = TargetError(ErrorClass.CRASH, f"{type(crash).__name__}: {crash}")
        self._ended(shot, tally)

    def _ended(self, shot: _Shot, tally: StepTally | None) -> None:
        shot.ended = self._clock()
        self.in_flight -= 1
        output = shot.output
        if output is not None:
            output = shot.output = self._priced(output)
            self.not_live += output.provenance is not Provenance.LIVE
            cost = output.cost_usd or 0.0
            self.spent_usd += cost
            self.reserve_usd = max(self.reserve_usd, cost)
        if tally is not None:
            tally.ended(shot.due - self._zero, shot.ended - self._zero, output, shot.error)
            self.tally.count(
                answered=output is not None, cost_usd=None if output is None else output.cost_usd
            )
        self._finished.append(shot)
        self._recent.append(output is None)
        if (
            len(self._recent) >= STORM // 5
            and sum(self._recent) > self.caps.errors * len(self._recent)
            and not self._halt.is_set()
        ):
            self.stop("errors")

    def _priced(self, output: Output) -> Output:
        if output.cost_usd is None and self.lane.price is not None:
            cost = self.lane.price.cost(output.usage)
            return output if cost is None else replace(output, cost_usd=cost)
        return output

    # ---- watching ------------------------------------------------------------------------------

    async def _watch(self) -> None:
        """Note how late the loop wakes up, what it works, and how many requests are under way."""
        every = max(WATCH_S, self.profile.length_s / MOMENTS)
        due, moment = self._clock() + WATCH_S, 0.0
        cpu, since, starved = time.thread_time(), self._clock(), starved_s()
        while True:
            await asyncio.sleep(max(0.0, due - self._clock()))
            now = self._now()
            if now >= self.profile.length_s or self._halt.is_set():
                return await self._until_cancelled()
            step = self.steps[self.profile.step_at(now)]
            while due <= self._zero + now:
                # every look that was missed was that late: a stall counts as long as it was
                step.lag.add(self._zero + now - due)
                due += WATCH_S
            step.look(self.in_flight)
            used, here = time.thread_time(), self._clock()
            step.cpu_s += used - cpu
            step.watched_s += here - since
            cpu, since = used, here
            waited = starved_s()
            if waited is not None and starved is not None:
                step.starved_s = (step.starved_s or 0.0) + waited - starved
            starved = waited
            if now >= moment:
                step.moments.append(
                    Moment(
                        at_s=round(now, 3),
                        in_flight=self.in_flight,
                        answered=self.tally.answered,
                        failed=self.tally.errors,
                    )
                )
                moment = now + every

    async def _until_cancelled(self) -> None:
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.Event().wait()

    # ---- recording -----------------------------------------------------------------------------

    async def _record(self) -> None:
        shown = self._clock()
        while True:
            await asyncio.sleep(WRITE_S)
            await self._write()
            # drawing takes milliseconds that no answer should wait for: seldom is enough
            if self._clock() - shown >= max(1.0, self.display.interval_s):
                shown = self._clock()
                self.display.refresh()

    async def _write(self) -> None:
        if self._writing is not None:  # whoever waited for it was cancelled
            await asyncio.shield(self._writing)
        shots, self._finished = self._finished, []
        if shots:
            # what was taken out of the list must reach the disk before the test ends
            self._writing = asyncio.ensure_future(asyncio.to_thread(self._write_now, shots))
            await asyncio.shield(self._writing)
        self._writing = None

    def _write_now(self, shots: Sequence[_Shot]) -> None:
        self.sink.append([self._trial(one) for one in shots])

    def _trial(self, shot: _Shot) -> Trial:
        answer = Answer(
            started_at=self._epoch + timedelta(seconds=shot.due - self._zero),
            attempts=1,
            queue_s=max(0.0, shot.started - shot.due),
            total_s=max(0.0, shot.ended - shot.due),
            output=shot.output,
            error=shot.error,
            spend=NOTHING_SPENT if shot.output is None else spent_on(shot.output),
        )
        trial = build_trial(
            shot.job,
            answer,
            run_id=self.run_id,
            target=self.lane.name,
            scores=(),
            veil=self.veil,
        )
        return replace(trial, step=shot.step)
