"""One target as the run drives it: slots, rate limits, timeouts, retries and cost of every call.

A lane is asked by its own workers, and by the routes that name its target: both share its slots and
limits. Times are kept apart: ``queue_s`` is waiting, the target's own ``latency_s`` is the attempt
that answered, ``total_s`` is everything with retries.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Protocol

from evalkit.config.spec import Limits
from evalkit.deadlines import Deadlines
from evalkit.errors import ErrorClass, PromptError, TargetError
from evalkit.model import (
    JSON,
    NOTHING_SPENT,
    Case,
    Message,
    Output,
    Provenance,
    Request,
    Spend,
    Target,
    Usage,
)
from evalkit.runner.budget import NO_HOLD, Account, Hold, added, route_tab, saved
from evalkit.runner.cache import LaneCache
from evalkit.runner.health import Health
from evalkit.runner.limits import Clock, Limiter, Sleep, TokenEstimate
from evalkit.runner.retry import Backoff


class Priced(Protocol):
    """A price row, as the target room gives it."""

    def cost(self, usage: Usage) -> float | None:
        """US dollars of one answer, ``None`` when something needed is unknown."""
        ...

    def to_json(self) -> Mapping[str, JSON]:
        """The row as it is frozen in the run."""
        ...


LATER_S = 0.1
"""The target's own time limit comes first, since it knows whom it asked and what came."""

Render = Callable[[Case], tuple[Message, ...]]


@dataclass(frozen=True, slots=True)
class Answer:
    """What came of asking: an output, or the error of the last attempt."""

    started_at: datetime
    attempts: int
    queue_s: float
    total_s: float
    output: Output | None = None
    error: TargetError | None = None
    spend: Spend = NOTHING_SPENT


