"""The limiter never lets a minute hold more than allowed, and never waits without need."""

from __future__ import annotations

import asyncio
import heapq
import itertools
import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evalkit.config.spec import Limits
from evalkit.runner.limits import Limiter, Rate, TokenEstimate


class FakeTime:
    """A clock and a sleep that share one time line, in order and without waiting."""

    def __init__(self) -> None:
        self.now = 1_000.0
        self._sleepers: list[tuple[float, int, asyncio.Future[None]]] = []
        self._number = 0

    def clock(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._number += 1
        heapq.heappush(self._sleepers, (self.now + seconds, self._number, future))
        await future

    async def drive(self, *tasks: asyncio.Task[None]) -> None:
        while not all(one.done() for one in tasks):
            for _ in range(5):
                await asyncio.sleep(0)
            if self._sleepers:
                at, _, future = heapq.heappop(self._sleepers)
                self.now = max(self.now, at)
                if not future.done():
                    future.set_result(None)
        for one in tasks:
            one.result()


def most_in_a_minute(starts: list[tuple[float, float]]) -> float:
    """The largest amount that any half-open window of 60 seconds holds."""
    return max(
        sum(amount for at, amount in starts if begin <= at < begin + 60 - 1e-6)
        for begin, _ in starts
    )


@settings(max_examples=60, deadline=None)
@given(
    rpm=st.floats(0.5, 900),
    gaps=st.lists(st.floats(0, 20), min_size=1, max_size=80),
)
def test_no_minute_holds_more_requests_than_allowed(rpm: float, gaps: list[float]) -> None:
    rate = Rate(rpm, now=0.0, whole=True)
    now, starts = 0.0, []
    for gap in gaps:
        now += gap
        starts.append((now + rate.reserve(1.0, now), 1.0))
    assert [at for at, _ in starts] == sorted(at for at, _ in starts)
    assert most_in_a_minute(starts) <= math.ceil(rpm)


@settings(max_examples=60, deadline=None)
@given(
    tpm=st.floats(60, 100_000),
    calls=st.lists(st.tuples(st.floats(0, 5), st.floats(0.001, 0.9)), min_size=1, max_size=60),
)
def test_no_minute_holds_more_tokens_than_allowed(
    tpm: float, calls: list[tuple[float, float]]
) -> None:
    rate = Rate(tpm, now=0.0)
    now, starts = 0.0, []
    for gap, share in calls:
        now += gap
        starts.append((now + rate.reserve(share * tpm, now), share * tpm))
    largest = max(amount for _, amount in starts)
    beyond = max(0.0, largest - tpm / 60)
    assert most_in_a_minute(starts) <= (tpm + beyond) * (1 + 1e-6)


@given(
    tpm=st.floats(600, 100_000),
    calls=st.lists(st.tuples(st.floats(0.01, 1), st.floats(0, 1)), min_size=1, max_size=40),
)
def test_tokens_given_back_are_as_if_never_taken(
    tpm: float, calls: list[tuple[float, float]]
) -> None:
    honest, corrected = Rate(tpm, now=0.0), Rate(tpm, now=0.0)
    for guess, share in calls:
        actual = guess * share * tpm
        honest.reserve(actual, 0.0)
        corrected.reserve(guess * tpm, 0.0)
        corrected.correct(guess * tpm, actual, 0.0)
    assert corrected.reserve(1.0, 0.0) == pytest.approx(honest.reserve(1.0, 0.0), abs=1e-6)


def test_a_steady_stream_runs_at_nearly_the_whole_rate() -> None:
    rate = Rate(600.0, now=0.0, whole=True)
    last = [rate.reserve(1.0, 0.0) for _ in range(6_000)][-1]
    assert 6_000 / last * 60 == pytest.approx(600, rel=0.02)


def test_a_clock_that_jumps_back_takes_nothing_away() -> None:
    rate = Rate(60.0, now=1_000.0, whole=True)
    assert rate.reserve(1.0, 1_000.0) == 0.0
    assert rate.reserve(1.0, 10.0) == pytest.approx(1.0)
    assert rate.reserve(1.0, 1_002.0) == pytest.approx(0.0)


def test_callers_wait_their_turn_and_a_pause_holds_all_of_them() -> None:
    async def main() -> tuple[list[float], list[float]]:
        time = FakeTime()
        limiter = Limiter(Limits(requests_per_minute=60.0), clock=time.clock, sleep=time.sleep)
        begin = time.now
        starts: list[float] = []

        async def call() -> None:
            await limiter.take()
            starts.append(time.now - begin)

        await time.drive(*[asyncio.create_task(call()) for _ in range(4)])
        before = list(starts)
        starts.clear()
        waiting = [asyncio.create_task(call()) for _ in range(5)]
        await asyncio.sleep(0)
        limiter.hold(30.0)
        await time.drive(*waiting)
        return before, starts

    before, after = asyncio.run(main())
    assert before == pytest.approx([0.0, 1.0, 2.0, 3.0])
    assert after[0] >= 33.0
    gaps = [b - a for a, b in itertools.pairwise(after)]
    assert all(gap == pytest.approx(1.0) for gap in gaps), "no burst after the pause"


def test_nothing_to_wait_for_without_limits() -> None:
    limiter = Limiter(Limits())
    assert limiter.idle
    assert not limiter.counts_tokens
    limiter.hold(60.0)
    assert not limiter.idle


def test_the_token_estimate_follows_what_calls_really_take() -> None:
    estimate = TokenEstimate(output_tokens=1_000)
    first = estimate.guess(400)
    assert first == 1_100
    for _ in range(100):
        estimate.learn(estimate.guess(400), 150)
    assert estimate.guess(400) == pytest.approx(150, rel=0.01)
