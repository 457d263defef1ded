"""One target as the run drives it: slots, rate limits, timeouts, retries and cost of every call.

A lane is asked by its own workers, and by the routes that name its target: both share its slots and
limits. Times are kept apart: ``queue_s`` is waiting, the target's own ``latency_s`` is the attempt
that answered, ``total_s`` is everything with retries.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Protocol, TypeVar

from evalkit.config.spec import Limits
from evalkit.deadlines import Deadlines
from evalkit.errors import ErrorClass, PromptError, TargetError
from evalkit.model import (
    JSON,
    Output,
    Provenance,
    Request,
    Target,
    Usage,
)
from evalkit.runner.adaptive import Window
from evalkit.runner.budget import NO_HOLD, Account, Hold, added, put_on_tab, route_tab, saved
from evalkit.runner.cache import LaneCache
from evalkit.runner.course import Answer, Course
from evalkit.runner.flight import call_of
from evalkit.runner.health import Health
from evalkit.runner.limits import Clock, Limiter, Sleep, TokenEstimate
from evalkit.runner.rendering import Render, messages_of
from evalkit.runner.retry import Backoff
from evalkit.runner.slots import Slots


class Priced(Protocol):
    """A price row, as the target room gives it."""

    def cost(self, usage: Usage) -> float | None:
        """US dollars of one answer, ``None`` when something needed is unknown."""
        ...

    def to_json(self) -> Mapping[str, JSON]:
        """The row as it is frozen in the run."""
        ...


_PUSHED_BACK = frozenset({ErrorClass.RATE_LIMIT, ErrorClass.TIMEOUT})
_TOO_MUCH = frozenset({503, 529})
_STEPS = 50
_T = TypeVar("_T")

LOOK_S = 0.1
"""How often a route looks whether one of its targets may be asked again."""
LATER_S = 0.1
"""The target's own time limit comes first, since it knows whom it asked and what came."""