@dataclass(slots=True, kw_only=True)
class Lane:
    """Asks one target.

    ``route`` marks a target that asks others: its children have their own timeouts and retries, so
    it has none. ``shared`` lanes are asked by routes, beside or instead of their own workers.
    ``output_tokens`` is what an answer may take, when the configuration says so. ``account`` is
    asked before and told after every attempt, ``cache`` before the first and after an answer; a
    route has neither, its children have.
    """

    name: str
    target: Target
    limits: Limits
    price: Priced | None = None
    render: Render | None = None
    route: bool = False
    shared: bool = False
    output_tokens: int | None = None
    backoff: Backoff = field(default_factory=Backoff)
    clock: Clock = time.perf_counter
    sleep: Sleep = asyncio.sleep
    account: Account | None = None
    cache: LaneCache | None = None
    in_flight: int = 0
    health: Health = field(init=False)
    _limiter: Limiter = field(init=False)
    _estimate: TokenEstimate = field(init=False)
    _slots: asyncio.Semaphore | None = field(init=False)
    _waiting: set[asyncio.Task[object]] = field(init=False, default_factory=set)
    _deadlines: Deadlines = field(init=False, default_factory=Deadlines)
    _stopping: bool = field(init=False, default=False)

    def __post_init__(self) -> None:
        self.health = Health(self.limits.concurrency)
        self._limiter = Limiter(self.limits, clock=self.clock, sleep=self._pause)
        self._estimate = TokenEstimate(self.output_tokens or 256)
        self._slots = None
        if self.shared:
            self.share()

    def share(self) -> None:
        """Let routes ask this lane too, within the same number of slots.

        A lane with workers of its own and nobody else has as many callers as slots, and counts
        none.
        """
        self.shared = True
        self._slots = asyncio.Semaphore(self.limits.concurrency)

    def limit_by(self, limiter: Limiter) -> None:
        """Wait for the turns of this limiter instead of the lane's own."""
        self._limiter = limiter

    async def ask(self, request: Request) -> Answer:
        """Ask until there is an answer or no attempt is left.

        Raises only ``CancelledError``, also when the budget allows no further attempt.
        """
        if self.cache is not None:
            return await self._ask_kept(request, self.cache)
        return await self._ask_slot(request)

    async def _ask_kept(self, request: Request, cache: LaneCache) -> Answer:
        begun, started_at = self.clock(), datetime.now(UTC)
        key = cache.key(request)
        kept = cache.find(key)
        if kept is None:
            answer = await self._ask_slot(request)
            if answer.output is not None:
                cache.keep(key, answer.output)
            return answer
        output = self._completed(kept, 0.0)
        took = self.clock() - begun
        return Answer(started_at, 0, 0.0, took, output, None, saved(output))

    async def _ask_slot(self, request: Request) -> Answer:
        if self._slots is None:
            return await self._ask(request, self.clock())
        begun = self.clock()
        await self._slots.acquire()
        try:
            return await self._ask(request, begun)
        finally:
            self._slots.release()

    def unasked(self, error: TargetError) -> Answer:
        """The answer of a trial that could not even be asked."""
        return Answer(datetime.now(UTC), 0, 0.0, 0.0, None, error)

    async def _ask(self, request: Request, begun: float) -> Answer:
        if not self.route:
            return await self._ask_until(request, begun)
        with route_tab() as spent:
            answer = await self._ask_until(request, begun)
        return replace(answer, spend=spent.spend)

    async def _ask_until(self, request: Request, begun: float) -> Answer:
        spent = NOTHING_SPENT
        clock = self.clock
        started_at = datetime.now(UTC)
        queued = begun
        attempts = 0
        while True:
            attempts += 1
            reserved = 0.0
            if not self._limiter.idle:
                if self._limiter.counts_tokens:
                    reserved = self._guess(request)
                await self._limiter.take(reserved)
            hold = await self._reserve(request)
            sent = clock()
            self.in_flight += 1
            try:
                output, error = await self._attempt(request)
            except BaseException:
                if self.account is not None:
                    self.account.cut_off(hold, request)
                raise
            finally:
                self.in_flight -= 1
            if output is not None:
                output = self._completed(output, clock() - sent)
            if self.account is not None:
                spend = self.account.settled(hold, request, output or error)
                spent = spend if attempts == 1 else added(spent, spend)
            if output is not None:
                self._settle(reserved, output.usage.total_tokens)
                self.health.answered()
                ended = clock()
                return Answer(
                    started_at,
                    attempts,
                    sent - queued,
                    ended - begun,
                    output,
                    None,
                    spent,
                )
            assert error is not None
            wait = None
            if attempts <= self.limits.max_retries and not self.route:
                wait = self.backoff.wait(attempts - 1, error)
            if wait is None:
                self.health.failed(error)
                return Answer(
                    started_at,
                    attempts,
                    sent - queued,
                    clock() - begun,
                    None,
                    error,
                    spent,
                )
            if error.retry_after_s is not None:
                self._limiter.hold(error.retry_after_s)
            await self._pause(wait)
            queued = clock()

    async def _reserve(self, request: Request) -> Hold:
        """Reserve one attempt; as if it had been cancelled when the budget does not allow it."""
        if self.account is None:
            return NO_HOLD
        hold = await self.account.reserve(request)
        if hold is not None and self._stopping:
            self.account.release(hold)
            hold = None
        if hold is None:
            raise asyncio.CancelledError
        return hold

    async def _attempt(self, request: Request) -> tuple[Output | None, TargetError | None]:
        timeout = request.timeout_s
        try:
            if timeout is None:
                output = await self.target.send(request)
            else:
                with self._deadlines.within(timeout + LATER_S):
                    output = await self.target.send(request)
        except TargetError as error:
            return None, error
        except TimeoutError:
            limit = "" if timeout is None else f" within {timeout:g} s"
            return None, TargetError(ErrorClass.TIMEOUT, f"no answer{limit}")
        except Exception as crash:  # noqa: BLE001 - the trial boundary: a crash is data
            return None, TargetError(ErrorClass.CRASH, f"{type(crash).__name__}: {crash}")
        if not isinstance(output, Output):
            what = f"the target returned {type(output).__name__}, not an Output"  # type: ignore[unreachable]  # a user's own target may return anything
            return None, TargetError(ErrorClass.CRASH, what)
        return output, None

    def _completed(self, output: Output, took: float) -> Output:
        """The output with its cost, and with a latency when the target measured none."""
        cost, latency = output.cost_usd, output.latency_s
        if cost is None and self.price is not None:
            cost = self.price.cost(output.usage)
        if latency is None and output.provenance is Provenance.LIVE:
            latency = took
        if cost == output.cost_usd and latency == output.latency_s:
            return output
        return replace(output, cost_usd=cost, latency_s=latency)

    def _guess(self, request: Request) -> float:
        return self._estimate.guess(sum(len(one.content) for one in request.messages))

    def _settle(self, reserved: float, actual: int | None) -> None:
        if reserved and actual is not None:
            self._limiter.settle(reserved, actual)
            self._estimate.learn(reserved, actual)

    async def child(self, request: Request) -> Output:
        """Answer a route: this target's own prompt, its limits, retries and cost.

        Raises ``TargetError`` when there is no answer, at once when this target was given up.
        """
        if self.health.given_up:
            raise TargetError(
                self.health.error_class, self.health.reason, retryable=False, unbilled=True
            )
        messages = request.messages
        if self.render is not None:
            try:
                messages = self.render(request.case)
            except PromptError as error:
                raise TargetError(ErrorClass.PROMPT, str(error)) from error
        answer = await self.ask(
            replace(request, messages=messages, timeout_s=self.timeout_s),
        )
        if answer.output is None:
            assert answer.error is not None
            spend = answer.spend
            answer.error.cost_usd = None if spend.assumed_usd else spend.usd
            # an attempt before the last may have been billed
            answer.error.unbilled &= not spend.assumed_tokens
            raise answer.error
        return answer.output

    @property
    def timeout_s(self) -> float | None:
        """What bounds one attempt; a route is bounded by its children."""
        return None if self.route else self.limits.timeout_s

    async def _pause(self, seconds: float) -> None:
        if self._stopping:
            # as if it had been cancelled in its sleep: nothing is recorded of the call
            raise asyncio.CancelledError
        task = asyncio.current_task()
        assert task is not None
        self._waiting.add(task)
        try:
            await self.sleep(seconds)
        finally:
            self._waiting.discard(task)

    def stop(self) -> None:
        """Start no further attempt and wake up whoever waits for one, with ``CancelledError``."""
        self._stopping = True
        for task in self._waiting:
            task.cancel()

    async def aclose(self) -> None:
        """Release the target's connections and processes."""
        await self.target.aclose()
