"""Slots are given in turn, none is lost to a cancelled caller, and scorers have their own."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from evalkit.config.spec import Limits
from evalkit.errors import ErrorClass, TargetError
from evalkit.model import Case, Output, Request
from evalkit.runner.adaptive import Window
from evalkit.runner.health import Health
from evalkit.runner.lane import Lane
from evalkit.runner.retry import Backoff
from evalkit.runner.slots import Slots
from evalkit.targets._setting import Setting
from evalkit.targets.fallback import Fallback


@settings(max_examples=60, deadline=None)
@given(
    size=st.integers(1, 5),
    callers=st.lists(st.tuples(st.integers(0, 4), st.integers(0, 6)), min_size=1, max_size=30),
)
def test_never_more_than_the_window_and_no_slot_is_lost(
    size: int, callers: list[tuple[int, int]]
) -> None:
    """Callers hold a slot for some turns of the loop; some are cancelled on the way."""

    async def main() -> None:
        slots = Slots(Window(size, adapts=False), Health(size), time.perf_counter)
        begun: list[int] = []

        async def call(number: int, turns: int) -> None:
            if not slots.take_now():
                await slots.take()
            begun.append(number)
            assert slots.taken <= size
            try:
                for _ in range(turns):
                    await asyncio.sleep(0)
            finally:
                slots.give()

        tasks = [asyncio.create_task(call(n, turns)) for n, (turns, _) in enumerate(callers)]
        for turn in range(7):
            await asyncio.sleep(0)
            for task, (_, cancelled) in zip(tasks, callers, strict=True):
                if cancelled == turn + 1:
                    task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        assert slots.taken == 0
        assert begun == sorted(begun), "first come, first served"
        assert slots.take_now()

    asyncio.run(main())


class Counting:
    """Counts what is under way; fails when told."""

    def __init__(self, took: float = 0.01) -> None:
        self.took = took
        self.now = self.most = self.calls = 0
        self.error: ErrorClass | None = None

    async def send(self, request: Request) -> Output:
        self.calls += 1
        self.now += 1
        self.most = max(self.most, self.now)
        try:
            await asyncio.sleep(self.took)
        finally:
            self.now -= 1
        if self.error is not None:
            raise TargetError(self.error, "as told")
        return Output(text="yes")

    async def aclose(self) -> None:
        """Nothing is open."""


def lane_of(target: Counting, **limits: Any) -> Lane:
    return Lane(
        name="t",
        target=target,
        limits=Limits(**limits),
        backoff=Backoff(first_s=0.001),
        adapts=True,
    )


REQUEST = Request(case=Case.of({"n": 1}), timeout_s=5.0)


def run(work: Coroutine[Any, Any, Any]) -> Any:
    return asyncio.run(work)


async def until(holds: Callable[[], bool]) -> None:
    for _ in range(5_000):
        if holds():
            return
        await asyncio.sleep(0.001)
    raise AssertionError("waited too long")


def test_a_judge_has_limits_and_health_of_its_own_on_the_same_target() -> None:
    async def main() -> tuple[int, int, int]:
        target = Counting()
        lane = lane_of(target, concurrency=3)
        judge = lane.apart(Limits(concurrency=2, max_retries=0))
        await asyncio.gather(*[lane.ask(REQUEST) for _ in range(12)])
        alone = target.most
        target.most = 0
        await asyncio.gather(*[judge.ask(REQUEST) for _ in range(12)])
        judged, target.most = target.most, 0
        await asyncio.gather(*[one.ask(REQUEST) for one in (lane, judge) for _ in range(12)])
        target.error = ErrorClass.AUTH
        await asyncio.gather(*[judge.ask(REQUEST) for _ in range(80)])
        assert judge.health.given_up
        assert not lane.health.given_up
        return alone, judged, target.most

    assert run(main()) == (3, 2, 5)


def test_a_probe_that_is_cancelled_leaves_room_for_another() -> None:
    async def main() -> None:
        target = Counting()
        lane = lane_of(target, concurrency=10, max_retries=0, patience_s=60.0)
        await lane.ask(REQUEST)
        target.error = ErrorClass.CONNECTION
        await asyncio.gather(*[lane.ask(REQUEST) for _ in range(10)])
        assert lane.health.in_outage
        target.error = None
        waiting = [asyncio.create_task(lane.ask(REQUEST)) for _ in range(3)]
        before = target.calls
        await until(lambda: target.calls > before)
        waiting[0].cancel()
        answers = await asyncio.gather(*waiting, return_exceptions=True)
        assert isinstance(answers[0], asyncio.CancelledError)
        assert all(one.output is not None for one in answers[1:])  # type: ignore[union-attr]
        assert not lane.health.in_outage

    run(main())


def test_who_waits_when_a_target_is_given_up_is_told() -> None:
    async def main() -> None:
        target = Counting()
        lane = lane_of(target, concurrency=2, max_retries=0, patience_s=0.05)
        await lane.ask(REQUEST)
        target.error = ErrorClass.CONNECTION
        answers = await asyncio.gather(*[lane.ask(REQUEST) for _ in range(40)])
        assert lane.health.given_up
        assert target.calls < 20
        last = answers[-1]
        assert last.attempts == 0
        assert last.error is not None
        assert "as told" in last.error.message

    run(main())


def test_stopping_wakes_up_who_waits_in_an_outage() -> None:
    async def main() -> float:
        target = Counting()
        lane = lane_of(target, concurrency=2, max_retries=0, patience_s=60.0)
        await lane.ask(REQUEST)
        target.error = ErrorClass.CONNECTION
        tasks = [asyncio.create_task(lane.ask(REQUEST)) for _ in range(30)]
        await until(lambda: lane.health.in_outage)
        begun = time.perf_counter()
        lane.stop()
        await asyncio.gather(*tasks, return_exceptions=True)
        return time.perf_counter() - begun

    assert run(main()) < 20, "and not the minute of its patience"


def test_a_trial_in_line_ends_with_its_time_and_leaves_the_slot_to_others() -> None:
    async def main() -> None:
        target = Counting()
        lane = lane_of(target, concurrency=1, deadline_s=0.05, patience_s=60.0, max_retries=9)
        await lane.ask(REQUEST)
        target.error = ErrorClass.CONNECTION
        tasks = [asyncio.create_task(lane.ask(REQUEST)) for _ in range(12)]
        await until(lambda: lane.health.in_outage)
        late = await lane.ask(REQUEST, until=lane.clock() + 0.05)
        assert (late.attempts, late.output) == (0, None)
        assert late.error is not None
        assert "the time of the trial (0.05 s) ended" in late.error.message
        target.error = None
        answers = await asyncio.gather(*tasks)
        assert any(one.output is not None for one in answers), "a probe found it well again"
        assert (await lane.ask(REQUEST)).output is not None

    run(main())


def route_of(first: Counting, second: Counting, **limits: Any) -> Lane:
    children = {
        name: Lane(
            name=name,
            target=one,
            limits=Limits(concurrency=slots, max_retries=0, patience_s=60.0),
        )
        for name, one, slots in (("a", first, 4), ("b", second, 1))
    }
    setting = Setting(
        name="r", root=Path(), children={name: one.child for name, one in children.items()}
    )
    target = Fallback(setting, targets=["a", "b"])
    return Lane(name="r", target=target, limits=Limits(concurrency=64, **limits), children=children)


async def broken_one_after_the_other(first: Counting, second: Counting, route: Lane) -> None:
    await route.ask(REQUEST)
    first.error = ErrorClass.CONNECTION
    await route.ask(REQUEST)
    second.error = ErrorClass.CONNECTION


def test_a_route_fails_no_trial_that_its_targets_were_not_asked_for() -> None:
    async def main() -> None:
        first, second = Counting(), Counting(took=0.3)
        route = route_of(first, second)
        await broken_one_after_the_other(first, second, route)
        asked = first.calls + second.calls
        tasks = [asyncio.create_task(route.ask(REQUEST)) for _ in range(40)]
        await asyncio.sleep(5)
        first.error = second.error = None
        answers = await asyncio.gather(*tasks)
        failed = [one for one in answers if one.error is not None]
        assert len(failed) <= first.calls + second.calls - asked - (40 - len(failed))
        assert len(failed) < 20
        assert all(one.attempts >= 1 for one in answers)

    run(main())


def test_a_trial_of_a_route_that_nobody_was_asked_for_has_no_attempt() -> None:
    async def main() -> None:
        first, second = Counting(), Counting()
        route = route_of(first, second, deadline_s=0.3)
        await broken_one_after_the_other(first, second, route)
        answers = await asyncio.gather(*[route.ask(REQUEST) for _ in range(40)])
        assert all(one.error is not None for one in answers)
        assert {one.attempts for one in answers} <= {0, 1}
        assert [one.attempts for one in answers].count(0) > 10

    run(main())
