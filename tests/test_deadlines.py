"""Time limits that share a timer behave as asyncio's own."""

import asyncio
import contextlib
import time

import pytest

from evalkit.deadlines import Deadlines


async def bounded(deadlines, seconds, work):
    with deadlines.within(seconds):
        await asyncio.sleep(work)


def test_what_takes_too_long_ends_in_time():
    async def main():
        started = time.perf_counter()
        with pytest.raises(TimeoutError):
            await bounded(Deadlines(), 0.05, 5)
        assert 0.045 < time.perf_counter() - started < 4
        assert asyncio.current_task().cancelling() == 0

    asyncio.run(main())


def test_each_of_many_has_its_own_end():
    async def main():
        deadlines = Deadlines()
        started = time.perf_counter()
        ends = []

        async def one(wait, work):
            await asyncio.sleep(wait)
            try:
                await bounded(deadlines, 0.1, work)
            except TimeoutError:
                ends.append((wait, time.perf_counter() - started - wait))

        jobs = [(0.0, 5), (0.02, 0.01), (0.04, 5), (0.06, 5), (0.3, 5)]
        await asyncio.gather(*(one(*job) for job in jobs))
        assert [wait for wait, _ in ends] == [0.0, 0.04, 0.06, 0.3]
        assert all(0.09 < took < 4 for _, took in ends)

    asyncio.run(main())


def test_limits_of_different_length_side_by_side():
    async def main():
        deadlines = Deadlines()
        found = await asyncio.gather(
            bounded(deadlines, 30, 0.1),
            bounded(deadlines, 0.05, 5),
            bounded(deadlines, 0.01, 5),
            return_exceptions=True,
        )
        assert [type(one) for one in found] == [type(None), TimeoutError, TimeoutError]

    asyncio.run(main())


@pytest.mark.parametrize("inner", [0.05, 5.0])
def test_one_inside_the_other(inner):
    async def main():
        outer = Deadlines().within(0.05)
        with pytest.raises(TimeoutError), outer, Deadlines().within(inner):
            await asyncio.sleep(5)
        assert asyncio.current_task().cancelling() == 0

    asyncio.run(main())


def test_cancelling_from_outside_is_no_timeout():
    async def main():
        task = asyncio.create_task(bounded(Deadlines(), 5, 30))
        await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(main())


def test_cancelling_from_outside_wins_over_a_limit_that_passed():
    async def main():
        async def stubborn():
            with Deadlines().within(0.01):
                try:
                    await asyncio.sleep(5)
                finally:
                    with contextlib.suppress(asyncio.CancelledError):
                        await asyncio.sleep(20)

        task = asyncio.create_task(stubborn())
        await asyncio.sleep(0.03)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(main())


def test_another_loop_begins_anew():
    deadlines = Deadlines()
    for _ in range(2):
        with pytest.raises(TimeoutError):
            asyncio.run(bounded(deadlines, 0.01, 5))