@dataclass(slots=True, kw_only=True)
class Lane:
    """Asks one target.

    ``children`` are the targets that a route asks: they have their own timeouts and retries, so it
    has none, but waits when all that it could ask are in an outage. ``adapts`` lets how the calls
    end decide how many are under way, up to the limit. ``output_tokens`` is what an answer may
    take, when the configuration says so. ``calls_tools`` is false where no answer can hold a call.
    ``account`` is asked before and told after every attempt, ``cache`` before the first and after
    an answer; a route has neither, its children have. ``note`` is told of outages.
    """

    name: str
    target: Target
    limits: Limits
    price: Priced | None = None
    render: Render | None = None
    children: Mapping[str, Lane] = field(default_factory=dict)
    adapts: bool = False
    output_tokens: int | None = None
    calls_tools: bool = True
    backoff: Backoff = field(default_factory=Backoff)
    clock: Clock = time.perf_counter
    sleep: Sleep = asyncio.sleep
    account: Account | None = None
    cache: LaneCache | None = None
    note: Callable[[str], object] = lambda _: None
    health: Health = field(init=False)
    window: Window = field(init=False)
    _slots: Slots = field(init=False)
    _limiter: Limiter = field(init=False)
    _estimate: TokenEstimate = field(init=False)
    _begun: int = field(init=False, default=0)
    # attempts under way by number, the first sent first, with the instant of it
    _sent: dict[int, float] = field(init=False, default_factory=dict)
    _waiting: set[asyncio.Task[object]] = field(init=False, default_factory=set)
    _deadlines: Deadlines = field(init=False, default_factory=Deadlines)
    _stopping: bool = field(init=False, default=False)
    # of a route: those that it could have asked, were they not in an outage
    _away: tuple[Lane, ...] = field(init=False, default=())

    def __post_init__(self) -> None:
        limits = self.limits
        self.health = Health(limits.concurrency, patience_s=limits.patience_s)
        self.window = Window(limits.concurrency, adapts=self.adapts, now=self.clock())
        self._slots = Slots(self.window, self.health, self.clock)
        self._limiter = Limiter(limits, clock=self.clock, sleep=self._pause)
        self._estimate = TokenEstimate(self.output_tokens or 256)

    def apart(self, limits: Limits | None = None) -> Lane:
        """The same target with slots, limits and health of its own, for scorers that ask it.

        It has no account and no cache yet; only one of the two is to be closed.
        """
        return replace(self, limits=limits or self.limits, account=None, cache=None)

    def limit_by(self, limiter: Limiter) -> None:
        """Wait for the turns of this limiter instead of the lane's own."""
        self._limiter = limiter

    async def ask(
        self,
        request: Request,
        *,
        begins: Callable[[], object] | None = None,
        until: float | None = None,
        patient: bool = True,
    ) -> Answer:
        """Ask until there is an answer or no attempt is left.

        ``begins`` is called when the first attempt is about to be made, and not for a kept answer;
        no attempt is made after ``until``, and none waits for the end of an outage that is not
        ``patient``. Raises only ``CancelledError``, also when the budget
        allows no further attempt.
        """
        call = call_of(self.name, request)
        if call is not None and (came := call.came()) is not None:
            answer = Answer(*came)
            put_on_tab(answer.spend)
            if self.cache is not None:
                self.cache.keep(self.cache.key(request), came.output)
            return answer
        course = Course(self.clock(), begins, until, call, patient=patient)
        if self.cache is not None:
            return await self._ask_kept(request, self.cache, course)
        return await self._ask(request, course)

    async def _ask_kept(
        self,
        request: Request,
        cache: LaneCache,
        course: Course,
    ) -> Answer:
        key = cache.key(request)
        kept = cache.find(key)
        if kept is None:
            course.begun = course.queued = self.clock()
            answer = await self._ask(request, course)
            if answer.output is not None:
                cache.keep(key, answer.output)
            return answer
        output = self._completed(kept, 0.0)
        took = self.clock() - course.begun
        return Answer(course.started_at, 0, 0.0, took, output, None, saved(output))

    def unasked(self, error: TargetError) -> Answer:
        """The answer of a trial that could not even be asked."""
        return Answer(datetime.now(UTC), 0, 0.0, 0.0, None, error)

    async def _ask(self, request: Request, course: Course) -> Answer:
        if self.children:
            with route_tab() as spent:
                answer = await self._ask_until(request, course)
            answer = replace(answer, spend=spent.spend)
        else:
            answer = await self._ask_until(request, course)
        if course.call is not None:
            if course.call.again and self.account is not None:
                before = self.account.asked_before(request)
                course.call.told()
                answer = replace(answer, spend=added(answer.spend, before))
            course.call.keep(answer, judge=self._judges, route=bool(self.children))
        return answer

    @property
    def _judges(self) -> bool:
        return self.account is not None and self.account.judge

    async def _ask_until(self, request: Request, course: Course) -> Answer:
        while True:
            output = await self._try(request, course)
            if output is not None:
                return course.answer(output, course.ended)
            wait = self._wait(course)
            if wait is None:
                assert course.error is not None
                if not course.error.unasked:
                    self.health.failed(course.error)
                return course.answer(None, self.clock())
            await self._pause(wait)
            while self._away and self.rests and not self._is_late(course) and not self._all_gone:
                await self._pause(LOOK_S)
            course.queued = self.clock()

    async def _try(self, request: Request, course: Course) -> Output | None:
        """Make one attempt in its turn; ``None`` when there is no answer and ``course`` says why.

        No attempt is made when the target was given up or the trial's time ended meanwhile, nor in
        an outage that is not waited for.
        """
        slots = self._slots
        if not slots.take_now() and not await self._taken(course):
            return None
        given: float | None = self.clock()
        try:
            if self.health.given_up or course.until is not None:
                timely = self._in_time(request, course)
                if timely is None:
                    return None
                request = timely
            reserved = 0.0 if self._limiter.idle else await self._limited(request)
            hold = await self._reserve(request)
            if course.attempts == 0:
                course.begin(hold)
            course.attempts += 1
            self._begun = number = self._begun + 1
            course.sent = sent = self._sent[number] = self.clock()
            try:
                output, error = await self._attempt(request)
            except BaseException:
                if self.account is not None:
                    self.account.cut_off(hold, request)
                raise
            finally:
                del self._sent[number]
            course.ended = ended = self.clock()
            if output is not None:
                output = self._completed(output, ended - sent)
                self._went_well(output, reserved, number, sent, ended)
            elif error is not None:
                course.error = error
                course.attempts -= error.unasked
                self._went_wrong(error, sent, ended)
            given = None
        finally:
            slots.give(given)
        if self.account is not None:
            spend = self.account.settled(hold, request, output or error)
            course.spend = spend if course.attempts == 1 else added(course.spend, spend)
        return output

    def _wait(self, course: Course) -> float | None:
        """Seconds until the next attempt, ``None`` when there is none."""
        error, limits = course.error, self.limits
        assert error is not None
        if self.children:
            return 0.0 if self._begins_again(course, error) else None
        if course.attempts > limits.max_retries or self.health.given_up:
            return None
        if not course.patient and self.rests:
            return None
        wait = self.backoff.wait(course.attempts - 1, error)
        if wait is not None and limits.deadline_s is not None:
            if course.until is None:
                course.until = course.sent + limits.deadline_s
            if course.ended + wait >= course.until:
                return None
        if wait is not None and error.retry_after_s is not None:
            self._limiter.hold(error.retry_after_s)
        return wait

    def _begins_again(self, course: Course, error: TargetError) -> bool:
        """Whether a route waits, because all that it could ask are in an outage.

        What it asked has tried again itself, and an answer that was paid is not paid twice.
        """
        answered = any(one.error_class is None for one in error.legs)
        asked = [self.children[one.target] for one in error.legs if one.target in self.children]
        self._away = () if answered else tuple(asked)
        if not self._away or not (self.rests or error.unasked):
            return False
        if self._all_gone:
            self.health.give_up_with({one.name: one.health for one in self._away})
            return False
        if course.until is None and self.limits.deadline_s is not None:
            course.until = course.sent + self.limits.deadline_s
        tried = course.attempts > self.limits.max_retries
        return course.patient and not tried and not self._is_late(course)

    @property
    def _all_gone(self) -> bool:
        return all(one.health.given_up for one in self._away)

    def _is_late(self, course: Course) -> bool:
        return course.until is not None and self.clock() >= course.until

    async def _taken(self, course: Course) -> bool:
        """Wait for a slot while the trial has time; false: there is none, ``course`` says why."""
        left = None if course.until is None else max(0.0, course.until - self.clock())
        try:
            async with asyncio.timeout(left):
                taken = await self._waiting_for(self._slots.take(patient=course.patient))
        except TimeoutError:
            self._out_of_time(course)
            return False
        if not taken:
            course.error = course.error or self.health.error()
        return taken

    def _in_time(self, request: Request, course: Course) -> Request | None:
        """The request with what its trial's deadline leaves for another attempt; ``None``: nothing.

        In steps, since every length of time has a timer of its own.
        """
        left, deadline_s = 0.0, self.limits.deadline_s
        if course.until is not None and deadline_s is not None and not self.health.given_up:
            step = deadline_s / _STEPS
            left = math.floor((course.until - self.clock()) / step) * step
        if left <= 0:
            self._out_of_time(course)
            return None
        timeout = left if request.timeout_s is None else min(left, request.timeout_s)
        return replace(request, timeout_s=timeout)

    def _out_of_time(self, course: Course) -> None:
        """No further attempt is made; of a call that was not made at all ``course`` says why."""
        course.until = -math.inf
        if course.error is None and self.health.given_up:
            course.error = self.health.error()
        elif course.error is None:
            what = f"the time of the trial ({self.limits.deadline_s:g} s) ended before this turn"
            course.error = TargetError(ErrorClass.TIMEOUT, what, unbilled=True)

    def _went_well(
        self, output: Output, reserved: float, number: int, sent: float, now: float
    ) -> None:
        """Learn from an answer."""
        self._away = ()
        if self.window.adapts:
            took = output.ttft_s if output.ttft_s is not None else output.latency_s
            if took is not None:
                self.window.answered(took, sent, self._slots.taken, now)
        if self.health.answered():
            self._recovered(now)
        actual = output.usage.total_tokens
        self._settle(reserved, actual)
        if output.allowances:
            each = self._estimate.learned if actual is None else float(actual)
            self._limiter.hear(output.allowances, self._begun - number, each)

    def _went_wrong(self, error: TargetError, sent: float, now: float) -> None:
        """Learn from a failed attempt; of a route, its targets have."""
        if self.children:
            return
        if error.error_class in _PUSHED_BACK or error.http_status in _TOO_MUCH:
            self.window.pushed_back(sent, self._slots.taken, now)
        health = self.health
        waited_for = health.in_outage
        if health.attempt_failed(error, sent, now):
            self._recovered(now)
        elif health.in_outage and not waited_for:
            more = "any more" if health.ever_answered else "its first calls"
            self.note(
                f"target {self.name!r} does not answer {more}; it is tried now and then for"
                f" {health.breaker.patience_s:g} s"
            )

    def _recovered(self, now: float) -> None:
        self.window.restart(now)
        self.note(f"target {self.name!r} answers now")

    async def _limited(self, request: Request) -> float:
        """Wait for the turn of one attempt; the tokens that were taken for it."""
        tokens = self._guess(request) if self._limiter.counts_tokens else 0.0
        await self._limiter.take(tokens)
        return tokens

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

    async def child(self, request: Request, *, patient: bool = False) -> Output:
        """Answer a route: this target's own prompt, its limits, retries and cost.

        Raises ``TargetError`` when there is no answer, at once when this target was given up or is
        in an outage: the route may have another. When it has not, it is ``patient``.
        """
        messages = request.messages
        if self.render is not None:
            try:
                messages = messages_of(self.render, request)
            except PromptError as error:
                raise TargetError(ErrorClass.PROMPT, str(error)) from error
        answer = await self.ask(
            replace(request, messages=messages, timeout_s=self.timeout_s),
            patient=patient,
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
    def rests(self) -> bool:
        """Whether it was given up or is in an outage, and no probe of it is due."""
        if self._away and all(one.rests for one in self._away):
            return True
        return self.health.rests(self.clock())

    @property
    def in_outage(self) -> bool:
        """Whether it is only tried now and then; of a route, all that it could ask."""
        return self.rests if self._away else self.health.in_outage

    @property
    def held_s(self) -> float:
        """How long the server asked to be left alone from now on, in seconds."""
        return self._limiter.held_s

    @property
    def in_flight(self) -> int:
        """Attempts under way."""
        return len(self._sent)

    def longest_s(self) -> float:
        """How long the first sent of the attempts under way has taken by now."""
        return next((self.clock() - sent for sent in self._sent.values()), 0.0)

    @property
    def takes_schema(self) -> bool:
        """Whether the target sends along the schema of an answer that a request brings."""
        return getattr(self.target, "takes_schema", False) is True

    @property
    def timeout_s(self) -> float | None:
        """What bounds one attempt; a route is bounded by its children."""
        if self.children:
            return None
        limits = self.limits
        return min(limits.timeout_s, limits.deadline_s or limits.timeout_s)

    async def _pause(self, seconds: float) -> None:
        await self._waiting_for(self.sleep(seconds))

    async def _waiting_for(self, wait: Awaitable[_T]) -> _T:
        task = asyncio.current_task()
        assert task is not None
        self._waiting.add(task)
        if self._stopping:
            # nothing is recorded of the call
            task.cancel()
        try:
            return await wait
        finally:
            self._waiting.discard(task)

    @property
    def stopping(self) -> bool:
        """Whether no further attempt is started."""
        return self._stopping

    def stop(self) -> None:
        """Start no further attempt and wake up whoever waits for one, with ``CancelledError``."""
        self._stopping = True
        for task in self._waiting:
            task.cancel()

    async def aclose(self) -> None:
        """Release the target's connections and processes."""
        await self.target.aclose()
